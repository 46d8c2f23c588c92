"""Commands about providers: which may be used."""

from collections.abc import Mapping

from domain.command import Command
from domain.events import LedgerEvent
from domain.provider.provider import (
    Provider,
    fold_provider,
    provider_stream,
    register_provider,
    set_pause,
)
from ledger.commands.errors import ProviderNotFound
from ledger.commands.handling import Caller, Handling
from ledger.commands.stream_handling import change_stream


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

        return change_stream(self._handling, provider_stream(name), fold_provider, command, decide)

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

        return change_stream(self._handling, provider_stream(name), fold_provider, command, decide)
