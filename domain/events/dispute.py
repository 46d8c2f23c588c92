"""Disputes: a player's bank contests a deposit."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Count,
    Event,
)
from domain.events.evidence import Disposition, DisputeReport, DisputeStage, Outcome
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeOpened(Event):
    """The player's bank contests a deposit, for the first time or at the next stage."""

    deposit_id: UUID
    player_id: UUID
    provider: str
    method: str
    instrument: str | None
    dispute_reference: str
    """The provider's own."""
    stage: DisputeStage
    amount: Money
    reason_code: str | None
    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeEvidenceDue(Event):
    """The provider waits for our evidence until `due_at`."""

    due_at: datetime | None
    """None where the provider names no time."""
    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeEvidenceSubmitted(CommandedEvent):
    """We contest the dispute; the evidence waits to be sent to the provider."""

    person: str
    note: str
    documents: tuple[str, ...]
    """References of documents kept elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeAccepted(CommandedEvent):
    """We do not contest the dispute; the provider has to be told."""

    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeAcknowledged(Event):
    """The provider has our answer."""

    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeAnswerDelayed(Event):
    """The provider could not be told yet; it is told again at `retry_at`."""

    retry_at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeExpired(Event):
    """The time for evidence passed without any."""

    report: DisputeReport | None
    """None where our own clock says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeWon(Event):
    """Decided for us."""

    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeLost(Event):
    """Decided for the player."""

    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeWithdrawn(Event):
    """The player or the bank gave the dispute up."""

    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFundsWithdrawn(Event):
    """The provider took the contested money from us."""

    provider: str
    amount: Money
    counts: tuple[Count, ...]
    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFundsReinstated(Event):
    """The provider gave the contested money back to us."""

    provider: str
    amount: Money
    counts: tuple[Count, ...]
    report: DisputeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNewsNoted(Event):
    """The provider was heard and nothing follows from it."""

    disposition: Disposition
    report: DisputeReport
