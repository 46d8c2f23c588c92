"""The exploration itself: take every decision in every state, until no state is new."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from domain.counters import counts
from domain.errors import DomainError
from domain.events import EVENT_TYPES, Count, LedgerEvent
from domain.transactions import Transaction, evolve_transaction
from domain.withdrawal.legs import LegStatus
from tallystick.reference.arrows.samples import ANN, BEN, STREAM

Decided = LedgerEvent | Sequence[LedgerEvent] | None
Decision = Callable[[], Decided]
"""What somebody or something may do to a transaction as it is."""

T = TypeVar("T", bound=Transaction)


@dataclass(frozen=True, slots=True)
class Arrow:
    """An event that can happen to a transaction, and its status before and after."""

    event: str
    before: str
    """"" where the event begins the transaction."""
    after: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter that an event was seen to change."""

    event: str
    counter: str
    """The first part of its name."""
    rises: bool

    @classmethod
    def of(cls, event: str, count: Count) -> "Counted":
        return cls(event, count.counter.partition(":")[0], count.change > 0)


@dataclass(frozen=True, slots=True)
class Found:
    """What the exploration of one kind of transaction has seen, in the order of the events."""

    arrows: tuple[Arrow, ...]
    whole: tuple[Arrow, ...]
    """The same of transactions that are not in several parts."""
    legs: tuple[Arrow, ...]
    """What changes the status of one leg; empty where a transaction has none."""
    counted: frozenset[Counted]


def _no_legs(_: Transaction) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(Generic[T]):
    """A kind of transaction, and all that can be decided about it."""

    kind: type[T]
    statuses: type[StrEnum]
    first: Callable[[], Iterator[Decision]]
    """What may begin a transaction."""
    following: Callable[[T], Iterator[Decision]]
    """What may happen to it then."""
    essence: Callable[[T], object]
    """What decisions look at, without what grows for ever: times, versions, ids.

    A finer one finds the same arrows and takes minutes.
    """
    legs: Callable[[T], Sequence[str]] = _no_legs
    """The status of each of its legs."""


def explored(machine: Machine[T]) -> Found:
    """Take every decision in every state, until no state is new.

    What a decision records in other streams than the transaction's own is left out.
    """
    arrows: set[Arrow] = set()
    whole: set[Arrow] = set()
    legs: set[Arrow] = set()
    counted: set[Counted] = set()
    seen: set[object] = set()
    waiting: deque[T] = deque()

    def take(state: T | None, decision: Decision) -> None:
        begun = state
        for event in made_by(decision):
            if event.originator_id != STREAM:
                continue
            name, before = type(event).__name__, state
            state = cast("T", evolve_transaction(before, event))
            arrow = Arrow(name, before.status if before else "", state.status)
            arrows.add(arrow)
            if len(machine.legs(state)) <= 1:
                whole.add(arrow)
            legs.update(_changed_legs(machine, name, before, state))
            counted.update(Counted.of(name, count) for count in counts(event))
        if state is None or state is begun:
            return
        essence = machine.essence(state)
        if essence not in seen:
            seen.add(essence)
            # No command is a repeat here, whichever id it has.
            waiting.append(replace(cast("Any", state), commands={}))

    for decision in machine.first():
        take(None, decision)
    while waiting:
        state = waiting.popleft()
        for decision in machine.following(state):
            take(state, decision)
    return Found(
        arrows=_in_order(arrows, list(machine.statuses)),
        whole=_in_order(whole, list(machine.statuses)),
        legs=_in_order(legs, list(LegStatus)),
        counted=frozenset(counted),
    )


def _in_order(found: Iterable[Arrow], statuses: Sequence[str]) -> tuple[Arrow, ...]:
    types = [cls.__name__ for cls in EVENT_TYPES]
    places = {status: place for place, status in enumerate(["", *statuses])}
    return tuple(
        sorted(found, key=lambda a: (types.index(a.event), places[a.before], places[a.after]))
    )


def _changed_legs(machine: Machine[T], event: str, before: T | None, after: T) -> Iterable[Arrow]:
    was = machine.legs(before) if before else [""] * len(machine.legs(after))
    changes = zip(was, machine.legs(after), strict=False)
    return {Arrow(event, old, new) for old, new in changes if old != new}


def made_by(decision: Decision) -> Sequence[LedgerEvent]:
    """The events of a decision; none where it refuses."""
    try:
        made = decision()
    except DomainError:
        return ()
    if made is None:
        return ()
    return made if isinstance(made, Sequence) else (made,)


def by_two(state: T, decide: Callable[..., Decided], **arguments: object) -> Decision:
    """One person decides, and then another the same."""

    def decision() -> Sequence[LedgerEvent]:
        first = made_by(lambda: decide(state, ANN, **arguments))
        after: Transaction | None = state
        for event in first:
            if event.originator_id == STREAM:
                after = evolve_transaction(after, event)
        return (*first, *made_by(lambda: decide(after, BEN, **arguments)))

    return decision
