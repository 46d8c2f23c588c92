"""Habits: what sort of honest player somebody is. Drawn once, before they do anything."""

from dataclasses import dataclass
from random import Random
from typing import Final

from tallystick.play.synthetic_players.places import ABROAD, Country


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """A sort of player, as marketing would tell them apart."""

    share: int
    euro: tuple[float, float]
    """A usual deposit: between these."""
    days_between: tuple[float, float]
    """Between one session and the next."""
    leaves: float
    """Chance, after each session, of not coming back."""
    verified: float
    """Chance of handing documents in by themselves."""


CASUAL: Final = Sort(share=610, euro=(10, 40), days_between=(4, 28), leaves=0.13, verified=0.55)
REGULAR: Final = Sort(share=305, euro=(20, 90), days_between=(2.2, 7.5), leaves=0.022, verified=0.8)
KEEN: Final = Sort(share=68, euro=(50, 180), days_between=(1, 3.5), leaves=0.015, verified=1.0)
HIGH_ROLLER: Final = Sort(
    share=17, euro=(400, 3_500), days_between=(2, 7), leaves=0.01, verified=1.0
)
_SORTS: Final = (CASUAL, REGULAR, KEEN, HIGH_ROLLER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """Some days abroad."""

    begins_day: float
    ends_day: float
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How one honest player lives. Days are counted from the beginning of the span."""

    sort: Sort
    euro: float
    """Their own usual deposit."""
    days_between: float
    cards: int
    has_bank_account: bool
    """For payouts; they may never have paid in from it."""
    declines: float
    """Chance that a deposit is declined: an empty account, a forgotten code."""
    pays_out: float
    """Chance of taking winnings out after a good evening."""
    trip: Trip | None
    slept_days: int
    """How long they had not played before the span; 0: they are no returning player."""
    takes_bonus: bool
    wins_big: bool
    spends_much_once: bool
    """Once pays in far more than they ever do: a holiday, an inheritance."""
    regrets: bool
    """Once takes back out what was just paid in."""
    refunds: int
    disputes: bool
    changes_password: bool
    exchanges: bool
    limits_itself: bool
    excludes_itself: bool
    second_device: bool


def draw(rng: Random, country: Country, days: int) -> Habits:
    """Somebody's habits."""
    sort = rng.choices(_SORTS, [sort.share for sort in _SORTS])[0]
    if country.code == "DE" and sort is HIGH_ROLLER:
        sort = KEEN  # the law allows no more

    def one_in(number: float) -> bool:
        return rng.random() * number < 1

    return Habits(
        sort=sort,
        euro=rng.uniform(*sort.euro),
        days_between=rng.uniform(*sort.days_between),
        cards=rng.choices((1, 2, 3), (72, 21, 7))[0],
        has_bank_account=one_in(16),
        declines=rng.betavariate(1.2, 16) if not one_in(250) else rng.uniform(0.7, 0.95),
        pays_out=rng.uniform(0.1, 0.6),
        trip=_trip(rng, country, days) if one_in(18) else None,
        slept_days=rng.randint(366, 800) if one_in(70) else 0,
        takes_bonus=one_in(8),
        wins_big=one_in(250),
        spends_much_once=one_in(200),
        regrets=one_in(110),
        refunds=1 + one_in(8) if one_in(80) else 0,
        disputes=one_in(700),
        changes_password=one_in(20),
        exchanges=one_in(70),
        limits_itself=one_in(16),
        excludes_itself=one_in(300),
        second_device=one_in(4),
    )


def _trip(rng: Random, country: Country, days: int) -> Trip:
    begins_day = rng.uniform(0, days)
    abroad = rng.choice([code for code in ABROAD if code != country.code])
    return Trip(begins_day=begins_day, ends_day=begins_day + rng.uniform(3, 21), country=abroad)
