"""The Merkle tree over the log: leaves, the frontier kept in the head row, and the root.

Source: RFC 6962 section 2.1 and RFC 9162 section 2.1 (SHA-256, 0x00 before leaves, 0x01 before
nodes). The frontier is the compact range of the whole log: the roots of its perfect subtrees,
largest first, one for each bit set in its size.
"""

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

MICROSECONDS_1970_TO_2000 = 946_684_800_000_000
"""Between where we and where PostgreSQL begin to count."""

_VERSION = b"tallystick/v1"
BEFORE_POSITION = b"\x00" + struct.pack(">I", len(_VERSION)) + _VERSION
"""What every leaf begins with."""

_HEAD = struct.Struct(">Q16sQI")
_TAIL = struct.Struct(">qI")


def leaf_hash(
    position: int, stream: bytes, version: int, topic: bytes, recorded_at_us: int, state: bytes
) -> bytes:
    """The leaf of one stored event.

    `stream` is the 16 bytes of its UUID, `topic` UTF-8, `recorded_at_us` microseconds since
    1970. Every part of variable length has its length in front (u32, big-endian).
    """
    return sha256(
        b"".join(
            (
                BEFORE_POSITION,
                _HEAD.pack(position, stream, version, len(topic)),
                topic,
                _TAIL.pack(recorded_at_us, len(state)),
                state,
            )
        )
    ).digest()


def recorded_at_us(sent: bytes) -> int:
    """The time in a leaf, from the 8 bytes that PostgreSQL's `timestamptz_send` gives."""
    return int.from_bytes(sent, "big", signed=True) + MICROSECONDS_1970_TO_2000


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node over two children."""
    return sha256(b"\x01" + left + right).digest()


def root_over(subtrees: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees side by side, each smaller than the one before it."""
    *larger, root = subtrees
    for subtree in reversed(larger):
        root = node_hash(subtree, root)
    return root


class Frontier:
    """The compact range of a growing log; its bytes are what the head row keeps."""

    __slots__ = ("_subtrees", "size")

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        """The frontier of a log of `size` leaves from its bytes.

        Raises:
            ValueError: the bytes do not belong to a log of that size.
        """
        if len(packed) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"a frontier of {len(packed)} bytes cannot be of {size} leaves")
        self.size = size
        self._subtrees = [
            packed[start : start + HASH_BYTES] for start in range(0, len(packed), HASH_BYTES)
        ]

    def append(self, leaf: bytes) -> None:
        """Add the next leaf."""
        size, subtrees = self.size, self._subtrees
        while size & 1:  # two perfect trees of equal height become one
            leaf = sha256(b"\x01" + subtrees.pop() + leaf).digest()
            size >>= 1
        subtrees.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root over every leaf so far."""
        return root_over(self._subtrees) if self._subtrees else EMPTY_ROOT

    def subtrees(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees that make up the log, largest first."""
        return tuple(self._subtrees)

    def pack(self) -> bytes:
        """What the head row keeps: 32 bytes per subtree, largest first."""
        return b"".join(self._subtrees)

    def copy(self) -> "Frontier":
        """An independent one."""
        return Frontier(self.size, self.pack())
