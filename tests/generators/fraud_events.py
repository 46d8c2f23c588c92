"""Small worlds for the fraud indicators: logs of real events, close to what thresholds are at.

A world is played from steps, each a handful of small numbers: hypothesis draws them and makes a
failing world smaller, or a seed does, which is quicker.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Final

from hypothesis import strategies as st

from domain import events as e
from domain.events import LedgerEvent
from domain.money import Money
from tests.generators.fraud_acts import play
from tests.generators.fraud_rules import crowded_terms, drawn_terms
from tests.generators.fraud_world import DAY, EDGES, HOUR, MICROSECOND, SECOND, Step, World

LENGTH_MAX: Final = 40
AT_MOST: Final = Counter({e.DepositCreated: 60, e.TransactionFailed: 60, e.ConversionExecuted: 30})
"""Of an event in one world; so that what is kept of a subject is kept exactly."""
CROWD: Final = 350

STEPS: Final = st.tuples(*[st.integers(0, 255)] * len(Step._fields)).map(lambda s: Step(*s))


def worlds() -> st.SearchStrategy[list[LedgerEvent]]:
    """Logs that hypothesis draws: some short, most not."""
    short = st.lists(STEPS, min_size=1, max_size=LENGTH_MAX // 4)
    long = st.lists(STEPS, min_size=LENGTH_MAX // 2, max_size=LENGTH_MAX)
    return st.builds(world, st.integers(0, 255), short | long | long)


def seeded(seed: int) -> list[LedgerEvent]:
    """A log that a seed draws."""
    random = Random(seed)
    numbers = (random.randbytes(len(Step._fields)) for _ in range(random.randint(10, LENGTH_MAX)))
    return world(random.randrange(256), [Step(*drawn) for drawn in numbers])


def world(kind: int, steps: Iterable[Step]) -> list[LedgerEvent]:
    """A log of minutes, days, weeks or months; a quarter of them by the usual thresholds."""
    made = World(EDGES[kind % 4], AT_MOST)
    if kind // 4 % 4:
        made.publish(drawn_terms(Random(kind)))
    for step in steps:
        play(made, step)
    return made.log


def crowded(seed: int) -> list[LedgerEvent]:
    """One player who pays in so often that some window of theirs is not kept exactly.

    The thresholds are about what the windows come to.
    """
    random = Random(seed)
    made = World(
        EDGES[0],
        Counter({e.DepositCreated: CROWD, e.TransactionFailed: CROWD, e.DepositCompleted: CROWD}),
    )
    made.publish(crowded_terms())
    pause = (8 * SECOND, HOUR / 6, 4 * HOUR, DAY)[seed % 4]
    for _ in range(CROWD):
        made.now += random.choice((MICROSECOND, pause / 2, pause, pause, 2 * pause))
        created = made.attempt(Step(0, 0, 0, 0, 0, 1, 1), amount=Money(100, "EUR"))
        if random.random() < (0.95, 0.5, 0.95, 0.2)[seed % 4]:
            made.decline(created)
        else:
            made.settle(created)
    return made.log


def numbered(log: Iterable[LedgerEvent]) -> Iterator[tuple[int, LedgerEvent]]:
    """With positions."""
    return enumerate(log, start=1)
