"""Where players live: their money, their clocks, and whose cards they have."""

from dataclasses import dataclass
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from domain.money import exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A market of the platform."""

    code: str
    """By ISO 3166-1."""
    share: int
    """Of players, in proportion to the others'."""
    currency: str
    per_euro: int
    """Whole units of the currency for one euro, times 100: about, for choosing amounts."""
    zone: ZoneInfo
    hours_ahead: int
    """Of UTC, in winter."""


def _country(
    code: str, share: int, currency: str, per_euro: int, zone: str, hours_ahead: int
) -> Country:
    return Country(
        code=code,
        share=share,
        currency=currency,
        per_euro=per_euro,
        zone=ZoneInfo(zone),
        hours_ahead=hours_ahead,
    )


COUNTRIES: Final = (
    _country("DE", 200, "EUR", 100, "Europe/Berlin", 1),
    _country("GB", 180, "GBP", 86, "Europe/London", 0),
    _country("SE", 120, "SEK", 1_120, "Europe/Stockholm", 1),
    _country("FI", 90, "EUR", 100, "Europe/Helsinki", 2),
    _country("NL", 80, "EUR", 100, "Europe/Amsterdam", 1),
    _country("ES", 80, "EUR", 100, "Europe/Madrid", 1),
    _country("AT", 60, "EUR", 100, "Europe/Vienna", 1),
    _country("IE", 40, "EUR", 100, "Europe/Dublin", 0),
    _country("MT", 20, "EUR", 100, "Europe/Malta", 1),
    _country("NO", 40, "NOK", 1_170, "Europe/Oslo", 1),
    _country("JP", 40, "JPY", 16_300, "Asia/Tokyo", 9),
    _country("CA", 30, "CAD", 152, "America/Toronto", -5),
    _country("NZ", 20, "NZD", 184, "Pacific/Auckland", 13),
)

BY_CODE: Final = {country.code: country for country in COUNTRIES}

ABROAD: Final = (
    *("ES", "ES", "IT", "IT", "GR", "PT", "FR", "FR", "AT", "GB", "US", "US", "TH", "PL", "CZ"),
    *("DK", "CH", "AE", "JP", "NL", "IE", "HR", "EG", "MX", "CY"),
    *("BG", "VN"),
)
"""Where people travel to; the last two are watched by the FATF."""

_WEIGHTS: Final = [country.share for country in COUNTRIES]
_WHERE_SUMS_ARE_FREE: Final = tuple(c for c in COUNTRIES if c.code not in ("DE", "JP"))
_FREE_WEIGHTS: Final = [country.share for country in _WHERE_SUMS_ARE_FREE]


def a_country(rng: Random) -> Country:
    """Where a player lives."""
    return rng.choices(COUNTRIES, _WEIGHTS)[0]


def a_country_of_large_sums(rng: Random) -> Country:
    """Where the law lets a player pay in thousands in a week."""
    return rng.choices(_WHERE_SUMS_ARE_FREE, _FREE_WEIGHTS)[0]


def minor(country: Country, euro: float, *, round_to: int = 1) -> int:
    """About so many euro in minor units of the country's currency; people like round sums.

    `round_to` is in whole euro: 5 gives multiples of 5 euro, 50 kronor or 500 yen.
    """
    scale = 1
    while scale * 100 * 4 < country.per_euro:
        scale *= 10
    step = max(1, round_to) * scale
    whole = max(step, round(euro * country.per_euro / 100 / step) * step)
    return whole * int(10 ** exponent(country.currency))
