"""Hits: what indicators found, and why."""

import re
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.fraud.requests import IndicatorCode
from api.fraud.responses import FraudHitShown
from api.http import log_reading
from api.http.as_of import PageQueryParameters, QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED
from api.http.errors import HitUnknown
from api.http.free_text import check_line
from api.http.paging import PageShown, decode_cursor, encode_cursor, link_next
from api.http.reading import viewing
from api.http.validation import invalid
from api.permissions import May, needs
from domain.errors import RoleNotAllowed
from domain.fraud.assessment import Severity
from domain.fraud.indicators.catalogue import INDICATORS
from projections.fraud import queries as hits
from projections.fraud.model import FRAUD

router = APIRouter(
    prefix="/v1/hits",
    tags=["Fraud"],
    route_class=KeyedRoute,
    dependencies=[*KEYED, needs(May.SEE_HITS)],
)

SUBJECT_CHARS_MAX: Final = 400
"""A holding is named by a player and a fingerprint of up to 255 characters."""

CURSOR_CHARS_MAX: Final = 4_000
"""It names a hit, whose subject may be long, and of characters that are written as six."""

_POSITION_CHARS: Final = 15
_HIT_ID: Final = re.compile("[0-9]{15}/[a-z_]+/.+", re.ASCII)


def _no_card(hit_id: str) -> str:
    """The position is a number of ours, and may look like anything."""
    check_line(hit_id[_POSITION_CHARS:])
    return hit_id


Subject = Annotated[
    str, Field(min_length=1, max_length=SUBJECT_CHARS_MAX), AfterValidator(check_line)
]
HitId = Annotated[
    str,
    Path(
        max_length=_POSITION_CHARS + 2 + 64 + SUBJECT_CHARS_MAX,
        pattern=f"^{_HIT_ID.pattern}$",
        description="Position, indicator and subject, the subject percent-encoded: see `href`.",
        examples=["000000000004711/structuring/player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"],
    ),
    AfterValidator(_no_card),
]


class HitFilters(PageQueryParameters):
    """Which hits; everything given has to match."""

    indicator: list[IndicatorCode] = Field(
        default_factory=list, max_length=len(INDICATORS), description="Any of these."
    )
    severity: list[Severity] = Field(
        default_factory=list, max_length=len(Severity), description="Any of these."
    )
    mode: Literal["live", "shadow"] | None = Field(
        default=None, description="`shadow`: recorded, without effect."
    )
    subject: Subject | None = Field(
        default=None,
        description="`player:<id>`, `instrument:<fingerprint>`, `device:<token>`, …",
        examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"],
    )
    player_id: UUID | None = Field(
        default=None, description="Whose doing completed it, whatever it is about."
    )
    cursor: str | None = Field(
        default=None,
        max_length=CURSOR_CHARS_MAX,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="From `next_cursor` of the page before, or its Link header.",
    )


@router.get("", responses=queries(RoleNotAllowed))
async def list_hits(
    filters: Annotated[HitFilters, Query()], request: Request, response: Response
) -> PageShown[FraudHitShown]:
    """List what indicators found, latest first."""
    cursor = _cursor(filters.cursor)
    async with viewing(request, filters, FRAUD) as view:
        found = await hits.hits(
            view.connection,
            indicators=filters.indicator,
            subject=filters.subject,
            player_id=filters.player_id,
            severities=[severity.value for severity in filters.severity],
            modes=[filters.mode] if filters.mode else [],
            upto=view.upto,
            cursor=cursor,
            limit=filters.limit + 1,
        )
    page = found[: filters.limit]
    following = encode_cursor([page[-1].position, page[-1].id]) if len(found) > len(page) else None
    link_next(request, response, cursor=following, **view.pinned)
    view.mark(response, empty_because=None if page else view.nothing(None))
    return PageShown(items=[FraudHitShown.of(hit) for hit in page], next_cursor=following)


@router.get("/{hit_id:path}", responses=queries(RoleNotAllowed, HitUnknown))
async def get_hit(
    hit_id: HitId,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> FraudHitShown:
    """Show one hit: what was found, by which numbers, by which rule set."""
    async with viewing(request, when, FRAUD) as view:
        found = await hits.hit(view.connection, hit_id)
        if found is None:
            raise HitUnknown
        if found.position > view.upto:
            completed = await log_reading.at(view.connection, found.position)
            raise view.not_yet(HitUnknown(), completed)
    view.mark(response)
    return FraudHitShown.of(found)


def _cursor(cursor: str | None) -> hits.Cursor | None:
    if cursor is None:
        return None
    position, hit_id = decode_cursor(cursor, int, str)
    try:
        known = _HIT_ID.fullmatch(_no_card(hit_id))
    except PydanticCustomError:
        known = None
    if known is None:
        raise invalid("query.cursor", "cursor_unknown", "The cursor is none of this list")
    return hits.Cursor(position=position, id=hit_id)
