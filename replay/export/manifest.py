"""What an export says of itself: what was asked for, what is in it, and what vouches for it."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.checkpoints import store
from ledger.eventstore.merkle import EMPTY_ROOT
from ledger.eventstore.stored_hashes import StoredHashes
from replay.export.folder import Finished, Progress
from replay.export.selection import Selection
from replay.export.sinks import Format

FORMAT_VERSION: Final = 1

NO_CHECKPOINT: Final = (
    "No checkpoint that reaches the end of this export had been signed when it was finished. Run"
    " the same export again once there is one (`tallystick checkpoint now`): its files stay as"
    " they are, and the manifest names it."
)
HOW_TO_CHECK: Final = (
    "SHA-256 of each file is in `files`. The leaf of an event is SHA-256 over 0x00, the text"
    " tallystick/v1, position (u64), stream (16 bytes), version (u64), topic, recorded_at"
    " (microseconds since 1970, i64) and the event's canonical bytes; numbers big-endian, the"
    " three texts each after their length in bytes (u32). `root` is the RFC 6962 root over the"
    " leaves of all positions from 1 on, also of those that were not chosen."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The root of the log's Merkle tree at the end of the export."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """The first signed checkpoint that covers the export."""

    size: int
    root: str
    key: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `manifest.json` says. The same for the same export, but for a missing checkpoint."""

    format_version: int
    format: str
    asked: dict[str, Any]
    after: int
    upto: int
    file_positions: int
    """Files end at multiples of this position."""
    events: int
    first_position: int | None
    last_position: int | None
    empty: str | None
    """Why there is no event in it."""
    files: tuple[Finished, ...]
    columns: tuple[dict[str, str], ...]
    root: Root
    checkpoint: SignedCheckpoint | None
    checkpoint_missing: str | None
    how_to_check: str

    def encoded(self) -> bytes:
        """As JSON, indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def shown(self) -> dict[str, Any]:
        """As plain values."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


def manifest_of(connection: Connection[TupleRow], progress: Progress) -> Manifest:
    """The manifest of an export whose files are all finished."""
    files = tuple(finished for finished in progress.finished if finished.events)
    checkpoint = _checkpoint(connection, progress.upto)
    return Manifest(
        format_version=FORMAT_VERSION,
        format=progress.format,
        asked=progress.asked,
        after=progress.after,
        upto=progress.upto,
        file_positions=progress.file_positions,
        events=sum(file.events for file in files),
        first_position=files[0].first_position if files else None,
        last_position=files[-1].last_position if files else None,
        empty=None if files else _why_empty(connection, progress),
        files=files,
        columns=tuple(column._asdict() for column in Format(progress.format).columns),
        root=Root(size=progress.upto, sha256=_root(connection, progress.upto).hex()),
        checkpoint=checkpoint,
        checkpoint_missing=NO_CHECKPOINT if checkpoint is None else None,
        how_to_check=HOW_TO_CHECK,
    )


def _root(connection: Connection[TupleRow], size: int) -> bytes:
    """The recorded one where a batch ended there, else from the leaves."""
    if size == 0:
        return EMPTY_ROOT
    row = connection.execute("SELECT root FROM ledger_roots WHERE size = %s", [size]).fetchone()
    return bytes(row[0]) if row is not None else StoredHashes(connection).subtree(0, size)


def _checkpoint(connection: Connection[TupleRow], position: int) -> SignedCheckpoint | None:
    found = store.covering(connection, position) if position else None
    if found is None:
        return None
    return SignedCheckpoint(size=found.size, root=found.root.hex(), key=found.key, note=found.note)


def _why_empty(connection: Connection[TupleRow], progress: Progress) -> str:
    """In a sentence that somebody who expected events can act on."""
    selection = Selection.from_asked(progress.asked)
    if progress.upto == 0:
        return "The log is empty."
    if progress.after == progress.upto:
        return (
            f"The range holds no position: it begins after {progress.after} and ends at"
            f" {progress.upto}."
        )
    stream = selection.transaction_id or selection.player_id
    if stream is not None and not _has_stream(connection, str(stream)):
        what = "transaction" if selection.transaction_id else "player"
        return f"There is no {what} {stream}."
    return (
        f"None of the {progress.upto - progress.after} events from position {progress.after + 1}"
        f" to {progress.upto} is what was asked for: {_asked(selection)}."
    )


def _has_stream(connection: Connection[TupleRow], stream: str) -> bool:
    query = "SELECT FROM ledger_events WHERE originator_id = %s::uuid LIMIT 1"
    return connection.execute(query, [stream]).fetchone() is not None


def _asked(selection: Selection) -> str:
    """The filters, but for the range."""
    values = asdict(selection)
    names = ("player_id", "transaction_id", "kinds", "provider", "topics", "without")
    said = (
        f"{name} {', '.join(values[name]) if isinstance(values[name], tuple) else values[name]}"
        for name in names
        if values[name]
    )
    return "; ".join(said)
