"""The projector: rows and checkpoint move together, whatever fails, races or dies."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import psycopg
import pytest

from domain.events import LedgerEvent
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.compare import checkpoint, compare, fold_all
from projections.engine.log_reader import LogGap
from projections.engine.projector import Projector
from projections.engine.read_model import Keys, ReadModel, Recorded, Row, Rows, Table, schema_of
from projections.engine.reading import ModelLag, ReadModelBehind, lag_sync, wait_for_sync
from projections.engine.tables import NotInstalled, install, sql_types
from projections.history.history import HISTORY
from projections.journal.journal import JOURNAL
from projections.registry import READ_MODELS
from tests.conftest import admin_connection
from tests.generators.event_sequences import recorded, world, write_log

PATIENCE_SECONDS = 15.0


@cache
def some_events() -> tuple[LedgerEvent, ...]:
    return tuple(world(7, 900).events)


class Count(Row, frozen=True):
    topic: str
    events: int


COUNTS: Table[str, Count] = Table("counts", Count, ("topic",))


@dataclass
class Counting:
    """A small read model that can be told to fail."""

    fails_at: int | None = None
    events_max: int = 1_000_000
    name: str = "counting"
    version: int = 3
    tables: tuple[Table[Any, Any], ...] = (COUNTS,)
    indexes: str = ""

    @property
    def ddl(self) -> str:
        return f"""
            CREATE TABLE counts (
                topic text PRIMARY KEY, events bigint CHECK (events <= {self.events_max})
            )
        """

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        return {COUNTS: {type(one.event).__name__ for one in batch}}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        if recorded.position == self.fails_at:
            raise ArithmeticError("cannot count this")
        counts, topic = rows[COUNTS], type(recorded.event).__name__
        known = counts.get(topic)
        counts[topic] = Count(topic, known.events + 1 if known else 1)


@dataclass
class Site:
    """A database with a log to follow."""

    settings: Settings
    owner: str
    writer: str
    reader: str
    log: list[LedgerEvent] = field(default_factory=list)

    def write(self, events: Sequence[LedgerEvent]) -> int:
        self.log += events
        return write_log(self.owner, events)

    def projector(self, models: Sequence[ReadModel] = READ_MODELS, **options: Any) -> Projector:
        options = {"decode": decode, "batch_events": 100, "poll_seconds": 0.05} | options
        return Projector(conninfo=self.writer, models=models, **options)

    def positions(self) -> dict[str, int]:
        return {name: state.position for name, state in self.lag().items()}

    def lag(self) -> dict[str, ModelLag]:
        with psycopg.connect(self.reader) as connection:
            return {one.name: one for one in lag_sync(connection)}

    def assert_tables_are_the_fold(self, models: Sequence[ReadModel] = READ_MODELS) -> None:
        with psycopg.connect(self.reader) as connection:
            for model in models:
                log = recorded(self.log)[: checkpoint(connection, model)]
                assert compare(connection, model, fold_all(model, log)) == []

    def wait_until_followed(self, position: int) -> None:
        eventually(lambda: set(self.positions().values()) == {position})


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def bare(database: Settings) -> Site:
    roles = (Role.OWNER, Role.WRITER, Role.READER)
    return Site(database, *(conninfo(database, role) for role in roles))


@pytest.fixture
def site(bare: Site) -> Site:
    install(bare.owner, READ_MODELS)
    return bare


@contextmanager
def running(*projectors: Projector) -> Iterator[list[threading.Event]]:
    """Each in a thread, until its event is set; what one raises is raised here."""
    stops = [threading.Event() for _ in projectors]
    raised: list[BaseException] = []

    def run(projector: Projector, stop: threading.Event) -> None:
        try:
            projector.run(stop)
        except BaseException as error:  # noqa: BLE001 -- raised again in the test's own thread
            raised.append(error)

    threads = [
        threading.Thread(target=run, args=pair) for pair in zip(projectors, stops, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield stops
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]


# --- installing ---------------------------------------------------------------------------------


def test_installing_again_and_at_once_changes_nothing(bare: Site) -> None:
    threads = [threading.Thread(target=install, args=(bare.owner, READ_MODELS)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bare.write(some_events()[:50])
    bare.projector().catch_up()
    install(bare.owner, READ_MODELS)
    assert set(bare.positions().values()) == {50}


def test_the_columns_are_the_rows_fields(site: Site) -> None:
    query = """
        SELECT column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
    """
    with psycopg.connect(site.owner) as connection:
        for model in READ_MODELS:
            for table in model.tables:
                found = connection.execute(query, [schema_of(model), table.name]).fetchall()
                names = {"timestamptz": "timestamp with time zone"}
                types = {c: names.get(t, t) for c, t in sql_types(table.row).items()}
                assert {name: type_ for name, type_, _ in found} == types
                assert tuple(name for name, _, _ in found) == table.columns
                hints = table.row.__annotations__
                nullable = {name for name, _, null in found if null == "YES"}
                assert nullable == {name for name in hints if "None" in str(hints[name])}


def test_the_reader_may_read_and_nothing_else(site: Site) -> None:
    with psycopg.connect(site.reader, autocommit=True) as connection:
        connection.execute("SELECT * FROM history_v2.transactions")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM history_v2.transactions")


def test_a_model_without_tables_is_named(bare: Site) -> None:
    with pytest.raises(NotInstalled, match="history version 2"):
        bare.projector([HISTORY]).catch_up()


# --- following ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_events", [7, 256, 5_000])
def test_the_tables_are_what_the_folds_say(site: Site, batch_events: int) -> None:
    events = some_events()
    half = len(events) // 2
    site.write(events[:half])
    projector = site.projector(batch_events=batch_events)
    assert projector.catch_up() == half
    site.write(events[half:])
    assert projector.catch_up() == len(events)
    assert set(site.positions().values()) == {len(events)}
    site.assert_tables_are_the_fold()


def test_a_tampered_table_is_found(site: Site) -> None:
    site.write(some_events())
    site.projector().catch_up()
    with psycopg.connect(site.owner, autocommit=True) as connection:
        connection.execute(
            """
            UPDATE history_v2.transactions SET status = 'completed'
            WHERE created_position = (
                SELECT min(created_position) FROM history_v2.transactions WHERE status = 'failed'
            )
            """
        )
        connection.execute(
            "DELETE FROM journal_v1.entries"
            " WHERE (position, line) = (SELECT position, line FROM journal_v1.entries LIMIT 1)"
        )
        log = recorded(site.log)
        (changed,) = compare(connection, HISTORY, fold_all(HISTORY, log))
        (missing,) = compare(connection, JOURNAL, fold_all(JOURNAL, log))
    assert (changed.expected.status, changed.found.status) == ("failed", "completed")
    assert missing.found is None


def test_a_new_model_catches_up_beside_the_others(site: Site) -> None:
    counting = Counting()
    site.write(some_events()[:400])
    site.projector(batch_events=50).catch_up()
    install(site.owner, [counting])
    models = (*READ_MODELS, counting)
    site.write(some_events()[400:500])
    assert site.projector(models, batch_events=50).catch_up() == 500
    site.assert_tables_are_the_fold(models)


def test_a_notification_shortens_the_wait(site: Site) -> None:
    with running(site.projector(poll_seconds=60)):
        # The listener has woken it at least once when something written before is followed.
        site.write(some_events()[:10])
        site.wait_until_followed(10)
        time.sleep(0.2)
        started = time.monotonic()
        site.write(some_events()[10:20])
        site.wait_until_followed(20)
        assert time.monotonic() - started < 5
        write_and_wake(site)


def write_and_wake(site: Site) -> None:
    """So that a projector which sleeps long sees at once that it has to stop."""
    threading.Timer(0.3, lambda: _notify(site)).start()


def _notify(site: Site) -> None:
    with psycopg.connect(site.writer, autocommit=True) as connection:
        connection.execute("NOTIFY ledger_events")


# --- failing ------------------------------------------------------------------------------------


def test_a_poison_event_stops_one_model_alone_and_right_before_it(bare: Site) -> None:
    fragile = Counting(fails_at=123)
    models = (*READ_MODELS, fragile)
    install(bare.owner, models)
    bare.write(some_events()[:300])
    assert bare.projector(models).catch_up() == 300

    state = bare.lag()["counting"]
    assert (state.position, state.stopped_at) == (122, 123)
    assert state.lag_events == 178
    assert state.error == "ArithmeticError: cannot count this"
    assert all(bare.lag()[model.name].stopped_at is None for model in READ_MODELS)
    bare.assert_tables_are_the_fold(READ_MODELS)

    fragile.fails_at = None
    assert bare.projector(models).catch_up() == 300
    assert bare.lag()["counting"].stopped_at is None
    assert bare.lag()["counting"].error is None
    bare.assert_tables_are_the_fold(models)


def test_a_row_the_database_refuses_stops_the_model_right_before_its_event(bare: Site) -> None:
    narrow = Counting(events_max=20)
    models = (JOURNAL, narrow)
    install(bare.owner, models)
    bare.write(some_events())
    seen: dict[str, int] = {}
    first_refused = 0
    for position, event in enumerate(some_events(), 1):
        seen[type(event).__name__] = seen.get(type(event).__name__, 0) + 1
        if seen[type(event).__name__] > 20:
            first_refused = position
            break
    bare.projector(models).catch_up()
    state = bare.lag()["counting"]
    assert (state.position, state.stopped_at) == (first_refused - 1, first_refused)
    assert state.error is not None
    assert state.error.startswith("CheckViolation")
    assert bare.positions()["journal"] == len(some_events())


def test_an_event_that_cannot_be_decoded_stops_every_model_right_before_it(site: Site) -> None:
    site.write(some_events()[:200])
    unreadable = some_events()[149]

    def fails(*stored: Any) -> LedgerEvent:
        event = decode(*stored)
        if event == unreadable:
            raise ValueError("unreadable")
        return event

    site.projector(decode=fails).catch_up()
    assert {(one.position, one.stopped_at) for one in site.lag().values()} == {(149, 150)}
    assert site.projector().catch_up() == 200
    site.assert_tables_are_the_fold()


def test_a_gap_in_the_log_stops_everything_loudly(site: Site) -> None:
    site.write(some_events()[:30])
    with psycopg.connect(site.owner) as connection:
        connection.execute("UPDATE ledger_head SET position = position + 1")
    write_log(site.owner, some_events()[30:40])
    with pytest.raises(LogGap, match="after position 30 the log goes on at 32"):
        site.projector().catch_up()
    with pytest.raises(LogGap), running(site.projector()):
        time.sleep(0.3)
    assert set(site.positions().values()) == {0}


class Died(BaseException):
    """Stands for SIGKILL, which leaves no chance to tidy up either."""


@pytest.mark.parametrize(
    ("place", "reached"), [("projector.before_commit", 0), ("projector.after_commit", 100)]
)
def test_death_around_a_commit_neither_loses_nor_repeats(
    site: Site, place: str, reached: int
) -> None:
    site.write(some_events()[:300])

    def faultpoint(name: str) -> None:
        if name == place:
            raise Died

    with pytest.raises(Died):
        site.projector(faultpoint=faultpoint).catch_up()
    assert set(site.positions().values()) == {reached}
    site.assert_tables_are_the_fold()
    site.projector().catch_up()
    site.assert_tables_are_the_fold()


# --- racing and healing -------------------------------------------------------------------------


def test_who_loses_the_race_for_a_checkpoint_rolls_back(site: Site) -> None:
    site.write(some_events()[:300])
    overtaken = threading.Event()

    def overtaken_while_reading(*stored: Any) -> LedgerEvent:
        if not overtaken.is_set():
            overtaken.set()
            site.projector(batch_events=130).catch_up()
        return decode(*stored)

    assert site.projector(decode=overtaken_while_reading).catch_up() == 300
    site.assert_tables_are_the_fold()


def test_projectors_without_a_leader_neither_double_nor_skip(site: Site) -> None:
    site.write(some_events())
    sizes = (3, 10, 33, 100)
    threads = [
        threading.Thread(target=site.projector(batch_events=size).catch_up) for size in sizes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(site.positions().values()) == {len(some_events())}
    site.assert_tables_are_the_fold()


def test_a_second_projector_waits_and_takes_over_when_the_first_ends(site: Site) -> None:
    readers: list[str] = []

    def noting(name: str) -> Callable[..., LedgerEvent]:
        def noted(*stored: Any) -> LedgerEvent:
            readers.append(name)
            return decode(*stored)

        return noted

    with running(site.projector(decode=noting("first"))) as (stop_first,):
        site.write(some_events()[:50])
        site.wait_until_followed(50)
        with running(site.projector(decode=noting("second"))):
            time.sleep(0.2)
            site.write(some_events()[50:100])
            site.wait_until_followed(100)
            time.sleep(0.2)
            assert set(readers) == {"first"}
            stop_first.set()
            time.sleep(0.3)
            site.write(some_events()[100:150])
            site.wait_until_followed(150)
    assert readers == ["first"] * 100 + ["second"] * 50
    site.assert_tables_are_the_fold()


def test_terminated_backends_heal_by_themselves(site: Site) -> None:
    events = some_events()
    step = len(events) // 6
    with running(site.projector(batch_events=20), site.projector(batch_events=30)):
        for start in range(0, len(events), step):
            site.write(events[start : start + step])
            terminate_all(site)
            time.sleep(0.1)
        site.wait_until_followed(len(events))
    site.assert_tables_are_the_fold()


def terminate_all(site: Site) -> None:
    with admin_connection(site.settings) as admin:
        admin.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = %s AND pid <> pg_backend_pid()
            """,
            [site.settings.database_name],
        )


# --- reading ------------------------------------------------------------------------------------


def test_reading_waits_for_a_write_and_says_where_it_gave_up(site: Site) -> None:
    position = site.write(some_events()[:40])
    with psycopg.connect(site.reader, autocommit=True) as connection:
        with pytest.raises(ReadModelBehind) as behind:
            wait_for_sync(connection, HISTORY, position, 0.05)
        assert (behind.value.wanted, behind.value.reached) == (40, 0)
        threading.Timer(0.1, site.projector().catch_up).start()
        assert wait_for_sync(connection, HISTORY, position, PATIENCE_SECONDS) == 40
        assert site.lag()["history"].lag_events == 0
