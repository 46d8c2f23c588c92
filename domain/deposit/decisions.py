"""Deposit: what people and the clock decide. A player pays in.

What a deposit is, is in `state.py`; what the provider reports is decided in `reports.py`.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from domain.command import Command, repeated
from domain.deposit.claims import Claim as Claim
from domain.deposit.state import Deposit
from domain.deposit.status import DepositStatus as DepositStatus
from domain.errors import InvalidTransition, Reason
from domain.events import (
    Count,
    DepositBlocked,
    DepositCancelled,
    DepositCreated,
    DepositEvent,
    Origin,
    TransactionSubmitted,
)
from domain.money import Money
from domain.player.limits import standing_concerns
from domain.player.player import Player
from domain.provider.attempt import first_poll, reference
from domain.provider.provider import Provider


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
    origin: Origin | None = None,
    counts: tuple[Count, ...],
    refusal: Reason | None = None,
) -> tuple[DepositEvent, ...]:
    """Register the deposit; where a rule forbids it, record that and send nothing.

    `counts` are what it counts towards the player's limits from now on; `refusal` is a rule that
    the caller found broken, such as a limit.
    """
    reason = why_not_deposited(player, provider, command.now) or refusal
    created = DepositCreated(
        **command.header(deposit_id, 1),
        request_digest=command.request_digest,
        player_id=player.id,
        provider=provider.name,
        method=method,
        amount=amount,
        instrument=instrument,
        metadata=metadata,
        origin=origin,
        counts=() if reason else counts,
    )
    if reason is None:
        return (created,)
    blocked = DepositBlocked(
        **command.header(deposit_id, 2),
        player_id=player.id,
        amount=amount,
        reason=reason,
        counts=(),
    )
    return created, blocked


def submit_deposit(
    state: Deposit, command: Command, *, player: Player, provider: Provider
) -> TransactionSubmitted | DepositBlocked:
    """Record that from now on the attempt may have reached the provider.

    A player excluded or on hold, or a provider paused since then, blocks the deposit instead.

    Raises:
        InvalidTransition: it has been submitted or given up.
    """
    if state.status is not DepositStatus.CREATED:
        raise InvalidTransition(state.status, "submitted")
    header = command.header(state.id, state.version + 1)
    reason = why_not_deposited(player, provider, command.now)
    if reason is not None:
        return DepositBlocked(
            **header,
            player_id=state.player_id,
            amount=state.amount,
            reason=reason,
            counts=state.counts_back,
        )
    return TransactionSubmitted(
        **header,
        reference=reference(state.id, 1),
        attempt=1,
        provider=state.provider,
        poll_at=first_poll(command.now, provider.poll_delays_seconds),
    )


def why_not_deposited(player: Player, provider: Provider, now: datetime) -> Reason | None:
    """What keeps a deposit from being sent, at first or once more; None where nothing does."""
    standing = standing_concerns(player, now)
    if standing:
        return standing[0]
    return Reason.PROVIDER_PAUSED if provider.paused else None


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
        counts=state.counts_back,
    )
