"""The folder of an export: one at a time, whole files only, and what has been finished so far."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec

from ledger.faultpoints import faultpoint
from replay.export.errors import FolderTaken, FolderUnusable

PROGRESS: Final = "progress.json"
MANIFEST: Final = "manifest.json"
PART: Final = ".part"
"""What is not finished ends in this, and is thrown away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A file that is written, or a range of positions in which nothing was chosen."""

    name: str
    events: int
    first_position: int | None
    last_position: int | None
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a rerun goes on from."""

    format_version: int
    format: str
    asked: dict[str, Any]
    after: int
    upto: int
    file_positions: int
    finished: tuple[Finished, ...] = ()


@dataclass(slots=True)
class Hashing:
    """A file that is hashed as it is written."""

    file: BinaryIO
    written: int = 0
    digest: Any = field(default_factory=sha256)

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.written += self.file.write(data)
        return len(data)

    def tell(self) -> int:
        return self.written

    def flush(self) -> None:
        self.file.flush()

    @property
    def closed(self) -> bool:
        return self.file.closed


class ExportFolder:
    """An open folder; see `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def progress(self) -> Progress | None:
        """How far an export has come here; None in an empty folder.

        Raises:
            FolderTaken: it holds something else.
        """
        file = self.path / PROGRESS
        if not file.exists():
            found = sorted(entry.name for entry in self.path.iterdir())
            if found and not all(name.endswith(PART) for name in found):
                raise FolderTaken(
                    f"{self.path} is not empty ({found[0]}), and not of an export."
                    " Name a folder that is empty or does not exist."
                )
            return None
        try:
            return msgspec.json.decode(file.read_bytes(), type=Progress)
        except msgspec.DecodeError:
            raise FolderTaken(
                f"{file} is not what an export writes. Name another folder."
            ) from None

    def save(self, progress: Progress) -> None:
        """Remember how far it has come, on disk before this returns."""
        self.put(PROGRESS, _json(progress))

    def finish(self, progress: Progress, finished: Finished) -> Progress:
        """Remember one more finished file."""
        progress = replace(progress, finished=(*progress.finished, finished))
        self.save(progress)
        return progress

    def put(self, name: str, content: bytes) -> None:
        """A whole file under its name, or nothing."""
        with self.writing(name) as (file, _):
            file.write(content)

    @contextmanager
    def writing(self, name: str) -> Iterator[tuple[BinaryIO, Path]]:
        """A file to write, which gets its name when the block has ended well.

        Raises:
            FolderUnusable: the disk is full, or the folder cannot be written to.
        """
        part = self.path / (name + PART)
        try:
            with part.open("w+b", buffering=1 << 20) as file:
                yield file, part
                file.flush()
                os.fsync(file.fileno())
            faultpoint("export.before_rename")
            part.replace(self.path / name)
            _sync(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _unusable(self.path, error) from error
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise

    def is_whole(self, finished: Finished) -> bool:
        """Whether a finished file is still there as it was written."""
        file = self.path / finished.name
        try:
            if file.stat().st_size != finished.bytes:
                return False
            return digest_of(file) == finished.sha256
        except FileNotFoundError:
            return False

    def clean(self) -> None:
        """Throw away what a killed export was writing."""
        for part in self.path.glob(f"*{PART}"):
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()


@contextmanager
def opened(path: Path) -> Iterator[ExportFolder]:
    """The folder, made where it is missing; nobody else is at work in it meanwhile.

    Raises:
        FolderTaken: another process is.
        FolderUnusable: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderTaken(
                f"Another export is being written to {path}. Wait for it, or name another folder."
            ) from None
        yield ExportFolder(path)
    finally:
        os.close(descriptor)


def digest_of(file: Path) -> str:
    """SHA-256, in hexadecimal."""
    with file.open("rb") as opened_file:
        return file_digest(opened_file, "sha256").hexdigest()


def as_file(hashing: Hashing) -> BinaryIO:
    """What writers take."""
    return cast("BinaryIO", hashing)


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _unusable(path: Path, error: OSError) -> FolderUnusable:
    return FolderUnusable(
        f"{path} cannot be written to: {error.strerror or error}. Nothing unfinished was left"
        " there; make room or name another folder, and run it again: it goes on from here."
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
