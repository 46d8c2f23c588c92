"""Reading an archive: one row group at a time, so memory does not grow with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from replay.archive.layout import SCHEMA, ArchiveError


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

    def __init__(self, path: Path, position: int | None, why: str) -> None:
        super().__init__(f"{path} cannot be read: {why}")
        self.position = position
        """Before which the file could be read; None where that is not known."""


def events(path: Path) -> Iterator[Archived]:
    """The events of a file, in order.

    Raises:
        Unreadable: the file is not what was written.
    """
    for columns in row_groups(path, tuple(SCHEMA.names)):
        yield from map(Archived._make, zip(*columns, strict=True))


def row_groups(path: Path, columns: tuple[str, ...]) -> Iterator[list[list[Any]]]:
    """Some columns of a file, as Python values, one row group after the other.

    Raises:
        Unreadable: the file is not what was written.
    """
    try:
        with pq.ParquetFile(
            path, read_dictionary=["topic"], page_checksum_verification=True, pre_buffer=False
        ) as file:
            if not file.schema_arrow.names == SCHEMA.names:
                raise Unreadable(path, None, "it has other columns")
            for group in range(file.num_row_groups):
                yield _group(path, file, group, columns)
    except (pa.ArrowException, OSError, KeyError) as error:  # KeyError: no column of that name
        raise Unreadable(path, None, str(error)) from error


def _group(
    path: Path, file: pq.ParquetFile, group: int, columns: tuple[str, ...]
) -> list[list[Any]]:
    try:
        table = file.read_row_group(group, columns=list(columns), use_threads=False)
        return [_values(table.column(name)) for name in columns]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable(path, _first_position(file, group), str(error)) from error


def _first_position(file: pq.ParquetFile, group: int) -> int | None:
    """Where a row group begins, as its statistics say."""
    statistics = file.metadata.row_group(group).column(0).statistics
    return int(statistics.min) if statistics is not None and statistics.has_min_max else None


def _values(column: pa.ChunkedArray) -> list[Any]:
    (array,) = column.chunks if column.num_chunks == 1 else (column.combine_chunks(),)
    if pa.types.is_dictionary(array.type):
        words = array.dictionary.to_pylist()
        return [words[index] for index in array.indices.to_pylist()]
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    values: list[Any] = array.to_pylist()
    return values
