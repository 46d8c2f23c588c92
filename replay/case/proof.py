"""One proof for all events of a case, made with few reads however many events there are."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from ledger.eventstore.merkle import Frontier
from ledger.eventstore.proofs import joint_proof
from ledger.eventstore.stored_hashes import TILE_WIDTH, HashesMissing, StoredHashes

_LEAVES = """
SELECT leaf FROM ledger_events
WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id
"""


class _OneTileAtATime:
    """The hashes of the log; leaves a tile at a time: a proof goes left to right."""

    def __init__(self, connection: Connection[Any], size: int) -> None:
        self._connection, self._size = connection, size
        self._above = StoredHashes(connection)
        self._start, self._tile = -1, list[bytes]()

    def subtree(self, start: int, end: int) -> bytes:
        """The root over the leaves from index `start` up to `end`, not included."""
        if end - start > TILE_WIDTH:
            return self._above.subtree(start, end)
        tile = start // TILE_WIDTH * TILE_WIDTH
        if tile != self._start:
            until = min(tile + TILE_WIDTH, self._size)
            rows = self._connection.execute(_LEAVES, [tile, until], binary=True)
            self._start, self._tile = tile, [leaf for (leaf,) in rows]
            if len(self._tile) != until - tile:
                raise HashesMissing(f"positions {tile + 1} to {until} are not all in the log")
        frontier = Frontier()
        frontier.extend(self._tile[start - tile : end - tile])
        return frontier.root()


def proof_of(connection: Connection[Any], positions: Sequence[int], size: int) -> list[bytes]:
    """The hashes that lead from the events at these positions to the root of `size` events.

    Raises:
        HashesMissing: the log ends before `size`, or has a hole.
    """
    indices = [position - 1 for position in positions]
    return joint_proof(indices, size, _OneTileAtATime(connection, size))
