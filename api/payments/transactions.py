"""Transactions, of any kind: find them, show one, tell its history.

The read model says which ones match; what each looks like is folded from the log, up to the
version that the read model has seen, so that a list never contradicts its own filters.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final, Literal, get_args
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.http import log_reading
from api.http.answers import answered, etag
from api.http.as_of import PageQueryParameters, QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED
from api.http.free_text import LINE_CHARS_MAX, Line, Name, check_line
from api.http.instants import When
from api.http.log_reading import EventShown
from api.http.paging import PageShown, decode_cursor, encode_cursor, link_next
from api.http.reading import View, viewing
from api.http.requests import METADATA_ENTRIES_MAX, Currency
from api.http.responses import Shown
from api.payments.rendering import Plain, judged_by_player, rendered
from api.payments.responses import AnyTransactionShown
from api.withholding import shown_to
from domain.adjustment.state import AdjustmentStatus
from domain.conversion.state import ConversionStatus
from domain.deposit.decisions import DepositStatus
from domain.dispute.decisions import DisputeStatus
from domain.money import AMOUNT_MINOR_MAX
from domain.refund.decisions import RefundStatus
from domain.transactions import Transaction
from domain.withdrawal.state import WithdrawalStatus
from ledger.commands.errors import TransactionNotFound
from projections.history import history
from projections.history.history import HISTORY, Filters
from projections.history.status import Creation
from projections.past import history as past
from projections.past.history import LOOKED_AT_MAX, PastTransactions

router = APIRouter(
    prefix="/v1/transactions", tags=["Transactions"], route_class=KeyedRoute, dependencies=KEYED
)

Kind = Literal["deposit", "withdrawal", "refund", "conversion", "dispute", "adjustment"]

_STATUSES: Final = frozenset(
    {
        *DepositStatus,
        *WithdrawalStatus,
        *RefundStatus,
        *ConversionStatus,
        *DisputeStatus,
        *AdjustmentStatus,
    }
)


def _status(word: str) -> str:
    if word not in _STATUSES:
        raise PydanticCustomError("enum", "Input should be a status of a transaction")
    return word


def _pair(text: str) -> str:
    name, colon, value = text.partition(":")
    if not (name and colon and value):
        raise PydanticCustomError("pair", "Input should be a key and a value: order:A-17")
    return check_line(text)


Status = Annotated[
    str,
    AfterValidator(_status),
    Field(json_schema_extra={"enum": sorted({str(status) for status in _STATUSES})}),
]
Pair = Annotated[str, Field(max_length=2 * LINE_CHARS_MAX), AfterValidator(_pair)]
AmountMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]


class Search(PageQueryParameters):
    """What to look for; everything given has to match."""

    kind: list[Kind] = Field(default_factory=list, max_length=6, description="Any of these.")
    status: list[Status] = Field(
        default_factory=list, max_length=len(_STATUSES), description="Any of these."
    )
    player_id: UUID | None = None
    provider: Name | None = None
    currency: Currency | None = Field(
        default=None, description="Of the amount, or of what a conversion gives."
    )
    amount_min: AmountMinor | None = Field(default=None, description="In minor units.")
    amount_max: AmountMinor | None = Field(default=None, description="In minor units.")
    created_from: When | None = None
    created_to: When | None = Field(default=None, description="Not included.")
    updated_from: When | None = None
    updated_to: When | None = Field(default=None, description="Not included.")
    reference: Line | None = Field(default=None, description="Ours, or the provider's.")
    instrument: Line | None = None
    related_id: UUID | None = Field(
        default=None,
        description="The deposit refunded or contested, or the transaction adjusted.",
    )
    reason: Line | None = Field(default=None, examples=["insufficient_funds"])
    metadata: list[Pair] = Field(
        default_factory=list,
        max_length=METADATA_ENTRIES_MAX,
        description="All of these, each as `key:value`.",
        examples=[["order:A-17"]],
    )

    def filters(self) -> Filters:
        """As the read model has them."""
        pairs = (pair.partition(":") for pair in self.metadata)
        return Filters(
            kinds=self.kind,
            statuses=self.status,
            player_id=self.player_id,
            provider=self.provider,
            currency=self.currency,
            amount_minor_min=self.amount_min,
            amount_minor_max=self.amount_max,
            created_from=self.created_from,
            created_to=self.created_to,
            updated_from=self.updated_from,
            updated_to=self.updated_to,
            reference=self.reference,
            instrument=self.instrument,
            related_id=self.related_id,
            reason=self.reason,
            metadata={name: value for name, _, value in pairs} or None,
        )


class TransactionsShown(PageShown[AnyTransactionShown]):
    """A page of transactions, and how to go on."""


class HistoryShown(Shown):
    """Everything that happened to a transaction, in order."""

    transaction: AnyTransactionShown
    events: list[EventShown]


@router.get("", response_model=TransactionsShown, responses=queries())
async def find_transactions(search: Annotated[Search, Query()], request: Request) -> Response:
    """Find transactions of any kind, newest first.

    With `as_of`, a page looks at some 2,000 transactions at most: it may hold fewer than asked
    for, or none, and still not be the last one.
    """
    return await found(request, search, search.filters())


async def found(request: Request, page_of: PageQueryParameters, filters: Filters) -> Response:
    """A page of the transactions that match, as they are or were."""
    cursor = decode_cursor(page_of.cursor, int)[0] if page_of.cursor else None
    async with viewing(request, page_of, HISTORY) as view:
        page = await _page(view, filters, cursor, page_of.limit)
        versions = {row.id: row.version for row in page.rows}
        states = await log_reading.transactions(view.connection, versions)
        bodies = await _judged(request, view, states)
        why = None if page.rows else await _why_nothing(view, filters, page)
    following = encode_cursor([page.next_cursor]) if page.next_cursor is not None else None
    items = [bodies[row.id] for row in page.rows]
    response = answered({"items": items, "next_cursor": following})
    link_next(request, response, cursor=following, **view.pinned)
    view.mark(response, empty_because=why)
    return response


async def _page(view: View, filters: Filters, cursor: int | None, limit: int) -> history.Page:
    if view.then is None:
        return await history.page(view.connection, filters, cursor, limit)
    return await past_transactions(view).page(filters, cursor, limit)


def past_transactions(view: View) -> PastTransactions:
    """History as it was."""
    read = partial(log_reading.recorded, view.connection)
    return PastTransactions(view.connection, read, view.upto)


async def _why_nothing(view: View, filters: Filters, page: history.Page) -> str | None:
    if view.then is None:
        return None
    if page.next_cursor is not None:
        return f"None of the {LOOKED_AT_MAX} looked at for this page matched; go on with the next."
    first = await past.first_created(view.connection, filters.player_id)
    return view.nothing(await log_reading.at(view.connection, first))


@router.get(
    "/{transaction_id}",
    response_model=AnyTransactionShown,
    responses=queries(TransactionNotFound),
)
async def get_transaction(
    transaction_id: UUID, when: Annotated[QueryParameters, Query()], request: Request
) -> Response:
    """Show a transaction as it is right now: this reads the log, and is never behind.

    Which approvals of a withdrawal count is judged right now as well, or then with `as_of`.
    """
    return await shown(request, when, transaction_id)


async def shown(
    request: Request, when: QueryParameters, transaction_id: UUID, begins: object = Creation
) -> Response:
    """The transaction as it is or was; it is of the kind that begins with such an event.

    Raises:
        TransactionNotFound: there is none under this id, or was none.
    """
    async with viewing(request, when) as view:
        events = await log_reading.stream(view.connection, transaction_id, view.upto)
        transaction = log_reading.folded_transaction(events)
        if transaction is None or events[0].topic not in _topics(begins):
            raise await _missing(view, transaction_id, begins)
        bodies = await _judged(request, view, {transaction_id: transaction})
    response = answered(bodies[transaction_id], headers={"etag": etag(transaction.version)})
    view.mark(response)
    return response


@router.get(
    "/{transaction_id}/events",
    response_model=HistoryShown,
    responses=queries(TransactionNotFound),
)
async def get_transaction_events(
    transaction_id: UUID, when: Annotated[QueryParameters, Query()], request: Request
) -> Response:
    """Tell what happened to a transaction: who did what, and what it meant in double entry.

    `withheld` names the fields of an event that are not for who asks.
    """
    async with viewing(request, when) as view:
        events = await log_reading.stream(view.connection, transaction_id, view.upto)
        transaction = log_reading.folded_transaction(events)
        if transaction is None:
            raise await _missing(view, transaction_id, Creation)
        bodies = await _judged(request, view, {transaction_id: transaction})
    role = str(request.state.role)
    told = {
        "transaction": bodies[transaction_id],
        "events": [log_reading.shown(event, role).model_dump() for event in events],
    }
    response = answered(told, headers={"etag": etag(transaction.version)})
    view.mark(response)
    return response


async def _missing(view: View, transaction_id: UUID, begins: object) -> TransactionNotFound:
    return await view.missing(TransactionNotFound(transaction_id), transaction_id, _topics(begins))


def _topics(begins: object) -> frozenset[str]:
    """Of an event, or of a union of some."""
    return frozenset(event.__name__ for event in get_args(begins) or (begins,))


async def _judged(
    request: Request, view: View, states: Mapping[UUID, Transaction]
) -> dict[UUID, Plain]:
    """Transactions as they are shown to who asks, with which approvals count now, or then."""
    role = str(request.state.role)
    ids = judged_by_player(states.values())
    players = await log_reading.players(view.connection, ids, view.upto)
    return {
        transaction_id: shown_to(
            role,
            rendered(
                state,
                player=players.get(state.player_id) if state.player_id else None,
                now=view.now,
            ),
        )
        for transaction_id, state in states.items()
    }
