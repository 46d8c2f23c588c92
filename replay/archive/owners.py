"""Whose each event is: the player whose transaction it belongs to, or else its own stream.

The first event of a transaction names the player and no later one changes that, so an owner follows
from the log alone. All streams of a player are then in one bucket, and every event of a stream.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from replay.log import Raw

REMEMBERED_MAX: Final = 100_000
"""Streams; those of long ago are asked for again."""

_FIRST_EVENTS = """
SELECT uuid_send(originator_id), state FROM ledger_events
WHERE originator_version = 1 AND originator_id = ANY(%s::uuid[])
"""


class _First(msgspec.Struct):
    player_id: UUID | None = None


_first = msgspec.json.Decoder(_First)


def owner_of(stream: bytes, first_state: bytes) -> bytes:
    """The owner of a stream, 16 bytes, from the state of its first event."""
    try:
        player_id = _first.decode(first_state).player_id
    except (msgspec.MsgspecError, UnicodeDecodeError):  # whatever it is, it names no player
        return stream
    return stream if player_id is None else player_id.bytes


class Owners:
    """The owners of streams, as the log is read from a snapshot."""

    def __init__(self, connection: Connection[TupleRow]) -> None:
        self._connection = connection
        self._known: dict[bytes, bytes] = {}

    def of(self, page: Sequence[Raw]) -> list[bytes]:
        """The owner of each event."""
        known = self._known
        for raw in page:
            if raw.version == 1:
                known[raw.stream] = owner_of(raw.stream, raw.state)
        self._ask_for({raw.stream for raw in page if raw.stream not in known})
        owners = [known[raw.stream] for raw in page]
        self._forget()
        return owners

    def _ask_for(self, streams: Iterable[bytes]) -> None:
        asked = [UUID(bytes=stream) for stream in streams]
        if not asked:
            return
        found = self._connection.execute(_FIRST_EVENTS, [asked], binary=True).fetchall()
        self._known.update((id_.bytes, id_.bytes) for id_ in asked)
        self._known.update((stream, owner_of(stream, state)) for stream, state in found)

    def _forget(self) -> None:
        surplus = len(self._known) - REMEMBERED_MAX
        for stream in list(islice(self._known, max(surplus, 0))):
            del self._known[stream]
