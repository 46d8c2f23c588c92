"""Verifying: events per second, beside reading the same rows, and beside the library.

W9   the part `log` in one process, beside COPY (SELECT … FROM ledger_events) TO STDOUT
W9b  every part in one process, beside the library reading its own notification log
W9c  every part in two processes, beside one
"""

import argparse
from collections.abc import Sequence
from time import perf_counter
from uuid import UUID

import psycopg
from _generate import follow, generate
from _measure import Result, configuration, fresh_ledger, in_turn, show
from append import library_application, library_save
from eventsourcing.application import Application

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.registry import READ_MODELS
from replay.verify import Verification, verify

LIBRARY_SAVES_OF_EVENTS = 3
LIBRARY_PAGE_EVENTS = 5_000
_COPY = """
COPY (
    SELECT notification_id, originator_id, originator_version, topic, state, recorded_at, leaf
    FROM ledger_events ORDER BY notification_id
) TO STDOUT (FORMAT binary)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--events", type=int, default=200_000, help="how long the log is")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, taken in turn")
    options = parser.parse_args()
    with fresh_ledger() as settings:
        generate(settings, options.events)
        follow(settings)
        library = library_application(settings)
        save = library_save(library)
        for _ in range(options.events // LIBRARY_SAVES_OF_EVENTS):
            save()
        peaks: dict[str, float] = {}
        results = _measured(settings, library, options.rounds, peaks)
        config = configuration(settings, events=options.events, rounds=options.rounds, **peaks)
        library.close()
    show("verify", config, results, as_json=options.json)


def _measured(
    settings: Settings, library: Application[UUID], rounds: int, peaks: dict[str, float]
) -> list[Result]:
    def verified(name: str, jobs: int, parts: Sequence[str] | None) -> float:
        found = verify(
            database.conninfo(settings, Role.READER), READ_MODELS, parts=parts, jobs=jobs
        )
        peaks[f"peak_memory_mb_{name}"] = _peak_memory_mb(found)
        return found.events_per_s

    log, copied, whole, shared, theirs = in_turn(
        rounds,
        lambda: verified("log", 1, ["log"]),
        lambda: _copied(settings),
        lambda: verified("all", 1, None),
        lambda: verified("all_2_jobs", 2, None),
        lambda: _read_by_library(library),
    )
    unit = "events per second"
    copy, reading = "COPY of the same rows", "eventsourcing: its notification log, read"
    return [
        Result(workload="W9 log", ours=log, baseline=copied, baseline_name=copy, unit=unit),
        Result(workload="W9b all", ours=whole, baseline=theirs, baseline_name=reading, unit=unit),
        Result(
            workload="W9c 2 jobs", ours=shared, baseline=whole, baseline_name="1 job", unit=unit
        ),
    ]


def _peak_memory_mb(found: Verification) -> float:
    if not found.ok:
        raise RuntimeError(f"not verified: {found.problems[:3]}")
    return found.peak_memory_mb


def _copied(settings: Settings) -> float:
    with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
        row = connection.execute("SELECT count(*) FROM ledger_events").fetchone()
        began = perf_counter()
        with connection.cursor().copy(_COPY) as copy:
            for _ in copy:
                pass
        return (row[0] if row else 0) / (perf_counter() - began)


def _read_by_library(library: Application[UUID]) -> float:
    """Every notification, decoded to its event."""
    began, read, start = perf_counter(), 0, 1
    while notifications := library.recorder.select_notifications(start, LIBRARY_PAGE_EVENTS):
        for notification in notifications:
            library.mapper.to_domain_event(notification)
        read += len(notifications)
        start = notifications[-1].id + 1
    return read / (perf_counter() - began)


if __name__ == "__main__":
    main()
