"""Reading with read models: wait until one has seen a write, and see how far behind each is.

What the API awaits is async; the blocking twin for workers and tools ends in `_sync`.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row

from projections.read_model import ReadModel

_PAUSES_SECONDS = (0.002, 0.005, 0.01, 0.02)
"""Between looks; the last one repeats."""

_POSITION = """
SELECT position FROM read_models WHERE name = %s AND version = %s
"""
_LAG = """
SELECT name, version, model.position, head.position, greatest(head.position - model.position, 0),
       stopped_at, error, updated_at
FROM read_models AS model CROSS JOIN ledger_head AS head
ORDER BY name, version
"""


class ReadModelBehind(Exception):
    """The read model has not seen the position that was asked for; try again shortly."""

    code = "read_model_behind"

    def __init__(self, model: str, wanted: int, reached: int) -> None:
        super().__init__(f"{model} has reached position {reached}, not yet {wanted}")
        self.model = model
        self.wanted = wanted
        self.reached = reached


@dataclass(frozen=True, slots=True)
class ModelLag:
    """How far a read model has followed the log."""

    name: str
    version: int
    position: int
    head: int
    lag_events: int
    stopped_at: int | None
    """Position of the event its fold could not take; None while it runs."""
    error: str | None
    updated_at: datetime


async def wait_for(
    connection: AsyncConnection[Any], model: ReadModel, min_position: int, timeout_seconds: float
) -> int:
    """Wait until `model` has seen the event at `min_position`; the position it has reached.

    `connection` is in autocommit or read-committed, so that it sees the model move on.

    Raises:
        ReadModelBehind: it has not within `timeout_seconds`.
    """
    reached = 0
    for pause_seconds in _pauses(timeout_seconds):
        cursor = await connection.execute(_POSITION, [model.name, model.version])
        reached = _position(await cursor.fetchone())
        if reached >= min_position:
            return reached
        if pause_seconds is None:
            break
        await asyncio.sleep(pause_seconds)
    raise ReadModelBehind(model.name, min_position, reached)


def wait_for_sync(
    connection: Connection[Any], model: ReadModel, min_position: int, timeout_seconds: float
) -> int:
    """`wait_for`, blocking."""
    reached = 0
    for pause_seconds in _pauses(timeout_seconds):
        cursor = connection.execute(_POSITION, [model.name, model.version])
        reached = _position(cursor.fetchone())
        if reached >= min_position:
            return reached
        if pause_seconds is None:
            break
        time.sleep(pause_seconds)
    raise ReadModelBehind(model.name, min_position, reached)


async def lag(connection: AsyncConnection[Any]) -> list[ModelLag]:
    """Where every installed read model stands, by name."""
    async with connection.cursor(row_factory=args_row(ModelLag)) as cursor:
        await cursor.execute(_LAG)
        return await cursor.fetchall()


def lag_sync(connection: Connection[Any]) -> list[ModelLag]:
    """`lag`, blocking."""
    with connection.cursor(row_factory=args_row(ModelLag)) as cursor:
        return cursor.execute(_LAG).fetchall()


def _pauses(timeout_seconds: float) -> Iterator[float | None]:
    """How long to wait before each further look; None before none."""
    deadline = time.monotonic() + timeout_seconds
    look = 0
    while (left_seconds := deadline - time.monotonic()) > 0:
        yield min(_PAUSES_SECONDS[min(look, len(_PAUSES_SECONDS) - 1)], left_seconds)
        look += 1
    yield None


def _position(row: tuple[int] | None) -> int:
    """Of a model that is not installed: it has seen nothing."""
    return row[0] if row else 0
