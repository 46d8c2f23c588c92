"""Rule sets: which indicators count, from what on. Drafted by one person, approved by another."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.fraud.requests import FraudNoteBody, RuleSetBody, RuleSetChanges
from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere, VersionedCaller
from api.http.errors import FieldError, IfMatchMalformed, RequestInvalid
from api.http.reading import View, viewing
from api.http.responses import Instant, Shown
from api.http.services import ReadConnection, Services
from api.http.validation import invalid
from api.permissions import May, needs
from domain.errors import (
    EvidenceMissing,
    InvalidRuleSet,
    InvalidTransition,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import IndicatorTerms, Rate, RuleSetEvent, RuleSetTerms, Threshold
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.ruleset import (
    DEFAULT_NAME,
    DEFAULT_TERMS,
    RuleSets,
    RuleSetVersion,
    fold_rulesets,
    ruleset_stream,
)
from domain.replacing import replace
from ledger.commands.errors import RuleSetNotFound, VersionChanged

router = APIRouter(
    prefix="/v1/rulesets", tags=["Fraud"], route_class=KeyedRoute, dependencies=KEYED
)

_WRITES: Final = (
    *(*declared.WRITES, IfMatchMalformed, VersionChanged, RoleNotAllowed, EvidenceMissing),
)
_DRAFTS: Final = declared.errors(*_WRITES, InvalidRuleSet, NothingToChange)
_DECIDES: Final = (*_WRITES, RuleSetNotFound, InvalidTransition)
_SCORES: Final = ("score_low", "score_medium", "score_high", "hold_from")


class IndicatorTermsShown(Shown):
    """How one indicator is used."""

    indicator: str = Field(examples=["card_testing"])
    mode: str = Field(examples=["live"])
    thresholds: dict[str, int] = Field(
        examples=[{"declines": 5, "instruments": 3, "decline_percent": 60}]
    )


class ReferenceRateShown(Shown):
    """Whole units for one of the base, as a fraction: exactly as it is reckoned with."""

    currency: str = Field(examples=["GBP"])
    numerator: int = Field(examples=[86])
    denominator: int = Field(examples=[100])


class RuleSetTermsShown(Shown):
    """What a rule set says."""

    indicators: list[IndicatorTermsShown] = Field(description="By number.")
    score_low: int = Field(description="What a hit of low severity adds.", examples=[10])
    score_medium: int = Field(examples=[25])
    score_high: int = Field(examples=[50])
    hold_from: int = Field(
        description="A payout with this score or more is held; 101: none for its score.",
        examples=[70],
    )
    base: str = Field(description="Of the reference rates.", examples=["EUR"])
    rates: list[ReferenceRateShown] = Field(
        description="At which amounts are compared with thresholds of other currencies."
    )

    @classmethod
    def of(cls, terms: RuleSetTerms) -> "RuleSetTermsShown":
        return cls(
            indicators=[
                IndicatorTermsShown(
                    indicator=one.indicator, mode=one.mode, thresholds=_by_name(one)
                )
                for one in terms.indicators
            ],
            score_low=terms.score_low,
            score_medium=terms.score_medium,
            score_high=terms.score_high,
            hold_from=terms.hold_from,
            base=terms.base,
            rates=[
                ReferenceRateShown(
                    currency=rate.currency,
                    numerator=rate.numerator,
                    denominator=rate.denominator,
                )
                for rate in terms.rates
            ],
        )


class DifferenceShown(Shown):
    """Where a rule set says something else than the live one."""

    indicator: str | None = Field(
        description="Null: about the scores or the rates.", examples=["card_testing"]
    )
    name: str = Field(
        description="Of a threshold or score; `mode`; `base`; `rate GBP`.", examples=["declines"]
    )
    was: int | str | None = Field(alias="from", description="In the live one.", examples=[5])
    becomes: int | str | None = Field(alias="to", description="In this one.", examples=[4])


class RuleSetListed(Shown):
    """A version, without what it says."""

    id: UUID | None = Field(description="Null: the one that Tallystick comes with.")
    name: str = Field(description="As hits record it.", examples=["rules-3"])
    status: str = Field(description="`draft`, `published` or `discarded`.", examples=["draft"])
    live: bool = Field(description="Payments are judged by it now.", examples=[False])
    superseded: bool = Field(
        description="A draft that others were published over, and that cannot be approved.",
        examples=[False],
    )
    drafted_by: str | None = Field(examples=["ben"])
    drafted_at: Instant | None
    note: str | None = Field(examples=["Five declines catch too many honest typing errors."])
    decided_by: str | None = Field(
        description="Who published or discarded it.", examples=[None, "cleo"]
    )
    decided_at: Instant | None
    decision_note: str | None = Field(examples=[None])


class RuleSetShown(RuleSetListed):
    """A version: what it says, and where that differs from the live one."""

    differences: list[DifferenceShown] = Field(description="From the live one; none: it is that.")
    terms: RuleSetTermsShown


class RuleSetsShown(Shown):
    """Every version, the latest first."""

    live: str = Field(description="Name of the one that is live.", examples=["rules-3"])
    items: list[RuleSetListed]


@router.get("", dependencies=[needs(May.SEE_RULES)], responses=queries(RoleNotAllowed))
async def list_rulesets(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> RuleSetsShown:
    """List the rule sets there have been, and tell which one is live.

    This reads the log, and is never behind.
    """
    async with viewing(request, when) as view:
        rulesets = await rulesets_at(view.connection, view.upto)
    _mark(view, response, rulesets)
    versions = [*reversed(list(rulesets.versions.values())), None]
    items = [RuleSetListed(**_listed(rulesets, version)) for version in versions]
    return RuleSetsShown(live=rulesets.live_name, items=items)


@router.get("/live", dependencies=[needs(May.SEE_RULES)], responses=queries(RoleNotAllowed))
async def get_live_ruleset(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> RuleSetShown:
    """Show the rule set that payments are judged by right now, or then."""
    async with viewing(request, when) as view:
        rulesets = await rulesets_at(view.connection, view.upto)
    _mark(view, response, rulesets)
    live = rulesets.versions[rulesets.live_id] if rulesets.live_id else None
    return _shown(rulesets, live)


@router.get(
    "/{ruleset_id}",
    dependencies=[needs(May.SEE_RULES)],
    responses=queries(RoleNotAllowed, RuleSetNotFound),
)
async def get_ruleset(
    ruleset_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> RuleSetShown:
    """Show a rule set, and where it differs from the live one."""
    async with viewing(request, when) as view:
        rulesets = await rulesets_at(view.connection, view.upto)
        version = rulesets.versions.get(ruleset_id)
        if version is None:
            raise RuleSetNotFound(ruleset_id)
    _mark(view, response, rulesets)
    return _shown(rulesets, version)


@router.post("", status_code=201, dependencies=[needs(May.DRAFT_RULES)], responses=_DRAFTS)
def draft_ruleset(
    body: RuleSetBody, caller: VersionedCaller, services: ServicesHere, response: Response
) -> RuleSetShown:
    """Draft a rule set: say what is to be different, or send whole terms. Nothing changes yet.

    The answer shows what is different from the live one. Another person, of compliance, approves
    it.
    """
    terms = body.terms.terms() if body.terms else _changed(body, services.rulesets.get())
    version = services.rulesets.draft(terms, body.note, caller)
    response.headers["location"] = f"/v1/rulesets/{version.id}"
    return _answered(services, version, response)


@router.post(
    "/{ruleset_id}/approve",
    dependencies=[needs(May.APPROVE_RULES)],
    responses=declared.errors(*_DECIDES, InvalidRuleSet, SelfApproval),
)
def approve_ruleset(
    ruleset_id: UUID,
    body: FraudNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> RuleSetShown:
    """Approve a draft of another person's: from now on payments are judged by it."""
    version = services.rulesets.publish(ruleset_id, body.note, caller)
    return _answered(services, version, response)


@router.post(
    "/{ruleset_id}/discard",
    dependencies=[needs(May.DRAFT_RULES)],
    responses=declared.errors(*_DECIDES),
)
def discard_ruleset(
    ruleset_id: UUID,
    body: FraudNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> RuleSetShown:
    """Let go of a draft, one's own or as compliance."""
    version = services.rulesets.discard(ruleset_id, body.note, caller)
    return _answered(services, version, response)


async def rulesets_at(connection: ReadConnection, upto: int) -> RuleSets:
    """Every rule set there was at a position; read from the log, and never behind."""
    stream = ruleset_stream()
    told = await log_reading.events(connection, [stream], upto)
    return fold_rulesets(None, cast("list[RuleSetEvent]", told.get(stream, [])))


def _answered(services: Services, version: RuleSetVersion, response: Response) -> RuleSetShown:
    rulesets = services.rulesets.get()
    response.headers["etag"] = etag(rulesets.version)
    return _shown(rulesets, version)


def _mark(view: View, response: Response, rulesets: RuleSets) -> None:
    view.mark(response)
    response.headers["etag"] = etag(rulesets.version)


def _shown(rulesets: RuleSets, version: RuleSetVersion | None) -> RuleSetShown:
    """`version` None: the one that Tallystick comes with."""
    terms = version.terms if version else DEFAULT_TERMS
    return RuleSetShown(
        **_listed(rulesets, version),
        differences=[
            DifferenceShown.model_validate(
                {"indicator": indicator, "name": name, "from": was, "to": becomes}
            )
            for indicator, name, was, becomes in differences(rulesets.live_terms, terms)
        ],
        terms=RuleSetTermsShown.of(terms),
    )


def _listed(rulesets: RuleSets, version: RuleSetVersion | None) -> dict[str, Any]:
    if version is None:
        nobody = dict.fromkeys(
            ("id", "drafted_by", "drafted_at", "note", "decided_by", "decided_at", "decision_note")
        )
        is_live = rulesets.live_id is None
        named = {"name": DEFAULT_NAME, "status": "published"}
        return {**nobody, **named, "live": is_live, "superseded": False}
    return {
        "id": version.id,
        "name": version.name,
        "status": version.status.value,
        "live": version.id == rulesets.live_id,
        "superseded": rulesets.is_superseded(version),
        "drafted_by": version.drafted_by,
        "drafted_at": version.drafted_at,
        "note": version.note,
        "decided_by": version.decided_by,
        "decided_at": version.decided_at,
        "decision_note": version.decision_note,
    }


# --- changes ------------------------------------------------------------------------------------


def _changed(body: RuleSetBody, rulesets: RuleSets) -> RuleSetTerms:
    """What the changes make of the rule set they are based on.

    Raises:
        RequestInvalid: there is no rule set of that name, or an indicator has no such threshold.
    """
    named = {version.name: version.terms for version in rulesets.versions.values()}
    base = {DEFAULT_NAME: DEFAULT_TERMS, **named}.get(body.based_on or "")
    changes = body.changes
    if base is None or changes is None:
        raise invalid("body.based_on", "ruleset_unknown", "There is no rule set of this name")
    _refuse_unknown_thresholds(changes)
    given = {name: getattr(changes, name) for name in _SCORES}
    return replace(
        base,
        indicators=tuple(_applied(one, changes) for one in base.indicators),
        **{name: value for name, value in given.items() if value is not None},
    )


def _refuse_unknown_thresholds(changes: RuleSetChanges) -> None:
    errors = [
        FieldError(
            location=f"body.changes.indicators.{code}.thresholds",
            code="threshold_unknown",
            detail="The indicator has no threshold of this name",
            remedy=f"It has: {', '.join(p.name for p in BY_CODE[code].parameters) or 'none'}.",
        )
        for code, change in changes.indicators.items()
        if not change.thresholds.keys() <= {p.name for p in BY_CODE[code].parameters}
    ]
    if errors:
        raise RequestInvalid(errors)


def _applied(terms: IndicatorTerms, changes: RuleSetChanges) -> IndicatorTerms:
    change = changes.indicators.get(terms.indicator)
    if change is None:
        return terms
    thresholds = tuple(
        Threshold(name=one.name, value=change.thresholds.get(one.name, one.value))
        for one in terms.thresholds
    )
    return replace(terms, mode=change.mode or terms.mode, thresholds=thresholds)


Difference = tuple[str | None, str, int | str | None, int | str | None]
"""Indicator, what of it, what it is in the one, and in the other."""


def differences(was: RuleSetTerms, becomes: RuleSetTerms) -> Iterator[Difference]:
    """Where two rule sets differ, in the order of what they say."""
    before, after = _facts(was), _facts(becomes)
    for indicator, name in dict.fromkeys(chain(after, before)):
        one, other = before.get((indicator, name)), after.get((indicator, name))
        if one != other:
            yield indicator, name, one, other


def _facts(terms: RuleSetTerms) -> Mapping[tuple[str | None, str], int | str]:
    facts: dict[tuple[str | None, str], int | str] = {}
    for one in terms.indicators:
        facts[one.indicator, "mode"] = one.mode
        for threshold in one.thresholds:
            facts[one.indicator, threshold.name] = threshold.value
    facts |= {(None, name): getattr(terms, name) for name in _SCORES}
    facts[None, "base"] = terms.base
    facts |= {(None, f"rate {rate.currency}"): _in_words(rate) for rate in terms.rates}
    return facts


def _in_words(rate: Rate) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _by_name(terms: IndicatorTerms) -> dict[str, int]:
    return {threshold.name: threshold.value for threshold in terms.thresholds}
