"""Deposits: begin, cancel, resolve. Reading them is in `transactions.py`."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.http import declared
from api.http.answers import written
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere, VersionedCaller
from api.payments.requests import NewTransaction, NoteBody, ResolveDepositBody
from api.payments.responses import DepositAnswer
from domain.errors import EvidenceMissing, InvalidResolution, SelfApproval
from ledger.commands.deposit import CreateDeposit
from ledger.commands.errors import PlayerNotFound, ProviderNotFound

router = APIRouter(
    prefix="/v1/deposits", tags=["Deposits"], route_class=KeyedRoute, dependencies=KEYED
)


@router.post(
    "",
    status_code=201,
    response_model=DepositAnswer,
    responses=declared.errors(*declared.WRITES, PlayerNotFound, ProviderNotFound),
)
def create_deposit(body: NewTransaction, caller: CallerHere, services: ServicesHere) -> Response:
    """Begin a deposit.

    The deposit is recorded and then sent to the provider; follow it at `Location`. One that a
    rule or a limit of the player's forbids is recorded as well, with status `blocked` and the
    reason. A player who is not known yet is registered.
    """
    request = CreateDeposit(
        player_id=body.player_id,
        provider=body.provider or services.default_provider,
        method=body.method,
        amount=body.amount.money(),
        instrument=body.instrument,
        metadata=body.metadata,
        origin=body.known_origin(),
    )
    return written(services.deposits.create(request, caller), caller, status_code=201)


@router.post(
    "/{deposit_id}/cancel",
    response_model=DepositAnswer,
    responses=declared.errors(*declared.CHANGES),
)
def cancel_deposit(deposit_id: UUID, caller: VersionedCaller, services: ServicesHere) -> Response:
    """Give a deposit up, before the player has paid."""
    return written(services.deposits.cancel(deposit_id, caller), caller)


@router.post(
    "/{deposit_id}/review-concerns",
    response_model=DepositAnswer,
    responses=declared.errors(*declared.CHANGES, EvidenceMissing),
)
def review_concerns(
    deposit_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Say that what there is to be looked at about a deposit has been: its concerns."""
    return written(services.deposits.review_concerns(deposit_id, body.note, caller), caller)


@router.post(
    "/{deposit_id}/resolve",
    response_model=DepositAnswer,
    responses=declared.errors(*declared.CHANGES, InvalidResolution, EvidenceMissing, SelfApproval),
)
def resolve_deposit(
    deposit_id: UUID, body: ResolveDepositBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Say how a review ends.

    The first person's word is a proposal; a second person's, for the same target, decides.
    """
    return written(services.deposits.resolve(deposit_id, body.target, body.note, caller), caller)
