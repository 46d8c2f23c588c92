"""States: what is kept of each subject, so that the next signal about it can be judged.

All of it is bounded: windows by `windows.py`, lists by the constants here. Times are microseconds
since 1970; amounts are minor units.
"""

from typing import Final

import msgspec

from domain.fraud.strength import Covered
from projections.engine.read_model import Kept
from projections.fraud.windows import NOTHING, Entries

INSTRUMENTS_MAX: Final = 64
"""Of one player; those used longest ago are forgotten first."""
PLAYERS_MAX: Final = 64
"""Of one instrument, device or address."""
ATTEMPTS_MAX: Final = 64
AMOUNTS_MAX: Final = 31
"""Deposits that a player's median is taken of."""
CONVERSIONS_MAX: Final = 32
OPERATORS_MAX: Final = 500
"""Persons a day; who comes later that day is not counted."""

ByCurrency = dict[str, Entries]
"""A window for each currency."""


class Active(msgspec.Struct, frozen=True, array_like=True):
    """A hit that still counts."""

    indicator: str
    severity: str
    mode: str
    position: int
    until_us: int
    """From then on it does not."""
    counts: bool = True
    """False: a case found that it was for nothing. What is no stronger than that case covered is
    not recorded again all the same."""
    about: str = ""
    """Which part of the subject it is about, where one part's hit must not hide another's."""
    unit: str = ""
    value: int = 0
    """How strong it is, by value and money; see `domain/fraud/strength.py`."""
    amount_minor: int = 0
    covered: Covered = ()
    """How strong the false alarms were that it, or the hits that it took the place of, ended as."""
    cause: str = ""
    """What it was true of; see `domain/fraud/strength.py`."""


class State(Kept, frozen=True, array_like=True):
    """What is kept of any subject."""

    at_us: int = 0
    """The subject's clock: the latest that any signal said. It never runs backwards."""
    active: tuple[Active, ...] = ()


class Used(msgspec.Struct, frozen=True, array_like=True):
    """An instrument as one player uses it."""

    instrument: str
    first_us: int
    last_us: int
    settled: bool = False
    """A deposit from it has been credited."""


class PlayerState(State, frozen=True, array_like=True, tag="player"):
    verification: str = "none"
    country: str = ""
    excluded_until_us: int = 0
    """-1: until somebody ends it; 0: not excluded."""
    months: dict[str, tuple[str, int]] = msgspec.field(default_factory=dict)
    """By currency: the latest calendar month deposited in, and gross deposits in it."""
    last_payment_us: int = 0
    gap_us: int = 0
    """Between what is judged and the payment before; 0: there was none."""
    credential: str = ""
    """What of theirs was changed last, such as `password`."""
    credential_us: int = 0
    """When; 0: never."""
    instruments: tuple[Used, ...] = ()
    """Used last, last."""
    attempts: tuple[tuple[int, str], ...] = ()
    """Of the last ten minutes: when, and the instrument."""
    declines: tuple[tuple[int, str], ...] = ()
    attempts_24h: Entries = NOTHING
    """Only counted, like refunds and disputes: they may be in any currency."""
    deposits_180d: ByCurrency = msgspec.field(default_factory=dict)
    deposits_30d: ByCurrency = msgspec.field(default_factory=dict)
    deposits_7d: ByCurrency = msgspec.field(default_factory=dict)
    amounts: tuple[tuple[int, int, str], ...] = ()
    """The latest deposits: when, how much, in what; the last one last."""
    asked_72h: ByCurrency = msgspec.field(default_factory=dict)
    """Payouts, as they were asked for."""
    paid_30d: ByCurrency = msgspec.field(default_factory=dict)
    wagered_72h: ByCurrency = msgspec.field(default_factory=dict)
    wagered_since: dict[str, int] = msgspec.field(default_factory=dict)
    """Since the last deposit, by currency."""
    refunds_30d: Entries = NOTHING
    disputes_180d: Entries = NOTHING
    conversions: tuple[tuple[int, int, str, int, str], ...] = ()
    """Of the last day: when, source, its currency, target, its currency."""


class HoldingState(State, frozen=True, array_like=True, tag="holding"):
    net: dict[str, int] = msgspec.field(default_factory=dict)
    """By currency: paid in, less what went back or is on its way there."""
    paid_in: bool = False
    """It ever was above 0."""


class InstrumentState(State, frozen=True, array_like=True, tag="instrument"):
    players: tuple[tuple[str, int], ...] = ()
    """Who used it in the last 30 days, and when last; who used it last, last."""
    declines_24h: Entries = NOTHING
    declines_30d: Entries = NOTHING


class DeviceState(State, frozen=True, array_like=True, tag="device"):
    players: tuple[tuple[str, int], ...] = ()
    """Of the last 7 days, as of an instrument."""


class AddressState(State, frozen=True, array_like=True, tag="address"):
    players: tuple[tuple[str, int], ...] = ()
    """Of the last 24 hours, as of an instrument."""
    declines_15m: Entries = NOTHING
    declines_week: Entries = NOTHING
    """Of the last quarter of an hour and the 7 days before."""


class BinState(State, frozen=True, array_like=True, tag="bin"):
    declines_15m: Entries = NOTHING
    declines_week: Entries = NOTHING
    """As of an address."""


class ProviderState(State, frozen=True, array_like=True, tag="provider"):
    month: str = ""
    """The calendar month, UTC: `2026-11`."""
    settled: int = 0
    disputes: int = 0


class OperatorsState(State, frozen=True, array_like=True, tag="operators"):
    day: int = 0
    """The latest day with a refund, UTC: days since 1970."""
    persons: dict[str, int] = msgspec.field(default_factory=dict)
    """Refunds that each person asked for on that day."""
    earlier: tuple[tuple[int, dict[int, int]], ...] = ()
    """The 29 days before it: how many persons asked for how many. Who they were is forgotten."""


AnyState = (
    PlayerState
    | HoldingState
    | InstrumentState
    | DeviceState
    | AddressState
    | BinState
    | ProviderState
    | OperatorsState
)

STATES: Final[dict[str, type[AnyState]]] = {
    "player": PlayerState,
    "holding": HoldingState,
    "instrument": InstrumentState,
    "device": DeviceState,
    "address": AddressState,
    "bin": BinState,
    "provider": ProviderState,
    "operators": OperatorsState,
}
"""By the first part of a subject's name."""
