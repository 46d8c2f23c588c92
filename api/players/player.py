"""Players: who they are, and whether they may deposit and be paid.

Their deposit limits are in `limits.py`, their money in `money.py`.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, KeylessCaller, ServicesHere
from api.http.free_text import Line
from api.http.paging import Parameters
from api.http.reading import View, viewing
from api.http.services import Services
from api.players.requests import (
    CredentialBody,
    ExclusionBody,
    HoldBody,
    HolderCheckBody,
    PlayerBody,
)
from api.players.responses import HolderCheckShown, PlayerShown
from domain.errors import (
    ExclusionInvalid,
    ExclusionRunning,
    HoldNotYours,
    NothingToChange,
    RoleNotAllowed,
)
from domain.events import PlayerRegistered
from domain.player.holds import KIND_BY_ROLE
from domain.player.player import HoldKind, Player
from ledger.commands.errors import PlayerNotFound

router = APIRouter(
    prefix="/v1/players", tags=["Players"], route_class=KeyedRoute, dependencies=KEYED
)
_UNKEYED = (*declared.KEYED, *declared.APPENDS, PlayerNotFound)
_HOLDS = declared.errors(*declared.WRITES, PlayerNotFound, NothingToChange, RoleNotAllowed)
_LIFTS = declared.errors(*_UNKEYED, HoldNotYours)


class Ending(Parameters):
    """Why something ends."""

    reason: Line = "ended by an operator"


@router.put("/{player_id}", responses=declared.errors(*_UNKEYED))
def put_player(
    player_id: UUID,
    body: PlayerBody,
    caller: KeylessCaller,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Register a player, or change what is known of them.

    Sending the same again changes nothing. A jurisdiction that is left out becomes unknown, and a
    time zone that is left out UTC.
    """
    player = services.players.register(
        player_id,
        verification=body.verification,
        jurisdiction=body.jurisdiction,
        time_zone=body.time_zone,
        caller=caller,
    )
    return _now(player, services, response)


@router.get("/{player_id}", responses=queries(PlayerNotFound))
async def get_player(
    player_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> PlayerShown:
    """Show a player as they are right now: this reads the log, and is never behind."""
    async with viewing(request, when) as view:
        player = await seen_player(view, player_id)
    response.headers["etag"] = etag(player.version)
    view.mark(response)
    return PlayerShown.of(player, view.now)


async def seen_player(view: View, player_id: UUID) -> Player:
    """The player as they are or were.

    Raises:
        PlayerNotFound: there is none under this id, or was none.
    """
    player = (await log_reading.players(view.connection, [player_id], view.upto)).get(player_id)
    if player is None:
        topics = (PlayerRegistered.__name__,)
        raise await view.missing(PlayerNotFound(player_id), player_id, topics)
    return player


@router.post(
    "/{player_id}/exclusion",
    responses=declared.errors(
        *declared.WRITES, PlayerNotFound, NothingToChange, ExclusionInvalid, ExclusionRunning
    ),
)
def exclude_player(
    player_id: UUID,
    body: ExclusionBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Exclude a player from deposits. Withdrawals stay possible.

    With an `until` it ends by itself then, and nobody can end or shorten it before, not even once
    it was made to have no end.
    """
    player = services.players.exclude(
        player_id, excluded=True, reason=body.reason, until=body.until, caller=caller
    )
    return _as_left(player, response)


@router.delete("/{player_id}/exclusion", responses=declared.errors(*_UNKEYED, ExclusionRunning))
def end_exclusion(
    player_id: UUID,
    ending: Annotated[Ending, Query()],
    caller: KeylessCaller,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Let a player deposit again. Ending what has ended changes nothing."""
    try:
        player = services.players.exclude(
            player_id, excluded=False, reason=ending.reason, caller=caller
        )
    except NothingToChange:
        player = services.players.get(player_id)
    return _now(player, services, response)


@router.post("/{player_id}/hold", name="hold_player", responses=_HOLDS)
@router.post("/{player_id}/holds", name="place_hold", responses=_HOLDS)
def place_hold(
    player_id: UUID,
    body: HoldBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Stop a player's payouts, deposits or both. What the provider has already is not recalled.

    The kind of the hold follows from the role of who places it, and says who may lift it. Placed
    again, it stops more than before; less only once it was lifted.
    """
    player = services.players.hold(player_id, reason=body.reason, stops=body.stops, caller=caller)
    return _as_left(player, response)


@router.delete("/{player_id}/holds/{kind}", responses=_LIFTS)
def lift_hold(
    player_id: UUID,
    kind: HoldKind,
    ending: Annotated[Ending, Query()],
    caller: KeylessCaller,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Lift one of a player's holds; what it stopped goes on unless there is another.

    Lifting what is lifted changes nothing.
    """
    try:
        player = services.players.lift_hold(
            player_id, kind=kind, reason=ending.reason, caller=caller
        )
    except NothingToChange:
        player = services.players.get(player_id)
    return _now(player, services, response)


@router.delete("/{player_id}/hold", responses=_LIFTS)
def lift_own_hold(
    player_id: UUID,
    ending: Annotated[Ending, Query()],
    caller: KeylessCaller,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Lift the hold of the kind that the caller's role places. Otherwise as for one by its kind."""
    kind = KIND_BY_ROLE.get(caller.role)
    if kind is None:
        raise HoldNotYours
    return lift_hold(player_id, kind, ending, caller, services, response)


@router.post(
    "/{player_id}/credential-changes",
    responses=declared.errors(*declared.WRITES, PlayerNotFound),
)
def change_credential(
    player_id: UUID,
    body: CredentialBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> PlayerShown:
    """Report that a player has another password, e-mail address, telephone number or the like.

    It forbids nothing. A payout that is asked for soon afterwards may have to wait for a person.
    """
    player = services.players.change_credential(
        player_id, credential=body.credential, caller=caller
    )
    return _as_left(player, response)


@router.post(
    "/{player_id}/holder-checks", responses=declared.errors(*declared.WRITES, PlayerNotFound)
)
def check_holder(
    player_id: UUID,
    body: HolderCheckBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> HolderCheckShown:
    """Compare the name on an instrument with the player's.

    The names are compared and forgotten: they are not stored, logged or answered with. What is
    recorded is how like they are, and payouts to an instrument of somebody else's may have to wait.
    """
    checked = services.players.check_holder(
        player_id,
        instrument=body.instrument,
        holder_name=body.holder_name,
        verified_name=body.verified_name,
        caller=caller,
    )
    response.headers["etag"] = etag(checked.player.version)
    return HolderCheckShown.of(checked, body.instrument)


def _now(player: Player, services: Services, response: Response) -> PlayerShown:
    response.headers["etag"] = etag(player.version)
    return PlayerShown.of(player, services.handling.now())


def _as_left(player: Player, response: Response) -> PlayerShown:
    """As of the player's last event, so that a repeat gets the same answer at any time."""
    response.headers["etag"] = etag(player.version)
    return PlayerShown.of(player, player.updated_at)
