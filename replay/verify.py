"""Verify: is the log as it was written, and does everything else follow from it?

Recomputes every leaf, the root after every batch, every balance and every read model from the
stored bytes, and compares. One snapshot, one pass; memory grows with the number of accounts,
counters and rows in the read models, not with the log.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.accounts import currency_of, floor_minor
from domain.counters import counts
from domain.events import LedgerEvent
from domain.postings import postings
from projections import compare
from projections.read_model import ReadModel, Recorded, Rows
from projections.tables import NotInstalled
from replay import log
from replay.log import Head, Stored
from replay.streams import check_streams
from tallystick.eventstore.codec import UnreadableEvent, decode, encode
from tallystick.eventstore.merkle import Frontier, leaf_hash

PROBLEMS_MAX = 100
"""The rest are counted, not listed."""

PROGRESS_EVENTS = 5_000

OF_THE_LOG = frozenset(
    {
        "gap",
        "before_first",
        "altered",
        "time_runs_back",
        "unreadable",
        "not_canonical",
        "root_differs",
        "root_missing",
        "head_differs",
        "missing",
        "beyond_head",
        "ahead_of_log",
    }
)
"""Problems of the log itself. Every other may be a consequence of one of these."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_ROOTS = "SELECT size, root FROM ledger_roots ORDER BY size"
_ACCOUNTS = "SELECT account, balance, floor, position FROM ledger_accounts"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be."""

    position: int
    code: str
    detail: str


@dataclass(slots=True)
class Verification:
    """What was found."""

    events: int = 0
    position: int = 0
    root: str = ""
    problems: list[Problem] = field(default_factory=list)
    problems_found: int = 0
    elapsed_s: float = 0.0
    _first_in_log: int | None = None
    _first_elsewhere: int | None = None

    @property
    def ok(self) -> bool:
        return self.problems_found == 0

    @property
    def first_bad_position(self) -> int | None:
        """Where the log is damaged; where it is not, the first place at which anything differs."""
        return self._first_elsewhere if self._first_in_log is None else self._first_in_log

    def report(self, position: int, code: str, detail: str) -> None:
        self.problems_found += 1
        if code in OF_THE_LOG:
            self._first_in_log = _earlier(self._first_in_log, position)
        else:
            self._first_elsewhere = _earlier(self._first_elsewhere, position)
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(position, code, detail))


def _earlier(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


Progress = Callable[[int, int], None]
"""Events checked, events in all."""


def verify(
    conninfo: str,
    models: Sequence[ReadModel],
    on_progress: Progress = lambda _done, _total: None,
) -> Verification:
    """Check the whole ledger. `conninfo` is of the reader role."""
    began = monotonic()
    found = Verification()
    with log.snapshot(conninfo) as connection:
        head = log.head(connection)
        found.position, found.root = head.position, head.root.hex()
        pass_ = _Pass(found, connection, models, head)
        for stored in log.stored_events(connection):
            pass_.check(stored)
            if found.events % PROGRESS_EVENTS == 0:
                on_progress(found.events, head.position)
        pass_.finish()
        check_streams(connection, found.report, PROBLEMS_MAX)
        on_progress(found.events, head.position)
    found.problems.sort(key=lambda problem: problem.position)
    found.elapsed_s = round(monotonic() - began, 3)
    return found


class _Pass:
    """One pass over the log, with all that is recomputed on the way."""

    def __init__(
        self,
        found: Verification,
        connection: Connection[TupleRow],
        models: Sequence[ReadModel],
        head: Head,
    ) -> None:
        self._found = found
        self._connection = connection
        self._head = head
        self._frontiers = [Frontier()]
        self._roots = _roots(connection)
        self._root: tuple[int, bytes] | None = next(self._roots, None)
        self._batch_starts_at = 1
        self._chain_is_broken = False
        self._last = 0
        self._last_is_intact = True
        self._recorded_at = _EPOCH
        self._balances: Counter[str] = Counter()
        """Of accounts, and of counters beside them."""
        self._moved_at: dict[str, int] = {}
        self._refolded = [_Refolded(connection, model, head.position) for model in models]

    def check(self, stored: Stored) -> None:
        """Everything that can be said about one event."""
        found = self._found
        found.events += 1
        if stored.position < 1:
            found.report(stored.position, "before_first", "the log begins at position 1")
            return
        if stored.position != self._last + 1:
            found.report(self._last + 1, "gap", f"the log goes on at position {stored.position}")
            self._chain_is_broken = True
        self._check_leaf(stored)
        if stored.recorded_at < self._recorded_at:
            found.report(stored.position, "time_runs_back", "recorded before the event it follows")
        self._last, self._recorded_at = stored.position, stored.recorded_at
        event = self._decoded(stored)
        if event is not None:
            self._post(stored.position, event)
            recorded = Recorded(
                position=stored.position, recorded_at=stored.recorded_at, event=event
            )
            for refolded in self._refolded:
                refolded.take(recorded)

    def _check_leaf(self, stored: Stored) -> None:
        leaf = _leaf_of(stored)
        intact = leaf == stored.leaf
        if not intact:
            detail = f"{stored.topic} in stream {stored.stream} is not what was recorded"
            self._found.report(stored.position, "altered", detail)
            self._tell_apart()
        elif self._last_is_intact and stored.recorded_at != self._recorded_at:
            self._check_batch_ended(self._last)
        self._last_is_intact = intact
        for frontier, each in zip(self._frontiers, (leaf, stored.leaf), strict=False):
            frontier.append(each)
        while self._root is not None and self._root[0] <= stored.position:
            self._check_root(*self._root)

    def _tell_apart(self) -> None:
        """From here on follow both what is stored and what it was recorded as.

        The recorded roots then tell whether the event or its leaf was altered, and that
        everything around it was not.
        """
        if len(self._frontiers) == 1:
            self._frontiers.append(self._frontiers[0].copy())

    def _check_batch_ended(self, position: int) -> None:
        """A batch has one time and one root: where the time changes there must be a root."""
        if self._batch_starts_at <= position and not self._chain_is_broken:
            detail = f"no root is recorded after position {position}"
            self._found.report(self._batch_starts_at, "root_missing", detail)
            self._batch_starts_at = position + 1

    def _check_root(self, size: int, root: bytes) -> None:
        """After a batch. Once a root differs all later ones do, and say nothing new."""
        if not self._chain_is_broken and not self._is_root(size, root):
            detail = f"the root after position {size} is not the one recorded with the batch"
            self._found.report(self._batch_starts_at, "root_differs", detail)
            self._chain_is_broken = True
        self._batch_starts_at = size + 1
        self._root = next(self._roots, None)

    def _is_root(self, size: int, root: bytes) -> bool:
        return any(
            frontier.size == size and frontier.root() == root for frontier in self._frontiers
        )

    def _decoded(self, stored: Stored) -> LedgerEvent | None:
        try:
            event = decode(stored.topic, stored.state, stored.stream, stored.version)
        except UnreadableEvent as error:
            self._found.report(stored.position, "unreadable", str(error))
            return None
        if not _is_canonical(event, stored.state):
            self._found.report(stored.position, "not_canonical", "the bytes are not canonical")
        return event

    def _post(self, position: int, event: LedgerEvent) -> None:
        sums: Counter[str] = Counter()
        try:
            moved = postings(event)
        except Exception as error:  # noqa: BLE001  (an event that cannot be posted is a finding)
            self._found.report(position, "unpostable", f"{type(event).__name__}: {error}")
            return
        for posting in moved:
            self._balances[posting.account] += posting.amount_minor
            self._moved_at[posting.account] = position
            sums[currency_of(posting.account)] += posting.amount_minor
        for count in counts(event):
            self._balances[count.counter] += count.change
            self._moved_at[count.counter] = position
        for currency, total in sums.items():
            if total:
                self._found.report(position, "unbalanced", f"{currency} sums to {total}, not 0")
        for posting in moved:
            floor = floor_minor(posting.account)
            if floor is not None and self._balances[posting.account] < floor:
                balance = self._balances[posting.account]
                self._found.report(position, "below_floor", f"{posting.account} is at {balance}")

    def finish(self) -> None:
        """What can only be compared at the end: the head, the accounts, the read models."""
        found, head, last = self._found, self._head, self._last
        if last < head.position:
            detail = f"the head is at {head.position}, the log ends at {last}"
            found.report(last + 1, "missing", detail)
        elif last > head.position:
            detail = f"the log goes on after the head, to {last}"
            found.report(head.position + 1, "beyond_head", detail)
        elif not self._chain_is_broken:
            self._check_head()
        if self._root is not None and self._root[0] > last:
            found.report(self._root[0], "beyond_head", "a root is recorded beyond the log")
        self._compare_accounts()
        for refolded in self._refolded:
            refolded.compare(self._connection, found)

    def _check_head(self) -> None:
        """The head row is of the last batch, and the next one can go on from it."""
        found, head = self._found, self._head
        if not self._is_root(head.position, head.root):
            found.report(self._batch_starts_at, "root_differs", "the head has another root")
        self._check_batch_ended(head.position)
        if head.frontier not in [frontier.pack() for frontier in self._frontiers]:
            found.report(head.position, "head_differs", "the head's frontier is not the log's")
        if self._last_is_intact and head.recorded_at != self._recorded_at:
            found.report(head.position, "head_differs", "the head has another time")

    def _compare_accounts(self) -> None:
        expected = dict(self._balances)
        for account, balance, floor, position in self._connection.execute(_ACCOUNTS):
            if position > self._head.position:
                detail = f"{account} was moved at {position}, the head is at {self._head.position}"
                self._found.report(self._head.position + 1, "ahead_of_log", detail)
            computed = expected.pop(account, 0)
            if balance != computed:
                detail = f"{account} is stored as {balance}, the log says {computed}"
                self._found.report(position, "balance_differs", detail)
            if floor != floor_minor(account):
                detail = f"{account} has the floor {floor}, not {floor_minor(account)}"
                self._found.report(position, "floor_differs", detail)
        for account, computed in expected.items():
            detail = f"{account} is not stored, the log says {computed}"
            self._found.report(self._moved_at[account], "balance_differs", detail)


def _leaf_of(stored: Stored) -> bytes:
    try:
        return leaf_hash(
            stored.position,
            stored.stream.bytes,
            stored.version,
            stored.topic.encode(),
            (stored.recorded_at - _EPOCH) // _MICROSECOND,
            stored.state,
        )
    except struct.error:  # no stored event has such a version: it has no leaf
        return b""


def _is_canonical(event: LedgerEvent, state: bytes) -> bool:
    try:
        return encode(event) == state
    except ValueError:  # a text that cannot be encoded
        return False


class _Refolded:
    """One read model, folded again as far as its tables have followed the log."""

    def __init__(
        self, connection: Connection[TupleRow], model: ReadModel, head_position: int
    ) -> None:
        self._model = model
        self._head_position = head_position
        self._checkpoint: int | None
        try:
            self._checkpoint = compare.checkpoint(connection, model)
        except NotInstalled:
            self._checkpoint = None
        self._rows = Rows()
        self._failed_at: int | None = None

    def take(self, recorded: Recorded) -> None:
        if self._checkpoint is None or self._failed_at is not None:
            return
        if recorded.position > self._checkpoint:
            return
        try:
            self._model.apply(self._rows, recorded)
        except Exception:  # noqa: BLE001  (an event that no fold can take is a finding)
            self._failed_at = recorded.position

    def compare(self, connection: Connection[TupleRow], found: Verification) -> None:
        name = self._model.name
        if self._checkpoint is None:
            if self._head_position:  # before the first event there may be no tables yet
                found.report(self._head_position, "read_model_missing", f"{name}: no checkpoint")
            return
        if self._checkpoint > self._head_position:
            detail = f"{name} has followed the log to {self._checkpoint}"
            found.report(self._head_position + 1, "ahead_of_log", detail)
        if self._failed_at is not None:
            found.report(self._failed_at, "unfoldable", f"{name} cannot take this event")
            return
        for difference in compare.compare(connection, self._model, self._rows, PROBLEMS_MAX):
            row = difference.expected or difference.found
            position = getattr(row, "position", self._checkpoint)
            detail = f"{name}: {difference.table} {difference.key} is not what the log says"
            found.report(position, "read_model_differs", detail)


def _roots(connection: Connection[TupleRow]) -> Iterator[tuple[int, bytes]]:
    with connection.cursor(name="roots", binary=True) as cursor:
        cursor.itersize = 5_000
        cursor.execute(_ROOTS)
        yield from cursor
