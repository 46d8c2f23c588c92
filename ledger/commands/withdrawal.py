"""Commands about withdrawals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.command import Command
from domain.counters import instrument_counter
from domain.errors import Reason
from domain.events import LedgerEvent, Origin
from domain.money import Money
from domain.player.jurisdictions import jurisdiction_of
from domain.player.player import Player
from domain.withdrawal.closed_loop import plan_legs
from domain.withdrawal.decisions import (
    amend_withdrawal,
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    request_withdrawal,
    retry_withdrawal,
    score_withdrawal,
)
from domain.withdrawal.reports import resolve_withdrawal
from domain.withdrawal.state import Withdrawal
from ledger.commands.handling import Caller, Drafted, Handling, Written

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
    origin: Origin | None = None


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
        withdrawal_id = command.command_id
        return self._handling.create(
            withdrawal_id, command, lambda: self._draft(withdrawal_id, request, command)
        )

    def _draft(self, withdrawal_id: UUID, request: RequestWithdrawal, command: Command) -> Drafted:
        """What `request` wants appended."""
        provider = self._handling.provider(request.provider)
        player = self._handling.known_player(request.player_id)
        net_minor = self._net_minor(player, request.amount.currency)
        plan = plan_legs(
            player=player,
            amount=request.amount,
            provider=request.provider,
            method=request.method,
            instrument=request.instrument,
            net_minor=net_minor,
        )

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
                origin=request.origin,
                plan=plan,
                refusal=refusal,
            )

        return Drafted(
            events=draft(None),
            refusal=draft(Reason.INSUFFICIENT_FUNDS),
            unchanged={player.id: player.version},
            expected=_counted(player, request.amount.currency, net_minor),
        )

    def _net_minor(self, player: Player, currency: str) -> Mapping[str, int]:
        """What each of the player's instruments has paid in, net, in minor units."""
        counters = {i: instrument_counter(player.id, i, currency) for i in player.instruments}
        if not counters:
            return {}
        balances = self._handling.ledger.balances(list(counters.values()))
        return {instrument: balances[counter] for instrument, counter in counters.items()}

    def amend(
        self,
        withdrawal_id: UUID,
        *,
        amount: Money,
        instrument: str | None,
        note: str,
        caller: Caller,
    ) -> Written:
        """Pay out less, or to another instrument; what was approved before does not count.

        Raises:
            TransactionNotFound, InvalidTransition, AmountMayOnlyFall, CommandReused,
            VersionChanged.
        """
        request = {"id": withdrawal_id, "amount": amount, "instrument": instrument, "note": note}
        command = self._handling.command(caller, "amend-withdrawal", request)

        def decide(state: Withdrawal) -> Drafted | None:
            player = self._handling.known_player(state.player_id)
            net_minor = self._net_minor(player, state.amount.currency)
            plan = plan_legs(
                player=player,
                amount=amount,
                provider=state.provider,
                method=state.method,
                instrument=instrument,
                net_minor=_without(state, net_minor),
            )
            amended = amend_withdrawal(
                state, command, plan=plan, amount=amount, instrument=instrument, note=note
            )
            if amended is None:
                return None
            return Drafted(
                events=(amended,),
                unchanged={player.id: player.version},
                expected=_counted(player, state.amount.currency, net_minor),
            )

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def score(
        self,
        withdrawal_id: UUID,
        *,
        score: int,
        high: Sequence[str],
        ruleset: str,
        caller: Caller,
    ) -> Written:
        """Record how risky the payout looks; approvals given on another score do not count.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        request = {"id": withdrawal_id, "score": score, "high": list(high), "ruleset": ruleset}
        command = self._handling.command(caller, "score-withdrawal", request)

        def decide(state: Withdrawal) -> Drafted | None:
            return Drafted.of(
                score_withdrawal(state, command, score=score, high=tuple(high), ruleset=ruleset)
            )

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def approve(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Agree to the payout as it is now.

        Raises:
            TransactionNotFound, InvalidTransition, SelfApproval, AlreadyApproved, RoleNotAllowed,
            CommandReused, VersionChanged.
        """
        request = {"id": withdrawal_id, "note": note}
        command = self._handling.command(caller, "approve-withdrawal", request)

        def decide(state: Withdrawal) -> Drafted | None:
            player = self._handling.known_player(state.player_id)
            events = approve_withdrawal(state, command, player=player, note=note)
            if not events:
                return None
            return Drafted(events=events, unchanged={player.id: player.version})

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def reject(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Refuse the payout and release the funds.

        Raises:
            RoleNotAllowed: it is held, and the caller is not of compliance.
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        return self._noted("reject-withdrawal", reject_withdrawal, withdrawal_id, note, caller)

    def hold(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Stop the decision until the hold is released.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        return self._noted("hold-withdrawal", hold_withdrawal, withdrawal_id, note, caller)

    def release(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """End the hold. Raises as `reject`."""
        return self._noted("release-withdrawal", release_withdrawal, withdrawal_id, note, caller)

    def request_information(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Ask the player something first. Raises as `hold`."""
        return self._noted("request-information", request_information, withdrawal_id, note, caller)

    def provide_information(self, withdrawal_id: UUID, note: str, caller: Caller) -> Written:
        """Record the player's answer. Raises as `hold`."""
        return self._noted("provide-information", provide_information, withdrawal_id, note, caller)

    def cancel(self, withdrawal_id: UUID, *, by_player: bool, caller: Caller) -> Written:
        """Give the withdrawal up and release the funds.

        Raises:
            CancellationNotAllowed: the player asks, and their jurisdiction does not allow it.
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        request = {"id": withdrawal_id, "by_player": by_player}
        command = self._handling.command(caller, "cancel-withdrawal", request)
        reason = Reason.REQUESTED_BY_PLAYER if by_player else Reason.DECIDED_BY_OPERATOR

        def decide(state: Withdrawal) -> Drafted | None:
            player = self._handling.known_player(state.player_id)
            jurisdiction = jurisdiction_of(player.jurisdiction)
            cancelled = cancel_withdrawal(
                state,
                command,
                reason=reason,
                by_player=by_player,
                player_may_cancel=jurisdiction.player_may_cancel_withdrawal,
            )
            if cancelled is None:
                return None
            return Drafted(events=(cancelled,), unchanged={player.id: player.version})

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def retry(self, withdrawal_id: UUID, leg: int | None, caller: Caller) -> Written:
        """Queue a new attempt of a leg now, instead of when it would be due.

        Raises:
            LegAmbiguous: several legs wait for one, and none is named.
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        request = {"id": withdrawal_id, "leg": leg}
        command = self._handling.command(caller, "retry-withdrawal", request)

        def decide(state: Withdrawal) -> Drafted | None:
            return Drafted.of(retry_withdrawal(state, command, leg=leg))

        return self._handling.change_by(withdrawal_id, Withdrawal, decide, command, caller)

    def resolve(
        self, withdrawal_id: UUID, *, leg: int | None, target: str, note: str, caller: Caller
    ) -> Written:
        """Propose how a leg's review ends, or agree to what another person proposed.

        Raises:
            LegAmbiguous: several legs are in review, and none is named.
            TransactionNotFound, InvalidTransition, InvalidResolution, EvidenceMissing,
            SelfApproval, CommandReused, VersionChanged.
        """
        request = {"id": withdrawal_id, "leg": leg, "target": target, "note": note}
        command = self._handling.command(caller, "resolve-withdrawal", request)

        def decide(state: Withdrawal) -> Drafted | None:
            return Drafted.of(resolve_withdrawal(state, command, leg=leg, target=target, note=note))

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


def _counted(player: Player, currency: str, net_minor: Mapping[str, int]) -> Mapping[str, int]:
    """The counters behind what the plan stands on."""
    return {instrument_counter(player.id, i, currency): net for i, net in net_minor.items()}


def _without(state: Withdrawal, net_minor: Mapping[str, int]) -> Mapping[str, int]:
    """What the instruments have paid in, as if this withdrawal did not exist."""
    free = dict(net_minor)
    for leg in state.legs:
        if leg.instrument in free and state.reserved:
            free[leg.instrument] += leg.amount.amount
    return free
