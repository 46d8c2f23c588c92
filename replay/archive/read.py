"""Reading an archive: one row group at a time, so memory does not grow with it."""

from collections.abc import Callable, Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from replay.archive.layout import SCHEMA, ArchiveError, BucketFile

ALL: Final = tuple(SCHEMA.names)

_TOPIC: Final = SCHEMA.get_field_index("topic")
_AS_READ: Final = SCHEMA.set(
    _TOPIC, SCHEMA.field(_TOPIC).with_type(pa.dictionary(pa.int32(), pa.string()))
)


RowGroups = Callable[[Path, tuple[str, ...]], Iterator[list[list[Any]]]]
"""Gives some columns of a file: `row_groups`, or the same of an `apart.Reader`."""


class Archived(NamedTuple):
    """One event of an archive."""

    position: int
    stream: bytes
    """16 bytes: `UUID(bytes=…)`."""
    version: int
    topic: str
    recorded_at_us: int
    """Microseconds since 1970."""
    state: bytes
    leaf: bytes
    owner: bytes
    """16 bytes: a player, or the stream itself."""


class Unreadable(ArchiveError):
    """A file of an archive, or a part of it, cannot be read."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} cannot be read: {why}")
        self.why = why


def row_groups(
    path: Path, columns: tuple[str, ...] = ALL, first: int = 0
) -> Iterator[list[list[Any]]]:
    """Some columns of a file, as Python values, one row group after the other from the `first` on.

    Native code reads the file here: what may have been altered is read by `apart.Reader`, or once
    it is known to be the file that was written, see `as_written`. Its statistics are never looked
    at.

    Raises:
        Unreadable: the file is not what was written.
    """
    try:
        with pq.ParquetFile(
            path, read_dictionary=["topic"], page_checksum_verification=True, pre_buffer=False
        ) as file:
            if not file.schema_arrow.equals(_AS_READ):
                raise Unreadable(path, "it has other columns")
            for group in range(first, file.num_row_groups):
                table = file.read_row_group(group, columns=list(columns), use_threads=False)
                yield [_values(table.column(name)) for name in columns]
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        # KeyError: no column of that name
        raise Unreadable(path, str(error)) from error


def events(path: Path, reading: RowGroups = row_groups) -> Iterator[Archived]:
    """The events of a file, in order.

    Raises:
        Unreadable: the file is not what was written.
    """
    for columns in reading(path, ALL):
        yield from map(Archived._make, zip(*columns, strict=True))


def as_written(folder: Path, file: BucketFile) -> Path:
    """The path of a file that is, byte for byte, what the manifest says was written.

    Raises:
        Unreadable: it is not there, or another one.
    """
    path = folder / file.name
    try:
        with path.open("rb") as content:
            digest = file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise Unreadable(path, str(error)) from error
    if digest != file.sha256:
        raise Unreadable(path, "it is not the file that was written: its SHA-256 differs")
    return path


def _values(column: pa.ChunkedArray) -> list[Any]:
    (array,) = column.chunks if column.num_chunks == 1 else (column.combine_chunks(),)
    if pa.types.is_dictionary(array.type):
        words = array.dictionary.to_pylist()
        return [words[index] for index in array.indices.to_pylist()]
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    values: list[Any] = array.to_pylist()
    return values
