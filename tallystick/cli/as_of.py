"""`--as-of`: a position, an instant, a checkpoint, or a file with a signed checkpoint."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from psycopg import Connection

from ledger.checkpoints import keys
from ledger.checkpoints.checkpoint import Checkpoint, open_checkpoint
from ledger.checkpoints.note import InvalidKey, NoteInvalid
from ledger.eventstore import positions
from ledger.eventstore.merkle import EMPTY_ROOT
from ledger.eventstore.positions import AsOf, AsOfInvalid
from ledger.eventstore.stored_hashes import HashesMissing, StoredHashes
from ledger.settings import Settings

NOTE_BYTES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in the log, and what the clock showed."""

    as_of: AsOf
    at: datetime
    """The instant that was asked for; else when the event at that position was recorded, or now."""


def checked(text: str | None) -> str | None:
    """For the parser of options: what names no point in any log is refused before anything else."""
    if text is not None:
        try:
            positions.check(text)
        except AsOfInvalid as error:
            if not _is_file(text):
                raise typer.BadParameter(str(error)) from error
    return text


AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="WHEN",
        callback=checked,
        help="As it was then: a position (4711), an instant (2026-03-02T10:00:00Z), a checkpoint "
        "(checkpoint:4711, checkpoint:latest, its root), or a file with a signed checkpoint.",
    ),
]


def moment(
    connection: Connection[Any], text: str | None, *, now: datetime, settings: Settings
) -> Moment:
    """What `text` means for this ledger; without it, the present.

    Raises:
        AsOfInvalid: it names no point in this log, or the signed checkpoint is not of this log.
        AsOfInFuture: the log ends before it.
    """
    if text is None:
        return Moment(positions.resolve(connection, now.isoformat(), now), now)
    try:
        found = positions.resolve(connection, text, now)
        asked = positions.instant_named(text)
    except AsOfInvalid:
        if not _is_file(text):
            raise
        found, asked = _of_note(connection, Path(text), now, settings), None
    return Moment(found, asked or found.recorded_at or now)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return False


def _of_note(connection: Connection[Any], path: Path, now: datetime, settings: Settings) -> AsOf:
    signed = _opened(path, settings)
    found = positions.resolve(connection, str(signed.size), now)
    try:
        root = StoredHashes(connection).subtree(0, signed.size) if signed.size else EMPTY_ROOT
    except HashesMissing as error:
        raise AsOfInvalid(f"{path}: {error}. Run `tallystick verify`.") from error
    if root != signed.root:
        raise AsOfInvalid(
            f"{path}: the root of this log after position {signed.size} is {root.hex()}, and not "
            "the one that was signed. Either it is of another log, or this one was altered: run "
            "`tallystick verify`."
        )
    return found


def _opened(path: Path, settings: Settings) -> Checkpoint:
    try:
        with path.open("rb") as file:
            note = file.read(NOTE_BYTES_MAX + 1)
        if len(note) > NOTE_BYTES_MAX:
            raise AsOfInvalid(f"{path} is too large to be a signed checkpoint.")
        verifiers = keys.verifying_keys(settings)
        if not verifiers:
            raise AsOfInvalid(
                f"{path}: this machine has no key of the ledger, so that nobody can tell who "
                f"signed it. Put the ledger's public key into {settings.data / 'keys'}."
            )
        return open_checkpoint(note.decode(), verifiers)
    except (NoteInvalid, InvalidKey, UnicodeDecodeError, OSError) as error:
        raise AsOfInvalid(f"{path} is no signed checkpoint of this ledger: {error}") from error
