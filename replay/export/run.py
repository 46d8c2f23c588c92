"""Making an export: file by file, each whole or not there, from where it was left."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.faultpoints import faultpoint
from projections.engine.collecting import collector_paused
from projections.engine.reading import wait_for_sync
from projections.engine.tables import NotInstalled
from projections.history.history import HISTORY
from replay import log
from replay.export.ahead import ahead
from replay.export.errors import FolderTaken, LogAltered, TooManyEvents
from replay.export.folder import (
    MANIFEST,
    ExportFolder,
    Finished,
    Hashing,
    Progress,
    as_file,
    digest_of,
    opened,
)
from replay.export.manifest import FORMAT_VERSION, Manifest, manifest_of
from replay.export.selection import (
    FILE_POSITIONS,
    NARROW_FILE_POSITIONS,
    Condition,
    Selection,
    condition,
    resolve,
)
from replay.export.sinks import SHEET_EVENTS_MAX, Format, reader, sink

HISTORY_SECONDS_MAX: Final = 60.0
"""How long to wait until the read model has seen the end of the export."""

PAGE_EVENTS: Final = 5_000
_LOOKS_MAX: Final = 5

Report = Callable[[int, int | None], None]
"""Positions looked at, and how many there are. May raise, to stop."""


def export(
    conninfo: str,
    selection: Selection,
    folder: Path,
    format: Format,  # noqa: A002  (what everybody calls it)
    on_progress: Report = lambda _done, _total: None,
    *,
    now: datetime | None = None,
    file_positions: int | None = None,
) -> Manifest:
    """Write the chosen events to files in `folder`, and what is in them to `manifest.json`.

    A folder in which the same export was begun is gone on with: what is finished there is
    compared with its digest and left alone. Where the log ended at the first start, it ends.

    Args:
        conninfo: of the reader role.
        on_progress: positions looked at, and of how many; what it raises ends the export.
        now: the present, for refusing instants to come.
        file_positions: files end at multiples of this position; for tests.

    Raises:
        ExportError: see its classes. What is finished stays in the folder.
        ReadModelBehind: `history` does not know yet which transactions are meant.
        psycopg.Error: the database went away; run it again.
    """
    width = file_positions or _width(selection, format)
    with opened(folder) as files, log.snapshot(conninfo) as connection:
        files.clean()
        progress = _begun(files, selection, format, width)
        if progress is None:
            progress = _begin(connection, files, selection, format, width, now)
        if selection.needs_history:
            _wait_for_history(conninfo, progress.upto)
        making = _Making(connection, files, selection, on_progress)
        if format is Format.XLSX:
            making.refuse_too_many(progress)
        for after, upto in _windows(progress):
            progress = making.file(progress, after, upto)
        made = manifest_of(connection, progress)
        files.put(MANIFEST, made.encoded())
    return made


class _Making:
    """Makes the files of one export, one after the other."""

    def __init__(
        self,
        connection: Connection[TupleRow],
        folder: ExportFolder,
        selection: Selection,
        on_progress: Report,
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._selection = selection
        self._report = on_progress

    def refuse_too_many(self, progress: Progress) -> None:
        """Before anything is written."""
        chosen = self._begin_anew()
        query = f"""
            SELECT count(*) FROM (
                SELECT FROM ledger_events AS event
                WHERE notification_id > %s AND notification_id <= %s AND ({chosen.sql})
                LIMIT {SHEET_EVENTS_MAX + 1}
            ) AS chosen
        """
        values = [progress.after, progress.upto, *chosen.values]
        row = self._connection.execute(query.encode(), values).fetchone()
        if row is not None and row[0] > SHEET_EVENTS_MAX:
            raise TooManyEvents(
                f"These are more than {SHEET_EVENTS_MAX} events, which no spreadsheet is good"
                " for. Ask for csv or parquet instead, or for fewer events."
            )

    def file(self, progress: Progress, after: int, upto: int) -> Progress:
        """The file of the positions after one and up to another, unless it is there."""
        name = f"events-{after + 1:012d}-{upto:012d}.{Format(progress.format).suffix}"
        before = next((done for done in progress.finished if done.name == name), None)
        if before is None or (before.events and not self._folder.is_whole(before)):
            made = self._make(progress, name, after, upto)
            if before is None:
                progress = self._folder.finish(progress, made)
            elif made != before:
                raise LogAltered(
                    f"{name} was written before, and the log now has other events for it."
                    " Run `tallystick verify`."
                )
            faultpoint("export.after_file")
        self._report(upto - progress.after, progress.upto - progress.after)
        return progress

    def _make(self, progress: Progress, name: str, after: int, upto: int) -> Finished:
        chosen = self._begin_anew()
        pages = reader(Format(progress.format))(
            self._connection,
            after=after,
            upto=upto,
            condition=chosen.sql,
            values=chosen.values,
            page_events=PAGE_EVENTS,
        )
        with collector_paused(), ahead(pages) as read_ahead:
            first = next(read_ahead, None)
            if first is None:
                return Finished(
                    name=name, events=0, first_position=None, last_position=None, bytes=0, sha256=""
                )
            return self._write(progress, name, first, read_ahead)

    def _begin_anew(self) -> Condition:
        """In a transaction of its own, that sees what the read model has seen.

        A long export does not keep the database from tidying up behind it.
        """
        for _ in range(_LOOKS_MAX - 1):
            self._connection.rollback()
            with suppress(NotInstalled):  # it was rebuilt this very moment
                return condition(self._connection, self._selection)
        self._connection.rollback()
        return condition(self._connection, self._selection)

    def _write(
        self, progress: Progress, name: str, first: list[Any], pages: Iterator[list[Any]]
    ) -> Finished:
        format_ = Format(progress.format)
        events, last = 0, 0
        total = progress.upto - progress.after
        with self._folder.writing(name) as (file, part):
            hashing = Hashing(file)
            # A workbook is put together at the end, here and there: it is hashed when it is done.
            takes = file if format_ is Format.XLSX else as_file(hashing)
            out = sink(format_, takes, self._connection)
            try:
                for page in chain([first], pages):
                    out.write(page)
                    events, last = events + len(page), page[-1][0]
                    faultpoint("export.after_page")
                    self._report(last - progress.after, total)
                out.finish()
            except BaseException:
                out.abandon()
                raise
            file.flush()
            if format_ is Format.XLSX:
                size, digest = part.stat().st_size, digest_of(part)
            else:
                size, digest = hashing.written, hashing.digest.hexdigest()
        return Finished(
            name=name,
            events=events,
            first_position=first[0][0],
            last_position=last,
            bytes=size,
            sha256=digest,
        )


def _width(selection: Selection, format_: Format) -> int:
    narrow = selection.is_narrow or format_ is Format.XLSX
    return NARROW_FILE_POSITIONS if narrow else FILE_POSITIONS


def _windows(progress: Progress) -> Iterator[tuple[int, int]]:
    """The range, cut at multiples of `file_positions`."""
    after = progress.after
    while after < progress.upto:
        upto = (after // progress.file_positions + 1) * progress.file_positions
        yield after, min(upto, progress.upto)
        after = upto


def _begun(
    files: ExportFolder, selection: Selection, format_: Format, width: int
) -> Progress | None:
    """The progress of the same export; None where there is none.

    Raises:
        FolderTaken: the folder holds another one.
    """
    progress = files.progress()
    if progress is None:
        return None
    asked = selection.asked()
    found = (progress.format_version, progress.format, progress.asked, progress.file_positions)
    if found != (FORMAT_VERSION, format_.value, asked, width):
        other = ", ".join(
            f"{name} {value}"
            for name, value in progress.asked.items()
            if value not in (None, [], 0) and value != asked.get(name)
        )
        raise FolderTaken(
            f"{files.path} holds another export ({progress.format}, positions"
            f" {progress.after + 1} to {progress.upto}{', ' + other if other else ''})."
            " Name another folder, or ask for the same to go on with it."
        )
    return progress


def _begin(
    connection: Connection[TupleRow],
    files: ExportFolder,
    selection: Selection,
    format_: Format,
    width: int,
    now: datetime | None,
) -> Progress:
    after, upto = resolve(connection, selection, now or datetime.now(UTC))
    progress = Progress(
        format_version=FORMAT_VERSION,
        format=format_.value,
        asked=selection.asked(),
        after=after,
        upto=upto,
        file_positions=width,
    )
    files.save(progress)
    return progress


def _wait_for_history(conninfo: str, upto: int) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        wait_for_sync(connection, HISTORY, upto, HISTORY_SECONDS_MAX)
