"""Deposits: a player pays in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Count,
    Event,
)
from domain.events.evidence import Evidence, Standing
from domain.events.origins import Origin
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositCreated(CommandedEvent):
    """A player wants to pay in."""

    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    origin: Origin | None
    counts: tuple[Count, ...]
    """Towards the player\'s deposit limits; none where it is blocked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositBlocked(Event):
    """A rule forbids the deposit; nothing was sent to the provider."""

    player_id: UUID
    amount: Money
    reason: str
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositAwaitingPlayer(Event):
    """The player has to act on the provider's page before `expires_at`."""

    redirect_url: str
    expires_at: datetime
    poll_at: datetime
    """When the provider is asked whether the player has acted; at the latest at `expires_at`."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositAuthorised(Event):
    """The amount is reserved on the player's instrument, not captured yet."""

    poll_at: datetime
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositCompleted(Event):
    """The provider has the money; the player is credited."""

    player_id: UUID
    provider: str
    instrument: str | None
    settled: Money
    fee: Money | None
    late: bool
    """The success arrived after the deposit had been given up."""
    concerns: tuple[str, ...]
    """Rules that forbid the deposit by now, although it can no longer be refused."""
    counts: tuple[Count, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositVoided(Event):
    """The authorisation was released without a capture."""

    counts: tuple[Count, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositExpired(Event):
    """The player did not act in time, and the provider says nothing was paid."""

    counts: tuple[Count, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositCancelled(CommandedEvent):
    """Given up before anything was paid."""

    reason: str
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositRefundTracked(Event):
    """A refund claims a part of what was captured, has taken it, or gives it back."""

    refund_id: UUID
    amount: Money
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositConcernsReviewed(CommandedEvent):
    """Somebody has looked at what was to be looked at about the deposit."""

    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositDisputeTracked(Event):
    """A dispute claims a part of what was captured, has taken it, or gives it back."""

    dispute_id: UUID
    amount: Money
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositDisputeFundsTracked(Event):
    """A dispute took money that the deposit had brought in, or gave it back."""

    dispute_id: UUID
    withdrawn: tuple[Money, ...]
    """What it has taken and not given back, by currency; none where it has nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositExcessTracked(Event):
    """More has gone out for the deposit, by refunds and disputes, than came in, or no longer."""

    excess: Money
    """How much more; 0 where it is no longer so."""
