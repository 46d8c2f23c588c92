"""Where a player's money stands, and how it came there."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api import declared
from api.context import KEYED
from api.door import KeyedRoute
from api.paging import (
    PageParameters,
    PageShown,
    Parameters,
    decode_cursor,
    encode_cursor,
    link_next,
)
from api.reading import reading
from api.resources import Instant, MoneyShown, Shown
from projections import balances, journal
from projections.journal import JOURNAL, Entry

router = APIRouter(
    prefix="/v1/players", tags=["Players"], route_class=KeyedRoute, dependencies=KEYED
)


class AccountBalance(Shown):
    """One of a player's accounts."""

    account: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11:available:EUR"])
    balance: MoneyShown
    position: int = Field(description="The event that last moved it.", examples=[4711])


class PlayerBalances(Shown):
    """Every account of a player that was ever used."""

    player_id: UUID
    balances: list[AccountBalance]


class EntryShown(Shown):
    """One line of the journal."""

    position: int = Field(examples=[4711])
    line: int = Field(description="Within its event.", examples=[2])
    account: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11:available:EUR"])
    money: MoneyShown
    balance_after: MoneyShown
    transaction_id: UUID
    type: str = Field(description="Of the event that posted it.", examples=["DepositCompleted"])
    occurred_at: Instant
    recorded_at: Instant

    @classmethod
    def of(cls, entry: Entry) -> "EntryShown":
        return cls(
            position=entry.position,
            line=entry.line,
            account=entry.account,
            money=MoneyShown(amount=entry.amount_minor, currency=entry.currency),
            balance_after=MoneyShown(amount=entry.balance_minor, currency=entry.currency),
            transaction_id=entry.transaction_id,
            type=entry.topic,
            occurred_at=entry.occurred_at,
            recorded_at=entry.recorded_at,
        )


@router.get("/{player_id}/balances", responses=declared.errors(*declared.KEYED))
async def get_balances(
    player_id: UUID, _parameters: Annotated[Parameters, Query()], request: Request
) -> PlayerBalances:
    """Show what a player may spend and what is set aside, right now: this is never behind.

    A player who never had money has no balances.
    """
    async with reading(request) as connection:
        found = await balances.of_player(connection, player_id)
    shown = [
        AccountBalance(
            account=balance.account,
            balance=MoneyShown(amount=balance.balance_minor, currency=balance.currency),
            position=balance.position,
        )
        for balance in found
    ]
    return PlayerBalances(player_id=player_id, balances=shown)


@router.get("/{player_id}/journal", responses=declared.errors(*declared.READS))
async def get_journal(
    player_id: UUID,
    parameters: Annotated[PageParameters, Query()],
    request: Request,
    response: Response,
) -> PageShown[EntryShown]:
    """List what was posted to a player's accounts, newest first, with the balance after it."""
    cursor = decode_cursor(parameters.cursor, int, int) if parameters.cursor else None
    async with reading(request, JOURNAL, parameters.min_position) as connection:
        page = await journal.of_player(
            connection, player_id, (cursor[0], cursor[1]) if cursor else None, parameters.limit
        )
    following = encode_cursor(page.next_cursor) if page.next_cursor else None
    link_next(request, response, cursor=following)
    return PageShown(items=[EntryShown.of(entry) for entry in page.rows], next_cursor=following)
