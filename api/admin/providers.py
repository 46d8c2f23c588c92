"""Providers: which there are, and whether new transactions may go there."""

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere
from api.http.free_text import Name
from api.http.reading import View, viewing
from api.http.responses import Shown
from api.players.requests import ReasonBody
from domain.errors import NothingToChange
from domain.events import ProviderEvent
from domain.provider.provider import Provider, fold_provider, provider_stream
from ledger.commands.errors import ProviderNotFound

router = APIRouter(
    prefix="/v1/providers", tags=["Providers"], route_class=KeyedRoute, dependencies=KEYED
)
_CHANGES = declared.errors(*declared.WRITES, ProviderNotFound, NothingToChange)

ProviderName = Annotated[Name, Path(examples=["simulator"])]


class ProviderShown(Shown):
    """A payment service provider."""

    name: str = Field(examples=["simulator"])
    adapter: str = Field(examples=["simulator"])
    paused: bool = Field(description="No new transaction may go there.", examples=[False])
    poll_delays_seconds: list[int] = Field(examples=[[10, 30, 120]])
    expiry_seconds: dict[str, int] = Field(examples=[{"redirect": 1800}])
    version: int = Field(examples=[1])

    @classmethod
    def of(cls, provider: Provider) -> "ProviderShown":
        return cls(
            name=provider.name,
            adapter=provider.adapter,
            paused=provider.paused,
            poll_delays_seconds=list(provider.poll_delays_seconds),
            expiry_seconds=dict(sorted(provider.expiry_seconds.items())),
            version=provider.version,
        )


class ProvidersShown(Shown):
    """Every provider there is an adapter for."""

    items: list[ProviderShown]


@router.get("", responses=queries(ProviderNotFound))
async def list_providers(
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
    services: ServicesHere,
) -> ProvidersShown:
    """List the providers, as they are right now: this reads the log, and is never behind."""
    async with viewing(request, when) as view:
        providers = await _providers(view, sorted(services.adapters))
        why = None if providers else await _why_none(view, sorted(services.adapters))
    view.mark(response, empty_because=why)
    return ProvidersShown(items=[ProviderShown.of(provider) for provider in providers])


async def _providers(view: View, names: Sequence[str]) -> list[Provider]:
    """Those of these names; all of them are there now, but may not have been then.

    Raises:
        ProviderNotFound: nobody has registered one of them.
    """
    streams = {name: provider_stream(name) for name in names}
    told = await log_reading.events(view.connection, list(streams.values()), view.upto)
    found = []
    for name, stream in streams.items():
        provider = fold_provider(None, cast("list[ProviderEvent]", told.get(stream, [])))
        if provider is not None:
            found.append(provider)
        elif view.then is None:
            raise ProviderNotFound(name)
    return found


async def _why_none(view: View, names: Sequence[str]) -> str:
    first = [await log_reading.began(view.connection, provider_stream(name)) for name in names]
    known = [began for began in first if began is not None]
    return view.nothing(min(known, key=lambda began: began.position, default=None))


@router.post("/{name}/pause", responses=_CHANGES)
def pause_provider(
    name: ProviderName,
    body: ReasonBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> ProviderShown:
    """Send no new transaction to a provider. What is under way there is followed to its end."""
    provider = services.providers.pause(name, paused=True, reason=body.reason, caller=caller)
    response.headers["etag"] = etag(provider.version)
    return ProviderShown.of(provider)


@router.post("/{name}/resume", responses=_CHANGES)
def resume_provider(
    name: ProviderName,
    body: ReasonBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> ProviderShown:
    """Let new transactions go to a provider again."""
    provider = services.providers.pause(name, paused=False, reason=body.reason, caller=caller)
    response.headers["etag"] = etag(provider.version)
    return ProviderShown.of(provider)
