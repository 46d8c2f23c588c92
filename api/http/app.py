"""The application: everything it needs is handed in, and nothing is global."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import structlog
from anyio import CapacityLimiter, to_thread
from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.admin import approval_policy, health, providers, rate_sources, rates
from api.audit import accounts, checkpoints, events, exports, proofs
from api.fraud import assessments, backtests, cases, hits, indicators, reports, rulesets
from api.http import problems
from api.http.authentication import KEY_LOOKUPS_MAX, PARSERS_MAX
from api.http.errors import DatabaseAway, MethodNotAllowed, NoSuchPath, RequestError, Unexpected
from api.http.observing import Metrics, Observing
from api.http.openapi import answered, described
from api.http.services import Services
from api.http.validation import refusal
from api.payments import (
    adjustment,
    batches,
    conversion,
    deposit,
    dispute,
    lookup,
    queue,
    refund,
    transactions,
    webhooks,
    withdrawal,
)
from api.players import limits, money, player
from domain.errors import DomainError
from domain.money import InvalidMoney
from ledger.checkpoints.proving import ProofError
from ledger.eventstore.errors import AppendError
from ledger.eventstore.positions import AsOfError
from ledger.providers.protocol import QuoteUnavailable
from projections.engine.reading import ReadModelBehind, Waiting

WRITES_MAX: Final = 64
"""Commands carried out at once; more wait for a thread, and their appends share one flush."""

ROUTERS: Final = (
    deposit.router,
    withdrawal.router,
    refund.router,
    conversion.router,
    dispute.router,
    adjustment.router,
    transactions.router,
    lookup.router,
    queue.router,
    player.router,
    limits.router,
    money.router,
    indicators.router,
    hits.router,
    assessments.router,
    cases.router,
    reports.router,
    rulesets.router,
    backtests.router,
    approval_policy.router,
    rates.router,
    rate_sources.router,
    batches.router,
    accounts.router,
    events.router,
    exports.router,
    checkpoints.router,
    proofs.router,
    providers.router,
    webhooks.router,
    health.router,
)

_OURS: Final = (
    RequestError,
    DomainError,
    AppendError,
    ProofError,
    InvalidMoney,
    QuoteUnavailable,
    AsOfError,
)

_log = structlog.get_logger(__name__)


def create_app(services: Services) -> FastAPI:
    """The ASGI application over these services."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = WRITES_MAX
        app.state.key_lookups = CapacityLimiter(KEY_LOOKUPS_MAX)
        app.state.parsers = CapacityLimiter(PARSERS_MAX)
        async with services.open_reads() as read:
            app.state.read = read
            app.state.waiting = Waiting(read)
            yield

    app = FastAPI(
        title="Tallystick",
        version="1",
        lifespan=lifespan,
        # Their pages load scripts from a foreign host; /openapi.json is there for every tool, and
        # made here, because theirs is made anew for every request, on the event loop.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    app.state.metrics = metrics
    for router in ROUTERS:
        app.include_router(router)
    _answer_errors(app, services)
    app.openapi = described(app)  # type: ignore[method-assign]
    app.add_route("/openapi.json", answered(app), include_in_schema=False)
    app.add_middleware(Observing, metrics=metrics)
    app.add_middleware(CorrelationIdMiddleware)
    return app


def _answer_errors(app: FastAPI, services: Services) -> None:
    """Have every error end in the problem that the table has for it."""
    for known in (*_OURS, ReadModelBehind):
        app.add_exception_handler(known, _known)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _of_framework)
    for away in services.database_errors:
        app.add_exception_handler(away, _database_away)


async def _known(_request: Request, error: Exception) -> Response:
    return problems.response(error)


async def _not_valid(_request: Request, error: Exception) -> Response:
    found: Any = error
    return problems.response(refusal(found.errors()))


async def _of_framework(request: Request, error: Exception) -> Response:
    """What Starlette and FastAPI raise themselves; their texts are not passed on."""
    found: Any = error
    match found.status_code:
        case HTTPStatus.NOT_FOUND:
            return problems.response(NoSuchPath())
        case HTTPStatus.METHOD_NOT_ALLOWED:
            limiter = request.app.state.parsers
            allowed = await to_thread.run_sync(_allowed, request, limiter=limiter)
            return problems.response(MethodNotAllowed(headers={"allow": allowed}))
        case _:
            _log.error("http.framework_error", status=found.status_code)
            return problems.response(Unexpected())


def _allowed(request: Request) -> str:
    """Every method of this path: Starlette knows only those of the first route that matched."""
    methods = request.app.openapi()["paths"].get(request.scope["route"].path_format, {})
    return ", ".join(sorted(method.upper() for method in methods))


async def _database_away(_request: Request, error: Exception) -> Response:
    _log.warning("http.database_away", error=type(error).__name__)
    return problems.response(DatabaseAway())
