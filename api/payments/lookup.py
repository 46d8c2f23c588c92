"""Lookup: what is this id, reference, name or number that somebody pasted?"""

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field

from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere
from api.http.free_text import check_line
from api.http.reading import viewing
from api.http.responses import Shown
from api.payments.transactions import past_transactions
from api.permissions import hidden_from
from projections.history.history import HISTORY
from projections.journal.journal import JOURNAL
from projections.lookup import lookup
from projections.lookup.lookup import TEXT_CHARS_MAX, Hit

router = APIRouter(
    prefix="/v1/lookup", tags=["Transactions"], route_class=KeyedRoute, dependencies=KEYED
)

_TRANSACTIONS: Final = "/v1/transactions/"


class Sought(QueryParameters):
    """What to look up."""

    q: Annotated[
        str, Field(min_length=1, max_length=TEXT_CHARS_MAX), AfterValidator(check_line)
    ] = Field(
        description="An id, one of our references or of a provider's, an instrument, a value of"
        " metadata, the name of an account or provider, the position of an event.",
        examples=["A-17"],
    )


class HitShown(Shown):
    """Something that the text may mean."""

    kind: str = Field(
        description="A kind of transaction, or player, notice, account, event, provider.",
        examples=["deposit"],
    )
    id: str = Field(
        description="A UUID; the name of an account or provider; the position of an event.",
        examples=["3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"],
    )
    title: str = Field(examples=["Deposit of 10.50 EUR: completed"])
    href: str = Field(
        description="Where it is shown.",
        examples=["/v1/transactions/3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"],
    )
    matched: str = Field(description="What of it is the text.", examples=["metadata"])

    @classmethod
    def of(cls, hit: Hit) -> "HitShown":
        return cls(kind=hit.kind, id=hit.id, title=hit.title, href=_href(hit), matched=hit.matched)


class HitsShown(Shown):
    """Everything that the text may mean, exact ids first; only the first of very many."""

    items: list[HitShown]


@router.get("", responses=queries())
async def look_up(
    sought: Annotated[Sought, Query()],
    request: Request,
    response: Response,
    services: ServicesHere,
) -> HitsShown:
    """Tell what a text may mean. Nothing found is an empty list.

    With `as_of`, what it meant then. A reference or instrument that a transaction has lost since
    is found among the 2,000 newest of then.
    """
    async with viewing(request, sought, HISTORY, JOURNAL) as view:
        past = past_transactions(view) if view.then else None
        providers = sorted(services.adapters)
        hits = await lookup.find(
            view.connection,
            sought.q,
            providers=providers,
            past=past,
            hidden=hidden_from(str(request.state.role)),
        )
    view.mark(response, empty_because=None if hits else view.nothing(None))
    return HitsShown(items=[HitShown.of(hit) for hit in hits])


def _href(hit: Hit) -> str:
    match hit.kind:
        case "player":
            return f"/v1/players/{hit.id}"
        case "account":
            return f"/v1/accounts/{quote(hit.id, safe=':')}"
        case "provider":
            return "/v1/providers"
        case "event":
            return f"/v1/events?after={int(hit.id) - 1}&limit=1"
        case "notice":
            return f"/v1/events?transaction_id={hit.id}"
        case _:
            return _TRANSACTIONS + hit.id
