"""Limits: how much a player may pay in per calendar day, week and month.

Less holds at once, more only after a while: nobody raises their limit in the heat of a game.
Deposits are counted gross and from their creation, in all three windows whether or not there is a
limit, so that a limit set later knows what has been paid in before it.

Source: Gambling Commission, Remote technical standards 12 (financial limits).
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from uuid import UUID

from domain.command import Command, repeated
from domain.counters import Window, limit_counter, limit_counters
from domain.errors import LimitInvalid, NothingToChange, Reason
from domain.events import Count, LimitSet
from domain.money import AMOUNT_MINOR_MAX, Money, currencies
from domain.player.jurisdictions import jurisdiction_of, may_deposit_as_known
from domain.player.player import Player


def set_limit(
    state: Player,
    command: Command,
    *,
    window: Window,
    currency: str,
    limit_minor: int | None,
) -> LimitSet | None:
    """Lower a limit now or raise it later; None if this command did so already.

    `limit_minor` None removes the limit, which is the highest of all; 0 allows no deposits. What
    is asked for replaces an increase that is still to come; asking for what is in force calls
    such an increase off.

    Raises:
        LimitInvalid: below 0, above what an amount can be, or no such currency.
        NothingToChange: it is so already, or has been asked for already.
    """
    if repeated(state.commands, command):
        return None
    _check_limit(currency, limit_minor)
    return LimitSet(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        window=window,
        currency=currency,
        limit_minor=limit_minor,
        effective_at=_effective_at(state, window, currency, limit_minor, command.now),
    )


def _check_limit(currency: str, limit_minor: int | None) -> None:
    if currency not in currencies():
        raise LimitInvalid(f"{currency!r} is not an ISO 4217 currency; use a code such as EUR.")
    if limit_minor is None:
        return
    if type(limit_minor) is not int or not 0 <= limit_minor <= AMOUNT_MINOR_MAX:
        raise LimitInvalid


def _effective_at(
    state: Player, window: Window, currency: str, asked_minor: int | None, now: datetime
) -> datetime:
    in_force = limit_in_force(state, window, currency, now)
    standing = state.limits.get((window, currency))
    waiting = standing is not None and standing.is_pending(now)
    if not _is_increase(in_force, asked_minor):
        if asked_minor == in_force and not waiting:
            raise NothingToChange
        return now
    # Asking again for the same is no reason to wait longer, nor a way to a new waiting time.
    if standing is not None and waiting and standing.pending_minor == asked_minor:
        raise NothingToChange
    delay_seconds = jurisdiction_of(state.jurisdiction).limit_increase_seconds
    return now + timedelta(seconds=delay_seconds)


def _is_increase(from_minor: int | None, to_minor: int | None) -> bool:
    if from_minor is None:
        return False
    return to_minor is None or to_minor > from_minor


def limit_in_force(state: Player, window: Window, currency: str, now: datetime) -> int | None:
    """What the player may pay in per `window` at `now`, in minor units; None: no limit."""
    limit = state.limits.get((window, currency))
    return limit.in_force(now) if limit else None


def deposit_counts(player_id: UUID, amount: Money, today: date) -> tuple[Count, ...]:
    """What a deposit counts on: day, week and month of `today`, the date where the player is."""
    counters = limit_counters(player_id, amount.currency, today)
    return tuple([Count(counter=counter, change=amount.amount) for counter in counters])


def deposit_ceilings(
    player: Player, currency: str, now: datetime, today: date
) -> Mapping[str, int]:
    """How far each counter may go, in minor units; only those of windows with a limit."""
    return dict(_ceilings(player, currency, now, today)) if player.limits else {}


def _ceilings(
    player: Player, currency: str, now: datetime, today: date
) -> Iterator[tuple[str, int]]:
    for window in Window:
        limit_minor = limit_in_force(player, window, currency, now)
        if limit_minor is not None:
            yield limit_counter(player.id, window, currency, today), limit_minor


def standing_concerns(player: Player, now: datetime) -> tuple[Reason, ...]:
    """Why the player may pay nothing in as they stand now, whatever the amount."""
    forbidden = {
        Reason.PLAYER_EXCLUDED: player.is_excluded(now),
        Reason.PLAYER_ON_HOLD: player.stops_deposits,
        Reason.PLAYER_UNVERIFIED: not may_deposit_as_known(player),
    }
    return tuple(reason for reason, applies in forbidden.items() if applies)


def late_concerns(
    player: Player, amount: Money, used: Mapping[str, int], now: datetime, today: date
) -> tuple[str, ...]:
    """What would have stopped a deposit of which we hear late that it went through.

    It is credited all the same: the money has been taken from the player. `used` is by counter,
    in minor units, without this deposit; `today` is the date that the deposit counts on.
    """
    ceilings = deposit_ceilings(player, amount.currency, now, today)
    concerns: list[str] = list(standing_concerns(player, now))
    if any(used.get(counter, 0) + amount.amount > most for counter, most in ceilings.items()):
        concerns.append(Reason.LIMIT_EXCEEDED)
    return tuple(concerns)
