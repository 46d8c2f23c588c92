"""The simulated provider's exchange desk: fixed rates, and the quotes it stands by."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

from domain.money import Money, exponent
from ledger.providers.simulator.wire import QuoteBody, QuoteRequestBody, money_body_of
from tallystick.play.simulator.dice import draw, name_of

QUOTES_MAX: Final = 100_000
"""Beyond this many quotes, the oldest are forgotten."""

RATE_DIGITS: Final = 10
"""Significant digits of a quoted rate."""

# Units for one euro, about as they are; the seed moves each of them by up to one per cent.
_PER_EURO: Final = {
    "EUR": "1",
    "USD": "1.0835",
    "GBP": "0.8542",
    "CHF": "0.9561",
    "SEK": "11.245",
    "NOK": "11.418",
    "DKK": "7.4604",
    "PLN": "4.3125",
    "CZK": "25.31",
    "HUF": "391.4",
    "RON": "4.9752",
    "TRY": "34.87",
    "CAD": "1.4728",
    "AUD": "1.6384",
    "NZD": "1.7712",
    "JPY": "163.45",
    "CNY": "7.8431",
    "INR": "90.42",
    "BRL": "5.5127",
    "MXN": "18.46",
    "ZAR": "20.31",
    "KRW": "1463.5",
    "KWD": "0.3331",
    "BHD": "0.4084",
    "CLP": "1012.5",
    "CLF": "0.0274",
}


class NoRate(Exception):
    """The desk does not exchange these currencies."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What the desk stands by, until it expires."""

    source: Money
    target_currency: str
    rate: Fraction
    expires_at: datetime

    def target_max(self) -> Money:
        """What the source is worth, rounded up to a minor unit: no conversion gets more."""
        shift = Fraction(10) ** (exponent(self.target_currency) - exponent(self.source.currency))
        exact = self.source.amount * self.rate * shift
        return Money(-(-exact.numerator // exact.denominator), self.target_currency)


class Desk:
    """Quotes by a table that the seed alone decides; it never moves."""

    def __init__(self, seed: int, quote_seconds: float) -> None:
        """`quote_seconds`: real ones, since the receiver looks at a real clock."""
        self._seed = seed
        self._quote_seconds = quote_seconds
        self._quotes: dict[str, Quote] = {}
        self._quotes_count = 0

    def quote(self, request: QuoteRequestBody) -> QuoteBody:
        """A new quote.

        Raises:
            InvalidMoney: no such amount or currency.
            NoRate
        """
        source = request.source.money()
        rate_text = rate_of(self._seed, source.currency, request.target_currency)
        expires_at = datetime.now(UTC) + timedelta(seconds=self._quote_seconds)
        self._quotes_count += 1
        name = name_of("quo", draw(self._seed, str(self._quotes_count), "quote"))
        self._quotes[name] = Quote(source, request.target_currency, Fraction(rate_text), expires_at)
        if len(self._quotes) > QUOTES_MAX:
            del self._quotes[next(iter(self._quotes))]
        return QuoteBody(
            quote=name,
            source=money_body_of(source),
            target_currency=request.target_currency,
            rate=rate_text,
            expires_at=expires_at,
        )

    def refusal(self, quote: str, source: Money, target: Money) -> str | None:
        """Why a conversion may not use this quote, as a code; None if it may."""
        known = self._quotes.get(quote)
        if known is None or datetime.now(UTC) >= known.expires_at:
            return "quote_not_valid"
        if (source, target.currency) != (known.source, known.target_currency):
            return "another_quote"
        return TARGET_ABOVE_QUOTE if target.amount > known.target_max().amount else None


TARGET_ABOVE_QUOTE: Final = "target_above_quote"


def rate_of(seed: int, source_currency: str, target_currency: str) -> str:
    """Whole units of the target for one of the source, in exact decimal digits.

    Raises:
        NoRate: the same currency twice, or one that is not in the table.
    """
    if source_currency == target_currency:
        raise NoRate("a currency is not exchanged for itself")
    try:
        ratio = _per_euro(seed, target_currency) / _per_euro(seed, source_currency)
    except KeyError as error:
        raise NoRate(f"there is no rate for {error.args[0]}") from None
    with localcontext() as context:
        context.prec = RATE_DIGITS
        return f"{Decimal(ratio.numerator) / Decimal(ratio.denominator):f}"


def _per_euro(seed: int, currency: str) -> Fraction:
    usual = Fraction(_PER_EURO[currency])
    if currency == "EUR":
        return usual
    moved = draw(seed, currency, "rate") % 2001 - 1000
    return usual * (1 + Fraction(moved, 100_000))
