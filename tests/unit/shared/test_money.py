"""Money: whole minor units of the currencies of ISO 4217."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from domain.money import (
    AMOUNT_MINOR_MAX,
    InvalidMoney,
    Money,
    currencies,
    exponent,
    format_minor,
    transaction_amount,
)


def test_the_table_is_that_of_iso_4217() -> None:
    """Money without a minor unit of its own (gold, bonds, test codes) cannot be paid with."""
    published = {c.code: c.exponent for c in Currency if c.exponent is not None}
    assert currencies() == published


@pytest.mark.parametrize(("code", "digits"), [("JPY", 0), ("EUR", 2), ("KWD", 3), ("CLF", 4)])
def test_every_exponent_occurs(code: str, digits: int) -> None:
    assert exponent(code) == digits


def test_no_other_exponent_occurs() -> None:
    assert set(currencies().values()) == {0, 2, 3, 4}


@pytest.mark.parametrize(
    ("code", "whole"),
    [
        ("JPY", "9000000000000000 JPY"),
        ("EUR", "90000000000000.00 EUR"),
        ("KWD", "9000000000000.000 KWD"),
        ("CLF", "900000000000.0000 CLF"),
    ],
)
def test_the_largest_amount_is_smaller_the_finer_the_minor_unit(code: str, whole: str) -> None:
    assert format_minor(AMOUNT_MINOR_MAX, code) == whole


@pytest.mark.parametrize(
    ("code", "smallest"),
    [("JPY", "1 JPY"), ("EUR", "0.01 EUR"), ("KWD", "0.001 KWD"), ("CLF", "0.0001 CLF")],
)
def test_one_minor_unit_is_the_smallest_amount_there_is(code: str, smallest: str) -> None:
    assert str(transaction_amount(1, code)) == smallest


@given(st.sampled_from(sorted(currencies())))
def test_a_whole_unit_is_as_many_minor_units_as_the_exponent_says(code: str) -> None:
    whole = Money(10 ** exponent(code), code)
    assert str(whole).partition(" ")[0].rstrip("0").rstrip(".") == "1"


@pytest.mark.parametrize("code", ["", "eur", "EUR ", "XXX", "XAU", "DEM", "EURO", "€"])
def test_anything_else_is_no_currency(code: str) -> None:
    with pytest.raises(InvalidMoney):
        exponent(code)


def test_the_table_cannot_be_changed_from_outside() -> None:
    currencies()["EUR"] = 7
    assert exponent("EUR") == 2


@pytest.mark.parametrize("amount", [1, AMOUNT_MINOR_MAX])
def test_the_smallest_and_the_largest_amount(amount: int) -> None:
    assert transaction_amount(amount, "EUR") == Money(amount, "EUR")


@pytest.mark.parametrize(
    "amount", [0, -1, AMOUNT_MINOR_MAX + 1, 2**63, 1.0, 1.5, True, "1", None, float("nan")]
)
def test_anything_else_is_no_amount(amount: object) -> None:
    with pytest.raises(InvalidMoney):
        transaction_amount(amount, "EUR")


def test_the_largest_amount_is_exact_as_a_json_number_and_a_thousand_of_them_in_a_bigint() -> None:
    assert AMOUNT_MINOR_MAX < 2**53
    assert int(float(AMOUNT_MINOR_MAX)) == AMOUNT_MINOR_MAX
    assert AMOUNT_MINOR_MAX * 1_000 < 2**63


@pytest.mark.parametrize(
    ("amount", "code", "text"),
    [
        (1_050, "EUR", "10.50 EUR"),
        (-1_050, "EUR", "-10.50 EUR"),
        (5, "EUR", "0.05 EUR"),
        (-5, "EUR", "-0.05 EUR"),
        (0, "EUR", "0.00 EUR"),
        (1_050, "JPY", "1050 JPY"),
        (-1, "JPY", "-1 JPY"),
        (1_050, "KWD", "1.050 KWD"),
        (1_050, "CLF", "0.1050 CLF"),
    ],
)
def test_money_for_people(amount: int, code: str, text: str) -> None:
    assert format_minor(amount, code) == text
    assert str(Money(amount, code)) == text


@given(st.integers(-AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX), st.sampled_from(sorted(currencies())))
def test_what_people_read_is_the_exact_amount(amount: int, code: str) -> None:
    digits, _, currency = format_minor(amount, code).partition(" ")
    assert currency == code
    assert int(digits.replace(".", "")) == amount
