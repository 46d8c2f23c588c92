"""Rates: arithmetic of exchange · the table of rates in force · publishing one.

A rate is a ratio of whole units of one currency for one whole unit of another; minor units come
in only when an amount is exchanged. There is no float anywhere: the only division is the last
step, with the rounding rule named.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Final, assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.commands import Command, remember, repeated
from domain.errors import (
    AmountTooSmall,
    InvalidQuote,
    InvalidRate,
    NothingToChange,
    RateMissing,
)
from domain.events import Rate, RatesEvent, RateTablePublished
from domain.money import Money, exponent, transaction_amount
from domain.replacing import replace

RATE_TERM_MAX: Final = 2**63 - 1
"""Largest numerator or denominator of a rate: what a signed 64-bit column holds."""

BASIS_POINTS: Final = 10_000
"""In one whole."""

# --- arithmetic ---------------------------------------------------------------------------------


class Rounding(StrEnum):
    """What becomes of a part of a minor unit; recorded by name with each quote."""

    DOWN = "down"
    """Never in favour of who receives it."""
    HALF_EVEN = "half_even"


def exchange(
    amount: Money, currency: str, rate: Fraction, rounding: Rounding = Rounding.DOWN
) -> Money:
    """What `amount` is in `currency`: `rate` whole units of it for one whole unit of the amount's.

    exchange(Money(1000, "JPY"), "KWD", Fraction(2, 1000)) is Money(2000, "KWD"): 2.000 dinar.

    Raises:
        InvalidMoney: one of the two is not an active ISO 4217 currency.
        InvalidRate: the rate is not positive.
    """
    if rate <= 0:
        raise InvalidRate("An exchange rate is above 0.")
    shift = exponent(currency) - exponent(amount.currency)
    exact = amount.amount * rate * Fraction(10) ** shift
    match rounding:
        case Rounding.DOWN:
            return Money(exact.numerator // exact.denominator, currency)
        case Rounding.HALF_EVEN:
            return Money(round(exact), currency)
        case _:
            assert_never(rounding)


def quote_amounts(
    source: Money,
    currency: str,
    rate: Fraction,
    *,
    spread_basis_points: int,
    rounding: Rounding = Rounding.DOWN,
) -> tuple[Money, Money]:
    """What the player gets and what the house keeps, both in `currency`: together the exchange.

    The spread is rounded up, so that a part of a minor unit is never given away.

    Raises:
        InvalidMoney: an amount no transaction can have, or no such currency.
        InvalidRate: see `checked_rate`.
        InvalidQuote: the spread is not between nothing and everything.
        AmountTooSmall: nothing would be left for the player.
    """
    transaction_amount(source.amount, source.currency)
    if type(spread_basis_points) is not int or not 0 <= spread_basis_points <= BASIS_POINTS:
        raise InvalidQuote
    gross = exchange(source, currency, checked_rate(rate), rounding)
    if gross.amount < 1:
        raise AmountTooSmall
    transaction_amount(gross.amount, currency)
    spread_minor = -(-gross.amount * spread_basis_points // BASIS_POINTS)
    if gross.amount - spread_minor < 1:
        raise AmountTooSmall
    return Money(gross.amount - spread_minor, currency), Money(spread_minor, currency)


def checked_rate(rate: Fraction) -> Fraction:
    """A rate that an event can record exactly.

    Raises:
        InvalidRate: it is not positive, or a term of the ratio exceeds a signed 64-bit integer.
    """
    if rate <= 0:
        raise InvalidRate("An exchange rate is above 0.")
    if max(rate.numerator, rate.denominator) > RATE_TERM_MAX:
        raise InvalidRate("The ratio has more digits than a rate can be recorded with.")
    return rate


def decimal_text(rate: Fraction) -> str | None:
    """The rate as a decimal number, every digit of it: `1.0843`; None where it never ends."""
    rest, places = rate.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        places = max(places, power)
    if rest != 1:
        return None
    digits = str(rate.numerator * 10**places // rate.denominator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


# --- state --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """How often a source's rates of one day have been published, and what they were last."""

    times: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTable:
    """The table that was published last, and what is needed to recognise one published before."""

    id: UUID
    version: int
    table: str
    source: str
    base: str
    as_of: str
    rates: Mapping[str, Fraction]
    """Whole units for one whole unit of the base, by currency; without the base."""
    publications: Mapping[str, Publication]
    """By source and day: `ecb-2026-11-20`."""
    commands: Mapping[UUID, str]

    def rate(self, source: str, target: str) -> Fraction:
        """Whole units of `target` for one of `source`, exactly, through the base.

        Raises:
            RateMissing: the table does not name one of them.
        """
        return self._from_base(target) / self._from_base(source)

    def _from_base(self, currency: str) -> Fraction:
        if currency == self.base:
            return Fraction(1)
        rate = self.rates.get(currency)
        if rate is None:
            raise RateMissing(currency, self.table)
        return rate


@lru_cache(maxsize=1)
def rates_stream() -> UUID:
    """The one stream that all tables are published in."""
    return uuid5(NAMESPACE_URL, "urn:tallystick:rates")


# --- decisions ----------------------------------------------------------------------------------


def publish_rates(
    state: RateTable | None,
    command: Command,
    *,
    source: str,
    base: str,
    as_of: str,
    rates: tuple[Rate, ...],
) -> RateTablePublished | None:
    """Put a table of rates in force; None if this command did so already.

    The table is named for its source and day; other rates of the same source and day are another
    version: `ecb-2026-11-20`, then `ecb-2026-11-20-2`.

    Raises:
        NothingToChange: these very rates were the last published of this source and day.
        InvalidRate: a rate, the source's name or the day cannot be used; the detail says which.
        InvalidMoney: a currency is not an active one of ISO 4217.
    """
    if state is not None and repeated(state.commands, command):
        return None
    _check_heading(source, as_of)
    checked = _checked_rates(base, rates)
    day = f"{source}-{as_of}"
    published = state.publications.get(day) if state else None
    if published is not None and published.digest == _digest(base, checked):
        raise NothingToChange
    times = published.times + 1 if published else 1
    return RateTablePublished(
        **command.header(rates_stream(), state.version + 1 if state else 1),
        request_digest=command.request_digest,
        table=day if times == 1 else f"{day}-{times}",
        source=source,
        base=base,
        as_of=as_of,
        rates=tuple(
            Rate(currency=currency, numerator=rate.numerator, denominator=rate.denominator)
            for currency, rate in sorted(checked.items())
        ),
    )


def _check_heading(source: str, as_of: str) -> None:
    if not (source.isascii() and source.replace("-", "").replace("_", "").isalnum()):
        raise InvalidRate("The source's name has letters, digits, - and _ only.")
    try:
        day = date.fromisoformat(as_of)
    except ValueError:
        day = None
    if day is None or day.isoformat() != as_of:
        raise InvalidRate(f"{as_of!r} is not a day; write it like 2026-11-20.")


def _checked_rates(base: str, rates: tuple[Rate, ...]) -> dict[str, Fraction]:
    """The rates by currency, in lowest terms."""
    exponent(base)
    if not rates:
        raise InvalidRate("The table has no rates.")
    checked: dict[str, Fraction] = {}
    for rate in rates:
        exponent(rate.currency)
        if rate.currency == base:
            raise InvalidRate(f"{base} is the table's base and has no rate of its own.")
        if rate.currency in checked:
            raise InvalidRate(f"{rate.currency} is listed twice.")
        if rate.numerator < 1 or rate.denominator < 1:
            raise InvalidRate(f"The rate of {rate.currency} is not above 0.")
        checked[rate.currency] = checked_rate(Fraction(rate.numerator, rate.denominator))
    return checked


def _digest(base: str, rates: Mapping[str, Fraction]) -> str:
    """SHA-256 of what a table says, in hexadecimal, whatever the order of its lines."""
    lines = [base, *(f"{currency}={rate}" for currency, rate in sorted(rates.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# --- evolve -------------------------------------------------------------------------------------


def evolve_rates(state: RateTable | None, event: RatesEvent) -> RateTable:
    """The rates after `event`: the new table replaces the one before."""
    rates = {rate.currency: Fraction(rate.numerator, rate.denominator) for rate in event.rates}
    day = f"{event.source}-{event.as_of}"
    before = state.publications if state else {}
    times = before[day].times + 1 if day in before else 1
    table = RateTable(
        id=event.originator_id,
        version=event.originator_version,
        table=event.table,
        source=event.source,
        base=event.base,
        as_of=event.as_of,
        rates=rates,
        publications={**before, day: Publication(times=times, digest=_digest(event.base, rates))},
        commands=state.commands if state else {},
    )
    return replace(table, commands=remember(table.commands, event))


def fold_rates(state: RateTable | None, events: Iterable[RatesEvent]) -> RateTable | None:
    """The rates after `events`, in order."""
    for event in events:
        state = evolve_rates(state, event)
    return state
