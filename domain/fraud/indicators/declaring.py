"""What an indicator is, said in data: from it follow rule sets, the API and the documentation."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from domain.fraud.assessment import Severity

HOUR_SECONDS: Final = 3_600
DAY_SECONDS: Final = 86_400


class Subject(StrEnum):
    """Whom or what an indicator judges; also the first part of a subject's name."""

    PLAYER = "player"
    HOLDING = "holding"
    """An instrument in the hands of one player."""
    INSTRUMENT = "instrument"
    DEVICE = "device"
    ADDRESS = "address"
    BIN = "bin"
    PROVIDER = "provider"
    OPERATORS = "operators"
    """All of staff together."""


class Unit(StrEnum):
    """What a number counts."""

    COUNT = "count"
    PERCENT = "percent"
    BASIS_POINTS = "basis_points"
    SECONDS = "seconds"
    MINOR = "minor"
    """Minor units of the parameter's currency."""
    TIMES = "times"


class Effect(StrEnum):
    """What follows from a hit, besides its weight in the score of payouts."""

    SCORE = "score"
    """Nothing else."""
    CARE = "care"
    """People look after the player; it says nothing against a payout."""
    REFUSES_DEPOSIT = "refuses_deposit"
    """The deposit has been refused already; it says nothing against a payout."""
    LOCKS_PAYOUTS = "locks_payouts"
    """Payouts are held until what is missing is there."""
    BLOCKS_LEG = "blocks_leg"
    """The payout is held: a part of it goes where it should not."""
    BLOCKS_PLAYER = "blocks_player"
    """Payouts are held, and the player is put on hold, which stops deposits too."""
    WATCHED = "watched"
    """Of no single player; staff looks into it."""

    @property
    def weighs(self) -> bool:
        """Whether it counts when a payout is judged."""
        return self not in (Effect.CARE, Effect.REFUSES_DEPOSIT, Effect.WATCHED)

    @property
    def holds(self) -> bool:
        """Whether payouts stop for it, whatever the score."""
        return self in (Effect.LOCKS_PAYOUTS, Effect.BLOCKS_LEG, Effect.BLOCKS_PLAYER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number that rule sets may change."""

    name: str
    default: int
    unit: Unit
    meaning: str
    """With its comparison: "at least this many declines within 10 minutes"."""
    currency: str | None = None
    """Of a number in minor units; amounts in others are compared at the rule set's rates."""
    least: int = 1
    most: int = 9_000_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How far an indicator looks back: from so long ago, that very instant included."""

    name: str
    seconds: int | None
    """None: the calendar month, or everything, as `name` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """One thing that is looked for."""

    number: int
    code: str
    title: str
    subjects: tuple[Subject, ...]
    """What its hits are about."""
    windows: tuple[Window, ...]
    parameters: tuple[Parameter, ...]
    severities: tuple[Severity, ...]
    """That its hits may have, lowest first."""
    effect: Effect
    active_seconds: int
    """How long a hit counts; until then the same is not recorded again, unless it gets worse."""
    meaning: str
    """What it is a sign of."""
    formula: str
    """With the names of parameters in backticks."""
    example: str
    """The sentence of a hit."""
    advice: str
    """What whoever works the case does first."""
    source: str
    """Where it comes from, and its defaults."""
    less_is_worse: bool = False
    """The value of a hit says more, the smaller it is."""
    money: str = ""
    """What `amount_minor` of a hit is, where its value does not say: of more of it the same hits
    again after a false alarm. Empty: nothing."""
