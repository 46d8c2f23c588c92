"""The folder of a bundle: it appears as a whole, one process at a time, and may be zipped."""

import fcntl
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


class FolderTaken(FileExistsError):
    """There is something at the place where the bundle is to be."""


def refuse_taken(folder: Path, archive: Path | None) -> None:
    """Raise FolderTaken where there is something in the folder, or its archive is there."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderTaken(f"{folder} is not a folder: name another")
    if folder.exists() and any(folder.iterdir()):
        raise FolderTaken(f"{folder} is not empty: name another folder, or empty this one")
    if archive is not None and archive.exists():
        raise FolderTaken(f"{archive} exists: name another folder, or move it away")


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder beside it, which takes its place once everything is in it.

    Raises:
        FolderTaken: another process is at it.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _hold(descriptor, folder)
        for left_over in partial.iterdir():
            left_over.unlink()
        try:
            yield partial
            partial.replace(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _hold(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FolderTaken(
            f"another case is being written to {folder}: wait for it, or name another folder"
        ) from None


def zip_folder(folder: Path, archive: Path) -> None:
    """The folder as one file: the same bytes for the same files."""
    partial = archive.with_name(f".{archive.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(f"{folder.name}/{path.name}", _ZIP_TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with made.open(entry, "w", force_zip64=True) as target, path.open("rb") as source:
                shutil.copyfileobj(source, target)
    partial.replace(archive)
