"""Places: devices and addresses that players share, and numbers that are tried out."""

import msgspec
import pytest

from domain.fraud.indicators.catalogue import BY_CODE
from projections.fraud.checks.instruments import NAMED_MAX
from projections.fraud.judging import weighed
from projections.fraud.signals import Declined, RefundAsked, Seen
from projections.fraud.states import PLAYERS_MAX, AddressState, AnyState, BinState
from tests.generators.fraud_signals import DAY, HOUR, MINUTE, SECOND, rules
from tests.generators.fraud_subjects import Judged, player

DEVICE, ADDRESS, BIN = "device:d1", "address:a1", "bin:411111"
QUARTER = 15 * MINUTE
WEEK = 7 * DAY


# --- shared_device_or_address -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "least", "severity"), [(DEVICE, 3, "medium"), (ADDRESS, 5, "low")]
)
def test_one_player_less_than_the_threshold_shares_nothing(
    subject: str, least: int, severity: str
) -> None:
    judged = Judged()
    for who in range(least - 1):
        assert judged.tell(Seen, subject, 0, who) == ()
    assert judged.tell(Seen, subject, 0, 0) == (), "the same player again"
    (hit,) = judged.tell(Seen, subject, 0, least)
    assert (hit.severity, hit.value, hit.threshold) == (severity, least, least)
    assert judged.tell(Seen, subject, 0, least + 1) == (), "it is known"
    assert hit.inputs["seen_last"].startswith(player(least))


@pytest.mark.parametrize(("subject", "least", "window"), [(DEVICE, 3, 7 * DAY), (ADDRESS, 5, DAY)])
@pytest.mark.parametrize(("later", "hits"), [(0, 1), (1, 0)])
def test_a_player_seen_exactly_a_window_ago_still_counts(
    subject: str, least: int, window: int, later: int, hits: int
) -> None:
    judged = Judged()
    judged.tell(Seen, subject, 0, 1)
    for who in range(2, least + 1):
        judged.tell(Seen, subject, window + later, who)
    assert len(judged.hits) == hits


def test_players_who_stayed_away_are_forgotten_though_only_the_last_one_comes_again() -> None:
    judged = Judged()
    for who in (1, 2, 3):
        judged.tell(Seen, DEVICE, 0, who)
    assert len(judged.hits) == 1
    judged.tell(Seen, DEVICE, WEEK + 1, 3)
    assert len(judged.hits) == 1


def test_the_evidence_names_only_the_players_seen_last() -> None:
    judged = Judged(rules("shared_device_or_address", device_players=PLAYERS_MAX))
    for who in range(PLAYERS_MAX):
        judged.tell(Seen, DEVICE, 0, who)
    (hit,) = judged.hits
    assert hit.inputs["players"] == PLAYERS_MAX
    latest = [player(PLAYERS_MAX - 1 - back) for back in range(NAMED_MAX)]
    assert hit.inputs["seen_last"] == ", ".join(latest)


def test_a_signal_that_comes_late_does_not_set_the_clock_back() -> None:
    judged = Judged()
    judged.tell(Seen, DEVICE, 8 * DAY, 1)
    judged.tell(Seen, DEVICE, 0, 2)
    (hit,) = judged.tell(Seen, DEVICE, 8 * DAY, 3)
    assert hit.value == 3


# --- enumeration --------------------------------------------------------------------------------


def declined(judged: Judged, subject: str, number: int, at: int = 0, every: int = 0) -> None:
    for one in range(number):
        judged.tell(Declined, subject, at + one * every, one)


@pytest.mark.parametrize("subject", [BIN, ADDRESS])
def test_the_fiftieth_decline_in_a_quarter_of_an_hour_is_enumeration(subject: str) -> None:
    judged = Judged()
    declined(judged, subject, 49)
    assert judged.hits == []
    declined(judged, subject, 3)
    (hit,) = judged.hits
    assert (hit.severity, hit.value, hit.threshold) == ("critical", 50, 50)
    assert not BY_CODE[hit.indicator].effect.weighs


@pytest.mark.parametrize("subject", [BIN, ADDRESS])
@pytest.mark.parametrize(("later", "hits"), [(0, 1), (1, 0)])
def test_a_decline_exactly_a_quarter_of_an_hour_old_still_counts(
    subject: str, later: int, hits: int
) -> None:
    judged = Judged()
    declined(judged, subject, 49)
    declined(judged, subject, 1, QUARTER + later)
    assert len(judged.hits) == hits


@pytest.mark.parametrize(
    ("before", "hits"), [(671, 1), (672, 0), (673, 0)], ids=["below", "at", "above"]
)
def test_declines_have_to_be_more_than_the_times_of_what_is_usual(before: int, hits: int) -> None:
    """672 quarters of an hour are a week: one decline each is an average of one."""
    judged = Judged(rules("enumeration", "off"))
    declined(judged, BIN, before)
    judged.rules = rules("enumeration", declines=3)
    declined(judged, BIN, 3, at=2 * HOUR)
    assert len(judged.hits) == hits


@pytest.mark.parametrize(("later", "hits"), [(0, 0), (1, 1)])
def test_what_is_usual_reaches_back_seven_days_before_the_quarter_of_an_hour(
    later: int, hits: int
) -> None:
    """One decline is not more than 672 times an average of 1 in 672; without that, it is."""
    judged = Judged(rules("enumeration", "off"))
    declined(judged, BIN, 1)
    judged.rules = rules("enumeration", declines=1, times=672)
    declined(judged, BIN, 1, WEEK + QUARTER + later)
    assert len(judged.hits) == hits


def test_declines_of_this_quarter_of_an_hour_are_not_what_is_usual() -> None:
    judged = Judged()
    declined(judged, ADDRESS, 50, every=SECOND)
    (hit,) = judged.hits
    assert hit.inputs["declines_of_7_days_before"] == 0
    assert hit.sentence == (
        "50 declines from the address within 15 minutes (at least 50);"
        " the 7 days before had 0.0 on average (more than 3 times that)."
    )


def test_what_is_usual_is_said_by_the_average() -> None:
    judged = Judged(rules("enumeration", "off"))
    declined(judged, BIN, 1_000, every=MINUTE)
    judged.rules = rules("enumeration")
    declined(judged, BIN, 50, 2 * DAY)
    (hit,) = judged.hits
    assert hit.inputs["declines_of_7_days_before"] == 1_000
    assert "the issuer's cards" in hit.sentence
    assert "had 1.4 on average" in hit.sentence


def test_many_declines_of_a_week_leave_those_of_the_quarter_of_an_hour_exact() -> None:
    """The longer window keeps only sums by then; they must not spill into the shorter one."""
    judged = Judged()
    declined(judged, BIN, 2_000, every=QUARTER // 48)
    assert judged.hits == []


# --- both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["live", "shadow", "off"])
@pytest.mark.parametrize(
    ("indicator", "kind", "subject", "number"),
    [
        ("shared_device_or_address", Seen, DEVICE, 3),
        ("shared_device_or_address", Seen, ADDRESS, 5),
        ("enumeration", Declined, BIN, 50),
        ("enumeration", Declined, ADDRESS, 50),
    ],
)
def test_a_mode_says_whether_a_hit_is_recorded(
    mode: str, indicator: str, kind: type[Seen | Declined], subject: str, number: int
) -> None:
    judged = Judged(rules(indicator, mode))
    for who in range(number + 1):
        judged.tell(kind, subject, 0, who)
    assert [hit.mode for hit in judged.hits] == ([] if mode == "off" else [mode])
    counts = mode == "live" and BY_CODE[indicator].effect.weighs
    assert len(weighed(judged.states[subject], subject)) == counts


def test_a_sharing_is_recorded_again_when_the_first_hit_no_longer_counts() -> None:
    judged = Judged()
    for at in (0, WEEK - 1, WEEK):
        for who in range(3):
            judged.tell(Seen, DEVICE, at, who)
    first, second = judged.hits
    assert (second.at - first.at).days == 7


@pytest.mark.parametrize(("subject", "kind"), [(ADDRESS, AddressState), (BIN, BinState)])
def test_what_is_kept_of_a_place_stays_small(
    subject: str, kind: type[AddressState | BinState]
) -> None:
    judged = Judged()
    for number in range(10_000):
        if kind is AddressState:
            judged.tell(Seen, subject, number * SECOND, number)
        judged.tell(Declined, subject, number * SECOND, number)
    state = judged.state(subject, kind)
    if isinstance(state, AddressState):
        assert len(state.players) == PLAYERS_MAX
        assert state.players[-1][0] == player(9_999)
    assert len(msgspec.json.encode(state)) < 20_000
    assert msgspec.json.decode(msgspec.json.encode(state), type=AnyState) == state


def test_what_is_kept_of_a_device_stays_small() -> None:
    judged = Judged()
    for number in range(10_000):
        judged.tell(Seen, DEVICE, number * SECOND, number)
    assert len(msgspec.json.encode(judged.states[DEVICE])) < 10_000


@pytest.mark.parametrize("subject", [DEVICE, ADDRESS, BIN])
def test_what_says_nothing_about_a_place_is_an_error(subject: str) -> None:
    with pytest.raises(TypeError):
        Judged().tell(RefundAsked, subject, 0)
