"""The errors an operation can give, declared with examples for the OpenAPI document."""

from collections import defaultdict
from typing import Any, Final

from api.http import errors as request
from api.http.problems import MEDIA_TYPE, STATUS, TYPE_PREFIX, code_of, detail_of, title_of
from domain import errors as domain
from ledger.commands import errors as commands
from ledger.eventstore import errors as store
from projections.engine.reading import ReadModelBehind

ErrorClass = type[Exception]

EVERYWHERE: Final[tuple[ErrorClass, ...]] = (request.Unexpected, request.DatabaseAway)
KEYED: Final[tuple[ErrorClass, ...]] = (
    *EVERYWHERE,
    request.NotAuthenticated,
    request.RequestInvalid,
    request.BodyMalformed,
    request.BodyTooLarge,
    request.BodyUnsupported,
)
"""Every operation that takes an API key."""

READS: Final = (*KEYED, ReadModelBehind)
"""Queries."""

APPENDS: Final = (
    commands.TooContended,
    store.VersionConflict,
    store.BalanceOutOfRange,
    store.QueueFull,
    store.StoreUnavailable,
    store.OutcomeUnknown,
)
WRITES: Final = (*KEYED, request.IdempotencyKeyMissing, domain.CommandReused, *APPENDS)
"""Commands under an Idempotency-Key."""

CHANGES: Final = (
    *WRITES,
    commands.TransactionNotFound,
    domain.InvalidTransition,
    request.IfMatchMalformed,
    commands.VersionChanged,
    store.FloorPassed,
)
"""Commands about a transaction that exists."""

_RETRY_AFTER: Final = {"Retry-After": {"schema": {"type": "integer"}}}


def errors(*classes: ErrorClass) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may end in these errors."""
    by_status: dict[int, list[ErrorClass]] = defaultdict(list)
    for cls in dict.fromkeys(classes):
        by_status[STATUS[cls]].append(cls)
    return {status: _response(status, found) for status, found in sorted(by_status.items())}


def _response(status: int, classes: list[ErrorClass]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": " · ".join(f"`{code_of(cls)}`" for cls in classes),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code_of(cls): {"value": _example(cls)} for cls in classes},
            }
        },
    }
    if status >= 503:
        response["headers"] = _RETRY_AFTER
    return response


def _example(cls: ErrorClass) -> dict[str, Any]:
    code = code_of(cls)
    example: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": title_of(code),
        "status": STATUS[cls],
        "code": code,
        "detail": detail_of(cls.__new__(cls)),
        "request_id": "6f1f0c113f0c4d5e9a535a2f6f1f0c11",
    }
    if cls is request.RequestInvalid:
        example["errors"] = [
            {
                "location": "body.amount.amount",
                "code": "int_type",
                "detail": "Input should be a valid integer",
                "remedy": "Send a whole number, without quotes, fraction or exponent.",
            }
        ]
    if cls is ReadModelBehind:
        example["position"] = 4711
    return example
