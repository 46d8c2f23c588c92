"""Providers: which there are, and whether new transactions may go there."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api import declared
from api.answers import etag
from api.context import KEYED, CallerHere, ServicesHere
from api.door import KeyedRoute
from api.free_text import Name
from api.requests_players import ReasonBody
from api.resources import Shown
from domain.errors import NothingToChange
from domain.provider import Provider
from tallystick.commands.errors import ProviderNotFound

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


@router.get("", responses=declared.errors(*declared.KEYED, ProviderNotFound))
def list_providers(services: ServicesHere) -> ProvidersShown:
    """List the providers, as they are right now."""
    providers = [services.providers.get(name) for name in sorted(services.adapters)]
    return ProvidersShown(items=[ProviderShown.of(provider) for provider in providers])


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
