"""How far a rebuild has come: one row in `rebuilds`, and a lock while somebody is at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, sleep
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg import Connection, sql
from psycopg.rows import args_row

from projections.engine.read_model import ReadModel, schema_of

_LOCK_SECONDS = 2.0
_LOCK_REBUILD = 7_236
"""First key of the advisory lock; the second is the hash of the target."""

_RUNNING: Final = "{} is being rebuilt by somebody else: see --status"

OWNER_SETTINGS: Final = (
    # Rows and checkpoint are lost together or not at all; the switch waits for the disk.
    "SET synchronous_commit TO off",
    "SET statement_timeout TO 0",
    "SET maintenance_work_mem TO '128MB'",
    "SET work_mem TO '32MB'",
)


class Phase(StrEnum):
    """What has been done, and is not done again."""

    FILLING = "filling"
    """The new tables exist and are being filled."""
    INDEXED = "indexed"
    """They are nearly up to date, and have their indexes."""
    COMPARED = "compared"
    """They have been compared with those that answer."""
    SWITCHED = "switched"
    """They answer; the log does not say so yet."""
    RECORDED = "recorded"
    """The log says so; the old tables may still be there."""
    KEPT = "kept"
    """A read model of the past, complete."""


class RebuildFailed(Exception):
    """The read model could not be rebuilt; readers go on as before."""

    code = "rebuild_failed"


class RebuildRunning(RebuildFailed):
    """Somebody else is rebuilding this read model."""

    code = "rebuild_running"


@dataclass(frozen=True, slots=True)
class State:
    """A row of `rebuilds`."""

    target: str
    id: UUID
    version: int
    from_version: int | None
    phase: Phase
    position: int
    digest: str | None
    digest_position: int | None
    compared: bool


_COLUMNS = ", ".join(State.__dataclass_fields__)


def next_schema(model: ReadModel) -> str:
    """Where the new tables are until they answer."""
    return f"{schema_of(model)}_next"


def old_schema(state: State) -> str:
    """Where the tables that answered are until nobody reads them any more."""
    return f"{state.target}_v{state.version}_old_{state.id.hex[:8]}"


@contextmanager
def locked(owner_conninfo: str, target: str) -> Iterator[Connection[Any]]:
    """A connection that alone may work on the target; it ends with the process.

    Raises:
        RebuildRunning: somebody else's does.
    """
    with psycopg.connect(owner_conninfo, autocommit=True) as connection:
        for setting in OWNER_SETTINGS:
            connection.execute(setting.encode())
        # The database may take a moment to notice that a rebuild before this one was killed.
        deadline = monotonic() + _LOCK_SECONDS
        while not _is_alone(connection, target):
            if monotonic() > deadline:
                raise RebuildRunning(_RUNNING.format(target))
            sleep(0.1)
        yield connection


@contextmanager
def alone(connection: Connection[Any], target: str) -> Iterator[None]:
    """Meanwhile, nobody else may work on the target. `connection` is in autocommit.

    Raises:
        RebuildRunning: somebody else does.
    """
    if not _is_alone(connection, target):
        raise RebuildRunning(_RUNNING.format(target))
    yield
    unlock = "SELECT pg_advisory_unlock(%s, hashtext(%s))"
    connection.execute(unlock, [_LOCK_REBUILD, target])


def _is_alone(connection: Connection[Any], target: str) -> bool:
    query = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
    row = connection.execute(query, [_LOCK_REBUILD, target]).fetchone()
    return row is not None and row[0] is True


def read(connection: Connection[Any], target: str) -> State | None:
    """The rebuild that was begun and not ended, if any."""
    query = f"SELECT {_COLUMNS} FROM rebuilds WHERE target = %s"
    with connection.cursor(row_factory=args_row(_state)) as cursor:
        return cursor.execute(query.encode(), [target]).fetchone()


def every(connection: Connection[Any]) -> list[State]:
    """Every rebuild that was begun and not ended, and every read model of the past."""
    with connection.cursor(row_factory=args_row(_state)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM rebuilds ORDER BY target".encode()
        ).fetchall()


def begin(
    connection: Connection[Any], target: str, version: int, from_version: int | None
) -> State:
    """Note that a rebuild begins."""
    connection.execute(
        "INSERT INTO rebuilds (target, id, version, from_version, phase)"
        " VALUES (%s, %s, %s, %s, %s)",
        [target, uuid4(), version, from_version, Phase.FILLING],
    )
    state = read(connection, target)
    if state is None:
        raise LookupError(target)
    return state


def note(connection: Connection[Any], state: State, **changes: object) -> State:
    """Set columns of the row; the row as it is then.

    Raises:
        RebuildFailed: it is gone.
    """
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = %s").format(sql.Identifier(column)) for column in changes
    )
    update = sql.SQL(
        "UPDATE rebuilds SET {}, updated_at = clock_timestamp() WHERE target = %s AND id = %s"
    ).format(assignments)
    values = [*changes.values(), state.target, state.id]
    noted = read(connection, state.target) if connection.execute(update, values).rowcount else None
    if noted is None:
        raise RebuildFailed(f"the rebuild of {state.target} was removed by somebody else")
    return noted


def end(connection: Connection[Any], state: State) -> None:
    """Forget the rebuild."""
    connection.execute(
        "DELETE FROM rebuilds WHERE target = %s AND id = %s", [state.target, state.id]
    )


def _state(
    target: str, id_: UUID, version: int, from_version: int | None, phase: str, *rest: Any
) -> State:
    return State(target, id_, version, from_version, Phase(phase), *rest)
