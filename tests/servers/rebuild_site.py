"""A ledger whose read models are rebuilt, and what goes on beside it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg

from domain.events import LedgerEvent, ProjectionCutOver
from ledger.eventstore.append import Receipt
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.ledger import Drafting, Ledger
from ledger.settings import Settings
from projections.engine.compare import checkpoint, compare, fold_all
from projections.engine.projector import Projector
from projections.engine.read_model import ReadModel, Recorded, schema_of
from projections.engine.tables import install
from projections.history.history import HISTORY
from projections.registry import READ_MODELS
from replay.rebuild.recording import read_model_stream
from replay.rebuild.run import Rebuild, Rebuilt
from tests.generators.event_sequences import world


@cache
def some_events(steps: int = 700) -> tuple[LedgerEvent, ...]:
    return tuple(world(5, steps).events)


@dataclass
class Site:
    """A ledger, its read models, and rebuilds of them."""

    owner: str
    writer: str
    reader: str
    ledger: Ledger

    def write(self, events: Sequence[LedgerEvent]) -> None:
        for start in range(0, len(events), 500):
            drafts = [Drafting(events=[event]) for event in events[start : start + 500]]
            assert all(isinstance(one, Receipt) for one in self.ledger.append_many(drafts))

    def projector(self, models: Sequence[ReadModel] = READ_MODELS) -> Projector:
        return Projector(
            conninfo=self.writer, models=models, decode=decode, batch_events=50, poll_seconds=0.02
        )

    def follow(self, models: Sequence[ReadModel] = READ_MODELS) -> None:
        self.projector(models).catch_up()

    def rebuild(self, model: ReadModel = HISTORY, **options: Any) -> Rebuilt:
        options = {"stretch_events": 150} | options
        return Rebuild(owner=self.owner, ledger=self.ledger, **options).run(model)

    def log(self) -> list[Recorded]:
        query = """
            SELECT topic, state, originator_id, originator_version, notification_id, recorded_at
            FROM ledger_events ORDER BY notification_id
        """
        with psycopg.connect(self.reader) as connection:
            return [
                Recorded(position=position, recorded_at=at, event=decode(*stored))
                for *stored, position, at in connection.execute(query)
            ]

    def assert_tables_are_the_fold(self, models: Sequence[ReadModel] = READ_MODELS) -> None:
        log = self.log()
        with psycopg.connect(self.reader) as connection:
            for model in models:
                rows = fold_all(model, log[: checkpoint(connection, model)])
                assert compare(connection, model, rows) == []

    def cut_overs(self, model: ReadModel = HISTORY) -> list[ProjectionCutOver]:
        found = self.ledger.history(read_model_stream(model.name))
        assert all(isinstance(event, ProjectionCutOver) for event in found)
        return found  # type: ignore[return-value]

    def read(self, query: str, *values: object) -> list[Any]:
        with psycopg.connect(self.reader, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(statement)

    def schemas(self) -> set[str]:
        query = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information|public)'"
        return {name for (name,) in self.read(query)}

    def assert_nothing_is_left(self, models: Sequence[ReadModel] = READ_MODELS) -> None:
        assert self.schemas() == {schema_of(model) for model in models}
        assert self.read("SELECT * FROM rebuilds") == []


@contextmanager
def meanwhile(*acts: Callable[[], object]) -> Iterator[None]:
    """Each again and again in a thread of its own; what one raises is raised here."""
    stop = threading.Event()
    raised: list[BaseException] = []

    def again(act: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                act()
        except BaseException as error:  # noqa: BLE001 -- raised again in the test's own thread
            raised.append(error)

    threads = [threading.Thread(target=again, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]


@contextmanager
def projecting(site: Site, models: Sequence[ReadModel] = READ_MODELS) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=site.projector(models).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


class Died(BaseException):
    """Stands for SIGKILL, which leaves no chance to tidy up either."""


@contextmanager
def rebuild_site(settings: Settings) -> Iterator[Site]:
    """With read models, and nothing in them."""
    roles = (Role.OWNER, Role.WRITER, Role.READER)
    owner, writer, reader = (conninfo(settings, role) for role in roles)
    install(owner, READ_MODELS)
    ledger = Ledger(writer)
    try:
        yield Site(owner, writer, reader, ledger)
    finally:
        ledger.close()
