"""Fraud cases: who is being looked into, by whom, and how often is each indicator right?

Which reports there are is here as well; what they say is in their streams, for those who may see.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never, get_args
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from domain.events import (
    EVENT_TYPES,
    FraudCaseAssigned,
    FraudCaseClosed,
    FraudCaseClosureProposed,
    FraudCaseEvent,
    FraudCaseHitAdded,
    FraudCaseHoldLifted,
    FraudCaseHoldPlaced,
    FraudCaseInformationReceived,
    FraudCaseInformationRequested,
    FraudCaseNoted,
    FraudCaseOpened,
    IndicatorHit,
    LedgerEvent,
    ReportDrafted,
)
from domain.fraud.assessment import RANK, Severity
from domain.fraud.case import players_of
from projections.engine.read_model import Keys, Recorded, Row, Rows, Table
from projections.engine.tables import builder

PLAYERS_MAX: Final = 200
"""Players a case is found by: those of its first hits, where there are more."""

DDL = """
CREATE TABLE cases (
    id          uuid        NOT NULL PRIMARY KEY,
    subject     text        NOT NULL,       -- player:<id>, instrument:<fingerprint>, …
    number      bigint      NOT NULL,       -- how many of this subject there had been, with this
    player_id   uuid,                       -- the first of these; null: it is about no player
    player_ids  jsonb       NOT NULL,       -- whom the subject or a hit names
    status      text        NOT NULL,       -- open, waiting, closed
    severity    text        NOT NULL,       -- the highest of its hits
    indicators  jsonb       NOT NULL,       -- that hit, each once, in order
    hits_count  bigint      NOT NULL,
    opened_at   timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    assigned_to text,                       -- null: nobody works on it
    decision    text,                       -- confirmed, false_positive, inconclusive
    reason      text,                       -- of the decision
    closed_at   timestamptz,
    position    bigint      NOT NULL        -- of the last event
) WITH (fillfactor = 80);

CREATE TABLE reports (
    id       uuid   NOT NULL PRIMARY KEY,
    case_id  uuid   NOT NULL,
    position bigint NOT NULL                -- where it was drafted
);
"""

INDEXES = """
CREATE INDEX ON cases (opened_at, id);
CREATE INDEX ON cases (opened_at, id) WHERE status <> 'closed';
CREATE INDEX ON cases (subject, number);
CREATE INDEX ON cases (assigned_to, opened_at, id) WHERE assigned_to IS NOT NULL;
CREATE INDEX ON cases USING gin (player_ids jsonb_path_ops);
CREATE INDEX ON cases USING gin (indicators jsonb_path_ops);
CREATE INDEX ON cases (position) WHERE status = 'closed';
CREATE INDEX ON reports (position);
CREATE INDEX ON reports (case_id, position);
"""


class FraudCaseRow(Row, frozen=True):
    """A case as it stands."""

    id: UUID
    subject: str
    number: int
    player_id: UUID | None
    player_ids: tuple[UUID, ...]
    status: str
    severity: str
    indicators: tuple[str, ...]
    hits_count: int
    opened_at: datetime
    updated_at: datetime
    assigned_to: str | None
    decision: str | None
    reason: str | None
    closed_at: datetime | None
    position: int


class ReportRow(Row, frozen=True):
    """That there is a report; what has become of it, its own stream says."""

    id: UUID
    case_id: UUID
    position: int


CASES: Table[UUID, FraudCaseRow] = Table("cases", FraudCaseRow, ("id",))
REPORTS: Table[UUID, ReportRow] = Table("reports", ReportRow, ("id",), append_only=True)

_ABOUT_CASES: Final[frozenset[type[LedgerEvent]]] = frozenset(get_args(FraudCaseEvent))


class FraudCases:
    """The read model."""

    name = "fraud_cases"
    version = 1
    tables: tuple[Table[Any, Any], ...] = (CASES, REPORTS)
    ddl = DDL
    indexes = INDEXES
    ignores: frozenset[type[LedgerEvent]] = frozenset(EVENT_TYPES) - _ABOUT_CASES - {ReportDrafted}

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        events = (r.event for r in batch)
        return {CASES: {e.originator_id for e in events if type(e) in _ABOUT_CASES}}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event, position = recorded.event, recorded.position
        if isinstance(event, ReportDrafted):
            rows[REPORTS][event.originator_id] = ReportRow(
                event.originator_id, event.case_id, position
            )
        elif isinstance(event, FraudCaseOpened):
            rows[CASES][event.originator_id] = _opened(event, position)
        elif isinstance(event, FraudCaseEvent):
            cases = rows[CASES]
            changed = _changed(cases[event.originator_id], event)
            cases[changed.id] = replace(changed, updated_at=event.occurred_at, position=position)


def _opened(event: FraudCaseOpened, position: int) -> FraudCaseRow:
    hit = event.hit
    players = tuple(dict.fromkeys(players_of(hit)))
    return FraudCaseRow(
        id=event.originator_id,
        subject=event.subject,
        number=event.number,
        player_id=players[0] if players else None,
        player_ids=players,
        status="open",
        severity=hit.severity,
        indicators=(hit.indicator,),
        hits_count=1,
        opened_at=event.occurred_at,
        updated_at=event.occurred_at,
        assigned_to=None,
        decision=None,
        reason=None,
        closed_at=None,
        position=position,
    )


def _changed(row: FraudCaseRow, event: FraudCaseEvent) -> FraudCaseRow:
    match event:
        case FraudCaseOpened():
            raise ValueError(f"the case {row.id} is opened once")
        case FraudCaseHitAdded(hit=hit):
            return _with_hit(row, hit)
        case FraudCaseAssigned(person=person):
            return replace(row, assigned_to=person or None)
        case FraudCaseInformationRequested():
            return replace(row, status="waiting")
        case FraudCaseInformationReceived():
            return replace(row, status="open")
        case FraudCaseClosed():
            return replace(
                row,
                status="closed",
                decision=event.decision,
                reason=event.reason,
                closed_at=event.occurred_at,
            )
        case (
            FraudCaseNoted()
            | FraudCaseHoldPlaced()
            | FraudCaseHoldLifted()
            | FraudCaseClosureProposed()
        ):
            return row
        case _:
            assert_never(event)


def _with_hit(row: FraudCaseRow, hit: IndicatorHit) -> FraudCaseRow:
    worse = RANK[Severity(hit.severity)] > RANK[Severity(row.severity)]
    players = tuple(dict.fromkeys((*row.player_ids, *players_of(hit))))[:PLAYERS_MAX]
    return replace(
        row,
        severity=hit.severity if worse else row.severity,
        indicators=tuple(dict.fromkeys((*row.indicators, hit.indicator))),
        player_ids=players,
        player_id=players[0] if players else None,
        hits_count=row.hits_count + 1,
    )


FRAUD_CASES = FraudCases()


# --- queries ------------------------------------------------------------------------------------

_SELECT: Final = f"SELECT {', '.join(CASES.columns)} FROM fraud_cases_v1.cases"
_PRECISION: Final = """
SELECT indicator,
       count(*) FILTER (WHERE decision = 'confirmed'),
       count(*) FILTER (WHERE decision = 'false_positive'),
       count(*) FILTER (WHERE decision = 'inconclusive')
FROM fraud_cases_v1.cases CROSS JOIN jsonb_array_elements_text(indicators) AS indicator
WHERE status = 'closed' AND (%(upto)s::bigint IS NULL OR position <= %(upto)s)
GROUP BY indicator ORDER BY indicator COLLATE "C"
"""
_LATEST: Final = "SELECT max(number) FROM fraud_cases_v1.cases WHERE subject = %s"

_case = builder(FraudCaseRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCursor:
    """The last case seen."""

    opened_at: datetime
    id: UUID


async def list_cases(
    connection: AsyncConnection[Any],
    *,
    statuses: Sequence[str] = (),
    severity: str | None = None,
    assigned_to: str | None = None,
    unassigned: bool | None = None,
    subject: str | None = None,
    player_id: UUID | None = None,
    indicator: str | None = None,
    cursor: CaseCursor | None = None,
    limit: int = 50,
) -> list[FraudCaseRow]:
    """Cases, the newest first; everything given has to match. `player_id`: of any hit."""
    wanted: Mapping[str, object] = {
        "status = ANY(%s)": list(statuses) or None,
        "severity = %s": severity,
        "assigned_to = %s": assigned_to,
        "(assigned_to IS NULL) = %s": unassigned,
        "subject = %s": subject,
        "player_ids @> %s": Jsonb([str(player_id)]) if player_id else None,
        "indicators @> %s": Jsonb([indicator]) if indicator else None,
    }
    conditions = {condition: value for condition, value in wanted.items() if value is not None}
    where = " AND ".join(conditions) or "true"
    values = list(conditions.values())
    if cursor is not None:
        where += " AND (opened_at, id) < (%s, %s)"
        values += [cursor.opened_at, cursor.id]
    query = f"{_SELECT} WHERE {where} ORDER BY opened_at DESC, id DESC LIMIT %s"
    # Never a generic plan: the best one depends on how rare the values are.
    async with connection.cursor(binary=True, row_factory=args_row(_case)) as found:
        await found.execute(query.encode(), [*values, limit], prepare=False)
        return await found.fetchall()


@dataclass(frozen=True, slots=True)
class Precision:
    """What the closed cases that an indicator had hit in turned out to be."""

    indicator: str
    confirmed: int
    false_positive: int
    inconclusive: int


async def precision(connection: AsyncConnection[Any], upto: int | None = None) -> list[Precision]:
    """How often each indicator that closed cases rest on was right, by its code.

    `upto`: as it was at that position; nothing happens to a case that is closed.
    """
    async with connection.cursor(row_factory=args_row(Precision)) as found:
        await found.execute(_PRECISION.encode(), {"upto": upto})
        return await found.fetchall()


async def list_reports(
    connection: AsyncConnection[Any],
    *,
    case_id: UUID | None = None,
    upto: int | None = None,
    cursor: int | None = None,
    limit: int = 50,
) -> list[ReportRow]:
    """Reports, the latest drafted first: those before position `cursor`, up to one."""
    query = f"""
        SELECT {", ".join(REPORTS.columns)} FROM fraud_cases_v1.reports
        WHERE (%(case_id)s::uuid IS NULL OR case_id = %(case_id)s)
          AND (%(upto)s::bigint IS NULL OR position <= %(upto)s)
          AND (%(cursor)s::bigint IS NULL OR position < %(cursor)s)
        ORDER BY position DESC LIMIT %(limit)s
    """
    values = {"case_id": case_id, "upto": upto, "cursor": cursor, "limit": limit}
    async with connection.cursor(binary=True, row_factory=args_row(ReportRow)) as found:
        await found.execute(query.encode(), values)
        return await found.fetchall()


def latest_number(connection: Connection[Any], subject: str) -> int:
    """How many cases of a subject there have been as far as is known here; 0: none."""
    row = connection.execute(_LATEST, [subject]).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
