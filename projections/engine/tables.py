"""Tables of read models: create them, load the rows a batch touches, write what changed.

Rows travel as one array per column, in one statement per table.
"""

import re
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import psycopg
from psycopg import Connection, sql
from psycopg.rows import TupleRow, args_row
from psycopg.types.json import set_json_loads

from projections.engine.read_model import K, Kept, R, ReadModel, Row, Table, schema_of

_LOCK_INSTALL = 7_236_851_903
_SQL_TYPES: dict[object, str] = {
    UUID: "uuid",
    str: "text",
    int: "bigint",
    bool: "boolean",
    datetime: "timestamptz",
}
_LOOKS_MAX = 5
_GRANTS = """
GRANT USAGE ON SCHEMA {0} TO tallystick_writer, tallystick_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {0} TO tallystick_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO tallystick_reader
"""
# A JSON array is the text of a PostgreSQL array once its brackets are braces, but for the escapes
# of control characters: in an array, a backslash only says that the next character is itself.
_NEEDS_QUOTES = re.compile(r'(["\\])')


class NotInstalled(Exception):
    """A read model has no tables in this database; `install` creates them."""


def install(owner_conninfo: str, models: Iterable[ReadModel]) -> None:
    """Create what is missing, at position 0; what exists is left alone."""
    with psycopg.connect(owner_conninfo) as connection:
        take_turns_installing(connection)
        for model in models:
            if not exists(connection, schema_of(model)):
                _create(connection, model)


def create_indexes_in(connection: Connection[TupleRow], model: ReadModel, schema: str) -> None:
    """The indexes of tables in `schema`, and the planner's statistics, in the open transaction.

    A rebuild is quicker when they come last.
    """
    _index(connection, model, schema)
    for table in model.tables:
        analyse = sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table.name))
        connection.execute(analyse)


def _index(connection: Connection[TupleRow], model: ReadModel, schema: str) -> None:
    _within(connection, schema)
    connection.execute(model.indexes.encode())
    _within(connection, "public")


def create_tables_in(connection: Connection[TupleRow], model: ReadModel, schema: str) -> None:
    """Make `schema` with the model's tables, for all roles, in the transaction that is open.

    They have no indexes but those of their keys.
    """
    name = sql.Identifier(schema)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    _within(connection, schema)
    connection.execute(model.ddl.encode())
    connection.execute(sql.SQL(_GRANTS).format(name))
    _within(connection, "public")


def take_turns_installing(connection: Connection[TupleRow]) -> None:
    """Until the open transaction ends, nobody else makes or renames schemas of read models."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_INSTALL])


def exists(connection: Connection[TupleRow], schema: str) -> bool:
    """Whether there is such a schema, as of now and not of the snapshot."""
    row = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema]).fetchone()
    return row is not None and row[0] is True


def schema_seen(connection: Connection[TupleRow], model: ReadModel) -> str:
    """Where the tables are that belong to the checkpoint which this transaction sees.

    Names are looked up as they are now, rows as the snapshot has them: were the tables replaced
    since, those of the model's own schema would be others. Until the transaction ends, the tables
    that are meant cannot be dropped.

    Raises:
        NotInstalled: there are none, or they have been replaced and dropped since.
    """
    query = "SELECT oid::regnamespace::text FROM pg_namespace WHERE nspname = %s"
    for _ in range(_LOOKS_MAX):
        # Not in a block of its own: were this the first statement, what is seen and held would end
        # with the block.
        row = connection.execute(query, [schema_of(model)]).fetchone()
        if row is None:
            raise NotInstalled(f"{model.name} version {model.version}")
        try:
            with connection.transaction():
                for table in model.tables:
                    name = sql.Identifier(row[0], table.name)
                    lock = sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(name)
                    connection.execute(lock)
        except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable):
            continue
        if connection.execute(query, [schema_of(model)]).fetchone() == row:
            return str(row[0])
    raise NotInstalled(f"{model.name} was rebuilt meanwhile: look again")


def _create(connection: Connection[TupleRow], model: ReadModel) -> None:
    create_tables_in(connection, model, schema_of(model))
    # No statistics yet: plans made for tables that are known to be empty would be kept too long.
    _index(connection, model, schema_of(model))
    connection.execute(
        """
        INSERT INTO read_models AS kept (name, version, position) VALUES (%s, %s, 0)
        ON CONFLICT (name, version) DO UPDATE
        SET position = 0, stopped_at = NULL, error = NULL, updated_at = now()
        """,
        [model.name, model.version],
    )


def _within(connection: Connection[TupleRow], schema: str) -> None:
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))


def adapt(connection: Connection[TupleRow]) -> None:
    """Have the connection read jsonb quickly."""
    set_json_loads(msgspec.json.decode, connection)


class StoredTable(Generic[K, R]):
    """A table where it is stored: its statements, written once."""

    def __init__(self, schema: str, table: Table[K, R]) -> None:
        self.table = table
        types_ = sql_types(table.row)
        name, columns = f"{schema}.{table.name}", ", ".join(table.columns)
        keys = ", ".join(table.key)
        values = ", ".join(f"%s::{types_[column]}[]" for column in table.columns)
        changes = ", ".join(f"{c} = excluded.{c}" for c in table.columns if c not in table.key)
        upsert = "" if table.append_only else f"ON CONFLICT ({keys}) DO UPDATE SET {changes}"
        key_array = f"%s::{types_[table.key[0]]}[]"
        by = table.loaded_by or table.key[0]
        self._select = f"SELECT {columns} FROM {name} WHERE {by} = ANY(%s::{types_[by]}[])"
        self._save = f"INSERT INTO {name} ({columns}) SELECT * FROM unnest({values}) {upsert}"
        self._delete = f"DELETE FROM {name} WHERE {keys} = ANY({key_array})"
        self.select_all = f"SELECT {columns} FROM {name} ORDER BY {keys}"
        kept = kept_columns(table.row)
        self._as_json = [types_[c] == "jsonb" or c in kept for c in table.columns]
        self.build = builder(table.row)

    def load(self, connection: Connection[TupleRow], keys: Collection[object]) -> dict[K, R]:
        """The stored rows that `touched` means by `keys`, by key."""
        if not keys:
            return {}
        with connection.cursor(binary=True, row_factory=args_row(self.build)) as cursor:
            cursor.execute(self._select.encode(), [array_text(list(keys))])
            return {self.key_of(row): row for row in cursor.fetchall()}

    def save(
        self, connection: Connection[TupleRow], before: Mapping[K, R], after: Mapping[K, R]
    ) -> None:
        """Write the difference between what was loaded and what the fold made of it."""
        changed = []
        for key, row in after.items():
            known = before.get(key)
            if known is not row and known != row:
                changed.append(row)
        removed = [key for key in before if key not in after]
        if removed:
            connection.execute(self._delete.encode(), [array_text(removed)])
        if changed:
            connection.execute(self._save.encode(), self._arrays(changed))

    def key_of(self, row: R) -> K:
        """The key under which the fold holds the row."""
        key = self.table.key
        if len(key) == 1:
            return cast("K", getattr(row, key[0]))
        return cast("K", tuple(getattr(row, column) for column in key))

    def _arrays(self, rows: Sequence[R]) -> list[str]:
        arrays = []
        for column, as_json in zip(self.table.columns, self._as_json, strict=True):
            values = [getattr(row, column) for row in rows]
            arrays.append(
                array_text([_json_text(value) for value in values] if as_json else values)
            )
        return arrays


def sql_types(row: type[Row]) -> dict[str, str]:
    """The column types a row's fields are stored as.

    What is kept is stored as text, a mapping or tuple as jsonb.
    """
    hints = get_type_hints(row)
    return {name: _sql_type(hints[name]) for name in row.__struct_fields__}


def array_text(values: Sequence[object]) -> str:
    """The values as the text of a PostgreSQL array, in a tenth of the time the driver takes."""
    encoded = msgspec.json.encode(values)
    if escapes_control(encoded):
        return _array_text_with_controls(values)
    return "{" + encoded[1:-1].decode() + "}"


def escapes_control(encoded: bytes) -> bool:
    """Whether JSON has an escape other than of a quotation mark or a backslash."""
    if b"\\" not in encoded:
        return False
    return b"\\" in encoded.replace(b"\\\\", b"").replace(b'\\"', b"")


def _array_text_with_controls(values: Sequence[object]) -> str:
    texts = (
        '"' + _NEEDS_QUOTES.sub(r"\\\1", value) + '"'
        if isinstance(value, str)
        else msgspec.json.encode(value).decode()
        for value in values
    )
    return "{" + ",".join(texts) + "}"


def _json_text(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _sql_type(hint: object) -> str:
    if is_kept(hint):
        return "text"
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return _SQL_TYPES.get(hint, "jsonb")


def is_kept(hint: object) -> bool:
    """Whether it is what a fold keeps: one type of it, or one of several."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return all(isinstance(part, type) and issubclass(part, Kept) for part in parts)


def kept_columns(row: type[Row]) -> frozenset[str]:
    """The columns that hold what a fold keeps."""
    return frozenset(name for name, hint in get_type_hints(row).items() if is_kept(hint))


def builder(row: type[R]) -> Callable[..., R]:
    """Makes a row of stored values: what comes back from jsonb is lists and dictionaries."""
    hints = get_type_hints(row)
    converted = [
        (n, hints[f])
        for n, f in enumerate(row.__struct_fields__)
        if _sql_type(hints[f]) == "jsonb" and get_origin(hints[f]) is not Mapping
    ]
    kept = [
        (n, msgspec.json.Decoder(hints[f]).decode)
        for n, f in enumerate(row.__struct_fields__)
        if is_kept(hints[f])
    ]
    if not converted and not kept:
        return row

    def build(*values: Any) -> R:
        items = list(values)
        for index, hint in converted:
            if items[index] is not None:
                items[index] = msgspec.convert(items[index], hint)
        for index, decode in kept:
            items[index] = decode(items[index])
        return row(*items)

    return build
