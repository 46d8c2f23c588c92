"""The event store as the eventsourcing library knows it.

Reading is the library's own; inserting goes through group commit, because the library's insert
takes a table lock per transaction, leaves gaps in the positions, and repeats an insert after a
broken commit, which then reports a conflict that never was.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import (
    ConnectionPool,
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresSubscription,
)
from psycopg import Connection, sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import PoolTimeout

from ledger.eventstore.append import Append, Entry
from ledger.eventstore.errors import AppendError, OutcomeUnknown, QueueFull, StoreUnavailable
from ledger.eventstore.writer import GroupCommitWriter

EVENTS_TABLE = "ledger_events"

ChangesOf = Callable[[StoredEvent], tuple[tuple[str, int], ...]]
"""Accounts and counters that an event changes, and by how much."""


class LedgerDatastore(PostgresDatastore):
    """The library's pool, from a connection string."""

    def __init__(self, conninfo: str, *, pool_size: int = 4, pool_size_max: int = 16) -> None:
        super().__init__(dbname="", host="", port="", user="", password="")
        self.pool = ConnectionPool(
            conninfo,
            connection_class=Connection[DictRow],
            kwargs={"row_factory": dict_row},
            min_size=pool_size,
            max_size=pool_size_max,
            open=False,
            configure=self.after_connect_func(),
            timeout=5.0,
        )


class LedgerSubscription(PostgresSubscription):
    """As the library's, but an event committed just before LISTEN began does not wait unseen."""

    def _listen(self) -> None:
        try:
            with self._recorder.datastore.get_connection() as connection:
                channel = sql.Identifier(self._recorder.channel_name)
                connection.execute(sql.SQL("LISTEN {}").format(channel))
                self._has_been_notified.set()  # look once more, now that nothing can be missed
                while not self._has_been_stopped and not self._thread_error:
                    for _ in connection.notifies(timeout=0.1, stop_after=1):
                        self._has_been_notified.set()
        except Exception as error:  # noqa: BLE001  (handed to whoever iterates)
            self._thread_error = self._thread_error or error
            self.stop()


class LedgerRecorder(PostgresApplicationRecorder):
    """Dense positions, balances and the Merkle root with every insert."""

    def __init__(
        self, datastore: LedgerDatastore, writer: GroupCommitWriter, changes_of: ChangesOf
    ) -> None:
        super().__init__(datastore, events_table_name=EVENTS_TABLE)
        self._writer = writer
        self._changes_of = changes_of

    def select_events(self, originator_id: UUID | str, **bounds: Any) -> Sequence[StoredEvent]:
        """As the library's, but for its ten attempts of five seconds, which outlast any deadline.

        A connection that turns out to be dead is replaced, with all like it, and asked again.
        """
        read_once = cast("Any", PostgresApplicationRecorder.select_events).__wrapped__
        try:
            found = read_once(self, originator_id, **bounds)
        except (InterfaceError, OperationalError) as error:
            if isinstance(error.__cause__, PoolTimeout):
                raise
            self.datastore.pool.check()  # after a restart every other connection is dead too
            found = read_once(self, originator_id, **bounds)
        return cast("Sequence[StoredEvent]", found)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> LedgerSubscription:
        """Follow the log from behind a position."""
        return LedgerSubscription(recorder=self, gt=gt, topics=topics)

    def create_table(self) -> None:
        """Tables come from the migrations."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append; the positions of the events.

        Raises:
            IntegrityError: a version is taken, or a balance would pass its floor.
            OperationalError: the database cannot be written to; nothing was written.
            PersistenceError: it may have been written; the library has no name for that.
        """
        if not stored_events:
            return []
        entries = [
            Entry(
                cast("UUID", event.originator_id),
                event.originator_version,
                event.topic,
                event.state,
                self._changes_of(event),
            )
            for event in stored_events
        ]
        try:
            return list(self._writer.append(Append(entries=entries)).positions)
        except (QueueFull, StoreUnavailable) as error:
            raise OperationalError(str(error)) from error
        except OutcomeUnknown as error:
            raise PersistenceError(str(error)) from error
        except AppendError as error:
            raise IntegrityError(str(error)) from error
