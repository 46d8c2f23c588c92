"""Proofs about the tree: that an event is in it, and that a later tree only added to an earlier.

Source: RFC 6962 section 2.1.1 and 2.1.2, RFC 9162 section 2.1.3 and 2.1.4. Leaves are counted from
0 there and here; the leaf of the event at position p has index p - 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from ledger.eventstore.merkle import EMPTY_ROOT, node_hash


class InvalidProof(ValueError):
    """The proof does not prove what it was given for."""


class Hashes(Protocol):
    """Where the hashes of a tree are found."""

    def subtree(self, start: int, end: int) -> bytes:
        """The root over the leaves from index `start` up to `end`, which is not included.

        `start` is a multiple of the smallest power of two that is not below `end - start`.
        """


def split(size: int) -> int:
    """How many of `size` leaves are in the left half: the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


# --- making them --------------------------------------------------------------------------------


def inclusion_proof(index: int, size: int, hashes: Hashes) -> list[bytes]:
    """The hashes that lead from a leaf to the root of the tree of `size` leaves, lowest first.

    Raises:
        ValueError: there is no such leaf in that tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has none with index {index}")
    return list(_path(index, 0, size, hashes))


def _path(index: int, start: int, end: int, hashes: Hashes) -> Iterator[bytes]:
    if end - start == 1:
        return
    middle = start + split(end - start)
    if index < middle:
        yield from _path(index, start, middle, hashes)
        yield hashes.subtree(middle, end)
    else:
        yield from _path(index, middle, end, hashes)
        yield hashes.subtree(start, middle)


def consistency_proof(old_size: int, new_size: int, hashes: Hashes) -> list[bytes]:
    """The hashes that show that the tree of `new_size` leaves begins with that of `old_size`.

    Raises:
        ValueError: not 0 <= old_size <= new_size.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a tree of {new_size} leaves cannot begin with one of {old_size}")
    if old_size in (0, new_size):
        return []
    return list(_subproof(old_size, 0, new_size, hashes, is_known=True))


def _subproof(
    old_size: int, start: int, end: int, hashes: Hashes, *, is_known: bool
) -> Iterator[bytes]:
    """RFC 6962's SUBPROOF; `is_known`: the root of this subtree is the old root itself."""
    if old_size == end:
        if not is_known:
            yield hashes.subtree(start, end)
        return
    middle = start + split(end - start)
    if old_size <= middle:
        yield from _subproof(old_size, start, middle, hashes, is_known=is_known)
        yield hashes.subtree(middle, end)
    else:
        yield from _subproof(old_size, middle, end, hashes, is_known=False)
        yield hashes.subtree(start, middle)


# --- checking them ------------------------------------------------------------------------------


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that a tree has if the proof is right: compare it with one you trust.

    Raises:
        InvalidProof: it has not the length that it must have.
    """
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} leaves has none with index {index}")
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise InvalidProof("the proof is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise InvalidProof("the proof is too short")
    return root


def check_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf is in the tree with this root.

    Raises:
        InvalidProof: it has not been shown.
    """
    if root_from_inclusion(index, size, leaf, proof) != root:
        raise InvalidProof("the proof leads to another root")


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the newer tree begins with the older one. RFC 9162, section 2.1.4.2.

    Raises:
        InvalidProof: it has not been shown.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidProof(f"a tree of {new_size} leaves cannot begin with one of {old_size}")
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != expected:
            raise InvalidProof("the trees are not the same")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a perfect tree is a node of every later one
        path.insert(0, old_root)
    if not path:
        raise InvalidProof("the proof is too short")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise InvalidProof("the proof is too long")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise InvalidProof("the proof is too short")
    if old != old_root or new != new_root:
        raise InvalidProof("the proof leads to other roots")


# --- several leaves at once ---------------------------------------------------------------------


def joint_proof(indices: Sequence[int], size: int, hashes: Hashes) -> list[bytes]:
    """The hashes that lead from several leaves to the root, each once, in the order of the tree.

    It is what the inclusion proofs of all of them hold together, less what follows from the
    leaves themselves. `indices` are ascending, without repetition.
    """
    if not indices or not 0 <= indices[0] <= indices[-1] < size:
        raise ValueError(f"these are not leaves of a tree of {size}")
    return list(_joint(indices, 0, size, hashes))


def _joint(indices: Sequence[int], start: int, end: int, hashes: Hashes) -> Iterator[bytes]:
    if not indices:
        yield hashes.subtree(start, end)
        return
    if end - start == 1:
        return
    middle = start + split(end - start)
    left = [index for index in indices if index < middle]
    yield from _joint(left, start, middle, hashes)
    yield from _joint(indices[len(left) :], middle, end, hashes)


def root_from_joint(leaves: Mapping[int, bytes], size: int, proof: Sequence[bytes]) -> bytes:
    """The root that a tree has if these leaves are in it and the proof is right.

    Raises:
        InvalidProof: it has not the length that it must have.
    """
    given = iter(proof)
    try:
        root = _joint_root(sorted(leaves), leaves, 0, size, given)
    except StopIteration:
        raise InvalidProof("the proof is too short") from None
    if next(given, None) is not None:
        raise InvalidProof("the proof is too long")
    return root


def _joint_root(
    indices: Sequence[int],
    leaves: Mapping[int, bytes],
    start: int,
    end: int,
    given: Iterator[bytes],
) -> bytes:
    if not indices:
        return next(given)
    if end - start == 1:
        return leaves[start]
    middle = start + split(end - start)
    left = [index for index in indices if index < middle]
    return node_hash(
        _joint_root(left, leaves, start, middle, given),
        _joint_root(indices[len(left) :], leaves, middle, end, given),
    )
