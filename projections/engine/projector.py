"""The projector: follows the log and keeps every read model up to date.

Per batch it reads the log once, decodes once, and in one transaction lets each read model fold
the events in memory, write the rows that changed, and advance its checkpoint. Rows and
checkpoint are therefore always of the same position, whatever dies when.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from projections.engine.collecting import collector_paused
from projections.engine.following import LOST, CheckpointRaced, FollowingModel, advance
from projections.engine.log_reader import Batch, Decode, LogReader
from projections.engine.read_model import ReadModel
from projections.engine.tables import NotInstalled, adapt

CHANNEL = "ledger_events"
"""NOTIFY channel: somebody appended. It only shortens the wait; the poll is what counts."""

_LOCK_PROJECTOR = 7_236_851_904
_BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_LISTEN_SECONDS = 0.5

_READ_CHECKPOINTS = "SELECT name, version, position FROM read_models"

_log = logging.getLogger(__name__)


class Projector:
    """Keeps read models up to date. Of several, one works and the others wait to take over."""

    def __init__(
        self,
        *,
        conninfo: str,
        models: Sequence[ReadModel],
        decode: Decode,
        listen_conninfo: str | None = None,
        batch_events: int = 2_000,
        poll_seconds: float = 0.25,
        faultpoint: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """`conninfo` is of the writer role and of a session of its own: locks belong to it."""
        self._conninfo = conninfo
        self._listen_conninfo = listen_conninfo or conninfo
        self._models = [FollowingModel(model) for model in models]
        self._decode = decode
        self._batch_events = batch_events
        self._poll_seconds = poll_seconds
        self._faultpoint = faultpoint
        self._stopped: set[FollowingModel] = set()
        self._wake = threading.Event()
        self._failures = 0

    def run(self, stop: threading.Event) -> None:
        """Follow the log until `stop` is set; lost connections heal by themselves.

        Raises:
            LogGap: the log has a hole. This is never retried.
            NotInstalled: a read model has no tables.
        """
        with self._listening():
            while not stop.is_set():
                try:
                    with self._connect() as connection, self._reader() as reader:
                        self._lead(connection, reader, stop)
                except LOST as error:
                    _log.warning("projector lost its connection: %s", error)
                    stop.wait(_backoff_seconds(self._failures))
                    self._failures += 1

    def catch_up(self) -> int:
        """Follow the log to its end, once; the position that every read model has reached.

        May be called while another projector works: whoever comes first counts. Read models
        that have stopped are tried again, and left out of the answer if they stop again.
        """
        self._stopped.clear()
        with self._connect() as connection, self._reader() as reader:
            while self._pass(connection, reader):
                pass
            positions = self._positions(connection)
        return min(positions.values(), default=0)

    def _connect(self) -> Connection[TupleRow]:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        # Rows and checkpoint are lost together or not at all, and the log is still there: nothing
        # here needs to wait for the disk.
        connection.execute("SET synchronous_commit TO off")
        adapt(connection)
        return connection

    def _reader(self) -> LogReader:
        return LogReader(self._conninfo, self._decode, self._batch_events)

    def _lead(
        self, connection: Connection[TupleRow], reader: LogReader, stop: threading.Event
    ) -> None:
        """Wait until no other projector works, then work until `stop` is set."""
        while not _is_first(connection):
            if stop.wait(self._poll_seconds):
                return
        self._stopped.clear()
        while not stop.is_set():
            self._wake.clear()
            progressed = self._pass(connection, reader)
            self._failures = 0
            if not progressed:
                self._wake.wait(self._poll_seconds)

    def _pass(self, connection: Connection[TupleRow], reader: LogReader) -> bool:
        """One batch for every position that read models stand at; whether there was anything.

        A read model that has far to go thus never keeps the others waiting.
        """
        together: dict[int, list[FollowingModel]] = defaultdict(list)
        for following, position in self._positions(connection).items():
            together[position].append(following)
        progressed = False
        for position, models in sorted(together.items()):
            with collector_paused():
                progressed |= self._follow(connection, models, position, reader.read(position))
        return progressed

    def _positions(self, connection: Connection[TupleRow]) -> dict[FollowingModel, int]:
        found = {(n, v): position for n, v, position in connection.execute(_READ_CHECKPOINTS)}
        missing = [
            f"{n} version {v}" for n, v in (m.key for m in self._models) if (n, v) not in found
        ]
        if missing:
            raise NotInstalled(f"not installed in this database: {', '.join(missing)}")
        return {m: found[m.key] for m in self._models if m not in self._stopped}

    def _follow(
        self,
        connection: Connection[TupleRow],
        models: list[FollowingModel],
        position: int,
        batch: Batch,
    ) -> bool:
        """Have models that stand at the same position take the batch after it."""
        events, error = batch.events, batch.error
        if not events and error is None:
            return False
        stopped: set[FollowingModel] = set()
        try:
            with connection.transaction():
                for following in models:
                    if not events and error is not None:
                        following.stop(connection, position + 1, error)
                        stopped.add(following)
                    elif not advance(connection, following, events):
                        stopped.add(following)
                self._faultpoint("projector.before_commit")
        except CheckpointRaced as raced:
            _log.info("%s", raced)
            return True
        self._faultpoint("projector.after_commit")
        self._stopped |= stopped
        return True

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Have a thread wake the projector at every NOTIFY."""
        done = threading.Event()
        thread = threading.Thread(
            target=_listen,
            args=(self._listen_conninfo, self._wake, done),
            name="projector-listen",
            daemon=True,
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _is_first(connection: Connection[TupleRow]) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_PROJECTOR]).fetchone()
    return row is not None and row[0] is True


def _backoff_seconds(failures: int) -> float:
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]


def _listen(conninfo: str, wake: threading.Event, done: threading.Event) -> None:
    """Set `wake` at every NOTIFY, and after every LISTEN: something may have come before it."""
    failures = 0
    while not done.is_set():
        try:
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                failures = 0
                wake.set()
                while not done.is_set():
                    for _ in connection.notifies(timeout=_LISTEN_SECONDS, stop_after=1):
                        wake.set()
        except LOST as error:
            _log.warning("projector cannot listen: %s", error)
            done.wait(_backoff_seconds(failures))
            failures += 1
