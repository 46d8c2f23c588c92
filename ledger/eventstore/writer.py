"""Group commit: many callers' appends, one transaction.

While one batch commits, the appends of other callers queue; the writer then takes all of them
as the next batch. Each is checked on its own: one that fails is answered with its error and does
not disturb its neighbours. Callers wait for the answer, never longer than their deadline, and
every answer is true: see `errors.py`.
"""

import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic, sleep
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.eventstore import arrays, batch_sql
from ledger.eventstore.append import Append, Books, Receipt
from ledger.eventstore.batch import Decided, Waiting, decide
from ledger.eventstore.batch_sql import Backend, Hashed, View
from ledger.eventstore.errors import AppendError, OutcomeUnknown, QueueFull, StoreUnavailable
from ledger.faultpoints import faultpoint

BATCH_APPENDS_MAX = 256
"""Enough to share one disk flush; few enough to keep the head row's lock short."""

GATHER_SECONDS_MAX = 0.002
"""About what a batch takes."""

REMEMBERED_MAX = 200_000
"""Versions and balances kept in memory, some 100 bytes each."""

RETRY_SECONDS = 0.05

_log = structlog.get_logger(__name__)

_NOT_WORTH_RETRYING = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.NotSupportedError,
    psycopg.ProgrammingError,
    psycopg.errors.ProgramLimitExceeded,
)

Connect = Callable[[], Connection[TupleRow]]


class GroupCommitWriter:
    """Appends on behalf of every thread of this process; several processes may have one each."""

    def __init__(
        self,
        connect: Connect,
        clock: Callable[[], datetime],
        *,
        queue_size_max: int = 1_000,
        timeout_seconds: float = 5.0,
    ) -> None:
        """`connect` opens an autocommit connection as the writer role; `clock` tells UTC.

        `timeout_seconds` bounds every caller's wait.
        """
        self._connect = connect
        self._clock = clock
        self._queue_size_max = queue_size_max
        self._timeout_seconds = timeout_seconds
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._connection: Connection[TupleRow] | None = None
        self._backend: Backend
        self._wire: socket.socket | None = None
        """The connection's socket, for callers who have waited too long."""
        self._asked_at = monotonic()
        """When the writer last began to ask the database something."""
        self._expected = 1
        """How many appends shared the last batch."""
        self._view: View | None = None
        """The ledger as this writer left it; a batch of another process makes it invalid."""

    def append(self, append: Append, timeout_seconds: float | None = None) -> Receipt:
        """Write it with whatever else is waiting; return when it is durable.

        Raises:
            AppendError: see `errors.py`; each class says whether anything was written.
        """
        (answer,) = self.append_many([append], timeout_seconds)
        if isinstance(answer, AppendError):
            raise answer
        return answer

    def append_many(
        self, appends: Sequence[Append], timeout_seconds: float | None = None
    ) -> list[Receipt | AppendError]:
        """Write them in order with whatever else is waiting; what came of each.

        Raises:
            QueueFull, StoreUnavailable: nothing of any of them was written.
        """
        waiting = self._enqueue(appends, timeout_seconds or self._timeout_seconds)
        for each in reversed(waiting):  # the last is answered last: mostly, this waits once
            if each.answer is None and not each.done.acquire(
                timeout=max(0.0, each.deadline - monotonic())
            ):
                self._give_up(each)
        return [OutcomeUnknown() if each.answer is None else each.answer for each in waiting]

    def waiting(self) -> int:
        """How many appends are queued."""
        return len(self._queue)

    def close(self) -> None:
        """Write what is queued, then stop. Later appends are refused as unavailable."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    # --- the caller's side ----------------------------------------------------------------------

    def _enqueue(self, appends: Sequence[Append], timeout_seconds: float) -> list[Waiting]:
        deadline = monotonic() + timeout_seconds
        waiting = [Waiting(append, deadline) for append in appends]
        with self._changed:
            if self._closing:
                raise StoreUnavailable("the ledger is shutting down; nothing was written")
            if len(self._queue) + len(waiting) > self._queue_size_max:
                raise QueueFull
            self._queue.extend(waiting)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
                self._thread.start()
            self._changed.notify()
        return waiting

    def _give_up(self, waiting: Waiting) -> None:
        """The deadline has passed: withdraw the append, or wait no longer for its answer."""
        with self._changed:
            if not waiting.sent and waiting.answer is None:
                with contextlib.suppress(ValueError):  # the writer has it in hand
                    self._queue.remove(waiting)
                waiting.answer = StoreUnavailable(
                    "the database did not answer in time; nothing was written"
                )
        if monotonic() - self._asked_at > self._timeout_seconds / 2:
            self._hang_up()

    def _hang_up(self) -> None:
        """Wake the writer from a question that nobody seems to answer any more."""
        wire = self._wire
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    # --- the writer's side ----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while batch := self._take_batch():
                self._write_and_answer(batch)
        finally:
            self._disconnect()

    def _write_and_answer(self, batch: list[Waiting]) -> None:
        """Nothing may leave a caller without an answer, not even a fault of this program."""
        try:
            self._write_batch(batch)
        except Exception as error:  # noqa: BLE001
            _log.exception("append.fault", appends=len(batch))
            self._disconnect()
            for waiting in batch:
                if waiting.answer is None:
                    waiting.settle(OutcomeUnknown(f"the writer failed: {error!r}"))

    def _take_batch(self) -> list[Waiting]:
        """Everything that waits, up to the largest batch; empty when closing."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
        self._gather()
        with self._changed:
            count = min(len(self._queue), BATCH_APPENDS_MAX)
            batch = [self._queue.popleft() for _ in range(count)]
        self._expected = len(batch)
        return batch

    def _gather(self) -> None:
        """Wait a moment for as many as shared the last batch: they are likely to come back.

        A caller alone never waits. Of many, each wakes up, decides and comes again one after the
        other, and a batch for every two of them would cost more than it saves.
        """
        until = monotonic() + GATHER_SECONDS_MAX
        while len(self._queue) < self._expected and monotonic() < until and not self._closing:
            sleep(GATHER_SECONDS_MAX / 8)

    def _write_batch(self, batch: list[Waiting]) -> None:
        """Write the batch, again and again while the database is known to have taken nothing."""
        while batch:
            try:
                self._attempt(batch)
            except _NOT_WORTH_RETRYING as error:
                self._disconnect()
                self._allow_withdrawal(batch)
                self._write_singly([w for w in batch if w.answer is None], error)
                return
            except psycopg.Error as error:
                _log.warning("append.retry", error=type(error).__name__, appends=len(batch))
                self._disconnect()
                self._allow_withdrawal(batch)
                batch = self._still_in_time(batch)
            else:
                return

    def _write_singly(self, batch: list[Waiting], error: psycopg.Error) -> None:
        """One append that the database cannot take must not take its neighbours along."""
        if len(batch) == 1:
            detail = f"the database refused it ({type(error).__name__}); nothing was written"
            _log.error("append.refused", error=str(error))
            batch[0].settle(StoreUnavailable(detail))
            return
        for waiting in batch:
            self._write_batch([waiting])

    def _still_in_time(self, batch: list[Waiting]) -> list[Waiting]:
        now = monotonic()
        for waiting in batch:
            if waiting.answer is None and waiting.deadline <= now:
                waiting.settle(StoreUnavailable())
        threading.Event().wait(RETRY_SECONDS)
        return [waiting for waiting in batch if waiting.answer is None]

    def _attempt(self, batch: list[Waiting]) -> None:
        """Decide the batch on what is known of the ledger, and write it if that still holds.

        What is remembered from earlier batches is enough for an append that can be taken; one
        that cannot is refused only on a fresh look. A psycopg.Error out of here means that
        nothing was written.
        """
        fresh = False
        while batch:
            view = self._view_for(batch, fresh=fresh)
            batch = self._still_wanted(batch)
            if self._carry_out(decide(batch, view), view, fresh=fresh):
                return
            fresh, self._view = True, None
            self._allow_withdrawal(batch)

    def _carry_out(self, decided: Decided, view: View, *, fresh: bool) -> bool:
        """Write and answer; False if it has to be decided again, on a fresh look."""
        if decided.refusals and not fresh:
            return False
        if decided.entries and not self._write(view, decided, fresh=fresh):
            return False
        decided.refuse()  # not before: a refusal may rest on what was to be written
        return True

    def _still_wanted(self, batch: list[Waiting]) -> list[Waiting]:
        """Those whose callers still wait; from here on they cannot be withdrawn."""
        with self._changed:
            wanted = [waiting for waiting in batch if waiting.answer is None]
            for waiting in wanted:
                waiting.sent = True
        return wanted

    def _allow_withdrawal(self, batch: list[Waiting]) -> None:
        """It is known that nothing of it was written."""
        with self._changed:
            for waiting in batch:
                waiting.sent = False

    def _view_for(self, batch: list[Waiting], *, fresh: bool) -> View:
        """What the batch is decided on: remembered, or looked up where that does not suffice."""
        view = self._view
        if view is not None and not fresh:
            new_streams: set[UUID] = set()
            new_accounts: set[str] = set()
            for waiting in batch:
                waiting.append.add_unknown(view.versions, view.balances, new_streams, new_accounts)
            if not new_streams and not new_accounts:
                return view
            seen = batch_sql.look(self._connected(), new_streams, new_accounts)
            if seen.position == view.position:
                view.versions |= seen.versions
                view.balances |= seen.balances
                return view
        streams = {stream for waiting in batch for stream in waiting.append.streams()}
        accounts = {account for waiting in batch for account in waiting.append.accounts()}
        self._view = batch_sql.look(self._connected(), streams, accounts)
        return self._view

    def _write(self, view: View, decided: Decided, *, fresh: bool) -> bool:
        """Write what was decided and answer; False if others appended meanwhile."""
        connection = self._connected()
        hashed = batch_sql.hash_batch(view, decided.entries, self._clock())
        faultpoint("writer.before_commit")
        try:
            written = batch_sql.write(connection, view, decided.books, decided.entries, hashed)
        except psycopg.errors.UniqueViolation:
            if fresh:
                raise  # it cannot be for want of looking
            written = False  # a stream that nobody had looked at exists
        except psycopg.Error:
            if not connection.closed:
                raise  # the database answered: the statement has failed as a whole
            written_after_all = self._look_up(hashed, decided)
            if written_after_all is None:
                return True
            if not written_after_all:
                raise
            written = True
        faultpoint("writer.after_commit")
        if written:
            self._remember(view, decided.books, hashed)
            decided.answer(hashed)
        return written

    def _remember(self, view: View, books: Books, hashed: Hashed) -> None:
        """The view moves on with the batch; it starts anew rather than grow for ever."""
        if len(view.versions) + len(view.balances) > REMEMBERED_MAX:
            view.versions.clear()
            view.balances.clear()
        view.position, view.recorded_at = hashed.size, hashed.recorded_at
        view.frontier = hashed.frontier
        view.versions |= books.versions
        view.balances |= books.balances

    def _look_up(self, hashed: Hashed, decided: Decided) -> bool | None:
        """After a broken commit: is the batch in the log? None once nobody waits any longer."""
        backend = self._backend
        self._disconnect()
        while True:
            try:
                with self._open() as connection:
                    found = batch_sql.was_committed(connection, backend, hashed)
                if found is not None:
                    return found
            except psycopg.Error:
                threading.Event().wait(RETRY_SECONDS)
            if all(waiting.deadline <= monotonic() for waiting in decided.waiting()):
                for waiting in decided.waiting():
                    waiting.settle(OutcomeUnknown())
                for waiting, _ in decided.refusals:
                    waiting.settle(StoreUnavailable())
                return None

    def _connected(self) -> Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = self._open()
            self._backend = batch_sql.backend_of(self._connection)
        self._asked_at = monotonic()
        return self._connection

    def _open(self) -> Connection[TupleRow]:
        self._asked_at = monotonic()
        connection = self._connect()
        arrays.register(connection)
        # Of our own, so that hanging up never hits another file of the same number.
        wire, self._wire = self._wire, socket.socket(fileno=os.dup(connection.fileno()))
        if wire is not None:
            wire.close()
        self._asked_at = monotonic()
        return connection

    def _disconnect(self) -> None:
        self._view = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._wire is not None:
            wire, self._wire = self._wire, None
            wire.close()
