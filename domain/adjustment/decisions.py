"""Adjustment: what people decide. Two of them correct the books."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from uuid import UUID

from domain import accounts
from domain.adjustment.state import Adjustment, AdjustmentStatus
from domain.command import Command, repeated
from domain.errors import (
    AdjustmentInvalid,
    EvidenceMissing,
    InvalidTransition,
    Reason,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    AdjustmentApproved,
    AdjustmentRejected,
    AdjustmentRequested,
    Move,
)
from domain.money import InvalidMoney, transaction_amount

DECIDING_ROLES = ("compliance",)
"""Whose second person may decide."""

_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ACCOUNT = re.compile(
    rf"(player:{_UUID}:(available|reserved)|provider:[a-z][a-z0-9_-]{{0,63}}:clearing"
    r"|house:(fees|fx|chargebacks|adjustments|suspense)):[A-Z]{3}",
    re.ASCII,
)


class AdjustmentReason(StrEnum):
    """What an adjustment is for."""

    GOODWILL = "goodwill"
    CORRECTION = "correction"
    """Something was booked wrongly."""
    CHARGEBACK_RECOVERY = "chargeback_recovery"
    """The player pays for a lost dispute."""
    FEE_REFUND = "fee_refund"
    PROVIDER_DIFFERENCE = "provider_difference"
    """A provider's statement says something else than our books."""
    WRITE_OFF = "write_off"


def request_adjustment(
    adjustment_id: UUID,
    command: Command,
    *,
    player_id: UUID | None,
    moves: tuple[Move, ...],
    reason: AdjustmentReason,
    grounds: str,
    transaction_id: UUID | None,
    metadata: Mapping[str, str],
) -> AdjustmentRequested:
    """Ask for the books to be corrected; nothing moves before another person agrees.

    Raises:
        AdjustmentInvalid: a move cannot be made; the detail says which, counted from 1, and why.
        EvidenceMissing: there are no grounds.
    """
    if not moves:
        raise AdjustmentInvalid("An adjustment needs at least one move.")
    for number, move in enumerate(moves, start=1):
        problem = _problem(move)
        if problem is not None:
            raise AdjustmentInvalid(f"Move {number}: {problem}.")
    players = {accounts.player_of(account) for account in _accounts(moves)} - {None}
    if players and player_id not in players:
        raise AdjustmentInvalid("An adjustment that moves a player's money has to name the player.")
    if not grounds.strip():
        raise EvidenceMissing("An adjustment needs grounds that say what it stands on.")
    return AdjustmentRequested(
        **command.header(adjustment_id, 1),
        request_digest=command.request_digest,
        player_id=player_id,
        moves=moves,
        reason=reason,
        grounds=grounds,
        transaction_id=transaction_id,
        metadata=metadata,
    )


def approve_adjustment(
    state: Adjustment, command: Command, *, note: str, refusal: Reason | None = None
) -> AdjustmentApproved | AdjustmentRejected | None:
    """Agree, and the money moves; None if this command did so already.

    `refusal` is why it cannot move after all: then this rejects the adjustment.

    Raises:
        InvalidTransition: it has been decided.
        SelfApproval: the person requested it.
        RoleNotAllowed: the person does not act for compliance.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not AdjustmentStatus.REQUESTED:
        raise InvalidTransition(state.status, "approved")
    if command.person == state.requested_by:
        raise SelfApproval
    _require_role(command)
    if refusal is not None:
        return _rejected(state, command, refusal, note)
    return AdjustmentApproved(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        role=command.role,
        note=note,
        moves=state.moves,
    )


def reject_adjustment(
    state: Adjustment, command: Command, *, note: str
) -> AdjustmentRejected | None:
    """Refuse it; None if this command did so already. Who requested it may take it back.

    Raises:
        InvalidTransition: it has been decided.
        RoleNotAllowed: the person does not act for compliance.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not AdjustmentStatus.REQUESTED:
        raise InvalidTransition(state.status, "rejected")
    if command.person != state.requested_by:
        _require_role(command)
    return _rejected(state, command, Reason.DECIDED_BY_OPERATOR, note)


def _rejected(state: Adjustment, command: Command, reason: Reason, note: str) -> AdjustmentRejected:
    return AdjustmentRejected(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        reason=reason,
        note=note,
    )


def _require_role(command: Command) -> None:
    if command.role not in DECIDING_ROLES:
        raise RoleNotAllowed(f"An adjustment is decided by {' or '.join(DECIDING_ROLES)}.")


def _problem(move: Move) -> str | None:
    """Why the move cannot be made, or None."""
    try:
        transaction_amount(move.money.amount, move.money.currency)
    except InvalidMoney as invalid:
        return str(invalid)
    for account in (move.source, move.target):
        if _ACCOUNT.fullmatch(account) is None:
            return f"{account!r} is not an account"
        if accounts.currency_of(account) != move.money.currency:
            return f"{account} is not an account in {move.money.currency}"
        if is_reserved(account):
            return f"{account} belongs to open transactions; an adjustment leaves it alone"
    if move.source == move.target:
        return f"it goes from {move.source} to itself"
    return None


def is_reserved(account: str) -> bool:
    """Whether it holds what a player has set aside for payouts and reviews."""
    return account.startswith("player:") and account.split(":")[2] == "reserved"


def _accounts(moves: Iterable[Move]) -> tuple[str, ...]:
    return tuple(account for move in moves for account in (move.source, move.target))
