"""The three roles of the ledger, and what each may do in a database.

Roles belong to the whole server, databases come and go, and several processes may prepare them at
once: every statement here may be repeated, and losing a race to an equal one is success.
"""

import time
from enum import StrEnum

import psycopg
from psycopg import errors, sql

from ledger.eventstore.setup_error import SetupError

Connection = psycopg.Connection[tuple[object, ...]]

_ATTEMPTS_MAX = 10


class Role(StrEnum):
    """As whom a connection acts."""

    OWNER = "tallystick_owner"
    """Owns the schema: migrations and the tables of read models."""
    WRITER = "tallystick_writer"
    """Appends to the log and maintains what is derived from it; no DDL."""
    READER = "tallystick_reader"
    """Reads everything but secrets."""


class PrivilegesMissing(SetupError):
    """The login of DATABASE_URL may not set up the roles; the message holds the SQL that does."""


def ensure_login_roles(connection: Connection) -> None:
    """Have the roles exist with LOGIN, for the embedded server; `connection` is its superuser's."""
    for role in Role:
        found = connection.execute(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (role,)
        ).fetchone()
        if found is None:
            _repeatable(connection, sql.SQL("CREATE ROLE {} LOGIN").format(_name(role)))
        elif not found[0]:
            _repeatable(connection, sql.SQL("ALTER ROLE {} LOGIN").format(_name(role)))


def create_database(connection: Connection, database: str, *, template: str = "template0") -> None:
    """Have `database` exist, owned by the owner role and open to our roles only.

    Args:
        connection: the superuser's, in autocommit, to another database than `template`.
        database: its name.
        template: an existing database to copy; its own grants on the database are not copied.
    """
    names = {"database": sql.Identifier(database), "template": sql.Identifier(template)}
    found = connection.execute(
        "SELECT datacl IS NOT NULL FROM pg_database WHERE datname = %s", (database,)
    ).fetchone()
    if found is None:
        # Copying files is twice as fast as writing the template through the write-ahead log.
        create = """
            CREATE DATABASE {database} OWNER tallystick_owner
                TEMPLATE {template} STRATEGY file_copy
        """
        _repeatable(connection, sql.SQL(create).format(**names))
    if found is None or not found[0]:
        restrict = """
            REVOKE ALL ON DATABASE {database} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {database} TO tallystick_writer, tallystick_reader
        """
        _repeatable(connection, sql.SQL(restrict).format(**names))


def ensure_roles_for_login(connection: Connection) -> None:
    """Have the roles exist, be usable by this login, and have their rights in this database.

    Does only what is missing, so a login without rights passes where a DBA has prepared all.

    Raises:
        PrivilegesMissing: something is missing that this login may not grant.
    """
    for missing in _missing(connection):
        try:
            _repeatable(connection, missing)
        except errors.InsufficientPrivilege as refusal:
            raise _privileges_missing(connection, refusal.diag.message_primary) from refusal
    # GRANT without the grant option warns instead of failing.
    if still_missing := _missing(connection):
        raise _privileges_missing(connection, still_missing[0].as_string(connection))


def _missing(connection: Connection) -> list[sql.Composed]:
    """The statements still to be run, in order."""
    present = {
        row[0]
        for row in connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(Role),)
        )
    }
    create = [sql.SQL("CREATE ROLE {} NOLOGIN").format(_name(r)) for r in Role if r not in present]
    if create:  # the checks below need the roles to exist
        return create + _memberships(connection, list(Role)) + _grants(connection)
    lacking = [role for role in Role if not _may_become(connection, role)]
    return _memberships(connection, lacking) + _missing_grants(connection)


def _may_become(connection: Connection, role: Role) -> bool:
    # Since 16 a membership may exist without the right to SET ROLE.
    right = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    return _holds(connection, "SELECT pg_has_role(session_user, %s, %s)", (role, right))


def _memberships(connection: Connection, roles: list[Role]) -> list[sql.Composed]:
    options = " WITH SET TRUE, INHERIT FALSE" if connection.info.server_version >= 160000 else ""
    statement = "GRANT {} TO CURRENT_USER" + options
    return [sql.SQL(statement).format(_name(role)) for role in roles]


def _grants(connection: Connection) -> list[sql.Composed]:
    database = sql.Identifier(connection.info.dbname)
    statements = (
        "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO tallystick_owner",
        "GRANT USAGE, CREATE ON SCHEMA public TO tallystick_owner",
        "GRANT USAGE ON SCHEMA public TO tallystick_writer, tallystick_reader",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    return [sql.SQL(statement).format(database) for statement in statements]


def _missing_grants(connection: Connection) -> list[sql.Composed]:
    held = (
        "SELECT has_database_privilege('tallystick_owner', current_database(), 'CREATE')",
        "SELECT has_schema_privilege('tallystick_owner', 'public', 'CREATE')",
        "SELECT has_schema_privilege('tallystick_writer', 'public', 'USAGE')"
        " AND has_schema_privilege('tallystick_reader', 'public', 'USAGE')",
        "SELECT NOT has_schema_privilege('public', 'public', 'CREATE')",
    )
    pairs = zip(_grants(connection), held, strict=True)
    return [grant for grant, query in pairs if not _holds(connection, query)]


def _holds(connection: Connection, query: str, values: tuple[str, ...] = ()) -> bool:
    row = connection.execute(query.encode(), values).fetchone()
    return row is not None and row[0] is True


def _privileges_missing(connection: Connection, reason: str | None) -> PrivilegesMissing:
    login = sql.Identifier(connection.info.user)
    roles = ", ".join(Role)
    statements = [
        *(sql.SQL("CREATE ROLE {} NOLOGIN").format(_name(role)) for role in Role),
        sql.SQL(f"GRANT {roles} TO {{}}").format(login),
        *_grants(connection),
    ]
    script = "\n".join(f"  {statement.as_string(connection)};" for statement in statements)
    return PrivilegesMissing(
        f"Login {connection.info.user} may not set up the ledger's roles: {reason}.",
        remedy="Have a database administrator run, in this database (skip roles that exist):\n"
        f"{script}",
    )


def _repeatable(connection: Connection, statement: sql.Composed) -> None:
    """Run `statement`, in autocommit; one like it that ran first, or runs now, is no failure."""
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        try:
            connection.execute(statement)
        except (errors.DuplicateObject, errors.DuplicateDatabase, errors.UniqueViolation):
            return
        except errors.InternalError_:
            # "tuple concurrently updated": GRANT and REVOKE do not wait for each other.
            if attempt == _ATTEMPTS_MAX:
                raise
            time.sleep(0.01 * attempt)
        else:
            return


def _name(role: Role) -> sql.Identifier:
    return sql.Identifier(role.value)
