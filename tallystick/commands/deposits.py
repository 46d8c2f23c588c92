"""Commands about deposits."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.commands import Command
from domain.deposit import Deposit, cancel_deposit, create_deposit
from domain.deposit_reports import resolve_deposit
from domain.errors import Reason
from domain.money import Money
from domain.player import evolve_player, register_player
from tallystick.commands.handling import Caller, Drafted, Handling, Written, command_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDeposit:
    """A player wants to pay in `amount` through `provider`."""

    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None = None
    metadata: Mapping[str, str]


class DepositCommands:
    """What people and platforms do with deposits."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def create(self, request: CreateDeposit, caller: Caller) -> Written:
        """Register a deposit, and its player where this is the first we hear of them.

        Raises:
            PlayerNotFound: something else has the id of the player.
            ProviderNotFound: no such provider.
            CommandReused: the key was used before, with another request.
        """
        command = self._handling.command(caller, "create-deposit", request)
        deposit_id = command_id(caller, "create-deposit")
        return self._handling.create(
            deposit_id, command, lambda: self._draft(deposit_id, request, command)
        )

    def _draft(self, deposit_id: UUID, request: CreateDeposit, command: Command) -> Drafted:
        provider = self._handling.provider(request.provider)
        player = self._handling.player(request.player_id)
        newcomer = () if player else (register_player(request.player_id, command),)
        known = player or evolve_player(None, *newcomer)
        events = create_deposit(
            deposit_id,
            command,
            player=known,
            provider=provider,
            method=request.method,
            amount=request.amount,
            instrument=request.instrument,
            metadata=request.metadata,
        )
        unchanged = {provider.id: provider.version}
        if not newcomer:
            unchanged[known.id] = known.version
        return Drafted(events=(*newcomer, *events), unchanged=unchanged)

    def cancel(self, deposit_id: UUID, caller: Caller) -> Written:
        """Give a deposit up before the player has paid.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        command = self._handling.command(caller, "cancel-deposit", {"id": deposit_id})

        def decide(state: Deposit) -> Drafted | None:
            return Drafted.of(cancel_deposit(state, command, Reason.REQUESTED_BY_PLAYER))

        return self._handling.change_by(deposit_id, Deposit, decide, command, caller)

    def resolve(self, deposit_id: UUID, target: str, note: str, caller: Caller) -> Written:
        """Propose how a review ends, or agree to what another person proposed.

        Raises:
            TransactionNotFound, InvalidTransition, InvalidResolution, EvidenceMissing,
            SelfApproval, CommandReused, VersionChanged.
        """
        request = {"id": deposit_id, "target": target, "note": note}
        command = self._handling.command(caller, "resolve-deposit", request)

        def decide(state: Deposit) -> Drafted | None:
            return Drafted.of(resolve_deposit(state, command, target=target, note=note))

        return self._handling.change_by(deposit_id, Deposit, decide, command, caller)
