"""The tree over the log, computed again a page of leaves at a time.

A page is hashed level by level instead of leaf by leaf, which is three times as quick, and the root
after any of its leaves can still be asked for.
"""

from collections.abc import Sequence
from hashlib import sha256

from ledger.eventstore.merkle import EMPTY_ROOT


class Line:
    """A growing tree, and the nodes that its last page of leaves has completed."""

    __slots__ = ("_edge", "_first", "_levels", "size")

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """The tree of `size` leaves, of the roots of its perfect subtrees, largest first."""
        heights = [height for height in range(size.bit_length()) if size >> height & 1]
        self.size = size
        self._edge = dict(zip(reversed(heights), subtrees, strict=True))
        """The roots of the perfect subtrees before the page, by height."""
        self._first = size
        self._levels: list[list[bytes]] = []
        """Nodes that the page has completed, by height: the first is number `_first >> height`."""

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add a page."""
        self._edge = self._edge_at(self.size)
        self._first = self.size
        self._levels = []
        edge, nodes, height = self._edge, list(leaves), 0
        while nodes:
            self._levels.append(nodes)
            if self._first >> height & 1:
                nodes = [edge[height], *nodes]
            pairs = iter(nodes)
            nodes = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(pairs, pairs, strict=False)
            ]
            height += 1
        self.size += len(leaves)

    def root_at(self, size: int) -> bytes:
        """The root when the tree had so many leaves: within the last page, or at its beginning."""
        root = b""
        for subtree in self._edge_at(size).values():
            root = sha256(b"\x01" + subtree + root).digest() if root else subtree
        return root or EMPTY_ROOT

    def subtrees(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees of the whole, largest first."""
        return tuple(reversed(self._edge_at(self.size).values()))

    def completed(self, height: int) -> tuple[int, list[bytes]]:
        """The nodes of a height that the last page has completed, and the first one's number."""
        nodes = self._levels[height] if height < len(self._levels) else []
        return self._first >> height, nodes

    def copy(self) -> "Line":
        """An independent one, as if this had been read up to here and no page be remembered."""
        return Line(self.size, self.subtrees())

    def _edge_at(self, size: int) -> dict[int, bytes]:
        """The subtrees that make up the first `size` leaves, by height, lowest first."""
        edge: dict[int, bytes] = {}
        height, number = 0, size
        while number:
            if number & 1:
                first = self._first >> height
                is_new = number > first
                edge[height] = (
                    self._levels[height][number - 1 - first] if is_new else self._edge[height]
                )
            height += 1
            number >>= 1
        return edge
