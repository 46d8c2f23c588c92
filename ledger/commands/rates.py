"""Commands about exchange rates."""

from collections.abc import Callable, Sequence
from uuid import UUID

from domain.command import Command
from domain.conversion.rate_decisions import (
    approve_rates,
    discard_rates,
    propose_rates,
    revoke_source,
    trust_source,
)
from domain.conversion.rates import (
    NO_RATES,
    ExchangeRates,
    RateProposal,
    RateTable,
    fold_rates,
    rates_stream,
)
from domain.events import LedgerEvent, Rate
from ledger.commands.errors import NoRates, RateProposalNotFound
from ledger.commands.handling import Caller, Handling
from ledger.commands.stream_handling import change_stream


def rates_in_force(handling: Handling) -> RateTable:
    """The table in force, read anew.

    Raises:
        NoRates: there is none.
    """
    rates: ExchangeRates | None = handling.ledger.load(rates_stream(), fold_rates)
    if rates is None or rates.in_force is None:
        raise NoRates
    return rates.in_force


class RateCommands:
    """What treasury, and the sources it trusts, do with exchange rates."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self) -> ExchangeRates:
        """The table in force, what is proposed, and the sources."""
        return self._handling.ledger.load(rates_stream(), fold_rates) or NO_RATES

    def propose(
        self,
        *,
        source: str,
        base: str,
        as_of: str,
        rates: Sequence[Rate],
        note: str = "",
        caller: Caller,
    ) -> tuple[ExchangeRates, RateProposal | None]:
        """Offer a table; what then waits, or None where a trusted source put it in force.

        Raises:
            InvalidRate, InvalidMoney: a rate or currency that cannot be.
            RoleNotAllowed, NothingToChange, EvidenceMissing.
            CommandReused: the key was used before, with another request.
        """
        request = {"source": source, "base": base, "as_of": as_of, "rates": list(rates)}
        # As it was called, and said, when one person could publish: repeated, it is still the same.
        said = {**request, "note": note} if note else request
        command = self._handling.command(caller, "publish-rates", said)

        def decide(state: ExchangeRates) -> LedgerEvent | None:
            return propose_rates(
                state,
                command,
                source=source,
                base=base,
                as_of=as_of,
                rates=tuple(rates),
                note=note,
            )

        left = self._change(command, decide, caller)
        return left, left.proposals.get(command.command_id)

    def approve(
        self, proposal_id: UUID, note: str, caller: Caller
    ) -> tuple[ExchangeRates, RateProposal | None]:
        """Agree to a table; what still waits for another person, or None where it is in force.

        Raises:
            RateProposalNotFound, RoleNotAllowed, SelfApproval, NothingToChange, EvidenceMissing,
            CommandReused, VersionChanged.
        """
        request = {"id": proposal_id, "note": note}
        command = self._handling.command(caller, "approve-rates", request)

        def decide(state: ExchangeRates) -> LedgerEvent | None:
            return approve_rates(state, command, proposal_id=proposal_id, note=note)

        left = self._change(command, _about(proposal_id, decide), caller)
        return left, left.proposals.get(proposal_id)

    def discard(self, proposal_id: UUID, note: str, caller: Caller) -> ExchangeRates:
        """Let go of a proposal.

        Raises:
            RateProposalNotFound, RoleNotAllowed, EvidenceMissing, CommandReused, VersionChanged.
        """
        request = {"id": proposal_id, "note": note}
        command = self._handling.command(caller, "discard-rates", request)

        def decide(state: ExchangeRates) -> LedgerEvent | None:
            return discard_rates(state, command, proposal_id=proposal_id, note=note)

        return self._change(command, _about(proposal_id, decide), caller)

    def trust(self, source: str, note: str, caller: Caller) -> ExchangeRates:
        """Propose to trust a source, or agree to it.

        Raises:
            RoleNotAllowed, InvalidRate, SelfApproval, NothingToChange, EvidenceMissing,
            CommandReused, VersionChanged.
        """
        request = {"source": source, "note": note}
        command = self._handling.command(caller, "trust-source", request)

        def decide(state: ExchangeRates) -> LedgerEvent | None:
            return trust_source(state, command, source=source, note=note)

        return self._change(command, decide, caller)

    def revoke(self, source: str, note: str, caller: Caller) -> ExchangeRates:
        """Trust a source no longer.

        Raises:
            RoleNotAllowed, NothingToChange, EvidenceMissing, CommandReused, VersionChanged.
        """
        request = {"source": source, "note": note}
        command = self._handling.command(caller, "revoke-source", request)

        def decide(state: ExchangeRates) -> LedgerEvent | None:
            return revoke_source(state, command, source=source, note=note)

        return self._change(command, decide, caller)

    def _change(
        self,
        command: Command,
        decide: Callable[[ExchangeRates], LedgerEvent | None],
        caller: Caller,
    ) -> ExchangeRates:
        return change_stream(
            self._handling,
            rates_stream(),
            fold_rates,
            command,
            lambda state: decide(state or NO_RATES),
            expected_version=caller.expected_version,
        )


def _about(
    proposal_id: UUID, decide: Callable[[ExchangeRates], LedgerEvent | None]
) -> Callable[[ExchangeRates], LedgerEvent | None]:
    """The decision about a proposal that has to wait for one."""

    def decide_about_it(state: ExchangeRates) -> LedgerEvent | None:
        try:
            return decide(state)
        except KeyError:
            raise RateProposalNotFound(proposal_id) from None

    return decide_about_it
