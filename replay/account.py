"""An account as it was: its balance then, and its last entries up to then."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import args_row

from domain.accounts import currency_of
from domain.money import currencies
from projections.engine.read_model import Recorded, Rows
from projections.journal.journal import ACCOUNTS, ENTRIES, JOURNAL, Account, Entry
from replay import at_position
from replay.at_position import Followed
from replay.log import POSITION_MAX
from replay.nothing import Nothing

_COLUMNS: Final = ", ".join(ENTRIES.columns)
_ENTRIES: Final = f"""
SELECT {_COLUMNS} FROM {{schema}}.entries
WHERE account = %s AND position <= %s ORDER BY position DESC, line DESC LIMIT %s
"""
_FIRST_ENTRY: Final = f"""
SELECT {_COLUMNS} FROM {{schema}}.entries WHERE account = %s ORDER BY position, line LIMIT 1
"""
_COUNTERS: Final = frozenset({"limit", "instrument", "deposited", "wagered"})
_NAMES: Final = (
    "Accounts are called player:<id>:available:EUR, player:<id>:reserved:EUR, "
    "provider:<name>:clearing:EUR, or house:fees:EUR (fx, chargebacks, adjustments, suspense)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountThen:
    """An account after the event at `position`."""

    account: str
    currency: str
    position: int
    balance_minor: int
    """In minor units of the currency; 0 before its first entry."""
    entries: tuple[Entry, ...]
    """The last ones up to `position`, newest first, each with the balance after it."""
    more: bool
    """There are entries before these."""
    empty: str | None
    """Why there is none, where there is none."""


def account_then(
    connection: Connection[Any], account: str, *, position: int, limit: int
) -> AccountThen:
    """The account after `position`, with at most `limit` entries.

    From the journal as far as it has followed, and from the log after that.

    Raises:
        Nothing: nothing was ever posted to an account of that name.
    """
    _check(account)
    followed = at_position.followed(connection, JOURNAL)
    reached = followed.position
    entries: list[Entry] = []
    if reached:
        query = _ENTRIES.format(schema=followed.schema)
        entries = _stored(connection, query, account, min(position, reached), limit + 1)
    if position > reached:
        entries = _later(
            connection, account, entries, after=reached, upto=position, limit=limit + 1
        )
    return AccountThen(
        account=account,
        currency=currency_of(account),
        position=position,
        balance_minor=entries[0].balance_minor if entries else 0,
        entries=tuple(entries[:limit]),
        more=len(entries) > limit,
        empty=None if entries else _why_empty(connection, account, followed, position),
    )


def _check(account: str) -> None:
    kind = account.partition(":")[0]
    if kind in _COUNTERS:
        raise Nothing(
            f"{account} is a counter, not an account: it has no entries. "
            "`tallystick replay player` shows the counters of a player",
            "not_an_account",
        )
    if currency_of(account) not in currencies() or kind not in ("player", "provider", "house"):
        raise Nothing(f"no account can be called {account!r}. {_NAMES}", "not_an_account")


def _stored(connection: Connection[Any], query: str, *values: object) -> list[Entry]:
    with connection.cursor(binary=True, row_factory=args_row(Entry)) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _later(
    connection: Connection[Any],
    account: str,
    known: list[Entry],
    *,
    after: int,
    upto: int,
    limit: int,
) -> list[Entry]:
    """The last entries, newest first, where the journal has not come yet."""
    found = deque(reversed(known), maxlen=limit)
    rows = Rows()
    if known:
        last = known[0]
        rows[ACCOUNTS][account] = Account(account, last.currency, last.balance_minor, last.position)
    for stored in at_position.naming(connection, [account], after=after, upto=upto):
        recorded = Recorded(
            position=stored.position, recorded_at=stored.recorded_at, event=stored.event
        )
        JOURNAL.apply(rows, recorded)
        found.extend(entry for entry in rows[ENTRIES].values() if entry.account == account)
        own = rows[ACCOUNTS].get(account)
        rows[ENTRIES], rows[ACCOUNTS] = {}, {account: own} if own else {}
    return list(reversed(found))


def _why_empty(connection: Connection[Any], account: str, followed: Followed, position: int) -> str:
    first = _first(connection, account, followed)
    if first is None:
        raise Nothing(f"nothing was ever posted to {account} in this ledger", "no_such_account")
    return (
        f"nothing had been posted to {account} at position {position}: its first entry is at "
        f"position {first.position}, recorded {first.recorded_at.astimezone(UTC).isoformat()}"
    )


def _first(connection: Connection[Any], account: str, followed: Followed) -> Entry | None:
    if followed.position:
        found = _stored(connection, _FIRST_ENTRY.format(schema=followed.schema), account)
        if found:
            return found[0]
    rows = Rows()
    for stored in at_position.naming(
        connection, [account], after=followed.position, upto=POSITION_MAX
    ):
        recorded = Recorded(
            position=stored.position, recorded_at=stored.recorded_at, event=stored.event
        )
        JOURNAL.apply(rows, recorded)
        own = [entry for entry in rows[ENTRIES].values() if entry.account == account]
        if own:
            return own[0]
        rows[ENTRIES], rows[ACCOUNTS] = {}, {}
    return None
