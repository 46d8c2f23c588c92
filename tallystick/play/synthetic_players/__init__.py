"""A whole platform's players over some months, as events, from a seed; with what each of them is.

Labels say what the generator made a player do. No indicator is looked at for it: only
`evaluation.py`, which compares the two, knows both.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Final
from uuid import UUID

from domain.events import LedgerEvent
from tallystick.play.synthetic_players import cast
from tallystick.play.synthetic_players.kinds import Kind as Kind
from tallystick.play.synthetic_players.platform import Platform
from tallystick.play.synthetic_players.world import DAY, Append, World, microseconds

PLAYERS: Final = 20_000
DAYS: Final = 90
SEED: Final = 7
"""The default population."""

BEGINS: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""When the span begins. Some players have been there before, a few of them years ago."""

BEFORE_DAYS: Final = 1_000
"""How long before the span the platform opened."""


def labels(players: int = PLAYERS, seed: int = SEED) -> Mapping[UUID, Kind]:
    """What each player is."""
    return {player.id: player.kind for player in cast.cast(players, seed)}


def events(players: int = PLAYERS, days: int = DAYS, seed: int = SEED) -> Iterator[LedgerEvent]:
    """Everything that happens, in the order of a log: the same arguments give the same events.

    Only what is still to come of each player is held in memory.
    """
    return chain.from_iterable(appends(players, days, seed))


def appends(
    players: int = PLAYERS,
    days: int = DAYS,
    seed: int = SEED,
    *,
    on_day: Callable[[int], None] | None = None,
) -> Iterator[Append]:
    """The same, by what is recorded together; `on_day` hears the day of the span, from 0."""
    begins_us = microseconds(BEGINS)
    ends_us = begins_us + days * DAY
    world = World(begins_us - BEFORE_DAYS * DAY, ends_us)
    platform = Platform(world, seed, begins_us)
    world.start(world.now_us, platform.open())
    everybody = cast.cast(players, seed)
    for script in cast.scripts(everybody, platform, seed, begins_us=begins_us, ends_us=ends_us):
        world.start(world.now_us, script)
    return world.run(None if on_day is None else lambda at_us: on_day((at_us - begins_us) // DAY))
