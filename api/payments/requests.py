"""What the API takes for transactions: how they are begun, and what people decide about them."""

from ipaddress import ip_interface
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StrictInt
from pydantic_core import PydanticCustomError

from api.http.free_text import Line, Name, Note, check_line
from api.http.requests import Body, Currency, Metadata, MoneyBody
from domain.adjustment.decisions import AdjustmentReason
from domain.events import Move, Origin
from domain.withdrawal.closed_loop import LEGS_MAX

Method = Literal["card", "redirect", "bank_transfer", "voucher"]

MOVES_MAX = 20
DOCUMENTS_MAX = 20
INDICATORS_MAX = 50


_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ACCOUNT_PATTERN = (
    rf"^(player:{_UUID}:(available|reserved)|provider:[a-z][a-z0-9_-]{{0,63}}:clearing"
    r"|house:(fees|fx|chargebacks|adjustments|suspense)):[A-Z]{3}$"
)

Account = Annotated[str, Field(pattern=ACCOUNT_PATTERN), AfterValidator(check_line)]
"""The name of an account."""

LegNumber = Annotated[StrictInt, Field(ge=1, le=LEGS_MAX)]
Evidence = Annotated[Note, Field(min_length=1)]
"""What a decision stands on; never empty."""

_PLAYER = "3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"


def _no_network_address(text: str) -> str:
    """`text`, unless it is an address itself, also with a port, in brackets or as a network."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        ip_interface(host)
    except ValueError:
        return text
    raise PydanticCustomError("network_address", "This is a network address, which is not kept")


Token = Annotated[Line, AfterValidator(_no_network_address)]
"""Something opaque that stands for a device or an address."""

Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class OriginBody(Body):
    """Where the player's request came from, as far as the platform knows: for fraud indicators.

    Tokens have to be the same whenever the device or address is; a keyed hash is.
    """

    device: Token | None = Field(
        default=None, description="A token of the device.", examples=["dev_4fA9"]
    )
    address: Token | None = Field(
        default=None,
        description="A token of the network address; never the address itself.",
        examples=["adr_91bc"],
    )
    address_country: Country | None = Field(
        default=None, description="ISO 3166-1: where that address is.", examples=["MT"]
    )
    instrument_country: Country | None = Field(
        default=None, description="ISO 3166-1: where the instrument was issued.", examples=["MT"]
    )
    bin: str | None = Field(
        default=None,
        pattern=r"^[0-9]{6,8}$",
        description="The first digits of a card, which name its issuer.",
        examples=["411111"],
    )

    def origin(self) -> Origin | None:
        """As the domain has it; None where nothing is known."""
        if not any(value is not None for _, value in self):
            return None
        return Origin(**self.model_dump())


class NewTransaction(Body):
    """What deposits and withdrawals are begun with."""

    player_id: UUID = Field(examples=[_PLAYER])
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
    origin: OriginBody | None = None

    def known_origin(self) -> Origin | None:
        """Where it came from, as the domain has it."""
        return self.origin.origin() if self.origin else None


class NoteBody(Body):
    """Why somebody decided so."""

    note: Note = Field(default="", examples=["Documents checked."])


class EvidenceNoteBody(Body):
    """Why somebody decided so, which has to be said."""

    note: Evidence = Field(examples=["The player confirms the purchase."])


class ResolveDepositBody(Body):
    """How the review should end, and what that stands on."""

    target: Literal["completed", "failed"] = Field(examples=["completed"])
    note: Evidence = Field(examples=["The settlement file of 3 May lists it."])


# --- withdrawals --------------------------------------------------------------------------------


class AmendBody(Body):
    """What a withdrawal is to be instead: less, or to another instrument."""

    amount: MoneyBody
    instrument: Line | None = Field(
        description="A token of the card or account; null: to none in particular.",
        examples=["tok_7Hq2"],
    )
    note: Note = Field(default="", examples=["The player asked for less."])


class ScoreBody(Body):
    """How risky a payout looks, and who says so."""

    score: StrictInt = Field(ge=0, le=100, examples=[35])
    high: list[Line] = Field(
        default_factory=list,
        max_length=INDICATORS_MAX,
        description="Indicators of high severity.",
        examples=[["new_device"]],
    )
    ruleset: Line = Field(examples=["payouts-12"])


class CancelWithdrawalBody(Body):
    """On whose behalf a withdrawal is given up."""

    by_player: StrictBool = Field(
        default=True,
        description="False: staff decides. Not every jurisdiction lets players do it.",
        examples=[True],
    )


class RetryBody(Body):
    """Which leg is to be tried again."""

    leg: LegNumber | None = Field(
        default=None, description="Needed where several wait for it.", examples=[1]
    )


class ResolveWithdrawalBody(Body):
    """How the review of a leg should end, and what that stands on."""

    target: Literal["paid", "failed"] = Field(examples=["paid"])
    note: Evidence = Field(examples=["The bank confirms the transfer."])
    leg: LegNumber | None = Field(
        default=None, description="Needed where several are in review.", examples=[1]
    )


# --- refunds, conversions, disputes, adjustments ------------------------------------------------


class NewRefund(Body):
    """Which deposit goes back, how much of it, and why."""

    deposit_id: UUID = Field(examples=[_PLAYER])
    amount: MoneyBody | None = Field(
        default=None, description="Everything that is left of it, if left out."
    )
    reason: Line = Field(examples=["Paid twice."])
    metadata: Metadata = Field(default_factory=dict, examples=[{"ticket": "4711"}])


class ResolveRefundBody(Body):
    """How the review should end, and what that stands on."""

    target: Literal["succeeded", "failed"] = Field(examples=["succeeded"])
    note: Evidence = Field(examples=["The settlement file of 3 May lists it."])


class NewQuote(Body):
    """What a player would like to exchange."""

    player_id: UUID = Field(examples=[_PLAYER])
    source: MoneyBody
    target_currency: Currency = Field(examples=["JPY"])
    provider: Name | None = Field(
        default=None, description="Who executes it; the house, if left out.", examples=[None]
    )
    metadata: Metadata = Field(default_factory=dict, examples=[{"order": "A-17"}])


class ResolveConversionBody(Body):
    """How the review should end, and what that stands on."""

    target: Literal["executed", "failed"] = Field(examples=["executed"])
    note: Evidence = Field(examples=["The provider's statement lists it."])


class DisputeEvidenceBody(Body):
    """What contests a dispute: words, documents, or both."""

    note: Note = Field(default="", examples=["Delivered on 3 May, see the receipt."])
    documents: list[Line] = Field(
        default_factory=list,
        max_length=DOCUMENTS_MAX,
        description="References of documents kept elsewhere.",
        examples=[["doc_81"]],
    )


class MoveBody(Body):
    """Money from one account to another."""

    source: Account = Field(examples=["house:adjustments:EUR"])
    target: Account = Field(examples=[f"player:{_PLAYER}:available:EUR"])
    amount: MoneyBody

    def move(self) -> Move:
        """As the domain has it."""
        return Move(source=self.source, target=self.target, money=self.amount.money())


class NewAdjustment(Body):
    """How the books are to be corrected, and what that stands on."""

    player_id: UUID | None = Field(
        default=None, description="Needed where a player's money moves.", examples=[_PLAYER]
    )
    moves: list[MoveBody] = Field(min_length=1, max_length=MOVES_MAX)
    reason: AdjustmentReason = Field(examples=["goodwill"])
    grounds: Evidence = Field(examples=["Ticket 4711."])
    transaction_id: UUID | None = Field(
        default=None, description="The transaction that it sets right.", examples=[None]
    )
    metadata: Metadata = Field(default_factory=dict, examples=[{"ticket": "4711"}])
