"""Outstanding: what must workers do next, and when?

One row per open transaction with its next task (or none, while it waits for people), one per leg
of a payout that is on its way, and one per notice nobody has acted on. Who has taken which is not
part of it: leases live apart, so that this stays a pure fold of the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import args_row

from projections.engine.read_model import Row, Table
from projections.payouts import Payout

DDL = """
CREATE TABLE work (
    work           text        NOT NULL PRIMARY KEY,   -- see the class Task
    kind           text        NOT NULL,
    stream         uuid        NOT NULL,               -- of the transaction or notice
    transaction_id uuid,                               -- null: a notice about nothing of ours
    leg            bigint      NOT NULL,               -- of the payout; 0: no leg's
    attempt        bigint      NOT NULL,               -- to be sent or asked about; 0: none
    provider       text,                               -- null: the house itself
    due_at         timestamptz,                        -- null: it waits for people
    payout         jsonb,                              -- of a withdrawal's own row
    contest        jsonb,                              -- of a dispute: what its tasks depend on
    position       bigint      NOT NULL                -- of the event that scheduled it
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
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
    ANSWER_DISPUTE = "answer_dispute"
    """Tell the provider our answer to a dispute."""
    EXPIRE = "expire"
    """The time of a quote, or for evidence, is over."""
    WAIT = "wait"
    """Nothing before people or a provider have decided; kept for what must be known afterwards."""


CALLS = frozenset({Kind.SUBMIT, Kind.POLL, Kind.ANSWER_DISPUTE})
"""What is a call to the task's provider; anything else is done here."""

OWN = ""
"""The share of what is done without a provider."""

# Each provider's calls have hands of their own, and so has what is done here: see `Work.share`.
_CALL_KINDS = ", ".join(f"'{kind}'" for kind in sorted(CALLS))
_SHARE = f"(CASE WHEN kind IN ({_CALL_KINDS}) THEN coalesce(provider, '{OWN}') ELSE '{OWN}' END)"

INDEXES = f"""
CREATE INDEX ON work (stream);
CREATE INDEX ON work ({_SHARE}, due_at, position) WHERE due_at IS NOT NULL;
CREATE INDEX ON work (transaction_id, position) WHERE kind = 'notice';
"""


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """Of a dispute at its present stage."""

    stage: str
    gives_in: bool = False
    """Our answer is that we do not contest it."""


class Task(Row, frozen=True):
    """One thing to do.

    `work` is `<transaction>`, for a leg of a payout `<transaction>/<leg>`, and for a notice
    `notice:<notice>`. A payout's own row is there as long as any of it is reserved.
    """

    work: str
    kind: str
    stream: UUID
    transaction_id: UUID | None
    leg: int
    attempt: int
    provider: str | None
    due_at: datetime | None
    payout: Payout | None
    contest: Contest | None
    position: int


TASKS: Table[str, Task] = Table("work", Task, ("work",), loaded_by="stream")


# --- taking work --------------------------------------------------------------------------------

# A lease is on a task as it was scheduled at `position`: once the task has moved on, the lease
# means nothing, and while the read model has yet to hear that the work was done, the lease keeps
# others from doing it again. Of calls there is a second one, on the task whatever its position,
# which ends with the call: an attempt is not asked about while it is still being sent. A notice
# comes before anything else of its transaction, and notices of one transaction come in the order
# they were received.
#
# Shares are found by stepping from one to the next in the index, and each is read on its own: a
# provider that hangs may have thousands of tasks due before anybody else's.
_END_CALLS = """
DELETE FROM work_leases AS held
USING unnest(%(called)s::text[], %(until)s::timestamptz[]) AS done (work, leased_until)
WHERE held.work = done.work AND held.leased_until = done.leased_until
"""
_TAKE = f"""
WITH RECURSIVE shares (share) AS (
    SELECT min({_SHARE}) FROM outstanding_v3.work WHERE due_at IS NOT NULL
    UNION ALL
    SELECT (
        SELECT min({_SHARE}) FROM outstanding_v3.work
        WHERE due_at IS NOT NULL AND {_SHARE} > shares.share
    ) FROM shares WHERE shares.share IS NOT NULL
), due AS (
    SELECT task.* FROM shares CROSS JOIN LATERAL (
        SELECT task.work, kind, transaction_id, leg, attempt, provider, due_at, position,
               task.work || '@' || position AS lease, shares.share <> '{OWN}' AS is_call
        FROM outstanding_v3.work AS task
        WHERE due_at <= %(now)s AND {_SHARE} = shares.share
          AND NOT EXISTS (
              SELECT FROM outstanding_v3.work AS notice
              WHERE notice.kind = 'notice' AND notice.transaction_id = task.transaction_id
                AND (task.kind <> 'notice' OR notice.position < task.position)
          )
          AND NOT EXISTS (
              SELECT FROM work_leases AS held
              WHERE held.work IN (
                      task.work || '@' || task.position,
                      CASE WHEN shares.share <> '{OWN}' THEN task.work || '@call' END
                  )
                AND held.leased_until > statement_timestamp()
          )
        ORDER BY due_at, position
        LIMIT greatest(%(limit)s - coalesce((%(busy)s::jsonb ->> shares.share)::bigint, 0), 0)
        FOR UPDATE OF task SKIP LOCKED
    ) AS task
), ended AS (
    {_END_CALLS}
), taken AS (
    INSERT INTO work_leases AS held (work, leased_until)
    SELECT lease, statement_timestamp() + %(duration)s FROM due
    ON CONFLICT (work) DO UPDATE SET leased_until = excluded.leased_until
    WHERE held.leased_until <= statement_timestamp()
    RETURNING work, leased_until
), called AS (
    INSERT INTO work_leases (work, leased_until)
    SELECT due.work || '@call', leased_until FROM due JOIN taken ON taken.work = due.lease
    WHERE is_call
    ON CONFLICT (work) DO UPDATE SET leased_until = excluded.leased_until
)
SELECT due.work, kind, transaction_id, leg, attempt, provider, due_at, position, leased_until
FROM due JOIN taken ON taken.work = due.lease
ORDER BY due_at, position
"""


@dataclass(frozen=True, slots=True)
class Work:
    """A task that a worker has taken."""

    work: str
    kind: Kind
    transaction_id: UUID | None
    leg: int
    """Of the payout; 0 where the task is no leg's."""
    attempt: int
    """To be sent or asked about; 0 where there is none."""
    provider: str | None
    """None: the house itself."""
    due_at: datetime
    position: int
    leased_until: datetime = field(compare=False)
    """Until when nobody else does it, by the database's clock; it also tells our lease from
    another one that follows it."""

    @property
    def share(self) -> str:
        """Whose hands do it: the provider's that is called, or our own."""
        return self.provider or OWN if self.kind in CALLS else OWN

    @property
    def notice_id(self) -> UUID:
        """The notice to act on, where `kind` is `notice`."""
        return UUID(self.work.removeprefix("notice:"))

    @property
    def lease(self) -> str:
        return f"{self.work}@{self.position}"

    @property
    def call(self) -> str:
        """The name of the second lease, where it is a call."""
        return f"{self.work}@call"


def take(
    connection: Connection[Any],
    now: datetime,
    limit: int,
    lease_seconds: float,
    *,
    busy: Mapping[str, int] | None = None,
    called: Sequence[Work] = (),
) -> list[Work]:
    """Take tasks due at `now` which nobody else has, longest due first.

    Of each share up to `limit` less what is `busy` there; so nothing is taken that has to wait
    for a hand. The lease ends by itself: what is not done by then is taken again. A worker that
    has done the work leaves the lease alone; it goes on until the read model has heard. But a
    call has to be given to the next `take`, or to `end_calls`, once it is over as `called`.
    """
    values = {
        "now": now,
        "limit": limit,
        "duration": timedelta(seconds=lease_seconds),
        "busy": msgspec.json.encode(busy or {}).decode(),
        **_ended(called),
    }
    with connection.transaction(), connection.cursor(row_factory=args_row(_work)) as cursor:
        return cursor.execute(_TAKE.encode(), values).fetchall()


def release(connection: Connection[Any], work: Work) -> None:
    """Give back what was not done: anybody may take it at once."""
    with connection.transaction():
        connection.execute(
            "DELETE FROM work_leases WHERE work IN (%s, %s) AND leased_until = %s",
            [work.lease, work.call, work.leased_until],
        )


def put_off(connection: Connection[Any], work: Work, seconds: float) -> None:
    """Give back what cannot be done yet: it may be taken again when `seconds` have passed."""
    with connection.transaction():
        connection.execute(
            """
            UPDATE work_leases SET leased_until = statement_timestamp() + %s
            WHERE work = %s AND leased_until = %s
            """,
            [timedelta(seconds=seconds), work.lease, work.leased_until],
        )


def end_calls(connection: Connection[Any], called: Sequence[Work]) -> None:
    """These calls are over: what comes next for their tasks may be taken."""
    with connection.transaction():
        connection.execute(_END_CALLS.encode(), _ended(called))


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
    query = "SELECT count(*) FROM outstanding_v3.work WHERE due_at IS NOT NULL"
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _ended(called: Sequence[Work]) -> dict[str, object]:
    return {
        "called": [work.call for work in called],
        "until": [work.leased_until for work in called],
    }


def _work(work: str, kind: str, *values: Any) -> Work:
    return Work(work, Kind(kind), *values)
