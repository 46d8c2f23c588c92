"""Deposit: state · decisions · evolve. A player pays in.

What the provider reports is decided in `deposit_reports.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.attempts import first_poll, reference
from domain.commands import Command, remember, repeated
from domain.errors import InvalidTransition, Reason
from domain.events import (
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositBlocked,
    DepositCancelled,
    DepositCompleted,
    DepositCreated,
    DepositEvent,
    DepositExpired,
    DepositVoided,
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.money import Money
from domain.outcomes import Evidence, Outcome, ReviewReason
from domain.player import Player
from domain.provider import Provider
from domain.resolution import Proposal


class DepositStatus(StrEnum):
    """Where a deposit stands; `screen_word` is what people read."""

    CREATED = "created"
    BLOCKED = "blocked"
    AWAITING_PLAYER = "awaiting_player"
    SUBMITTED = "submitted"
    AUTHORISED = "authorised"
    UNKNOWN = "unknown"
    COMPLETED = "completed"
    FAILED = "failed"
    VOIDED = "voided"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REVIEW = "review"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]

    @property
    def is_open_at_provider(self) -> bool:
        """The provider may still change the outcome, and we expect to hear from it."""
        return self in _OPEN_AT_PROVIDER

    @property
    def is_settled(self) -> bool:
        """Final, unless the provider or a person says otherwise later."""
        return self in _SETTLED


_SCREEN_WORDS = {
    DepositStatus.CREATED: "Pending",
    DepositStatus.AWAITING_PLAYER: "Pending",
    DepositStatus.SUBMITTED: "Processing",
    DepositStatus.AUTHORISED: "Processing",
    DepositStatus.UNKNOWN: "Processing",
    DepositStatus.REVIEW: "Processing",
    DepositStatus.COMPLETED: "Completed",
    DepositStatus.BLOCKED: "Failed",
    DepositStatus.FAILED: "Failed",
    DepositStatus.VOIDED: "Cancelled",
    DepositStatus.EXPIRED: "Cancelled",
    DepositStatus.CANCELLED: "Cancelled",
}
_OPEN_AT_PROVIDER = frozenset(
    {
        DepositStatus.AWAITING_PLAYER,
        DepositStatus.SUBMITTED,
        DepositStatus.AUTHORISED,
        DepositStatus.UNKNOWN,
    }
)
_SETTLED = frozenset(
    {
        DepositStatus.BLOCKED,
        DepositStatus.COMPLETED,
        DepositStatus.FAILED,
        DepositStatus.VOIDED,
        DepositStatus.EXPIRED,
        DepositStatus.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A player's payment to the platform, from intention to credit."""

    id: UUID
    version: int
    status: DepositStatus
    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    reference: str | None = None
    """Of the attempt, once submitted."""
    polls: int = 0
    redirect_url: str | None = None
    expires_at: datetime | None = None
    credited: Money | None = None
    """What stands to the player's credit because of this deposit."""
    reserved: Money | None = None
    """Taken from the player's available balance while under review."""
    reported: Evidence | None = None
    """What opened the latest review."""
    resolved: bool = False
    """Two people ended the review: what it was about is not judged again."""
    provider_reference: str | None = None
    proposal: Proposal | None = None
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""


# --- decisions ----------------------------------------------------------------------------------


def create_deposit(
    deposit_id: UUID,
    command: Command,
    *,
    player: Player,
    provider: Provider,
    method: str,
    amount: Money,
    instrument: str | None,
    metadata: Mapping[str, str],
) -> tuple[DepositEvent, ...]:
    """Register the deposit; where a rule forbids it, record that and send nothing."""
    created = DepositCreated(
        **command.header(deposit_id, 1),
        request_digest=command.request_digest,
        player_id=player.id,
        provider=provider.name,
        method=method,
        amount=amount,
        instrument=instrument,
        metadata=metadata,
    )
    reason = None
    if player.excluded:
        reason = Reason.PLAYER_EXCLUDED
    elif provider.paused:
        reason = Reason.PROVIDER_PAUSED
    if reason is None:
        return (created,)
    return created, DepositBlocked(**command.header(deposit_id, 2), reason=reason)


def submit_deposit(
    state: Deposit, command: Command, *, provider: Provider
) -> TransactionSubmitted | DepositBlocked:
    """Record that from now on the attempt may have reached the provider.

    A provider paused since then blocks the deposit instead.

    Raises:
        InvalidTransition: it has been submitted or given up.
    """
    if state.status is not DepositStatus.CREATED:
        raise InvalidTransition(state.status, "submitted")
    header = command.header(state.id, state.version + 1)
    if provider.paused:
        return DepositBlocked(**header, reason=Reason.PROVIDER_PAUSED)
    return TransactionSubmitted(
        **header,
        reference=reference(state.id, 1),
        attempt=1,
        provider=state.provider,
        poll_at=first_poll(command.now, provider.poll_delays_seconds),
    )


def cancel_deposit(state: Deposit, command: Command, reason: str) -> DepositCancelled | None:
    """Give the deposit up before the player has paid; None if this command did so already.

    Raises:
        InvalidTransition: it is past the point where nothing can have been paid.
    """
    if repeated(state.commands, command):
        return None
    if state.status not in (DepositStatus.CREATED, DepositStatus.AWAITING_PLAYER):
        raise InvalidTransition(state.status, "cancelled")
    return DepositCancelled(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        reason=reason,
    )


# --- evolve -------------------------------------------------------------------------------------


def evolve_deposit(state: Deposit | None, event: DepositEvent) -> Deposit:
    """The deposit after `event`."""
    if isinstance(event, DepositCreated):
        return _created(event)
    if state is None:
        raise ValueError(f"a deposit's history cannot begin with {type(event).__name__}")
    return _heard(_moved(state, event), event)


def fold_deposit(state: Deposit | None, events: Iterable[DepositEvent]) -> Deposit | None:
    """The deposit after `events`, in order."""
    for event in events:
        state = evolve_deposit(state, event)
    return state


def _created(event: DepositCreated) -> Deposit:
    return Deposit(
        id=event.originator_id,
        version=event.originator_version,
        status=DepositStatus.CREATED,
        player_id=event.player_id,
        provider=event.provider,
        method=event.method,
        amount=event.amount,
        instrument=event.instrument,
        metadata=event.metadata,
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        commands={event.command_id: event.request_digest},
    )


def _moved(state: Deposit, event: DepositEvent) -> Deposit:
    match event:
        case DepositCreated():
            raise ValueError("a deposit is created once")
        case DepositBlocked():
            return replace(state, status=DepositStatus.BLOCKED, reason=event.reason)
        case TransactionSubmitted():
            return replace(state, status=DepositStatus.SUBMITTED, reference=event.reference)
        case DepositAwaitingPlayer():
            return replace(
                state,
                status=DepositStatus.AWAITING_PLAYER,
                redirect_url=event.redirect_url,
                expires_at=event.expires_at,
            )
        case DepositAuthorised():
            return replace(state, status=DepositStatus.AUTHORISED)
        case DepositCompleted():
            return replace(
                state, status=DepositStatus.COMPLETED, credited=event.settled, reason=None
            )
        case DepositVoided():
            return replace(state, status=DepositStatus.VOIDED, reason=Reason.VOIDED)
        case DepositExpired():
            return replace(state, status=DepositStatus.EXPIRED)
        case DepositCancelled():
            return replace(state, status=DepositStatus.CANCELLED, reason=event.reason)
        case TransactionFailed():
            return replace(state, status=DepositStatus.FAILED, reason=event.reason)
        case TransactionUnknown():
            return replace(state, status=DepositStatus.UNKNOWN, polls=event.polls)
        case TransactionPending():
            player_acted = (
                state.status is DepositStatus.AWAITING_PLAYER
                and event.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)
            )
            status = DepositStatus.SUBMITTED if player_acted else state.status
            return replace(state, status=status, polls=event.polls)
        case ReviewOpened():
            return replace(
                state,
                status=DepositStatus.REVIEW,
                reason=event.reason,
                reserved=event.reserved,
                reported=event.evidence,
                resolved=False,
                proposal=None,
            )
        case ResolutionProposed():
            return replace(state, proposal=Proposal.of(event))
        case TransactionResolved():
            return replace(
                state,
                status=DepositStatus(event.target),
                reason=None,
                reserved=None,
                credited=_credited_by(state, event),
                resolved=True,
                proposal=None,
            )
        case NoticeNoted():
            return state
        case _:
            assert_never(event)


def _credited_by(state: Deposit, event: TransactionResolved) -> Money | None:
    """What stands to the player's credit once the review has ended."""
    if event.target != DepositStatus.COMPLETED:
        return None
    return state.credited or settled_amount(state)


def settled_amount(state: Deposit) -> Money:
    """What the provider says it took where that is what the review is about, else the amount."""
    reported = state.reported
    took = reported is not None and (
        reported.outcome is Outcome.SUCCEEDED
        or state.reason in (ReviewReason.MISMATCH, ReviewReason.UNSOLICITED)
    )
    return reported.amount if took and reported and reported.amount else state.amount


def _heard(state: Deposit, event: DepositEvent) -> Deposit:
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
