"""Adjustments: two people correct the books."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Move,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentRequested(CommandedEvent):
    """Somebody wants the books corrected; nothing moves before another person agrees."""

    player_id: UUID | None
    moves: tuple[Move, ...]
    reason: str
    grounds: str
    """What it stands on: a document, a ticket, a settlement line."""
    transaction_id: UUID | None
    """The transaction that it sets right."""
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentApproved(CommandedEvent):
    """A second person agreed; the money moves."""

    person: str
    role: str
    note: str
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentRejected(CommandedEvent):
    """Refused, by a rule or a second person; nothing moved."""

    person: str
    reason: str
    note: str
