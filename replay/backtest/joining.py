"""Joining: what weighs on a payout, from all partitions, becomes what it would be judged by."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from domain.approval.policy import DEFAULT_TERMS
from domain.events import WeighedHit
from domain.fraud.assessment import Assessment, assess
from projections.fraud.model import AssessmentRow
from projections.fraud.signals import instant
from replay.backtest.blocks import items
from replay.backtest.judging import (
    Candidate,
    HitLine,
    InForce,
    Weighing,
    hits_file,
    weighings_file,
)
from replay.backtest.partitioning import payouts_file
from replay.backtest.payouts import Payout

_by_position = attrgetter("position")
_by_id = attrgetter("id")


class Joined(NamedTuple):
    """A payout, with what both sides say about it."""

    payout: Payout
    in_force: Assessment
    candidate: Assessment
    score_below: int
    """By the approval policy in force: lower scores need nobody."""


def hit_lines(scratch: Path, side: str, partitions: int) -> Iterator[HitLine]:
    """The hits of all partitions, by id."""
    found = (items(hits_file(scratch, side, number), HitLine) for number in range(partitions))
    return merge(*found, key=_by_id)


def joined(
    scratch: Path,
    *,
    buckets: int,
    partitions: int,
    in_force: Sequence[InForce],
    candidate: Candidate,
    policies: Sequence[tuple[int, int]],
) -> Iterator[Joined]:
    """Every payout, by position, judged by both.

    `policies`: positions from after which on a score is the least that people are asked about.
    """
    published = [rules.position for rules in in_force[1:]]
    decided = [position for position, _ in policies]
    weighings = _Weighings(scratch, partitions)
    payouts = (items(payouts_file(scratch, bucket), Payout) for bucket in range(buckets))
    for payout in merge(*payouts, key=_by_position):
        before, after = weighings.at(payout.position)
        _, name, terms = in_force[bisect_left(published, payout.position)]
        policy = bisect_left(decided, payout.position)
        yield Joined(
            payout=payout,
            in_force=assess(before, terms, name),
            candidate=assess(after, candidate.terms, candidate.name),
            score_below=policies[policy - 1][1] if policy else DEFAULT_TERMS.score_below,
        )


def row_of(payout: Payout, assessment: Assessment) -> AssessmentRow:
    """As the read model has it."""
    return AssessmentRow(
        withdrawal_id=payout.withdrawal,
        version=payout.version,
        position=payout.position,
        at=instant(payout.at_us),
        player_id=payout.player,
        amount_minor=payout.amount_minor,
        currency=payout.currency,
        score=assessment.score,
        hold_from=assessment.hold_from,
        hits=assessment.hits,
        ruleset=assessment.ruleset,
    )


class _Weighings:
    """What counts against payouts, asked for in the order of positions."""

    def __init__(self, scratch: Path, partitions: int) -> None:
        files = (items(weighings_file(scratch, p), Weighing) for p in range(partitions))
        self._coming = merge(*files, key=_by_position)
        self._next = next(self._coming, None)

    def at(self, position: int) -> tuple[list[WeighedHit], list[WeighedHit]]:
        """By each side; requests that were amended since are passed over."""
        found: list[Weighing] = []
        while self._next is not None and self._next.position <= position:
            if self._next.position == position:
                found.append(self._next)
            self._next = next(self._coming, None)
        return (
            list(chain.from_iterable(weighing.in_force for weighing in found)),
            list(chain.from_iterable(weighing.candidate for weighing in found)),
        )
