"""The world: a clock, and scripts that wake up in its order.

A script is a generator: it appends events at the moment it is woken at, and yields when it wants
to be woken next. Scripts that are awake at the same instant follow one another whole, so what a
script appends at once stays together. Only what is still to come is kept, never what has been.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final

from domain.events import LedgerEvent

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
"""In microseconds, as every time here."""

Script = Generator[int, None, None]
"""What somebody does; yields the instant of its next step, in microseconds since 1970."""

Append = tuple[LedgerEvent, ...]
"""Events that the ledger records together, or not at all."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class World:
    """Whoever does something, in the order of the time at which they do."""

    def __init__(self, begins_us: int, ends_us: int) -> None:
        """Nothing happens at `ends_us` or later; what is under way then stays so."""
        self.now_us = begins_us
        self.ends_us = ends_us
        self._now = instant(begins_us)
        self._waiting: list[tuple[int, int, Script]] = []
        self._started = 0
        self._appended: list[Append] = []

    @property
    def now(self) -> datetime:
        """The time, UTC."""
        return self._now

    def start(self, at_us: int, script: Script) -> None:
        """Let a script begin at `at_us`, or now if that is over."""
        self._started += 1
        heappush(self._waiting, (max(at_us, self.now_us), self._started, script))

    def append(self, events: Sequence[LedgerEvent]) -> None:
        """Record events of this instant together."""
        self._appended.append(tuple(events))

    def run(self, on_day: Callable[[int], None] | None = None) -> Iterator[Append]:
        """Everything that happens, in order; `on_day` hears how far the clock is."""
        waiting = self._waiting
        while waiting:
            at_us, _, script = waiting[0]
            if at_us >= self.ends_us:
                return
            if at_us != self.now_us:
                if on_day is not None and at_us // DAY != self.now_us // DAY:
                    on_day(at_us)
                self.now_us, self._now = at_us, instant(at_us)
            self._step(script)
            if self._appended:
                yield from self._appended
                self._appended.clear()

    def _step(self, script: Script) -> None:
        """Wake the script that is first, and let it wait again; it may have started others."""
        entry = heappop(self._waiting)
        wakes_us = next(script, None)
        if wakes_us is not None:
            heappush(self._waiting, (max(wakes_us, self.now_us), entry[1], script))


def instant(at_us: int) -> datetime:
    """Microseconds since 1970 as a time, UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def microseconds(at: datetime) -> int:
    """The other way round."""
    return (at - _EPOCH) // timedelta(microseconds=1)
