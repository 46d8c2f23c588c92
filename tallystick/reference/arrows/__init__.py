"""Which states an event leads to: every decision of the domain, taken in every state there is.

Nothing is listed by hand. An event that nothing leads to is an error.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from domain.transactions import Transaction
from tallystick.reference.arrows.adjustments import ADJUSTMENTS
from tallystick.reference.arrows.conversions import CONVERSIONS
from tallystick.reference.arrows.deposits import DEPOSITS
from tallystick.reference.arrows.disputes import DISPUTES
from tallystick.reference.arrows.exploring import Arrow, Counted, Found, Machine, explored
from tallystick.reference.arrows.refunds import REFUNDS
from tallystick.reference.arrows.samples import SAMPLE_ID
from tallystick.reference.arrows.withdrawals import WITHDRAWALS

__all__ = [
    "MACHINES",
    "SAMPLE_ID",
    "Arrow",
    "Counted",
    "Machine",
    "arrows",
    "counted",
    "grouped",
    "leg_arrows",
    "whole_arrows",
]

MACHINES: Final[Mapping[type[Transaction], Machine[Any]]] = {
    machine.kind: machine
    for machine in (DEPOSITS, WITHDRAWALS, REFUNDS, CONVERSIONS, DISPUTES, ADJUSTMENTS)
}
"""The six kinds of transactions."""


_BY_NAME: Final = {kind.__name__: machine for kind, machine in MACHINES.items()}


@cache
def _found(name: str) -> Found:
    return explored(_BY_NAME[name])


def arrows(kind: type[Transaction]) -> tuple[Arrow, ...]:
    """Everything that can happen to a transaction of this kind, in the order of the events."""
    return _found(kind.__name__).arrows


def whole_arrows(kind: type[Transaction]) -> tuple[Arrow, ...]:
    """The same, of transactions that are not in several parts: fewer, and enough to understand."""
    return _found(kind.__name__).whole


def leg_arrows() -> tuple[Arrow, ...]:
    """Everything that changes the status of a leg of a withdrawal."""
    return _found(WITHDRAWALS.kind.__name__).legs


def counted(kind: type[Transaction]) -> frozenset[Counted]:
    """The counters that events of this kind of transaction change."""
    return _found(kind.__name__).counted


def grouped(found: Iterable[Arrow]) -> Iterator[tuple[str, str, list[str]]]:
    """Event, status after it, and every status before it; "" before the first event."""
    befores: dict[tuple[str, str], list[str]] = defaultdict(list)
    for arrow in found:
        befores[arrow.event, arrow.after].append(arrow.before)
    for (event, after), before in befores.items():
        yield event, after, before
