"""The real commands on a real ledger, and the log beside it as it grows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg

from domain.command import Command
from domain.errors import NothingToChange
from domain.events import Rate
from domain.fraud.assessment import Assessment
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS
from domain.transactions import Transaction, evolve_transaction
from ledger.commands.adjustment import AdjustmentCommands
from ledger.commands.conversion import ConversionCommands
from ledger.commands.deposit import DepositCommands
from ledger.commands.dispatch import Dispatch
from ledger.commands.dispute import DisputeCommands
from ledger.commands.handling import Caller, Handling, Written
from ledger.commands.inbox import Inbox
from ledger.commands.player import PlayerCommands
from ledger.commands.policy import PolicyCommands
from ledger.commands.provider import ProviderCommands
from ledger.commands.rates import RateCommands
from ledger.commands.refund import RefundCommands
from ledger.commands.withdrawal import WithdrawalCommands
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.ledger import Ledger
from ledger.providers.protocol import ProviderQuote, QuoteRequest
from ledger.settings import Settings
from tests.oracles.ledger_checks import ledger_on
from tests.oracles.naive_books import NaiveBooks
from tests.oracles.naive_rules import NaiveRules

SPREAD_BASIS_POINTS = 50
ROLES = {"ann": "finance", "ben": "fraud", "cleo": "compliance", "dora": "finance", "pat": ""}

NEWER = """
SELECT notification_id, originator_id, originator_version, topic, state FROM ledger_events
WHERE notification_id > %s ORDER BY notification_id
"""
KEPT = "SELECT account, balance, position FROM ledger_accounts WHERE account = ANY(%s)"


class Clock:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # before a night of 23 hours

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class QuotingProvider:
    """Gives a rate for everything, and does nothing else: its reports are made up."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def quote(self, request: QuoteRequest) -> ProviderQuote:
        return ProviderQuote(
            quote_reference="quo-1",
            rate=Fraction(3, 2),
            expires_at=self.clock() + timedelta(seconds=300),
        )


class NothingFound:
    """No indicator ever hits: what they find has tests of its own, and read models to follow."""

    def of(self, withdrawal_id: UUID, version: int) -> Assessment:
        return Assessment(score=0, hits=(), ruleset=DEFAULT_NAME, hold_from=DEFAULT_TERMS.hold_from)


class Handlers:
    """Everything that changes the ledger, as one process has it."""

    def __init__(self, ledger: Ledger, clock: Clock, adapters: Mapping[str, Any]) -> None:
        handling = Handling(ledger, clock, _unknown_balances)
        self.handling = handling
        self.clock = clock
        self.deposits = DepositCommands(handling)
        self.withdrawals = WithdrawalCommands(handling)
        self.refunds = RefundCommands(handling)
        self.conversions = ConversionCommands(handling, adapters, SPREAD_BASIS_POINTS)
        self.disputes = DisputeCommands(handling)
        self.adjustments = AdjustmentCommands(handling)
        self.players = PlayerCommands(handling)
        self.providers = ProviderCommands(handling)
        self.policies = PolicyCommands(handling)
        self.rates = RateCommands(handling)
        self.inbox = Inbox(handling)
        self.dispatch = Dispatch(handling, NothingFound(), call_timeout_seconds=1.0)

    def register_provider(self, name: str, *, poll_delays_seconds: tuple[int, ...]) -> None:
        command = Command(
            now=self.clock(), actor="system:setup", command_id=uuid4(), request_digest=""
        )
        self.providers.register(
            name,
            adapter="simulator",
            poll_delays_seconds=poll_delays_seconds,
            expiry_seconds={"redirect": 1_800},
            command=command,
        )

    def publish_rates(self) -> None:
        """Once in each database, by two people."""
        rates = [
            Rate(currency="JPY", numerator=16_345, denominator=100),
            Rate(currency="KWD", numerator=3_331, denominator=10_000),
            Rate(currency="USD", numerator=10_835, denominator=10_000),
        ]
        try:
            _, waiting = self.rates.propose(
                source="tests", base="EUR", as_of="2026-03-27", rates=rates, caller=by("ann")
            )
        except NothingToChange:
            return
        assert waiting is not None
        self.rates.approve(waiting.id, "", by("dora"))


def _unknown_balances(accounts: Sequence[str], position: int) -> Mapping[str, int]:
    """The journal is not part of this: what repeated answers say of balances is tested there."""
    return dict.fromkeys(accounts, 0)


def by(person: str, key: str | None = None) -> Caller:
    """Somebody of the staff, with a key of their own or the one given."""
    return Caller(
        actor=f"operator:{person}", idempotency_key=key or uuid4().hex, role=ROLES[person]
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """An event as it stands in the log."""

    position: int
    stream: UUID
    version: int
    topic: str
    state: bytes


class Log:
    """Reads the log as it grows: into naive books, and into states folded on the side."""

    def __init__(self, reader: psycopg.Connection[Any]) -> None:
        self.reader = reader
        head = reader.execute("SELECT position FROM ledger_head").fetchone()
        self.position: int = head[0] if head else 0
        house = "SELECT account, balance FROM ledger_accounts WHERE account LIKE 'house:%'"
        self.opening: dict[str, int] = dict(reader.execute(house).fetchall())
        """What earlier examples in this database have left on the accounts everybody shares."""
        self.books, self.rules = NaiveBooks(), NaiveRules()
        self.states: dict[UUID, Transaction] = {}
        self.topics: dict[str, int] = {}
        """How often each has been seen."""

    def follow(self) -> list[Taken]:
        """Take what is new, event by event; then the ledger's balances have to be the naive ones.

        Raises:
            AssertionError: the books are wrong at some position.
        """
        new = [Taken(*row) for row in self.reader.execute(NEWER, [self.position]).fetchall()]
        for event in new:
            self.position += 1
            assert event.position == self.position
            self.books.take(str(event.stream), event.topic, event.state, event.position)
            self.rules.take(str(event.stream), event.topic, event.state)
            self.topics[event.topic] = self.topics.get(event.topic, 0) + 1
            self._fold(event)
        if new:
            self.books.settle()
            self._compare()
            self._check_the_limits(new)
        return new

    def _fold(self, event: Taken) -> None:
        decoded = decode(event.topic, event.state, event.stream, event.version)
        after = evolve_transaction(self.states.get(event.stream), cast("Any", decoded))
        if after is not None:
            self.states[event.stream] = after

    def _compare(self) -> None:
        moved = {account: self.books.moved_at[account] for account in self.books.moved()}
        counters = self.books.counters.changed()
        kept = self.reader.execute(KEPT, [[*moved, *counters]]).fetchall()
        balances = {account: balance for account, balance, _ in kept}
        positions = {account: position for account, _, position in kept}
        for account, at in moved.items():
            expected = self.books.balances[account] + self.opening.get(account, 0)
            assert balances.get(account, 0) == expected, f"the balance of {account}"
            assert positions.get(account) == at, f"when {account} moved last"
        for counter in counters:
            assert balances.get(counter, 0) == self.books.counters.values[counter], counter

    def _check_the_limits(self, new: list[Taken]) -> None:
        """A deposit that is let through leaves its player within every limit."""
        blocked = {event.stream for event in new if event.topic == "DepositBlocked"}
        for event in new:
            if event.topic == "DepositCreated" and event.stream not in blocked:
                said = json.loads(event.state)
                moment = datetime.fromisoformat(said["occurred_at"])
                player, currency = said["player_id"], said["amount"]["currency"]
                for counter, most in self.rules.limits(player, currency, moment).items():
                    assert self.books.counters.values[counter] <= most, f"above {counter}"

    def check(self, written: Written | None) -> None:
        """What a command answered is what the log says."""
        if written is None or written.replayed:
            return
        assert written.transaction == self.states[written.transaction.id]
        assert written.receipt.position == self.position
        expected = {
            account: self.books.balances.get(account, 0) for account in written.receipt.balances
        }
        assert dict(written.receipt.balances) == expected


@contextmanager
def two_processes(database: Settings) -> Iterator[tuple[Ledger, Ledger, psycopg.Connection[Any]]]:
    """Two ledgers on one database, as two processes would have them, and a reader."""
    reading = conninfo(database, Role.READER)
    with (
        ledger_on(database) as one,
        ledger_on(database) as other,
        psycopg.connect(reading, autocommit=True) as reader,
    ):
        yield one, other, reader
