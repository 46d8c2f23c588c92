"""Honest players: they mean to deceive nobody, and some of what they do looks odd all the same.

They travel, share a card or a tablet with their family, try again when a card is declined, win,
regret, come back after years, and ask for a deposit back now and then.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from domain.adjustment.decisions import AdjustmentReason
from domain.counters import Window, limit_counter
from domain.deposit.state import Deposit
from domain.events.evidence import DeclineCode
from domain.player.instruments import Credential
from domain.player.limits import limit_in_force
from domain.player.player import Verification, set_exclusion
from tallystick.play.synthetic_players.habits import HIGH_ROLLER, Habits
from tallystick.play.synthetic_players.paying_in import ask_back, dispute, pay_in
from tallystick.play.synthetic_players.paying_out import convert, credit, pay_out
from tallystick.play.synthetic_players.person import Instrument, Person, a_bank_account, a_card
from tallystick.play.synthetic_players.platform import token
from tallystick.play.synthetic_players.world import DAY, Script

DECLINES: Final = (
    *(DeclineCode.INSUFFICIENT_FUNDS,) * 6,
    *(DeclineCode.AUTHENTICATION_FAILED,) * 3,
    *(DeclineCode.DO_NOT_HONOUR,) * 3,
    DeclineCode.EXPIRED_INSTRUMENT,
    DeclineCode.LIMIT_EXCEEDED,
)
"""Why banks decline what honest people want to pay."""

_CHANGED: Final = (Credential.PASSWORD, Credential.PASSWORD, Credential.EMAIL, Credential.PHONE)

_CARRIER_ADDRESSES: Final = 400
"""Of mobile networks, by country: many people share each."""
_TRIES_PAST_LIMIT: Final = 0.006


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """What several players who live together share."""

    device: str
    address: str
    card: Instrument | None
    """Of the one whose name is on it; the others pay with it too."""


def live(
    me: Person,
    habits: Habits,
    *,
    begins_us: int,
    ends_us: int,
    registers_us: int,
    household: Household | None = None,
    owns_card: bool = True,
) -> Script:
    """The whole life of an honest player."""
    yield registers_us
    _begin(me, habits, household, owns_card=owns_card)
    if habits.slept_days:
        yield from _long_ago(me, habits)
    if me.world.now_us < begins_us:
        yield begins_us + int(me.rng.uniform(0, 2 * habits.days_between) * DAY)
    _surroundings(me, habits, begins_us, ends_us)
    yield me.evening(0)
    home = me.address, me.address_country, me.device
    other_device = token(me.rng, "dev")
    spare = _Once(habits)
    while True:
        _go_somewhere(me, habits, home, other_device, begins_us)
        yield from _session(me, habits, spare)
        if me.rng.random() < habits.sort.leaves:
            return
        yield me.evening(max(0.3, me.rng.gauss(1, 0.45)) * habits.days_between)


def _begin(me: Person, habits: Habits, household: Household | None, *, owns_card: bool) -> None:
    rng = me.rng
    me.instruments = [a_card(rng, me.country.code) for _ in range(habits.cards)]
    if household is not None:
        me.address = household.address
        if rng.random() < 0.6:
            me.device = household.device
        if household.card is not None and owns_card:
            me.instruments[0] = household.card
        elif household.card is not None:
            me.instruments[0] = _of_somebody_else(household.card, rng.randint(38, 80))
    known = Verification.BASIC if rng.random() < 0.6 else Verification.NONE
    high = habits.sort is HIGH_ROLLER
    me.register(Verification.FULL if high else known)
    if habits.limits_itself and me.used is None:
        me.limit_month(me.euro(habits.euro * rng.uniform(5, 14), round_to=50))
    if not high and rng.random() < habits.sort.verified:
        me.world.start(me.world.now_us, me.verify(me.after(DAY / 10, 12 * DAY)))


def _of_somebody_else(card: Instrument, name_percent: int) -> Instrument:
    return Instrument(
        token=card.token,
        provider=card.provider,
        method=card.method,
        country=card.country,
        bin=card.bin,
        name_percent=name_percent,
    )


def _long_ago(me: Person, habits: Habits) -> Script:
    """A few evenings, years ago."""
    for _ in range(me.rng.randint(1, 4)):
        deposit = yield from _fund(me, habits)
        if deposit is not None:
            yield me.minutes(10, 90)
            me.stake(int(deposit.amount.amount * me.rng.uniform(1, 4)))
            me.wallet = 0
        yield me.evening(me.rng.uniform(1, 9))


def _surroundings(me: Person, habits: Habits, begins_us: int, ends_us: int) -> None:
    """What happens to them apart from playing."""

    def at_some_time() -> int:
        return int(me.rng.uniform(max(begins_us, me.world.now_us), ends_us))

    if habits.changes_password:
        me.world.start(me.world.now_us, _change_password(me, at_some_time()))
    if habits.excludes_itself:
        me.world.start(me.world.now_us, _exclude(me, at_some_time()))


def _change_password(me: Person, at_us: int) -> Script:
    yield at_us
    me.change_credential(me.rng.choice(_CHANGED))


def _exclude(me: Person, at_us: int) -> Script:
    """Take a break for good; a few try to pay in all the same."""
    yield at_us
    event = set_exclusion(me.state, me.asks(), excluded=True, reason="asked by the player")
    if event is not None:
        me.record(event)
    yield me.evening(me.rng.uniform(1, 9))
    if me.rng.random() < 0.06:
        yield from pay_in(me, me.euro(20, round_to=10), me.instruments[0])


def _go_somewhere(
    me: Person,
    habits: Habits,
    home: tuple[str, str, str],
    other_device: str,
    begins_us: int,
) -> None:
    """At home, on the road, or abroad; on one device or the other."""
    me.address, me.address_country, me.device = home
    day = (me.world.now_us - begins_us) / DAY
    trip = habits.trip
    if trip is not None and trip.begins_day <= day <= trip.ends_day:
        me.address_country = trip.country
        me.address = token(me.rng, "net")
    elif me.rng.random() < 0.12:
        me.address = f"net_carrier_{me.country.code}_{me.rng.randrange(_CARRIER_ADDRESSES)}"
    if habits.second_device and me.rng.random() < 0.35:
        me.device = other_device


class _Once:
    """What happens to somebody once or twice in the span, and is then over."""

    def __init__(self, habits: Habits) -> None:
        self.bonus = habits.takes_bonus
        self.much = habits.spends_much_once
        self.big_win = habits.wins_big
        self.regret = habits.regrets
        self.refunds = habits.refunds
        self.dispute = habits.disputes
        self.exchange = habits.exchanges


def _session(me: Person, habits: Habits, once: _Once) -> Script:
    """An evening: pay in if need be, play, perhaps take something out."""
    rng = me.rng
    if me.state.is_excluded(me.world.now):
        return
    if me.wallet < me.euro(habits.euro) * 0.4:
        much = once.much and rng.random() < 0.12
        deposit = yield from _fund(me, habits, times=rng.uniform(8, 30) if much else 1)
        if deposit is None:
            return
        once.much = once.much and not much
        yield from _after_paying_in(me, deposit, once)
        if me.wallet == 0:
            return
    for evening in range(3):
        yield from _play(me)
        if me.wallet > me.euro(habits.euro) * 0.3 or rng.random() > 0.22 or evening == 2:
            break
        if (yield from _fund(me, habits)) is None:
            break
    if once.big_win and rng.random() < 0.3:
        once.big_win = False
        won = me.euro(rng.choice((800, 1_500, 4_000, 12_000)) * rng.uniform(0.8, 1.6))
        yield from credit(me, won, AdjustmentReason.CORRECTION, "jackpot, paid by hand")
        yield me.minutes(20, 900)
        pay_out(me, me.spendable(), _target(me, habits))
    elif me.wallet > me.euro(habits.euro) * 0.9 and rng.random() < habits.pays_out:
        yield me.minutes(1, 240)
        part = 1.0 if rng.random() < 0.5 else rng.uniform(0.4, 0.95)
        pay_out(me, int(min(me.wallet, me.spendable()) * part), _target(me, habits))


def _after_paying_in(me: Person, deposit: Deposit, once: _Once) -> Script:
    """What some do with a deposit before, or instead of, playing."""
    rng = me.rng
    if once.bonus:
        once.bonus = False
        bonus = credit(me, deposit.amount.amount, AdjustmentReason.GOODWILL, "welcome bonus")
        yield from bonus
    if once.exchange and rng.random() < 0.4:
        once.exchange = rng.random() < 0.3
        target = "USD" if me.currency != "USD" and rng.random() < 0.6 else "GBP"
        if target != me.currency:
            yield from convert(me, deposit.amount.amount // rng.randint(2, 6), me.currency, target)
    if once.regret and rng.random() < 0.35:
        once.regret = False
        me.stake(int(deposit.amount.amount * rng.uniform(0, 0.4)))
        yield me.minutes(15, 300)
        pay_out(me, deposit.amount.amount, me.instruments[0])
        me.wallet = 0
    elif once.refunds and rng.random() < 0.3:
        once.refunds -= 1
        yield me.minutes(5, 400)
        yield from ask_back(me, deposit, "paid in by mistake")
        me.wallet = 0
    elif once.dispute and rng.random() < 0.3:
        once.dispute = False
        at_us = me.after(3 * DAY, 25 * DAY)
        me.world.start(at_us, dispute(me, deposit, "not recognised", lost=rng.random() < 0.5))


def _play(me: Person) -> Script:
    """Stake what is there, again and again, until it is gone or they have had enough."""
    rng = me.rng
    had = me.wallet
    if rng.random() < 0.975:
        turnover = had * (1.05 + rng.expovariate(0.45))
    else:
        turnover = had * rng.uniform(0.1, 0.95)
    parts = rng.choice((1, 2, 2))
    for _ in range(parts):
        yield me.minutes(8, 60)
        me.stake(int(turnover / parts))
    luck = rng.random()
    if luck < 0.58:
        me.wallet = 0
    elif luck < 0.78:
        me.wallet = int(had * rng.uniform(0.1, 0.9))
    elif luck < 0.97:
        me.wallet = int(had * rng.uniform(1.0, 2.4))
    else:
        me.wallet = int(had * rng.uniform(2.4, 9.0))


def _target(me: Person, habits: Habits) -> Instrument:
    if habits.has_bank_account and me.rng.random() < 0.5:
        known = [one for one in me.instruments if one.method == "bank_transfer"]
        if not known:
            known = [a_bank_account(me.rng, me.country.code)]
            me.instruments.append(known[0])
        return known[0]
    used = [one for one in me.instruments if one.token in me.state.instruments]
    return used[-1] if used else me.instruments[0]


# --- paying in ----------------------------------------------------------------------------------


def _fund(me: Person, habits: Habits, *, times: float = 1) -> Generator[int, None, Deposit | None]:
    """Pay in; a declined card is tried again, or another one, or they leave it.

    `times`: as much as they usually do.
    """
    rng = me.rng
    amount_minor = _amount(me, habits, times)
    if amount_minor is None:
        return None
    cards: Sequence[Instrument] = [one for one in me.instruments if one.method == "card"]
    card = rng.choice(cards) if rng.random() < 0.3 else cards[0]
    _hand_in_documents(me)
    for attempt in range(4):
        chance = habits.declines if attempt == 0 else max(habits.declines, 0.45)
        why = rng.choice(DECLINES) if rng.random() < chance else None
        deposit = yield from pay_in(me, amount_minor, card, declined=why)
        if deposit.status.is_credited:
            return deposit
        if deposit.reason == "limit_exceeded" or rng.random() < 0.25:
            return None
        if len(cards) > 1 and rng.random() < 0.35:
            card = rng.choice(cards)
        elif why is DeclineCode.INSUFFICIENT_FUNDS:
            amount_minor = max(me.euro(5), amount_minor // 2)
        yield me.seconds(25, 400)
    return None


def _amount(me: Person, habits: Habits, times: float) -> int | None:
    """About what they always pay in, within their limit; None where there is none left."""
    rng: Random = me.rng
    more = 2.5 if rng.random() < 0.03 else 1
    usual = habits.euro * times * more * rng.lognormvariate(0, 0.35)
    step = 5 if usual < 60 else 10 if usual < 300 else 50 if usual < 1_500 else 100
    amount_minor = me.euro(usual, round_to=step)
    room_minor = _room(me)
    if room_minor is None or amount_minor <= room_minor or rng.random() < _TRIES_PAST_LIMIT:
        return amount_minor
    return room_minor if room_minor >= me.euro(10) else None


def _room(me: Person) -> int | None:
    """What the platform's page says can still be paid in this month; None: no limit."""
    if me.used is None:
        return None
    most = limit_in_force(me.state, Window.MONTH, me.currency, me.world.now)
    if most is None:
        return None
    counter = limit_counter(me.id, Window.MONTH, me.currency, me.today())
    return max(0, most - me.used.get(counter, 0))


def _hand_in_documents(me: Person) -> None:
    """The platform asks for documents well before it must not do without."""
    if me.state.verification is Verification.FULL:
        return
    paid_in = me.deposited.get(me.currency, 0)
    if paid_in > me.euro(900) and me.rng.random() < 0.75:
        me.world.start(me.world.now_us, me.verify(me.hours(1, 60)))
