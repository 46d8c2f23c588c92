"""Lookup: what is this? An id, a reference, a name or a number, as somebody pasted it.

What it was at a position of the past is asked in the same way, of history as it was then.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from domain.events import (
    DisputeNoticeReceived,
    PlayerRegistered,
    ProviderNoticeReceived,
)
from domain.money import Money
from domain.provider.attempt import parse_reference
from domain.provider.provider import provider_stream
from domain.provider.webhook import notice_stream
from projections.history.fold import Transaction
from projections.history.history import Filters
from projections.past import balances as past_balances
from projections.past.history import PastTransactions, PresentTransactions, Transactions

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is looked in: the log up to a position, and history as it was there."""

    connection: AsyncConnection[Any]
    transactions: Transactions
    providers: Sequence[str]
    then: int | None
    """None: the present."""
    hidden: Sequence[str]

    @property
    def upto(self) -> int:
        return _POSITION_MAX if self.then is None else self.then


async def find(
    connection: AsyncConnection[Any],
    text: str,
    *,
    providers: Sequence[str],
    past: PastTransactions | None = None,
    hidden: Sequence[str] = (),
) -> list[Hit]:
    """What `text` may mean, exact ids first, at most `HITS_MAX`; each thing once.

    `providers` are the names of those that are registered: messages are known by provider and the
    id the provider gave them. With `past`, what there was then. Of events of the topics `hidden`
    nothing is told.
    """
    wanted = text.strip()
    if not wanted or len(wanted) > TEXT_CHARS_MAX or "\0" in wanted:
        return []
    seen = _Seen(
        connection=connection,
        transactions=past or PresentTransactions(connection),
        providers=providers,
        then=past.upto if past else None,
        hidden=hidden,
    )
    found: dict[tuple[str, str], Hit] = {}
    async for hit in _hits(seen, wanted):
        found.setdefault((hit.kind, hit.id), hit)
        if len(found) == HITS_MAX:
            break
    return list(found.values())


async def _hits(seen: _Seen, wanted: str) -> AsyncIterator[Hit]:
    searches: tuple[Callable[[], Awaitable[list[Hit]]], ...] = (
        lambda: _by_provider(seen, wanted),
        lambda: _by_id(seen, wanted),
        lambda: _by_our_reference(seen, wanted),
        lambda: _by_account(seen, wanted),
        lambda: _by_position(seen, wanted),
        lambda: _by_message(seen, wanted),
        lambda: _matching(seen, Filters(reference=wanted), "provider_reference"),
        lambda: _matching(seen, Filters(instrument=wanted), "instrument"),
        lambda: _by_metadata(seen, wanted),
    )
    for search in searches:
        for hit in await search():
            yield hit


# --- exact ids ----------------------------------------------------------------------------------


async def _by_provider(seen: _Seen, wanted: str) -> list[Hit]:
    if wanted not in seen.providers:
        return []
    if seen.then is not None and not await _begun(seen, [provider_stream(wanted)]):
        return []
    return [Hit("provider", wanted, wanted, "name")]


async def _by_id(seen: _Seen, wanted: str) -> list[Hit]:
    """A transaction, a player or a notice."""
    try:
        stream = UUID(wanted)
    except ValueError:
        return []
    row = await seen.transactions.get(stream)
    if row is not None:
        return [_transaction(row, "id")]
    return await _by_streams(seen, [stream], "id")


async def _by_streams(seen: _Seen, streams: Sequence[UUID], matched: str) -> list[Hit]:
    """Players and notices, by the streams that tell of them."""
    found = [(_KINDS.get(topic), stream) for stream, topic in await _begun(seen, streams)]
    return [
        Hit(kind, str(stream), f"{kind.capitalize()} {stream}", matched)
        for kind, stream in found
        if kind is not None
    ]


async def _begun(seen: _Seen, streams: Sequence[UUID]) -> list[tuple[UUID, str]]:
    """Those of the streams that exist, with the topic of their first event."""
    cursor = await seen.connection.execute(
        """
        SELECT originator_id, topic FROM ledger_events
        WHERE originator_id = ANY(%s) AND originator_version = 1 AND notification_id <= %s
        """,
        [list(streams), seen.upto],
    )
    return await cursor.fetchall()


async def _by_our_reference(seen: _Seen, wanted: str) -> list[Hit]:
    ours = parse_reference(wanted)
    row = await seen.transactions.get(ours[0]) if ours else None
    return [_transaction(row, "reference")] if row else []


async def _by_account(seen: _Seen, wanted: str) -> list[Hit]:
    if wanted.partition(":")[0] not in ("player", "provider", "house"):
        return []  # counters are kept beside accounts, and are none
    if seen.then is not None:
        found = await past_balances.of_accounts(seen.connection, [wanted], seen.then)
        return [Hit("account", one.account, one.account, "name") for one in found]
    query = "SELECT account FROM ledger_accounts WHERE account = %s"
    cursor = await seen.connection.execute(query, [wanted])
    return [Hit("account", name, name, "name") for (name,) in await cursor.fetchall()]


async def _by_position(seen: _Seen, wanted: str) -> list[Hit]:
    if not (wanted.isascii() and wanted.isdigit()) or int(wanted) > seen.upto:
        return []
    query = """
        SELECT notification_id, topic FROM ledger_events
        WHERE notification_id = %s AND topic <> ALL(%s)
    """
    cursor = await seen.connection.execute(query, [int(wanted), list(seen.hidden)])
    return [
        Hit("event", str(position), f"{topic} at position {position}", "position")
        for position, topic in await cursor.fetchall()
    ]


async def _by_message(seen: _Seen, wanted: str) -> list[Hit]:
    streams = [notice_stream(provider, wanted) for provider in seen.providers]
    return await _by_streams(seen, streams, "message_id")


# --- what several may share ---------------------------------------------------------------------


async def _matching(seen: _Seen, filters: Filters, matched: str) -> list[Hit]:
    rows = await seen.transactions.matching(filters, HITS_MAX)
    return [_transaction(row, matched) for row in rows]


async def _by_metadata(seen: _Seen, wanted: str) -> list[Hit]:
    rows = await seen.transactions.with_metadata_value(wanted, HITS_MAX)
    return [_transaction(row, "metadata") for row in rows]


def _transaction(row: Transaction, matched: str) -> Hit:
    amount = Money(row.amount_minor, row.currency)
    return Hit(row.kind, str(row.id), f"{row.kind.capitalize()} of {amount}: {row.status}", matched)
