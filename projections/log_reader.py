"""Reads the log batch by batch, one batch ahead of whoever follows it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.events import LedgerEvent
from projections.read_model import Recorded

Decode = Callable[[str, bytes, UUID, int], LedgerEvent]
"""Topic, state, stream and version to the event."""

_AHEAD_MAX = 2
"""Batches read and not asked for yet, which bounds the memory they take."""

_READ = """
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
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
        decode = self._decode
        events: list[Recorded] = []
        try:
            for row_position, stream, version, topic, state, recorded_at in rows:
                event = decode(topic, state, stream, version)
                events.append(Recorded(position=row_position, recorded_at=recorded_at, event=event))
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is recorded and shown
            return Batch(events, error)
        return Batch(events, None)


def _assert_contiguous(position: int, rows: Sequence[TupleRow]) -> None:
    if rows and rows[-1][0] != position + len(rows):
        pairs = enumerate((row[0] for row in rows), position + 1)
        raise LogGap(*next((expected, found) for expected, found in pairs if expected != found))
