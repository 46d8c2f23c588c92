"""Reading for a request: a connection, and a read model that has seen what the caller has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import Request

from api import log_reading
from api.services import Read, ReadConnection
from projections.read_model import ReadModel
from projections.reading import wait_for

WAIT_SECONDS_MAX: Final = 5.0


@asynccontextmanager
async def reading(
    request: Request, model: ReadModel | None = None, min_position: int | None = None
) -> AsyncIterator[ReadConnection]:
    """A connection to read with, once `model` has reached `min_position`.

    Raises:
        ReadModelBehind: it has not in time, or the log itself has not: nobody was answered with
            that position yet, and waiting for it would only keep others from reading.
    """
    read: Read = request.app.state.read
    async with read() as connection:
        if model is not None and min_position is not None:
            in_log = min_position <= await log_reading.head(connection)
            await wait_for(connection, model, min_position, WAIT_SECONDS_MAX if in_log else 0.0)
        yield connection
