"""A player's deposit limits, and how much of each is left."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, KeylessCaller, ServicesHere
from api.http.reading import View, viewing
from api.http.responses import Shown
from api.http.services import Services
from api.players.player import seen_player
from api.players.requests import LimitBody
from api.players.responses import LimitShown
from domain.counters import Window, limit_counter
from domain.errors import LimitInvalid, NothingToChange
from domain.player.calendar import today_of
from domain.player.player import Player
from ledger.commands.errors import PlayerNotFound
from projections.balances import balances
from projections.history.history import HISTORY

router = APIRouter(
    prefix="/v1/players", tags=["Players"], route_class=KeyedRoute, dependencies=KEYED
)


Used = Mapping[tuple[Window, str], int]
"""What counts towards each limit, by window and currency, in minor units."""

_LONGEST_WINDOW: Final = timedelta(days=31 + 6 + 2)
"""A month, a week that began before it, and a player in another time zone by then."""


NO_LIMIT: Final = "The player had no limit, and none was to come into force."


class UsedLimitShown(LimitShown):
    """A limit, and how much of it is left in the window that is now."""

    used: int = Field(
        description="Deposits in minor units, from their creation; those that failed are taken"
        " back.",
        examples=[20_000],
    )
    remaining: int | None = Field(
        description="In minor units; null without a limit.", examples=[30_000]
    )


class LimitsShown(Shown):
    """Every deposit limit of a player."""

    player_id: UUID
    time_zone: str = Field(
        description="Where the days, weeks (from Monday) and months begin.",
        examples=["Europe/Malta"],
    )
    today: date = Field(
        description="What is paid in now counts on this day, its week and its month. It goes on for"
        " a while when the time zone changes.",
        examples=["2027-05-03"],
    )
    items: list[UsedLimitShown]


@router.get("/{player_id}/limits", responses=queries(PlayerNotFound))
async def get_limits(
    player_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> LimitsShown:
    """Show a player's deposit limits and what is left of them, right now: this is never behind.

    With `as_of`, in the day, week and month that it was then.
    """
    async with viewing(request, when, None, HISTORY) as view:
        player = await seen_player(view, player_id)
        used = await _used(view, player)
    response.headers["etag"] = etag(player.version)
    shown = _with_uses(player, used, view.now)
    view.mark(response, empty_because=None if shown.items else NO_LIMIT)
    return shown


@router.put(
    "/{player_id}/limits/{window}",
    responses=declared.errors(*declared.KEYED, *declared.APPENDS, PlayerNotFound, LimitInvalid),
)
def put_limit(
    player_id: UUID,
    window: Window,
    body: LimitBody,
    caller: KeylessCaller,
    services: ServicesHere,
    response: Response,
) -> LimitsShown:
    """Set how much a player may pay in per day, week or month. Less holds at once.

    More, or no limit any more, holds after a while that the jurisdiction sets, a day as a rule;
    until then it is shown as pending. Asking for the same again changes nothing.
    """
    try:
        player = services.players.set_limit(
            player_id, window=window, currency=body.currency, limit_minor=body.limit, caller=caller
        )
    except NothingToChange:
        player = services.players.get(player_id)
    return _shown(player, services, response)


def _shown(player: Player, services: Services, response: Response) -> LimitsShown:
    used = services.players.used_minor(player, player.limits)
    response.headers["etag"] = etag(player.version)
    return _with_uses(player, used, services.handling.now())


async def _used(view: View, player: Player) -> Used:
    """What counts towards each limit in the windows that are now, or were then."""
    today = today_of(player, view.now)
    counters = {
        (window, currency): limit_counter(player.id, window, currency, today)
        for window, currency in player.limits
    }
    if view.then is None:
        standing = await balances.of_counters(view.connection, counters.values())
    else:
        created_from = view.now - _LONGEST_WINDOW
        standing = await log_reading.counted(
            view.connection, player.id, counters.values(), view.upto, created_from
        )
    return {limit: standing[counter] for limit, counter in counters.items()}


def _with_uses(player: Player, used: Used, now: datetime) -> LimitsShown:
    return LimitsShown(
        player_id=player.id,
        time_zone=player.time_zone,
        today=today_of(player, now),
        items=[
            _with_use(limit, used[Window(limit.window), limit.currency])
            for limit in LimitShown.all_of(player, now)
        ],
    )


def _with_use(limit: LimitShown, used_minor: int) -> UsedLimitShown:
    return UsedLimitShown(
        window=limit.window,
        currency=limit.currency,
        limit=limit.limit,
        pending=limit.pending,
        used=used_minor,
        remaining=None if limit.limit is None else max(limit.limit - used_minor, 0),
    )
