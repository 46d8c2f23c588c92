"""Signed checkpoints and signers, where they are kept in the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import args_row

_COLUMNS = "size, key, root, note, signed_at"
_NEWEST = f"SELECT {_COLUMNS} FROM ledger_checkpoints ORDER BY size DESC, signed_at LIMIT 1"
_COVERING = f"""
SELECT {_COLUMNS} FROM ledger_checkpoints WHERE size >= %s ORDER BY size, signed_at, key LIMIT 1
"""
_AT = f"""
SELECT {_COLUMNS} FROM ledger_checkpoints WHERE size = %s ORDER BY signed_at, key LIMIT 1
"""
_PAGE = f"SELECT {_COLUMNS} FROM ledger_checkpoints ORDER BY size DESC, key DESC LIMIT %s"
_PAGE_BEFORE = f"""
SELECT {_COLUMNS} FROM ledger_checkpoints WHERE (size, key) < (%s, %s)
ORDER BY size DESC, key DESC LIMIT %s
"""
_EVERY = f"SELECT {_COLUMNS} FROM ledger_checkpoints ORDER BY size, signed_at, key"
_INSERT = f"""
INSERT INTO ledger_checkpoints ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_OF_KEY = f"SELECT {_COLUMNS} FROM ledger_checkpoints WHERE size = %s AND key = %s"
_BETWEEN = """
SELECT size, root FROM ledger_checkpoints WHERE key = %s AND size > %s AND size <= %s ORDER BY size
"""
_NEWEST_OF_KEY = "SELECT max(size) FROM ledger_checkpoints WHERE key = %s"
_NEWEST_UPTO = "SELECT max(size) FROM ledger_checkpoints WHERE size <= %s"
_INSERT_SUBTREES = """
INSERT INTO ledger_subtrees AS kept (height, number, hash)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])
ON CONFLICT (height, number) DO UPDATE SET hash = excluded.hash WHERE kept.hash <> excluded.hash
"""
_PAGE_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it was signed."""

    size: int
    key: str
    """Whose signature: name and key hash."""
    root: bytes
    note: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Subtree:
    """The root over 2^height leaves, from the one with index number * 2^height."""

    height: int
    number: int
    hash: bytes


# --- reading ------------------------------------------------------------------------------------


def newest(connection: Connection[Any]) -> StoredCheckpoint | None:
    """The one over most events."""
    return _one(connection, _NEWEST, [])


def covering(connection: Connection[Any], position: int) -> StoredCheckpoint | None:
    """The first one that the event at `position` is in: the same one for ever, once there is one.

    The signer never signs a size below one that has been signed.
    """
    return _one(connection, _COVERING, [position])


def at(connection: Connection[Any], size: int) -> StoredCheckpoint | None:
    """The first that was signed at exactly this size."""
    return _one(connection, _AT, [size])


def page(
    connection: Connection[Any], before: int | None, limit: int, before_key: str = ""
) -> list[StoredCheckpoint]:
    """Up to `limit` before this size, newest first.

    `before_key` goes on within a size that several keys have signed.
    """
    with connection.cursor(row_factory=args_row(StoredCheckpoint)) as cursor:
        if before is None:
            return cursor.execute(_PAGE, [limit]).fetchall()
        return cursor.execute(_PAGE_BEFORE, [before, before_key, limit]).fetchall()


def every(connection: Connection[Any]) -> Iterator[StoredCheckpoint]:
    """All of them, oldest first, streamed: the connection is in a transaction meanwhile."""
    row_factory = args_row(StoredCheckpoint)
    with connection.cursor(name="checkpoints", row_factory=row_factory, withhold=True) as cursor:
        cursor.itersize = _PAGE_EVERY
        yield from cursor.execute(_EVERY)


def roots_of_key(connection: Connection[Any], key: str, after: int, upto: int) -> dict[int, bytes]:
    """What a key has signed after one size up to another: root by size."""
    return dict(connection.execute(_BETWEEN, [key, after, upto]).fetchall())


def newest_size_of_key(connection: Connection[Any], key: str) -> int:
    """The largest size that a key has signed; 0 if none."""
    return _integer(connection, _NEWEST_OF_KEY, key)


def newest_size_upto(connection: Connection[Any], position: int) -> int:
    """The largest size that anybody has signed and that is not beyond `position`; 0 if none."""
    return _integer(connection, _NEWEST_UPTO, position)


# --- writing ------------------------------------------------------------------------------------


def insert(connection: Connection[Any], checkpoint: StoredCheckpoint) -> StoredCheckpoint:
    """Keep a checkpoint, if the key has none of that size yet; the one that is kept.

    `connection` is of the writer role.
    """
    values = [checkpoint.size, checkpoint.key, checkpoint.root, checkpoint.note]
    connection.execute(_INSERT, [*values, checkpoint.signed_at])
    kept = _one(connection, _OF_KEY, [checkpoint.size, checkpoint.key])
    if kept is None:
        raise LookupError(f"the checkpoint of size {checkpoint.size} was not kept")
    return kept


def insert_subtrees(connection: Connection[Any], subtrees: Sequence[Subtree]) -> None:
    """Keep hashes of the tree; one that was kept and differs is replaced: it is only a cache."""
    if subtrees:
        connection.execute(
            _INSERT_SUBTREES,
            [
                [subtree.height for subtree in subtrees],
                [subtree.number for subtree in subtrees],
                [subtree.hash for subtree in subtrees],
            ],
        )


def _one(
    connection: Connection[Any], query: str, values: Sequence[object]
) -> StoredCheckpoint | None:
    with connection.cursor(row_factory=args_row(StoredCheckpoint)) as cursor:
        return cursor.execute(query.encode(), values).fetchone()


def _integer(connection: Connection[Any], query: str, value: object) -> int:
    row = connection.execute(query.encode(), [value]).fetchone()
    return int(row[0] or 0) if row else 0
