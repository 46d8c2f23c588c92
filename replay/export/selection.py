"""Which events an export is of, and how the log is asked for them.

What a filter chooses follows from what was in the log when each event was recorded, and nothing
later changes it: an export of a longer range begins with the same events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.events import EVENT_TYPES
from projections.engine.tables import schema_seen
from projections.history.history import HISTORY
from replay import log
from replay.export.errors import BeyondLog, SelectionInvalid

KINDS: Final = ("deposit", "withdrawal", "refund", "conversion", "dispute", "adjustment")

FILE_POSITIONS: Final = 500_000
"""Files end at multiples of this position."""

NARROW_FILE_POSITIONS: Final = 50_000_000
"""The same, where a player or a transaction is chosen: few events, from far apart."""

_TOPICS: Final = frozenset(event_type.__name__ for event_type in EVENT_TYPES)
_RECORDED_AT: Final = """
SELECT recorded_at FROM ledger_events WHERE notification_id <= %s
ORDER BY notification_id DESC LIMIT 1
"""


class Range(NamedTuple):
    """Positions after one and up to another."""

    after: int
    upto: int


class Condition(NamedTuple):
    """Of a row of `ledger_events AS event`, and what it is bound to."""

    sql: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events; None and () mean every event, several filters mean all of them at once."""

    after: int = 0
    upto: int | None = None
    """The last position; None: where the log ends when the export begins."""
    recorded_from: datetime | None = None
    """From this instant on."""
    recorded_to: datetime | None = None
    """Before this instant."""
    player_id: UUID | None = None
    """The player's own events, their transactions', and the turnover reported of them."""
    transaction_id: UUID | None = None
    kinds: tuple[str, ...] = ()
    """Of transactions that are one of these: see KINDS."""
    provider: str | None = None
    """Of transactions begun with this provider, and every event that names it: its own, notices
    from it, attempts there."""
    topics: tuple[str, ...] = ()
    """Of one of these types: `DepositCompleted`."""
    without: tuple[str, ...] = ()
    """Of none of these types: they are not for whoever asked."""

    def __post_init__(self) -> None:
        _refuse_unknown("kind", self.kinds, KINDS)
        _refuse_unknown("topic", (*self.topics, *self.without), sorted(_TOPICS))
        if self.after < 0 or (self.upto is not None and self.upto < 0):
            raise SelectionInvalid("A position is 0 or more: 0 is before the first event.")
        for instant in (self.recorded_from, self.recorded_to):
            if instant is not None and instant.tzinfo is None:
                raise SelectionInvalid("An instant needs an offset, such as 2026-05-03T14:00:00Z.")

    @property
    def is_narrow(self) -> bool:
        """Few events, from far apart."""
        return self.player_id is not None or self.transaction_id is not None

    @property
    def needs_history(self) -> bool:
        """Which transactions are meant is known to the read model."""
        return bool(self.player_id or self.kinds or self.provider)

    def asked(self) -> dict[str, Any]:
        """As JSON, the same for the same selection."""
        values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        for name in ("recorded_from", "recorded_to"):
            instant: datetime | None = getattr(self, name)
            if instant is not None:
                values[name] = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if not self.without:
            del values["without"]  # as it was asked before there was anything to leave out
        return values

    @classmethod
    def from_asked(cls, asked: dict[str, Any]) -> "Selection":
        """The selection behind `asked()`."""
        return msgspec.convert(asked, cls)


def resolve(connection: Connection[TupleRow], selection: Selection, now: datetime) -> Range:
    """The positions that are looked at.

    Raises:
        BeyondLog: a position behind the end, or an instant that has not come.
    """
    end = log.head(connection)
    after = selection.after
    upto = end.position if selection.upto is None else selection.upto
    for name, position in (("after", after), ("upto", upto)):
        if position > end.position:
            raise BeyondLog(
                f"`{name}` is position {position}, but the log ends at {end.position}."
                " Ask for what is there, or again later."
            )
    latest = max(now, end.recorded_at)
    for name, instant in (("from", selection.recorded_from), ("to", selection.recorded_to)):
        if instant is not None and instant > latest:
            raise BeyondLog(
                f"`{name}` is {instant.isoformat()}, which has not come: what will be recorded"
                " until then would be missing. Leave it out to export up to now."
            )
    if selection.recorded_from is not None:
        after = max(after, _last_before(connection, selection.recorded_from, end.position))
    if selection.recorded_to is not None:
        upto = min(upto, _last_before(connection, selection.recorded_to, end.position))
    return Range(after, max(after, upto))


def condition(connection: Connection[TupleRow], selection: Selection) -> Condition:
    """What has to be true of an event, for as long as this transaction lasts.

    `connection` has just begun one; `history` has followed the log as far as is asked for.
    """
    schema = schema_seen(connection, HISTORY) if selection.needs_history else ""
    parts = list(_conditions(connection, selection, f"{schema}.transactions"))
    return Condition(
        " AND ".join(f"({part.sql})" for part in parts) or "true",
        tuple(value for part in parts for value in part.values),
    )


def _conditions(
    connection: Connection[TupleRow], selection: Selection, transactions: str
) -> Iterator[Condition]:
    if selection.topics:
        yield Condition("event.topic = ANY(%s)", (list(selection.topics),))
    if selection.without:
        yield Condition("event.topic <> ALL(%s)", (list(selection.without),))
    if selection.transaction_id is not None:
        yield Condition("event.originator_id = %s", (selection.transaction_id,))
    if selection.kinds:
        yield _of_transaction(transactions, "kind = ANY(%s)", list(selection.kinds))
    if selection.player_id is not None:
        yield _of_player(connection, transactions, selection.player_id)
    if selection.provider is not None:
        created = _of_transaction(transactions, "provider = %s", selection.provider)
        names = "convert_from(event.state, 'UTF8')::jsonb ->> 'provider' = %s"
        member = b'"provider":' + msgspec.json.encode(selection.provider)
        # Only where the bytes are there is it worth reading them as JSON.
        yield Condition(
            f"{created.sql} OR (event.state LIKE %s AND {names})",
            (*created.values, _containing(member), selection.provider),
        )


def _of_transaction(transactions: str, of_row: str, value: object) -> Condition:
    sql = f"""
        EXISTS (SELECT FROM {transactions} AS t WHERE t.id = event.originator_id AND t.{of_row})
    """
    return Condition(sql, (value,))


def _of_player(connection: Connection[TupleRow], transactions: str, player_id: UUID) -> Condition:
    query = f"SELECT id FROM {transactions} WHERE player_id = %s ORDER BY id"
    streams = [row[0] for row in connection.execute(query.encode(), [player_id]).fetchall()]
    member = b'"player_id":"%b"' % str(player_id).encode()
    return Condition(
        """
        event.originator_id = ANY(%s) OR (event.topic = 'WagerRecorded' AND event.state LIKE %s)
        """,
        ([player_id, *streams], _containing(member)),
    )


def _containing(text: bytes) -> bytes:
    """A pattern for LIKE."""
    for special in (b"\\", b"%", b"_"):
        text = text.replace(special, b"\\" + special)
    return b"%" + text + b"%"


def _last_before(connection: Connection[TupleRow], instant: datetime, head: int) -> int:
    """The last position recorded before an instant: recorded times never decrease."""
    low, high = 0, head
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(_RECORDED_AT, [middle]).fetchone()
        if row is not None and row[0] >= instant:
            high = middle - 1
        else:
            low = middle
    return low


def _refuse_unknown(what: str, given: tuple[str, ...], known: Any) -> None:
    for name in given:
        if name not in known:
            raise SelectionInvalid(f"There is no {what} {name!r}. There are: {', '.join(known)}.")
