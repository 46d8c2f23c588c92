"""Balances as they were: what did this account stand at after an event?

Read from the journal, which has the balance after every entry.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row

from domain.accounts import available, reserved
from domain.money import currencies
from projections.balances.balances import Balance
from projections.engine.read_model import schema_of
from projections.journal.journal import JOURNAL

_ENTRIES = f"{schema_of(JOURNAL)}.entries"
# One probe of the index for each account.
_AS_OF = f"""
SELECT one.account, entry.balance_minor, NULL::bigint, entry.position
FROM unnest(%(accounts)s::text[]) AS one (account)
CROSS JOIN LATERAL (
    SELECT balance_minor, position FROM {_ENTRIES}
    WHERE account = one.account AND position <= %(upto)s
    ORDER BY position DESC, line DESC LIMIT 1
) AS entry
ORDER BY one.account
"""
_FIRST = f"""
SELECT min(entry.position)
FROM unnest(%(accounts)s::text[]) AS one (account)
CROSS JOIN LATERAL (
    SELECT position FROM {_ENTRIES} WHERE account = one.account ORDER BY position LIMIT 1
) AS entry
"""


def accounts_of_player(player_id: UUID) -> list[str]:
    """Every account the player can have."""
    return [of(player_id, code) for code in currencies() for of in (available, reserved)]


async def of_accounts(
    connection: AsyncConnection[Any], accounts: Sequence[str], upto: int
) -> list[Balance]:
    """Those of the accounts that something had been posted to, by name; without their floors.

    The journal has reached the position.
    """
    async with connection.cursor(binary=True, row_factory=args_row(Balance)) as cursor:
        await cursor.execute(_AS_OF.encode(), {"accounts": list(accounts), "upto": upto})
        return await cursor.fetchall()


async def first_posting(connection: AsyncConnection[Any], accounts: Sequence[str]) -> int | None:
    """The position at which something was first posted to one of the accounts."""
    cursor = await connection.execute(_FIRST.encode(), {"accounts": list(accounts)})
    row = await cursor.fetchone()
    return row[0] if row else None
