"""What workers of an engine run in tests; a module of its own, so that they can import it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from replay.archive import fold

EVENTS_UNTIL_KILLED = 20


def killed_half_way(function: Any, notes: Path, kills: int, bucket: int) -> Any:
    """Does its work, but with bucket 2 dies in the midst of it, as often as `kills`."""
    with (notes / str(bucket)).open("a", encoding="ascii") as note:
        note.write(f"{os.getpid()}\n")
    if bucket != 2 or len((notes / str(bucket)).read_text().splitlines()) > kills:
        return function(bucket)
    with patch.object(fold, "decoded", _decoded_until_killed):
        function(bucket)
    return _die()  # it folds nothing


def _decoded_until_killed(*arguments: Any) -> Iterator[Any]:
    for number, recorded in enumerate(_DECODED(*arguments)):
        if number == EVENTS_UNTIL_KILLED:
            _die()
        yield recorded


_DECODED = fold.decoded


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def echoes(bucket: int) -> int:
    return bucket


def refuses(bucket: int) -> int:
    """All buckets but the fourth are well."""
    if bucket == 3:
        raise LookupError("three")
    return bucket
