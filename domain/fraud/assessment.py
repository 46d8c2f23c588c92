"""Assessment: what a payout's score is made of, and what follows from it.

The indicators that count are found elsewhere (`projections/fraud`); here they are weighed. Each
indicator counts once, at its highest severity, whatever it hit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from domain.events import RuleSetTerms, WeighedHit

SCORE_MAX: Final = 100

INDICATORS_ACTOR: Final = "system:fraud"
"""Who scores a payout again for what the indicators find after it was asked for."""


class Severity(StrEnum):
    """How much a hit says by itself."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def opens_case(self) -> bool:
        """Whether people look into it, whatever the score."""
        return self in (Severity.HIGH, Severity.CRITICAL)


RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}
"""From least to most."""


class Path(StrEnum):
    """Which way a payout goes, as far as risk decides it."""

    AUTOMATIC = "automatic"
    REVIEW = "review"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the indicators say about a payout at the moment it is asked for."""

    score: int
    """0 to 100."""
    hits: tuple[WeighedHit, ...]
    """By indicator, each at its highest severity."""
    ruleset: str
    hold_from: int
    """A payout with this score or more is held."""

    @property
    def high(self) -> tuple[str, ...]:
        """Indicators that people look into, whatever the score."""
        return tuple(hit.indicator for hit in self.hits if Severity(hit.severity).opens_case)

    @property
    def holds(self) -> tuple[str, ...]:
        """Indicators that stop the payout by themselves."""
        return tuple(hit.indicator for hit in self.hits if hit.holds)

    def path(self, score_below: int) -> Path:
        """Which way the payout goes where scores below `score_below` need nobody."""
        if self.holds or self.score >= self.hold_from:
            return Path.HOLD
        return Path.REVIEW if self.score >= score_below or self.high else Path.AUTOMATIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """How risky it looked at a moment."""

    score: int
    high: tuple[str, ...]

    def and_also(self, other: "Known | None") -> "Known":
        """The worse of both scores, and everything high in either, in order."""
        if other is None:
            return self
        return Known(
            score=max(self.score, other.score), high=tuple(sorted({*self.high, *other.high}))
        )

    def covers(self, other: "Known") -> bool:
        """Whether the other one says nothing worse."""
        return other.score <= self.score and set(other.high) <= set(self.high)


def assess(hits: Iterable[WeighedHit], terms: RuleSetTerms, ruleset: str) -> Assessment:
    """Weigh the hits that count: low, medium and high add up to 100 at most, critical is 100."""
    strongest: dict[str, WeighedHit] = {}
    for hit in sorted(hits, key=lambda hit: (hit.indicator, hit.position, hit.subject)):
        known = strongest.get(hit.indicator)
        if known is None or RANK[Severity(hit.severity)] > RANK[Severity(known.severity)]:
            strongest[hit.indicator] = hit
    counted = tuple(strongest[indicator] for indicator in sorted(strongest))
    weights = {
        Severity.LOW: terms.score_low,
        Severity.MEDIUM: terms.score_medium,
        Severity.HIGH: terms.score_high,
        Severity.CRITICAL: SCORE_MAX,
    }
    score = sum(weights[Severity(hit.severity)] for hit in counted)
    return Assessment(
        score=min(score, SCORE_MAX), hits=counted, ruleset=ruleset, hold_from=terms.hold_from
    )
