"""Any sequence of commands and reports, on the real ledger, against naive books beside it.

The commands are the real ones and so is the database; all six kinds of transactions share the
same few players. Providers say whatever they like, in any order, with any amount, about any
attempt; people do whatever they are allowed to, and try what they are not.
"""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.conversion.state import Conversion
from domain.deposit.state import Deposit
from domain.money import Money
from domain.refund.decisions import Refund
from domain.transactions import Transaction
from domain.withdrawal.state import Withdrawal
from ledger.commands.handling import Caller
from ledger.settings import Settings
from tests.oracles.ledger_checks import check_log
from tests.property.backroom import Handlers, by, two_processes
from tests.property.machine_core import ENDINGS, WHICH, Act
from tests.property.machine_others import Others
from tests.property.machine_pay_in import PayIn
from tests.property.machine_pay_out import PayOut


class LedgerMachine(PayIn, PayOut, Others):
    """Three players, two providers, any number of transactions; all of them new in each example."""

    # --- reviews --------------------------------------------------------------------------------

    @rule(which=WHICH, people=st.permutations(["ann", "ben", "ben"]), end=st.integers(0, 1))
    def people_resolve(self, which: int, people: list[str], end: int) -> None:
        """One of those in review; mostly two people say the same."""
        reviewed = [
            (kind, stream)
            for kind in ENDINGS
            for stream in self.kinds[kind]
            if self.state(stream).status == "review"
        ]
        if reviewed:
            kind, stream = reviewed[which % len(reviewed)]
            for person in people[:2]:
                self.resolve(kind, stream, ENDINGS[kind][end], by(person))

    def resolve(self, kind: str, stream: UUID, target: str, caller: Caller) -> None:
        state = self.state(stream)
        in_review = [leg for leg in getattr(state, "legs", ()) if leg.status == "review"]
        leg = in_review[0].number if in_review else None
        acts: dict[str, Act] = {
            "deposit": lambda h: h.deposits.resolve(stream, target, "n", caller),
            "withdrawal": lambda h: h.withdrawals.resolve(
                stream, leg=leg, target=target, note="n", caller=caller
            ),
            "refund": lambda h: h.refunds.resolve(stream, target, "n", caller),
            "conversion": lambda h: h.conversions.resolve(stream, target, "n", caller),
        }
        self.carry_out(acts[kind], keyed=True)

    # --- time, other processes, and everything twice --------------------------------------------

    @rule(seconds=st.sampled_from([1, 30, 400, 90_000, 700_000, -90_000]))
    def the_clock_moves(self, seconds: int) -> None:
        self.clock.move(seconds)

    @rule(kind=st.sampled_from(["conversion", "dispute"]), which=WHICH)
    def time_is_over(self, kind: str, which: int) -> None:
        stream = self.pick(kind, which)
        if stream is not None:
            self.carry_out(lambda h: h.dispatch.expire(stream))

    @rule()
    def another_process_goes_on(self) -> None:
        """It remembers players, providers and transactions as they were when it saw them last."""
        self.processes.reverse()

    @rule()
    def a_process_is_restarted(self) -> None:
        ledger = self.now.handling.ledger
        for stream in self.players:
            ledger.forget(stream)
        self.processes[0] = Handlers(ledger, self.clock, self.adapters)

    @rule(elsewhere=st.booleans())
    def the_last_one_asks_again(self, elsewhere: bool) -> None:
        """The same command or notice: nothing moves; under a key, nothing is even recorded."""
        if self.last is None:
            return
        if elsewhere:
            self.processes.reverse()
        before = dict(self.log.books.balances)
        position = self.log.position
        self.carry_out(self.last, keyed=self.last_has_a_key)
        assert self.log.books.balances == before
        assert self.log.position == position or not self.last_has_a_key

    # --- what must hold after every step --------------------------------------------------------

    @invariant()
    def nothing_is_created_or_lost(self) -> None:
        assert not any(self.log.books.zero_sums().values())

    @invariant()
    def what_is_reserved_is_reserved_for_a_transaction(self) -> None:
        wanted: dict[str, int] = {}
        for state in self.log.states.values():
            for money in reserved_by(state):
                account = f"player:{state.player_id}:reserved:{money.currency}"
                wanted[account] = wanted.get(account, 0) + money.amount
        for account, minor in self.log.books.balances.items():
            assert ":reserved:" not in account or minor == wanted.get(account, 0), account

    @invariant()
    def no_deposit_promises_more_than_is_left_of_it(self) -> None:
        for stream in self.kinds["deposit"]:
            left = self.log.books.claims.left_minor(str(stream))
            assert self.state(stream).refundable_minor == max(0, left)

    def teardown(self) -> None:
        """At the end of each example: the other process sees the same."""
        for stream, state in self.log.states.items() if self.sound else ():
            stored = self.processes[1].handling.transaction(stream)
            assert stored == state, differences(stored, state)


def reserved_by(state: Transaction) -> list[Money]:
    """What the transaction itself believes stands reserved because of it."""
    match state:
        case Withdrawal():
            return [Money(state.reserved_minor, state.amount.currency)]
        case Refund():
            held = [Money(state.held_minor, state.amount.currency)] if state.held_minor else []
            return held + ([state.amount] if state.reserved else [])
        case Conversion():
            source = [state.source] if state.reserved else []
            return source + ([state.held] if state.held else [])
        case Deposit():
            return [state.reserved] if state.reserved else []
        case _:
            return []


def differences(one: Any, other: Any) -> list[str]:
    return [
        f"{name}: {getattr(one, name)} != {getattr(other, name)}"
        for name in type(one).__dataclass_fields__
        if getattr(one, name) != getattr(other, name)
    ]


# Some of these come up in every few examples; a run without one of them has not tried.
CERTAIN = {
    *("DepositCompleted", "WithdrawalPaid", "RefundSucceeded", "ConversionExecuted"),
    *("DisputeFundsWithdrawn", "TransactionResolved", "ReviewOpened", "TransactionFailed"),
}


EXAMPLES_MIN = 500
STEPS = 50


@pytest.mark.timeout(900)  # a minute if all is well; a failure is made small for up to five more
@pytest.mark.parametrize("half", ["one half", "the other half"])
def test_any_sequence_keeps_the_books(half: str, database: Settings) -> None:
    """In two halves, which run side by side."""
    examples = max(EXAMPLES_MIN, settings.default.max_examples if settings.default else 0)
    with two_processes(database) as (one, other, reader):
        run_state_machine_as_test(
            lambda: LedgerMachine(one, other, reader),
            settings=settings(max_examples=examples // 2, stateful_step_count=STEPS),
        )
    happened = {event.topic for event in check_log(database)}
    assert happened >= CERTAIN, "the run was not mixed enough to mean anything"
