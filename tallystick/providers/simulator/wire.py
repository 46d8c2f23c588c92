"""The simulator's wire format: what its requests, answers and webhooks look like as JSON.

Amounts are whole minor units. Every field without a default has to be present, `null` where
there is nothing to say; fields not named here are ignored, as providers add them over time.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from domain.money import Money, transaction_amount
from domain.outcomes import DeclineCode

REFERENCE_PATTERN = r"[A-Za-z0-9_.:-]{1,100}"
"""What a reference may look like: safe in a header, a path and a log line."""


class Kind(StrEnum):
    """Which way the money goes."""

    DEPOSIT = "deposit"
    PAYOUT = "payout"


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


class PaymentBody(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a payment: the answer to a submission and to a question."""

    reference: str
    status: Status
    amount: MoneyBody | None
    provider_reference: str
    decline: DeclineBody | None
    fee: MoneyBody | None
    redirect_url: str | None = None


class NoticeBody(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook."""

    type: Literal["payment.updated"]
    reference: str
    status: Status
    amount: MoneyBody | None
    provider_reference: str
    decline: DeclineBody | None
    fee: MoneyBody | None
    sent_at: Annotated[datetime, msgspec.Meta(tz=True)]


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request the simulator did not carry out."""

    error: str
    detail: str
    reference: str | None = None


class FaultsBody(msgspec.Struct, frozen=True):
    """`{"faults": "demo,outage=1"}`: the faults from now on, in the grammar of the command."""

    faults: str


def money_body(money: Money | None) -> MoneyBody | None:
    """The JSON form of an amount, if there is one."""
    return None if money is None else MoneyBody(money.amount, money.currency)
