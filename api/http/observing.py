"""One log line and one measurement per request, and an answer when something goes wrong.

Lines name the route, not the path: a path, a query or a body may hold what must not be logged.
"""

from time import perf_counter
from typing import Final

import structlog
from asgi_correlation_id import correlation_id
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import problems
from api.http.errors import Unexpected

NO_ROUTE: Final = "(none)"
CLIENT_GONE: Final = 499

_BUCKETS_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_log = structlog.get_logger(__name__)


class Metrics:
    """What Prometheus may ask for, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tallystick_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.latency_seconds = Histogram(
            "tallystick_http_request_seconds",
            "Time from request to the end of the answer.",
            ["method", "route"],
            buckets=_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.connections = Gauge(
            "tallystick_http_connections",
            "Connections that are open.",
            registry=self.registry,
        )
        self.refused = Counter(
            "tallystick_http_refused",
            "Requests and connections refused at the socket, by the problem's code.",
            ["code"],
            registry=self.registry,
        )
        self.queue_length = Gauge(
            "tallystick_append_queue_length",
            "Appends waiting for the writer of this process.",
            registry=self.registry,
        )
        self.head_position = Gauge(
            "tallystick_head_position", "Where the log ends.", registry=self.registry
        )
        self.lag_events = Gauge(
            "tallystick_read_model_lag_events",
            "Events a read model has not followed yet.",
            ["read_model"],
            registry=self.registry,
        )
        self.checkpoint_size = Gauge(
            "tallystick_checkpoint_size",
            "Events under the newest signed checkpoint.",
            registry=self.registry,
        )
        self.signer_refused = Gauge(
            "tallystick_signer_refused",
            "1 while the signer refuses to sign the log: see `tallystick doctor`.",
            registry=self.registry,
        )
        self.stopped = Gauge(
            "tallystick_read_model_stopped",
            "1 where a read model has stopped at an event it cannot take.",
            ["read_model"],
            registry=self.registry,
        )


class Observing:
    """The outermost middleware but for the request id."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                harden(MutableHeaders(scope=message))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            status = status or CLIENT_GONE
        except Exception:
            _log.exception("http.unexpected", request_id=correlation_id.get())
            if status:
                raise  # half an answer must not look like a whole one
            await problems.response(Unexpected())(scope, receive, noting)
        finally:
            self._note(scope, status, perf_counter() - began)

    def _note(self, scope: Scope, status: int, took_seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        method = scope["method"] if route != NO_ROUTE else "(any)"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.latency_seconds.labels(method, route).observe(took_seconds)
        _log.info(
            "http.request",
            method=method,
            route=route,
            status=status,
            took_ms=round(took_seconds * 1_000, 1),
            person=scope.get("state", {}).get("person"),
            request_id=correlation_id.get(),
        )


def harden(headers: MutableHeaders) -> None:
    """Nobody else may keep an answer, and no browser may guess what it is."""
    headers.setdefault("cache-control", "no-store")
    headers.setdefault("x-content-type-options", "nosniff")
