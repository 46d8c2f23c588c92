"""What can be wrong with a request before any command or query sees it.

Like the errors of the domain: one class per refusal, the docstring is the message, `code` is
stable. The HTTP status of each is in the table of `problems.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ERRORS_SHOWN_MAX: Final = 100
"""Of one refusal: whoever sends many thousand learns nothing more from the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field that is not as it has to be. Never holds the value that was sent."""

    location: str
    """`body.amount.currency`, `query.limit`, `header.idempotency-key`."""
    code: str
    detail: str
    remedy: str


class RequestError(Exception):
    """The request cannot be carried out as it was sent."""

    code = "request_error"

    def __init__(
        self, detail: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.detail = detail or type(self).__doc__ or self.code
        self.headers = headers or {}
        super().__init__(self.detail)


class NotAuthenticated(RequestError):
    """No valid API key came with the request; send `Authorization: Bearer tsk_…`."""

    code = "not_authenticated"

    def __init__(self) -> None:
        super().__init__(headers={"www-authenticate": 'Bearer realm="tallystick"'})


class IdempotencyKeyMissing(RequestError):
    """This changes something: send a header Idempotency-Key, and the same one when repeating."""

    code = "idempotency_key_missing"


class IfMatchMalformed(RequestError):
    """If-Match takes one ETag as this API gave it: a version in double quotes."""

    code = "if_match_malformed"


class BodyMalformed(RequestError):
    """The body is not JSON in UTF-8, or is ambiguous."""

    code = "body_malformed"


class BodyTooLarge(RequestError):
    """The body is larger than 1 MB."""

    code = "body_too_large"


class NotHttp(RequestError):
    """This is not a request in HTTP/1.1."""

    code = "request_malformed"


class UrlTooLong(RequestError):
    """The path with its query is longer than 16 KB."""

    code = "url_too_long"


class HeadTooLarge(RequestError):
    """Request line and headers are longer than 64 KB together, or there are over 100 headers."""

    code = "head_too_large"


class RequestTooSlow(RequestError):
    """The request did not arrive in time; nothing was recorded. Repeat it, and send it at once."""

    code = "request_too_slow"


class TooManyConnections(RequestError):
    """There are too many connections, in all or from this address; nothing was recorded.

    Close those that wait for nothing, and repeat the request over one that there is.
    """

    code = "too_many_connections"


class BodyUnsupported(RequestError):
    """The body has to be JSON (`content-type: application/json`) and not compressed."""

    code = "body_unsupported"


class RequestInvalid(RequestError):
    """Some fields are not as they have to be; nothing was recorded."""

    code = "request_invalid"

    def __init__(self, errors: Sequence[FieldError], found: int | None = None) -> None:
        """`found`: how many there are, where `errors` does not hold all of them."""
        more = (found or len(errors)) - ERRORS_SHOWN_MAX
        only = f" The first {ERRORS_SHOWN_MAX} are listed; there are {more} more."
        super().__init__((type(self).__doc__ or "") + only if more > 0 else None)
        self.errors = errors[:ERRORS_SHOWN_MAX]


class NoticeRefused(RequestError):
    """The notice is not authentic or not readable; nothing was recorded."""

    code = "notice_refused"


class AccountUnknown(RequestError):
    """There is no account of this name: see the names in a player's balances."""

    code = "account_not_found"


class IndicatorUnknown(RequestError):
    """There is no indicator with this code: GET /v1/indicators lists them."""

    code = "indicator_not_found"


class HitUnknown(RequestError):
    """There is no such hit; its id is position, indicator and subject, as `href` has it."""

    code = "hit_not_found"


class NotScreened(RequestError):
    """The withdrawal has not been screened yet, or was refused before."""

    code = "assessment_not_found"


class NoSuchPath(RequestError):
    """There is nothing at this path; see /openapi.json."""

    code = "not_found"


class MethodNotAllowed(RequestError):
    """This path does not take this method; see the header Allow."""

    code = "method_not_allowed"


class RangeNotSatisfiable(RequestError):
    """The range begins behind the end of the file; see Content-Range for how long it is."""

    code = "range_not_satisfiable"


class DatabaseAway(RequestError):
    """The database cannot be reached or is too slow; this request changed nothing. Repeat it."""

    code = "database_unavailable"


class Unexpected(RequestError):
    """Something went wrong on our side, and is logged under the request id.

    A write may have been recorded: repeat it with the same Idempotency-Key.
    """

    code = "internal_error"
