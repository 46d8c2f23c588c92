"""Points in the log: what a position, an instant or a checkpoint means.

Each is one statement, and so one round trip and one moment of the database. Times never decrease
with position, so an instant is found by bisecting over the primary key: there is no index on them.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection, Connection
from psycopg.rows import tuple_row

_POSITION: Final = re.compile(r"[0-9]{1,40}", re.ASCII)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_NO_OFFSET: Final = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?", re.ASCII)
_CHECKPOINT: Final = re.compile(r"checkpoint:(latest|[0-9]{1,40})", re.ASCII)
_HEX_ROOT: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_BASE64_ROOT: Final = re.compile(r"[0-9A-Za-z+/_-]{43}=?", re.ASCII)
_BIGINT_MAX: Final = 2**63 - 1
_TEXT_SHOWN_MAX: Final = 80

# The first rows of each: where the log ends.
_AT_POSITION = """
SELECT head.position, head.recorded_at, event.recorded_at
FROM ledger_head AS head
LEFT JOIN ledger_events AS event ON event.notification_id = %(position)s::bigint
"""
# Where an event is missing, the one before it is asked: a damaged log is for `verify` to tell of.
_AT_INSTANT = """
WITH RECURSIVE bisected (low, high) AS (
    SELECT 0::bigint, position FROM ledger_head
    UNION ALL
    SELECT CASE WHEN probe.is_later THEN low ELSE (low + high + 1) / 2 END,
           CASE WHEN probe.is_later THEN (low + high + 1) / 2 - 1 ELSE high END
    FROM bisected
    CROSS JOIN LATERAL (
        SELECT coalesce((
            SELECT recorded_at > %(instant)s FROM ledger_events
            WHERE notification_id <= (low + high + 1) / 2 AND notification_id > low
            ORDER BY notification_id DESC LIMIT 1
        ), false) AS is_later
    ) AS probe
    WHERE low < high
)
SELECT head.position, head.recorded_at, event.recorded_at, found.low
FROM ledger_head AS head
CROSS JOIN (SELECT low FROM bisected WHERE low >= high LIMIT 1) AS found
LEFT JOIN ledger_events AS event ON event.notification_id = found.low
"""
_OF_CHECKPOINT = """
SELECT head.position, head.recorded_at, event.recorded_at, signed.size, own.root = signed.root,
       nearby.sizes
FROM ledger_head AS head
LEFT JOIN LATERAL (
    SELECT size, root FROM ledger_checkpoints WHERE {condition} ORDER BY size DESC LIMIT 1
) AS signed ON true
LEFT JOIN ledger_roots AS own ON own.size = signed.size
LEFT JOIN ledger_events AS event ON event.notification_id = signed.size
CROSS JOIN LATERAL (
    SELECT ARRAY(
        (SELECT size FROM ledger_checkpoints WHERE size < %(size)s ORDER BY size DESC LIMIT 1)
        UNION ALL
        (SELECT size FROM ledger_checkpoints WHERE size > %(size)s ORDER BY size LIMIT 1)
    ) AS sizes
) AS nearby
"""
_BY_SIZE = _OF_CHECKPOINT.format(condition="size = %(size)s")
_LATEST = _OF_CHECKPOINT.format(condition="true")
_BY_ROOT = _OF_CHECKPOINT.format(condition="root = %(root)s")

_HOW_TO_ASK: Final = (
    "Ask for a position (4711), an instant with its offset (2026-03-02T10:00:00Z), or a "
    "checkpoint (checkpoint:4711, checkpoint:latest, or its root)."
)


class AsOf(NamedTuple):
    """A point in the log."""

    position: int
    """Of the last event that had happened; 0: nothing had."""
    head: int
    """Where the log ended when this was asked."""
    recorded_at: datetime | None
    """Of the event at `position`; None before the first."""


class AsOfError(ValueError):
    """It cannot be told what the ledger was then."""

    code = "as_of_error"


class AsOfInvalid(AsOfError):
    """It names no point in the log."""

    code = "as_of_invalid"


class AsOfInFuture(AsOfError):
    """The log does not reach so far yet."""

    code = "as_of_in_future"


@dataclass(frozen=True, slots=True)
class _Question:
    """What the database is asked, and what its one row means."""

    query: str
    values: dict[str, Any]
    answer: Callable[[tuple[Any, ...]], AsOf]


def resolve(connection: Connection[Any], text: str, now: datetime) -> AsOf:
    """The point in the log that `text` names.

    Args:
        text: a position; an RFC 3339 instant, meaning the last event recorded at or before it;
            `checkpoint:<size>`, `checkpoint:latest`, or the root of a stored checkpoint in base64
            or hexadecimal. Position 0, and an instant before the first event, are points too:
            nothing had happened.
        now: the present, by the clock of whoever asks. An instant up to it is answered with the
            head where nothing was recorded since; so is one up to the time of the last event,
            where that was recorded by a clock that is ahead. What is just being appended may
            still come to be before an instant that has only just passed.

    Raises:
        AsOfInvalid: `text` is none of these, or names a checkpoint that is not stored.
        AsOfInFuture: the log ends before it.
    """
    question = _question(text, now)
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(question.query.encode(), question.values).fetchone()
    return question.answer(_present(row))


async def resolve_async(connection: AsyncConnection[Any], text: str, now: datetime) -> AsOf:
    """`resolve`, without blocking."""
    question = _question(text, now)
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(question.query.encode(), question.values)
        row = await cursor.fetchone()
    return question.answer(_present(row))


def check(text: str) -> None:
    """Whether `text` could name a point in any log, without asking this one.

    Raises:
        AsOfInvalid: it cannot.
    """
    _question(text, datetime.now(UTC))


def instant_named(text: str) -> datetime | None:
    """The instant that `text` names, in UTC; None where it is a position or a checkpoint.

    Raises:
        AsOfInvalid: there is no such instant.
    """
    match = _INSTANT.fullmatch(text)
    return _instant(match) if match else None


def _present(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise LookupError("the ledger has no head row; run `tallystick db migrate`")
    return row


def _question(text: str, now: datetime) -> _Question:
    if _HEX_ROOT.fullmatch(text):
        return _of_root(bytes.fromhex(text))
    if _BASE64_ROOT.fullmatch(text):
        return _of_root(_from_base64(text))
    if _POSITION.fullmatch(text):
        return _of_position(int(text))
    if match := _CHECKPOINT.fullmatch(text):
        return _of_checkpoint(match[1])
    if match := _INSTANT.fullmatch(text):
        return _of_instant(match, now)
    raise AsOfInvalid(f"{_shown(text)} is not a point in the log{_why(text)}. {_HOW_TO_ASK}")


def _why(text: str) -> str:
    if _NO_OFFSET.fullmatch(text):
        return (
            ": an instant needs its time and its offset, or it means a different one in each zone"
        )
    if _INSTANT.fullmatch(text.replace(" ", "+")):
        return ": the + of an offset is written %2B in an address"
    return ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= _TEXT_SHOWN_MAX else text[:_TEXT_SHOWN_MAX] + "…")


# --- a position ---------------------------------------------------------------------------------


def _of_position(position: int) -> _Question:
    def answer(row: tuple[Any, ...]) -> AsOf:
        head, head_at, recorded_at = row
        if position > head:
            raise AsOfInFuture(f"There is no position {position} yet: {_end(head, head_at)}")
        return AsOf(position, head, _utc(recorded_at))

    return _Question(_AT_POSITION, {"position": min(position, _BIGINT_MAX)}, answer)


def _end(head: int, head_at: datetime) -> str:
    if head == 0:
        return "the log is empty. Ask for position 0, or wait for its first event."
    return (
        f"the log ends at position {head}, recorded {head_at.astimezone(UTC).isoformat()}. "
        "Ask for that or earlier."
    )


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC)


# --- an instant ---------------------------------------------------------------------------------


def _of_instant(match: re.Match[str], now: datetime) -> _Question:
    instant = _instant(match)

    def answer(row: tuple[Any, ...]) -> AsOf:
        head, head_at, recorded_at, position = row
        if instant > now and (head == 0 or instant > head_at):
            raise AsOfInFuture(
                f"{match[0]} is in the future: it is {now.astimezone(UTC).isoformat()}, and "
                f"{_end(head, head_at)}"
            )
        return AsOf(position, head, _utc(recorded_at))

    return _Question(_AT_INSTANT, {"instant": instant}, answer)


def _instant(match: re.Match[str]) -> datetime:
    """In UTC. Events have microseconds: what is finer than that is not looked at."""
    day, time, fraction, offset = match.groups()
    microseconds = f"{fraction or '':0<6}"[:6]
    offset = "+00:00" if offset in "Zz" else offset
    try:
        local = datetime.fromisoformat(f"{day}T{time}.{microseconds}{offset}")
    except ValueError as error:
        raise AsOfInvalid(f"There is no instant {match[0]}: {error}. {_HOW_TO_ASK}") from error
    try:
        return local.astimezone(UTC)
    except OverflowError:  # beyond the calendar in UTC: before everything, or after it
        limit = datetime.min if local.year == 1 else datetime.max  # noqa: DTZ901 (made aware here)
        return limit.replace(tzinfo=UTC)


# --- a checkpoint -------------------------------------------------------------------------------


def _of_checkpoint(which: str) -> _Question:
    if which == "latest":
        none = "No checkpoint has been signed yet. `tallystick checkpoint now` signs one."
        return _stored(_LATEST, {"size": 0}, lambda *_: AsOfInvalid(none))
    size = int(which)

    def missing(head: int, head_at: datetime, nearby: list[int]) -> AsOfError:
        if size > head:
            return AsOfInFuture(f"There is no checkpoint of size {size}: {_end(head, head_at)}")
        others = " and ".join(map(str, nearby))
        stored = f"; the nearest ones are of {others}" if others else "; none is stored"
        return AsOfInvalid(
            f"No checkpoint of size {size} is stored{stored}. Ask for position {size} instead."
        )

    return _stored(_BY_SIZE, {"size": min(size, _BIGINT_MAX)}, missing)


def _of_root(root: bytes) -> _Question:
    unknown = (
        "No checkpoint with this root is stored. `tallystick checkpoint list` shows those that are."
    )
    return _stored(_BY_ROOT, {"size": 0, "root": root}, lambda *_: AsOfInvalid(unknown))


def _from_base64(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(f"{standard.rstrip('=')}=", validate=True)
    except binascii.Error as error:
        raise AsOfInvalid(f"{_shown(text)} is no root: {error}. {_HOW_TO_ASK}") from error


def _stored(
    query: str, values: dict[str, Any], missing: Callable[[int, datetime, list[int]], AsOfError]
) -> _Question:
    def answer(row: tuple[Any, ...]) -> AsOf:
        head, head_at, recorded_at, size, is_root, nearby = row
        if size is None:
            raise missing(head, head_at, nearby)
        if size > head:
            raise AsOfInFuture(
                f"A checkpoint of size {size} was signed, but {_end(head, head_at)} What was "
                "signed is missing: run `tallystick verify`."
            )
        if not is_root:
            raise AsOfInvalid(
                f"The log's root after position {size} is not the one that was signed: the log "
                "was altered. Run `tallystick verify`."
            )
        return AsOf(size, head, _utc(recorded_at))

    return _Question(query, values, answer)
