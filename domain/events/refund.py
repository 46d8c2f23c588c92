"""Refunds: a deposit goes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Count,
    Event,
)
from domain.events.evidence import Evidence
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequested(CommandedEvent):
    """A deposit, or a part of it, is to go back; the funds are reserved in the same append."""

    deposit_id: UUID
    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    reason: str
    metadata: Mapping[str, str]
    reserved: bool
    """False where the request is refused at once, and its rejection follows."""
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundApprovalAwaited(Event):
    """A second person has to agree."""

    required: tuple[tuple[str, ...], ...]
    """One person for each group of roles, who has any role of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundApproved(CommandedEvent):
    """A second person agreed; the refund waits to be sent."""

    person: str
    role: str
    note: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRejected(CommandedEvent):
    """Refused, by a rule or a person; what was reserved is released."""

    player_id: UUID
    reason: str
    note: str
    released: Money | None
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundCancelled(CommandedEvent):
    """Given up before it was sent; what was reserved is released."""

    player_id: UUID
    reason: str
    released: Money
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSucceeded(Event):
    """The provider has paid the deposit back."""

    player_id: UUID
    provider: str
    amount: Money
    fee: Money | None
    evidence: Evidence
    from_available: Money | None = None
    """Paid again after it had come back: what of it the player still had, and is taken again."""
    from_house: Money | None = None
    """What of it they no longer had, and the house lends."""
    counts: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundReversed(Event):
    """The bank sent the refund back after all; the player is credited again."""

    player_id: UUID
    provider: str
    amount: Money
    counts: tuple[Count, ...]
    evidence: Evidence
    to_house: Money | None = None
    """What of it the house had paid, and has again."""
