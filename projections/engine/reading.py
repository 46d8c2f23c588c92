"""Reading with read models: wait until one has seen a write, and see how far behind each is.

What the API awaits is async; the blocking twin for workers and tools ends in `_sync`.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row

from projections.engine.read_model import ReadModel

Lend = Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]

_PAUSES_SECONDS = (0.002, 0.005, 0.01, 0.02)
"""Between looks; the last one repeats."""

_POSITIONS = """
SELECT head.position, name, version, model.position
FROM ledger_head AS head LEFT JOIN read_models AS model ON true
"""
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


class Waiting:
    """Waits for read models on behalf of many: nobody holds a connection while waiting.

    One look at the database serves all who wait at that moment.
    """

    def __init__(self, read: Lend) -> None:
        """`read` lends a connection that sees the models move on: in autocommit, say."""
        self._read = read
        self._look: asyncio.Task[_Seen] | None = None
        self._next_look: asyncio.Task[_Seen] | None = None

    async def reached(self, model: ReadModel, min_position: int, timeout_seconds: float) -> None:
        """Return once `model` has seen the event at `min_position`.

        Raises:
            ReadModelBehind: it has not within `timeout_seconds`, or the log itself has not come
                that far: nobody was answered with that position yet.
        """
        for pause_seconds in _pauses(timeout_seconds):
            seen = await self._seen()
            position = seen.positions.get((model.name, model.version), 0)
            if position >= min_position:
                return
            if pause_seconds is None or min_position > seen.head:
                raise ReadModelBehind(model.name, min_position, position)
            await asyncio.sleep(pause_seconds)

    async def _seen(self) -> "_Seen":
        """A look that began after it was asked for; whoever asks meanwhile shares it."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_after(self._look))
            self._next_look.add_done_callback(_noticed)
        return await asyncio.shield(self._next_look)

    async def _look_after(self, previous: "asyncio.Task[_Seen] | None") -> "_Seen":
        if previous is not None:
            await asyncio.wait([previous])
        self._look, self._next_look = self._next_look, None
        async with self._read() as connection:
            cursor = await connection.execute(_POSITIONS)
            rows = await cursor.fetchall()
        return _Seen(
            positions={(name, version): position for _, name, version, position in rows},
            head=max(head for head, *_ in rows),
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where the read models and the log stood at one moment."""

    positions: Mapping[tuple[str, int], int]
    head: int


def _noticed(look: "asyncio.Task[_Seen]") -> None:
    """Those who wait for a look learn how it failed; nobody is left if all of them went away."""
    if not look.cancelled():
        look.exception()


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
