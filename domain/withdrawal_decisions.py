"""What people and rules decide about a withdrawal before any money leaves."""

from collections.abc import Mapping
from uuid import UUID

from domain.approvals import ApprovalPolicy, screen
from domain.attempts import first_poll, parse_reference, reference
from domain.commands import Command, repeated
from domain.errors import AlreadyApproved, InvalidTransition, Reason, SelfApproval
from domain.events import (
    TransactionSubmitted,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalEvent,
    WithdrawalHeld,
    WithdrawalInformationProvided,
    WithdrawalInformationRequested,
    WithdrawalQueued,
    WithdrawalRecalled,
    WithdrawalRejected,
    WithdrawalReleased,
    WithdrawalRequested,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.money import Money
from domain.player import Player
from domain.provider import Provider
from domain.withdrawal import Withdrawal, WithdrawalStatus

_CANCELLABLE = frozenset(
    {WithdrawalStatus.REQUESTED, WithdrawalStatus.SCREENING, WithdrawalStatus.UNDER_REVIEW}
)


def request_withdrawal(
    withdrawal_id: UUID,
    command: Command,
    *,
    player: Player,
    provider: Provider,
    method: str,
    amount: Money,
    instrument: str | None,
    metadata: Mapping[str, str],
    refusal: Reason | None = None,
) -> tuple[WithdrawalEvent, ...]:
    """Register the request and reserve the funds; with a `refusal`, record it and reserve none."""
    requested = WithdrawalRequested(
        **command.header(withdrawal_id, 1),
        request_digest=command.request_digest,
        player_id=player.id,
        provider=provider.name,
        method=method,
        amount=amount,
        instrument=instrument,
        metadata=metadata,
        reserved=refusal is None,
    )
    if refusal is None:
        return (requested,)
    rejected = WithdrawalRejected(
        **command.header(withdrawal_id, 2),
        request_digest=command.request_digest,
        player_id=player.id,
        reason=refusal,
        note="",
        released=None,
    )
    return requested, rejected


def screen_withdrawal(
    state: Withdrawal, command: Command, *, player: Player, policy: ApprovalPolicy
) -> tuple[WithdrawalEvent, ...]:
    """Check what the policy asks for; where it asks for nobody, approve and queue.

    Raises:
        InvalidTransition: it has been screened.
    """
    if state.status is not WithdrawalStatus.REQUESTED:
        raise InvalidTransition(state.status, "screened")
    screening = screen(policy, player, state.amount)
    started = WithdrawalScreeningStarted(**command.header(state.id, state.version + 1))
    screened = WithdrawalScreened(
        **command.header(state.id, state.version + 2),
        reasons=screening.reasons,
        approvals_required=screening.approvals_required,
        policy=screening.policy,
    )
    if screening.approvals_required:
        return started, screened
    approved = WithdrawalApproved(
        **command.header(state.id, state.version + 3),
        request_digest=command.request_digest,
        person="",
        note=f"policy {screening.policy} asks for nobody",
    )
    return started, screened, approved, _queued(state, command, ahead=4)


def approve_withdrawal(
    state: Withdrawal, command: Command, *, note: str
) -> tuple[WithdrawalEvent, ...]:
    """Agree to the payout; the last one who has to agree queues it. () if done already.

    Raises:
        InvalidTransition: it is not under review.
        SelfApproval: the person requested it.
        AlreadyApproved: the person has agreed before.
    """
    if repeated(state.commands, command):
        return ()
    if state.status is not WithdrawalStatus.UNDER_REVIEW:
        raise InvalidTransition(state.status, "approved")
    if command.person == state.requested_by:
        raise SelfApproval
    if command.person in state.approvals:
        raise AlreadyApproved
    header = command.header(state.id, state.version + 1)
    if len(state.approvals) + 1 < state.approvals_required:
        given = WithdrawalApprovalGiven(
            **header, request_digest=command.request_digest, person=command.person, note=note
        )
        return (given,)
    approved = WithdrawalApproved(
        **header, request_digest=command.request_digest, person=command.person, note=note
    )
    return approved, _queued(state, command, ahead=2)


def reject_withdrawal(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalRejected | None:
    """Refuse the payout and release the funds; None if this command did so already.

    Raises:
        InvalidTransition: it is neither under review nor held.
    """
    if repeated(state.commands, command):
        return None
    if state.status not in (WithdrawalStatus.UNDER_REVIEW, WithdrawalStatus.HELD):
        raise InvalidTransition(state.status, "rejected")
    return WithdrawalRejected(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=Reason.DECIDED_BY_OPERATOR,
        note=note,
        released=state.amount,
    )


def hold_withdrawal(state: Withdrawal, command: Command, *, note: str) -> WithdrawalHeld | None:
    """Stop the decision until the hold is released; None if this command did so already.

    Raises:
        InvalidTransition: it is not under review.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.UNDER_REVIEW:
        raise InvalidTransition(state.status, "held")
    return WithdrawalHeld(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def release_withdrawal(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalReleased | None:
    """End the hold; None if this command did so already.

    Raises:
        InvalidTransition: it is not held.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.HELD:
        raise InvalidTransition(state.status, "released")
    return WithdrawalReleased(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def request_information(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalInformationRequested | None:
    """Ask the player something first; None if this command did so already.

    Raises:
        InvalidTransition: it is not under review.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.UNDER_REVIEW:
        raise InvalidTransition(state.status, "asked about")
    return WithdrawalInformationRequested(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def provide_information(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalInformationProvided | None:
    """Record the player's answer; None if this command did so already.

    Raises:
        InvalidTransition: nothing was asked.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.INFO_REQUIRED:
        raise InvalidTransition(state.status, "answered")
    return WithdrawalInformationProvided(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def cancel_withdrawal(
    state: Withdrawal, command: Command, *, reason: str
) -> WithdrawalCancelled | None:
    """Give the withdrawal up and release the funds; None if this command did so already.

    Raises:
        InvalidTransition: it is approved or further, or no funds are reserved for it.
    """
    if repeated(state.commands, command):
        return None
    failed = state.status is WithdrawalStatus.FAILED and state.reserved
    if not failed and state.status not in _CANCELLABLE:
        raise InvalidTransition(state.status, "cancelled")
    return WithdrawalCancelled(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=reason,
        released=state.amount,
    )


def retry_withdrawal(state: Withdrawal, command: Command) -> WithdrawalQueued | None:
    """Queue a new attempt after one that failed and left the funds reserved; None if done already.

    Raises:
        InvalidTransition: it has not failed, or has failed for good.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.FAILED or not state.reserved:
        raise InvalidTransition(state.status, "retried")
    return _queued(state, command, ahead=1)


def _queued(state: Withdrawal, command: Command, *, ahead: int) -> WithdrawalQueued:
    """The attempt after the last one that was sent: one recalled from the queue does not count."""
    sent = parse_reference(state.reference) if state.reference else None
    return WithdrawalQueued(
        **command.header(state.id, state.version + ahead),
        request_digest=command.request_digest,
        attempt=sent[1] + 1 if sent else 1,
    )


def submit_withdrawal(
    state: Withdrawal, command: Command, *, player: Player, provider: Provider
) -> TransactionSubmitted | WithdrawalRecalled:
    """Record that from now on the attempt may have reached the provider.

    What the approval stood on is checked once more: a hold on the player placed since then
    takes the withdrawal out of the queue instead.

    Raises:
        InvalidTransition: it is not queued.
    """
    if state.status is not WithdrawalStatus.QUEUED:
        raise InvalidTransition(state.status, "submitted")
    header = command.header(state.id, state.version + 1)
    if player.on_hold:
        return WithdrawalRecalled(**header, reason=Reason.PLAYER_ON_HOLD)
    return TransactionSubmitted(
        **header,
        reference=reference(state.id, state.attempt),
        attempt=state.attempt,
        provider=state.provider,
        poll_at=first_poll(command.now, provider.poll_delays_seconds),
    )
