"""Rules: what an amount is worth in another currency, in whole numbers only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import IndicatorTerms, Rate
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.money import AMOUNT_MINOR_MAX
from domain.replacing import replace
from projections.fraud.rules import Rules

RULES = Rules("rules-test", DEFAULT_TERMS)

AMOUNTS = st.integers(0, AMOUNT_MINOR_MAX)
CURRENCIES = st.sampled_from(["EUR", "GBP", "HUF", "JPY", "KWD", "CLF", "VND"])
"""The last two have no rate."""


@pytest.mark.parametrize(
    ("amount", "source", "target", "worth"),
    [
        (100, "EUR", "EUR", 100),
        (100, "EUR", "GBP", 86),
        (101, "EUR", "GBP", 86),  # 86.86
        (163, "JPY", "EUR", 100),
        (162, "JPY", "EUR", 99),  # 99.39
        (340, "KWD", "EUR", 100),  # 0.340 dinars
        (163, "JPY", "KWD", 340),
        (86, "GBP", "JPY", 163),
        (10_000, "CLF", "EUR", 100),  # no rate: a whole unit is a euro
        (1, "VND", "EUR", 100),
        (100, "EUR", "VND", 1),
        (100, "EUR", "CLF", 10_000),
    ],
)
def test_an_amount_is_worth_so_much_rounded_down(
    amount: int, source: str, target: str, worth: int
) -> None:
    assert RULES.minor(amount, source, target) == worth


def test_the_base_may_be_any_currency() -> None:
    terms = replace(
        DEFAULT_TERMS, base="JPY", rates=(Rate(currency="EUR", numerator=1, denominator=163),)
    )
    assert Rules("rules-test", terms).minor(163, "JPY", "EUR") == 100
    assert Rules("rules-test", terms).minor(100, "EUR", "JPY") == 163


def test_a_threshold_newer_than_a_rule_set_has_its_default() -> None:
    older = tuple(replace(one, thresholds=one.thresholds[1:]) for one in DEFAULT_TERMS.indicators)
    rules = Rules("rules-test", replace(DEFAULT_TERMS, indicators=older))
    assert rules.rules == RULES.rules


def test_an_indicator_that_is_no_longer_declared_is_in_nobody_s_way() -> None:
    gone = IndicatorTerms(indicator="gone", mode="live", thresholds=())
    terms = replace(DEFAULT_TERMS, indicators=(gone, *DEFAULT_TERMS.indicators))
    assert Rules("rules-test", terms).rules["velocity"] == RULES.rules["velocity"]


@given(AMOUNTS, CURRENCIES, CURRENCIES)
def test_the_least_that_is_worth_an_amount_is_worth_it_and_one_less_is_not(
    amount: int, source: str, target: str
) -> None:
    least = RULES.least(amount, source, target)
    assert RULES.minor(least, target, source) >= amount
    assert least == 0 or RULES.minor(least - 1, target, source) < amount


@given(st.dictionaries(CURRENCIES, AMOUNTS), CURRENCIES)
def test_a_total_is_what_the_amounts_are_worth_one_by_one(
    amounts: dict[str, int], target: str
) -> None:
    worth = [RULES.minor(amount, currency, target) for currency, amount in amounts.items()]
    assert RULES.total(amounts, target) == sum(worth)
