"""Withdrawals queue: what waits for whom, since when, and why?

Everything else that the same people end waits here too: reviews of any kind, refunds and
adjustments to agree to, disputes to answer, deposits that a rule would have forbidden or of which
more has gone out than came in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row

from projections.engine.read_model import Keys, Recorded, Rows
from projections.engine.tables import builder
from projections.queue.events import IGNORED
from projections.queue.fold import CASES, changed, opened
from projections.queue.fold import Case as Case  # for those who show them

DDL = """
CREATE TABLE cases (
    id              uuid        NOT NULL PRIMARY KEY,   -- of the transaction
    kind            text        NOT NULL,               -- deposit, withdrawal, refund, …
    player_id       uuid,                               -- null: an adjustment of the house's own
    provider        text,                               -- null: the house itself
    method          text        NOT NULL,
    amount_minor    bigint      NOT NULL,
    currency        text        NOT NULL,
    requested_by    text        NOT NULL,               -- may not approve
    requested_at    timestamptz NOT NULL,
    waiting_as      text,                               -- status; null: it waits for nobody
    waiting_since   timestamptz,
    due_at          timestamptz,                        -- until when people have to act
    stage           text,                               -- of a dispute
    named_in        text,                               -- stage in which the amount was named
    reasons         jsonb       NOT NULL,               -- of rules, indicators, or in words
    score           bigint,                             -- of a payout, once it is known
    review_reason   text,                               -- of the review that is open
    required        jsonb       NOT NULL,               -- groups of roles asked to agree
    approvals       jsonb       NOT NULL,               -- who agreed to it as it is, and when
    approval_seconds bigint     NOT NULL,               -- how long that counts
    note            text,                               -- of who held it or asked the player
    proposed_target text,                               -- how one person would end the review
    proposed_by     text,
    payout          jsonb,                              -- of a withdrawal: its legs
    excess          jsonb,                              -- of a deposit: how much more out than in
    position        bigint      NOT NULL                -- of the last event that changed this
) WITH (fillfactor = 80);
"""

# The queue of then asks what has changed since: of a moment not long ago that is on few pages.
INDEXES = """
CREATE INDEX ON cases (waiting_since, id) WHERE waiting_as IS NOT NULL;
CREATE INDEX ON cases USING brin (position) WITH (pages_per_range = 16, autosummarize = on);
"""


class WithdrawalQueue:
    """The read model."""

    name = "withdrawal_queue"
    version = 4
    tables = (CASES,)
    ddl = DDL
    indexes = INDEXES
    ignores = IGNORED

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        kinds = ((type(r.event), r.event.originator_id) for r in batch)
        return {CASES: {stream for kind, stream in kinds if kind not in IGNORED}}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event = recorded.event
        if type(event) in IGNORED:
            return
        cases = rows[CASES]
        row = cases.get(event.originator_id)
        if row is None:
            cases[event.originator_id] = opened(recorded)
        else:
            cases[row.id] = changed(row, recorded)


WITHDRAWAL_QUEUE = WithdrawalQueue()


# --- queries ------------------------------------------------------------------------------------

_SELECT = f"SELECT {', '.join(CASES.columns)} FROM withdrawal_queue_v4.cases"

_case = builder(Case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last case seen."""

    waiting_since: datetime
    id: UUID


async def waiting(
    connection: AsyncConnection[Any],
    *,
    statuses: Sequence[str] = (),
    kind: str | None = None,
    cursor: Cursor | None = None,
    limit: int = 50,
) -> list[Case]:
    """What waits for people, longest first; `statuses` and `kind` narrow it down."""
    query = f"""
        {_SELECT}
        WHERE waiting_as IS NOT NULL
          AND (%(statuses)s::text[] IS NULL OR waiting_as = ANY(%(statuses)s))
          AND (%(kind)s::text IS NULL OR kind = %(kind)s)
          AND (%(since)s::timestamptz IS NULL OR (waiting_since, id) > (%(since)s, %(id)s))
        ORDER BY waiting_since, id LIMIT %(limit)s
    """
    values = {
        "statuses": list(statuses) or None,
        "kind": kind,
        "since": cursor.waiting_since if cursor else None,
        "id": cursor.id if cursor else None,
        "limit": limit,
    }
    async with connection.cursor(binary=True, row_factory=args_row(_case)) as found:
        await found.execute(query.encode(), values)
        return await found.fetchall()
