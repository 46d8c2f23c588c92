"""Rule sets: which fraud indicators count, from what on, and what follows from them."""

from dataclasses import dataclass
from uuid import UUID

from domain.events.approval import Rate
from domain.events.base import CommandedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A number that an indicator compares with; its unit is part of the indicator's declaration."""

    name: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorTerms:
    """How one indicator is used."""

    indicator: str
    mode: str
    """`live`, `shadow` (recorded, without effect) or `off`."""
    thresholds: tuple[Threshold, ...]
    """In the order of the declaration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetTerms:
    """What a rule set says."""

    indicators: tuple[IndicatorTerms, ...]
    """Every indicator, in the order of their numbers."""
    score_low: int
    score_medium: int
    score_high: int
    """What a hit of that severity adds to the score."""
    hold_from: int
    """A payout with this score or more is held."""
    base: str
    """Currency of the reference rates."""
    rates: tuple[Rate, ...]
    """Whole units for one of the base: how amounts compare with thresholds of other currencies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetDrafted(CommandedEvent):
    """One person would have payments judged by these terms; nothing changes yet."""

    ruleset_id: UUID
    ruleset: str
    """The version's name, recorded with each hit: `rules-3`."""
    person: str
    terms: RuleSetTerms
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetPublished(CommandedEvent):
    """A second person agreed: from now on payments are judged by these terms."""

    ruleset_id: UUID
    ruleset: str
    person: str
    terms: RuleSetTerms
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetDiscarded(CommandedEvent):
    """A draft will not be published."""

    ruleset_id: UUID
    ruleset: str
    person: str
    note: str
