"""The whole log, replayed in plain integers, agrees with the balances at every position.

A mixed run of real decisions fills one database. After each append the accounts table is compared
with the replay so far: what the ledger says at a position is what the events up to it say.
"""

import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.accounts import available
from domain.deposit import Deposit, create_deposit, fold_deposit, submit_deposit
from domain.deposit_reports import hear_deposit, resolve_deposit
from domain.errors import DomainError, Reason
from domain.money import Money
from domain.outcomes import Outcome, Source
from domain.withdrawal import Withdrawal, fold_withdrawal
from domain.withdrawal_decisions import (
    cancel_withdrawal,
    request_withdrawal,
    retry_withdrawal,
    screen_withdrawal,
    submit_withdrawal,
)
from domain.withdrawal_reports import hear_withdrawal, resolve_withdrawal
from tallystick.config import Settings
from tallystick.eventstore.database import Role, conninfo
from tallystick.eventstore.ledger import Ledger
from tests.ledger_checks import check_log, ledger_on
from tests.property.naive_books import NaiveBooks
from tests.scenario import as_events, by, command, heard, player, policy, provider

STEPS = 1_000
NEWER = """
SELECT notification_id, originator_id, topic, state FROM ledger_events
WHERE notification_id > %s ORDER BY notification_id
"""
PROVIDERS = [provider(name, poll_delays_seconds=(10, 30)) for name in ("acme", "zeta")]
CURRENCIES = ["EUR", "JPY", "KWD"]


@dataclass
class World:
    """Players and their transactions, driven by one random number generator."""

    ledger: Ledger
    chance: random.Random
    players: list[Any] = field(default_factory=lambda: [player(player_id=uuid4()) for _ in "abc"])
    deposits: list[UUID] = field(default_factory=list)
    withdrawals: list[UUID] = field(default_factory=list)

    def step(self) -> int:
        """Something happens; returns how many events it left."""
        act = self.chance.choice(
            [self.deposit, self.withdraw, *[self.on_deposit] * 4, *[self.on_withdrawal] * 5]
        )
        try:
            return act()
        except DomainError:
            return 0

    def money(self) -> Money:
        return Money(self.chance.randint(1, 5_000), self.chance.choice(CURRENCIES))

    def request(self) -> dict[str, Any]:
        return {
            "player": self.chance.choice(self.players),
            "provider": self.chance.choice(PROVIDERS),
            "method": "redirect",
            "amount": self.money(),
            "instrument": None,
            "metadata": {},
        }

    def append(self, made: object, refusal: object = ()) -> int:
        events = as_events(made)
        if not events:
            return 0
        return len(self.ledger.append(events, refusal=as_events(refusal)).positions)

    def deposit(self) -> int:
        stream = uuid4()
        self.deposits.append(stream)
        return self.append(create_deposit(stream, command("player:p1"), **self.request()))

    def withdraw(self) -> int:
        stream, asked, request = uuid4(), command("player:p1"), self.request()
        self.withdrawals.append(stream)
        return self.append(
            request_withdrawal(stream, asked, **request),
            request_withdrawal(stream, asked, **request, refusal=Reason.INSUFFICIENT_FUNDS),
        )

    def evidence(self, state: Deposit | Withdrawal, attempt: int) -> Any:
        amount = state.amount
        if self.chance.random() < 0.1:
            amount = Money(amount.amount + self.chance.choice([-1, 1, 50]), amount.currency)
        fee = self.chance.choice([None, Money(self.chance.randint(0, 9), amount.currency)])
        likely = [Outcome.SUCCEEDED] * 8 + [Outcome.DECLINED] * 3 + [Outcome.RETURNED] * 2
        return heard(
            self.chance.choice([*likely, *Outcome]),
            self.chance.choice(list(Source)),
            amount=self.chance.choice([None, amount, amount]),
            fee=fee,
            attempt=max(1, attempt),
            transaction=state.id,
        )

    def on_deposit(self) -> int:
        if not self.deposits:
            return 0
        state = self.ledger.load(self.chance.choice(self.deposits[-12:]), fold_deposit)
        if state.status == "created":
            return self.append(submit_deposit(state, command(), provider=PROVIDERS[0]))
        if state.status == "review":
            target = self.chance.choice(["completed", "failed"])
            person = by(self.chance.choice(["ann", "ben"]))
            return self.append(resolve_deposit(state, person, target=target, note="n"))
        account = available(state.player_id, (state.credited or state.amount).currency)
        return self.append(
            hear_deposit(
                state,
                command("provider:x"),
                self.evidence(state, 1),
                provider=PROVIDERS[0],
                available_minor=self.ledger.balances([account])[account],
            )
        )

    def on_withdrawal(self) -> int:
        if not self.withdrawals:
            return 0
        state = self.ledger.load(self.chance.choice(self.withdrawals[-12:]), fold_withdrawal)
        owner = next(p for p in self.players if p.id == state.player_id)
        match str(state.status):
            case "requested":
                rules = policy((None, 0))
                if self.chance.random() < 0.1:
                    return self.append(cancel_withdrawal(state, by("ann"), reason="r"))
                return self.append(screen_withdrawal(state, command(), player=owner, policy=rules))
            case "queued":
                return self.append(
                    submit_withdrawal(state, command(), player=owner, provider=PROVIDERS[0])
                )
            case "failed" if state.reserved and self.chance.random() < 0.7:
                return self.append(retry_withdrawal(state, command()))
            case "review":
                target = self.chance.choice(["paid", "failed"])
                person = by(self.chance.choice(["ann", "ben"]))
                return self.append(resolve_withdrawal(state, person, target=target, note="n"))
        attempt = state.attempt - self.chance.choice([0, 0, 0, 1])
        return self.append(
            hear_withdrawal(
                state,
                command("provider:x"),
                self.evidence(state, attempt),
                provider=PROVIDERS[0],
            )
        )


def test_a_replay_in_plain_integers_agrees_at_every_position(database: Settings) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    books, position = NaiveBooks(), 0
    with (
        ledger_on(database) as ledger,
        psycopg.connect(conninfo(database, Role.READER), autocommit=True) as reader,
    ):
        world = World(ledger, random.Random(seed))
        for _ in range(STEPS):
            if not world.step():
                continue
            for at, stream, topic, state in reader.execute(NEWER, [position]).fetchall():
                position += 1
                assert at == position
                books.take(str(stream), topic, state)
            kept = reader.execute("SELECT account, balance, position FROM ledger_accounts")
            balances = {account: (balance, moved_at) for account, balance, moved_at in kept}
            assert {a: balance for a, (balance, _) in balances.items()} == books.balances
            assert all(moved_at <= position for _, moved_at in balances.values())
    events = check_log(database)
    assert len(events) == position
    moved = {e.topic for e in events}
    expected = {"DepositCompleted", "WithdrawalPaid", "WithdrawalReturned", "TransactionResolved"}
    assert expected <= moved, "the run was not mixed enough to mean anything"


COMPLETED = b'{"settled":{"amount":5,"currency":"EUR"},"player_id":"p","provider":"x","fee":null}'
REQUESTED = b'{"amount":{"amount":6,"currency":"EUR"},"player_id":"p","reserved":true}'
PAID = b"""{"amount":{"amount":5,"currency":"EUR"},"player_id":"p","provider":"x","fee":null,
"evidence":{"reference":"w-1"}}"""


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([("s", "DepositCompleted", COMPLETED)], ("s", "DepositCompleted", COMPLETED)),
        ([("s", "DepositCompleted", COMPLETED)], ("w", "WithdrawalRequested", REQUESTED)),
        ([("s", "DepositCompleted", COMPLETED)], ("w", "WithdrawalPaid", PAID)),
    ],
    ids=["credited twice", "more than there is", "paid without a reservation"],
)
def test_the_replay_finds_what_it_is_there_to_find(
    first: list[tuple[str, str, bytes]], then: tuple[str, str, bytes]
) -> None:
    books = NaiveBooks()
    for event in first:
        books.take(*event)
    assert books.balances == {"provider:x:clearing:EUR": -5, "player:p:available:EUR": 5}
    with pytest.raises(AssertionError):
        books.take(*then)
