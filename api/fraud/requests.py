"""What the API takes about fraud: request bodies of rule sets, cases and reports."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from api.admin.requests import RATES_MAX, RateBody
from api.http.free_text import Line, Note, check_line, check_note
from api.http.requests import Body, Currency
from domain.events import IndicatorTerms, RuleSetTerms, Threshold
from domain.fraud.assessment import SCORE_MAX
from domain.fraud.indicators.catalogue import BY_CODE, INDICATORS
from domain.money import AMOUNT_MINOR_MAX
from domain.player.player import HoldKind

THRESHOLDS_MAX: Final = 20
"""More than any indicator has."""

NARRATIVE_CHARS_MAX: Final = 20_000
TRANSACTIONS_MAX: Final = 200


def _known_indicator(code: str) -> str:
    if code not in BY_CODE:
        raise PydanticCustomError("enum", "Input should be the code of an indicator")
    return code


IndicatorCode = Annotated[
    str,
    Field(max_length=64),
    AfterValidator(_known_indicator),
    Field(json_schema_extra={"enum": [one.code for one in INDICATORS]}),
]
"""One of the catalogue."""

Mode = Literal["live", "shadow", "off"]
ThresholdName = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z_]*$")]
ThresholdValue = Annotated[StrictInt, Field(ge=0, le=AMOUNT_MINOR_MAX)]
Weight = Annotated[StrictInt, Field(ge=0, le=SCORE_MAX)]

# --- rule sets ----------------------------------------------------------------------------------


class IndicatorTermsBody(Body):
    """How one indicator is used."""

    indicator: IndicatorCode = Field(examples=["card_testing"])
    mode: Mode = Field(examples=["live"])
    thresholds: dict[ThresholdName, ThresholdValue] = Field(
        max_length=THRESHOLDS_MAX,
        description="Every one that the indicator has, by name.",
        examples=[{"declines": 5, "instruments": 3, "decline_percent": 60}],
    )


class RuleSetTermsBody(Body):
    """What a whole rule set says."""

    indicators: list[IndicatorTermsBody] = Field(
        min_length=1, max_length=len(INDICATORS), description="All of them, in any order."
    )
    score_low: Weight = Field(description="What a hit of low severity adds.", examples=[10])
    score_medium: Weight = Field(examples=[25])
    score_high: Weight = Field(examples=[50])
    hold_from: StrictInt = Field(
        ge=0,
        le=SCORE_MAX + 1,
        description="A payout with this score or more is held; 101: none for its score.",
        examples=[70],
    )
    base: Currency = Field(description="Of the reference rates.", examples=["EUR"])
    rates: list[RateBody] = Field(
        max_length=RATES_MAX,
        description="At which amounts are compared with thresholds of other currencies.",
    )

    def terms(self) -> RuleSetTerms:
        """As the domain has them, in the order of the catalogue."""
        given = sorted(self.indicators, key=lambda one: BY_CODE[one.indicator].number)
        return RuleSetTerms(
            indicators=tuple(
                IndicatorTerms(
                    indicator=one.indicator,
                    mode=one.mode,
                    thresholds=_thresholds(one.indicator, one.thresholds),
                )
                for one in given
            ),
            score_low=self.score_low,
            score_medium=self.score_medium,
            score_high=self.score_high,
            hold_from=self.hold_from,
            base=self.base,
            rates=tuple(rate.as_ratio() for rate in self.rates),
        )


class IndicatorChange(Body):
    """What is to be different about one indicator; what is left out stays as it is."""

    mode: Mode | None = Field(default=None, examples=["live"])
    thresholds: dict[ThresholdName, ThresholdValue] = Field(
        default_factory=dict, max_length=THRESHOLDS_MAX, examples=[{"declines": 4}]
    )


class RuleSetChanges(Body):
    """What is to be different; what is left out stays as it is."""

    indicators: dict[IndicatorCode, IndicatorChange] = Field(
        default_factory=dict,
        max_length=len(INDICATORS),
        description="By code.",
        examples=[{"card_testing": {"mode": "live", "thresholds": {"declines": 4}}}],
    )
    score_low: Weight | None = Field(default=None, examples=[None])
    score_medium: Weight | None = Field(default=None, examples=[None])
    score_high: Weight | None = Field(default=None, examples=[None])
    hold_from: Annotated[StrictInt, Field(ge=0, le=SCORE_MAX + 1)] | None = Field(
        default=None, examples=[75]
    )


class RuleSetBody(Body):
    """A draft: what is to be different from a rule set, or whole terms."""

    based_on: Annotated[str, Field(max_length=64), AfterValidator(check_line)] | None = Field(
        default=None,
        description="Name of the rule set that `changes` are about. Not by position, so that"
        " repeating the request means the same, whatever is live by then.",
        examples=["default-1"],
    )
    changes: RuleSetChanges | None = None
    terms: RuleSetTermsBody | None = Field(default=None, examples=[None])
    note: Note = Field(examples=["Five declines catch too many honest typing errors."])

    @model_validator(mode="after")
    def _one_of_both(self) -> "RuleSetBody":
        if (self.changes is None) is (self.terms is None):
            raise PydanticCustomError("ruleset_of_one", "Input should have changes or terms")
        if (self.changes is None) is not (self.based_on is None):
            raise PydanticCustomError(
                "ruleset_based_on", "Changes should say what they are based on, and terms not"
            )
        return self


def _thresholds(code: str, given: Mapping[str, int]) -> tuple[Threshold, ...]:
    """In the order of the declaration; whatever else was sent stays, for the domain to refuse."""
    names = [parameter.name for parameter in BY_CODE[code].parameters]
    ordered = [name for name in names if name in given]
    ordered += [name for name in given if name not in names]
    return tuple(Threshold(name=name, value=given[name]) for name in ordered)


# --- cases --------------------------------------------------------------------------------------


class FraudNoteBody(Body):
    """What a person writes about a decision."""

    note: Note = Field(examples=["The card belongs to the player's spouse; statement seen."])


Person = Annotated[
    str,
    Field(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9._@+-]*$"),
    AfterValidator(check_line),
]
"""As API keys name them."""


class AssignBody(Body):
    """Who works on the case."""

    person: Person | None = Field(description="Null: nobody does any more.", examples=["ben"])


class CaseHoldBody(FraudNoteBody):
    """A hold of a player, because of the case."""

    player_id: UUID = Field(description="One of the case's.")
    hold: HoldKind = Field(description="Which kind.", examples=["fraud"])


class CloseBody(Body):
    """What the case turned out to be."""

    decision: Literal["confirmed", "false_positive", "inconclusive"] = Field(
        examples=["false_positive"]
    )
    reason: Note = Field(examples=["Both accounts belong to the same, verified household."])


class AgreeBody(Body):
    """What another person proposed that a case turned out to be."""

    proposal: UUID = Field(
        description="The id of the case's `proposal`, as it was looked at.",
        examples=["0b0c3f4e-3f1c-5d7e-9a70-0f4c5a1b2c3d"],
    )
    note: Note = Field(
        default="", description="What there is to add.", examples=["Statement seen as well."]
    )


# --- reports ------------------------------------------------------------------------------------

Narrative = Annotated[
    str, Field(min_length=1, max_length=NARRATIVE_CHARS_MAX), AfterValidator(check_note)
]


class ReportBody(Body):
    """What the authorities are to be told."""

    narrative: Narrative = Field(
        description="Who, what, when, where, and why it is suspicious.",
        examples=["Between 3 and 5 May the player paid in 7,640.00 EUR in four parts."],
    )
    transactions: list[UUID] = Field(
        max_length=TRANSACTIONS_MAX,
        description="That it is about.",
        examples=[["3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"]],
    )


class FileBody(Body):
    """Whom the report was handed to."""

    authority: Line = Field(examples=["FIAU Malta"])
    authority_reference: Line = Field(
        description="Under which they have it.", examples=["STR-2026-000117"]
    )


class DismissBody(Body):
    """Why nothing is reported."""

    reason: Note = Field(examples=["The source of the money is documented."])
