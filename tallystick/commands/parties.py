"""Commands about players and providers: who may take part."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from domain.commands import Command
from domain.errors import NothingToChange
from domain.events import LedgerEvent
from domain.player import (
    Player,
    Verification,
    change_verification,
    register_player,
    set_exclusion,
    set_hold,
)
from domain.provider import (
    Provider,
    fold_provider,
    provider_stream,
    register_provider,
    set_pause,
)
from tallystick.commands.errors import PlayerNotFound, ProviderNotFound, TooContended
from tallystick.commands.handling import DECISIONS_MAX, Caller, Handling, project_player
from tallystick.eventstore.errors import VersionConflict

P = TypeVar("P", Player, Provider)


class PlayerCommands:
    """What staff and platforms do with players."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self, player_id: UUID) -> Player:
        """The player as they are now.

        Raises:
            PlayerNotFound: there is none under this id.
        """
        player = self._handling.ledger.load(player_id, project_player)
        if player is None:
            raise PlayerNotFound(player_id)
        return player

    def register(
        self,
        player_id: UUID,
        *,
        verification: Verification,
        jurisdiction: str | None,
        caller: Caller,
    ) -> Player:
        """Make a player known, or change what is known of their identity.

        Raises:
            PlayerNotFound: something else has this id.
            CommandReused: the key was used before, with another request.
        """
        request = {
            "id": player_id,
            "verification": verification,
            "jurisdiction": jurisdiction,
        }
        command = self._handling.command(caller, "register-player", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            if player is None:
                return register_player(
                    player_id, command, jurisdiction=jurisdiction, verification=verification
                )
            try:
                return change_verification(
                    player, command, verification=verification, jurisdiction=jurisdiction
                )
            except NothingToChange:
                return None

        return _change(self._handling, player_id, project_player, command, decide)

    def exclude(self, player_id: UUID, *, excluded: bool, reason: str, caller: Caller) -> Player:
        """Begin or end the player's exclusion from deposits.

        Raises:
            PlayerNotFound, NothingToChange, CommandReused.
        """
        request = {"id": player_id, "excluded": excluded, "reason": reason}
        command = self._handling.command(caller, "exclude-player", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            if player is None:
                raise PlayerNotFound(player_id)
            return set_exclusion(player, command, excluded=excluded, reason=reason)

        return _change(self._handling, player_id, project_player, command, decide)

    def hold(self, player_id: UUID, *, on_hold: bool, reason: str, caller: Caller) -> Player:
        """Stop the player's payouts, or let them go again.

        Raises:
            PlayerNotFound, NothingToChange, CommandReused.
        """
        request = {"id": player_id, "on_hold": on_hold, "reason": reason}
        command = self._handling.command(caller, "hold-player", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            if player is None:
                raise PlayerNotFound(player_id)
            return set_hold(player, command, on_hold=on_hold, reason=reason)

        return _change(self._handling, player_id, project_player, command, decide)


class ProviderCommands:
    """What staff do with providers."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self, name: str) -> Provider:
        """The provider as it is now.

        Raises:
            ProviderNotFound: there is none under this name.
        """
        provider = self._handling.ledger.load(provider_stream(name), fold_provider)
        if provider is None:
            raise ProviderNotFound(name)
        return provider

    def register(
        self,
        name: str,
        *,
        adapter: str,
        poll_delays_seconds: tuple[int, ...],
        expiry_seconds: Mapping[str, int],
        command: Command,
    ) -> Provider:
        """Make a provider known; one that is known stays as it is."""

        def decide(provider: Provider | None) -> LedgerEvent | None:
            if provider is not None:
                return None
            return register_provider(
                name,
                command,
                adapter=adapter,
                poll_delays_seconds=poll_delays_seconds,
                expiry_seconds=expiry_seconds,
            )

        return _change(self._handling, provider_stream(name), fold_provider, command, decide)

    def pause(self, name: str, *, paused: bool, reason: str, caller: Caller) -> Provider:
        """Stop or restart sending new transactions to the provider.

        Raises:
            ProviderNotFound, NothingToChange, CommandReused.
        """
        request = {"name": name, "paused": paused, "reason": reason}
        command = self._handling.command(caller, "pause-provider", request)

        def decide(provider: Provider | None) -> LedgerEvent | None:
            if provider is None:
                raise ProviderNotFound(name)
            return set_pause(provider, command, paused=paused, reason=reason)

        return _change(self._handling, provider_stream(name), fold_provider, command, decide)


def _change(
    handling: Handling,
    stream: UUID,
    project: Callable[[P | None, Iterable[Any]], P | None],
    command: Command,
    decide: Callable[[P | None], LedgerEvent | None],
) -> P:
    """Load, decide, append; the party as the command left it, also when it is repeated."""
    for _ in range(DECISIONS_MAX):
        state = handling.ledger.load(stream, project)
        event = decide(state)
        if event is None and state is not None:
            return _as_left(handling, stream, project, command) or state
        if event is None:
            raise LookupError(f"nothing begins the stream {stream}")
        try:
            handling.ledger.append([event])
        except VersionConflict:
            continue
        finally:
            handling.ledger.forget(stream)
        changed = project(state, [event])
        assert changed is not None  # noqa: S101  (an event leaves a state)
        return changed
    raise TooContended


def _as_left(
    handling: Handling,
    stream: UUID,
    project: Callable[[P | None, Iterable[Any]], P | None],
    command: Command,
) -> P | None:
    """The party as the command left it when it was first carried out; None if it never was."""
    state: P | None = None
    for event in handling.ledger.history(stream):
        state = project(state, [event])
        if event.command_id == command.command_id:
            return state
    return None
