"""What one batch of appends reads and writes, as SQL: one statement each way."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.accounts import floor_minor
from ledger.eventstore import arrays
from ledger.eventstore.append import Books, Entry
from ledger.eventstore.merkle import Frontier, leaf_hash

CHANNEL = "ledger_events"
"""NOTIFY channel: somebody appended. It only shortens a follower's wait."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# One statement is one snapshot: the versions and balances are those at the head's position.
_LOOK = """
SELECT
    position, recorded_at, frontier,
    ARRAY(
        SELECT coalesce((
            SELECT max(originator_version) FROM ledger_events WHERE originator_id = stream
        ), 0)
        FROM unnest(%b::uuid[]) WITH ORDINALITY AS wanted (stream, number) ORDER BY number
    ),
    ARRAY(
        SELECT coalesce((
            SELECT balance FROM ledger_accounts AS kept WHERE kept.account = wanted.account
        ), 0)
        FROM unnest(%b::text[]) WITH ORDINALITY AS wanted (account, number) ORDER BY number
    )
FROM ledger_head
"""

# Compare and set: if the head is no longer where the batch was decided, `head` is empty and
# nothing is written. If it is, nobody has appended since, so what was decided still holds. The
# head row's lock orders the batches of every process, and the log has no gaps.
_WRITE = f"""
WITH head AS (
    UPDATE ledger_head
    SET position = %(size)b, recorded_at = %(at)b, frontier = %(frontier)b, root = %(root)b
    WHERE position = %(position)b
    RETURNING position
), event AS (
    INSERT INTO ledger_events
        (notification_id, originator_id, originator_version, topic, state, recorded_at, leaf)
    SELECT %(position)b + number, stream, version, topic, state, %(at)b, leaf
    FROM head, unnest(%(streams)b::uuid[], %(versions)b::bigint[], %(topics)b::text[],
                      %(states)b::bytea[], %(leaves)b::bytea[])
        WITH ORDINALITY AS entry (stream, version, topic, state, leaf, number)
), account AS (
    INSERT INTO ledger_accounts (account, balance, floor, position)
    SELECT moved.* FROM head, unnest(%(accounts)b::text[], %(balances)b::bigint[],
                                     %(floors)b::bigint[], %(moved_at)b::bigint[]) AS moved
    ON CONFLICT (account) DO UPDATE SET balance = excluded.balance, position = excluded.position
), root AS (
    INSERT INTO ledger_roots (size, root) SELECT %(size)b, %(root)b FROM head
)
SELECT pg_notify('{CHANNEL}', '') FROM head
"""

_FIND = "SELECT leaf FROM ledger_events WHERE notification_id = %b"
_WHO_AM_I = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END = """
SELECT pg_terminate_backend(pid, %b) FROM pg_stat_activity WHERE pid = %b AND backend_start = %b
"""
_END_WAIT_MS = 2_000


@dataclass(slots=True)
class View:
    """The ledger at one position, as far as somebody has looked."""

    position: int
    recorded_at: datetime
    frontier: Frontier
    versions: dict[UUID, int]
    """0 where there is no such stream."""
    balances: dict[str, int]
    """0 where there is no such account."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """Where a batch stands in the log once it is written."""

    first_position: int
    leaves: Sequence[bytes]
    root: bytes
    frontier: Frontier
    recorded_at: datetime

    @property
    def size(self) -> int:
        return self.frontier.size


@dataclass(frozen=True, slots=True)
class Backend:
    """The database's process behind a connection, to be told from a later one of the same id."""

    pid: int
    started_at: datetime


def look(
    connection: Connection[TupleRow], streams: Collection[UUID], accounts: Collection[str]
) -> View:
    """The head, and the versions and balances at its position."""
    wanted_streams, wanted_accounts = list(streams), list(accounts)
    row = connection.execute(
        _LOOK, [wanted_streams, wanted_accounts], prepare=True, binary=True
    ).fetchone()
    if row is None:
        raise LookupError("the ledger has no head row; run `tallystick db migrate`")
    position, recorded_at, frontier, versions, balances = row
    return View(
        position,
        recorded_at,
        Frontier(position, frontier),
        dict(zip(wanted_streams, versions, strict=True)),
        dict(zip(wanted_accounts, balances, strict=True)),
    )


def hash_batch(view: View, entries: Sequence[Entry], now: datetime) -> Hashed:
    """Positions, leaves and the new root; no event is recorded before the one it follows."""
    first = view.position + 1
    recorded_at = max(view.recorded_at, now)
    at_us = (recorded_at - _EPOCH) // _MICROSECOND
    leaves = [
        leaf_hash(
            position, entry.stream.bytes, entry.version, entry.topic.encode(), at_us, entry.state
        )
        for position, entry in enumerate(entries, first)
    ]
    frontier = view.frontier.copy()
    frontier.extend(leaves)
    return Hashed(first, leaves, frontier.root(), frontier, recorded_at)


def write(
    connection: Connection[TupleRow],
    view: View,
    books: Books,
    entries: Sequence[Entry],
    hashed: Hashed,
) -> bool:
    """Write and commit the batch; False if the head has moved on, and nothing was written.

    Raises:
        psycopg.errors.UniqueViolation: a stream's version is taken; nothing was written.
    """
    accounts = list(books.moved)
    cursor = connection.execute(
        _WRITE,
        {
            "position": view.position,
            "at": hashed.recorded_at,
            "streams": arrays.uuids([entry.stream for entry in entries]),
            "versions": arrays.integers([entry.version for entry in entries]),
            "topics": arrays.texts([entry.topic for entry in entries]),
            "states": arrays.byteas([entry.state for entry in entries]),
            "leaves": arrays.byteas(hashed.leaves),
            "accounts": arrays.texts(accounts),
            "balances": arrays.integers([books.balances[account] for account in accounts]),
            "floors": arrays.integers([floor_minor(account) for account in accounts]),
            "moved_at": arrays.integers(
                [hashed.first_position + index for index in books.moved.values()]
            ),
            "size": hashed.size,
            "root": hashed.root,
            "frontier": hashed.frontier.pack(),
        },
        prepare=True,
    )
    return cursor.rowcount == 1


def backend_of(connection: Connection[TupleRow]) -> Backend:
    """Who serves this connection."""
    connection.execute("SET ROLE NONE")  # as the login itself: others do not see the start time
    row = connection.execute(_WHO_AM_I).fetchone()
    connection.execute("RESET ROLE")
    if row is None:
        raise LookupError("the database does not list its own connection")
    return Backend(*row)


def was_committed(
    connection: Connection[TupleRow], backend: Backend, hashed: Hashed
) -> bool | None:
    """Whether a batch whose answer was cut off is in the log; None if that is not certain yet.

    The backend that may still be at work on it is ended first: after that, nothing can write
    the batch any more, and what the log says is final.
    """
    connection.execute("SET ROLE NONE")  # only the login itself may end its own backends
    ended = connection.execute(_END, [_END_WAIT_MS, backend.pid, backend.started_at]).fetchone()
    if ended is not None and not ended[0]:
        return None
    row = connection.execute(_FIND, [hashed.first_position], binary=True).fetchone()
    return row is not None and row[0] == hashed.leaves[0]
