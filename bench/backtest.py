"""Backtests: events per second, two processes beside one.

W12  a candidate over a population on two processes, beside one process; more processors would do
     more, the digest has to be the same
"""

import argparse
import tempfile
from pathlib import Path

from _measure import Result, configuration, fresh_ledger, in_turn, show
from _population import append_population

from ledger.eventstore import database
from ledger.eventstore.database import Role
from replay.archive.write import archive
from replay.backtest.candidates import Changed
from replay.backtest.report import Backtest
from replay.backtest.run import backtest
from replay.engines import Processes

CANDIDATE = Changed(
    "candidate",
    {
        "low_turnover": {"thresholds": {"wagered_percent": 200}},
        "structuring": {"thresholds": {"deposits": 2}},
    },
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--players", type=int, default=6_000, help="of the population")
    parser.add_argument("--days", type=int, default=90, help="that it plays")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, taken in turn")
    options = parser.parse_args()
    with fresh_ledger() as settings, tempfile.TemporaryDirectory() as made:
        events = append_population(settings, options.players, options.days)
        folder = Path(made) / "archive"
        archive(database.conninfo(settings, Role.READER), folder)
        found: dict[int, Backtest] = {}

        def rate(workers: int) -> float:
            found[workers] = backtest(folder, CANDIDATE, Processes(workers))
            return events / found[workers].elapsed_s

        two, one = in_turn(options.rounds, lambda: rate(2), lambda: rate(1))
        if found[1].digest != found[2].digest:
            raise RuntimeError("the digests differ")
        config = configuration(
            settings,
            events=events,
            signals=found[1].signals,
            players=options.players,
            rounds=options.rounds,
            decisions_changed=found[1].decisions_changed,
            peak_memory_mb_one=found[1].peak_memory_mb,
            peak_memory_mb_two=found[2].peak_memory_mb,
        )
    result = Result(
        workload="W12 2 processes",
        ours=two,
        baseline=one,
        baseline_name="1 process",
        unit="events per second",
    )
    show("backtest", config, [result], as_json=options.json)


if __name__ == "__main__":
    main()
