"""Workers: they follow the log and do what it asks for at the providers.

What is to be done, and when, is the `outstanding` read model; a worker takes a piece of work
under a lease, does it, and appends what came of it. Work may be taken again after a crash: every
step recognises what has been done. Effects never run during a replay, because a replay does not
come here.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic
from typing import assert_never
from uuid import UUID

import psycopg
import structlog
from eventsourcing import persistence
from psycopg_pool import ConnectionPool

from domain.errors import InvalidTransition
from domain.events.evidence import Outcome, Source
from ledger.commands.dispatch import Attempt, Dispatch
from ledger.commands.errors import NotAssessedYet, TooContended, TransactionNotFound
from ledger.commands.inbox import Inbox, evidence_from
from ledger.eventstore.errors import OutcomeUnknown, QueueFull, StoreUnavailable
from ledger.faultpoints import faultpoint
from ledger.providers.protocol import (
    Answer,
    ConversionSubmission,
    PaymentProvider,
    RefundSubmission,
)
from ledger.workers.hands import Hands
from projections.outstanding import outstanding
from projections.outstanding.outstanding import CALLS, Kind, Work

DATABASE_SECONDS_MAX = 10.0
"""What a piece of work may wait for the database before its last call, or it is left undone."""

CALLS_MAX = 2
"""One piece of work may ask about an attempt and then send it again."""

SWEEP_SECONDS = 60.0
IDLE_SECONDS = 0.05

PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.05, 30.0
"""How long work pauses that waits for a read model: as long as it has waited already, so that the
usual wait of milliseconds stays short, and one for a model that has stopped costs next to nothing.
"""

_ANOTHER_TIME = (
    QueueFull,
    StoreUnavailable,
    OutcomeUnknown,
    TooContended,
    psycopg.Error,
    persistence.OperationalError,
    persistence.InterfaceError,
)
"""Nothing is wrong with the work; it may be done as soon as the database is back."""

_log = structlog.get_logger(__name__)


def lease_seconds(call_timeout_seconds: float) -> float:
    """How long nobody else does a piece of work; a crashed worker's is taken again after it.

    Longer than all calls it may make, each to its end.
    """
    return CALLS_MAX * call_timeout_seconds + DATABASE_SECONDS_MAX


class _LeaseTooShort(Exception):
    """The lease may end before the call does: then another worker could make the same call."""


@dataclass(frozen=True, slots=True)
class _Taken:
    work: Work
    until: float
    """When the lease ends, by the monotonic clock; not later than it does in the database."""


class Worker:
    """Takes outstanding work and does it, several pieces side by side.

    Each provider has hands of its own, and so has what is done without one: whoever hangs keeps
    nobody else waiting.
    """

    def __init__(
        self,
        *,
        conninfo: str,
        inbox: Inbox,
        dispatch: Dispatch,
        providers: Mapping[str, PaymentProvider],
        clock: Callable[[], datetime],
        concurrency: int = 16,
        call_timeout_seconds: float,
    ) -> None:
        """`conninfo` is of the writer role; `providers` are the adapters, by provider name.

        `concurrency` is how many pieces of work of one share are done at once: calls to one
        provider, or pieces of work without a provider.
        """
        self._inbox = inbox
        self._dispatch = dispatch
        self._providers = providers
        self._clock = clock
        self._concurrency = concurrency
        self._call_timeout_seconds = call_timeout_seconds
        self._lease_seconds = lease_seconds(call_timeout_seconds)
        self._stop = threading.Event()
        self._called: deque[Work] = deque()
        self._swept_at = monotonic()
        self._pool = ConnectionPool(
            conninfo, min_size=1, max_size=concurrency + 1, open=False, timeout=5.0
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; the calls that are under way are finished first."""
        self._stop = stop
        with self._pool:
            with Hands(self._concurrency) as hands:
                while not stop.is_set():
                    self._sweep()
                    taken = self._take(hands)
                    for each in taken:
                        hands.do(each.work.share, partial(self._do, each))
                    if not taken:
                        stop.wait(IDLE_SECONDS)
            self._end_calls()

    def _sweep(self) -> None:
        """Now and then, forget leases that have ended."""
        if monotonic() - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = monotonic()
        with contextlib.suppress(psycopg.Error), self._pool.connection() as connection:
            outstanding.sweep(connection)

    # --- taking ---------------------------------------------------------------------------------

    def _take(self, hands: Hands) -> list[_Taken]:
        """As much due work as there are free hands for it."""
        until = monotonic() + self._lease_seconds
        called = self._over()
        try:
            with self._pool.connection() as connection:
                taken = outstanding.take(
                    connection,
                    self._clock(),
                    self._concurrency,
                    self._lease_seconds,
                    busy=hands.busy(),
                    called=called,
                )
        except psycopg.Error as error:
            _log.warning("worker.database_away", error=type(error).__name__)
            self._called.extend(called)
            return []
        return [_Taken(work, until) for work in taken]

    def _over(self) -> list[Work]:
        """The calls that have ended since this was asked."""
        return [self._called.popleft() for _ in range(len(self._called))]

    def _end_calls(self) -> None:
        """So that others need not wait for leases of ours to end."""
        with contextlib.suppress(psycopg.Error), self._pool.connection() as connection:
            outstanding.end_calls(connection, self._over())

    # --- doing ----------------------------------------------------------------------------------

    def _do(self, taken: _Taken) -> None:
        """Do one piece of work; whatever goes wrong, it is taken again when its lease ends.

        What is done keeps its lease: the read model may not have heard of it yet.
        """
        work = taken.work
        try:
            self._step(taken)
        except _LeaseTooShort:
            _log.warning("worker.too_late", work=work.work)
        except NotAssessedYet as error:
            _log.debug("worker.waits_for_indicators", work=work.work, why=str(error))
            self._put_off(work)
        except _ANOTHER_TIME as error:
            _log.warning("worker.again", work=work.work, error=str(error))
            self._give_back(work)
        except Exception:  # noqa: BLE001
            # A fault in one transaction must not stop the others; it is retried and seen.
            _log.exception("worker.failed", work=work.work, kind=work.kind)
        finally:
            if work.kind in CALLS:
                self._called.append(work)

    def _give_back(self, work: Work) -> None:
        """So that it is done as soon as the database is back; if it is not, the lease ends."""
        with contextlib.suppress(psycopg.Error), self._pool.connection() as connection:
            outstanding.release(connection, work)

    def _put_off(self, work: Work) -> None:
        """So that it is done soon after it can be; meanwhile the lease stops others as well."""
        waited_seconds = (self._clock() - work.due_at).total_seconds()
        pause_seconds = min(max(waited_seconds, PAUSE_SECONDS_MIN), PAUSE_SECONDS_MAX)
        with contextlib.suppress(psycopg.Error), self._pool.connection() as connection:
            outstanding.put_off(connection, work, pause_seconds)

    def _step(self, taken: _Taken) -> None:
        work = taken.work
        try:
            if work.kind is Kind.NOTICE:
                self._inbox.act_on_notice(work.notice_id)
            elif work.transaction_id is not None:
                self._step_of(taken, work.kind, work.transaction_id)
        except (InvalidTransition, TransactionNotFound) as done_already:
            _log.debug("worker.nothing_to_do", work=work.work, why=str(done_already))

    def _step_of(self, taken: _Taken, kind: Kind, transaction_id: UUID) -> None:
        leg = taken.work.leg
        match kind:
            case Kind.SCREEN:
                self._dispatch.screen(transaction_id)
            case Kind.SUBMIT:
                self._submit(taken, transaction_id, leg)
            case Kind.POLL:
                self._ask(taken, transaction_id, leg)
            case Kind.RETRY:
                self._dispatch.retry(transaction_id, leg)
            case Kind.EXPIRE:
                self._dispatch.expire(transaction_id)
            case Kind.ANSWER_DISPUTE:
                self._answer(taken, transaction_id)
            case Kind.NOTICE | Kind.WAIT:
                raise ValueError(f"{kind} is nothing to do for a transaction")
            case _:
                assert_never(kind)

    def _submit(self, taken: _Taken, transaction_id: UUID, leg: int) -> None:
        """Record that the attempt begins, make the call, record the answer: in that order."""
        attempt = self._dispatch.submit(transaction_id, leg)
        if attempt is None:
            return
        faultpoint("worker.before_call")
        answer = self._send(taken, attempt)
        faultpoint("worker.after_call")
        self._hear(attempt, answer, Source.ANSWER)

    def _ask(self, taken: _Taken, transaction_id: UUID, leg: int) -> None:
        """Ask the provider about an open attempt.

        One that never arrived is sent again under the same reference, which the provider takes
        for the same attempt: that is no second one. That it was not there is recorded before: the
        first call may still be under way, and if it fails now, that must not make room for
        another attempt beside this one. What may not leave now stays open: it is asked about as
        scheduled, and may go then.
        """
        attempt = self._dispatch.attempt(transaction_id, leg)
        if attempt is None:
            return
        timeout_seconds = self._call_timeout_seconds
        provider = self._provider(taken, attempt.provider, timeout_seconds)
        answer = provider.fetch(attempt.reference, timeout_seconds=timeout_seconds)
        self._hear(attempt, answer, Source.POLL)
        if answer.outcome is not Outcome.NOT_FOUND:
            return
        why_not = self._dispatch.why_not_again(attempt)
        if why_not is not None:
            _log.info("worker.not_sent_again", reference=attempt.reference, why=why_not)
            return
        if self._stop.is_set():
            return  # it is asked about again, when there is somebody to do so
        self._hear(attempt, self._send(taken, attempt), Source.ANSWER)

    def _provider(self, taken: _Taken, name: str, timeout_seconds: float) -> PaymentProvider:
        """The adapter, for one call that begins now.

        Raises:
            _LeaseTooShort: it might not have ended when the lease does.
        """
        if monotonic() + timeout_seconds > taken.until:
            raise _LeaseTooShort
        return self._providers[name]

    def _send(self, taken: _Taken, attempt: Attempt) -> Answer:
        seconds = attempt.submission.timeout_seconds
        provider = self._provider(taken, attempt.provider, seconds)
        match attempt.submission:
            case RefundSubmission() as refund:
                return provider.submit_refund(refund)
            case ConversionSubmission() as conversion:
                return provider.submit_conversion(conversion)
            case payment if attempt.is_deposit:
                return provider.submit_deposit(payment)
            case payout:
                return provider.submit_payout(payout)

    def _hear(self, attempt: Attempt, answer: Answer, source: Source) -> None:
        evidence = evidence_from(answer, attempt.reference, source)
        self._inbox.hear(attempt.transaction_id, evidence)

    def _answer(self, taken: _Taken, dispute_id: UUID) -> None:
        """Tell the provider our answer to a dispute; the same one again changes nothing there."""
        pending = self._dispatch.dispute_answer(dispute_id)
        if pending is None:
            return
        seconds = pending.answer.timeout_seconds
        answer = self._provider(taken, pending.provider, seconds).answer_dispute(pending.answer)
        self._dispatch.dispute_answered(dispute_id, pending, answer.outcome)
