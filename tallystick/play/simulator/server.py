"""Runs the simulated provider as an HTTP server."""

import asyncio
import contextlib
from typing import Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tallystick.play.simulator.app import build_app
from tallystick.play.simulator.engine import Engine
from tallystick.play.simulator.faults import NO_FAULTS, Faults
from tallystick.play.simulator.profiles import DEFAULT_WEIGHTS, Weights
from tallystick.play.simulator.webhooks import Messenger
from tallystick.play.simulator.world import World

# Longer than clients keep idle connections: otherwise one may be closed under a request.
KEEP_ALIVE_SECONDS: Final = 75


class _HangUpProtocol(H11Protocol):
    """Lets the application close the connection without an answer, which ASGI cannot say."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "hang_up": transport.abort}


def serve(
    port: int,
    *,
    seed: int,
    secret: str,
    token: str,
    webhook_url: str | None,
    faults: Faults = NO_FAULTS,
    weights: Weights = DEFAULT_WEIGHTS,
    time_scale: float = 1.0,
    settle_seconds: float = 1.0,
    evidence_seconds: float = 86_400.0,
    quote_seconds: float = 300.0,
    silence_seconds: float = 60.0,
    webhook_concurrency: int = 32,
    host: str = "127.0.0.1",
    log_level: str = "warning",
) -> None:
    """Serve until interrupted.

    Args:
        secret: signs the webhooks; `whsec_` and base64.
        token: the bearer token that calls have to carry.
        webhook_url: where webhooks go; None for nowhere.
        time_scale: multiplies every simulated delay; 0.001 plays a day in 86 seconds.
        settle_seconds: real seconds between an acknowledged final notice and one that
            contradicts or reverses it.
        evidence_seconds: real seconds a dispute waits for an answer.
        quote_seconds: real seconds a quoted rate holds.
        silence_seconds: how long a silent answer takes unless the client gives up before.

    Raises:
        InvalidSecret: not base64 after `whsec_`, or empty.
    """
    asyncio.run(
        _serve(
            World(
                seed=seed,
                public_url=f"http://{host}:{port}",
                faults=faults,
                weights=weights,
                time_scale=time_scale,
                settle_seconds=settle_seconds,
                evidence_seconds=evidence_seconds,
                quote_seconds=quote_seconds,
            ),
            Messenger(url=webhook_url, secret=secret, concurrency=webhook_concurrency),
            token=token,
            silence_seconds=silence_seconds,
            host=host,
            port=port,
            log_level=log_level,
        )
    )


async def _serve(
    world: World,
    messenger: Messenger,
    *,
    token: str,
    silence_seconds: float,
    host: str,
    port: int,
    log_level: str,
) -> None:
    app = build_app(Engine(world, messenger), token=token, silence_seconds=silence_seconds)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_HangUpProtocol,
        lifespan="on",
        log_level=log_level,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    # An interrupt is the usual way to end this; it is raised once everything is closed.
    with contextlib.suppress(KeyboardInterrupt):
        await uvicorn.Server(config).serve()
