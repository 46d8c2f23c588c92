"""What the API shows: the parts that everything shown is made of.

Transactions are described in `payments/responses.py` and put together in `payments/rendering.py`.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.money import Money


def _in_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""Shown as RFC 3339 in UTC, ending in Z."""


class Shown(BaseModel):
    """Something the API shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MoneyShown(Shown):
    """An amount in minor units: 1050 EUR are 10.50 euro."""

    amount: int = Field(examples=[1050])
    currency: str = Field(examples=["EUR"])

    @classmethod
    def of(cls, money: Money) -> "MoneyShown":
        return cls(amount=money.amount, currency=money.currency)


class ReceiptShown(Shown):
    """Proof of where it stands in the log: a leaf of the Merkle tree, and the tree's root."""

    position: int = Field(examples=[4711])
    leaf: str = Field(description="SHA-256, hexadecimal (RFC 6962 leaf hash).")
    root: str = Field(description="SHA-256, hexadecimal, of the tree of `size` events.")
    size: int = Field(examples=[4711])
