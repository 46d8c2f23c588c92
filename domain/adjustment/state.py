"""Adjustment: state · evolve. What has become of a correction of the books."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.command import remember
from domain.events import (
    AdjustmentApproved,
    AdjustmentEvent,
    AdjustmentRejected,
    AdjustmentRequested,
    Move,
)
from domain.money import Money
from domain.provider.resolution import Proposal
from domain.replacing import replace


class AdjustmentStatus(StrEnum):
    """Where an adjustment stands; `screen_word` is what people read."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]

    @property
    def is_open_at_provider(self) -> bool:
        """Never: no provider has a part in it."""
        return False

    @property
    def is_settled(self) -> bool:
        return self is not AdjustmentStatus.REQUESTED


_SCREEN_WORDS = {
    AdjustmentStatus.REQUESTED: "Requested",
    AdjustmentStatus.APPROVED: "Completed",
    AdjustmentStatus.REJECTED: "Rejected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A correction of the books, from request to decision."""

    id: UUID
    version: int
    status: AdjustmentStatus
    player_id: UUID | None
    """None where it is about no player."""
    provider: str
    method: str
    amount: Money
    """Of the first move, for lists."""
    moves: tuple[Move, ...]
    purpose: str
    """An `AdjustmentReason`."""
    grounds: str
    """What it stands on: a document, a ticket, a settlement line."""
    transaction_id: UUID | None
    """The transaction that it sets right."""
    instrument: str | None
    metadata: Mapping[str, str]
    requested_by: str
    """Who may not approve it."""
    created_at: datetime
    updated_at: datetime
    reason: str | None
    """What it is for; once it is rejected, why."""
    decided_by: str = ""
    note: str = ""
    """Of who decided."""
    reference: str | None = None
    provider_reference: str | None = None
    proposal: Proposal | None = None
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""


def evolve_adjustment(state: Adjustment | None, event: AdjustmentEvent) -> Adjustment:
    """The adjustment after `event`."""
    if isinstance(event, AdjustmentRequested):
        return _requested(event)
    if state is None:
        raise ValueError(f"an adjustment's history cannot begin with {type(event).__name__}")
    return _moved(state, event)


def fold_adjustment(
    state: Adjustment | None, events: Iterable[AdjustmentEvent]
) -> Adjustment | None:
    """The adjustment after `events`, in order."""
    for event in events:
        state = evolve_adjustment(state, event)
    return state


def _requested(event: AdjustmentRequested) -> Adjustment:
    return Adjustment(
        id=event.originator_id,
        version=event.originator_version,
        status=AdjustmentStatus.REQUESTED,
        player_id=event.player_id,
        provider="",
        method="",
        amount=event.moves[0].money,
        moves=event.moves,
        purpose=event.reason,
        grounds=event.grounds,
        transaction_id=event.transaction_id,
        instrument=None,
        metadata=event.metadata,
        requested_by=event.actor.partition(":")[2],
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        reason=event.reason,
        commands={event.command_id: event.request_digest},
    )


def _moved(state: Adjustment, event: AdjustmentApproved | AdjustmentRejected) -> Adjustment:
    decided = replace(
        state,
        version=event.originator_version,
        updated_at=event.occurred_at,
        decided_by=event.person,
        note=event.note,
        commands=remember(state.commands, event),
    )
    match event:
        case AdjustmentApproved():
            return replace(decided, status=AdjustmentStatus.APPROVED)
        case AdjustmentRejected():
            return replace(decided, status=AdjustmentStatus.REJECTED, reason=event.reason)
        case _:
            assert_never(event)
