"""What people have to look at about a deposit, because it could not be refused.

A success that came late, although a rule forbids the deposit by now; and money that has gone out
twice. A refund is refused as long as a dispute may take the money, or has it. But a provider takes
what was refunded before, and a refund that was on its way may succeed after that: then more has
gone out than came in, and the deposit waits until somebody has looked, or until it is no longer so.
"""

from collections.abc import Sequence

from domain.command import Command, repeated
from domain.deposit.decisions import DepositStatus
from domain.deposit.state import Deposit, fold_deposit
from domain.errors import EvidenceMissing, InvalidTransition
from domain.events import (
    DepositConcernsReviewed,
    DepositDisputeFundsTracked,
    DepositEvent,
    DepositExcessTracked,
    DepositRefundTracked,
)
from domain.money import Money

_GoesOut = DepositRefundTracked | DepositDisputeFundsTracked


def with_excess(
    deposit: Deposit, events: Sequence[DepositEvent], command: Command
) -> tuple[DepositEvent, ...]:
    """`events` of the deposit's, and how much more has gone out than came in if that changes."""
    if not (deposit.refunds or deposit.withdrawn or any(isinstance(e, _GoesOut) for e in events)):
        return tuple(events)  # nothing has gone out, as with nearly all deposits
    after = fold_deposit(deposit, events)
    if after is None or after.excess_minor == (after.excess.amount if after.excess else 0):
        return tuple(events)
    currency = (after.captured or after.amount).currency
    tracked = DepositExcessTracked(
        **command.header(deposit.id, after.version + 1),
        excess=Money(after.excess_minor, currency),
    )
    return *events, tracked


def review_concerns(
    state: Deposit, command: Command, *, note: str
) -> DepositConcernsReviewed | None:
    """Say that its concerns have been looked at; None if this command did so already.

    Raises:
        InvalidTransition: there is nothing to look at, somebody has, or a review has to end first.
        EvidenceMissing: there is no note.
    """
    if repeated(state.commands, command):
        return None
    if not state.unreviewed or state.status is DepositStatus.REVIEW:
        raise InvalidTransition(state.status, "looked at for its concerns")
    if not note.strip():
        raise EvidenceMissing
    return DepositConcernsReviewed(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        note=note,
    )
