"""Adjustments: correct the books, two people together. Reading them is in `transactions.py`."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.http import declared
from api.http.answers import written
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere, VersionedCaller
from api.payments.requests import NewAdjustment, NoteBody
from api.payments.responses import AdjustmentAnswer
from domain.errors import AdjustmentInvalid, EvidenceMissing, RoleNotAllowed, SelfApproval
from ledger.commands.adjustment import RequestAdjustment
from ledger.commands.errors import PlayerNotFound, TransactionNotFound

router = APIRouter(
    prefix="/v1/adjustments", tags=["Adjustments"], route_class=KeyedRoute, dependencies=KEYED
)


@router.post(
    "",
    status_code=201,
    response_model=AdjustmentAnswer,
    responses=declared.errors(
        *declared.WRITES, PlayerNotFound, TransactionNotFound, AdjustmentInvalid, EvidenceMissing
    ),
)
def request_adjustment(body: NewAdjustment, caller: CallerHere, services: ServicesHere) -> Response:
    """Ask for a correction of the books; nothing moves before another person agrees."""
    request = RequestAdjustment(
        player_id=body.player_id,
        moves=tuple(move.move() for move in body.moves),
        reason=body.reason,
        grounds=body.grounds,
        transaction_id=body.transaction_id,
        metadata=body.metadata,
    )
    return written(services.adjustments.request(request, caller), caller, status_code=201)


@router.post(
    "/{adjustment_id}/approve",
    response_model=AdjustmentAnswer,
    responses=declared.errors(*declared.CHANGES, SelfApproval, RoleNotAllowed),
)
def approve_adjustment(
    adjustment_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Agree to a correction: the money moves.

    Where a player does not have it any more, it is recorded as `rejected`, reason
    `insufficient_funds`.
    """
    return written(services.adjustments.approve(adjustment_id, body.note, caller), caller)


@router.post(
    "/{adjustment_id}/reject",
    response_model=AdjustmentAnswer,
    responses=declared.errors(*declared.CHANGES, RoleNotAllowed),
)
def reject_adjustment(
    adjustment_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Refuse a correction. Whoever asked for it may also take it back like this."""
    return written(services.adjustments.reject(adjustment_id, body.note, caller), caller)
