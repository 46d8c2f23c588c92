"""Reports of suspicious activity: what the authorities are told, or why they are not.

Nobody but compliance and auditors sees these: the people concerned must not be tipped off.
"""

from dataclasses import dataclass
from uuid import UUID

from domain.events.base import CommandedEvent
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTransaction:
    """A transaction that the report is about."""

    transaction_id: UUID
    kind: str
    amount: Money
    at: str
    """When it began: RFC 3339, UTC."""
    instrument: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedIndicator:
    """An indicator that the report rests on."""

    indicator: str
    hit: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDrafted(CommandedEvent):
    """A report is being written, from a case."""

    case_id: UUID
    subject: str
    player_id: UUID | None
    person: str
    narrative: str
    transactions: tuple[ReportedTransaction, ...]
    indicators: tuple[ReportedIndicator, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRevised(CommandedEvent):
    """Another narrative, or other transactions."""

    person: str
    narrative: str
    transactions: tuple[ReportedTransaction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiled(CommandedEvent):
    """The report was handed to the authorities."""

    person: str
    authority: str
    authority_reference: str
    """Under which they have it."""
    document_digest: str
    """SHA-256, in hexadecimal, of the XML that was handed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDismissed(CommandedEvent):
    """It was decided not to file, and why."""

    person: str
    reason: str
