"""Withdrawals queue: what waits for whom, since when, and why?

Deposits in review wait here too: the same people end those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never, get_args
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import args_row

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
from domain.withdrawal import WithdrawalStatus as W
from projections.read_model import Keys, Recorded, Row, Rows, Table

DDL = """
CREATE TABLE cases (
    id                 uuid        NOT NULL PRIMARY KEY,   -- of the transaction
    kind               text        NOT NULL,               -- deposit, withdrawal
    player_id          uuid        NOT NULL,
    provider           text        NOT NULL,
    method             text        NOT NULL,
    amount_minor       bigint      NOT NULL,
    currency           text        NOT NULL,
    requested_by       text        NOT NULL,               -- may not approve
    requested_at       timestamptz NOT NULL,
    waiting_as         text,                               -- status; null: it waits for nobody
    waiting_since      timestamptz,
    reasons            jsonb       NOT NULL,               -- why people have to look
    approvals_required bigint      NOT NULL,
    approvals          jsonb       NOT NULL,               -- persons who agreed
    note               text,                               -- of who held it or asked the player
    proposed_target    text,                               -- how one person would end the review
    proposed_by        text,
    position           bigint      NOT NULL                -- of the last event that changed this
) WITH (fillfactor = 80);
"""

INDEXES = """
CREATE INDEX ON cases (waiting_since, id) WHERE waiting_as IS NOT NULL;
"""


class Case(Row, frozen=True):
    """A transaction, and for whom it waits.

    Every transaction has one, waiting or not: a payout may come back for review years after it
    was paid, and the event that says so names neither its amount nor its kind.
    """

    id: UUID
    kind: str
    player_id: UUID
    provider: str
    method: str
    amount_minor: int
    currency: str
    requested_by: str
    requested_at: datetime
    waiting_as: str | None
    waiting_since: datetime | None
    reasons: tuple[str, ...]
    approvals_required: int
    approvals: tuple[str, ...]
    note: str | None
    proposed_target: str | None
    proposed_by: str | None
    position: int


CASES: Table[UUID, Case] = Table("cases", Case, ("id",))

_ChangesNoCase = (
    DepositBlocked
    | DepositAwaitingPlayer
    | DepositAuthorised
    | DepositCompleted
    | DepositVoided
    | DepositExpired
    | DepositCancelled
    | WithdrawalScreeningStarted
    | WithdrawalQueued
    | WithdrawalProcessing
    | WithdrawalPaid
    | WithdrawalReturned
    | TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | NoticeNoted
    | ProviderNoticeReceived
    | NoticeUnmatched
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
_IGNORED: frozenset[type] = frozenset(get_args(_ChangesNoCase))
_OPENS_CASE: frozenset[type] = frozenset({DepositCreated, WithdrawalRequested})


class WithdrawalQueue:
    """The read model."""

    name = "withdrawal_queue"
    version = 1
    tables = (CASES,)
    ddl = DDL
    indexes = INDEXES

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        events = [r.event for r in batch if type(r.event) not in _IGNORED]
        opened = {e.originator_id for e in events if type(e) in _OPENS_CASE}
        return {CASES: {e.originator_id for e in events} - opened}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event = recorded.event
        if type(event) in _IGNORED:
            return
        cases = rows[CASES]
        match event:
            case DepositCreated():
                cases[event.originator_id] = _opened(recorded, event, "deposit")
            case WithdrawalRequested():
                cases[event.originator_id] = _opened(recorded, event, "withdrawal")
            case _:
                row = cases[event.originator_id]
                changed = _changed(row, event)
                if changed != row:
                    cases[row.id] = replace(changed, position=recorded.position)


WITHDRAWAL_QUEUE = WithdrawalQueue()


# --- fold ---------------------------------------------------------------------------------------


def _opened(recorded: Recorded, event: DepositCreated | WithdrawalRequested, kind: str) -> Case:
    return Case(
        id=event.originator_id,
        kind=kind,
        player_id=event.player_id,
        provider=event.provider,
        method=event.method,
        amount_minor=event.amount.amount,
        currency=event.amount.currency,
        requested_by=event.actor.partition(":")[2],
        requested_at=event.occurred_at,
        waiting_as=None,
        waiting_since=None,
        reasons=(),
        approvals_required=0,
        approvals=(),
        note=None,
        proposed_target=None,
        proposed_by=None,
        position=recorded.position,
    )


def _changed(row: Case, event: LedgerEvent) -> Case:
    """The case after an event other than the first of its transaction."""
    if isinstance(event, _ChangesNoCase):
        return row
    match event:
        case WithdrawalScreened(reasons=reasons, approvals_required=required):
            screened = replace(row, reasons=reasons, approvals_required=required)
            return _waiting(screened, W.UNDER_REVIEW, event) if required else screened
        case WithdrawalApprovalGiven():
            return replace(row, approvals=_with(row.approvals, event.person))
        case WithdrawalApproved(person=person):
            agreed = replace(row, approvals=_with(row.approvals, person)) if person else row
            return _gone(agreed)
        case WithdrawalInformationRequested(note=note):
            return _waiting(row, W.INFO_REQUIRED, event, note)
        case WithdrawalHeld(note=note):
            return _waiting(row, W.HELD, event, note)
        case WithdrawalInformationProvided(note=note) | WithdrawalReleased(note=note):
            return _waiting(row, W.UNDER_REVIEW, event, note)
        case WithdrawalRecalled(reason=reason):
            recalled = replace(
                row,
                reasons=(*row.reasons, reason),
                approvals=(),
                approvals_required=max(row.approvals_required, 1),
            )
            return _waiting(recalled, W.UNDER_REVIEW, event)
        case ReviewOpened(reason=reason):
            return _waiting(replace(row, reasons=(reason.value,)), W.REVIEW, event)
        case ResolutionProposed():
            return replace(row, proposed_target=event.target, proposed_by=event.person)
        case WithdrawalRejected() | WithdrawalCancelled() | TransactionResolved():
            return _gone(row)
        case DepositCreated() | WithdrawalRequested():
            raise ValueError(f"{row.id} was created before")
        case _:
            assert_never(event)


def _waiting(row: Case, status: W, event: LedgerEvent, note: str | None = None) -> Case:
    return replace(
        row,
        waiting_as=status.value,
        waiting_since=event.occurred_at,
        note=note,
        proposed_target=None,
        proposed_by=None,
    )


def _gone(row: Case) -> Case:
    return replace(
        row,
        waiting_as=None,
        waiting_since=None,
        note=None,
        proposed_target=None,
        proposed_by=None,
    )


def _with(approvals: tuple[str, ...], person: str) -> tuple[str, ...]:
    return approvals if person in approvals else (*approvals, person)


# --- queries ------------------------------------------------------------------------------------

_SELECT = f"SELECT {', '.join(CASES.columns)} FROM withdrawal_queue_v1.cases"


def _case(*values: Any) -> Case:
    """A case of stored values: jsonb has lists where the row has tuples."""
    row = Case(*values)
    return replace(row, reasons=tuple(row.reasons), approvals=tuple(row.approvals))


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


async def get(connection: AsyncConnection[Any], transaction_id: UUID) -> Case | None:
    """The transaction's case, or None if it waits for nobody."""
    query = f"{_SELECT} WHERE id = %s AND waiting_as IS NOT NULL"
    async with connection.cursor(binary=True, row_factory=args_row(_case)) as found:
        await found.execute(query.encode(), [transaction_id])
        return await found.fetchone()


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait like this, and since when the first does."""

    kind: str
    waiting_as: str
    cases: int
    oldest_since: datetime


async def lengths(connection: AsyncConnection[Any]) -> list[Waiting]:
    """The queue's length by kind and status."""
    async with connection.cursor(row_factory=args_row(Waiting)) as cursor:
        await cursor.execute(
            """
            SELECT kind, waiting_as, count(*), min(waiting_since)
            FROM withdrawal_queue_v1.cases WHERE waiting_as IS NOT NULL
            GROUP BY kind, waiting_as ORDER BY kind, waiting_as
            """
        )
        return await cursor.fetchall()
