"""Writing a case bundle: everything about a player or a transaction, with the proof of it.

The folder appears as a whole or not at all, and only after it has been checked with the very
script that goes with it. There are no times of writing in it: the same case under the same
checkpoint is the same bytes.
"""

import json
import shutil
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.events import LedgerEvent
from ledger.checkpoints.checkpoint import Checkpoint
from ledger.checkpoints.note import Signer, sign
from ledger.eventstore.codec import UnreadableEvent, decode
from ledger.eventstore.merkle import leaf_hash
from ledger.eventstore.stored_hashes import HashesMissing
from replay import log
from replay.case import verify
from replay.case.folder import appearing, refuse_taken, zip_folder
from replay.case.members import Case, CaseKind, Unreadable, positions_of, streams_of
from replay.case.proof import proof_of
from replay.case.readme import readme
from replay.case.statement import Statement
from replay.case.story import PageTeller, TextTeller
from replay.progress import Report
from replay.transaction import stories

PAGE_EVENTS: Final = 2_000
MANIFEST_HEADER: Final = "case-bundle"
_COVERING: Final = """
SELECT size, root, note FROM ledger_checkpoints WHERE size >= %s AND key = %s ORDER BY size LIMIT 1
"""
_KEPT: Final = "SELECT account, balance, position FROM ledger_accounts WHERE account = ANY(%s)"


class NoCheckpoint(LookupError):
    """No checkpoint of this key covers the case, and none can be signed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseManifest:
    """What was written."""

    case: Case
    folder: Path
    zip: Path | None
    events: int
    transactions: int
    first_position: int
    last_position: int
    as_of: int
    checkpoint: Checkpoint
    key: str
    files: dict[str, str]
    """SHA-256 of each file, in hexadecimal, by its name."""


@dataclass(frozen=True, slots=True)
class _Covered:
    """A case as far as a signed checkpoint speaks for it."""

    streams: frozenset[UUID]
    positions: "array[int]"
    checkpoint: Checkpoint
    note: str
    as_of: int


def write_case(
    conninfo: str,
    case: Case,
    folder: Path,
    signer: Signer,
    *,
    as_of: int | None = None,
    sign_now: Callable[[], object] | None = None,
    zipped: bool = False,
    on_progress: Report = lambda _done, _total: None,
) -> CaseManifest:
    """Write the bundle of a case into a new folder.

    Args:
        conninfo: of the reader role.
        folder: must not exist yet, or be empty.
        as_of: the position up to which the case is told; None: up to the checkpoint that covers
            its last event.
        sign_now: signs a checkpoint of what is there, for a case that none covers yet.
        zipped: also make `<folder>.zip`.

    Raises:
        Nothing: there is no such case, or there was none yet.
        NoCheckpoint: nothing signed by this key covers it.
        FolderTaken: there is something in the folder.
        Unreadable: what is stored is not what was recorded.
    """
    archive = folder.with_name(f"{folder.name}.zip") if zipped else None
    refuse_taken(folder, archive)
    with (
        _covered_snapshot(conninfo, case, signer, as_of, sign_now) as (connection, covered),
        appearing(folder) as partial,
    ):
        statement = _write_files(connection, case, covered, signer, partial, on_progress)
        _write_stories(conninfo, case, covered, statement, partial)
        files = _sign_manifest(partial, signer)
        _check(partial, signer)
    if archive is not None:
        zip_folder(folder, archive)
    return CaseManifest(
        case=case,
        folder=folder,
        zip=archive,
        events=statement.events,
        transactions=len(statement.transactions),
        first_position=statement.first,
        last_position=statement.last,
        as_of=covered.as_of,
        checkpoint=covered.checkpoint,
        key=str(signer.verifier),
        files=files,
    )


# --- what belongs to it, and which checkpoint speaks for it --------------------------------------


@contextmanager
def _covered_snapshot(
    conninfo: str,
    case: Case,
    signer: Signer,
    as_of: int | None,
    sign_now: Callable[[], object] | None,
) -> Iterator[tuple[Connection[TupleRow], _Covered]]:
    """A moment of the ledger in which a checkpoint covers the case; signed now if there is none."""
    with log.snapshot(conninfo) as connection:
        covered = _covered(connection, case, signer, as_of, log.head(connection).position)
        if covered is not None:
            yield connection, covered
            return
        needed = log.head(connection).position
    if sign_now is None:
        raise _no_checkpoint(signer)
    sign_now()
    with log.snapshot(conninfo) as connection:
        # The log has grown meanwhile: what is beyond the position asked about is left to next time.
        covered = _covered(connection, case, signer, as_of, needed)
        if covered is None:
            raise _no_checkpoint(signer)
        yield connection, covered


def _covered(
    connection: Connection[TupleRow], case: Case, signer: Signer, as_of: int | None, head: int
) -> _Covered | None:
    upto = head if as_of is None else as_of
    streams = streams_of(connection, case, upto)
    positions = positions_of(connection, streams, upto)
    wanted = positions[-1] if as_of is None else as_of
    found = connection.execute(_COVERING, [wanted, signer.verifier.id]).fetchone()
    if found is None:
        return None
    size, root, note = found
    checkpoint = Checkpoint(signer.verifier.name, size, bytes(root))
    if as_of is None and size > head:  # then it may speak for events that were not looked for
        return _covered(connection, case, signer, None, size)
    shown = size if as_of is None else as_of
    return _Covered(frozenset(streams), positions, checkpoint, note, shown)


def _no_checkpoint(signer: Signer) -> NoCheckpoint:
    return NoCheckpoint(
        f"no checkpoint signed with {signer.verifier.id} covers the case: run "
        "`tallystick checkpoint now` where the signing key is, then export again"
    )


# --- the files ----------------------------------------------------------------------------------


def _write_files(
    connection: Connection[TupleRow],
    case: Case,
    covered: _Covered,
    signer: Signer,
    folder: Path,
    on_progress: Report,
) -> Statement:
    statement = _write_events(connection, case, covered, folder / "events.jsonl", on_progress)
    if case.kind is CaseKind.PLAYER:
        _compare_balances(connection, statement)
    checkpoint, verifier = covered.checkpoint, signer.verifier
    try:
        hashes = proof_of(connection, covered.positions, checkpoint.size)
    except HashesMissing as error:
        raise Unreadable(f"{error}: run `tallystick verify`") from error
    proof = {
        "hashes": [hash_.hex() for hash_ in hashes],
        "root": checkpoint.root.hex(),
        "size": checkpoint.size,
    }
    _write(folder / "proof.json", _json(proof) + "\n")
    _write(folder / "checkpoint.txt", covered.note)
    _write(folder / "key.txt", f"{verifier}\n")
    claims = statement.claims(checkpoint, covered.as_of)
    claims_text = json.dumps(claims, indent=1, sort_keys=True, ensure_ascii=False)
    _write(folder / "statement.json", claims_text + "\n")
    _write(folder / "README.txt", readme(case, verifier, covered.as_of))
    shutil.copyfile(verify.__file__, folder / "verify.py")
    return statement


def _write_events(
    connection: Connection[TupleRow],
    case: Case,
    covered: _Covered,
    path: Path,
    on_progress: Report,
) -> Statement:
    """events.jsonl, a page at a time, and what the events lead to."""
    statement, positions = Statement(case), covered.positions
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for start in range(0, len(positions), PAGE_EVENTS):
            wanted = positions[start : start + PAGE_EVENTS].tolist()
            found = 0
            for page in _pages(connection, wanted):
                found += len(page)
                for raw in page:
                    file.write(_line(raw))
                    statement.take(raw.position, _event(raw))
            if found != len(wanted):
                raise Unreadable("events of the case are gone: run `tallystick verify`")
            on_progress(statement.events, len(positions))
    return statement


def _pages(connection: Connection[TupleRow], wanted: list[int]) -> Iterator[list[log.Raw]]:
    return log.pages(
        connection,
        after=wanted[0] - 1,
        upto=wanted[-1],
        condition="notification_id = ANY(%s)",
        values=[wanted],
    )


def _event(raw: log.Raw) -> LedgerEvent:
    try:
        return decode(raw.topic, raw.state, log.stream_id(raw), raw.version)
    except UnreadableEvent as error:
        raise Unreadable(f"position {raw.position}: {error}: run `tallystick verify`") from error


def _line(raw: log.Raw) -> str:
    """An event as it is hashed, and readable.

    Raises:
        Unreadable: it is not what was recorded.
    """
    topic, us = raw.topic.encode(), log.recorded_at_us(raw.recorded)
    leaf = leaf_hash(raw.position, raw.stream, raw.version, topic, us, raw.state)
    if leaf != raw.leaf:
        raise Unreadable(
            f"the event at position {raw.position} is not what was recorded: run "
            "`tallystick verify`, and keep the database as it is"
        )
    said = {
        "position": raw.position,
        "recorded_at_us": us,
        "state": raw.state.decode(),
        "stream": str(log.stream_id(raw)),
        "topic": raw.topic,
        "version": raw.version,
    }
    return _json(said) + "\n"


def _compare_balances(connection: Connection[TupleRow], statement: Statement) -> None:
    """A player's case has every event of the player's accounts: so it leads to their balances."""
    moved_at = statement.moved_at
    for account, balance, position in connection.execute(_KEPT, [list(moved_at)]):
        replayed = statement.balances[account]
        if position == moved_at[account] and balance != replayed:
            raise Unreadable(
                f"the events lead to {replayed} on {account}, and the ledger has {balance}: run "
                "`tallystick verify`"
            )


def _write_stories(
    conninfo: str,
    case: Case,
    covered: _Covered,
    statement: Statement,
    folder: Path,
) -> None:
    """story.txt and story.html, one transaction at a time.

    What is at or before a position never changes, so this needs no snapshot; and holding one would
    keep read models that are asked from being replaced meanwhile.
    """
    title = f"The case of {case.kind} {case.id}"
    lines = [
        f"As recorded by {covered.checkpoint.origin} up to position {covered.as_of} of its log: "
        f"{statement.events} events, {len(statement.transactions)} transactions.",
        "This is for reading. What counts is events.jsonl, which verify.py checks.",
    ]
    others = len(statement.others)
    if others:
        lines.append(f"{others} other streams (notices, turnover, the player) are in events.jsonl.")
    with (
        psycopg.connect(conninfo, autocommit=True) as connection,
        (folder / "story.txt").open("w", encoding="utf-8", newline="\n") as text,
        (folder / "story.html").open("w", encoding="utf-8", newline="\n") as page,
    ):
        tellers = (TextTeller(text, title, lines), PageTeller(page, title, lines))
        for told in stories(connection, statement.transactions, upto=covered.as_of):
            for teller in tellers:
                teller.tell(told)
        for teller in tellers:
            teller.end()


# --- the manifest, and the end -------------------------------------------------------------------


def _sign_manifest(folder: Path, signer: Signer) -> dict[str, str]:
    """manifest.txt: what every other file is, signed; the first line tells it from a checkpoint."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    text = f"{signer.verifier.name}/{MANIFEST_HEADER}\n{listed}"
    _write(folder / verify.MANIFEST, sign(text, signer))
    return files


def _check(folder: Path, signer: Signer) -> None:
    """Nothing is handed out that its own script does not prove."""
    try:
        _, steps = verify.check(folder, verify.parse_key(str(signer.verifier)))
        for _ in steps:
            pass
    except verify.NotProved as error:
        raise Unreadable(
            f"the case cannot be proved ({error.where()}: {error.detail}): run `tallystick verify`"
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
