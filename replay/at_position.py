"""What the log said at a position: balances, and which transactions there were.

Read models are asked as far as they have followed the log, and the log itself for the rest; where
one is not installed, that is all of it. What is at or before a position never changes, so nothing
here needs a snapshot; in one, the tables that belong to it are asked. Memory does not grow with
the log.
"""

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, get_args
from uuid import UUID

import msgspec
from psycopg import Connection, IsolationLevel

from domain.accounts import player_of
from domain.events import LedgerEvent
from domain.postings import postings
from ledger.eventstore.codec import TOPICS, decode
from projections.engine import compare
from projections.engine.read_model import ReadModel, schema_of
from projections.engine.tables import NotInstalled, schema_seen
from projections.history.history import HISTORY
from projections.history.status import Creation
from projections.journal.journal import JOURNAL
from replay import log

_CREATIONS: Final = [TOPICS[cls] for cls in get_args(Creation)]
_PAGE_STREAMS: Final = 200
_PAGE_EVENTS: Final = 500
_SNAPSHOTS: Final = (IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE)

_STREAMS = """
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM ledger_events WHERE originator_id = ANY(%s) AND notification_id <= %s
ORDER BY originator_id, originator_version
"""
_LAST_OF_STREAM = """
SELECT at.position, event.notification_id, originator_version, topic, state, recorded_at
FROM unnest(%(positions)s::bigint[]) AS at (position)
CROSS JOIN LATERAL (
    SELECT notification_id, originator_version, topic, state, recorded_at FROM ledger_events
    WHERE originator_id = %(stream)s AND notification_id <= at.position AND topic = ANY(%(topics)s)
    ORDER BY originator_version DESC LIMIT 1
) AS event
"""
_BEGUN_IN_LOG = """
SELECT notification_id, originator_id, topic, state FROM ledger_events
WHERE notification_id > %(after)s AND notification_id <= %(upto)s AND topic = ANY(%(topics)s)
AND originator_version = 1 AND position(%(named)s::bytea IN state) > 0
ORDER BY notification_id {order}
"""
_OF_HISTORY = """
SELECT created_position, id FROM {schema}.transactions
WHERE {column} = %(value)s AND created_position <= %(upto)s
ORDER BY created_position {order} LIMIT %(limit)s
"""
_OF_JOURNAL = """
SELECT one.account, entry.balance_minor
FROM unnest(%(accounts)s::text[]) AS one (account)
CROSS JOIN LATERAL (
    SELECT balance_minor FROM {schema}.entries
    WHERE account = one.account AND position <= %(position)s
    ORDER BY position DESC, line DESC LIMIT 1
) AS entry
"""

Column = Literal["player_id", "provider"]
"""Of a transaction itself, as it was asked for; of its first event, and of history."""

Order = Literal["ASC", "DESC"]

NAMED_IN_STATE = "position(%s::bytea IN state) > 0"
"""A condition on the log. Whatever posts to a player's account, counts for a player or is about
one names the player in its state, or is in the player's own stream."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event, with its place in the log."""

    position: int
    recorded_at: datetime
    event: LedgerEvent


class Begun(NamedTuple):
    """A transaction, and the position of its first event."""

    position: int
    id: UUID


class Followed(NamedTuple):
    """How far a read model has followed the log, and where its tables are."""

    position: int
    """0 where it is not installed: then there are no tables."""
    schema: str


def followed(connection: Connection[Any], model: ReadModel) -> Followed:
    """How far the tables that `connection` sees have followed the log."""
    snapshot = connection.isolation_level in _SNAPSHOTS
    try:
        schema = schema_seen(connection, model) if snapshot else schema_of(model)
        return Followed(compare.checkpoint(connection, model), schema)
    except NotInstalled:
        return Followed(0, "")


# --- streams ------------------------------------------------------------------------------------


def streams(
    connection: Connection[Any], ids: Collection[UUID], upto: int
) -> Iterator[tuple[UUID, list[Stored]]]:
    """Each of these streams up to a position, those that had begun; a few at a time."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), _PAGE_STREAMS):
        page = wanted[start : start + _PAGE_STREAMS]
        found: dict[UUID, list[Stored]] = {}
        for position, stream, version, topic, state, recorded_at in connection.execute(
            _STREAMS, [page, upto], binary=True
        ):
            event = decode(topic, state, stream, version)
            found.setdefault(stream, []).append(Stored(position, recorded_at, event))
        yield from found.items()


def stream(connection: Connection[Any], stream_id: UUID, upto: int) -> list[Stored]:
    """One stream up to a position; nothing where it had not begun."""
    return next((found for _, found in streams(connection, [stream_id], upto)), [])


def last_of_stream(
    connection: Connection[Any],
    stream_id: UUID,
    positions: Collection[int],
    types: Collection[type[LedgerEvent]],
) -> dict[int, Stored]:
    """The last event of these types in a stream at each position, where there was one."""
    topics = [TOPICS[event] for event in types]
    values = {"positions": list(positions), "stream": stream_id, "topics": topics}
    return {
        at: Stored(position, recorded_at, decode(topic, state, stream_id, version))
        for at, position, version, topic, state, recorded_at in connection.execute(
            _LAST_OF_STREAM, values, binary=True
        )
    }


# --- balances -----------------------------------------------------------------------------------


def balances(
    connection: Connection[Any], asked: Mapping[int, Collection[str]]
) -> dict[int, dict[str, int]]:
    """The balances of accounts after positions, in minor units: `{position: {account: balance}}`.

    From the journal as far as it has followed, and from the log after that.
    """
    reached, schema = followed(connection, JOURNAL)
    query = _OF_JOURNAL.format(schema=schema).encode()
    found: dict[int, dict[str, int]] = {}
    for position, accounts in asked.items():
        found[position] = dict.fromkeys(accounts, 0)
        if accounts and reached:
            values = {"accounts": list(accounts), "position": min(position, reached)}
            found[position] |= dict(connection.execute(query, values).fetchall())
    late = sorted(
        position for position, accounts in asked.items() if position > reached and accounts
    )
    if late:
        _add_moves(connection, found, late, after=reached)
    return found


def _add_moves(
    connection: Connection[Any],
    found: dict[int, dict[str, int]],
    positions: Sequence[int],
    *,
    after: int,
) -> None:
    """Add what was posted after one position up to each of the others."""
    wanted = {account for position in positions for account in found[position]}
    moved: Counter[str] = Counter()
    waiting = list(positions)

    def settle(before: int) -> None:
        while waiting and waiting[0] < before:
            here = found[waiting.pop(0)]
            for account in here:
                here[account] += moved[account]

    for stored in naming(connection, wanted, after=after, upto=positions[-1]):
        settle(stored.position)
        for posting in postings(stored.event):
            if posting.account in wanted:
                moved[posting.account] += posting.amount_minor
    settle(positions[-1] + 1)


def folded(connection: Connection[Any], account: str, upto: int) -> int:
    """The balance of one account after a position, folded from the whole log: slow, and certain."""
    found = {upto: {account: 0}}
    _add_moves(connection, found, [upto], after=0)
    return found[upto][account]


def naming(
    connection: Connection[Any], accounts: Collection[str], *, after: int, upto: int
) -> Iterator[Stored]:
    """The events after one position up to another that may post to any of these accounts."""
    players = {player_of(account) for account in accounts}
    only = next(iter(players)) if len(players) == 1 else None
    yield from events(connection, after=after, upto=upto, player_id=only)


def events(
    connection: Connection[Any], *, after: int, upto: int, player_id: UUID | None = None
) -> Iterator[Stored]:
    """The events after one position up to another, page by page; or those that name a player."""
    condition, values = ("true", []) if player_id is None else _naming_player(player_id)
    with connection.transaction():
        for page in log.pages(
            connection, after=after, upto=upto, condition=condition, values=values
        ):
            for raw in page:
                event = decode(raw.topic, raw.state, log.stream_id(raw), raw.version)
                yield Stored(raw.position, log.recorded_at(raw.recorded), event)


def _naming_player(player_id: UUID) -> tuple[str, list[Any]]:
    return NAMED_IN_STATE, [str(player_id).encode()]


# --- which transactions -------------------------------------------------------------------------


def begun(
    connection: Connection[Any], column: Column, value: UUID | str, *, upto: int, limit: int
) -> list[Begun]:
    """The last transactions of a player or provider that had begun at a position, newest first.

    From history as far as it has followed, and from the log after that; at most `limit`.
    """
    return begun_by(connection, column, value, [upto], limit=limit)[upto]


def begun_by(
    connection: Connection[Any],
    column: Column,
    value: UUID | str,
    positions: Collection[int],
    *,
    limit: int,
) -> dict[int, list[Begun]]:
    """The same, at each of these positions; the log is read once for all of them."""
    history = followed(connection, HISTORY)
    found: dict[int, list[Begun]] = {position: [] for position in positions}
    late = sorted(position for position in found if position > history.position)
    if late:
        newest_first = _begun_in_log(
            connection, column, value, after=history.position, upto=late[-1], order="DESC"
        )
        with closing(newest_first):
            _distribute(newest_first, found, late, limit)
    for position, here in found.items():
        if history.position and len(here) < limit:
            at, left = min(position, history.position), limit - len(here)
            more = _begun_in_history(connection, column, value, history, upto=at, limit=left)
            here.extend(more)
    return found


def _distribute(
    newest_first: Iterator[Begun], found: dict[int, list[Begun]], late: list[int], limit: int
) -> None:
    """Give each of these positions, lowest first, the last so many up to there."""
    open_: list[list[Begun]] = []
    for one in newest_first:
        while late and late[-1] >= one.position:
            open_.append(found[late.pop()])
        for here in open_:
            here.append(one)
        open_ = [here for here in open_ if len(here) < limit]
        if not open_ and not late:
            return


def first_begun(connection: Connection[Any], column: Column, value: UUID | str) -> Begun | None:
    """The first transaction of a player or provider; None where there is none."""
    history = followed(connection, HISTORY)
    found: list[Begun] = []
    if history.position:
        found = _begun_in_history(
            connection, column, value, history, upto=history.position, limit=1, order="ASC"
        )
    if found:
        return found[0]
    after, upto = history.position, log.POSITION_MAX
    with closing(
        _begun_in_log(connection, column, value, after=after, upto=upto, order="ASC")
    ) as oldest_first:
        return next(oldest_first, None)


def _begun_in_history(
    connection: Connection[Any],
    column: Column,
    value: UUID | str,
    history: Followed,
    *,
    upto: int,
    limit: int,
    order: Order = "DESC",
) -> list[Begun]:
    query = _OF_HISTORY.format(schema=history.schema, column=column, order=order).encode()
    values = {"value": value, "upto": upto, "limit": limit}
    # Never a generic plan: the best one depends on how rare the value is.
    return [Begun(*row) for row in connection.execute(query, values, prepare=False)]


def _begun_in_log(
    connection: Connection[Any],
    column: Column,
    value: UUID | str,
    *,
    after: int,
    upto: int,
    order: Order,
) -> Generator[Begun, None, None]:
    """Where history has not come yet; to be closed before anything else is asked."""
    values = {
        "after": after,
        "upto": upto,
        "topics": _CREATIONS,
        "named": msgspec.json.encode(value),
    }
    query = _BEGUN_IN_LOG.format(order=order).encode()
    with connection.transaction(), connection.cursor(name="begun", binary=True) as cursor:
        cursor.itersize = _PAGE_EVENTS
        for position, stream_id, topic, state in cursor.execute(query, values):
            # The bytes may name somebody else's: a leg's provider, a text of the platform's.
            if getattr(decode(topic, state, stream_id, 1), column, None) == value:
                yield Begun(position, stream_id)
