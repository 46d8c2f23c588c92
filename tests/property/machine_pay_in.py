"""Rules of the ledger machine: players, and what they pay in."""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    rule,
)

from domain.counters import Window
from domain.events.evidence import Outcome, Source
from domain.money import Money
from domain.player.player import HoldKind, Verification
from ledger.commands.deposit import CreateDeposit
from tests.property.backroom import Handlers, by
from tests.property.machine_core import (
    AMOUNTS,
    CURRENCIES,
    INSTRUMENTS,
    OUTCOMES,
    PEOPLE,
    PLAYER_CHANGES,
    PLAYERS,
    PROVIDERS,
    SHORT_SCHEDULE,
    TOLD,
    WHICH,
    Act,
    Core,
)


class PayIn(Core):
    """Players, providers and deposits."""

    # --- players and providers ------------------------------------------------------------------

    @initialize()
    def three_players_with_money(self) -> None:
        for name in self.names:
            self.now.register_provider(name, poll_delays_seconds=SHORT_SCHEDULE)
        self.now.publish_rates()
        known = [
            (Verification.FULL, None, "UTC"),
            (Verification.NONE, "DE", "Pacific/Auckland"),
            (Verification.BASIC, "GB", "Europe/London"),
        ]
        for player_id, (verification, jurisdiction, zone) in zip(self.players, known, strict=True):
            self.now.players.register(
                player_id,
                verification=verification,
                jurisdiction=jurisdiction,
                time_zone=zone,
                caller=by("ann"),
            )
        self.follow()
        for player in range(3):
            self.deposit_and_hear(player, 0, 500_000, "EUR", "card-1", Outcome.SUCCEEDED, "right")

    @rule(
        player=PLAYERS,
        person=PEOPLE,
        change=st.sampled_from(PLAYER_CHANGES),
        window=st.sampled_from(Window),
        minor=st.none() | AMOUNTS,
        kind=st.sampled_from(HoldKind),
    )
    def something_about_a_player(
        self,
        player: int,
        person: str,
        change: str,
        window: Window,
        minor: int | None,
        kind: HoldKind,
    ) -> None:
        player_id, caller = self.players[player], by(person)
        known = self.naive_rules.players[str(player_id)]
        tomorrow = self.clock.time + timedelta(days=1)

        def exclude(handlers: Handlers, until: datetime | None) -> object:
            excluded = change != "exclusion ends"
            return handlers.players.exclude(
                player_id, excluded=excluded, reason="r", until=until, caller=caller
            )

        acts: dict[str, Act] = {
            "limit": lambda h: h.players.set_limit(
                player_id, window=window, currency="EUR", limit_minor=minor, caller=caller
            ),
            "excluded": lambda h: exclude(h, None),
            "excluded for a day": lambda h: exclude(h, tomorrow),
            "exclusion ends": lambda h: exclude(h, None),
            "hold": lambda h: h.players.hold(player_id, reason="r", caller=caller),
            "hold lifted": lambda h: h.players.lift_hold(
                player_id, kind=kind, reason="r", caller=caller
            ),
            "verified": lambda h: h.players.register(
                player_id,
                verification=Verification.FULL,
                jurisdiction=known["jurisdiction"],
                time_zone=known["time_zone"],
                caller=caller,
            ),
            "wager": lambda h: h.players.record_wager(
                player_id, amount=Money(minor or 1, "EUR"), metadata={}, caller=caller
            ),
        }
        self.carry_out(acts[change])

    @rule(which=PROVIDERS, paused=st.sampled_from([False, False, True]))
    def pause(self, which: int, paused: bool) -> None:
        name, caller = self.names[which], by("ann")
        if paused != (name in self.naive_rules.paused):
            self.carry_out(
                lambda h: h.providers.pause(name, paused=paused, reason="r", caller=caller)
            )

    # --- deposits -------------------------------------------------------------------------------

    def create_a_deposit(
        self, player: int, provider: int, minor: int, currency: str, instrument: str | None
    ) -> UUID | None:
        """It is blocked where, and only where, the naive rules say so."""
        player_id, name = str(self.players[player]), self.names[provider]
        ceilings = self.naive_rules.limits(player_id, currency, self.clock.time)
        used = self.log.books.counters.values
        within = all(used.get(c, 0) + minor <= most for c, most in ceilings.items())
        allowed = within and self.naive_rules.may_deposit(player_id, name, self.clock.time)
        request = CreateDeposit(
            player_id=self.players[player],
            provider=name,
            method="redirect",
            amount=Money(minor, currency),
            instrument=instrument,
            metadata={},
        )
        caller = by("pat")
        written = self.carry_out(lambda h: h.deposits.create(request, caller), keyed=True)
        assert (written.transaction.status == "created") == allowed
        return self.begun("deposit", written)

    @rule(
        player=PLAYERS,
        provider=PROVIDERS,
        minor=AMOUNTS,
        currency=CURRENCIES,
        instrument=INSTRUMENTS,
    )
    def somebody_creates_a_deposit(
        self, player: int, provider: int, minor: int, currency: str, instrument: str | None
    ) -> None:
        self.create_a_deposit(player, provider, minor, currency, instrument)

    def deposit_and_hear(
        self,
        player: int,
        provider: int,
        minor: int,
        currency: str,
        instrument: str | None,
        outcome: Outcome,
        told: str,
    ) -> UUID | None:
        """Most of what can go wrong goes wrong at the provider: some get there without detours."""
        stream = self.create_a_deposit(player, provider, minor, currency, instrument)
        if stream is not None:
            self.send(stream)
            self.hear(stream, outcome, Source.ANSWER, told, 1, None)
        return stream

    @rule(
        player=PLAYERS,
        provider=PROVIDERS,
        minor=AMOUNTS,
        currency=CURRENCIES,
        instrument=INSTRUMENTS,
        outcome=OUTCOMES,
        told=TOLD,
    )
    def somebody_deposits(
        self,
        player: int,
        provider: int,
        minor: int,
        currency: str,
        instrument: str | None,
        outcome: Outcome,
        told: str,
    ) -> None:
        self.deposit_and_hear(player, provider, minor, currency, instrument, outcome, told)

    @rule(which=WHICH)
    def cancel_a_deposit(self, which: int) -> None:
        stream, caller = self.pick("deposit", which), by("pat")
        if stream is not None:
            self.carry_out(lambda h: h.deposits.cancel(stream, caller), keyed=True)
