"""Commands about disputes: what we answer. What providers say arrives as notices."""

from collections.abc import Sequence
from uuid import UUID

from domain.dispute.decisions import Dispute, accept_dispute, submit_evidence
from ledger.commands.handling import Caller, Drafted, Handling, Written


class DisputeCommands:
    """What people do with disputes."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def submit_evidence(
        self, dispute_id: UUID, *, note: str, documents: Sequence[str], caller: Caller
    ) -> Written:
        """Contest a dispute; the evidence is sent to the provider.

        Raises:
            TransactionNotFound, InvalidTransition, EvidenceMissing, CommandReused, VersionChanged.
        """
        request = {"id": dispute_id, "note": note, "documents": list(documents)}
        command = self._handling.command(caller, "submit-evidence", request)

        def decide(state: Dispute) -> Drafted | None:
            return Drafted.of(
                submit_evidence(state, command, note=note, documents=tuple(documents))
            )

        return self._handling.change_by(dispute_id, Dispute, decide, command, caller)

    def accept(self, dispute_id: UUID, note: str, caller: Caller) -> Written:
        """Do not contest a dispute; the provider is told.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        request = {"id": dispute_id, "note": note}
        command = self._handling.command(caller, "accept-dispute", request)

        def decide(state: Dispute) -> Drafted | None:
            deposit = self._handling.deposit(state.deposit_id)
            return Drafted.of(accept_dispute(state, command, deposit=deposit, note=note))

        return self._handling.change_by(dispute_id, Dispute, decide, command, caller)
