"""Withdrawals: request, decide, resolve. Reading them is in `transactions.py`."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.http import declared
from api.http.answers import written
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere, VersionedCaller
from api.payments.requests import (
    AmendBody,
    CancelWithdrawalBody,
    NewTransaction,
    NoteBody,
    ResolveWithdrawalBody,
    RetryBody,
    ScoreBody,
)
from api.payments.responses import WithdrawalAnswer
from domain.errors import (
    AlreadyApproved,
    AmountMayOnlyFall,
    CancellationNotAllowed,
    EvidenceMissing,
    InvalidResolution,
    LegAmbiguous,
    LegNotFound,
    RoleNotAllowed,
    SelfApproval,
)
from domain.money import InvalidMoney
from ledger.commands.errors import PlayerNotFound, ProviderNotFound
from ledger.commands.withdrawal import RequestWithdrawal

router = APIRouter(
    prefix="/v1/withdrawals", tags=["Withdrawals"], route_class=KeyedRoute, dependencies=KEYED
)
_CHANGES = declared.errors(*declared.CHANGES)


@router.post(
    "",
    status_code=201,
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.WRITES, PlayerNotFound, ProviderNotFound),
)
def request_withdrawal(
    body: NewTransaction, caller: CallerHere, services: ServicesHere
) -> Response:
    """Request a withdrawal, and reserve its amount.

    It goes first to the instruments the player has paid in with, up to what each paid in: `legs`
    says how much goes where.
    Without enough funds the request is recorded all the same, with status `rejected` and reason
    `insufficient_funds`; nothing is reserved then.
    """
    request = RequestWithdrawal(
        player_id=body.player_id,
        provider=body.provider or services.default_provider,
        method=body.method,
        amount=body.amount.money(),
        instrument=body.instrument,
        metadata=body.metadata,
        origin=body.known_origin(),
    )
    return written(services.withdrawals.request(request, caller), caller, status_code=201)


@router.post(
    "/{withdrawal_id}/approve",
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.CHANGES, SelfApproval, AlreadyApproved, RoleNotAllowed),
)
def approve_withdrawal(
    withdrawal_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Agree to a payout as it is now. The last person who has to agree sends it on its way.

    `missing` says whose agreement it still takes. Whatever changes about the payout afterwards
    voids the approval, and so does time; `approvals` then says why.
    """
    return written(services.withdrawals.approve(withdrawal_id, body.note, caller), caller)


@router.post(
    "/{withdrawal_id}/reject",
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.CHANGES, RoleNotAllowed),
)
def reject_withdrawal(
    withdrawal_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Refuse a payout, and release its funds. A held one is refused by compliance only."""
    return written(services.withdrawals.reject(withdrawal_id, body.note, caller), caller)


@router.post("/{withdrawal_id}/hold", response_model=WithdrawalAnswer, responses=_CHANGES)
def hold_withdrawal(
    withdrawal_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Stop the decision until the hold is released."""
    return written(services.withdrawals.hold(withdrawal_id, body.note, caller), caller)


@router.post(
    "/{withdrawal_id}/release",
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.CHANGES, RoleNotAllowed),
)
def release_withdrawal(
    withdrawal_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """End the hold, as compliance only may: the withdrawal is under review again."""
    return written(services.withdrawals.release(withdrawal_id, body.note, caller), caller)


@router.post(
    "/{withdrawal_id}/request-information",
    response_model=WithdrawalAnswer,
    responses=_CHANGES,
)
def request_information(
    withdrawal_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Ask the player something before deciding."""
    return written(
        services.withdrawals.request_information(withdrawal_id, body.note, caller), caller
    )


@router.post(
    "/{withdrawal_id}/provide-information",
    response_model=WithdrawalAnswer,
    responses=_CHANGES,
)
def provide_information(
    withdrawal_id: UUID, body: NoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Record the player's answer: the withdrawal is under review again."""
    return written(
        services.withdrawals.provide_information(withdrawal_id, body.note, caller), caller
    )


@router.post(
    "/{withdrawal_id}/amend",
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.CHANGES, AmountMayOnlyFall, InvalidMoney),
)
def amend_withdrawal(
    withdrawal_id: UUID, body: AmendBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Pay out less, or to another instrument. What was approved before does not count any more."""
    amended = services.withdrawals.amend(
        withdrawal_id,
        amount=body.amount.money(),
        instrument=body.instrument,
        note=body.note,
        caller=caller,
    )
    return written(amended, caller)


@router.post(
    "/{withdrawal_id}/scores",
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.CHANGES, RoleNotAllowed),
)
def score_withdrawal(
    withdrawal_id: UUID, body: ScoreBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Record how risky a payout looks. Approvals given on another score do not count any more."""
    scored = services.withdrawals.score(
        withdrawal_id, score=body.score, high=body.high, ruleset=body.ruleset, caller=caller
    )
    return written(scored, caller)


@router.post(
    "/{withdrawal_id}/cancel",
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.CHANGES, CancellationNotAllowed),
)
def cancel_withdrawal(
    withdrawal_id: UUID,
    caller: VersionedCaller,
    services: ServicesHere,
    body: CancelWithdrawalBody | None = None,
) -> Response:
    """Give a withdrawal up, and release its funds: for the player, unless the body says not."""
    by_player = body is None or body.by_player
    return written(
        services.withdrawals.cancel(withdrawal_id, by_player=by_player, caller=caller), caller
    )


@router.post(
    "/{withdrawal_id}/retry",
    response_model=WithdrawalAnswer,
    responses=declared.errors(*declared.CHANGES, LegAmbiguous, LegNotFound),
)
def retry_withdrawal(
    withdrawal_id: UUID,
    caller: VersionedCaller,
    services: ServicesHere,
    body: RetryBody | None = None,
) -> Response:
    """Make the next attempt of a failed payout now, instead of when it would be due."""
    return written(
        services.withdrawals.retry(withdrawal_id, body.leg if body else None, caller), caller
    )


@router.post(
    "/{withdrawal_id}/resolve",
    response_model=WithdrawalAnswer,
    responses=declared.errors(
        *declared.CHANGES,
        InvalidResolution,
        EvidenceMissing,
        SelfApproval,
        LegAmbiguous,
        LegNotFound,
    ),
)
def resolve_withdrawal(
    withdrawal_id: UUID,
    body: ResolveWithdrawalBody,
    caller: VersionedCaller,
    services: ServicesHere,
) -> Response:
    """Say how a review ends.

    The first person's word is a proposal; a second person's, for the same target, decides.
    """
    resolved = services.withdrawals.resolve(
        withdrawal_id, leg=body.leg, target=body.target, note=body.note, caller=caller
    )
    return written(resolved, caller)
