"""What each event means in double entry, row by row of the table in the design."""

from collections import defaultdict
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from domain import events as e
from domain.accounts import currency_of
from domain.events import EVENT_TYPES, LedgerEvent
from domain.money import Money
from domain.postings import postings
from tests.generators.event_samples import (
    ADDED_LATER,
    EUR,
    FEE,
    GBP,
    PLAYER_ID,
    SAMPLE,
    SAMPLES,
    any_event,
)

AVAILABLE = f"player:{PLAYER_ID}:available:EUR"
RESERVED = f"player:{PLAYER_ID}:reserved:EUR"
CLEARING = "provider:acme:clearing:EUR"
FEES = "house:fees:EUR"
SUSPENSE = "house:suspense:EUR"

CHARGEBACKS = "house:chargebacks:EUR"
TO_RESERVED = [(AVAILABLE, -10_050), (RESERVED, 10_050)]
FROM_RESERVED = [(RESERVED, -10_050), (AVAILABLE, 10_050)]
PAID_OUT = [(RESERVED, -10_050), (CLEARING, 10_050), (FEES, -31), (CLEARING, 31)]
BACK_FROM_THE_BANK = [(CLEARING, -10_050), (AVAILABLE, 10_050)]
CORRECTED = [(RESERVED, -10_050), (CLEARING, 10_050), (RESERVED, -31), (SUSPENSE, 31)]

# Amount 100.50, fee and difference 0.31; converted to 86.60 pounds, and 0.44 for the house.
TABLE: dict[type[LedgerEvent], list[tuple[str, int]]] = {
    e.DepositCompleted: [(CLEARING, -10_050), (AVAILABLE, 10_050), (FEES, -31), (CLEARING, 31)],
    e.WithdrawalRequested: TO_RESERVED,
    e.WithdrawalAmended: [(RESERVED, -31), (AVAILABLE, 31)],
    e.WithdrawalRejected: FROM_RESERVED,
    e.WithdrawalCancelled: FROM_RESERVED,
    e.WithdrawalPaid: PAID_OUT,
    e.WithdrawalReturned: BACK_FROM_THE_BANK,
    e.RefundRequested: TO_RESERVED,
    e.RefundRejected: FROM_RESERVED,
    e.RefundCancelled: FROM_RESERVED,
    e.RefundSucceeded: PAID_OUT,
    e.RefundReversed: BACK_FROM_THE_BANK,
    e.ConversionAccepted: TO_RESERVED,
    e.ConversionRejected: FROM_RESERVED,
    e.ConversionExecuted: [
        (RESERVED, -10_050),
        ("house:fx:EUR", 10_050),
        ("house:fx:GBP", -GBP.amount),
        (f"player:{PLAYER_ID}:available:GBP", GBP.amount),
        ("house:fx:GBP", -44),
        ("house:fees:GBP", 44),
    ],
    e.DisputeFundsWithdrawn: [(CHARGEBACKS, -10_050), (CLEARING, 10_050)],
    e.DisputeFundsReinstated: [(CLEARING, -10_050), (CHARGEBACKS, 10_050)],
    e.AdjustmentApproved: CORRECTED,
    e.TransactionFailed: FROM_RESERVED,
    e.ReviewOpened: TO_RESERVED,
    e.TransactionResolved: CORRECTED,
}


def lines(event: LedgerEvent) -> list[tuple[str, int]]:
    return [(posting.account, posting.amount_minor) for posting in postings(event)]


def sums_by_currency(event: LedgerEvent) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for posting in postings(event):
        sums[currency_of(posting.account)] += posting.amount_minor
    return dict(sums)


AGAIN = [
    (AVAILABLE, -10_000),
    (RESERVED, 10_000),
    (SUSPENSE, -50),
    (RESERVED, 50),
    *PAID_OUT,
]
BACK_IN_PARTS = [*BACK_FROM_THE_BANK, (AVAILABLE, -50), (SUSPENSE, 50)]
LATER_TABLE: dict[type[LedgerEvent], list[tuple[str, int]]] = {
    e.ProviderNoticeReceived: [],
    e.NoticeNoted: [(FEES, -31), (CLEARING, 31)],
    e.WithdrawalPaid: AGAIN,
    e.WithdrawalReturned: BACK_IN_PARTS,
    e.RefundSucceeded: AGAIN,
    e.RefundReversed: BACK_IN_PARTS,
}


@pytest.mark.parametrize("sample", ADDED_LATER, ids=lambda sample: type(sample).__name__)
def test_what_is_paid_again_is_reserved_again_first_and_the_house_has_back_what_it_lent(
    sample: LedgerEvent,
) -> None:
    assert lines(sample) == LATER_TABLE.get(type(sample), [])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_the_table_of_postings(sample: LedgerEvent) -> None:
    assert lines(sample) == TABLE.get(type(sample), [])


def test_every_event_type_has_been_looked_at() -> None:
    assert set(SAMPLE) == set(EVENT_TYPES)
    assert len(SAMPLES) == len(EVENT_TYPES)


@given(any_event())
def test_any_event_sums_to_zero_in_each_currency(event: LedgerEvent) -> None:
    assert all(total == 0 for total in sums_by_currency(event).values())


@given(any_event())
def test_no_line_is_of_nothing(event: LedgerEvent) -> None:
    assert all(amount != 0 for _, amount in lines(event))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (e.WithdrawalRequested, {"reserved": False}),
        (e.WithdrawalRejected, {"released": None}),
        (e.WithdrawalAmended, {"released": None}),
        (e.RefundRequested, {"reserved": False}),
        (e.RefundRejected, {"released": None}),
        (e.ConversionAccepted, {"reserved": False}),
        (e.ConversionRejected, {"released": None}),
        (e.AdjustmentApproved, {"moves": ()}),
        (e.TransactionFailed, {"released": None}),
        (e.ReviewOpened, {"reserved": None}),
        (e.TransactionResolved, {"moves": ()}),
    ],
)
def test_where_no_money_is_named_none_moves(
    kind: type[LedgerEvent], changes: dict[str, Any]
) -> None:
    assert lines(replace(SAMPLE[kind], **changes)) == []


@pytest.mark.parametrize("kind", [e.DepositCompleted, e.WithdrawalPaid, e.RefundSucceeded])
@pytest.mark.parametrize("fee", [None, Money(0, "EUR")])
def test_without_a_fee_the_house_pays_none(kind: type[LedgerEvent], fee: Money | None) -> None:
    assert lines(replace(SAMPLE[kind], fee=fee)) == TABLE[kind][:2]


def test_a_refund_that_comes_back_leaves_only_its_fee() -> None:
    balances: dict[str, int] = defaultdict(int)
    for kind in (e.RefundRequested, e.RefundSucceeded, e.RefundReversed):
        for account, amount in lines(SAMPLE[kind]):
            balances[account] += amount
    assert {a: b for a, b in balances.items() if b} == {FEES: -FEE.amount, CLEARING: FEE.amount}


def test_accounts_are_named_for_currency_player_and_provider() -> None:
    player, amount = UUID(int=1), Money(5, "JPY")
    event = replace(
        SAMPLE[e.DepositCompleted], player_id=player, provider="zeta", settled=amount, fee=None
    )
    assert lines(event) == [
        ("provider:zeta:clearing:JPY", -5),
        (f"player:{player}:available:JPY", 5),
    ]


def test_a_deposit_and_its_payout_leave_only_the_fees() -> None:
    completed, requested, paid = (
        SAMPLE[e.DepositCompleted],
        SAMPLE[e.WithdrawalRequested],
        SAMPLE[e.WithdrawalPaid],
    )
    balances: dict[str, int] = defaultdict(int)
    for event in (completed, requested, paid):
        for account, amount in lines(event):
            balances[account] += amount
    fees = 2 * FEE.amount
    assert {a: b for a, b in balances.items() if b} == {FEES: -fees, CLEARING: fees}
    assert EUR.amount == 10_050
