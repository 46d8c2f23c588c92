"""Instruments, places, providers and staff: what is kept of each, and how a signal changes it."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeVar

import msgspec

from projections.fraud.judging import Evolve
from projections.fraud.signals import (
    AnySignal,
    Cleared,
    Declined,
    Disputed,
    HolderChecked,
    LegAsked,
    NetCounted,
    RefundAsked,
    Seen,
    Settled,
    instant,
)
from projections.fraud.states import (
    OPERATORS_MAX,
    PLAYERS_MAX,
    AddressState,
    AnyState,
    BinState,
    DeviceState,
    HoldingState,
    InstrumentState,
    OperatorsState,
    ProviderState,
)
from projections.fraud.windows import DAY_US, MINUTE_US, added

QUARTER_US: Final = 15 * MINUTE_US
WEEK_US: Final = 7 * DAY_US
OPERATOR_DAYS: Final = 30
"""Days that refunds of staff are compared over, the present one included."""

Players = tuple[tuple[str, int], ...]
S = TypeVar("S", AddressState, BinState)

_replace = msgspec.structs.replace


def evolve_holding(state: HoldingState, signal: AnySignal, now_us: int) -> HoldingState:
    """What is kept of a player's instrument after `signal`."""
    match signal:
        case NetCounted():
            net = state.net.get(signal.currency, 0) + signal.change
            return _replace(
                state,
                at_us=now_us,
                net={**state.net, signal.currency: net},
                paid_in=state.paid_in or net > 0,
            )
        case LegAsked() | HolderChecked() | Cleared():
            return state
        case _:
            raise _says_nothing(signal, state)


def evolve_instrument(state: InstrumentState, signal: AnySignal, now_us: int) -> InstrumentState:
    """What is kept of an instrument, whoever uses it, after `signal`."""
    match signal:
        case Seen():
            players = _with_player(state.players, signal.player, now_us, 30 * DAY_US)
            return _replace(state, at_us=now_us, players=players)
        case Declined():
            return _replace(
                state,
                at_us=now_us,
                declines_24h=added(state.declines_24h, now_us, 0, DAY_US),
                declines_30d=added(state.declines_30d, now_us, 0, 30 * DAY_US),
            )
        case LegAsked() | Cleared():
            return state
        case _:
            raise _says_nothing(signal, state)


def evolve_device(state: DeviceState, signal: AnySignal, now_us: int) -> DeviceState:
    """What is kept of a device after `signal`."""
    match signal:
        case Seen():
            players = _with_player(state.players, signal.player, now_us, WEEK_US)
            return _replace(state, at_us=now_us, players=players)
        case Cleared():
            return state
        case _:
            raise _says_nothing(signal, state)


def evolve_address(state: AddressState, signal: AnySignal, now_us: int) -> AddressState:
    """What is kept of a network address after `signal`."""
    match signal:
        case Seen():
            players = _with_player(state.players, signal.player, now_us, DAY_US)
            return _replace(state, at_us=now_us, players=players)
        case Declined():
            return _declined(state, now_us)
        case Cleared():
            return state
        case _:
            raise _says_nothing(signal, state)


def evolve_bin(state: BinState, signal: AnySignal, now_us: int) -> BinState:
    """What is kept of an issuer's numbers after `signal`."""
    match signal:
        case Declined():
            return _declined(state, now_us)
        case Cleared():
            return state
        case _:
            raise _says_nothing(signal, state)


def evolve_provider(state: ProviderState, signal: AnySignal, now_us: int) -> ProviderState:
    """What is kept of a provider after `signal`; a new month starts from nothing."""
    match signal:
        case Settled() | Disputed():
            month = _month(now_us // DAY_US)
            if month != state.month:
                state = _replace(state, month=month, settled=0, disputes=0)
            if isinstance(signal, Settled):
                return _replace(state, at_us=now_us, settled=state.settled + 1)
            return _replace(state, at_us=now_us, disputes=state.disputes + 1)
        case Cleared():
            return state
        case _:
            raise _says_nothing(signal, state)


def evolve_operators(state: OperatorsState, signal: AnySignal, now_us: int) -> OperatorsState:
    """What is kept of staff after `signal`."""
    match signal:
        case RefundAsked():
            day = now_us // DAY_US
            if day != state.day:
                state = _next_day(state, day)
            asked = state.persons.get(signal.operator, 0)
            if not asked and len(state.persons) == OPERATORS_MAX:
                return state
            return _replace(state, persons={**state.persons, signal.operator: asked + 1})
        case Cleared():
            return state
        case _:
            raise _says_nothing(signal, state)


def _next_day(state: OperatorsState, day: int) -> OperatorsState:
    ended = (state.day, dict(Counter(state.persons.values())))
    recent = tuple(one for one in (*state.earlier, ended) if one[0] > day - OPERATOR_DAYS)
    return _replace(state, day=day, persons={}, earlier=recent)


def _with_player(players: Players, player: str, now_us: int, span_us: int) -> Players:
    """The players of the window, with this one last."""
    start_us = now_us - span_us
    if players and players[-1][0] == player and players[0][1] >= start_us:
        return (*players[:-1], (player, now_us))  # the same one again: so it nearly always is
    others = [one for one in players if one[0] != player and one[1] >= start_us]
    return (*others[1 - PLAYERS_MAX :], (player, now_us))


def _declined(state: S, now_us: int) -> S:
    return _replace(
        state,
        at_us=now_us,
        declines_15m=added(state.declines_15m, now_us, 0, QUARTER_US),
        declines_week=added(state.declines_week, now_us, 0, WEEK_US + QUARTER_US),
    )


@lru_cache(maxsize=64)
def _month(day: int) -> str:
    """Which calendar month a day is in, counted from 1970."""
    return f"{instant(day * DAY_US):%Y-%m}"


def _says_nothing(signal: AnySignal, state: AnyState) -> TypeError:
    return TypeError(f"{type(signal).__name__} says nothing to {type(state).__name__}")


EVOLVE_OTHERS: Final[Mapping[type[AnyState], Evolve]] = {
    HoldingState: evolve_holding,
    InstrumentState: evolve_instrument,
    DeviceState: evolve_device,
    AddressState: evolve_address,
    BinState: evolve_bin,
    ProviderState: evolve_provider,
    OperatorsState: evolve_operators,
}
