"""Commands about what decisions are measured by: approval policies and exchange rates."""

from collections.abc import Sequence

from domain.events import ApprovalTerms, LedgerEvent, Rate
from domain.policy import (
    DEFAULT_POLICY,
    Policy,
    fold_policy,
    policy_stream,
    propose_or_publish_policy,
)
from domain.rates import RateTable, fold_rates, publish_rates, rates_stream
from tallystick.commands.errors import NoRates
from tallystick.commands.handling import Caller, Handling
from tallystick.commands.streams import change_stream


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


class RateCommands:
    """What treasury does with exchange rates."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self) -> RateTable:
        """The latest table.

        Raises:
            NoRates: none has been published.
        """
        table = self._handling.ledger.load(rates_stream(), fold_rates)
        if table is None:
            raise NoRates
        return table

    def publish(
        self, *, source: str, base: str, as_of: str, rates: Sequence[Rate], caller: Caller
    ) -> RateTable:
        """Quotes are made by this table from now on; the same table again changes nothing.

        Raises:
            InvalidRate, InvalidMoney: a rate or currency that cannot be.
            CommandReused: the key was used before, with another request.
        """
        request = {"source": source, "base": base, "as_of": as_of, "rates": list(rates)}
        command = self._handling.command(caller, "publish-rates", request)

        def decide(table: RateTable | None) -> LedgerEvent | None:
            return publish_rates(
                table, command, source=source, base=base, as_of=as_of, rates=tuple(rates)
            )

        return change_stream(self._handling, rates_stream(), fold_rates, command, decide)
