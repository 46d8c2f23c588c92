"""Policies and rates: what decisions are measured by."""

from dataclasses import dataclass
from uuid import UUID

from domain.events.base import CommandedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Whole units of `currency` for one whole unit of the table's base, as a ratio."""

    currency: str
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTier:
    """Up to `limit_major` whole units of the policy's currency, one person per group of roles."""

    limit_major: int | None
    """None: no limit; the last tier."""
    required: tuple[tuple[str, ...], ...]
    """One person for each group, who has any role of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTerms:
    """What a policy says."""

    currency: str
    """Of the tiers' limits; amounts in others are compared at the rates in force."""
    tiers: tuple[ApprovalTier, ...]
    """Lowest first; the last one has no limit."""
    score_below: int
    """Without people only below this risk score."""
    high_required: tuple[tuple[str, ...], ...]
    """Who else has to agree when an indicator is high."""
    turnover_percent_min: int
    """Wagered, of what was deposited; 0 asks for nothing."""
    approval_seconds: int
    """How long an approval counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicyProposed(CommandedEvent):
    """One person would have withdrawals approved by these terms; another has to agree."""

    person: str
    terms: ApprovalTerms
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicyPublished(CommandedEvent):
    """From now on withdrawals are screened by these terms."""

    person: str
    policy: str
    """The version's name, recorded with each screening."""
    terms: ApprovalTerms
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTablePublished(CommandedEvent):
    """A trusted source puts exchange rates in force by itself; once, a person could."""

    table: str
    """The version's name, recorded with each quote."""
    source: str
    base: str
    as_of: str
    """The day the source names, as ISO 8601."""
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTableProposed(CommandedEvent):
    """Exchange rates wait for people; those in force stay so."""

    proposal_id: UUID
    """Proposed again under the same id: a person stands in for what a source had sent."""
    person: str | None
    """Who wants them in force, and another has to agree; None: only the source, and two have to."""
    source: str
    base: str
    as_of: str
    """The day the source names, as ISO 8601."""
    rates: tuple[Rate, ...]
    beyond: str
    """How they are further from those in force than a source may go alone; empty: they are not."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTableApproved(CommandedEvent):
    """A second person agrees, which puts exchange rates in force."""

    proposal_id: UUID
    person: str
    proposed_by: str
    table: str
    """The version's name, recorded with each quote."""
    source: str
    base: str
    as_of: str
    """The day the source names, as ISO 8601."""
    rates: tuple[Rate, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateProposalDiscarded(CommandedEvent):
    """Exchange rates that waited for people do not come in force."""

    proposal_id: UUID
    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSourceProposed(CommandedEvent):
    """One person would let a source put exchange rates in force by itself."""

    source: str
    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSourceTrusted(CommandedEvent):
    """Another person agrees: the source puts rates in force that are near those it replaces."""

    source: str
    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSourceRevoked(CommandedEvent):
    """What a source sends waits for two people again."""

    source: str
    person: str
    note: str
