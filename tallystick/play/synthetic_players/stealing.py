"""Stolen cards and stolen accounts."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from domain.events.evidence import DeclineCode
from domain.player.instruments import Credential
from domain.player.player import Verification
from tallystick.play.synthetic_players.paying_in import pay_in
from tallystick.play.synthetic_players.paying_out import pay_out
from tallystick.play.synthetic_players.person import (
    Instrument,
    Person,
    a_bank_account,
    a_card,
    strange_name,
)
from tallystick.play.synthetic_players.places import ABROAD, COUNTRIES
from tallystick.play.synthetic_players.platform import token
from tallystick.play.synthetic_players.world import DAY, Script

_STOLEN_DECLINES: Final = (
    *(DeclineCode.DO_NOT_HONOUR,) * 5,
    *(DeclineCode.SUSPECTED_FRAUD,) * 3,
    *(DeclineCode.AUTHENTICATION_FAILED,) * 3,
    *(DeclineCode.EXPIRED_INSTRUMENT,) * 2,
    DeclineCode.ACCOUNT_CLOSED,
)


@dataclass(frozen=True, slots=True)
class _Pace:
    """How cards are tried: how many of a list, and how long after one another."""

    cards: tuple[int, int]
    seconds: tuple[float, float]


_PACES: Final = (
    _Pace(cards=(6, 14), seconds=(240, 1_500)),
    _Pace(cards=(6, 45), seconds=(3, 75)),
    _Pace(cards=(60, 150), seconds=(0.5, 4)),
)
"""With care, by hand, by machine."""

_CREDENTIALS: Final = (
    Credential.EMAIL,
    Credential.PASSWORD,
    Credential.PHONE,
    Credential.SECOND_FACTOR,
)


# --- card testers -------------------------------------------------------------------------------


def try_cards(me: Person, *, begins_us: int, ends_us: int) -> Script:
    """Try a list of stolen cards with small sums, from one device; use what works for more.

    Most are quick, some take their time, some use a machine; a few come back with another list.
    """
    rng = me.rng
    yield begins_us + int(rng.uniform(0, 0.9) * (ends_us - begins_us))
    me.address_country = rng.choice((me.country.code, me.country.code, *ABROAD))
    me.register(Verification.NONE)
    yield me.minutes(1, 40 if rng.random() < 0.8 else 3_000)
    pace = rng.choices(_PACES, (14, 77, 9))[0]
    refused = rng.betavariate(7, 1.6)
    for _ in range(1 if rng.random() < 0.75 else 2):
        working = yield from _try(me, pace, refused=refused)
        for card in working[:3]:
            yield me.minutes(1, 30)
            why = DeclineCode.SUSPECTED_FRAUD if rng.random() < 0.4 else None
            larger = me.euro(rng.uniform(40, 250), round_to=10)
            yield from pay_in(me, larger, card, declined=why)
        if working and rng.random() < 0.25:
            me.stake(me.wallet // 4)
            yield me.hours(0.3, 30)
            pay_out(me, me.spendable(), a_bank_account(rng, me.country.code))
        me.address = token(rng, "net")
        yield me.evening(rng.uniform(0.5, 9))


def _try(me: Person, pace: _Pace, *, refused: float) -> Generator[int, None, list[Instrument]]:
    """One list, card by card; those that worked."""
    rng = me.rng
    from_one_bank = a_card(rng, _somewhere(me)) if rng.random() < 0.5 else None
    working: list[Instrument] = []
    for _ in range(rng.randint(*pace.cards)):
        card = a_card(
            rng,
            from_one_bank.country if from_one_bank else _somewhere(me),
            name_percent=strange_name(rng),
        )
        for _ in range(1 if rng.random() < 0.85 else 2):
            why = rng.choice(_STOLEN_DECLINES) if rng.random() < refused else None
            deposit = yield from pay_in(me, me.euro(rng.uniform(1, 11)), card, declined=why)
            if deposit.status.is_credited:
                working.append(card)
                break
        yield me.seconds(*pace.seconds)
    return working


def _somewhere(me: Person) -> str:
    return me.rng.choice((me.country.code, "US", "FR", *[c.code for c in COUNTRIES[:6]]))


# --- takeovers of dormant accounts --------------------------------------------------------------


def take_over(me: Person, *, begins_us: int, ends_us: int) -> Script:
    """Years ago somebody honest played a little; now somebody else has their password.

    They lock the owner out, pay in with another's card, hardly play, and want it all paid to an
    account of their own.
    """
    rng = me.rng
    taken_us = begins_us + int(rng.uniform(0.02, 0.93) * (ends_us - begins_us))
    yield taken_us - int(rng.uniform(372, 900) * DAY)
    yield from _once_honest(me)
    yield max(taken_us, me.world.now_us)
    me.device, me.address = token(rng, "dev"), token(rng, "net")
    if rng.random() < 0.6:
        me.address_country = rng.choice(ABROAD)
    for credential in rng.sample(_CREDENTIALS, rng.choice((1, 2, 2, 3))):
        me.change_credential(credential)
        yield me.minutes(1, 25)
    yield me.hours(0.1, 6) if rng.random() < 0.75 else me.hours(6, 60)
    stolen = a_card(rng, _somewhere(me), name_percent=strange_name(rng))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        why = rng.choice(_STOLEN_DECLINES) if rng.random() < 0.15 else None
        # In Germany no more than 1,000 euro a month come in, whoever asks.
        most = 950 if me.country.code == "DE" else 4_500
        euro = min(most, rng.lognormvariate(7.0, 0.5))
        amount_minor = me.euro(euro, round_to=50)
        yield from pay_in(me, amount_minor, stolen, declined=why)
        yield me.minutes(2, 80)
    me.stake(int(me.spendable() * rng.betavariate(1.2, 6)))
    yield me.hours(0.2, 10) if rng.random() < 0.8 else me.hours(10, 70)
    own = a_bank_account(rng, me.country.code, name_percent=strange_name(rng))
    pay_out(me, int(me.spendable() * rng.uniform(0.85, 1.0)), own)


def _once_honest(me: Person) -> Script:
    """The owner's own time."""
    rng = me.rng
    card = a_card(rng, me.country.code)
    me.instruments = [card]
    me.register(Verification.BASIC)
    if rng.random() < 0.6:
        me.world.start(me.world.now_us, me.verify(me.hours(4, 90)))
    for _ in range(rng.randint(1, 5)):
        yield me.evening(rng.uniform(0.2, 1.2))
        yield from pay_in(me, me.euro(rng.uniform(10, 80), round_to=5), card)
        yield me.minutes(10, 90)
        me.stake(int(me.wallet * rng.uniform(0.8, 3)))
        me.wallet = 0
