"""Writing many rows at once into tables that nobody reads yet: COPY, and updates by key.

A row travels as a line of CSV. JSON arrays are nearly that already: with a backslash as the escape
character, only the escapes of control characters mean something else. Lines that hold one are rare
and take the slow way.
"""

from collections.abc import Mapping, Sequence
from typing import Generic

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from projections.engine.read_model import K, R, Table
from projections.engine.tables import (
    StoredTable,
    array_text,
    escapes_control,
    kept_columns,
    sql_types,
)

_PIECE_BYTES = 1 << 20

_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_no_members = msgspec.json.encode({}).decode()


class BulkTable(Generic[K, R]):
    """A table that only we write to: what was not loaded is not there."""

    def __init__(self, schema: str, table: Table[K, R]) -> None:
        self._stored: StoredTable[K, R] = StoredTable(schema, table)
        self.table = table
        types_ = sql_types(table.row)
        columns = ", ".join(table.columns)
        name = f"{schema}.{table.name}"
        kept = kept_columns(table.row)
        self._json_at = [
            n for n, c in enumerate(table.columns) if types_[c] == "jsonb" or c in kept
        ]
        self._copy = (
            f"COPY {name} ({columns}) FROM STDIN"
            " (FORMAT csv, QUOTE '\"', ESCAPE '\\', NULL 'null', ENCODING 'utf8')"
        )
        changes = ", ".join(f"{c} = changed.{c}" for c in table.columns if c not in table.key)
        same = " AND ".join(f"stored.{c} = changed.{c}" for c in table.key)
        arrays = ", ".join(f"%s::{types_[column]}[]" for column in table.columns)
        self._update = (
            f"UPDATE {name} AS stored SET {changes}"
            f" FROM unnest({arrays}) AS changed ({columns}) WHERE {same}"
        )
        self.load = self._stored.load
        self.key_of = self._stored.key_of

    def save(
        self, connection: Connection[TupleRow], before: Mapping[K, R], after: Mapping[K, R]
    ) -> None:
        """Write the difference between what was loaded and what the fold made of it."""
        added: list[R] = []
        changed: list[R] = []
        for key, row in after.items():
            known = before.get(key)
            if known is None:
                added.append(row)
            elif known is not row and known != row:
                changed.append(row)
        gone = {key: row for key, row in before.items() if key not in after}
        if gone:
            self._stored.save(connection, gone, {})
        if changed:
            values = zip(*self._tuples(changed), strict=True)
            connection.execute(self._update.encode(), [array_text(column) for column in values])
        if added:
            self._add(connection, added)

    def _add(self, connection: Connection[TupleRow], rows: Sequence[R]) -> None:
        """Append rows whose keys are new."""
        lines = _encoder.encode_lines(self._tuples(rows))
        if escapes_control(lines):
            self._stored.save(connection, {}, {self.key_of(row): row for row in rows})
            return
        # Within a text, a new line is escaped: these are between the rows.
        text = lines[1:-2].replace(b"]\n[", b"\n")
        with connection.cursor() as cursor, cursor.copy(self._copy.encode()) as copy:
            for start in range(0, len(text), _PIECE_BYTES):
                copy.write(text[start : start + _PIECE_BYTES])

    def _tuples(self, rows: Sequence[R]) -> list[tuple[object, ...]]:
        """The rows' values, what is stored as jsonb as JSON text."""
        plain = [msgspec.structs.astuple(row) for row in rows]
        return [self._with_json(values) for values in plain] if self._json_at else plain

    def _with_json(self, values: tuple[object, ...]) -> tuple[object, ...]:
        items = list(values)
        for index in self._json_at:
            value = items[index]
            if value is not None:
                items[index] = _encode(value).decode() if value != {} else _no_members
        return tuple(items)
