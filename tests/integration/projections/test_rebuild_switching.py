"""Switching readers to a rebuilt read model: nobody who reads or follows notices."""

import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import IsolationLevel

from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.compare import checkpoint, compare, fold_all
from projections.engine.tables import NotInstalled, schema_seen
from projections.history.history import HISTORY
from projections.journal.journal import JOURNAL
from projections.outstanding.fold import OUTSTANDING
from projections.registry import READ_MODELS
from replay import log
from replay.rebuild import overview
from replay.rebuild.run import Rebuild
from tests.servers.api_server import ledger_of, running_api
from tests.servers.rebuild_site import (
    Site,
    eventually,
    meanwhile,
    projecting,
    rebuild_site,
    some_events,
)

SWITCHES = 9
LOCK_TIMEOUT_MS = 150
"""A reader who has to wait for a lock as long as that fails, and the test with it."""


@pytest.fixture
def empty(database: Settings) -> Iterator[Site]:
    """With read models, and nothing in them."""
    with rebuild_site(database) as made:
        yield made


@pytest.fixture
def site(empty: Site) -> Site:
    """With a log that the read models have followed."""
    empty.write(some_events())
    empty.follow()
    return empty


# --- readers ------------------------------------------------------------------------------------


def reading(site: Site, seen: list[int], *, prepared: bool) -> Callable[[], None]:
    """One session that asks again and again, and would fail if it had to wait for a lock."""
    connection = psycopg.connect(site.reader, autocommit=True)
    connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
    count = "SELECT count(*) FROM history_v2.transactions"
    entries = """
        SELECT count(*) FROM journal_v1.accounts AS one
        JOIN journal_v1.entries AS entry USING (account)
    """

    def ask() -> None:
        for query in (count, entries):
            row = connection.execute(query, prepare=prepared).fetchone()
            assert row is not None
            seen.append(row[0])

    return ask


def test_readers_neither_fail_nor_wait_while_they_are_switched(site: Site) -> None:
    expected = site.read("SELECT count(*) FROM history_v2.transactions") + site.read(
        "SELECT count(*) FROM journal_v1.entries"
    )
    seen: list[int] = []
    with meanwhile(*(reading(site, seen, prepared=prepared) for prepared in (True, False, True))):
        for _ in range(3):
            assert site.rebuild(HISTORY).compared
            assert site.rebuild(JOURNAL).compared
    assert set(seen) == {count for (count,) in expected}
    assert len(seen) > 50


def test_the_api_answers_as_ever_while_everything_is_rebuilt(database: Settings) -> None:
    with running_api(database) as api:
        player = uuid4()
        created = [api.deposit(player).json()["id"] for _ in range(10)]
        then = api.get(f"/v1/events?after={2**31}").json()["head"]
        answers: list[tuple[str, int]] = []
        of_then: set[tuple[str, bytes]] = set()
        paths = (
            f"/v1/transactions?player_id={player}&limit=50",
            f"/v1/players/{player}/journal?limit=50",
            "/v1/queue?limit=50",
        )

        def ask() -> None:
            for path in paths:
                answer, past = api.get(path), api.get(f"{path}&as_of={then}")
                answers.extend([(path, answer.status_code), (path, past.status_code)])
                of_then.add((path, past.content))

        ledger = ledger_of(api)
        owner = conninfo(database, Role.OWNER)
        with meanwhile(ask, ask):
            for model in READ_MODELS:
                assert Rebuild(owner=owner, ledger=ledger).run(model).compared
                created.append(api.deposit(player).json()["id"])
        assert {api.transaction(one)["id"] for one in created} == set(created)
    assert {status for _, status in answers} == {200}
    assert sorted(path for path, _ in of_then) == sorted(paths), "an answer about then differed"


def test_who_reads_for_long_sees_what_was_there_and_does_not_hold_up_the_switch(
    site: Site,
) -> None:
    query = "SELECT count(*), max(position) FROM history_v2.transactions"
    with psycopg.connect(site.reader) as old:
        old.isolation_level = IsolationLevel.REPEATABLE_READ
        before = old.execute(query).fetchone()
        found = site.rebuild(drop_patience_seconds=0.1)
        assert list(found.left.values()) == ["somebody still reads it"]
        (left,) = found.left
        assert schema_seen(old, HISTORY) == left
        rows = fold_all(HISTORY, site.log()[: checkpoint(old, HISTORY)])
        assert compare(old, HISTORY, rows) == []
        assert old.execute(
            f"SELECT count(*), max(position) FROM {left}.transactions"
        ).fetchone() == (before)
    assert site.rebuild().left == {}
    site.assert_nothing_is_left()


def test_a_snapshot_from_before_a_rebuild_is_never_given_the_new_rows(site: Site) -> None:
    with psycopg.connect(site.reader) as old:
        old.isolation_level = IsolationLevel.REPEATABLE_READ
        old.execute("SELECT 1")
        site.rebuild()
        with pytest.raises(NotInstalled, match="look again"):
            schema_seen(old, HISTORY)


def test_who_asks_first_of_all_holds_what_it_sees(site: Site) -> None:
    with log.snapshot(site.reader) as old:
        old.rollback()  # as an export does between its files
        schema_seen(old, HISTORY)
        (left,) = site.rebuild(drop_patience_seconds=0.1).left
        assert schema_seen(old, HISTORY) == left
        rows = fold_all(HISTORY, site.log()[: checkpoint(old, HISTORY)])
        assert compare(old, HISTORY, rows) == []


def test_a_snapshot_does_not_end_with_the_first_block_within_it(site: Site) -> None:
    with log.snapshot(site.reader) as old:
        with old.transaction():
            schema_seen(old, HISTORY)
        assert site.rebuild(drop_patience_seconds=0.1).left
        assert checkpoint(old, HISTORY) == log.head(old).position


def test_views_of_others_are_not_dropped_with_the_old_tables(site: Site) -> None:
    site.execute("CREATE VIEW public.mine AS SELECT id FROM history_v2.transactions")
    site.execute("GRANT SELECT ON public.mine TO tallystick_reader")
    found = site.rebuild()
    ((left, why),) = found.left.items()
    assert "view mine depends on table" in why
    assert site.read("SELECT count(*) FROM mine")[0][0] > 0
    site.execute("DROP VIEW public.mine")
    with psycopg.connect(site.owner, autocommit=True) as owner:
        assert overview.prune(owner, READ_MODELS) == {left: None}
    site.assert_nothing_is_left()


# --- the projector ------------------------------------------------------------------------------


def test_switches_under_a_projector_at_full_speed_lose_nothing(empty: Site) -> None:
    site = empty
    events = list(some_events(3_000))
    site.write(events[:300])
    site.follow()
    positions: dict[str, int] = {}

    def append() -> None:
        if events[300:]:
            site.write(events[300:310])
            del events[300:310]
        time.sleep(0.005)

    def look() -> None:
        for name, position in site.read("SELECT name, position FROM read_models"):
            assert position >= positions.get(name, 0), "a read model went backwards"
            positions[name] = position
        time.sleep(0.02)

    with projecting(site), meanwhile(append, look):
        for number in range(SWITCHES):
            found = site.rebuild((HISTORY, OUTSTANDING, JOURNAL)[number % 3], stretch_events=5_000)
            assert found.compared
    site.follow()
    site.assert_tables_are_the_fold()
    site.assert_nothing_is_left()
    said = [event for model in READ_MODELS for event in site.cut_overs(model)]
    assert len(said) == SWITCHES


def test_who_waited_for_the_switch_writes_into_the_new_tables(site: Site) -> None:
    """A projector's transaction that began before the switch, and goes on after it."""
    site.rebuild()  # so that there is an event to follow
    entered, go_on = threading.Event(), threading.Event()

    def held(place: str) -> None:
        if place == "rebuild.before_switch":
            entered.set()
            assert go_on.wait(15)

    rebuilding = threading.Thread(target=lambda: site.rebuild(faultpoint=held))
    rebuilding.start()
    assert entered.wait(15)
    following = threading.Thread(target=site.follow)
    following.start()
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'read_models'"
    )
    with psycopg.connect(site.writer, autocommit=True) as connection:
        eventually(lambda: connection.execute(waiting).fetchone() is not None)
    go_on.set()
    rebuilding.join()
    following.join()
    site.follow()
    site.assert_tables_are_the_fold()
    site.assert_nothing_is_left()
