"""The part `log`: are the bytes those that were recorded?

Every leaf is computed again, and the root after every batch, at every signed checkpoint and at the
head. A range of the log can be checked by itself from the state that its beginning must have; when
the range before it ends in that very state, both together are what one pass would have found.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from operator import gt, ne
from typing import Any, Final, NamedTuple

from psycopg import Connection

from ledger.checkpoints.note import Verifier
from ledger.eventstore.stored_hashes import HEIGHT_MAX, TILE_HEIGHT, StoredHashes
from replay import log
from replay.log import Head, Raw
from replay.verify import claims
from replay.verify.claims import Claim
from replay.verify.findings import LOG, PROBLEMS_MAX, Findings
from replay.verify.leaves import leaves_of
from replay.verify.tree import Line

PAGE_EVENTS: Final = 5_000
POSITION_MIN: Final = -(2**63)

_PAGE = f"""
SELECT {log.COLUMNS} FROM ledger_events
WHERE notification_id >= %s AND notification_id <= %s ORDER BY notification_id LIMIT %s
"""
_ROOTS = "SELECT size, root FROM ledger_roots WHERE size >= %s AND size <= %s ORDER BY size"
_SUBTREES = """
SELECT number, hash FROM ledger_subtrees
WHERE height = %s AND number >= %s AND number < %s ORDER BY number
"""
_ODD_SUBTREES = """
SELECT height, number FROM ledger_subtrees
WHERE height NOT BETWEEN 8 AND 56 OR height %% 8 <> 0 OR number < 0
   OR (number::numeric + 1) * 2::numeric ^ height > %s
ORDER BY height, number LIMIT %s
"""
_ROOT_BEYOND = "SELECT min(size) FROM ledger_roots WHERE size > %s"
_LAST_ROOT = "SELECT max(size) FROM ledger_roots WHERE size <= %s"
_LAST_CHECKPOINT = "SELECT max(size) FROM ledger_checkpoints WHERE size <= %s"
_TIME_AT = "SELECT timestamptz_send(recorded_at) FROM ledger_events WHERE notification_id = %s"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEIGHTS = range(TILE_HEIGHT, HEIGHT_MAX + 1, TILE_HEIGHT)

Advance = Callable[[int], None]
"""So many more events have been read."""


@dataclass(frozen=True, slots=True)
class LogState:
    """All that the events up to `position` leave behind for those after it."""

    position: int = 0
    lines: tuple[tuple[bytes, ...], ...] = ((),)
    """Of the tree, as computed, and of that of the stored leaves once they differ: subtrees."""
    recorded_us: int = 0
    last_is_intact: bool = True
    is_broken: bool = False
    """There is a hole: after it the tree says nothing."""
    batch_starts_at: int = 1
    differs_from: int | None = None
    """Where the batch began from which on no root has agreed."""
    agreed_size: int = 0
    """The largest signed tree that agrees."""
    is_contradicted: bool = False
    """A signed tree after that one does not agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRange:
    """What of the log to check, and against what."""

    first: int = POSITION_MIN
    last: int = log.POSITION_MAX
    head: Head
    verifiers: tuple[Verifier, ...] = ()
    brought: tuple[Claim, ...] = ()

    @property
    def is_at_the_end(self) -> bool:
        return self.last == log.POSITION_MAX


class Checked(NamedTuple):
    """What a range has shown."""

    findings: Findings
    before: LogState
    after: LogState
    newest_agreed: int


def assumed(connection: Connection[Any], position: int, of: LogRange) -> LogState:
    """The state after `position`, if everything up to there is as it must be.

    It rests on leaves as they are stored: who checks from here on has not checked those before.

    Raises:
        HashesMissing: the log has a hole before.
    """
    hashes, start = StoredHashes(connection), 0
    subtrees: list[bytes] = []
    while start < position:
        width = 1 << ((position - start).bit_length() - 1)
        subtrees.append(hashes.subtree(start, start + width))
        start += width
    recorded = _value(connection, _TIME_AT, position)
    agreed = [claim.size for claim in of.brought if claim.size <= position]
    if of.verifiers:
        agreed.append(_value(connection, _LAST_CHECKPOINT, position) or 0)
    return LogState(
        position=position,
        lines=(tuple(subtrees),),
        recorded_us=log.recorded_at_us(recorded) if recorded else 0,
        batch_starts_at=(_value(connection, _LAST_ROOT, position) or 0) + 1,
        agreed_size=max(agreed, default=0),
    )


def check_log(
    connection: Connection[Any], of: LogRange, before: LogState, advance: Advance
) -> Checked:
    """Check a range that comes after the events that left `before` behind."""
    check = _Check(connection, of, before)
    for page in _pages(connection, of):
        check.page(page)
        advance(len(page))
    if of.is_at_the_end:
        check.end()
    return Checked(check.findings, before, check.state(), check.newest_agreed)


def _pages(connection: Connection[Any], of: LogRange) -> Iterator[list[Raw]]:
    first = of.first
    with connection.cursor(binary=True) as cursor:
        while True:
            cursor.execute(_PAGE, [first, of.last, PAGE_EVENTS])
            page = cursor.fetchall()
            if page:
                yield page
                first = page[-1][0] + 1
            if len(page) < PAGE_EVENTS or first > of.last:
                return


class _Check:
    """One range, page by page."""

    def __init__(self, connection: Connection[Any], of: LogRange, before: LogState) -> None:
        self.findings = Findings(LOG)
        self.newest_agreed = 0
        self._connection = connection
        self._of = of
        self._last = before.position
        self._lines = [Line(before.position, subtrees) for subtrees in before.lines]
        self._recorded_us = before.recorded_us
        self._last_is_intact = before.last_is_intact
        self._is_broken = before.is_broken
        self._batch_starts_at = before.batch_starts_at
        self._differs_from = before.differs_from
        self._agreed_size = before.agreed_size
        self._is_contradicted = before.is_contradicted
        self._checked_upto = of.first - 1 if of.first > POSITION_MIN else POSITION_MIN

    def state(self) -> LogState:
        """What is left behind for the events that follow."""
        return LogState(
            position=self._last,
            lines=() if self._is_broken else tuple(line.subtrees() for line in self._lines),
            recorded_us=self._recorded_us,
            last_is_intact=self._last_is_intact,
            is_broken=self._is_broken,
            batch_starts_at=self._batch_starts_at,
            differs_from=self._differs_from,
            agreed_size=self._agreed_size,
            is_contradicted=self._is_contradicted,
        )

    def page(self, rows: Sequence[Sequence[Any]]) -> None:
        """The next rows of the log, in order: where there is a hole, run by run."""
        self.findings.count("events", len(rows))
        start = 0
        if rows[0][0] < 1:
            start = next((n for n, row in enumerate(rows) if row[0] >= 1), len(rows))
            for row in rows[:start]:
                self.findings.report(row[0], "before_first", "the log begins at position 1")
        while start < len(rows):
            end = _end_of_run(rows, start)
            if rows[start][0] != self._last + 1:
                detail = f"the log goes on at position {rows[start][0]}"
                self.findings.report(self._last + 1, "gap", detail)
                self._is_broken = True
            self._run(rows[start:end])
            start = end

    def _run(self, rows: Sequence[Sequence[Any]]) -> None:
        """Rows whose positions follow each other."""
        _, _, _, _, _, recorded, stored = zip(*rows, strict=True)
        us_of = {each: log.recorded_at_us(each) for each in set(recorded)}
        recorded_us = [self._recorded_us, *map(us_of.__getitem__, recorded)]
        leaves = leaves_of(rows, us_of)
        intact = self._compare_leaves(rows, leaves, stored)
        first = rows[0][0]
        if any(map(gt, recorded_us, islice(recorded_us, 1, None))):
            for position, (us, next_us) in enumerate(pairwise(recorded_us), first):
                if next_us < us:
                    self.findings.report(position, "time_runs_back", "recorded before the last one")
        if not self._is_broken:
            self._extend(leaves, stored)
            self._compare_tree(rows[-1][0], _ends_of_batches(first, recorded_us, intact))
        self._last, self._recorded_us = rows[-1][0], recorded_us[-1]
        self._last_is_intact = intact is None or intact[-1]

    def _compare_leaves(
        self, rows: Sequence[Sequence[Any]], leaves: list[bytes], stored: Sequence[bytes]
    ) -> list[bool] | None:
        """Which are as recorded, with the last one before them in front; None: all."""
        if leaves == list(stored):
            return None if self._last_is_intact else [False, *(True for _ in rows)]
        intact = [self._last_is_intact]
        for row, leaf, stored_leaf in zip(rows, leaves, stored, strict=True):
            intact.append(leaf == stored_leaf)
            if not intact[-1]:
                raw = Raw(*row)
                detail = f"{raw.topic} in stream {log.stream_id(raw)} is not what was recorded"
                self.findings.report(raw.position, "altered", detail)
        return intact

    def _extend(self, leaves: list[bytes], stored: Sequence[bytes]) -> None:
        """Where an event is altered follow both what is stored and what it was recorded as.

        The recorded roots then tell whether the event or its leaf was altered, and that
        everything around it was not.
        """
        if len(self._lines) == 1 and leaves != list(stored):
            self._lines.append(self._lines[0].copy())
        for line, each in zip(self._lines, (leaves, stored), strict=False):
            line.extend(each)

    # --- the tree ---------------------------------------------------------------------------

    def _compare_tree(self, last: int, ends: set[int]) -> None:
        """Roots, checkpoints and kept subtrees up to `last`, and that every batch has a root."""
        after, self._checked_upto = self._checked_upto, last
        values = [after if after == POSITION_MIN else after + 1, last]
        roots = dict(self._connection.execute(_ROOTS, values, binary=True).fetchall())
        self.findings.count("roots", len(roots))
        signed = self._claims(values[0], last)
        for size in sorted(ends.union(roots, signed)):
            if size in roots:
                self._compare_root(size, roots[size])
            elif size in ends:
                self._check_batch_ended(size)
            for claim in signed.get(size, ()):
                self._compare_claim(claim)
        self._compare_subtrees()

    def _has_root(self, size: int, root: bytes) -> bool:
        return size >= 0 and any(line.root_at(size) == root for line in self._lines)

    def _compare_root(self, size: int, root: bytes) -> None:
        """After a batch. Where a root differs those after it do, and say nothing new."""
        if size > 0 and self._has_root(size, root):
            self._differs_from = None
        elif self._differs_from is None:
            self._differs_from = self._batch_starts_at
            detail = f"the root after position {size} is not the one recorded with the batch"
            self.findings.report(self._batch_starts_at, "root_differs", detail)
        self._batch_starts_at = max(size + 1, 1)

    def _check_batch_ended(self, position: int) -> None:
        """A batch has one time and one root: where the time changes there must be a root."""
        if self._batch_starts_at <= position:
            detail = f"no root is recorded after position {position}"
            self.findings.report(self._batch_starts_at, "root_missing", detail)
            self._batch_starts_at = position + 1

    def _claims(self, first: int, last: int) -> dict[int, list[Claim]]:
        of = self._of
        report = self.findings.report
        found: dict[int, list[Claim]] = {}
        for claim in claims.stored(self._connection, first, last, of.verifiers, report):
            found.setdefault(claim.size, []).append(claim)
            self.findings.count("checkpoints")
            self.findings.count("signatures", int(claim.is_trusted))
        for claim in of.brought:
            if first <= claim.size <= last:
                found.setdefault(claim.size, []).append(claim)
                self.findings.count("brought")
                self.findings.count("signatures", int(bool(of.verifiers)))
        return found

    def _compare_claim(self, claim: Claim) -> None:
        if self._has_root(claim.size, claim.root):
            if claim.is_trusted and not self._is_contradicted:
                self._agreed_size = self.newest_agreed = claim.size
            return
        if self._is_contradicted:
            return  # what contradicts a tree contradicts those that grew from it
        self._is_contradicted = True
        first = self._agreed_size + 1
        detail = (
            f"the tree of {claim.size} events is not the one that {claim.whose} signed: "
            f"the first altered event lies at one of the positions {first} to {claim.size}"
        )
        position = first if self._differs_from is None else self._differs_from
        self.findings.report(position, "checkpoint_differs", detail)

    def _compare_subtrees(self) -> None:
        for height in _HEIGHTS:
            number, computed = self._lines[0].completed(height)
            if not computed:
                return
            alternatives = [line.completed(height)[1] for line in self._lines]
            values = [height, number, number + len(computed)]
            kept = self._connection.execute(_SUBTREES, values, binary=True).fetchall()
            self.findings.count("subtrees", len(kept))
            for each, hash_ in kept:
                if all(line[each - number] != hash_ for line in alternatives):
                    self._report_subtree(height, each, (each << height) + 1)

    def _report_subtree(self, height: int, number: int, position: int) -> None:
        detail = f"the hash kept for 2^{height} leaves, number {number}, does not follow from them"
        self.findings.report(position, "subtree_differs", detail)

    # --- the end ----------------------------------------------------------------------------

    def end(self) -> None:
        """What can only be said of the last range: the head, and what is beyond it."""
        head, last, report = self._of.head, self._last, self.findings.report
        if last < head.position:
            detail = f"the head is at {head.position}, the log ends at {last}"
            report(last + 1, "missing", detail)
        elif last > head.position:
            report(head.position + 1, "beyond_head", f"the log goes on after the head, to {last}")
        elif not self._is_broken:
            self._compare_head()
        self._compare_what_is_beyond(min(last, head.position))

    def _compare_head(self) -> None:
        """The head row is of the last batch, and the next one can go on from it."""
        head, report = self._of.head, self.findings.report
        if not self._has_root(head.position, head.root):
            position = min(self._batch_starts_at, head.position)
            report(position, "root_differs", "the head has another root")
        self._check_batch_ended(head.position)
        if head.frontier not in [b"".join(line.subtrees()) for line in self._lines]:
            report(head.position, "head_differs", "the head's frontier is not the log's")
        recorded_us = (head.recorded_at - _EPOCH) // _MICROSECOND
        if self._last_is_intact and recorded_us != self._recorded_us:
            report(head.position, "head_differs", "the head has another time")

    def _compare_what_is_beyond(self, last: int) -> None:
        beyond = _value(self._connection, _ROOT_BEYOND, self._last)
        if beyond is not None:
            detail = f"a root is recorded for {beyond} events, and the log has {self._last}"
            self.findings.report(last + 1, "beyond_head", detail)
        for size, signed in self._claims(self._last + 1, log.POSITION_MAX).items():
            detail = f"{signed[0].whose} is of {size} events, and the log has {self._last}"
            self.findings.report(last + 1, "beyond_head", detail)
        odd = self._connection.execute(_ODD_SUBTREES, [max(self._last, 0), PROBLEMS_MAX])
        for height, number in odd.fetchall():
            first = (max(number, 0) << max(height, 0)) + 1  # a number of thousands of digits, or 1
            self._report_subtree(height, number, min(first, self._last + 1))


def _end_of_run(rows: Sequence[Sequence[Any]], start: int) -> int:
    """Where the positions no longer follow each other."""
    if rows[-1][0] - rows[start][0] == len(rows) - 1 - start:
        return len(rows)
    end = start + 1
    while end < len(rows) and rows[end][0] == rows[end - 1][0] + 1:
        end += 1
    return end


def _ends_of_batches(first: int, recorded_us: list[int], intact: list[bool] | None) -> set[int]:
    """Positions after which the time changes, as far as both events are as recorded.

    Both lists begin with the event before `first`.
    """
    changes = map(ne, recorded_us, islice(recorded_us, 1, None))
    ends = [position for position, changed in enumerate(changes, first - 1) if changed]
    if intact is not None:
        ends = [p for p in ends if intact[p - first + 1] and intact[p - first + 2]]
    return {position for position in ends if position > 0}


def _value(connection: Connection[Any], query: str, value: int) -> Any:
    row = connection.execute(query.encode(), [value], binary=True).fetchone()
    return row[0] if row else None
