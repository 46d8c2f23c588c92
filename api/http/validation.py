"""What FastAPI and pydantic find wrong with a request, as fields with a remedy.

The values that were sent are left out, always: one of them may be the card number or the secret
that is the reason for the refusal.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.http.errors import (
    ERRORS_SHOWN_MAX,
    FieldError,
    IdempotencyKeyMissing,
    RequestError,
    RequestInvalid,
)

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_.-]{0,39}")
_DETAILS: Final[Mapping[str, str]] = {
    "uuid_parsing": "Input should be a valid UUID",
    "datetime_from_date_parsing": "Input should be a valid instant",
    "value_error": "Input is not valid",
}
"""Instead of messages that say what was sent."""

_REMEDIES: Final[Mapping[str, str]] = {
    "missing": "Add it.",
    "extra_forbidden": "Leave it out, or correct its name.",
    "int_type": "Send a whole number, without quotes, fraction or exponent.",
    "int_parsing": "Send a whole number in decimal digits.",
    "greater_than_equal": "Send a larger number.",
    "less_than_equal": "Send a smaller number.",
    "string_too_long": "Send a shorter text.",
    "string_too_short": "Send a text, or leave it out.",
    "too_long": "Send fewer entries.",
    "uuid_parsing": "Send a UUID as 8-4-4-4-12 hexadecimal digits.",
    "currency_unknown": "Send an ISO 4217 code such as EUR.",
    "time_zone_unknown": "Send an IANA name such as Europe/Malta, or leave it out for UTC.",
    "day": "Send a day such as 2026-05-03.",
    "rate": "Send a decimal number such as 1.0843, as a string.",
    "card_number": "Send a token of the instrument instead; card numbers must not come here.",
    "network_address": "Send a token in its place: a keyed hash (HMAC) of the address.",
    "character_not_allowed": "Remove what cannot be seen from the text.",
    "string_unicode": "Send whole Unicode characters; a surrogate stands in a pair.",
    "instant": "Send an instant such as 2026-05-03T14:00:00Z, a plus sign as %2B.",
    "cursor_unknown": "Send a cursor as a Link header of this API gave it, or none.",
    "model_attributes_type": "Send a JSON object.",
    "dict_type": "Send a JSON object.",
    "ruleset_unknown": "Send a name that GET /v1/rulesets lists.",
    "ruleset_of_one": "Send changes with based_on, or terms.",
    "ruleset_based_on": "Send based_on with changes, and only with these.",
    "span_backwards": "Send an earlier from, or a later to.",
    "literal_error": "Send one of the values listed.",
    "enum": "Send one of the values listed.",
}
_REMEDY: Final = "See this operation in /openapi.json."


def refusal(errors: Sequence[Mapping[str, Any]]) -> RequestError:
    """What to answer when a request did not validate."""
    if any(_is_missing_key(error) for error in errors):
        return IdempotencyKeyMissing()
    shown = [_field_error(error) for error in errors[:ERRORS_SHOWN_MAX]]
    return RequestInvalid(shown, found=len(errors))


def invalid(location: str, code: str, detail: str) -> RequestInvalid:
    """The refusal of one field that only a route can judge."""
    remedy = _REMEDIES.get(code, _REMEDY)
    return RequestInvalid([FieldError(location=location, code=code, detail=detail, remedy=remedy)])


def command_errors(index: int, errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """The same, of the body of one command of a batch."""
    prefix = f"commands[{index}].body"
    return [_field_error({**error, "loc": (prefix, *error["loc"])}, shown=1) for error in errors]


def operation_unknown(index: int) -> FieldError:
    """What is wrong with a command of a batch that nothing here is the name of."""
    return FieldError(
        location=f"commands[{index}].operation",
        code="operation_unknown",
        detail="There is no such operation",
        remedy="Send one of those that /openapi.json lists.",
    )


def _is_missing_key(error: Mapping[str, Any]) -> bool:
    where = tuple(str(part).lower() for part in error["loc"])
    return error["type"] == "missing" and where == ("header", IDEMPOTENCY_HEADER.lower())


def _field_error(error: Mapping[str, Any], *, shown: int = 0) -> FieldError:
    """The first `shown` parts of its location are our own words."""
    code = error["type"]
    location = error["loc"]
    return FieldError(
        location=".".join([*location[:shown], *(_shown(part) for part in location[shown:])]),
        code=code,
        detail=_DETAILS.get(code, error["msg"]),
        remedy=_REMEDIES.get(code, _REMEDY),
    )


def _shown(part: object) -> str:
    """A part of a location; names come from the sender too, and are shown where harmless."""
    if isinstance(part, int) and part < 1_000:
        return str(part)
    text = str(part)
    return text if _NAME.fullmatch(text) else "(name)"
