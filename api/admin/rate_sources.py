"""Sources of exchange rates: which may put rates in force by themselves."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api.admin.rates import WRITES, rates_at
from api.admin.requests import RatesNoteBody
from api.http import declared
from api.http.answers import etag
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere, VersionedCaller
from api.http.free_text import Name
from api.http.reading import viewing
from api.http.responses import Instant, Shown
from domain.conversion.rates import ExchangeRates, RateSource, SourceStatus
from domain.errors import InvalidRate, SelfApproval

router = APIRouter(
    prefix="/v1/rates/sources",
    tags=["Policies and rates"],
    route_class=KeyedRoute,
    dependencies=KEYED,
)
_TRUSTS: Final = declared.errors(*WRITES, InvalidRate, SelfApproval)

SourceName = Annotated[Name, Path(examples=["ecb"])]


class RateSourceShown(Shown):
    """A source that people have decided about."""

    source: str = Field(examples=["ecb"])
    status: str = Field(
        description="`proposed`: another person has to agree; `trusted`: it may put rates in force"
        " by itself; `revoked`.",
        examples=["trusted"],
    )
    person: str = Field(description="Who decided last.", examples=["cleo"])
    note: str = Field(examples=["Fetched from the bank by our own job."])
    at: Instant

    @classmethod
    def of(cls, source: RateSource) -> "RateSourceShown":
        return cls(
            source=source.name,
            status=source.status.value,
            person=source.person,
            note=source.note,
            at=source.at,
        )


class RateSourcesShown(Shown):
    """All that people have decided about, by name."""

    items: list[RateSourceShown]


@router.get("", responses=queries())
async def list_rate_sources(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> RateSourcesShown:
    """List the sources of rates that are, were or may be trusted.

    This reads the log, and is never behind.
    """
    async with viewing(request, when) as view:
        rates = await rates_at(view, response)
    return RateSourcesShown(
        items=[RateSourceShown.of(source) for _, source in sorted(rates.sources.items())]
    )


@router.post(
    "/{source}/trust",
    responses={202: {"model": RateSourceShown, "description": "Proposed"}, **_TRUSTS},
)
def trust_rate_source(
    source: SourceName,
    body: RatesNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> RateSourceShown:
    """Let a source put rates in force by itself, within 10 % of those in force.

    Finance proposes it, and is answered with 202; another person of finance or compliance, who asks
    for the same, agrees.
    """
    found = _answered(services.rates.trust(source, body.note, caller), source, response)
    if found.status == SourceStatus.PROPOSED:
        response.status_code = 202
    return found


@router.post("/{source}/revoke", responses=declared.errors(*WRITES))
def revoke_rate_source(
    source: SourceName,
    body: RatesNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> RateSourceShown:
    """Trust a source no longer; one person is enough. What is in force stays in force."""
    return _answered(services.rates.revoke(source, body.note, caller), source, response)


def _answered(rates: ExchangeRates, source: str, response: Response) -> RateSourceShown:
    response.headers["etag"] = etag(rates.version)
    return RateSourceShown.of(rates.sources[source])
