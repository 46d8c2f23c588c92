"""Replaying: decode every event and fold one read model, history, in memory.

W6  from the database and from the archive, by one process and by two, in events per second,
    beside PostgreSQL's own COPY of the same rows in the same order, and beside the library's
    application reading and decoding its notification log: once of its own tiny aggregates, once
    of our events, byte for byte as we store them

The library's mapper and JSON transcoder make of our events an object with plain values: texts and
numbers, where ours have instants, amounts and ids. It folds nothing.

Two processes include the seconds that they take to start. Folding from the database, each of two
processes reads the streams of its half. Peak memory is of the process that folds: rows are kept,
events are not. The log has EVENTS events of all kinds; reading it again costs no disk.
"""

import gc
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from uuid import UUID

import psycopg
from _generate import generate
from _measure import Result, arguments, configuration, fresh_ledger, in_turn, show
from append import Counter, library_application
from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import StoredEvent
from eventsourcing.utils import register_topic

from ledger.eventstore import database
from ledger.eventstore.codec import TOPICS, decode_stored
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.engine.read_model import Recorded, Rows, types_ignored
from projections.history.history import HISTORY
from replay import log
from replay.archive import layout, read
from replay.archive.fold import COLUMNS, decoded, seldom_collected, topics_of
from replay.archive.write import archive
from replay.engines import Engine, Processes, Serial
from replay.log import Raw
from replay.progress import peak_memory_mb

EVENTS = int(os.environ.get("TALLYSTICK_BENCH_EVENTS", "300000"))
LIBRARY_EVENTS = 15_000
SAVED_AT_ONCE = 100
PAGE_EVENTS = 1_000
PARTS = 2

_SKIPPED = topics_of(types_ignored(HISTORY))
_PART = "get_byte(uuid_send(event.originator_id), 15) %% 2 = %s"
_COPY = "COPY (SELECT * FROM ledger_events ORDER BY notification_id) TO STDOUT (FORMAT binary)"


def fold_from_database(conninfo: str, snapshot: str, parts: int, part: int) -> tuple[int, float]:
    """Rows of history and peak memory, of the streams of one part."""
    condition, values = (_PART, [part]) if parts > 1 else ("true", [])
    with log.snapshot(conninfo, snapshot) as connection:
        pages = log.pages(connection, condition=condition, values=values, page_events=PAGE_EVENTS)
        return _folded(map(_decoded, pages))


def _decoded(page: list[Raw]) -> Iterator[Recorded]:
    last, at = b"", log.recorded_at(bytes(8))
    for position, stream, version, topic, state, recorded, _ in page:
        if topic in _SKIPPED:
            continue
        if recorded != last:
            last, at = recorded, log.recorded_at(recorded)
        event = decode_stored(topic, state, stream, version)
        yield Recorded(position=position, recorded_at=at, event=event)


def fold_from_archive(folder: Path, bucket: int) -> tuple[int, float]:
    """Rows of history and peak memory, of one bucket."""
    files = layout.load(folder).files(bucket, log.POSITION_MAX)
    groups = (group for file in files for group in read.row_groups(folder / file.name, COLUMNS))
    return _folded(decoded(columns, _SKIPPED) for columns in groups)


def _folded(pages: Iterable[Iterable[Recorded]]) -> tuple[int, float]:
    rows, apply = Rows(), HISTORY.apply
    with seldom_collected():
        for page in pages:
            for recorded in page:
                apply(rows, recorded)
    return sum(len(rows[table]) for table in HISTORY.tables), peak_memory_mb()


def folding_rate(
    engine: Engine,
    function: Callable[[int], tuple[int, float]],
    parts: int,
    events: int,
    peaks_mb: list[float],
) -> float:
    """Events per second."""
    gc.collect()
    began = perf_counter()
    done = [found for _, found in engine.map(function, range(parts))]
    elapsed = perf_counter() - began
    peaks_mb.append(max(peak for _, peak in done))
    assert sum(rows for rows, _ in done) > 0
    return events / elapsed


def copy_rate(conninfo: str, events: int) -> float:
    """Events per second that PostgreSQL sends and we throw away."""
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        began = perf_counter()
        with cursor.copy(_COPY) as copy:
            while copy.read():
                pass
        return events / (perf_counter() - began)


def fill_library(application: Application[UUID]) -> None:
    """Aggregates of three events, as in the other benchmarks, many in one save."""
    text = "a text of the length that a state has " * 8
    for _ in range(LIBRARY_EVENTS // (3 * SAVED_AT_ONCE)):
        counters = [Counter() for _ in range(SAVED_AT_ONCE)]
        for counter in counters:
            counter.count(text)
            counter.count(text)
        application.save(*counters)


class SameEvents(Application[UUID]):
    """Has its own tables, with what we store."""


def library_with_ours(settings: Settings, like: Application[UUID]) -> Application[UUID]:
    """The library's application over the last LIBRARY_EVENTS of our events, as we store them."""
    for topic in TOPICS.values():
        register_topic(topic, type(topic, (DomainEvent,), {}))
    application = SameEvents(env=dict(like.env))
    with log.snapshot(database.conninfo(settings, Role.READER)) as connection:
        after = log.head(connection).position - LIBRARY_EVENTS
        for page in log.pages(connection, after=after, page_events=SAVED_AT_ONCE):
            application.recorder.insert_events(
                [
                    StoredEvent(
                        originator_id=log.stream_id(raw),
                        originator_version=raw.version,
                        topic=raw.topic,
                        state=raw.state,
                    )
                    for raw in page
                ]
            )
    return application


def library_rate(application: Application[UUID]) -> float:
    """Events per second that the library's application reads from its own log, and decodes."""
    began, done, start = perf_counter(), 0, 1
    while notifications := application.recorder.select_notifications(start, PAGE_EVENTS):
        for notification in notifications:
            application.mapper.to_domain_event(notification)
        done += len(notifications)
        start = notifications[-1].id + 1
    assert done >= LIBRARY_EVENTS
    return done / (perf_counter() - began)


def main() -> None:
    options = arguments(__doc__)
    with fresh_ledger() as settings, tempfile.TemporaryDirectory() as folder:
        generate(settings, EVENTS)
        conninfo = database.conninfo(settings, Role.READER)
        manifest = archive(conninfo, Path(folder))
        library = library_application(settings)
        fill_library(library)
        ours = library_with_ours(settings, library)
        results, peaks_mb = _measured(
            settings, Path(folder), manifest, (library, ours), options.rounds
        )
        config = configuration(
            settings,
            events=manifest.position,
            buckets=manifest.buckets,
            rounds=options.rounds,
            cores=os.cpu_count(),
            peak_memory_mb=peaks_mb,
        )
        library.close()
        ours.close()
    show("replay", config, results, as_json=options.json)


def _measured(
    settings: Settings,
    folder: Path,
    manifest: layout.Manifest,
    libraries: tuple[Application[UUID], Application[UUID]],
    rounds: int,
) -> tuple[list[Result], dict[str, float]]:
    conninfo, events = database.conninfo(settings, Role.READER), manifest.position
    peaks: dict[str, list[float]] = {}
    with log.snapshot(conninfo) as connection:
        log.head(connection)
        exported = log.export(connection)

        def measure(source: str, processes: int) -> Callable[[], float]:
            name = f"W6 {source}, {processes} process{'es' if processes > 1 else ''}"
            engine: Engine = Processes(processes) if processes > 1 else Serial()
            parts = processes if source == "database" else manifest.buckets
            function = (
                partial(fold_from_database, conninfo, exported, parts)
                if source == "database"
                else partial(fold_from_archive, folder)
            )
            noted = peaks.setdefault(name, [])
            return lambda: folding_rate(engine, function, parts, events, noted)

        measures = [measure(source, n) for source in ("database", "archive") for n in (1, PARTS)]
        *ours, copy, tiny, same = in_turn(
            rounds,
            *measures,
            lambda: copy_rate(conninfo, events),
            *(partial(library_rate, library) for library in libraries),
        )
    baselines = (
        ("COPY, binary", copy),
        ("the library, tiny events", tiny),
        ("the library, our stored bytes", same),
    )
    lines = [
        Result(workload=name, ours=rate, baseline=base, baseline_name=what, unit="events/s")
        for what, base in baselines
        for name, rate in zip(peaks, ours, strict=True)
    ]
    return lines, {name: max(noted) for name, noted in peaks.items()}


if __name__ == "__main__":
    main()
