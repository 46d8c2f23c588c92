"""The simulated provider itself: takes payments, lets them happen, tells about them."""

import asyncio
import logging
from dataclasses import asdict, dataclass, field
from typing import Final

import msgspec

from domain.money import Money
from tallystick.providers.simulator.faults import NO_FAULTS, Faults
from tallystick.providers.simulator.payment import Payment, request_digest
from tallystick.providers.simulator.plan import AnswerFault, Damage, draw, plan
from tallystick.providers.simulator.profiles import DEFAULT_WEIGHTS, Weights
from tallystick.providers.simulator.webhooks import Message, Messenger
from tallystick.providers.simulator.wire import Kind, PaymentBody, Status, SubmissionBody

PAYMENTS_MAX: Final = 500_000
"""Beyond this many payments, new ones are refused instead of filling the memory."""

logger = logging.getLogger(__name__)


class KeyReused(Exception):
    """The idempotency key was used before, with another request."""


class TemporarilyUnavailable(Exception):
    """The payment was not made; nothing was done."""


class PaymentNotFound(Exception):
    """No payment has this reference."""


class NotReturnable(Exception):
    """Only a payout that has succeeded can come back, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the simulated provider is made of. Seconds in plans are multiplied by `time_scale`;
    `settle_seconds` are real ones, since the receiver acts in real time."""

    seed: int
    public_url: str
    faults: Faults = NO_FAULTS
    weights: Weights = DEFAULT_WEIGHTS
    time_scale: float = 1.0
    settle_seconds: float = 1.0
    payments_max: int = PAYMENTS_MAX


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
        messenger.pause(paused=world.faults.outage)

    @property
    def faults(self) -> Faults:
        return self._state.faults

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
        amount = body.amount.money()
        digest = request_digest(kind, body)
        known = self._state.payments.get(reference)
        if known is not None:
            if known.digest != digest:
                raise KeyReused(f"{reference} was submitted before, with another request")
            return self._admission(known, fault=None)
        payment = self._new_payment(reference, kind, body.method, amount, digest)
        self._state.payments[reference] = payment
        self._start_life(payment)
        return self._admission(payment, fault=payment.plan.answer_fault)

    def fetch(self, reference: str) -> PaymentBody:
        """What became of a payment so far.

        Raises:
            PaymentNotFound
        """
        payment = self._payment(reference)
        return payment.statement(payment.status(_now_seconds()))

    def return_payout(self, reference: str) -> None:
        """The player's bank sends a payout back, as soon as its success has been acknowledged.

        Raises:
            PaymentNotFound
            NotReturnable
        """
        payment = self._payment(reference)
        if not payment.returnable or payment.status(_now_seconds()) is not Status.SUCCEEDED:
            raise NotReturnable(f"{reference} is no payout that has succeeded, or came back before")
        payment.returned = True
        task = asyncio.create_task(self._bring_back(payment))
        self._state.returns.add(task)
        task.add_done_callback(self._forget_return)

    @property
    def idle(self) -> bool:
        """Nothing is going to happen by itself any more, and no webhook is undelivered."""
        return not self._state.players and not self._state.returns

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
            "webhooks": asdict(self._messenger.deliveries),
            "references": {name: self._of(name, now_seconds) for name in calls} if detail else {},
        }

    async def close(self) -> None:
        """Stop everything; webhooks on their way are lost."""
        tasks = [*self._state.players.values(), *self._state.returns]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
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

    def _new_payment(
        self, reference: str, kind: Kind, method: str, amount: Money, digest: bytes
    ) -> Payment:
        world = self._world
        scripted = plan(world.seed, reference, kind, method, self._state.faults, world.weights)
        if scripted.answer_fault is AnswerFault.ERROR_BEFORE_EFFECT:
            raise TemporarilyUnavailable("an error before anything was done")
        if len(self._state.payments) >= world.payments_max:
            raise TemporarilyUnavailable(f"more than {world.payments_max} payments")
        reached_seconds = []
        due_seconds = _now_seconds()
        for step in scripted.steps:
            due_seconds += step.delay_seconds * world.time_scale
            reached_seconds.append(due_seconds)
        provider_reference = f"sim_{draw(world.seed, reference, 'provider reference'):016x}"
        return Payment(
            reference=reference,
            provider_reference=provider_reference,
            plan=scripted,
            amount=amount,
            digest=digest,
            reached_seconds=tuple(reached_seconds),
            redirect_url=f"{world.public_url}/pay/{provider_reference}",
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

    async def _bring_back(self, payment: Payment) -> None:
        life = self._state.players.get(payment.reference)
        if life is not None:
            await asyncio.wait({life})
        await self._second(payment, Status.RETURNED)

    async def _second(self, payment: Payment, status: Status) -> None:
        """Another final status after an acknowledged one.

        The receiver is given time to act upon the first before the second exists, and upon the
        second before questions are answered by it: otherwise what a ledger ends up with would
        depend on which of the two it happened to see first.
        """
        await asyncio.sleep(self._world.settle_seconds)
        payment.moved_late = status is Status.SUCCEEDED
        payment.returned = status is Status.RETURNED
        await self._announce_final(payment, status)
        await asyncio.sleep(self._world.settle_seconds)
        if status is not Status.DECLINED:
            # A decline after a success is false: money moved, and questions keep saying so.
            payment.stated = status

    async def _announce_final(
        self, payment: Payment, status: Status, damage: Damage | None = None
    ) -> None:
        message = self._message(payment, status)
        if not payment.plan.duplicate:
            await self._messenger.deliver(message, damage)
            return
        # Twice at once, so that the receiver's guard against repeats is put to the test.
        await asyncio.gather(
            self._messenger.deliver(message, damage), self._messenger.deliver(message)
        )
        await self._messenger.deliver(self._message(payment, status))

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
