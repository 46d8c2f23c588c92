"""The report of a backtest: what would have been decided otherwise, and what that would mean."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappush, heappushpop
from typing import Any, Final
from uuid import UUID

import msgspec

from domain.fraud.assessment import Assessment
from projections.fraud.rules import Rules
from projections.fraud.signals import instant
from replay.backtest.payouts import Payout
from replay.backtest.waiting import Queue, QueueDay

DECISIONS: Final = ("confirmed", "false_positive", "inconclusive")
"""How cases end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one rule set says about a payout."""

    score: int
    path: str
    """`automatic`, `review` or `hold`, as far as risk decides it."""
    indicators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedDecision:
    """A payout that would have gone another way."""

    withdrawal_id: UUID
    position: int
    """Of the request, or of its last amendment."""
    player_id: UUID
    at: datetime
    """Of that event."""
    amount_minor: int
    currency: str
    before: Verdict
    """By the rule set that was in force."""
    after: Verdict
    """By the candidate."""
    ended: str
    """In fact: `paid`, `returned`, `failed`, `rejected` by a person, `refused` by a rule,
    `cancelled`, or `open`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Payouts of one currency that would have gone one way instead of another."""

    before: str
    after: str
    currency: str
    payouts: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How often an indicator hit, and what the cases that have ended say about it."""

    hits: int
    confirmed: int
    false_positive: int
    inconclusive: int
    precision_percent: int | None
    """Of the hits that are one or the other, confirmed ones; rounded down. None: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorCompared:
    """One indicator under both."""

    indicator: str
    before: Precision
    after: Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Payouts of `first` and later, up to before `before`; what came earlier is judged as well."""

    first: int
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InForceFrom:
    """A rule set that was in force from after a position on."""

    ruleset: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What a candidate would have changed. Everything but the last group follows from the log."""

    span: Span
    log_position: int
    """Up to where outcomes were looked at."""
    log_root: str
    """Of the log up to there, in hexadecimal."""
    in_force: tuple[InForceFrom, ...]
    """Those under which something of the span was judged."""
    candidate: str
    judged: int
    """Payouts of the span that somebody or something had to decide about."""
    scores_changed: int
    decisions_changed: int
    decisions: tuple[ChangedDecision, ...]
    """The largest first, compared at the candidate's rates; perhaps not all."""
    moved: tuple[Moved, ...]
    indicators: tuple[IndicatorCompared, ...]
    queue: tuple[QueueDay, ...]
    hits: int
    """By the candidate, since the log began."""
    hits_in_force: int
    digest: str
    """SHA-256 over the candidate's hits and assessments since the log began."""
    digest_in_force: str
    """Of those by the rule sets that were in force: what the live tables come to."""

    events: int
    signals: int
    engine: str
    workers: int
    elapsed_s: float
    peak_memory_mb: float
    """Of the process with the most."""

    def as_json(self) -> dict[str, Any]:
        """As it is printed and stored: instants and ids as text."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def verdict(assessment: Assessment, score_below: int) -> Verdict:
    """What an assessment comes to where scores below `score_below` need nobody."""
    return Verdict(
        score=assessment.score,
        path=assessment.path(score_below).value,
        indicators=tuple(hit.indicator for hit in assessment.hits),
    )


@dataclass
class Comparison:
    """Adds up payouts, one after the other, in the order of their positions."""

    span: Span
    rules: Rules
    """The candidate's: amounts are compared at its rates."""
    keep: int | None
    """So many changed decisions, the largest; None: all."""
    judged: int = 0
    scores_changed: int = 0
    decisions_changed: int = 0
    queue: Queue = field(default_factory=Queue)
    _kept: list[tuple[int, int, ChangedDecision]] = field(default_factory=list)
    _moved: dict[tuple[str, str, str], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )

    def add(self, payout: Payout, before: Verdict, after: Verdict) -> None:
        """The next payout, by both."""
        within = payout.position >= self.span.first
        self.queue.add(payout, before.path, after.path, within=within)
        if not within:
            return
        self.judged += 1
        self.scores_changed += before.score != after.score
        if before.path == after.path:
            return
        self.decisions_changed += 1
        moved = self._moved[before.path, after.path, payout.currency]
        moved[0] += 1
        moved[1] += payout.amount_minor
        self._keep(payout, before, after)

    def _keep(self, payout: Payout, before: Verdict, after: Verdict) -> None:
        decision = ChangedDecision(
            withdrawal_id=payout.withdrawal,
            position=payout.position,
            player_id=payout.player,
            at=instant(payout.at_us),
            amount_minor=payout.amount_minor,
            currency=payout.currency,
            before=before,
            after=after,
            ended=payout.ended,
        )
        terms = self.rules.terms
        size = self.rules.minor(payout.amount_minor, payout.currency, terms.base)
        entry = (size, -payout.position, decision)
        if self.keep is None or len(self._kept) < self.keep:
            heappush(self._kept, entry)
        elif self.keep:
            heappushpop(self._kept, entry)

    def decisions(self) -> tuple[ChangedDecision, ...]:
        """What was kept, the largest first."""
        return tuple(decision for _, _, decision in sorted(self._kept, reverse=True))

    def moved(self) -> tuple[Moved, ...]:
        """What would have gone another way, by currency and direction."""
        return tuple(
            Moved(before=before, after=after, currency=currency, payouts=number, amount_minor=sum_)
            for (before, after, currency), (number, sum_) in sorted(self._moved.items())
        )


def compared(
    tallies: Iterable[Mapping[str, Mapping[tuple[str, str], int]]], sides: Sequence[str]
) -> tuple[IndicatorCompared, ...]:
    """Of every indicator that hit under either, what the partitions found together."""
    added: tuple[Counter[tuple[str, str]], ...] = tuple(Counter() for _ in sides)
    for found in tallies:
        for side, counter in zip(sides, added, strict=True):
            counter.update(found[side])
    indicators = sorted({indicator for counter in added for indicator, _ in counter})
    return tuple(
        IndicatorCompared(
            indicator=indicator,
            before=_precision(added[0], indicator),
            after=_precision(added[1], indicator),
        )
        for indicator in indicators
    )


def _precision(tally: Mapping[tuple[str, str], int], indicator: str) -> Precision:
    confirmed, false_positive, inconclusive = (
        tally.get((indicator, decision), 0) for decision in DECISIONS
    )
    told = confirmed + false_positive
    return Precision(
        hits=tally.get((indicator, "hits"), 0),
        confirmed=confirmed,
        false_positive=false_positive,
        inconclusive=inconclusive,
        precision_percent=confirmed * 100 // told if told else None,
    )
