"""Schemas of read models that nobody, or nobody new, reads: found and dropped."""

import time
from collections.abc import Iterable
from typing import Any, Final

from psycopg import Connection, errors, sql

from projections.engine.tables import exists

LOCK_TIMEOUT_MS: Final = 200
"""How long a lock may queue: whoever wants a conflicting one meanwhile waits behind it."""

_DROP_PATIENCE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1

_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'
ORDER BY relname
"""


def drop(
    connection: Connection[Any], schema: str, patience_seconds: float = _DROP_PATIENCE_SECONDS
) -> str | None:
    """Drop a schema and its tables; None once it is gone, else why it is still there.

    Nothing that others have built on the tables goes with them. Whoever still reads them is
    waited for, a moment at a time. Not within a transaction.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
                _drop_now(connection, schema)
        except errors.LockNotAvailable:
            if time.monotonic() > deadline:
                return "somebody still reads it"
            time.sleep(_PAUSE_SECONDS)
        except errors.DependentObjectsStillExist as error:
            return str(error.diag.message_detail)
        else:
            return None


def _drop_now(connection: Connection[Any], schema: str) -> None:
    if not exists(connection, schema):
        return
    name = sql.Identifier(schema)
    tables = [row[0] for row in connection.execute(_TABLES, [schema])]
    if tables:
        qualified = sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables)
        connection.execute(sql.SQL("DROP TABLE {}").format(qualified))
    connection.execute(sql.SQL("DROP SCHEMA {}").format(name))


def named_like(connection: Connection[Any], pattern: str) -> list[str]:
    """Schemas whose names match the regular expression as a whole."""
    query = "SELECT nspname FROM pg_namespace WHERE nspname ~ %s ORDER BY nspname"
    return [row[0] for row in connection.execute(query, [f"^(?:{pattern})$"])]


def drop_all(connection: Connection[Any], schemas: Iterable[str]) -> dict[str, str]:
    """Drop what can be dropped at once; what could not, and why."""
    tried = {schema: drop(connection, schema, 0.0) for schema in schemas}
    return {schema: why for schema, why in tried.items() if why is not None}
