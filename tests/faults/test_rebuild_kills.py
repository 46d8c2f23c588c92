"""A rebuild that is killed at any moment is finished by the next one, and nothing is lost.

Processes killed with SIGKILL while events are appended and the projector follows them.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from random import Random
from typing import Any

import psycopg
import pytest

from domain.events import ProjectionCutOver
from ledger.eventstore.append import Receipt
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.ledger import Drafting, Ledger
from ledger.settings import Settings
from projections.engine.compare import checkpoint, compare, fold_all
from projections.engine.projector import Projector
from projections.engine.read_model import Recorded, schema_of
from projections.engine.tables import install
from projections.history.history import HISTORY
from projections.registry import READ_MODELS
from replay.rebuild.recording import read_model_stream
from tests.generators.event_sequences import world
from tests.servers import rebuilding

PLACES = ("rebuild.batch", "rebuild.before_switch", "rebuild.after_switch", "rebuild.after_record")
RANDOM_KILLS = (3, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(0)]))
KILLED_SECONDS_MAX = 0.5
BEGUN_SECONDS_MAX = 20.0
ENDED_SECONDS_MAX = 60.0


@contextmanager
def under_load(settings: Settings, ledger: Ledger) -> Iterator[None]:
    """Events are appended, and the projector follows them."""
    events = list(world(8, 4_000).events)
    stop = threading.Event()
    projector = Projector(
        conninfo=conninfo(settings, Role.WRITER), models=READ_MODELS, decode=decode
    )
    failed: list[BaseException] = []

    def append() -> None:
        try:
            for start in range(0, len(events), 20):
                if stop.is_set():
                    break
                drafts = [Drafting(events=[event]) for event in events[start : start + 20]]
                assert all(isinstance(one, Receipt) for one in ledger.append_many(drafts))
                stop.wait(0.02)
        except BaseException as error:  # noqa: BLE001 -- raised again in the test's own thread
            failed.append(error)

    threads = [
        threading.Thread(target=append),
        threading.Thread(target=projector.run, args=(stop,)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []


class Ground:
    """The database as the reader sees it."""

    def __init__(self, settings: Settings) -> None:
        self._reader = conninfo(settings, Role.READER)

    def read(self, query: str) -> list[Any]:
        with psycopg.connect(self._reader, autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def is_locked(self) -> bool:
        query = """
            SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE locktype = 'advisory' AND classid = 7236 AND datname = current_database()
        """
        return bool(self.read(query))

    def assert_tables_are_the_fold(self) -> None:
        query = """
            SELECT topic, state, originator_id, originator_version, notification_id, recorded_at
            FROM ledger_events ORDER BY notification_id
        """
        log = [
            Recorded(position=position, recorded_at=at, event=decode(*stored))
            for *stored, position, at in self.read(query)
        ]
        with psycopg.connect(self._reader) as connection:
            for model in READ_MODELS:
                rows = fold_all(model, log[: checkpoint(connection, model)])
                assert compare(connection, model, rows) == []


@pytest.fixture
def ledger(database: Settings) -> Iterator[Ledger]:
    install(conninfo(database, Role.OWNER), READ_MODELS)
    ledger = Ledger(conninfo(database, Role.WRITER))
    yield ledger
    ledger.close()


@pytest.mark.parametrize("kills", RANDOM_KILLS)
def test_a_rebuild_killed_anywhere_is_finished_by_the_next(
    database: Settings, ledger: Ledger, kills: int
) -> None:
    random, ground = Random(4), Ground(database)
    roles = conninfo(database, Role.OWNER), conninfo(database, Role.WRITER)
    context = get_context("forkserver")
    context.set_forkserver_preload([rebuilding.__name__])
    ended: list[int | None] = []
    with under_load(database, ledger):
        for place in PLACES:
            dying = rebuilding.started(context, *roles, place)
            dying.join(ENDED_SECONDS_MAX)
            assert dying.exitcode == -signal.SIGKILL
        for _ in range(kills):
            victim = rebuilding.started(context, *roles)
            deadline = time.monotonic() + BEGUN_SECONDS_MAX
            while victim.is_alive() and not ground.is_locked():
                assert time.monotonic() < deadline, "it did not begin"
            time.sleep(random.random() * KILLED_SECONDS_MAX)
            victim.kill()
            victim.join(ENDED_SECONDS_MAX)
            ended.append(victim.exitcode)
        last = rebuilding.started(context, *roles)
        last.join(ENDED_SECONDS_MAX)
        assert last.exitcode == 0
    assert set(ended) <= {0, -signal.SIGKILL}
    said = ledger.history(read_model_stream(HISTORY.name))
    assert all(isinstance(event, ProjectionCutOver) and event.compared for event in said)
    assert len({event.command_id for event in said}) == len(said)
    # One for the rebuild that died at every place in turn, and one for each that ended after it.
    assert 2 <= len(said) <= 1 + len(ended) + 1
    assert ground.read("SELECT * FROM rebuilds") == []
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information|public)'"
    assert {name for (name,) in ground.read(schemas)} == {schema_of(model) for model in READ_MODELS}
    Projector(
        conninfo=conninfo(database, Role.WRITER), models=READ_MODELS, decode=decode
    ).catch_up()
    ground.assert_tables_are_the_fold()
