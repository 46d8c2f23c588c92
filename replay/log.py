"""Reading the log from a snapshot, however long it is, in bounded memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.rows import TupleRow

PAGE_EVENTS = 5_000

_READ = """
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at, leaf
FROM ledger_events WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id
"""
_HEAD = "SELECT position, root FROM ledger_head"


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the log, as stored."""

    position: int
    stream: UUID
    version: int
    topic: str
    state: bytes
    recorded_at: datetime
    leaf: bytes


@contextmanager
def snapshot(conninfo: str) -> Iterator[Connection[TupleRow]]:
    """A read-only connection that sees the ledger at one moment, for as long as it is open."""
    with psycopg.connect(conninfo) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET statement_timeout = 0")
        connection.commit()
        yield connection


def head(connection: Connection[TupleRow]) -> tuple[int, bytes]:
    """Position and root of the head row."""
    row = connection.execute(_HEAD, binary=True).fetchone()
    if row is None:
        raise LookupError("the ledger has no head row; run `tallystick db migrate`")
    return row[0], row[1]


def stored_events(
    connection: Connection[TupleRow], *, after: int = 0, upto: int
) -> Iterator[Stored]:
    """Every stored event with `after` < position ≤ `upto`, in order."""
    with connection.cursor(name="log", binary=True) as cursor:
        cursor.itersize = PAGE_EVENTS
        cursor.execute(_READ, [after, upto])
        for row in cursor:
            yield Stored(*row)
