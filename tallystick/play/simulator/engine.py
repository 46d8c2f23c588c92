"""The simulated provider itself: takes payments, lets them happen, tells about them."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import msgspec

from domain.money import Money
from ledger.providers.simulator.wire import (
    ConversionBody,
    Kind,
    PaymentBody,
    RefundBody,
    Status,
    SubmissionBody,
)
from tallystick.play.simulator.dice import draw, name_of
from tallystick.play.simulator.disputes import Disputes
from tallystick.play.simulator.exchange_desk import Desk
from tallystick.play.simulator.faults import AnswerFault, Damage, Faults
from tallystick.play.simulator.payment import Payment, request_digest
from tallystick.play.simulator.plan import plan, refused
from tallystick.play.simulator.refusals import Refusal, Refusals
from tallystick.play.simulator.webhooks import Message, Messenger
from tallystick.play.simulator.world import World

logger = logging.getLogger(__name__)


class KeyReused(Exception):
    """The idempotency key was used before, with another request."""


class TemporarilyUnavailable(Exception):
    """The payment was not made; nothing was done."""


class PaymentNotFound(Exception):
    """No payment has this reference."""


class NotReturnable(Exception):
    """Only a payout or refund that has succeeded, and did not come back since, can come back."""


class NotPayable(Exception):
    """Only a payout or refund that has come back can be paid again."""


@dataclass(slots=True)
class Calls:
    """How often a reference was named by a submission and by a question."""

    submit: int = 0
    fetch: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """A payment that exists, and what its answer says."""

    answer: PaymentBody
    fault: AnswerFault | None
    """What goes wrong with this answer; None for a repeated call."""
    latency_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What is asked for under one reference."""

    reference: str
    kind: Kind
    method: str
    amount: Money
    digest: bytes
    of: str | None = None
    """The deposit that a refund is of."""


@dataclass(slots=True)
class _State:
    faults: Faults
    payments: dict[str, Payment] = field(default_factory=dict)
    calls: dict[str, Calls] = field(default_factory=dict)
    players: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The running life of each payment that is not over yet."""
    returns: set[asyncio.Task[None]] = field(default_factory=set)


class Engine:
    """Holds the payments and plays their plans. Lives on one event loop; not thread-safe."""

    def __init__(self, world: World, messenger: Messenger) -> None:
        self._world = world
        self._messenger = messenger
        self._state = _State(faults=world.faults)
        self._desk = Desk(world.seed, world.quote_seconds)
        self._refusals = Refusals(self._desk)
        self._disputes = Disputes(messenger, world)
        messenger.pause(paused=world.faults.outage)

    @property
    def faults(self) -> Faults:
        return self._state.faults

    @property
    def desk(self) -> Desk:
        """Where quotes are given."""
        return self._desk

    @property
    def disputes(self) -> Disputes:
        """Where disputes are answered."""
        return self._disputes

    def switch_faults(self, faults: Faults) -> None:
        """Use other faults for the payments submitted from now on."""
        self._state.faults = faults
        self._messenger.pause(paused=faults.outage)

    def count_call(self, reference: str, *, question: bool) -> None:
        """Note that a call named this reference, whatever becomes of it."""
        calls = self._state.calls.get(reference)
        if calls is None:
            if len(self._state.calls) >= 2 * self._world.payments_max:
                return
            calls = self._state.calls.setdefault(reference, Calls())
        if question:
            calls.fetch += 1
        else:
            calls.submit += 1

    def outage_hangs_up(self, reference: str) -> bool:
        """During an outage: close the connection on this reference, rather than answer 503."""
        return draw(self._world.seed, reference, "outage") % 2 == 0

    def submit(self, reference: str, kind: Kind, body: SubmissionBody) -> Admission:
        """Make a payment, or find the one that this key made before.

        Raises:
            InvalidMoney: no such amount or currency.
            KeyReused: the key belongs to another request.
            TemporarilyUnavailable: a fault, or too many payments; nothing was done.
        """
        order = _Order(
            reference=reference,
            kind=kind,
            method=body.method,
            amount=body.amount.money(),
            digest=request_digest(kind, body),
        )
        return self._admit(order, lambda: None)

    def refund(self, reference: str, body: RefundBody) -> Admission:
        """Send a deposit or a part of it back, or find the refund that this key made before.

        More than what was captured and is not refunded yet is declined. Raises as `submit`.
        """
        amount = body.amount.money()
        order = _Order(
            reference=reference,
            kind=Kind.REFUND,
            method="",
            amount=amount,
            digest=request_digest(Kind.REFUND, body),
            of=body.payment_reference,
        )
        deposit = self._state.payments.get(body.payment_reference)
        return self._admit(order, lambda: self._refusals.of_refund(deposit, amount, _now_seconds()))

    def convert(self, reference: str, body: ConversionBody) -> Admission:
        """Exchange at a quoted rate, or find the conversion that this key made before.

        What the quote does not cover is declined. Raises as `submit`.
        """
        source, target = body.source.money(), body.target.money()
        order = _Order(
            reference=reference,
            kind=Kind.CONVERSION,
            method="",
            amount=target,
            digest=request_digest(Kind.CONVERSION, body),
        )
        return self._admit(order, lambda: self._refusals.of_conversion(body.quote, source, target))

    def fetch(self, reference: str) -> PaymentBody:
        """What became of a payment so far.

        Raises:
            PaymentNotFound
        """
        payment = self._payment(reference)
        return payment.statement(payment.status(_now_seconds()))

    def return_payout(self, reference: str) -> None:
        """The player's bank sends a payout or refund back, once its success was acknowledged.

        Raises:
            PaymentNotFound
            NotReturnable
        """
        payment = self._payment(reference)
        if not payment.returnable or payment.status(_now_seconds()) is not Status.SUCCEEDED:
            raise NotReturnable(f"{reference} has not succeeded, is a deposit, or came back before")
        self._turn(payment, Status.RETURNED)

    def pay_again(self, reference: str) -> None:
        """The player's bank takes what it had sent back after all, once that is known.

        Raises:
            PaymentNotFound
            NotPayable
        """
        payment = self._payment(reference)
        if not payment.payable_again:
            raise NotPayable(f"{reference} has not come back, or is paid again already")
        self._turn(payment, Status.SUCCEEDED)

    def _turn(self, payment: Payment, status: Status) -> None:
        payment.turning = True
        task = asyncio.create_task(self._have_turned(payment, status))
        self._state.returns.add(task)
        task.add_done_callback(self._forget_return)

    @property
    def idle(self) -> bool:
        """Nothing is going to happen by itself any more, and no webhook is undelivered.

        A dispute that waits for an answer does not count: that is for the merchant to give.
        """
        return not self._state.players and not self._state.returns and self._disputes.idle

    def statistics(self, *, detail: bool) -> dict[str, object]:
        """Counts since the start; with `detail` also those of each reference."""
        now_seconds = _now_seconds()
        totals: dict[str, int] = {}
        for payment in self._state.payments.values():
            for kind, count in payment.effects(now_seconds).items():
                totals[kind] = totals.get(kind, 0) + count
        calls = self._state.calls
        return {
            "idle": self.idle,
            "payments": len(self._state.payments),
            "in_progress": len(self._state.players) + len(self._state.returns),
            "calls": {
                "submit": sum(each.submit for each in calls.values()),
                "fetch": sum(each.fetch for each in calls.values()),
            },
            "effects": totals,
            "over_refunds_refused": self._refusals.over_refunds_count,
            "conversions_above_quote_refused": self._refusals.above_quote_count,
            "disputes": self._disputes.counts(),
            "webhooks": asdict(self._messenger.deliveries),
            "references": {name: self._of(name, now_seconds) for name in calls} if detail else {},
            "dispute_references": self._disputes.statistics() if detail else {},
        }

    async def close(self) -> None:
        """Stop everything; webhooks on their way are lost."""
        tasks = [*self._state.players.values(), *self._state.returns]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._disputes.close()
        await self._messenger.close()

    def _of(self, reference: str, now_seconds: float) -> dict[str, object]:
        payment = self._state.payments.get(reference)
        return {
            "calls": asdict(self._state.calls[reference]),
            "effects": {} if payment is None else payment.effects(now_seconds),
            "status": None if payment is None else payment.status(now_seconds),
        }

    def _payment(self, reference: str) -> Payment:
        payment = self._state.payments.get(reference)
        if payment is None:
            raise PaymentNotFound(f"no payment has the reference {reference}")
        return payment

    def _admit(self, order: _Order, refusal: Callable[[], Refusal | None]) -> Admission:
        """The payment under this key; only a new one can be refused."""
        known = self._state.payments.get(order.reference)
        if known is not None:
            if known.digest != order.digest:
                raise KeyReused(f"{order.reference} was submitted before, with another request")
            return self._admission(known, fault=None)
        payment = self._new_payment(order, refusal)
        self._state.payments[order.reference] = payment
        if order.of is not None and payment.refusal is None:
            self._refusals.note_refund(order.of, payment)
        self._start_life(payment)
        return self._admission(payment, fault=payment.plan.answer_fault)

    def _new_payment(self, order: _Order, refusal: Callable[[], Refusal | None]) -> Payment:
        world = self._world
        reference = order.reference
        scripted = plan(
            world.seed, reference, order.kind, order.method, self._state.faults, world.weights
        )
        if scripted.answer_fault is AnswerFault.ERROR_BEFORE_EFFECT:
            raise TemporarilyUnavailable("an error before anything was done")
        if len(self._state.payments) >= world.payments_max:
            raise TemporarilyUnavailable(f"more than {world.payments_max} payments")
        why = refusal()
        if why is not None:
            scripted = refused(scripted, why.code)
        reached_seconds = []
        due_seconds = begun_seconds = _now_seconds()
        for step in scripted.steps:
            due_seconds += step.delay_seconds * world.time_scale
            reached_seconds.append(due_seconds)
        provider_reference = name_of("sim", draw(world.seed, reference, "provider reference"))
        return Payment(
            reference=reference,
            provider_reference=provider_reference,
            plan=scripted,
            amount=order.amount,
            digest=order.digest,
            begun_at=datetime.now(UTC),
            begun_seconds=begun_seconds,
            reached_seconds=tuple(reached_seconds),
            redirect_url=f"{world.public_url}/pay/{provider_reference}",
            refusal=None if why is None else why.raw_code,
        )

    def _admission(self, payment: Payment, *, fault: AnswerFault | None) -> Admission:
        return Admission(
            answer=payment.statement(payment.plan.answer),
            fault=fault,
            latency_seconds=payment.plan.latency_seconds * self._world.time_scale,
        )

    def _start_life(self, payment: Payment) -> None:
        task = asyncio.create_task(self._live(payment))
        self._state.players[payment.reference] = task
        task.add_done_callback(lambda done: self._end_life(payment.reference, done))

    def _end_life(self, reference: str, task: asyncio.Task[None]) -> None:
        del self._state.players[reference]
        _report(task)

    def _forget_return(self, task: asyncio.Task[None]) -> None:
        self._state.returns.discard(task)
        _report(task)

    async def _live(self, payment: Payment) -> None:
        """Play the plan: webhooks one after the other, each until it is acknowledged."""
        scripted = payment.plan
        for step, reached_seconds in zip(scripted.steps, payment.reached_seconds, strict=True):
            late_seconds = step.notice_delay_seconds * self._world.time_scale
            await asyncio.sleep(reached_seconds + late_seconds - _now_seconds())
            if not step.announced:
                self._messenger.deliveries.dropped += int(step.final)
            elif step.final:
                await self._announce_final(payment, step.status, scripted.damage)
            else:
                await self._messenger.deliver(self._message(payment, step.status))
        for status in scripted.late:
            await self._messenger.deliver(self._message(payment, status))
        if scripted.second is not None:
            await self._second(payment, scripted.second)
        if scripted.dispute is not None:
            self._disputes.begin(payment.reference, scripted.dispute, payment.amount)

    async def _have_turned(self, payment: Payment, status: Status) -> None:
        life = self._state.players.get(payment.reference)
        if life is not None:
            await asyncio.wait({life})
        await self._second(payment, status)
        payment.turning = False

    async def _second(self, payment: Payment, status: Status) -> None:
        """Another final status after an acknowledged one.

        The receiver is given time to act upon the first before the second exists, and upon the
        second before questions are answered by it: otherwise what a ledger ends up with would
        depend on which of the two it happened to see first.
        """
        await asyncio.sleep(self._world.settle_seconds)
        payment.turn(status, datetime.now(UTC))
        await self._announce_final(payment, status)
        await asyncio.sleep(self._world.settle_seconds)
        if status is not Status.DECLINED:
            # A decline after a success is false: money moved, and questions keep saying so.
            payment.stated = status

    async def _announce_final(
        self, payment: Payment, status: Status, damage: Damage | None = None
    ) -> None:
        message = self._message(payment, status)
        again = self._message(payment, status) if payment.plan.duplicate else None
        await self._messenger.announce(message, again=again, damage=damage)

    def _message(self, payment: Payment, status: Status) -> Message:
        payment.messages_count += 1
        purpose = f"message {payment.messages_count}"
        number = draw(self._world.seed, payment.reference, purpose)
        return Message(f"msg_{number:016x}", msgspec.json.encode(payment.notice(status)))


def _now_seconds() -> float:
    return asyncio.get_running_loop().time()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the life of a payment ended early", exc_info=error)
