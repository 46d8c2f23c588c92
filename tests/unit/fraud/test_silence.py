"""What a false alarm leaves silent: hits as strong as the case covered, and nothing stronger."""

from typing import Any

import msgspec
import pytest

from domain.events import Strength
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.strength import COVERED_MAX, covering, is_covered
from projections.fraud.judging import weighed
from projections.fraud.signals import Cleared, Declined, Disputed, HolderChecked, RefundAsked
from tests.generators.fraud_signals import (
    DAY,
    HOUR,
    MINUTE,
    SUBJECT,
    Judged,
    asked,
    attempted,
    cleared,
    counted,
    credential,
    judged,
    known,
    refund,
    rules,
    settled,
    taken,
)
from tests.generators.fraud_subjects import Judged as Subjects

STRUCTURED = tuple(settled(195_000, at=at) for at in range(3))
LARGER = tuple(settled(495_000, at=8 * DAY + at) for at in range(3))


def strength(value: int = 3, amount: int = 585_000, **changes: Any) -> Strength:
    return Strength(
        **{
            "indicator": "structuring",
            "severity": "high",
            "unit": "count",
            "value": value,
            "amount_minor": amount,
        }
        | changes
    )


def structuring(*said: Any) -> Judged:
    return judged(*said, rules=rules("structuring"))


def test_the_same_pattern_of_more_money_speaks_again_and_counts() -> None:
    found = structuring(*STRUCTURED, cleared("structuring"), *LARGER)
    assert [(hit.value, hit.amount_minor) for hit in found.hits] == [(3, 585_000), (3, 1_485_000)]
    assert [one.position for one in weighed(found.state, SUBJECT)] == [7]


def test_the_same_pattern_more_often_speaks_again() -> None:
    fourth = settled(180_000, at=3)
    found = structuring(*STRUCTURED, cleared("structuring"), fourth)
    assert [hit.value for hit in found.hits] == [3, 4]


def test_the_same_pattern_of_as_much_or_less_stays_silent() -> None:
    repeats = (settled(minor, at=8 * DAY + minor) for minor in (195_000, 190_000, 195_000))
    found = structuring(*STRUCTURED, cleared("structuring"), *repeats)
    assert len(found.hits) == 1
    assert weighed(found.state, SUBJECT) == []


def test_it_is_silent_no_longer_than_the_hit_would_have_counted() -> None:
    for at, hits in ((30 * DAY - 1, 1), (30 * DAY + 2, 2)):
        repeats = (settled(190_000, at=at + n) for n in (-2, -1, 0))
        found = structuring(*STRUCTURED, cleared("structuring"), *repeats)
        assert len(found.hits) == hits


def test_what_several_cases_covered_stays_silent_together() -> None:
    """A second false alarm does not wake what the first one covered."""
    found = structuring(
        *STRUCTURED,
        settled(180_000, at=3),
        cleared("structuring", covered=(strength(4, 700_000),)),
        *LARGER,
        cleared("structuring", covered=(strength(3, 1_485_000),)),
        *(settled(180_000, at=16 * DAY + at) for at in range(4)),
    )
    assert [hit.amount_minor for hit in found.hits] == [585_000, 1_485_000]


def test_what_the_case_did_not_know_of_goes_on_counting() -> None:
    weaker = strength(3, 500_000)
    found = structuring(*STRUCTURED, cleared("structuring", covered=(weaker,)))
    assert [one.indicator for one in weighed(found.state, SUBJECT)] == ["structuring"]


def test_a_weaker_hit_of_a_case_covers_as_much_as_its_strongest() -> None:
    found = structuring(
        *STRUCTURED, cleared("structuring", covered=(strength(3, 1_485_000),)), *LARGER
    )
    assert len(found.hits) == 1


def test_a_payout_of_more_to_a_target_as_new_speaks_again() -> None:
    found = judged(
        attempted(),
        settled(10_000),
        credential(),
        asked(10_000, at=10),
        cleared("new_payout_target", at=20),
        asked(10_000, at=30),
        asked(10_001, at=40),
        rules=rules("new_payout_target"),
    )
    assert [hit.amount_minor for hit in found.hits] == [10_000, 10_001]


def test_a_changed_credential_is_not_hidden_by_an_older_target() -> None:
    target = "iban-new"
    found = judged(
        taken(target),
        asked(10_000, instrument=target, at=2 * HOUR),
        cleared("new_payout_target", at=2 * HOUR),
        asked(10_000, instrument=target, at=3 * HOUR),
        credential(at=4 * HOUR),
        asked(10_000, instrument=target, at=4 * HOUR + MINUTE),
        rules=rules("new_payout_target"),
    )
    assert [hit.value for hit in found.hits] == [7_200, 60]
    assert "password was changed" in found.hits[-1].sentence


def test_a_false_alarm_about_one_target_says_nothing_of_another_or_of_a_later_change() -> None:
    found = judged(
        taken("iban-own"),
        asked(500_000, instrument="iban-own", at=5 * MINUTE),
        cleared("new_payout_target", at=10 * MINUTE),
        asked(490_000, instrument="iban-own", at=20 * MINUTE),
        credential("password", at=2 * HOUR),
        credential("email", at=2 * HOUR + MINUTE),
        taken("iban-other", at=3 * HOUR),
        asked(490_000, instrument="iban-other", at=3 * HOUR + 6 * MINUTE),
        cleared("new_payout_target", at=4 * HOUR),
        asked(10_000, instrument="iban-other", at=5 * HOUR),
        rules=rules("new_payout_target"),
    )
    assert [(hit.position, hit.inputs.get("instrument", "email")) for hit in found.hits] == [
        (2, "iban-own"),
        (8, "iban-other"),
        (10, "email"),
    ]
    assert [one.counts for one in found.state.active] == [True]


def test_of_a_payout_to_two_new_targets_what_was_looked_at_does_not_hide_the_other() -> None:
    payout = msgspec.structs.replace(asked(10_000), instruments=("iban-own", "iban-other"))
    found = judged(
        taken("iban-other"),
        taken("iban-own", at=MINUTE),
        asked(10_000, instrument="iban-own", at=2 * MINUTE),
        cleared("new_payout_target", at=3 * MINUTE),
        msgspec.structs.replace(payout, at_us=payout.at_us + 4 * MINUTE),
        rules=rules("new_payout_target"),
    )
    assert [hit.inputs["instrument"] for hit in found.hits] == ["iban-own", "iban-other"]


def test_a_hit_on_another_target_that_no_case_knew_of_goes_on_counting() -> None:
    about = strength(60, 500_000, indicator="new_payout_target", unit="seconds", cause="iban-own")
    found = judged(
        taken("iban-other"),
        asked(10_000, instrument="iban-other", at=HOUR),
        cleared("new_payout_target", at=2 * HOUR, covered=(about,)),
        rules=rules("new_payout_target"),
    )
    assert [one.counts for one in found.state.active] == [True]


def test_another_listed_country_speaks_again_for_no_more_money() -> None:
    found = judged(
        attempted(5_000, card="IR"),
        cleared("geo_conflict"),
        attempted(5_000, card="KP", at=1),
        cleared("geo_conflict", at=2),
        attempted(5_000, card="IR", at=3),
        attempted(5_000, card="KP", at=4),
        rules=rules("geo_conflict"),
    )
    assert [hit.inputs["card"] for hit in found.hits] == ["IR", "KP"]


def test_deposits_of_another_month_speak_again() -> None:
    """By a player in Germany, for as much as in the month before."""
    told = judged(
        known(country="DE"),
        counted(150_000),
        attempted(),
        cleared("limit_breach"),
        attempted(),
        counted(150_000, month="2026-04"),
        attempted(),
        rules=rules("limit_breach"),
    )
    assert [hit.inputs["month"] for hit in told.hits] == ["2026-03", "2026-04"]


def test_disputes_of_another_month_of_a_provider_speak_again() -> None:
    told = Subjects(rules("dispute_load", disputes=1))
    told.tell(Disputed, "provider:bank", 0)
    told.tell(Cleared, "provider:bank", 1, indicators=("dispute_load",))
    told.tell(Disputed, "provider:bank", 29 * DAY + 23 * HOUR)
    assert [hit.inputs["month"] for hit in told.hits] == ["2026-03", "2026-04"]


def test_declines_of_a_day_are_not_hidden_by_those_of_the_month_before() -> None:
    told = Subjects(rules("repeated_declines"))
    for number in range(15):
        told.tell(Declined, "instrument:card", number * DAY)
    told.tell(Cleared, "instrument:card", 14 * DAY, indicators=("repeated_declines",))
    for number in range(10):
        told.tell(Declined, "instrument:card", 20 * DAY + number)
    assert [hit.value for hit in told.hits] == [15, 16]


def test_larger_parts_are_not_hidden_by_smaller_ones_of_the_same_days() -> None:
    larger = (settled(495_000, at=at) for at in range(4, 7))
    found = structuring(*STRUCTURED, cleared("structuring"), *larger)
    assert [hit.amount_minor for hit in found.hits] == [585_000, 1_485_000]


def test_a_listed_country_is_not_silent_for_larger_deposits() -> None:
    found = judged(
        attempted(5_000, card="IR"),
        cleared("geo_conflict"),
        attempted(5_000, card="IR", at=1),
        attempted(500_000, card="IR", at=2),
        rules=rules("geo_conflict"),
    )
    assert [hit.amount_minor for hit in found.hits] == [5_000, 500_000]


@pytest.mark.parametrize(("similarity", "hits"), [(41, 1), (42, 1), (40, 2)])
def test_a_name_is_stronger_the_less_it_is_alike(similarity: int, hits: int) -> None:
    holding = f"holding:{SUBJECT.partition(':')[2]}:card"
    told = Subjects()
    told.tell(HolderChecked, holding, 0, similarity=41)
    told.tell(Cleared, holding, 1, indicators=("name_mismatch",))
    told.tell(HolderChecked, holding, 2, similarity=similarity)
    assert len(told.hits) == hits


def test_another_dispute_speaks_again() -> None:
    told = Subjects()
    told.tell(Disputed, SUBJECT, 0)
    told.tell(Cleared, SUBJECT, 1, indicators=("dispute_load",))
    told.tell(Disputed, SUBJECT, 2)
    assert [hit.value for hit in told.hits if hit.indicator == "dispute_load"] == [1, 2]


def test_what_one_of_staff_did_says_nothing_of_how_much_another_may() -> None:
    told = Subjects(rules("refund_abuse", operator_percent=50))
    for day in range(31):
        for name in ("old", "odd"):
            told.tell(RefundAsked, "operators:all", day * DAY, operator=name)
    today = 31 * DAY
    for name, times in (("ann", 5), ("ben", 20)):
        for _ in range(times):
            told.tell(RefundAsked, "operators:all", today, operator=name)
    covered = tuple(
        strength(times, 0, indicator="refund_abuse", cause=name)
        for name, times in (("ann", 5), ("ben", 20))
    )
    told.tell(Cleared, "operators:all", today, indicators=("refund_abuse",), covered=covered)
    told.tell(RefundAsked, "operators:all", today, operator="ann")
    assert [hit.value for hit in told.hits] == [5, 5, 6]


def test_a_shadow_hit_is_no_part_of_a_case() -> None:
    found = judged(
        *STRUCTURED, cleared("structuring"), *LARGER, rules=rules("structuring", mode="shadow")
    )
    assert [one.counts for one in found.state.active] == [True]
    assert len(found.hits) == 1


def test_other_patterns_of_the_player_are_not_silent() -> None:
    by = rules("refund_abuse")
    found = judged(cleared("structuring"), *(refund(at) for at in range(3)), rules=by)
    assert len(found.hits) == 1


# --- strength -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"value": 2, "amount_minor": 1, "severity": "low"}, True),
        ({"value": 4}, False),
        ({"amount_minor": 585_001}, False),
        ({"severity": "critical", "value": 1, "amount_minor": 0}, False),
        ({"unit": "percent", "value": 1, "amount_minor": 0}, False),
        ({"indicator": "velocity"}, False),
        ({"cause": "another"}, False),
    ],
)
def test_a_hit_is_covered_if_it_is_in_no_respect_stronger(
    changes: dict[str, Any], covered: bool
) -> None:
    assert is_covered(strength(**changes), [strength()]) is covered


def test_what_covers_several_covers_each_and_is_of_bounded_size() -> None:
    many = [
        strength(value, 100 - value, indicator=code, unit=unit)
        for code in BY_CODE
        for unit in ("count", "minor")
        for value in range(100)
    ]
    together = covering((), many)
    assert all(is_covered(one, together) for one in many)
    assert len(together) == 2 * len(BY_CODE)
    assert covering(together, many) == together
    causes = [strength(cause=str(number)) for number in range(COVERED_MAX + 1)]
    assert covering((), causes) == tuple(causes[1:])
    assert covering(tuple(causes[1:]), causes[1:2]) == (*causes[2:], causes[1])
