"""What the API shows about fraud: indicators, hits and assessments."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

from pydantic import Field

from api.http.responses import Instant, Shown
from domain.events import IndicatorHit, RuleSetTerms
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.indicators.declaring import Indicator, Parameter
from projections.fraud.judging import Hit

_HIT = "000000000004711/structuring/player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"
_SENTENCE = "4 deposits between 1,800.00 and 2,000.00 EUR within 7 days, 7,640.00 EUR together."


class WindowShown(Shown):
    """How far an indicator looks back."""

    name: str = Field(examples=["week"])
    seconds: int | None = Field(
        description="Null: the calendar month, or everything.", examples=[604_800]
    )


class ParameterShown(Shown):
    """A number that rule sets may change."""

    name: str = Field(examples=["deposits"])
    meaning: str = Field(examples=["deposits just below a threshold, at least"])
    unit: str = Field(
        description="count, percent, basis_points, seconds, times, or minor: minor units of"
        " `currency`.",
        examples=["count"],
    )
    currency: str | None = Field(examples=[None])
    least: int = Field(examples=[1])
    most: int = Field(examples=[32])
    default: int = Field(examples=[3])
    live: int = Field(description="In the rule set that is live.", examples=[3])

    @classmethod
    def of(cls, parameter: Parameter, live: int) -> "ParameterShown":
        return cls(
            name=parameter.name,
            meaning=parameter.meaning,
            unit=parameter.unit.value,
            currency=parameter.currency,
            least=parameter.least,
            most=parameter.most,
            default=parameter.default,
            live=live,
        )


class PrecisionShown(Shown):
    """What cases with a hit of the indicator turned out to be."""

    confirmed: int = Field(examples=[31])
    false_positive: int = Field(examples=[7])
    inconclusive: int = Field(examples=[2])
    ratio: float | None = Field(
        description="Confirmed, of confirmed and false positives; null before the first of them.",
        examples=[0.8158],
    )

    @classmethod
    def of(cls, confirmed: int, false_positive: int, inconclusive: int) -> "PrecisionShown":
        told = confirmed + false_positive
        return cls(
            confirmed=confirmed,
            false_positive=false_positive,
            inconclusive=inconclusive,
            ratio=round(confirmed / told, 4) if told else None,
        )


class IndicatorShown(Shown):
    """One thing that is looked for, and how the live rule set uses it."""

    number: int = Field(examples=[5])
    code: str = Field(examples=["structuring"])
    title: str = Field(examples=["Structuring"])
    meaning: str = Field(
        description="What it is a sign of.",
        examples=["Money is paid in in parts that each stay just below a threshold of reporting."],
    )
    formula: str = Field(examples=["deposits in [lower_percent · T, T) ≥ deposits, and Σ ≥ T"])
    example: str = Field(description="A sentence as hits have it.", examples=[_SENTENCE])
    advice: str = Field(
        description="What whoever works the case does first.",
        examples=["Ask where the money comes from."],
    )
    subjects: list[str] = Field(description="What its hits are about.", examples=[["player"]])
    windows: list[WindowShown]
    parameters: list[ParameterShown]
    mode: str = Field(
        description="In the live rule set: `live`, `shadow` (recorded, without effect) or `off`.",
        examples=["live"],
    )
    severities: list[str] = Field(description="Lowest first.", examples=[["high"]])
    effect: str = Field(
        description="What follows from a hit: score, care, refuses_deposit, locks_payouts,"
        " blocks_leg, blocks_player or watched.",
        examples=["score"],
    )
    active_seconds: int = Field(description="How long a hit counts.", examples=[2_592_000])
    ruleset: str = Field(description="The live one.", examples=["rules-3"])
    precision: PrecisionShown | None = Field(
        description="From the cases that are closed; null for who may not see those."
    )

    @classmethod
    def of(
        cls,
        indicator: Indicator,
        ruleset: str,
        terms: RuleSetTerms,
        precision: PrecisionShown | None,
    ) -> "IndicatorShown":
        used = next(one for one in terms.indicators if one.indicator == indicator.code)
        live = {threshold.name: threshold.value for threshold in used.thresholds}
        return cls(
            number=indicator.number,
            code=indicator.code,
            title=indicator.title,
            meaning=indicator.meaning,
            formula=indicator.formula,
            example=indicator.example,
            advice=indicator.advice,
            subjects=[subject.value for subject in indicator.subjects],
            windows=[WindowShown(name=w.name, seconds=w.seconds) for w in indicator.windows],
            parameters=[ParameterShown.of(p, live[p.name]) for p in indicator.parameters],
            mode=used.mode,
            severities=[severity.value for severity in indicator.severities],
            effect=indicator.effect.value,
            active_seconds=indicator.active_seconds,
            ruleset=ruleset,
            precision=precision,
        )


class FraudHitShown(Shown):
    """What an indicator found: everything that it takes to believe it."""

    id: str = Field(description="Position, indicator, subject.", examples=[_HIT])
    href: str = Field(description="Where it is shown.", examples=[f"/v1/hits/{_HIT}"])
    position: int = Field(description="Of the event that completed it.", examples=[4711])
    at: Instant = Field(description="When that happened.")
    indicator: str = Field(examples=["structuring"])
    title: str = Field(examples=["Structuring"])
    severity: str = Field(examples=["high"])
    mode: str = Field(
        description="`live`, or `shadow`: recorded, without effect.", examples=["live"]
    )
    subject: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"])
    player_id: UUID | None = Field(description="Whose doing completed it.")
    value: int = Field(examples=[4])
    threshold: int = Field(examples=[3])
    unit: str = Field(description="Of both.", examples=["count"])
    amount_minor: int = Field(
        description="In EUR: the money that it is about; 0 where it is about none, or the value"
        " says.",
        examples=[780000],
    )
    since: Instant = Field(description="Where the window began, that instant included.")
    inputs: dict[str, Any] = Field(
        description="What the value was computed from.", examples=[{"deposits": 4}]
    )
    sentence: str = Field(examples=[_SENTENCE])
    ruleset: str = Field(description="By which it was judged.", examples=["rules-3"])

    @classmethod
    def of(cls, hit: Hit) -> "FraudHitShown":
        return cls(
            id=hit.id,
            href=hit_path(hit.id),
            position=hit.position,
            at=hit.at,
            indicator=hit.indicator,
            title=BY_CODE[hit.indicator].title,
            severity=hit.severity,
            mode=hit.mode,
            subject=hit.subject,
            player_id=hit.player_id,
            value=hit.value,
            threshold=hit.threshold,
            unit=hit.unit,
            amount_minor=hit.amount_minor,
            since=hit.since,
            inputs=dict(hit.inputs),
            sentence=hit.sentence,
            ruleset=hit.ruleset,
        )


class CountedHitShown(Shown):
    """A hit that counted when a payout was judged: of each indicator the worst."""

    id: str = Field(examples=[_HIT])
    href: str = Field(examples=[f"/v1/hits/{_HIT}"])
    indicator: str = Field(examples=["structuring"])
    title: str = Field(examples=["Structuring"])
    severity: str = Field(examples=["high"])
    adds: int = Field(description="To the score, which ends at 100.", examples=[50])
    holds: bool = Field(description="The payout stops for it, whatever its score.")
    subject: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"])
    sentence: str | None = Field(
        description="Null while hits are being worked out anew.", examples=[_SENTENCE]
    )


class AssessmentShown(Shown):
    """What a payout was judged by when it was screened."""

    withdrawal_id: UUID
    score: int = Field(description="0 to 100.", examples=[50])
    path: str = Field(
        description="As far as risk decides it: `automatic`, `review` or `hold`.",
        examples=["review"],
    )
    screened_at: Instant
    score_below: int | None = Field(
        description="Of the approval policy: a lower score needs nobody. Null for who sees the"
        " score alone, as what follows.",
        examples=[40],
    )
    hold_from: int | None = Field(
        description="Of the rule set: this score or more is held.", examples=[70]
    )
    ruleset: str | None = Field(examples=["rules-3"])
    hits: list[CountedHitShown] | None


class CaseHitShown(Shown):
    """What an indicator found, as it was when the case took it up."""

    hit: str = Field(examples=[_HIT])
    href: str = Field(examples=[f"/v1/hits/{_HIT}"])
    position: int = Field(examples=[4711])
    at: Instant
    indicator: str = Field(examples=["structuring"])
    title: str = Field(examples=["Structuring"])
    advice: str = Field(examples=["Ask where the money comes from."])
    severity: str = Field(examples=["high"])
    subject: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"])
    player_id: UUID | None
    value: int = Field(examples=[4])
    threshold: int = Field(examples=[3])
    unit: str = Field(examples=["count"])
    sentence: str = Field(examples=[_SENTENCE])
    ruleset: str = Field(examples=["rules-3"])
    holds: bool = Field(description="Payouts stop for it.")

    @classmethod
    def of(cls, hit: IndicatorHit) -> "CaseHitShown":
        known = BY_CODE[hit.indicator]
        return cls(
            hit=hit.hit,
            href=hit_path(hit.hit),
            position=hit.position,
            at=hit.hit_at,
            indicator=hit.indicator,
            title=known.title,
            advice=known.advice,
            severity=hit.severity,
            subject=hit.subject,
            player_id=hit.player_id,
            value=hit.value,
            threshold=hit.threshold,
            unit=hit.unit,
            sentence=hit.sentence,
            ruleset=hit.ruleset,
            holds=hit.holds,
        )


def hit_path(hit_id: str) -> str:
    """Where a hit is shown. What a fingerprint holds is not taken for a part of the path."""
    position, _, rest = hit_id.partition("/")
    indicator, _, subject = rest.partition("/")
    return f"/v1/hits/{position}/{indicator}/{quote(subject, safe=':')}"


def by_indicator(
    counted: Iterable[tuple[str, PrecisionShown]],
) -> Mapping[str, PrecisionShown]:
    """Of every indicator, also of those that no closed case has had a hit of."""
    nothing = dict.fromkeys(BY_CODE, PrecisionShown.of(0, 0, 0))
    return nothing | dict(counted)
