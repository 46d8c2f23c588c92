"""Money that goes back and forth: any order of arrival ends where the provider's order does.

Every permutation of what a provider told, against whole numbers that are added up in the order of
the provider's own times.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations, product
from typing import Any
from uuid import uuid4

import pytest

from domain import accounts
from domain.counters import counts
from domain.events import LedgerEvent
from domain.events.evidence import Evidence
from domain.money import Money
from domain.postings import postings
from projections.fraud.event_signals import signals
from projections.fraud.signals import NetCounted, Paid
from tests.scenarios.refund import (
    GivenRefund,
    hear_of_refund,
    heard_back,
    judged,
    refund_in,
    refund_sent,
)
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    PLAYER_ID,
    Given,
    deposit_in,
    hear_of_deposit,
    hear_of_withdrawal,
    heard,
    resolved,
    withdrawal_in,
)

FEE_MINOR = 30
AVAILABLE = accounts.available(PLAYER_ID, "EUR")
CLEARING = accounts.clearing("acme", "EUR")
FEES, SUSPENSE = accounts.fees("EUR"), accounts.suspense("EUR")

Turn = tuple[str, int]
History = Given | GivenRefund

PAID, RETURNED, AGAIN, RETURNED_AGAIN, ONCE_MORE = (
    ("succeeded", 1),
    ("returned", 2),
    ("succeeded", 3),
    ("returned", 4),
    ("succeeded", 5),
)

STORIES: tuple[tuple[Turn, ...], ...] = (
    (PAID, RETURNED),
    (PAID, RETURNED, AGAIN),
    (PAID, RETURNED, AGAIN, RETURNED_AGAIN),
    (PAID, RETURNED, AGAIN, RETURNED_AGAIN, ONCE_MORE),
    (PAID, PAID, RETURNED, AGAIN, AGAIN),
    (PAID, RETURNED, RETURNED, AGAIN, RETURNED_AGAIN, RETURNED_AGAIN),
    (RETURNED, AGAIN),
    (PAID, AGAIN, RETURNED_AGAIN),
    (("succeeded", 1), ("returned", 1), ("succeeded", 2)),
)
"""What happened, in order; some of it is told twice or never, or at the time of something else."""


def said(
    turn: Turn,
    hear: Callable[..., Evidence],
    *,
    amount: Money | None = AMOUNT,
    timed: bool = True,
    fee_told_by: str = "succeeded",
) -> Evidence:
    outcome, minute = turn
    fee = Money(FEE_MINOR, "EUR") if outcome in fee_told_by else None
    evidence = hear(outcome, amount=amount, fee=fee)
    return replace(evidence, happened_at=NOW + timedelta(minutes=minute) if timed else None)


def payout_hears(history: Given, turn: Turn, available_minor: int, **how: Any) -> Given:
    evidence = said(turn, heard, **how)
    decided = history.when(hear_of_withdrawal, evidence, available_minor=available_minor)
    assert decided.error is None
    return Given(decided.history + decided.events)


def refund_hears(history: GivenRefund, turn: Turn, available_minor: int, **how: Any) -> GivenRefund:
    evidence = said(turn, heard_back, **how)
    return history.when(hear_of_refund, evidence, available_minor=available_minor).after


def moved(history: Sequence[LedgerEvent]) -> Counter[str]:
    total: Counter[str] = Counter()
    for event in history:
        for posting in postings(event):
            total[posting.account] += posting.amount_minor
        for count in counts(event):
            total[count.counter] += count.change
    return total


def played(
    kind: str,
    told: Sequence[Turn],
    opening_minor: int,
    start: History | None = None,
    **how: Any,
) -> History:
    """Told in this order; the player has so much beside what the transaction moves."""
    history = start or (withdrawal_in("submitted") if kind == "payout" else refund_sent())
    for turn in told:
        available = opening_minor + moved(history.history)[AVAILABLE]
        if isinstance(history, Given):
            history = payout_hears(history, turn, available, **how)
        else:
            history = refund_hears(history, turn, available, **how)
    return history


def status_of(history: History) -> str:
    return history.state.status if isinstance(history, Given) else history.refund.status


STANDS = {
    ("payout", "succeeded"): "paid",
    ("payout", "returned"): "returned",
    ("refund", "succeeded"): "succeeded",
    ("refund", "returned"): "reversed",
}


def last(told: Sequence[Turn]) -> str:
    """The latest by the provider's time; of two at the same, a payment comes before its return."""
    return max(told, key=lambda turn: (turn[1], turn[0] == "returned"))[0]


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("story", STORIES)
def test_every_order_of_arrival_ends_where_the_provider_does(
    kind: str, story: tuple[Turn, ...]
) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    for told in set(permutations(story)):
        history = played(kind, told, opening)
        out = AMOUNT.amount if last(story) == "succeeded" else 0
        fees = FEE_MINOR * len({turn for turn in story if turn[0] == "succeeded"})
        found = moved(history.history)
        assert status_of(history) == STANDS[kind, last(story)], told
        captured = AMOUNT.amount if kind == "refund" else 0
        assert found[CLEARING] == out + fees - captured, told
        assert found[FEES] == -fees, told
        assert found[AVAILABLE] == captured - out, told
        assert _counted(found) == captured - out, told
        assert found[SUSPENSE] == 0, told


def _counted(found: Counter[str]) -> int:
    """What the instrument has paid in, net."""
    return sum(minor for name, minor in found.items() if name.startswith("instrument:"))


@pytest.mark.parametrize("kind", ["payout", "refund"])
def test_where_each_is_told_when_it_happens_every_turn_is_booked_once(kind: str) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    happened = [("succeeded" if minute % 2 else "returned", minute) for minute in range(1, 9)]
    told = [turn for turn in happened for _ in range(2)]
    booked = [
        type(event).__name__
        for event in played(kind, told, opening).history
        if any(posting.account == CLEARING for posting in postings(event))
        and not type(event).__name__.startswith("Deposit")
    ]
    names = {
        "payout": ("WithdrawalPaid", "WithdrawalReturned"),
        "refund": ("RefundSucceeded", "RefundReversed"),
    }
    assert booked == [*names[kind]] * 4


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("has_minor", [0, 1, 4_000, AMOUNT.amount - 1])
def test_what_is_lent_by_the_house_comes_back_to_it_first(kind: str, has_minor: int) -> None:
    """The player spends what came back; of the second payment they cover `has_minor`."""
    spent = AMOUNT.amount - has_minor
    opening = (0 if kind == "refund" else AMOUNT.amount) - spent
    history = played(kind, [PAID, RETURNED], opening + spent)
    hears = payout_hears if kind == "payout" else refund_hears
    for again in (AGAIN, AGAIN):
        has = opening + moved(history.history)[AVAILABLE]
        history = hears(history, again, has)
        found = moved(history.history)
        assert status_of(history) == "review"
        assert found[SUSPENSE] == -spent
        assert opening + found[AVAILABLE] == 0
    history = hears(history, RETURNED_AGAIN, 0)
    found = moved(history.history)
    assert status_of(history) == STANDS[kind, "returned"]
    assert (found[SUSPENSE], opening + found[AVAILABLE]) == (0, has_minor)


@pytest.mark.parametrize(("kind", "source"), [*product(["payout", "refund"], ["notice", "poll"])])
def test_without_a_time_a_payment_told_again_after_its_return_is_held_and_looked_at(
    kind: str, source: str
) -> None:
    if kind == "payout":
        history = withdrawal_in("returned")
        decided = history.when(hear_of_withdrawal, heard("succeeded", source), available_minor=700)
        events = decided.events
    else:
        refunded = refund_sent().go_on(hear_of_refund, heard_back("succeeded"))
        refunded = refunded.go_on(hear_of_refund, heard_back("returned"))
        events = refunded.when(
            hear_of_refund, heard_back("succeeded", source), available_minor=700
        ).events
    review = events[0]
    assert (review.reason, review.reserved) == ("contradiction", Money(700, "EUR"))


def test_a_message_is_a_message_and_a_time_is_a_time() -> None:
    """The same payment under ten message ids is one; ten payments at ten times are not."""
    history = played("payout", [PAID], AMOUNT.amount)
    for _ in range(10):
        evidence = replace(said(PAID, heard), notice_id=uuid4())
        decided = history.when(hear_of_withdrawal, evidence)
        assert [e.disposition for e in decided.events] == ["duplicate"]
        history = Given(decided.history + decided.events)
    decided = history.when(hear_of_withdrawal, said(AGAIN, heard))
    assert [e.disposition for e in decided.events] == ["early"]


def looked_at(history: History, outcome: str) -> History:
    """A review, if there is one, is ended by people who know what happened last."""
    if status_of(history) != "review":
        return history
    out = outcome == "succeeded"
    if isinstance(history, Given):
        return resolved(history, "paid" if out else "failed")
    return judged(history, "succeeded" if out else "failed")


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("start", ["submitted", "failed"])
@pytest.mark.parametrize("timed", [*product([False, True], repeat=5)])
def test_what_people_judged_does_not_swallow_what_happens_after_it(
    kind: str, start: str, timed: tuple[bool, ...]
) -> None:
    """Told in its order, each with a time or without; whoever looks knows what happened."""
    story = (PAID, RETURNED, AGAIN, RETURNED_AGAIN, ONCE_MORE)
    history: History
    if kind == "payout":
        history, opening = withdrawal_in(start), AMOUNT.amount * 2
    else:
        history = refund_sent() if start == "submitted" else refund_in("failed")
        opening = 0
    for turn, is_timed in zip(story, timed, strict=True):
        hears = payout_hears if kind == "payout" else refund_hears
        available = opening + moved(history.history)[AVAILABLE]
        history = looked_at(hears(history, turn, available, timed=is_timed), turn[0])
        found = moved(history.history)
        out = AMOUNT.amount if turn[0] == "succeeded" else 0
        captured = AMOUNT.amount if kind == "refund" else 0
        assert (status_of(history) in {"paid", "succeeded"}) == bool(out), turn
        assert found[CLEARING] + found[FEES] == out - captured, turn
        assert found[SUSPENSE] == 0, turn


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("start", ["failed", "returned"])
@pytest.mark.parametrize("paid_minor", [1, 9_000, AMOUNT.amount, AMOUNT.amount + 500])
@pytest.mark.parametrize("has_minor", [0, 700, 9_500, AMOUNT.amount])
@pytest.mark.parametrize("names_it", [False, True])
def test_what_is_found_to_be_paid_after_it_was_back_moves_what_was_paid(
    kind: str, start: str, paid_minor: int, has_minor: int, *, names_it: bool
) -> None:
    """The player has so much of it left; the house lends the rest, until it comes back."""
    hears = payout_hears if kind == "payout" else refund_hears
    back: History = withdrawal_in("failed") if kind == "payout" else refund_in("failed")
    if start == "returned":
        back = played(kind, [PAID, RETURNED], 0)
    paid = Money(paid_minor, "EUR")
    before = moved(back.history)
    told = hears(back, AGAIN, has_minor, amount=paid, timed=start == "failed" or paid != AMOUNT)
    assert status_of(told) == "review"
    found = moved(looked_at(told, "succeeded").history)
    found.subtract(before)
    lent = max(0, paid_minor - has_minor)
    assert found[CLEARING] == paid_minor
    assert found[AVAILABLE] == lent - paid_minor
    assert found[SUSPENSE] == -lent
    assert _counted(found) == -paid_minor
    again = hears(
        looked_at(told, "succeeded"), RETURNED_AGAIN, 0, amount=paid if names_it else None
    )
    assert status_of(again) == STANDS[kind, "returned"]
    found = moved(again.history)
    found.subtract(before)
    assert not any(found.values())


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("failure", ["declined", "voided"])
def test_a_failure_after_the_latest_payment_is_looked_at_in_whichever_order_they_are_told(
    kind: str, failure: str
) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    for told in permutations((PAID, RETURNED, AGAIN, (failure, 4))):
        history = played(kind, told, opening)
        assert status_of(history) == "review", told
        assert moved(history.history)[SUSPENSE] == 0, told


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("failure", ["declined", "voided"])
def test_a_failure_between_a_return_and_the_next_payment_is_late_once_the_return_is_known(
    kind: str, failure: str
) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    failed: Turn = (failure, 4)
    for told in permutations((PAID, RETURNED, failed, ONCE_MORE)):
        is_known = told.index(RETURNED) < told.index(failed)
        expected = STANDS[kind, "succeeded"] if is_known else "review"
        assert status_of(played(kind, told, opening)) == expected, told


@pytest.mark.parametrize("kind", ["payout", "refund"])
def test_of_a_failure_without_a_time_nobody_knows_whether_a_payment_came_later(kind: str) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    hears = payout_hears if kind == "payout" else refund_hears
    history = played(kind, [PAID, RETURNED], opening)
    history = hears(history, ("declined", 4), AMOUNT.amount, timed=False)
    history = hears(history, AGAIN, AMOUNT.amount)
    assert status_of(history) == "review"


@pytest.mark.parametrize("at", [5, 9])
@pytest.mark.parametrize("failure", ["declined", "voided", "returned"])
def test_a_deposit_ends_the_same_in_whichever_order_success_and_failure_are_told(
    failure: str, at: int
) -> None:
    """Only a decline may come before a success."""
    expected = "completed" if (failure, at) == ("declined", 5) else "review"
    for told in permutations((("succeeded", 7), (failure, at))):
        history = deposit_in("submitted")
        for turn in told:
            decided = history.when(hear_of_deposit, said(turn, heard))
            history = Given(decided.history + decided.events)
        assert history.state.status == expected, told


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("story", [story for story in STORIES if story[0] != RETURNED])
def test_a_fee_is_booked_once_for_each_payment_although_returns_tell_it_too(
    kind: str, story: tuple[Turn, ...]
) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    payments = {turn for turn in story if turn[0] == "succeeded"}
    for told in set(permutations(story)):
        history = played(kind, told, opening, fee_told_by="succeeded returned")
        assert moved(history.history)[FEES] == -FEE_MINOR * len(payments), told


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize(
    "story",
    [
        (PAID, PAID, RETURNED),
        (PAID, PAID, RETURNED, AGAIN),
        (PAID, PAID, RETURNED, AGAIN, RETURNED_AGAIN),
    ],
)
def test_a_payment_told_without_a_time_first_is_charged_once(
    kind: str, story: tuple[Turn, ...]
) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    payments = {turn for turn in story if turn[0] == "succeeded"}
    hears = payout_hears if kind == "payout" else refund_hears
    start: History = withdrawal_in("submitted") if kind == "payout" else refund_sent()
    first = hears(start, PAID, opening, timed=False)
    for told in set(permutations(story)):
        history = played(kind, told, opening, first)
        assert moved(history.history)[FEES] == -FEE_MINOR * len(payments), told
        assert status_of(history) == STANDS[kind, last(story)], told


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("story", [story for story in STORIES if story[0] != RETURNED])
def test_a_fee_is_booked_although_people_have_judged_a_later_payment(
    kind: str, story: tuple[Turn, ...]
) -> None:
    """The player has spent all of it each time; what the house lends is agreed to at once."""
    hears = payout_hears if kind == "payout" else refund_hears
    payments = {turn for turn in story if turn[0] == "succeeded"}
    for told in set(permutations(story)):
        history: History = withdrawal_in("submitted") if kind == "payout" else refund_sent()
        for turn in told:
            history = looked_at(hears(history, turn, 0), "succeeded")
        assert status_of(history) == STANDS[kind, last(story)], told
        assert moved(history.history)[FEES] == -FEE_MINOR * len(payments), told


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("story", STORIES)
def test_indicators_count_of_an_instrument_what_its_counter_does(
    kind: str, story: tuple[Turn, ...]
) -> None:
    """And a payout that came back and was paid again reached the player once."""
    opening = 0 if kind == "refund" else AMOUNT.amount
    for told in set(permutations(story)):
        history = played(kind, told, opening).history
        heard_of = [signal for event in history for signal in signals(event, 1)]
        net = sum(signal.change for signal in heard_of if isinstance(signal, NetCounted))
        assert net == _counted(moved(history)), told
        paid = [signal for signal in heard_of if isinstance(signal, Paid)]
        assert len(paid) == (1 if kind == "payout" else 0), told


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("failure", ["declined", "voided"])
def test_a_turn_first_told_after_people_judged_a_later_failure_is_looked_at(
    kind: str, failure: str
) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    judged_paid = looked_at(played(kind, [PAID, (failure, 9)], opening), "succeeded")
    came_back = played(kind, [RETURNED], opening, judged_paid)
    assert status_of(came_back) == "review"
    judged_back = looked_at(came_back, "returned")
    again = played(kind, [PAID, RETURNED, (failure, 9)], opening, judged_back)
    assert status_of(again) == status_of(judged_back)
    assert moved(again.history)[SUSPENSE] == 0


@pytest.mark.parametrize("kind", ["payout", "refund"])
def test_what_was_told_before_people_judged_a_failure_is_late_when_told_again(kind: str) -> None:
    opening = 0 if kind == "refund" else AMOUNT.amount
    told = [PAID, ("declined", 9)]
    for outcome in ("succeeded", "returned"):
        ended = looked_at(played(kind, told, opening), outcome)
        assert status_of(played(kind, told, opening, ended)) == status_of(ended)
