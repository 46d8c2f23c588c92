"""Strength: how much hits of an indicator say, and what a false alarm leaves silent.

A hit is as strong as its severity, its value and the money that it is about. It is stronger than
others if it is in any of these respects, or if its value is in another unit than theirs.
"""

from collections.abc import Iterable

from domain.assessment import RANK, Severity
from domain.events import Strength
from domain.indicators.catalogue import BY_CODE

Covered = tuple[Strength, ...]
"""Of each indicator and unit the most of every respect, by both."""


def is_covered(hit: Strength, covered: Iterable[Strength]) -> bool:
    """Whether the hit is in no respect stronger than what there was."""
    return any(_both(hit, known) == known for known in covered if _alike(hit, known))


def covering(covered: Covered, more: Iterable[Strength]) -> Covered:
    """What covers both."""
    found = {(known.indicator, known.unit): known for known in covered}
    for one in more:
        known = found.get((one.indicator, one.unit))
        found[one.indicator, one.unit] = _both(one, known) if known else one
    return tuple(found[key] for key in sorted(found))


def _alike(one: Strength, other: Strength) -> bool:
    return (one.indicator, one.unit) == (other.indicator, other.unit)


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
    )
