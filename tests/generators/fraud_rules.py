"""Rule sets at random, for worlds so small that the usual numbers would rarely be reached."""

from random import Random
from typing import Final

from domain.events import IndicatorTerms, Rate, RuleSetTerms, Threshold
from domain.fraud.indicators.catalogue import INDICATORS
from domain.fraud.indicators.declaring import Indicator, Parameter, Unit
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.fraud.ruleset_checks import RISING
from domain.replacing import replace

MODES: Final = ("live",) * 9 + ("shadow", "shadow", "off")
USUAL: Final = {
    Unit.COUNT: (1, 2, 2, 3, 3, 4, 5),
    Unit.PERCENT: (30, 50, 80, 90, 100),
    Unit.BASIS_POINTS: (50, 2_500, 5_000, 10_000, 10_000),
    Unit.SECONDS: (1, 3_600, 86_400, 30 * 86_400),
    Unit.MINOR: (1, 100, 4_999, 10_000, 50_000),
    Unit.TIMES: (1, 2, 3, 300, 672, 1_000),
}


def drawn_terms(random: Random) -> RuleSetTerms:
    """Terms with low thresholds, some indicators in shadow, off or not named; other rates."""
    base = random.choice(("EUR", "EUR", "EUR", "USD"))
    rates = tuple(
        replace(rate, numerator=rate.numerator + random.choice((0, 0, 1)))
        for rate in (*DEFAULT_TERMS.rates, Rate(currency="EUR", numerator=92, denominator=100))
        if rate.currency != base and random.random() < 0.9
    )
    return RuleSetTerms(
        indicators=tuple(_drawn(random, one) for one in INDICATORS if random.random() < 0.97),
        score_low=random.choice((0, 10)),
        score_medium=random.choice((25, 40)),
        score_high=random.choice((50, 60, 100)),
        hold_from=random.choice((40, 70, 100)),
        base=base,
        rates=rates,
    )


def _drawn(random: Random, indicator: Indicator) -> IndicatorTerms:
    values = {one.name: _value(random, one) for one in indicator.parameters}
    for code, names, _ in RISING:
        if code == indicator.code:
            values |= zip(names, sorted(values[name] for name in names), strict=True)
    return IndicatorTerms(
        indicator=indicator.code,
        mode=random.choice(MODES),
        thresholds=tuple(Threshold(name=name, value=value) for name, value in values.items()),
    )


def _value(random: Random, parameter: Parameter) -> int:
    drawn = random.choice((parameter.default, *USUAL[parameter.unit]))
    return min(parameter.most, max(parameter.least, drawn))


def crowded_terms() -> RuleSetTerms:
    """The usual ones, but more than a hundred of anything."""
    more = {
        ("due_diligence_threshold", "sum_minor"): 13_000,
        ("velocity", "hour_deposits"): 150,
        ("velocity", "day_deposits"): 130,
        ("repeated_declines", "day_declines"): 120,
        ("repeated_declines", "month_declines"): 160,
        ("enumeration", "declines"): 100,
        ("enumeration", "times"): 1,
    }
    return replace(
        DEFAULT_TERMS,
        indicators=tuple(
            replace(
                one,
                thresholds=tuple(
                    replace(t, value=more.get((one.indicator, t.name), t.value))
                    for t in one.thresholds
                ),
            )
            for one in DEFAULT_TERMS.indicators
        ),
    )
