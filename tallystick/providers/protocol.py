"""The port every payment provider is reached through.

An adapter maps, it does not decide: whatever a provider says becomes an `Outcome`, and the
domain decides what that means for the transaction. Amounts are integers in minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.money import Money
from domain.outcomes import DeclineCode, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One attempt to have money moved."""

    reference: str
    """Ours, unique per attempt; also the idempotency key the provider is given."""
    player_id: str
    method: str
    amount: Money
    instrument: str | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a provider says about one attempt, in our words, with its own kept beside them."""

    outcome: Outcome
    amount: Money | None = None
    """What the provider says it moved; None where it does not say."""
    provider_reference: str | None = None
    decline_code: DeclineCode | None = None
    raw_code: str | None = None
    fee: Money | None = None
    redirect_url: str | None = None
    """Where the player has to go first, when the outcome is `awaiting_player`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderNotice:
    """A webhook whose signature has been verified."""

    message_id: str
    """The provider's own id of the message: repeats carry the same one."""
    reference: str
    """Our attempt reference."""
    answer: Answer
    sent_at: datetime


class InvalidNotice(Exception):
    """The notice is not authentic or not readable; nothing was recorded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PaymentProvider(Protocol):
    """A payment service provider, behind its adapter.

    The calls never raise for what the outside world does: a refused connection is the outcome
    `not_sent`, a time-out, a 5xx or an unreadable answer is `unknown`.
    """

    def submit_deposit(self, submission: Submission) -> Answer: ...

    def submit_payout(self, submission: Submission) -> Answer: ...

    def fetch(self, reference: str, *, timeout_seconds: float) -> Answer:
        """Ask what became of an attempt; `not_found` if the provider never received it."""
        ...

    def parse_notice(self, headers: Mapping[str, str], raw_body: bytes) -> ProviderNotice:
        """Verify the signature over the raw bytes, then read them.

        Raises:
            InvalidNotice: bad, missing or outdated signature, or an unreadable body.
        """
        ...

    def health_probe(self, *, timeout_seconds: float) -> bool: ...
