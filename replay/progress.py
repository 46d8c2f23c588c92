"""Progress of long work: a bar on a terminal, lines of JSON when it is read by a program."""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_SECONDS = 1.0
"""Between lines of JSON."""

_KIB_PER_MB = 1024 if sys.platform != "darwin" else 1024 * 1024

Report = Callable[[int, int | None], None]
"""How much is done, and of how much in all; None where that is not known."""


def peak_memory_mb() -> float:
    """The most memory that this process has had resident, in MiB."""
    try:  # what getrusage says on Linux includes the process that started this one
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)
    except (OSError, IndexError):
        pass
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MB, 1)


@contextmanager
def reporting(what: str, *, unit: str = "events", stream: TextIO | None = None) -> Iterator[Report]:
    """Show on standard error how `what` gets on, for as long as the block runs.

    On a terminal a bar; otherwise one line of JSON about every second and a last one:
    `{"doing", "done", "total", "unit", "elapsed_s", "peak_memory_mb"}`.
    """
    shown_on = stream or sys.stderr
    report = _bar(what, shown_on) if shown_on.isatty() else _lines(what, unit, shown_on)
    with report as reporter:
        yield reporter


@contextmanager
def _bar(what: str, stream: TextIO) -> Iterator[Report]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=stream),
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def _lines(what: str, unit: str, stream: TextIO) -> Iterator[Report]:
    began = monotonic()
    said_at = began
    last: tuple[int, int | None] = (0, None)

    def say(done: int, total: int | None) -> None:
        line = {
            "doing": what,
            "done": done,
            "total": total,
            "unit": unit,
            "elapsed_s": round(monotonic() - began, 1),
            "peak_memory_mb": peak_memory_mb(),
        }
        print(json.dumps(line), file=stream, flush=True)

    def report(done: int, total: int | None) -> None:
        nonlocal said_at, last
        last = (done, total)
        if monotonic() - said_at >= LINE_SECONDS:
            said_at = monotonic()
            say(done, total)

    yield report
    say(*last)
