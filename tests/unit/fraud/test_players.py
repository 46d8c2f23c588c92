"""What is kept of a player: what the windows need, and nothing older."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from projections.fraud.signals import AnySignal
from projections.fraud.states import PlayerState
from tests.generators.fraud_signals import (
    DAY,
    MICROSECOND,
    MINUTE,
    START_US,
    asked,
    attempted,
    cleared,
    converted,
    credential,
    declined,
    disputed,
    judged,
    paid,
    refund,
    refused,
    rules,
    settled,
    wagered,
)

RULES = rules("velocity", mode="off")

At = Callable[[int], AnySignal]


def test_the_clock_moves_with_every_signal_even_one_that_changes_nothing_else() -> None:
    said = (attempted(), refused(1, "EUR", "player_on_hold", at=DAY))
    assert judged(*said, rules=RULES).state.at_us == START_US + DAY
    assert judged(*said, cleared("velocity", at=2 * DAY), rules=RULES).state == (
        replace(judged(*said, rules=RULES).state, at_us=START_US + 2 * DAY)
    )


def times(entries: tuple[int, ...]) -> list[int]:
    return [at_us - START_US for at_us in entries[::3]]


@pytest.mark.parametrize(
    ("signal", "kept", "span"),
    [
        (lambda at: settled(5, at=at), lambda s: s.deposits_180d["EUR"], 180 * DAY),
        (lambda at: settled(5, at=at), lambda s: s.deposits_30d["EUR"], 30 * DAY),
        (lambda at: settled(5, at=at), lambda s: s.deposits_7d["EUR"], 7 * DAY),
        (lambda at: paid(5, at=at), lambda s: s.paid_30d["EUR"], 30 * DAY),
        (lambda at: asked(5, at=at), lambda s: s.asked_72h["EUR"], 3 * DAY),
        (lambda at: wagered(5, at=at), lambda s: s.wagered_72h["EUR"], 3 * DAY),
        (lambda at: attempted(at=at), lambda s: s.attempts_24h, DAY),
        (lambda at: refund(at=at), lambda s: s.refunds_30d, 30 * DAY),
        (lambda at: disputed(at=at), lambda s: s.disputes_180d, 180 * DAY),
    ],
)
def test_a_window_reaches_as_far_as_it_has_to_and_no_further(
    signal: At, kept: Callable[[PlayerState], tuple[int, ...]], span: int
) -> None:
    before = judged(signal(0), signal(1), rules=RULES).state
    at_the_edge = judged(signal(span + 1), rules=RULES, before=before).state
    assert times(kept(at_the_edge)) == [1, span + 1]
    beyond = judged(signal(span + 2), rules=RULES, before=before).state
    assert times(kept(beyond)) == [span + 2]


@pytest.mark.parametrize(
    ("signal", "kept"),
    [
        (lambda at: attempted(at=at), lambda s: s.attempts),
        (lambda at: declined(at=at), lambda s: s.declines),
    ],
)
def test_attempts_and_declines_are_kept_for_ten_minutes(
    signal: At, kept: Callable[[PlayerState], tuple[tuple[int, str], ...]]
) -> None:
    before = judged(signal(0), signal(1), rules=RULES).state
    last = 10 * MINUTE + 1
    state = judged(signal(last), rules=RULES, before=before).state
    assert [at_us - START_US for at_us, _ in kept(state)] == [1, last]


def test_conversions_are_kept_for_a_day() -> None:
    said = [converted(1, "EUR", 1, "USD", at=at) for at in (0, 1, DAY + MICROSECOND)]
    conversions = judged(*said, rules=RULES).state.conversions
    assert [one[0] - START_US for one in conversions] == [1, DAY + MICROSECOND]


def test_what_may_be_of_any_currency_is_counted_and_never_added_up() -> None:
    state = judged(attempted(500), refund(), disputed(), rules=RULES).state
    for entries in (state.attempts_24h, state.refunds_30d, state.disputes_180d):
        assert entries == (START_US, 1, 0)


def test_a_deposit_marks_its_instrument_and_leaves_the_others_alone() -> None:
    used = [attempted(instrument=name) for name in "abcd"]
    state = judged(*used, settled(1, instrument="b"), rules=RULES).state
    marks = [(one.instrument, one.settled) for one in state.instruments]
    assert marks == [("a", False), ("b", True), ("c", False), ("d", False)]
    again = judged(attempted(at=DAY, instrument="b"), rules=RULES, before=state).state
    assert again.instruments[-1].settled
    assert again.instruments[-1].first_us == START_US


def test_stakes_since_the_last_deposit_stay_storable() -> None:
    huge = [wagered(2**61)] * 4
    assert judged(*huge, rules=RULES).state.wagered_since == {"EUR": 2**62}


def test_the_latest_change_of_a_credential_is_kept() -> None:
    state = judged(credential("email"), credential("password", at=DAY), rules=RULES).state
    assert (state.credential, state.credential_us) == ("password", START_US + DAY)
