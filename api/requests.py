"""What the API takes: request bodies, and nothing besides what they name."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt
from pydantic_core import PydanticCustomError

from api.free_text import Line, Name, Note, check_line
from domain.money import AMOUNT_MINOR_MAX, InvalidMoney, Money, exponent
from domain.player import Verification

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

Method = Literal["card", "redirect", "bank_transfer", "voucher"]


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


class NewTransaction(Body):
    """What deposits and withdrawals are begun with."""

    player_id: UUID = Field(examples=["3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"])
    amount: MoneyBody
    provider: Name | None = Field(
        default=None, description="The default provider, if left out.", examples=["simulator"]
    )
    method: Method = Field(examples=["card"])
    instrument: Line | None = Field(
        default=None,
        description="A token of the card or account; never its number.",
        examples=["tok_7Hq2"],
    )
    metadata: Metadata = Field(default_factory=dict, examples=[{"order": "A-17"}])


class NoteBody(Body):
    """Why somebody decided so."""

    note: Note = Field(default="", examples=["Documents checked."])


class ResolveDepositBody(Body):
    """How the review should end, and what that stands on."""

    target: Literal["completed", "failed"] = Field(examples=["completed"])
    note: Note = Field(min_length=1, examples=["The settlement file of 3 May lists it."])


class ResolveWithdrawalBody(Body):
    """How the review should end, and what that stands on."""

    target: Literal["paid", "failed"] = Field(examples=["paid"])
    note: Note = Field(min_length=1, examples=["The bank confirms the transfer."])


class PlayerBody(Body):
    """What is known of a player's identity."""

    verification: Verification = Field(examples=["full"])
    jurisdiction: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        description="ISO 3166: a country or one of its subdivisions.",
        examples=["MT"],
    )


class ReasonBody(Body):
    """Why it is done."""

    reason: Line = Field(examples=["Asked for by the player."])
