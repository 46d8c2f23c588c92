"""The queue as it was: what waited for whom then, since when, and why?

A transaction's case that has not changed since stands in the table as it was; of the others the
stream is folded again, up to the position, by the read model's own fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import args_row

from projections.engine.read_model import schema_of
from projections.engine.tables import builder
from projections.history.history import HISTORY
from projections.past.history import ReadStreams, folded
from projections.queue.fold import CASES, Case
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE, Cursor

WINDOW: Final = 5_000
"""Transactions looked at for one page: those under way then, or changed since for any reason."""

_COLUMNS = ", ".join(f"one.{column}" for column in CASES.columns)
_CANDIDATES = f"""
SELECT created_position, {_COLUMNS}
FROM {schema_of(HISTORY)}.transactions AS begun
JOIN {schema_of(WITHDRAWAL_QUEUE)}.cases AS one ON one.id = begun.id
WHERE begun.created_position > %(after)s AND begun.created_position <= %(upto)s
  AND (one.position > %(upto)s OR one.waiting_as IS NOT NULL)
  AND (%(kind)s::text IS NULL OR one.kind = %(kind)s)
ORDER BY begun.created_position LIMIT %(limit)s
"""

_case = builder(Case)


@dataclass(frozen=True, slots=True)
class _Candidate:
    created_position: int
    case: Case


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCursor:
    """Where a page ends: behind a case of a window, or at the beginning of another window."""

    last: Cursor | None
    after: int = 0
    """The window holds transactions created behind this position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWaiting:
    """What waited, longest first."""

    cases: list[Case]
    next_cursor: PastCursor | None
    """To be passed on for the cases after these; None where there are no more."""


async def waiting_then(
    connection: AsyncConnection[Any],
    read: ReadStreams,
    upto: int,
    *,
    statuses: Sequence[str] = (),
    kind: str | None = None,
    cursor: PastCursor | None = None,
    limit: int = 50,
) -> PastWaiting:
    """What waited for people at a position, which history and queue have both reached.

    Of more transactions than a window holds, those created first come first, window by window,
    and the longest wait first within each.
    """
    cursor = cursor or PastCursor(last=None)
    candidates = await _candidates(connection, upto, kind, cursor.after)
    window, rest = candidates[:WINDOW], candidates[WINDOW:]
    changed = [one.case.id for one in window if one.case.position > upto]
    story = await read(changed, upto) if changed else ()
    then = folded(WITHDRAWAL_QUEUE, CASES, story)
    cases = [then.get(one.case.id, one.case) for one in window]
    keyed = {
        (case.waiting_since, case.id): case
        for case in cases
        if case.waiting_since is not None and (not statuses or case.waiting_as in statuses)
    }
    last = (cursor.last.waiting_since, cursor.last.id) if cursor.last else None
    keys = sorted(key for key in keyed if last is None or key > last)
    page = [keyed[key] for key in keys[:limit]]
    if len(keys) > limit:
        since, case_id = keys[limit - 1]
        ended = PastCursor(last=Cursor(waiting_since=since, id=case_id), after=cursor.after)
        return PastWaiting(cases=page, next_cursor=ended)
    following = PastCursor(last=None, after=window[-1].created_position) if rest else None
    return PastWaiting(cases=page, next_cursor=following)


async def _candidates(
    connection: AsyncConnection[Any], upto: int, kind: str | None, after: int
) -> list[_Candidate]:
    def candidate(created_position: int, *columns: Any) -> _Candidate:
        return _Candidate(created_position, _case(*columns))

    values = {"after": after, "upto": upto, "kind": kind, "limit": WINDOW + 1}
    async with connection.cursor(binary=True, row_factory=args_row(candidate)) as found:
        await found.execute(_CANDIDATES.encode(), values, prepare=False)
        return await found.fetchall()
