"""What is under way and what comes in its way: a worker, a played bank, another process."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg

from domain.events.evidence import (
    DeclineCode,
    DisputeNews,
    DisputeStage,
    Evidence,
    Outcome,
    Source,
)
from domain.fraud.assessment import INDICATORS_ACTOR
from domain.money import Money
from domain.player.player import HoldKind, Verification
from domain.provider.attempt import reference
from ledger.commands.conversion import QuoteConversion
from ledger.commands.deposit import CreateDeposit
from ledger.commands.handling import Caller
from ledger.commands.refund import RequestRefund
from ledger.commands.withdrawal import RequestWithdrawal
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.providers.protocol import (
    Answer,
    ConversionSubmission,
    DisputeNotice,
    PaymentProvider,
    ProviderQuote,
    QuoteRequest,
    RefundSubmission,
    Submission,
)
from ledger.settings import Settings
from ledger.workers.worker import Worker
from tests.property.backroom import Clock, Handlers, by

POLL_DELAYS_SECONDS = (10, 30, 120)
QUOTE_SECONDS = 300
WITHIN_SECONDS = 30.0


class Bank:
    """Has what has reached it, and says so."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[str] = []
        self.asked: Counter[str] = Counter()

    def submit_deposit(self, submission: Submission) -> Answer:
        return self.take(submission.reference)

    def submit_payout(self, submission: Submission) -> Answer:
        return self.take(submission.reference)

    def submit_refund(self, submission: RefundSubmission) -> Answer:
        return self.take(submission.reference)

    def submit_conversion(self, submission: ConversionSubmission) -> Answer:
        return self.take(submission.reference)

    def take(self, sent: str) -> Answer:
        self.sent.append(sent)
        return Answer(outcome=Outcome.ACCEPTED)

    def fetch(self, asked: str, *, timeout_seconds: float) -> Answer:
        self.asked[asked] += 1
        has_it = asked in self.sent
        return Answer(outcome=Outcome.SUCCEEDED if has_it else Outcome.NOT_FOUND)

    def quote(self, request: QuoteRequest) -> ProviderQuote:
        expires_at = self.clock() + timedelta(seconds=QUOTE_SECONDS)
        return ProviderQuote(quote_reference="q", rate=Fraction(3, 2), expires_at=expires_at)


@dataclass(kw_only=True)
class Site:
    """A worker's process, another one, and the clock of both."""

    settings: Settings
    clock: Clock
    banks: dict[str, Bank] = field(default_factory=dict)
    one: Handlers = field(init=False)
    other: Handlers = field(init=False)

    def work_until(self, done: Callable[[], bool], concurrency: int = 1) -> None:
        """Let a worker work until that is so; what it has in hand it finishes."""
        stop = threading.Event()
        worker = Worker(
            conninfo=database.conninfo(self.settings, Role.WRITER),
            inbox=self.one.inbox,
            dispatch=self.one.dispatch,
            providers=cast("dict[str, PaymentProvider]", self.banks),
            clock=self.clock,
            concurrency=concurrency,
            call_timeout_seconds=1.0,
        )
        working = threading.Thread(target=worker.run, args=(stop,))
        working.start()
        try:
            wait_for(done)
        finally:
            stop.set()
            working.join()

    def has_ended_its_calls(self) -> bool:
        """Also what the worker did after a call: whether it sent something again."""
        query = "SELECT count(*) FROM work_leases WHERE work LIKE '%@call'"
        with psycopg.connect(database.conninfo(self.settings, Role.WRITER)) as connection:
            return connection.execute(query).fetchone() == (0,)


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not done():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


# --- what is under way --------------------------------------------------------------------------


@dataclass(kw_only=True)
class Case:
    """A player with a bank of their own, and an attempt that is in the log and nowhere else."""

    site: Site
    name: str
    player: UUID = field(default_factory=uuid4)
    bank: Bank = field(init=False)
    deposit: UUID = field(init=False)
    """What the player has paid in last."""
    stream: UUID = field(init=False)
    leg: int = 0

    @property
    def reference(self) -> str:
        return reference(self.stream, 1)

    @property
    def status(self) -> str:
        state: Any = self.site.other.handling.transaction(self.stream)
        return str(state.legs[self.leg - 1].status if self.leg else state.status)

    def ask(self) -> None:
        """It is time to ask the bank about it, and a worker does."""
        before = self.bank.asked[self.reference]
        self.site.clock.move(max(POLL_DELAYS_SECONDS))
        self.site.work_until(
            lambda: self.bank.asked[self.reference] > before and self.site.has_ended_its_calls()
        )
        assert self.bank.asked[self.reference] == before + 1

    def say(self, stream: UUID, outcome: Outcome, attempt: int = 1, **said: Any) -> None:
        evidence = Evidence(
            source=Source.ANSWER, outcome=outcome, reference=reference(stream, attempt), **said
        )
        self.site.one.inbox.hear(stream, evidence)

    def news(self, news: DisputeNews) -> None:
        """Have the bank tell news of a dispute about what was paid in."""
        notice = DisputeNotice(
            message_id=uuid4().hex,
            reference=reference(self.deposit, 1),
            dispute_reference=f"dp-{self.deposit}",
            stage=DisputeStage.CHARGEBACK,
            news=news,
            amount=None,
            reason_code=None,
            evidence_due_at=None,
            sent_at=self.site.clock(),
        )
        stream, _ = self.site.other.inbox.receive(self.name, notice, "")
        self.site.other.inbox.act_on_notice(stream)


def new_case(site: Site) -> Case:
    case = Case(site=site, name=f"b{uuid4().hex}")
    case.bank = site.banks[case.name] = Bank(site.clock)
    site.one.register_provider(case.name, poll_delays_seconds=POLL_DELAYS_SECONDS)
    verify(case, Verification.FULL)
    return case


def verify(case: Case, verification: Verification) -> None:
    case.site.other.players.register(
        case.player, verification=verification, jurisdiction=None, time_zone="UTC", caller=by("pat")
    )


def ask_to_pay_in(case: Case, minor: int = 5_000, instrument: str = "card-1") -> None:
    request = CreateDeposit(
        player_id=case.player,
        provider=case.name,
        method="card",
        amount=Money(minor, "EUR"),
        instrument=instrument,
        metadata={},
    )
    case.stream = case.site.one.deposits.create(request, by("pat")).transaction.id


def record_that_it_is_sent(case: Case) -> None:
    """And there the worker dies: it makes no call."""
    assert case.site.one.dispatch.submit(case.stream, case.leg) is not None


def fund(case: Case, minor: int, instrument: str = "card-1") -> None:
    ask_to_pay_in(case, minor, instrument)
    record_that_it_is_sent(case)
    case.say(case.stream, Outcome.SUCCEEDED)
    case.deposit = case.stream


def deposit(case: Case) -> None:
    ask_to_pay_in(case)
    record_that_it_is_sent(case)


def agree_to_a_refund(case: Case) -> None:
    fund(case, 5_000)
    refunds = case.site.one.refunds
    request = RequestRefund(deposit_id=case.deposit, amount=None, reason="twice", metadata={})
    case.stream = refunds.request(request, by("ann")).transaction.id
    refunds.approve(case.stream, "", by("dora"))


def refund(case: Case) -> None:
    agree_to_a_refund(case)
    record_that_it_is_sent(case)


def accept_a_quote(case: Case) -> None:
    fund(case, 5_000)
    conversions = case.site.one.conversions
    request = QuoteConversion(
        player_id=case.player,
        provider=case.name,
        source=Money(1_000, "EUR"),
        target_currency="USD",
        metadata={},
    )
    case.stream = conversions.quote(request, by("pat")).transaction.id
    conversions.accept(case.stream, by("pat"))


def conversion(case: Case) -> None:
    accept_a_quote(case)
    record_that_it_is_sent(case)


def payout(case: Case) -> None:
    """Nobody has to agree to it."""
    fund(case, 5_000)
    ask_for(case, 4_000)
    record_that_it_is_sent(case)


def large_payout(case: Case) -> None:
    """Somebody has to."""
    fund(case, 60_000)
    ask_for(case, 60_000)
    case.site.one.withdrawals.approve(case.stream, "", by("ann"))
    record_that_it_is_sent(case)


def payout_in_legs(case: Case) -> None:
    """The first is under way, the second waits in the queue."""
    two_legs(case)
    record_that_it_is_sent(case)


def try_a_leg_again(case: Case) -> None:
    """Its first attempt was sent, and failed."""
    payout(case)
    case.say(case.stream, Outcome.DECLINED, decline_code=DeclineCode.PROVIDER_ERROR)
    case.site.one.withdrawals.retry(case.stream, None, by("ann"))


def two_legs(case: Case) -> None:
    fund(case, 3_000, "card-1")
    fund(case, 3_000, "card-2")
    ask_for(case, 5_000)


def ask_for(case: Case, minor: int) -> None:
    request = RequestWithdrawal(
        player_id=case.player,
        provider=case.name,
        method="card",
        amount=Money(minor, "EUR"),
        instrument="card-1",
        metadata={},
    )
    case.stream = case.site.one.withdrawals.request(request, by("pat")).transaction.id
    case.leg = 1
    case.site.one.dispatch.screen(case.stream)


# --- what is in its way -------------------------------------------------------------------------


def pause(case: Case) -> None:
    case.site.other.providers.pause(case.name, paused=True, reason="down", caller=by("ann"))


def resume(case: Case) -> None:
    case.site.other.providers.pause(case.name, paused=False, reason="up", caller=by("ann"))


def exclude(case: Case) -> None:
    case.site.other.players.exclude(case.player, excluded=True, reason="wish", caller=by("cleo"))


def exclusion_ends(case: Case) -> None:
    case.site.other.players.exclude(case.player, excluded=False, reason="over", caller=by("cleo"))


def hold(case: Case) -> None:
    case.site.other.players.hold(case.player, reason="odd", caller=by("ben"))


def lift(case: Case) -> None:
    case.site.other.players.lift_hold(
        case.player, kind=HoldKind.FRAUD, reason="even", caller=by("ben")
    )


def doubt_identity(case: Case) -> None:
    verify(case, Verification.BASIC)


def trust_identity(case: Case) -> None:
    verify(case, Verification.FULL)


def find_indicators(case: Case) -> None:
    caller = Caller(actor=INDICATORS_ACTOR, idempotency_key=uuid4().hex)
    case.site.other.withdrawals.score(
        case.stream, score=50, high=["many_instruments"], ruleset="default-1", caller=caller
    )


def recall_the_other_leg(case: Case) -> None:
    """For a hold that is lifted at once: people have to agree to what is left all the same."""
    hold(case)
    case.site.other.dispatch.submit(case.stream, 2)
    lift(case)


def agree_again(case: Case) -> None:
    case.site.other.withdrawals.approve(case.stream, "", by("ann"))


def give_up_the_other_leg(case: Case) -> None:
    """It has failed, and would be tried again."""
    other = case.site.other
    other.dispatch.submit(case.stream, 2)
    case.say(case.stream, Outcome.DECLINED, 2, decline_code=DeclineCode.PROVIDER_ERROR)
    other.withdrawals.cancel(case.stream, by_player=False, caller=by("ann"))


def approval_expires(case: Case) -> None:
    case.site.clock.move(2 * 86_400)


def quote_expires(case: Case) -> None:
    case.site.clock.move(QUOTE_SECONDS)


def dispute(case: Case) -> None:
    case.news(DisputeNews.OPENED)


def win_the_dispute(case: Case) -> None:
    case.news(DisputeNews.WON)


def doubt_the_deposit(case: Case) -> None:
    case.say(case.deposit, Outcome.RETURNED)


def believe_the_deposit(case: Case) -> None:
    for person in ("ann", "ben"):
        case.site.other.deposits.resolve(case.deposit, "completed", "seen", by(person))


Act = Callable[[Case], None]
