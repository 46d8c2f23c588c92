"""The queue: what waits for people, since when, and why."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api import declared
from api.context import KEYED, ServicesHere
from api.door import KeyedRoute
from api.paging import PageParameters, PageShown, decode_cursor, encode_cursor, link_next
from api.reading import reading
from api.resources import Instant, MoneyShown, Shown
from api.resources_transactions import Groups
from api.transactions import Kind
from api.validation import invalid
from projections import withdrawal_queue
from projections.withdrawal_queue import WITHDRAWAL_QUEUE, Case, Cursor

router = APIRouter(tags=["Queue"], route_class=KeyedRoute, dependencies=KEYED)

Waits = Literal[
    "under_review",
    "info_required",
    "held",
    "review",
    "pending_approval",
    "requested",
    "opened",
    "evidence_due",
    "completed",
]


class Waiting(PageParameters):
    """What of the queue to list."""

    kind: Kind | None = None
    status: list[Waits] = Field(default_factory=list, max_length=9, description="Any of these.")


class AgreedShown(Shown):
    """Somebody's agreement to the payout as it is, and not too old.

    Whether the player's standing has changed since, the transaction says.
    """

    person: str = Field(examples=["anna"])
    role: str = Field(examples=["finance"])
    at: Instant


class CaseShown(Shown):
    """A transaction that waits for people."""

    transaction_id: UUID
    kind: Kind
    player_id: UUID | None
    provider: str | None = Field(examples=["simulator"])
    method: str | None = Field(examples=["card"])
    amount: MoneyShown
    requested_by: str = Field(description="May not approve it.", examples=["platform"])
    requested_at: Instant
    status: str = Field(examples=["under_review"])
    waiting_since: Instant
    due_at: Instant | None = Field(description="Until when people have to act.", examples=[None])
    stage: str | None = Field(description="Of a dispute.", examples=[None])
    reasons: list[str] = Field(examples=[["above_automatic_limit"]])
    required: Groups = Field(
        description="Who has to agree: one person for each inner list, with any role of it.",
        examples=[[["fraud"], ["finance"]]],
    )
    missing: Groups = Field(
        description="Those for whom nobody has agreed yet.", examples=[[["finance"]]]
    )
    approvals: list[AgreedShown]
    note: str | None = Field(description="Of who held it or asked the player.", examples=[None])
    proposed_target: str | None = Field(examples=[None])
    proposed_by: str | None = Field(examples=[None])

    @classmethod
    def of(cls, case: Case, since: datetime, now: datetime) -> "CaseShown":
        return cls.model_validate(
            {
                "transaction_id": case.id,
                "kind": case.kind,
                "player_id": case.player_id,
                "provider": case.provider or None,
                "method": case.method or None,
                "amount": {"amount": case.amount_minor, "currency": case.currency},
                "requested_by": case.requested_by,
                "requested_at": case.requested_at,
                "status": case.waiting_as,
                "waiting_since": since,
                "due_at": case.due_at,
                "stage": case.stage,
                "reasons": case.why,
                "required": case.required,
                "missing": case.missing(now),
                "approvals": [
                    {"person": one.person, "role": one.role, "at": one.at}
                    for one in case.counting(now)
                ],
                "note": case.note,
                "proposed_target": case.proposed_target,
                "proposed_by": case.proposed_by,
            }
        )


@router.get(
    "/v1/withdrawal-queue",
    name="list_withdrawal_queue",
    deprecated=True,
    responses=declared.errors(*declared.READS),
)
@router.get("/v1/queue", responses=declared.errors(*declared.READS))
async def list_queue(
    waiting: Annotated[Waiting, Query()],
    request: Request,
    response: Response,
    services: ServicesHere,
) -> PageShown[CaseShown]:
    """List what waits for people, longest first.

    That is payouts, refunds and adjustments to decide, reviews to resolve, disputes to answer, and
    deposits that were paid although a rule forbids them by now.
    """
    async with reading(request, WITHDRAWAL_QUEUE, waiting.min_position) as connection:
        cases = await withdrawal_queue.waiting(
            connection,
            statuses=waiting.status,
            kind=waiting.kind,
            cursor=_cursor(waiting.cursor),
            limit=waiting.limit + 1,
        )
    now = services.handling.now()
    items = [CaseShown.of(c, c.waiting_since, now) for c in cases if c.waiting_since is not None]
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
