"""Events as rows of a table: the columns that all tabular formats share."""

from collections.abc import Iterator, Sequence
from struct import Struct
from sys import intern
from typing import Any, Final, NamedTuple, cast

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from replay.export.errors import LogAltered
from replay.export.lines import unreadable, uuid_text

STREAMS_REMEMBERED_MAX: Final = 100_000

_KINDS: Final = {
    "DepositCreated": "deposit",
    "WithdrawalRequested": "withdrawal",
    "RefundRequested": "refund",
    "ConversionQuoted": "conversion",
    "DisputeOpened": "dispute",
    "AdjustmentRequested": "adjustment",
}
_PLAYER_BEGINS: Final = "PlayerRegistered"
_FIRST_EVENTS: Final = """
SELECT uuid_send(originator_id), topic, state FROM ledger_events
WHERE originator_id = ANY(%s::uuid[]) AND originator_version = 1
"""

# What has a fixed length travels as one value: each that the driver builds takes its time.
_FIXED: Final = Struct(">16sq8s32s")
_READ: Final = """
SELECT notification_id,
       uuid_send(originator_id) || int8send(originator_version) || timestamptz_send(recorded_at)
           || leaf,
       topic, state
FROM ledger_events AS event
WHERE notification_id > %s AND notification_id <= %s
"""

Event = tuple[int, bytes, str, bytes]
"""Position; stream, version, time and leaf as `_FIXED`; topic; state."""


def read_events(
    connection: Connection[TupleRow],
    *,
    after: int,
    upto: int,
    condition: str,
    values: Sequence[Any],
    page_events: int,
) -> Iterator[list[Event]]:
    """The chosen events, page by page, for a `RowMaker`. Arguments as of `replay.log.pages`."""
    query = f"{_READ} AND ({condition}) ORDER BY notification_id"
    with connection.cursor(name="rows", binary=True) as cursor:
        cursor.execute(query.encode(), [after, upto, *values])
        while page := cursor.fetchmany(page_events):
            yield page


class Amount(msgspec.Struct, gc=False):
    """Money within an event."""

    amount: int
    currency: str


class Facts(msgspec.Struct, gc=False):
    """What of an event becomes a column of its own."""

    occurred_at: str
    actor: str
    player_id: str | None = None
    provider: str | None = None
    amount: Amount | None = None
    settled: Amount | None = None
    source: Amount | str | None = None

    def money(self) -> Amount | None:
        """The event's `amount`, what was `settled`, or the `source` of a conversion."""
        found = self.amount or self.settled or self.source
        return None if type(found) is str else cast("Amount | None", found)


class Stream(NamedTuple):
    """What every event of a stream has in common: said by its first one."""

    id: str
    kind: str | None
    """Of transaction; None: it is none."""
    player: str | None
    provider: str | None


class Rows(NamedTuple):
    """Some events, column by column: values of the same index are of the same event."""

    position: Sequence[int]
    recorded: Sequence[bytes]
    """As `Raw.recorded`."""
    occurred_at: Sequence[str]
    topic: Sequence[str]
    stream: Sequence[str]
    version: Sequence[int]
    kind: Sequence[str | None]
    player: Sequence[str | None]
    provider: Sequence[str | None]
    actor: Sequence[str]
    money: Sequence[Amount | None]
    leaf: Sequence[bytes]
    state: Sequence[bytes]


_facts = msgspec.json.Decoder(Facts).decode
_all_facts = msgspec.json.Decoder(list[Facts]).decode


class RowMaker:
    """Makes rows of pages of the log. Remembers a bounded number of streams."""

    def __init__(self, connection: Connection[TupleRow]) -> None:
        """`connection` is asked how streams began that began before the export does."""
        self._connection = connection
        self._streams: dict[bytes, Stream] = {}

    def of(self, page: Sequence[Event]) -> Rows:
        """A page of `read_events` as rows.

        Raises:
            LogAltered: an event is not what was recorded.
        """
        position, fixed, topic, state = zip(*page, strict=True)
        joined = b"".join(fixed)
        if len(joined) != len(page) * _FIXED.size:
            raise LogAltered(
                f"Of the events from position {position[0]} to {position[-1]} one has a leaf that"
                " is no hash. Run `tallystick verify`."
            )
        stream, version, recorded, leaf = zip(*_FIXED.iter_unpack(joined), strict=True)
        facts = _read(position, state)
        streams = self._streams_of(stream, version, topic, facts)
        stream_id, kind, player, provider = zip(*streams, strict=True)
        return Rows(
            position=position,
            recorded=recorded,
            occurred_at=[said.occurred_at for said in facts],
            topic=topic,
            stream=stream_id,
            version=version,
            kind=kind,
            player=player,
            provider=provider,
            actor=[said.actor for said in facts],
            money=[said.money() for said in facts],
            leaf=leaf,
            state=state,
        )

    def _streams_of(
        self,
        stream: Sequence[bytes],
        version: Sequence[int],
        topic: Sequence[str],
        facts: Sequence[Facts],
    ) -> list[Stream]:
        known = self._streams
        if len(known) > STREAMS_REMEMBERED_MAX:
            known.clear()
        for index, number in enumerate(version):
            if number == 1:
                known[stream[index]] = _stream(stream[index], topic[index], facts[index])
        try:
            return [known[one] for one in stream]
        except KeyError:
            self._look_up(set(stream) - known.keys())
            return [known[one] for one in stream]

    def _look_up(self, missing: set[bytes]) -> None:
        wanted = [uuid_text(stream) for stream in missing]
        found: Any = self._connection.execute(_FIRST_EVENTS, [wanted], binary=True)
        for stream, topic, state in found:
            try:
                self._streams[stream] = _stream(stream, topic, _facts(state))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        for stream in missing - self._streams.keys():  # its first event is gone or unreadable
            self._streams[stream] = Stream(uuid_text(stream), None, None, None)


def _stream(stream: bytes, topic: str, said: Facts) -> Stream:
    text = uuid_text(stream)
    player = text if topic == _PLAYER_BEGINS else said.player_id
    provider = None if said.provider is None else intern(said.provider)
    return Stream(text, _KINDS.get(topic), player, provider)


def _read(position: Sequence[int], state: Sequence[bytes]) -> list[Facts]:
    """All at once, which is quicker; one by one where that fails, to say which."""
    try:
        facts = _all_facts(b"[%b]" % b",".join(state))
    except (msgspec.DecodeError, UnicodeDecodeError):
        facts = []
    if len(facts) == len(state):
        return facts
    facts = []
    try:
        facts.extend(map(_facts, state))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable(position[len(facts)]) from None
    return facts
