"""Reading the log itself: what is asked here is never behind."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from pydantic import Field

from api.http.responses import Instant, MoneyShown, Shown
from api.http.services import ReadConnection
from api.withholding import withheld_fields
from domain.accounts import currency_of
from domain.counters import counts
from domain.events import LedgerEvent
from domain.player.player import Player
from domain.postings import postings
from domain.transactions import Transaction, project_transaction
from ledger.commands.handling import project_player
from ledger.eventstore.codec import TOPICS, decode
from projections.engine.read_model import Recorded, schema_of
from projections.history.history import HISTORY

SCANNED_MAX: Final = 20_000
"""Positions looked at for one page, so that a filter that matches nothing is quick as well."""

EVERYTHING: Final = 2**63 - 1
"""Up to this position, that is: behind every event there will ever be."""

_COUNTED_AT_ONCE: Final = 2_000
_COUNTING: Final = [topic for event, topic in TOPICS.items() if hasattr(event, "counts")]

_COLUMNS = "notification_id, originator_id, originator_version, topic, state, recorded_at"
_READ_STREAMS = f"""
SELECT {_COLUMNS}
FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (id, version)
JOIN ledger_events ON originator_id = wanted.id AND originator_version <= wanted.version
ORDER BY originator_id, originator_version
"""
_READ_STREAM = f"""
SELECT {_COLUMNS} FROM ledger_events WHERE originator_id = %s AND notification_id <= %s
ORDER BY originator_version
"""
_READ_WHOLE_STREAMS = f"""
SELECT {_COLUMNS} FROM ledger_events WHERE originator_id = ANY(%s) AND notification_id <= %s
ORDER BY originator_id, originator_version
"""
_READ_COUNTING = f"""
SELECT {_COLUMNS} FROM ledger_events
WHERE notification_id > %s AND notification_id <= %s AND topic = ANY(%s) AND originator_id IN (
    SELECT id FROM {schema_of(HISTORY)}.transactions
    WHERE player_id = %s AND created_position <= %s AND created_at >= %s
)
ORDER BY notification_id LIMIT {_COUNTED_AT_ONCE}
"""
_BEGAN = """
SELECT notification_id, recorded_at, topic FROM ledger_events
WHERE originator_id = %s AND originator_version = 1
"""
_AT = """
SELECT notification_id, recorded_at, topic FROM ledger_events WHERE notification_id = %s
"""
_HEAD = "SELECT position FROM ledger_head"
_FOLLOWED = "SELECT position FROM read_models WHERE name = %s AND version = %s"
_OF_PLAYER = f"""
(originator_id = %(player)s OR originator_id IN (
    SELECT id FROM {schema_of(HISTORY)}.transactions WHERE player_id = %(player)s
))
"""
_HEADER = frozenset({"occurred_at", "actor"})


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it is stored."""

    position: int
    stream: UUID
    version: int
    topic: str
    state: bytes
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Began:
    """The event that something began with."""

    position: int
    recorded_at: datetime
    topic: str


class PostingShown(Shown):
    """One line of double entry: `money` added to `account`."""

    account: str = Field(examples=["provider:simulator:clearing:EUR"])
    money: MoneyShown


class EventShown(Shown):
    """An event of the log."""

    position: int = Field(examples=[4711])
    stream: UUID
    version: int = Field(description="Within its stream.", examples=[3])
    type: str = Field(examples=["DepositCompleted"])
    occurred_at: Instant
    recorded_at: Instant
    actor: str = Field(description="Who or what did it.", examples=["operator:anna"])
    data: dict[str, Any] = Field(description="What the event says, by its type.")
    withheld: list[str] = Field(
        description="Fields of `data` that are left out: they are not for who asks.", examples=[[]]
    )
    postings: list[PostingShown] = Field(description="What it means in double entry.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events of the log are asked for; None means any."""

    topics: Sequence[str] = ()
    hidden: Sequence[str] = ()
    """Topics that are not for whoever asks, whatever else is asked for."""
    transaction_id: UUID | None = None
    player_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found between two positions."""

    events: list[Stored]
    scanned_to: int
    """Everything up to this position has been looked at."""
    head: int
    """Where the log ended."""


async def head(connection: ReadConnection) -> int:
    """Where the log ends."""
    return await _position(connection, _HEAD, [])


async def began(connection: ReadConnection, stream_id: object) -> Began | None:
    """The first event of a stream; None where there is no such stream."""
    return await _event(connection, _BEGAN, stream_id)


async def at(connection: ReadConnection, position: int | None) -> Began | None:
    """The event at a position; None where there is none."""
    return None if position is None else await _event(connection, _AT, position)


async def stream(
    connection: ReadConnection, stream_id: UUID, upto: int = EVERYTHING
) -> list[Stored]:
    """Every event of a stream up to a position, in order."""
    cursor = await connection.execute(_READ_STREAM, [stream_id, upto])
    return [Stored(*row) for row in await cursor.fetchall()]


async def recorded(
    connection: ReadConnection, streams: Collection[UUID], upto: int
) -> list[Recorded]:
    """Every event of these streams up to a position, in the order of each."""
    if not streams:
        return []
    cursor = await connection.execute(_READ_WHOLE_STREAMS, [list(streams), upto])
    found = [Stored(*row) for row in await cursor.fetchall()]
    return [
        Recorded(position=e.position, recorded_at=e.recorded_at, event=_decoded(e)) for e in found
    ]


async def events(
    connection: ReadConnection, streams: Collection[UUID], upto: int = EVERYTHING
) -> dict[UUID, list[LedgerEvent]]:
    """What these streams say up to a position, in the order of each; those that exist."""
    found: dict[UUID, list[LedgerEvent]] = {}
    for one in await recorded(connection, streams, upto):
        found.setdefault(one.event.originator_id, []).append(one.event)
    return found


async def transactions(
    connection: ReadConnection, versions: Mapping[UUID, int]
) -> dict[UUID, Transaction]:
    """Transactions as they were at these versions."""
    cursor = await connection.execute(_READ_STREAMS, [list(versions), list(versions.values())])
    streams: dict[UUID, list[Stored]] = {}
    for row in await cursor.fetchall():
        streams.setdefault(row[1], []).append(Stored(*row))
    folded = {stream_id: folded_transaction(story) for stream_id, story in streams.items()}
    return {stream_id: state for stream_id, state in folded.items() if state is not None}


async def players(
    connection: ReadConnection, ids: Collection[UUID], upto: int = EVERYTHING
) -> dict[UUID, Player]:
    """Players as they are, or were at a position.

    Raises:
        PlayerNotFound: one of the ids is of something else.
    """
    told = await events(connection, ids, upto)
    found = {player_id: project_player(None, story) for player_id, story in told.items()}
    return {player_id: player for player_id, player in found.items() if player is not None}


async def counted(
    connection: ReadConnection,
    player_id: UUID,
    counters: Collection[str],
    upto: int,
    created_from: datetime,
) -> dict[str, int]:
    """What each of these counters stood at after the event at a position.

    Only the player's transactions created from `created_from` on are looked at: none before it
    may have changed them.
    """
    standing, after = dict.fromkeys(counters, 0), 0
    while True:
        values = [after, upto, _COUNTING, player_id, upto, created_from]
        cursor = await connection.execute(_READ_COUNTING, values)
        page = [Stored(*row) for row in await cursor.fetchall()]
        for count in (count for event in page for count in counts(_decoded(event))):
            if count.counter in standing:
                standing[count.counter] += count.change
        if len(page) < _COUNTED_AT_ONCE:
            return standing
        after = page[-1].position


def folded_transaction(stored: Iterable[Stored]) -> Transaction | None:
    """The transaction that a stream tells of, or None."""
    return project_transaction(None, (_decoded(event) for event in stored))


async def scan(
    connection: ReadConnection, wanted: Wanted, after: int, limit: int, end: int | None = None
) -> Scan:
    """Up to `limit` events after a position; positions have no gaps and never fill up later.

    The log is taken to end at `end`, or else where it does.
    """
    end = await head(connection) if end is None else end
    known_to = end
    if wanted.player_id is not None:
        # Which transactions are a player's is known as far as the read model has followed.
        followed = await _position(connection, _FOLLOWED, [HISTORY.name, HISTORY.version])
        known_to = min(end, followed)
    upto = min(known_to, after + SCANNED_MAX)
    conditions = ["notification_id > %(after)s", "notification_id <= %(upto)s"]
    conditions += ["topic = ANY(%(topics)s)"] if wanted.topics else []
    conditions += ["topic <> ALL(%(hidden)s)"] if wanted.hidden else []
    conditions += ["originator_id = %(transaction)s"] if wanted.transaction_id else []
    conditions += [_OF_PLAYER] if wanted.player_id else []
    query = f"""
        SELECT {_COLUMNS} FROM ledger_events
        WHERE {" AND ".join(conditions)} ORDER BY notification_id LIMIT %(limit)s
    """
    values = {
        "after": after,
        "upto": upto,
        "topics": list(wanted.topics),
        "hidden": list(wanted.hidden),
        "transaction": wanted.transaction_id,
        "player": wanted.player_id,
        "limit": limit,
    }
    # Never a generic plan: the best one depends on which conditions there are.
    cursor = await connection.execute(query, values, prepare=False)
    found = [Stored(*row) for row in await cursor.fetchall()]
    scanned_to = found[-1].position if len(found) == limit else max(after, upto)
    return Scan(events=found, scanned_to=scanned_to, head=end)


def shown(event: Stored, role: str) -> EventShown:
    """An event as the API shows it to somebody of this role."""
    state = msgspec.json.decode(event.state)
    withheld = withheld_fields(event.topic, state, role)
    left_out = _HEADER.union(withheld)
    decoded = _decoded(event)
    return EventShown(
        position=event.position,
        stream=event.stream,
        version=event.version,
        type=event.topic,
        occurred_at=decoded.occurred_at,
        recorded_at=event.recorded_at,
        actor=decoded.actor,
        data={name: value for name, value in state.items() if name not in left_out},
        withheld=withheld,
        postings=[
            PostingShown(
                account=posting.account,
                money=MoneyShown(
                    amount=posting.amount_minor, currency=currency_of(posting.account)
                ),
            )
            for posting in postings(decoded)
        ],
    )


def _decoded(event: Stored) -> LedgerEvent:
    return decode(event.topic, event.state, event.stream, event.version)


async def _event(connection: ReadConnection, query: str, value: object) -> Began | None:
    cursor = await connection.execute(query, [value])
    row = await cursor.fetchone()
    return Began(*row) if row else None


async def _position(connection: ReadConnection, query: str, values: Sequence[object]) -> int:
    cursor = await connection.execute(query, values)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
