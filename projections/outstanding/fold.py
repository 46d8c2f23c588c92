"""How each event changes what is outstanding."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import assert_never, get_args
from uuid import UUID

from msgspec.structs import replace

from domain.dispute.decisions import dispute_stream
from domain.events import (
    ConversionAccepted,
    ConversionQuoted,
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositCreated,
    DisputeAccepted,
    DisputeAnswerDelayed,
    DisputeEvidenceDue,
    DisputeEvidenceSubmitted,
    DisputeNoticeReceived,
    DisputeOpened,
    LedgerEvent,
    NoticeUnmatched,
    ProviderNoticeReceived,
    RefundApprovalAwaited,
    RefundApproved,
    RefundRequested,
    ReviewOpened,
    TransactionResolved,
    WithdrawalCancelled,
    WithdrawalPaid,
    WithdrawalRejected,
    WithdrawalRequested,
    WithdrawalReturned,
)
from domain.events.evidence import DisputeReport, Evidence
from domain.provider.attempt import parse_reference
from projections.dispute_news import report_of
from projections.engine.read_model import Keys, Recorded, Rows
from projections.outstanding.attempts import at_provider, change_payout, put
from projections.outstanding.events import (
    Ends,
    OfPayouts,
    Opens,
    SaysByTheWay,
    Schedules,
    SchedulesNothing,
)
from projections.outstanding.outstanding import DDL, INDEXES, TASKS, Contest, Kind, Task
from projections.payouts import Payout, requested

_IGNORED: frozenset[type] = frozenset(get_args(SchedulesNothing))
_NOTICES = frozenset((ProviderNoticeReceived, DisputeNoticeReceived, NoticeUnmatched))
_EndsAnything = Ends | ReviewOpened | TransactionResolved
"""Named here, as making a union takes longer than asking it."""

_MAY_END_NOTICE = frozenset(("evidence", "report"))
"""Fields of events that were heard from a notice, which is then done with."""
_OPENS_STREAM: frozenset[type] = frozenset(get_args(Opens)) - {DisputeOpened}  # again, maybe


def _names(kind: type) -> Iterator[str]:
    return (field.name for field in fields(kind))


class Outstanding:
    """The read model."""

    name = "outstanding"
    version = 3
    tables = (TASKS,)
    ddl = DDL
    indexes = INDEXES
    ignores = frozenset(kind for kind in _IGNORED if not _MAY_END_NOTICE & set(_names(kind)))

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        streams: set[UUID] = set()
        for recorded in batch:
            event = recorded.event
            notice_id = _notice_acted_on(event)
            if notice_id is not None:
                streams.add(notice_id)
            if type(event) not in _OPENS_STREAM and type(event) not in _IGNORED:
                streams.add(event.originator_id)
        return {TASKS: streams}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event, tasks = recorded.event, rows[TASKS]
        notice_id = _notice_acted_on(event)
        if notice_id is not None:
            tasks.pop(_of_notice(notice_id), None)
        if type(event) in _IGNORED:
            return
        work = _work_of(event)
        own = tasks.get(work)
        if own is not None and own.payout is not None:
            change_payout(tasks, own, own.payout, recorded)
        else:
            put(tasks, work, _after(own, recorded))


OUTSTANDING = Outstanding()


def _notice_acted_on(event: LedgerEvent) -> UUID | None:
    heard: Evidence | DisputeReport | None
    heard = getattr(event, "evidence", None) or getattr(event, "report", None)
    return heard.notice_id if heard is not None else None


def _work_of(event: LedgerEvent) -> str:
    stream = event.originator_id
    notice = type(event) in _NOTICES
    return _of_notice(stream) if notice else str(stream)


def _of_notice(notice_id: UUID) -> str:
    return f"notice:{notice_id}"


# --- a stream with one task ---------------------------------------------------------------------


def _after(task: Task | None, recorded: Recorded) -> Task | None:
    """The stream's task after an event that may change it; None where nothing is left to do."""
    event = recorded.event
    if isinstance(event, Opens):
        return _first(recorded, event)
    if isinstance(event, _EndsAnything):
        return None
    if isinstance(event, SchedulesNothing):
        return task
    if isinstance(event, OfPayouts):
        _check_ended(task, event)
        return None
    if isinstance(event, SaysByTheWay):
        return _told(task, recorded, event) if task is not None else None
    if task is None:
        raise ValueError(f"{event.originator_id} had ended before {type(event).__name__}")
    if isinstance(event, Schedules):
        return _next(task, recorded, event)
    return at_provider(task, recorded, event)


def _first(recorded: Recorded, event: Opens) -> Task | None:
    kind, attempt = Kind.WAIT, 0
    due_at: datetime | None = None
    payout: Payout | None = None
    contest: Contest | None = None
    transaction_id: UUID | None = event.originator_id
    match event:
        case DepositCreated():
            kind, due_at, attempt = Kind.SUBMIT, event.occurred_at, 1
        case WithdrawalRequested(reserved=True):
            kind, due_at = Kind.SCREEN, event.occurred_at
            payout = requested(event)
        case WithdrawalRequested() | RefundRequested(reserved=False):
            return None
        case ConversionQuoted():
            kind, due_at = Kind.EXPIRE, event.expires_at
        case RefundRequested():
            pass
        case DisputeOpened(report=report):
            contest = Contest(stage=event.stage.value)
            if report.evidence_due_at is not None and report.stage is event.stage:
                kind, due_at = Kind.EXPIRE, report.evidence_due_at
        case ProviderNoticeReceived():
            parsed = parse_reference(event.reference)
            kind, due_at = Kind.NOTICE, event.occurred_at
            transaction_id = parsed[0] if parsed else None
        case DisputeNoticeReceived():
            kind, due_at = Kind.NOTICE, event.occurred_at
            transaction_id = dispute_stream(event.provider, event.dispute_reference)
        case _:
            assert_never(event)
    return Task(
        work=_work_of(event),
        kind=kind.value,
        stream=event.originator_id,
        transaction_id=transaction_id,
        leg=0,
        attempt=attempt,
        provider=event.provider,
        due_at=due_at,
        payout=payout,
        contest=contest,
        position=recorded.position,
    )


def _next(task: Task, recorded: Recorded, event: Schedules) -> Task | None:
    """What to do next, and when."""
    attempt, contest = task.attempt, task.contest
    due_at: datetime | None = None
    match event:
        case DepositAwaitingPlayer(poll_at=due_at) | DepositAuthorised(poll_at=due_at):
            kind = Kind.POLL
        case RefundApprovalAwaited():
            kind = Kind.WAIT
        case RefundApproved():
            kind, due_at, attempt = Kind.SUBMIT, event.occurred_at, event.attempt
        case ConversionAccepted():
            # By the house, it is executed in the same append; refused, it is rejected there.
            if task.provider is None or not event.reserved:
                kind = Kind.WAIT
            else:
                kind, due_at, attempt = Kind.SUBMIT, event.occurred_at, 1
        case DisputeEvidenceDue(due_at=due_at):
            kind = Kind.WAIT if due_at is None else Kind.EXPIRE
        case DisputeEvidenceSubmitted():
            kind, due_at = Kind.ANSWER_DISPUTE, event.occurred_at
        case DisputeAccepted():
            kind, due_at = Kind.ANSWER_DISPUTE, event.occurred_at
            contest = replace(contest, gives_in=True) if contest else None
        case DisputeAnswerDelayed(retry_at=due_at):
            kind = Kind.ANSWER_DISPUTE
        case _:
            assert_never(event)
    return replace(
        task,
        kind=kind.value,
        due_at=due_at,
        attempt=attempt,
        contest=contest,
        position=recorded.position,
    )


def _told(task: Task, recorded: Recorded, event: SaysByTheWay) -> Task | None:
    """The provider may name a later time for evidence, or contradict us, whatever else it says."""
    contest, report = task.contest, report_of(event)
    if contest is None:
        return task
    if report is None:
        return None if contest.gives_in else task
    due_at, named = task.due_at, report.evidence_due_at
    later = named is not None and (due_at is None or named > due_at)
    if task.kind == Kind.ANSWER_DISPUTE or not later or report.stage != contest.stage:
        return task
    return replace(task, kind=Kind.EXPIRE.value, due_at=named, position=recorded.position)


def _check_ended(task: Task | None, event: OfPayouts) -> None:
    """What can come when no leg is left: the payout was refused, or the bank sends it back."""
    if task is not None or not isinstance(
        event, WithdrawalRejected | WithdrawalReturned | WithdrawalPaid | WithdrawalCancelled
    ):
        raise ValueError(f"{event.originator_id} had ended before {type(event).__name__}")
