"""History: which transactions match, and in what state is each?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from domain.attempts import parse_reference
from domain.deposit import DepositStatus as D
from domain.errors import Reason
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
from domain.outcomes import Evidence, Outcome
from domain.withdrawal import WithdrawalStatus as W
from projections.read_model import Keys, Recorded, Row, Rows, Table

DDL = """
CREATE TABLE transactions (
    id                 uuid        NOT NULL PRIMARY KEY,
    kind               text        NOT NULL,   -- deposit, withdrawal
    status             text        NOT NULL,   -- as the domain has it
    player_id          uuid        NOT NULL,
    provider           text        NOT NULL,
    method             text        NOT NULL,
    amount_minor       bigint      NOT NULL,   -- as asked for, in minor units of currency
    currency           text        NOT NULL,
    instrument         text,
    metadata           jsonb       NOT NULL,
    reason             text,
    reference          text,                   -- of the latest attempt, once submitted
    provider_reference text,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,   -- of the stream
    created_position   bigint      NOT NULL,
    position           bigint      NOT NULL    -- of the last event
);
"""

# Texts from outside are hashed: they may be longer than a B-tree takes. Times follow the order
# in which rows are written, so a block range index finds them at next to no cost.
INDEXES = """
CREATE UNIQUE INDEX ON transactions (created_position);
CREATE INDEX ON transactions (player_id, created_position);
CREATE INDEX ON transactions (status, created_position);
CREATE INDEX ON transactions (provider, created_position);
CREATE INDEX ON transactions (amount_minor, created_position);
CREATE INDEX ON transactions USING hash (instrument) WHERE instrument IS NOT NULL;
CREATE INDEX ON transactions USING hash (provider_reference) WHERE provider_reference IS NOT NULL;
CREATE INDEX ON transactions USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
CREATE INDEX ON transactions USING brin (created_at, updated_at);
"""


class Transaction(Row, frozen=True):
    """A deposit or withdrawal as it stands."""

    id: UUID
    kind: str
    status: str
    player_id: UUID
    provider: str
    method: str
    amount_minor: int
    currency: str
    instrument: str | None
    metadata: Mapping[str, str]
    reason: str | None
    reference: str | None
    provider_reference: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    created_position: int
    position: int


TRANSACTIONS: Table[UUID, Transaction] = Table("transactions", Transaction, ("id",))

_NotOfTransactions = (
    ProviderNoticeReceived
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
_CREATIONS = frozenset({DepositCreated, WithdrawalRequested})

# Every event that has a transaction to change: the status it leads to, None where it keeps the
# status or where `_status` tells it from more than its type. A new event has to be listed.
_STATUS_AFTER: Mapping[type[LedgerEvent], str | None] = {
    DepositBlocked: D.BLOCKED.value,
    DepositAwaitingPlayer: D.AWAITING_PLAYER.value,
    DepositAuthorised: D.AUTHORISED.value,
    DepositCompleted: D.COMPLETED.value,
    DepositVoided: D.VOIDED.value,
    DepositExpired: D.EXPIRED.value,
    DepositCancelled: D.CANCELLED.value,
    WithdrawalScreeningStarted: W.SCREENING.value,
    WithdrawalScreened: None,
    WithdrawalApprovalGiven: None,
    WithdrawalApproved: W.APPROVED.value,
    WithdrawalRejected: W.REJECTED.value,
    WithdrawalInformationRequested: W.INFO_REQUIRED.value,
    WithdrawalInformationProvided: W.UNDER_REVIEW.value,
    WithdrawalHeld: W.HELD.value,
    WithdrawalReleased: W.UNDER_REVIEW.value,
    WithdrawalQueued: W.QUEUED.value,
    WithdrawalRecalled: W.UNDER_REVIEW.value,
    WithdrawalProcessing: W.PROCESSING.value,
    WithdrawalPaid: W.PAID.value,
    WithdrawalReturned: W.RETURNED.value,
    WithdrawalCancelled: W.CANCELLED.value,
    TransactionSubmitted: D.SUBMITTED.value,
    TransactionPending: None,
    TransactionUnknown: D.UNKNOWN.value,
    TransactionFailed: D.FAILED.value,
    NoticeNoted: None,
    ReviewOpened: D.REVIEW.value,
    ResolutionProposed: None,
    TransactionResolved: None,
}
_CHANGES_REASON = frozenset(
    {
        DepositBlocked,
        DepositCancelled,
        DepositCompleted,
        DepositVoided,
        WithdrawalRejected,
        WithdrawalCancelled,
        WithdrawalPaid,
        WithdrawalReturned,
        TransactionFailed,
        ReviewOpened,
        TransactionResolved,
    }
)


class History:
    """The read model."""

    name = "history"
    version = 1
    tables = (TRANSACTIONS,)
    ddl = DDL
    indexes = INDEXES

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        events = [recorded.event for recorded in batch]
        created = {e.originator_id for e in events if type(e) in _CREATIONS}
        return {TRANSACTIONS: {e.originator_id for e in events} - created}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event, transactions = recorded.event, rows[TRANSACTIONS]
        stream = event.originator_id
        row = transactions.get(stream)
        if row is not None:
            transactions[stream] = _changed(row, recorded)
        elif isinstance(event, DepositCreated):
            transactions[stream] = _created(recorded, event, "deposit")
        elif isinstance(event, WithdrawalRequested):
            transactions[stream] = _created(recorded, event, "withdrawal")
        elif not isinstance(event, _NotOfTransactions):
            raise ValueError(f"{stream} was never created")


HISTORY = History()


# --- fold ---------------------------------------------------------------------------------------


def _created(
    recorded: Recorded, event: DepositCreated | WithdrawalRequested, kind: str
) -> Transaction:
    deposit = kind == "deposit"
    return Transaction(
        id=event.originator_id,
        kind=kind,
        status=(D.CREATED if deposit else W.REQUESTED).value,
        player_id=event.player_id,
        provider=event.provider,
        method=event.method,
        amount_minor=event.amount.amount,
        currency=event.amount.currency,
        instrument=event.instrument,
        metadata=event.metadata,
        reason=None,
        reference=None,
        provider_reference=None,
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        version=event.originator_version,
        created_position=recorded.position,
        position=recorded.position,
    )


def _changed(row: Transaction, recorded: Recorded) -> Transaction:
    event = recorded.event
    evidence: Evidence | None = getattr(event, "evidence", None)
    return replace(
        row,
        status=_status(row, event),
        reason=_reason(row, event),
        reference=event.reference if isinstance(event, TransactionSubmitted) else row.reference,
        provider_reference=(evidence and evidence.provider_reference) or row.provider_reference,
        updated_at=event.occurred_at,
        version=event.originator_version,
        position=recorded.position,
    )


def _status(row: Transaction, event: LedgerEvent) -> str:
    status = _STATUS_AFTER[type(event)]
    if status is not None:
        return status
    match event:
        case TransactionPending():
            in_work = event.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)
            player_acted = in_work and row.status == D.AWAITING_PLAYER
            return D.SUBMITTED.value if player_acted else row.status
        case WithdrawalScreened():
            needs_people = event.approvals_required > 0
            return (W.UNDER_REVIEW if needs_people else W.SCREENING).value
        case TransactionResolved():
            return event.target
        case _:
            return row.status


def _reason(row: Transaction, event: LedgerEvent) -> str | None:
    if type(event) not in _CHANGES_REASON:
        return row.reason
    match event:
        case DepositVoided():
            return Reason.VOIDED.value
        case WithdrawalReturned():
            return Reason.RETURNED.value
        case ReviewOpened():
            return event.reason.value
        case (
            TransactionFailed(reason=reason)
            | DepositBlocked(reason=reason)
            | DepositCancelled(reason=reason)
            | WithdrawalRejected(reason=reason)
            | WithdrawalCancelled(reason=reason)
        ):
            return reason
        case _:
            return None  # it went well, or people have decided


# --- queries ------------------------------------------------------------------------------------

_SELECT = f"SELECT {', '.join(TRANSACTIONS.columns)} FROM history_v1.transactions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; None means any. Instants are UTC: `from` included, `to` not."""

    kind: str | None = None
    statuses: Sequence[str] = ()
    player_id: UUID | None = None
    provider: str | None = None
    currency: str | None = None
    amount_minor_min: int | None = None
    amount_minor_max: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    updated_to: datetime | None = None
    reference: str | None = None
    """Ours of any attempt, or the provider's."""
    instrument: str | None = None
    metadata: Mapping[str, str] | None = None
    """Every key must have this value."""

    def conditions(self) -> list[tuple[str, object]]:
        """As SQL, each with the value it is bound to."""
        metadata = self.metadata or None
        named = {
            "kind = %s": self.kind,
            "status = ANY(%s)": list(self.statuses) or None,
            "player_id = %s": self.player_id,
            "provider = %s": self.provider,
            "currency = %s": self.currency,
            "amount_minor >= %s": self.amount_minor_min,
            "amount_minor <= %s": self.amount_minor_max,
            "created_at >= %s": self.created_from,
            "created_at < %s": self.created_to,
            "updated_at >= %s": self.updated_from,
            "updated_at < %s": self.updated_to,
            "instrument = %s": self.instrument,
            # What makes the index partial has to be said for the index to be used.
            "metadata <> '{}' AND metadata @> %s": metadata and Jsonb(dict(metadata)),
            **self._by_reference(),
        }
        return [(condition, value) for condition, value in named.items() if value is not None]

    def _by_reference(self) -> dict[str, object]:
        ours = parse_reference(self.reference) if self.reference else None
        return {"id = %s": ours[0]} if ours else {"provider_reference = %s": self.reference}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Transactions, newest first."""

    rows: list[Transaction]
    next_cursor: int | None
    """To be passed on for the rows after these; None where there are no more."""


async def get(connection: AsyncConnection[Any], transaction_id: UUID) -> Transaction | None:
    """The transaction, or None."""
    async with connection.cursor(binary=True, row_factory=args_row(Transaction)) as cursor:
        await cursor.execute(f"{_SELECT} WHERE id = %s".encode(), [transaction_id])
        return await cursor.fetchone()


async def page(
    connection: AsyncConnection[Any], filters: Filters, cursor: int | None = None, limit: int = 50
) -> Page:
    """Up to `limit` matching transactions created before `cursor`, newest first."""
    conditions = filters.conditions()
    if cursor is not None:
        conditions.append(("created_position < %s", cursor))
    where = " AND ".join(condition for condition, _ in conditions) or "true"
    query = f"{_SELECT} WHERE {where} ORDER BY created_position DESC LIMIT %s"
    values = [*(value for _, value in conditions), limit + 1]
    # Never a generic plan: the best one depends on how rare the values are.
    async with connection.cursor(binary=True, row_factory=args_row(Transaction)) as found:
        await found.execute(query.encode(), values, prepare=False)
        rows = await found.fetchall()
    more = len(rows) > limit
    return Page(rows=rows[:limit], next_cursor=rows[limit - 1].created_position if more else None)


@dataclass(frozen=True, slots=True)
class Total:
    """How many transactions stand where, and for how much."""

    kind: str
    status: str
    currency: str
    transactions: int
    amount_minor: int


async def summary(connection: AsyncConnection[Any]) -> list[Total]:
    """Totals by kind, status and currency. Reads every transaction: not for every page view."""
    async with connection.cursor(row_factory=args_row(Total)) as cursor:
        await cursor.execute(
            """
            SELECT kind, status, currency, count(*), sum(amount_minor)::bigint
            FROM history_v1.transactions GROUP BY kind, status, currency
            ORDER BY kind, status, currency
            """
        )
        return await cursor.fetchall()
