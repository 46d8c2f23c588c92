"""Payouts as the log has them: what was asked for, and what became of it in fact."""

from uuid import UUID

import msgspec

from domain.events import (
    LedgerEvent,
    TransactionFailed,
    TransactionResolved,
    WithdrawalAmended,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalHeld,
    WithdrawalPaid,
    WithdrawalRecalled,
    WithdrawalRejected,
    WithdrawalRequested,
    WithdrawalReturned,
    WithdrawalScreened,
)
from projections.fraud.signals import microseconds

FOLLOWED: frozenset[type[LedgerEvent]] = frozenset(
    (
        *(WithdrawalRequested, WithdrawalAmended, WithdrawalScreened, WithdrawalHeld),
        *(WithdrawalApproved, WithdrawalRecalled, WithdrawalRejected, WithdrawalCancelled),
        *(WithdrawalPaid, WithdrawalReturned, TransactionFailed, TransactionResolved),
    )
)
"""Events that say what becomes of a payout; the last two are about other transactions as well."""

OPEN = "open"


class Payout(msgspec.Struct):
    """One payout: as it was asked for last within the span, and what became of it."""

    position: int
    """Of the request, or its last amendment."""
    version: int
    withdrawal: UUID
    player: UUID
    at_us: int
    """When that was, in microseconds since 1970."""
    asked_us: int
    """When it was asked for first."""
    amount_minor: int
    currency: str
    queued: bool = False
    """People had it before them, for whatever reason."""
    decided_us: int = 0
    """0: nothing has been decided yet."""
    ended: str = OPEN
    """paid, returned, failed, rejected (by a person), refused (by a rule), cancelled; or open."""


class Payouts:
    """The payouts of one bucket: all events of a withdrawal are in the same.

    Those that were refused at once, as there was not enough to pay them from, are left out:
    nobody had to decide about them, and they are judged by no rule set.
    """

    def __init__(self, before: int) -> None:
        """Of the position `before` and later, only what becomes of payouts is looked at."""
        self._before = before
        self._known: dict[UUID, Payout] = {}

    def take(self, event: LedgerEvent, position: int) -> None:
        """An event of the bucket, in order."""
        if isinstance(event, WithdrawalRequested):
            if event.reserved and position < self._before:
                self._known[event.originator_id] = _asked(event, position)
            return
        known = self._known.get(event.originator_id)
        if known is None:
            return
        if not isinstance(event, WithdrawalAmended):
            _happened(known, event)
        elif position < self._before:
            known.position, known.version = position, event.originator_version
            known.at_us = microseconds(event.occurred_at)
            known.amount_minor, known.currency = event.amount.amount, event.amount.currency

    def in_order(self) -> list[Payout]:
        """All of them, by position."""
        return sorted(self._known.values(), key=lambda payout: payout.position)


def _asked(event: WithdrawalRequested, position: int) -> Payout:
    at_us = microseconds(event.occurred_at)
    return Payout(
        position=position,
        version=event.originator_version,
        withdrawal=event.originator_id,
        player=event.player_id,
        at_us=at_us,
        asked_us=at_us,
        amount_minor=event.amount.amount,
        currency=event.amount.currency,
    )


def _happened(payout: Payout, event: LedgerEvent) -> None:
    at_us = microseconds(event.occurred_at)
    match event:
        case WithdrawalScreened():
            payout.queued = payout.queued or bool(event.required)
        case WithdrawalHeld():
            payout.queued = True
        case WithdrawalApproved():
            payout.decided_us = at_us
        case WithdrawalRecalled():
            payout.decided_us = 0
        case WithdrawalRejected():
            payout.decided_us = at_us
            by_person = event.actor.startswith("operator:")
            payout.ended = "rejected" if by_person else "refused"
        case WithdrawalCancelled():
            payout.decided_us, payout.ended = at_us, "cancelled"
        case WithdrawalPaid():
            payout.ended = "paid"
        case WithdrawalReturned():
            payout.ended = "returned"
        case TransactionFailed() if event.retry_at is None:
            payout.ended = "failed"
        case TransactionResolved():
            payout.ended = event.target
        case _:
            pass
