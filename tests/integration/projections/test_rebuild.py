"""Rebuilds: a read model is built anew from the log, and one that died goes on."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from ledger.eventstore.database import prepare
from ledger.eventstore.embedded import control
from ledger.eventstore.roles import PrivilegesMissing
from ledger.settings import Settings
from projections.engine.compare import fold_all
from projections.engine.read_model import ReadModel, Recorded, Rows, schema_of, types_ignored
from projections.engine.tables import StoredTable, install
from projections.history.history import HISTORY, History
from projections.journal.journal import JOURNAL
from projections.registry import READ_MODELS
from replay.rebuild import overview
from replay.rebuild import state as states
from replay.rebuild.as_of import build_as_of, drop_as_of
from replay.rebuild.digests import digest
from replay.rebuild.run import TablesDiffer
from replay.rebuild.state import RebuildFailed, RebuildRunning, next_schema
from tallystick.cli.main import app
from tests.conftest import admin_connection
from tests.generators.event_sequences import recorded, world
from tests.servers.rebuild_site import Died, Site, eventually, projecting, rebuild_site, some_events

PLACES = (
    "rebuild.batch",
    "rebuild.after_indexes",
    "rebuild.after_compare",
    "rebuild.before_switch",
    "rebuild.after_switch",
    "rebuild.after_record",
    "rebuild.after_drop",
)


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


# --- what a rebuild makes -----------------------------------------------------------------------


def test_rebuilt_tables_are_those_that_were_there_and_the_log_says_so(site: Site) -> None:
    for model in READ_MODELS:
        before = site.read("SELECT position FROM ledger_head")[0][0]
        found = site.rebuild(model)
        assert (found.compared, found.left, found.resumed) == (True, {}, False)
        (said,) = site.cut_overs(model)
        assert (said.model, said.from_version, said.version) == (
            model.name,
            model.version,
            model.version,
        )
        assert (said.position, said.digest, said.digest_position, said.compared) == (
            found.position,
            found.digest,
            found.digest_position,
            True,
        )
        assert found.position == before
        assert found.cut_over_position == before + 1
    site.assert_nothing_is_left()
    site.assert_tables_are_the_fold()
    site.follow()
    site.assert_tables_are_the_fold()


def test_rebuilt_tables_have_every_index_and_grant_of_installed_ones(site: Site) -> None:
    indexes = """
        SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname !~ '^(pg_|public)' ORDER BY 1, 2, 3
    """
    grants = """
        SELECT relnamespace::regnamespace::text, relname, relacl::text, nspacl::text
        FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace
        WHERE relkind = 'r' AND nspname !~ '^(pg_|public|information)' ORDER BY 1, 2
    """
    before = site.read(indexes), site.read(grants)
    for model in READ_MODELS:
        site.rebuild(model)
    assert (site.read(indexes), site.read(grants)) == before


def test_the_projector_goes_on_from_a_rebuild(site: Site) -> None:
    with projecting(site):
        site.rebuild()
        end = site.read("SELECT position FROM ledger_head")[0][0]
        eventually(lambda: {p for (p,) in site.read("SELECT position FROM read_models")} == {end})
    site.assert_tables_are_the_fold()


@pytest.mark.parametrize("model", READ_MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_model_ignores_changes_nothing_in_it(model: ReadModel, seed: int) -> None:
    log = recorded(world(seed, 2_000).events)
    ignored = types_ignored(model)
    wanted = [one for one in log if type(one.event) not in ignored]
    assert len(wanted) < len(log)
    whole, part = fold_all(model, log), fold_all(model, wanted)
    assert [part[table] for table in model.tables] == [whole[table] for table in model.tables]


def test_the_digest_is_of_the_rows_and_not_of_where_they_lie(site: Site) -> None:
    with psycopg.connect(site.owner, autocommit=True) as connection:

        def digests() -> list[str]:
            return [digest(connection, model, schema_of(model)) for model in READ_MODELS]

        before = digests()
        assert len(set(before)) == len(before)
        connection.execute("CREATE TEMPORARY TABLE moved AS SELECT * FROM history_v2.transactions")
        connection.execute("DELETE FROM history_v2.transactions")
        connection.execute(
            "INSERT INTO history_v2.transactions SELECT * FROM moved ORDER BY md5(id::text)"
        )
        connection.execute("SET timezone TO 'Asia/Tokyo'; SET datestyle TO 'German'")
        assert digests() == before
        connection.execute(
            "UPDATE history_v2.transactions SET version = version + 1"
            " WHERE id = (SELECT id FROM history_v2.transactions ORDER BY id DESC LIMIT 1)"
        )
        others = [True] * (len(READ_MODELS) - 1)
        assert [a == b for a, b in zip(digests(), before, strict=True)] == [False, *others]


# --- damage -------------------------------------------------------------------------------------


def test_tables_that_differ_are_named_row_by_row_and_stay_in_use(site: Site) -> None:
    ((changed,), (gone,)) = site.read("SELECT id FROM history_v2.transactions ORDER BY id LIMIT 2")
    site.execute(f"UPDATE history_v2.transactions SET amount_minor = 424242 WHERE id = '{changed}'")
    site.execute(f"DELETE FROM history_v2.transactions WHERE id = '{gone}'")
    with pytest.raises(TablesDiffer) as failure:
        site.rebuild()
    one, other = failure.value.differences
    assert (one.table, one.key, other.key) == ("transactions", str(changed), str(gone))
    assert '"amount_minor": 424242' in str(one.old)
    assert '"amount_minor": 424242' not in str(one.new)
    assert other.old is None
    assert site.read("SELECT 1 FROM history_v2.transactions WHERE amount_minor = 424242")
    assert site.cut_overs() == []

    found = site.rebuild(accept_differences=True)
    assert (found.compared, found.resumed) == (False, True)
    assert [event.compared for event in site.cut_overs()] == [False]
    site.assert_tables_are_the_fold()
    site.assert_nothing_is_left()


def test_a_model_that_has_stopped_goes_on_after_a_rebuild(site: Site) -> None:
    site.execute(
        "UPDATE read_models SET stopped_at = position + 1, error = 'x' WHERE name = 'history'"
    )
    site.rebuild()
    query = "SELECT stopped_at, error FROM read_models WHERE name = 'history'"
    assert site.read(query) == [(None, None)]


def test_an_event_that_cannot_be_folded_is_named_and_readers_go_on(site: Site) -> None:
    class Fragile(History):
        fails = True

        def apply(self, rows: Rows, recorded: Recorded) -> None:
            if self.fails and recorded.position == 321:
                raise ArithmeticError("cannot do this")
            super().apply(rows, recorded)

    fragile = Fragile()
    fragile.ignores = frozenset()
    with pytest.raises(RebuildFailed, match="position 321: ArithmeticError: cannot do this"):
        site.rebuild(fragile)
    site.assert_tables_are_the_fold()
    fragile.fails = False
    assert site.rebuild(fragile).resumed
    site.assert_tables_are_the_fold()


# --- versions -----------------------------------------------------------------------------------


class NextHistory(History):
    """As if the logic had changed."""

    version = 3


def test_a_new_version_is_built_without_an_old_one_to_compare_with(site: Site) -> None:
    new, later = NextHistory(), (NextHistory(), *READ_MODELS[1:])
    found = site.rebuild(new)
    assert (found.from_version, found.version, found.compared) == (2, 3, False)
    assert [event.from_version for event in site.cut_overs()] == [2]
    site.follow(later)
    site.assert_tables_are_the_fold(later)
    site.assert_tables_are_the_fold()  # readers of the old version are still answered

    with psycopg.connect(site.owner, autocommit=True) as owner:
        (one,) = overview.superfluous(owner, later)
        assert one.schema == "history_v2"
        assert overview.prune(owner, later) == {"history_v2": None}
    site.assert_nothing_is_left(later)
    query = "SELECT version FROM read_models WHERE name = 'history'"
    assert site.read(query) == [(3,)]


def test_tables_installed_while_they_were_built_are_replaced(site: Site) -> None:
    new = NextHistory()

    def installed_meanwhile(place: str) -> None:
        if place == "rebuild.after_indexes":
            install(site.owner, [new])

    found = site.rebuild(new, faultpoint=installed_meanwhile)
    assert found.compared is False
    site.assert_tables_are_the_fold((new,))


@pytest.fixture
def theirs(cluster: Settings) -> Iterator[Settings]:
    """A database that belongs to nobody of ours, entered as a login that may do nothing else."""
    name = f"theirs_{uuid4().hex[:12]}"
    url = control.cluster(cluster).conninfo(user=name, dbname=name)
    with admin_connection(cluster) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN".encode())
        admin.execute(f"CREATE DATABASE {name}".encode())
        try:
            settings = cluster.model_copy(update={"database_url": url})
            with pytest.raises(PrivilegesMissing) as refusal:
                prepare(settings)
            script = refusal.value.remedy.split("\n", 1)[1]
            with admin_connection(cluster, name) as helpful:
                for statement in script.split(";"):
                    if "CREATE ROLE" not in statement:  # they are of the whole server
                        helpful.execute(statement.encode())
            prepare(settings)
            yield settings
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            admin.execute(f"DROP ROLE {name}".encode())


def test_it_takes_no_more_rights_than_everything_else(theirs: Settings) -> None:
    with rebuild_site(theirs) as site:
        site.write(some_events(200))
        site.follow()
        assert site.rebuild().compared
        site.follow()
        site.assert_tables_are_the_fold()
        site.assert_nothing_is_left()
        schema = build_as_of(site.owner, site.writer, HISTORY, 20)
        assert site.read(f"SELECT count(*) FROM {schema}.transactions")[0][0] > 0
        with psycopg.connect(site.owner, autocommit=True) as owner:
            may_all = "SELECT rolsuper FROM pg_roles WHERE rolname = session_user"
            assert owner.execute(may_all).fetchone() == (False,)
        assert drop_as_of(site.owner, HISTORY) == [schema]


# --- one at a time, and death -------------------------------------------------------------------


def test_only_one_rebuild_of_a_model_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_LOCK_SECONDS", 0.0)
    refused: list[str] = []

    def second(place: str) -> None:
        if place == "rebuild.after_indexes":
            with pytest.raises(RebuildRunning, match="history is being rebuilt") as failure:
                site.rebuild()
            refused.append(failure.value.code)
            with psycopg.connect(site.owner, autocommit=True) as owner:
                assert overview.prune(owner, READ_MODELS) == {"history_v1": str(failure.value)}
            assert site.rebuild(JOURNAL).compared

    site.execute("CREATE SCHEMA history_v1")
    site.rebuild(faultpoint=second)
    assert refused == ["rebuild_running"]
    with psycopg.connect(site.owner, autocommit=True) as owner:
        assert overview.prune(owner, READ_MODELS) == {"history_v1": None}


@pytest.mark.parametrize("place", PLACES)
def test_a_rebuild_that_died_anywhere_is_finished_by_the_next(site: Site, place: str) -> None:
    passes = 2 if place == "rebuild.batch" else 1

    def die(name: str) -> None:
        nonlocal passes
        if name == place:
            passes -= 1
            if passes == 0:
                raise Died

    with pytest.raises(Died):
        site.rebuild(faultpoint=die)
    site.assert_tables_are_the_fold()
    begun = site.read("SELECT position FROM rebuilds")[0][0]
    found = site.rebuild()
    assert found.resumed
    if place == "rebuild.batch":
        assert begun == 150
        assert found.events == found.position - begun
    assert len(site.cut_overs()) == 1
    assert site.cut_overs()[0].compared
    site.follow()
    site.assert_tables_are_the_fold()
    site.assert_nothing_is_left()


def test_a_rebuild_may_begin_anew(site: Site) -> None:
    def die(name: str) -> None:
        if name == "rebuild.after_indexes":
            raise Died

    with pytest.raises(Died):
        site.rebuild(faultpoint=die)
    site.execute(f"DELETE FROM {next_schema(HISTORY)}.transactions")
    with pytest.raises(TablesDiffer):
        site.rebuild()
    found = site.rebuild(restart=True)
    assert (found.compared, found.resumed) == (True, False)
    site.assert_nothing_is_left()


@pytest.mark.parametrize("place", ["rebuild.after_switch", "rebuild.after_record"])
def test_one_that_only_had_to_be_finished_does_not_pass_for_that_of_a_new_version(
    site: Site, place: str
) -> None:
    def die(name: str) -> None:
        if name == place:
            raise Died

    with pytest.raises(Died):
        site.rebuild(faultpoint=die)
    new, later = NextHistory(), (NextHistory(), *READ_MODELS[1:])
    found = site.rebuild(new)
    assert (found.from_version, found.version, found.resumed) == (2, 3, False)
    assert [event.version for event in site.cut_overs()] == [2, 3]
    assert found.cut_over_position == site.read("SELECT position FROM ledger_head")[0][0]
    site.follow(later)
    site.assert_tables_are_the_fold(later)
    assert site.schemas() == {schema_of(model) for model in (HISTORY, *later)}
    assert site.rebuild(new, restart=True).resumed is False


# --- the past -----------------------------------------------------------------------------------


def test_a_read_model_of_the_past_is_the_fold_up_to_there(site: Site) -> None:
    log = site.log()
    for model in READ_MODELS:
        for position in (0, 1, 333, len(log)):
            schema = build_as_of(site.owner, site.writer, model, position, stretch_events=100)
            assert schema == f"{model.name}_at_{position}"
            rows = fold_all(model, log[:position])
            with psycopg.connect(site.reader) as connection:
                for table in model.tables:
                    stored: StoredTable[Any, Any] = StoredTable(schema, table)
                    found = connection.execute(stored.select_all.encode()).fetchall()
                    assert {stored.key_of(stored.build(*row)) for row in found} == set(rows[table])
    assert build_as_of(site.owner, site.writer, HISTORY, 333) == "history_at_333"
    with pytest.raises(RebuildFailed, match="the log ends at position"):
        build_as_of(site.owner, site.writer, HISTORY, len(log) + 1)
    assert drop_as_of(site.owner, HISTORY, 333) == ["history_at_333"]
    for model in READ_MODELS:
        drop_as_of(site.owner, model)
    site.assert_nothing_is_left()


def test_a_read_model_of_the_past_is_gone_on_with(site: Site) -> None:
    def die(_done: int, _wanted: int) -> None:
        raise Died

    with pytest.raises(Died):
        build_as_of(site.owner, site.writer, HISTORY, 300, die, stretch_events=100)
    done: list[int] = []
    build_as_of(
        site.owner, site.writer, HISTORY, 300, lambda at, _: done.append(at), stretch_events=100
    )
    assert done == [200, 300]
    with psycopg.connect(site.reader) as connection:
        assert [one.phase for one in states.every(connection)] == ["kept"]
        count = connection.execute("SELECT count(*) FROM history_at_300.transactions").fetchone()
    assert count == (len(fold_all(HISTORY, site.log()[:300])[HISTORY.tables[0]]),)


# --- the command --------------------------------------------------------------------------------


def command(settings: Settings, *arguments: str) -> tuple[int, Any]:
    """Exit status and answer of `tallystick …  --json`."""
    environment = {
        "DATABASE_URL": None,
        "TALLYSTICK_DATA": str(settings.data),
        "TALLYSTICK_SYSTEM_DATA": str(settings.system_data),
        "TALLYSTICK_DATABASE_NAME": settings.database_name,
    }
    done = CliRunner(env=environment).invoke(app, [*arguments, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_the_command_says_what_it_did_and_what_is_there(database: Settings, site: Site) -> None:
    status, found = command(database, "rebuild", "history")
    assert (status, found["compared"], found["events"]) == (0, True, found["position"])
    assert found["cut_over_position"] == found["position"] + 1
    assert found["peak_memory_mb"] > 0
    assert command(database, "rebuild", "--status") == (0, [])
    assert command(database, "rebuild", "--prune") == (0, [])

    site.execute("DELETE FROM history_v2.transactions WHERE created_position < 100")
    status, refused = command(database, "rebuild", "history")
    assert (status, refused["error"]) == (1, "tables_differ")
    assert "--accept-differences" in refused["detail"]
    _, (begun,) = command(database, "rebuild", "--status")
    assert (begun["target"], begun["phase"]) == ("history", "indexed")

    status, found = command(database, "rebuild", "--all", "--jobs", "1", "--accept-differences")
    assert status == 0
    others = [True] * (len(READ_MODELS) - 1)
    assert [one["compared"] for one in found["rebuilt"]] == [False, *others]


def test_the_past_is_made_and_dropped_by_command(database: Settings, site: Site) -> None:
    status, found = command(database, "replay", "read-model", "history", "--as-of", "300")
    assert (status, found["schema"], found["position"]) == (0, "history_at_300", 300)
    status, refused = command(database, "replay", "read-model", "history", "--as-of", "900000000")
    assert (status, refused["code"]) == (1, "as_of_in_future")
    dropped = command(database, "replay", "read-model", "history", "--drop")
    assert dropped == (0, {"dropped": ["history_at_300"]})
    site.assert_nothing_is_left()
