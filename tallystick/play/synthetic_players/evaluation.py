"""What the indicators find in the population: recall by kind, precision by indicator.

A player is found who would be looked at: a hit that opens a case is about them or about how they
hold an instrument, or one of their payouts would go to a person or be held.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from domain.approval.policy import DEFAULT_TERMS
from domain.events import LedgerEvent
from domain.fraud.assessment import Path, Severity
from domain.fraud.indicators.catalogue import BY_CODE, INDICATORS
from domain.fraud.indicators.declaring import Effect, Subject
from projections.engine.read_model import Recorded, Rows
from projections.fraud.judging import Hit
from projections.fraud.model import ASSESSMENTS, HITS, AssessmentRow, Fraud
from projections.fraud.rules import LIVE
from tallystick.play import synthetic_players
from tallystick.play.synthetic_players.kinds import Kind

_ABOUT_PLAYERS: Final = (Subject.PLAYER, Subject.HOLDING)
_BAD: Final = tuple(kind for kind in Kind if kind is not Kind.HONEST)
_NAMED: Final = 4
"""Indicators that are named for each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfKind:
    """How many players of a kind are found, and by what."""

    kind: Kind
    players: int
    found: int
    by: Mapping[str, int]
    """Players by indicator, the most telling first; one may be found by several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfIndicator:
    """What an indicator says about players, whatever its severity."""

    indicator: str
    hits: int
    players: int
    """Whom its hits are about, or whose doing completed them."""
    bad: int
    """Of these, those who are not honest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the default rules find in one population."""

    players: int
    days: int
    seed: int
    events: int
    payouts: int
    """That were assessed."""
    payouts_stopped: int
    """That people would see, or that would be held."""
    kinds: tuple[OfKind, ...]
    """The bad ones; then the honest, of whom as few as possible should be found."""
    indicators: tuple[OfIndicator, ...]
    """By number; those without a hit too."""


def evaluate(
    players: int, days: int, seed: int, on_day: Callable[[int], None] | None = None
) -> Evaluation:
    """Play the population, judge it by the default rules in memory, and compare with the labels."""
    labels = synthetic_players.labels(players, seed)
    rows, events = judge(
        event
        for append in synthetic_players.appends(players, days, seed, on_day=on_day)
        for event in append
    )
    hits = [hit for hit in rows[HITS].values() if hit.mode == LIVE]
    assessments = list(rows[ASSESSMENTS].values())
    found = in_review(hits, assessments)
    return Evaluation(
        players=players,
        days=days,
        seed=seed,
        events=events,
        payouts=len(assessments),
        payouts_stopped=sum(map(_stops, assessments)),
        kinds=tuple(_of_kind(kind, labels, found) for kind in (*_BAD, Kind.HONEST)),
        indicators=_of_indicators(hits, labels),
    )


def judge(events: Iterable[LedgerEvent]) -> tuple[Rows, int]:
    """Fold the read model in memory; its rows, and how many events there were."""
    model, rows = Fraud(), Rows()
    position = 0
    for position, event in enumerate(events, start=1):
        if type(event) not in model.ignores:
            recorded = Recorded(position=position, recorded_at=event.occurred_at, event=event)
            model.apply(rows, recorded)
    return rows, position


def in_review(
    hits: Iterable[Hit], assessments: Iterable[AssessmentRow]
) -> Mapping[UUID, frozenset[str]]:
    """Who would be looked at, and by which indicators."""
    found: dict[UUID, set[str]] = defaultdict(set)
    for hit in hits:
        player = _player_of(hit.subject)
        if player is not None and _opens_case(hit):
            found[player].add(hit.indicator)
    for row in assessments:
        if _stops(row):
            found[row.player_id].update(hit.indicator for hit in row.hits)
    return {player: frozenset(indicators) for player, indicators in found.items()}


def _opens_case(hit: Hit) -> bool:
    effect = BY_CODE[hit.indicator].effect
    return Severity(hit.severity).opens_case and effect is not Effect.CARE


def _stops(row: AssessmentRow) -> bool:
    """People would see the payout, or it would be held."""
    return row.assessment.path(DEFAULT_TERMS.score_below) is not Path.AUTOMATIC


def _player_of(subject: str) -> UUID | None:
    """Whom a subject is about, where it is about one player."""
    kind, _, rest = subject.partition(":")
    return UUID(rest.partition(":")[0]) if kind in _ABOUT_PLAYERS else None


def _of_kind(
    kind: Kind, labels: Mapping[UUID, Kind], found: Mapping[UUID, frozenset[str]]
) -> OfKind:
    players = [player for player, label in labels.items() if label is kind]
    by = Counter(indicator for player in players for indicator in sorted(found.get(player, ())))
    return OfKind(
        kind=kind,
        players=len(players),
        found=sum(player in found for player in players),
        by=dict(sorted(by.items(), key=lambda one: (-one[1], one[0]))[:_NAMED]),
    )


def _of_indicators(hits: Iterable[Hit], labels: Mapping[UUID, Kind]) -> tuple[OfIndicator, ...]:
    number: Counter[str] = Counter()
    about: dict[str, set[UUID]] = defaultdict(set)
    for hit in hits:
        number[hit.indicator] += 1
        player = _player_of(hit.subject) or hit.player_id
        if player is not None:
            about[hit.indicator].add(player)
    return tuple(
        OfIndicator(
            indicator=one.code,
            hits=number[one.code],
            players=len(about[one.code]),
            bad=sum(labels[player] is not Kind.HONEST for player in about[one.code]),
        )
        for one in INDICATORS
    )
