"""Instants in parameters: RFC 3339, and nothing that merely looks like it."""

import re
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _rfc3339(text: object) -> object:
    if not isinstance(text, str) or _RFC3339.fullmatch(text) is None:
        raise PydanticCustomError("instant", "Input should be an instant as RFC 3339 has it")
    return text


When = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
"""An instant with its offset."""
