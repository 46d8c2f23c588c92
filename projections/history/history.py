"""History: which transactions match, and in what state is each?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from domain.provider.attempt import parse_reference
from domain.withdrawal.status import WithdrawalStatus
from projections.engine.read_model import Keys, Recorded, Rows
from projections.engine.tables import builder
from projections.history.fold import TRANSACTIONS, Transaction, changed, created
from projections.history.status import Creation, NotOfTransactions

DDL = """
CREATE TABLE transactions (
    id                 uuid        NOT NULL PRIMARY KEY,
    kind               text        NOT NULL,   -- deposit, withdrawal, refund, conversion, …
    status             text        NOT NULL,   -- as the domain has it
    player_id          uuid,                   -- null: an adjustment of the house's own
    provider           text,                   -- null: an adjustment, or the house itself
    method             text        NOT NULL,
    amount_minor       bigint      NOT NULL,   -- as asked for, in minor units of currency
    currency           text        NOT NULL,
    target_minor       bigint,                 -- of a conversion: what the player gets
    target_currency    text,
    instrument         text,
    related_id         uuid,                   -- the refunded, contested or adjusted transaction
    metadata           jsonb       NOT NULL,
    reason             text,
    reference          text,                   -- of the latest attempt, once submitted
    provider_reference text,
    payout             jsonb,                  -- of a withdrawal: its legs, see payouts.py
    credited_minor     bigint,                 -- of a deposit, while it is credited
    refunded_minor     bigint      NOT NULL,   -- of a deposit
    refunds            jsonb       NOT NULL,   -- what each refund has taken, by its id
    stage              text,                   -- of a dispute
    named_in           text,                   -- stage in which a dispute's amount was named
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,   -- of the stream
    created_position   bigint      NOT NULL,
    position           bigint      NOT NULL    -- of the last event
);
"""

# Texts from outside are hashed: they may be longer than a B-tree takes. Times follow the order
# in which rows are written, so a block range index finds them at next to no cost. Deposits and
# withdrawals are met soon enough by going backwards; the other kinds may be far between.
INDEXES = """
CREATE UNIQUE INDEX ON transactions (created_position);
CREATE INDEX ON transactions (player_id, created_position) WHERE player_id IS NOT NULL;
CREATE INDEX ON transactions (status, created_position);
CREATE INDEX ON transactions (kind, created_position) WHERE kind NOT IN ('deposit', 'withdrawal');
CREATE INDEX ON transactions (provider, created_position);
CREATE INDEX ON transactions (amount_minor, created_position);
CREATE INDEX ON transactions (related_id, created_position) WHERE related_id IS NOT NULL;
CREATE INDEX ON transactions USING hash (reason) WHERE reason IS NOT NULL;
CREATE INDEX ON transactions USING hash (instrument) WHERE instrument IS NOT NULL;
CREATE INDEX ON transactions USING hash (provider_reference) WHERE provider_reference IS NOT NULL;
CREATE INDEX ON transactions USING gin (jsonb_path_query_array(metadata, '$.*') jsonb_path_ops)
    WHERE metadata <> '{}';
CREATE INDEX ON transactions USING gin ((payout -> 'legs') jsonb_path_ops)
    WHERE payout IS NOT NULL;
CREATE INDEX ON transactions USING brin (created_at, updated_at);
"""


class History:
    """The read model."""

    name = "history"
    version = 2
    tables = (TRANSACTIONS,)
    ddl = DDL
    indexes = INDEXES
    ignores = frozenset(get_args(NotOfTransactions))

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        events = [recorded.event for recorded in batch]
        begun = {e.originator_id for e in events if e.originator_version == 1}
        return {TRANSACTIONS: {e.originator_id for e in events} - begun}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event, transactions = recorded.event, rows[TRANSACTIONS]
        stream = event.originator_id
        row = transactions.get(stream)
        if row is not None:
            # Under the very key that is there: comparing two equal ids takes longer than a hash.
            transactions[row.id] = changed(row, recorded)
        elif isinstance(event, Creation):
            transactions[stream] = created(recorded, event)
        elif not isinstance(event, NotOfTransactions):
            raise ValueError(f"{stream} was never created")


HISTORY = History()

_transaction = builder(Transaction)

# --- queries ------------------------------------------------------------------------------------

_SELECT = f"SELECT {', '.join(TRANSACTIONS.columns)} FROM history_v2.transactions"

# What makes an index partial has to be said for the index to be used.
_HAS_VALUES = "metadata <> '{}' AND jsonb_path_query_array(metadata, '$.*') @> %s"

Condition = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; None means any. Instants are UTC: `from` included, `to` not."""

    kinds: Sequence[str] = ()
    statuses: Sequence[str] = ()
    player_id: UUID | None = None
    provider: str | None = None
    currency: str | None = None
    """Of the amount, or of what a conversion is for."""
    amount_minor_min: int | None = None
    amount_minor_max: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    updated_to: datetime | None = None
    reference: str | None = None
    """Ours of any attempt, the provider's of any leg, or a dispute's."""
    instrument: str | None = None
    """The one asked for, or any leg's."""
    related_id: UUID | None = None
    """The deposit that was refunded or contested, the transaction that was adjusted."""
    reason: str | None = None
    stage: str | None = None
    """Of a dispute."""
    metadata: Mapping[str, str] | None = None
    """Every key must have this value."""

    def conditions(self) -> list[Condition]:
        """As SQL, each with the values it is bound to."""
        plain = {
            "kind = ANY(%s)": list(self.kinds) or None,
            "status = ANY(%s)": list(self.statuses) or None,
            "player_id = %s": self.player_id,
            "provider = %s": self.provider,
            "amount_minor >= %s": self.amount_minor_min,
            "amount_minor <= %s": self.amount_minor_max,
            "created_at >= %s": self.created_from,
            "created_at < %s": self.created_to,
            "updated_at >= %s": self.updated_from,
            "updated_at < %s": self.updated_to,
            "related_id = %s": self.related_id,
            "reason = %s": self.reason,
            "stage = %s": self.stage,
        }
        found: list[Condition] = [
            (condition, (value,)) for condition, value in plain.items() if value is not None
        ]
        if self.metadata:
            # The index is of the values, under whatever key.
            values = Jsonb(list(self.metadata.values()))
            found.append(
                (f"{_HAS_VALUES} AND metadata @> %s", (values, Jsonb(dict(self.metadata))))
            )
        if self.currency is not None:
            found.append(("(currency = %s OR target_currency = %s)", (self.currency,) * 2))
        if self.instrument is not None:
            found.append(_own_or_leg("instrument", self.instrument))
        if self.reference is not None:
            ours = parse_reference(self.reference)
            by_provider = _own_or_leg("provider_reference", self.reference)
            found.append(("id = %s", (ours[0],)) if ours else by_provider)
        return found


def _own_or_leg(column: str, value: str) -> Condition:
    """The transaction's own, or any leg's of a payout."""
    of_leg = "payout IS NOT NULL AND payout -> 'legs' @> %s"
    return f"({column} = %s OR ({of_leg}))", (value, Jsonb([{column: value}]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Transactions, newest first."""

    rows: list[Transaction]
    next_cursor: int | None
    """To be passed on for the rows after these; None where there are no more."""


async def get(connection: AsyncConnection[Any], transaction_id: UUID) -> Transaction | None:
    """The transaction, or None."""
    async with connection.cursor(binary=True, row_factory=args_row(_transaction)) as cursor:
        await cursor.execute(f"{_SELECT} WHERE id = %s".encode(), [transaction_id])
        return await cursor.fetchone()


async def page(
    connection: AsyncConnection[Any], filters: Filters, cursor: int | None = None, limit: int = 50
) -> Page:
    """Up to `limit` matching transactions created before `cursor`, newest first."""
    conditions = filters.conditions()
    if cursor is not None:
        conditions.append(("created_position < %s", (cursor,)))
    where = " AND ".join(condition for condition, _ in conditions) or "true"
    query = f"{_SELECT} WHERE {where} ORDER BY created_position DESC LIMIT %s"
    values = [*(value for _, bound in conditions for value in bound), limit + 1]
    # Never a generic plan: the best one depends on how rare the values are.
    async with connection.cursor(binary=True, row_factory=args_row(_transaction)) as found:
        await found.execute(query.encode(), values, prepare=False)
        rows = await found.fetchall()
    more = len(rows) > limit
    return Page(rows=rows[:limit], next_cursor=rows[limit - 1].created_position if more else None)


_ENDED = (
    WithdrawalStatus.PAID,
    WithdrawalStatus.RETURNED,
    WithdrawalStatus.REJECTED,
    WithdrawalStatus.CANCELLED,
)
_MAY_BE_UNSENT = tuple(status for status in WithdrawalStatus if status not in _ENDED)


def unsent_withdrawals(
    connection: Connection[Any], *, player_id: UUID | None = None, instrument: str | None = None
) -> list[UUID]:
    """Withdrawals, oldest first, of which something may still have to be sent.

    Of the player, where one is named; to the instrument, or with a leg to it, where one is.
    """
    filters = Filters(
        kinds=["withdrawal"],
        statuses=_MAY_BE_UNSENT,
        player_id=player_id,
        instrument=instrument,
    )
    conditions = filters.conditions()
    where = " AND ".join(condition for condition, _ in conditions)
    query = f"SELECT id FROM history_v2.transactions WHERE {where} ORDER BY created_position"
    values = [value for _, bound in conditions for value in bound]
    return [id_ for (id_,) in connection.execute(query.encode(), values, prepare=False).fetchall()]


async def with_metadata_value(
    connection: AsyncConnection[Any], value: str, limit: int
) -> list[Transaction]:
    """Up to `limit` transactions that have this value under some key, newest first."""
    query = f"{_SELECT} WHERE {_HAS_VALUES} ORDER BY created_position DESC LIMIT %s"
    async with connection.cursor(binary=True, row_factory=args_row(_transaction)) as found:
        await found.execute(query.encode(), [Jsonb([value]), limit], prepare=False)
        return await found.fetchall()


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
            FROM history_v2.transactions GROUP BY kind, status, currency
            ORDER BY kind, status, currency
            """
        )
        return await cursor.fetchall()
