"""Money: an integer count of minor units with an ISO 4217 currency."""

from dataclasses import dataclass
from typing import Final

AMOUNT_MINOR_MAX: Final = 9_000_000_000_000_000
"""Largest amount of one transaction: safe as a JSON number, and in sums held by a bigint."""

# ISO 4217, active list; a test compares the whole table with the `iso4217` package.
_CODES_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
        "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
        "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
        "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
        "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
        "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST "
        "XAD XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS: Final = {
    code: digits for digits, codes in _CODES_BY_EXPONENT.items() for code in codes.split()
}


class InvalidMoney(ValueError):
    """An amount or currency that no transaction can have."""


def exponent(currency: str) -> int:
    """Digits of the minor unit: 0 for JPY, 2 for EUR, 3 for KWD, 4 for CLF.

    Raises:
        InvalidMoney: not an active ISO 4217 currency.
    Source: ISO 4217, list one.
    """
    digits = _EXPONENTS.get(currency)
    if digits is None:
        raise InvalidMoney(f"{currency!r} is not an ISO 4217 currency; use a code such as EUR")
    return digits


def currencies() -> dict[str, int]:
    """Every currency and its exponent."""
    return dict(_EXPONENTS)


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """`amount` minor units of `currency`: Money(1050, "EUR") is 10.50 euro."""

    amount: int
    currency: str

    def __str__(self) -> str:
        return format_minor(self.amount, self.currency)


def transaction_amount(amount: int, currency: str) -> Money:
    """An amount that a transaction may have.

    Raises:
        InvalidMoney: not an integer between 1 and AMOUNT_MINOR_MAX, or no such currency.
    """
    exponent(currency)
    if type(amount) is not int or not 1 <= amount <= AMOUNT_MINOR_MAX:
        raise InvalidMoney(
            f"amount must be a whole number of minor units from 1 to {AMOUNT_MINOR_MAX}"
        )
    return Money(amount, currency)


def format_minor(amount_minor: int, currency: str) -> str:
    """For people: format_minor(-1050, "EUR") is "-10.50 EUR"."""
    digits = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**digits)
    return (
        f"{sign}{whole}.{fraction:0{digits}d} {currency}" if digits else f"{sign}{whole} {currency}"
    )
