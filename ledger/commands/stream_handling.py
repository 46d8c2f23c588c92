"""Load, decide, append, for what is not a transaction: players, policies, rule sets, cases, …"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from domain.approval.policy import Policy
from domain.command import Command
from domain.conversion.rates import ExchangeRates
from domain.events import LedgerEvent
from domain.fraud.case import FraudCase
from domain.fraud.report import Report
from domain.fraud.ruleset import RuleSets
from domain.player.player import Player
from domain.provider.provider import Provider
from ledger.commands.errors import TooContended, VersionChanged
from ledger.commands.handling import DECISIONS_MAX, Handling
from ledger.eventstore.errors import VersionConflict

S = TypeVar("S", Player, Provider, Policy, ExchangeRates, RuleSets, FraudCase, Report)


def change_stream(
    handling: Handling,
    stream: UUID,
    project: Callable[[S | None, Iterable[Any]], S | None],
    command: Command,
    decide: Callable[[S | None], LedgerEvent | Sequence[LedgerEvent] | None],
    *,
    expected_version: int | None = None,
) -> S:
    """The state as the command left it, also when it is repeated.

    Events of other streams are appended with those of this one, all or none. What `decide` rests on
    besides the state it has to read each time it is asked.

    Args:
        expected_version: the command is refused if the stream has moved on.

    Raises:
        DomainError: the decision refuses.
        VersionChanged: the stream is at another version than expected.
        AppendError: see the ledger.
    """
    for _ in range(DECISIONS_MAX):
        state = handling.ledger.load(stream, project)
        events = _as_events(decide(state))
        if not events and state is not None:
            return _as_left(handling, stream, project, command) or state
        if not events:
            raise LookupError(f"nothing begins the stream {stream}")
        _refuse_other_version(state, expected_version)
        try:
            handling.ledger.append(events)
        except VersionConflict:
            continue
        finally:
            for concerned in {event.originator_id for event in events}:
                handling.ledger.forget(concerned)
        changed = project(state, [event for event in events if event.originator_id == stream])
        assert changed is not None  # noqa: S101  (an event leaves a state)
        return changed
    raise TooContended


def _as_events(
    decided: LedgerEvent | Sequence[LedgerEvent] | None,
) -> Sequence[LedgerEvent]:
    if decided is None:
        return ()
    return decided if isinstance(decided, Sequence) else (decided,)


def _refuse_other_version(state: S | None, expected_version: int | None) -> None:
    version = 0 if state is None else state.version
    if expected_version is not None and version != expected_version:
        raise VersionChanged(f"It is at version {version}, not {expected_version}; read it again.")


def _as_left(
    handling: Handling,
    stream: UUID,
    project: Callable[[S | None, Iterable[Any]], S | None],
    command: Command,
) -> S | None:
    """The state as the command left it when it was first carried out; None if it never was."""
    state: S | None = None
    left: S | None = None
    for event in handling.ledger.history(stream):
        state = project(state, [event])
        if event.command_id == command.command_id:
            left = state
        elif left is not None:
            break
    return left
