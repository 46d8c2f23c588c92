"""Compare a read model's tables with what its fold makes of the log."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import args_row

from projections.engine.read_model import ReadModel, Recorded, Row, Rows, Table
from projections.engine.tables import NotInstalled, StoredTable, adapt, schema_seen, sql_types

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
    *,
    tables: Sequence[Table[Any, Any]] | None = None,
) -> list[Difference]:
    """Where the stored tables differ from `rows`, up to `differences_max`.

    `rows` are of the position the tables have followed the log to: read that with `checkpoint`
    in the same repeatable-read transaction of `connection`, or while no projector runs. The
    tables, all of the model's or those given, are streamed; `rows` is left empty of what was found.
    """
    found: list[Difference] = []
    schema = schema_seen(connection, model)
    for table in model.tables if tables is None else tables:
        stored = StoredTable(schema, table)
        differences = _differences(connection, stored, rows[table])
        found += islice(differences, differences_max - len(found))
    return found


def has_growing_key(table: Table[Any, Any]) -> bool:
    """Whether its rows come in the order of their keys, as the log does."""
    types = sql_types(table.row)
    in_numbers = all(types[column] == "bigint" for column in table.key)
    return table.append_only and in_numbers and table.key[0] == "position"


class Alongside:
    """Compares a table with rows as they are made, where both come in the order of their keys.

    The table is streamed and the rows can be forgotten: see `has_growing_key`.
    """

    def __init__(self, connection: Connection[Any], model: ReadModel, table: Table[Any, Any]):
        """`connection` is in the transaction that everything is compared in."""
        stored = StoredTable(schema_seen(connection, model), table)
        self._name, self._key_of = table.name, stored.key_of
        adapt(connection)
        self._stored = _rows(connection, stored)
        self._next: Any = None
        self._has_begun = False

    def take(self, made: Mapping[Any, Any]) -> Iterator[Difference]:
        """Compare rows that follow those before, by key and in its order."""
        if not self._has_begun:
            self._has_begun, self._next = True, next(self._stored, None)
        for key, row in made.items():
            yield from self._before(key)
            if self._next == row:
                self._next = next(self._stored, None)
                continue
            found = None
            if self._next is not None and self._key_of(self._next) == key:
                found, self._next = self._next, next(self._stored, None)
            yield Difference(table=self._name, key=key, expected=row, found=found)

    def rest(self) -> Iterator[Difference]:
        """Compare the end: no more rows are made."""
        yield from self.take({})
        while self._next is not None:
            yield self._unexpected()

    def _before(self, key: Any) -> Iterator[Difference]:
        while self._next is not None and self._key_of(self._next) < key:
            yield self._unexpected()

    def _unexpected(self) -> Difference:
        row, self._next = self._next, next(self._stored, None)
        return Difference(table=self._name, key=self._key_of(row), expected=None, found=row)


def _differences(
    connection: Connection[Any], stored: StoredTable[Any, Any], expected: MutableMapping[Any, Any]
) -> Iterator[Difference]:
    name = stored.table.name
    for row in _stream(connection, stored):
        key = stored.key_of(row)
        wanted = expected.pop(key, None)
        if wanted != row:
            yield Difference(table=name, key=key, expected=wanted, found=row)
    while expected:
        key, wanted = expected.popitem()
        yield Difference(table=name, key=key, expected=wanted, found=None)


def _stream(connection: Connection[Any], stored: StoredTable[Any, Any]) -> Iterator[Any]:
    """Every stored row; a server-side cursor keeps memory flat."""
    adapt(connection)
    with connection.transaction():
        yield from _rows(connection, stored)


def _rows(connection: Connection[Any], stored: StoredTable[Any, Any]) -> Iterator[Any]:
    with psycopg.ServerCursor(
        connection, f"compare_{stored.table.name}", row_factory=args_row(stored.build)
    ) as cursor:
        cursor.itersize = _FETCH_ROWS
        cursor.execute(stored.select_all.encode(), binary=True)
        yield from cursor
