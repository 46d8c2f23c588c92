"""Strength: how much hits of an indicator say, and what a false alarm leaves silent.

A hit is as strong as its severity, its value and the money that it is about. It is stronger than
others if it is in any of these respects, if its value is in another unit than theirs, or if it has
another cause: how often or how much one target was paid says nothing of another.
"""

from collections.abc import Iterable
from typing import Final

from domain.events import Strength
from domain.fraud.assessment import RANK, Severity
from domain.fraud.indicators.catalogue import BY_CODE

Covered = tuple[Strength, ...]
"""Of each indicator, unit and cause the most of every respect."""
COVERED_MAX: Final = 128
"""Those that were covered longest ago are forgotten first: what they covered may hit again."""


def is_covered(hit: Strength, covered: Iterable[Strength]) -> bool:
    """Whether the hit is in no respect stronger than what there was."""
    return any(_both(hit, known) == known for known in covered if _of(hit) == _of(known))


def covering(covered: Covered, more: Iterable[Strength]) -> Covered:
    """What covers both."""
    found = {_of(known): known for known in covered}
    for one in more:
        known = found.pop(_of(one), None)  # what is covered last comes last
        found[_of(one)] = _both(one, known) if known else one
    return tuple(found.values())[-COVERED_MAX:]


def _of(one: Strength) -> tuple[str, str, str]:
    """Only those of the same are compared."""
    return one.indicator, one.unit, one.cause


def _both(one: Strength, other: Strength) -> Strength:
    """The most of either, in every respect."""
    declared = BY_CODE.get(one.indicator)
    worst = min if declared and declared.less_is_worse else max
    return Strength(
        indicator=one.indicator,
        severity=max(one.severity, other.severity, key=lambda told: RANK[Severity(told)]),
        unit=one.unit,
        value=worst(one.value, other.value),
        amount_minor=max(one.amount_minor, other.amount_minor),
        cause=one.cause,
    )
