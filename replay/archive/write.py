"""Write: bring an archive up to the log, segment by segment.

A segment is staged in a folder of another name, flushed to disk, renamed, and then named in the
manifest, which is replaced as a whole. A kill at any point leaves the archive as it was after the
segment before; the next run clears away what was staged.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace
from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.eventstore.merkle import Frontier, leaf_hash
from ledger.eventstore.stored_hashes import StoredHashes
from ledger.faultpoints import faultpoint
from replay import log
from replay.archive import layout
from replay.archive.layout import (
    FORMAT,
    SCHEMA,
    ArchiveError,
    BucketFile,
    Manifest,
    Segment,
    bucket_of,
)
from replay.archive.owners import Owners
from replay.log import Raw

OnProgress = Callable[[int, int], None]
"""Events in the archive, events there will be."""

PAGE_EVENTS: Final = 2_000

_CHECKPOINT = """
SELECT size, root, note FROM ledger_checkpoints
WHERE size BETWEEN %s AND %s ORDER BY size DESC, signed_at DESC, key LIMIT 1
"""
_RECORDED_ROOT = "SELECT size, root FROM ledger_roots WHERE size >= %s ORDER BY size LIMIT 1"
_LEAVES = """
SELECT leaf FROM ledger_events
WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id
"""


def archive(
    conninfo: str,
    folder: Path,
    on_progress: OnProgress = lambda _done, _total: None,
    *,
    upto: int | None = None,
    buckets: int | None = None,
    segment_events: int | None = None,
) -> Manifest:
    """Add to the archive in `folder` what it lacks of the log, up to `upto` or the log's end.

    Args:
        conninfo: of the reader role.
        folder: made where there is none.
        upto: a position; at or before the archive's end there is nothing to do.
        buckets: into how many each segment is split; fixed when the archive is made.
        segment_events: where segments end, at multiples of it; fixed likewise.

    Raises:
        ArchiveError: the archive is of another log, the log is not as it was recorded, `upto` is
            beyond its end, or the archive was made with other numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with layout.alone(folder), log.snapshot(conninfo) as connection:
        manifest = _manifest(folder, buckets, segment_events)
        head = log.head(connection).position
        end = head if upto is None else upto
        if end > head:
            raise ArchiveError(f"The log ends at position {head}: there is no {end} yet.")
        _check_same_log(connection, manifest, head)
        _clear_away(folder, manifest)
        on_progress(min(manifest.position, end), end)
        layout.save(folder, manifest)
        for first, last in cuts(manifest.position, end, manifest.segment_events):
            segment = _Segment(connection, folder, manifest, first, last).written(
                lambda position: on_progress(position, end)
            )
            manifest = replace(manifest, segments=(*manifest.segments, segment))
            faultpoint("archive.before_manifest")
            layout.save(folder, manifest)
            faultpoint("archive.after_manifest")
    return manifest


def _manifest(folder: Path, buckets: int | None, segment_events: int | None) -> Manifest:
    if not (folder / layout.MANIFEST).exists():
        if any(not entry.name.startswith(layout.STAGED) for entry in folder.iterdir()):
            raise ArchiveError(f"{folder} holds something else: name a new or empty folder.")
        buckets = layout.BUCKETS if buckets is None else buckets
        if not 1 <= buckets <= layout.BUCKETS_MAX:
            raise ArchiveError(f"An archive has between 1 and {layout.BUCKETS_MAX} buckets.")
        return Manifest(
            format=FORMAT,
            buckets=buckets,
            segment_events=segment_events or layout.SEGMENT_EVENTS,
            segments=(),
        )
    manifest = layout.load(folder)
    for name, asked, fixed in (
        ("buckets", buckets, manifest.buckets),
        ("events a segment", segment_events, manifest.segment_events),
    ):
        if asked not in (None, fixed):
            raise ArchiveError(f"{folder} was made with {fixed} {name}, which stays so.")
    return manifest


def cuts(after: int, end: int, every: int) -> Iterator[tuple[int, int]]:
    """First and last positions of the segments to write."""
    while after < end:
        last = min(end, (after // every + 1) * every)
        yield after + 1, last
        after = last


def _check_same_log(connection: Connection[TupleRow], manifest: Manifest, head: int) -> None:
    size = manifest.position
    if size == 0:
        return
    if size > head or StoredHashes(connection).subtree(0, size).hex() != manifest.root:
        raise ArchiveError(
            f"The archive ends at position {size} with another root than this log has there: it is"
            " of another log, or one of the two was altered. Nothing was written; check them with"
            " `tallystick archive verify` and `tallystick verify`."
        )


def _clear_away(folder: Path, manifest: Manifest) -> None:
    """What a run left behind that was killed: staged, or in place and not in the manifest."""
    ours = {file.name.partition("/")[0] for s in manifest.segments for file in s.files}
    for entry in folder.iterdir():
        name = entry.name
        if name.startswith(layout.STAGED) and entry.is_file():
            entry.unlink()
        elif name.startswith(layout.STAGED) or _is_unnamed_segment(name, ours):
            shutil.rmtree(entry)


def _is_unnamed_segment(name: str, ours: set[str]) -> bool:
    first, dash, last = name.partition("-")
    return dash == "-" and first.isdigit() and last.isdigit() and name not in ours


class _Segment:
    """One segment while it is written."""

    def __init__(
        self,
        connection: Connection[TupleRow],
        folder: Path,
        manifest: Manifest,
        first: int,
        last: int,
    ) -> None:
        before = manifest.segments[-1].frontier if manifest.segments else ""
        self._connection = connection
        self._folder = folder
        self._name = layout.segment_name(first, last)
        self._staged = folder / f"{layout.STAGED}{self._name}"
        self._first, self._last = first, last
        self._frontier = Frontier(first - 1, bytes.fromhex(before))
        rows = layout.row_group_events(manifest.buckets)
        self._buckets = [_Bucket(self._staged, bucket, rows) for bucket in range(manifest.buckets)]
        self._checkpoint: str | None = None
        self._signed: tuple[int, bytes] | None = None

    def written(self, on_position: Callable[[int], None]) -> Segment:
        """Write it all, and give what the manifest says about it."""
        self._staged.mkdir()
        self._look_up_checkpoint()
        owners = Owners(self._connection)
        for page in log.pages(
            self._connection, after=self._first - 1, upto=self._last, page_events=PAGE_EVENTS
        ):
            self._check(page)
            self._deal_out(page, owners.of(page))
            on_position(page[-1].position)
            faultpoint("archive.page")
        if self._frontier.size != self._last:
            raise _not_as_recorded(self._frontier.size + 1, "is missing")
        self._check_root()
        files = tuple(_closed(bucket, self._name) for bucket in self._buckets if bucket.events)
        layout.sync_folder(self._staged)
        faultpoint("archive.before_rename")
        self._staged.rename(self._folder / self._name)
        layout.sync_folder(self._folder)
        return Segment(
            first=self._first,
            last=self._last,
            events=self._last - self._first + 1,
            root=self._frontier.root().hex(),
            frontier=self._frontier.pack().hex(),
            checkpoint=self._checkpoint,
            files=files,
        )

    def _look_up_checkpoint(self) -> None:
        span = [self._first, self._last]
        signed = self._connection.execute(_CHECKPOINT, span, binary=True).fetchone()
        if signed is not None:
            size, root, self._checkpoint = signed
            self._signed = size, root

    def _check_root(self) -> None:
        """The tree so far is a beginning of the one whose root is recorded next."""
        end = self._frontier.size
        recorded = self._connection.execute(_RECORDED_ROOT, [end], binary=True).fetchone()
        size, root = recorded or (end, b"")
        grown = self._frontier.copy()
        leaves = self._connection.execute(_LEAVES, [end, size], binary=True)
        grown.extend(leaf for (leaf,) in leaves)
        if grown.size != size or grown.root() != root:
            raise _not_as_recorded(size, "has another root than was recorded")

    def _check(self, page: list[Raw]) -> None:
        """An archive is only made of what was recorded."""
        frontier, signed = self._frontier, self._signed
        for raw in page:
            if raw.position != frontier.size + 1:
                raise _not_as_recorded(frontier.size + 1, "is missing")
            if raw.leaf != leaf_hash(
                raw.position,
                raw.stream,
                raw.version,
                raw.topic.encode(),
                log.recorded_at_us(raw.recorded),
                raw.state,
            ):
                raise _not_as_recorded(raw.position, "was altered")
            frontier.append(raw.leaf)
            if signed and raw.position == signed[0] and frontier.root() != signed[1]:
                raise _not_as_recorded(raw.position, "has another root than was signed")

    def _deal_out(self, page: list[Raw], owners: list[bytes]) -> None:
        buckets, count = self._buckets, len(self._buckets)
        for raw, owner in zip(page, owners, strict=True):
            buckets[bucket_of(owner, count)].add(raw, owner)


def _not_as_recorded(position: int, what: str) -> ArchiveError:
    return ArchiveError(
        f"Position {position} {what}: `tallystick verify` says more. The archive was left as it was"
        " after its last whole segment."
    )


class _Bucket:
    """One file while it is written."""

    def __init__(self, folder: Path, bucket: int, rows_max: int) -> None:
        self.bucket = bucket
        self.events = 0
        self.path = folder / layout.file_name(bucket)
        self._rows: list[tuple[Raw, bytes]] = []
        self._rows_max = rows_max
        self._writer: pq.ParquetWriter | None = None

    def add(self, raw: Raw, owner: bytes) -> None:
        self._rows.append((raw, owner))
        self.events += 1
        if len(self._rows) == self._rows_max:
            self._flush()

    def close(self) -> None:
        """Have the whole file on disk."""
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def _flush(self) -> None:
        """The rows so far as a row group. What is fixed here is what makes the bytes the same."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.path,
                SCHEMA,
                version="2.6",
                data_page_version="2.0",
                compression="zstd",
                compression_level=3,
                use_dictionary=["stream", "topic", "owner"],
                write_statistics=["position"],
                store_schema=False,
                write_page_checksum=True,
            )
        self._writer.write_table(_table(self._rows), row_group_size=self._rows_max)
        self._rows = []


def _table(rows: list[tuple[Raw, bytes]]) -> pa.Table:
    raws = [raw for raw, _ in rows]
    columns: tuple[list[object], ...] = (
        [raw.position for raw in raws],
        [raw.stream for raw in raws],
        [raw.version for raw in raws],
        [raw.topic for raw in raws],
        [log.recorded_at_us(raw.recorded) for raw in raws],
        [raw.state for raw in raws],
        [raw.leaf for raw in raws],
        [owner for _, owner in rows],
    )
    arrays = [pa.array(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _closed(bucket: _Bucket, segment: str) -> BucketFile:
    bucket.close()
    with bucket.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BucketFile(
        bucket=bucket.bucket,
        name=f"{segment}/{bucket.path.name}",
        events=bucket.events,
        bytes=bucket.path.stat().st_size,
        sha256=digest,
    )
