"""Reading the log as the signer does: event by event, each leaf computed anew."""

import struct
from collections.abc import Iterator
from typing import Any, Final

from psycopg import Connection

from ledger.checkpoints.tiled import TiledFrontier
from ledger.eventstore.merkle import leaf_hash, recorded_at_us

PAGE_EVENTS: Final = 1_000
STEP_EVENTS: Final = 20_000
"""At most about so many between two checkpoints; a batch of appends is never divided."""


_PAGE = """
SELECT notification_id, uuid_send(originator_id), originator_version, convert_to(topic, 'UTF8'),
       timestamptz_send(recorded_at), state, leaf
FROM ledger_events WHERE notification_id > %s AND notification_id <= %s
ORDER BY notification_id LIMIT %s
"""
_HEAD = "SELECT position, root FROM ledger_head"
_NEXT_SIZE = """
SELECT coalesce(
    (SELECT max(size) FROM ledger_roots WHERE size > %(after)s AND size <= %(upto)s),
    (SELECT min(size) FROM ledger_roots WHERE size > %(after)s)
)
"""
_ROOT = "SELECT root FROM ledger_roots WHERE size = %s"


class Refused(Exception):
    """The log is not what was recorded or signed; the signer does not put its name to it."""

    def __init__(self, code: str, detail: str, position: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.position = position


def head(connection: Connection[Any]) -> tuple[int, bytes]:
    """Where the log ends, and the root there."""
    row = connection.execute(_HEAD, binary=True).fetchone()
    if row is None:
        raise Refused("head_missing", "the ledger has no head row")
    return row[0], row[1]


def next_size(connection: Connection[Any], after: int, upto: int) -> int:
    """The end of a batch of appends: the last within STEP_EVENTS, or the first there is.

    Raises:
        Refused: there is no batch, though the log goes on up to `upto`.
    """
    values = {"after": after, "upto": min(upto, after + STEP_EVENTS)}
    row = connection.execute(_NEXT_SIZE, values, binary=True).fetchone()
    if row is None or row[0] is None or row[0] > upto:
        raise Refused("root_missing", f"no root is recorded after position {after}", after)
    return int(row[0])


def recorded_root(connection: Connection[Any], size: int) -> bytes | None:
    """The root that was recorded when the log had `size` events; None if none was."""
    row = connection.execute(_ROOT, [size], binary=True).fetchone()
    return None if row is None else row[0]


def extend(connection: Connection[Any], frontier: TiledFrontier, upto: int) -> Iterator[int]:
    """Extend the frontier by the events up to a position; each size is given as it is reached.

    Raises:
        Refused: an event is missing, or its leaf is not what was recorded.
    """
    while frontier.size < upto:
        page = connection.execute(_PAGE, [frontier.size, upto, PAGE_EVENTS], binary=True).fetchall()
        if not page:
            raise _missing(frontier.size + 1)
        for position, stream, version, topic, recorded, state, leaf in page:
            if position != frontier.size + 1:
                raise _missing(frontier.size + 1)
            if leaf_of(position, stream, version, topic, recorded, state) != leaf:
                raise Refused(
                    "leaf_differs", f"the event at position {position} was altered", position
                )
            frontier.append(leaf)
            yield position


def leaf_of(
    position: int, stream: bytes, version: int, topic: bytes, recorded: bytes, state: bytes
) -> bytes | None:
    """The leaf that an event must have; `recorded` and `topic` are the bytes PostgreSQL sends.

    None where no event can be like that.
    """
    try:
        return leaf_hash(position, stream, version, topic, recorded_at_us(recorded), state)
    except struct.error:
        return None


def _missing(position: int) -> Refused:
    return Refused("position_missing", f"there is no event at position {position}", position)
