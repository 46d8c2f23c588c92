"""Counters: what is counted in the same append as an event, and never below or above by chance.

A counter is kept beside the accounts and guarded like them, but it is not money: it has no
counterpart and no posting. Deposit limits are counted per calendar window of the player's own
time zone, from the moment a deposit is created; what an instrument has paid in, net, bounds what
may be paid back to it.
"""

from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import assert_never
from uuid import UUID

from domain.events import Count, LedgerEvent


class Window(StrEnum):
    """A calendar window that a limit is for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def limit_counter(player_id: UUID, window: Window, currency: str, today: date) -> str:
    """Gross deposits of the window that `today` lies in: `…:2026-11-22`, `…:2026-W47`, `…:2026-11`.

    `today` is the date where the player is; weeks are those of ISO 8601 and begin on Monday.
    """
    return f"limit:{player_id}:{currency}:{_period(window, today)}"


def limit_counters(player_id: UUID, currency: str, today: date) -> tuple[str, ...]:
    """Those of every window: day, week and month."""
    beginning = f"limit:{player_id}:{currency}:"
    return tuple([beginning + period for period in _periods(today)])


@lru_cache(maxsize=16)
def _periods(today: date) -> tuple[str, ...]:
    """What the windows of a date are called; every deposit of a day asks for the same."""
    return tuple(_period(window, today) for window in Window)


def _period(window: Window, today: date) -> str:
    match window:
        case Window.DAY:
            return today.isoformat()
        case Window.WEEK:
            year, week, _ = today.isocalendar()
            return f"{year:04}-W{week:02}"
        case Window.MONTH:
            return f"{today.year:04}-{today.month:02}"
        case _:
            assert_never(window)


def counted_on(counted: tuple[Count, ...]) -> date:
    """The date of the windows that `limit_counters` names: a player's calendar may change."""
    day, *_ = (count.counter.rpartition(":")[2] for count in counted)
    return date.fromisoformat(day)


def instrument_counter(player_id: UUID, instrument: str, currency: str) -> str:
    """What came in from an instrument, less what went back to it or is on its way there."""
    return f"instrument:{player_id}:{currency}:{instrument}"


def deposited_counter(player_id: UUID, currency: str) -> str:
    """Everything a player has paid in."""
    return f"deposited:{player_id}:{currency}"


def wagered_counter(player_id: UUID, currency: str) -> str:
    """The player's turnover, as the platform reports it."""
    return f"wagered:{player_id}:{currency}"


def counts(event: LedgerEvent) -> tuple[Count, ...]:
    """The counters that change with `event`."""
    changed: tuple[Count, ...] = getattr(event, "counts", ())
    return changed


def uncounted(counted: tuple[Count, ...]) -> tuple[Count, ...]:
    """What takes the counts back."""
    return tuple(Count(counter=c.counter, change=-c.change) for c in counted)
