"""Commands about adjustments."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.adjustment.decisions import (
    AdjustmentReason,
    approve_adjustment,
    reject_adjustment,
    request_adjustment,
)
from domain.adjustment.state import Adjustment
from domain.errors import Reason
from domain.events import Move
from ledger.commands.handling import Caller, Drafted, Handling, Written, command_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAdjustment:
    """The books are to be corrected by `moves`."""

    player_id: UUID | None
    moves: tuple[Move, ...]
    reason: AdjustmentReason
    grounds: str
    """What it stands on."""
    transaction_id: UUID | None
    """The transaction that it sets right."""
    metadata: Mapping[str, str]


class AdjustmentCommands:
    """What people do with adjustments."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def request(self, request: RequestAdjustment, caller: Caller) -> Written:
        """Ask for a correction; nothing moves before another person agrees.

        Raises:
            PlayerNotFound, TransactionNotFound: what it names does not exist.
            AdjustmentInvalid, EvidenceMissing: see `request_adjustment`.
            CommandReused: the key was used before, with another request.
        """
        command = self._handling.command(caller, "request-adjustment", request)
        adjustment_id = command_id(caller, "request-adjustment")

        def draft() -> Drafted:
            if request.player_id is not None:
                self._handling.known_player(request.player_id)
            if request.transaction_id is not None:
                self._handling.known(request.transaction_id)
            requested = request_adjustment(
                adjustment_id,
                command,
                player_id=request.player_id,
                moves=request.moves,
                reason=request.reason,
                grounds=request.grounds,
                transaction_id=request.transaction_id,
                metadata=request.metadata,
            )
            return Drafted(events=(requested,))

        return self._handling.create(adjustment_id, command, draft)

    def approve(self, adjustment_id: UUID, note: str, caller: Caller) -> Written:
        """Agree to a correction: the money moves. Without enough of it, the rejection is recorded.

        Raises:
            TransactionNotFound, InvalidTransition, SelfApproval, RoleNotAllowed, CommandReused,
            VersionChanged.
        """
        request = {"id": adjustment_id, "note": note}
        command = self._handling.command(caller, "approve-adjustment", request)

        def decide(state: Adjustment) -> Drafted | None:
            approved = approve_adjustment(state, command, note=note)
            if approved is None:
                return None
            refused = approve_adjustment(
                state, command, note=note, refusal=Reason.INSUFFICIENT_FUNDS
            )
            return Drafted(events=(approved,), refusal=(refused,) if refused else ())

        return self._handling.change_by(adjustment_id, Adjustment, decide, command, caller)

    def reject(self, adjustment_id: UUID, note: str, caller: Caller) -> Written:
        """Refuse a correction.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        request = {"id": adjustment_id, "note": note}
        command = self._handling.command(caller, "reject-adjustment", request)

        def decide(state: Adjustment) -> Drafted | None:
            return Drafted.of(reject_adjustment(state, command, note=note))

        return self._handling.change_by(adjustment_id, Adjustment, decide, command, caller)
