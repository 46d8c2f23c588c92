"""Where a player's money stands, how it came there, and what has been staked of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.http import declared, log_reading
from api.http.answers import REPLAYED_HEADER, answered, etag
from api.http.as_of import PageQueryParameters, QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere
from api.http.paging import PageShown, decode_cursor, encode_cursor, link_next
from api.http.reading import View, viewing
from api.http.responses import Instant, MoneyShown, Shown
from api.players.player import seen_player
from api.players.requests import WagerBody
from api.players.responses import InstrumentNetShown, WagerAnswer, wager_body
from domain.counters import instrument_counter
from domain.player.player import Player
from ledger.commands.errors import PlayerNotFound
from projections.balances import balances
from projections.balances.balances import Balance
from projections.history.history import HISTORY
from projections.journal import journal
from projections.journal.journal import JOURNAL, Entry
from projections.past import balances as past_balances

router = APIRouter(
    prefix="/v1/players", tags=["Players"], route_class=KeyedRoute, dependencies=KEYED
)

NO_INSTRUMENT: Final = "The player had used no instrument."

_LINES_MAX: Final = 2**31 - 1
"""More than an event has lines in the journal."""

_EVER: Final = datetime.min.replace(tzinfo=UTC)


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


@router.get("/{player_id}/balances", responses=queries())
async def get_balances(
    player_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> PlayerBalances:
    """Show what a player may spend and what is set aside, right now: this is never behind.

    A player who never had money has no balances.
    """
    async with viewing(request, when, None, JOURNAL) as view:
        found = await _balances(view, player_id)
        why = None if found else await _why_no_entry(view, player_id)
    shown = [
        AccountBalance(
            account=balance.account,
            balance=MoneyShown(amount=balance.balance_minor, currency=balance.currency),
            position=balance.position,
        )
        for balance in found
    ]
    view.mark(response, empty_because=why)
    return PlayerBalances(player_id=player_id, balances=shown)


@router.get("/{player_id}/journal", responses=queries())
async def get_journal(
    player_id: UUID,
    when: Annotated[PageQueryParameters, Query()],
    request: Request,
    response: Response,
) -> PageShown[EntryShown]:
    """List what was posted to a player's accounts, newest first, with the balance after it."""
    cursor = decode_cursor(when.cursor, int, int) if when.cursor else None
    async with viewing(request, when, JOURNAL) as view:
        behind = (view.upto, _LINES_MAX)
        last = min(behind, (cursor[0], cursor[1])) if cursor else behind
        page = await journal.of_player(view.connection, player_id, last, when.limit)
        why = None if page.rows else await _why_no_entry(view, player_id)
    following = encode_cursor(page.next_cursor) if page.next_cursor else None
    link_next(request, response, cursor=following, **view.pinned)
    view.mark(response, empty_because=why)
    return PageShown(items=[EntryShown.of(entry) for entry in page.rows], next_cursor=following)


@router.get("/{player_id}/instruments", responses=queries(PlayerNotFound))
async def get_instruments(
    player_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> InstrumentsShown:
    """List the cards, accounts and wallets a player has used, and what came in from each.

    What is paid back to an instrument is bounded by what came in from it. This is never behind.
    """
    async with viewing(request, when, None, JOURNAL, HISTORY) as view:
        player = await seen_player(view, player_id)
        items = await _with_nets(view, player)
    view.mark(response, empty_because=None if items else NO_INSTRUMENT)
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


async def _balances(view: View, player_id: UUID) -> Sequence[Balance]:
    if view.then is None:
        return await balances.of_player(view.connection, player_id)
    accounts = past_balances.accounts_of_player(player_id)
    return await past_balances.of_accounts(view.connection, accounts, view.upto)


async def _why_no_entry(view: View, player_id: UUID) -> str | None:
    if view.then is None:
        return None
    accounts = past_balances.accounts_of_player(player_id)
    first = await past_balances.first_posting(view.connection, accounts)
    return view.nothing(await log_reading.at(view.connection, first))


async def _with_nets(view: View, player: Player) -> list[InstrumentNetShown]:
    """The player's instruments; what came in from all of them is asked for at once."""
    used = await _balances(view, player.id)
    codes = sorted({balance.currency for balance in used})
    names = {
        (instrument, code): instrument_counter(player.id, instrument, code)
        for instrument in player.instruments
        for code in codes
    }
    nets = await _counters(view, player.id, list(names.values()))
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


async def _counters(view: View, player_id: UUID, names: Sequence[str]) -> dict[str, int]:
    if view.then is None:
        return await balances.of_counters(view.connection, names)
    return await log_reading.counted(view.connection, player_id, names, view.upto, _EVER)
