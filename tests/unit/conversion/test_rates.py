"""Rates: exchange across exponents to the last minor unit, and across a table."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.conversion.decisions import quote_conversion
from domain.conversion.rates import (
    RATE_TERM_MAX,
    RateTable,
    Rounding,
    decimal_text,
    exchange,
    quote_amounts,
)
from domain.errors import (
    AmountTooSmall,
    InvalidQuote,
    InvalidRate,
    RateMissing,
)
from domain.money import AMOUNT_MINOR_MAX, InvalidMoney, Money, currencies, exponent
from domain.postings import postings
from tests.scenarios.scenario import PLAYER_ID, TRANSACTION, command

# --- exchange, by hand --------------------------------------------------------------------------

# Source, rate of whole units, what it is rounded down, and to the nearest (halves to the even).
VECTORS = [
    # same exponent: 10.50 EUR × 1.1529 = 12.10545 USD
    (Money(1_050, "EUR"), "USD", "1.1529", 1_210, 1_211),
    # 2 → 0: 100.00 EUR × 180.49 = 18,049 JPY; 0.01 EUR = 1.8049 JPY
    (Money(10_000, "EUR"), "JPY", "180.49", 18_049, 18_049),
    (Money(1, "EUR"), "JPY", "180.49", 1, 2),
    # 0 → 2: 1 JPY ÷ 180.49 = 0.0055404… EUR; 1,000 JPY = 5.5404… EUR
    (Money(1, "JPY"), "EUR", "100/18049", 0, 1),
    (Money(1_000, "JPY"), "EUR", "100/18049", 554, 554),
    # 0 → 3: 1,000 JPY × 0.0019678 = 1.9678 KWD
    (Money(1_000, "JPY"), "KWD", "0.0019678", 1_967, 1_968),
    # 3 → 0: 1.000 KWD × 508.18 = 508.18 JPY; 0.001 KWD = 0.50818 JPY
    (Money(1_000, "KWD"), "JPY", "508.18", 508, 508),
    (Money(1, "KWD"), "JPY", "508.18", 0, 1),
    # 4 → 2: 1.0000 CLF × 36.4517 = 36.4517 EUR; 0.0001 CLF = 0.00364517 EUR
    (Money(10_000, "CLF"), "EUR", "36.4517", 3_645, 3_645),
    (Money(1, "CLF"), "EUR", "36.4517", 0, 0),
    # 2 → 4: 1.00 EUR ÷ 36.4517 = 0.02743356… CLF
    (Money(100, "EUR"), "CLF", "10000/364517", 274, 274),
    # 4 → 0 and 0 → 4: 1.2345 CLF × 39,500.25 = 48,763.058625 CLP, and 39,500 CLP back
    (Money(12_345, "CLF"), "CLP", "39500.25", 48_763, 48_763),
    (Money(39_500, "CLP"), "CLF", "100/3950025", 9_999, 10_000),
    # 3 → 4: 1.234 KWD × 0.0823 = 0.1015582 CLF
    (Money(1_234, "KWD"), "CLF", "0.0823", 1_015, 1_016),
    # exactly halves: 0.5, 1.5 and 2.5 yen
    (Money(1, "EUR"), "JPY", "50", 0, 0),
    (Money(3, "EUR"), "JPY", "50", 1, 2),
    (Money(5, "EUR"), "JPY", "50", 2, 2),
    # the largest amount, in integers all the way
    (Money(AMOUNT_MINOR_MAX, "EUR"), "USD", "0.9999999999", 8_999_999_999_100_000, None),
]


@pytest.mark.parametrize(("source", "currency", "rate", "down", "half_even"), VECTORS)
def test_exchange_by_hand(
    source: Money, currency: str, rate: str, down: int, half_even: int | None
) -> None:
    ratio = Fraction(rate)
    assert exchange(source, currency, ratio) == Money(down, currency)
    assert exchange(source, currency, ratio, Rounding.DOWN) == Money(down, currency)
    nearest = down if half_even is None else half_even
    assert exchange(source, currency, ratio, Rounding.HALF_EVEN) == Money(nearest, currency)


@pytest.mark.parametrize("rate", [Fraction(0), Fraction(-1, 2)])
def test_a_rate_is_above_zero(rate: Fraction) -> None:
    with pytest.raises(InvalidRate):
        exchange(Money(100, "EUR"), "USD", rate)


@pytest.mark.parametrize(("source", "target"), [("DEM", "EUR"), ("EUR", "DEM"), ("EUR", "XAU")])
def test_only_currencies_of_the_list_are_exchanged(source: str, target: str) -> None:
    with pytest.raises(InvalidMoney):
        exchange(Money(100, source), target, Fraction(1))


# --- quotes, by hand ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "currency", "rate", "spread_basis_points", "target", "spread"),
    [
        # 18,049 yen; 0.5% is 90.245, the house's 91
        (Money(10_000, "EUR"), "JPY", "180.49", 50, 17_958, 91),
        # no spread
        (Money(10_000, "EUR"), "JPY", "180.49", 0, 18_049, 0),
        # 10.00 dinar; 1% is exactly 0.1
        (Money(10_000, "KWD"), "BHD", "1", 100, 9_900, 100),
        # any spread at all takes one minor unit
        (Money(200, "EUR"), "USD", "1", 1, 199, 1),
        (Money(2, "EUR"), "USD", "1", 1, 1, 1),
        # 36.45 euro; 1.25% is 0.455625, the house's 0.46
        (Money(10_000, "CLF"), "EUR", "36.4517", 125, 3_599, 46),
        # nearly everything
        (Money(10_000, "EUR"), "USD", "1", 9_999, 1, 9_999),
    ],
)
def test_quotes_by_hand(
    source: Money, currency: str, rate: str, spread_basis_points: int, target: int, spread: int
) -> None:
    assert quote_amounts(
        source, currency, Fraction(rate), spread_basis_points=spread_basis_points
    ) == (Money(target, currency), Money(spread, currency))


@pytest.mark.parametrize(
    ("source_minor", "rate", "spread_basis_points"),
    [
        (1, Fraction(99, 100), 0),  # less than a minor unit
        (1, Fraction(1), 1),  # the spread takes the only one
        (100, Fraction(1), 10_000),  # the spread takes everything
        (1, Fraction(1, RATE_TERM_MAX), 0),
    ],
)
def test_a_quote_of_nothing_is_refused(
    source_minor: int, rate: Fraction, spread_basis_points: int
) -> None:
    with pytest.raises(AmountTooSmall):
        quote_amounts(
            Money(source_minor, "EUR"), "USD", rate, spread_basis_points=spread_basis_points
        )


@pytest.mark.parametrize("spread_basis_points", [-1, 10_001, 0.5, True])
def test_a_spread_is_a_part_of_the_whole(spread_basis_points: object) -> None:
    with pytest.raises(InvalidQuote):
        quote_amounts(
            Money(100, "EUR"), "USD", Fraction(1), spread_basis_points=spread_basis_points
        )


def test_the_largest_result_and_one_more() -> None:
    source = Money(AMOUNT_MINOR_MAX // 100, "JPY")
    assert quote_amounts(source, "EUR", Fraction(1), spread_basis_points=0)[0] == Money(
        AMOUNT_MINOR_MAX, "EUR"
    )
    above = Fraction(AMOUNT_MINOR_MAX + 1, AMOUNT_MINOR_MAX)
    for spread_basis_points in (0, 9_999):
        with pytest.raises(InvalidMoney):
            quote_amounts(source, "EUR", above, spread_basis_points=spread_basis_points)


@pytest.mark.parametrize(
    ("rate", "fits"),
    [
        (Fraction(RATE_TERM_MAX, RATE_TERM_MAX - 1), True),
        (Fraction(RATE_TERM_MAX + 1, RATE_TERM_MAX), False),
        (Fraction(RATE_TERM_MAX, RATE_TERM_MAX + 1), False),
        (Fraction(2 * (RATE_TERM_MAX + 1), 2 * (RATE_TERM_MAX + 3)), True),  # in lowest terms
    ],
)
def test_a_rate_has_to_fit_in_two_signed_64_bit_integers(rate: Fraction, fits: bool) -> None:
    def quote() -> tuple[Money, Money]:
        return quote_amounts(Money(1_000, "EUR"), "USD", rate, spread_basis_points=0)

    if fits:
        assert quote()[1] == Money(0, "USD")
    else:
        with pytest.raises(InvalidRate):
            quote()


# --- properties ---------------------------------------------------------------------------------

codes = st.sampled_from(sorted(currencies()))
amounts = st.integers(1, AMOUNT_MINOR_MAX)
spreads = st.integers(0, 10_000)
rates = st.one_of(
    st.fractions(min_value=Fraction(1, 10**6), max_value=10**6, max_denominator=10**6),
    st.builds(Fraction, st.integers(1, RATE_TERM_MAX), st.integers(1, RATE_TERM_MAX)),
)


def exact(amount: Money, currency: str, rate: Fraction) -> Fraction:
    """What it is worth in minor units, by way of whole ones."""
    whole = Fraction(amount.amount, 10 ** exponent(amount.currency)) * rate
    return whole * 10 ** exponent(currency)


@given(amounts, codes, codes, rates)
def test_less_than_one_minor_unit_is_lost_and_nothing_is_gained(
    amount_minor: int, source: str, target: str, rate: Fraction
) -> None:
    amount = Money(amount_minor, source)
    got = exchange(amount, target, rate)
    assert got.amount <= exact(amount, target, rate) < got.amount + 1


@given(amounts, codes, codes, rates)
def test_to_the_nearest_is_at_most_half_a_minor_unit_away(
    amount_minor: int, source: str, target: str, rate: Fraction
) -> None:
    amount = Money(amount_minor, source)
    got = exchange(amount, target, rate, Rounding.HALF_EVEN)
    difference = abs(exact(amount, target, rate) - got.amount)
    assert difference <= Fraction(1, 2)
    assert difference < Fraction(1, 2) or got.amount % 2 == 0


@given(amounts, codes, codes, rates)
def test_there_and_back_never_gains(
    amount_minor: int, source: str, target: str, rate: Fraction
) -> None:
    amount = Money(amount_minor, source)
    assert exchange(exchange(amount, target, rate), source, 1 / rate).amount <= amount_minor


@given(amounts, amounts, codes, codes, rates)
def test_in_parts_is_never_more_than_at_once(
    one_minor: int, other_minor: int, source: str, target: str, rate: Fraction
) -> None:
    parts = [exchange(Money(part, source), target, rate) for part in (one_minor, other_minor)]
    at_once = exchange(Money(one_minor + other_minor, source), target, rate)
    assert sum(part.amount for part in parts) <= at_once.amount


@given(amounts, codes, codes, rates, spreads, st.sampled_from(Rounding))
def test_what_the_player_gets_and_the_house_keeps_is_the_whole(
    amount_minor: int, source: str, target: str, rate: Fraction, spread: int, rounding: Rounding
) -> None:
    amount = Money(amount_minor, source)
    gross = exchange(amount, target, rate, rounding)
    try:
        got, kept = quote_amounts(
            amount, target, rate, spread_basis_points=spread, rounding=rounding
        )
    except (AmountTooSmall, InvalidMoney):
        too_small = gross.amount * (10_000 - spread) < 10_000
        assert too_small or gross.amount > AMOUNT_MINOR_MAX
        return
    assert got.amount + kept.amount == gross.amount
    assert (got.currency, kept.currency) == (target, target)
    assert got.amount >= 1
    assert 0 <= kept.amount * 10_000 - gross.amount * spread < 10_000


@given(amounts, codes, codes, rates, spreads)
def test_the_rate_in_the_event_is_the_rate_that_was_used(
    amount_minor: int, source: str, target: str, rate: Fraction, spread: int
) -> None:
    assume(source != target)
    try:
        quote = quote_conversion(
            TRANSACTION,
            command(),
            player_id=PLAYER_ID,
            source=Money(amount_minor, source),
            target_currency=target,
            rate=rate,
            rate_source="test",
            spread_basis_points=spread,
            metadata={},
        )
    except (AmountTooSmall, InvalidMoney):
        assume(False)
    assert 0 < quote.rate_numerator < 2**63
    assert 0 < quote.rate_denominator < 2**63
    recorded = Fraction(quote.rate_numerator, quote.rate_denominator)
    assert recorded == rate
    gross = exchange(quote.source, target, recorded, Rounding(quote.rounding))
    assert gross.amount == quote.target.amount + quote.spread.amount
    assert postings(quote) == ()


# --- tables -------------------------------------------------------------------------------------

ECB = RateTable(
    table="ecb-2026-11-20",
    source="ecb",
    base="EUR",
    as_of="2026-11-20",
    rates={
        "USD": Fraction(11_529, 10_000),
        "JPY": Fraction(18_049, 100),
        "KWD": Fraction(3_551, 10_000),
    },
)


@pytest.mark.parametrize(
    ("source", "target", "rate"),
    [
        ("EUR", "USD", Fraction(11_529, 10_000)),
        ("USD", "EUR", Fraction(10_000, 11_529)),
        ("USD", "JPY", Fraction(1_804_900, 11_529)),
        ("JPY", "KWD", Fraction(3_551, 1_804_900)),
        ("EUR", "EUR", Fraction(1)),
        ("USD", "USD", Fraction(1)),
    ],
)
def test_a_cross_rate_goes_through_the_base_exactly(
    source: str, target: str, rate: Fraction
) -> None:
    assert ECB.rate(source, target) == rate


@pytest.mark.parametrize(
    ("source", "target", "missing"),
    [("EUR", "CHF", "CHF"), ("CHF", "EUR", "CHF"), ("USD", "DEM", "DEM"), ("CHF", "CHF", "CHF")],
)
def test_a_rate_that_is_missing_names_the_currency(source: str, target: str, missing: str) -> None:
    with pytest.raises(RateMissing, match=f"ecb-2026-11-20 has no rate for {missing}") as caught:
        ECB.rate(source, target)
    assert caught.value.currency == missing


@given(st.dictionaries(codes.filter(lambda code: code != "EUR"), rates, min_size=2))
def test_cross_rates_agree_whichever_way_they_go(units: dict[str, Fraction]) -> None:
    table = replace(ECB, rates=units)
    one, other, *_ = units
    assert table.rate(one, other) * table.rate(other, one) == 1
    assert table.rate("EUR", one) * table.rate(one, other) == table.rate("EUR", other)


# --- as people write it -------------------------------------------------------------------------


@given(st.decimals(min_value=0, max_value=10**12, places=9))
def test_a_decimal_number_is_written_with_every_digit_it_has(number: Decimal) -> None:
    text = decimal_text(Fraction(number))
    assert text is not None
    assert Decimal(text) == number
    assert not (text.endswith("0") and "." in text)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Fraction(10_843, 10_000), "1.0843"),
        (Fraction(169), "169"),
        (Fraction(100), "100"),
        (Fraction(1, 8), "0.125"),
        (Fraction(1, 2**60), "0." + f"{5**60:060}"),
        (Fraction(1, 3), None),
        (Fraction(7, 6), None),
    ],
)
def test_a_number_that_never_ends_is_not_written_as_if_it_did(
    rate: Fraction, text: str | None
) -> None:
    assert decimal_text(rate) == text
