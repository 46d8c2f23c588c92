"""Everything about the past, on one large log: does it all end well, how fast, in how much memory?

Fills a ledger, signs it, lets the read models follow, and then runs the commands that people run,
each as a process of its own. Prints for each its speed and the most memory that any process of it
had at once; fails where a command fails or a process passes the bound.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
from _generate import follow, generate
from rich.console import Console
from rich.table import Table

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.embedded import control
from ledger.settings import Settings
from tallystick.serve import bootstrap

MEMORY_MAX_MB = 400
SMALL_SET_EVENTS = 100_000
"""What goes into a workbook."""

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One command, and what it took."""

    command: str
    ok: bool
    events_per_s: int
    elapsed_s: float
    peak_memory_mb: float
    answer: Any


def position(settings: Settings) -> int:
    """Where the log ends."""
    with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
        row = connection.execute("SELECT position FROM ledger_head").fetchone()
    return row[0] if row else 0


def commands(folder: Path, small: int) -> Iterator[tuple[str, Sequence[str]]]:
    """Name and arguments, in the order in which they make sense."""
    yield "sign", ["checkpoint", "now", "--json"]
    yield "verify", ["verify", "--json"]
    for form in ("jsonl", "csv", "parquet", "cloudevents"):
        to = str(folder / form)
        yield f"export {form}", ["export", "events", "--format", form, "--to-folder", to, "--json"]
    xlsx = ["--format", "xlsx", "--upto", str(small), "--to-folder", str(folder / "xlsx")]
    yield f"export xlsx of {small:,}", ["export", "events", *xlsx, "--json"]
    yield "rebuild every read model", ["rebuild", "--all", "--json"]
    archive = str(folder / "archive")
    yield "archive", ["archive", "write", "--to", archive, "--json"]
    yield "verify the archive", ["archive", "verify", archive, "--json"]
    for engine in ("serial", "processes", "ray"):
        workers = ["--engine", engine, "--workers", "2"]
        yield f"replay the archive: {engine}", ["archive", "replay", archive, *workers, "--json"]


def workers_of(answer: Any) -> Iterator[float]:
    """What workers elsewhere, whom nobody here can watch, say of themselves."""
    for worker in answer.get("workers", ()) if isinstance(answer, dict) else ():
        yield worker["peak_memory_mb"]


def run(name: str, arguments: Sequence[str], events: int, environment: dict[str, str]) -> Run:
    """Run a command, and watch the memory of every process it starts."""
    began = monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "tallystick", *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL,
        start_new_session=True,
    )
    with peak_memory(process.pid) as peak_mb:
        output, _ = process.communicate()
    elapsed_s = monotonic() - began
    lines = output.decode().splitlines()
    answer = json.loads(lines[-1]) if lines else None
    most_mb = max([*peak_mb.values(), *workers_of(answer)], default=0)
    return Run(
        command=name,
        ok=process.returncode == 0 and most_mb < MEMORY_MAX_MB,
        events_per_s=round(events / elapsed_s),
        elapsed_s=round(elapsed_s, 1),
        peak_memory_mb=most_mb,
        answer=answer,
    )


@contextmanager
def peak_memory(session: int) -> Iterator[dict[int, float]]:
    """The most that each Python process of a session has had resident, in MiB, by its id."""
    peaks: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    note(folder)
            sleep(_LOOK_SECONDS)

    def note(folder: Path) -> None:
        try:
            if (
                os.getsid(int(folder.name)) != session
                or "python" not in (folder / "exe").readlink().name
            ):
                return
            status = (folder / "status").read_text()
        except (OSError, ProcessLookupError):
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                peaks[int(folder.name)] = round(int(line.split()[1]) / 1024, 1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--events", type=int, default=200_000, help="length of the log")
    parser.add_argument("--only", help="commands whose name begins with this")
    parser.add_argument("--data", type=Path, help="folder of a ledger to use, made where missing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tallystick-large-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        settings = Settings(data=options.data or folder / "data")
        bootstrap.prepare(settings)
        try:
            if position(settings) < options.events:
                generate(settings, options.events)
            follow(settings)
            environment = {"TALLYSTICK_DATA": str(settings.data)}
            runs = []
            small = min(SMALL_SET_EVENTS, options.events)
            for command, arguments in commands(folder, small):
                if command == "sign" or command.startswith(options.only or ""):
                    events = small if " xlsx" in command else position(settings)
                    runs.append(run(command, arguments, events, environment))
                    if not options.json:
                        show(runs[-1:], header=False, as_json=False)
        finally:
            control.stop(settings)
    show(runs, header=True, as_json=options.json)
    return 0 if all(one.ok for one in runs) else 1


def show(runs: Sequence[Run], *, header: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"name": "large_log", "results": [asdict(one) for one in runs]}))
        return
    console = Console(highlight=False)
    table = Table("command", "events/s", "seconds", "peak MB", "", show_header=header)
    for one in runs:
        table.add_row(
            one.command,
            f"{one.events_per_s:,}",
            f"{one.elapsed_s:,.1f}",
            f"{one.peak_memory_mb:,.0f}",
            "ok" if one.ok else f"failed: {str(one.answer)[:200]}",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
