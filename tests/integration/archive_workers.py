"""What workers of an engine run in tests; a module of its own, so that they can import it."""

import os
import signal
from pathlib import Path
from typing import Any


def killed_half_way(function: Any, notes: Path, kills: int, bucket: int) -> Any:
    """Does its work, and with bucket 2 dies before it can say so, as often as `kills`."""
    result = function(bucket)
    with (notes / str(bucket)).open("a", encoding="ascii") as note:
        note.write(f"{os.getpid()}\n")
    if bucket == 2 and len((notes / str(bucket)).read_text().splitlines()) <= kills:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def echoes(bucket: int) -> int:
    return bucket


def refuses(bucket: int) -> int:
    """All buckets but the fourth are well."""
    if bucket == 3:
        raise LookupError("three")
    return bucket
