"""The pieces that verifying is cut into, and what each of them does.

A piece is one pass over the log or a part of it, on a connection of its own or on one after the
other; what comes out does not depend on how it was cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from ledger.eventstore.codec import UnreadableEvent, decode_stored
from ledger.eventstore.stored_hashes import HashesMissing
from projections.engine.collecting import collector_paused
from projections.engine.read_model import ReadModel, Recorded
from replay import log
from replay.log import Raw
from replay.verify import streams
from replay.verify.books import Books
from replay.verify.chain import Advance, Checked, LogRange, LogState, assumed, check_log
from replay.verify.findings import BOOKS, LOG, PROBLEMS_MAX, STREAMS, Findings
from replay.verify.models import Refolded
from replay.verify.streams import Share

TABLE_IS_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InsufficientPrivilege,
)


@dataclass(frozen=True, slots=True)
class LogTask:
    """A range of the part `log`."""

    range: LogRange
    before: LogState | None
    """None: what it must be follows from the stored leaves."""


@dataclass(frozen=True, slots=True)
class FoldTask:
    """The books, and read models, in one pass."""

    books: bool
    models: tuple[ReadModel, ...]
    head_position: int


@dataclass(frozen=True, slots=True)
class StreamsTask:
    """A share of the streams."""

    share: Share


@dataclass(frozen=True, slots=True)
class PostedOnceTask:
    """What the database can say of all streams."""


Task = LogTask | FoldTask | StreamsTask | PostedOnceTask


class Done(NamedTuple):
    """What a piece of the work has shown."""

    findings: list[Findings]
    """By part; those of a range of the log are in `checked`."""
    checked: Checked | None = None
    """None where a range cannot be checked without those before it."""


def perform(connection: Connection[Any], task: Task, advance: Advance) -> Done:
    """Do a piece of the work."""
    try:
        with collector_paused(), connection.transaction():
            return _perform(connection, task, advance)
    except TABLE_IS_MISSING as error:
        found = Findings(_part_of(task))
        found.report(1, "table_missing", first_line(error))
        return Done([found])


def _perform(connection: Connection[Any], task: Task, advance: Advance) -> Done:
    found = Findings(STREAMS)
    match task:
        case LogTask():
            return Done([], check_range(connection, task, advance))
        case FoldTask():
            return Done(_fold(connection, task, advance))
        case StreamsTask():
            _streams(connection, task, found, advance)
        case PostedOnceTask():
            streams.check_posted_once(connection, found.report, PROBLEMS_MAX)
    return Done([found])


def _part_of(task: Task) -> str:
    """The part that it is of, or one of them."""
    match task:
        case LogTask():
            return LOG
        case FoldTask(models=models):
            return BOOKS if task.books else models[0].name
        case StreamsTask() | PostedOnceTask():
            return STREAMS


def check_range(connection: Connection[Any], task: LogTask, advance: Advance) -> Checked | None:
    """Check a range of the log; None where its beginning cannot be known."""
    before = task.before
    if before is None:
        try:
            before = assumed(connection, task.range.first - 1, task.range)
        except HashesMissing:
            return None
    return check_log(connection, task.range, before, advance)


def _streams(
    connection: Connection[Any], task: StreamsTask, found: Findings, advance: Advance
) -> None:
    checked = streams.check_streams(connection, task.share, found.report, advance)
    found.count("streams", checked.streams)
    found.count("transactions", checked.transactions)
    found.count("events", checked.events)


def _fold(connection: Connection[Any], task: FoldTask, advance: Advance) -> list[Findings]:
    books = Books() if task.books else None
    refolded = [Refolded(connection, model, task.head_position) for model in task.models]
    for page in log.pages(connection):
        for raw, recorded in _recorded(page, books):
            for each in refolded:
                each.take(raw.position, recorded)
        for each in refolded:
            each.after_page()
        advance(len(page))
    if books is not None:
        books.finish(connection, task.head_position)
    for each in refolded:
        each.finish()
    found = [each.findings for each in refolded]
    return [books.findings, *found] if books is not None else found


def _recorded(page: Sequence[Raw], books: Books | None) -> Iterator[tuple[Raw, Recorded | None]]:
    """Each row with what it tells, posted in the books; None where it cannot be read."""
    recorded_at: datetime | None = None
    recorded = b""
    for raw in page:
        try:
            event = decode_stored(raw.topic, raw.state, raw.stream, raw.version)
        except UnreadableEvent as error:
            if books is not None:
                books.unreadable(raw, error)
            yield raw, None
            continue
        if books is not None:
            books.take(raw, event)
        if raw.recorded != recorded:
            recorded, recorded_at = raw.recorded, _instant(raw)
        if recorded_at is None:
            yield raw, None
        else:
            yield raw, Recorded(position=raw.position, recorded_at=recorded_at, event=event)


def _instant(raw: Raw) -> datetime | None:
    try:
        return log.recorded_at(raw.recorded)
    except OverflowError:
        return None


def first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]


def split_log(of: LogRange, pieces: int) -> Iterator[LogRange]:
    """Ranges that follow each other and are together the same."""
    first, last = max(of.first, 1), min(of.last, of.head.position)
    width = max((last - first + 1) // pieces, _PIECE_EVENTS_MIN)
    starts = [of.first, *range(first + width, last - _PIECE_EVENTS_MIN + 2, width)][:pieces]
    for start, next_start in zip(starts, [*starts[1:], None], strict=True):
        yield LogRange(
            first=start,
            last=of.last if next_start is None else next_start - 1,
            head=of.head,
            verifiers=of.verifiers,
            brought=of.brought,
        )


_PIECE_EVENTS_MIN = 4_096


def split_folds(
    books: bool, models: Sequence[ReadModel], pieces: int, head_position: int
) -> Iterator[FoldTask]:
    """Passes of about the same length: reading and decoding the log is part of each."""
    parts: list[ReadModel | None] = [*([None] if books else []), *models]
    pieces = min(pieces, len(parts))
    for number in range(pieces):
        taken = parts[number::pieces]
        yield FoldTask(
            books=None in taken,
            models=tuple(model for model in taken if model is not None),
            head_position=head_position,
        )
