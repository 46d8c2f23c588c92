"""W11, the past: how long does it take to say what was, on a small log and on one ten times longer?

The journal's balance as of a random position is measured beside a primary key lookup of the balance
now, and beside folding the account from the log. So are finding the position of an instant, the
story of a transaction with what each decider saw, and a player as they were.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from time import perf_counter
from typing import Any
from uuid import UUID

import psycopg
from _generate import follow, generate
from _measure import configuration, fresh_ledger, percentile
from rich.console import Console
from rich.table import Table

from ledger.eventstore import database, positions
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.journal import journal
from replay import at_position
from replay.player import player_then
from replay.transaction import story

P99_MS_MAX = 10.0
GROWTH_MAX = 2.0
"""How much slower a log ten times longer may be."""

DECIDED = ("deposit", "withdrawal", "refund", "conversion", "adjustment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One question, asked of one log again and again."""

    question: str
    events: int
    calls: int
    p50_ms: float
    p99_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="in the small log")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found: list[Latency] = []
    with fresh_ledger() as settings:
        described = configuration(settings, seconds=options.seconds)
        found += measured(settings, options.events, options.seconds)
    with fresh_ledger() as settings:
        found += measured(settings, 10 * options.events, options.seconds)
    failed = list(misses(found))
    if options.json:
        results = [asdict(one) for one in found]
        print(json.dumps({"configuration": described, "results": results, "misses": failed}))
    else:
        show(found, failed, described)
    raise SystemExit(1 if failed else 0)


def measured(settings: Settings, events: int, seconds: float) -> list[Latency]:
    """Everything, on one log."""
    generate(settings, events)
    follow(settings)
    reader = database.conninfo(settings, Role.READER)
    with psycopg.connect(reader, autocommit=True) as connection:
        return _Questions(connection).asked(seconds)


class _Questions:
    """Asks for things that are there, at random."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._random = Random(7)
        self._head = self._column("SELECT position FROM ledger_head")[0]
        self._accounts = self._column("SELECT account FROM journal_v1.accounts")
        self._own = [account for account in self._accounts if account.startswith("player:")]
        self._players = sorted({UUID(account.split(":")[1]) for account in self._own})
        self._transactions = self._column(
            "SELECT id FROM history_v2.transactions WHERE kind = ANY(%s)", list(DECIDED)
        )
        first, last = connection.execute(
            "SELECT min(recorded_at), max(recorded_at) FROM ledger_events"
        ).fetchone() or (None, None)
        self._first, self._span = first, last - first

    def asked(self, seconds: float) -> list[Latency]:
        return [
            self._timed("balance now (primary key)", seconds, self._balance_now),
            self._timed("balance as of (journal)", seconds, self._balance_as_of),
            self._timed("position of an instant", seconds, self._position),
            self._timed("story with what was seen", seconds, self._story),
            self._timed("player as of", seconds, self._player),
            self._timed("balance folded from the log", seconds, self._folded),
        ]

    def _timed(self, question: str, seconds: float, ask: Callable[[], object]) -> Latency:
        ask()  # once without the clock: the first of its kind is planned
        taken = []
        until = perf_counter() + seconds
        while (began := perf_counter()) < until or len(taken) < 3:
            ask()
            taken.append((perf_counter() - began) * 1_000)
        taken.sort()
        return Latency(
            question=question,
            events=self._head,
            calls=len(taken),
            p50_ms=round(percentile(taken, 0.5), 3),
            p99_ms=round(percentile(taken, 0.99), 3),
        )

    def _balance_now(self) -> object:
        account = self._random.choice(self._accounts)
        query = "SELECT balance FROM ledger_accounts WHERE account = %s"
        return self._connection.execute(query, [account]).fetchone()

    def _balance_as_of(self) -> object:
        account = self._random.choice(self._accounts)
        return journal.balances_as_of_sync(self._connection, [account], self._some_position())

    def _position(self) -> object:
        instant = self._first + timedelta(
            seconds=self._random.random() * self._span.total_seconds()
        )
        return positions.resolve(self._connection, instant.isoformat(), datetime.now(UTC))

    def _story(self) -> object:
        return story(self._connection, self._random.choice(self._transactions))

    def _player(self) -> object:
        player_id = self._random.choice(self._players)
        (registered,) = at_position.stream(self._connection, player_id, self._head)[:1]
        position = self._random.randint(registered.position, self._head)
        now = datetime.now(UTC)
        return player_then(self._connection, player_id, position=position, at=now, limit=20)

    def _folded(self) -> object:
        """What it would take without a journal."""
        account, upto = self._random.choice(self._own), self._some_position()
        return at_position.folded(self._connection, account, upto)

    def _some_position(self) -> int:
        return self._random.randint(1, self._head)

    def _column(self, query: str, *values: object) -> list[Any]:
        return [row[0] for row in self._connection.execute(query.encode(), values or None)]


def misses(found: Sequence[Latency]) -> list[str]:
    """Where the targets are missed."""
    small, large = (one for one in found if one.question == "balance as of (journal)")
    missed = []
    if large.p99_ms > P99_MS_MAX:
        missed.append(f"p99 of {large.p99_ms} ms is above {P99_MS_MAX}")
    if large.p50_ms > GROWTH_MAX * small.p50_ms:
        missed.append(f"ten times the events take {large.p50_ms / small.p50_ms:.1f} times as long")
    return missed


def show(found: Sequence[Latency], failed: Sequence[str], described: dict[str, Any]) -> None:
    console = Console()
    console.print(", ".join(f"{name} {value}" for name, value in described.items()))
    table = Table("question", "events", "p50 ms", "p99 ms", "calls", box=None)
    for one in sorted(found, key=lambda latency: latency.question):
        table.add_row(
            one.question, f"{one.events:,}", str(one.p50_ms), str(one.p99_ms), str(one.calls)
        )
    console.print(table)
    for miss in failed:
        console.print(f"[red]{miss}[/red]")


if __name__ == "__main__":
    main()
