"""What the benchmarks share: a ledger of their own, callers side by side, a table or JSON."""

import argparse
import json
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.embedded import control
from ledger.settings import Settings
from tallystick.serve import bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line: ours beside a baseline measured in the same minute."""

    workload: str
    ours: float
    baseline: float
    baseline_name: str
    unit: str

    @property
    def ratio(self) -> float:
        return round(self.ours / self.baseline, 3)


def arguments(description: str | None) -> argparse.Namespace:
    """The options of every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, taken in turn")
    return parser.parse_args()


@contextmanager
def fresh_ledger() -> Iterator[Settings]:
    """A new embedded database on disk, durable as ever, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as folder:
        settings = Settings(data=Path(folder))
        bootstrap.prepare(settings)
        try:
            yield settings
        finally:
            control.stop(settings)


def configuration(settings: Settings, **more: Any) -> dict[str, Any]:
    """What the figures were measured on."""
    names = ("server_version", "fsync", "full_page_writes", "synchronous_commit", "data_checksums")
    with psycopg.connect(database.conninfo(settings, Role.WRITER)) as connection:
        found = {name: (connection.execute(f"SHOW {name}").fetchone() or [""])[0] for name in names}
    return found | more


def rate(callers: int, seconds: float, act: Callable[[], object]) -> float:
    """How often per second `callers` threads together get through `act`."""
    stop = threading.Event()
    counts = [0] * callers
    failures: list[Exception] = []

    def call(number: int) -> None:
        try:
            while not stop.is_set():
                act()
                counts[number] += 1
        except Exception as error:  # noqa: BLE001  (raised again by the caller)
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    began = perf_counter()
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    elapsed = perf_counter() - began
    done = sum(counts)
    stop.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return done / elapsed


def latencies_ms(seconds: float, act: Callable[[], object]) -> list[float]:
    """How long each call of one caller takes, sorted."""
    found = []
    until = perf_counter() + seconds
    while (began := perf_counter()) < until:
        act()
        found.append((perf_counter() - began) * 1_000)
    return sorted(found)


def percentile(values: list[float], share: float) -> float:
    """Of sorted values: percentile(values, 0.99)."""
    return values[min(len(values) - 1, int(len(values) * share))]


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The medians of measures taken in turn, so that a noisy minute hits them all alike."""
    figures: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for found, measure in zip(figures, measures, strict=True):
            found.append(measure())
    return [statistics.median(found) for found in figures]


def show(name: str, config: dict[str, Any], results: list[Result], *, as_json: bool) -> None:
    """Print what was measured."""
    if as_json:
        lines = [
            asdict(r)
            | {"ours": round(r.ours, 3), "baseline": round(r.baseline, 3), "ratio": r.ratio}
            for r in results
        ]
        print(json.dumps({"name": name, "config": config, "results": lines}))
        return
    console = Console(highlight=False)
    console.print(", ".join(f"{key} {value}" for key, value in config.items()))
    table = Table("workload", "ours", "baseline", "ratio", "unit", "baseline is")
    for r in results:
        row = (r.workload, f"{r.ours:,.2f}", f"{r.baseline:,.2f}", f"{r.ratio:.2f}", r.unit)
        table.add_row(*row, r.baseline_name)
    console.print(table)
