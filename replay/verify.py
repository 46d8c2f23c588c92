"""Verify: is the log as it was written, and does everything else follow from it?

Recomputes every leaf, the root after every batch, every balance and every read model from the
stored bytes, and compares. One snapshot, one pass; memory grows with the number of accounts and
of rows in the read models, not with the log.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.accounts import currency_of, floor_minor
from domain.events import LedgerEvent
from domain.postings import postings
from projections import compare
from projections.read_model import ReadModel, Recorded, Rows
from replay import log
from replay.log import Stored
from tallystick.eventstore.codec import UnreadableEvent, decode, encode
from tallystick.eventstore.merkle import Frontier, leaf_hash

PROBLEMS_MAX = 100
"""The rest are counted, not listed."""

PROGRESS_EVENTS = 5_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_ROOTS = "SELECT size, root FROM ledger_roots ORDER BY size"
_ACCOUNTS = "SELECT account, balance, floor, position FROM ledger_accounts"
_POSTED_ONCE = ("DepositCompleted", "WithdrawalPaid", "WithdrawalReturned", "TransactionResolved")
_STREAMS_WITH_HOLES = """
SELECT notification_id, originator_id, originator_version, number FROM (
    SELECT notification_id, originator_id, originator_version,
           row_number() OVER (PARTITION BY originator_id ORDER BY originator_version) AS number
    FROM ledger_events
) AS numbered
WHERE originator_version <> number ORDER BY notification_id LIMIT %s
"""
_POSTED_TWICE = """
SELECT max(notification_id), originator_id, topic, count(*) FROM ledger_events
WHERE topic = ANY(%s) GROUP BY originator_id, topic HAVING count(*) > 1 LIMIT %s
"""


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

    @property
    def ok(self) -> bool:
        return self.problems_found == 0

    @property
    def first_bad_position(self) -> int | None:
        return min((p.position for p in self.problems), default=None)

    def report(self, position: int, code: str, detail: str) -> None:
        self.problems_found += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(position, code, detail))


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
        position, root = log.head(connection)
        found.position, found.root = position, root.hex()
        pass_ = _Pass(found, connection, models)
        for stored in log.stored_events(connection, upto=max(position, _last(connection))):
            pass_.check(stored)
            if found.events % PROGRESS_EVENTS == 0:
                on_progress(found.events, position)
        pass_.finish(position, root)
        _check_streams(connection, found)
        on_progress(found.events, position)
    found.problems.sort(key=lambda problem: problem.position)
    found.elapsed_s = round(monotonic() - began, 3)
    return found


class _Pass:
    """One pass over the log, with all that is recomputed on the way."""

    def __init__(
        self, found: Verification, connection: Connection[TupleRow], models: Sequence[ReadModel]
    ) -> None:
        self._found = found
        self._connection = connection
        self._frontier = Frontier()
        self._roots = _roots(connection)
        self._root: tuple[int, bytes] | None = next(self._roots, None)
        self._batch_starts_at = 1
        self._chain_is_broken = False
        self._recorded_at = _EPOCH
        self._balances: Counter[str] = Counter()
        self._moved_at: dict[str, int] = {}
        self._refolded = [_Refolded(connection, model) for model in models]

    def check(self, stored: Stored) -> None:
        """Everything that can be said about one event."""
        found, expected = self._found, self._frontier.size + 1
        if stored.position != expected:
            found.report(expected, "gap", f"the log goes on at position {stored.position}")
            self._chain_is_broken = True
        found.events += 1
        self._check_leaf(stored)
        if stored.recorded_at < self._recorded_at:
            found.report(stored.position, "time_runs_back", "recorded before the event it follows")
        self._recorded_at = stored.recorded_at
        event = self._decoded(stored)
        if event is not None:
            self._post(stored.position, event)
            recorded = Recorded(
                position=stored.position, recorded_at=stored.recorded_at, event=event
            )
            for refolded in self._refolded:
                refolded.take(recorded)

    def _check_leaf(self, stored: Stored) -> None:
        leaf = leaf_hash(
            stored.position,
            stored.stream.bytes,
            stored.version,
            stored.topic.encode(),
            (stored.recorded_at - _EPOCH) // _MICROSECOND,
            stored.state,
        )
        if leaf != stored.leaf:
            detail = f"{stored.topic} in stream {stored.stream} is not what was recorded"
            self._found.report(stored.position, "altered", detail)
        self._frontier.append(leaf)
        while self._root is not None and self._root[0] <= self._frontier.size:
            self._check_root(*self._root)

    def _check_root(self, size: int, root: bytes) -> None:
        """After a batch. Once a root differs all later ones do, and say nothing new."""
        differs = size != self._frontier.size or root != self._frontier.root()
        if differs and not self._chain_is_broken:
            detail = f"the root after position {size} is not the one recorded with the batch"
            self._found.report(self._batch_starts_at, "root_differs", detail)
            self._chain_is_broken = True
        self._batch_starts_at = size + 1
        self._root = next(self._roots, None)

    def _decoded(self, stored: Stored) -> LedgerEvent | None:
        try:
            event = decode(stored.topic, stored.state, stored.stream, stored.version)
        except UnreadableEvent as error:
            self._found.report(stored.position, "unreadable", str(error))
            return None
        if encode(event) != stored.state:
            self._found.report(stored.position, "not_canonical", "the bytes are not canonical")
        return event

    def _post(self, position: int, event: LedgerEvent) -> None:
        sums: Counter[str] = Counter()
        moved = postings(event)
        for posting in moved:
            self._balances[posting.account] += posting.amount_minor
            self._moved_at[posting.account] = position
            sums[currency_of(posting.account)] += posting.amount_minor
        for currency, total in sums.items():
            if total:
                self._found.report(position, "unbalanced", f"{currency} sums to {total}, not 0")
        for posting in moved:
            floor = floor_minor(posting.account)
            if floor is not None and self._balances[posting.account] < floor:
                balance = self._balances[posting.account]
                self._found.report(position, "below_floor", f"{posting.account} is at {balance}")

    def finish(self, position: int, root: bytes) -> None:
        """What can only be compared at the end: the head, the accounts, the read models."""
        found, size = self._found, self._frontier.size
        if size < position:
            found.report(size + 1, "missing", f"the head is at {position}, the log ends at {size}")
        elif size > position:
            found.report(position + 1, "beyond_head", f"the log goes on after the head, to {size}")
        elif self._frontier.root() != root and not self._chain_is_broken:
            found.report(self._batch_starts_at, "root_differs", "the head has another root")
        if self._root is not None and self._root[0] > position:
            found.report(self._root[0], "beyond_head", "a root is recorded beyond the head")
        self._compare_accounts()
        for refolded in self._refolded:
            refolded.compare(self._connection, found)

    def _compare_accounts(self) -> None:
        expected = dict(self._balances)
        for account, balance, floor, position in self._connection.execute(_ACCOUNTS):
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


class _Refolded:
    """One read model, folded again as far as its tables have followed the log."""

    def __init__(self, connection: Connection[TupleRow], model: ReadModel) -> None:
        self._model = model
        self._checkpoint = compare.checkpoint(connection, model)
        self._rows = Rows()
        self._failed_at: int | None = None

    def take(self, recorded: Recorded) -> None:
        if recorded.position > self._checkpoint or self._failed_at is not None:
            return
        try:
            self._model.apply(self._rows, recorded)
        except Exception:  # noqa: BLE001  (an event that no fold can take is a finding)
            self._failed_at = recorded.position

    def compare(self, connection: Connection[TupleRow], found: Verification) -> None:
        name = self._model.name
        if self._failed_at is not None:
            found.report(self._failed_at, "unfoldable", f"{name} cannot take this event")
            return
        for difference in compare.compare(connection, self._model, self._rows, PROBLEMS_MAX):
            row = difference.expected or difference.found
            position = getattr(row, "position", self._checkpoint)
            detail = f"{name}: {difference.table} {difference.key} is not what the log says"
            found.report(position, "read_model_differs", detail)


def _check_streams(connection: Connection[TupleRow], found: Verification) -> None:
    """Versions of a stream are 1, 2, 3 …; nothing is posted twice for one transaction."""
    for position, stream, version, number in connection.execute(
        _STREAMS_WITH_HOLES, [PROBLEMS_MAX]
    ):
        detail = f"stream {stream} has version {version} where {number} belongs"
        found.report(position, "stream_has_hole", detail)
    for position, stream, topic, count in connection.execute(
        _POSTED_TWICE, [list(_POSTED_ONCE), PROBLEMS_MAX]
    ):
        found.report(position, "posted_twice", f"{topic} is {count} times in stream {stream}")


def _last(connection: Connection[TupleRow]) -> int:
    row = connection.execute(
        "SELECT coalesce(max(notification_id), 0) FROM ledger_events"
    ).fetchone()
    return row[0] if row else 0


def _roots(connection: Connection[TupleRow]) -> Iterator[tuple[int, bytes]]:
    with connection.cursor(name="roots", binary=True) as cursor:
        cursor.itersize = 5_000
        cursor.execute(_ROOTS)
        yield from cursor
