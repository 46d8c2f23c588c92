"""Reading the log itself: what is asked here is never behind."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from pydantic import Field

from api.resources import Instant, MoneyShown, Shown
from api.services import ReadConnection
from domain.accounts import currency_of
from domain.player import Player
from domain.postings import postings
from domain.transactions import Transaction, project_transaction
from projections.history import HISTORY
from projections.read_model import schema_of
from tallystick.commands.handling import project_player
from tallystick.eventstore.codec import decode

SCANNED_MAX: Final = 20_000
"""Positions looked at for one page, so that a filter that matches nothing is quick as well."""

_COLUMNS = "notification_id, originator_id, originator_version, topic, state, recorded_at"
_READ_STREAMS = f"""
SELECT {_COLUMNS}
FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (id, version)
JOIN ledger_events ON originator_id = wanted.id AND originator_version <= wanted.version
ORDER BY originator_id, originator_version
"""
_READ_STREAM = f"""
SELECT {_COLUMNS} FROM ledger_events WHERE originator_id = %s ORDER BY originator_version
"""
_READ_WHOLE_STREAMS = f"""
SELECT {_COLUMNS} FROM ledger_events WHERE originator_id = ANY(%s)
ORDER BY originator_id, originator_version
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
    postings: list[PostingShown] = Field(description="What it means in double entry.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events of the log are asked for; None means any."""

    topics: Sequence[str] = ()
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


async def stream(connection: ReadConnection, stream_id: UUID) -> list[Stored]:
    """Every event of a stream, in order."""
    cursor = await connection.execute(_READ_STREAM, [stream_id])
    return [Stored(*row) for row in await cursor.fetchall()]


async def transactions(
    connection: ReadConnection, versions: Mapping[UUID, int]
) -> dict[UUID, Transaction]:
    """Transactions as they were at these versions."""
    cursor = await connection.execute(_READ_STREAMS, [list(versions), list(versions.values())])
    streams: dict[UUID, list[Stored]] = {}
    for row in await cursor.fetchall():
        streams.setdefault(row[1], []).append(Stored(*row))
    folded = {stream_id: folded_transaction(events) for stream_id, events in streams.items()}
    return {stream_id: state for stream_id, state in folded.items() if state is not None}


async def players(connection: ReadConnection, ids: Collection[UUID]) -> dict[UUID, Player]:
    """Players as they are."""
    if not ids:
        return {}
    cursor = await connection.execute(_READ_WHOLE_STREAMS, [list(ids)])
    found: dict[UUID, Player] = {}
    for row in await cursor.fetchall():
        event = Stored(*row)
        decoded = decode(event.topic, event.state, event.stream, event.version)
        player = project_player(found.get(event.stream), [decoded])
        if player is not None:
            found[event.stream] = player
    return found


def folded_transaction(events: Sequence[Stored]) -> Transaction | None:
    """The transaction that a stream tells of, or None."""
    return project_transaction(
        None, (decode(e.topic, e.state, e.stream, e.version) for e in events)
    )


async def scan(connection: ReadConnection, wanted: Wanted, after: int, limit: int) -> Scan:
    """Up to `limit` events after a position; positions have no gaps and never fill up later."""
    end = await head(connection)
    known_to = end
    if wanted.player_id is not None:
        # Which transactions are a player's is known as far as the read model has followed.
        known_to = await _position(connection, _FOLLOWED, [HISTORY.name, HISTORY.version])
    upto = min(known_to, after + SCANNED_MAX)
    conditions = ["notification_id > %(after)s", "notification_id <= %(upto)s"]
    conditions += ["topic = ANY(%(topics)s)"] if wanted.topics else []
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
        "transaction": wanted.transaction_id,
        "player": wanted.player_id,
        "limit": limit,
    }
    # Never a generic plan: the best one depends on which conditions there are.
    cursor = await connection.execute(query, values, prepare=False)
    events = [Stored(*row) for row in await cursor.fetchall()]
    scanned_to = events[-1].position if len(events) == limit else max(after, upto)
    return Scan(events=events, scanned_to=scanned_to, head=end)


def shown(event: Stored) -> EventShown:
    """An event as the API shows it."""
    state = msgspec.json.decode(event.state)
    decoded = decode(event.topic, event.state, event.stream, event.version)
    return EventShown(
        position=event.position,
        stream=event.stream,
        version=event.version,
        type=event.topic,
        occurred_at=decoded.occurred_at,
        recorded_at=event.recorded_at,
        actor=decoded.actor,
        data={name: value for name, value in state.items() if name not in _HEADER},
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


async def _position(connection: ReadConnection, query: str, values: Sequence[object]) -> int:
    cursor = await connection.execute(query, values)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
