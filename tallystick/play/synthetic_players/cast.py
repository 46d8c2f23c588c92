"""The cast: how many players there are of each kind, who they are, and what they share."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from tallystick.play.synthetic_players import habits, honest, laundering, stealing, taking
from tallystick.play.synthetic_players.honest import Household
from tallystick.play.synthetic_players.kinds import PER_10_000, Kind
from tallystick.play.synthetic_players.person import Person, a_card
from tallystick.play.synthetic_players.places import Country, a_country, a_country_of_large_sums
from tallystick.play.synthetic_players.platform import Platform, an_id, token
from tallystick.play.synthetic_players.taking import Ring
from tallystick.play.synthetic_players.world import DAY, Script

RING_SIZES: Final = (4, 12)
"""Accounts of one ring: at least, at most."""

_HOUSEHOLDS: Final = 0.045
"""Of honest players, those who live with another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """One player, before anything has happened."""

    number: int
    """From 0; everything they do follows from it and the seed."""
    id: UUID
    kind: Kind
    together: int
    """Of those who share something, the same number; 0: nobody."""
    among: int
    """Their number among those, from 0."""


def cast(players: int, seed: int) -> list[Player]:
    """Everybody, by number."""
    rng = Random(f"{seed}:cast")  # noqa: S311  (a play, not a secret)
    kinds: list[tuple[Kind, int, int]] = []
    groups = 0
    for kind, per_10_000 in PER_10_000.items():
        wanted = max(
            RING_SIZES[0] if kind is Kind.BONUS_RING else 1, players * per_10_000 // 10_000
        )
        if kind is not Kind.BONUS_RING:
            kinds += [(kind, 0, 0)] * wanted
            continue
        for size in _ring_sizes(rng, wanted):
            groups += 1
            kinds += [(kind, groups, among) for among in range(size)]
    while len(kinds) < players:
        size = rng.choices((2, 3, 4), (80, 15, 5))[0] if rng.random() < _HOUSEHOLDS / 2 else 1
        groups += size > 1
        kinds += [(Kind.HONEST, groups if size > 1 else 0, among) for among in range(size)]
    kinds = kinds[:players]
    rng.shuffle(kinds)
    return [
        Player(number=number, id=an_id(rng), kind=kind, together=together, among=among)
        for number, (kind, together, among) in enumerate(kinds)
    ]


def _ring_sizes(rng: Random, players: int) -> Iterator[int]:
    """Rings that make up so many players."""
    least, most = RING_SIZES
    while players >= least:
        size = min(players, rng.randint(least, most))
        if 0 < players - size < least:
            size = players if players <= most else players - least
        yield size
        players -= size


def scripts(
    everybody: list[Player], platform: Platform, seed: int, *, begins_us: int, ends_us: int
) -> Iterator[Script]:
    """What everybody does; each script says itself when it begins."""
    sizes: dict[int, int] = {}
    for player in everybody:
        if player.together:
            sizes[player.together] = sizes.get(player.together, 0) + 1
    for player in everybody:
        size = sizes.get(player.together, 0)
        yield _life(player, size, platform, seed, begins_us=begins_us, ends_us=ends_us)


def _life(
    player: Player, size: int, platform: Platform, seed: int, *, begins_us: int, ends_us: int
) -> Script:
    """One player's script: nothing is made before it is needed."""
    rng = Random(f"{seed}:{player.number}")  # noqa: S311  (a play, not a secret)
    shared = Random(f"{seed}:together:{player.together}")  # noqa: S311  (a play, not a secret)
    country = _country(player, rng, shared)
    me = Person(platform, player.id, country, rng)
    match player.kind:
        case Kind.HONEST:
            days = max(1, (ends_us - begins_us) // DAY)
            yield from honest.live(
                me,
                habits.draw(rng, country, days),
                begins_us=begins_us,
                ends_us=ends_us,
                registers_us=_registers(rng, begins_us, ends_us),
                household=_household(shared, country) if player.together else None,
                owns_card=player.among == 0,
            )
        case Kind.STRUCTURER:
            yield from laundering.structure(me, begins_us=begins_us, ends_us=ends_us)
        case Kind.MULE:
            yield from laundering.pass_on(me, begins_us=begins_us, ends_us=ends_us)
        case Kind.CARD_TESTER:
            yield from stealing.try_cards(me, begins_us=begins_us, ends_us=ends_us)
        case Kind.DORMANT_TAKEOVER:
            yield from stealing.take_over(me, begins_us=begins_us, ends_us=ends_us)
        case Kind.REFUND_ABUSER:
            yield from taking.take_back(me, begins_us=begins_us, ends_us=ends_us)
        case Kind.BONUS_RING:
            ring: Ring = taking.a_ring(
                shared, size, country.code, begins_us=begins_us, ends_us=ends_us
            )
            yield from taking.take_bonus(me, ring, player.among)


def _country(player: Player, rng: Random, shared: Random) -> Country:
    if player.together:
        return a_country(shared)
    if player.kind is Kind.STRUCTURER:
        return a_country_of_large_sums(rng)
    if player.kind is Kind.DORMANT_TAKEOVER and rng.random() < 0.8:
        return a_country_of_large_sums(rng)
    return a_country(rng)


def _registers(rng: Random, begins_us: int, ends_us: int) -> int:
    """More than half have been there before; the others come as the days go by."""
    if rng.random() < 0.55:
        return begins_us - int(rng.uniform(0.1, 300) * DAY)
    return begins_us + int(rng.uniform(0, 0.97) * (ends_us - begins_us))


def _household(shared: Random, country: Country) -> Household:
    card = a_card(shared, country.code)
    return Household(
        device=token(shared, "dev"),
        address=token(shared, "net"),
        card=card if shared.random() < 0.3 else None,
    )
