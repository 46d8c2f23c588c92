"""Digests of a read model's tables, and where two of them differ.

A table is read in the order of its key, in PostgreSQL's binary format for COPY: every value has
one form there, whatever the physical order of rows or the settings of the session. Rows stream
through the hash, so memory does not grow with them.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from psycopg import Connection

from projections.engine.read_model import ReadModel, Table
from projections.engine.tables import sql_types

DIFFERENCES_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class RowsDiffer:
    """A row that is not the same in both; None where there is no such row."""

    table: str
    key: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.table} {self.key}: old {self.old or 'none'}, new {self.new or 'none'}"


def digest(connection: Connection[Any], model: ReadModel, schema: str) -> str:
    """SHA-256 over every row of the model's tables in `schema`, in lower-case hex."""
    whole = sha256()
    for table in model.tables:
        whole.update(_of_table(connection, schema, table))
    return whole.hexdigest()


def _of_table(connection: Connection[Any], schema: str, table: Table[Any, Any]) -> bytes:
    query = f"""
        COPY (SELECT {", ".join(table.columns)} FROM {schema}.{table.name} ORDER BY {_order(table)})
        TO STDOUT (FORMAT binary)
    """
    hashed = sha256(f"{table.name}({','.join(table.columns)})".encode())
    with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        for piece in copy:
            hashed.update(piece)
    return hashed.digest()


def differences(
    connection: Connection[Any],
    model: ReadModel,
    old: str,
    new: str,
    differences_max: int = DIFFERENCES_MAX,
) -> list[RowsDiffer]:
    """The first rows, in the order of their keys, that differ between two schemas."""
    found: list[RowsDiffer] = []
    for table in model.tables:
        keys = ", ".join(table.key)
        columns = ", ".join(table.columns)
        query = f"""
            SELECT concat_ws(', ', {keys}) AS key, to_jsonb(old)::text AS old,
                   to_jsonb(new)::text AS new
            FROM (SELECT {columns} FROM {old}.{table.name}) AS old
            FULL JOIN (SELECT {columns} FROM {new}.{table.name}) AS new USING ({keys})
            WHERE to_jsonb(old) IS DISTINCT FROM to_jsonb(new)
            ORDER BY {_order(table)} LIMIT %s
        """
        rows = connection.execute(query.encode(), [differences_max - len(found)]).fetchall()
        found += [RowsDiffer(table.name, *row) for row in rows]
        if len(found) == differences_max:
            break
    return found


def _order(table: Table[Any, Any]) -> str:
    """The key, texts by their bytes: other orders depend on the machine."""
    types_ = sql_types(table.row)
    return ", ".join(f'{c} COLLATE "C"' if types_[c] == "text" else c for c in table.key)
