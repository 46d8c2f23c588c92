"""Journal: what was posted where, and what was the balance after it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row

from domain.accounts import currency_of
from domain.events import (
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositCreated,
    DepositRefundTracked,
    InstrumentRegistered,
    LedgerEvent,
    ProviderNoticeReceived,
    TransactionPending,
    TransactionSubmitted,
    TransactionUnknown,
    WagerRecorded,
    WithdrawalApproved,
    WithdrawalProcessing,
    WithdrawalQueued,
    WithdrawalScored,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.postings import postings
from projections.engine.read_model import Keys, Recorded, Row, Rows, Table

DDL = """
CREATE TABLE entries (
    position       bigint      NOT NULL,
    line           bigint      NOT NULL,     -- within the event, from 1
    account        text        NOT NULL COLLATE "C",
    amount_minor   bigint      NOT NULL,     -- added to the account
    balance_minor  bigint      NOT NULL,     -- of the account after this line
    currency       text        NOT NULL,
    transaction_id uuid        NOT NULL,
    topic          text        NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    PRIMARY KEY (position, line)
);
CREATE TABLE accounts (
    account       text   NOT NULL COLLATE "C" PRIMARY KEY,   -- so that a player's are together
    currency      text   NOT NULL,
    balance_minor bigint NOT NULL,
    position      bigint NOT NULL                            -- of its last entry
) WITH (fillfactor = 70);
"""

INDEXES = """
CREATE INDEX ON entries (account, position, line) INCLUDE (balance_minor);
"""


class Entry(Row, frozen=True):
    """One line of the journal."""

    position: int
    line: int
    account: str
    amount_minor: int
    balance_minor: int
    currency: str
    transaction_id: UUID
    topic: str
    occurred_at: datetime
    recorded_at: datetime


class Account(Row, frozen=True):
    """An account and where it stands."""

    account: str
    currency: str
    balance_minor: int
    position: int


ENTRIES: Table[tuple[int, int], Entry] = Table(
    "entries", Entry, ("position", "line"), append_only=True
)
ACCOUNTS: Table[str, Account] = Table("accounts", Account, ("account",))

# Frequent events that never post. Not needed for correctness: `postings` knows all of them.
_POSTS_NOTHING: frozenset[type[LedgerEvent]] = frozenset(
    {
        DepositCreated,
        DepositAwaitingPlayer,
        DepositAuthorised,
        TransactionSubmitted,
        TransactionPending,
        TransactionUnknown,
        ProviderNoticeReceived,
        WithdrawalScreeningStarted,
        WithdrawalScreened,
        WithdrawalApproved,
        WithdrawalQueued,
        WithdrawalProcessing,
        WithdrawalScored,
        DepositRefundTracked,
        InstrumentRegistered,
        WagerRecorded,
    }
)


class Journal:
    """The read model."""

    name = "journal"
    version = 1
    tables = (ENTRIES, ACCOUNTS)
    ddl = DDL
    indexes = INDEXES
    ignores = _POSTS_NOTHING

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        posting = (r.event for r in batch if type(r.event) not in _POSTS_NOTHING)
        return {ACCOUNTS: {p.account for event in posting for p in postings(event)}}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event = recorded.event
        if type(event) in _POSTS_NOTHING:
            return
        entries, accounts = rows[ENTRIES], rows[ACCOUNTS]
        for line, posting in enumerate(postings(event), 1):
            known = accounts.get(posting.account)
            currency = known.currency if known else currency_of(posting.account)
            balance_minor = (known.balance_minor if known else 0) + posting.amount_minor
            entries[recorded.position, line] = Entry(
                recorded.position,
                line,
                posting.account,
                posting.amount_minor,
                balance_minor,
                currency,
                event.originator_id,
                type(event).__name__,
                event.occurred_at,
                recorded.recorded_at,
            )
            accounts[posting.account] = Account(
                posting.account, currency, balance_minor, recorded.position
            )


JOURNAL = Journal()


# --- queries ------------------------------------------------------------------------------------

_COLUMNS = ", ".join(f"entry.{column}" for column in ENTRIES.columns)
# One probe per account for a page of its entries: however long its history, and however many
# accounts are merged, no more than a page of each is read.
_ENTRIES_OF = f"""
SELECT {_COLUMNS}
FROM journal_v1.accounts AS one
CROSS JOIN LATERAL (
    SELECT * FROM journal_v1.entries
    WHERE account = one.account AND (position, line) < (%(position)s, %(line)s)
    ORDER BY position DESC, line DESC LIMIT %(limit)s
) AS entry
WHERE one.account >= %(first)s AND one.account < %(behind)s
ORDER BY entry.position DESC, entry.line DESC LIMIT %(limit)s
"""
_BALANCES_AS_OF = """
SELECT one.account, coalesce(entry.balance_minor, 0)
FROM unnest(%(accounts)s::text[]) AS one (account)
LEFT JOIN LATERAL (
    SELECT balance_minor FROM journal_v1.entries
    WHERE account = one.account AND position <= %(position)s
    ORDER BY position DESC, line DESC LIMIT 1
) AS entry ON true
"""
_NEWEST = (2**63 - 1, 0)

Cursor = tuple[int, int]
"""Position and line of the last entry seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, newest first."""

    rows: list[Entry]
    next_cursor: Cursor | None
    """To be passed on for the entries before these; None where there are no more."""


async def of_account(
    connection: AsyncConnection[Any], account: str, cursor: Cursor | None = None, limit: int = 50
) -> Page:
    """Entries of one account before `cursor`, newest first."""
    return await _page(connection, account, account + "\x01", cursor, limit)


async def of_player(
    connection: AsyncConnection[Any], player_id: UUID, cursor: Cursor | None = None, limit: int = 50
) -> Page:
    """Entries of all accounts of a player before `cursor`, newest first."""
    return await _page(connection, f"player:{player_id}:", f"player:{player_id};", cursor, limit)


async def _page(
    connection: AsyncConnection[Any], first: str, behind: str, cursor: Cursor | None, limit: int
) -> Page:
    """Entries of the accounts from `first` up to `behind`, by their names."""
    position, line = cursor or _NEWEST
    values = {"first": first, "behind": behind, "position": position, "line": line}
    async with connection.cursor(binary=True, row_factory=args_row(Entry)) as found:
        await found.execute(_ENTRIES_OF.encode(), values | {"limit": limit + 1})
        rows = await found.fetchall()
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(rows=rows[:limit], next_cursor=(last.position, last.line) if last else None)


async def balances_as_of(
    connection: AsyncConnection[Any], accounts: Sequence[str], position: int
) -> dict[str, int]:
    """The balances after the event at `position`, in minor units."""
    values = {"accounts": list(accounts), "position": position}
    cursor = await connection.execute(_BALANCES_AS_OF.encode(), values)
    return dict(await cursor.fetchall())


def balances_as_of_sync(
    connection: Connection[Any], accounts: Sequence[str], position: int
) -> dict[str, int]:
    """`balances_as_of`, blocking."""
    values = {"accounts": list(accounts), "position": position}
    return dict(connection.execute(_BALANCES_AS_OF.encode(), values).fetchall())
