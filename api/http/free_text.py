"""Text that people and machines send in: what of it may be kept.

Texts end up in a log that is never edited, so what must not be there is refused at the door:
characters that deceive a reader or break a terminal, and card numbers, which are never accepted
anywhere. Typed ids (UUIDs) are no free text and are not looked at.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

CARD_DIGITS_MIN, CARD_DIGITS_MAX = 13, 19
"""Source: ISO/IEC 7812-1, length of a primary account number, with the shorter ones in use."""

LINE_CHARS_MAX = 255
NOTE_CHARS_MAX = 2_000

_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_SEPARATORS = frozenset("._")
_UUID = re.compile(
    r"(?<![0-9A-Za-z])"
    r"(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32})"
    r"(?![0-9A-Za-z])"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Each digit doubled, less 9 where that has two."""

_DIGIT_GROUPS = re.compile(r"[0-9]+(?:-{1,3}[0-9]+)*")


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits in `text` pass the Luhn check.

    Digits count in any script, and groups of them may be spaced or dashed. A UUID in the text
    is skipped: its digits are random, and would pass now and then.
    """
    folded = "".join(_fold(character) for character in _UUID.sub("x", text))
    return any(_holds_card(run.group().split("-")) for run in _DIGIT_GROUPS.finditer(folded))


def _is_too_short_for_a_card(text: str) -> bool:
    """Whether there are too few characters, or it is a UUID, whose digits are not looked at."""
    return len(text) < CARD_DIGITS_MIN or _UUID.fullmatch(text) is not None


def _fold(character: str) -> str:
    """A digit of any script as 0-9, anything that separates as a dash, all else as an x."""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    separates = character in _SEPARATORS or unicodedata.category(character) in ("Zs", "Pd", "Cf")
    return "-" if separates or character.isspace() else "x"


def _holds_card(groups: list[str]) -> bool:
    """Whether some neighbouring groups of digits together are a card number."""
    groups = [group for group in groups if group]
    for first in range(len(groups)):
        digits = ""
        for group in groups[first : first + CARD_DIGITS_MAX]:  # each has a digit at least
            digits += group
            if len(digits) > CARD_DIGITS_MAX:
                break
            if len(digits) >= CARD_DIGITS_MIN and _passes_luhn(digits):
                return True
    return False


def _passes_luhn(digits: str) -> bool:
    """Source: ISO/IEC 7812-1, annex B."""
    codes = (digits[-1::-2] + digits[-2::-2].translate(_DOUBLED)).encode()
    return (sum(codes) - len(codes) * ord("0")) % 10 == 0


def check_line(text: str) -> str:
    """`text`, if it may be kept as one line.

    Raises:
        PydanticCustomError: it may not; the message never quotes it.
    """
    return _checked(text, breaks="")


def check_note(text: str) -> str:
    """`text`, if it may be kept; line breaks and tabs are allowed. Raises as `check_line`."""
    return _checked(text, breaks="\n\t")


def _checked(text: str, *, breaks: str) -> str:
    if text.isascii() and text.isprintable() and _is_too_short_for_a_card(text):
        return text  # most texts, told quickly
    for character in text:
        category = unicodedata.category(character)
        if character in _BIDI_CONTROLS or (category in ("Cc", "Cs") and character not in breaks):
            raise PydanticCustomError(
                "character_not_allowed",
                "Control characters, bidirectional controls and lone surrogates are not allowed",
            )
    if holds_card_number(text):
        raise PydanticCustomError(
            "card_number", "This looks like a card number, which is never accepted"
        )
    return text


Line = Annotated[str, Field(min_length=1, max_length=LINE_CHARS_MAX), AfterValidator(check_line)]
"""One line of text that may be kept."""

Note = Annotated[str, Field(max_length=NOTE_CHARS_MAX), AfterValidator(check_note)]
"""What a person writes about a decision; may be empty."""

Name = Annotated[
    str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_-]*$"), AfterValidator(check_line)
]
"""A provider's name."""
