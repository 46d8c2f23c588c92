"""The queue: what waits for people, since when, and why."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.http import log_reading
from api.http.as_of import PageQueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED
from api.http.errors import RequestInvalid
from api.http.paging import PageShown, decode_cursor, encode_cursor, link_next
from api.http.reading import View, viewing
from api.http.responses import Instant, MoneyShown, Shown
from api.http.validation import invalid
from api.payments.responses import Groups
from api.payments.transactions import Kind
from api.permissions import May, may
from api.withholding import queue_reasons
from domain.withdrawal.state import WithdrawalStatus
from projections.history.history import HISTORY
from projections.past import history as past
from projections.past import queue as past_queue
from projections.past.queue import PastCursor, PastWaiting
from projections.queue import withdrawal_queue
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE, Case, Cursor

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
    "more_out_than_in",
]


class Waiting(PageQueryParameters):
    """What of the queue to list."""

    kind: Kind | None = None
    status: list[Waits] = Field(default_factory=list, max_length=10, description="Any of these.")


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
    excess: MoneyShown | None = Field(
        description="Of a deposit, how much more has gone out for it than came in.",
        examples=[None],
    )
    reasons: list[str] = Field(
        description="Of a payout also the indicators that counted, for who may see those.",
        examples=[["above_automatic_limit", "low_turnover"]],
    )
    score: int | None = Field(
        description="Of a payout, how risky it looks, 0 to 100; null for who may not see that.",
        examples=[25],
    )
    required: Groups = Field(
        description="Who has to agree: one person for each inner list, with any role of it.",
        examples=[[["fraud"], ["finance"]]],
    )
    missing: Groups = Field(
        description="Those for whom nobody has agreed yet.", examples=[[["finance"]]]
    )
    approvals: list[AgreedShown]
    note: str | None = Field(
        description="Of who held it or asked the player; why it is held is for who may see hits.",
        examples=[None],
    )
    proposed_target: str | None = Field(examples=[None])
    proposed_by: str | None = Field(examples=[None])

    @classmethod
    def of(cls, case: Case, since: datetime, now: datetime, role: str) -> "CaseShown":
        """As somebody of this role is shown it."""
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
                "excess": MoneyShown.of(case.excess) if case.excess else None,
                "reasons": _reasons(case, role),
                "score": case.score if may(role, May.SEE_SCORES) else None,
                "required": case.required,
                "missing": case.missing(now),
                "approvals": [
                    {"person": one.person, "role": one.role, "at": one.at}
                    for one in case.counting(now)
                ],
                "note": _note(case, role),
                "proposed_target": case.proposed_target,
                "proposed_by": case.proposed_by,
            }
        )


@router.get(
    "/v1/withdrawal-queue", name="list_withdrawal_queue", deprecated=True, responses=queries()
)
@router.get("/v1/queue", responses=queries())
async def list_queue(
    waiting: Annotated[Waiting, Query()], request: Request, response: Response
) -> PageShown[CaseShown]:
    """List what waits for people, longest first.

    That is payouts, refunds and adjustments to decide, reviews to resolve, disputes to answer, and
    deposits that were paid although a rule forbids them by now, or of which more has gone out than
    came in.

    With `as_of`, a page looks at 5,000 transactions at most, those created first: where more were
    under way, it may hold fewer than asked for, and the longest wait is first among those.
    """
    cursor = _cursor(waiting.cursor)
    async with viewing(request, waiting, WITHDRAWAL_QUEUE, HISTORY) as view:
        page = await _page(view, waiting, cursor)
        why = None if page.cases else await _why_nothing(view, page)
    following = _encoded(page.next_cursor) if page.next_cursor else None
    link_next(request, response, cursor=following, **view.pinned)
    view.mark(response, empty_because=why)
    role = str(request.state.role)
    items = [
        CaseShown.of(c, c.waiting_since, view.now, role) for c in page.cases if c.waiting_since
    ]
    return PageShown(items=items, next_cursor=following)


async def _page(view: View, waiting: Waiting, cursor: PastCursor | None) -> PastWaiting:
    if view.then is not None:
        return await past_queue.waiting_then(
            view.connection,
            partial(log_reading.recorded, view.connection),
            view.upto,
            statuses=waiting.status,
            kind=waiting.kind,
            cursor=cursor,
            limit=waiting.limit,
        )
    cases = await withdrawal_queue.waiting(
        view.connection,
        statuses=waiting.status,
        kind=waiting.kind,
        cursor=cursor.last if cursor else None,
        limit=waiting.limit + 1,
    )
    page = cases[: waiting.limit]
    last = _last(page[-1]) if len(cases) > len(page) else None
    return PastWaiting(cases=page, next_cursor=PastCursor(last=last) if last else None)


def _reasons(case: Case, role: str) -> Sequence[str]:
    """Those of a review and of what is no payout have nothing to do with indicators."""
    if case.kind != "withdrawal" or case.review_reason:
        return case.why
    return queue_reasons(case.why, role)


def _note(case: Case, role: str) -> str | None:
    """Where indicators hold a payout, it names them."""
    held = case.kind == "withdrawal" and case.waiting_as == WithdrawalStatus.HELD
    return case.note if not held or may(role, May.SEE_HITS) else None


async def _why_nothing(view: View, page: PastWaiting) -> str | None:
    if view.then is None:
        return None
    if page.next_cursor is not None:
        return "None of those looked at for this page waited; go on with the next."
    first = await past.first_created(view.connection, None)
    return view.nothing(await log_reading.at(view.connection, first))


def _last(case: Case) -> Cursor | None:
    since = case.waiting_since
    return None if since is None else Cursor(waiting_since=since, id=case.id)


def _encoded(cursor: PastCursor) -> str:
    last = cursor.last
    parts = [last.waiting_since.astimezone(UTC).isoformat(), str(last.id)] if last else ["", ""]
    return encode_cursor([*parts, cursor.after] if cursor.after else parts)


def _cursor(cursor: str | None) -> PastCursor | None:
    if cursor is None:
        return None
    since, transaction_id, after = _parts(cursor)
    if not since and after:
        return PastCursor(last=None, after=after)
    try:
        last = Cursor(waiting_since=datetime.fromisoformat(since), id=UUID(transaction_id))
    except ValueError:
        raise invalid("query.cursor", "cursor_unknown", "The cursor is none of this list") from None
    return PastCursor(last=last, after=after)


def _parts(cursor: str) -> tuple[str, str, int]:
    """When the last case began to wait, its id, and behind what position its window begins."""
    try:
        since, transaction_id = decode_cursor(cursor, str, str)
    except RequestInvalid:
        since, transaction_id, after = decode_cursor(cursor, str, str, int)
        return since, transaction_id, after
    return since, transaction_id, 0
