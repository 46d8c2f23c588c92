"""Events as lines of JSON: our own, and CloudEvents.

Canonical bytes are JSON without white space, so they are embedded as they are: the text of the
member `event` (or `data`) is, byte for byte, what the leaf was made from.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from replay.export.errors import LogAltered
from replay.log import Raw, recorded_at_us

SOURCE: Final = "urn:tallystick:log"
"""Where CloudEvents come from; their ids are positions in it."""

TYPE_PREFIX: Final = "tallystick."

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US: Final = 1_000_000

Line = tuple[int, bytes]
"""Position, and the line with its end."""

_LINE: Final = """
    convert_to(format(
        '{"position":%%s,"stream":"%%s","version":%%s,"topic":%%s,"recorded_at":"%%sZ",'
        '"leaf":"%%s","event":',
        notification_id, originator_id, originator_version, to_json(topic),
        to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), encode(leaf, 'hex')
    ), 'UTF8') || state || convert_to(E'}\\n', 'UTF8')
"""
_END: Final = b"}}\n"


class _Occurred(msgspec.Struct):
    occurred_at: str


_occurred = msgspec.json.Decoder(_Occurred).decode


def read_jsonl(
    connection: Connection[TupleRow],
    *,
    after: int,
    upto: int,
    condition: str,
    values: Sequence[Any],
    page_events: int,
) -> Iterator[list[Line]]:
    """The chosen events as lines: each says where it stands in the log, and what happened.

    The database puts them together: it has a processor of its own, and here no event becomes an
    object. Arguments as of `replay.log.pages`.
    """
    query = f"""
        SELECT notification_id, {_LINE} FROM ledger_events AS event
        WHERE notification_id > %s AND notification_id <= %s AND ({condition})
        ORDER BY notification_id
    """
    with connection.cursor(name="lines", binary=True) as cursor:
        cursor.execute(query.encode(), [after, upto, *values])
        while page := cursor.fetchmany(page_events):
            yield page


def jsonl(page: Sequence[Line]) -> bytes:
    """Lines, each of them whole.

    Raises:
        LogAltered: an event is not an object on one line, which it was when it was recorded.
    """
    block = b"".join([line for _, line in page])
    if block.count(b"\n") != len(page):
        raise unreadable(next(position for position, line in page if line.count(b"\n") != 1))
    for position, line in page:
        if not line.endswith(_END):
            raise unreadable(position)
    return block


def cloudevents(page: Sequence[Raw]) -> bytes:
    """One line per event: a CloudEvent in structured mode.

    Source: CloudEvents 1.0.2, JSON event format. Its integers have 32 bits, so that the position
    is text.
    """
    texts = Instants()
    parts: list[bytes] = []
    for raw in page:
        position, stream, version, topic, state, recorded, leaf = raw
        _check(raw)
        head = (
            f'{{"specversion":"1.0","id":"{position}","source":"{SOURCE}",'
            f'"type":{quoted(TYPE_PREFIX + topic)},"subject":"{uuid_text(stream)}",'
            f'"time":{quoted(_occurred_at(raw))},"datacontenttype":"application/json",'
            f'"position":"{position}","streamversion":"{version}",'
            f'"recordedat":"{texts.of(recorded)}","leaf":"{leaf.hex()}","data":'
        )
        parts += (head.encode(), state, b"}\n")
    return b"".join(parts)


class Instants:
    """Instants as RFC 3339 in UTC with microseconds; most are of the same second as the last."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def of(self, recorded: bytes) -> str:
        """The text of `Raw.recorded`.

        Raises:
            LogAltered: no such instant was ever recorded by us.
        """
        second, microsecond = divmod(recorded_at_us(recorded), _SECOND_US)
        if second != self._second:
            try:
                instant = _EPOCH + timedelta(seconds=second)
            except OverflowError:
                raise LogAltered(
                    "An event says it was recorded at an instant that no calendar has;"
                    " run `tallystick verify`."
                ) from None
            self._second, self._text = second, instant.isoformat()[:19]
        return f"{self._text}.{microsecond:06d}Z"


def uuid_text(stream: bytes) -> str:
    """As `str(UUID(bytes=…))`, in a fraction of its time."""
    digits = stream.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def quoted(text: str) -> str:
    """As JSON. Our names need no escapes."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return json.dumps(text)


def unreadable(position: int) -> LogAltered:
    """What to raise about an event that is not what was written."""
    return LogAltered(
        f"The event at position {position} cannot be read: it is not what was recorded."
        " Run `tallystick verify`."
    )


def _check(raw: Raw) -> None:
    """A line stays a line, whatever was done to the log."""
    state = raw.state
    if state[:1] != b"{" or state[-1:] != b"}" or b"\n" in state or b"\r" in state:
        raise unreadable(raw.position)


def _occurred_at(raw: Raw) -> str:
    try:
        return _occurred(raw.state).occurred_at
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable(raw.position) from None
