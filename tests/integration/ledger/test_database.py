"""The ledger's database, on real servers: roles, migrations, and the refusal of unsafe ones."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.eventstore.database import (
    DatabaseUnavailable,
    PrivilegesMissing,
    Role,
    UnsafeDatabase,
    check_durability,
    conninfo,
    migrate,
    migration_state,
    prepare,
    verify_durability,
)
from ledger.eventstore.embedded import control
from ledger.settings import Settings, redacted
from projections.history.history import HISTORY
from tallystick.cli.doctor import run_checks
from tests.conftest import admin_connection, embedded_settings, fresh_database

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
EVENT = (
    "INSERT INTO ledger_events VALUES"
    " (1, gen_random_uuid(), 1, 'DepositCreated', '{}', now(), sha256('leaf'))"
)


def connect(settings: Settings, role: Role) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(conninfo(settings, role), autocommit=True)


def their_database(
    server: Settings, name: str, login: str, attributes: str, *, owned: bool = True
) -> Settings:
    """Settings whose DATABASE_URL is a new database on `server`, used as a new login."""
    with admin_connection(server) as connection:
        connection.execute(f"CREATE ROLE {login} LOGIN {attributes}".encode())
        owner = login if owned else control.ADMIN
        connection.execute(f"CREATE DATABASE {name} OWNER {owner}".encode())
    url = control.cluster(server).conninfo(user=login, dbname=name)
    return server.model_copy(update={"database_url": url})


# Who may do what


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize(
    ("table", "column"), [("ledger_events", "topic"), ("ledger_roots", "root")]
)
def test_nobody_changes_the_log(
    module_database: Settings, statement: str, table: str, column: str
) -> None:
    query = statement.format(table, column, column).encode()
    for role in (Role.WRITER, Role.READER):
        with (
            connect(module_database, role) as connection,
            pytest.raises(errors.InsufficientPrivilege, match="permission denied"),
        ):
            connection.execute(query)
    with (
        connect(module_database, Role.OWNER) as connection,
        pytest.raises(errors.InsufficientPrivilege, match="append-only"),
    ):
        connection.execute(query)


def test_the_writer_appends_and_the_reader_reads_it(database: Settings) -> None:
    with connect(database, Role.WRITER) as writer:
        writer.execute(EVENT)
    with connect(database, Role.READER) as reader:
        found = reader.execute("SELECT position, topic, event FROM event_log").fetchall()
        assert found == [(1, "DepositCreated", {})]
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute(EVENT)
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM api_keys")


@pytest.mark.parametrize("role", [Role.WRITER, Role.READER])
def test_only_the_owner_makes_tables_and_schemas(module_database: Settings, role: Role) -> None:
    with connect(module_database, role) as connection:
        for statement in (
            b"CREATE TABLE mine ()",
            b"CREATE SCHEMA mine",
            b"CREATE TEMP TABLE t ()",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
    with connect(module_database, Role.OWNER) as connection, connection.transaction():
        connection.execute("CREATE SCHEMA readings")
        raise psycopg.Rollback


def test_other_logins_cannot_enter_the_database(database: Settings) -> None:
    login = f"visitor_{database.database_name[-12:]}"
    target = control.cluster(database).conninfo(user=login, dbname=database.database_name)
    with admin_connection(database) as admin:
        admin.execute(f"CREATE ROLE {login} LOGIN".encode())
        try:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(target)
        finally:
            admin.execute(f"DROP ROLE {login}".encode())


# Preparing and migrating


def test_a_fresh_database_is_fully_migrated_and_the_doctor_is_content(database: Settings) -> None:
    state = migration_state(database)
    assert state.applied == state.head
    failing = [check for check in run_checks(database) if not check.ok]
    assert failing == []


def test_preparing_again_and_migrating_at_once_changes_nothing(database: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(prepare, [database] * 4))
        list(pool.map(migrate, [database] * 4))
    with connect(database, Role.READER) as reader:
        assert reader.execute("SELECT position FROM ledger_head").fetchall() == [(0,)]


def test_four_processes_prepare_one_new_installation(folder: Path) -> None:
    settings = embedded_settings(folder)
    script = (
        "import sys; from pathlib import Path; from ledger.settings import Settings;"
        "from ledger.eventstore.database import prepare;"
        "prepare(Settings(database_url=None, data=Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(settings.data)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    assert migration_state(settings).applied is not None


def test_the_doctor_names_what_is_missing_and_what_to_do(folder: Path) -> None:
    checks = {check.name: check for check in run_checks(embedded_settings(folder))}
    assert not checks["Database"].ok
    assert "tallystick db start" in str(checks["Database"].remedy)
    assert "Privileges" not in checks


def test_the_doctor_sees_a_privilege_too_many(database: Settings) -> None:
    with connect(database, Role.OWNER) as owner:
        owner.execute("GRANT DELETE ON ledger_events TO tallystick_writer")
    failing = [check for check in run_checks(database) if not check.ok]
    assert [check.name for check in failing] == ["Privileges"]
    assert "REVOKE DELETE ON ledger_events" in str(failing[0].remedy)


def test_the_doctor_names_a_read_model_that_has_stopped(database: Settings) -> None:
    with connect(database, Role.OWNER) as owner:
        owner.execute(
            "INSERT INTO read_models (name, version, position, stopped_at, error)"
            " VALUES (%s, %s, 6, 7, 'ValueError: never created'), ('old', 1, 1, 2, 'replaced')"
            " ON CONFLICT (name, version) DO UPDATE"
            " SET stopped_at = excluded.stopped_at, error = excluded.error",
            [HISTORY.name, HISTORY.version],
        )
    (failing,) = [check for check in run_checks(database) if not check.ok]
    assert failing.name == "Read models"
    assert failing.detail == "history stopped at position 7: ValueError: never created"
    assert "tallystick verify" in str(failing.remedy)


# A database of theirs, by DATABASE_URL


def test_a_login_that_may_create_roles_prepares_its_own_database(folder: Path) -> None:
    server = embedded_settings(folder)
    control.start(server)
    settings = their_database(server, "theirs", "dba", "CREATEROLE")
    prepare(settings)
    prepare(settings)
    for role in Role:
        with connect(settings, role) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role.value,)
    with (
        connect(settings, Role.WRITER) as writer,
        pytest.raises(errors.InsufficientPrivilege, match="permission denied"),
    ):
        writer.execute("DELETE FROM ledger_events")
    assert [check for check in run_checks(settings) if not check.ok] == []


def test_several_databases_of_one_server_are_prepared_at_once(folder: Path) -> None:
    server = embedded_settings(folder)
    control.start(server)
    names = [f"parallel_{number}" for number in range(4)]
    with admin_connection(server) as admin:
        for name in names:
            admin.execute(f"CREATE DATABASE {name}".encode())
    cluster = control.cluster(server)
    urls = [cluster.conninfo(user=control.ADMIN, dbname=name) for name in names]
    targets = [server.model_copy(update={"database_url": url}) for url in urls]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(prepare, targets))
    assert all(migration_state(target).applied for target in targets)


def test_a_powerless_login_is_told_the_sql_that_helps(folder: Path) -> None:
    server = embedded_settings(folder)
    control.start(server)
    settings = their_database(server, "poor", "clerk", "", owned=False)
    with pytest.raises(PrivilegesMissing) as refusal:
        prepare(settings)
    script = refusal.value.remedy.split("\n", 1)[1]
    with admin_connection(server, "poor") as admin:
        admin.execute(script.encode())
    prepare(settings)
    assert migration_state(settings).applied is not None


def test_a_missing_server_is_reported_without_the_password() -> None:
    url = "postgresql://clerk:geheim@127.0.0.1:1/ledger"
    with pytest.raises(DatabaseUnavailable) as failure:
        prepare(Settings(database_url=url))
    assert "geheim" not in str(failure.value)
    assert "geheim" not in repr(Settings(database_url=url)) + redacted(url)


def test_a_malformed_url_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://clerk:geheim@[::1/ledger")
    with pytest.raises(ValueError, match="expected postgresql://") as refusal:
        Settings()
    assert "geheim" not in str(refusal.value)


def test_options_of_the_url_are_kept_but_cannot_weaken_the_writer() -> None:
    url = make_conninfo("dbname=x", options="-c synchronous_commit=off -c work_mem=8MB")
    options = conninfo_to_dict(conninfo(Settings(database_url=url), Role.WRITER))["options"]
    assert str(options).startswith("-c synchronous_commit=off -c work_mem=8MB ")
    assert str(options).endswith("-c role=tallystick_writer -c synchronous_commit=on")


@pytest.mark.skipif(not DEBIAN_15.exists(), reason=f"PostgreSQL 15 is not in {DEBIAN_15}")
def test_the_oldest_supported_server_works_by_database_url(folder: Path) -> None:
    server = embedded_settings(folder, pg_bin=DEBIAN_15)
    control.start(server)
    assert str(control.status(server).version).startswith("15.")
    settings = their_database(server, "theirs", "dba", "CREATEROLE")
    prepare(settings)
    prepare(settings)
    with connect(settings, Role.WRITER) as writer:
        writer.execute(EVENT)
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied"):
            writer.execute("TRUNCATE ledger_events")
    with (
        connect(settings, Role.OWNER) as owner,
        pytest.raises(errors.InsufficientPrivilege, match="append-only"),
    ):
        owner.execute("TRUNCATE ledger_events")


# Unsafe databases


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_a_database_that_confirms_too_early_is_refused(cluster: Settings, value: str) -> None:
    with fresh_database(cluster) as settings:
        with admin_connection(cluster) as admin:
            admin.execute(
                f"ALTER DATABASE {settings.database_name} SET synchronous_commit = {value}".encode()
            )
        with pytest.raises(UnsafeDatabase, match=f"synchronous_commit is {value}") as refusal:
            prepare(settings)
        assert f"ALTER DATABASE {settings.database_name} RESET" in refusal.value.remedy
        with connect(settings, Role.WRITER) as writer:  # even then, it would not
            assert writer.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_waiting_for_a_standby_to_apply_is_safe(database: Settings) -> None:
    name = database.database_name
    with admin_connection(database) as admin:
        admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = remote_apply".encode())
    verify_durability(database)


def test_a_writer_that_is_told_not_to_wait_is_refused(folder: Path) -> None:
    settings = embedded_settings(folder)
    prepare(settings)
    with admin_connection(settings) as admin:
        admin.execute("ALTER ROLE tallystick_writer SET synchronous_commit = off")
    with pytest.raises(UnsafeDatabase, match="ALTER ROLE tallystick_writer") as refusal:
        prepare(settings)
    with admin_connection(settings) as admin:
        for remedy in refusal.value.remedy.splitlines()[1:]:
            admin.execute(remedy.encode())
    prepare(settings)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_may_lose_or_tear_its_data_is_refused(folder: Path, name: str) -> None:
    settings = embedded_settings(folder)
    prepare(settings)
    with admin_connection(settings) as admin:
        admin.execute(f"ALTER SYSTEM SET {name} = off".encode())
    control.stop(settings)
    with pytest.raises(UnsafeDatabase, match=f"{name} is off") as refusal:
        prepare(settings)
    assert f"ALTER SYSTEM SET {name} = on" in refusal.value.remedy
    with admin_connection(settings) as admin:
        for remedy in refusal.value.remedy.splitlines()[1:]:
            for statement in remedy.strip().rstrip(";").split("; "):
                admin.execute(statement.encode())
    with connect(settings, Role.WRITER) as writer:
        check_durability(writer)
