"""Commands about refunds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.errors import Reason
from domain.events import LedgerEvent
from domain.money import Money
from domain.refund.decisions import (
    Refund,
    approve_refund,
    cancel_refund,
    reject_refund,
    request_refund,
)
from domain.refund.reports import resolve_refund
from ledger.commands.handling import Caller, Drafted, Handling, Written, command_id

REQUIRED = (("finance",),)
"""A refund always needs a second person, of finance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefund:
    """A deposit, or `amount` of it, is to go back the way it came."""

    deposit_id: UUID
    amount: Money | None
    """None: everything that is left of it."""
    reason: str
    metadata: Mapping[str, str]


class RefundCommands:
    """What people do with refunds."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def request(self, request: RequestRefund, caller: Caller) -> Written:
        """Register a refund and reserve the funds; without enough of them, its rejection.

        Raises:
            TransactionNotFound: there is no such deposit.
            NotRefundable, RefundExceedsCapture, DisputeOpen: the deposit does not allow it.
            CommandReused: the key was used before, with another request.
        """
        command = self._handling.command(caller, "request-refund", request)
        refund_id = command_id(caller, "request-refund")

        def draft() -> Drafted:
            deposit = self._handling.deposit(request.deposit_id)

            def events(refusal: Reason | None) -> Sequence[LedgerEvent]:
                return request_refund(
                    refund_id,
                    command,
                    deposit=deposit,
                    amount=request.amount,
                    reason=request.reason,
                    metadata=request.metadata,
                    required=REQUIRED,
                    refusal=refusal,
                )

            return Drafted(events=events(None), refusal=events(Reason.INSUFFICIENT_FUNDS))

        return self._handling.create(refund_id, command, draft)

    def approve(self, refund_id: UUID, note: str, caller: Caller) -> Written:
        """Agree to a refund: it is sent to the provider.

        Raises:
            TransactionNotFound, InvalidTransition, SelfApproval, RoleNotAllowed, CommandReused,
            VersionChanged.
        """
        request = {"id": refund_id, "note": note}
        command = self._handling.command(caller, "approve-refund", request)

        def decide(state: Refund) -> Drafted | None:
            return Drafted.of(approve_refund(state, command, note=note))

        return self._handling.change_by(refund_id, Refund, decide, command, caller)

    def reject(self, refund_id: UUID, note: str, caller: Caller) -> Written:
        """Refuse a refund, and release its funds.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        request = {"id": refund_id, "note": note}
        command = self._handling.command(caller, "reject-refund", request)

        def decide(state: Refund) -> Drafted | None:
            deposit = self._handling.deposit(state.deposit_id)
            return Drafted.of(reject_refund(state, command, deposit=deposit, note=note))

        return self._handling.change_by(refund_id, Refund, decide, command, caller)

    def cancel(self, refund_id: UUID, caller: Caller) -> Written:
        """Give a refund up before it is sent, and release its funds. Raises as `reject`."""
        command = self._handling.command(caller, "cancel-refund", {"id": refund_id})

        def decide(state: Refund) -> Drafted | None:
            deposit = self._handling.deposit(state.deposit_id)
            reason = Reason.DECIDED_BY_OPERATOR
            return Drafted.of(cancel_refund(state, command, deposit=deposit, reason=reason))

        return self._handling.change_by(refund_id, Refund, decide, command, caller)

    def resolve(self, refund_id: UUID, target: str, note: str, caller: Caller) -> Written:
        """Propose how a review ends, or agree to what another person proposed.

        Raises:
            TransactionNotFound, InvalidTransition, InvalidResolution, EvidenceMissing,
            SelfApproval, CommandReused, VersionChanged.
        """
        request = {"id": refund_id, "target": target, "note": note}
        command = self._handling.command(caller, "resolve-refund", request)

        def decide(state: Refund) -> Drafted | None:
            deposit = self._handling.deposit(state.deposit_id)
            return Drafted.of(
                resolve_refund(state, command, deposit=deposit, target=target, note=note)
            )

        return self._handling.change_by(refund_id, Refund, decide, command, caller)
