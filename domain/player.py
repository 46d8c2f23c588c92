"""Player: state · decisions · evolve. Who may deposit, and whose payouts may leave."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.commands import Command, remember, repeated
from domain.errors import NothingToChange
from domain.events import (
    ExclusionEnded,
    HoldLifted,
    HoldPlaced,
    PlayerEvent,
    PlayerExcluded,
    PlayerRegistered,
    VerificationChanged,
)


class Verification(StrEnum):
    """How well the player's identity is known."""

    NONE = "none"
    BASIC = "basic"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """The platform's customer, known here by an opaque id."""

    id: UUID
    version: int
    registered_at: datetime
    jurisdiction: str | None
    verification: Verification
    excluded: bool = False
    on_hold: bool = False
    commands: Mapping[UUID, str]


def register_player(
    player_id: UUID,
    command: Command,
    *,
    jurisdiction: str | None = None,
    verification: Verification = Verification.NONE,
) -> PlayerRegistered:
    """Make the player known."""
    return PlayerRegistered(
        **command.header(player_id, 1), jurisdiction=jurisdiction, verification=verification
    )


def change_verification(
    state: Player, command: Command, *, verification: Verification, jurisdiction: str | None
) -> VerificationChanged | None:
    """Record how well the player's identity is known; None if this command did so already.

    Raises:
        NothingToChange: it is so already.
    """
    if repeated(state.commands, command):
        return None
    if (state.verification, state.jurisdiction) == (verification, jurisdiction):
        raise NothingToChange
    return VerificationChanged(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        verification=verification,
        jurisdiction=jurisdiction,
    )


def set_exclusion(
    state: Player, command: Command, *, excluded: bool, reason: str
) -> PlayerExcluded | ExclusionEnded | None:
    """Begin or end the player's exclusion from deposits; None if this command did so already.

    Raises:
        NothingToChange: it is so already.
    """
    if repeated(state.commands, command):
        return None
    if state.excluded == excluded:
        raise NothingToChange
    event = PlayerExcluded if excluded else ExclusionEnded
    return event(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        reason=reason,
    )


def set_hold(
    state: Player, command: Command, *, on_hold: bool, reason: str
) -> HoldPlaced | HoldLifted | None:
    """Stop the player's payouts, or let them go again; None if this command did so already.

    Raises:
        NothingToChange: it is so already.
    """
    if repeated(state.commands, command):
        return None
    if state.on_hold == on_hold:
        raise NothingToChange
    event = HoldPlaced if on_hold else HoldLifted
    return event(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        reason=reason,
    )


def evolve_player(state: Player | None, event: PlayerEvent) -> Player:
    """The player after `event`."""
    if isinstance(event, PlayerRegistered):
        return Player(
            id=event.originator_id,
            version=event.originator_version,
            registered_at=event.occurred_at,
            jurisdiction=event.jurisdiction,
            verification=Verification(event.verification),
            commands={},
        )
    if state is None:
        raise ValueError(f"a player's history cannot begin with {type(event).__name__}")
    return replace(
        _changed(state, event),
        version=event.originator_version,
        commands=remember(state.commands, event),
    )


def _changed(state: Player, event: PlayerEvent) -> Player:
    match event:
        case PlayerRegistered():
            raise ValueError("a player is registered once")
        case VerificationChanged():
            return replace(
                state,
                verification=Verification(event.verification),
                jurisdiction=event.jurisdiction,
            )
        case PlayerExcluded():
            return replace(state, excluded=True)
        case ExclusionEnded():
            return replace(state, excluded=False)
        case HoldPlaced():
            return replace(state, on_hold=True)
        case HoldLifted():
            return replace(state, on_hold=False)
        case _:
            assert_never(event)


def fold_player(state: Player | None, events: Iterable[PlayerEvent]) -> Player | None:
    """The player after `events`, in order."""
    for event in events:
        state = evolve_player(state, event)
    return state
