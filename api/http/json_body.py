"""Reading a request's body: bounded before it is read, and unambiguous before it is used."""

import json
from typing import Any, Final

from starlette.requests import Request

from api.http.errors import BodyMalformed, BodyTooLarge, BodyUnsupported

BODY_BYTES_MAX: Final = 1_000_000
BODY_BYTES_SMALL: Final = 64_000
"""Parsed in a few milliseconds at most."""

DEPTH_MAX: Final = 32
VALUES_MAX: Final = 50_000
"""More than a thousand commands can hold; each may be one error of the refusal."""

_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ROUND: Final = bytes.maketrans(b"[{]}", b"(())")


async def read_body(request: Request) -> bytes:
    """The body, read no further than the limit.

    Raises:
        BodyTooLarge: it is longer, or says so.
        BodyUnsupported: it is compressed, and may be any size once it is not.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise BodyUnsupported
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > BODY_BYTES_MAX:
        raise BodyTooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise BodyTooLarge
    return bytes(body)


def parse(body: bytes) -> Any:
    """The value of a JSON body.

    Numbers with a fraction or an exponent become floats, which no field of this API takes.

    Raises:
        BodyMalformed: no JSON, not UTF-8, nested too deeply, too many values, or the same key
            twice.
    """
    structure = _structure(body)
    if _depth(structure) > DEPTH_MAX:
        raise BodyMalformed(f"The body is nested deeper than {DEPTH_MAX} levels.")
    if structure.count(b",") >= VALUES_MAX:
        raise BodyMalformed(f"The body holds more than {VALUES_MAX:,} values.")
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        # Without a cause: the parser's message may quote what was sent.
        raise BodyMalformed from None


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json"


def _structure(body: bytes) -> bytes:
    """What is outside of strings, in time linear in the body, whatever that is.

    Without what is escaped every quote begins or ends a string. A backslash outside of strings is
    no JSON: the parser stops there, and up to there nothing was left out.
    """
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2])


def _depth(structure: bytes) -> int:
    """How deeply brackets nest; counted before anything recurses."""
    brackets = structure.translate(None, _NO_BRACKETS).translate(_ROUND)
    for depth in range(DEPTH_MAX + 1):
        if b"()" not in brackets:  # none left, or more open than close
            return depth + brackets.count(b"(")
        brackets = brackets.replace(b"()", b"")  # the innermost of each
    return DEPTH_MAX + 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; two values under one key would be read differently by different readers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BodyMalformed("An object in the body has the same key twice.")
    return found
