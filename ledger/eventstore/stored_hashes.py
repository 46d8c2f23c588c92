"""The hashes of the tree, where they are stored: reading a few for a proof, however long the log.

Leaves are a column of the log. Above them the roots of perfect subtrees of 256, 65,536, … leaves
are kept in `ledger_subtrees`, written by the signer as they fill up: the nodes that a tile of C2SP
tlog-tiles holds. Whatever is not there yet follows from what is below it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection

from ledger.eventstore.merkle import Frontier, root_over

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
HEIGHT_MAX = 56

_LEAVES = """
SELECT leaf FROM ledger_events
WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id
"""
_SUBTREES = """
SELECT number, hash FROM ledger_subtrees
WHERE height = %s AND number >= %s AND number < %s ORDER BY number
"""


class HashesMissing(LookupError):
    """The log ends before the leaves that were asked for, or has a hole among them."""


class StoredHashes:
    """The hashes of the log as far as one connection sees it; what was read is remembered."""

    def __init__(self, connection: Connection[Any]) -> None:
        """`connection` is of the reader role; at repeatable read, or of a log that only grows."""
        self._connection = connection
        self._remembered: dict[tuple[int, int], bytes] = {}

    def subtree(self, start: int, end: int) -> bytes:
        """The root over the leaves from index `start` up to `end`, not included.

        Raises:
            HashesMissing: not all of them are there.
        """
        found = self._remembered.get((start, end))
        if found is None:
            found = self._remembered[start, end] = self._subtree(start, end)
        return found

    def _subtree(self, start: int, end: int) -> bytes:
        if end - start <= TILE_WIDTH:
            return _frontier(self._leaves(start, end)).root()
        height = TILE_HEIGHT
        while end - start > 1 << (height + TILE_HEIGHT) and height < HEIGHT_MAX:
            height += TILE_HEIGHT
        first, last = start >> height, end >> height
        row = self._stored(height, first, last)
        for number in range(first + len(row), last):  # not stored yet: from what is below
            row.append(self.subtree(number << height, (number + 1) << height))
        return root_over([*_frontier(row).subtrees(), *self._right_edge(last << height, end)])

    def _right_edge(self, start: int, end: int) -> Iterator[bytes]:
        """The perfect subtrees that fill the rest, largest first."""
        while start < end:
            width = 1 << ((end - start).bit_length() - 1)
            yield self.subtree(start, start + width)
            start += width

    def _leaves(self, start: int, end: int) -> list[bytes]:
        rows = self._connection.execute(_LEAVES, [start, end], binary=True).fetchall()
        if len(rows) != end - start:
            raise HashesMissing(f"positions {start + 1} to {end} are not all in the log")
        return [row[0] for row in rows]

    def _stored(self, height: int, first: int, last: int) -> list[bytes]:
        """Those from `first` on that are stored without a gap."""
        rows = self._connection.execute(_SUBTREES, [height, first, last], binary=True).fetchall()
        return [hash_ for expected, (number, hash_) in enumerate(rows, first) if number == expected]


def _frontier(hashes: Sequence[bytes]) -> Frontier:
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier
