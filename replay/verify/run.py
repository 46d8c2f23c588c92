"""Verify: is the log as it was written, and does everything else follow from it?

Recomputes every leaf, the root after every batch and at every checkpoint, every balance and every
read model from the stored bytes, and compares. All of it sees one moment of the ledger, however
many processes share the work, and memory does not grow with the log.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import psycopg
from psycopg import Connection

from ledger.checkpoints.note import Verifier
from projections.engine.read_model import ReadModel
from projections.engine.tables import NotInstalled, schema_seen
from projections.registry import READ_MODELS
from replay import log
from replay.log import Head
from replay.progress import peak_memory_mb
from replay.verify import claims, findings
from replay.verify.chain import POSITION_MIN, Checked, LogRange, LogState, check_log
from replay.verify.claims import Claim
from replay.verify.findings import (
    BOOKS,
    CORE_PARTS,
    LOG,
    STREAMS,
    CheckpointsChecked,
    Findings,
    Verification,
)
from replay.verify.pool import Pool
from replay.verify.streams import Share
from replay.verify.tasks import (
    TABLE_IS_MISSING,
    Done,
    FoldTask,
    LogTask,
    PostedOnceTask,
    StreamsTask,
    Task,
    first_line,
    perform,
    split_folds,
    split_log,
)

SHARED_EVENTS_MIN = 50_000
"""A shorter log is checked in less time than it takes to start processes."""

_LOOKS_MAX = 3

Progress = Callable[[int, int], None]
"""Events checked, events in all; of several passes over the log the average."""


class UnknownPart(ValueError):
    """There is no such part of verifying."""


class RangeInvalid(ValueError):
    """The log has no such range."""


def part_names(models: Sequence[ReadModel] = READ_MODELS) -> tuple[str, ...]:
    """`log`, `books`, `streams`, and the name of each read model."""
    return (*CORE_PARTS, *(model.name for model in models))


def verify(
    conninfo: str,
    models: Sequence[ReadModel] = READ_MODELS,
    on_progress: Progress = lambda _done, _total: None,
    *,
    parts: Collection[str] | None = None,
    verifiers: Sequence[Verifier] = (),
    notes: Sequence[str] = (),
    jobs: int | None = 1,
    first: int | None = None,
    last: int | None = None,
) -> Verification:
    """Check the ledger. `conninfo` is of the reader role.

    Args:
        parts: which, of `part_names`; None means all of them.
        verifiers: keys to check the signatures of checkpoints with.
        notes: signed checkpoints from outside the database.
        jobs: processes to share the work; what is found does not depend on it. None: one for each
            core, unless the log is so short that starting them takes longer.
        first: position from which to check the log; only the part `log` can be cut.
        last: position up to which.

    Raises:
        UnknownPart: there is no such part, or it cannot be cut.
        RangeInvalid: there are no events from `first` to `last`.
        WorkerDied: a process ended before its work was done; nothing can be said.
    """
    wanted = _wanted(models, parts, is_cut=first is not None or last is not None)
    with _snapshot(conninfo, models) as connection:
        run = _Run(connection, models, wanted, verifiers, notes, first, last)
        if run.head is None:
            return run.alone(on_progress)
        if jobs is None:
            is_short = run.head.position < SHARED_EVENTS_MIN
            jobs = 1 if is_short else os.cpu_count() or 1
        if jobs == 1:
            return run.alone(on_progress)
        with Pool(conninfo, log.export(connection), jobs) as pool:
            return run.shared(run.head, pool, on_progress)


def verify_log(
    connection: Connection[Any], *, verifiers: Sequence[Verifier] = (), notes: Sequence[str] = ()
) -> Verification:
    """Check the part `log` as this connection sees it, in the transaction that it is in."""
    return _Run(connection, (), {LOG}, verifiers, notes, None, None).alone()


@contextmanager
def _snapshot(conninfo: str, models: Sequence[ReadModel]) -> Iterator[Connection[Any]]:
    """One moment of the ledger, in which no read model is just being exchanged for a new one."""
    for last in range(_LOOKS_MAX):
        with log.snapshot(conninfo) as connection:
            held = [_is_held(connection, model) for model in models]
            if all(held) or last == _LOOKS_MAX - 1:
                yield connection
                return


def _is_held(connection: Connection[Any], model: ReadModel) -> bool:
    """Whether the tables that the snapshot sees are there, and stay until it ends."""
    try:
        with connection.transaction():
            schema_seen(connection, model)
    except (NotInstalled, psycopg.Error):
        return False
    return True


def _wanted(
    models: Sequence[ReadModel], parts: Collection[str] | None, *, is_cut: bool
) -> set[str]:
    known = part_names(models)
    wanted = set(known if parts is None else parts)
    if is_cut:
        wanted = {LOG} if parts is None else wanted
        if wanted != {LOG}:
            raise UnknownPart(f"only the part {LOG} can be checked from one position to another")
    unknown = wanted.difference(known)
    if unknown:
        raise UnknownPart(f"no such part: {', '.join(sorted(unknown))}; parts: {', '.join(known)}")
    return wanted


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The findings by part, in the order of the parts."""

    log: Checked | None
    others: dict[str, list[Findings]]


class _Run:
    """One verification: what to do, and what to make of it."""

    def __init__(
        self,
        connection: Connection[Any],
        models: Sequence[ReadModel],
        wanted: set[str],
        verifiers: Sequence[Verifier],
        notes: Sequence[str],
        first: int | None,
        last: int | None,
    ) -> None:
        self._began = monotonic()
        self._connection = connection
        self._models = [model for model in models if model.name in wanted]
        self._parts = [part for part in part_names(models) if part in wanted]
        self._verifiers = tuple(verifiers)
        self._first, self._last = first, last
        self._outside = Findings(LOG)
        """What is wrong before anything was read."""
        self._brought: list[Claim] = []
        if LOG in wanted:
            self._brought = claims.brought(notes, verifiers, self._outside.report)
        self.head = self._read_head()
        if self.head is not None:
            self._check_range(self.head)

    def _check_range(self, head: Head) -> None:
        """Whoever asks for a range that is not there must not be told that all is well."""
        first, last = self._first or 1, self._last or head.position
        if max(first, last) > head.position and (self._first or self._last):
            raise RangeInvalid(
                f"The log ends at position {head.position}: there is nothing to check up to"
                f" {max(first, last)}. If it was longer before, events are missing."
            )
        if self._first and first > last:
            raise RangeInvalid(f"--from {first} comes after --to {last}.")
        for claim in self._brought:
            if claim.size > head.position and last < head.position:
                self._outside.report(
                    head.position + 1,
                    "beyond_head",
                    f"{claim.whose} is of {claim.size} events, and the log has {head.position}",
                )

    def _read_head(self) -> Head | None:
        try:
            with self._connection.transaction():
                return log.head(self._connection)
        except LookupError as error:
            self._outside.report(1, "table_missing", str(error))
        except TABLE_IS_MISSING as error:
            self._outside.report(1, "table_missing", first_line(error))
        return None

    # --- the work -----------------------------------------------------------------------------

    def alone(self, on_progress: Progress = lambda _done, _total: None) -> Verification:
        """Piece by piece on the connection at hand."""
        head = self.head
        if head is None:
            return self._verification(_Outcome(None, {}), jobs=1)
        tasks = self._tasks(head, pieces=1)
        total, read = len(tasks) * head.position, 0

        def advance(events: int) -> None:
            nonlocal read
            read += events
            if total:
                on_progress(min(read * head.position // total, head.position), head.position)

        done = [perform(self._connection, task, advance) for task in tasks]
        outcome = self._joined(head, tasks, done, advance)
        on_progress(head.position, head.position)
        return self._verification(outcome, jobs=1)

    def shared(self, head: Head, pool: Pool, on_progress: Progress) -> Verification:
        """Cut into as many pieces as there are processes."""
        tasks = self._tasks(head, pieces=pool.jobs)
        total = head.position * max(self._passes(tasks), 1)

        def progress(read: int) -> None:
            if total:
                on_progress(min(read * head.position // total, head.position), head.position)

        done = pool.perform(tasks, progress)
        outcome = self._joined(head, tasks, done, lambda _events: None)
        on_progress(head.position, head.position)
        return self._verification(outcome, jobs=pool.jobs, peak_mb=pool.peak_memory_mb)

    def _tasks(self, head: Head, pieces: int) -> list[Task]:
        """The longest first."""
        tasks: list[Task] = []
        tasks += split_folds(BOOKS in self._parts, self._models, pieces, head.position)
        if STREAMS in self._parts:
            tasks += [StreamsTask(Share(number, pieces)) for number in range(pieces)]
        if LOG in self._parts:
            ranges = list(split_log(self._whole_log(head), pieces))
            before = LogState() if ranges[0].first == POSITION_MIN else None
            tasks.append(LogTask(ranges[0], before))
            tasks += [LogTask(each, None) for each in ranges[1:]]
        if STREAMS in self._parts:
            tasks.append(PostedOnceTask())
        return tasks

    def _whole_log(self, head: Head) -> LogRange:
        first, last = self._first, self._last
        return LogRange(
            first=POSITION_MIN if first is None or first <= 1 else first,
            last=log.POSITION_MAX if last is None or last >= head.position else last,
            head=head,
            verifiers=self._verifiers,
            brought=tuple(self._brought),
        )

    def _passes(self, tasks: Sequence[Task]) -> int:
        folds = sum(isinstance(task, FoldTask) for task in tasks)
        return folds + (LOG in self._parts) + (STREAMS in self._parts)

    # --- what comes of it -----------------------------------------------------------------------

    def _joined(
        self,
        head: Head,
        tasks: Sequence[Task],
        done: Sequence[Done],
        advance: Callable[[int], None],
    ) -> _Outcome:
        others: dict[str, list[Findings]] = {}
        ranges: list[tuple[LogTask, Checked | None]] = []
        for task, outcome in zip(tasks, done, strict=True):
            for found in outcome.findings:
                others.setdefault(found.part, []).append(found)
            if isinstance(task, LogTask) and not outcome.findings:
                ranges.append((task, outcome.checked))
        return _Outcome(self._joined_log(head, ranges, advance), others)

    def _joined_log(
        self,
        head: Head,
        ranges: Sequence[tuple[LogTask, Checked | None]],
        advance: Callable[[int], None],
    ) -> Checked | None:
        """The ranges as one. From where one did not begin as the one before it ended: again."""
        whole: Checked | None = None
        for task, checked in ranges:
            if whole is None:
                whole = checked or self._after_a_hole(task, advance)
            elif checked is not None and checked.before == whole.after:
                whole = _follow(whole, checked)
            else:
                rest = replace(task.range, last=self._whole_log(head).last)
                again = check_log(self._connection, rest, whole.after, advance)
                whole = _follow(whole, again)
                break
        if whole is not None:
            self._check_reached(whole, head)
        return whole

    def _check_reached(self, whole: Checked, head: Head) -> None:
        """A range that ends before the log does has to be there up to its end."""
        wanted, reached = self._whole_log(head).last, whole.after.position
        if reached < wanted < log.POSITION_MAX:
            detail = f"there are no events from here to position {wanted}"
            whole.findings.report(reached + 1, "missing", detail)

    def _after_a_hole(self, task: LogTask, advance: Callable[[int], None]) -> Checked:
        """A range whose beginning cannot be known, as something is missing before it."""
        first = task.range.first
        before = LogState(position=first - 1, lines=(), is_broken=True)
        checked = check_log(self._connection, task.range, before, advance)
        detail = f"not every event before position {first} is there"
        checked.findings.report(first - 1, "gap", detail)
        return checked

    def _verification(self, outcome: _Outcome, *, jobs: int, peak_mb: float = 0.0) -> Verification:
        by_part = [self._of_part(part, outcome) for part in self._parts]
        events = max((found.checked.get("events", 0) for found in by_part), default=0)
        elapsed_s = round(monotonic() - self._began, 3)
        head = self.head
        return Verification(
            events=events,
            position=head.position if head else 0,
            root=head.root.hex() if head else "",
            parts=tuple(findings.result(found) for found in by_part),
            checkpoints=_checkpoints(outcome.log),
            problems=findings.in_order(by_part),
            problems_found=sum(found.problems_found for found in by_part),
            first_bad_position=findings.first_bad_position(by_part),
            elapsed_s=elapsed_s,
            events_per_s=round(events / elapsed_s) if elapsed_s else 0.0,
            peak_memory_mb=max(peak_memory_mb(), peak_mb),
            jobs=jobs,
        )

    def _of_part(self, part: str, outcome: _Outcome) -> Findings:
        if part == LOG:
            checked = [outcome.log.findings] if outcome.log else []
            return findings.merged(LOG, [self._outside, *outcome.others.get(LOG, []), *checked])
        return findings.merged(part, outcome.others.get(part, []))


def _follow(one: Checked, next_: Checked) -> Checked:
    return Checked(
        findings.merged(LOG, [one.findings, next_.findings]),
        one.before,
        next_.after,
        max(one.newest_agreed, next_.newest_agreed),
    )


def _checkpoints(checked: Checked | None) -> CheckpointsChecked:
    if checked is None:
        return CheckpointsChecked()
    counted = checked.findings.checked
    return CheckpointsChecked(
        stored=counted.get("checkpoints", 0),
        brought=counted.get("brought", 0),
        signatures=counted.get("signatures", 0),
        newest=checked.newest_agreed or None,
    )
