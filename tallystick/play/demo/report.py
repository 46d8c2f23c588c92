"""What a day came to: counts, money, and whether anything is left over."""

from collections import defaultdict
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from projections.engine import reading
from projections.outstanding import outstanding

_COUNTS = """
SELECT kind, status, count(*) FROM history_v2.transactions GROUP BY kind, status ORDER BY 1, 2
"""
_ACCOUNTS = """
SELECT account, balance FROM ledger_accounts
WHERE split_part(account, ':', 1) IN ('player', 'provider', 'house') ORDER BY account
"""
_SUMS = "SELECT currency, sum(amount_minor)::bigint FROM journal_v1.entries GROUP BY 1 ORDER BY 1"
_HEAD = "SELECT position, root FROM ledger_head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The ledger at the end of a day; names and units as they are printed with `--json`."""

    transactions: dict[str, dict[str, int]]
    accounts: dict[str, int]
    journal_sums: dict[str, int]
    events: int
    position: int
    root: str
    outstanding: int
    lag_events: int


def report(connection: Connection[TupleRow]) -> Report:
    """Read it all in one snapshot; `connection` is in a repeatable-read transaction."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for kind, status, count in connection.execute(_COUNTS):
        counts[kind][status] = count
    position, root = connection.execute(_HEAD).fetchone() or (0, b"")
    return Report(
        transactions=dict(counts),
        accounts=dict(connection.execute(_ACCOUNTS).fetchall()),
        journal_sums=dict(connection.execute(_SUMS).fetchall()),
        events=position,
        position=position,
        root=root.hex(),
        outstanding=outstanding.count(connection),
        lag_events=max((lag.lag_events for lag in reading.lag_sync(connection)), default=0),
    )
