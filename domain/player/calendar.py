"""The calendar that deposit limits go by: the player's own, in which no day begins twice.

Asked at the edges: where midnight is comes from the time zone database of the machine. What it said
when a player moved is recorded.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.player.player import KeptDay, Player

_DAY = timedelta(days=1)


def today_of(player: Player, now: datetime) -> date:
    """The date that the player's deposits count on at `now`."""
    kept = player.kept_day
    if kept is not None and now < kept.until:
        return kept.day
    return now.astimezone(ZoneInfo(player.time_zone)).date()


def day_kept(player: Player, time_zone: str, now: datetime) -> KeptDay:
    """The day that goes on when the player moves to `time_zone`.

    It ends where it would have ended without that, or at the first midnight there afterwards, so
    that a move neither opens a new day with all of its limit nor closes one early.
    """
    kept, day = player.kept_day, today_of(player, now)
    if kept is not None and now < kept.until:
        ends = kept.until
    else:
        ends = _midnight(day + _DAY, player.time_zone)
    there = ends.astimezone(ZoneInfo(time_zone)).date()
    until = _midnight(there, time_zone)
    return KeptDay(day=day, until=until if until >= ends else _midnight(there + _DAY, time_zone))


def _midnight(day: date, time_zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)
