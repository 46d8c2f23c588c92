"""Hashes read from the database make the same tree as all the leaves do in memory."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise

import psycopg
import pytest

from ledger.checkpoints import store
from ledger.checkpoints.tiled import TiledFrontier
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.merkle import Frontier
from ledger.eventstore.proofs import (
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
)
from ledger.eventstore.stored_hashes import HashesMissing, StoredHashes
from ledger.settings import Settings

LEAVES = 70_000
"""More than 256 x 256, so that there are tiles of tiles."""

SIZES = (1, 2, 3, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792, 69_999, LEAVES)

_FABRICATE = """
INSERT INTO ledger_events
    (notification_id, originator_id, originator_version, topic, state, recorded_at, leaf)
SELECT n, gen_random_uuid(), 1, 'Fabricated', '', now(), sha256(convert_to(n::text, 'UTF8'))
FROM generate_series(1, %s) AS n
"""


@pytest.fixture(scope="module")
def filled(module_database: Settings) -> Settings:
    """A log of leaves that are the hashes of their positions."""
    with psycopg.connect(conninfo(module_database, Role.WRITER)) as connection:
        connection.execute(_FABRICATE, [LEAVES])
    return module_database


@pytest.fixture(scope="module")
def roots() -> dict[int, bytes]:
    """The root at each of SIZES, in memory."""
    frontier, found = Frontier(), {}
    for position in range(1, LEAVES + 1):
        frontier.append(leaf(position))
        if position in SIZES:
            found[position] = frontier.root()
    return found


@pytest.fixture(params=["no subtrees", "some subtrees", "every subtree"])
def connection(
    filled: Settings, request: pytest.FixtureRequest
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """What is not stored follows from what is."""
    subtrees = tiles()
    kept = {"no subtrees": 0, "some subtrees": 100, "every subtree": len(subtrees)}[request.param]
    with psycopg.connect(conninfo(filled, Role.WRITER)) as writer:
        writer.execute("DELETE FROM ledger_subtrees")
        store.insert_subtrees(writer, subtrees[:kept])
    with psycopg.connect(conninfo(filled, Role.READER)) as reader:
        yield reader


def leaf(position: int) -> bytes:
    return sha256(str(position).encode()).digest()


def tiles() -> list[store.Subtree]:
    frontier = TiledFrontier()
    for position in range(1, LEAVES + 1):
        frontier.append(leaf(position))
    return frontier.take_filled()


def test_the_root_of_every_size_is_that_of_its_leaves(
    connection: psycopg.Connection[tuple[object, ...]], roots: dict[int, bytes]
) -> None:
    hashes = StoredHashes(connection)
    assert {size: hashes.subtree(0, size) for size in SIZES} == roots


def test_proofs_from_stored_hashes_hold(
    connection: psycopg.Connection[tuple[object, ...]], roots: dict[int, bytes]
) -> None:
    hashes = StoredHashes(connection)
    for old, new in pairwise(SIZES):
        proof = consistency_proof(old, new, hashes)
        check_consistency(old, roots[old], new, roots[new], proof)
        for index in {0, old - 1, old, new - 1}:
            path = inclusion_proof(index, new, hashes)
            check_inclusion(index, new, leaf(index + 1), path, roots[new])


def test_beyond_the_end_of_the_log_there_are_no_hashes(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    with pytest.raises(HashesMissing):
        StoredHashes(connection).subtree(0, LEAVES + 1)


def test_few_rows_are_read_for_a_proof_once_subtrees_are_stored(filled: Settings) -> None:
    with psycopg.connect(conninfo(filled, Role.WRITER)) as writer:
        store.insert_subtrees(writer, tiles())
    with psycopg.connect(conninfo(filled, Role.READER)) as reader:
        counting = Counting(reader)
        inclusion_proof(12_345, LEAVES, StoredHashes(counting))  # type: ignore[arg-type]
    assert counting.rows < 4 * 256


class Counting:
    """A connection that knows how many rows were asked for."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection
        self.rows = 0

    def execute(
        self, query: str, values: list[object], **options: bool
    ) -> psycopg.Cursor[tuple[object, ...]]:
        cursor = self._connection.execute(query.encode(), values, **options)
        self.rows += cursor.rowcount
        return cursor
