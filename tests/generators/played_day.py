"""A day of everything, played through the real commands, to look back at.

Read models are installed and followed as a test asks: to the end, a part of the way, or not at all.
"""

from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

import psycopg

from domain.approval.policy import DEFAULT_TERMS
from domain.counters import Window
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.following import FollowingModel
from projections.engine.log_reader import LogReader
from projections.engine.projector import Projector
from projections.engine.read_model import schema_of
from projections.engine.tables import adapt, install
from projections.registry import READ_MODELS
from tests.generators.mixed_core import PROVIDER
from tests.generators.mixed_day import MixedDay
from tests.oracles.ledger_checks import log
from tests.property.backroom import by, two_processes

COMMANDS = 130
CREATIONS = {
    "DepositCreated",
    "WithdrawalRequested",
    "RefundRequested",
    "ConversionQuoted",
    "DisputeOpened",
    "AdjustmentRequested",
}


@dataclass
class PlayedDay:
    """A ledger with a day in it; read models are installed and followed as a test asks."""

    settings: Settings
    rows: list[Any]

    def uninstalled(self) -> None:
        with psycopg.connect(conninfo(self.settings, Role.OWNER), autocommit=True) as connection:
            connection.execute("DELETE FROM read_models")
            for model in READ_MODELS:
                connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(model)} CASCADE".encode())

    def moved_away(self, suffix: str) -> None:
        """The tables get another name, as when others take their place."""
        with psycopg.connect(conninfo(self.settings, Role.OWNER)) as connection:
            for model in READ_MODELS:
                name = schema_of(model)
                connection.execute(f"ALTER SCHEMA {name} RENAME TO {name}_{suffix}".encode())

    def installed(self) -> None:
        self.uninstalled()
        install(conninfo(self.settings, Role.OWNER), READ_MODELS)

    def follow(self, upto: int | None = None) -> None:
        """Let read models follow the log: to its end, or so many events from the beginning."""
        writer = conninfo(self.settings, Role.WRITER)
        if upto is None:
            Projector(conninfo=writer, models=READ_MODELS, decode=decode).catch_up()
            return
        with LogReader(writer, decode, upto) as reader, psycopg.connect(writer) as connection:
            adapt(connection)
            batch = reader.read(0).events
            for model in READ_MODELS:
                FollowingModel(model).advance(connection, batch)

    @property
    def half(self) -> int:
        """Right before something is posted: the first event of the rest counts, too."""
        half = len(self.rows) // 2
        return half + [row.topic for row in self.rows[half:]].index("DepositCompleted")


def limits_for(day: MixedDay) -> None:
    """Every player may pay in so much a week."""
    for player in day.players:
        day.handlers.players.set_limit(
            player, window=Window.WEEK, currency="EUR", limit_minor=300_000, caller=by("ann")
        )


def played_day(database: Settings) -> PlayedDay:
    """The provider is paused for a while, and the policy changes."""
    with two_processes(database) as (ledger, _, reader):
        day = MixedDay(ledger, reader, seed=11)
        handlers = day.handlers
        for second in (8, 20):
            paused = second == 8
            day.at(
                day.clock() + timedelta(seconds=second),
                lambda paused=paused: handlers.providers.pause(  # type: ignore[misc]
                    PROVIDER, paused=paused, reason=f"it is {paused}", caller=by("ann")
                ),
            )
        day.at(day.clock() + timedelta(seconds=3), lambda: limits_for(day))
        terms = changed(DEFAULT_TERMS, score_below=30)
        for person in ("ann", "cleo"):
            day.at(
                day.clock() + timedelta(seconds=15),
                lambda person=person: handlers.policies.propose(  # type: ignore[misc]
                    terms, "n", by(person)
                ),
            )
        day.play(COMMANDS)
        day.close()
    return PlayedDay(database, log(database))
