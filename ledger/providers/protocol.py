"""The port every payment provider is reached through.

An adapter maps, it does not decide: whatever a provider says becomes an `Outcome` or a piece of
`DisputeNews`, and the domain decides what that means for the transaction. Amounts are integers
in minor units, rates are exact ratios.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Protocol

from domain.events.evidence import DeclineCode, DisputeNews, DisputeStage, Outcome
from domain.money import Money


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
class RefundSubmission:
    """One attempt to send a deposit, or a part of it, back."""

    reference: str
    """Ours, unique per attempt; also the idempotency key the provider is given."""
    deposit_reference: str
    """Ours, of the deposit's attempt that the provider captured."""
    deposit_provider_reference: str | None
    """The provider's own name of that deposit, where it gave one."""
    amount: Money
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """What a player would like to exchange, and into which currency."""

    source: Money
    target_currency: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderQuote:
    """A rate that the provider stands by until it expires."""

    quote_reference: str
    """The provider's own."""
    rate: Fraction
    """Whole units of the target's currency for one of the source's."""
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionSubmission:
    """One attempt to have a quoted exchange carried out."""

    reference: str
    """Ours, unique per attempt; also the idempotency key the provider is given."""
    quote_reference: str
    """The provider's own, of its quote."""
    source: Money
    target: Money
    """What the player is to get: at most what the quoted rate gives, after our spread."""
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeAnswer:
    """Our answer to a dispute: we accept it, or contest it with evidence."""

    dispute_reference: str
    """The provider's own."""
    accept: bool
    note: str
    documents: tuple[str, ...]
    """References of documents kept elsewhere."""
    timeout_seconds: float
    stage: DisputeStage | None = None
    """Which stage is answered, so that a repetition that comes late is not taken for the answer
    to the next one; None: whichever waits for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a provider says about one attempt, in our words, with its own kept beside them."""

    outcome: Outcome
    amount: Money | None = None
    """What the provider says it moved; None where it does not say. Of a conversion: the target
    amount it paid out."""
    provider_reference: str | None = None
    decline_code: DeclineCode | None = None
    raw_code: str | None = None
    fee: Money | None = None
    redirect_url: str | None = None
    """Where the player has to go first, when the outcome is `awaiting_player`."""
    happened_at: datetime | None = None
    """When the outcome came about, by the provider's own clock: the same however often and in
    whatever way it is told, another one where it comes about again. None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderNotice:
    """A webhook about an attempt whose signature has been verified."""

    message_id: str
    """The provider's own id of the message: repeats carry the same one."""
    reference: str
    """Our attempt reference."""
    answer: Answer
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNotice:
    """A webhook about a dispute whose signature has been verified."""

    message_id: str
    """The provider's own id of the message: repeats carry the same one."""
    reference: str
    """Ours, of the contested deposit's attempt."""
    dispute_reference: str
    """The provider's own; the same at every stage."""
    stage: DisputeStage
    news: DisputeNews
    amount: Money | None
    """What is contested, or was taken or given back."""
    reason_code: str | None
    """The scheme's own."""
    evidence_due_at: datetime | None
    sent_at: datetime


class InvalidNotice(Exception):
    """The notice is not authentic or not readable; nothing was recorded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class QuoteUnavailable(Exception):
    """The provider gives no usable quote; nothing was agreed, and it may be asked again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PaymentProvider(Protocol):
    """A payment service provider, behind its adapter.

    The calls never raise for what the outside world does: a refused connection is the outcome
    `not_sent`, a time-out, a 5xx or an unreadable answer is `unknown`. The one exception is
    `quote`, which moves nothing: without a rate there is nothing to say but why.

    Each ends within its `timeout_seconds`, which are for the whole of it: from finding the
    address to the last byte of the answer, however slowly the bytes come.
    """

    def submit_deposit(self, submission: Submission) -> Answer: ...

    def submit_payout(self, submission: Submission) -> Answer: ...

    def submit_refund(self, submission: RefundSubmission) -> Answer: ...

    def quote(self, request: QuoteRequest) -> ProviderQuote:
        """Ask for a rate.

        Raises:
            QuoteUnavailable: not reached, no readable answer, or no rate for these currencies.
        """
        ...

    def submit_conversion(self, submission: ConversionSubmission) -> Answer:
        """Have a quote carried out; the answer's amount is what the player's side was paid."""
        ...

    def answer_dispute(self, answer: DisputeAnswer) -> Answer:
        """Accept or contest a dispute.

        `accepted` if the provider has the answer, the same one again included; `declined` if it
        takes none any more or was given another one; `not_found` if it knows no such dispute.
        """
        ...

    def fetch(self, reference: str, *, timeout_seconds: float) -> Answer:
        """Ask what became of an attempt of any kind; `not_found` if it was never received."""
        ...

    def parse_notice(
        self, headers: Mapping[str, str], raw_body: bytes
    ) -> ProviderNotice | DisputeNotice:
        """Verify the signature over the raw bytes, then read them.

        Raises:
            InvalidNotice: bad, missing or outdated signature, or an unreadable body.
        """
        ...

    def health_probe(self, *, timeout_seconds: float) -> bool: ...
