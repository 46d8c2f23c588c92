"""The ledger: append events with all that follows from them, and read streams back."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Repository
from eventsourcing.persistence import EventStore, StoredEvent
from psycopg import connect

from domain.events import LedgerEvent
from domain.postings import Posting, postings
from tallystick.eventstore.append import Append, Entry, Receipt
from tallystick.eventstore.codec import TOPICS, LedgerMapper, decode, encode
from tallystick.eventstore.recorder import LedgerDatastore, LedgerRecorder
from tallystick.eventstore.writer import GroupCommitWriter

T = TypeVar("T")

STREAMS_REMEMBERED_MAX = 50_000
"""Players and providers kept in memory, about a kilobyte each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event with its place in the log."""

    position: int
    event: LedgerEvent


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


class Ledger:
    """One log: every append goes through here, and every stream is read from here."""

    def __init__(
        self,
        conninfo: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        queue_size_max: int = 1_000,
        timeout_seconds: float = 5.0,
        pool_size_max: int = 16,
    ) -> None:
        """`conninfo` is of the writer role."""
        self._datastore = LedgerDatastore(conninfo, pool_size_max=pool_size_max)
        self._writer = GroupCommitWriter(
            lambda: connect(conninfo, autocommit=True),
            clock,
            queue_size_max=queue_size_max,
            timeout_seconds=timeout_seconds,
        )
        self.recorder = LedgerRecorder(self._datastore, self._writer, _postings_of)
        store: EventStore[UUID] = EventStore(LedgerMapper(), self.recorder)
        self._repository = Repository(store)
        self._remembered = Repository(
            store,
            cache_maxsize=STREAMS_REMEMBERED_MAX,
            fastforward=False,
            deepcopy_from_cache=False,
        )

    def append(
        self,
        events: Sequence[LedgerEvent],
        *,
        refusal: Sequence[LedgerEvent] = (),
        unchanged: Mapping[UUID, int] | None = None,
        report: Sequence[str] = (),
    ) -> Receipt:
        """Write the events, or the refusal where a balance would pass its floor.

        `unchanged` names streams that the decision looked at, with the version it saw; `report`
        names accounts whose balance the receipt should state.

        Raises:
            AppendError: see `errors.py`; each class says whether anything was written.
        """
        return self._writer.append(
            Append(
                entries=[_entry(event) for event in events],
                refusal=[_entry(event) for event in refusal],
                unchanged=unchanged or {},
                report=report,
            )
        )

    def load(self, stream: UUID, project: Callable[[Any, Iterable[Any]], T]) -> T | None:
        """The state of a stream, folded by `project`; None where there is no such stream."""
        try:
            return cast("T", self._repository.get(stream, projector_func=cast("Any", project)))
        except AggregateNotFoundError:
            return None

    def remembered(self, stream: UUID, project: Callable[[Any, Iterable[Any]], T]) -> T | None:
        """The state of a stream as last read, which may be out of date.

        Name its version in `unchanged` when a decision rests on it; after a conflict, `forget`.
        """
        try:
            return cast("T", self._remembered.get(stream, projector_func=cast("Any", project)))
        except AggregateNotFoundError:
            return None

    def forget(self, stream: UUID) -> None:
        """What is remembered of a stream is out of date: read it again next time."""
        cache = self._remembered.cache
        if cache is not None:
            with contextlib.suppress(KeyError):
                cache.get(stream, evict=True)

    def history(self, stream: UUID) -> list[LedgerEvent]:
        """Every event of a stream, in order."""
        return [
            decode(e.topic, e.state, stream, e.originator_version)
            for e in self.recorder.select_events(stream)
        ]

    def receipt(self, stream: UUID, version: int) -> Receipt:
        """The receipt of an earlier append, by its last event; without balances.

        Raises:
            LookupError: there is no such event.
        """
        with self._datastore.get_connection() as connection:
            row = connection.execute(
                """
                SELECT e.notification_id, e.leaf, e.recorded_at, r.size, r.root
                FROM ledger_events AS e
                CROSS JOIN LATERAL (
                    SELECT size, root FROM ledger_roots
                    WHERE size >= e.notification_id ORDER BY size LIMIT 1
                ) AS r
                WHERE e.originator_id = %s AND e.originator_version = %s
                """,
                [stream, version],
            ).fetchone()
        if row is None:
            raise LookupError(f"stream {stream} has no version {version}")
        return Receipt(
            position=row["notification_id"],
            positions=(row["notification_id"],),
            leaf=bytes(row["leaf"]),
            size=row["size"],
            root=bytes(row["root"]),
            recorded_at=row["recorded_at"],
            refused=False,
            balances={},
        )

    def balances(self, accounts: Sequence[str]) -> dict[str, int]:
        """Balances now, in minor units; an account nobody has used is at zero."""
        with self._datastore.get_connection() as connection:
            rows = connection.execute(
                "SELECT account, balance FROM ledger_accounts WHERE account = ANY(%s)",
                [list(accounts)],
            ).fetchall()
        return dict.fromkeys(accounts, 0) | {row["account"]: row["balance"] for row in rows}

    def waiting(self) -> int:
        """How many appends are queued."""
        return self._writer.waiting()

    def close(self) -> None:
        """Write what is queued, then let go of the database."""
        self._writer.close()
        self._datastore.close()


def _entry(event: LedgerEvent) -> Entry:
    return Entry(
        event.originator_id,
        event.originator_version,
        TOPICS[type(event)],
        encode(event),
        postings(event),
    )


def _postings_of(stored: StoredEvent) -> tuple[Posting, ...]:
    stream = cast("UUID", stored.originator_id)
    return postings(decode(stored.topic, stored.state, stream, stored.originator_version))
