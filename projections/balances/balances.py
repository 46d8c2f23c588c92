"""Balances: what may this account spend right now?

Kept by the append itself in `ledger_accounts`, never behind the log.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row

from domain.accounts import available, currency_of, reserved
from domain.money import currencies


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as the last append left it, in minor units of its currency."""

    account: str
    balance_minor: int
    floor_minor: int | None
    """The balance may not go below; None where it may."""
    position: int
    """Of the event that last moved it."""

    @property
    def currency(self) -> str:
        return currency_of(self.account)


async def of_account(connection: AsyncConnection[Any], account: str) -> Balance | None:
    """The account's balance; None if nothing was ever posted to it."""
    found = await _named(connection, [account])
    return found[0] if found else None


async def of_player(connection: AsyncConnection[Any], player_id: UUID) -> list[Balance]:
    """Every account of a player, by name."""
    # Asked for by their full names in every currency: what a range of names holds depends on the
    # database's collation, and these are a few hundred probes of the primary key.
    names = [of(player_id, code) for code in currencies() for of in (available, reserved)]
    return await _named(connection, names)


async def of_counters(
    connection: AsyncConnection[Any], counters: Collection[str]
) -> dict[str, int]:
    """What each of these counters stands at; one that nothing was ever counted on is at zero."""
    found = await _named(connection, list(counters))
    return dict.fromkeys(counters, 0) | {row.account: row.balance_minor for row in found}


async def _named(connection: AsyncConnection[Any], accounts: list[str]) -> list[Balance]:
    async with connection.cursor(binary=True, row_factory=args_row(Balance)) as cursor:
        await cursor.execute(
            """
            SELECT account, balance, floor, position FROM ledger_accounts
            WHERE account = ANY(%s) ORDER BY account
            """,
            [accounts],
        )
        return await cursor.fetchall()
