"""Compare what an archive comes to with the database's tables, as long as they are at its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow, args_row

from projections.engine.compare import checkpoint
from projections.engine.read_model import ReadModel
from projections.engine.tables import NotInstalled, StoredTable, adapt, schema_seen
from replay import log
from replay.archive.fold import BUCKET_LOCAL, Digest
from replay.archive.layout import bucket_of
from replay.archive.replayed import Replayed, accounts_digest

_ROWS_AT_ONCE = 5_000
_ACCOUNTS = """
SELECT account, balance FROM ledger_accounts WHERE balance <> 0 ORDER BY account COLLATE "C"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What became of one comparison."""

    what: str
    """A read model, or `accounts`."""
    same: bool | None
    """None: it could not be compared."""
    detail: str


def compare_with_database(conninfo: str, replayed: Replayed) -> list[Compared]:
    """The digests of the tables beside those of the archive.

    A table that has followed the log further than the archive goes, or less far, cannot be
    compared, and is said to be so. `conninfo` is of the reader role.
    """
    with log.snapshot(conninfo) as connection:
        connection.execute("SET LOCAL timezone = 'UTC'")
        adapt(connection)
        names = sorted(replayed.buckets[0].digests)
        models = [_compared(connection, BUCKET_LOCAL[name], replayed) for name in names]
        return [*models, _accounts_compared(connection, replayed)]


def _accounts_compared(connection: Connection[TupleRow], replayed: Replayed) -> Compared:
    head = log.head(connection).position
    if head != replayed.position:
        return _elsewhere("accounts", head, replayed)
    with connection.cursor(name="accounts", binary=True) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(_ACCOUNTS)
        digest = accounts_digest((name, balance) for name, balance in cursor)
    same = digest == replayed.accounts_digest
    detail = f"{replayed.accounts} accounts and counters"
    return Compared(what="accounts", same=same, detail=detail)


def _compared(connection: Connection[TupleRow], model: ReadModel, replayed: Replayed) -> Compared:
    try:
        schema = schema_seen(connection, model)
        position = checkpoint(connection, model)
    except NotInstalled:
        return Compared(what=model.name, same=None, detail="it has no tables")
    if position != replayed.position:
        return _elsewhere(model.name, position, replayed)
    digests = [Digest() for _ in replayed.buckets]
    for row in _rows(connection, schema, model):
        owner = row.player_id or row.id
        digests[bucket_of(owner.bytes, len(digests))].add(row)
    bad = [
        bucket.bucket
        for bucket, digest in zip(replayed.buckets, digests, strict=True)
        if bucket.digests[model.name] != digest.hexdigest()
    ]
    rows = sum(digest.rows for digest in digests)
    detail = f"buckets {', '.join(map(str, bad))} differ" if bad else f"{rows} rows"
    return Compared(what=model.name, same=not bad, detail=detail)


def _elsewhere(what: str, position: int, replayed: Replayed) -> Compared:
    detail = f"it is at position {position}, the replay at {replayed.position}"
    return Compared(what=what, same=None, detail=detail)


def _rows(connection: Connection[TupleRow], schema: str, model: ReadModel) -> Iterator[Any]:
    """Every row, in the order of the keys."""
    for table in model.tables:
        stored: StoredTable[Any, Any] = StoredTable(schema, table)
        with psycopg.ServerCursor(
            connection, f"rows_{table.name}", row_factory=args_row(stored.build)
        ) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(stored.select_all.encode(), binary=True)
            yield from cursor
