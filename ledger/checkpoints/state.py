"""What the signer remembers outside the database: the last thing it put its name to.

The database may be restored to an earlier day, or be swapped for another; this file is not. It
is written before a checkpoint is published, so whatever anybody was ever shown is in it.
"""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger.checkpoints.keys import ledger_name, sync_folder, write_durably
from ledger.checkpoints.store import StoredCheckpoint, Subtree
from ledger.settings import Settings


class StateUnreadable(Exception):
    """What the signer remembers cannot be read; put the file back from a backup of the folder."""


@dataclass(frozen=True, slots=True)
class State:
    """The last checkpoint that was signed, what it rests on, and what belongs in the database."""

    checkpoint: StoredCheckpoint
    frontier: bytes
    subtrees: Sequence[Subtree] = ()
    """Filled up since the checkpoint before."""


class StateFile:
    """The state of one ledger's signer: `<folder>/<name>.json`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.json"
        self._lock = folder / f"{name}.lock"

    @classmethod
    def of(cls, settings: Settings) -> "StateFile":
        """Where the signer of this ledger keeps its state."""
        return cls(settings.data / "checkpoints", ledger_name(settings))

    def read(self, key: str) -> State | None:
        """What was last signed with this key; what another one signed is put aside.

        A key that comes back, from a backup of its file, finds what it has signed.

        Raises:
            StateUnreadable: there is a file, and it is damaged.
        """
        state = self.peek()
        if state is not None and state.checkpoint.key == key:
            return state
        if state is not None:
            self._rename(self.path, self._aside(state.checkpoint.key))
        if not self._aside(key).exists():
            return None
        self._rename(self._aside(key), self.path)
        return self.peek()

    def _aside(self, key: str) -> Path:
        _, _, key_hash = key.rpartition("+")
        return self.path.with_suffix(f".{key_hash}.json")

    def _rename(self, one: Path, to: Path) -> None:
        one.replace(to)
        sync_folder(self.path.parent)

    def peek(self) -> State | None:
        """What was last signed, with any key.

        Raises:
            StateUnreadable: there is a file, and it is damaged.
        """
        if not self.path.exists():
            return None
        try:
            return _read(json.loads(self.path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise StateUnreadable(f"{self.path} is damaged: {error}") from error

    def write(self, state: State) -> None:
        """Replace the state; it survives a crash of the machine once this returns."""
        self._make_folder()
        write_durably(self.path, json.dumps(_written(state)) + "\n")

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Whether this process alone may write the state, for as long as the block runs."""
        self._make_folder()
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _make_folder(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _written(state: State) -> dict[str, object]:
    checkpoint = state.checkpoint
    return {
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "key": checkpoint.key,
        "note": checkpoint.note,
        "signed_at": checkpoint.signed_at.isoformat(),
        "frontier": state.frontier.hex(),
        "subtrees": [[tree.height, tree.number, tree.hash.hex()] for tree in state.subtrees],
    }


def _read(kept: dict[str, str | int | list[tuple[int, int, str]]]) -> State:
    subtrees = kept["subtrees"]
    if not isinstance(subtrees, list):
        raise TypeError("subtrees is not a list")
    return State(
        StoredCheckpoint(
            size=int(str(kept["size"])),
            key=str(kept["key"]),
            root=bytes.fromhex(str(kept["root"])),
            note=str(kept["note"]),
            signed_at=datetime.fromisoformat(str(kept["signed_at"])),
        ),
        bytes.fromhex(str(kept["frontier"])),
        [Subtree(height, number, bytes.fromhex(hash_)) for height, number, hash_ in subtrees],
    )
