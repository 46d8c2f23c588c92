"""Commands about the approval policy."""

from domain.approval.policy import (
    DEFAULT_POLICY,
    Policy,
    fold_policy,
    policy_stream,
    propose_or_publish_policy,
)
from domain.events import ApprovalTerms, LedgerEvent
from ledger.commands.handling import Caller, Handling
from ledger.commands.stream_handling import change_stream


class PolicyCommands:
    """What compliance does with the approval policy."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self) -> Policy:
        """The terms in force, and what is proposed."""
        policy: Policy | None = self._handling.ledger.load(policy_stream(), fold_policy)
        return policy or DEFAULT_POLICY

    def propose(self, terms: ApprovalTerms, note: str, caller: Caller) -> Policy:
        """Propose terms, or publish what another person proposed by asking for the same.

        Raises:
            InvalidPolicy, NothingToChange, EvidenceMissing, SelfApproval, CommandReused.
        """
        request = {"terms": terms, "note": note}
        command = self._handling.command(caller, "propose-policy", request)

        def decide(policy: Policy | None) -> LedgerEvent | None:
            return propose_or_publish_policy(
                policy or DEFAULT_POLICY, command, terms=terms, note=note
            )

        return change_stream(self._handling, policy_stream(), fold_policy, command, decide)
