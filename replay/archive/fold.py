"""Folding one bucket: read models whose rows belong to one owner, and what was posted and counted.

Pure: the same files give the same result wherever and however often it runs.
"""

import gc
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import reduce
from hashlib import sha256
from operator import and_
from pathlib import Path
from socket import gethostname
from typing import Any, Final

import msgspec

from domain.accounts import currency_of
from domain.counters import counts
from domain.events import EVENT_TYPES, LedgerEvent
from domain.postings import postings
from ledger.eventstore.codec import TOPICS, UnreadableEvent, decode_stored
from projections.engine.read_model import ReadModel, Recorded, Row, Rows, types_ignored
from projections.history.history import HISTORY
from projections.journal.journal import JOURNAL
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE
from replay.archive import layout, read
from replay.archive.layout import ArchiveError
from replay.progress import peak_memory_mb

BUCKET_LOCAL: Final[Mapping[str, ReadModel]] = {
    model.name: model for model in (HISTORY, WITHDRAWAL_QUEUE)
}
"""Read models whose every row follows from events of one owner; see decision 18."""

_POSTS_NOTHING = types_ignored(JOURNAL)
_COUNTS_NOTHING = frozenset(
    cls for cls in EVENT_TYPES if "counts" not in {field.name for field in fields(cls)}
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ("position", "stream", "version", "topic", "recorded_at", "state")
_canonical = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What one bucket comes to."""

    bucket: int
    events: int
    rows: Mapping[str, int]
    """By read model."""
    digests: Mapping[str, str]
    """By read model, in hexadecimal; see `Digest`."""
    balances: Mapping[str, int]
    """What this bucket's events add to each account, in minor units, and to each counter."""
    moved_minor: Mapping[str, int]
    """What was posted to any account's credit, by currency."""
    net_minor: Mapping[str, int]
    """What was posted to all accounts, by currency: 0, or something has only one side."""
    worker: str
    """Which process: its id, and the machine's name."""
    peak_memory_mb: float


class Digest:
    """SHA-256 of rows in the order of their keys, each as canonical JSON and a line feed.

    Canonical: members sorted, no white space, instants in UTC, UUIDs in lower case.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._hash = sha256()

    def add(self, row: Row) -> None:
        self._hash.update(_canonical.encode(row) + b"\n")
        self.rows += 1

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def fold_bucket(folder: Path, models: Collection[str], upto: int, bucket: int) -> Bucket:
    """Fold the events of a bucket up to a position.

    Args:
        folder: of the archive.
        models: names out of `BUCKET_LOCAL`.
        upto: a position, included.
        bucket: which.

    Raises:
        ArchiveError: a file cannot be read, or an event cannot be folded.
    """
    with seldom_collected():
        folding = _Folding([BUCKET_LOCAL[name] for name in sorted(models)])
        for columns in columns_of(folder, bucket, upto):
            folding.take(columns)
        return folding.result(bucket)


class _Folding:
    def __init__(self, models: list[ReadModel]) -> None:
        self._models = [(model, Rows()) for model in models]
        self._applied = [(model.apply, rows) for model, rows in self._models]
        self._skipped = topics_of(
            _POSTS_NOTHING & _COUNTS_NOTHING & _ignored_by_all(model for model, _ in self._models)
        )
        self._balances: Counter[str] = Counter()
        self._moved: Counter[str] = Counter()
        self._net: Counter[str] = Counter()
        self._events = 0

    def take(self, columns: list[list[Any]]) -> None:
        """Events that follow each other within the bucket."""
        self._events += len(columns[0])
        for recorded in decoded(columns, self._skipped):
            try:
                for apply, rows in self._applied:
                    apply(rows, recorded)
                self._post(recorded.event)
            except Exception as error:
                told = f"Position {recorded.position} cannot be folded: {error}"
                raise ArchiveError(told) from error

    def _post(self, event: LedgerEvent) -> None:
        if type(event) not in _POSTS_NOTHING:
            for posting in postings(event):
                currency, amount_minor = currency_of(posting.account), posting.amount_minor
                self._balances[posting.account] += amount_minor
                self._net[currency] += amount_minor
                self._moved[currency] += max(amount_minor, 0)
        for count in counts(event):
            self._balances[count.counter] += count.change

    def result(self, bucket: int) -> Bucket:
        digests = {model.name: _digest(model, rows) for model, rows in self._models}
        return Bucket(
            bucket=bucket,
            events=self._events,
            rows={name: digest.rows for name, digest in digests.items()},
            digests={name: digest.hexdigest() for name, digest in digests.items()},
            balances={name: balance for name, balance in self._balances.items() if balance},
            moved_minor=dict(self._moved),
            net_minor=dict(self._net),
            worker=f"{os.getpid()}@{gethostname()}",
            peak_memory_mb=peak_memory_mb(),
        )


def _digest(model: ReadModel, rows: Rows) -> Digest:
    digest = Digest()
    for table in model.tables:
        kept = rows[table]
        for key in sorted(kept):
            digest.add(kept[key])
    return digest


def columns_of(folder: Path, bucket: int, upto: int) -> Iterator[list[list[Any]]]:
    """The columns of a bucket's events up to a position, as many at once as a row group has."""
    for file in layout.load(folder).files(bucket, upto):
        for columns in read.row_groups(read.as_written(folder, file), COLUMNS):
            if columns[0][-1] <= upto:
                yield columns
            elif wanted := bisect_right(columns[0], upto):
                yield [column[:wanted] for column in columns]


def decoded(columns: list[list[Any]], skipped: Collection[str] = ()) -> Iterator[Recorded]:
    """The events of `COLUMNS`, without those of topics that nothing follows from.

    Raises:
        ArchiveError: an event cannot be decoded.
    """
    last_us, at = 0, _EPOCH
    for position, stream, version, topic, recorded_at_us, state in zip(*columns, strict=True):
        if topic in skipped:
            continue
        if recorded_at_us != last_us:  # a batch has one time
            last_us, at = recorded_at_us, _EPOCH + timedelta(microseconds=recorded_at_us)
        try:
            event = decode_stored(topic, state, stream, version)
        except UnreadableEvent as error:
            raise ArchiveError(f"Position {position} cannot be read: {error}") from error
        yield Recorded(position=position, recorded_at=at, event=event)


def topics_of(types: Iterable[type[LedgerEvent]]) -> frozenset[str]:
    """What events of these types are stored as."""
    return frozenset(TOPICS[cls] for cls in types)


def _ignored_by_all(models: Iterable[ReadModel]) -> frozenset[type[LedgerEvent]]:
    return reduce(and_, map(types_ignored, models), frozenset(EVENT_TYPES))


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Rows are many and hold no cycles: looking for some among them takes a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
