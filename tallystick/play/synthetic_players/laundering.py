"""Money with a history: paid in in parts that nobody reports, or passed through within hours."""

from random import Random
from typing import Final

from domain.player.player import Verification
from tallystick.play.synthetic_players.honest import DECLINES
from tallystick.play.synthetic_players.paying_in import pay_in
from tallystick.play.synthetic_players.paying_out import convert, pay_out
from tallystick.play.synthetic_players.person import (
    Instrument,
    Person,
    a_bank_account,
    a_card,
    strange_name,
)
from tallystick.play.synthetic_players.world import DAY, Script

_REPORTED_FROM_EURO: Final = (2_000, 5_000, 10_000)
"""What somebody with cash to place has read about: checks of casinos, of banks, of customs."""


# --- structurers --------------------------------------------------------------------------------


def structure(me: Person, *, begins_us: int, ends_us: int) -> Script:
    """Place a large sum in parts that stay below what is reported, one to three times.

    They hand their papers in, as a careful person does; some play with a part of it.
    """
    rng = me.rng
    yield _registration(me, begins_us, ends_us)
    me.instruments = _own(me, rng.choice((1, 1, 2, 3)))
    careful = rng.random() < 0.8
    me.register(Verification.FULL if careful and rng.random() < 0.5 else Verification.BASIC)
    if careful:
        me.world.start(me.world.now_us, me.verify(me.hours(4, 60)))
    yield max(begins_us, me.world.now_us) + int(rng.uniform(0.1, 12) * DAY)
    if rng.random() < 0.5:
        yield from pay_in(me, me.euro(rng.uniform(20, 200), round_to=10), me.instruments[0])
        yield me.minutes(20, 200)
        me.stake(me.wallet)
    for _ in range(rng.choice((1, 2, 2, 3))):
        yield me.evening(rng.uniform(0.3, 4))
        yield from _place(me)
        yield me.hours(5, 90)
        if rng.random() < 0.7:
            pay_out(me, int(me.spendable() * rng.uniform(0.3, 1.0)), rng.choice(me.instruments))
        yield me.evening(rng.uniform(4, 18))


def _place(me: Person) -> Script:
    """One sum, in several parts."""
    rng = me.rng
    reported_from = rng.choices(_REPORTED_FROM_EURO, (40, 25, 35))[0]
    hours = rng.choice(((1, 8), (8, 30), (8, 30), (20, 60)))
    for _ in range(rng.randint(4, 10)):
        if rng.random() < 0.16:
            euro = reported_from * rng.uniform(0.3, 0.85)
        else:
            euro = reported_from * rng.triangular(0.87, 0.998, 0.97)
        step = rng.choice((1, 10, 10, 50))
        yield from pay_in(me, me.euro(euro, round_to=step), rng.choice(me.instruments))
        if rng.random() < 0.6:
            yield me.minutes(10, 120)
            me.stake(int(me.spendable() * rng.uniform(0.02, 0.5)))
        yield me.hours(*hours)


# --- mules --------------------------------------------------------------------------------------


def pass_on(me: Person, *, begins_us: int, ends_us: int) -> Script:
    """Take in money of others, and send it on: one to six times, within hours or a few days."""
    rng = me.rng
    yield _registration(me, begins_us, ends_us)
    own = [a_card(rng, me.country.code)]
    if rng.random() < 0.5:  # the cards of whose money it is
        own += [
            a_card(rng, me.country.code, name_percent=strange_name(rng))
            for _ in range(rng.randint(1, 3))
        ]
    me.instruments = own
    me.register(Verification.BASIC)
    if rng.random() < 0.5:
        me.world.start(me.world.now_us, me.verify(me.hours(4, 90)))
    yield max(begins_us, me.world.now_us) + int(rng.uniform(0.05, 20) * DAY)
    target = _where_it_goes(me)
    patient = rng.random() < 0.07
    for _ in range(rng.choice((1, 2, 2, 3, 4, 6))):
        yield from _pass(me, target, patient=patient)
        if rng.random() < 0.2:
            target = a_bank_account(rng, me.country.code, name_percent=strange_name(rng))
        yield me.evening(rng.uniform(1, 12))


def _where_it_goes(me: Person) -> Instrument:
    if me.rng.random() < 0.35:
        return me.instruments[0]
    return a_bank_account(me.rng, me.country.code, name_percent=strange_name(me.rng))


def _pass(me: Person, target: Instrument, *, patient: bool) -> Script:
    """In with it, a few bets so that it looks like play, and out again."""
    rng = me.rng
    paid_in = 0
    for _ in range(rng.choice((1, 1, 2, 3))):
        # In Germany no more than 1,000 euro a month come in, whoever asks.
        euro = rng.uniform(100, 300) if me.country.code == "DE" else rng.lognormvariate(6.6, 0.7)
        why = rng.choice(DECLINES) if rng.random() < 0.06 else None
        amount_minor = me.euro(max(60, euro), round_to=10)
        deposit = yield from pay_in(me, amount_minor, rng.choice(me.instruments), declined=why)
        if deposit.status.is_credited:
            paid_in += amount_minor
        yield me.minutes(2, 100)
    if not paid_in:
        return
    played = rng.uniform(0.3, 0.9) if rng.random() < 0.06 else rng.betavariate(1, 9)
    me.stake(int(paid_in * played))
    if rng.random() < 0.06:
        yield from _blur(me)
    if patient:
        yield me.hours(75, 140)
    else:
        yield me.hours(0.2, 14)
    out = rng.uniform(0.6, 0.8) if rng.random() < 0.07 else rng.uniform(0.86, 1.0)
    pay_out(me, int(paid_in * out), target)


def _blur(me: Person) -> Script:
    """Exchange it forth and back, so that the trail is harder to follow."""
    other = "USD" if me.rng.random() < 0.6 or me.currency == "GBP" else "GBP"
    for _ in range(me.rng.randint(2, 5)):
        part = me.spendable() // 2
        yield from convert(me, part, me.currency, other)
        yield me.minutes(5, 60)
        yield from convert(me, me.available.get(other, 0), other, me.currency)
        yield me.minutes(5, 60)


# --- both ---------------------------------------------------------------------------------------


def _own(me: Person, number: int) -> list[Instrument]:
    """Cards and accounts of their own."""
    rng: Random = me.rng
    return [
        a_card(rng, me.country.code) if rng.random() < 0.6 else a_bank_account(rng, me.country.code)
        for _ in range(number)
    ]


def _registration(me: Person, begins_us: int, ends_us: int) -> int:
    """Some accounts are older, most are opened for the purpose; none too late to be used."""
    if me.rng.random() < 0.25:
        return begins_us - int(me.rng.uniform(1, 200) * DAY)
    return begins_us + int(me.rng.uniform(0, 0.6) * (ends_us - begins_us))
