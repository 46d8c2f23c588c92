"""What workers of a backtest run in tests; a module of its own, so that they can import it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from replay.backtest import judging, partitioning

UNTIL_KILLED = 20
_DECODED, _MERGED = partitioning.decoded, judging.merged


def killed_half_way(function: Any, notes: Path, piece: int) -> Any:
    """Does its work, but dies in the midst of piece 2 when that is begun for the first time."""
    note = notes / f"{function.func.__name__}-{piece}"
    with note.open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    if piece != 2 or len(note.read_text().splitlines()) > 1:
        return function(piece)
    with (
        patch.object(partitioning, "decoded", lambda *told: _until_killed(_DECODED(*told))),
        patch.object(judging, "merged", lambda *told: _until_killed(_MERGED(*told))),
    ):
        function(piece)
    return _die()


def _until_killed(coming: Iterator[Any]) -> Iterator[Any]:
    for number, one in enumerate(coming):
        if number == UNTIL_KILLED:
            _die()
        yield one


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
