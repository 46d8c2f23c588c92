"""A player's deposit limits, and how much of each is left."""

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from api import declared
from api.answers import etag
from api.context import KEYED, KeylessCaller, ServicesHere
from api.door import KeyedRoute
from api.player_resources import LimitShown
from api.requests_players import LimitBody
from api.resources import Shown
from api.services import Services
from domain.counters import Window
from domain.errors import LimitInvalid, NothingToChange
from domain.player import Player
from tallystick.commands.errors import PlayerNotFound

router = APIRouter(
    prefix="/v1/players", tags=["Players"], route_class=KeyedRoute, dependencies=KEYED
)


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
    items: list[UsedLimitShown]


@router.get("/{player_id}/limits", responses=declared.errors(*declared.KEYED, PlayerNotFound))
def get_limits(player_id: UUID, services: ServicesHere, response: Response) -> LimitsShown:
    """Show a player's deposit limits and what is left of them, right now."""
    return _shown(services.players.get(player_id), services, response)


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
    limits = LimitShown.all_of(player, services.handling.now())
    used = services.players.used_minor(player, player.limits)
    response.headers["etag"] = etag(player.version)
    return LimitsShown(
        player_id=player.id,
        time_zone=player.time_zone,
        items=[_with_use(limit, used[Window(limit.window), limit.currency]) for limit in limits],
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
