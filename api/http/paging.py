"""Pages by keyset: an opaque cursor says where the last page ended, a Link header how to go on."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.http.errors import RequestInvalid
from api.http.responses import Shown
from api.http.validation import invalid
from domain.money import AMOUNT_MINOR_MAX

LIMIT_MAX: Final = 500
POSITION_MAX: Final = AMOUNT_MINOR_MAX
"""More events than there will ever be, and exact in every JSON reader."""

T = TypeVar("T")


class Parameters(BaseModel):
    """The parameters of a query: what it does not name is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    min_position: int | None = Field(
        default=None,
        ge=0,
        le=POSITION_MAX,
        description="Wait until the answer includes this position, as a write answered it.",
        examples=[4711],
    )


class PageParameters(Parameters):
    """The parameters of a list."""

    limit: int = Field(default=50, ge=1, le=LIMIT_MAX, description="Entries on a page.")
    cursor: str | None = Field(
        default=None,
        max_length=200,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="From `next_cursor` of the page before, or its Link header.",
    )


class PageShown(Shown, Generic[T]):
    """A page of a list, and how to go on."""

    items: list[T]
    next_cursor: str | None = Field(
        description="For the next page; null on the last one.", examples=[None]
    )


def encode_cursor(parts: Sequence[int | str]) -> str:
    """A cursor that ends a page."""
    return base64.urlsafe_b64encode(json.dumps(list(parts)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type[int] | type[str]) -> list[Any]:
    """The parts of a cursor, which are of these kinds.

    Raises:
        RequestInvalid: it is none of this list's.
    """
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise _unknown_cursor() from None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise _unknown_cursor()
    if any(type(part) is int and not 0 <= part <= POSITION_MAX for part in parts):
        raise _unknown_cursor()
    return parts


def link_next(request: Request, response: Response, **changes: str | int | None) -> None:
    """Add the Link header to the page after this one: the same query, with these changes.

    Source: RFC 8288.
    """
    if None in changes.values():
        return
    kept = [(name, value) for name, value in request.query_params.multi_items()]
    query = [pair for pair in kept if pair[0] not in changes and pair[0] != "min_position"]
    query += [(name, str(value)) for name, value in changes.items()]
    response.headers["link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'


def _unknown_cursor() -> RequestInvalid:
    return invalid("query.cursor", "cursor_unknown", "The cursor is none of this list")
