"""The queue: what waits for people, since when, and why."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api import declared
from api.context import KEYED
from api.door import KeyedRoute
from api.paging import PageParameters, PageShown, decode_cursor, encode_cursor, link_next
from api.reading import reading
from api.resources import Instant, MoneyShown, Shown
from api.validation import invalid
from projections import withdrawal_queue
from projections.withdrawal_queue import WITHDRAWAL_QUEUE, Case, Cursor

router = APIRouter(
    prefix="/v1/withdrawal-queue",
    tags=["Withdrawals"],
    route_class=KeyedRoute,
    dependencies=KEYED,
)


class Waiting(PageParameters):
    """What of the queue to list."""

    kind: Literal["deposit", "withdrawal"] | None = None
    status: list[Literal["under_review", "info_required", "held", "review"]] = Field(
        default_factory=list, max_length=4, description="Any of these."
    )


class CaseShown(Shown):
    """A transaction that waits for people."""

    transaction_id: UUID
    kind: Literal["deposit", "withdrawal"]
    player_id: UUID
    provider: str = Field(examples=["simulator"])
    method: str = Field(examples=["card"])
    amount: MoneyShown
    requested_by: str = Field(description="May not approve it.", examples=["platform"])
    requested_at: Instant
    status: str = Field(examples=["under_review"])
    waiting_since: Instant
    reasons: list[str] = Field(examples=[["above_automatic_limit"]])
    approvals_required: int = Field(examples=[2])
    approvals: list[str] = Field(description="Who agreed so far.", examples=[["anna"]])
    note: str | None = Field(description="Of who held it or asked the player.", examples=[None])
    proposed_target: str | None = Field(examples=[None])
    proposed_by: str | None = Field(examples=[None])

    @classmethod
    def of(cls, case: Case, since: datetime) -> "CaseShown":
        return cls(
            transaction_id=case.id,
            kind="deposit" if case.kind == "deposit" else "withdrawal",
            player_id=case.player_id,
            provider=case.provider,
            method=case.method,
            amount=MoneyShown(amount=case.amount_minor, currency=case.currency),
            requested_by=case.requested_by,
            requested_at=case.requested_at,
            status=case.waiting_as or "",
            waiting_since=since,
            reasons=list(case.reasons),
            approvals_required=case.approvals_required,
            approvals=sorted(case.approvals),
            note=case.note,
            proposed_target=case.proposed_target,
            proposed_by=case.proposed_by,
        )


@router.get("", responses=declared.errors(*declared.READS))
async def list_queue(
    waiting: Annotated[Waiting, Query()], request: Request, response: Response
) -> PageShown[CaseShown]:
    """List what waits for people, longest first: payouts to decide, reviews to resolve."""
    async with reading(request, WITHDRAWAL_QUEUE, waiting.min_position) as connection:
        cases = await withdrawal_queue.waiting(
            connection,
            statuses=waiting.status,
            kind=waiting.kind,
            cursor=_cursor(waiting.cursor),
            limit=waiting.limit + 1,
        )
    items = [CaseShown.of(c, c.waiting_since) for c in cases if c.waiting_since is not None]
    page = items[: waiting.limit]
    last = page[-1] if len(items) > len(page) else None
    following = (
        encode_cursor([last.waiting_since.isoformat(), str(last.transaction_id)]) if last else None
    )
    link_next(request, response, cursor=following)
    return PageShown(items=page, next_cursor=following)


def _cursor(cursor: str | None) -> Cursor | None:
    if cursor is None:
        return None
    since, transaction_id = decode_cursor(cursor, str, str)
    try:
        return Cursor(waiting_since=datetime.fromisoformat(since), id=UUID(transaction_id))
    except ValueError:
        raise invalid("query.cursor", "cursor_unknown", "The cursor is none of this list") from None
