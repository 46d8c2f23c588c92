"""Bonuses taken by many accounts in one hand, and deposits taken back again and again."""

from dataclasses import dataclass
from random import Random

from domain.adjustment.decisions import AdjustmentReason
from domain.deposit.state import Deposit
from domain.player.player import Verification
from tallystick.play.synthetic_players.paying_in import ask_back, dispute, pay_in
from tallystick.play.synthetic_players.paying_out import credit, pay_out
from tallystick.play.synthetic_players.person import Instrument, Person, a_card, strange_name
from tallystick.play.synthetic_players.platform import token
from tallystick.play.synthetic_players.world import DAY, Script

# --- bonus rings --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """What the accounts of one hand share."""

    begins_us: int
    days: float
    """In which the accounts are opened."""
    cards: tuple[Instrument, ...]
    """Of which each account uses one; as many as accounts where the ring is careful."""
    devices: tuple[str, ...]
    addresses: tuple[str, ...]
    euro: float
    """The deposit that the bonus doubles."""
    played_through: float
    """How often each account stakes its deposit: what the bonus asks for, or less."""


def a_ring(rng: Random, size: int, country: str, *, begins_us: int, ends_us: int) -> Ring:
    """A ring of so many accounts. One in seven is careful, and has a card for each account."""
    careful = rng.random() < 1 / 7
    cards = size if careful else max(1, round(size / rng.uniform(3, 6)))
    devices = max(1, size // 5) if careful else rng.choice((1, 1, 2))
    first = a_card(rng, country)
    others = (a_card(rng, country, name_percent=strange_name(rng)) for _ in range(cards - 1))
    return Ring(
        begins_us=begins_us + int(rng.uniform(0, 0.82) * (ends_us - begins_us)),
        days=rng.uniform(0.2, 4),
        cards=(first, *others),
        devices=tuple(token(rng, "dev") for _ in range(devices)),
        addresses=tuple(token(rng, "net") for _ in range(rng.choice((1, 1, 2)))),
        euro=rng.choice((10, 20, 20, 50, 100)),
        played_through=rng.choice((0.2, 0.5, 0.8, 1.0, 1.3)),
    )


def take_bonus(me: Person, ring: Ring, number: int) -> Script:
    """One account of a ring: a small deposit, the bonus, as little play as will do, and out."""
    rng = me.rng
    yield ring.begins_us + int(rng.uniform(0, ring.days) * DAY)
    card = ring.cards[number % len(ring.cards)]
    me.instruments = [card]
    me.device, me.address = rng.choice(ring.devices), rng.choice(ring.addresses)
    me.register(Verification.BASIC)
    yield me.minutes(3, 300)
    amount_minor = me.euro(ring.euro, round_to=10)
    deposit = yield from pay_in(me, amount_minor, card, metadata={"campaign": "welcome"})
    if not deposit.status.is_credited:
        return
    yield from credit(me, amount_minor, AdjustmentReason.GOODWILL, "welcome bonus")
    for _ in range(2):
        yield me.minutes(10, 400)
        me.stake(int(amount_minor * ring.played_through * rng.uniform(0.8, 1.2) / 2))
    yield ring.begins_us + int((ring.days + rng.uniform(0.1, 3)) * DAY)
    me.address = rng.choice(ring.addresses)
    pay_out(me, int(me.spendable() * rng.uniform(0.7, 1.0)), card)


# --- refund abusers -----------------------------------------------------------------------------


def take_back(me: Person, *, begins_us: int, ends_us: int) -> Script:
    """Pay in, play, and want it back: first from support, in the end from the bank."""
    rng = me.rng
    yield begins_us + int(rng.uniform(-0.5, 0.5) * (ends_us - begins_us))
    me.instruments = [a_card(rng, me.country.code) for _ in range(rng.choice((1, 1, 2)))]
    me.register(Verification.BASIC)
    if rng.random() < 0.5:
        me.world.start(me.world.now_us, me.verify(me.hours(4, 200)))
    yield max(begins_us, me.world.now_us) + int(rng.uniform(0.1, 5) * DAY)
    kept: list[Deposit] = []
    wanted = rng.randint(3, 8)
    hopeless = rng.uniform(0.3, 0.85)
    while wanted:
        amount_minor = me.euro(rng.uniform(25, 220), round_to=10)
        deposit = yield from pay_in(me, amount_minor, rng.choice(me.instruments))
        if not deposit.status.is_credited:
            return
        yield me.minutes(10, 100)
        me.stake(int(amount_minor * rng.uniform(0.3, 2.5)))
        if rng.random() < hopeless:
            yield me.hours(0.5, 40)
            yield from ask_back(me, deposit, rng.choice(("was not me", "game froze", "unfair")))
            wanted -= 1
        else:
            kept.append(deposit)
        yield me.evening(rng.uniform(0.2, 3.5))
    if rng.random() < 0.06:
        return
    if not kept:
        amount_minor = me.euro(rng.uniform(50, 300), round_to=10)
        kept.append((yield from pay_in(me, amount_minor, me.instruments[0])))
    if not kept[-1].status.is_credited:
        return
    for deposit in kept[-rng.randint(1, 4) :]:
        me.world.start(me.hours(2, 90), dispute(me, deposit, "not authorised", lost=True))
