"""Spans: which positions an archive has between two points, by its own times."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ledger.eventstore.positions import AsOfInvalid, instant_named
from replay.archive.layout import ArchiveError, Manifest
from replay.archive.read import as_written
from replay.backtest.report import Span

_DIGITS: Final = 19


class SpanInvalid(ValueError):
    """There is no such span in the archive, or it is not said so that it can be understood."""


def span_of(folder: Path, manifest: Manifest, first: str | None, before: str | None) -> Span:
    """The positions from one point up to before another.

    Args:
        folder: of the archive.
        manifest: of it.
        first: a position, or an instant: events recorded then or later; None: from the beginning.
        before: a position, or an instant: events recorded earlier; None: to the archive's end.

    Raises:
        SpanInvalid: a point is neither, is beyond the end, or the second is before the first.
        ArchiveError: a file cannot be read.
    """
    end = manifest.position + 1
    found = Span(
        first=1 if first is None else _position(folder, manifest, first),
        before=end if before is None else _position(folder, manifest, before),
    )
    if found.first > end or found.before > end:
        raise SpanInvalid(f"The archive ends at position {manifest.position}.")
    if found.first > found.before:
        raise SpanInvalid("The span ends before it begins.")
    return found


def check(text: str) -> None:
    """Whether `text` could name a point.

    Raises:
        SpanInvalid: it cannot.
    """
    if not _is_position(text):
        _instant(text)


def _position(folder: Path, manifest: Manifest, text: str) -> int:
    if _is_position(text):
        return max(int(text), 1)
    return first_recorded(folder, manifest, _instant(text))


def _is_position(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS


def _instant(text: str) -> datetime:
    try:
        named = instant_named(text)
    except AsOfInvalid as error:
        raise SpanInvalid(str(error)) from error
    if named is None:
        raise SpanInvalid(
            f"{text[:80]!r} is neither a position nor an instant such as 2026-03-01T00:00:00Z."
        )
    return named


def first_recorded(folder: Path, manifest: Manifest, at: datetime) -> int:
    """The first position recorded at an instant or later; one after the end where there is none.

    Times never decrease with position, so of each file only what is earlier has to be counted.
    """
    wanted = pa.scalar(at.astimezone(UTC), pa.timestamp("us", tz="UTC"))
    for segment in reversed(manifest.segments):
        latest = 0
        for file in segment.files:
            latest = max(latest, _latest_before(as_written(folder, file), wanted))
        if latest:
            return latest + 1
    return 1


def _latest_before(path: Path, wanted: pa.Scalar) -> int:
    """The last position of a file that was recorded before an instant; 0: none was."""
    try:
        columns = pq.read_table(path, columns=["position", "recorded_at"], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(f"{path} cannot be read: {error}") from error
    earlier = pc.sum(pc.less(columns.column("recorded_at"), wanted)).as_py() or 0
    return columns.column("position")[earlier - 1].as_py() if earlier else 0
