"""The door every request passes: who is it, and is the body fit to be read?

This happens in the routes, before FastAPI parses anything, so that a stranger cannot make the
server parse a body and a malformed body never reaches a handler.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.http.errors import BodyUnsupported, NotAuthenticated
from api.http.json_body import BODY_BYTES_SMALL, is_json, parse, read_body
from api.http.services import Services
from ledger.access.api_keys import Holder, key_id_of

Handle = Callable[[Request], Coroutine[Any, Any, Response]]

KEY_LOOKUPS_MAX: Final = 8
"""Keys looked up in the database at once; reads must not wait behind writes for a thread."""

PARSERS_MAX: Final = 2
"""Large bodies parsed at once."""

_log = structlog.get_logger(__name__)


class _ReadRequest(Request):
    """A request whose body has been read and checked."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._read = body
        self._value = value

    async def body(self) -> bytes:
        return self._read

    async def json(self) -> Any:
        return self._value


class OpenRoute(APIRoute):
    """A route for everybody, whose body is bounded but not parsed."""

    def get_route_handler(self) -> Handle:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            body = await read_body(request)
            return await handle(_ReadRequest(request, body, None))

        return bounded


class KeyedRoute(APIRoute):
    """A route for holders of an API key, whose body is JSON."""

    def get_route_handler(self) -> Handle:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            services: Services = request.app.state.services
            holder = await _holder(request, services)
            request.state.person, request.state.role = holder.person, holder.role
            body = await read_body(request)
            if body and not is_json(request):
                raise BodyUnsupported
            value = await _parsed(request, body) if body else None
            return await handle(_ReadRequest(request, body, value))

        return checked


async def _parsed(request: Request, body: bytes) -> Any:
    """The body's value. A large one is parsed beside the event loop: others wait for that too.

    Raises:
        BodyMalformed: it has none.
    """
    if len(body) <= BODY_BYTES_SMALL:
        return parse(body)
    return await to_thread.run_sync(parse, body, limiter=request.app.state.parsers)


async def _holder(request: Request, services: Services) -> Holder:
    """Who holds the key that came with the request.

    Raises:
        NotAuthenticated: there is none, or it is not valid; the attempt is logged.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    holder = None
    if scheme.lower() == "bearer" and key:
        holder = services.keys.remembered(key) or await to_thread.run_sync(
            services.keys.holder_of, key, limiter=_limiter(request)
        )
    if holder is None:
        _log.warning(
            "access.denied",
            key_id=key_id_of(key),
            method=request.method,
            route=request.scope["route"].path,
            client=request.client.host if request.client else None,
        )
        raise NotAuthenticated
    return holder


def _limiter(request: Request) -> CapacityLimiter:
    limiter: CapacityLimiter = request.app.state.key_lookups
    return limiter
