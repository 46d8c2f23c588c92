"""The Merkle tree against RFC 6962 itself, written a second time as the RFC writes it."""

import struct
from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.eventstore.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, leaf_hash, node_hash

# Inputs and roots of the reference implementations of Certificate Transparency.
CLASSIC_INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CLASSIC_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def rfc_leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def rfc_tree(leaves: list[bytes]) -> bytes:
    """MTH of section 2.1, over leaf hashes: split at the largest power of two below n."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + rfc_tree(leaves[:split]) + rfc_tree(leaves[split:])).digest()


def frontier_of(leaves: list[bytes]) -> Frontier:
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier


NUMBERED = [rfc_leaf(str(number).encode()) for number in range(300)]


@pytest.mark.parametrize("size", CLASSIC_ROOTS)
def test_the_published_vectors(size: int) -> None:
    leaves = [rfc_leaf(data) for data in CLASSIC_INPUTS[:size]]
    assert frontier_of(leaves).root().hex() == CLASSIC_ROOTS[size]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == sha256(b"").digest()


def test_every_size_up_to_300_agrees_with_the_recursive_definition() -> None:
    frontier = Frontier()
    for size in range(301):
        assert frontier.size == size
        assert frontier.root() == rfc_tree(NUMBERED[:size])
        assert len(frontier.pack()) == HASH_BYTES * size.bit_count()
        if size < 300:
            frontier.append(NUMBERED[size])


@given(st.lists(st.integers(0, 40), max_size=8))
def test_it_does_not_matter_how_the_leaves_came_in_batches(batches: list[int]) -> None:
    frontier, size = Frontier(), 0
    for count in batches:
        kept = Frontier(size, frontier.pack())  # as the head row keeps it between batches
        kept.extend(NUMBERED[size % 260 : size % 260 + count])
        frontier, size = kept, size + count
    leaves = []
    for count in batches:
        start = len(leaves) % 260
        leaves += NUMBERED[start : start + count]
    assert frontier.root() == rfc_tree(leaves)


def test_a_copy_grows_by_itself() -> None:
    frontier = frontier_of(NUMBERED[:5])
    copy = frontier.copy()
    copy.append(NUMBERED[5])
    assert frontier.root() == rfc_tree(NUMBERED[:5])
    assert copy.root() == rfc_tree(NUMBERED[:6])


@pytest.mark.parametrize(("size", "count"), [(1, 0), (0, 1), (3, 1), (4, 2), (7, 4)])
def test_bytes_of_another_size_are_refused(size: int, count: int) -> None:
    with pytest.raises(ValueError, match="frontier"):
        Frontier(size, b"x" * HASH_BYTES * count)


def test_a_node_cannot_be_taken_for_a_leaf() -> None:
    left, right = NUMBERED[:2]
    assert node_hash(left, right) != rfc_leaf(left + right)


# --- leaves -------------------------------------------------------------------------------------

STREAM = UUID("11111111-2222-4333-8444-555555555555")
RECORDED_AT_US = 1_772_443_800_123_456
LEAF_VECTOR = "9ff22244599b8ba5b824fbfe4f2e17aa6bec6067a8ffb62a47191f03e22117c1"


def leaf_as_specified(
    position: int, stream: bytes, version: int, topic: bytes, at_us: int, state: bytes
) -> bytes:
    """The leaf as the design writes it, part by part."""
    name = b"tallystick/v1"
    return sha256(
        b"\x00"
        + struct.pack(">I", len(name))
        + name
        + struct.pack(">Q", position)
        + stream
        + struct.pack(">Q", version)
        + struct.pack(">I", len(topic))
        + topic
        + struct.pack(">q", at_us)
        + struct.pack(">I", len(state))
        + state
    ).digest()


def test_the_leaf_of_an_event() -> None:
    parts = (42, STREAM.bytes, 7, b"DepositCreated", RECORDED_AT_US, b'{"actor":"x"}')
    assert leaf_hash(*parts) == leaf_as_specified(*parts)
    # Written out once: every verifier of ours or anybody's has to arrive at it.
    assert leaf_hash(*parts).hex() == LEAF_VECTOR


PARTS = st.tuples(
    st.integers(0, 2**64 - 1),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=40),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=200),
)


@given(PARTS)
def test_any_leaf_is_as_specified(parts: tuple[int, bytes, int, bytes, int, bytes]) -> None:
    assert leaf_hash(*parts) == leaf_as_specified(*parts)


def test_no_part_can_be_moved_into_its_neighbour() -> None:
    one = leaf_hash(1, STREAM.bytes, 1, b"Deposit", 0, b"Created")
    other = leaf_hash(1, STREAM.bytes, 1, b"DepositCreated", 0, b"")
    assert one != other
