"""Rebuilding read models from a large log (W7), beside a plain copy and the library's reading.

Each model alone, in a process of its own; then all of them, two at a time; then the history of
half of the log, as what one event takes must not grow with their number.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from uuid import UUID

import psycopg
from _generate import follow, generate
from _measure import Result, configuration, fresh_ledger, show
from append import Counter, library_application
from eventsourcing.application import Application
from eventsourcing.system import NotificationLogReader

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.history.history import HISTORY
from projections.registry import READ_MODELS
from replay.rebuild.as_of import build_as_of, drop_as_of

LIBRARY_EVENTS = 30_000
WANTED_ALONE, WANTED_TOGETHER = 100_000, 40_000
MEMORY_MB_MAX = 400


def copied(settings: Settings) -> tuple[int, float]:
    """Events, and how many a second leave the table when nothing is done with them."""
    events, began = 0, perf_counter()
    with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
        query = (
            "COPY (SELECT * FROM ledger_events ORDER BY notification_id) TO STDOUT (FORMAT binary)"
        )
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            for _ in copy:
                events += 1
    return events, events / (perf_counter() - began)


def library_reads(settings: Settings) -> float:
    """Events a second that the library reads of a log of its own, and makes events of again."""
    application = library_application(settings)
    _fill(application)
    began, events = perf_counter(), 0
    reader = NotificationLogReader(application.notification_log, section_size=1_000)
    for notification in reader.read(start=1):
        application.mapper.to_domain_event(notification)
        events += 1
    figure = events / (perf_counter() - began)
    application.close()
    return figure


def _fill(application: Application[UUID]) -> None:
    for _ in range(LIBRARY_EVENTS // 300):
        counters = [Counter() for _ in range(100)]
        for counter in counters:
            counter.count("a text of the length that a state has " * 4)
            counter.count("a text of the length that a state has " * 4)
        application.save(*counters)


def rebuilt(settings: Settings, *arguments: str) -> dict[str, float]:
    """What `tallystick rebuild` says of itself, with the time its process took in all."""
    command = [sys.executable, "-m", "tallystick", "rebuild", *arguments, "--json"]
    environment = {
        "TALLYSTICK_DATA": str(settings.data),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def up_to(settings: Settings, events: int) -> float:
    """Events a second of the history of the first so many events, without any comparison."""
    owner = database.conninfo(settings, Role.OWNER)
    began = perf_counter()
    build_as_of(owner, owner, HISTORY, events)
    figure = events / (perf_counter() - began)
    drop_as_of(owner, HISTORY)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--events", type=int, default=300_000, help="at least, in the log")
    chosen = parser.parse_args()
    with fresh_ledger() as settings:
        generate(settings, chosen.events)
        follow(settings)
        with psycopg.connect(database.conninfo(settings, Role.OWNER), autocommit=True) as owner:
            owner.execute("VACUUM ANALYZE ledger_events")
        events, copy_rate = copied(settings)
        library_rate = library_reads(settings)
        results, memory_mb = [], 0.0
        for model in READ_MODELS:
            found = rebuilt(settings, model.name)
            memory_mb = max(memory_mb, found["peak_memory_mb"])
            rates = {"fill": found["events_per_s"], "in all": events / found["elapsed_s"]}
            results += [
                _line(f"W7 {model.name}, {name}", rate, copy_rate, "COPY of the log")
                for name, rate in rates.items()
            ]
            if model is HISTORY:
                wanted = f"wanted: {WANTED_ALONE:,}"
                results += [
                    _line("W7 history, fill", rates["fill"], WANTED_ALONE, wanted),
                    _line("W7 history, fill", rates["fill"], library_rate, "the library reading"),
                ]
        every = rebuilt(settings, "--all")
        results.append(
            _line(
                "W7 all, two at a time, in all",
                every["events_per_s"],
                WANTED_TOGETHER,
                f"wanted: {WANTED_TOGETHER:,}",
            )
        )
        whole, half = up_to(settings, events), up_to(settings, events // 2)
        results.append(_line("W7 history, as of the end", whole, half, "the first half of the log"))
        memory_mb = max(memory_mb, every["peak_memory_mb"])
        results.append(
            Result(
                workload="W7 peak memory of a process",
                ours=memory_mb,
                baseline=MEMORY_MB_MAX,
                baseline_name="wanted: at most",
                unit="MiB",
            )
        )
        config = configuration(settings, events=events, models=len(READ_MODELS))
    show("rebuild", config, results, as_json=chosen.json)


def _line(workload: str, ours: float, baseline: float, name: str) -> Result:
    return Result(
        workload=workload, ours=ours, baseline=baseline, baseline_name=name, unit="events/s"
    )


if __name__ == "__main__":
    main()
