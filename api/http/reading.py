"""Reading for a request: a connection, and a read model that has seen what the caller has."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from api.http import log_reading
from api.http.as_of import (
    EMPTY_HEADER,
    PageQueryParameters,
    Past,
    QueryParameters,
    Then,
    asked_about,
)
from api.http.as_of import in_words as in_words  # for those who say when something began
from api.http.errors import RequestError
from api.http.log_reading import EVERYTHING, Began
from api.http.services import Read, ReadConnection, Services
from domain.errors import DomainError
from projections.engine.read_model import ReadModel
from projections.engine.reading import Waiting

WAIT_SECONDS_MAX: Final = 5.0

_BEFORE_EVERYTHING: Final = datetime.min.replace(tzinfo=UTC)

E = TypeVar("E", bound=DomainError | RequestError)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a query sees: the present, or the log up to a point in the past.

    Queries are written once, for both: they look at nothing behind `upto`, and judge what depends
    on time at `now`.
    """

    connection: ReadConnection
    then: Then | None
    """None: the present."""
    now: datetime

    @property
    def upto(self) -> int:
        """No event behind this position is looked at."""
        return self.then.position if self.then else EVERYTHING

    @property
    def pinned(self) -> dict[str, str | int | None]:
        """For the link to the next page: `checkpoint:latest` must not move on in between."""
        return {"as_of": self.then.position} if self.then and not self.then.by_instant else {}

    def mark(self, response: Response, *, empty_because: str | None = None) -> None:
        """Have the answer say that it is about the past, and why there is nothing in it."""
        if self.then is None:
            return
        response.headers.update(self.then.headers)
        if empty_because is not None:
            response.headers[EMPTY_HEADER] = empty_because

    def nothing(self, began: Began | None) -> str:
        """Why nothing is found; `began` is the first there ever was, where that is known."""
        if began is not None and began.position > self.upto:
            return f"Nothing of this had begun: {_first(began)}"
        return f"Nothing up to position {self.upto} matches."

    async def missing(self, error: E, stream: object, topics: Collection[str] = ()) -> E:
        """The error that something is not there, which says so where it only was not there then.

        It begins with the first event of `stream`, if that is of one of the `topics`.
        """
        if self.then is None:
            return error
        began = await log_reading.began(self.connection, stream)
        return self.not_yet(error, began if began and began.topic in topics else None)

    def not_yet(self, error: E, began: Began | None) -> E:
        """The same, where the beginning is known."""
        if began is not None and began.position > self.upto:
            error.detail = f"There was none at position {self.upto} yet: {_first(began)}"
        return error


def _first(began: Began) -> str:
    return f"it began at position {began.position}, recorded {in_words(began.recorded_at)}."


@asynccontextmanager
async def reading(
    request: Request, model: ReadModel | None = None, min_position: int | None = None
) -> AsyncIterator[ReadConnection]:
    """A connection to read with, once `model` has reached `min_position`.

    Raises:
        ReadModelBehind: it has not in time, or the log itself has not: nobody was answered with
            that position yet, and waiting for it would only keep others from reading.
    """
    if model is not None and min_position is not None:
        await _reached(request, model, min_position)
    read: Read = request.app.state.read
    async with read() as connection:
        yield connection


@asynccontextmanager
async def viewing(
    request: Request,
    asked: Past | QueryParameters | PageQueryParameters,
    model: ReadModel | None = None,
    *models_of_past: ReadModel,
) -> AsyncIterator[View]:
    """What the query is about, once `model` has reached what the answer has to include.

    `models_of_past` are those that only the past is read from: the present is known without.

    Raises:
        ReadModelBehind: see `reading`.
        AsOfInvalid, AsOfInFuture, RequestInvalid: see `asked_about`.
    """
    services: Services = request.app.state.services
    min_position = getattr(asked, "min_position", None)
    if asked.as_of is None:
        async with reading(request, model, min_position) as connection:
            yield View(connection=connection, then=None, now=services.handling.now())
        return
    async with reading(request) as connection:
        then = await asked_about(connection, asked.as_of, min_position, services.handling.now())
    for needed in filter(None, (model, *models_of_past)):
        await _reached(request, needed, then.position)
    async with reading(request) as connection:
        now = then.instant or _BEFORE_EVERYTHING
        yield View(connection=connection, then=then, now=now)


async def _reached(request: Request, model: ReadModel, position: int) -> None:
    """Nobody holds a connection while waiting: those who wait must not keep others from reading."""
    waiting: Waiting = request.app.state.waiting
    await waiting.reached(model, position, WAIT_SECONDS_MAX)
