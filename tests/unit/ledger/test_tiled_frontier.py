"""The signer's frontier: the same tree, and the subtrees that fill up on the way."""

from hashlib import sha256

import pytest

from ledger.checkpoints.tiled import TiledFrontier
from ledger.eventstore.merkle import EMPTY_ROOT, Frontier

LEAVES = [sha256(str(number).encode()).digest() for number in range(66_000)]


def test_it_is_the_frontier_that_the_log_keeps() -> None:
    plain, tiled = Frontier(), TiledFrontier()
    assert tiled.root() == EMPTY_ROOT
    for number, leaf in enumerate(LEAVES[:2_000]):
        plain.append(leaf)
        tiled.append(leaf)
        assert (tiled.size, tiled.pack()) == (number + 1, plain.pack())
        assert tiled.root() == plain.root()


def test_subtrees_are_told_of_once_and_in_order_also_across_a_restart() -> None:
    tiled, told = TiledFrontier(), []
    for number, leaf in enumerate(LEAVES):
        tiled.append(leaf)
        if number % 997 == 0:
            told += tiled.take_filled()
            tiled = TiledFrontier(tiled.size, tiled.pack())
    told += tiled.take_filled()
    expected = [(8, number) for number in range(256)] + [(16, 0), (8, 256)]
    assert [(tree.height, tree.number) for tree in told] == expected
    for tree in told:
        frontier = Frontier()
        frontier.extend(LEAVES[tree.number << tree.height : (tree.number + 1) << tree.height])
        assert tree.hash == frontier.root()


@pytest.mark.parametrize(("size", "packed"), [(0, b"x"), (3, b"x" * 32), (256, b"x" * 64)])
def test_bytes_of_another_size_are_refused(size: int, packed: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be of"):
        TiledFrontier(size, packed)
