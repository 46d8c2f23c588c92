"""Players: what is kept of each, and how a signal changes it."""

from typing import assert_never

import msgspec

from domain.player.player import Verification
from projections.fraud.signals import (
    AnySignal,
    Attempted,
    Cleared,
    Converted,
    CredentialChanged,
    Declined,
    Disputed,
    Excluded,
    HolderChecked,
    Known,
    LegAsked,
    MonthCounted,
    NetCounted,
    Paid,
    PayoutAsked,
    RefundAsked,
    Refused,
    Seen,
    Settled,
    Taken,
    Wagered,
)
from projections.fraud.states import (
    AMOUNTS_MAX,
    ATTEMPTS_MAX,
    CONVERSIONS_MAX,
    INSTRUMENTS_MAX,
    ByCurrency,
    PlayerState,
    Used,
)
from projections.fraud.windows import AMOUNT_MAX, DAY_US, MINUTE_US, NOTHING, added

_replace = msgspec.structs.replace


def evolve_player(state: PlayerState, signal: AnySignal, now_us: int) -> PlayerState:
    """What is kept of a player after `signal`."""
    match signal:
        case Attempted():
            return _attempted(state, signal, now_us)
        case MonthCounted():
            return _replace(state, at_us=now_us, months=_months(state.months, signal))
        case Settled():
            return _settled(state, signal, now_us)
        case Wagered():
            return _wagered(state, signal, now_us)
        case PayoutAsked():
            return _asked(state, signal, now_us)
        case Paid():
            paid = _counted(state.paid_30d, signal, now_us, 30 * DAY_US)
            return _replace(state, at_us=now_us, paid_30d=paid)
        case Declined():
            recent = _since(state.declines, now_us - 10 * MINUTE_US)
            declines = (*recent, (now_us, signal.instrument))
            return _replace(state, at_us=now_us, declines=declines[-ATTEMPTS_MAX:])
        case Converted():
            return _converted(state, signal, now_us)
        case RefundAsked():
            refunds = added(state.refunds_30d, now_us, 0, 30 * DAY_US)
            return _replace(state, at_us=now_us, refunds_30d=refunds)
        case Disputed():
            disputes = added(state.disputes_180d, now_us, 0, 180 * DAY_US)
            return _replace(state, at_us=now_us, disputes_180d=disputes)
        case Taken():
            instruments = _used(state.instruments, (signal.instrument,), now_us)
            return _replace(state, at_us=now_us, instruments=instruments)
        case Known():
            return _known(state, signal, now_us)
        case Excluded():
            return _replace(state, at_us=now_us, excluded_until_us=signal.until_us)
        case CredentialChanged():
            return _replace(state, at_us=now_us, credential=signal.credential, credential_us=now_us)
        case Refused() | Cleared():
            return state
        case LegAsked() | NetCounted() | HolderChecked() | Seen():
            raise TypeError(f"{type(signal).__name__} says nothing about a player")
        case _:
            assert_never(signal)


def _attempted(state: PlayerState, signal: Attempted, now_us: int) -> PlayerState:
    recent = _since(state.attempts, now_us - 10 * MINUTE_US)
    attempts = (*recent, (now_us, signal.instrument))
    used = (signal.instrument,) if signal.instrument else ()
    return _replace(
        state,
        at_us=now_us,
        attempts=attempts[-ATTEMPTS_MAX:],
        attempts_24h=added(state.attempts_24h, now_us, 0, DAY_US),
        instruments=_used(state.instruments, used, now_us),
        gap_us=_gap(state, now_us),
    )


def _settled(state: PlayerState, signal: Settled, now_us: int) -> PlayerState:
    return _replace(
        state,
        at_us=now_us,
        deposits_180d=_counted(state.deposits_180d, signal, now_us, 180 * DAY_US),
        deposits_30d=_counted(state.deposits_30d, signal, now_us, 30 * DAY_US),
        deposits_7d=_counted(state.deposits_7d, signal, now_us, 7 * DAY_US),
        amounts=(*state.amounts, (now_us, signal.amount, signal.currency))[-AMOUNTS_MAX:],
        instruments=_paid_in(state.instruments, signal.instrument),
        gap_us=_gap(state, now_us),
        last_payment_us=now_us,
        wagered_since={},
    )


def _wagered(state: PlayerState, signal: Wagered, now_us: int) -> PlayerState:
    known = state.wagered_since.get(signal.currency, 0)
    since = {**state.wagered_since, signal.currency: min(known + signal.amount, AMOUNT_MAX)}
    wagered = _counted(state.wagered_72h, signal, now_us, 3 * DAY_US)
    return _replace(state, at_us=now_us, wagered_72h=wagered, wagered_since=since)


def _asked(state: PlayerState, signal: PayoutAsked, now_us: int) -> PlayerState:
    """An amended request is the same payout: it does not count again."""
    instruments = _used(state.instruments, signal.instruments, now_us)
    gap_us = _gap(state, now_us)
    if signal.amended:
        return _replace(state, at_us=now_us, instruments=instruments, gap_us=gap_us)
    return _replace(
        state,
        at_us=now_us,
        asked_72h=_counted(state.asked_72h, signal, now_us, 3 * DAY_US),
        instruments=instruments,
        gap_us=gap_us,
        last_payment_us=now_us,
    )


def _converted(state: PlayerState, signal: Converted, now_us: int) -> PlayerState:
    recent = [one for one in state.conversions if one[0] >= now_us - DAY_US]
    one = (now_us, signal.source, signal.source_currency, signal.target, signal.target_currency)
    return _replace(state, at_us=now_us, conversions=(*recent, one)[-CONVERSIONS_MAX:])


def _known(state: PlayerState, signal: Known, now_us: int) -> PlayerState:
    """What only asked for full verification ends with it."""
    active = state.active
    if signal.verification == Verification.FULL:
        active = tuple([one for one in active if one.indicator != "due_diligence_threshold"])
    return _replace(
        state,
        at_us=now_us,
        active=active,
        verification=signal.verification,
        country=signal.country,
    )


def _gap(state: PlayerState, now_us: int) -> int:
    return now_us - state.last_payment_us if state.last_payment_us else 0


def _months(months: dict[str, tuple[str, int]], signal: MonthCounted) -> dict[str, tuple[str, int]]:
    """Of an earlier month than the latest, nothing is kept."""
    month, gross = months.get(signal.currency, ("", 0))
    if signal.month < month:
        return months
    counted = gross + signal.change if signal.month == month else signal.change
    return {**months, signal.currency: (signal.month, counted)}


def _used(known: tuple[Used, ...], instruments: tuple[str, ...], now_us: int) -> tuple[Used, ...]:
    """The instruments with those of `instruments` used just now."""
    for name in instruments:
        latest = Used(name, now_us, now_us)
        others: list[Used] = []
        for one in known:
            if one.instrument == name:
                latest = Used(name, one.first_us, now_us, one.settled)
            else:
                others.append(one)
        known = (*others, latest)[-INSTRUMENTS_MAX:]
    return known


def _paid_in(known: tuple[Used, ...], instrument: str) -> tuple[Used, ...]:
    """The instruments, of which `instrument` has paid in; mostly it had before."""
    for place, one in enumerate(known):
        if one.instrument == instrument and not one.settled:
            return (*known[:place], _replace(one, settled=True), *known[place + 1 :])
    return known


def _counted(
    windows: ByCurrency, signal: Settled | Wagered | PayoutAsked | Paid, now_us: int, span_us: int
) -> ByCurrency:
    entries = windows.get(signal.currency, NOTHING)
    return {**windows, signal.currency: added(entries, now_us, signal.amount, span_us)}


def _since(entries: tuple[tuple[int, str], ...], start_us: int) -> tuple[tuple[int, str], ...]:
    if not entries or entries[0][0] >= start_us:
        return entries
    return tuple([entry for entry in entries if entry[0] >= start_us])
