"""What an archive is made of: a folder of Parquet files, and a manifest that names them.

    manifest.json
    000000000001-000000250000/bucket-00.parquet … bucket-15.parquet
    000000250001-000000412345/…

A folder is a segment: the events from one position to another, split by owner. A file belongs to
the archive once the manifest names it, and from then on it never changes.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec
import pyarrow as pa

FORMAT: Final = 1
BUCKETS: Final = 16
BUCKETS_MAX: Final = 256
SEGMENT_EVENTS: Final = 250_000
"""Segments end at multiples of this, and where a run of `archive write` ended."""

ROW_GROUP_EVENTS_MAX: Final = 4_096
AT_ONCE_EVENTS: Final = 65_536
"""In memory while an archive is written or verified: a row group of each bucket."""

MANIFEST: Final = "manifest.json"
STAGED: Final = ".staged-"
"""How the names of folders begin that are being written."""

SCHEMA: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("stream", pa.binary(16), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("state", pa.binary(), nullable=False),
        pa.field("leaf", pa.binary(32), nullable=False),
        pa.field("owner", pa.binary(16), nullable=False),
    ]
)


class ArchiveError(Exception):
    """What is wrong with an archive, or with what was asked of it, and what to do."""


class ArchiveBusy(ArchiveError):
    """Another process is writing to the archive."""


class BucketFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a segment: the events of the owners that belong to one bucket."""

    bucket: int
    name: str
    """Below the archive's folder."""
    events: int
    bytes: int
    sha256: str


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """The events from `first` to `last`, both included."""

    first: int
    last: int
    events: int
    root: str
    """Of the tree over everything up to `last`, in hexadecimal."""
    frontier: str
    """What the next segment's root is computed from, in hexadecimal; see `merkle.Frontier`."""
    checkpoint: str | None
    """The note of the newest signed checkpoint whose size is within the segment."""
    files: tuple[BucketFile, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to an archive."""

    format: int
    buckets: int
    segment_events: int
    segments: tuple[Segment, ...]
    sha256: str = ""
    """Of the rest, once it is saved."""

    @property
    def position(self) -> int:
        """Where the archive ends; 0 if it is empty."""
        return self.segments[-1].last if self.segments else 0

    @property
    def root(self) -> str:
        """Of the tree over everything in it, in hexadecimal; empty if nothing is."""
        return self.segments[-1].root if self.segments else ""

    def files(self, bucket: int, upto: int) -> list[BucketFile]:
        """The files of a bucket that begin at or before a position, in order."""
        return [
            file
            for segment in self.segments
            if segment.first <= upto
            for file in segment.files
            if file.bucket == bucket
        ]


def bucket_of(owner: bytes, buckets: int) -> int:
    """The bucket of an owner's events: CRC-32 of its 16 bytes, modulo their number."""
    return crc32(owner) % buckets


def row_group_events(buckets: int) -> int:
    """How many events of a bucket are written and read at once."""
    return min(ROW_GROUP_EVENTS_MAX, AT_ONCE_EVENTS // buckets)


def segment_name(first: int, last: int) -> str:
    """The folder of a segment; names sort as positions do."""
    return f"{first:012}-{last:012}"


def file_name(bucket: int) -> str:
    """The file of a bucket within its segment."""
    return f"bucket-{bucket:02}.parquet"


def load(folder: Path) -> Manifest:
    """The manifest of the archive in `folder`.

    Raises:
        ArchiveError: there is none, or it is none of ours.
    """
    path = folder / MANIFEST
    try:
        stored = path.read_bytes()
        manifest = msgspec.json.decode(stored, type=Manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArchiveError(
            f"There is no archive in {folder}: make one with `tallystick archive write`."
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path} is not the manifest of an archive: {error}") from error
    if manifest.format != FORMAT:
        raise ArchiveError(f"{path} has format {manifest.format}; this release reads {FORMAT}.")
    if stored != _encoded(manifest):
        raise ArchiveError(f"{path} is not as it was written: take it from another copy.")
    return manifest


def save(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest, all or nothing, and have it on disk."""
    staged = folder / f"{STAGED}{MANIFEST}"
    with staged.open("wb") as file:
        file.write(_encoded(manifest))
        file.flush()
        os.fsync(file.fileno())
    staged.replace(folder / MANIFEST)
    sync_folder(folder)


def _encoded(manifest: Manifest) -> bytes:
    """With a digest of itself, so that it can be told whether a byte of it has changed."""
    bare = msgspec.structs.replace(manifest, sha256="")
    digest = sha256(msgspec.json.encode(bare)).hexdigest()
    told = msgspec.json.encode(msgspec.structs.replace(bare, sha256=digest))
    return msgspec.json.format(told, indent=1) + b"\n"


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the archive against other writers on this machine.

    Raises:
        ArchiveBusy: another one writes to it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveBusy(f"Another process is writing to {folder}: wait for it.") from error
        yield
    finally:
        os.close(descriptor)
