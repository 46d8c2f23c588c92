"""Where a player's money stands, how it came there, and what has been staked of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api import declared, log_reading
from api.answers import REPLAYED_HEADER, answered, etag
from api.context import KEYED, CallerHere, ServicesHere
from api.door import KeyedRoute
from api.paging import (
    PageParameters,
    PageShown,
    Parameters,
    decode_cursor,
    encode_cursor,
    link_next,
)
from api.player_resources import InstrumentNetShown, WagerAnswer, wager_body
from api.reading import reading
from api.requests_players import WagerBody
from api.resources import Instant, MoneyShown, Shown
from api.services import ReadConnection
from domain.counters import instrument_counter
from domain.player import Player
from projections import balances, journal
from projections.journal import JOURNAL, Entry
from tallystick.commands.errors import PlayerNotFound

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


class InstrumentsShown(Shown):
    """Every instrument of a player, oldest first."""

    player_id: UUID
    items: list[InstrumentNetShown]


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


@router.get("/{player_id}/instruments", responses=declared.errors(*declared.KEYED, PlayerNotFound))
async def get_instruments(
    player_id: UUID, _parameters: Annotated[Parameters, Query()], request: Request
) -> InstrumentsShown:
    """List the cards, accounts and wallets a player has used, and what came in from each.

    What is paid back to an instrument is bounded by what came in from it. This is never behind.
    """
    async with reading(request) as connection:
        player = (await log_reading.players(connection, [player_id])).get(player_id)
        if player is None:
            raise PlayerNotFound(player_id)
        items = await _with_nets(connection, player)
    return InstrumentsShown(player_id=player_id, items=items)


@router.post(
    "/{player_id}/wagers",
    status_code=201,
    response_model=WagerAnswer,
    responses=declared.errors(*declared.WRITES, PlayerNotFound),
)
def record_wager(
    player_id: UUID,
    body: WagerBody,
    caller: CallerHere,
    services: ServicesHere,
) -> Response:
    """Report what a player has staked. No money moves; payouts may be screened by it."""
    wagered = services.players.record_wager(
        player_id, amount=body.amount.money(), metadata=body.metadata, caller=caller
    )
    headers = {"etag": etag(wagered.event.originator_version)}
    if wagered.replayed:
        headers[REPLAYED_HEADER] = "true"
    return answered(wager_body(wagered), status_code=201, headers=headers)


async def _with_nets(connection: ReadConnection, player: Player) -> list[InstrumentNetShown]:
    """The player's instruments; what came in from them is asked for in two queries."""
    used = await balances.of_player(connection, player.id)
    codes = sorted({balance.currency for balance in used})
    names = {
        (instrument, code): instrument_counter(player.id, instrument, code)
        for instrument in player.instruments
        for code in codes
    }
    nets = await balances.of_counters(connection, names.values())
    return [
        InstrumentNetShown(
            instrument=instrument,
            provider=first.provider,
            method=first.method,
            net=[
                MoneyShown(amount=nets[names[instrument, code]], currency=code)
                for code in codes
                if nets[names[instrument, code]]
            ],
        )
        for instrument, first in player.instruments.items()
    ]
