"""The disputes as the simulated provider holds them: plays their plans, and takes answers."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from domain.events.evidence import DisputeNews, DisputeStage
from domain.money import Money
from ledger.providers.simulator.wire import (
    DisputeAnswerBody,
    DisputeBody,
    DisputeNoticeBody,
    money_body_of,
)
from tallystick.play.simulator.dice import draw
from tallystick.play.simulator.dispute_plan import DisputePlan, News, Response, Round
from tallystick.play.simulator.faults import AnswerFault
from tallystick.play.simulator.webhooks import Message, Messenger
from tallystick.play.simulator.world import World

logger = logging.getLogger(__name__)


class DisputeNotFound(Exception):
    """No dispute has this reference."""


class NotAnswerable(Exception):
    """The dispute waits for no answer, or was answered differently."""


class AnswerNotTaken(Exception):
    """A fault; nothing was done, and the same answer is taken the next time."""


@dataclass(slots=True, eq=False)
class _Answered:
    """The one answer to a round."""

    response: Response
    digest: bytes


@dataclass(slots=True, eq=False, kw_only=True)
class _Dispute:
    payment_reference: str
    plan: DisputePlan
    amount: Money
    waiting: Round | None = None
    """The round whose answer is awaited."""
    answered: dict[DisputeStage, _Answered] = field(default_factory=dict)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    untaken: set[DisputeStage] = field(default_factory=set)
    """Rounds whose first answer met an error before it had an effect."""
    patient: bool = False
    """Nothing happens until the answer comes, or its time is over."""
    calls_count: int = 0
    happened: list[News] = field(default_factory=list)
    messages_count: int = 0


class Disputes:
    """Every dispute since the start. Lives on one event loop; not thread-safe."""

    def __init__(self, messenger: Messenger, world: World) -> None:
        self._messenger = messenger
        self._world = world
        self._disputes: dict[str, _Dispute] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}

    def begin(self, payment_reference: str, plan: DisputePlan, captured: Money) -> None:
        """Let the player's bank contest a deposit."""
        dispute = _Dispute(
            payment_reference=payment_reference, plan=plan, amount=plan.contested(captured)
        )
        self._disputes[plan.reference] = dispute
        task = asyncio.create_task(self._live(dispute))
        self._lives[plan.reference] = task
        task.add_done_callback(lambda done: self._end(plan.reference, done))

    def answer(
        self, reference: str, body: DisputeAnswerBody
    ) -> tuple[DisputeBody, AnswerFault | None]:
        """Take the merchant's answer, once for each round; the fault is None for a repetition.

        Raises:
            DisputeNotFound
            NotAnswerable
            AnswerNotTaken
        """
        dispute = self._disputes.get(reference)
        if dispute is None:
            raise DisputeNotFound(f"no dispute has the reference {reference}")
        dispute.calls_count += 1
        digest = sha256(msgspec.json.encode((body.accept, body.note, body.documents))).digest()
        repeated = _repeated(dispute, body.stage, digest)
        if repeated is not None:
            return _taken(reference, repeated, body), None
        waiting = dispute.waiting
        if waiting is None or body.stage not in (None, waiting.stage):
            raise NotAnswerable(f"{reference} waits for no answer, or was answered differently")
        fault = dispute.plan.answer_fault
        if fault is AnswerFault.ERROR_BEFORE_EFFECT and waiting.stage not in dispute.untaken:
            dispute.untaken.add(waiting.stage)
            raise AnswerNotTaken("an error before anything was done")
        response = Response.ACCEPTED if body.accept else Response.CONTESTED
        dispute.answered[waiting.stage] = _Answered(response, digest)
        dispute.waiting = None
        dispute.patient = False
        dispute.answer.set()
        return _taken(reference, waiting.stage, body), fault

    @property
    def idle(self) -> bool:
        """Nothing is going to happen before somebody answers, or the time for it is over."""
        return all(self._disputes[name].patient for name in self._lives)

    def statistics(self) -> dict[str, dict[str, object]]:
        """What became of each dispute so far."""
        return {
            name: {
                "payment": dispute.payment_reference,
                "calls": dispute.calls_count,
                "answers": {stage: each.response for stage, each in dispute.answered.items()},
                "waits": None if dispute.waiting is None else dispute.waiting.stage,
                "story": dispute.happened,
                "funds_taken": _taken_count(dispute) > 0,
                "over": name not in self._lives,
            }
            for name, dispute in self._disputes.items()
        }

    def counts(self) -> dict[str, int]:
        """How many there are, wait for an answer, are over, and how often one was answered."""
        disputes = self._disputes.values()
        return {
            "begun": len(disputes),
            "waiting": sum(each.waiting is not None for each in disputes),
            "over": len(disputes) - len(self._lives),
            "answers": sum(len(each.answered) for each in disputes),
        }

    async def close(self) -> None:
        """Stop everything; webhooks on their way are lost."""
        tasks = list(self._lives.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, reference: str, task: asyncio.Task[None]) -> None:
        del self._lives[reference]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the life of a dispute ended early", exc_info=error)

    async def _live(self, dispute: _Dispute) -> None:
        """Play the plan: webhooks one after the other, each until it is acknowledged."""
        await self._sleep(dispute.plan.begin_seconds)
        for each in dispute.plan.rounds:
            if not each.waits:
                await self._tell(dispute, each.stage, each.opening)
                return
            if dispute.happened:
                # The receiver acts upon the end of one round before the next begins.
                await asyncio.sleep(self._world.settle_seconds)
            # From its very beginning a round can be answered: its news may be overtaken.
            dispute.waiting = each
            dispute.answer.clear()
            due_at = datetime.now(UTC) + timedelta(seconds=self._world.evidence_seconds)
            await self._tell(dispute, each.stage, each.opening, due_at)
            response = await self._response(dispute, each, due_at)
            await self._sleep(dispute.plan.late_seconds)
            await self._tell(dispute, each.stage, each.closing(response))
            if not each.won(response):
                return

    async def _response(self, dispute: _Dispute, each: Round, due_at: datetime) -> Response:
        left_seconds = (due_at - datetime.now(UTC)).total_seconds()
        dispute.patient = not dispute.answer.is_set()
        try:
            await asyncio.wait_for(dispute.answer.wait(), max(0.0, left_seconds))
        except TimeoutError:
            dispute.waiting = None
        dispute.patient = False
        # An answer may have come in the very moment in which the waiting ended.
        answered = dispute.answered.get(each.stage)
        return Response.SILENT if answered is None else answered.response

    async def _tell(
        self,
        dispute: _Dispute,
        stage: DisputeStage,
        news: tuple[DisputeNews, ...],
        due_at: datetime | None = None,
    ) -> None:
        """Let these happen, one after the other, and deliver them in the order of the plan."""
        scripted = dispute.plan
        messages: dict[DisputeNews, tuple[Message, Message]] = {}
        for each in news:
            await self._sleep(scripted.step_seconds)
            dispute.happened.append((stage, each))
            content = _notice(dispute, stage, each, due_at)
            messages[each] = (self._message(dispute, content), self._message(dispute, content))
        deliveries = scripted.deliveries(news)
        for each in deliveries:
            if scripted.lost_first is not None and each is deliveries[-1]:
                await self._sleep(scripted.lost_seconds)
            message, again = messages[each]
            await self._messenger.announce(
                message, again=again if scripted.duplicate else None, damage=scripted.damage
            )

    async def _sleep(self, simulated_seconds: float) -> None:
        await asyncio.sleep(simulated_seconds * self._world.time_scale)

    def _message(self, dispute: _Dispute, content: bytes) -> Message:
        dispute.messages_count += 1
        purpose = f"message {dispute.messages_count}"
        number = draw(self._world.seed, dispute.plan.reference, purpose)
        return Message(f"msg_{number:016x}", content)


def _notice(
    dispute: _Dispute, stage: DisputeStage, news: DisputeNews, due_at: datetime | None
) -> bytes:
    body = DisputeNoticeBody(
        reference=dispute.payment_reference,
        dispute=dispute.plan.reference,
        stage=stage,
        news=news,
        amount=money_body_of(dispute.amount),
        reason_code=dispute.plan.reason_code,
        evidence_due_at=due_at if news is DisputeNews.EVIDENCE_DUE else None,
        sent_at=datetime.now(UTC),
    )
    return msgspec.json.encode(body)


def _repeated(dispute: _Dispute, stage: DisputeStage | None, digest: bytes) -> DisputeStage | None:
    """The round that was answered by just this before; None if it is news."""
    if stage is None:
        if dispute.waiting is not None or not dispute.answered:
            return None
        stage = list(dispute.answered)[-1]
    known = dispute.answered.get(stage)
    return stage if known is not None and known.digest == digest else None


def _taken(reference: str, stage: DisputeStage, body: DisputeAnswerBody) -> DisputeBody:
    return DisputeBody(dispute=reference, stage=stage, accept=body.accept)


def _taken_count(dispute: _Dispute) -> int:
    news = [each for _, each in dispute.happened]
    return news.count(DisputeNews.FUNDS_WITHDRAWN) - news.count(DisputeNews.FUNDS_REINSTATED)
