"""Policies and rates: what decisions are measured by."""

from dataclasses import dataclass

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
    """Of the tiers' limits; amounts in others are compared at the rate of the latest table."""
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
    """Exchange rates as of a day, from a named source."""

    table: str
    """The version's name, recorded with each quote."""
    source: str
    base: str
    as_of: str
    """The day the source names, as ISO 8601."""
    rates: tuple[Rate, ...]
