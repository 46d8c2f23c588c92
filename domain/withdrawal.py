"""Withdrawal: state · evolve. A player's request to be paid, from request to receipt.

Decisions of people are in `withdrawal_decisions.py`, reports of providers in
`withdrawal_reports.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.commands import remember
from domain.errors import Reason
from domain.events import (
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalEvent,
    WithdrawalHeld,
    WithdrawalInformationProvided,
    WithdrawalInformationRequested,
    WithdrawalPaid,
    WithdrawalProcessing,
    WithdrawalQueued,
    WithdrawalRecalled,
    WithdrawalRejected,
    WithdrawalReleased,
    WithdrawalRequested,
    WithdrawalReturned,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.money import Money
from domain.outcomes import Evidence, Outcome
from domain.resolution import Proposal


class WithdrawalStatus(StrEnum):
    """Where a withdrawal stands; `screen_word` is what people read."""

    REQUESTED = "requested"
    SCREENING = "screening"
    UNDER_REVIEW = "under_review"
    INFO_REQUIRED = "info_required"
    HELD = "held"
    APPROVED = "approved"
    QUEUED = "queued"
    SUBMITTED = "submitted"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    PAID = "paid"
    RETURNED = "returned"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    REVIEW = "review"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]


_SCREEN_WORDS = {
    WithdrawalStatus.REQUESTED: "Requested",
    WithdrawalStatus.SCREENING: "Requested",
    WithdrawalStatus.UNDER_REVIEW: "Under Review",
    WithdrawalStatus.INFO_REQUIRED: "Under Review",
    WithdrawalStatus.HELD: "Under Review",
    WithdrawalStatus.APPROVED: "Approved",
    WithdrawalStatus.QUEUED: "Approved",
    WithdrawalStatus.SUBMITTED: "Processing",
    WithdrawalStatus.PROCESSING: "Processing",
    WithdrawalStatus.UNKNOWN: "Processing",
    WithdrawalStatus.REVIEW: "Processing",
    WithdrawalStatus.PAID: "Completed",
    WithdrawalStatus.RETURNED: "Failed",
    WithdrawalStatus.FAILED: "Failed",
    WithdrawalStatus.REJECTED: "Rejected",
    WithdrawalStatus.CANCELLED: "Cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A player's request to be paid."""

    id: UUID
    version: int
    status: WithdrawalStatus
    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    requested_by: str
    """The person whose key made the request: they cannot approve it."""
    created_at: datetime
    updated_at: datetime
    reserved: bool
    """The amount stands on the player's reserved account because of this withdrawal."""
    reason: str | None = None
    screening_reasons: tuple[str, ...] = ()
    approvals_required: int = 0
    approvals: frozenset[str] = frozenset()
    """Persons who agreed."""
    attempt: int = 0
    reference: str | None = None
    """Of the latest attempt, once submitted."""
    polls: int = 0
    retry_at: datetime | None = None
    reported: Evidence | None = None
    """What opened the latest review."""
    resolved: bool = False
    """Two people ended the review: what it was about is not judged again."""
    paid: bool = False
    """The provider has taken the money to the player, and it has not come back."""
    paid_reference: str | None = None
    """Of the attempt that paid, which need not be the latest."""
    at_house_expense: bool = False
    """It was paid although the funds had gone back to the player."""
    provider_reference: str | None = None
    proposal: Proposal | None = None
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""


def evolve_withdrawal(state: Withdrawal | None, event: WithdrawalEvent) -> Withdrawal:
    """The withdrawal after `event`."""
    if isinstance(event, WithdrawalRequested):
        return _requested(event)
    if state is None:
        raise ValueError(f"a withdrawal's history cannot begin with {type(event).__name__}")
    return _heard(_moved(state, event), event)


def fold_withdrawal(
    state: Withdrawal | None, events: Iterable[WithdrawalEvent]
) -> Withdrawal | None:
    """The withdrawal after `events`, in order."""
    for event in events:
        state = evolve_withdrawal(state, event)
    return state


def _requested(event: WithdrawalRequested) -> Withdrawal:
    return Withdrawal(
        id=event.originator_id,
        version=event.originator_version,
        status=WithdrawalStatus.REQUESTED,
        player_id=event.player_id,
        provider=event.provider,
        method=event.method,
        amount=event.amount,
        instrument=event.instrument,
        metadata=event.metadata,
        requested_by=event.actor.partition(":")[2],
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        reserved=event.reserved,
        commands={event.command_id: event.request_digest},
    )


def _moved(state: Withdrawal, event: WithdrawalEvent) -> Withdrawal:
    match event:
        case WithdrawalRequested():
            raise ValueError("a withdrawal is requested once")
        case WithdrawalScreeningStarted():
            return replace(state, status=WithdrawalStatus.SCREENING)
        case WithdrawalScreened():
            review = event.approvals_required > 0
            return replace(
                state,
                status=WithdrawalStatus.UNDER_REVIEW if review else WithdrawalStatus.SCREENING,
                screening_reasons=event.reasons,
                approvals_required=event.approvals_required,
            )
        case WithdrawalApprovalGiven():
            return replace(state, approvals=state.approvals | {event.person})
        case WithdrawalApproved():
            approvals = state.approvals | {event.person} if event.person else state.approvals
            return replace(state, status=WithdrawalStatus.APPROVED, approvals=approvals)
        case WithdrawalInformationRequested():
            return replace(state, status=WithdrawalStatus.INFO_REQUIRED)
        case WithdrawalInformationProvided() | WithdrawalReleased():
            return replace(state, status=WithdrawalStatus.UNDER_REVIEW)
        case WithdrawalHeld():
            return replace(state, status=WithdrawalStatus.HELD)
        case WithdrawalRecalled():
            return replace(
                state,
                status=WithdrawalStatus.UNDER_REVIEW,
                approvals=frozenset(),
                approvals_required=max(state.approvals_required, 1),
                screening_reasons=(*state.screening_reasons, event.reason),
            )
        case WithdrawalRejected():
            return replace(
                state, status=WithdrawalStatus.REJECTED, reason=event.reason, reserved=False
            )
        case WithdrawalCancelled():
            return replace(
                state, status=WithdrawalStatus.CANCELLED, reason=event.reason, reserved=False
            )
        case _:
            return _at_provider(state, event)


def _at_provider(
    state: Withdrawal,
    event: WithdrawalQueued
    | WithdrawalProcessing
    | WithdrawalPaid
    | WithdrawalReturned
    | TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | NoticeNoted
    | ReviewOpened
    | ResolutionProposed
    | TransactionResolved,
) -> Withdrawal:
    match event:
        case WithdrawalQueued():
            return replace(
                state, status=WithdrawalStatus.QUEUED, attempt=event.attempt, retry_at=None
            )
        case TransactionSubmitted():
            return replace(
                state, status=WithdrawalStatus.SUBMITTED, reference=event.reference, polls=0
            )
        case WithdrawalProcessing():
            return replace(state, status=WithdrawalStatus.PROCESSING, polls=event.polls)
        case TransactionPending():
            return replace(state, polls=event.polls)
        case TransactionUnknown():
            return replace(state, status=WithdrawalStatus.UNKNOWN, polls=event.polls)
        case WithdrawalPaid():
            return replace(
                state,
                status=WithdrawalStatus.PAID,
                reason=None,
                reserved=False,
                paid=True,
                paid_reference=event.evidence.reference,
            )
        case WithdrawalReturned():
            return replace(
                state, status=WithdrawalStatus.RETURNED, reason=Reason.RETURNED, paid=False
            )
        case TransactionFailed():
            return replace(
                state,
                status=WithdrawalStatus.FAILED,
                reason=event.reason,
                reserved=state.reserved and event.released is None,
                retry_at=event.retry_at,
            )
        case ReviewOpened():
            return replace(
                state,
                status=WithdrawalStatus.REVIEW,
                reason=event.reason,
                reported=event.evidence,
                resolved=False,
                retry_at=None,
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


def _resolved(state: Withdrawal, event: TransactionResolved) -> Withdrawal:
    paid = event.target == WithdrawalStatus.PAID
    by_the_house = not state.reserved and (not state.paid or state.at_house_expense)
    return replace(
        state,
        status=WithdrawalStatus(event.target),
        reason=None,
        reserved=False,
        paid=paid,
        paid_reference=_paid_reference(state) if paid else None,
        at_house_expense=paid and by_the_house,
        resolved=True,
        proposal=None,
    )


def _paid_reference(state: Withdrawal) -> str | None:
    """Of the attempt that a review found to have paid."""
    reported = state.reported
    if state.paid_reference is None and reported and reported.outcome is Outcome.SUCCEEDED:
        return reported.reference
    return state.paid_reference or state.reference


def _heard(state: Withdrawal, event: WithdrawalEvent) -> Withdrawal:
    """Version, time, and the notices and commands that are never acted on twice."""
    evidence: Evidence | None = getattr(event, "evidence", None)
    notices, provider_reference = state.notices, state.provider_reference
    if evidence is not None:
        notices = notices | {evidence.notice_id} if evidence.notice_id else notices
        provider_reference = evidence.provider_reference or provider_reference
    return replace(
        state,
        version=event.originator_version,
        updated_at=event.occurred_at,
        notices=notices,
        provider_reference=provider_reference,
        commands=remember(state.commands, event),
    )
