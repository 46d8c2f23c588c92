"""Sending: legs enter the queue, and leave it for the provider or because something has changed."""

from collections.abc import Iterable
from datetime import datetime

from domain.command import Command, repeated
from domain.errors import InvalidTransition, LegAmbiguous, Reason
from domain.events import TransactionSubmitted, WithdrawalQueued, WithdrawalRecalled
from domain.player.player import Player
from domain.provider.attempt import first_poll, reference
from domain.provider.provider import Provider
from domain.withdrawal.approvals import recall_reason
from domain.withdrawal.legs import Leg, LegStatus, find_leg
from domain.withdrawal.state import Withdrawal, WithdrawalStatus


def planned_legs(state: Withdrawal) -> list[Leg]:
    """The legs that an approval sends on their way."""
    return [leg for leg in state.legs if leg.status is LegStatus.PLANNED]


def queue_legs(
    state: Withdrawal, command: Command, legs: Iterable[Leg], *, ahead: int
) -> tuple[WithdrawalQueued, ...]:
    """The next free number for each leg; a number that was never sent is used again."""
    queued: list[WithdrawalQueued] = []
    latest = state.attempt
    for offset, leg in enumerate(legs):
        is_unused = leg.attempt != leg.attempt_sent
        latest += not is_unused
        queued.append(
            WithdrawalQueued(
                **command.header(state.id, state.version + ahead + offset),
                request_digest=command.request_digest,
                leg=leg.number,
                attempt=leg.attempt if is_unused else latest,
                provider=leg.provider,
            )
        )
    return tuple(queued)


def retry_withdrawal(
    state: Withdrawal, command: Command, *, leg: int | None = None
) -> WithdrawalQueued | None:
    """Queue a new attempt of a leg that failed with its funds still reserved; None if done already.

    Raises:
        LegNotFound: there is no such leg.
        LegAmbiguous: several legs wait for another attempt, and none is named.
        InvalidTransition: it has not failed, or has failed for good.
    """
    if repeated(state.commands, command):
        return None
    legs = state.legs if leg is None else (find_leg(state.legs, leg),)
    waiting = [known for known in legs if known.waits_for_retry]
    if not waiting:
        raise InvalidTransition(state.status, "retried")
    if len(waiting) > 1:
        raise LegAmbiguous
    return queue_legs(state, command, waiting, ahead=1)[0]


def submit_withdrawal(
    state: Withdrawal, command: Command, *, leg: int, player: Player, provider: Provider
) -> TransactionSubmitted | WithdrawalRecalled | None:
    """Record that from now on a leg's attempt may have reached the provider.

    What the approval stood on is checked once more: if it has changed, everything that is not
    sent leaves the queue instead, see `why_not_paid_out`. `provider` is the leg's; None while it
    is paused: the leg stays in the queue.

    Raises:
        LegNotFound: there is no such leg.
        InvalidTransition: the leg is not queued.
    """
    queued = find_leg(state.legs, leg)
    if queued.status is not LegStatus.QUEUED:
        raise InvalidTransition(state.status, "submitted")
    header = command.header(state.id, state.version + 1)
    reason = why_not_paid_out(state, player, provider, command.now)
    if reason == Reason.PROVIDER_PAUSED:
        return None
    if reason is not None:
        return WithdrawalRecalled(**header, reason=reason)
    return TransactionSubmitted(
        **header,
        reference=reference(state.id, queued.attempt),
        attempt=queued.attempt,
        provider=queued.provider,
        poll_at=first_poll(command.now, provider.poll_delays_seconds),
    )


def why_not_paid_out(
    state: Withdrawal, player: Player, provider: Provider, now: datetime
) -> str | None:
    """What keeps a leg from being sent, at first or once more; None where nothing does.

    What has changed counts before a pause of the leg's provider, which only lets it wait.
    """
    changed = recall_reason(state, player, now)
    if changed is not None:
        return changed
    if state.decision is not WithdrawalStatus.APPROVED:  # the rest of it was given up
        return state.decision
    return Reason.PROVIDER_PAUSED if provider.paused else None
