"""Outstanding: what must workers do next, and when?

One row per open transaction with its next task (or none, while it waits for people), and one
per notice nobody has acted on. Who has taken which is not part of it: leases live apart, so that
this stays a pure fold of the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never, assert_type, get_args
from uuid import UUID

from msgspec.structs import replace
from psycopg import Connection
from psycopg.rows import args_row

from domain.attempts import parse_reference
from domain.events import (
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositBlocked,
    DepositCancelled,
    DepositCompleted,
    DepositCreated,
    DepositExpired,
    DepositVoided,
    ExclusionEnded,
    HoldLifted,
    HoldPlaced,
    LedgerEvent,
    NoticeNoted,
    NoticeUnmatched,
    PlayerExcluded,
    PlayerRegistered,
    ProviderNoticeReceived,
    ProviderPaused,
    ProviderRegistered,
    ProviderResumed,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
    VerificationChanged,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalHeld,
    WithdrawalInformationProvided,
    WithdrawalInformationRequested,
    WithdrawalPaid,
    WithdrawalProcessing,
    WithdrawalQueued,
    WithdrawalRecalled,
    WithdrawalRejected,
    WithdrawalReleased,
    WithdrawalRequested,
    WithdrawalReturned,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.outcomes import Evidence
from projections.read_model import Keys, Recorded, Row, Rows, Table

DDL = """
CREATE TABLE work (
    work           text        NOT NULL PRIMARY KEY,   -- <transaction> or notice:<notice>
    kind           text        NOT NULL,
    transaction_id uuid,                               -- null: a notice about nothing of ours
    provider       text        NOT NULL,
    due_at         timestamptz,                        -- null: it waits for people
    position       bigint      NOT NULL                -- of the event that scheduled it
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
"""

INDEXES = """
CREATE INDEX ON work (due_at, position) WHERE due_at IS NOT NULL;
CREATE INDEX ON work (transaction_id, position) WHERE kind = 'notice';
"""


class Kind(StrEnum):
    """What there is to do."""

    SUBMIT = "submit"
    """Send the attempt to the provider."""
    SCREEN = "screen"
    """Check the withdrawal against the policy."""
    POLL = "poll"
    """Ask the provider what became of the attempt."""
    RETRY = "retry"
    """Queue another attempt."""
    NOTICE = "notice"
    """Act on what a provider told us."""
    WAIT = "wait"
    """Nothing before people have decided; kept because its provider must be known afterwards."""


class Task(Row, frozen=True):
    """One thing to do."""

    work: str
    kind: str
    transaction_id: UUID | None
    provider: str
    due_at: datetime | None
    position: int


TASKS: Table[str, Task] = Table("work", Task, ("work",))

_SchedulesNothing = (
    WithdrawalScreeningStarted
    | WithdrawalApprovalGiven
    | WithdrawalInformationRequested
    | WithdrawalInformationProvided
    | WithdrawalHeld
    | WithdrawalReleased
    | NoticeNoted
    | ResolutionProposed
    | PlayerRegistered
    | VerificationChanged
    | PlayerExcluded
    | ExclusionEnded
    | HoldPlaced
    | HoldLifted
    | ProviderRegistered
    | ProviderPaused
    | ProviderResumed
)

_Ends = (
    DepositBlocked
    | DepositCompleted
    | DepositVoided
    | DepositExpired
    | DepositCancelled
    | WithdrawalRejected
    | WithdrawalPaid
    | WithdrawalReturned
    | WithdrawalCancelled
    | ReviewOpened
    | TransactionResolved
    | NoticeUnmatched
)
_Opens = DepositCreated | WithdrawalRequested | ProviderNoticeReceived
_Schedules = (
    TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | DepositAwaitingPlayer
    | DepositAuthorised
    | WithdrawalScreened
    | WithdrawalApproved
    | WithdrawalQueued
    | WithdrawalRecalled
    | WithdrawalProcessing
)
_IGNORED: frozenset[type] = frozenset(get_args(_SchedulesNothing))
_OPENS_WORK: frozenset[type] = frozenset(get_args(_Opens))


class Outstanding:
    """The read model."""

    name = "outstanding"
    version = 1
    tables = (TASKS,)
    ddl = DDL
    indexes = INDEXES

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        keys = set()
        for recorded in batch:
            event = recorded.event
            evidence: Evidence | None = getattr(event, "evidence", None)
            if evidence is not None and evidence.notice_id is not None:
                keys.add(_of_notice(evidence.notice_id))
            if type(event) not in _OPENS_WORK and type(event) not in _IGNORED:
                keys.add(_work_of(event))
        return {TASKS: keys}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event, tasks = recorded.event, rows[TASKS]
        evidence: Evidence | None = getattr(event, "evidence", None)
        if evidence is not None and evidence.notice_id is not None:
            tasks.pop(_of_notice(evidence.notice_id), None)
        if type(event) in _IGNORED:
            return
        work = _work_of(event)
        task = _after(tasks.get(work), recorded)
        if task is not None:
            tasks[work] = task
        else:
            tasks.pop(work, None)


OUTSTANDING = Outstanding()


# --- fold ---------------------------------------------------------------------------------------


def _after(task: Task | None, recorded: Recorded) -> Task | None:
    """The stream's task after an event that may change it; None where nothing is left to do."""
    event = recorded.event
    if isinstance(event, _Schedules):
        if task is None:
            raise ValueError(f"{event.originator_id} had ended before")
        return _rescheduled(task, recorded, event)
    if isinstance(event, _Opens):
        return _first(recorded, event)
    if isinstance(event, _Ends):
        return None
    assert_type(event, _SchedulesNothing)
    return task


def _first(recorded: Recorded, event: _Opens) -> Task | None:
    transaction_id: UUID | None = event.originator_id
    match event:
        case DepositCreated():
            kind = Kind.SUBMIT
        case WithdrawalRequested(reserved=True):
            kind = Kind.SCREEN
        case WithdrawalRequested():
            return None
        case ProviderNoticeReceived():
            parsed = parse_reference(event.reference)
            kind, transaction_id = Kind.NOTICE, parsed[0] if parsed else None
        case _:
            assert_never(event)
    return Task(
        work=_work_of(event),
        kind=kind.value,
        transaction_id=transaction_id,
        provider=event.provider,
        due_at=event.occurred_at,
        position=recorded.position,
    )


def _rescheduled(task: Task, recorded: Recorded, event: _Schedules) -> Task | None:
    """What to do next, and when; the task as it is where the event leaves the schedule alone."""
    match event:
        case TransactionPending(poll_at=None) | WithdrawalProcessing(poll_at=None):
            return task
        case (
            TransactionSubmitted(poll_at=due_at)
            | TransactionUnknown(poll_at=due_at)
            | TransactionPending(poll_at=due_at)
            | DepositAwaitingPlayer(poll_at=due_at)
            | DepositAuthorised(poll_at=due_at)
            | WithdrawalProcessing(poll_at=due_at)
        ):
            kind = Kind.POLL
        case WithdrawalScreened() | WithdrawalApproved() | WithdrawalRecalled():
            kind, due_at = Kind.WAIT, None
        case WithdrawalQueued():
            kind, due_at = Kind.SUBMIT, event.occurred_at
        case TransactionFailed(retry_at=None):
            return None
        case TransactionFailed(retry_at=due_at):
            kind = Kind.RETRY
        case _:
            assert_never(event)
    return replace(task, kind=kind.value, due_at=due_at, position=recorded.position)


def _work_of(event: LedgerEvent) -> str:
    stream = event.originator_id
    notice = isinstance(event, ProviderNoticeReceived | NoticeUnmatched)
    return _of_notice(stream) if notice else str(stream)


def _of_notice(notice_id: UUID) -> str:
    return f"notice:{notice_id}"


# --- taking work --------------------------------------------------------------------------------

# A lease is on a task as it was scheduled at `position`: once the task has moved on, the lease
# means nothing, and while the read model has yet to hear that the work was done, the lease keeps
# others from doing it again. A notice comes before anything else of its transaction, and notices
# of one transaction come in the order they were received.
_TAKE = """
WITH due AS (
    SELECT task.work, kind, transaction_id, provider, due_at, position,
           task.work || '@' || position AS lease
    FROM outstanding_v1.work AS task
    WHERE due_at <= %(now)s
      AND NOT EXISTS (
          SELECT FROM outstanding_v1.work AS notice
          WHERE notice.kind = 'notice' AND notice.transaction_id = task.transaction_id
            AND (task.kind <> 'notice' OR notice.position < task.position)
      )
      AND NOT EXISTS (
          SELECT FROM work_leases AS held
          WHERE held.work = task.work || '@' || task.position
            AND held.leased_until > statement_timestamp()
      )
    ORDER BY due_at, position LIMIT %(limit)s
    FOR UPDATE OF task SKIP LOCKED
), taken AS (
    INSERT INTO work_leases AS held (work, leased_until)
    SELECT lease, statement_timestamp() + %(duration)s FROM due
    ON CONFLICT (work) DO UPDATE SET leased_until = excluded.leased_until
    WHERE held.leased_until <= statement_timestamp()
    RETURNING work
)
SELECT due.work, kind, transaction_id, provider, due_at, position
FROM due JOIN taken ON taken.work = due.lease
ORDER BY due_at, position
"""


@dataclass(frozen=True, slots=True)
class Work:
    """A task that a worker has taken."""

    work: str
    kind: Kind
    transaction_id: UUID | None
    provider: str
    due_at: datetime
    position: int

    @property
    def notice_id(self) -> UUID:
        """The notice to act on, where `kind` is `notice`."""
        return UUID(self.work.removeprefix("notice:"))

    @property
    def lease(self) -> str:
        return f"{self.work}@{self.position}"


def take(
    connection: Connection[Any], now: datetime, limit: int, lease_seconds: float
) -> list[Work]:
    """Take up to `limit` tasks due at `now` which nobody else has, longest due first.

    The lease ends by itself: what is not done by then is taken again. A worker that has done the
    work leaves the lease alone; it goes on until the read model has heard.
    """
    values = {"now": now, "limit": limit, "duration": timedelta(seconds=lease_seconds)}
    with connection.transaction(), connection.cursor(row_factory=args_row(_work)) as cursor:
        return cursor.execute(_TAKE.encode(), values).fetchall()


def release(connection: Connection[Any], work: Work) -> None:
    """Give back what was not done: anybody may take it at once."""
    with connection.transaction():
        connection.execute("DELETE FROM work_leases WHERE work = %s", [work.lease])


def sweep(connection: Connection[Any]) -> int:
    """Delete leases that have ended; how many. To be called now and then by one worker."""
    with connection.transaction():
        return connection.execute(
            """
            DELETE FROM work_leases WHERE work IN (
                SELECT work FROM work_leases WHERE leased_until <= statement_timestamp()
                FOR UPDATE SKIP LOCKED
            )
            """
        ).rowcount


def count(connection: Connection[Any]) -> int:
    """How many tasks there are, due or not."""
    query = "SELECT count(*) FROM outstanding_v1.work WHERE due_at IS NOT NULL"
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def next_due_at(connection: Connection[Any]) -> datetime | None:
    """When the next task is due, taken or not; None where there is nothing to do."""
    row = connection.execute("SELECT min(due_at) FROM outstanding_v1.work").fetchone()
    found: datetime | None = row[0] if row else None
    return found


def _work(
    work: str,
    kind: str,
    transaction_id: UUID | None,
    provider: str,
    due_at: datetime,
    position: int,
) -> Work:
    return Work(work, Kind(kind), transaction_id, provider, due_at, position)
