"""Lookup: what is this? An id, a reference, a name or a number, as somebody pasted it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from domain.attempts import parse_reference
from domain.events import (
    DisputeNoticeReceived,
    PlayerRegistered,
    ProviderNoticeReceived,
)
from domain.money import Money
from domain.notice import notice_stream
from projections import history
from projections.history import Filters
from projections.history_fold import Transaction

HITS_MAX: Final = 20
TEXT_CHARS_MAX: Final = 500
"""Nothing that is recorded is looked for by more."""

_POSITION_MAX = 2**63 - 1
_KINDS = {
    PlayerRegistered.__name__: "player",
    ProviderNoticeReceived.__name__: "notice",
    DisputeNoticeReceived.__name__: "notice",
}
"""By the topic of a stream's first event."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that the text may mean."""

    kind: str
    """deposit, withdrawal, refund, conversion, dispute, adjustment, player, notice, account,
    event or provider."""
    id: str
    """A UUID; the name of an account or provider; the position of an event."""
    title: str
    matched: str
    """What of it is the text: id, reference, position, name, message_id, provider_reference,
    instrument or metadata."""


async def find(
    connection: AsyncConnection[Any], text: str, *, providers: Sequence[str]
) -> list[Hit]:
    """What `text` may mean, exact ids first, at most `HITS_MAX`; each thing once.

    `providers` are the names of those that are registered: messages are known by provider and the
    id the provider gave them.
    """
    wanted = text.strip()
    if not wanted or len(wanted) > TEXT_CHARS_MAX or "\0" in wanted:
        return []
    found: dict[tuple[str, str], Hit] = {}
    async for hit in _hits(connection, wanted, providers):
        found.setdefault((hit.kind, hit.id), hit)
        if len(found) == HITS_MAX:
            break
    return list(found.values())


async def _hits(
    connection: AsyncConnection[Any], wanted: str, providers: Sequence[str]
) -> AsyncIterator[Hit]:
    if wanted in providers:
        yield Hit("provider", wanted, wanted, "name")
    searches: tuple[Callable[[], Awaitable[list[Hit]]], ...] = (
        lambda: _by_id(connection, wanted),
        lambda: _by_our_reference(connection, wanted),
        lambda: _by_account(connection, wanted),
        lambda: _by_position(connection, wanted),
        lambda: _by_message(connection, wanted, providers),
        lambda: _matching(connection, Filters(reference=wanted), "provider_reference"),
        lambda: _matching(connection, Filters(instrument=wanted), "instrument"),
        lambda: _by_metadata(connection, wanted),
    )
    for search in searches:
        for hit in await search():
            yield hit


# --- exact ids ----------------------------------------------------------------------------------


async def _by_id(connection: AsyncConnection[Any], wanted: str) -> list[Hit]:
    """A transaction, a player or a notice."""
    try:
        stream = UUID(wanted)
    except ValueError:
        return []
    row = await history.get(connection, stream)
    if row is not None:
        return [_transaction(row, "id")]
    return await _by_streams(connection, [stream], "id")


async def _by_streams(
    connection: AsyncConnection[Any], streams: Sequence[UUID], matched: str
) -> list[Hit]:
    """Players and notices, by the streams that tell of them."""
    cursor = await connection.execute(
        """
        SELECT originator_id, topic FROM ledger_events
        WHERE originator_id = ANY(%s) AND originator_version = 1
        """,
        [list(streams)],
    )
    found = [(_KINDS.get(topic), stream) for stream, topic in await cursor.fetchall()]
    return [
        Hit(kind, str(stream), f"{kind.capitalize()} {stream}", matched)
        for kind, stream in found
        if kind is not None
    ]


async def _by_our_reference(connection: AsyncConnection[Any], wanted: str) -> list[Hit]:
    ours = parse_reference(wanted)
    row = await history.get(connection, ours[0]) if ours else None
    return [_transaction(row, "reference")] if row else []


async def _by_account(connection: AsyncConnection[Any], wanted: str) -> list[Hit]:
    if wanted.partition(":")[0] not in ("player", "provider", "house"):
        return []  # counters are kept beside accounts, and are none
    query = "SELECT account FROM ledger_accounts WHERE account = %s"
    cursor = await connection.execute(query, [wanted])
    return [Hit("account", name, name, "name") for (name,) in await cursor.fetchall()]


async def _by_position(connection: AsyncConnection[Any], wanted: str) -> list[Hit]:
    if not (wanted.isascii() and wanted.isdigit()) or int(wanted) > _POSITION_MAX:
        return []
    query = "SELECT notification_id, topic FROM ledger_events WHERE notification_id = %s"
    cursor = await connection.execute(query, [int(wanted)])
    return [
        Hit("event", str(position), f"{topic} at position {position}", "position")
        for position, topic in await cursor.fetchall()
    ]


async def _by_message(
    connection: AsyncConnection[Any], wanted: str, providers: Sequence[str]
) -> list[Hit]:
    streams = [notice_stream(provider, wanted) for provider in providers]
    return await _by_streams(connection, streams, "message_id")


# --- what several may share ---------------------------------------------------------------------


async def _matching(connection: AsyncConnection[Any], filters: Filters, matched: str) -> list[Hit]:
    page = await history.page(connection, filters, limit=HITS_MAX)
    return [_transaction(row, matched) for row in page.rows]


async def _by_metadata(connection: AsyncConnection[Any], wanted: str) -> list[Hit]:
    rows = await history.with_metadata_value(connection, wanted, HITS_MAX)
    return [_transaction(row, "metadata") for row in rows]


def _transaction(row: Transaction, matched: str) -> Hit:
    amount = Money(row.amount_minor, row.currency)
    return Hit(row.kind, str(row.id), f"{row.kind.capitalize()} of {amount}: {row.status}", matched)
