"""A frontier that also tells of the perfect subtrees of 256, 65,536, … leaves as they fill up."""

from typing import Final

from ledger.checkpoints.store import Subtree
from ledger.eventstore.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, root_over
from ledger.eventstore.stored_hashes import TILE_HEIGHT, TILE_WIDTH

_LOW: Final = TILE_WIDTH - 1


class TiledFrontier:
    """The compact range of a growing log, one frontier for each height of tiles.

    Packed it is the same bytes as `Frontier`, which has one for all.
    """

    __slots__ = ("_filled", "_levels", "size")

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        """The frontier of a log of `size` leaves from its bytes.

        Raises:
            ValueError: the bytes do not belong to a log of that size.
        """
        if len(packed) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"a frontier of {len(packed)} bytes cannot be of {size} leaves")
        self.size = size
        self._filled: list[Subtree] = []
        self._levels: list[Frontier] = []
        end, rest = len(packed), size
        while rest or not self._levels:
            width = rest & _LOW
            start = end - width.bit_count() * HASH_BYTES
            self._levels.append(Frontier(width, packed[start:end]))
            end, rest = start, rest >> TILE_HEIGHT

    def append(self, leaf: bytes) -> None:
        """Add the next leaf."""
        self.size += 1
        level, node = 0, leaf
        while True:
            if level == len(self._levels):
                self._levels.append(Frontier())
            frontier = self._levels[level]
            frontier.append(node)
            if frontier.size < TILE_WIDTH:
                return
            node, level = frontier.root(), level + 1
            self._levels[level - 1] = Frontier()
            height = level * TILE_HEIGHT
            self._filled.append(Subtree(height, (self.size >> height) - 1, node))

    def take_filled(self) -> list[Subtree]:
        """The subtrees that have filled up since this was last asked."""
        filled, self._filled = self._filled, []
        return filled

    def root(self) -> bytes:
        """The root over every leaf so far."""
        subtrees = [node for level in reversed(self._levels) for node in level.subtrees()]
        return root_over(subtrees) if subtrees else EMPTY_ROOT

    def pack(self) -> bytes:
        """32 bytes per perfect subtree, largest first."""
        return b"".join(level.pack() for level in reversed(self._levels))

    def copy(self) -> "TiledFrontier":
        """An independent one, of which nothing has filled up yet."""
        return TiledFrontier(self.size, self.pack())
