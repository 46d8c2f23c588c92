"""Notices: what providers tell us, recorded before anything is done about it."""

from dataclasses import dataclass
from datetime import datetime

from domain.events.base import (
    Event,
)
from domain.events.evidence import DeclineCode, DisputeNews, DisputeStage, Outcome
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderNoticeReceived(Event):
    """Evidence: an authentic message of a provider, before anything is done about it."""

    provider: str
    message_id: str
    reference: str
    outcome: Outcome
    amount: Money | None
    fee: Money | None
    provider_reference: str | None
    decline_code: DeclineCode | None
    raw_code: str | None
    redirect_url: str | None
    raw_digest: str
    """SHA-256 of the raw body, in hexadecimal."""
    sent_at: datetime
    happened_at: datetime | None = None
    """When what it tells happened, by the provider's own clock; None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNoticeReceived(Event):
    """Evidence: an authentic message of a provider about a dispute of one of our deposits."""

    provider: str
    message_id: str
    reference: str
    """Ours, of the deposit's attempt."""
    dispute_reference: str
    """The provider's own."""
    stage: DisputeStage
    news: DisputeNews
    amount: Money | None
    reason_code: str | None
    evidence_due_at: datetime | None
    raw_digest: str
    """SHA-256 of the raw body, in hexadecimal."""
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeUnmatched(Event):
    """The notice is about nothing we know."""

    reason: str
