"""Fraud indicators: how fast the projection is with all of them live, and what a busy player costs.

A labelled population is appended through the ledger. Then the fraud read model alone follows the
log from its beginning, as the projector does, in one process. After that, one player with very
many transactions is compared with many who have ten each, folded in memory and in the database.
Last, the projector follows with every read model while deposits are made as fast as they can be:
how far does it fall behind, and does it catch up?
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time, sleep
from uuid import NAMESPACE_URL, uuid5

import psycopg
from _measure import Result, configuration, fresh_ledger, rate, show
from _population import append_population
from append import CALLERS, append_prepared, whole_deposit

from domain.events import DepositCompleted, DepositCreated, LedgerEvent, Origin
from domain.events.evidence import Evidence, Outcome, Source
from domain.money import Money
from ledger.commands.past_balances import LedgerWithPast
from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.eventstore.ledger import Drafting
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.engine.read_model import Recorded, Rows
from projections.fraud.model import FRAUD
from tallystick.play import synthetic_players
from tallystick.serve import bootstrap
from tests.generators.synthetic_players_log import append_drafts

WANTED = 20_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--players", type=int, default=3_000, help="of the population")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--transactions", type=int, default=100_000, help="of the busy player")
    parser.add_argument("--seconds", type=float, default=10.0, help="of deposits at full speed")
    chosen = parser.parse_args()
    results: list[Result] = []
    with fresh_ledger() as settings:
        append_population(settings, chosen.players, chosen.days)
        events = list(synthetic_players.events(chosen.players, chosen.days, 7))
        results.append(_line("fold in memory", _folded(events), WANTED, f"wanted: {WANTED:,}"))
        wall, core = _projected(settings, len(events))
        results.append(_line("projection, wall clock", wall, WANTED, f"wanted: {WANTED:,}"))
        results.append(_line("projection, a core's time", core, WANTED, f"wanted: {WANTED:,}"))
        config = configuration(settings, events=len(events), players=chosen.players)
    results += _busy(chosen.transactions)
    for name, load in _LOADS.items():
        results += _behind(name, load, chosen.seconds)
    show("fraud", config, results, as_json=chosen.json)


def _folded(events: Iterable[LedgerEvent]) -> float:
    recorded = [
        Recorded(position=position, recorded_at=event.occurred_at, event=event)
        for position, event in enumerate(events, 1)
    ]
    return len(recorded) / _seconds(lambda: _fold(recorded))


def _fold(recorded: Iterable[Recorded]) -> None:
    rows = Rows()
    for one in recorded:
        FRAUD.apply(rows, one)


def _projected(settings: Settings, events: int) -> tuple[float, float]:
    """Events a second, by the clock on the wall and by this process's own time."""
    projector = Projector(
        conninfo=database.conninfo(settings, Role.WRITER), models=[FRAUD], decode=decode
    )
    began, began_here = perf_counter(), process_time()
    projector.catch_up()
    return events / (perf_counter() - began), events / (process_time() - began_here)


# --- a busy player ------------------------------------------------------------------------------


def _busy(transactions: int) -> list[Result]:
    """What a transaction of a busy player takes beside one of a player with ten."""
    few = 10
    many_players = _deposits(players=transactions // few, each=few)
    one_player = _deposits(players=1, each=transactions)
    memory = [len(log) / _folded(log) for log in (one_player, many_players)]
    stored = [_stored(log) for log in (one_player, many_players)]
    return [
        Result(
            workload=f"{transactions:,} transactions of one player, {how}",
            ours=1_000_000 * ours / transactions,
            baseline=1_000_000 * baseline / transactions,
            baseline_name="as many, of players with ten",
            unit="µs/transaction",
        )
        for how, (ours, baseline) in (("in memory", memory), ("projected", stored))
    ]


def _stored(events: list[LedgerEvent]) -> float:
    """Seconds until the read model has followed."""
    with fresh_ledger() as settings:
        drafts = (Drafting(events=events[at : at + 2]) for at in range(0, len(events), 2))
        append_drafts(settings, drafts)
        began = perf_counter()
        _projected(settings, len(events))
        return perf_counter() - began


def _deposits(*, players: int, each: int) -> list[LedgerEvent]:
    """Deposits of each player, an hour apart on average; the players take turns."""
    log: list[LedgerEvent] = []
    for number in range(each):
        for player in range(players):
            at = BEGIN + timedelta(seconds=3_600 * number / max(1, each // 2_000) + player)
            log += _deposit(player, number, at)
    return log


def _deposit(player: int, number: int, at: datetime) -> list[LedgerEvent]:
    stream = uuid5(NAMESPACE_URL, f"bench-deposit:{player}:{number}")
    player_id = uuid5(NAMESPACE_URL, f"bench-player:{player}")
    amount = Money(1_000 + 7 * (number % 50), "EUR")

    def header(version: int) -> dict[str, object]:
        return {
            "originator_id": stream,
            "originator_version": version,
            "occurred_at": at,
            "actor": "operator:platform",
            "command_id": stream,
        }

    created = DepositCreated(
        **header(1),
        request_digest="",
        player_id=player_id,
        provider="acme",
        method="card",
        amount=amount,
        instrument=f"card-{player}",
        metadata={},
        origin=Origin(
            device=f"device-{player}",
            address=f"address-{player}",
            address_country="DE",
            instrument_country="DE",
            bin="411111",
        ),
        counts=(),
    )
    completed = DepositCompleted(
        **header(2),
        player_id=player_id,
        provider="acme",
        instrument=f"card-{player}",
        settled=amount,
        fee=None,
        late=False,
        concerns=(),
        counts=(),
        evidence=Evidence(source=Source.POLL, outcome=Outcome.SUCCEEDED, reference="r"),
    )
    return [created, completed]


# --- under load ---------------------------------------------------------------------------------


Load = Callable[[LedgerWithPast, float], Callable[[], object]]
"""What many callers do, made ready for so many seconds of it."""

_LOADS: Mapping[str, Load] = {
    "appends of three events (W1)": lambda ledger, seconds: append_prepared(
        ledger, 70, int(15_000 * seconds)
    ),
    "whole deposits (W1b)": lambda ledger, _seconds: whole_deposit(ledger),
}


def _behind(name: str, load: Load, seconds: float) -> list[Result]:
    """How far the projector falls behind many callers, and how it catches up."""
    with fresh_ledger() as settings, _projector(settings):
        ledger = bootstrap.build_ledger(settings)
        act = load(ledger, seconds)
        began = perf_counter()
        figure = rate(CALLERS, seconds, act)
        appended, lag = _lag(settings)
        load_seconds, stopped = perf_counter() - began, perf_counter()
        while _lag(settings)[1]:
            sleep(0.02)
        drained = perf_counter() - stopped
        ledger.close()
    return [
        Result(
            workload=f"every read model under {figure:,.0f} {name} a second",
            ours=(appended - lag) / load_seconds,
            baseline=appended / load_seconds,
            baseline_name="events appended",
            unit="events/s",
        ),
        Result(
            workload=f"catching up with {lag:,} events after {name}",
            ours=drained,
            baseline=load_seconds,
            baseline_name="the load lasted",
            unit="seconds",
        ),
    ]


@contextmanager
def _projector(settings: Settings) -> Iterator[None]:
    """A projector of its own process, as in production."""
    environment = {**os.environ, "TALLYSTICK_DATA": str(settings.data)}
    command = [sys.executable, "-m", "tallystick", "serve", "projector"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def _lag(settings: Settings) -> tuple[int, int]:
    """Events in the log, and how many of them the slowest read model has not taken."""
    query = "SELECT position, position - (SELECT min(position) FROM read_models) FROM ledger_head"
    with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
        position, lag = connection.execute(query).fetchone() or (0, 0)
    return position, lag


def _seconds(act: Callable[[], None]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


def _line(workload: str, ours: float, baseline: float, name: str) -> Result:
    return Result(
        workload=workload, ours=ours, baseline=baseline, baseline_name=name, unit="events/s"
    )


if __name__ == "__main__":
    main()
