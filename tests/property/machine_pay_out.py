"""Rules of the ledger machine: what is paid out, or goes back."""

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import (
    rule,
)

from domain.errors import RefundExceedsCapture
from domain.events.evidence import Outcome, Source
from domain.money import Money
from ledger.commands.handling import Written
from ledger.commands.refund import RequestRefund
from ledger.commands.withdrawal import RequestWithdrawal
from tests.property.backroom import Handlers, by
from tests.property.machine_core import (
    AMOUNTS,
    CURRENCIES,
    DECISIONS,
    INSTRUMENTS,
    OUTCOMES,
    PEOPLE,
    PLAYERS,
    PROVIDERS,
    TOLD,
    WHICH,
    Act,
    Core,
)


class PayOut(Core):
    """Withdrawals and refunds."""

    # --- withdrawals ----------------------------------------------------------------------------

    def request_a_payout(
        self, player: int, provider: int, minor: int | None, currency: str, instrument: str | None
    ) -> UUID | None:
        """It is rejected where, and only where, there is too little money for it."""
        there = self.available(player, currency)
        minor = there if minor is None else minor
        if minor == 0:
            return None
        request = RequestWithdrawal(
            player_id=self.players[player],
            provider=self.names[provider],
            method="bank_transfer",
            amount=Money(minor, currency),
            instrument=instrument,
            metadata={},
        )
        caller = by("pat")
        written = self.carry_out(lambda h: h.withdrawals.request(request, caller), keyed=True)
        assert (written.transaction.status == "requested") == (minor <= there)
        return self.begun("withdrawal", written)

    @rule(
        player=PLAYERS,
        provider=PROVIDERS,
        minor=st.none() | AMOUNTS,
        currency=CURRENCIES,
        instrument=INSTRUMENTS,
    )
    def somebody_requests_a_payout(
        self, player: int, provider: int, minor: int | None, currency: str, instrument: str | None
    ) -> None:
        self.request_a_payout(player, provider, minor, currency, instrument)

    @rule(player=PLAYERS, minor=st.none() | AMOUNTS, outcome=OUTCOMES, told=TOLD)
    def pay_out_and_hear(self, player: int, minor: int | None, outcome: Outcome, told: str) -> None:
        stream = self.request_a_payout(player, 1, minor, "EUR", "iban-1")
        if stream is not None:
            self.hurry(stream)
            self.hear(stream, outcome, Source.ANSWER, told, 0, None)

    @rule(which=WHICH)
    def screen(self, which: int) -> None:
        stream = self.pick("withdrawal", which)
        if stream is not None:
            self.carry_out(lambda h: h.dispatch.screen(stream))

    @rule(
        which=WHICH,
        person=PEOPLE,
        decision=st.sampled_from(DECISIONS),
    )
    def decide_on_a_payout(self, which: int, person: str, decision: str) -> None:
        stream = self.pick("withdrawal", which)
        if stream is not None:
            self.decide(stream, person, decision)

    @rule(
        player=PLAYERS,
        minor=st.sampled_from([60_000, 110_000]),
        decisions=st.lists(st.tuples(PEOPLE, st.sampled_from(DECISIONS)), min_size=2, max_size=5),
    )
    def people_discuss_a_payout(
        self, player: int, minor: int, decisions: list[tuple[str, str]]
    ) -> None:
        """One that somebody has to look at."""
        stream = self.request_a_payout(player, 0, minor, "EUR", None)
        if stream is not None:
            for person, decision in decisions:
                if self.state(stream).status == "requested":
                    self.carry_out(lambda h: h.dispatch.screen(stream))
                self.decide(stream, person, decision)
            self.send(stream)

    def decide(self, stream: UUID, person: str, decision: str) -> None:
        state, caller = self.state(stream), by(person)
        half = Money(max(1, state.amount.amount // 2), state.amount.currency)
        acts: dict[str, Act] = {
            "approve": lambda h: h.withdrawals.approve(stream, "n", caller),
            "reject": lambda h: h.withdrawals.reject(stream, "n", caller),
            "hold": lambda h: h.withdrawals.hold(stream, "n", caller),
            "release": lambda h: h.withdrawals.release(stream, "n", caller),
            "ask": lambda h: h.withdrawals.request_information(stream, "n", caller),
            "answer": lambda h: h.withdrawals.provide_information(stream, "n", caller),
            "cancel": lambda h: h.withdrawals.cancel(stream, by_player=False, caller=caller),
            "players cancel": lambda h: h.withdrawals.cancel(stream, by_player=True, caller=caller),
            "retry": lambda h: h.withdrawals.retry(stream, None, caller),
            "less": lambda h: h.withdrawals.amend(
                stream, amount=half, instrument=state.instrument, note="n", caller=caller
            ),
            "elsewhere": lambda h: h.withdrawals.amend(
                stream, amount=state.amount, instrument="card-2", note="n", caller=caller
            ),
            "score": lambda h: h.withdrawals.score(
                stream, score=state.version % 60, high=(), ruleset="r", caller=caller
            ),
        }
        self.carry_out(acts[decision], keyed=True)

    @rule(which=WHICH)
    def hurry_a_payout(self, which: int) -> None:
        stream = self.pick("withdrawal", which)
        if stream is not None:
            self.hurry(stream)

    def hurry(self, stream: UUID) -> None:
        """Whatever the next steps on the way to the provider are."""
        if self.state(stream).status == "requested":
            self.carry_out(lambda h: h.dispatch.screen(stream))
        for person in ("ann", "ben", "cleo"):
            if self.state(stream).status == "under_review":
                self.decide(stream, person, "approve")
        if self.state(stream).status == "failed":
            self.decide(stream, "ann", "retry")
        self.send(stream)

    # --- refunds --------------------------------------------------------------------------------

    def request_a_refund(self, which: int, minor: int | None) -> UUID | None:
        deposit_id = self.pick("deposit", which)
        if deposit_id is None:
            return None
        deposit = self.state(deposit_id)
        amount = None if minor is None else Money(minor, deposit.amount.currency)
        request = RequestRefund(deposit_id=deposit_id, amount=amount, reason="r", metadata={})
        caller = by("pat")

        def act(handlers: Handlers) -> Written:
            try:
                return handlers.refunds.request(request, caller)
            except RefundExceedsCapture:
                left = self.log.books.claims.left_minor(str(deposit_id))
                in_currency = minor is None or amount.currency == deposit.captured.currency
                assert left <= 0 if minor is None else not in_currency or minor > left
                raise

        return self.begun("refund", self.carry_out(act, keyed=True))

    @rule(which=WHICH, minor=st.none() | AMOUNTS)
    def somebody_requests_a_refund(self, which: int, minor: int | None) -> None:
        self.request_a_refund(which, minor)

    @rule(which=WHICH, minor=st.none() | AMOUNTS, outcome=OUTCOMES, told=TOLD)
    def refund_and_hear(self, which: int, minor: int | None, outcome: Outcome, told: str) -> None:
        stream = self.request_a_refund(which, minor)
        if stream is not None:
            self.decide_on(stream, "ann", "approve")
            self.send(stream)
            self.hear(stream, outcome, Source.ANSWER, told, 1, None)

    @rule(which=WHICH, person=PEOPLE, decision=st.sampled_from(["approve", "reject", "cancel"]))
    def decide_on_a_refund(self, which: int, person: str, decision: str) -> None:
        stream = self.pick("refund", which)
        if stream is not None:
            self.decide_on(stream, person, decision)

    def decide_on(self, stream: UUID, person: str, decision: str) -> None:
        caller = by(person)
        acts: dict[str, Act] = {
            "approve": lambda h: h.refunds.approve(stream, "n", caller),
            "reject": lambda h: h.refunds.reject(stream, "n", caller),
            "cancel": lambda h: h.refunds.cancel(stream, caller),
        }
        self.carry_out(acts[decision], keyed=True)
