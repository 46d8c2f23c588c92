"""Every error as an RFC 9457 problem: one table from error class to HTTP status.

The `type` of a problem is `urn:tallystick:problem:<code>` and never changes; the code is the
error's own. Internals and the values that were sent never show in a problem.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from asgi_correlation_id import correlation_id
from starlette.responses import Response

from api.http import errors as request
from domain import errors as domain
from domain.money import InvalidMoney
from ledger import export_jobs as exports
from ledger.checkpoints import proving
from ledger.commands import errors as commands
from ledger.eventstore import errors as store
from ledger.eventstore.positions import AsOfError, AsOfInFuture, AsOfInvalid
from ledger.providers.protocol import QuoteUnavailable
from projections.engine.reading import ReadModelBehind

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:tallystick:problem:"

STATUS: Final[Mapping[type[Exception], int]] = {
    request.BodyMalformed: 400,
    request.NotHttp: 400,
    request.IdempotencyKeyMissing: 400,
    request.IfMatchMalformed: 400,
    request.NotAuthenticated: 401,
    request.NoticeRefused: 401,
    domain.SelfApproval: 403,
    domain.RoleNotAllowed: 403,
    domain.HoldNotYours: 403,
    commands.TransactionNotFound: 404,
    commands.PlayerNotFound: 404,
    commands.ProviderNotFound: 404,
    commands.RuleSetNotFound: 404,
    commands.RateProposalNotFound: 404,
    commands.CaseNotFound: 404,
    commands.ReportNotFound: 404,
    request.AccountUnknown: 404,
    request.IndicatorUnknown: 404,
    request.HitUnknown: 404,
    request.NotScreened: 404,
    exports.ExportNotFound: 404,
    exports.ExportFileNotFound: 404,
    exports.BacktestNotFound: 404,
    proving.CheckpointNotFound: 404,
    proving.SigningKeyNotFound: 404,
    proving.PositionBeyondLog: 404,
    request.NoSuchPath: 404,
    request.MethodNotAllowed: 405,
    request.RequestTooSlow: 408,
    domain.InvalidTransition: 409,
    domain.AlreadyApproved: 409,
    domain.ProposalChanged: 409,
    domain.NothingToChange: 409,
    domain.NotRefundable: 409,
    domain.RefundExceedsCapture: 409,
    domain.DisputeOpen: 409,
    domain.QuoteExpired: 409,
    domain.CancellationNotAllowed: 409,
    domain.ExclusionRunning: 409,
    commands.NoRates: 409,
    commands.TooContended: 409,
    commands.BatchRefused: 409,
    commands.NotCarriedOut: 409,
    commands.AlreadyCarriedOut: 409,
    exports.ExportEnded: 409,
    exports.ExportUnderWay: 409,
    store.VersionConflict: 409,
    store.BalanceChanged: 409,
    store.CeilingPassed: 409,
    commands.VersionChanged: 412,
    request.BodyTooLarge: 413,
    request.UrlTooLong: 414,
    request.BodyUnsupported: 415,
    request.RangeNotSatisfiable: 416,
    request.RequestInvalid: 422,
    domain.CommandReused: 422,
    domain.InvalidResolution: 422,
    domain.EvidenceMissing: 422,
    domain.ScheduleEmpty: 422,
    domain.AmountMayOnlyFall: 422,
    domain.LegAmbiguous: 422,
    domain.LegNotFound: 422,
    domain.SameCurrency: 422,
    domain.AmountTooSmall: 422,
    domain.RateMissing: 422,
    domain.InvalidRate: 422,
    domain.InvalidQuote: 422,
    domain.AdjustmentInvalid: 422,
    domain.LimitInvalid: 422,
    domain.ExclusionInvalid: 422,
    domain.InvalidPolicy: 422,
    domain.InvalidRuleSet: 422,
    proving.SizesInvalid: 422,
    InvalidMoney: 422,
    AsOfInvalid: 422,
    AsOfInFuture: 422,
    store.FloorPassed: 422,
    store.BalanceOutOfRange: 422,
    proving.LogNotAsSigned: 500,
    exports.TooManyExports: 429,
    request.HeadTooLarge: 431,
    request.Unexpected: 500,
    request.DatabaseAway: 503,
    request.TooManyConnections: 503,
    ReadModelBehind: 503,
    QuoteUnavailable: 503,
    store.QueueFull: 503,
    store.StoreUnavailable: 503,
    store.OutcomeUnknown: 504,
}
"""The HTTP status of every error there is; a test finds those that are missing."""

_REPEAT_AFTER_SECONDS: Final = "1"
_WORTH_REPEATING: Final = frozenset({503, 504})

_CODE: Final[Mapping[type[Exception], str]] = {
    InvalidMoney: "invalid_money",
    QuoteUnavailable: "quote_unavailable",
}
"""Of errors that are used inside as well, and name none."""

_DETAIL: Final[Mapping[type[Exception], str]] = {
    store.OutcomeUnknown: "The database went away while committing, so this may have been"
    " recorded. Repeat the request with the same Idempotency-Key: if it was recorded you get"
    " its answer, and it is never carried out twice.",
    store.StoreUnavailable: "The database cannot be written to; nothing was recorded. Repeat the"
    " request with the same Idempotency-Key.",
    InvalidMoney: "The amount or currency is not one a transaction can have.",
    QuoteUnavailable: "The provider gives no usable quote at the moment; nothing was agreed. Ask"
    " again in a moment, or have the house convert by leaving `provider` out.",
}
"""Where the error's own words are not for the outside."""


def code_of(error: type[Exception]) -> str:
    """The stable code of an error class of ours."""
    return _CODE.get(error) or str(getattr(error, "code"))  # noqa: B009


def title_of(code: str) -> str:
    """The same for every occurrence, as RFC 9457 asks: `insufficient_funds` reads as words."""
    return code.replace("_", " ").capitalize()


def detail_of(error: Exception) -> str:
    """What the caller is told."""
    said = str(error) if isinstance(error, AsOfError) else getattr(error, "detail", "")
    own = str(said or type(error).__doc__ or "")
    return " ".join(_DETAIL.get(type(error), own).split())


def problem(error: Exception) -> dict[str, Any]:
    """The body of the answer to a request that ended in `error`.

    Of an error that the table does not know, nothing is told.
    """
    if type(error) not in STATUS:
        error = request.Unexpected()
    code = code_of(type(error))
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": title_of(code),
        "status": STATUS[type(error)],
        "code": code,
        "detail": detail_of(error),
        "request_id": correlation_id.get(),
    }
    if isinstance(error, request.RequestInvalid):
        body["errors"] = error.errors
    if isinstance(error, commands.BatchRefused):
        body["index"], body["error"] = error.index, problem(error.error)
    if isinstance(error, ReadModelBehind):
        body["position"] = error.reached
    return body


def response(error: Exception) -> Response:
    """The answer to a request that ended in `error`."""
    body = problem(error)
    headers = dict(getattr(error, "headers", {}))
    if body["status"] in _WORTH_REPEATING or isinstance(error, commands.TooContended):
        headers.setdefault("retry-after", _REPEAT_AFTER_SECONDS)
    return Response(
        msgspec.json.encode(body),
        status_code=body["status"],
        headers=headers,
        media_type=MEDIA_TYPE,
    )
