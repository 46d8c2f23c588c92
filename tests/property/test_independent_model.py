"""The checkers are checked: known hazards are switched on, and the naive books find each of them.

That they agree with the ledger at every position is `test_mixed_run.py` and
`test_ledger_machine.py`; here it is shown that they would not agree with just anything.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from domain.counters import counts
from domain.deposit import reports as deposit_reports
from domain.events import (
    ConversionExecuted,
    Count,
    DepositCompleted,
    LedgerEvent,
    RefundReversed,
    WithdrawalReturned,
)
from domain.postings import Posting, postings
from domain.withdrawal import reports as withdrawal_reports
from ledger.commands.errors import TooContended
from ledger.eventstore.codec import TOPICS, encode
from ledger.settings import Settings
from tests.generators.event_samples import ADDED_LATER, SAMPLES
from tests.generators.mixed_day import MixedDay
from tests.oracles.naive_books import NaiveBooks, lines_of
from tests.property.backroom import two_processes

SEED = 3
COMMANDS = 400

# --- the two tables of postings -------------------------------------------------------------------


@pytest.mark.parametrize("event", [*SAMPLES, *ADDED_LATER], ids=lambda event: type(event).__name__)
def test_both_tables_of_postings_say_the_same_of_each_event(event: LedgerEvent) -> None:
    naive = lines_of(TOPICS[type(event)], json.loads(encode(event)))
    assert naive == [(line.account, line.amount_minor) for line in postings(event)]


# --- hazards in the program -----------------------------------------------------------------------


def doubled(event: LedgerEvent) -> tuple[Posting, ...]:
    """A credit is posted twice."""
    return postings(event) * (2 if isinstance(event, DepositCompleted) else 1)


def credited_twice(event: LedgerEvent) -> tuple[Posting, ...]:
    """What comes back from the bank is credited twice."""
    again = isinstance(event, WithdrawalReturned | RefundReversed)
    return postings(event) * (2 if again else 1)


def without_the_spread(event: LedgerEvent) -> tuple[Posting, ...]:
    """The house's part of a conversion is left out."""
    kept = postings(event)
    return kept[:4] if isinstance(event, ConversionExecuted) else kept


def forgetful(event: LedgerEvent) -> tuple[Count, ...]:
    """What goes back to an instrument is not counted."""
    return tuple(count for count in counts(event) if count.change > 0)


def completed_again(report: Any) -> LedgerEvent:
    """A success that is told twice is credited twice."""
    return deposit_reports._completed(report, late=False)


def released_again(report: Any) -> LedgerEvent:
    """A failure of a payout's leg that is told twice releases its funds twice."""
    return withdrawal_reports._failed(report, "declined", retry=False)


def unclaimed(*_: Any) -> tuple[LedgerEvent, ...]:
    """Refunds do not claim anything of their deposit."""
    return ()


def unlimited(*_: Any) -> dict[str, int]:
    """Nobody looks at limits."""
    return {}


LEDGER, DEPOSITS = "ledger.eventstore.ledger", "ledger.commands.deposit"


@pytest.mark.parametrize(
    ("place", "hazard"),
    [
        (f"{LEDGER}.postings", doubled),
        (f"{LEDGER}.postings", credited_twice),
        (f"{LEDGER}.postings", without_the_spread),
        (f"{LEDGER}.counts", forgetful),
        ("domain.deposit.reports._after_completion", completed_again),
        ("domain.withdrawal.reports._after_failure", released_again),
        ("domain.refund.decisions.tracked", unclaimed),
        (f"{DEPOSITS}.deposit_ceilings", unlimited),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_hazard_is_found_in_a_mixed_run(
    database: Settings, monkeypatch: pytest.MonkeyPatch, place: str, hazard: Callable[..., object]
) -> None:
    monkeypatch.setattr(place, hazard)
    with two_processes(database) as (ledger, _, reader):
        day = MixedDay(ledger, reader, SEED)
        with pytest.raises((AssertionError, TooContended)):
            day.play(COMMANDS)


def test_the_same_run_without_a_hazard_is_clean(database: Settings) -> None:
    with two_processes(database) as (ledger, _, reader):
        day = MixedDay(ledger, reader, SEED)
        day.play(COMMANDS)
    happened = {TOPICS[kind] for kind in (DepositCompleted, WithdrawalReturned, ConversionExecuted)}
    assert happened <= day.log.topics.keys()


# --- hazards in a log -----------------------------------------------------------------------------

EUR_5 = {"amount": 5, "currency": "EUR"}
EUR_6 = {"amount": 6, "currency": "EUR"}
BASE: dict[str, Any] = {
    "player_id": "p",
    "provider": "x",
    "fee": None,
    "actor": "operator:pat",
    "instrument": "card",
    "occurred_at": "2026-03-02T09:30:00.000000Z",
    "evidence": {"reference": "w-1"},
}
"""Of each event: who and where; the amounts are 5 euros unless they are said."""


def said(topic: str, stream: str = "w", **fields: Any) -> tuple[str, str, dict[str, Any]]:
    return stream, topic, {**BASE, "amount": EUR_5, **fields}


LEGS = [
    {"leg": n, "provider": "x", "instrument": "card", "amount": {"amount": m, "currency": "EUR"}}
    for n, m in ((1, 2), (2, 3))
]
PLAYER = said("PlayerRegistered", "p", time_zone="UTC")
CREATED = said("DepositCreated", "s")
COMPLETED = said("DepositCompleted", "s", settled=EUR_5)
REQUESTED = said("WithdrawalRequested", reserved=True, legs=[{**LEGS[0], "amount": EUR_5}])
IN_LEGS = said("WithdrawalRequested", reserved=True, legs=LEGS)
PAID = said("WithdrawalPaid", leg=1)
REFUND = said("RefundRequested", "r", deposit_id="s", reserved=True)
OPEN = {"deposit_id": "s", "refund_id": "r"}
CLAIM = said("DepositRefundTracked", "s", **OPEN, standing="open")
REFUNDED = said("RefundSucceeded", "r")
REVERSED = said("RefundReversed", "r")
BEGUN = [PLAYER, CREATED, COMPLETED]


def take(books: NaiveBooks, events: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
    for stream, topic, event in events:
        books.take(stream, topic, json.dumps(event).encode())


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (BEGUN, COMPLETED),
        (BEGUN, said("WithdrawalRequested", amount=EUR_6, reserved=True, legs=[])),
        (BEGUN, PAID),
        ([*BEGUN, REQUESTED, PAID], PAID),
        ([*BEGUN, REQUESTED, PAID], said("WithdrawalRejected", released=EUR_5)),
        ([*BEGUN, IN_LEGS], said("WithdrawalPaid", leg=1, amount=EUR_5)),
        (
            [*BEGUN, IN_LEGS, said("WithdrawalRejected", released=EUR_5)],
            said("TransactionFailed", released=LEGS[0]["amount"]),
        ),
        ([*BEGUN, REFUND, REFUNDED, REVERSED], REVERSED),
        ([*BEGUN, REFUND], said("RefundApproved", "r", person="pat")),
        (
            [*BEGUN, said("DepositDisputeTracked", "s", dispute_id="d", standing="taken")],
            REFUND,
        ),
        (
            [*BEGUN, said("DepositDisputeTracked", "s", dispute_id="d", standing="open")],
            said("RefundRequested", "r", deposit_id="s", reserved=True, amount=EUR_5),
        ),
        (BEGUN, said("TransactionResolved", "s", moves=[], target="failed", leg=None)),
    ],
    ids=[
        "credited twice",
        "more than there is",
        "paid without a reservation",
        "paid twice",
        "released after it was paid",
        "another amount than the leg's",
        "a leg released twice",
        "a reversed refund credited twice",
        "approved by who asked for it",
        "refunded what a dispute has taken",
        "refunded while disputed",
        "resolved without a review",
    ],
)
def test_the_replay_finds_what_it_is_there_to_find(
    first: list[tuple[str, str, dict[str, Any]]], then: tuple[str, str, dict[str, Any]]
) -> None:
    books = NaiveBooks()
    take(books, first)
    with pytest.raises((AssertionError, KeyError)):
        take(books, [then])


def test_a_refund_that_its_deposit_does_not_know_of_is_found() -> None:
    books = NaiveBooks()
    take(books, [*BEGUN, REFUND, CLAIM])
    books.settle()
    take(books, [REFUNDED])
    with pytest.raises(AssertionError, match="standing"):
        books.settle()


def test_what_went_out_twice_without_a_word_is_found() -> None:
    books = NaiveBooks()
    take(
        books,
        [*BEGUN, REFUND, REFUNDED, said("DepositRefundTracked", "s", **OPEN, standing="taken")],
    )
    books.settle()
    take(books, [said("DisputeOpened", "d", deposit_id="s")])
    take(books, [said("DisputeFundsWithdrawn", "d", report={"stage": "chargeback"})])
    with pytest.raises(AssertionError, match="gone out"):
        books.settle()
    take(books, [said("DepositExcessTracked", "s", excess=EUR_5)])
    books.settle()
