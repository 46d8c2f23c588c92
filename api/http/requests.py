"""What the API takes: request bodies, and nothing besides what they name.

Those of each part of the API are in its own `requests.py`.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt
from pydantic_core import PydanticCustomError

from api.http.free_text import Line, check_line
from domain.money import AMOUNT_MINOR_MAX, InvalidMoney, Money, exponent

METADATA_ENTRIES_MAX = 20


def _known_currency(code: str) -> str:
    try:
        exponent(code)
    except InvalidMoney:
        raise PydanticCustomError(
            "currency_unknown", "Input should be an active ISO 4217 currency"
        ) from None
    return code


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_known_currency)]

MetadataKey = Annotated[
    str,
    Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$"),
    AfterValidator(check_line),
]
Metadata = Annotated[dict[MetadataKey, Line], Field(max_length=METADATA_ENTRIES_MAX)]


class Body(BaseModel):
    """A request body: fields it does not name are refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MoneyBody(Body):
    """An amount in minor units: 1050 EUR are 10.50 euro."""

    amount: StrictInt = Field(ge=1, le=AMOUNT_MINOR_MAX, examples=[1050])
    currency: Currency = Field(examples=["EUR"])

    def money(self) -> Money:
        """As the domain has it."""
        return Money(self.amount, self.currency)
