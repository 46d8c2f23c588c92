"""Scratch: where a backtest puts its files meanwhile, and what killed ones left behind."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Final

PREFIX: Final = ".backtest-"
YOUNG_SECONDS: Final = 60.0
"""A folder that is younger may be one that somebody has not taken hold of yet."""


@contextmanager
def scratch_in(parent: Path) -> Iterator[Path]:
    """A folder of one's own, gone afterwards; what nobody holds any more is cleared away first."""
    _sweep(parent)
    # What a worker elsewhere is still writing to is cleared away by the next run.
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True) as made:
        folder = Path(made)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(descriptor)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            if time() - folder.stat().st_mtime < YOUNG_SECONDS:
                continue
            descriptor = os.open(folder, os.O_RDONLY)
        except OSError:  # somebody else was quicker
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
