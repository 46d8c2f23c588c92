"""The table of contents: every fact the ledger can record, ending in the union `LedgerEvent`.

Events are named in the past tense and never change once recorded. Amounts are integers in minor
units; instants are UTC with microseconds; accounts and providers are named by strings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, get_args
from uuid import UUID

from domain.money import Money
from domain.outcomes import DeclineCode, Disposition, Evidence, Outcome, ReviewReason


class Header(TypedDict):
    """What every event carries, as keyword arguments."""

    originator_id: UUID
    originator_version: int
    occurred_at: datetime
    actor: str
    command_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact in one stream."""

    originator_id: UUID
    originator_version: int
    occurred_at: datetime
    actor: str
    """`operator:<person>`, `player:<id>`, `provider:<name>` or `system:<job>`."""
    command_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandedEvent(Event):
    """A fact that somebody asked for: repeating the request is recognised by its digest."""

    request_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Money that goes from one account to another."""

    source: str
    target: str
    money: Money


# --- deposits -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositCreated(CommandedEvent):
    """A player wants to pay in."""

    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositBlocked(Event):
    """A rule forbids the deposit; nothing was sent to the provider."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositAwaitingPlayer(Event):
    """The player has to act on the provider's page before `expires_at`."""

    redirect_url: str
    expires_at: datetime
    poll_at: datetime
    """When the provider is asked whether the player has acted; at the latest at `expires_at`."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositAuthorised(Event):
    """The amount is reserved on the player's instrument, not captured yet."""

    poll_at: datetime
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositCompleted(Event):
    """The provider has the money; the player is credited."""

    player_id: UUID
    provider: str
    settled: Money
    fee: Money | None
    late: bool
    """The success arrived after the deposit had been given up."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositVoided(Event):
    """The authorisation was released without a capture."""

    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositExpired(Event):
    """The player did not act in time, and the provider says nothing was paid."""

    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositCancelled(CommandedEvent):
    """Given up before anything was paid."""

    reason: str


# --- withdrawals --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRequested(CommandedEvent):
    """A player wants to be paid; the funds are reserved in the same append."""

    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    reserved: bool
    """False where the request is refused at once, and its rejection follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalScreeningStarted(Event):
    """The checks before a decision have begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalScreened(Event):
    """The checks are done: how many people have to agree, and why."""

    reasons: tuple[str, ...]
    approvals_required: int
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalApprovalGiven(CommandedEvent):
    """One of several people agreed; more have to."""

    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalApproved(CommandedEvent):
    """Everyone who has to agree did, or the policy asks for nobody."""

    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRejected(CommandedEvent):
    """Refused, by a rule or a person; what was reserved is released."""

    player_id: UUID
    reason: str
    note: str
    released: Money | None


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
    """Attempt `attempt` waits to be sent to the provider."""

    attempt: int


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
    """The provider has paid the player."""

    player_id: UUID
    provider: str
    amount: Money
    fee: Money | None
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalReturned(Event):
    """The bank sent the payout back; the player is credited again."""

    player_id: UUID
    provider: str
    amount: Money
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalCancelled(CommandedEvent):
    """Given up before it was paid; what was reserved is released."""

    player_id: UUID
    reason: str
    released: Money


# --- what happens to any transaction at a provider ----------------------------------------------


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
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeNoted(Event):
    """The provider was heard and nothing follows from it."""

    disposition: Disposition
    evidence: Evidence


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
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionResolved(CommandedEvent):
    """A second person agreed; `moves` sets the books right."""

    player_id: UUID
    person: str
    target: str
    note: str
    moves: tuple[Move, ...]


# --- notices of providers -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderNoticeReceived(Event):
    """Evidence: an authentic message of a provider, before anything is done about it."""

    provider: str
    message_id: str
    reference: str
    outcome: Outcome
    amount: Money | None
    fee: Money | None
    provider_reference: str | None
    decline_code: DeclineCode | None
    raw_code: str | None
    redirect_url: str | None
    raw_digest: str
    """SHA-256 of the raw body, in hexadecimal."""
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeUnmatched(Event):
    """The notice is about nothing we know."""

    reason: str


# --- players ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerRegistered(Event):
    """The platform's player, by an opaque id, may have transactions."""

    jurisdiction: str | None
    verification: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationChanged(CommandedEvent):
    """How well the player's identity is known: none, basic or full."""

    verification: str
    jurisdiction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerExcluded(CommandedEvent):
    """The player may not deposit."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionEnded(CommandedEvent):
    """The player may deposit again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(CommandedEvent):
    """No payout may leave for this player."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(CommandedEvent):
    """Payouts may leave again."""

    reason: str


# --- providers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRegistered(Event):
    """A payment service provider and the pace at which it is asked about open attempts."""

    provider: str
    adapter: str
    poll_delays_seconds: tuple[int, ...]
    """Delay before the first, second, … poll; a person is asked after the last."""
    expiry_seconds: Mapping[str, int]
    """By method: how long a player has to act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPaused(CommandedEvent):
    """No new transaction may go to this provider."""

    provider: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderResumed(CommandedEvent):
    """New transactions may go to this provider again."""

    provider: str
    reason: str


ProviderEvidence = (
    TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | NoticeNoted
    | ReviewOpened
    | ResolutionProposed
    | TransactionResolved
)
"""What any transaction shares that a provider carries out."""

DepositEvent = (
    DepositCreated
    | DepositBlocked
    | DepositAwaitingPlayer
    | DepositAuthorised
    | DepositCompleted
    | DepositVoided
    | DepositExpired
    | DepositCancelled
    | ProviderEvidence
)

WithdrawalEvent = (
    WithdrawalRequested
    | WithdrawalScreeningStarted
    | WithdrawalScreened
    | WithdrawalApprovalGiven
    | WithdrawalApproved
    | WithdrawalRejected
    | WithdrawalInformationRequested
    | WithdrawalInformationProvided
    | WithdrawalHeld
    | WithdrawalReleased
    | WithdrawalQueued
    | WithdrawalRecalled
    | WithdrawalProcessing
    | WithdrawalPaid
    | WithdrawalReturned
    | WithdrawalCancelled
    | ProviderEvidence
)

NoticeEvent = ProviderNoticeReceived | NoticeUnmatched

PlayerEvent = (
    PlayerRegistered
    | VerificationChanged
    | PlayerExcluded
    | ExclusionEnded
    | HoldPlaced
    | HoldLifted
)

ProviderEvent = ProviderRegistered | ProviderPaused | ProviderResumed

LedgerEvent = DepositEvent | WithdrawalEvent | NoticeEvent | PlayerEvent | ProviderEvent

EVENT_TYPES: tuple[type[LedgerEvent], ...] = get_args(LedgerEvent)
"""Every event type, in the order of this file."""
