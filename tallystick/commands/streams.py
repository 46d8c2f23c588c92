"""Load, decide, append, for what is not a transaction: players, providers, policies, rates."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

from domain.commands import Command
from domain.events import LedgerEvent
from domain.player import Player
from domain.policy import Policy
from domain.provider import Provider
from domain.rates import RateTable
from tallystick.commands.errors import TooContended
from tallystick.commands.handling import DECISIONS_MAX, Handling
from tallystick.eventstore.errors import VersionConflict

S = TypeVar("S", Player, Provider, Policy, RateTable)


def change_stream(
    handling: Handling,
    stream: UUID,
    project: Callable[[S | None, Iterable[Any]], S | None],
    command: Command,
    decide: Callable[[S | None], LedgerEvent | None],
) -> S:
    """The state as the command left it, also when it is repeated.

    Raises:
        DomainError: the decision refuses.
        AppendError: see the ledger.
    """
    for _ in range(DECISIONS_MAX):
        state = handling.ledger.load(stream, project)
        event = decide(state)
        if event is None and state is not None:
            return _as_left(handling, stream, project, command) or state
        if event is None:
            raise LookupError(f"nothing begins the stream {stream}")
        try:
            handling.ledger.append([event])
        except VersionConflict:
            continue
        finally:
            handling.ledger.forget(stream)
        changed = project(state, [event])
        assert changed is not None  # noqa: S101  (an event leaves a state)
        return changed
    raise TooContended


def _as_left(
    handling: Handling,
    stream: UUID,
    project: Callable[[S | None, Iterable[Any]], S | None],
    command: Command,
) -> S | None:
    """The state as the command left it when it was first carried out; None if it never was."""
    state: S | None = None
    for event in handling.ledger.history(stream):
        state = project(state, [event])
        if event.command_id == command.command_id:
            return state
    return None
