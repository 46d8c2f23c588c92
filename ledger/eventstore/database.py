"""The ledger's database: which one, as whom, how far migrated, and whether it keeps promises."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

from ledger.eventstore.embedded import control
from ledger.eventstore.roles import (
    Connection,
    PrivilegesMissing,
    Role,
    create_database,
    ensure_login_roles,
    ensure_roles_for_login,
)
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings, redacted

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "DatabaseUnavailable",
    "PrivilegesMissing",
    "Role",
    "UnsafeDatabase",
    "check_durability",
    "conninfo",
    "create_database",
    "migrate",
    "migration_state",
    "prepare",
    "server_version",
    "verify_durability",
]

SERVER_VERSION_MIN = 150000
_SYNCHRONOUS = ("on", "remote_apply")
_LOCK_PREPARE = 7_236_851_901
_LOCK_MIGRATE = 7_236_851_902
_CONNECT_TIMEOUT_SECONDS_MIN = 2  # libpq rounds anything shorter up to this
_ALEMBIC_IN_USE = threading.Lock()  # its `context` is global to the process
_MIGRATIONS = Path(__file__).with_name("migrations")


class DatabaseUnavailable(SetupError):
    """The database does not answer or does not let us in."""


class UnsafeDatabase(SetupError):
    """The database may lose what it has confirmed; the ledger refuses to use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationState:
    """`applied` is None in a database without the ledger's schema."""

    applied: str | None
    head: str


def conninfo(settings: Settings, role: Role) -> str:
    """How to connect as `role`; starts nothing and does not connect.

    The writer always commits synchronously, whatever DATABASE_URL, the role or the database say;
    `prepare` refuses those that say otherwise.
    """
    target = _target(settings, role)
    if role is not Role.WRITER:
        return target
    return _with_options(target, "-c synchronous_commit=on")


def prepare(settings: Settings, on_progress: Callable[[str], None] = lambda _message: None) -> None:
    """Make the database ready for use; may be called at every start, by several processes.

    Starts the embedded server if there is no DATABASE_URL, creates roles and database, refuses an
    unsafe server, and migrates.

    Raises:
        SetupError: with a remedy; see its subclasses in this module, `roles` and `embedded`.
    """
    if settings.database_url is None:
        cluster = control.start(settings, on_progress)
        _prepare_embedded(cluster, settings.database_name)
    else:
        with _connect(_named(settings.database_url, "admin", settings)) as connection:
            _refuse_old_server(connection)
            _take_turns(connection)
            ensure_roles_for_login(connection)
    verify_durability(settings)
    migrate(settings)


def migrate(settings: Settings) -> None:
    """Bring the schema to the newest version, in one transaction, one process at a time.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    # Imported here: it takes longer than everything else in this module together.
    import sqlalchemy
    from alembic import command
    from sqlalchemy.pool import StaticPool

    with _ALEMBIC_IN_USE, _connect(_target(settings, Role.OWNER), autocommit=False) as owner:
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: owner, poolclass=StaticPool
        )
        config = _alembic_config()
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_MIGRATE}
            )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        engine.dispose()


def migration_state(settings: Settings) -> MigrationState:
    """How far the database is migrated, and how far this program would migrate it."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
    if head is None:
        raise SetupError("The program's migrations are missing.", remedy="Install it again.")
    with _connect(_target(settings, Role.READER)) as connection:
        known = connection.execute("SELECT to_regclass('public.alembic_version')").fetchone()
        if known is None or known[0] is None:
            return MigrationState(applied=None, head=head)
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return MigrationState(applied=str(row[0]) if row else None, head=head)


def server_version(settings: Settings) -> str:
    """What the server calls its version, asked as the reader: `18.4`."""
    with _connect(_target(settings, Role.READER)) as connection:
        return connection.info.parameter_status("server_version") or "unknown"


def verify_durability(settings: Settings) -> None:
    """`check_durability` of the writer as the server would have it, with nothing forced by us."""
    with _connect(_target(settings, Role.WRITER)) as connection:
        check_durability(connection)


def check_durability(connection: psycopg.Connection[object]) -> None:
    """Refuse a database that may lose or tear what it has confirmed.

    `connection` is the writer's without forced settings: its effective values count, and so do
    those which the roles and the database would give to later sessions.

    Raises:
        UnsafeDatabase: names each setting, its value and the remedy.
    """
    _refuse_old_server(connection)
    cursor = connection.cursor(row_factory=tuple_row)
    values = cursor.execute(
        "SELECT name, setting FROM pg_settings"
        " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name"
    ).fetchall()
    problems = [
        (f"{name} is {value}", f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();")
        for name, value in values
        if value not in (_SYNCHRONOUS if name == "synchronous_commit" else ("on",))
    ]
    overrides = _unsafe_overrides(cursor)
    if overrides:  # they explain the effective value, and only their own remedy helps
        problems = [p for p in problems if not p[0].startswith("synchronous_commit")] + overrides
    if problems:
        raise UnsafeDatabase(
            f"A confirmed payment could be lost: {'; '.join(what for what, _ in problems)}.",
            remedy="\n".join(
                ["As a database administrator, run:", *(f"  {do}" for _, do in problems)]
            ),
        )


def _unsafe_overrides(cursor: psycopg.Cursor[tuple[object, ...]]) -> list[tuple[str, str]]:
    """What ALTER ROLE and ALTER DATABASE say for our sessions: (problem, remedy)."""
    rows = cursor.execute(
        """
        SELECT role.rolname, database.datname, split_part(setting, '=', 2)
        FROM pg_db_role_setting
        CROSS JOIN unnest(setconfig) AS setting
        LEFT JOIN pg_roles AS role ON role.oid = setrole
        LEFT JOIN pg_database AS database ON database.oid = setdatabase
        WHERE split_part(setting, '=', 1) = 'synchronous_commit'
          AND split_part(setting, '=', 2) <> ALL (%s)
          AND (setrole = 0 OR role.rolname IN (session_user, current_user, 'tallystick_writer'))
          AND (setdatabase = 0 OR database.datname = current_database())
        """,
        (list(_SYNCHRONOUS),),
    ).fetchall()
    problems = []
    for role, database, value in rows:
        who = f"ROLE {role or 'ALL'}" if role or not database else f"DATABASE {database}"
        scope = f" IN DATABASE {database}" if role and database else ""
        problems.append(
            (
                f"synchronous_commit is {value} by ALTER {who}{scope}",
                f"ALTER {who}{scope} RESET synchronous_commit;",
            )
        )
    return problems


def _refuse_old_server(connection: psycopg.Connection[object]) -> None:
    if connection.info.server_version < SERVER_VERSION_MIN:
        version = connection.info.parameter_status("server_version")
        raise UnsafeDatabase(
            f"PostgreSQL {version} is older than 15.",
            remedy="Upgrade the server, or unset DATABASE_URL to use the embedded one.",
        )


def _target(settings: Settings, role: Role) -> str:
    """How to connect as `role` with nothing forced."""
    if settings.database_url is None:
        cluster = control.cluster(settings)
        plain = cluster.conninfo(user=role.value, dbname=settings.database_name)
        return _named(plain, role.name.lower(), settings)
    named = _named(settings.database_url, role.name.lower(), settings)
    return _with_options(named, f"-c role={role.value}")


def _named(target: str, suffix: str, settings: Settings) -> str:
    timeout = max(math.ceil(settings.request_timeout_seconds), _CONNECT_TIMEOUT_SECONDS_MIN)
    return make_conninfo(target, application_name=f"tallystick-{suffix}", connect_timeout=timeout)


def _with_options(target: str, options: str) -> str:
    """`target` with `options` last, where they win over earlier ones of the same name."""
    earlier = conninfo_to_dict(target).get("options")
    return make_conninfo(target, options=f"{earlier} {options}" if earlier else options)


def _connect(target: str, *, autocommit: bool = True) -> Connection:
    try:
        return psycopg.connect(target, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"{redacted(target)}: {str(error).strip()}",
            remedy="`tallystick db start` starts the embedded one, `tallystick db migrate` prepares"
            " the one of DATABASE_URL.",
        ) from error


def _prepare_embedded(cluster: control.Cluster, database: str) -> None:
    with _connect(cluster.conninfo(user=control.ADMIN, dbname="postgres")) as connection:
        _take_turns(connection)
        ensure_login_roles(connection)
        create_database(connection, database)


def _take_turns(connection: Connection) -> None:
    """Wait for others who prepare in the same database; released when the connection closes."""
    connection.execute(sql.SQL("SELECT pg_advisory_lock({})").format(_LOCK_PREPARE))


def _alembic_config() -> "Config":
    """No alembic.ini: the migrations are part of the program."""
    from alembic.config import Config

    config = Config()
    # Its values are interpolated, so a percent sign in the path has to be doubled.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
