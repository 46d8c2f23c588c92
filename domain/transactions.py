"""Any transaction, whatever its kind: its state folded from its stream."""

from collections.abc import Iterable
from typing import cast

from domain.deposit import Deposit, evolve_deposit
from domain.events import (
    DepositCreated,
    DepositEvent,
    LedgerEvent,
    WithdrawalEvent,
    WithdrawalRequested,
)
from domain.withdrawal import Withdrawal, evolve_withdrawal

Transaction = Deposit | Withdrawal


def kind_of(transaction: Transaction) -> str:
    """`deposit` or `withdrawal`."""
    return "deposit" if isinstance(transaction, Deposit) else "withdrawal"


def evolve_transaction(state: Transaction | None, event: LedgerEvent) -> Transaction | None:
    """The transaction after `event`; None while the stream is not a transaction's."""
    match state:
        case Deposit():
            return evolve_deposit(state, cast("DepositEvent", event))
        case Withdrawal():
            return evolve_withdrawal(state, cast("WithdrawalEvent", event))
        case None:
            match event:
                case DepositCreated():
                    return evolve_deposit(None, event)
                case WithdrawalRequested():
                    return evolve_withdrawal(None, event)
                case _:
                    return None


def project_transaction(
    state: Transaction | None, events: Iterable[LedgerEvent]
) -> Transaction | None:
    """The transaction a stream tells of; None if it tells of something else."""
    for event in events:
        state = evolve_transaction(state, event)
    return state
