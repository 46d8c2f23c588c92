"""A person with an account: who they are to the platform, and what they have."""

from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from random import Random
from uuid import UUID

from domain.command import Command
from domain.counters import Window
from domain.events import Origin, PlayerEvent
from domain.money import Money
from domain.player.instruments import Credential, change_credential, check_holder
from domain.player.limits import set_limit
from domain.player.player import (
    Player,
    Verification,
    change_verification,
    evolve_player,
    register_player,
)
from domain.player.wagers import record_wager
from tallystick.play.synthetic_players.places import Country, minor
from tallystick.play.synthetic_players.platform import (
    BANK_PROVIDER,
    CARD_PROVIDERS,
    Platform,
    an_id,
    bins,
    token,
)
from tallystick.play.synthetic_players.world import DAY, HOUR, MINUTE, SECOND, Script

PLATFORM_ACTOR = "operator:casino"
"""The platform's own key: what players ask for comes in by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A card or bank account."""

    token: str
    provider: str
    method: str
    country: str
    bin: str | None
    name_percent: int
    """How much the name on it is like the player's."""


class Person:
    """A player, as they act."""

    __slots__ = (
        "address",
        "address_country",
        "available",
        "country",
        "deposited",
        "device",
        "instruments",
        "net",
        "platform",
        "rng",
        "state",
        "used",
        "wagered",
        "wallet",
        "world",
    )

    def __init__(self, platform: Platform, player_id: UUID, country: Country, rng: Random) -> None:
        """Not registered yet; everything they do follows from `rng`."""
        self.platform = platform
        self.world = platform.world
        self.rng = rng
        self.country = country
        self.device = token(rng, "dev")
        self.address = token(rng, "net")
        self.address_country = country.code
        self.instruments: list[Instrument] = []
        self.available: dict[str, int] = {}
        """What the ledger holds for them, in minor units by currency."""
        self.wallet = 0
        """What they have left to play with, in minor units of their currency, as they see it."""
        self.net: dict[tuple[str, str], int] = {}
        """By instrument and currency: paid in, less what went back."""
        self.deposited: dict[str, int] = {}
        self.wagered: dict[str, int] = {}
        self.used: dict[str, int] | None = None
        """How far limits are used; None where they never have any."""
        command = self.asks()
        self.state: Player = evolve_player(None, register_player(player_id, command))

    @property
    def id(self) -> UUID:
        return self.state.id

    @property
    def currency(self) -> str:
        return self.country.currency

    def euro(self, euro: float, *, round_to: int = 1) -> int:
        """About so much, in minor units of the person's own currency."""
        return minor(self.country, euro, round_to=round_to)

    # --- time -----------------------------------------------------------------------------------

    def after(self, least_us: float, most_us: float) -> int:
        """An instant between `least_us` and `most_us` from now."""
        return self.world.now_us + int(self.rng.uniform(least_us, most_us))

    def seconds(self, least: float, most: float) -> int:
        return self.after(least * SECOND, most * SECOND)

    def minutes(self, least: float, most: float) -> int:
        return self.after(least * MINUTE, most * MINUTE)

    def hours(self, least: float, most: float) -> int:
        return self.after(least * HOUR, most * HOUR)

    def evening(self, days: float) -> int:
        """Some days from now, at a time of day at which people play: evenings above all."""
        day = (self.world.now_us + int(days * DAY)) // DAY * DAY
        hour = self.rng.triangular(7.0, 26.0, 20.5) - self.country.hours_ahead
        return max(day + int(hour * HOUR), self.minutes(5, 60))

    def today(self) -> date:
        """The date where the person is."""
        return self.world.now.astimezone(self.country.zone).date()

    # --- commands -------------------------------------------------------------------------------

    def asks(self, actor: str = PLATFORM_ACTOR) -> Command:
        """The circumstances of what the person asks for now."""
        command_id = an_id(self.rng)
        return Command(
            now=self.world.now,
            actor=actor,
            command_id=command_id,
            request_digest=sha256(command_id.bytes).hexdigest(),
        )

    def record(self, *events: PlayerEvent) -> None:
        """Append what is about the player."""
        self.world.append(events)
        self.told(*events)

    def told(self, *events: PlayerEvent) -> None:
        """What has been appended about the player."""
        for event in events:
            self.state = evolve_player(self.state, event)

    # --- the account ----------------------------------------------------------------------------

    def register(self, verification: Verification = Verification.NONE) -> None:
        """Open the account. Great Britain wants to know who it is before the first deposit."""
        if self.country.code == "GB" and verification is Verification.NONE:
            verification = Verification.BASIC
        event = register_player(
            self.id,
            self.asks(),
            jurisdiction=self.country.code,
            verification=verification,
            time_zone=self.country.zone.key,
        )
        self.world.append((event,))
        self.state = evolve_player(None, event)
        if self.country.code == "DE":
            self.limit_month(100_000)  # the law's own, for all platforms together

    def limit_month(self, limit_minor: int) -> None:
        """Set a limit per month; before the first deposit, so that everything counts."""
        if self.used is None:
            self.used = {}
        event = set_limit(
            self.state,
            self.asks(),
            window=Window.MONTH,
            currency=self.currency,
            limit_minor=limit_minor,
        )
        if event is not None:
            self.record(event)

    def verify(self, at_us: int, verification: Verification = Verification.FULL) -> Script:
        """Hand the documents in; they are looked at by `at_us`."""
        yield at_us
        if self.state.verification in (verification, Verification.FULL):
            return
        event = change_verification(
            self.state,
            self.asks(),
            verification=verification,
            jurisdiction=self.state.jurisdiction,
            time_zone=self.state.time_zone,
        )
        if event is not None:
            self.record(event)

    def change_credential(self, credential: Credential) -> None:
        """Change a password, an address or a number."""
        event = change_credential(self.state, self.asks(), credential=credential)
        if event is not None:
            self.record(event)

    def check_holder(self, instrument: Instrument) -> None:
        """The provider says whose instrument it is, and the platform compares the names."""
        event = check_holder(
            self.state,
            self.asks(),
            instrument=instrument.token,
            similarity_percent=instrument.name_percent,
        )
        if event is not None:
            self.record(event)

    def origin(self, instrument: Instrument | None) -> Origin:
        """From where the person asks, and with what."""
        return Origin(
            device=self.device,
            address=self.address,
            address_country=self.address_country,
            instrument_country=instrument.country if instrument else None,
            bin=instrument.bin if instrument else None,
        )

    # --- playing --------------------------------------------------------------------------------

    def stake(self, amount_minor: int) -> None:
        """Play for so much in all; the platform reports it."""
        if amount_minor < 1:
            return
        command = self.asks()
        amount = Money(amount_minor, self.currency)
        self.world.append(
            (
                record_wager(
                    command.command_id, command, player_id=self.id, amount=amount, metadata={}
                ),
            )
        )
        self.wagered[self.currency] = self.wagered.get(self.currency, 0) + amount_minor

    def spendable(self) -> int:
        """What could be paid out, in minor units of their currency."""
        return self.available.get(self.currency, 0)


# --- instruments --------------------------------------------------------------------------------


def a_card(rng: Random, country: str, *, name_percent: int | None = None) -> Instrument:
    """A card issued in a country; the name on it is the player's own unless said otherwise."""
    return Instrument(
        token=token(rng, "fp"),
        provider=rng.choice(CARD_PROVIDERS),
        method="card",
        country=country,
        bin=rng.choice(bins(country)),
        name_percent=own_name(rng) if name_percent is None else name_percent,
    )


def a_bank_account(rng: Random, country: str, *, name_percent: int | None = None) -> Instrument:
    """A bank account in a country."""
    return Instrument(
        token=token(rng, "acct"),
        provider=BANK_PROVIDER,
        method="bank_transfer",
        country=country,
        bin=None,
        name_percent=own_name(rng) if name_percent is None else name_percent,
    )


def own_name(rng: Random) -> int:
    """How alike names of one person are: initials and accents differ, rarely a married name."""
    if rng.random() < 0.85:
        return 100
    return rng.randint(87, 99) if rng.random() < 0.985 else rng.randint(45, 80)


def strange_name(rng: Random) -> int:
    """How alike names of two people are."""
    return rng.randint(8, 62)
