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

# A time that Python cannot hold was never recorded by us: any other that was not will do for it.
_TIME = """CASE WHEN recorded_at >= '0001-01-02Z' AND recorded_at < '9999-12-31Z'
     THEN recorded_at ELSE '0001-01-02Z' END"""
_READ = f"""
SELECT notification_id, originator_id, originator_version, topic, state, {_TIME}, leaf
FROM ledger_events ORDER BY notification_id
"""
_HEAD = f"SELECT position, root, frontier, {_TIME} FROM ledger_head"


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


@dataclass(frozen=True, slots=True)
class Head:
    """The head row: where the log ends, and what the next append goes on from."""

    position: int
    root: bytes
    frontier: bytes
    recorded_at: datetime


@contextmanager
def snapshot(conninfo: str) -> Iterator[Connection[TupleRow]]:
    """A read-only connection that sees the ledger at one moment, for as long as it is open."""
    with psycopg.connect(conninfo) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET statement_timeout = 0")
        connection.commit()
        yield connection


def head(connection: Connection[TupleRow]) -> Head:
    """The head row."""
    row = connection.execute(_HEAD, binary=True).fetchone()
    if row is None:
        raise LookupError("the ledger has no head row; run `tallystick db migrate`")
    return Head(*row)


def stored_events(connection: Connection[TupleRow]) -> Iterator[Stored]:
    """Every stored event in order, also where none belongs: before the first, after the head."""
    with connection.cursor(name="log", binary=True) as cursor:
        cursor.itersize = PAGE_EVENTS
        cursor.execute(_READ)
        for row in cursor:
            yield Stored(*row)
