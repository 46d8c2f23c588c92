"""Commands about withdrawals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.commands import Command
from domain.errors import Reason
from domain.events import LedgerEvent
from domain.money import Money
from domain.withdrawal import Withdrawal
from domain.withdrawal_decisions import (
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    request_withdrawal,
    retry_withdrawal,
)
from domain.withdrawal_reports import resolve_withdrawal
from tallystick.commands.errors import PlayerNotFound
from tallystick.commands.handling import Caller, Drafted, Handling, Written, command_id

NotedDecision = Callable[..., LedgerEvent | Sequence[LedgerEvent] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWithdrawal:
    """A player wants to be paid `amount` through `provider`."""

    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None = None
    metadata: Mapping[str, str]


class WithdrawalCommands:
    """What people and platforms do with withdrawals."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def request(self, request: RequestWithdrawal, caller: Caller) -> Written:
        """Register a request and reserve the funds; without enough of them, its rejection.

        Raises:
            PlayerNotFound, ProviderNotFound: no such player, no such provider.
            CommandReused: the key was used before, with another request.
        """
        command = self._handling.command(caller, "request-withdrawal", request)
        withdrawal_id = command_id(caller, "request-withdrawal")
        return self._handling.create(
            withdrawal_id, command, lambda: self._draft(withdrawal_id, request, command)
        )

    def _draft(self, withdrawal_id: UUID, request: RequestWithdrawal, command: Command) -> Drafted:
        provider = self._handling.provider(request.provider)
        player = self._handling.player(request.player_id)
        if player is None:
            raise PlayerNotFound(request.player_id)

        def draft(refusal: Reason | None) -> Sequence[LedgerEvent]:
            return request_withdrawal(
                withdrawal_id,
                command,
                player=player,
                provider=provider,
                method=request.method,
                amount=request.amount,
                instrument=request.instrument,
                metadata=request.metadata,
                refusal=refusal,
            )

        return Drafted(
            events=draft(None),
            refusal=draft(Reason.INSUFFICIENT_FUNDS),
        )

    def approve(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Agree to the payout.

        Raises:
            TransactionNotFound, InvalidTransition, SelfApproval, AlreadyApproved,
            CommandReused, VersionChanged.
        """
        return self._noted("approve-withdrawal", approve_withdrawal, withdrawal_id, note, caller)

    def reject(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Refuse the payout and release the funds.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        return self._noted("reject-withdrawal", reject_withdrawal, withdrawal_id, note, caller)

    def hold(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Stop the decision until the hold is released. Raises as `reject`."""
        return self._noted("hold-withdrawal", hold_withdrawal, withdrawal_id, note, caller)

    def release(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """End the hold. Raises as `reject`."""
        return self._noted("release-withdrawal", release_withdrawal, withdrawal_id, note, caller)

    def request_information(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Ask the player something first. Raises as `reject`."""
        return self._noted("request-information", request_information, withdrawal_id, note, caller)

    def provide_information(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Record the player's answer. Raises as `reject`."""
        return self._noted("provide-information", provide_information, withdrawal_id, note, caller)

    def cancel(self, withdrawal_id: UUID, caller: Caller) -> Written:
        """Give the withdrawal up and release the funds. Raises as `reject`."""
        command = self._handling.command(caller, "cancel-withdrawal", {"id": withdrawal_id})

        def decide(state: Withdrawal) -> Drafted | None:
            return Drafted.of(cancel_withdrawal(state, command, reason=Reason.REQUESTED_BY_PLAYER))

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def retry(self, withdrawal_id: UUID, caller: Caller) -> Written:
        """Queue a new attempt now, instead of when it would be due. Raises as `reject`."""
        command = self._handling.command(caller, "retry-withdrawal", {"id": withdrawal_id})

        def decide(state: Withdrawal) -> Drafted | None:
            return Drafted.of(retry_withdrawal(state, command))

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def resolve(self, withdrawal_id: UUID, target: str, note: str, caller: Caller) -> Written:
        """Propose how a review ends, or agree to what another person proposed.

        Raises:
            TransactionNotFound, InvalidTransition, InvalidResolution, EvidenceMissing,
            SelfApproval, CommandReused, VersionChanged.
        """
        request = {"id": withdrawal_id, "target": target, "note": note}
        command = self._handling.command(caller, "resolve-withdrawal", request)

        def decide(state: Withdrawal) -> Drafted | None:
            return Drafted.of(resolve_withdrawal(state, command, target=target, note=note))

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def _noted(
        self,
        operation: str,
        decision: NotedDecision,
        withdrawal_id: UUID,
        note: str,
        caller: Caller,
    ) -> Written:
        command = self._handling.command(caller, operation, {"id": withdrawal_id, "note": note})

        def decide(state: Withdrawal) -> Drafted | None:
            return Drafted.of(decision(state, command, note=note))

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)
