"""For those who run the service: is it alive, can it write, what do its figures say?"""

from typing import Literal

from anyio import to_thread
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from starlette.responses import JSONResponse, Response

from api.http import declared
from api.http.authentication import OpenRoute
from api.http.context import ServicesHere
from api.http.observing import Metrics
from api.http.reading import reading
from api.http.responses import Shown
from api.http.services import Services
from ledger.checkpoints import signers
from projections.engine.reading import ModelLag, lag
from projections.registry import READ_MODELS

router = APIRouter(tags=["Operations"], route_class=OpenRoute)


class LiveShown(Shown):
    """The process answers."""

    status: Literal["ok"] = "ok"


class FollowingShown(Shown):
    """How far a read model has followed the log."""

    read_model: str = Field(examples=["history"])
    position: int = Field(examples=[4711])
    lag_events: int = Field(examples=[0])
    stopped_at: int | None = Field(
        description="The event it cannot take; null while it runs.", examples=[None]
    )

    @classmethod
    def of(cls, model: ModelLag) -> "FollowingShown":
        return cls(
            read_model=model.name,
            position=model.position,
            lag_events=model.lag_events,
            stopped_at=model.stopped_at,
        )


class ReadyShown(Shown):
    """Whether a write would succeed, and whether everything follows."""

    ready: bool
    reasons: list[str] = Field(description="Why not; empty when ready.", examples=[[]])
    read_models: list[FollowingShown]


@router.get("/livez", responses=declared.errors(*declared.EVERYWHERE))
async def livez() -> LiveShown:
    """Say that the process answers. Nothing else is looked at."""
    return LiveShown()


@router.get(
    "/readyz",
    response_model=ReadyShown,
    responses={
        503: {"model": ReadyShown, "description": "Not ready: see `reasons`."},
        **declared.errors(*declared.EVERYWHERE[:1]),
    },
)
async def readyz(request: Request, services: ServicesHere) -> Response:
    """Say whether a write would succeed now and every read model follows."""
    reasons = []
    why_not = await to_thread.run_sync(services.why_not_writable)
    if why_not is not None:
        reasons.append(why_not)
    models = await _models(request, services, reasons)
    reasons += [
        f"{model.read_model} has stopped at {model.stopped_at}"
        for model in models
        if model.stopped_at is not None
    ]
    ready = ReadyShown(ready=not reasons, reasons=reasons, read_models=models)
    return JSONResponse(ready.model_dump(), status_code=200 if ready.ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "In Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **declared.errors(*declared.EVERYWHERE),
    },
)
async def metrics(request: Request, services: ServicesHere) -> Response:
    """Give this process's figures to Prometheus."""
    figures: Metrics = request.app.state.metrics
    figures.queue_length.set(services.handling.ledger.waiting())
    async with reading(request) as connection:
        for model in await lag(connection):
            figures.head_position.set(model.head)
            figures.lag_events.labels(model.name).set(model.lag_events)
            figures.stopped.labels(model.name).set(0 if model.stopped_at is None else 1)
        signing = await signers.figures(connection)
        figures.checkpoint_size.set(signing.size)
        figures.signer_refused.set(1 if signing.refused else 0)
    return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)


async def _models(request: Request, services: Services, reasons: list[str]) -> list[FollowingShown]:
    """Where the read models stand; a reason is added where one is missing or cannot be read."""
    try:
        async with reading(request) as connection:
            installed = {(model.name, model.version): model for model in await lag(connection)}
    except tuple(services.database_errors):
        reasons.append("the read models cannot be read")
        return []
    current = [installed.get((model.name, model.version)) for model in READ_MODELS]
    if None in current:
        reasons.append("a read model is not installed")
    return [FollowingShown.of(model) for model in current if model is not None]
