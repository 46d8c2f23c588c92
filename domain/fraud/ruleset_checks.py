"""Whether the terms of a rule set can be used; where not, what to change about them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from domain.conversion.rates import RATE_TERM_MAX
from domain.errors import InvalidRuleSet
from domain.events import IndicatorTerms, Rate, RuleSetTerms
from domain.fraud.indicators.catalogue import BY_CODE, INDICATORS
from domain.fraud.indicators.declaring import Indicator, Parameter
from domain.money import InvalidMoney, exponent
from domain.replacing import replace

MODES: Final = ("live", "shadow", "off")

RISING: Final = (
    ("structuring", ("first_minor", "second_minor", "third_minor"), True),
    ("shared_instrument", ("medium_players", "high_players"), True),
    ("many_instruments", ("day_instruments", "week_instruments"), False),
    ("repeated_declines", ("day_declines", "month_declines"), False),
    ("velocity", ("hour_deposits", "day_deposits"), False),
    ("dispute_load", ("warn_basis_points", "critical_basis_points"), True),
)
"""Indicator, thresholds that rise in this order, and whether two of them may not be the same.

Where the second of a pair were lower, the first would never decide anything.
"""

_SCORES: Final = ("score_low", "score_medium", "score_high")


def checked_terms(terms: RuleSetTerms) -> RuleSetTerms:
    """The terms with their rates in order of currency.

    Raises:
        InvalidRuleSet: they cannot be used; the detail names the indicator and the threshold, and
            says what to change.
    """
    _check_indicators([one.indicator for one in terms.indicators])
    for one in terms.indicators:
        _check_indicator(one, BY_CODE[one.indicator])
    _check_order(terms)
    _check_scores(terms)
    _check_rates(terms)
    return replace(terms, rates=tuple(sorted(terms.rates, key=lambda rate: rate.currency)))


# --- indicators ---------------------------------------------------------------------------------


def _check_indicators(codes: Sequence[str]) -> None:
    declared = [indicator.code for indicator in INDICATORS]
    for code in codes:
        if code not in BY_CODE:
            raise InvalidRuleSet(f"There is no indicator {code!r}; take it out of the rule set.")
        if codes.count(code) > 1:
            raise InvalidRuleSet(f"The indicator {code} is named more than once; name it once.")
    for code in declared:
        if code not in codes:
            raise InvalidRuleSet(
                f"The indicator {code} is missing; name it, with mode off if it is not wanted."
            )
    for code, expected in zip(codes, declared, strict=True):
        if code != expected:
            raise InvalidRuleSet(
                f"The indicator {code} is named where {expected} belongs; name the indicators in"
                " the order of their numbers."
            )


def _check_indicator(one: IndicatorTerms, declared: Indicator) -> None:
    if one.mode not in MODES:
        raise InvalidRuleSet(
            f"The indicator {one.indicator} has the mode {one.mode!r}; use {_listed(MODES)}."
        )
    names = [threshold.name for threshold in one.thresholds]
    expected = [parameter.name for parameter in declared.parameters]
    if names != expected:
        raise InvalidRuleSet(_wrong_names(one.indicator, names, expected))
    for threshold, parameter in zip(one.thresholds, declared.parameters, strict=True):
        _check_value(one.indicator, parameter, threshold.value)


def _wrong_names(indicator: str, names: Sequence[str], expected: Sequence[str]) -> str:
    remedy = f"name {', '.join(expected)}, in this order" if expected else "leave them out"
    for name in names:
        if name not in expected:
            return f"The indicator {indicator} has no threshold {name!r}; {remedy}."
        if names.count(name) > 1:
            return f"The threshold {name} of {indicator} is named more than once; {remedy}."
    for name in expected:
        if name not in names:
            return f"The threshold {name} of {indicator} is missing; {remedy}."
    return f"The thresholds of {indicator} are not in order; {remedy}."


def _check_value(indicator: str, parameter: Parameter, value: int) -> None:
    if type(value) is not int or not parameter.least <= value <= parameter.most:
        raise InvalidRuleSet(
            f"The threshold {parameter.name} of {indicator} is {value!r}; use a whole number from"
            f" {parameter.least} to {parameter.most}."
        )


def _check_order(terms: RuleSetTerms) -> None:
    values = {
        one.indicator: {threshold.name: threshold.value for threshold in one.thresholds}
        for one in terms.indicators
    }
    for indicator, names, strict in RISING:
        for lower, upper in pairwise(names):
            low, high = values[indicator][lower], values[indicator][upper]
            if low > high or (strict and low == high):
                raise InvalidRuleSet(
                    f"The threshold {upper} of {indicator} is {high}, and {lower} is {low}; make"
                    f" {upper} {'more than' if strict else 'at least'} {lower}."
                )


# --- scores and rates ---------------------------------------------------------------------------


def _check_scores(terms: RuleSetTerms) -> None:
    scores = (terms.score_low, terms.score_medium, terms.score_high)
    for name, score in zip(_SCORES, scores, strict=True):
        if type(score) is not int or not 0 <= score <= 100:
            raise InvalidRuleSet(f"{name} is {score!r}; use a whole number from 0 to 100.")
    if not scores[0] <= scores[1] <= scores[2]:
        raise InvalidRuleSet(
            f"The scores are {scores[0]}, {scores[1]} and {scores[2]}; make score_medium at least"
            " score_low, and score_high at least score_medium."
        )
    if type(terms.hold_from) is not int or not 1 <= terms.hold_from <= 101:
        raise InvalidRuleSet(
            f"hold_from is {terms.hold_from!r}; use a score from 1 to 100, or 101 to hold no"
            " payout for its score."
        )


def _check_rates(terms: RuleSetTerms) -> None:
    _check_currency(terms.base, "base")
    listed = [rate.currency for rate in terms.rates]
    for rate in terms.rates:
        _check_rate(rate, terms.base)
        if listed.count(rate.currency) > 1:
            raise InvalidRuleSet(f"The rate of {rate.currency} is listed twice; list it once.")
    for indicator in INDICATORS:
        for parameter in indicator.parameters:
            if parameter.currency not in (None, terms.base, *listed):
                raise InvalidRuleSet(
                    f"The threshold {parameter.name} of {indicator.code} is in"
                    f" {parameter.currency}, which has no rate; list one."
                )


def _check_rate(rate: Rate, base: str) -> None:
    _check_currency(rate.currency, "rates")
    if rate.currency == base:
        raise InvalidRuleSet(f"{base} is the base and has no rate of its own; take it out.")
    if not all(
        type(term) is int and 1 <= term <= RATE_TERM_MAX
        for term in (rate.numerator, rate.denominator)
    ):
        raise InvalidRuleSet(
            f"The rate of {rate.currency} is {rate.numerator!r}/{rate.denominator!r}; use whole"
            f" numbers from 1 to {RATE_TERM_MAX}."
        )


def _check_currency(currency: str, where: str) -> None:
    try:
        exponent(currency)
    except InvalidMoney as error:
        raise InvalidRuleSet(f"{where}: {error}.") from error


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
