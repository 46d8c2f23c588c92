"""Institutions: providers whose deposits are disputed, and staff who give back a great deal."""

import msgspec
import pytest

from projections.fraud.judging import weighed
from projections.fraud.others import OPERATOR_DAYS
from projections.fraud.signals import OPERATORS, Cleared, Disputed, RefundAsked, Seen, Settled
from projections.fraud.states import OPERATORS_MAX, AnyState, OperatorsState, ProviderState
from tests.generators.fraud_signals import DAY, MINUTE, START, rules
from tests.generators.fraud_subjects import Judged

PROVIDER = "provider:acme"
MARCH_LEFT = 30 * DAY - 9 * 60 * MINUTE - 30 * MINUTE
"""From START to the end of the month."""


# --- dispute_load -------------------------------------------------------------------------------


def provider(settled: int, disputes: int, at: int = 0, judged: Judged | None = None) -> Judged:
    judged = judged or Judged()
    for _ in range(settled):
        judged.tell(Settled, PROVIDER, at)
    for _ in range(disputes):
        judged.tell(Disputed, PROVIDER, at)
    return judged


def test_start_is_on_the_second_of_march() -> None:
    assert f"{START:%Y-%m-%d %H:%M}" == "2026-03-02 09:30"


@pytest.mark.parametrize(
    ("settled", "severities"),
    [(1_112, []), (1_111, ["medium"]), (1_110, ["medium"]), (667, ["medium"])],
)
def test_a_provider_is_warned_of_from_90_disputes_in_10000_deposits(
    settled: int, severities: list[str]
) -> None:
    assert provider(settled, 10).severities() == severities


@pytest.mark.parametrize(("settled", "severity"), [(666, "critical"), (667, "medium")])
def test_a_provider_is_critical_from_150_disputes_in_10000_deposits(
    settled: int, severity: str
) -> None:
    (hit,) = provider(settled, 10).hits
    assert hit.severity == severity
    assert hit.unit == "basis_points"
    assert hit.value >= hit.threshold
    assert hit.subject == PROVIDER


def test_nine_disputes_are_too_few_whatever_their_share() -> None:
    assert provider(0, 9).hits == []
    (hit,) = provider(0, 10).hits
    assert (hit.severity, hit.inputs["settled"]) == ("critical", 0)


def test_a_warning_is_not_repeated_and_gets_critical_at_once() -> None:
    judged = provider(1_000, 14)
    assert judged.severities() == ["medium"]
    provider(0, 2, judged=judged)
    assert judged.severities() == ["medium", "critical"]
    assert judged.hits[-1].sentence == (
        "15 disputes against 1000 settled deposits in 2026-03: 1.50 % (at least 1.50 %)."
    )
    assert f"{judged.hits[-1].since:%Y-%m-%d %H:%M}" == "2026-03-01 00:00"


@pytest.mark.parametrize(("later", "hits"), [(-1, 1), (0, 0)])
def test_a_provider_starts_every_month_from_nothing(later: int, hits: int) -> None:
    judged = provider(1_000, 9)
    provider(0, 1, MARCH_LEFT + later, judged)
    assert len(judged.hits) == hits
    assert judged.state(PROVIDER, ProviderState).disputes == (10 if hits else 1)


def test_what_is_heard_late_counts_in_the_month_that_it_is_heard_in() -> None:
    judged = provider(1, 0, MARCH_LEFT)
    provider(1, 0, 0, judged)
    state = judged.state(PROVIDER, ProviderState)
    assert (state.month, state.settled) == ("2026-04", 2)


# --- refund_abuse -------------------------------------------------------------------------------


def refunds(judged: Judged, person: str, number: int, at: int = 0) -> None:
    for _ in range(number):
        judged.tell(RefundAsked, OPERATORS, at, operator=person)


def staff(persons: int, each: int = 1, at: int = 0, by: Judged | None = None) -> Judged:
    """So many of staff have asked for so many refunds."""
    judged = by or Judged()
    for number in range(persons):
        refunds(judged, f"p{number}", each, at)
    return judged


def test_four_refunds_of_a_person_are_too_few_and_the_fifth_is_not() -> None:
    judged = staff(30)
    refunds(judged, "ann", 4)
    assert judged.hits == []
    refunds(judged, "ann", 2)
    (hit,) = judged.hits
    assert (hit.severity, hit.value, hit.threshold) == ("high", 5, 5)
    assert hit.inputs["operator"] == "ann"
    assert hit.sentence == (
        "ann asked for 5 refunds on 2026-03-02 (at least 5);"
        " of 30 other days of staff with refunds, 99 % had 1 or fewer."
    )


@pytest.mark.parametrize(("others", "hits"), [(29, 0), (30, 1)])
def test_thirty_other_days_are_needed_to_compare_with(others: int, hits: int) -> None:
    judged = staff(others)
    refunds(judged, "ann", 5)
    assert len(judged.hits) == hits


@pytest.mark.parametrize(("usual", "hits"), [(5, 0), (4, 1)])
def test_a_person_has_to_be_above_the_percentile(usual: int, hits: int) -> None:
    """Of 100 other days, 2 have as many: the 99th of them in order is one of the two."""
    judged = staff(98, by=Judged(rules("refund_abuse", "off")))
    for person in ("bob", "cid"):
        refunds(judged, person, usual)
    judged.rules = rules("refund_abuse")
    refunds(judged, "ann", 5)
    assert len(judged.hits) == hits


@pytest.mark.parametrize(("busy", "hits"), [(1, 0), (0, 1)])
def test_a_percentile_is_by_nearest_rank_rounded_up(busy: int, hits: int) -> None:
    """99 % of 30 days are 29.7: the 30th in order counts, which is the busiest."""
    judged = staff(30 - busy, by=Judged(rules("refund_abuse", "off")))
    staff(busy, 9, DAY, judged)
    judged.rules = rules("refund_abuse")
    refunds(judged, "ann", 5, DAY)
    assert len(judged.hits) == hits


@pytest.mark.parametrize(("percent", "hits"), [(99, 1), (100, 0)])
def test_one_day_in_a_hundred_is_above_the_99th_percentile_but_not_above_all(
    percent: int, hits: int
) -> None:
    judged = staff(99, by=Judged(rules("refund_abuse", "off")))
    refunds(judged, "bob", 9)
    judged.rules = rules("refund_abuse", operator_percent=percent)
    refunds(judged, "ann", 6)
    assert len(judged.hits) == hits


@pytest.mark.parametrize(("days", "hits"), [(OPERATOR_DAYS - 1, 1), (OPERATOR_DAYS, 0)])
def test_days_are_compared_up_to_the_29th_before_this_one(days: int, hits: int) -> None:
    judged = staff(30)
    refunds(judged, "ann", 5, days * DAY)
    assert len(judged.hits) == hits


def test_a_persons_own_other_days_are_compared_too() -> None:
    judged = Judged(rules("refund_abuse", "off"))
    for day in range(29):
        refunds(judged, "ann", 5, day * DAY)
    staff(1, 1, 29 * DAY, judged)
    judged.rules = rules("refund_abuse")
    refunds(judged, "ann", 5, 29 * DAY)
    assert judged.hits == []
    refunds(judged, "ann", 1, 29 * DAY)
    assert [hit.value for hit in judged.hits] == [6]


def test_one_persons_hit_does_not_hide_anothers() -> None:
    judged = staff(200)
    for person in ("ann", "bob", "ann"):
        refunds(judged, person, 5)
    assert [hit.inputs["operator"] for hit in judged.hits] == ["ann", "bob"]


# --- both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["live", "shadow", "off"])
def test_a_mode_says_whether_a_hit_is_recorded(mode: str) -> None:
    disputed = provider(0, 11, judged=Judged(rules("dispute_load", mode)))
    refunded = staff(30, by=Judged(rules("refund_abuse", mode)))
    refunds(refunded, "ann", 6)
    for judged, subject in ((disputed, PROVIDER), (refunded, OPERATORS)):
        assert [hit.mode for hit in judged.hits] == ([] if mode == "off" else [mode])
        assert len(weighed(judged.states[subject], subject)) == (mode == "live")


def test_a_case_about_a_provider_may_clear_its_hits() -> None:
    judged = provider(0, 10)
    judged.tell(Cleared, PROVIDER, 1, indicators=("dispute_load",))
    assert weighed(judged.states[PROVIDER], PROVIDER) == []
    provider(0, 1, judged=judged)
    assert [(hit.severity, hit.value) for hit in judged.hits] == [
        ("critical", 100_000),
        ("critical", 110_000),
    ]


def test_what_is_kept_of_staff_stays_small() -> None:
    judged = Judged(rules("refund_abuse", "off"))
    for number in range(10_000):
        refunds(judged, f"p{number}", 1, number * DAY // 600)
    state = judged.state(OPERATORS, OperatorsState)
    assert state.earlier[1:] == tuple((state.earlier[0][0] + n, {1: 500}) for n in range(1, 17))
    assert len(msgspec.json.encode(state)) < 20_000
    assert msgspec.json.decode(msgspec.json.encode(state), type=AnyState) == state
    refunds(judged, "ann", 1, 100 * DAY)
    assert judged.state(OPERATORS, OperatorsState).earlier == ()


@pytest.mark.parametrize(("others", "counted"), [(OPERATORS_MAX - 1, True), (OPERATORS_MAX, False)])
def test_who_comes_after_so_many_others_in_a_day_is_not_counted(others: int, counted: bool) -> None:
    judged = staff(others)
    refunds(judged, "ann", 9)
    assert len(judged.state(OPERATORS, OperatorsState).persons) == OPERATORS_MAX
    assert len(judged.hits) == counted


def test_what_is_kept_of_a_provider_stays_small() -> None:
    judged = provider(10_000, 0)
    assert len(msgspec.json.encode(judged.states[PROVIDER])) < 200


@pytest.mark.parametrize("subject", [PROVIDER, OPERATORS])
def test_what_says_nothing_about_an_institution_is_an_error(subject: str) -> None:
    with pytest.raises(TypeError):
        Judged().tell(Seen, subject, 0)
