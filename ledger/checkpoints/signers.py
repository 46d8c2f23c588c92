"""The keys that have signed a ledger and how they are doing, as the database knows them.

For whoever wants to know whether signing goes on: `tallystick doctor`, /metrics, other machines.
What outsiders check signatures with should come from the operator, not from the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row

_REGISTER = """
INSERT INTO ledger_signers (key, verifier, began_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_RETIRED = "SELECT retired_at FROM ledger_signers WHERE key = %s FOR SHARE"
_RETIRE = """
INSERT INTO ledger_signers AS kept (key, verifier, began_at, retired_at, reason)
VALUES (%(key)s, %(verifier)s, %(now)s, %(now)s, %(reason)s)
ON CONFLICT (key) DO UPDATE SET
    retired_at = coalesce(kept.retired_at, excluded.retired_at),
    reason = coalesce(kept.reason, excluded.reason),
    refused = NULL, detail = NULL, refused_at = NULL
"""
_REFUSE = """
UPDATE ledger_signers SET refused = %s, detail = %s, refused_at = %s
WHERE key = %s AND (refused IS DISTINCT FROM %s OR detail IS DISTINCT FROM %s)
"""
_CLEAR = """
UPDATE ledger_signers SET refused = NULL, detail = NULL, refused_at = NULL
WHERE key = %s AND refused IS NOT NULL
"""
_ALL = """
SELECT key, verifier, began_at, retired_at, reason, refused, detail, refused_at
FROM ledger_signers ORDER BY retired_at IS NOT NULL, began_at DESC, key
"""
_FIGURES = """
SELECT coalesce((SELECT size FROM ledger_checkpoints ORDER BY size DESC LIMIT 1), 0),
       EXISTS (SELECT FROM ledger_signers WHERE refused IS NOT NULL AND retired_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class KnownSigner:
    """A key that signs here, or did."""

    key: str
    """Name and key hash."""
    verifier: str
    """The public key, as C2SP signed-note writes it."""
    began_at: datetime
    retired_at: datetime | None
    reason: str | None
    """Why it was retired."""
    refused: str | None
    """Code: why it does not sign at present; None while it does."""
    detail: str | None
    refused_at: datetime | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of signing."""

    size: int
    """Of the newest checkpoint; 0 if there is none."""
    refused: bool


def every(connection: Connection[Any]) -> Sequence[KnownSigner]:
    """All of them: those that sign first, the newest first."""
    with connection.cursor(row_factory=args_row(KnownSigner)) as cursor:
        return cursor.execute(_ALL).fetchall()


async def figures(connection: AsyncConnection[Any]) -> Figures:
    """How far signing has come, and whether it goes on."""
    async with connection.cursor(row_factory=args_row(Figures)) as cursor:
        await cursor.execute(_FIGURES)
        return await cursor.fetchone() or Figures(0, refused=False)


def register(connection: Connection[Any], key: str, verifier: str, now: datetime) -> None:
    """Have the key be known. `connection` is of the writer role, here and below."""
    connection.execute(_REGISTER, [key, verifier, now])


def is_retired(connection: Connection[Any], key: str) -> bool:
    """Whether the key may sign no more; it cannot be retired before the transaction ends."""
    row = connection.execute(_RETIRED, [key]).fetchone()
    return row is not None and row[0] is not None


def retire(
    connection: Connection[Any], key: str, verifier: str, reason: str, now: datetime
) -> None:
    """Have the key sign no more, whoever holds it."""
    values = {"key": key, "verifier": verifier, "reason": reason, "now": now}
    connection.execute(_RETIRE, values)


def tell_refused(
    connection: Connection[Any], key: str, code: str, detail: str, now: datetime
) -> None:
    """Say that the key does not sign, and why."""
    connection.execute(_REFUSE, [code, detail, now, key, code, detail])


def tell_signing(connection: Connection[Any], key: str) -> None:
    """Say that nothing keeps the key from signing."""
    connection.execute(_CLEAR, [key])
