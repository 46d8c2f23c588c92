"""How like two people's names are: the one on an instrument, and the verified one.

Names come here and go no further: they are neither kept nor logged, only the percentage is.
"""

import unicodedata
from typing import Final

from rapidfuzz import fuzz

_JOINED: Final = frozenset("'’‘`´ʼ")
"""Within a name, as in O'Brien; any other punctuation stands between two parts of it."""


def similarity_percent(holder_name: str, verified_name: str) -> int:
    """0 to 100, rounded down; 100: the same but for case, accents and the order of the parts.

    A name without a letter or digit is like none.
    """
    one, other = _normal(holder_name), _normal(verified_name)
    if not one or not other:
        return 0
    return int(fuzz.ratio(one, other))


def _normal(name: str) -> str:
    """Without case, marks and punctuation; the parts in alphabetical order."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    kept = (
        character if character.isalnum() else " "
        for character in decomposed
        if character not in _JOINED and not unicodedata.category(character).startswith("M")
    )
    return " ".join(sorted("".join(kept).split()))
