"""What a provider can say about an attempt, whichever provider it is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.money import Money


class Outcome(StrEnum):
    """A provider's answer, webhook or polled status, in one vocabulary."""

    ACCEPTED = "accepted"
    """Received; nothing has moved yet."""
    AWAITING_PLAYER = "awaiting_player"
    """The player must act first, on a page of the provider's."""
    PENDING = "pending"
    """In work; nothing is final."""
    AUTHORISED = "authorised"
    """Reserved on the player's instrument, not captured yet."""
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    VOIDED = "voided"
    """An authorisation was released without a capture."""
    RETURNED = "returned"
    """A payout or refund that had succeeded came back."""
    NOT_FOUND = "not_found"
    """The provider has no record of the attempt."""
    NOT_SENT = "not_sent"
    """The provider was never reached: nothing can have happened there."""
    UNKNOWN = "unknown"
    """It may have been sent, and no readable answer came back."""


FINAL: Final = frozenset({Outcome.SUCCEEDED, Outcome.DECLINED, Outcome.VOIDED, Outcome.RETURNED})
"""Nothing more is to be expected of it, unless the provider says otherwise later."""


class DeclineCode(StrEnum):
    """Why a provider declined, whatever its own code is."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    DO_NOT_HONOUR = "do_not_honour"
    SUSPECTED_FRAUD = "suspected_fraud"
    EXPIRED_INSTRUMENT = "expired_instrument"
    LIMIT_EXCEEDED = "limit_exceeded"
    AUTHENTICATION_FAILED = "authentication_failed"
    ACCOUNT_CLOSED = "account_closed"
    PROVIDER_ERROR = "provider_error"


class Source(StrEnum):
    """How we came to hear it."""

    ANSWER = "answer"
    """The answer to our own submission."""
    NOTICE = "notice"
    POLL = "poll"


class Disposition(StrEnum):
    """Why nothing follows from what was heard."""

    DUPLICATE = "duplicate"
    LATE = "late"
    """Older than what is known already."""
    EARLY = "early"
    """It follows from something not heard yet, and takes effect together with it."""
    IN_REVIEW = "in_review"
    """A person is looking at the transaction."""
    UNSOLICITED = "unsolicited"
    """About an attempt that was never made, and no money is involved."""
    CONTRADICTION = "contradiction"
    """Against a decision that was final; nothing is moved for it, and a person should look."""


class ReviewReason(StrEnum):
    """Why a person has to look."""

    CONTRADICTION = "contradiction"
    """Two different final outcomes."""
    MISMATCH = "mismatch"
    """Amount or currency differ from what was asked."""
    UNRESOLVED = "unresolved"
    """The provider was asked for as long as the schedule allows and never said."""
    UNSOLICITED = "unsolicited"
    """The provider reports money for an attempt that was never made."""
    UNCOVERED = "uncovered"
    """The provider paid again what had come back, and the player no longer had all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was heard from the provider, kept with the event that followed from it."""

    source: Source
    outcome: Outcome
    reference: str
    amount: Money | None = None
    fee: Money | None = None
    notice_id: UUID | None = None
    """Stream of the recorded notice, when `source` is `notice`."""
    provider_reference: str | None = None
    decline_code: DeclineCode | None = None
    raw_code: str | None = None
    redirect_url: str | None = None
    happened_at: datetime | None = None
    """When it happened, by the provider's own clock; None: it does not say."""


class Standing(StrEnum):
    """How a refund or dispute stands towards what a deposit captured."""

    OPEN = "open"
    """It may still take it."""
    TAKEN = "taken"
    RELEASED = "released"
    """It does not take it, or gave it back."""


class DisputeStage(StrEnum):
    """How far a dispute has gone; each stage may follow the one before it."""

    INQUIRY = "inquiry"
    CHARGEBACK = "chargeback"
    PRE_ARBITRATION = "pre_arbitration"
    ARBITRATION = "arbitration"


class DisputeNews(StrEnum):
    """What a provider says about a dispute."""

    OPENED = "opened"
    EVIDENCE_DUE = "evidence_due"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FUNDS_WITHDRAWN = "funds_withdrawn"
    FUNDS_REINSTATED = "funds_reinstated"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeReport:
    """What was heard about a dispute, kept with the event that followed from it."""

    source: Source
    news: DisputeNews
    stage: DisputeStage
    reference: str
    """Ours, of the contested deposit's attempt."""
    dispute_reference: str
    amount: Money | None = None
    reason_code: str | None = None
    evidence_due_at: datetime | None = None
    notice_id: UUID | None = None
    """Stream of the recorded notice, when `source` is `notice`."""
