"""What players and staff do on the demo's day: a pure function of the seed.

The day has three rounds, and each ends when everything is quiet. Within a round a player either
pays in or asks for one payout, so that what happens to them never depends on which of two
messages was faster, and the same seed always ends with the same books.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from uuid import UUID

METHODS = ("card", "card", "card", "card", "redirect", "bank_transfer", "voucher")
CURRENCIES = ("EUR", "EUR", "EUR", "USD", "GBP", "JPY", "KWD")
MAJOR_AMOUNTS = (10, 20, 25, 50, 100, 150, 250, 400, 800, 1_500, 3_000)


class Course(StrEnum):
    """What staff do with a withdrawal that waits for them, step by step."""

    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    """Hold it, release it, approve it."""
    HOLD_AND_REJECT = "hold_and_reject"
    ASK = "ask"
    """Ask the player, hear the answer, approve it."""
    CANCEL = "cancel"


_COURSES = (
    *(Course.APPROVE,) * 8,
    *(Course.REJECT,) * 2,
    Course.HOLD,
    Course.HOLD_AND_REJECT,
    Course.ASK,
    Course.CANCEL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPlayer:
    """A player of the day."""

    id: UUID
    currency: str
    verified: bool
    excluded: bool
    on_hold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDeposit:
    """A player pays in `major` whole units."""

    key: str
    player: PlannedPlayer
    method: str
    major: int
    resolved: bool
    """Where it ends in review, two people resolve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWithdrawal:
    """A player asks for `percent` of what is available: above 100 is refused."""

    key: str
    player: PlannedPlayer
    percent: int
    course: Course
    resolved: bool
    """Where it ends in review, two people resolve it."""


Planned = PlannedDeposit | PlannedWithdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Everything that is going to be asked for."""

    players: Sequence[PlannedPlayer]
    rounds: Sequence[Sequence[Planned]]


def plan_day(seed: int, transactions: int) -> Day:
    """The day of `seed`, with that many transactions."""
    random = Random(seed)  # noqa: S311  (a plan, not a secret)
    players = [_player(random) for _ in range(max(4, transactions // 5))]
    first = transactions // 2
    second = min(transactions // 4, len(players))
    third = transactions - first - second
    numbers = iter(range(transactions))
    half = len(players) // 2
    withdrawals = min(third // 3, half)
    return Day(
        players=players,
        rounds=(
            _deposits(random, seed, numbers, players, first),
            _withdrawals(random, seed, numbers, random.sample(players, second)),
            _deposits(random, seed, numbers, players[:half], third - withdrawals)
            + _withdrawals(random, seed, numbers, random.sample(players[half:], withdrawals)),
        ),
    )


def _player(random: Random) -> PlannedPlayer:
    return PlannedPlayer(
        id=UUID(int=random.getrandbits(128), version=4),
        currency=random.choice(CURRENCIES),
        verified=random.random() < 0.85,
        excluded=random.random() < 0.03,
        on_hold=random.random() < 0.03,
    )


def _deposits(
    random: Random,
    seed: int,
    numbers: Iterator[int],
    players: Sequence[PlannedPlayer],
    count: int,
) -> list[Planned]:
    return [
        PlannedDeposit(
            key=f"demo-{seed}-{next(numbers)}",
            player=random.choice(players),
            method=random.choice(METHODS),
            major=random.choice(MAJOR_AMOUNTS),
            resolved=random.random() < 0.5,
        )
        for _ in range(count)
    ]


def _withdrawals(
    random: Random, seed: int, numbers: Iterator[int], players: Sequence[PlannedPlayer]
) -> list[Planned]:
    return [
        PlannedWithdrawal(
            key=f"demo-{seed}-{next(numbers)}",
            player=player,
            percent=random.choice((10, 20, 35, 50, 80, 100, 100, 130)),
            course=Course.REJECT if player.on_hold else random.choice(_COURSES),
            resolved=random.random() < 0.5,
        )
        for player in players
    ]
