"""Fraud cases: people look into what indicators found about one subject."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.base import CommandedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorHit:
    """What an indicator found, as it was when the case took it up."""

    hit: str
    """Which one: `<position>/<indicator>/<subject>`."""
    position: int
    """Of the event in the log that completed it."""
    hit_at: datetime
    indicator: str
    severity: str
    subject: str
    player_id: UUID | None
    """Who did what completed it; None where it was no player's doing."""
    value: int
    threshold: int
    unit: str
    """Of both."""
    sentence: str
    ruleset: str
    holds: bool
    """Payouts stop for it, until compliance lets them go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How much a hit says, or the most that several say, each in its respect."""

    indicator: str
    severity: str
    unit: str
    """Of the value; values in different units are not compared."""
    value: int
    amount_minor: int
    """In EUR: the money that it is about; 0 where it is about none, or the value says."""
    cause: str = ""
    """What it was true of, where another is not the same: a payout's target, a changed credential,
    countries, a month, a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseOpened(CommandedEvent):
    """An indicator of high or critical severity hit a subject that has no open case."""

    subject: str
    """`player:<id>`, `instrument:<fingerprint>`, `device:<token>`, …"""
    number: int
    """How many cases of this subject there have been, this one included."""
    hit: IndicatorHit
    amount_minor: int = 0
    """Of the hit, as `Strength` has it."""
    cause: str = ""
    """As well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseHitAdded(CommandedEvent):
    """Another hit of the same subject joins the case."""

    hit: IndicatorHit
    amount_minor: int = 0
    """Of the hit, as `Strength` has it."""
    cause: str = ""
    """As well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseAssigned(CommandedEvent):
    """Somebody works on the case; an empty name: nobody does any more."""

    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseNoted(CommandedEvent):
    """What somebody found out."""

    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseInformationRequested(CommandedEvent):
    """Somebody has to tell us something: the player, a bank, a colleague."""

    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseInformationReceived(CommandedEvent):
    """What was asked for has come."""

    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseHoldPlaced(CommandedEvent):
    """Because of this case, a player is on hold; the player's own event, which says what that
    stops, is appended with this one."""

    person: str
    player_id: UUID
    hold: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseHoldLifted(CommandedEvent):
    """A hold of this case is over; the player's own event is appended with this one."""

    person: str
    player_id: UUID
    hold: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseClosureProposed(CommandedEvent):
    """One person would close a case that it takes two to close; another has to agree."""

    person: str
    decision: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCaseClosed(CommandedEvent):
    """What the hits turned out to be."""

    person: str
    decision: str
    """`confirmed`, `false_positive` or `inconclusive`."""
    reason: str
    proposed_by: str | None
    """The other person, where it took two."""
    subject: str
    indicators: tuple[str, ...]
    """Those that had hit, each once: what precision is counted from."""
    opened_at: datetime
    covered: tuple[Strength, ...] = ()
    """The strongest that had hit, by indicator, unit and cause: a false alarm is silent up to
    there. Where this is empty, up to what was counting when the case ended."""
