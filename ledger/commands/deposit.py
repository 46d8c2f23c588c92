"""Commands about deposits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.command import Command
from domain.deposit.concerns import review_concerns, with_excess
from domain.deposit.decisions import DepositStatus, cancel_deposit, create_deposit
from domain.deposit.reports import resolve_deposit
from domain.deposit.state import Deposit
from domain.errors import Reason
from domain.events import (
    DepositBlocked,
    DepositCompleted,
    LedgerEvent,
    Origin,
    TransactionResolved,
)
from domain.money import Money
from domain.player.limits import deposit_ceilings, deposit_counts
from domain.player.player import Player, evolve_player, register_instrument, register_player
from ledger.commands.handling import Caller, Drafted, Handling, Written


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDeposit:
    """A player wants to pay in `amount` through `provider`."""

    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None = None
    metadata: Mapping[str, str]
    origin: Origin | None = None


class DepositCommands:
    """What people and platforms do with deposits."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def create(self, request: CreateDeposit, caller: Caller) -> Written:
        """Register a deposit, and its player where this is the first we hear of them.

        One that would pass a limit of the player's is recorded as blocked.

        Raises:
            PlayerNotFound: something else has the id of the player.
            ProviderNotFound: no such provider.
            CommandReused: the key was used before, with another request.
        """
        command = self._handling.command(caller, "create-deposit", request)
        deposit_id = command.command_id
        return self._handling.create(
            deposit_id, command, lambda: self._draft(deposit_id, request, command)
        )

    def _draft(self, deposit_id: UUID, request: CreateDeposit, command: Command) -> Drafted:
        """What `create` wants appended."""
        provider = self._handling.provider(request.provider)
        player = self._handling.player(request.player_id)
        newcomer = () if player else (register_player(request.player_id, command),)
        known = player or evolve_player(None, *newcomer)
        today = self._handling.today(known)
        ceilings = deposit_ceilings(known, request.amount.currency, command.now, today)

        def draft(refusal: Reason | None) -> Sequence[LedgerEvent]:
            return create_deposit(
                deposit_id,
                command,
                player=known,
                provider=provider,
                method=request.method,
                amount=request.amount,
                instrument=request.instrument,
                metadata=request.metadata,
                origin=request.origin,
                counts=deposit_counts(known.id, request.amount, today),
                refusal=refusal,
            )

        events = draft(None)
        blocked = isinstance(events[-1], DepositBlocked)
        unchanged = {provider.id: provider.version}
        if not newcomer:
            unchanged[known.id] = known.version
        return Drafted(
            events=(*newcomer, *events),
            refusal=(*newcomer, *draft(Reason.LIMIT_EXCEEDED)) if ceilings else (),
            unchanged=unchanged,
            ceilings=None if blocked else ceilings,
        )

    def cancel(self, deposit_id: UUID, caller: Caller) -> Written:
        """Give a deposit up before the player has paid.

        Raises:
            TransactionNotFound, InvalidTransition, CommandReused, VersionChanged.
        """
        command = self._handling.command(caller, "cancel-deposit", {"id": deposit_id})

        def decide(state: Deposit) -> Drafted | None:
            return Drafted.of(cancel_deposit(state, command, Reason.REQUESTED_BY_PLAYER))

        return self._handling.change_by(deposit_id, Deposit, decide, command, caller)

    def review_concerns(self, deposit_id: UUID, note: str, caller: Caller) -> Written:
        """Say that what there is to be looked at about a deposit has been.

        Raises:
            TransactionNotFound, InvalidTransition, EvidenceMissing, CommandReused, VersionChanged.
        """
        request = {"id": deposit_id, "note": note}
        command = self._handling.command(caller, "review-concerns", request)

        def decide(state: Deposit) -> Drafted | None:
            return Drafted.of(review_concerns(state, command, note=note))

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
            event = resolve_deposit(state, command, target=target, note=note)
            if event is None:
                return None
            player = self._handling.known_player(state.player_id)
            decided = with_excess(state, (event,), command)
            return Drafted(events=(*decided, *first_use(player, state, event, command)))

        return self._handling.change_by(deposit_id, Deposit, decide, command, caller)


def first_use(
    player: Player, state: Deposit, event: LedgerEvent, command: Command
) -> tuple[LedgerEvent, ...]:
    """What makes an instrument known: money has come in from it for the first time.

    Not before: payouts go first to what the player has paid in with.
    """
    completed = isinstance(event, DepositCompleted) or (
        isinstance(event, TransactionResolved) and event.target == DepositStatus.COMPLETED
    )
    if not completed or state.instrument is None:
        return ()
    registered = register_instrument(
        player,
        command,
        instrument=state.instrument,
        provider=state.provider,
        method=state.method,
    )
    return () if registered is None else (registered,)
