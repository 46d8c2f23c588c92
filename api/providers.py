"""Providers: which there are, and whether new transactions may go there."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api import declared
from api.answers import etag
from api.context import KEYED, CallerHere, ServicesHere
from api.door import KeyedRoute
from api.free_text import Name
from api.requests import ReasonBody
from api.resources import ProviderShown, Shown
from domain.errors import NothingToChange
from tallystick.commands.errors import ProviderNotFound

router = APIRouter(
    prefix="/v1/providers", tags=["Providers"], route_class=KeyedRoute, dependencies=KEYED
)
_CHANGES = declared.errors(*declared.WRITES, ProviderNotFound, NothingToChange)

ProviderName = Annotated[Name, Path(examples=["simulator"])]


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
