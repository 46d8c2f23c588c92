"""Conversions: a player exchanges one currency for another."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Event,
)
from domain.events.evidence import Evidence
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionQuoted(CommandedEvent):
    """What a player would get for what, until `expires_at`."""

    player_id: UUID
    provider: str | None
    """Who executes it; None: the house itself."""
    source: Money
    target: Money
    """What the player gets."""
    spread: Money
    """What the house keeps, in the target's currency."""
    rate_numerator: int
    rate_denominator: int
    """Whole units of the target's currency for one of the source's, as a ratio."""
    rate_source: str
    rounding: str
    quote_reference: str | None
    """The provider's own, where it quoted."""
    expires_at: datetime
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionExpired(Event):
    """Nobody accepted the quote in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionAccepted(CommandedEvent):
    """The player takes the quote; the source amount is reserved in the same append."""

    player_id: UUID
    source: Money
    reserved: bool
    """False where it is refused at once, and its rejection follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRejected(CommandedEvent):
    """Refused by a rule; what was reserved is released."""

    player_id: UUID
    reason: str
    released: Money | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionExecuted(Event):
    """Both sides are exchanged at the quoted rate."""

    player_id: UUID
    source: Money
    target: Money
    spread: Money
    evidence: Evidence | None
    """None where the house executed it."""
