"""Rolling windows of bounded size: how many, and how much, since a moment.

A window is a flat tuple of whole numbers, three for each entry, oldest first: when (microseconds
since 1970), how many, how much. Up to KEPT_MAX entries are kept as they came, and counts and sums
are exact; beyond that, neighbours within the same CELLS-th of the span become one entry, dated
like the newest of them. What has left the window by less than a CELLS-th of it may then still be
counted; nothing that is inside is ever left out.
"""

from bisect import bisect_left
from typing import Final

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

KEPT_MAX: Final = 96
CELLS: Final = 64
AMOUNT_MAX: Final = 2**62
"""What a sum is at most: far above what a ledger can hold, and still storable."""

Entries = tuple[int, ...]

NOTHING: Final[Entries] = ()


def added(entries: Entries, at_us: int, amount: int, span_us: int) -> Entries:
    """With one more entry, which is not older than the others; without what is out of the span."""
    grown = (*since(entries, at_us - span_us), at_us, 1, amount)
    return grown if len(grown) <= 3 * KEPT_MAX else _merged(grown, span_us)


def since(entries: Entries, start_us: int) -> Entries:
    """The entries of `start_us` and later."""
    if not entries or entries[0] >= start_us:
        return entries
    return entries[3 * bisect_left(entries[::3], start_us) :]


def count(entries: Entries, start_us: int) -> int:
    """How many there have been since `start_us`, that instant included."""
    return sum(since(entries, start_us)[1::3])


def total(entries: Entries, start_us: int) -> int:
    """How much there has been since `start_us`, that instant included."""
    return sum(since(entries, start_us)[2::3])


def _merged(entries: Entries, span_us: int) -> Entries:
    width_us = span_us // CELLS
    merged: list[int] = []
    cell = -1
    for at_us, number, amount in zip(entries[::3], entries[1::3], entries[2::3], strict=True):
        if at_us // width_us == cell:
            merged[-3:] = at_us, merged[-2] + number, min(merged[-1] + amount, AMOUNT_MAX)
        else:
            cell = at_us // width_us
            merged += at_us, number, amount
    return tuple(merged)
