"""Card numbers in text: whether there is one, and providers' words without it.

What a provider calls things ends up in a log that is never edited. A text that holds a card
number is dropped as a whole, at the adapter; the rest of what was said is evidence all the same.
"""

import re
import unicodedata
from typing import Final

CARD_DIGITS_MIN, CARD_DIGITS_MAX = 13, 19
"""Source: ISO/IEC 7812-1, length of a primary account number, with the shorter ones in use."""

DROPPED: Final = "(dropped)"

_SEPARATORS = frozenset("._")
_UUID = re.compile(
    r"(?<![0-9A-Za-z])"
    r"(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32})"
    r"(?![0-9A-Za-z])"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Each digit doubled, less 9 where that has two."""

_DIGIT_GROUPS = re.compile(r"[0-9]+(?:-{1,3}[0-9]+)*")


def without_card_number(text: str | None) -> str | None:
    """The text, if it may be kept: nor can a NUL be, which no database takes in a text."""
    return None if text is None else kept(text)


def kept(text: str) -> str:
    """`without_card_number`, of a text that there is."""
    return DROPPED if "\0" in text or holds_card_number(text) else text


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits in `text` pass the Luhn check.

    Digits count in any script, and groups of them may be spaced or dashed. A UUID in the text
    is skipped: its digits are random, and would pass now and then.
    """
    folded = "".join(_fold(character) for character in _UUID.sub("x", text))
    return any(_holds_card(run.group().split("-")) for run in _DIGIT_GROUPS.finditer(folded))


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
