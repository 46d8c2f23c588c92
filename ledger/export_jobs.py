"""Exports and backtests that were asked for through the API: who may see which, who is at work.

A row says what was asked for and how far it has come; the files of an export are on disk, in a
folder named for the job, and what a backtest comes to is in the row. Whoever works on a job holds
a lease that it renews; a job whose lease has ended is taken by somebody else, who goes on where an
export was left, and begins a backtest anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from domain.errors import CommandReused, DomainError
from ledger.access.api_keys import StaffRole

UNDER_WAY_MAX: Final = 5
"""Of one person, queued or running."""

ATTEMPTS_MAX: Final = 10
"""So often is a job begun whose worker ended without a word; then it is given up."""

EXPORTS: Final = ("events", "case")
BACKTESTS: Final = ("backtest",)
"""Kinds of jobs: what is asked about one of them is never answered with another."""

SEES_ALL: Final = frozenset((StaffRole.AUDITOR, StaffRole.COMPLIANCE, StaffRole.ADMINISTRATOR))
"""Everybody else sees their own only."""

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:tallystick:export")
_COLUMNS: Final = """id, person, kind, request, status, events_done, events_total, error, result,
       created_at, started_at, ended_at"""


class Status(StrEnum):
    """Where an export stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """It was done; its files are gone by now."""
    DELETED = "deleted"


class ExportNotFound(DomainError):
    """There is no such export, or it is somebody else's."""

    code = "export_not_found"


class BacktestNotFound(DomainError):
    """There is no such backtest, or it is somebody else's."""

    code = "backtest_not_found"


class ExportFileNotFound(DomainError):
    """This export has no such file, or not yet, or not any more: see its status and files."""

    code = "export_file_not_found"


class ExportEnded(DomainError):
    """The export has ended; there is nothing left to cancel."""

    code = "export_ended"


class ExportUnderWay(DomainError):
    """The export is queued or running: cancel it first."""

    code = "export_under_way"


class TooManyExports(DomainError):
    """You have 5 exports or backtests queued or running; wait until one is done, or cancel one."""

    code = "too_many_exports"

    def __init__(self) -> None:
        super().__init__()
        self.headers: Mapping[str, str] = {"retry-after": "30"}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks."""

    person: str
    role: str

    @property
    def sees_all(self) -> bool:
        return self.role in SEES_ALL


@dataclass(frozen=True, slots=True)
class Job:
    """An export or a backtest as it stands."""

    id: UUID
    person: str
    kind: str
    """`events`, `case` or `backtest`."""
    request: dict[str, Any]
    status: str
    events_done: int
    events_total: int | None
    error: str | None
    result: dict[str, Any] | None
    """Of an export `files`, with name, bytes and sha256 of each, and `manifest`; of a backtest what
    it came to."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ExportQueue:
    """What the API asks of the jobs. Connects for every call: these are few."""

    def __init__(self, conninfo: str) -> None:
        """`conninfo` is of the writer role."""
        self._conninfo = conninfo

    def create(
        self, viewer: Viewer, idempotency_key: str, kind: str, request: Mapping[str, Any]
    ) -> Job:
        """Ask for an export or a backtest. Repeated with the same key, it is the same one.

        Raises:
            CommandReused: the key was used before, with another request.
            TooManyExports: some of theirs have to end first.
        """
        job_id = uuid5(_NAMESPACE, f"{viewer.person} {idempotency_key}")
        with psycopg.connect(self._conninfo) as connection:
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", [viewer.person]
            )
            known = _job(connection, "id = %s", [job_id])
            if known is not None:
                if (known.kind, known.request) != (kind, dict(request)):
                    raise CommandReused
                return known
            under_way = connection.execute(
                "SELECT count(*) FROM export_jobs"
                " WHERE person = %s AND status IN ('queued', 'running')",
                [viewer.person],
            ).fetchone()
            if under_way is not None and under_way[0] >= UNDER_WAY_MAX:
                raise TooManyExports
            connection.execute(
                "INSERT INTO export_jobs (id, person, kind, request) VALUES (%s, %s, %s, %s)",
                [job_id, viewer.person, kind, Jsonb(dict(request))],
            )
            return _found(connection, viewer, job_id, (kind,))

    def get(self, viewer: Viewer, job_id: UUID) -> Job:
        """An export.

        Raises:
            ExportNotFound: there is none, or not for them.
        """
        with psycopg.connect(self._conninfo) as connection:
            return _found(connection, viewer, job_id)

    def backtest(self, viewer: Viewer, job_id: UUID) -> Job:
        """A backtest.

        Raises:
            BacktestNotFound: there is none, or not for them.
        """
        with psycopg.connect(self._conninfo) as connection:
            return _found(connection, viewer, job_id, BACKTESTS)

    def page(
        self,
        viewer: Viewer,
        before: tuple[datetime, UUID] | None,
        limit: int,
        kinds: Sequence[str] = EXPORTS,
    ) -> Sequence[Job]:
        """Up to `limit` jobs of these kinds asked for before another, newest first."""
        conditions, values = ["status <> 'deleted'", "kind = ANY(%s)"], list[Any]([list(kinds)])
        if not viewer.sees_all:
            conditions, values = [*conditions, "person = %s"], [*values, viewer.person]
        if before is not None:
            conditions, values = [*conditions, "(created_at, id) < (%s, %s)"], [*values, *before]
        query = f"""
            SELECT {_COLUMNS} FROM export_jobs WHERE {" AND ".join(conditions)}
            ORDER BY created_at DESC, id DESC LIMIT %s
        """
        with (
            psycopg.connect(self._conninfo) as connection,
            connection.cursor(row_factory=args_row(Job)) as cursor,
        ):
            return cursor.execute(query.encode(), [*values, limit]).fetchall()

    def cancel(self, viewer: Viewer, job_id: UUID) -> Job:
        """End an export that is queued or running; one that is cancelled stays so.

        Raises:
            ExportNotFound: there is none, or not for them.
            ExportEnded: it is done, or has failed.
        """
        with psycopg.connect(self._conninfo) as connection:
            _found(connection, viewer, job_id)
            connection.execute(
                "UPDATE export_jobs SET status = 'cancelled', ended_at = clock_timestamp()"
                " WHERE id = %s AND status IN ('queued', 'running')",
                [job_id],
            )
            job = _found(connection, viewer, job_id)
        if job.status != Status.CANCELLED:
            raise ExportEnded
        return job

    def delete(self, viewer: Viewer, job_id: UUID) -> None:
        """Forget an export; its files go soon.

        Raises:
            ExportNotFound: there is none, or not for them.
            ExportUnderWay: it has to be cancelled first.
        """
        with psycopg.connect(self._conninfo) as connection:
            _found(connection, viewer, job_id)
            deleted = connection.execute(
                "UPDATE export_jobs SET status = 'deleted', result = NULL"
                " WHERE id = %s AND status NOT IN ('queued', 'running')",
                [job_id],
            )
            if deleted.rowcount == 0:
                raise ExportUnderWay


# --- for those who do the work ------------------------------------------------------------------

_GIVE_UP: Final = """
UPDATE export_jobs SET status = 'failed', ended_at = clock_timestamp(), error = %s
WHERE status = 'running' AND leased_until < clock_timestamp() AND attempts >= %s
"""
_GIVEN_UP: Final = (
    "It was begun several times, and each time the process that was at it ended. See its log, and"
    " ask for less at once."
)
_TAKE: Final = f"""
UPDATE export_jobs SET
    status = 'running', worker = %(worker)s, attempts = attempts + 1,
    started_at = coalesce(started_at, clock_timestamp()),
    leased_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
WHERE id = (
    SELECT id FROM export_jobs
    WHERE status IN ('queued', 'running')
      AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING {_COLUMNS}
"""
_RENEW: Final = """
UPDATE export_jobs SET
    leased_until = clock_timestamp() + make_interval(secs => %s), events_done = %s,
    events_total = %s
WHERE id = %s AND worker = %s AND status = 'running'
"""
_RELEASE: Final = """
UPDATE export_jobs SET
    status = 'queued', worker = NULL, attempts = attempts - 1,
    leased_until = clock_timestamp() + make_interval(secs => %s)
WHERE id = %s AND worker = %s AND status = 'running'
"""
_END: Final = """
UPDATE export_jobs SET
    status = %s, error = %s, result = %s, ended_at = clock_timestamp(),
    events_done = CASE WHEN %s THEN coalesce(events_total, events_done) ELSE events_done END
WHERE id = %s AND worker = %s AND status = 'running'
"""
_EXPIRE: Final = """
UPDATE export_jobs SET status = 'expired'
WHERE status = 'done' AND kind <> 'backtest'
  AND ended_at < clock_timestamp() - make_interval(days => %s)
"""
_UNWANTED: Final = """
SELECT id FROM export_jobs WHERE id = ANY(%s) AND status NOT IN ('queued', 'running', 'done')
"""


class Leases:
    """What one worker does with jobs. Every call is a transaction of its own."""

    def __init__(self, conninfo: str, worker: UUID, lease_seconds: float) -> None:
        """`conninfo` is of the writer role."""
        self._conninfo = conninfo
        self._worker = worker
        self._lease_seconds = lease_seconds

    def take(self) -> Job | None:
        """The oldest job that nobody is at; None where there is none."""
        with psycopg.connect(self._conninfo) as connection:
            connection.execute(_GIVE_UP, [_GIVEN_UP, ATTEMPTS_MAX])
            with connection.cursor(row_factory=args_row(Job)) as cursor:
                values = {"worker": self._worker, "lease_seconds": self._lease_seconds}
                return cursor.execute(_TAKE.encode(), values).fetchone()

    def renew(self, job_id: UUID, done: int, total: int | None) -> bool:
        """Say how far it is; whether it is still this worker's."""
        values = [self._lease_seconds, done, total, job_id, self._worker]
        with psycopg.connect(self._conninfo) as connection:
            return connection.execute(_RENEW, values).rowcount == 1

    def release(self, job_id: UUID, pause_seconds: float = 0.0) -> None:
        """Give it back, for whoever comes after a pause."""
        with psycopg.connect(self._conninfo) as connection:
            connection.execute(_RELEASE, [pause_seconds, job_id, self._worker])

    def done(self, job_id: UUID, result: Mapping[str, Any]) -> bool:
        """It is done; False where it was cancelled or is somebody else's."""
        return self._end(job_id, Status.DONE, None, result)

    def failed(self, job_id: UUID, error: str) -> bool:
        """It has failed, for a reason that whoever asked can read."""
        return self._end(job_id, Status.FAILED, error, None)

    def _end(
        self, job_id: UUID, status: Status, error: str | None, result: Mapping[str, Any] | None
    ) -> bool:
        stored = None if result is None else Jsonb(dict(result))
        values = [status, error, stored, status is Status.DONE, job_id, self._worker]
        with psycopg.connect(self._conninfo) as connection:
            return connection.execute(_END, values).rowcount == 1

    def expire(self, keep_days: int) -> None:
        """Mark as expired the exports that were done longer ago."""
        with psycopg.connect(self._conninfo) as connection:
            connection.execute(_EXPIRE, [keep_days])

    def unwanted(self, ids: Sequence[UUID]) -> list[UUID]:
        """Those of these jobs whose files nobody is to have; ids of other databases are not."""
        with psycopg.connect(self._conninfo) as connection:
            return [row[0] for row in connection.execute(_UNWANTED, [list(ids)])]


def _found(
    connection: psycopg.Connection[Any],
    viewer: Viewer,
    job_id: UUID,
    kinds: Sequence[str] = EXPORTS,
) -> Job:
    job = _job(
        connection, "id = %s AND kind = ANY(%s) AND status <> 'deleted'", [job_id, list(kinds)]
    )
    if job is None or not (viewer.sees_all or job.person == viewer.person):
        raise BacktestNotFound if tuple(kinds) == BACKTESTS else ExportNotFound
    return job


def _job(
    connection: psycopg.Connection[Any], condition: str, values: Sequence[object]
) -> Job | None:
    with connection.cursor(row_factory=args_row(Job)) as cursor:
        query = f"SELECT {_COLUMNS} FROM export_jobs WHERE {condition}"
        return cursor.execute(query.encode(), values).fetchone()
