"""Reads the log batch by batch, one batch ahead of whoever follows it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import TracebackType
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.events import LedgerEvent
from projections.engine.read_model import Recorded

Decode = Callable[[str, bytes, UUID, int], LedgerEvent]
"""Topic, state, stream and version to the event."""

DecodeStored = Callable[[str, bytes, bytes, int], LedgerEvent]
"""The same, of the 16 bytes of the stream."""

_AHEAD_MAX = 2
"""Batches read and not asked for yet, which bounds the memory they take."""

# Instants are slow to build, and there are few different ones: a commit's events share one.
_READ = """
SELECT notification_id, originator_id, originator_version, topic, state,
       timestamptz_send(recorded_at)
FROM ledger_events WHERE notification_id > %s ORDER BY notification_id LIMIT %s
"""


class LogGap(Exception):
    """The log has a hole where an event should be: nothing may be derived from it."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"after position {expected - 1} the log goes on at {found}")


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that follow each other; `error` says why the one after them cannot be decoded."""

    events: Sequence[Recorded]
    error: Exception | None


class LogReader:
    """Has a connection and a thread of its own, which decodes while others wait for the database.

    What is read ahead cannot become wrong: the log is only ever added to.
    """

    def __init__(self, conninfo: str, decode: Decode, batch_events: int) -> None:
        self._connection: Connection[TupleRow] = psycopg.connect(conninfo, autocommit=True)
        self._decode = decode
        self._batch_events = batch_events
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projector-read")
        self._ahead: dict[int, Future[Batch]] = {}

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._connection.close()

    def read(self, position: int) -> Batch:
        """The events after `position`.

        Raises:
            LogGap: they do not follow each other.
            psycopg.Error: the connection is lost.
        """
        future = self._ahead.pop(position, None) or self._thread.submit(self._read, position)
        batch = future.result()
        if len(batch.events) == self._batch_events:
            end = position + self._batch_events
            self._ahead[end] = self._thread.submit(self._read, end)
            while len(self._ahead) > _AHEAD_MAX:
                del self._ahead[next(iter(self._ahead))]
        return batch

    def _read(self, position: int) -> Batch:
        cursor = self._connection.cursor(binary=True)
        rows = cursor.execute(_READ, [position, self._batch_events]).fetchall()
        _assert_contiguous(position, rows)
        return _decoded(rows, self._decode)


def _decoded(rows: Sequence[TupleRow], decode: Decode | DecodeStored) -> Batch:
    events: list[Recorded] = []
    instants: dict[bytes, datetime] = {}
    try:
        for position, stream, version, topic, state, recorded in rows:
            at = instants.get(recorded)
            if at is None:
                at = instants[recorded] = recorded_at(recorded)
            event = decode(topic, state, stream, version)
            events.append(Recorded(position=position, recorded_at=at, event=event))
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is recorded and shown
        return Batch(events, error)
    return Batch(events, None)


def _assert_contiguous(position: int, rows: Sequence[TupleRow]) -> None:
    if rows and rows[-1][0] != position + len(rows):
        pairs = enumerate((row[0] for row in rows), position + 1)
        raise LogGap(*next((expected, found) for expected, found in pairs if expected != found))


# --- from one position to another ---------------------------------------------------------------

_READ_RANGE = """
SELECT notification_id, uuid_send(originator_id), originator_version, topic, state,
       timestamptz_send(recorded_at)
FROM ledger_events
WHERE notification_id > %s AND notification_id <= %s AND topic <> ALL (%s)
ORDER BY notification_id
"""
_COUNT_RANGE = """
SELECT count(*) FROM ledger_events WHERE notification_id > %s AND notification_id <= %s
"""
_EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)


class CannotDecode(Exception):
    """An event of the log cannot be read; the cause says why."""

    def __init__(self, position: int) -> None:
        super().__init__(f"the event at position {position} cannot be decoded")
        self.position = position


@dataclass(frozen=True, slots=True)
class Stretch:
    """The events up to a position, without those that nobody wanted."""

    end: int
    events: Sequence[Recorded]


class RangeReader:
    """Reads what is known to be there, in large stretches, one ahead of whoever takes them."""

    def __init__(
        self,
        conninfo: str,
        decode: DecodeStored,
        stretch_events: int,
        without: Collection[str] = (),
    ) -> None:
        """`without` are topics that are left out, as if there were no such events."""
        self._conninfo = conninfo
        self._decode = decode
        self._stretch_events = stretch_events
        self._without = list(without)

    def read(self, after: int, upto: int) -> Iterator[Stretch]:
        """The stretches after one position up to another, which the log has reached.

        Raises:
            LogGap: the log is not whole.
            CannotDecode: an event is none; what comes before it is given first.
        """
        with (
            psycopg.connect(self._conninfo, autocommit=True) as connection,
            ThreadPoolExecutor(1, thread_name_prefix="rebuild-read") as thread,
        ):
            starts = range(after, upto, self._stretch_events)
            pairs = pairwise([*starts, upto])
            ahead: Future[tuple[Stretch, CannotDecode | None]] | None = None
            for start, end in pairs:
                following = thread.submit(self._read, connection, start, end)
                if ahead is not None:
                    yield from _taken(ahead)
                ahead = following
            if ahead is not None:
                yield from _taken(ahead)

    def _read(
        self, connection: Connection[TupleRow], after: int, upto: int
    ) -> tuple[Stretch, CannotDecode | None]:
        cursor = connection.cursor(binary=True)
        rows = cursor.execute(_READ_RANGE, [after, upto, self._without]).fetchall()
        if len(rows) < upto - after:
            (found,) = cursor.execute(_COUNT_RANGE, [after, upto]).fetchone() or (0,)
            if found != upto - after:
                raise LogGap(*_first_missing(connection, after, upto))
        batch = _decoded(rows, self._decode)
        if batch.error is None:
            return Stretch(upto, batch.events), None
        failure = CannotDecode(rows[len(batch.events)][0])
        failure.__cause__ = batch.error
        return Stretch(failure.position - 1, batch.events), failure


def _taken(
    future: "Future[tuple[Stretch, CannotDecode | None]]",
) -> Iterator[Stretch]:
    stretch, failure = future.result()
    if failure is None or stretch.events:
        yield stretch
    if failure is not None:
        raise failure


def recorded_at(recorded: bytes) -> datetime:
    """The instant that PostgreSQL's `timestamptz_send` gives: 8 bytes, microseconds since 2000.

    Raises:
        OverflowError: Python cannot hold it; it was never recorded by us.
    """
    return _EPOCH_2000 + timedelta(microseconds=int.from_bytes(recorded, "big", signed=True))


def _first_missing(connection: Connection[TupleRow], after: int, upto: int) -> tuple[int, int]:
    """The first position that is not there, and where the log goes on."""
    query = """
        SELECT notification_id FROM ledger_events
        WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id
    """
    rows = connection.execute(query, [after, upto]).fetchall()
    pairs = enumerate((row[0] for row in rows), after + 1)
    return next(
        ((expected, found) for expected, found in pairs if expected != found),
        (after + len(rows) + 1, upto + 1),
    )
