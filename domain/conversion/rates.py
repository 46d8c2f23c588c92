"""Rates: arithmetic of exchange · state · evolve. The decisions are in `rate_decisions.py`.

A rate is a ratio of whole units of one currency for one whole unit of another; minor units come
in only when an amount is exchanged. There is no float anywhere: the only division is the last
step, with the rounding rule named.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final, assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.command import remember
from domain.errors import AmountTooSmall, InvalidQuote, InvalidRate, RateMissing
from domain.events import (
    RateProposalDiscarded,
    RatesEvent,
    RateSourceProposed,
    RateSourceRevoked,
    RateSourceTrusted,
    RateTableApproved,
    RateTableProposed,
    RateTablePublished,
)
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
class RateTable:
    """What currencies are worth as of a day, as a source says."""

    table: str
    """Its name, as quotes record it: `ecb-2026-11-20`."""
    source: str
    base: str
    as_of: str
    """The day that the source names."""
    rates: Mapping[str, Fraction]
    """Whole units for one whole unit of the base, by currency; without the base."""

    @property
    def currencies(self) -> Set[str]:
        """All that it can exchange."""
        return {self.base, *self.rates}

    def says_the_same(self, other: "RateTable") -> bool:
        """Whether they differ in nothing but their names."""
        return (self.source, self.base, self.as_of, self.rates) == (
            *(other.source, other.base, other.as_of),
            other.rates,
        )

    def rate(self, source: str, target: str) -> Fraction:
        """Whole units of `target` for one of `source`, exactly, through the base.

        Raises:
            RateMissing: the table does not name one of them.
        """
        return self.from_base(target) / self.from_base(source)

    def from_base(self, currency: str) -> Fraction:
        """Whole units of `currency` for one of the base.

        Raises:
            RateMissing: the table does not name it.
        """
        if currency == self.base:
            return Fraction(1)
        rate = self.rates.get(currency)
        if rate is None:
            raise RateMissing(currency, self.table)
        return rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RateProposal:
    """A table that waits for people."""

    id: UUID
    table: RateTable
    """Not under the name yet that it gets when it comes in force."""
    person: str | None
    """Who wants it in force, and another has to agree; None: only its source, and two have to."""
    note: str
    at: datetime


class SourceStatus(StrEnum):
    """Whether a source may put rates in force by itself."""

    PROPOSED = "proposed"
    """One person would trust it."""
    TRUSTED = "trusted"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSource:
    """A source that people have decided about."""

    name: str
    status: SourceStatus
    person: str
    """Who decided last."""
    note: str
    at: datetime
    was_trusted: bool
    """It was, or is: its name is no person's, whatever key bears it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRates:
    """The table in force, what is proposed, and which sources are trusted."""

    id: UUID
    version: int
    in_force: RateTable | None
    since: datetime | None
    """When the table came in force."""
    approved_by: tuple[str, ...]
    """The two people who agreed to it; (): a source alone, or, once, one person."""
    before: RateTable | None
    """In force when the day (UTC) of `since` began."""
    agreed: RateTable | None
    """The last on that day that people put in force, or the first of all: what a source moves away
    from where the day before says nothing."""
    times: Mapping[str, int]
    """How many tables have been in force, by source and day: `ecb-2026-11-20`."""
    proposals: Mapping[UUID, RateProposal]
    """By id, oldest first; one of each source and person."""
    sources: Mapping[str, RateSource]
    """By name."""
    commands: Mapping[UUID, str]

    def references(self, now: datetime) -> tuple[RateTable, ...]:
        """The table in force; and if today (UTC) began with another one, or people agreed to
        another one since, those as well."""
        if self.in_force is None or self.since is None:
            return ()
        of_today = (self.before, self.agreed) if self.since.date() == now.date() else ()
        others = [one for one in of_today if one is not None and one is not self.in_force]
        return (self.in_force, *others)

    def is_trusted(self, source: str) -> bool:
        """Whether two people let it put rates in force by itself."""
        return source in self.sources and self.sources[source].status is SourceStatus.TRUSTED

    def waiting(self, table: RateTable) -> RateProposal | None:
        """The proposal of this very table."""
        found = (one for one in self.proposals.values() if one.table.says_the_same(table))
        return next(found, None)


_STREAM: Final = uuid5(NAMESPACE_URL, "urn:tallystick:rates")

NO_RATES: Final = ExchangeRates(
    id=_STREAM,
    version=0,
    in_force=None,
    since=None,
    approved_by=(),
    before=None,
    agreed=None,
    times={},
    proposals={},
    sources={},
    commands={},
)
"""Before the first table."""


def rates_stream() -> UUID:
    """The one stream that all tables are in."""
    return _STREAM


# --- evolve -------------------------------------------------------------------------------------


def evolve_rates(state: ExchangeRates | None, event: RatesEvent) -> ExchangeRates:
    """The rates after `event`."""
    state = state or NO_RATES
    return replace(
        _changed(state, event),
        version=event.originator_version,
        commands=remember(state.commands, event),
    )


def _changed(state: ExchangeRates, event: RatesEvent) -> ExchangeRates:
    match event:
        case RateTablePublished():
            return _in_force(state, event, ())
        case RateTableApproved():
            return _in_force(state, event, (event.proposed_by, event.person))
        case RateTableProposed():
            proposal = RateProposal(
                id=event.proposal_id,
                table=_table(event, f"{event.source}-{event.as_of}"),
                person=event.person,
                note=event.note,
                at=event.occurred_at,
            )
            kept = {one.id: one for one in state.proposals.values() if not _replaces(proposal, one)}
            return replace(state, proposals={**kept, proposal.id: proposal})
        case RateProposalDiscarded():
            left = {id_: one for id_, one in state.proposals.items() if id_ != event.proposal_id}
            return replace(state, proposals=left)
        case RateSourceProposed():
            return _decided(state, event, SourceStatus.PROPOSED)
        case RateSourceTrusted():
            return _decided(state, event, SourceStatus.TRUSTED)
        case RateSourceRevoked():
            return _decided(state, event, SourceStatus.REVOKED)
        case _:
            assert_never(event)


def _in_force(
    state: ExchangeRates,
    event: RateTablePublished | RateTableApproved,
    approved_by: tuple[str, ...],
) -> ExchangeRates:
    table = _table(event, event.table)
    day = f"{event.source}-{event.as_of}"
    same_day = state.since is not None and state.since.date() == event.occurred_at.date()
    agreed = state.agreed if same_day else None
    if approved_by or state.in_force is None:
        agreed = table
    return replace(
        state,
        in_force=table,
        since=event.occurred_at,
        approved_by=approved_by,
        before=state.before if same_day else state.in_force,
        agreed=agreed,
        times={**state.times, day: state.times.get(day, 0) + 1},
        proposals={one.id: one for one in state.proposals.values() if not _settles(table, one)},
    )


def _settles(table: RateTable, proposal: RateProposal) -> bool:
    """Whether nobody needs the proposal any more, now that `table` is in force: it is the same, or
    the source has sent another one that came through."""
    superseded = proposal.person is None and proposal.table.source == table.source
    return superseded or proposal.table.says_the_same(table)


def _replaces(later: RateProposal, one: RateProposal) -> bool:
    of_the_same = (later.person, later.table.source) == (one.person, one.table.source)
    return of_the_same or later.id == one.id


def _decided(
    state: ExchangeRates,
    event: RateSourceProposed | RateSourceTrusted | RateSourceRevoked,
    status: SourceStatus,
) -> ExchangeRates:
    known = state.sources.get(event.source)
    source = RateSource(
        name=event.source,
        status=status,
        person=event.person,
        note=event.note,
        at=event.occurred_at,
        was_trusted=status is SourceStatus.TRUSTED or (known is not None and known.was_trusted),
    )
    return replace(state, sources={**state.sources, source.name: source})


def _table(
    event: RateTablePublished | RateTableProposed | RateTableApproved, name: str
) -> RateTable:
    return RateTable(
        table=name,
        source=event.source,
        base=event.base,
        as_of=event.as_of,
        rates={rate.currency: Fraction(rate.numerator, rate.denominator) for rate in event.rates},
    )


def fold_rates(state: ExchangeRates | None, events: Iterable[RatesEvent]) -> ExchangeRates:
    """The rates after `events`, in order."""
    for event in events:
        state = evolve_rates(state, event)
    return state or NO_RATES
