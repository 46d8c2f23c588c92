"""Refund: state · evolve. What has become of a refund, from request to receipt.

Decisions of people are in `decisions.py`, reports of providers in `reports.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.approval.roles import Groups
from domain.command import remember
from domain.errors import Reason
from domain.events import (
    NoticeNoted,
    RefundApprovalAwaited,
    RefundApproved,
    RefundCancelled,
    RefundEvent,
    RefundRejected,
    RefundRequested,
    RefundReversed,
    RefundSucceeded,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.events.evidence import Disposition, Evidence, Outcome
from domain.money import Money
from domain.provider.resolution import Proposal
from domain.provider.turns import Turns
from domain.replacing import replace


class RefundStatus(StrEnum):
    """Where a refund stands; `screen_word` is what people read."""

    REQUESTED = "requested"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    REVERSED = "reversed"
    REVIEW = "review"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]


_SCREEN_WORDS = {
    RefundStatus.REQUESTED: "Requested",
    RefundStatus.PENDING_APPROVAL: "Under Review",
    RefundStatus.APPROVED: "Approved",
    RefundStatus.SUBMITTED: "Processing",
    RefundStatus.PENDING: "Processing",
    RefundStatus.UNKNOWN: "Processing",
    RefundStatus.REVIEW: "Processing",
    RefundStatus.SUCCEEDED: "Completed",
    RefundStatus.FAILED: "Failed",
    RefundStatus.REVERSED: "Failed",
    RefundStatus.REJECTED: "Rejected",
    RefundStatus.CANCELLED: "Cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """What goes back of a deposit, from request to the player's instrument."""

    id: UUID
    version: int
    status: RefundStatus
    deposit_id: UUID
    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    requested_by: str
    """The person who asked for it: they cannot approve it."""
    grounds: str
    """Why it goes back, in the words of who asked for it."""
    created_at: datetime
    updated_at: datetime
    reserved: bool
    """The amount stands on the player's reserved account because of this refund."""
    required: Groups = ()
    reason: str | None = None
    reference: str | None = None
    """Of the attempt, once submitted."""
    polls: int = 0
    reported: Evidence | None = None
    """What opened the latest review."""
    resolved: bool = False
    """Two people ended the review: until money moves, what it was about is not judged again."""
    turns: Turns = Turns()  # noqa: RUF009  (it cannot change)
    """Payments, returns and failures that the provider told of."""
    paid: Money | None = None
    """What the provider has taken to the player, and has not come back."""
    house_minor: int = 0
    """How much of `paid` was not taken from the player, and is the house's expense."""
    held_minor: int = 0
    """Taken from the player's available balance while it is reviewed whether it was paid."""
    provider_reference: str | None = None
    proposal: Proposal | None = None
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""

    @property
    def settled(self) -> Money:
        """What the provider says it paid, where it says so in the refund's own currency."""
        told, said = self.reported, self.reported.amount if self.reported else None
        if told is None or said is None or told.outcome is not Outcome.SUCCEEDED:
            return self.amount
        in_currency = said.currency == self.amount.currency and said.amount > 0
        return said if in_currency else self.amount


def evolve_refund(state: Refund | None, event: RefundEvent) -> Refund:
    """The refund after `event`."""
    if isinstance(event, RefundRequested):
        return _requested(event)
    if state is None:
        raise ValueError(f"a refund's history cannot begin with {type(event).__name__}")
    return _heard(_moved(state, event), event)


def fold_refund(state: Refund | None, events: Iterable[RefundEvent]) -> Refund | None:
    """The refund after `events`, in order."""
    for event in events:
        state = evolve_refund(state, event)
    return state


def _requested(event: RefundRequested) -> Refund:
    return Refund(
        id=event.originator_id,
        version=event.originator_version,
        status=RefundStatus.REQUESTED,
        deposit_id=event.deposit_id,
        player_id=event.player_id,
        provider=event.provider,
        method=event.method,
        amount=event.amount,
        instrument=event.instrument,
        metadata=event.metadata,
        requested_by=event.actor.partition(":")[2],
        grounds=event.reason,
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        reserved=event.reserved,
        commands={event.command_id: event.request_digest},
    )


def _moved(state: Refund, event: RefundEvent) -> Refund:
    match event:
        case RefundRequested():
            raise ValueError("a refund is requested once")
        case RefundApprovalAwaited():
            return replace(state, status=RefundStatus.PENDING_APPROVAL, required=event.required)
        case RefundApproved():
            return replace(state, status=RefundStatus.APPROVED)
        case RefundRejected():
            return _released(state, RefundStatus.REJECTED, event.reason)
        case RefundCancelled():
            return _released(state, RefundStatus.CANCELLED, event.reason)
        case TransactionSubmitted():
            return replace(state, status=RefundStatus.SUBMITTED, reference=event.reference)
        case TransactionPending():
            return replace(state, status=_pending(state, event), polls=event.polls)
        case TransactionUnknown():
            return replace(state, status=RefundStatus.UNKNOWN, polls=event.polls)
        case TransactionFailed():
            return _released(state, RefundStatus.FAILED, event.reason)
        case RefundSucceeded():
            return replace(
                state,
                status=RefundStatus.SUCCEEDED,
                reason=None,
                reserved=False,
                paid=event.amount,
                house_minor=event.from_house.amount if event.from_house else 0,
                resolved=False,
            )
        case RefundReversed():
            over = replace(state, resolved=False, proposal=None)
            return _released(over, RefundStatus.REVERSED, Reason.RETURNED)
        case ReviewOpened():
            return replace(
                state,
                status=RefundStatus.REVIEW,
                reason=event.reason,
                reported=event.evidence,
                resolved=False,
                held_minor=event.reserved.amount if event.reserved else 0,
                proposal=None,
            )
        case ResolutionProposed():
            return replace(state, proposal=Proposal.of(event))
        case TransactionResolved():
            return _resolved(state, event)
        case NoticeNoted():
            return state
        case _:
            assert_never(event)


def _released(state: Refund, status: RefundStatus, reason: str | None) -> Refund:
    """The player has the funds, or never lost them; nothing is paid."""
    return replace(state, status=status, reason=reason, reserved=False, paid=None, house_minor=0)


def _pending(state: Refund, event: TransactionPending) -> RefundStatus:
    in_work = event.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)
    first_word = state.status is RefundStatus.SUBMITTED
    return RefundStatus.PENDING if in_work and first_word else state.status


def _resolved(state: Refund, event: TransactionResolved) -> Refund:
    """Two people said what became of it; what they said holds from now on."""
    turns = state.turns.judged()
    ended = replace(state, resolved=True, turns=turns, proposal=None, held_minor=0)
    if event.target == RefundStatus.FAILED:
        return _released(ended, RefundStatus.FAILED, None)
    paid = state.paid or state.settled
    from_player_minor = state.amount.amount if state.reserved else state.held_minor
    house_minor = state.house_minor if state.paid else max(0, paid.amount - from_player_minor)
    return replace(
        ended,
        status=RefundStatus.SUCCEEDED,
        reason=None,
        reserved=False,
        paid=paid,
        house_minor=house_minor,
    )


def _heard(state: Refund, event: RefundEvent) -> Refund:
    """Version, time, and the notices and commands that are never acted on twice."""
    evidence: Evidence | None = getattr(event, "evidence", None)
    notices, provider_reference, turns = state.notices, state.provider_reference, state.turns
    if evidence is not None:
        notices = notices | {evidence.notice_id} if evidence.notice_id else notices
        provider_reference = evidence.provider_reference or provider_reference
        put_off = isinstance(event, NoticeNoted) and event.disposition is Disposition.IN_REVIEW
        if not put_off and evidence.reference == state.reference:
            turns = turns.after(evidence, fee=getattr(event, "fee", None))
    return replace(
        state,
        version=event.originator_version,
        updated_at=event.occurred_at,
        notices=notices,
        provider_reference=provider_reference,
        turns=turns,
        commands=remember(state.commands, event),
    )
