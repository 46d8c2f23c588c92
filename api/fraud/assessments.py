"""Assessments: what a payout was judged by when it was screened."""

from typing import Annotated, Final, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.fraud.responses import AssessmentShown, CountedHitShown, hit_path
from api.fraud.rulesets import rulesets_at
from api.http import log_reading
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED
from api.http.errors import NotScreened
from api.http.reading import View, viewing
from api.permissions import May, may, needs
from domain.approval.policy import fold_policy, policy_stream
from domain.errors import RoleNotAllowed
from domain.events import (
    PolicyEvent,
    RuleSetTerms,
    WeighedHit,
    WithdrawalRequested,
    WithdrawalScreened,
)
from domain.fraud.assessment import SCORE_MAX, Assessment, Path, Severity
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS
from ledger.commands.errors import TransactionNotFound
from projections.engine.read_model import Recorded
from projections.fraud import queries as hits
from projections.fraud.model import FRAUD

router = APIRouter(
    prefix="/v1/withdrawals",
    tags=["Fraud"],
    route_class=KeyedRoute,
    dependencies=[*KEYED, needs(May.SEE_SCORES)],
)

_BEGINS: Final = frozenset({WithdrawalRequested.__name__})


@router.get(
    "/{withdrawal_id}/assessment",
    responses=queries(RoleNotAllowed, TransactionNotFound, NotScreened),
)
async def get_assessment(
    withdrawal_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> AssessmentShown:
    """Show what a payout was judged by when it was last screened.

    This is the record of it in the log; hits that came later do not change it. Who may not see
    hits is shown the score and the path alone.
    """
    async with viewing(request, when, FRAUD) as view:
        told = await log_reading.recorded(view.connection, [withdrawal_id], view.upto)
        if not told or not isinstance(told[0].event, WithdrawalRequested):
            missing = TransactionNotFound(withdrawal_id, "withdrawal")
            raise await view.missing(missing, withdrawal_id, _BEGINS)
        screened = _last_screened(told)
        if screened is None:
            raise NotScreened
        shown = await _shown(view, withdrawal_id, screened)
    view.mark(response)
    if may(str(request.state.role), May.SEE_HITS):
        return shown
    nothing = {"score_below": None, "hold_from": None, "ruleset": None, "hits": None}
    return shown.model_copy(update=nothing)


def _last_screened(told: list[Recorded]) -> Recorded | None:
    screened = (one for one in reversed(told) if isinstance(one.event, WithdrawalScreened))
    return next(screened, None)


async def _shown(view: View, withdrawal_id: UUID, recorded: Recorded) -> AssessmentShown:
    event = cast("WithdrawalScreened", recorded.event)
    terms = await _terms(view, event.ruleset, recorded.position)
    score_below = await _score_below(view, recorded.position)
    judged = Assessment(
        score=event.score, hits=event.hits, ruleset=event.ruleset, hold_from=terms.hold_from
    )
    path = judged.path(score_below)
    if path is Path.AUTOMATIC and event.high:  # as whoever scored it higher said
        path = Path.REVIEW
    return AssessmentShown(
        withdrawal_id=withdrawal_id,
        score=event.score,
        path=path.value,
        screened_at=event.occurred_at,
        score_below=score_below,
        hold_from=terms.hold_from,
        ruleset=event.ruleset,
        hits=[await _counted(view, hit, terms) for hit in event.hits],
    )


async def _terms(view: View, name: str, position: int) -> RuleSetTerms:
    """Of the rule set that it was judged by."""
    rulesets = await rulesets_at(view.connection, position)
    named = {version.name: version.terms for version in rulesets.versions.values()}
    return {DEFAULT_NAME: DEFAULT_TERMS, **named}.get(name, rulesets.live_terms)


async def _score_below(view: View, position: int) -> int:
    """Of the approval policy in force then."""
    told = await log_reading.events(view.connection, [policy_stream()], position)
    events = cast("list[PolicyEvent]", told.get(policy_stream(), []))
    return fold_policy(None, events).terms.score_below


async def _counted(view: View, hit: WeighedHit, terms: RuleSetTerms) -> CountedHitShown:
    found_id = f"{hit.position:015d}/{hit.indicator}/{hit.subject}"
    found = await hits.hit(view.connection, found_id)
    adds = {
        Severity.LOW: terms.score_low,
        Severity.MEDIUM: terms.score_medium,
        Severity.HIGH: terms.score_high,
        Severity.CRITICAL: SCORE_MAX,
    }
    return CountedHitShown(
        id=found_id,
        href=hit_path(found_id),
        indicator=hit.indicator,
        title=BY_CODE[hit.indicator].title,
        severity=hit.severity,
        adds=adds[Severity(hit.severity)],
        holds=hit.holds,
        subject=hit.subject,
        sentence=found.sentence if found else None,
    )
