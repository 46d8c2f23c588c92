"""The simulator's wire format: what its requests, answers and webhooks look like as JSON.

Amounts are whole minor units. Every field without a default has to be present, `null` where
there is nothing to say; fields not named here are ignored, as providers add them over time.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from domain.events.evidence import DeclineCode, DisputeNews, DisputeStage
from domain.money import Money, transaction_amount

REFERENCE_PATTERN = r"[A-Za-z0-9_.:-]{1,100}"
"""What a reference may look like: safe in a header, a path and a log line."""


Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Rate = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,15}(\.[0-9]{1,30})?\Z")]
"""Decimal digits that mean exactly what they say: `1.0835`."""


class Kind(StrEnum):
    """What a payment is for, and so which way the money goes."""

    DEPOSIT = "deposit"
    PAYOUT = "payout"
    REFUND = "refund"
    CONVERSION = "conversion"


class Status(StrEnum):
    """What the simulator says about a payment."""

    ACCEPTED = "accepted"
    AWAITING_PLAYER = "awaiting_player"
    PENDING = "pending"
    AUTHORISED = "authorised"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    VOIDED = "voided"
    RETURNED = "returned"


class MoneyBody(msgspec.Struct, frozen=True):
    """`{"amount": 1050, "currency": "EUR"}`."""

    amount: int
    currency: str

    def money(self) -> Money:
        """The amount, checked.

        Raises:
            InvalidMoney: out of bounds, or no such currency.
        """
        return transaction_amount(self.amount, self.currency)


class DeclineBody(msgspec.Struct, frozen=True):
    """Why a payment was declined: the shared vocabulary, and the code of the scheme."""

    code: DeclineCode
    raw_code: str


class SubmissionBody(msgspec.Struct, frozen=True):
    """A deposit or payout to make. The reference travels as the header `Idempotency-Key`."""

    player_id: str
    method: str
    amount: MoneyBody
    instrument: str | None


class RefundBody(msgspec.Struct, frozen=True):
    """A deposit to send back, or a part of it. The reference travels as `Idempotency-Key`."""

    payment_reference: str
    """The caller's reference of the deposit."""
    amount: MoneyBody


class QuoteRequestBody(msgspec.Struct, frozen=True):
    """What is to be exchanged, and into which currency."""

    source: MoneyBody
    target_currency: str


class QuoteBody(msgspec.Struct, frozen=True, kw_only=True):
    """A rate, and until when a conversion may use it."""

    quote: str
    source: MoneyBody
    target_currency: str
    rate: Rate
    """Whole units of the target's currency for one of the source's."""
    expires_at: Moment


class ConversionBody(msgspec.Struct, frozen=True):
    """A quote to carry out. The reference travels as the header `Idempotency-Key`."""

    quote: str
    source: MoneyBody
    target: MoneyBody
    """What to pay out: at most what the rate gives, rounded up."""


class DisputeAnswerBody(msgspec.Struct, frozen=True):
    """What the merchant says about a dispute."""

    accept: bool
    note: str
    documents: tuple[str, ...]
    stage: DisputeStage | None
    """Which stage is answered; None: the one that waits."""


class DisputeBody(msgspec.Struct, frozen=True, kw_only=True):
    """That a dispute has been answered."""

    dispute: str
    stage: DisputeStage
    accept: bool


class PaymentBody(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a payment: the answer to a submission and to a question."""

    reference: str
    status: Status
    amount: MoneyBody | None
    provider_reference: str
    decline: DeclineBody | None
    fee: MoneyBody | None
    redirect_url: str | None = None
    happened_at: Moment | None = None
    """When it came to have this status."""


class NoticeBody(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="payment.updated"
):
    """A webhook about a payment of any kind."""

    reference: str
    status: Status
    amount: MoneyBody | None
    provider_reference: str
    decline: DeclineBody | None
    fee: MoneyBody | None
    sent_at: Moment
    happened_at: Moment | None = None
    """When it came to have this status, whenever that is told, and however often."""


class DisputeNoticeBody(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="dispute.updated"
):
    """A webhook about a dispute."""

    reference: str
    """The caller's, of the contested deposit."""
    dispute: str
    stage: DisputeStage
    news: DisputeNews
    amount: MoneyBody
    reason_code: str | None
    evidence_due_at: Moment | None
    sent_at: Moment
    """When it happened, whenever it is delivered."""


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request the simulator did not carry out."""

    error: str
    detail: str
    reference: str | None = None


class FaultsBody(msgspec.Struct, frozen=True):
    """`{"faults": "demo,outage=1"}`: the faults from now on, in the grammar of the command."""

    faults: str


def money_body_of(money: Money) -> MoneyBody:
    """The JSON form of an amount."""
    return MoneyBody(money.amount, money.currency)


def money_body(money: Money | None) -> MoneyBody | None:
    """The JSON form of an amount, if there is one."""
    return None if money is None else money_body_of(money)
