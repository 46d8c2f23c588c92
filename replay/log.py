"""Reading the log from a snapshot, however long it is, in bounded memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.rows import TupleRow

from ledger.eventstore.merkle import recorded_at_us as recorded_at_us
from projections.engine.log_reader import recorded_at as recorded_at

PAGE_EVENTS: Final = 5_000
POSITION_MAX: Final = 2**63 - 1

# Columns travel in the cheapest form: a UUID and an instant take longer to build than all the
# rest together. The sending functions give their bytes as they are, however odd.
COLUMNS: Final = """notification_id, uuid_send(originator_id), originator_version, topic, state,
       timestamptz_send(recorded_at), leaf"""
"""Of `ledger_events`: the fields of `Raw`."""

_TIME = """CASE WHEN recorded_at >= '0001-01-02Z' AND recorded_at < '9999-12-31Z'
     THEN recorded_at ELSE '0001-01-02Z' END"""
_HEAD = f"SELECT position, root, frontier, {_TIME} FROM ledger_head"


class Raw(NamedTuple):
    """One row of the log, as it travels."""

    position: int
    stream: bytes
    """16 bytes: `UUID(bytes=…)`."""
    version: int
    topic: str
    state: bytes
    recorded: bytes
    """8 bytes: microseconds since 2000, big-endian, signed; see `recorded_at`."""
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The head row: where the log ends, and what the next append goes on from."""

    position: int
    root: bytes
    frontier: bytes
    recorded_at: datetime


@contextmanager
def snapshot(conninfo: str, exported: str | None = None) -> Iterator[Connection[TupleRow]]:
    """A read-only connection that sees the ledger at one moment, for as long as it is open.

    `exported` is what `export` gave for another one: both then see the same moment.
    """
    with psycopg.connect(conninfo) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET statement_timeout = 0")
        # A database or role may prefer another style, which the driver cannot read.
        connection.execute("SET DateStyle = 'ISO'; SET client_encoding = 'UTF8'")
        connection.commit()
        # Begun here, so that a block `with connection.transaction()` of whoever reads is within it:
        # the first of them would otherwise be all of it, and the next one see another moment.
        if exported is None:
            connection.execute("SELECT")
        else:
            connection.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(exported))
        yield connection


def export(connection: Connection[TupleRow]) -> str:
    """A name under which other connections can see the moment that this one sees."""
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    if row is None:
        raise LookupError("the database exports no snapshot")
    return str(row[0])


def head(connection: Connection[TupleRow]) -> Head:
    """The head row."""
    row = connection.execute(_HEAD, binary=True).fetchone()
    if row is None:
        raise LookupError("the ledger has no head row; run `tallystick db migrate`")
    return Head(*row)


def pages(
    connection: Connection[TupleRow],
    *,
    after: int = 0,
    upto: int = POSITION_MAX,
    condition: str = "true",
    values: Sequence[Any] = (),
    page_events: int = PAGE_EVENTS,
) -> Iterator[list[Raw]]:
    """The events after one position up to another, in order, page by page.

    Also where none belongs: `after` below 0 reads what is before the first, too.

    Args:
        condition: what else has to be true of a row of `ledger_events AS event`, as SQL.
        values: what it is bound to, in order.
        page_events: at most so many at once.
    """
    query = f"""
        SELECT {COLUMNS} FROM ledger_events AS event
        WHERE notification_id > %s AND notification_id <= %s AND ({condition})
        ORDER BY notification_id
    """
    with connection.cursor(name="log", binary=True, row_factory=_raw_rows) as cursor:
        cursor.itersize = page_events
        cursor.execute(query.encode(), [after, upto, *values])
        while page := cursor.fetchmany(page_events):
            yield page


def stream_id(raw: Raw) -> UUID:
    """The stream that a row belongs to."""
    return UUID(bytes=raw.stream)


def _raw_rows(_cursor: Any) -> Any:
    return Raw._make
