"""The fraud indicators over a whole population: live, rebuilt, on processes and on Ray, once each.

All of them have to come to the same hits and assessments, byte for byte; the exit status says so.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import psycopg
from _measure import fresh_ledger
from _population import append_population
from psycopg.rows import args_row

from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.engine.read_model import schema_of
from projections.engine.tables import adapt, builder
from projections.fraud.judging import Hit
from projections.fraud.model import ASSESSMENTS, FRAUD, HITS, AssessmentRow
from replay.archive.write import archive
from replay.backtest.candidates import Named
from replay.backtest.digest import digest
from replay.backtest.run import backtest
from replay.engines import Engine, Processes, Ray, Serial
from replay.rebuild.run import Rebuild
from tallystick.serve import bootstrap


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--players", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    seconds: dict[str, float] = {}
    digests: dict[str, str] = {}

    def timed(name: str, act: Callable[[], object]) -> object:
        began = perf_counter()
        made = act()
        seconds[name] = round(perf_counter() - began, 1)
        return made

    with fresh_ledger() as settings, tempfile.TemporaryDirectory() as folder:
        events = append_population(settings, chosen.players, chosen.days, chosen.seed)
        timed(
            "live",
            Projector(
                conninfo=database.conninfo(settings, Role.WRITER), models=[FRAUD], decode=decode
            ).catch_up,
        )
        digests["live"], hits, assessments = _digest(settings)
        timed("rebuild", lambda: _rebuild(settings))
        digests["rebuild"], *_ = _digest(settings)
        where = Path(folder) / "archive"
        timed("archive", lambda: archive(database.conninfo(settings, Role.READER), where))
        engines: tuple[Engine, ...] = (Serial(), Processes(2), Ray(2))
        for engine in engines:
            found = backtest(where, Named("live"), engine)
            seconds[engine.name] = found.elapsed_s
            digests[engine.name] = found.digest
    told = {
        "events": events,
        "hits": hits,
        "assessments": assessments,
        "equal": len(set(digests.values())) == 1,
        "digests": digests,
        "seconds": seconds,
        "events_per_s": {name: round(events / took) for name, took in seconds.items()},
    }
    print(json.dumps(told, indent=None if chosen.json else 2))
    return 0 if told["equal"] else 1


def _rebuild(settings: Settings) -> None:
    ledger = bootstrap.build_ledger(settings)
    try:
        Rebuild(owner=database.conninfo(settings, Role.OWNER), ledger=ledger).run(FRAUD)
    finally:
        ledger.close()


def _digest(settings: Settings) -> tuple[str, int, int]:
    """Of what the tables hold; hits and assessments."""
    schema = schema_of(FRAUD)
    with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
        connection.execute("SET timezone = 'UTC'")
        adapt(connection)
        with connection.cursor(row_factory=args_row(builder(Hit)), binary=True) as cursor:
            query = f'SELECT {", ".join(HITS.columns)} FROM {schema}.hits ORDER BY id COLLATE "C"'
            hits = cursor.execute(query.encode()).fetchall()
        with connection.cursor(row_factory=args_row(builder(AssessmentRow)), binary=True) as cursor:
            columns = ", ".join(ASSESSMENTS.columns)
            query = f"SELECT {columns} FROM {schema}.assessments ORDER BY position"
            assessments = cursor.execute(query.encode()).fetchall()
    return digest(hits, assessments), len(hits), len(assessments)


if __name__ == "__main__":
    sys.exit(main())
