"""What the API takes about policies and rates: request bodies."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StrictInt
from pydantic_core import PydanticCustomError

from api.http.free_text import Name, Note
from api.http.requests import Body, Currency
from domain.events import ApprovalTerms, ApprovalTier, Rate

TIERS_MAX: Final = 20
GROUPS_MAX: Final = 5
LIMIT_MAJOR_MAX: Final = 1_000_000_000
PERCENT_MAX: Final = 100_000
APPROVAL_SECONDS_MAX: Final = 365 * 86_400
RATES_MAX: Final = 400
"""More than there are currencies."""


def _existing_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("day", "Input should be a day that there is") from None
    return text


def _above_zero(text: str) -> str:
    if not text.strip("0."):
        raise PydanticCustomError("rate", "Input should be above 0")
    return text


# --- the approval policy ------------------------------------------------------------------------

Group = Annotated[
    list[Literal["fraud", "finance", "compliance"]], Field(min_length=1, max_length=3)
]
Groups = Annotated[
    list[Group],
    Field(max_length=GROUPS_MAX, description="One person for each group, who has any role of it."),
]


class TierBody(Body):
    """Up to a limit, who has to agree."""

    limit_major: Annotated[StrictInt, Field(ge=1, le=LIMIT_MAJOR_MAX)] | None = Field(
        description="Whole units of the policy's currency; null for the last tier.",
        examples=[None],
    )
    required: Groups = Field(examples=[[["fraud"], ["finance"]]])


class TermsBody(Body):
    """What a policy says."""

    currency: Currency = Field(description="Of the tiers' limits.", examples=["EUR"])
    tiers: list[TierBody] = Field(
        min_length=1, max_length=TIERS_MAX, description="Lowest first; only the last has no limit."
    )
    score_below: StrictInt = Field(
        ge=0, le=101, description="Without people only below this risk score.", examples=[40]
    )
    high_required: Groups = Field(
        description="Who else has to agree when an indicator is high.", examples=[[["compliance"]]]
    )
    turnover_percent_min: StrictInt = Field(
        ge=0,
        le=PERCENT_MAX,
        description="Wagered, of what was deposited; 0 asks for nothing.",
        examples=[100],
    )
    approval_seconds: StrictInt = Field(
        ge=1,
        le=APPROVAL_SECONDS_MAX,
        description="How long an approval counts.",
        examples=[86_400],
    )

    def terms(self) -> ApprovalTerms:
        """As the domain has them."""
        return ApprovalTerms(
            currency=self.currency,
            tiers=tuple(
                ApprovalTier(limit_major=tier.limit_major, required=_groups(tier.required))
                for tier in self.tiers
            ),
            score_below=self.score_below,
            high_required=_groups(self.high_required),
            turnover_percent_min=self.turnover_percent_min,
            approval_seconds=self.approval_seconds,
        )


class PolicyBody(Body):
    """Terms that one person proposes, and another publishes by sending the same."""

    terms: TermsBody
    note: Note = Field(examples=["As decided by the board on 3 May."])


def _groups(groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group) for group in groups)


# --- exchange rates -----------------------------------------------------------------------------


class RateBody(Body):
    """What one unit of the base is in another currency."""

    currency: Currency = Field(examples=["USD"])
    rate: Annotated[
        str,
        Field(max_length=19, pattern=r"^[0-9]{1,12}(\.[0-9]+)?$"),
        AfterValidator(_above_zero),
    ] = Field(
        description="A decimal number as a string, which is kept exactly.", examples=["1.0843"]
    )

    def as_ratio(self) -> Rate:
        """As the domain has it: exactly what was written."""
        numerator, denominator = Decimal(self.rate).as_integer_ratio()
        return Rate(currency=self.currency, numerator=numerator, denominator=denominator)


class RatesBody(Body):
    """A table of exchange rates as of a day."""

    source: Name = Field(description="Who says so.", examples=["treasury"])
    base: Currency = Field(examples=["EUR"])
    as_of: Annotated[
        str,
        Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"}),
        AfterValidator(_existing_day),
    ] = Field(description="The day that the source names.", examples=["2026-05-03"])
    rates: list[RateBody] = Field(min_length=1, max_length=RATES_MAX)
    note: Note = Field(
        default="",
        description="Why; needed where a rate moves by more than 10 %.",
        examples=["As the central bank corrected them."],
    )


class RatesNoteBody(Body):
    """What a person says about a table that waits, or about a source."""

    note: Note = Field(default="", examples=["Compared with the bank's own page."])
