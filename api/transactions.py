"""Transactions, of either kind: find them, show one, tell its history.

The read model says which ones match; what each looks like is folded from the log, up to the
version that the read model has seen, so that a list never contradicts its own filters.
"""

import re
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api import declared, log_reading
from api.answers import etag
from api.context import KEYED
from api.door import KeyedRoute
from api.free_text import LINE_CHARS_MAX, Line, Name, check_line
from api.log_reading import EventShown
from api.paging import PageParameters, PageShown, decode_cursor, encode_cursor, link_next
from api.reading import reading
from api.requests import METADATA_ENTRIES_MAX, Currency
from api.resources import Shown, TransactionShown, transaction_fields
from domain.deposit import DepositStatus
from domain.money import AMOUNT_MINOR_MAX
from domain.withdrawal import WithdrawalStatus
from projections import history
from projections.history import HISTORY, Filters
from tallystick.commands.errors import TransactionNotFound

router = APIRouter(
    prefix="/v1/transactions", tags=["Transactions"], route_class=KeyedRoute, dependencies=KEYED
)

_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_STATUSES: Final = frozenset({*DepositStatus, *WithdrawalStatus})


def _status(word: str) -> str:
    if word not in _STATUSES:
        raise PydanticCustomError("enum", "Input should be a status of a transaction")
    return word


def _pair(text: str) -> str:
    name, colon, value = text.partition(":")
    if not (name and colon and value):
        raise PydanticCustomError("pair", "Input should be a key and a value: order:A-17")
    return check_line(text)


def _rfc3339(text: object) -> object:
    if not isinstance(text, str) or _RFC3339.fullmatch(text) is None:
        raise PydanticCustomError("instant", "Input should be an instant as RFC 3339 has it")
    return text


When = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
Status = Annotated[
    str,
    AfterValidator(_status),
    Field(json_schema_extra={"enum": sorted(str(status) for status in _STATUSES)}),
]
Pair = Annotated[str, Field(max_length=2 * LINE_CHARS_MAX), AfterValidator(_pair)]
AmountMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]


class Search(PageParameters):
    """What to look for; everything given has to match."""

    kind: Literal["deposit", "withdrawal"] | None = None
    status: list[Status] = Field(
        default_factory=list, max_length=len(_STATUSES), description="Any of these."
    )
    player_id: UUID | None = None
    provider: Name | None = None
    currency: Currency | None = None
    amount_min: AmountMinor | None = Field(default=None, description="In minor units.")
    amount_max: AmountMinor | None = Field(default=None, description="In minor units.")
    created_from: When | None = None
    created_to: When | None = Field(default=None, description="Not included.")
    updated_from: When | None = None
    updated_to: When | None = Field(default=None, description="Not included.")
    reference: Line | None = Field(default=None, description="Ours, or the provider's.")
    instrument: Line | None = None
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
            kind=self.kind,
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
            metadata={name: value for name, _, value in pairs} or None,
        )


class HistoryShown(Shown):
    """Everything that happened to a transaction, in order."""

    transaction: TransactionShown
    events: list[EventShown]


@router.get("", responses=declared.errors(*declared.READS))
async def find_transactions(
    search: Annotated[Search, Query()], request: Request, response: Response
) -> PageShown[TransactionShown]:
    """Find transactions, newest first."""
    cursor = decode_cursor(search.cursor, int)[0] if search.cursor else None
    async with reading(request, HISTORY, search.min_position) as connection:
        page = await history.page(connection, search.filters(), cursor, search.limit)
        versions = {row.id: row.version for row in page.rows}
        states = await log_reading.transactions(connection, versions)
    following = encode_cursor([page.next_cursor]) if page.next_cursor is not None else None
    link_next(request, response, cursor=following)
    return PageShown(
        items=[TransactionShown(**transaction_fields(states[row.id])) for row in page.rows],
        next_cursor=following,
    )


@router.get("/{transaction_id}", responses=declared.errors(*declared.KEYED, TransactionNotFound))
async def get_transaction(
    transaction_id: UUID, request: Request, response: Response
) -> TransactionShown:
    """Show a transaction as it is right now: this reads the log, and is never behind."""
    async with reading(request) as connection:
        events = await log_reading.stream(connection, transaction_id)
    transaction = log_reading.folded_transaction(events)
    if transaction is None:
        raise TransactionNotFound(transaction_id)
    response.headers["etag"] = etag(transaction.version)
    return TransactionShown(**transaction_fields(transaction))


@router.get(
    "/{transaction_id}/events",
    responses=declared.errors(*declared.KEYED, TransactionNotFound),
)
async def get_transaction_events(
    transaction_id: UUID, request: Request, response: Response
) -> HistoryShown:
    """Tell what happened to a transaction: who did what, and what it meant in double entry."""
    async with reading(request) as connection:
        events = await log_reading.stream(connection, transaction_id)
    transaction = log_reading.folded_transaction(events)
    if transaction is None:
        raise TransactionNotFound(transaction_id)
    response.headers["etag"] = etag(transaction.version)
    return HistoryShown(
        transaction=TransactionShown(**transaction_fields(transaction)),
        events=[log_reading.shown(event) for event in events],
    )
