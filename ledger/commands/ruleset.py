"""Commands about rule sets."""

from collections.abc import Callable
from uuid import UUID

from domain.command import Command
from domain.events import LedgerEvent, RuleSetTerms
from domain.fraud.ruleset import (
    NO_RULESETS,
    RuleSets,
    RuleSetVersion,
    discard_ruleset,
    draft_ruleset,
    fold_rulesets,
    publish_ruleset,
    ruleset_stream,
)
from ledger.commands.errors import RuleSetNotFound
from ledger.commands.handling import Caller, Handling
from ledger.commands.stream_handling import change_stream


class RuleSetCommands:
    """What fraud and compliance do with rule sets."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self) -> RuleSets:
        """Every version, and the terms in force."""
        rulesets: RuleSets | None = self._handling.ledger.load(ruleset_stream(), fold_rulesets)
        return rulesets or NO_RULESETS

    def remembered(self) -> RuleSets:
        """As last read; name its version where a decision rests on it."""
        ledger = self._handling.ledger
        rulesets: RuleSets | None = ledger.remembered(ruleset_stream(), fold_rulesets)
        return rulesets or NO_RULESETS

    def draft(self, terms: RuleSetTerms, note: str, caller: Caller) -> RuleSetVersion:
        """Write down terms for another person to publish.

        Raises:
            RoleNotAllowed, InvalidRuleSet, EvidenceMissing, NothingToChange, CommandReused,
            VersionChanged.
        """
        request = {"terms": terms, "note": note}
        command = self._handling.command(caller, "draft-ruleset", request)

        def decide(state: RuleSets | None) -> LedgerEvent | None:
            return draft_ruleset(state or NO_RULESETS, command, terms=terms, note=note)

        left = change_stream(
            self._handling,
            ruleset_stream(),
            fold_rulesets,
            command,
            decide,
            expected_version=caller.expected_version,
        )
        return left.versions[command.command_id]

    def publish(self, ruleset_id: UUID, note: str, caller: Caller) -> RuleSetVersion:
        """Put a draft in force.

        Raises:
            RuleSetNotFound, RoleNotAllowed, InvalidTransition, SelfApproval, EvidenceMissing,
            InvalidRuleSet, CommandReused, VersionChanged.
        """
        request = {"id": ruleset_id, "note": note}
        command = self._handling.command(caller, "publish-ruleset", request)

        def decide(state: RuleSets) -> LedgerEvent | None:
            return publish_ruleset(state, command, ruleset_id=ruleset_id, note=note)

        return self._change(ruleset_id, command, decide, caller)

    def discard(self, ruleset_id: UUID, note: str, caller: Caller) -> RuleSetVersion:
        """Let go of a draft.

        Raises:
            RuleSetNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, CommandReused,
            VersionChanged.
        """
        request = {"id": ruleset_id, "note": note}
        command = self._handling.command(caller, "discard-ruleset", request)

        def decide(state: RuleSets) -> LedgerEvent | None:
            return discard_ruleset(state, command, ruleset_id=ruleset_id, note=note)

        return self._change(ruleset_id, command, decide, caller)

    def _change(
        self,
        ruleset_id: UUID,
        command: Command,
        decide: Callable[[RuleSets], LedgerEvent | None],
        caller: Caller,
    ) -> RuleSetVersion:
        def decide_about_it(state: RuleSets | None) -> LedgerEvent | None:
            if state is None or ruleset_id not in state.versions:
                raise RuleSetNotFound(ruleset_id)
            return decide(state)

        left = change_stream(
            self._handling,
            ruleset_stream(),
            fold_rulesets,
            command,
            decide_about_it,
            expected_version=caller.expected_version,
        )
        return left.versions[ruleset_id]
