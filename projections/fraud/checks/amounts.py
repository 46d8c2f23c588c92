"""Amounts of several currencies: added up, compared in one, and said to a person."""

from collections.abc import Mapping
from typing import Final

from domain.money import format_minor
from projections.fraud.rules import Rules
from projections.fraud.states import ByCurrency
from projections.fraud.windows import total

EUR: Final = "EUR"
"""Of every threshold in money but one; the catalogue says so too."""
GBP: Final = "GBP"


def sums(windows: ByCurrency, start_us: int) -> dict[str, int]:
    """By currency: how much there has been since `start_us`, that instant included."""
    return {currency: total(entries, start_us) for currency, entries in windows.items()}


def in_words(by_currency: Mapping[str, int]) -> str:
    """`120.00 EUR + 5000 JPY`; what is nothing is left out."""
    amounts = [format_minor(amount, currency) for currency, amount in by_currency.items() if amount]
    return " + ".join(amounts) or "nothing"


def with_worth(amount_minor: int, currency: str, rules: Rules) -> str:
    """`50.00 EUR`; of another currency, what it is worth too: `8150 JPY (50.00 EUR)`."""
    said = format_minor(amount_minor, currency)
    if currency == EUR:
        return said
    return f"{said} ({format_minor(rules.minor(amount_minor, currency, EUR), EUR)})"
