"""Any sequence of commands and reports, on the real ledger, against naive books beside it.

The decisions are the real ones and so is the database. Providers say whatever they like, in any
order, with any amount, about any attempt; people decide whatever they are allowed to.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from domain.accounts import available, reserved
from domain.deposit import (
    Deposit,
    cancel_deposit,
    create_deposit,
    fold_deposit,
    submit_deposit,
)
from domain.deposit_reports import hear_deposit, resolve_deposit
from domain.errors import DomainError, Reason
from domain.events import LedgerEvent
from domain.money import Money
from domain.outcomes import DeclineCode, Evidence, Outcome, Source
from domain.player import Verification
from domain.transactions import Transaction
from domain.withdrawal import Withdrawal, fold_withdrawal
from domain.withdrawal_decisions import (
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
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

PEOPLE = st.sampled_from(["ann", "ben", "cleo"])
AMOUNTS = st.sampled_from([1, 100, 101, 5_000, 10_000])
CURRENCIES = st.sampled_from(["EUR", "EUR", "JPY"])
TOLD = st.sampled_from(["nothing", "right", "right", "wrong", "another currency"])
FEES = st.sampled_from([None, None, 0, 3])
SOURCES = st.sampled_from(Source)
OUTCOMES = st.one_of(
    st.sampled_from([Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.DECLINED, Outcome.RETURNED]),
    st.sampled_from(Outcome),
)
RARELY = st.sampled_from([False, False, False, True])
# Two questions and then a person: reviews for want of an answer come up in short runs, too.
SHORT_SCHEDULE = provider(poll_delays_seconds=(10, 30, 120))

DECISIONS_OF_PEOPLE: dict[str, Callable[..., object]] = {
    "approve": lambda state, asked: approve_withdrawal(state, asked, note="n"),
    "reject": lambda state, asked: reject_withdrawal(state, asked, note="n"),
    "hold": lambda state, asked: hold_withdrawal(state, asked, note="n"),
    "release": lambda state, asked: release_withdrawal(state, asked, note="n"),
    "ask": lambda state, asked: request_information(state, asked, note="n"),
    "answer": lambda state, asked: provide_information(state, asked, note="n"),
    "cancel": lambda state, asked: cancel_withdrawal(state, asked, reason="r"),
    "retry": retry_withdrawal,
}
FOLDS = {"deposit": fold_deposit, "withdrawal": fold_withdrawal}


class LedgerMachine(RuleBasedStateMachine):
    """Two players, any number of transactions, new streams in every example."""

    deposits = Bundle("deposits")
    withdrawals = Bundle("withdrawals")

    def __init__(self, ledger: Ledger, reader: psycopg.Connection[Any]) -> None:
        super().__init__()
        self.ledger, self.reader = ledger, reader
        self.books = NaiveBooks()
        self.states: dict[UUID, Transaction] = {}
        self.players: list[Any] = []
        self.last: tuple[UUID, Callable[[Any], object]] | None = None

    # --- carrying out -------------------------------------------------------------------------

    def carry_out(self, stream: UUID, decide: Callable[[Any], object]) -> None:
        """Decide on the state as loaded from the ledger, append, and tell the naive books."""
        try:
            events = as_events(decide(self.states[stream]))
        except DomainError as error:
            note(f"  refused: {error}")
            return
        self.append(events)
        self.last = (stream, decide)

    def append(self, events: Sequence[LedgerEvent], refusal: Sequence[LedgerEvent] = ()) -> None:
        if not events:
            return
        receipt = self.ledger.append(events, refusal=refusal)
        stream = events[0].originator_id
        stored = self.reader.execute(
            "SELECT topic, state FROM ledger_events WHERE originator_id = %s"
            " ORDER BY originator_version",
            [stream],
        ).fetchall()
        for topic, state in stored[-len(receipt.positions) :]:
            note(f"  {topic}")
            self.books.take(str(stream), topic, state)
        kind = "deposit" if stored[0][0] == "DepositCreated" else "withdrawal"
        self.states[stream] = self.ledger.load(stream, FOLDS[kind])

    def evidence(
        self, state: Transaction, outcome: Outcome, source: Source, told: str, **rest: Any
    ) -> Evidence:
        amount = {
            "nothing": None,
            "right": state.amount,
            "wrong": Money(state.amount.amount + 7, state.amount.currency),
            "another currency": Money(state.amount.amount, "USD"),
        }[told]
        fee = rest.pop("fee")
        return heard(
            outcome,
            source,
            amount=amount,
            fee=None if fee is None else Money(fee, state.amount.currency),
            transaction=state.id,
            **rest,
        )

    # --- players ------------------------------------------------------------------------------

    @initialize(target=deposits)
    def two_players_with_money(self) -> Any:
        self.players = [
            player(Verification.FULL, player_id=uuid4()),
            player(Verification.NONE, player_id=uuid4()),
        ]
        return multiple(*(self.create_and_complete(number, 10_000, "EUR") for number in (0, 1)))

    @rule(number=st.integers(0, 1), excluded=RARELY, on_hold=RARELY)
    def exclude_or_hold(self, number: int, excluded: bool, on_hold: bool) -> None:
        self.players[number] = replace(self.players[number], excluded=excluded, on_hold=on_hold)

    # --- deposits -----------------------------------------------------------------------------

    @rule(target=deposits, number=st.integers(0, 1), amount=AMOUNTS, currency=CURRENCIES)
    def create(self, number: int, amount: int, currency: str) -> UUID:
        stream = uuid4()
        self.append(
            create_deposit(
                stream,
                command("player:p1"),
                player=self.players[number],
                provider=SHORT_SCHEDULE,
                method="redirect",
                amount=Money(amount, currency),
                instrument=None,
                metadata={},
            )
        )
        return stream

    @rule(
        target=deposits,
        number=st.integers(0, 1),
        amount=AMOUNTS,
        outcome=OUTCOMES,
        source=SOURCES,
        told=TOLD,
    )
    def create_and_hear(
        self, number: int, amount: int, outcome: Outcome, source: Source, told: str
    ) -> UUID:
        stream = self.create_and_submit(number, amount, "EUR")
        self.hear_of_deposit(stream, outcome, source, told, 1, None)
        return stream

    def create_and_submit(self, number: int, amount: int, currency: str) -> UUID:
        stream = self.create(number, amount, currency)
        self.submit_the_deposit(stream)
        return stream

    @rule(target=deposits, number=st.integers(0, 1), amount=AMOUNTS, currency=CURRENCIES)
    def create_and_complete(self, number: int, amount: int, currency: str) -> UUID:
        """The usual case at once, so that there is money to take out."""
        stream = self.create_and_submit(number, amount, currency)
        self.hear_of_deposit(stream, Outcome.SUCCEEDED, Source.NOTICE, "right", 1, None)
        return stream

    @rule(stream=deposits)
    def submit_the_deposit(self, stream: UUID) -> None:
        self.carry_out(stream, lambda s: submit_deposit(s, command(), provider=SHORT_SCHEDULE))

    @rule(stream=deposits)
    def cancel_the_deposit(self, stream: UUID) -> None:
        asked = command("player:p1")
        self.carry_out(stream, lambda s: cancel_deposit(s, asked, Reason.REQUESTED_BY_PLAYER))

    @rule(
        stream=deposits,
        outcome=OUTCOMES,
        source=SOURCES,
        told=TOLD,
        attempt=st.sampled_from([1, 1, 1, 2]),
        fee=FEES,
    )
    def hear_of_deposit(
        self,
        stream: UUID,
        outcome: Outcome,
        source: Source,
        told: str,
        attempt: int,
        fee: int | None,
    ) -> None:
        state = self.states[stream]
        evidence = self.evidence(state, outcome, source, told, attempt=attempt, fee=fee)
        account = available(state.player_id, (state.credited or state.amount).currency)

        def decide(current: Deposit) -> object:
            return hear_deposit(
                current,
                command("provider:acme"),
                evidence,
                provider=SHORT_SCHEDULE,
                available_minor=self.ledger.balances([account])[account],
            )

        self.carry_out(stream, decide)

    @rule(stream=deposits, person=PEOPLE, ending=st.sampled_from(["completed", "failed"]))
    def resolve_the_deposit(self, stream: UUID, person: str, ending: str) -> None:
        asked = by(person)
        self.carry_out(stream, lambda s: resolve_deposit(s, asked, target=ending, note="n"))

    @rule(stream=deposits, ending=st.sampled_from(["completed", "failed"]))
    def two_people_resolve_the_deposit(self, stream: UUID, ending: str) -> None:
        self.resolve_the_deposit(stream, "ann", ending)
        self.resolve_the_deposit(stream, "ben", ending)

    # --- withdrawals --------------------------------------------------------------------------

    @rule(target=withdrawals, number=st.integers(0, 1), amount=AMOUNTS, currency=CURRENCIES)
    def request(self, number: int, amount: int, currency: str) -> UUID:
        stream = uuid4()
        self.append(*self.request_and_refusal(stream, number, Money(amount, currency)))
        return stream

    @rule(target=withdrawals, number=st.integers(0, 1))
    def request_everything(self, number: int) -> Any:
        account = available(self.players[number].id, "EUR")
        balance = self.ledger.balances([account])[account]
        if balance == 0:
            return multiple()
        stream = uuid4()
        self.append(*self.request_and_refusal(stream, number, Money(balance, "EUR")))
        assert self.states[stream].status == "requested"
        return stream

    def request_and_refusal(
        self, stream: UUID, number: int, amount: Money
    ) -> list[Sequence[LedgerEvent]]:
        return [
            request_withdrawal(
                stream,
                command("player:p1"),
                player=self.players[number],
                provider=SHORT_SCHEDULE,
                method="bank_transfer",
                amount=amount,
                instrument=None,
                metadata={},
                refusal=refusal,
            )
            for refusal in (None, Reason.INSUFFICIENT_FUNDS)
        ]

    @rule(
        target=withdrawals,
        number=st.integers(0, 1),
        amount=st.sampled_from([1, 100, 1_000]),
        outcome=OUTCOMES,
        source=SOURCES,
        told=TOLD,
    )
    def request_and_hear(
        self, number: int, amount: int, outcome: Outcome, source: Source, told: str
    ) -> UUID:
        """Most of what can go wrong goes wrong at the provider: some get there without detours."""
        stream = self.request(number, amount, "EUR")
        self.hurry_to_the_provider(stream)
        self.hear_of_withdrawal(stream, outcome, source, told, 0, None, temporary=True)
        return stream

    @rule(stream=withdrawals, approvals=st.integers(0, 2))
    def screen_the_withdrawal(self, stream: UUID, approvals: int) -> None:
        rules = policy((None, approvals))
        self.carry_out(
            stream,
            lambda s: screen_withdrawal(s, command(), player=self.owner(s), policy=rules),
        )

    @rule(stream=withdrawals, person=PEOPLE, decision=st.sampled_from(list(DECISIONS_OF_PEOPLE)))
    def people_decide(self, stream: UUID, person: str, decision: str) -> None:
        asked = by(person)
        self.carry_out(stream, lambda s: DECISIONS_OF_PEOPLE[decision](s, asked))

    @rule(stream=withdrawals)
    def submit_the_withdrawal(self, stream: UUID) -> None:
        self.carry_out(
            stream,
            lambda s: submit_withdrawal(
                s, command(), player=self.owner(s), provider=SHORT_SCHEDULE
            ),
        )

    @rule(stream=withdrawals)
    def hurry_to_the_provider(self, stream: UUID) -> None:
        """Whatever the next step on the way is, and those after it."""
        self.screen_the_withdrawal(stream, 0)
        self.people_decide(stream, "ann", "approve")
        self.people_decide(stream, "ann", "retry")
        self.submit_the_withdrawal(stream)

    @rule(
        stream=withdrawals,
        outcome=OUTCOMES,
        source=SOURCES,
        told=TOLD,
        back=st.sampled_from([0, 0, 0, 1, -1]),
        fee=FEES,
        temporary=st.booleans(),
    )
    def hear_of_withdrawal(
        self,
        stream: UUID,
        outcome: Outcome,
        source: Source,
        told: str,
        back: int,
        fee: int | None,
        temporary: bool,
    ) -> None:
        state = self.states[stream]
        code = DeclineCode.PROVIDER_ERROR if temporary else DeclineCode.ACCOUNT_CLOSED
        evidence = self.evidence(
            state,
            outcome,
            source,
            told,
            attempt=max(1, state.attempt - back),
            fee=fee,
            decline_code=code if outcome is Outcome.DECLINED else None,
        )
        self.carry_out(
            stream,
            lambda s: hear_withdrawal(
                s, command("provider:acme"), evidence, provider=SHORT_SCHEDULE
            ),
        )

    @rule(stream=withdrawals, person=PEOPLE, ending=st.sampled_from(["paid", "failed"]))
    def resolve_the_withdrawal(self, stream: UUID, person: str, ending: str) -> None:
        asked = by(person)
        self.carry_out(stream, lambda s: resolve_withdrawal(s, asked, target=ending, note="n"))

    @rule(stream=withdrawals, ending=st.sampled_from(["paid", "failed"]))
    def two_people_resolve_the_withdrawal(self, stream: UUID, ending: str) -> None:
        self.resolve_the_withdrawal(stream, "ann", ending)
        self.resolve_the_withdrawal(stream, "ben", ending)

    def owner(self, state: Withdrawal) -> Any:
        return next(p for p in self.players if p.id == state.player_id)

    # --- everything twice ---------------------------------------------------------------------

    @rule()
    def the_last_person_asks_again(self) -> None:
        """The same command or notice: nothing is appended, or it is noted and moves nothing."""
        if self.last is None:
            return
        stream, decide = self.last
        before = dict(self.books.balances)
        self.carry_out(stream, decide)
        assert self.books.balances == before

    # --- what must hold after every step ------------------------------------------------------

    @invariant()
    def the_ledgers_balances_are_the_naive_ones(self) -> None:
        mine = [a for p in self.players for a in self.accounts_of(p)]
        kept = self.ledger.balances(mine)
        assert kept == {account: self.books.balances.get(account, 0) for account in mine}

    @invariant()
    def what_is_reserved_is_reserved_for_a_transaction(self) -> None:
        for p in self.players:
            for currency in ("EUR", "JPY", "USD"):
                wanted = sum(
                    reserved_by(s, currency) for s in self.states.values() if s.player_id == p.id
                )
                assert self.books.balances.get(reserved(p.id, currency), 0) == wanted

    @invariant()
    def nothing_is_created_or_lost(self) -> None:
        for currency in ("EUR", "JPY", "USD"):
            total = sum(b for a, b in self.books.balances.items() if a.endswith(currency))
            assert total == 0

    @staticmethod
    def accounts_of(owner: Any) -> list[str]:
        return [
            account(owner.id, currency)
            for account in (available, reserved)
            for currency in ("EUR", "JPY", "USD")
        ]


def reserved_by(state: Transaction, currency: str) -> int:
    """What the transaction itself believes stands reserved because of it."""
    if isinstance(state, Withdrawal):
        return state.amount.amount if state.reserved and state.amount.currency == currency else 0
    kept = state.reserved
    return kept.amount if kept is not None and kept.currency == currency else 0


def test_any_sequence_keeps_the_books(module_database: Settings) -> None:
    with (
        ledger_on(module_database) as ledger,
        psycopg.connect(conninfo(module_database, Role.READER), autocommit=True) as reader,
    ):
        run_state_machine_as_test(lambda: LedgerMachine(ledger, reader))
    check_log(module_database)
