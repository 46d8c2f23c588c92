"""The log as a feed: page by page, or as Server-Sent Events that never end."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.http import log_reading
from api.http.as_of import Past, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED
from api.http.errors import FieldError, RequestInvalid
from api.http.log_reading import EventShown, Scan, Wanted
from api.http.paging import POSITION_MAX, link_next
from api.http.reading import reading, viewing
from api.http.responses import Shown
from api.http.services import Services
from api.permissions import hidden_from
from domain.events import EVENT_TYPES
from projections.history.history import HISTORY

_log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1/events", tags=["Events"], route_class=KeyedRoute, dependencies=KEYED)

LIMIT_MAX: Final = 1_000
LOOK_SECONDS: Final = 0.25
"""Between looks at the log while nothing new is there."""

KEEPALIVE_SECONDS: Final = 15.0
STREAM_SECONDS_MAX: Final = 300.0
"""Then the client comes back with Last-Event-ID and has its key checked again."""

_TYPES: Final = frozenset(event_type.__name__ for event_type in EVENT_TYPES)


def _known_type(name: str) -> str:
    if name not in _TYPES:
        raise PydanticCustomError("enum", "Input should be the type of an event")
    return name


Topic = Annotated[
    str, AfterValidator(_known_type), Field(json_schema_extra={"enum": sorted(_TYPES)})
]


class Feed(Past):
    """Which events of the log."""

    after: int = Field(default=0, ge=0, le=POSITION_MAX, description="Events behind this position.")
    limit: int = Field(default=100, ge=1, le=LIMIT_MAX, description="Events on a page.")
    topic: list[Topic] = Field(
        default_factory=list, max_length=len(_TYPES), description="Any of these types."
    )
    player_id: UUID | None = Field(default=None, description="About this player.")
    transaction_id: UUID | None = Field(default=None, description="About this transaction.")

    def wanted(self, request: Request) -> Wanted:
        """As the log is asked on behalf of whoever sent the request."""
        return Wanted(
            topics=self.topic,
            hidden=hidden_from(str(request.state.role)),
            transaction_id=self.transaction_id,
            player_id=self.player_id,
        )


class EventsShown(Shown):
    """A page of the log. It may hold no event and still not be the last one."""

    items: list[EventShown]
    next_after: int = Field(
        description="Pass it as `after` to go on; everything up to it was looked at.",
        examples=[4711],
    )
    head: int = Field(description="Where the log ends.", examples=[4711])


LastEventId = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID",
        ge=0,
        le=POSITION_MAX,
        description="With `Accept: text/event-stream`: go on behind this position.",
        examples=[4711],
    ),
]


_ANSWERS: Final = queries()
_ANSWERS[200] |= {
    "description": "Events in the order of the log.",
    "content": {
        EventSourceResponse.media_type: {
            "schema": {"type": "string"},
            "example": 'event: DepositCompleted\ndata: {"position": 4711, …}\nid: 4711\n\n',
        }
    },
}


@router.get("", response_model=EventsShown, responses=_ANSWERS)
async def get_events(
    feed: Annotated[Feed, Query()],
    request: Request,
    response: Response,
    last_event_id: LastEventId = None,
) -> EventsShown | EventSourceResponse:
    """Follow the log from a position.

    With `Accept: text/event-stream` the answer is a stream of Server-Sent Events that goes on
    with what is appended later; each event's id is its position, so that a client that comes
    back with Last-Event-ID misses nothing and sees nothing twice. With `as_of` the log ends there.

    Events of rule sets, fraud cases and reports of suspicious activity are left out for who may
    not see those; their positions are skipped. Of other events `withheld` names the fields that are
    left out: how risky a payout looks is not for everybody.
    """
    if EventSourceResponse.media_type in request.headers.get("accept", ""):
        after = feed.after if last_event_id is None else last_event_id
        return _streamed(request, feed, after)
    # Which transactions are a player's, history says.
    async with viewing(request, feed, None, *([HISTORY] if feed.player_id else [])) as view:
        end = view.then.position if view.then else None
        wanted = feed.wanted(request)
        found = await log_reading.scan(view.connection, wanted, feed.after, feed.limit, end)
    more = found.scanned_to < found.head
    link_next(request, response, after=found.scanned_to if more else None, **view.pinned)
    nothing = f"Nothing from {feed.after} to {found.scanned_to} matches: the log ended at {end}."
    view.mark(response, empty_because=None if found.events else nothing)
    return _shown(found, str(request.state.role))


def _shown(found: Scan, role: str) -> EventsShown:
    return EventsShown(
        items=[log_reading.shown(event, role) for event in found.events],
        next_after=found.scanned_to,
        head=found.head,
    )


def _streamed(request: Request, feed: Feed, after: int) -> EventSourceResponse:
    """Raises RequestInvalid where the past is asked for: a stream goes on."""
    if feed.as_of is not None:
        error = FieldError(
            location="query.as_of",
            code="as_of_of_stream",
            detail="A stream goes on with what is appended later",
            remedy="Ask for application/json, or leave as_of out.",
        )
        raise RequestInvalid([error])
    return EventSourceResponse(_until_away(request, _stream(request, feed, after)))


async def _stream(request: Request, feed: Feed, after: int) -> AsyncIterator[bytes]:
    ends_at, wanted = monotonic() + STREAM_SECONDS_MAX, feed.wanted(request)
    sent_at, sent, role = monotonic(), after, str(request.state.role)
    yield KEEPALIVE_COMMENT
    while monotonic() < ends_at:
        async with reading(request) as connection:
            found = await log_reading.scan(connection, wanted, after, feed.limit)
        for event in found.events:
            # Others have their turn between two events; and here it ends for a client that left.
            await asyncio.sleep(0)
            yield _as_sse(log_reading.shown(event, role))
        if found.events:
            sent_at, sent = monotonic(), found.events[-1].position
        elif monotonic() - sent_at > KEEPALIVE_SECONDS:
            # An id without data is not dispatched; the client only resumes from there.
            yield format_sse_event(id=str(after)) if after > sent else KEEPALIVE_COMMENT
            sent_at, sent = monotonic(), after
        if found.scanned_to == after:
            await asyncio.sleep(LOOK_SECONDS)
        after = found.scanned_to


async def _until_away(request: Request, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream, ending where the database goes away: the client comes back by itself."""
    services: Services = request.app.state.services
    try:
        async for chunk in stream:
            yield chunk
    except tuple(services.database_errors) as error:
        _log.warning("events.stream_ended", error=f"{type(error).__name__}: {error}")


def _as_sse(event: EventShown) -> bytes:
    return format_sse_event(
        data_str=event.model_dump_json(), event=event.type, id=str(event.position)
    )
