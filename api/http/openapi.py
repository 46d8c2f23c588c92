"""The OpenAPI document: what FastAPI derives, and what it cannot know."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from anyio import Lock, to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from api.http.examples import add_examples

_DESCRIPTION = """
Deposits, withdrawals, refunds, conversions, disputes, adjustments, and the ledger behind them.

* Money is an integer in minor units with its currency; times are RFC 3339 in UTC.
* What changes something is a POST with an `Idempotency-Key`: repeat it as often as you like.
* A write answers with its `position`; pass it as `min_position` to read what includes it.
* Every query about the books takes `as_of`, and answers as it did then; headers say so.
* Errors are RFC 9457 problems with a stable `code`.
* Any request may be refused before it is read: 400 `request_malformed`, 408 `request_too_slow`,
  413 `body_too_large`, 414 `url_too_long`, 431 `head_too_large`, 503 `too_many_connections`. The
  connection is closed behind the answer.
"""

_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error. Source: RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable: made for programs."},
        "detail": {"type": "string", "description": "Made for people."},
        "request_id": {"type": ["string", "null"], "description": "Also in X-Request-ID."},
        "position": {
            "type": "integer",
            "description": "`read_model_behind`: what has been reached.",
        },
        "index": {
            "type": "integer",
            "description": "`batch_refused`: which command, counted from 0.",
        },
        "error": {
            "$ref": "#/components/schemas/Problem",
            "description": "`batch_refused`: what is wrong with that command.",
        },
        "errors": {
            "type": "array",
            "description": "`request_invalid`: what is wrong with which field.",
            "items": {
                "type": "object",
                "required": ["location", "code", "detail", "remedy"],
                "properties": {
                    "location": {"type": "string", "examples": ["body.amount.currency"]},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "remedy": {"type": "string"},
                },
            },
        },
    },
}


def described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """A function that makes the app's document, once: that takes a second, so ask in a thread."""
    making = threading.Lock()

    def openapi() -> dict[str, Any]:
        with making:
            return made()

    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=_DESCRIPTION.strip(),
                routes=app.routes,
            )
            document["components"]["schemas"]["Problem"] = _PROBLEM
            for operation in operations(document):
                _summarise(operation)
                add_examples(operation, document["components"]["schemas"])
            app.openapi_schema = document
        return app.openapi_schema

    return openapi


def answered(app: FastAPI) -> Callable[[Request], Awaitable[Response]]:
    """The document as an answer, whose bytes are made once, in one thread, however many ask."""
    making = Lock()
    made: list[bytes] = []

    def document() -> bytes:
        return msgspec.json.encode(app.openapi())

    async def answer(_request: Request) -> Response:
        async with making:
            if not made:
                made.append(await to_thread.run_sync(document))
        return Response(made[0], media_type="application/json")

    return answer


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a document."""
    for path in document["paths"].values():
        yield from path.values()


def _summarise(operation: dict[str, Any]) -> None:
    """The summary is the first sentence of the docstring: it says more than a function's name."""
    sentence, _, _ = operation["description"].partition(". ")
    operation["summary"] = sentence.partition("\n")[0].rstrip(".")
