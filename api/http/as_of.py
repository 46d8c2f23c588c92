"""`as_of`: the past as a parameter of every query, and what an answer about it says of itself.

The body of such an answer is what the same query was answered with then, byte for byte; that it
is about the past stands in its headers.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from api.http import declared
from api.http.errors import FieldError, RequestInvalid
from api.http.paging import PageParameters, Parameters
from api.http.services import ReadConnection
from ledger.eventstore.positions import AsOf, AsOfError, AsOfInFuture, AsOfInvalid, instant_named
from ledger.eventstore.positions import resolve_async as resolve

AS_OF_HEADER: Final = "Tallystick-As-Of"
INSTANT_HEADER: Final = "Tallystick-As-Of-Instant"
EMPTY_HEADER: Final = "Tallystick-Empty-Because"

_LONG_NUMBER: Final = re.compile(r"\d{13,}", re.ASCII)
"""Nothing of the log is as far as that, but a card number is as long."""

_HEADERS: Final[dict[str, Any]] = {
    AS_OF_HEADER: {
        "description": "With `as_of`: the position that was answered about.",
        "schema": {"type": "integer"},
        "example": 4711,
    },
    INSTANT_HEADER: {
        "description": "With `as_of`: the instant what depends on time was judged at. The one"
        " that was asked about, or when the event at the position was recorded.",
        "schema": {"type": "string", "format": "date-time"},
        "example": "2026-05-03T14:07:21.120453Z",
    },
    EMPTY_HEADER: {
        "description": "With `as_of`, where nothing was found: why.",
        "schema": {"type": "string"},
        "example": "Nothing of this had begun: the first was recorded at position 4800, "
        "2026-05-04T09:00:00Z.",
    },
}

Point = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x20-\x7e]+$")]


class Past(BaseModel):
    """The parameter that asks about the past."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    as_of: Point | None = Field(
        default=None,
        description="Answer as it was then: a position, an RFC 3339 instant (a plus sign as"
        " %2B), `checkpoint:<size>`, `checkpoint:latest` or a checkpoint's root.",
        examples=["4711"],
    )


class QueryParameters(Parameters, Past):
    """The parameters of a query."""


class PageQueryParameters(PageParameters, Past):
    """The parameters of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """A point in the past that is asked about."""

    position: int
    """Of the last event that had happened; 0: nothing had."""
    instant: datetime | None
    """What depends on time is judged at it; None before the first event."""
    by_instant: bool
    """It was asked for by an instant, not by a place in the log."""

    @property
    def headers(self) -> dict[str, str]:
        """What an answer says of itself."""
        found = {AS_OF_HEADER: str(self.position)}
        if self.instant is not None:
            found[INSTANT_HEADER] = in_words(self.instant)
        return found


def queries(*errors: declared.ErrorClass) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a query that may end in these errors, on top of every query's."""
    return {
        200: {"headers": _HEADERS},
        **declared.errors(*declared.READS, AsOfInvalid, AsOfInFuture, *errors),
    }


async def asked_about(
    connection: ReadConnection, text: str, min_position: int | None, now: datetime
) -> Then:
    """The point that `text` names.

    Raises:
        AsOfInvalid: it names none.
        AsOfInFuture: the log ends before it.
        RequestInvalid: it lies before `min_position`, which the answer should include.
    """
    try:
        found = await resolve(connection, text, now)
    except AsOfError as error:
        raise type(error)(_without(text, str(error))) from error
    if min_position is not None and min_position > found.position:
        raise RequestInvalid([_contradicts(found)])
    given = instant_named(text)
    return Then(
        position=found.position, instant=given or found.recorded_at, by_instant=given is not None
    )


def in_words(instant: datetime) -> str:
    """As answers write it: `2026-05-03T14:07:21.120453Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _contradicts(found: AsOf) -> FieldError:
    return FieldError(
        location="query.min_position",
        code="min_position_behind_as_of",
        detail=f"An answer about position {found.position} cannot include what came later",
        remedy="Leave min_position out, or ask about a later as_of.",
    )


def _without(text: str, detail: str) -> str:
    """What was sent is not shown, as in every problem: it may be anything."""
    return _LONG_NUMBER.sub("…", detail.replace(repr(text), "as_of"))
