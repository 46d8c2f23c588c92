"""History as it was: which transactions matched then, and in what state was each?

A transaction that has not changed since stands in the table as it was; of the others the stream
is folded again, up to the position, by the read model's own fold. Candidates are narrowed down by
what never changes about a transaction; what changes is judged on the rows as they were.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from domain.provider.attempt import parse_reference
from projections.engine.read_model import K, R, ReadModel, Recorded, Rows, Table, schema_of
from projections.engine.tables import builder
from projections.history import history
from projections.history.fold import TRANSACTIONS, Transaction
from projections.history.history import HISTORY, Filters

LOOKED_AT_MAX: Final = 2_000
"""Transactions looked at for one page, so that a filter that matched nothing is quick as well."""

_LOOKED_AT_ONCE: Final = 200

ReadStreams = Callable[[Collection[UUID], int], Awaitable[Sequence[Recorded]]]
"""Every event of these streams up to a position, each stream's in order."""

_transaction = builder(Transaction)

_COLUMNS = ", ".join(TRANSACTIONS.columns)
_WITH_METADATA_VALUE = f"""
SELECT {_COLUMNS} FROM {schema_of(HISTORY)}.transactions
WHERE metadata <> '{{}}' AND jsonb_path_query_array(metadata, '$.*') @> %s
  AND created_position <= %s
ORDER BY created_position DESC LIMIT %s
"""
_FIRST = f"""
SELECT created_position FROM {schema_of(HISTORY)}.transactions
WHERE %(player)s::uuid IS NULL OR player_id = %(player)s
ORDER BY created_position LIMIT 1
"""


def folded(model: ReadModel, table: Table[K, R], story: Iterable[Recorded]) -> dict[K, R]:
    """The rows that the model's own fold makes of these events."""
    rows = Rows()
    for recorded in story:
        model.apply(rows, recorded)
    return rows[table]


# --- filters ------------------------------------------------------------------------------------


def matches(filters: Filters, row: Transaction) -> bool:
    """Whether a row is one that `filters.conditions()` selects: the same, without a database."""
    return all(_conditions(filters, row))


def _conditions(wanted: Filters, row: Transaction) -> Iterator[bool]:
    amount, created, updated = row.amount_minor, row.created_at, row.updated_at
    yield not wanted.kinds or row.kind in wanted.kinds
    yield not wanted.statuses or row.status in wanted.statuses
    yield wanted.player_id in (None, row.player_id)
    yield wanted.provider in (None, row.provider)
    yield wanted.currency in (None, row.currency, row.target_currency)
    yield wanted.amount_minor_min is None or amount >= wanted.amount_minor_min
    yield wanted.amount_minor_max is None or amount <= wanted.amount_minor_max
    yield wanted.created_from is None or created >= wanted.created_from
    yield wanted.created_to is None or created < wanted.created_to
    yield wanted.updated_from is None or updated >= wanted.updated_from
    yield wanted.updated_to is None or updated < wanted.updated_to
    yield wanted.related_id in (None, row.related_id)
    yield wanted.reason in (None, row.reason)
    yield wanted.stage in (None, row.stage)
    yield not wanted.metadata or row.metadata.items() >= wanted.metadata.items()
    yield wanted.instrument is None or wanted.instrument in _own_and_legs(row, "instrument")
    yield wanted.reference is None or _is_referred_to(row, wanted.reference)


def _is_referred_to(row: Transaction, reference: str) -> bool:
    ours = parse_reference(reference)
    if ours is not None:
        return row.id == ours[0]
    return reference in _own_and_legs(row, "provider_reference")


def _own_and_legs(row: Transaction, name: str) -> list[str | None]:
    legs = row.payout.legs if row.payout else ()
    return [getattr(row, name), *(getattr(leg, name) for leg in legs)]


def never_changing(filters: Filters) -> Filters:
    """Those of the filters that a transaction passes for ever, or never.

    A payout's amount and instrument may be amended, a dispute's amount is learned bit by bit, and
    a provider names another reference for each attempt.
    """
    ours = filters.reference is not None and parse_reference(filters.reference)
    return replace(
        filters,
        statuses=(),
        amount_minor_min=None,
        amount_minor_max=None,
        updated_from=None,
        updated_to=None,
        reference=filters.reference if ours else None,
        instrument=None,
        reason=None,
        stage=None,
    )


# --- queries ------------------------------------------------------------------------------------


class Transactions(Protocol):
    """History at some time."""

    async def get(self, transaction_id: UUID) -> Transaction | None: ...

    async def matching(self, filters: Filters, limit: int) -> Sequence[Transaction]: ...

    async def with_metadata_value(self, value: str, limit: int) -> Sequence[Transaction]: ...


@dataclass(frozen=True, slots=True)
class PresentTransactions:
    """History as it is."""

    connection: AsyncConnection[Any]

    async def get(self, transaction_id: UUID) -> Transaction | None:
        """The transaction, or None."""
        return await history.get(self.connection, transaction_id)

    async def matching(self, filters: Filters, limit: int) -> Sequence[Transaction]:
        """Up to `limit` that match, newest first."""
        return (await history.page(self.connection, filters, limit=limit)).rows

    async def with_metadata_value(self, value: str, limit: int) -> Sequence[Transaction]:
        """Up to `limit` that have this value under some key, newest first."""
        return await history.with_metadata_value(self.connection, value, limit)


@dataclass(frozen=True, slots=True)
class PastTransactions:
    """History as it was at a position that the read model has reached."""

    connection: AsyncConnection[Any]
    read: ReadStreams
    upto: int

    async def get(self, transaction_id: UUID) -> Transaction | None:
        """The transaction, or None where it had not begun."""
        row = await history.get(self.connection, transaction_id)
        if row is None or row.created_position > self.upto:
            return None
        return (await self._as_they_were([row]))[0]

    async def page(
        self, filters: Filters, cursor: int | None = None, limit: int = 50
    ) -> history.Page:
        """Up to `limit` that matched and were created before `cursor`, newest first.

        At most `LOOKED_AT_MAX` are looked at: there may be fewer rows, and still more behind.
        """
        lasting = never_changing(filters)
        found: list[Transaction] = []
        end = self.upto + 1
        behind: int | None = end if cursor is None else min(cursor, end)
        for _ in range(LOOKED_AT_MAX // _LOOKED_AT_ONCE):
            stored = await history.page(self.connection, lasting, behind, _LOOKED_AT_ONCE)
            rows = await self._as_they_were(stored.rows)
            found += [row for row in rows if matches(filters, row)]
            if len(found) > limit:
                last = found[limit - 1].created_position
                return history.Page(rows=found[:limit], next_cursor=last)
            behind = stored.next_cursor
            if behind is None:
                break
        return history.Page(rows=found, next_cursor=behind)

    async def matching(self, filters: Filters, limit: int) -> Sequence[Transaction]:
        """Up to `limit` that matched, newest first.

        Found are those that still match by what may have changed, and those that do not any more
        among the `LOOKED_AT_MAX` newest.
        """
        still = await history.page(self.connection, filters, self.upto + 1, limit)
        rows = await self._as_they_were(still.rows)
        found = {row.id: row for row in rows if matches(filters, row)}
        found |= {row.id: row for row in (await self.page(filters, limit=limit)).rows}
        return sorted(found.values(), key=lambda row: -row.created_position)[:limit]

    async def with_metadata_value(self, value: str, limit: int) -> Sequence[Transaction]:
        """Up to `limit` that had this value under some key, newest first."""
        values = [Jsonb([value]), self.upto, limit]
        async with self.connection.cursor(
            binary=True, row_factory=args_row(_transaction)
        ) as cursor:
            await cursor.execute(_WITH_METADATA_VALUE.encode(), values, prepare=False)
            return await self._as_they_were(await cursor.fetchall())

    async def _as_they_were(self, stored: Sequence[Transaction]) -> list[Transaction]:
        """Rows of the table, which all existed then."""
        changed = [row.id for row in stored if row.position > self.upto]
        story = await self.read(changed, self.upto) if changed else ()
        then = folded(HISTORY, TRANSACTIONS, story)
        return [then.get(row.id, row) for row in stored]


async def first_created(connection: AsyncConnection[Any], player_id: UUID | None) -> int | None:
    """The position of the first transaction there ever was, or of the player's first."""
    cursor = await connection.execute(_FIRST.encode(), {"player": player_id}, prepare=False)
    row = await cursor.fetchone()
    return row[0] if row else None
