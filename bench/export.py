"""Exports: events per second and peak memory of each format, each in a process of its own.

W10  JSONL and Parquet, beside what PostgreSQL can give out at all (COPY in binary) and the
     library's own reading of its notification log
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
from _generate import generate
from _measure import Result, configuration, fresh_ledger, in_turn, show
from append import library_application, library_save

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from replay.export.sinks import Format

FORMATS = (Format.JSONL, Format.PARQUET, Format.CSV, Format.CLOUDEVENTS)
LIBRARY_EVENTS = 9_000
SECTION = 1_000
"""Notifications that the library reads at once."""

ONE = """
import json, sys
from pathlib import Path
from time import perf_counter, process_time
from replay.export.run import export
from replay.export.selection import Selection
from replay.export.sinks import Format
from replay.progress import peak_memory_mb
began, began_cpu = perf_counter(), process_time()
made = export(sys.argv[1], Selection(), Path(sys.argv[2]), Format(sys.argv[3]))
print(json.dumps({
    "events": made.events,
    "elapsed_s": perf_counter() - began,
    "cpu_s": process_time() - began_cpu,
    "peak_memory_mb": peak_memory_mb(),
    "bytes": sum(file.bytes for file in made.files),
}))
"""


def exported(settings: Settings, form: Format, told: dict[str, Any]) -> Callable[[], float]:
    """Events per second of one export; what else it told is put into `told`."""

    def measure() -> float:
        with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as folder:
            reader = database.conninfo(settings, Role.READER)
            run = subprocess.run(
                [sys.executable, "-c", ONE, reader, folder, form],
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).parents[1],
            )
        answer = json.loads(run.stdout)
        before = told.get(form, {"peak_memory_mb": 0.0})
        told[form] = {
            "mb": round(answer["bytes"] / 1e6, 1),
            "events_per_cpu_s": round(answer["events"] / answer["cpu_s"]),
            "peak_memory_mb": max(before["peak_memory_mb"], answer["peak_memory_mb"]),
        }
        return float(answer["events"] / answer["elapsed_s"])

    return measure


def copied(settings: Settings) -> float:
    """Events per second of COPY: rows as they are, thrown away."""
    with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
        began, rows = perf_counter(), 0
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY ledger_events TO STDOUT (FORMAT binary)") as copy,
        ):
            for _ in copy:
                rows += 1
        return rows / (perf_counter() - began)


def library_reading(settings: Settings) -> Callable[[], float]:
    """Events per second of the library reading its own notification log, filled here."""
    application = library_application(settings)
    save = library_save(application)
    for _ in range(LIBRARY_EVENTS // 3):
        save()

    def measure() -> float:
        began, read, start = perf_counter(), 0, 1
        while found := application.recorder.select_notifications(start, SECTION):
            read, start = read + len(found), found[-1].id + 1
        return read / (perf_counter() - began)

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--events", type=int, default=200_000, help="length of the log")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, taken in turn")
    options = parser.parse_args()
    told: dict[str, Any] = {}
    with fresh_ledger() as settings:
        generate(settings, options.events)
        read = library_reading(settings)
        copy, library, *ours = in_turn(
            options.rounds,
            lambda: copied(settings),
            read,
            *(exported(settings, form, told) for form in FORMATS),
        )
        config = configuration(settings, events=options.events, rounds=options.rounds, **told)
    results = [
        Result(
            workload=f"W10 {form}",
            ours=rate,
            baseline=baseline,
            baseline_name=name,
            unit="events per second",
        )
        for form, rate in zip(FORMATS, ours, strict=True)
        for baseline, name in ((copy, "COPY in binary"), (library, "eventsourcing: its log"))
    ]
    show("export", config, results, as_json=options.json)


if __name__ == "__main__":
    main()
