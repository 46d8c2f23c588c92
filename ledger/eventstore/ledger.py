"""The ledger: append events with all that follows from them, and read streams back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Repository
from eventsourcing.persistence import EventStore, StoredEvent
from psycopg import connect

from domain.counters import counts
from domain.events import LedgerEvent
from domain.postings import postings
from ledger.eventstore.append import Append, Entry, Receipt
from ledger.eventstore.codec import TOPICS, LedgerMapper, decode, encode
from ledger.eventstore.errors import AppendError
from ledger.eventstore.recorder import LedgerDatastore, LedgerRecorder
from ledger.eventstore.remembered import Remembered
from ledger.eventstore.writer import GroupCommitWriter

T = TypeVar("T")

STREAMS_REMEMBERED_MAX = 50_000
"""Players and providers kept in memory, about a kilobyte each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event with its place in the log."""

    position: int
    event: LedgerEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """One append of several that are made at once; the fields are the arguments of `append`."""

    events: Sequence[LedgerEvent]
    refusal: Sequence[LedgerEvent] = ()
    unchanged: Mapping[UUID, int] = field(default_factory=dict)
    ceilings: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    report: Sequence[str] = ()


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
        self.recorder = LedgerRecorder(self._datastore, self._writer, _changes_of_stored)
        store: EventStore[UUID] = EventStore(LedgerMapper(), self.recorder)
        self._repository = Repository(store)
        self._remembered: Remembered[Any] = Remembered(STREAMS_REMEMBERED_MAX)

    def append(
        self,
        events: Sequence[LedgerEvent],
        *,
        refusal: Sequence[LedgerEvent] = (),
        unchanged: Mapping[UUID, int] | None = None,
        ceilings: Mapping[str, int] | None = None,
        expected: Mapping[str, int] | None = None,
        report: Sequence[str] = (),
    ) -> Receipt:
        """Write the events, or the refusal where they would lead below a floor or above a ceiling.

        Args:
            events: at least one; all are written, or none.
            refusal: what is written instead of them; without it, FloorPassed or CeilingPassed.
            unchanged: streams that the decision looked at, with the version it saw; otherwise
                VersionConflict.
            ceilings: accounts and counters, with the largest balance they may have after the
                events. Floors need not be named: they are the accounts' own.
            expected: accounts and counters that the decision looked at, with the balance it saw;
                otherwise BalanceChanged.
            report: accounts and counters whose balance the receipt should state.

        Raises:
            AppendError: see `errors.py`; each class says whether anything was written.
        """
        return self._writer.append(
            Append(
                entries=[_entry(event) for event in events],
                refusal=[_entry(event) for event in refusal],
                unchanged=unchanged or {},
                ceilings=ceilings or {},
                expected=expected or {},
                report=report,
            )
        )

    def append_many(self, drafts: Sequence[Drafting]) -> list[Receipt | AppendError]:
        """Make many appends at once, each as `append` would, in this order; wait once.

        Each has an outcome of its own, in the order of `drafts`; a later one sees what an earlier
        one wrote. They share the database's transactions with one another and with everybody
        else's: to have them all or none, put their events into one append.

        Raises:
            QueueFull: there is no room for all of them, as never for more than `queue_size_max`;
                nothing of any was written.
            StoreUnavailable: the ledger is shutting down; nothing of any was written.
        """
        return self._writer.append_many([_append(draft) for draft in drafts])

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
        state = cast("T | None", self._remembered.get(stream))
        if state is None:
            state = self.load(stream, project)
            if state is not None:
                self._remembered.put(stream, state)
        return state

    def forget(self, stream: UUID) -> None:
        """What is remembered of a stream is out of date: read it again next time."""
        self._remembered.forget(stream)

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


def _append(draft: Drafting) -> Append:
    return Append(
        entries=[_entry(event) for event in draft.events],
        refusal=[_entry(event) for event in draft.refusal],
        unchanged=draft.unchanged,
        ceilings=draft.ceilings,
        expected=draft.expected,
        report=draft.report,
    )


def _entry(event: LedgerEvent) -> Entry:
    return Entry(
        event.originator_id,
        event.originator_version,
        TOPICS[type(event)],
        encode(event),
        changes_of(event),
    )


def changes_of(event: LedgerEvent) -> tuple[tuple[str, int], ...]:
    """Accounts and counters that an event changes, and by how much."""
    return tuple(
        [(posting.account, posting.amount_minor) for posting in postings(event)]
        + [(count.counter, count.change) for count in counts(event)]
    )


def _changes_of_stored(stored: StoredEvent) -> tuple[tuple[str, int], ...]:
    stream = cast("UUID", stored.originator_id)
    return changes_of(decode(stored.topic, stored.state, stream, stored.originator_version))
