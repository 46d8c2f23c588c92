"""Backtests: what a rule set would have found and decided, asked for here, run by a worker.

Everybody sees their own; auditors and compliance see all.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Discriminator, Field, StrictInt, Tag, model_validator
from pydantic_core import PydanticCustomError

from api.audit.exports import ViewerHere, before_cursor, cursor_after
from api.fraud.backtest_responses import BacktestListed, BacktestShown
from api.http import declared
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere
from api.http.instants import When
from api.http.paging import POSITION_MAX, PageParameters, PageShown, link_next
from api.http.requests import Body
from api.permissions import May, needs
from domain.errors import RoleNotAllowed
from ledger.commands.errors import RuleSetNotFound
from ledger.export_jobs import BACKTESTS, BacktestNotFound, TooManyExports

router = APIRouter(prefix="/v1", tags=["Fraud"], route_class=KeyedRoute, dependencies=KEYED)

Position = Annotated[StrictInt, Field(ge=1, le=POSITION_MAX)]


def _meant(point: object) -> str:
    return "instant" if isinstance(point, str | datetime) else "position"


Point = Annotated[
    Annotated[Position, Tag("position")] | Annotated[When, Tag("instant")], Discriminator(_meant)
]
"""Told apart by what is sent, so that an error is about the one that was meant."""


class BacktestBody(Body):
    """Which payouts, and where it is computed."""

    begins: Point | None = Field(
        default=None,
        alias="from",
        description="A position, or an instant: payouts recorded then or later. What came earlier"
        " is judged as well, so that windows are full.",
        examples=["2026-03-01T00:00:00Z"],
    )
    ends: Point | None = Field(
        default=None,
        alias="to",
        description="Likewise; not included. To the log's end where it is left out.",
        examples=["2026-04-01T00:00:00Z"],
    )
    engine: Literal["serial", "processes"] = Field(
        default="processes", description="One process, or as many as there are processors."
    )

    @model_validator(mode="after")
    def _in_order(self) -> "BacktestBody":
        begins, ends = self.begins, self.ends
        if isinstance(begins, int) and isinstance(ends, int):
            wrong = begins > ends
        elif begins is None or ends is None or isinstance(begins, int) or isinstance(ends, int):
            wrong = False
        else:
            wrong = begins > ends
        if wrong:
            raise PydanticCustomError("span_backwards", "Input should begin before it ends")
        return self

    def request(self, ruleset_id: UUID) -> dict[str, Any]:
        """As the job keeps it: the same for the same backtest."""
        return {
            "ruleset": str(ruleset_id),
            "from": _text(self.begins),
            "to": _text(self.ends),
            "engine": self.engine,
        }


def _text(point: Any) -> str | None:
    if point is None or isinstance(point, int):
        return None if point is None else str(point)
    return str(point.isoformat())


@router.post(
    "/rulesets/{ruleset_id}/backtests",
    status_code=202,
    dependencies=[needs(May.RUN_BACKTESTS)],
    responses=declared.errors(*declared.WRITES, RoleNotAllowed, RuleSetNotFound, TooManyExports),
)
def run_backtest(
    ruleset_id: UUID,
    body: BacktestBody,
    caller: CallerHere,
    viewer: ViewerHere,
    services: ServicesHere,
    response: Response,
) -> BacktestShown:
    """Ask what a rule set, drafted or published, would have changed; a worker finds out.

    Ask at the place that Location names until its status is `done`. At most 5 exports and
    backtests of a person are queued or running.
    """
    if ruleset_id not in services.rulesets.get().versions:
        raise RuleSetNotFound(ruleset_id)
    request = body.request(ruleset_id)
    job = services.exports.create(viewer, caller.idempotency_key, "backtest", request)
    response.headers["location"] = f"/v1/backtests/{job.id}"
    return BacktestShown.of(job)


@router.get(
    "/backtests",
    dependencies=[needs(May.SEE_BACKTESTS)],
    responses=declared.errors(*declared.KEYED, RoleNotAllowed),
)
def list_backtests(
    page: Annotated[PageParameters, Query()],
    viewer: ViewerHere,
    services: ServicesHere,
    request: Request,
    response: Response,
) -> PageShown[BacktestListed]:
    """List backtests, newest first: one's own, or all for those who may see them."""
    found = services.exports.page(viewer, before_cursor(page.cursor), page.limit + 1, BACKTESTS)
    cursor = cursor_after(found, page.limit)
    link_next(request, response, cursor=cursor)
    items = [BacktestListed.of(job) for job in found[: page.limit]]
    return PageShown(items=items, next_cursor=cursor)


@router.get(
    "/backtests/{backtest_id}",
    dependencies=[needs(May.SEE_BACKTESTS)],
    responses=declared.errors(*declared.KEYED, RoleNotAllowed, BacktestNotFound),
)
def get_backtest(backtest_id: UUID, viewer: ViewerHere, services: ServicesHere) -> BacktestShown:
    """Show a backtest: how far it is, or why it failed, or what it came to."""
    return BacktestShown.of(services.exports.backtest(viewer, backtest_id))
