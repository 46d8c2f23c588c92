"""Refunds: request, agree, resolve. Reading them is in `transactions.py`."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.http import declared
from api.http.answers import written
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere, VersionedCaller
from api.payments.requests import NewRefund, NoteBody, ResolveRefundBody
from api.payments.responses import RefundAnswer
from domain.errors import (
    DisputeOpen,
    EvidenceMissing,
    InvalidResolution,
    NotRefundable,
    RefundExceedsCapture,
    RoleNotAllowed,
    SelfApproval,
)
from domain.money import InvalidMoney
from ledger.commands.errors import TransactionNotFound
from ledger.commands.refund import RequestRefund

router = APIRouter(
    prefix="/v1/refunds", tags=["Refunds"], route_class=KeyedRoute, dependencies=KEYED
)
_CHANGES = declared.errors(*declared.CHANGES)


@router.post(
    "",
    status_code=201,
    response_model=RefundAnswer,
    responses=declared.errors(
        *declared.WRITES,
        TransactionNotFound,
        NotRefundable,
        DisputeOpen,
        RefundExceedsCapture,
        InvalidMoney,
    ),
)
def request_refund(body: NewRefund, caller: CallerHere, services: ServicesHere) -> Response:
    """Request a refund of a deposit, and reserve its amount; another person has to agree.

    Refunds under way and done, and disputes open and lost, never exceed what was captured. Without
    enough funds the request is recorded all the same, with status `rejected` and reason
    `insufficient_funds`; nothing is reserved then.
    """
    request = RequestRefund(
        deposit_id=body.deposit_id,
        amount=body.amount.money() if body.amount else None,
        reason=body.reason,
        metadata=body.metadata,
    )
    return written(services.refunds.request(request, caller), caller, status_code=201)


@router.post(
    "/{refund_id}/approve",
    response_model=RefundAnswer,
    responses=declared.errors(*declared.CHANGES, SelfApproval, RoleNotAllowed),
)
def approve_refund(
    refund_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Agree to a refund: it is sent to the provider."""
    return written(services.refunds.approve(refund_id, body.note, caller), caller)


@router.post("/{refund_id}/reject", response_model=RefundAnswer, responses=_CHANGES)
def reject_refund(
    refund_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Refuse a refund, and release its funds."""
    return written(services.refunds.reject(refund_id, body.note, caller), caller)


@router.post("/{refund_id}/cancel", response_model=RefundAnswer, responses=_CHANGES)
def cancel_refund(refund_id: UUID, caller: VersionedCaller, services: ServicesHere) -> Response:
    """Give a refund up before it is sent, and release its funds."""
    return written(services.refunds.cancel(refund_id, caller), caller)


@router.post(
    "/{refund_id}/resolve",
    response_model=RefundAnswer,
    responses=declared.errors(*declared.CHANGES, InvalidResolution, EvidenceMissing, SelfApproval),
)
def resolve_refund(
    refund_id: UUID, body: ResolveRefundBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Say how a review ends.

    The first person's word is a proposal; a second person's, for the same target, decides.
    """
    return written(services.refunds.resolve(refund_id, body.target, body.note, caller), caller)
