"""The simulated provider's exchange desk: exact rates, and quotes that cover no more than that."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from ledger.providers.simulator.wire import MoneyBody, QuoteRequestBody
from tallystick.play.simulator.exchange_desk import Desk, NoRate, rate_of

seeds = st.integers(-(2**63), 2**63)


@given(seeds)
def test_a_rate_is_exact_fixed_and_near_its_inverse(seed: int) -> None:
    there, back = rate_of(seed, "EUR", "JPY"), rate_of(seed, "JPY", "EUR")
    assert rate_of(seed, "EUR", "JPY") == there
    assert Fraction(there) * Fraction(back) == pytest.approx(1, abs=1e-8)
    assert 160 < Fraction(there) < 166


@pytest.mark.parametrize(("source", "target"), [("EUR", "EUR"), ("EUR", "XTS"), ("AFN", "USD")])
def test_there_is_no_rate_for_what_the_desk_does_not_exchange(source: str, target: str) -> None:
    with pytest.raises(NoRate):
        rate_of(1, source, target)


@given(
    st.integers(1, 10**12),
    st.sampled_from(("EUR", "JPY", "KWD", "CLF")),
    st.sampled_from(("USD", "KRW", "BHD", "GBP")),
)
def test_a_quote_covers_what_the_rate_gives_and_not_a_minor_unit_more(
    amount_minor: int, source: str, target: str
) -> None:
    digits = {"EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4, "USD": 2, "KRW": 0, "BHD": 3, "GBP": 2}
    desk = Desk(1, quote_seconds=60)
    asked = Money(amount_minor, source)
    quote = desk.quote(QuoteRequestBody(MoneyBody(amount_minor, source), target))
    worth = amount_minor * Fraction(quote.rate) * Fraction(10) ** (digits[target] - digits[source])
    most = -(-worth.numerator // worth.denominator)
    assert desk.refusal(quote.quote, asked, Money(most, target)) is None
    assert desk.refusal(quote.quote, asked, Money(most + 1, target)) == "target_above_quote"
    assert desk.refusal(quote.quote, Money(amount_minor + 1, source), Money(1, target)) is not None
    assert desk.refusal("quo_1", asked, Money(1, target)) == "quote_not_valid"


def test_a_quote_does_not_outlive_its_time() -> None:
    desk = Desk(1, quote_seconds=0)
    quote = desk.quote(QuoteRequestBody(MoneyBody(100, "EUR"), "USD"))
    assert desk.refusal(quote.quote, Money(100, "EUR"), Money(1, "USD")) == "quote_not_valid"
