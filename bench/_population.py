"""A labelled population in a ledger, for benchmarks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # it is appended as the tests do

from ledger.settings import Settings
from replay.progress import reporting
from tests.generators import synthetic_players_log


def append_population(settings: Settings, players: int, days: int, seed: int = 7) -> int:
    """Append a population as it is recorded together; how many events that is."""
    with reporting("Appending a population") as report:
        return synthetic_players_log.append_population(
            settings, players, days, seed, on_progress=lambda done: report(done, None)
        )
