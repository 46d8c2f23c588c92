"""A checkpoint: which log, how many events, and the root over them. Signed, it is a promise.

Source: C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint). Lines after the third are allowed
there and mean nothing to us.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.checkpoints.note import NoteInvalid, Verifier, decoded, opened_by
from ledger.eventstore.merkle import HASH_BYTES

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` had this root when it had `size` events."""

    origin: str
    size: int
    root: bytes
    """32 bytes."""

    def text(self) -> str:
        """What is signed: three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint, signed or not.

    Raises:
        NoteInvalid: it is none.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteInvalid("a checkpoint is an origin, a size and a root, each on a line")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise NoteInvalid("the size of a checkpoint is a decimal number without leading zeros")
    try:
        digest = decoded(root)
    except ValueError as error:
        raise NoteInvalid(f"the root of the checkpoint cannot be read: {error}") from None
    if len(digest) != HASH_BYTES:
        raise NoteInvalid(f"the root of a checkpoint has {HASH_BYTES} bytes")
    return Checkpoint(origin, int(size), digest)


def open_checkpoint(note: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint of a note that the log's own key has signed.

    Raises:
        NoteInvalid: the note is not in order, nobody known has signed it, or whoever has is not
            the log that it speaks of.
    """
    text, signed_by = opened_by(note, verifiers)
    found = parse_checkpoint(text)
    if found.origin not in {verifier.name for verifier in signed_by}:
        raise NoteInvalid(f"it speaks of {found.origin}, and the key of another has signed it")
    return found
