"""Indicators: what is looked for, how the live rule set uses it, and how often it was right."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.fraud.responses import IndicatorShown, PrecisionShown, by_indicator
from api.fraud.rulesets import rulesets_at
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED
from api.http.errors import IndicatorUnknown
from api.http.reading import View, viewing
from api.http.responses import Shown
from api.permissions import May, may, needs
from domain.errors import RoleNotAllowed
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.ruleset import RuleSets
from projections.fraud_cases import fraud_cases
from projections.fraud_cases.fraud_cases import FRAUD_CASES

router = APIRouter(
    prefix="/v1/indicators",
    tags=["Fraud"],
    route_class=KeyedRoute,
    dependencies=[*KEYED, needs(May.SEE_INDICATORS)],
)

Code = Annotated[str, Path(max_length=64, pattern=r"^[a-z_]+$", examples=["structuring"])]


class IndicatorsShown(Shown):
    """All of them, by number."""

    items: list[IndicatorShown]


@router.get("", responses=queries(RoleNotAllowed))
async def list_indicators(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> IndicatorsShown:
    """List what is looked for: each indicator with its numbers, and how often it was right.

    Precision is counted from the cases that are closed.
    """
    async with viewing(request, when, FRAUD_CASES) as view:
        rulesets = await rulesets_at(view.connection, view.upto)
        told = await _precisions(view, request)
    view.mark(response)
    return IndicatorsShown(items=[_shown(code, rulesets, told) for code in BY_CODE])


@router.get("/{code}", responses=queries(RoleNotAllowed, IndicatorUnknown))
async def get_indicator(
    code: Code,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> IndicatorShown:
    """Show one indicator: its numbers, and how often it was right."""
    if code not in BY_CODE:
        raise IndicatorUnknown
    async with viewing(request, when, FRAUD_CASES) as view:
        rulesets = await rulesets_at(view.connection, view.upto)
        told = await _precisions(view, request)
    view.mark(response)
    return _shown(code, rulesets, told)


async def _precisions(view: View, request: Request) -> Mapping[str, PrecisionShown] | None:
    """None for whoever may not see how cases ended."""
    if not may(str(request.state.role), May.SEE_PRECISION):
        return None
    counted = await fraud_cases.precision(view.connection, view.upto)
    return by_indicator(
        (one.indicator, PrecisionShown.of(one.confirmed, one.false_positive, one.inconclusive))
        for one in counted
    )


def _shown(
    code: str, rulesets: RuleSets, told: Mapping[str, PrecisionShown] | None
) -> IndicatorShown:
    precision = None if told is None else told[code]
    return IndicatorShown.of(BY_CODE[code], rulesets.live_name, rulesets.live_terms, precision)
