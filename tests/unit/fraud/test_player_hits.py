"""What every indicator about players has in common: modes, repeats, evidence, cleared hits."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest

from domain.fraud.assessment import Severity
from domain.fraud.indicators.catalogue import BY_CODE, INDICATORS
from domain.fraud.indicators.declaring import Subject, Unit
from projections.fraud.judging import weighed
from projections.fraud.signals import AnySignal
from projections.fraud.states import PlayerState
from tests.generators.fraud_signals import (
    DAY,
    HOUR,
    PLAYER,
    SECOND,
    START_US,
    SUBJECT,
    asked,
    attempted,
    cleared,
    converted,
    declined,
    disputed,
    excluded,
    judged,
    known,
    moment,
    refund,
    refused,
    rules,
    settled,
    taken,
    wagered,
)


class Case(NamedTuple):
    """Signals of which the last one hits; and what is then on record."""

    signals: Sequence[AnySignal]
    severity: str
    value: int
    threshold: int
    unit: str
    since: int
    """Microseconds after START."""
    sentence: str
    again: Sequence[AnySignal] = ()
    """What makes it true once more, where that is not the same signals."""

    def later(self, by_us: int) -> list[AnySignal]:
        """What makes it true once more, all at one instant."""
        repeat = self.again or self.signals
        return [msgspec.structs.replace(one, at_us=START_US + by_us) for one in repeat]


TRIP = (converted(10_000, "EUR", 10_900, "USD"), converted(10_900, "USD", 10_000, "EUR"))

CASES = {
    "due_diligence_threshold": Case(
        (known("basic"), settled(8_150, "JPY"), settled(200_000)),
        "high",
        205_000,
        200_000,
        "minor",
        -180 * DAY,
        "2050.00 EUR paid in within 180 days (at least 2000.00 EUR), and verification is basic.",
    ),
    "vulnerability_check": Case(
        (known("full", "GB"), settled(18_000, "GBP")),
        "medium",
        18_000,
        15_000,
        "minor",
        -30 * DAY,
        "180.00 GBP net paid in within 30 days (more than 150.00 GBP) by a player in GB.",
    ),
    "limit_breach": Case(
        (refused(8_000, "EUR", "limit_exceeded"),),
        "critical",
        1,
        1,
        "count",
        0,
        "A deposit of 80.00 EUR was refused: it would have passed the player's limit.",
    ),
    "excluded_deposit": Case(
        (excluded(until=None), attempted(5_000)),
        "critical",
        1,
        1,
        "count",
        0,
        "A deposit of 50.00 EUR was attempted while the player is excluded.",
    ),
    "structuring": Case(
        (settled(190_000), settled(195_000), settled(311_000, "JPY")),
        "high",
        3,
        3,
        "count",
        -DAY,
        "3 deposits between 1800.00 EUR and 2000.00 EUR within 24 hours, 5757.97 EUR together.",
    ),
    "pass_through": Case(
        (settled(120_000), wagered(35_988), asked(120_000)),
        "high",
        100,
        80,
        "percent",
        -3 * DAY,
        "100 % of 1200.00 EUR paid in within 72 hours is asked for again, "
        "and 29 % of it was wagered.",
    ),
    "low_turnover": Case(
        (settled(20_000), wagered(19_999), asked(100)),
        "medium",
        99,
        100,
        "percent",
        0,
        "99 % of the last deposit of 200.00 EUR was wagered before a payout was asked for.",
    ),
    "new_payout_target": Case(
        (taken("bank-1", at=-2 * HOUR), asked(100, instrument="bank-1")),
        "high",
        7_200,
        86_400,
        "seconds",
        -DAY,
        "A payout is asked for to an instrument that has never paid in "
        "and was first used 2 h before.",
        again=(asked(100, instrument="bank-2"),),
    ),
    "many_instruments": Case(
        tuple(attempted(instrument=name) for name in "abc"),
        "medium",
        3,
        3,
        "count",
        -DAY,
        "3 instruments were used within 24 hours.",
    ),
    "card_testing": Case(
        (declined(),) * 5,
        "critical",
        5,
        5,
        "count",
        -600 * SECOND,
        "5 declines within 10 minutes.",
    ),
    "velocity": Case(
        (attempted(),) * 11,
        "medium",
        11,
        10,
        "count",
        -HOUR,
        "11 deposits within an hour.",
    ),
    "amount_spike": Case(
        (settled(3_000), settled(2_999), settled(3_001), attempted(146_700, "JPY")),
        "medium",
        90_000,
        30_000,
        "minor",
        -90 * DAY,
        "A deposit of 146700 JPY (900.00 EUR); the player's median is 30.00 EUR.",
    ),
    "dormant_wake": Case(
        (settled(100, at=-402 * DAY), attempted(60_000)),
        "medium",
        402 * 86_400,
        365 * 86_400,
        "seconds",
        -402 * DAY,
        "600.00 EUR after 402 days without a payment.",
        again=(attempted(60_000),),
    ),
    "geo_conflict": Case(
        (known("full", "DE"), attempted(card="DE", address="RO")),
        "medium",
        2,
        2,
        "count",
        0,
        "Card from DE, address in RO, verified in DE.",
    ),
    "dispute_load": Case(
        (disputed(),),
        "high",
        1,
        1,
        "count",
        -180 * DAY,
        "1 dispute of the player within 180 days.",
    ),
    "refund_abuse": Case(
        (*[settled(100)] * 9, refund(), refund(), refund()),
        "medium",
        3,
        3,
        "count",
        -30 * DAY,
        "3 refunds of 9 deposits within 30 days.",
    ),
    "fx_round_trip": Case(
        TRIP * 3,
        "medium",
        3,
        3,
        "count",
        -DAY,
        "3 round trips within a day, the last between EUR and USD.",
    ),
}

CODES = pytest.mark.parametrize("code", CASES)


def active_us(code: str) -> int:
    return BY_CODE[code].active_seconds * SECOND


def test_every_indicator_about_players_is_here() -> None:
    about = [one.code for one in INDICATORS if Subject.PLAYER in one.subjects]
    assert list(CASES) == about


@CODES
def test_a_hit_says_everything_that_a_person_needs_to_believe_it(code: str) -> None:
    case = CASES[code]
    (hit,) = judged(*case.signals, rules=rules(code)).hits
    number = len(case.signals)
    assert hit.id == f"{number:015d}/{code}/{SUBJECT}"
    assert (hit.position, hit.at, hit.player_id) == (number, moment(0), PLAYER)
    assert (hit.indicator, hit.subject, hit.ruleset) == (code, SUBJECT, "rules-test")
    assert (hit.severity, hit.value, hit.threshold) == (case.severity, case.value, case.threshold)
    assert (hit.unit, hit.since) == (case.unit, moment(case.since))
    assert hit.sentence == case.sentence
    assert hit.inputs
    assert all(type(value) in (int, str) for value in hit.inputs.values())


@CODES
def test_severity_and_unit_are_as_declared(code: str) -> None:
    case = CASES[code]
    assert Severity(case.severity) in BY_CODE[code].severities
    assert Unit(case.unit)


@CODES
def test_off_nothing_is_recorded(code: str) -> None:
    judgement = judged(*CASES[code].signals, rules=rules(code, mode="off"))
    assert (judgement.hits, judgement.state.active) == ((), ())


@CODES
def test_in_shadow_it_is_recorded_and_weighs_nothing(code: str) -> None:
    live = judged(*CASES[code].signals, rules=rules(code))
    shadow = judged(*CASES[code].signals, rules=rules(code, mode="shadow"))
    assert [hit.mode for hit in (*live.hits, *shadow.hits)] == ["live", "shadow"]
    assert weighed(shadow.state, SUBJECT) == []
    effect = BY_CODE[code].effect
    weights = [(hit.indicator, hit.holds) for hit in weighed(live.state, SUBJECT)]
    assert weights == ([(code, effect.holds)] if effect.weighs else [])


@CODES
def test_a_shadow_hit_does_not_stand_in_the_way_of_a_live_one(code: str) -> None:
    signals = CASES[code].signals
    shadow = judged(*signals, rules=rules(code, mode="shadow"))
    live = judged(signals[-1], rules=rules(code), before=shadow.state)
    assert [hit.mode for hit in live.hits] == ["live"]


@CODES
def test_it_is_not_recorded_again_while_it_is_active(code: str) -> None:
    signals = CASES[code].signals
    first = judged(*signals, rules=rules(code))
    assert judged(signals[-1], rules=rules(code), before=first.state).hits == ()
    just_before = CASES[code].later(active_us(code) - 1)
    again = judged(*just_before, rules=rules(code), before=first.state)
    assert again.hits == ()
    assert [one.indicator for one in again.state.active] == [code]


@CODES
def test_it_comes_again_when_it_is_no_longer_active(code: str) -> None:
    first = judged(*CASES[code].signals, rules=rules(code))
    afterwards = CASES[code].later(active_us(code))
    again = judged(*afterwards, rules=rules(code), before=first.state)
    assert [hit.at for hit in again.hits] == [moment(active_us(code))]
    assert len(again.state.active) == 1


@CODES
def test_cleared_it_stops_counting_and_still_stands_in_the_way_of_a_repeat(code: str) -> None:
    """Of one that is just as strong: the same happens once more, as if it had not yet."""
    *before, last = CASES[code].signals
    judgement = judged(*before, last, cleared(code), rules=rules(code))
    assert weighed(judgement.state, SUBJECT) == []
    as_before = judged(*before, rules=rules(code)).state if before else PlayerState()
    repeated = msgspec.structs.replace(as_before, active=judgement.state.active)
    again = judged(last, rules=rules(code), before=repeated)
    assert again.hits == ()
    assert [one.counts for one in again.state.active] == [False]


@CODES
def test_only_what_a_case_names_is_cleared(code: str) -> None:
    others = [other for other in BY_CODE if other != code]
    judgement = judged(*CASES[code].signals, cleared(*others), rules=rules(code))
    assert [one.counts for one in judgement.state.active] == [True]


@CODES
def test_an_indicator_that_the_rule_set_does_not_know_is_off(code: str) -> None:
    older = rules(code)
    older.rules = {name: rule for name, rule in older.rules.items() if name != code}
    assert judged(*CASES[code].signals, rules=older).hits == ()


@CODES
def test_a_state_that_was_stored_meanwhile_judges_alike(code: str) -> None:
    state, hits = None, []
    for position, signal in enumerate(CASES[code].signals, 1):
        numbered = msgspec.structs.replace(signal, position=position)
        one = judged(numbered, rules=rules(code), before=state)
        hits += [hit.sentence for hit in one.hits]
        state = msgspec.json.decode(msgspec.json.encode(one.state), type=PlayerState)
    assert hits == [CASES[code].sentence]


GETS_WORSE = {
    "many_instruments": [attempted(instrument=name) for name in "abcde"],
    "geo_conflict": [attempted(card="DE", address="RO"), attempted(card="DE", address="IR")],
}


@pytest.mark.parametrize("code", GETS_WORSE)
def test_it_comes_again_at_once_when_it_gets_worse_but_not_when_it_gets_better(code: str) -> None:
    signals = GETS_WORSE[code]
    worse = judged(*signals, rules=rules(code))
    assert [hit.severity for hit in worse.hits] == ["medium", "high"]
    assert [hit.severity for hit in weighed(worse.state, SUBJECT)] == ["high"]
    better = judged(*CASES[code].signals, rules=rules(code), before=worse.state)
    assert better.hits == ()


def test_what_got_worse_counts_again_although_the_milder_hit_was_cleared() -> None:
    mild, bad = GETS_WORSE["geo_conflict"]
    judgement = judged(mild, cleared("geo_conflict"), bad, rules=rules("geo_conflict"))
    assert [hit.severity for hit in weighed(judgement.state, SUBJECT)] == ["high"]


def test_what_got_worse_is_active_from_then_on() -> None:
    mild, bad = GETS_WORSE["geo_conflict"]
    bad = msgspec.structs.replace(bad, at_us=START_US + DAY)
    (active,) = judged(mild, bad, rules=rules("geo_conflict")).state.active
    assert active.until_us == START_US + DAY + active_us("geo_conflict")


def test_a_value_beyond_what_can_be_stored_is_recorded_as_the_most_that_can() -> None:
    said = settled(2**62, "VND")
    (hit,) = judged(said, rules=rules("due_diligence_threshold")).hits
    assert hit.value == 2**63 - 1


def test_a_window_begins_no_earlier_than_1970() -> None:
    early = settled(200_000, at=DAY - START_US)
    (hit,) = judged(early, rules=rules("due_diligence_threshold")).hits
    assert hit.since.isoformat() == "1970-01-01T00:00:00+00:00"
