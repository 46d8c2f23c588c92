"""The keys of the signer, in files that only their owner can read, outside the database.

A data folder may hold several ledgers: each database has a key of its own, because one key must
never sign two histories. What is retired is kept for verifying; its private half is gone.
"""

import json
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ledger.checkpoints.note import InvalidKey, Signer, Verifier
from ledger.settings import Settings

ORIGIN_PREFIX: Final = "tallystick/"

_PRIVATE_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644


class SigningKeyElsewhere(InvalidKey):
    """Only the public half of the signing key is on this machine: sign where the other half is."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "Only the public half of the signing key is on this machine; the other one belongs in"
            f" {path}. Sign where it is. If it is lost for good: `tallystick checkpoint new-key`."
        )


def signing_key(settings: Settings) -> Signer:
    """The key that this ledger is signed with, made at first use; of several who make it, one wins.

    Raises:
        SigningKeyElsewhere: somebody else signs; a second key beside theirs would only confuse.
        InvalidKey: what is in the file is not a key.
    """
    path = _path(settings, "key")
    if not path.exists():
        if _path(settings, "pub").exists():
            raise SigningKeyElsewhere(path)
        _create(path, _fresh(settings).encoded())
    signer = Signer.parse(path.read_text().strip())
    public = _path(settings, "pub")
    if not public.exists() or public.read_text().strip() != str(signer.verifier):
        write_durably(public, f"{signer.verifier}\n", _PUBLIC_MODE)
    return signer


def verifying_keys(settings: Settings) -> list[Verifier]:
    """The key of this ledger and those that were retired; empty where this machine has none."""
    found: list[Verifier] = []
    if _path(settings, "key").exists() or _path(settings, "pub").exists():
        found.append(present_key(settings))
    retired = _path(settings, "retired")
    if retired.exists():
        lines = retired.read_text().splitlines()
        found += [Verifier.parse(json.loads(line)["verifier"]) for line in reversed(lines)]
    return list(dict.fromkeys(found))


def present_key(settings: Settings) -> Verifier:
    """The public half of the key that this ledger is signed with, also where the other is lost.

    Raises:
        InvalidKey: what is in the file is not a key.
    """
    public = _path(settings, "pub")
    if public.exists() and not _path(settings, "key").exists():
        return Verifier.parse(public.read_text().strip())
    return signing_key(settings).verifier


def replace_key(settings: Settings, reason: str, now: datetime) -> tuple[Verifier, Verifier]:
    """Retire the key and make another under a new origin; the old one and the new one.

    The private half of the old key is overwritten, so that it can never sign again. Killed in
    between, it has either not happened, or it has and only the public file follows later.
    """
    old = present_key(settings)
    retired = _path(settings, "retired")
    entry = {"verifier": str(old), "retired_at": now.isoformat(), "reason": reason}
    kept = retired.read_text() if retired.exists() else ""
    write_durably(retired, kept + json.dumps(entry) + "\n", _PUBLIC_MODE)
    fresh = _fresh(settings, instead_of=old)
    write_durably(_path(settings, "key"), fresh.encoded() + "\n", _PRIVATE_MODE)
    return old, signing_key(settings).verifier


def ledger_name(settings: Settings) -> str:
    """What this ledger's files are named by."""
    return quote(settings.database_name, safe="")


def write_durably(path: Path, content: str, mode: int = _PRIVATE_MODE) -> None:
    """Replace a file as a whole; once this returns it survives a crash of the machine."""
    partial = _written_beside(path, content, mode)
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed or linked in the folder survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _path(settings: Settings, kind: str) -> Path:
    return settings.data / "keys" / f"checkpoint-{ledger_name(settings)}.{kind}"


def _fresh(settings: Settings, instead_of: Verifier | None = None) -> Signer:
    """A new key; its name is also the origin in its checkpoints."""
    name = settings.origin or ORIGIN_PREFIX + secrets.token_hex(4)
    if instead_of is not None and name == instead_of.name:
        name = f"{name}/{secrets.token_hex(4)}"  # another history is another log
    return Signer.generate(name)


def _create(path: Path, content: str) -> None:
    """Write a new file; where another process is faster, its content stands."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = _written_beside(path, content + "\n", _PRIVATE_MODE)
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
    sync_folder(path.parent)


def _written_beside(path: Path, content: str, mode: int) -> Path:
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return partial
