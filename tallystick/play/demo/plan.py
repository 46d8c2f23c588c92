"""What players and staff do on the demo's day: a pure function of the seed.

The day has several rounds, and each ends when everything is quiet. Within a round at most one
thing happens to a player's money, so that what comes of it never depends on which of two
messages was faster, and the same seed always ends with the same books.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final
from uuid import UUID

METHODS = ("card", "card", "card", "card", "redirect", "bank_transfer", "voucher")
CURRENCIES = ("EUR", "EUR", "EUR", "USD", "GBP", "JPY", "KWD", "CLF")
MAJOR_AMOUNTS = (10, 20, 25, 50, 100, 150, 250, 400, 800, 1_500, 3_000)
TIME_ZONES = ("Europe/Malta", "Europe/London", "America/Toronto", "Pacific/Auckland", "UTC")

RATES: Final = {
    "USD": "1.0835",
    "GBP": "0.8542",
    "JPY": "163.45",
    "KWD": "0.3331",
    "CLF": "0.0274",
}
"""The day's table, per euro: about as they are."""


class Course(StrEnum):
    """What staff do with a withdrawal that waits for them, step by step."""

    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    """Hold it, release it, approve it."""
    HOLD_AND_REJECT = "hold_and_reject"
    ASK = "ask"
    """Ask the player, hear the answer, approve it."""
    AMEND = "amend"
    """The player takes half of it; whoever had agreed has to agree again."""
    CANCEL = "cancel"


_COURSES = (
    *(Course.APPROVE,) * 7,
    *(Course.REJECT,) * 2,
    Course.HOLD,
    Course.HOLD_AND_REJECT,
    Course.ASK,
    Course.AMEND,
    Course.CANCEL,
)


class Decision(StrEnum):
    """What a second person says to a refund or an adjustment."""

    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPlayer:
    """A player of the day."""

    id: UUID
    currency: str
    time_zone: str
    verified: bool
    excluded: bool
    on_hold: bool
    limited: bool
    """Has set a limit below every deposit of the day."""
    instruments: tuple[str, str]
    """The second one is first used when every payment with the first is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDeposit:
    """A player pays in `major` whole units."""

    key: str
    player: PlannedPlayer
    method: str
    major: int
    instrument: str
    contested: bool
    """Where the player's bank disputes it, we send evidence; otherwise we accept."""
    resolved: bool
    """Where it ends in review, two people resolve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWithdrawal:
    """A player asks for `percent` of what is available: above 100 is refused."""

    key: str
    player: PlannedPlayer
    percent: int
    plays: bool
    """The player has played for what they have before they ask."""
    course: Course
    resolved: bool
    """Where it ends in review, two people resolve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRefund:
    """`percent` of a deposit goes back, if it can be refunded by then."""

    key: str
    player: PlannedPlayer
    deposit_key: str
    percent: int
    decision: Decision
    resolved: bool
    """Where it ends in review, two people resolve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedConversion:
    """A player exchanges `percent` of what is available: above 100 is refused."""

    key: str
    player: PlannedPlayer
    percent: int
    target_currency: str
    by_provider: bool
    resolved: bool
    """Where it ends in review, two people resolve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAdjustment:
    """Staff give a player `major` whole units, if a second person agrees."""

    key: str
    player: PlannedPlayer
    major: int
    decision: Decision


Planned = PlannedDeposit | PlannedWithdrawal | PlannedRefund | PlannedConversion | PlannedAdjustment


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Everything that is going to be asked for."""

    players: Sequence[PlannedPlayer]
    rounds: Sequence[Sequence[Planned]]


def plan_day(seed: int, transactions: int) -> Day:
    """The day of `seed`, with that many transactions, not counting disputes."""
    random = Random(seed)  # noqa: S311  (a plan, not a secret)
    plan = _Planner(random, (f"demo-{seed}-{number}" for number in range(transactions)))
    players = [_player(random) for _ in range(max(4, transactions // 5))]
    half = len(players) // 2
    refunds = min(transactions // 12, len(players))
    conversions = min(transactions // 12, len(players))
    adjustments = min(transactions // 40, len(players))
    left = transactions - refunds - conversions - adjustments
    first = left // 2
    second = min(left // 4, len(players))
    last = min((left - first - second) // 2, half)
    third = left - first - second - last
    deposits = plan.deposits(players, first, instrument=0)
    return Day(
        players=players,
        rounds=(
            deposits,
            plan.withdrawals(random.sample(players, second)),
            plan.deposits(players[:half], third, instrument=1),
            plan.withdrawals(random.sample(players[:half], last)),
            plan.refunds(_one_each(deposits), refunds),
            plan.conversions(random.sample(players, conversions)),
            plan.adjustments(random.sample(players, adjustments)),
        ),
    )


def _player(random: Random) -> PlannedPlayer:
    player_id = UUID(int=random.getrandbits(128), version=4)
    return PlannedPlayer(
        id=player_id,
        currency=random.choice(CURRENCIES),
        time_zone=random.choice(TIME_ZONES),
        verified=random.random() < 0.85,
        excluded=random.random() < 0.03,
        on_hold=random.random() < 0.03,
        limited=random.random() < 0.03,
        instruments=(f"tok_{player_id.hex[:12]}a", f"tok_{player_id.hex[:12]}b"),
    )


def _one_each(deposits: Sequence[PlannedDeposit]) -> list[PlannedDeposit]:
    """The first deposit of every player who makes one."""
    first: dict[UUID, PlannedDeposit] = {}
    for deposit in deposits:
        first.setdefault(deposit.player.id, deposit)
    return list(first.values())


@dataclass(frozen=True, slots=True)
class _Planner:
    """Draws what happens, in order."""

    random: Random
    keys: Iterator[str]

    def deposits(
        self, players: Sequence[PlannedPlayer], count: int, *, instrument: int
    ) -> list[PlannedDeposit]:
        return [self._deposit(self.random.choice(players), instrument) for _ in range(count)]

    def _deposit(self, player: PlannedPlayer, instrument: int) -> PlannedDeposit:
        return PlannedDeposit(
            key=next(self.keys),
            player=player,
            method=self.random.choice(METHODS),
            major=self.random.choice(MAJOR_AMOUNTS),
            instrument=player.instruments[instrument],
            contested=self.random.random() < 0.7,
            resolved=self.random.random() < 0.5,
        )

    def withdrawals(self, players: Sequence[PlannedPlayer]) -> list[PlannedWithdrawal]:
        return [
            PlannedWithdrawal(
                key=next(self.keys),
                player=player,
                percent=self.random.choice((10, 20, 35, 50, 80, 100, 100, 130)),
                plays=self.random.random() < 0.7,
                course=Course.REJECT if player.on_hold else self.random.choice(_COURSES),
                resolved=self.random.random() < 0.5,
            )
            for player in players
        ]

    def refunds(self, deposits: Sequence[PlannedDeposit], count: int) -> list[PlannedRefund]:
        decisions = (*(Decision.APPROVE,) * 6, Decision.REJECT, Decision.CANCEL)
        return [
            PlannedRefund(
                key=next(self.keys),
                player=deposit.player,
                deposit_key=deposit.key,
                percent=self.random.choice((30, 50, 100, 100)),
                decision=self.random.choice(decisions),
                resolved=self.random.random() < 0.5,
            )
            for deposit in self.random.sample(deposits, min(count, len(deposits)))
        ]

    def conversions(self, players: Sequence[PlannedPlayer]) -> list[PlannedConversion]:
        return [
            PlannedConversion(
                key=next(self.keys),
                player=player,
                percent=self.random.choice((10, 25, 50, 100, 130)),
                target_currency="USD" if player.currency == "EUR" else "EUR",
                by_provider=self.random.random() < 0.5,
                resolved=self.random.random() < 0.5,
            )
            for player in players
        ]

    def adjustments(self, players: Sequence[PlannedPlayer]) -> list[PlannedAdjustment]:
        return [
            PlannedAdjustment(
                key=next(self.keys),
                player=player,
                major=self.random.choice((5, 10, 20)),
                decision=self.random.choice((Decision.APPROVE, Decision.APPROVE, Decision.REJECT)),
            )
            for player in players
        ]
