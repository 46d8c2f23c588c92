"""Waiting: how many payouts people would have before them, day by day."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median_low
from typing import Final

from domain.fraud.assessment import Path
from projections.fraud.windows import DAY_US
from replay.backtest.payouts import Payout

DAYS_MAX: Final = 3_660
"""Of a queue that is shown: the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDay:
    """How many payouts people would have had before them when a day, in UTC, ended."""

    day: date
    before: int
    after: int


class Queue:
    """How many payouts people have before them, day by day, under both rule sets.

    A payout that goes to people is there from when it was asked for until it was decided in fact.
    One that nobody had before them in fact stays as long as the median of those that somebody had,
    or a day where there were none.
    """

    def __init__(self) -> None:
        self._changes: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self._unqueued: tuple[list[int], list[int]] = ([], [])
        self._durations_us: list[int] = []
        self._days: tuple[int, int] | None = None

    def add(self, payout: Payout, before: str, after: str, *, within: bool) -> None:
        """The next payout, with its path under both."""
        if payout.queued and payout.decided_us:
            self._durations_us.append(payout.decided_us - payout.asked_us)
        for side, path in enumerate((before, after)):
            if path == Path.AUTOMATIC:
                continue
            if payout.queued:
                self._there(side, payout.asked_us, payout.decided_us)
            else:
                self._unqueued[side].append(payout.asked_us)
        if within:
            day = payout.asked_us // DAY_US
            first, last = self._days or (day, day)
            self._days = (min(first, day), max(last, day))

    def by_day(self) -> tuple[QueueDay, ...]:
        """From the day of the first payout of the span to that of the last."""
        if self._days is None:
            return ()
        stay_us = median_low(self._durations_us) if self._durations_us else DAY_US
        for side, unqueued in enumerate(self._unqueued):
            for asked_us in unqueued:
                self._there(side, asked_us, asked_us + stay_us)
            unqueued.clear()
        first, last = self._days
        first = max(first, last - DAYS_MAX + 1)
        before, after = (_lengths(changes, first, last) for changes in self._changes)
        return tuple(
            QueueDay(day=_date(first + number), before=b, after=a)
            for number, (b, a) in enumerate(zip(before, after, strict=True))
        )

    def _there(self, side: int, since_us: int, until_us: int) -> None:
        """From one instant until before another; 0: it is there still."""
        changes = self._changes[side]
        changes[since_us // DAY_US] += 1
        if until_us:
            changes[max(until_us, since_us) // DAY_US] -= 1


def _lengths(changes: Mapping[int, int], first: int, last: int) -> list[int]:
    """At the end of each day."""
    length = sum(change for day, change in changes.items() if day < first)
    found = []
    for day in range(first, last + 1):
        length += changes.get(day, 0)
        found.append(length)
    return found


def _date(day: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()
