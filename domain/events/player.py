"""Players: who they are and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Count,
    Event,
)
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerRegistered(Event):
    """The platform's player, by an opaque id, may have transactions."""

    jurisdiction: str | None
    verification: str
    time_zone: str
    """IANA name: where the player's days begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationChanged(CommandedEvent):
    """What is known of the player: identity (none, basic or full), jurisdiction, time zone."""

    verification: str
    jurisdiction: str | None
    time_zone: str
    limit_day: str | None = None
    """ISO 8601: the date that deposits go on counting on when the time zone has changed."""
    limit_day_until: datetime | None = None
    """From then on the calendar of the new time zone holds; None: at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSet(CommandedEvent):
    """How much the player may pay in per day, week or month: less at once, more later."""

    window: str
    currency: str
    limit_minor: int | None
    """Minor units of `currency`; None: no limit."""
    effective_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentRegistered(Event):
    """The player uses a card, account or wallet for the first time."""

    instrument: str
    """Its fingerprint: never its number."""
    provider: str
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentHolderChecked(CommandedEvent):
    """The name on an instrument was compared with the player's; the names are not kept."""

    instrument: str
    similarity_percent: int
    """100: the same but for case, accents and the order of its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsChanged(CommandedEvent):
    """The platform reports another password, e-mail address, telephone number or second factor."""

    credential: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WagerRecorded(CommandedEvent):
    """The platform reports turnover; a stream of its own."""

    player_id: UUID
    amount: Money
    metadata: Mapping[str, str]
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerExcluded(CommandedEvent):
    """The player may not deposit."""

    reason: str
    until: datetime | None
    """Not to be ended before; None: until somebody ends it, though not before the latest time that
    it was set for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionEnded(CommandedEvent):
    """The player may deposit again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(CommandedEvent):
    """Nothing of what the hold stops goes on for this player; a second one of a kind adds to it."""

    hold: str
    """Who may lift it depends on its kind: payment, fraud, aml, support."""
    reason: str
    stops: tuple[str, ...] = ("payouts",)
    """Payouts, deposits or both; holds stopped payouts alone before it was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(CommandedEvent):
    """A hold is over; what it stopped goes on again unless there is another."""

    hold: str
    reason: str
