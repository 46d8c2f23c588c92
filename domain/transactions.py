"""Any transaction, whatever its kind: its state folded from its stream."""

from collections.abc import Iterable
from typing import assert_never, cast

from domain.accounts import of_player, player_of
from domain.adjustment.state import Adjustment, evolve_adjustment
from domain.conversion.state import Conversion, evolve_conversion
from domain.deposit.state import Deposit, evolve_deposit
from domain.dispute.decisions import Dispute, evolve_dispute
from domain.events import (
    AdjustmentEvent,
    AdjustmentRequested,
    ConversionEvent,
    ConversionQuoted,
    DepositCreated,
    DepositEvent,
    DisputeEvent,
    DisputeOpened,
    LedgerEvent,
    RefundEvent,
    RefundRequested,
    WithdrawalEvent,
    WithdrawalRequested,
)
from domain.refund.decisions import Refund, evolve_refund
from domain.withdrawal.state import Withdrawal, evolve_withdrawal

Transaction = Deposit | Withdrawal | Refund | Conversion | Dispute | Adjustment


def kind_of(transaction: Transaction) -> str:
    """`deposit`, `withdrawal`, `refund`, `conversion`, `dispute` or `adjustment`."""
    match transaction:
        case Deposit():
            return "deposit"
        case Withdrawal():
            return "withdrawal"
        case Refund():
            return "refund"
        case Conversion():
            return "conversion"
        case Dispute():
            return "dispute"
        case Adjustment():
            return "adjustment"
        case _:
            assert_never(transaction)


def evolve_transaction(state: Transaction | None, event: LedgerEvent) -> Transaction | None:
    """The transaction after `event`; None while the stream is not a transaction's."""
    match state:
        case None:
            return _begun(event)
        case Deposit():
            return evolve_deposit(state, cast("DepositEvent", event))
        case Withdrawal():
            return evolve_withdrawal(state, cast("WithdrawalEvent", event))
        case Refund():
            return evolve_refund(state, cast("RefundEvent", event))
        case Conversion():
            return evolve_conversion(state, cast("ConversionEvent", event))
        case Dispute():
            return evolve_dispute(state, cast("DisputeEvent", event))
        case Adjustment():
            return evolve_adjustment(state, cast("AdjustmentEvent", event))
        case _:
            assert_never(state)


def _begun(event: LedgerEvent) -> Transaction | None:
    match event:
        case DepositCreated():
            return evolve_deposit(None, event)
        case WithdrawalRequested():
            return evolve_withdrawal(None, event)
        case RefundRequested():
            return evolve_refund(None, event)
        case ConversionQuoted():
            return evolve_conversion(None, event)
        case DisputeOpened():
            return evolve_dispute(None, event)
        case AdjustmentRequested():
            return evolve_adjustment(None, event)
        case _:
            return None


def project_transaction(
    state: Transaction | None, events: Iterable[LedgerEvent]
) -> Transaction | None:
    """The transaction a stream tells of; None if it tells of something else."""
    for event in events:
        state = evolve_transaction(state, event)
    return state


def accounts_of(transaction: Transaction) -> tuple[str, ...]:
    """The players' accounts that it moves, or may move yet; each once.

    A dispute moves none: what it costs is recovered from the player by an adjustment, if at all.
    """
    match transaction:
        case Deposit() | Withdrawal() | Refund():
            return _of_player(transaction, transaction.amount.currency)
        case Conversion():
            return _of_player(transaction, transaction.amount.currency, transaction.target.currency)
        case Dispute():
            return ()
        case Adjustment():
            moved = (
                account for move in transaction.moves for account in (move.source, move.target)
            )
            return tuple(dict.fromkeys(account for account in moved if player_of(account)))
        case _:
            assert_never(transaction)


def _of_player(
    transaction: Deposit | Withdrawal | Refund | Conversion, *currencies: str
) -> tuple[str, ...]:
    player_id = transaction.player_id
    if len(currencies) == 1:
        return of_player(player_id, currencies[0])
    return tuple(account for currency in currencies for account in of_player(player_id, currency))
