"""Which streams a case is made of.

A transaction's case is everything it is connected with: the deposit that a refund or dispute is
about, all refunds and disputes of that deposit, adjustments that set any of them right, and the
notices that their events name. So it is the same case whichever of its transactions is asked for.
A player's case is the player's own stream, every stream that names the player as its own or moves
the player's accounts, and whatever is connected with those.

It is found in the log itself, not in read models, which may lag behind or be rebuilt.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from replay.nothing import why_nothing

PAGE_STREAMS: Final = 1_000
_RELATED: Final = ("deposit_id", "refund_id", "dispute_id", "transaction_id")
_HEARD: Final = ("evidence", "report")

_OF_STREAMS = """
SELECT state FROM ledger_events WHERE originator_id = ANY(%s) AND notification_id <= %s
"""
_POSITIONS = """
SELECT notification_id FROM ledger_events WHERE originator_id = ANY(%s) AND notification_id <= %s
"""
_ADJUSTMENTS = """
SELECT originator_id, state FROM ledger_events
WHERE topic = 'AdjustmentRequested' AND notification_id <= %s
AND position('"transaction_id":"'::bytea IN state) > 0
"""
_NAMING = """
SELECT originator_id, state FROM ledger_events
WHERE notification_id <= %s AND topic <> ALL(%s) AND position(%s::bytea IN state) > 0
"""
_TOPICS_OF = """
SELECT DISTINCT topic FROM ledger_events
WHERE originator_id = ANY(%s) AND notification_id <= %s AND topic = ANY(%s)
"""
_FIRST = """
SELECT topic FROM ledger_events
WHERE originator_id = %s AND originator_version = 1 AND notification_id <= %s
"""


class CaseKind(StrEnum):
    """What a case is about."""

    PLAYER = "player"
    TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True)
class Case:
    """Whose case it is."""

    kind: CaseKind
    id: UUID
    without: tuple[str, ...] = ()
    """Types of events that are not for whoever asked. Streams that begin with one are left out; a
    case that has them in other streams is not told."""

    @property
    def accounts(self) -> str:
        """How the names of the accounts begin that it states; "" for all that it moves."""
        return f"player:{self.id}:" if self.kind is CaseKind.PLAYER else ""


class NotForAsker(LookupError):
    """Events of the case are not for whoever asked; the message says which, and what to do."""


class Unreadable(ValueError):
    """What is stored is not what was recorded; the message says what to do."""


def streams_of(connection: Connection[TupleRow], case: Case, upto: int) -> set[UUID]:
    """Every stream of a case, as the log was at position `upto`.

    One pass over the log, for what names a transaction or player from a stream of its own.

    Raises:
        Nothing: there is no such transaction or player, or there was none yet.
        NotForAsker: there are events in them that the case is to be without.
    """
    if case.kind is CaseKind.TRANSACTION:
        _check_transaction(connection, case.id, upto)
    begun = {case.id}
    if case.kind is CaseKind.PLAYER:
        begun |= _of_player(connection, case, upto)
        if not positions_of(connection, begun, upto):
            raise why_nothing(connection, case.id, wanted="player", upto=upto)
    found = _connected(connection, begun, _adjusting(connection, upto), upto)
    _refuse_withheld(connection, case, found, upto)
    return found


def positions_of(
    connection: Connection[TupleRow], streams: Iterable[UUID], upto: int
) -> "array[int]":
    """Where the events of these streams are, ascending: 8 bytes for each."""
    found = array("q")
    for page in _paged(streams):
        rows = connection.execute(_POSITIONS, [page, upto], binary=True)
        found.extend(position for (position,) in rows)
    return array("q", sorted(found))


def _refuse_withheld(
    connection: Connection[TupleRow], case: Case, streams: set[UUID], upto: int
) -> None:
    """A stream is proved whole: none of its events can be left out, or altered."""
    if not case.without:
        return
    topics = set[str]()
    for page in _paged(streams):
        rows = connection.execute(_TOPICS_OF, [page, upto, list(case.without)])
        topics.update(topic for (topic,) in rows)
    if topics:
        raise NotForAsker(
            f"There are events in this case that are not for who asked for it"
            f" ({', '.join(sorted(topics))}). Somebody of compliance or an auditor can export it."
        )


def _connected(
    connection: Connection[TupleRow],
    begun: set[UUID],
    adjusting: Mapping[UUID, list[UUID]],
    upto: int,
) -> set[UUID]:
    """What can be reached from these streams. Notices lead nowhere: they are only evidence."""
    found, notices, new = set(begun), set[UUID](), begun
    while new:
        reached = {adjustment for stream in new for adjustment in adjusting.get(stream, ())}
        for page in _paged(new):
            for (state,) in _streamed(connection, _OF_STREAMS, [page, upto]):
                said = _said(state)
                reached.update(UUID(said[name]) for name in _RELATED if said.get(name))
                heard = (said.get(name) for name in _HEARD)
                notices.update(UUID(h["notice_id"]) for h in heard if h and h.get("notice_id"))
        new = reached - found
        found |= new
    return found | notices


def _adjusting(connection: Connection[TupleRow], upto: int) -> dict[UUID, list[UUID]]:
    """By transaction: the adjustments that set it right."""
    found: dict[UUID, list[UUID]] = {}
    for adjustment, state in _streamed(connection, _ADJUSTMENTS, [upto]):
        corrected = _said(state).get("transaction_id")
        if corrected is not None:
            found.setdefault(UUID(corrected), []).append(adjustment)
    return found


def _of_player(connection: Connection[TupleRow], case: Case, upto: int) -> set[UUID]:
    """The streams that say they are the player's, or move the player's accounts."""
    player_id = case.id
    own_accounts = f"player:{player_id}:"
    found: set[UUID] = set()
    for stream, state in _streamed(
        connection, _NAMING, [upto, list(case.without), str(player_id).encode()]
    ):
        if stream in found:
            continue
        said = _said(state)
        moves = said.get("moves") or ()
        moved = (move[end] for move in moves for end in ("source", "target"))
        if said.get("player_id") == str(player_id) or any(
            account.startswith(own_accounts) for account in moved
        ):
            found.add(stream)
    return found


def _check_transaction(connection: Connection[TupleRow], stream: UUID, upto: int) -> None:
    row = connection.execute(_FIRST, [stream, upto]).fetchone()
    if row is None or row[0] not in BEGINNINGS:
        raise why_nothing(connection, stream, wanted="transaction", upto=upto)


BEGINNINGS: Final = frozenset(
    {
        *("DepositCreated", "WithdrawalRequested", "RefundRequested"),
        *("ConversionQuoted", "DisputeOpened", "AdjustmentRequested"),
    }
)
"""How the stream of a transaction begins."""


def _streamed(
    connection: Connection[TupleRow], query: str, values: list[Any]
) -> Iterator[TupleRow]:
    with connection.cursor(name="case", binary=True) as cursor:
        cursor.itersize = 2_000
        cursor.execute(query.encode(), values)
        yield from cursor


def _said(state: bytes) -> dict[str, Any]:
    try:
        said = json.loads(state)
    except ValueError as error:
        raise Unreadable(f"an event cannot be read ({error}): run `tallystick verify`") from error
    if not isinstance(said, dict):
        raise Unreadable("an event is not an object: run `tallystick verify`")
    return said


def _paged(streams: Iterable[UUID]) -> Iterator[list[UUID]]:
    wanted = sorted(streams)
    for start in range(0, len(wanted), PAGE_STREAMS):
        yield wanted[start : start + PAGE_STREAMS]
