"""What every rule of the ledger machine is made of: acts, reports, and what they are about."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
)

from domain.conversion.state import Conversion
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.errors import DomainError
from domain.events.evidence import DeclineCode, DisputeNews, Evidence, Outcome, Source
from domain.money import InvalidMoney, Money
from domain.refund.decisions import Refund
from domain.withdrawal.state import Withdrawal
from ledger.commands.errors import TooContended
from ledger.commands.handling import Written
from ledger.eventstore.ledger import Ledger
from ledger.providers.protocol import Answer, DisputeNotice, ProviderNotice
from tests.property.backroom import Clock, Handlers, Log, QuotingProvider

PLAYERS = st.integers(0, 2)
PEOPLE = st.sampled_from(["ann", "ben", "cleo", "dora"])
PROVIDERS = st.integers(0, 1)
AMOUNTS = st.sampled_from([1, 100, 101, 5_000, 10_000, 60_000])
CURRENCIES = st.sampled_from(["EUR", "EUR", "EUR", "JPY"])
INSTRUMENTS = st.sampled_from([None, "card-1", "card-1", "card-2"])
TOLD = st.sampled_from(["nothing", "right", "right", "right", "wrong", "another currency"])
FEES = st.sampled_from([None, None, 0, 3])
OUTCOMES = st.one_of(
    st.sampled_from([Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.DECLINED, Outcome.RETURNED]),
    st.sampled_from(Outcome),
)
SOURCES = st.sampled_from(Source)
WHICH = st.integers(0, 11)
"""One of the latest of a kind."""

# Two questions and then a person: reviews for want of an answer come up in short runs, too.
SHORT_SCHEDULE = (10, 30, 120)
BY_THEIR_CLOCK = datetime(2026, 3, 1, tzinfo=UTC)
OF_KIND: dict[str, type] = {
    "deposit": Deposit,
    "withdrawal": Withdrawal,
    "refund": Refund,
    "conversion": Conversion,
    "dispute": Dispute,
}
ENDINGS = {
    "deposit": ["completed", "failed"],
    "withdrawal": ["paid", "failed"],
    "refund": ["succeeded", "failed"],
    "conversion": ["executed", "failed"],
}
DECISIONS = [
    *["approve", "approve", "reject", "hold", "release", "ask", "answer", "cancel"],
    *["players cancel", "retry", "less", "elsewhere", "score"],
]
MONEY_NEWS = [DisputeNews.FUNDS_WITHDRAWN, DisputeNews.FUNDS_REINSTATED]
DISPUTE_NEWS = [*MONEY_NEWS, *MONEY_NEWS, *DisputeNews]
PLAYER_CHANGES = [
    *["limit", "limit", "limit", "excluded", "excluded for a day", "exclusion ends"],
    *["exclusion ends", "hold", "hold lifted", "hold lifted", "verified", "wager"],
]
AT_PROVIDERS = st.sampled_from(["deposit", "withdrawal", "withdrawal", "refund", "conversion"])

Act = Callable[[Handlers], Any]


class Core(RuleBasedStateMachine):
    """Three players, two providers, any number of transactions; all of them new in each example."""

    def __init__(self, one: Ledger, other: Ledger, reader: psycopg.Connection[Any]) -> None:
        super().__init__()
        self.clock, self.log = Clock(), Log(reader)
        self.naive_rules = self.log.rules
        self.ledgers = [one, other]
        self.names = [f"p{uuid4().hex}" for _ in "ab"]
        self.adapters = {name: QuotingProvider(self.clock) for name in self.names}
        self.processes = [Handlers(ledger, self.clock, self.adapters) for ledger in self.ledgers]
        self.players = [uuid4() for _ in "abc"]
        self.kinds: dict[str, list[UUID]] = {kind: [] for kind in OF_KIND}
        self.adjustments: list[UUID] = []
        self.last: Act | None = None
        self.last_has_a_key = False
        self.messages = 0
        self.sound = True
        """Nothing has been found to be wrong."""

    @property
    def now(self) -> Handlers:
        """The process that has the next request."""
        return self.processes[0]

    # --- carrying out ---------------------------------------------------------------------------

    def carry_out(self, act: Act, *, keyed: bool = False) -> Any:
        """Let one process do it, and tell the naive books; None where it is refused."""
        self.last, self.last_has_a_key, self.sound = act, keyed, False
        try:
            done = act(self.now)
        except TooContended:
            raise  # nobody else is there: it can only be that the books do not add up
        except (DomainError, InvalidMoney) as error:
            note(f"  refused: {error}")
            self.follow()
            self.sound = True
            return None
        self.follow()
        if isinstance(done, Written):
            self.log.check(done)
        self.sound = True
        return done

    def follow(self) -> list[str]:
        """Hear what is new in the log."""
        new = self.log.follow()
        for event in new:
            note(f"  {event.position}: {event.topic}")
        return [event.topic for event in new]

    def pick(self, kind: str, which: int) -> UUID | None:
        """One of the latest of that kind, if there is any."""
        known = self.kinds[kind][-12:]
        return known[which % len(known)] if known else None

    def state(self, stream: UUID) -> Any:
        return self.log.states[stream]

    def begun(self, kind: str, written: Written | None) -> UUID | None:
        if written is None:
            return None
        self.kinds[kind].append(written.transaction.id)
        return written.transaction.id

    def available(self, player: int, currency: str) -> int:
        account = f"player:{self.players[player]}:available:{currency}"
        return self.log.books.balances.get(account, 0)

    # --- providers ------------------------------------------------------------------------------

    @rule(kind=AT_PROVIDERS, which=WHICH)
    def send_one(self, kind: str, which: int) -> None:
        stream = self.pick(kind, which)
        if stream is not None:
            self.send(stream)

    def send(self, stream: UUID) -> None:
        """Every part of it that may be sent."""
        state = self.state(stream)
        parts = [leg.number for leg in state.legs] if isinstance(state, Withdrawal) else [0]
        for leg in parts:
            attempt = self.carry_out(lambda h, leg=leg: h.dispatch.submit(stream, leg))
            if attempt is not None:
                after = self.state(stream)
                part = after.legs[leg - 1] if isinstance(after, Withdrawal) else after
                assert (part.status, part.reference) == ("submitted", attempt.reference)

    @rule(
        kind=AT_PROVIDERS,
        which=WHICH,
        outcome=OUTCOMES,
        source=SOURCES,
        told=TOLD,
        back=st.sampled_from([0, 0, 0, 1, -1]),
        fee=FEES,
        temporary=st.booleans(),
        minute=st.sampled_from([None, None, 1, 2, 3, 4]),
    )
    def hear_of_one(
        self,
        kind: str,
        which: int,
        outcome: Outcome,
        source: Source,
        told: str,
        back: int,
        fee: int | None,
        temporary: bool,
        minute: int | None,
    ) -> None:
        """The provider may say when it happened, by a clock of its own."""
        stream = self.pick(kind, which)
        if stream is not None:
            self.hear(stream, outcome, source, told, back, fee, temporary=temporary, minute=minute)

    def hear(
        self,
        stream: UUID,
        outcome: Outcome,
        source: Source,
        told: str,
        back: int,
        fee: int | None,
        *,
        temporary: bool = True,
        minute: int | None = None,
    ) -> None:
        """A report about one of its attempts, in whichever way it reaches us."""
        state = self.state(stream)
        attempt, about = self.attempt(state, back)
        code = DeclineCode.PROVIDER_ERROR if temporary else DeclineCode.ACCOUNT_CLOSED
        said = {
            "outcome": outcome,
            "amount": self.amount_told(about, told),
            "fee": None if fee is None else Money(fee, about.amount.currency),
            "decline_code": code if outcome is Outcome.DECLINED else None,
            "redirect_url": "https://pay.example/",
            "happened_at": None if minute is None else BY_THEIR_CLOCK + timedelta(minutes=minute),
        }
        reference = f"{stream.hex}-{attempt}"
        if not state.provider:
            return  # the house executes it: nobody else knows of it
        if source is not Source.NOTICE:
            evidence = Evidence(source=source, reference=reference, **said)
            self.carry_out(lambda h: h.inbox.hear(stream, evidence))
            return
        self.messages += 1
        notice = ProviderNotice(
            message_id=f"m{self.messages}",
            reference=reference,
            answer=Answer(**said),
            sent_at=self.clock.time,
        )
        self.receive(about.provider, notice)

    @staticmethod
    def attempt(state: Any, back: int) -> tuple[int, Any]:
        """A number for the reference, and what it is about: a leg, or the whole transaction."""
        if not isinstance(state, Withdrawal):
            return (2 if back == -1 else 1), state
        number = max(1, state.attempt - back)
        legs = [leg for leg in state.legs if number in leg.attempts]
        return number, (legs or state.legs)[0]

    @staticmethod
    def amount_told(about: Any, told: str) -> Money | None:
        expected = about.target if isinstance(about, Conversion) else about.amount
        return {
            "nothing": None,
            "right": expected,
            "wrong": Money(expected.amount + 7, expected.currency),
            "another currency": Money(expected.amount, "USD"),
        }[told]

    def receive(self, provider: str, notice: ProviderNotice | DisputeNotice) -> None:
        def act(handlers: Handlers) -> None:
            notice_id, _ = handlers.inbox.receive(provider, notice, "digest")
            handlers.inbox.act_on_notice(notice_id)

        self.carry_out(act, keyed=True)
