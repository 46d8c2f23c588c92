"""The simulated provider without a network: its own plans, played on a clock that is moved.

What happens to a payment, a refund, a conversion or a dispute is decided by the simulator's pure
plans with every fault switched on; bodies are encoded and read as they are over the wire.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec

from domain.events.evidence import DisputeNews, DisputeStage, Outcome
from domain.money import Money
from ledger.providers.protocol import (
    Answer,
    ConversionSubmission,
    DisputeAnswer,
    DisputeNotice,
    ProviderNotice,
    ProviderQuote,
    QuoteRequest,
    RefundSubmission,
    Submission,
)
from ledger.providers.simulator.reading import read_notice, read_payment
from ledger.providers.simulator.wire import DisputeNoticeBody, Kind, Status, money_body_of
from tallystick.play.simulator.dice import draw, name_of
from tallystick.play.simulator.dispute_plan import DisputePlan, Response, Round
from tallystick.play.simulator.exchange_desk import rate_of
from tallystick.play.simulator.faults import ALL_FAULTS, AnswerFault
from tallystick.play.simulator.payment import Payment
from tallystick.play.simulator.plan import plan, refused
from tallystick.play.simulator.refusals import Refusals
from tests.property.backroom import Clock

SETTLE_SECONDS = 2.0
"""What the receiver gets to act on a first final status, before there is a second."""

REDELIVERY_SECONDS = 1.0
EVIDENCE_SECONDS = 60.0
QUOTE_SECONDS = 300.0

Later = Callable[[datetime, Callable[[], None]], None]
Deliver = Callable[[ProviderNotice | DisputeNotice], None]


class PlayedProvider:
    """Takes payments, lets them happen, and tells about them."""

    def __init__(self, seed: int, clock: Clock, later: Later, deliver: Deliver) -> None:
        """`later(moment, action)` lets something happen; `deliver` is the door for webhooks."""
        self.seed, self.clock, self.later, self.deliver = seed, clock, later, deliver
        self.payments: dict[str, Payment] = {}
        self.disputes: dict[str, PlayedDispute] = {}
        self.quotes: dict[str, datetime] = {}
        self.refusals = Refusals(None)  # type: ignore[arg-type]  # quotes are checked here

    # --- calls ----------------------------------------------------------------------------------

    def submit_deposit(self, asked: Submission) -> Answer:
        return self._submit(asked.reference, Kind.DEPOSIT, asked.method, asked.amount)

    def submit_payout(self, asked: Submission) -> Answer:
        return self._submit(asked.reference, Kind.PAYOUT, asked.method, asked.amount)

    def submit_refund(self, asked: RefundSubmission) -> Answer:
        deposit = self.payments.get(asked.deposit_reference)

        def refusal() -> Any:
            return self.refusals.of_refund(deposit, asked.amount, self._now())

        answer = self._submit(asked.reference, Kind.REFUND, "", asked.amount, refusal)
        payment = self.payments.get(asked.reference)
        if payment is not None and payment.refusal is None:
            noted = self.refusals._refunds.get(asked.deposit_reference, [])
            if payment not in noted:
                self.refusals.note_refund(asked.deposit_reference, payment)
        return answer

    def quote(self, request: QuoteRequest) -> ProviderQuote:
        name = name_of("quo", draw(self.seed, str(len(self.quotes)), "quote"))
        self.quotes[name] = self.clock() + timedelta(seconds=QUOTE_SECONDS)
        rate = rate_of(self.seed, request.source.currency, request.target_currency)
        return ProviderQuote(
            quote_reference=name, rate=Fraction(rate), expires_at=self.quotes[name]
        )

    def submit_conversion(self, asked: ConversionSubmission) -> Answer:
        assert self.clock() < self.quotes[asked.quote_reference], "sent after the quote's time"
        return self._submit(asked.reference, Kind.CONVERSION, "", asked.target)

    def fetch(self, reference: str) -> Answer:
        payment = self.payments.get(reference)
        if payment is None:
            return Answer(outcome=Outcome.NOT_FOUND)
        return self._stated(payment, payment.status(self._now()))

    def answer_dispute(self, answer: DisputeAnswer) -> Answer:
        return self.disputes[answer.dispute_reference].answer(answer)

    # --- the life of a payment ------------------------------------------------------------------

    def _submit(
        self,
        reference: str,
        kind: Kind,
        method: str,
        amount: Money,
        refusal: Callable[[], Any] = lambda: None,
    ) -> Answer:
        known = self.payments.get(reference)
        if known is not None:
            assert (known.plan.kind, known.amount) == (kind, amount), (
                f"another request: {reference}"
            )
            return self._stated(known, known.plan.answer)
        scripted = plan(self.seed, reference, kind, method, ALL_FAULTS)
        if scripted.answer_fault is AnswerFault.ERROR_BEFORE_EFFECT:
            return Answer(outcome=Outcome.UNKNOWN, raw_code="503")
        why = refusal()
        if why is not None:
            scripted = refused(scripted, why.code)
        moment, reached = self._now(), []
        for step in scripted.steps:
            moment += step.delay_seconds
            reached.append(moment)
        name = name_of("sim", draw(self.seed, reference, "provider reference"))
        payment = Payment(
            reference=reference,
            provider_reference=name,
            plan=scripted,
            amount=amount,
            digest=b"",
            begun_at=self.clock(),
            begun_seconds=self._now(),
            reached_seconds=tuple(reached),
            redirect_url=f"https://pay.example/{name}",
            refusal=None if why is None else why.raw_code,
        )
        self.payments[reference] = payment
        self._announce(payment)
        if scripted.answer_fault is not None:
            return Answer(outcome=Outcome.UNKNOWN, raw_code=str(scripted.answer_fault))
        return self._stated(payment, scripted.answer)

    def _stated(self, payment: Payment, status: Status) -> Answer:
        content = msgspec.json.encode(payment.statement(status))
        return read_payment(200, content, payment.reference)

    def _announce(self, payment: Payment) -> None:
        """Its webhooks, each after the one before."""
        scripted, moment = payment.plan, self._now()
        for step, reached in zip(scripted.steps, payment.reached_seconds, strict=True):
            moment = max(moment, reached + step.notice_delay_seconds)
            if step.announced and step.final:
                moment = self._tell_final(payment, step.status, moment)
            elif step.announced:
                self._tell(payment, step.status, moment)
        for status in scripted.late:
            moment += REDELIVERY_SECONDS
            self._tell(payment, status, moment)
        if scripted.second is not None:
            moment = self._second(payment, scripted.second, moment + SETTLE_SECONDS)
        dispute = scripted.dispute
        if dispute is not None:
            played = PlayedDispute(self, payment.reference, dispute, payment.amount)
            self._at(moment + dispute.begin_seconds, lambda: self._dispute(played))

    def _second(self, payment: Payment, status: Status, moment: float) -> float:
        """Another final status; questions are answered by it only after its webhook."""

        def happen() -> None:
            payment.turn(status, self.clock())

        def state() -> None:
            if status is not Status.DECLINED:
                payment.stated = status

        self._at(moment, happen)
        told = self._tell_final(payment, status, moment)
        self._at(told + SETTLE_SECONDS, state)
        return told + SETTLE_SECONDS

    def _tell_final(self, payment: Payment, status: Status, moment: float) -> float:
        """Once; or twice under one message id, and once more under a new one."""
        if payment.plan.damage is not None:
            moment += REDELIVERY_SECONDS  # the first delivery could not be read
        told = self._tell(payment, status, moment)
        if payment.plan.duplicate:
            self._at(moment + REDELIVERY_SECONDS, told)
            self._tell(payment, status, moment + REDELIVERY_SECONDS)
        return moment

    def _tell(self, payment: Payment, status: Status, moment: float) -> Callable[[], None]:
        payment.messages_count += 1
        number = draw(self.seed, payment.reference, f"message {payment.messages_count}")

        def tell() -> None:
            content = msgspec.json.encode(payment.notice(status))
            self.deliver(read_notice(f"msg_{number:016x}", content))

        self._at(moment, tell)
        return tell

    def _dispute(self, played: "PlayedDispute") -> None:
        self.disputes[played.plan.reference] = played
        played.go_on()

    def _now(self) -> float:
        return self.clock().timestamp()

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        self.later(datetime.fromtimestamp(moment, UTC), action)


class PlayedDispute:
    """The life of one dispute: told, answered or not, and told how it ends."""

    def __init__(
        self, provider: PlayedProvider, payment: str, scripted: DisputePlan, captured: Money
    ) -> None:
        self.provider, self.payment, self.plan = provider, payment, scripted
        self.amount = scripted.contested(captured)
        self.rounds = list(scripted.rounds)
        self.waiting: Round | None = None
        self.answers: dict[DisputeStage, bool] = {}
        self.untaken: set[DisputeStage] = set()
        self.messages = 0
        self.taken = 0
        """How often the money was taken, less how often it was given back."""

    def go_on(self) -> None:
        """The next round begins."""
        now = self.provider.clock()
        this = self.rounds.pop(0)
        due_at = now + timedelta(seconds=EVIDENCE_SECONDS)
        self._tell(this.stage, this.opening, due_at)
        if this.waits:
            self.waiting = this
            self.provider.later(due_at, lambda: self._close(this, Response.SILENT))

    def answer(self, answer: DisputeAnswer) -> Answer:
        """Taken once in each round; the same again is taken for the same."""
        stage = answer.stage or (self.waiting.stage if self.waiting else list(self.answers)[-1])
        if self.answers.get(stage) == answer.accept:
            return Answer(outcome=Outcome.ACCEPTED)
        if self.waiting is None or self.waiting.stage is not stage:
            return Answer(outcome=Outcome.DECLINED, raw_code="not_answerable")
        fault = self.plan.answer_fault
        if fault is AnswerFault.ERROR_BEFORE_EFFECT and stage not in self.untaken:
            self.untaken.add(stage)
            return Answer(outcome=Outcome.UNKNOWN, raw_code="503")
        self.answers[stage] = answer.accept
        this, response = self.waiting, Response.ACCEPTED if answer.accept else Response.CONTESTED
        moment = self.provider.clock() + timedelta(seconds=1 + self.plan.late_seconds)
        self.waiting = None
        self.provider.later(moment, lambda: self._end(this, response))
        return Answer(outcome=Outcome.UNKNOWN if fault else Outcome.ACCEPTED)

    def _close(self, this: Round, response: Response) -> None:
        if self.waiting is this:
            self.waiting = None
            self._end(this, response)

    def _end(self, this: Round, response: Response) -> None:
        self._tell(this.stage, this.closing(response), None)
        if this.won(response) and self.rounds:
            moment = self.provider.clock() + timedelta(seconds=20 * SETTLE_SECONDS)
            self.provider.later(moment, self.go_on)

    def _tell(
        self, stage: DisputeStage, news: tuple[DisputeNews, ...], due_at: datetime | None
    ) -> None:
        """They happen in order, and are told in the order of the plan."""
        now = self.provider.clock()
        self.taken += news.count(DisputeNews.FUNDS_WITHDRAWN)
        self.taken -= news.count(DisputeNews.FUNDS_REINSTATED)
        for place, each in enumerate(self.plan.deliveries(news), start=1):
            self.messages += 1
            body = DisputeNoticeBody(
                reference=self.payment,
                dispute=self.plan.reference,
                stage=stage,
                news=each,
                amount=money_body_of(self.amount),
                reason_code=self.plan.reason_code,
                evidence_due_at=due_at if each is DisputeNews.EVIDENCE_DUE else None,
                sent_at=now,
            )
            notice = read_notice(
                f"{self.plan.reference}:{self.messages}", msgspec.json.encode(body)
            )
            for again in range(2 if self.plan.duplicate else 1):
                moment = now + timedelta(seconds=place * self.plan.step_seconds + again)
                self.provider.later(moment, lambda notice=notice: self.provider.deliver(notice))
