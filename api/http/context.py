"""What routes receive: the services, and who is calling."""

from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from api.http.answers import IdempotencyKey, IfMatch, expected_version
from api.http.services import Services
from ledger.commands.handling import Caller

# Only declares the scheme in the OpenAPI document: the key is checked before (`authentication.py`).
api_key = HTTPBearer(
    scheme_name="API key",
    bearerFormat="tsk_<id>_<secret>",
    description="An API key, made by `tallystick key create`.",
    auto_error=False,
)
KEYED = [Security(api_key)]


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _actor(request: Request) -> str:
    return f"operator:{request.state.person}"


async def _caller(request: Request, key: IdempotencyKey) -> Caller:
    return Caller(actor=await _actor(request), idempotency_key=key, role=str(request.state.role))


async def _versioned_caller(
    request: Request, key: IdempotencyKey, if_match: IfMatch = None
) -> Caller:
    return Caller(
        actor=await _actor(request),
        idempotency_key=key,
        role=str(request.state.role),
        expected_version=expected_version(if_match),
    )


async def _keyless_caller(request: Request) -> Caller:
    return Caller(
        actor=await _actor(request), idempotency_key=str(uuid4()), role=str(request.state.role)
    )


ServicesHere = Annotated[Services, Depends(_services)]
"""What `create_app` was given."""

Actor = Annotated[str, Depends(_actor)]
"""`operator:<person>`, the holder of the API key."""

CallerHere = Annotated[Caller, Depends(_caller)]
"""Who calls, and the key under which it may be repeated."""

VersionedCaller = Annotated[Caller, Depends(_versioned_caller)]
"""The same, with the version the decision rests on."""

KeylessCaller = Annotated[Caller, Depends(_keyless_caller)]
"""Who calls, where repeating it changes nothing and needs no key."""
