"""Run: deal, judge and join on an engine, and add up what comes out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from projections.fraud.rules import Rules
from replay.archive import layout
from replay.archive.layout import ArchiveError, Manifest
from replay.backtest.candidates import Wanted, candidate_of, in_force, rulesets_in
from replay.backtest.digest import Digest
from replay.backtest.joining import hit_lines, joined, row_of
from replay.backtest.judging import SIDES, Candidate, InForce, Judged, Task, judge_partition
from replay.backtest.partitioning import Gathered, deal_bucket
from replay.backtest.report import Backtest, Comparison, InForceFrom, Span, compared, verdict
from replay.backtest.scratch import scratch_in
from replay.backtest.span import span_of
from replay.engines import Engine, Ray, Serial
from replay.progress import Report, peak_memory_mb

PARTITIONS: Final = (16, 64)
"""At least, at most."""
PARTITION_EVENTS: Final = 250_000
"""Of the log for each partition, between the two; the same on every engine."""


def backtest(
    folder: Path,
    wanted: Wanted,
    engine: Engine | None = None,
    *,
    first: str | None = None,
    before: str | None = None,
    scratch: Path | None = None,
    keep: int | None = None,
    on_progress: Report = lambda _done, _total: None,
) -> Backtest:
    """Judge the archive in `folder` by a candidate and by what was in force, and compare.

    Args:
        folder: of the archive.
        wanted: the candidate.
        engine: where to; in this process unless said otherwise.
        first: a position or an instant; payouts from then on are compared.
        before: likewise; payouts before then, and nothing later is judged.
        scratch: where files are put meanwhile, which all workers have to see; beside the archive
            unless said otherwise.
        keep: so many of the changed decisions, the largest; all unless said otherwise.
        on_progress: told events of the log; half of the work is reading, half is judging them.

    Raises:
        ArchiveError: the archive cannot be read, or an event not understood.
        CandidateInvalid: there is no such rule set, or it cannot be used.
        SpanInvalid: the archive has no such span.
        EngineError: the engine gave up.
    """
    began = monotonic()
    engine = engine or Serial()
    folder = folder.resolve()
    manifest = layout.load(folder)
    span = span_of(folder, manifest, first, before)
    seen = rulesets_in(folder, manifest)
    rules, candidate = in_force(seen), candidate_of(wanted, seen)
    with (
        scratch_in(scratch or folder.parent) as made,
        _connected(engine),
    ):
        running = _Running(folder, manifest, engine, span, made, on_progress)
        return running.result(rules, candidate, keep, began)


@contextmanager
def _connected(engine: Engine) -> Iterator[None]:
    """One Ray for both maps, where it is one."""
    if isinstance(engine, Ray):
        with engine.connected():
            yield
    else:
        yield


class _Running:
    """One backtest, while it runs."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        engine: Engine,
        span: Span,
        scratch: Path,
        on_progress: Report,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._engine = engine
        self._span = span
        self._scratch = scratch
        self._on_progress = on_progress
        self._events = manifest.position
        least, most = PARTITIONS
        self._partitions = min(max(self._events // PARTITION_EVENTS, least), most)

    def result(
        self, rules: tuple[InForce, ...], candidate: Candidate, keep: int | None, began: float
    ) -> Backtest:
        gathered = self._deal()
        judged = self._judge(gathered, rules, candidate)
        policies = sorted(policy for one in gathered for policy in one.policies)
        comparison = Comparison(self._span, Rules(*candidate), keep)
        digests = self._join(rules, candidate, policies, comparison)
        return Backtest(
            span=self._span,
            log_position=self._manifest.position,
            log_root=self._manifest.root,
            in_force=_within(rules, self._span),
            candidate=candidate.name,
            judged=comparison.judged,
            scores_changed=comparison.scores_changed,
            decisions_changed=comparison.decisions_changed,
            decisions=comparison.decisions(),
            moved=comparison.moved(),
            indicators=compared((one.tallies for one in judged), SIDES),
            queue=comparison.queue.by_day(),
            hits_in_force=digests[0].hits,
            hits=digests[1].hits,
            digest_in_force=digests[0].hexdigest(),
            digest=digests[1].hexdigest(),
            events=self._events,
            signals=sum(one.signals for one in gathered),
            engine=self._engine.name,
            workers=self._engine.workers,
            elapsed_s=round(monotonic() - began, 3),
            peak_memory_mb=max(
                peak_memory_mb(),
                *(one.peak_memory_mb for one in gathered),
                *(one.peak_memory_mb for one in judged),
            ),
        )

    def _deal(self) -> list[Gathered]:
        deal = partial(
            deal_bucket,
            self._folder,
            self._scratch,
            self._partitions,
            self._span.before,
            self._events,
        )
        found: list[Gathered] = []
        events = 0
        for _, gathered in self._engine.map(deal, range(self._manifest.buckets)):
            found.append(gathered)
            events += gathered.events
            self._on_progress(events // 2, self._events)
        if events != self._events:
            raise ArchiveError(
                f"The files hold {events} events up to position {self._events}:"
                " `tallystick archive verify` says which are missing."
            )
        return found

    def _judge(
        self, gathered: Sequence[Gathered], rules: tuple[InForce, ...], candidate: Candidate
    ) -> list[Judged]:
        task = Task(
            scratch=self._scratch,
            buckets=self._manifest.buckets,
            in_force=rules,
            candidate=candidate,
            first=self._span.first,
            closed=_by_subject(gathered),
        )
        signals = sum(one.signals for one in gathered)
        found: list[Judged] = []
        done = 0
        for _, judged in self._engine.map(partial(judge_partition, task), range(self._partitions)):
            found.append(judged)
            done += judged.signals
            half = self._events // 2
            share = done * (self._events - half) // signals if signals else 0
            self._on_progress(half + share, self._events)
        if done != signals:
            raise ArchiveError(f"{signals} signals were dealt out, and {done} of them judged.")
        return found

    def _join(
        self,
        rules: tuple[InForce, ...],
        candidate: Candidate,
        policies: Sequence[tuple[int, int]],
        comparison: Comparison,
    ) -> tuple[Digest, Digest]:
        """The digests of both sides; `comparison` is told of every payout."""
        digests = (Digest(), Digest())
        for side, digest in zip(SIDES, digests, strict=True):
            for hit in hit_lines(self._scratch, side, self._partitions):
                digest.hit(hit.id, hit.line)
        for one in joined(
            self._scratch,
            buckets=self._manifest.buckets,
            partitions=self._partitions,
            in_force=rules,
            candidate=candidate,
            policies=policies,
        ):
            sides = (one.in_force, one.candidate)
            for digest, assessment in zip(digests, sides, strict=True):
                digest.assessment(row_of(one.payout, assessment))
            verdicts = [verdict(assessment, one.score_below) for assessment in sides]
            comparison.add(one.payout, *verdicts)
        return digests


def _by_subject(gathered: Sequence[Gathered]) -> Mapping[str, Sequence[tuple[int, str]]]:
    """How the cases of each subject ended, in order."""
    found: dict[str, list[tuple[int, str]]] = {}
    for position, subject, decision in sorted(c for one in gathered for c in one.closed):
        found.setdefault(subject, []).append((position, decision))
    return found


def _within(rules: Sequence[InForce], span: Span) -> tuple[InForceFrom, ...]:
    """Those that were in force at some position of the span."""
    ends = [*(one.position for one in rules[1:]), None]
    return tuple(
        InForceFrom(ruleset=one.name, position=one.position)
        for one, end in zip(rules, ends, strict=True)
        if one.position < span.before - 1 and (end is None or end >= span.first)
    )
