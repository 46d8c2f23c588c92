"""Compare a read model's tables with what its fold makes of the log."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import args_row

from projections.read_model import ReadModel, Recorded, Row, Rows, schema_of
from projections.tables import NotInstalled, StoredTable, adapt

_FETCH_ROWS = 5_000
DIFFERENCES_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that is not what the log says; None where there is no such row."""

    table: str
    key: object
    expected: Row | None
    found: Row | None


def fold_all(model: ReadModel, recorded: Iterable[Recorded]) -> Rows:
    """Every row of `model` after these events, folded from nothing."""
    rows = Rows()
    apply = model.apply
    for one in recorded:
        apply(rows, one)
    return rows


def checkpoint(connection: Connection[Any], model: ReadModel) -> int:
    """How far the stored tables have followed the log.

    Raises:
        NotInstalled: there are no tables.
    """
    query = "SELECT position FROM read_models WHERE name = %s AND version = %s"
    row = connection.execute(query, [model.name, model.version]).fetchone()
    if row is None:
        raise NotInstalled(f"{model.name} version {model.version}")
    return int(row[0])


def compare(
    connection: Connection[Any],
    model: ReadModel,
    rows: Rows,
    differences_max: int = DIFFERENCES_MAX,
) -> list[Difference]:
    """Where the stored tables differ from `rows`, up to `differences_max`.

    `rows` are of the position the tables have followed the log to: read that with `checkpoint`
    in the same repeatable-read transaction of `connection`, or while no projector runs. The
    tables are streamed; `rows` is left empty of what was found.
    """
    found: list[Difference] = []
    for table in model.tables:
        stored = StoredTable(schema_of(model), table)
        differences = _differences(connection, stored, rows[table])
        found += islice(differences, differences_max - len(found))
    return found


def _differences(
    connection: Connection[Any], stored: StoredTable[Any, Any], expected: dict[Any, Any]
) -> Iterator[Difference]:
    name = stored.table.name
    for row in _stream(connection, stored):
        key = stored.key_of(row)
        wanted = expected.pop(key, None)
        if wanted != row:
            yield Difference(table=name, key=key, expected=wanted, found=row)
    for key, wanted in expected.items():
        yield Difference(table=name, key=key, expected=wanted, found=None)


def _stream(connection: Connection[Any], stored: StoredTable[Any, Any]) -> Iterator[Any]:
    """Every stored row; a server-side cursor keeps memory flat."""
    adapt(connection)
    with (
        connection.transaction(),
        psycopg.ServerCursor(
            connection, f"compare_{stored.table.name}", row_factory=args_row(stored.build)
        ) as cursor,
    ):
        cursor.itersize = _FETCH_ROWS
        cursor.execute(stored.select_all.encode(), binary=True)
        yield from cursor
