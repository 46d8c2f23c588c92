"""Judging: every subject of one partition, by the rule sets that were in force and by another.

A subject's state differs between the two only in what is active. As long as it is the same, a
signal that both look at with the same thresholds is judged once.
"""

import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from pathlib import Path
from socket import gethostname
from typing import Final, NamedTuple

import msgspec

from domain.events import RuleSetTerms, WeighedHit
from projections.fraud.checks.registry import CHECKS, JUDGE
from projections.fraud.judging import Hit, weighed
from projections.fraud.rules import Rules
from projections.fraud.signals import AnySignal
from projections.fraud.states import STATES, AnyState
from replay.archive.fold import seldom_collected
from replay.backtest.blocks import BlockWriter, items
from replay.backtest.digest import canonical
from replay.backtest.partitioning import Dealt, signals_file
from replay.progress import peak_memory_mb
from replay.spill import Spilled

HOT_SUBJECTS: Final = 8_000
"""Of a partition, in memory; the others are in a file."""

IN_FORCE, CANDIDATE = SIDES = ("in_force", "candidate")

_by_position = attrgetter("position")


class InForce(NamedTuple):
    """A rule set from a position on; the first is there from the beginning, at 0."""

    position: int
    name: str
    terms: RuleSetTerms


class Candidate(NamedTuple):
    """The rule set that is tried out."""

    name: str
    terms: RuleSetTerms


class HitLine(msgspec.Struct, array_like=True):
    """A hit, as its line of the digest has it."""

    id: str
    line: bytes


class Weighing(msgspec.Struct, array_like=True):
    """What counts against a payout on one subject, by each side."""

    position: int
    in_force: list[WeighedHit]
    candidate: list[WeighedHit]


Tallies = Mapping[tuple[str, str], int]
"""How many hits of an indicator ended how: `hits` in all, and by the decision of their case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What every partition has to know."""

    scratch: Path
    buckets: int
    in_force: tuple[InForce, ...]
    candidate: Candidate
    first: int
    """Hits of this position and later are tallied."""
    closed: Mapping[str, Sequence[tuple[int, str]]]
    """By subject: the positions at which its cases ended, in order, and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one partition comes to, besides its files."""

    partition: int
    signals: int
    tallies: Mapping[str, Tallies]
    """By side."""
    worker: str
    peak_memory_mb: float


def hits_file(scratch: Path, side: str, partition: int) -> Path:
    """`HitLine`, by id."""
    return scratch / f"hits-{side}-{partition:03}"


def weighings_file(scratch: Path, partition: int) -> Path:
    """`Weighing`, by position."""
    return scratch / f"weighings-{partition:03}"


def judge_partition(task: Task, partition: int) -> Judged:
    """Judge what was dealt to a partition, in the order of the log."""
    scratch = task.scratch
    with (
        seldom_collected(),
        BlockWriter[HitLine](hits_file(scratch, IN_FORCE, partition)) as before,
        BlockWriter[HitLine](hits_file(scratch, CANDIDATE, partition)) as after,
        BlockWriter[Weighing](weighings_file(scratch, partition)) as weighings,
    ):
        judging = _Judging(task, (before, after), weighings)
        for dealt in merged(scratch, task.buckets, partition):
            judging.take(dealt)
        judging.end_of_event()
    return Judged(
        partition=partition,
        signals=judging.signals,
        tallies={side: dict(found) for side, found in zip(SIDES, judging.tallies, strict=True)},
        worker=f"{os.getpid()}@{gethostname()}",
        peak_memory_mb=peak_memory_mb(),
    )


def merged(scratch: Path, buckets: int, partition: int) -> Iterator[Dealt]:
    """What all buckets dealt to a partition, in the order of the log."""
    dealt = (items(signals_file(scratch, bucket), Dealt, partition) for bucket in range(buckets))
    return merge(*dealt, key=_by_position)


class _Judging:
    """One partition, while it is judged."""

    def __init__(
        self,
        task: Task,
        files: tuple[BlockWriter[HitLine], BlockWriter[HitLine]],
        weighings: BlockWriter[Weighing],
    ) -> None:
        self.signals = 0
        self.tallies: tuple[Counter[tuple[str, str]], ...] = (Counter(), Counter())
        self._first = task.first
        self._closed = task.closed
        self._files = files
        self._weighings = weighings
        self._candidate = Rules(*task.candidate)
        self._in_force = task.in_force
        self._rules_end = [rules.position for rules in task.in_force[1:]]
        self._use(0)
        self._pairs: Spilled[str, Pair] = Spilled(str, Pair, HOT_SUBJECTS)
        self._position = 0
        self._asked: dict[str, None] = {}
        self._hits: tuple[dict[str, Hit], dict[str, Hit]] = ({}, {})

    def _use(self, index: int) -> None:
        _, name, terms = self._in_force[index]
        self._index = index
        self._rules = Rules(name, terms)
        self._differing = differing(self._rules, self._candidate)

    def take(self, dealt: Dealt) -> None:
        """The next signal."""
        if dealt.position != self._position:
            self.end_of_event()
            self._position = dealt.position
            index = bisect_left(self._rules_end, dealt.position)
            if index != self._index:
                self._use(index)
        self.signals += 1
        signal = dealt.signal
        pair, before, after = judge_both(
            self._pairs.get(signal.subject), signal, self._rules, self._candidate, self._differing
        )
        self._pairs[signal.subject] = pair
        if dealt.asked:
            self._asked[signal.subject] = None
        for hit in before:
            self._hits[0][hit.id] = hit
        for hit in after:
            self._hits[1][hit.id] = hit

    def end_of_event(self) -> None:
        """All that one event said has been judged."""
        if not (self._asked or self._hits[0] or self._hits[1]):
            return
        for subject in self._asked:
            pair = self._pairs[subject]
            before = weighed(pair.in_force, subject)
            after = weighed(pair.candidate, subject) if pair.candidate else before
            if before or after:
                self._weighings.add(Weighing(self._position, before, after))
        self._asked.clear()
        for side, hits in enumerate(self._hits):
            for id_ in sorted(hits):
                self._files[side].add(HitLine(id_, canonical(hits[id_])))
                self._tally(side, hits[id_])
            hits.clear()

    def _tally(self, side: int, hit: Hit) -> None:
        if hit.position < self._first:
            return
        tally = self.tallies[side]
        tally[hit.indicator, "hits"] += 1
        closed = self._closed.get(hit.subject, ())
        index = bisect_right(closed, hit.position, key=lambda one: one[0])
        if index < len(closed):
            tally[hit.indicator, closed[index][1]] += 1


class Pair(msgspec.Struct, array_like=True):
    """What is kept of a subject by both sides; None: the candidate's is the same."""

    in_force: AnyState
    candidate: AnyState | None


def differing(in_force: Rules, candidate: Rules) -> Collection[tuple[type, type]]:
    """Of which state and signal a check looks at something that the two say differently."""
    rates = (in_force.terms.base, in_force.terms.rates)
    same_rates = rates == (candidate.terms.base, candidate.terms.rates)
    return {
        (check.state, signal)
        for check in CHECKS
        for signal in check.signals
        if not same_rates
        or in_force.rules.get(check.indicator) != candidate.rules.get(check.indicator)
    }


def judge_both(
    pair: Pair | None,
    signal: AnySignal,
    in_force: Rules,
    candidate: Rules,
    differs: Collection[tuple[type, type]],
) -> tuple[Pair, Sequence[Hit], Sequence[Hit]]:
    """The subject's states after a signal, and what it hit by each side."""
    state = pair.in_force if pair else None
    other = pair.candidate if pair else None
    if other is None:
        kind = type(state) if state else STATES[signal.subject.partition(":")[0]]
        if (kind, type(signal)) not in differs:
            after, hits = JUDGE.judge(state, signal, in_force)
            return Pair(after, None), hits, _named(hits, candidate.name)
        other = state
    before, hits_before = JUDGE.judge(state, signal, in_force)
    after, hits_after = JUDGE.judge(other, signal, candidate)
    return Pair(before, None if after == before else after), hits_before, hits_after


def _named(hits: Sequence[Hit], ruleset: str) -> Sequence[Hit]:
    """The same, found by another rule set."""
    if not hits or hits[0].ruleset == ruleset:
        return hits
    return [msgspec.structs.replace(hit, ruleset=ruleset) for hit in hits]
