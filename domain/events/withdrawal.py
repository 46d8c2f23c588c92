"""Withdrawals: a player is paid."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.base import (
    CommandedEvent,
    Count,
    Event,
    PlannedLeg,
)
from domain.events.evidence import Evidence
from domain.events.origins import Origin
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRequested(CommandedEvent):
    """A player wants to be paid; the funds are reserved in the same append."""

    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    origin: Origin | None
    reserved: bool
    """False where the request is refused at once, and its rejection follows."""
    legs: tuple[PlannedLeg, ...]
    """Where the money goes: first back to what the player paid in with."""
    closed_loop: bool
    """Every leg goes to an instrument the player has paid in with, or they never paid in."""
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalAmended(CommandedEvent):
    """The player takes less, or to another instrument; what was approved before does not count."""

    player_id: UUID
    amount: Money
    instrument: str | None
    legs: tuple[PlannedLeg, ...]
    closed_loop: bool
    origin: Origin | None
    """Of the request: an amended payout is judged by it, too."""
    released: Money | None
    note: str
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalScored(CommandedEvent):
    """How risky the payout looks; approvals given on another score do not count."""

    score: int
    """0 to 100."""
    high: tuple[str, ...]
    """Indicators of high severity."""
    ruleset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalScreeningStarted(Event):
    """The checks before a decision have begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedHit:
    """An indicator that counted when a payout was screened."""

    indicator: str
    severity: str
    subject: str
    """`player:<id>`, `instrument:<fingerprint>`, `device:<token>`, …"""
    position: int
    """Of the event in the log that completed it."""
    holds: bool
    """The payout stops for it, whatever its score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalScreened(Event):
    """The checks are done: who has to agree, and why."""

    reasons: tuple[str, ...]
    required: tuple[tuple[str, ...], ...]
    """One person for each group of roles, who has any role of it; none: nobody has to."""
    policy: str
    approval_seconds: int
    """How long an approval counts."""
    score: int
    """0 to 100: of the indicators below, or of whoever scored it higher."""
    high: tuple[str, ...]
    """Indicators of high or critical severity."""
    hits: tuple[WeighedHit, ...]
    ruleset: str
    """By which it was judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalApprovalGiven(CommandedEvent):
    """One of several people agreed; more have to."""

    person: str
    role: str
    snapshot: str
    """Digest of what they agreed to: amount, instrument, legs, risk."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalApproved(CommandedEvent):
    """Everyone who has to agree did, or the policy asks for nobody."""

    person: str
    role: str
    snapshot: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRejected(CommandedEvent):
    """Refused, by a rule or a person; what was reserved is released."""

    player_id: UUID
    reason: str
    note: str
    released: Money | None
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalInformationRequested(CommandedEvent):
    """The decision waits for an answer from the player."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalInformationProvided(CommandedEvent):
    """The answer came; the decision can go on."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalHeld(CommandedEvent):
    """Compliance stops the withdrawal until it is released or rejected."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalReleased(CommandedEvent):
    """The hold is over; the withdrawal is under review again."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalQueued(CommandedEvent):
    """Attempt `attempt`, for one leg, waits to be sent to the provider."""

    leg: int
    attempt: int
    """From 1, over all legs: the number in the attempt's reference."""
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRecalled(Event):
    """Taken out of the queue, because what the approval stood on has changed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalProcessing(Event):
    """The provider works on the payout."""

    polls: int
    poll_at: datetime | None
    """None where the schedule stays as it is."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalPaid(Event):
    """The provider has paid the player what one leg is about."""

    leg: int
    player_id: UUID
    provider: str
    amount: Money
    fee: Money | None
    evidence: Evidence
    from_available: Money | None = None
    """Paid again after it had come back: what of it the player still had, and is taken again."""
    from_house: Money | None = None
    """What of it they no longer had, and the house lends."""
    counts: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalReturned(Event):
    """The bank sent a leg's payout back; the player is credited again."""

    leg: int
    player_id: UUID
    provider: str
    amount: Money
    counts: tuple[Count, ...]
    evidence: Evidence
    to_house: Money | None = None
    """What of it the house had paid, and has again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalCancelled(CommandedEvent):
    """Given up before it was paid; what was reserved is released."""

    player_id: UUID
    reason: str
    released: Money
    counts: tuple[Count, ...]
