"""Transactions, of any kind: find them, show one, tell its history.

The read model says which ones match; what each looks like is folded from the log, up to the
version that the read model has seen, so that a list never contradicts its own filters.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api import declared, log_reading
from api.answers import answered, etag
from api.context import KEYED, ServicesHere
from api.door import KeyedRoute
from api.free_text import LINE_CHARS_MAX, Line, Name, check_line
from api.instants import When
from api.log_reading import EventShown
from api.paging import PageParameters, PageShown, decode_cursor, encode_cursor, link_next
from api.reading import reading
from api.rendering import Plain, judged_by_player, rendered
from api.requests import METADATA_ENTRIES_MAX, Currency
from api.resources import Shown
from api.resources_transactions import AnyTransactionShown
from api.services import ReadConnection, Services
from domain.adjustment import AdjustmentStatus
from domain.conversion import ConversionStatus
from domain.deposit import DepositStatus
from domain.dispute import DisputeStatus
from domain.money import AMOUNT_MINOR_MAX
from domain.refund import RefundStatus
from domain.transactions import Transaction
from domain.withdrawal import WithdrawalStatus
from projections import history
from projections.history import HISTORY, Filters
from tallystick.commands.errors import TransactionNotFound

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


class Search(PageParameters):
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


@router.get(
    "",
    response_model=TransactionsShown,
    responses=declared.errors(*declared.READS),
)
async def find_transactions(
    search: Annotated[Search, Query()], request: Request, services: ServicesHere
) -> Response:
    """Find transactions of any kind, newest first."""
    return await found(request, services, search, search.filters())


async def found(
    request: Request, services: Services, page_of: PageParameters, filters: Filters
) -> Response:
    """A page of the transactions that match, as they are."""
    cursor = decode_cursor(page_of.cursor, int)[0] if page_of.cursor else None
    async with reading(request, HISTORY, page_of.min_position) as connection:
        page = await history.page(connection, filters, cursor, page_of.limit)
        versions = {row.id: row.version for row in page.rows}
        states = await log_reading.transactions(connection, versions)
        bodies = await _judged(connection, services, states)
    following = encode_cursor([page.next_cursor]) if page.next_cursor is not None else None
    items = [bodies[row.id] for row in page.rows]
    response = answered({"items": items, "next_cursor": following})
    link_next(request, response, cursor=following)
    return response


@router.get(
    "/{transaction_id}",
    response_model=AnyTransactionShown,
    responses=declared.errors(*declared.KEYED, TransactionNotFound),
)
async def get_transaction(
    transaction_id: UUID, request: Request, services: ServicesHere
) -> Response:
    """Show a transaction as it is right now: this reads the log, and is never behind.

    Which approvals of a withdrawal count is judged right now as well.
    """
    return await shown_now(request, services, transaction_id)


async def shown_now(
    request: Request, services: Services, transaction_id: UUID, kind: type = object
) -> Response:
    """The transaction of that kind as it is.

    Raises:
        TransactionNotFound: there is none under this id.
    """
    async with reading(request) as connection:
        events = await log_reading.stream(connection, transaction_id)
        transaction = log_reading.folded_transaction(events)
        if transaction is None or not isinstance(transaction, kind):
            raise TransactionNotFound(transaction_id)
        bodies = await _judged(connection, services, {transaction_id: transaction})
    return answered(bodies[transaction_id], headers={"etag": etag(transaction.version)})


@router.get(
    "/{transaction_id}/events",
    response_model=HistoryShown,
    responses=declared.errors(*declared.KEYED, TransactionNotFound),
)
async def get_transaction_events(
    transaction_id: UUID, request: Request, services: ServicesHere
) -> Response:
    """Tell what happened to a transaction: who did what, and what it meant in double entry."""
    async with reading(request) as connection:
        events = await log_reading.stream(connection, transaction_id)
        transaction = log_reading.folded_transaction(events)
        if transaction is None:
            raise TransactionNotFound(transaction_id)
        bodies = await _judged(connection, services, {transaction_id: transaction})
    told = {
        "transaction": bodies[transaction_id],
        "events": [log_reading.shown(event).model_dump() for event in events],
    }
    return answered(told, headers={"etag": etag(transaction.version)})


async def _judged(
    connection: ReadConnection, services: Services, states: Mapping[UUID, Transaction]
) -> dict[UUID, Plain]:
    """Transactions as they are shown, with which approvals count now."""
    players = await log_reading.players(connection, judged_by_player(states.values()))
    now = services.handling.now()
    return {
        transaction_id: rendered(
            state, player=players.get(state.player_id) if state.player_id else None, now=now
        )
        for transaction_id, state in states.items()
    }
