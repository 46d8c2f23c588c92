"""What happens to any transaction at a provider."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Count,
    Event,
    Move,
)
from domain.events.evidence import Disposition, Evidence, ReviewReason
from domain.events.origins import Declined
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionSubmitted(Event):
    """From now on the attempt may have reached the provider: recorded before the call is made."""

    reference: str
    attempt: int
    provider: str
    poll_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPending(Event):
    """The provider was heard and has nothing final to say."""

    polls: int
    poll_at: datetime | None
    """None where the schedule stays as it is: a notice uses up no question, and postpones none."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionUnknown(Event):
    """It may have been sent and no readable answer came: not failed, to be polled."""

    polls: int
    poll_at: datetime
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionFailed(Event):
    """The attempt failed. `released` goes back to the player; with `retry_at` it stays reserved."""

    player_id: UUID
    reason: str
    released: Money | None
    retry_at: datetime | None
    counts: tuple[Count, ...]
    evidence: Evidence
    declined: Declined | None
    """Of a deposit that the provider declined; None for anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeNoted(Event):
    """The provider was heard and nothing follows from it, or no more than its fee."""

    disposition: Disposition
    evidence: Evidence
    fee: Money | None = None
    """Of a payment that came out of its order, and is not booked yet."""
    provider: str | None = None
    """Whose fee it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOpened(Event):
    """What the provider says cannot be acted on by a rule: a person must resolve it."""

    player_id: UUID
    reason: ReviewReason
    reserved: Money | None
    """Taken from the player's available balance until this is resolved."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionProposed(CommandedEvent):
    """One person says how the review should end; another has to agree."""

    person: str
    target: str
    leg: int | None
    """Which part of a payout it is about; None where the transaction has no parts."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionResolved(CommandedEvent):
    """A second person agreed; `moves` sets the books right."""

    player_id: UUID
    person: str
    target: str
    leg: int | None
    note: str
    moves: tuple[Move, ...]
    counts: tuple[Count, ...]
