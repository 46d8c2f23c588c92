"""Commands about conversions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Semaphore
from uuid import UUID

from domain.command import Command
from domain.conversion.decisions import accept_conversion, quote_conversion
from domain.conversion.reports import resolve_conversion
from domain.conversion.state import Conversion
from domain.errors import Reason
from domain.events import ConversionQuoted
from domain.money import Money
from ledger.commands.errors import ProviderNotFound
from ledger.commands.handling import Caller, Drafted, Handling, Written, command_id
from ledger.commands.rates import rates_in_force
from ledger.providers.protocol import PaymentProvider, QuoteRequest, QuoteUnavailable

QUOTE_SECONDS = 300
"""How long the house stands by its quote."""

PROVIDER_QUOTE_TIMEOUT_SECONDS = 3.0

PROVIDER_QUOTES_AT_ONCE_MAX = 8
"""Of one provider, in one process: callers wait for it, and it must not keep all that answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteConversion:
    """A player wants to know what `source` is worth in `target_currency`."""

    player_id: UUID
    source: Money
    target_currency: str
    provider: str | None
    """Who is to execute it; None: the house itself, at the rates in force."""
    metadata: Mapping[str, str]


class ConversionCommands:
    """What people and platforms do with conversions."""

    def __init__(
        self,
        handling: Handling,
        adapters: Mapping[str, PaymentProvider],
        spread_basis_points: int,
    ) -> None:
        """`spread_basis_points` is what the house keeps, in hundredths of a per cent."""
        self._handling = handling
        self._adapters = adapters
        self._spread_basis_points = spread_basis_points
        self._asking: dict[str, Semaphore] = {}

    def quote(self, request: QuoteConversion, caller: Caller) -> Written:
        """Say what the player would get, and for how long that stands.

        Raises:
            PlayerNotFound, ProviderNotFound: no such player, no such provider.
            NoRates, RateMissing: the house has no rate for these currencies.
            QuoteUnavailable: the provider gives none, or too many wait for one of its.
            SameCurrency, AmountTooSmall, InvalidMoney: nothing to convert.
            CommandReused: the key was used before, with another request.
        """
        command = self._handling.command(caller, "quote-conversion", request)
        conversion_id = command_id(caller, "quote-conversion")
        if self._handling.ledger.history(conversion_id):
            return self._handling.replay(conversion_id, command)
        self._handling.known_player(request.player_id)
        if request.provider is None:
            quoted = self._of_house(conversion_id, request, command)
        else:
            quoted = self._of_provider(conversion_id, request, command, request.provider)
        return self._handling.create(conversion_id, command, lambda: Drafted(events=(quoted,)))

    def _of_house(
        self, conversion_id: UUID, request: QuoteConversion, command: Command
    ) -> ConversionQuoted:
        table = rates_in_force(self._handling)
        return quote_conversion(
            conversion_id,
            command,
            player_id=request.player_id,
            source=request.source,
            target_currency=request.target_currency,
            rate=table.rate(request.source.currency, request.target_currency),
            rate_source=table.table,
            spread_basis_points=self._spread_basis_points,
            valid_seconds=QUOTE_SECONDS,
            metadata=request.metadata,
        )

    def _of_provider(
        self, conversion_id: UUID, request: QuoteConversion, command: Command, name: str
    ) -> ConversionQuoted:
        self._handling.provider(name)
        adapter = self._adapters.get(name)
        if adapter is None:
            raise ProviderNotFound(name)
        asking = self._asking.setdefault(name, Semaphore(PROVIDER_QUOTES_AT_ONCE_MAX))
        if not asking.acquire(blocking=False):
            raise QuoteUnavailable("too_many_wait_for_it")
        try:
            quote = adapter.quote(
                QuoteRequest(
                    source=request.source,
                    target_currency=request.target_currency,
                    timeout_seconds=PROVIDER_QUOTE_TIMEOUT_SECONDS,
                )
            )
        finally:
            asking.release()
        valid = min(quote.expires_at - command.now, timedelta(seconds=QUOTE_SECONDS))
        return quote_conversion(
            conversion_id,
            command,
            player_id=request.player_id,
            source=request.source,
            target_currency=request.target_currency,
            rate=quote.rate,
            rate_source=name,
            spread_basis_points=self._spread_basis_points,
            valid_seconds=int(valid.total_seconds()),
            provider=name,
            quote_reference=quote.quote_reference,
            metadata=request.metadata,
        )

    def accept(self, conversion_id: UUID, caller: Caller) -> Written:
        """Take the quote and reserve its source amount; without enough of it, the rejection.

        The house executes in the same append, a provider later.

        Raises:
            TransactionNotFound, InvalidTransition, QuoteExpired, CommandReused, VersionChanged.
        """
        command = self._handling.command(caller, "accept-conversion", {"id": conversion_id})

        def decide(state: Conversion) -> Drafted | None:
            events = accept_conversion(state, command)
            if not events:
                return None
            refusal = accept_conversion(state, command, refusal=Reason.INSUFFICIENT_FUNDS)
            return Drafted(events=events, refusal=refusal)

        return self._handling.change_by(conversion_id, Conversion, decide, command, caller)

    def resolve(self, conversion_id: UUID, target: str, note: str, caller: Caller) -> Written:
        """Propose how a review ends, or agree to what another person proposed.

        Raises:
            TransactionNotFound, InvalidTransition, InvalidResolution, EvidenceMissing,
            SelfApproval, CommandReused, VersionChanged.
        """
        request = {"id": conversion_id, "target": target, "note": note}
        command = self._handling.command(caller, "resolve-conversion", request)

        def decide(state: Conversion) -> Drafted | None:
            return Drafted.of(resolve_conversion(state, command, target=target, note=note))

        return self._handling.change_by(conversion_id, Conversion, decide, command, caller)
