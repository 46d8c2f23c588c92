"""Players: what is known of them and what they may do. Their money is in `player_money.py`."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Response

from api import declared
from api.answers import etag
from api.context import KEYED, Actor, CallerHere, ServicesHere
from api.door import KeyedRoute
from api.free_text import Line
from api.paging import Parameters
from api.requests import PlayerBody, ReasonBody
from api.resources import PlayerShown
from domain.errors import NothingToChange
from domain.player import Player
from tallystick.commands.errors import PlayerNotFound
from tallystick.commands.handling import Caller

router = APIRouter(
    prefix="/v1/players", tags=["Players"], route_class=KeyedRoute, dependencies=KEYED
)
_BEGINS = declared.errors(*declared.WRITES, PlayerNotFound, NothingToChange)
_ENDS = declared.errors(*declared.KEYED, *declared.APPENDS, PlayerNotFound)


class Ending(Parameters):
    """Why something ends."""

    reason: Line = "ended by an operator"


@router.put(
    "/{player_id}",
    responses=declared.errors(*declared.KEYED, *declared.APPENDS, PlayerNotFound),
)
def put_player(
    player_id: UUID, body: PlayerBody, actor: Actor, services: ServicesHere, response: Response
) -> PlayerShown:
    """Register a player, or change what is known of their identity.

    Sending the same again changes nothing. A jurisdiction that is left out becomes unknown.
    """
    player = services.players.register(
        player_id,
        verification=body.verification,
        jurisdiction=body.jurisdiction,
        caller=_once(actor),
    )
    return _shown(player, response)


@router.get("/{player_id}", responses=declared.errors(*declared.KEYED, PlayerNotFound))
def get_player(player_id: UUID, services: ServicesHere, response: Response) -> PlayerShown:
    """Show a player as they are right now."""
    return _shown(services.players.get(player_id), response)


@router.post("/{player_id}/exclusion", responses=_BEGINS)
def exclude_player(
    player_id: UUID,
    body: ReasonBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Exclude a player from deposits. Withdrawals stay possible."""
    player = services.players.exclude(player_id, excluded=True, reason=body.reason, caller=caller)
    return _shown(player, response)


@router.delete("/{player_id}/exclusion", responses=_ENDS)
def end_exclusion(
    player_id: UUID,
    ending: Annotated[Ending, Query()],
    actor: Actor,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Let a player deposit again. Ending what has ended changes nothing."""
    try:
        player = services.players.exclude(
            player_id, excluded=False, reason=ending.reason, caller=_once(actor)
        )
    except NothingToChange:
        player = services.players.get(player_id)
    return _shown(player, response)


@router.post("/{player_id}/hold", responses=_BEGINS)
def hold_player(
    player_id: UUID,
    body: ReasonBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Stop a player's payouts. What is on its way to the provider is not recalled."""
    player = services.players.hold(player_id, on_hold=True, reason=body.reason, caller=caller)
    return _shown(player, response)


@router.delete("/{player_id}/hold", responses=_ENDS)
def lift_hold(
    player_id: UUID,
    ending: Annotated[Ending, Query()],
    actor: Actor,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Let a player's payouts go again. Lifting what is lifted changes nothing."""
    try:
        player = services.players.hold(
            player_id, on_hold=False, reason=ending.reason, caller=_once(actor)
        )
    except NothingToChange:
        player = services.players.get(player_id)
    return _shown(player, response)


def _once(actor: str) -> Caller:
    """For what may be repeated without a key, because repeating it changes nothing."""
    return Caller(actor=actor, idempotency_key=str(uuid4()))


def _shown(player: Player, response: Response) -> PlayerShown:
    response.headers["etag"] = etag(player.version)
    return PlayerShown.of(player)
