"""Signed checkpoints: what somebody has put their name to, to compare the tree with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from ledger.checkpoints.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.checkpoints.note import NoteInvalid, Verifier, parts_of

PAGE_CHECKPOINTS = 1_000

_STORED = """
SELECT size, key, root, note FROM ledger_checkpoints
WHERE size >= %s AND size <= %s AND (size, key) > (%s, %s) ORDER BY size, key LIMIT %s
"""
_BEFORE_ANY = -(2**63)

Report = Callable[[int, str, str], None]


@dataclass(frozen=True, slots=True)
class Claim:
    """The tree of `size` leaves had this root, says `whose` signature."""

    size: int
    root: bytes
    whose: str
    is_trusted: bool
    """The signature was checked, or whoever verifies has brought it along."""
    is_brought: bool = False


def brought(notes: Sequence[str], verifiers: Sequence[Verifier], report: Report) -> list[Claim]:
    """The claims of notes from outside, smallest first; what is wrong with others is reported."""
    claims: list[Claim] = []
    for number, note in enumerate(notes, 1):
        try:
            checkpoint = _opened(note, verifiers)
        except NoteInvalid as error:
            detail = f"checkpoint {number} that was brought along proves nothing: {error}"
            report(_size_named(note), "checkpoint_invalid", detail)
            continue
        whose = f"a checkpoint of {checkpoint.origin} that was brought along"
        claims.append(Claim(checkpoint.size, checkpoint.root, whose, True, is_brought=True))
    return sorted(claims, key=lambda claim: claim.size)


def stored(
    connection: Connection[Any],
    first: int,
    last: int,
    verifiers: Sequence[Verifier],
    report: Report,
) -> Iterator[Claim]:
    """The claims that are stored, of these sizes, smallest first; forged ones are reported."""
    after: tuple[int, str] = (_BEFORE_ANY, "")
    while True:
        values = [first, last, *after, PAGE_CHECKPOINTS]
        rows = connection.execute(_STORED, values, binary=True).fetchall()
        for size, key, root, note in rows:
            claim = _claim(size, key, bytes(root), note, verifiers, report)
            if claim is not None:
                yield claim
        if len(rows) < PAGE_CHECKPOINTS:
            return
        after = rows[-1][0], rows[-1][1]


def _claim(
    size: int, key: str, root: bytes, note: str, verifiers: Sequence[Verifier], report: Report
) -> Claim | None:
    try:
        checkpoint = _opened(note, verifiers)
        signed_by = {f"{name}+{key_hash.hex()}" for name, key_hash, _ in parts_of(note)[1]}
    except NoteInvalid as error:
        detail = f"the stored checkpoint of size {size} proves nothing: {error}"
        report(size, "checkpoint_invalid", detail)
        return None
    if (checkpoint.size, checkpoint.root) != (size, root) or key not in signed_by:
        detail = f"the stored checkpoint of size {size} is not what its note says"
        report(size, "checkpoint_invalid", detail)
    if checkpoint.size != size:
        return None
    return Claim(size, checkpoint.root, f"the stored checkpoint of {key}", bool(verifiers))


def _opened(note: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    if verifiers:
        return open_checkpoint(note, verifiers)
    return parse_checkpoint(parts_of(note)[0])


def _size_named(note: str) -> int:
    """Where to look, if it says so at all."""
    try:
        return parse_checkpoint(parts_of(note)[0]).size
    except NoteInvalid:
        return 0
