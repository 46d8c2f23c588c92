"""The platform: its payment providers, its staff, its approval policy and its rates."""

from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import Final
from uuid import UUID, uuid5

from domain.approval.policy import DEFAULT_POLICY, Policy
from domain.command import Command
from domain.conversion.rate_decisions import approve_rates, propose_rates, trust_source
from domain.conversion.rates import NO_RATES, ExchangeRates, evolve_rates, exchange, rates_stream
from domain.events import Rate, RatesEvent
from domain.money import Money
from domain.provider.provider import Provider, evolve_provider, register_provider
from domain.replacing import replace
from tallystick.play.synthetic_players.world import DAY, Script, World

CARD_PROVIDERS: Final = ("cardinal", "northpay")
BANK_PROVIDER: Final = "banklink"

STAFF: Final = {
    "fraud": ("frida", "farid", "fiona"),
    "finance": ("felix", "fleur"),
    "compliance": ("clara", "conrad"),
    "support": ("sam", "sofia", "sven", "sunita"),
}
"""Who works there, by role."""

_RATES_SOURCE: Final = "market"
_RATES: Final = (
    ("CAD", 1.52),
    ("GBP", 0.86),
    ("JPY", 163.0),
    ("NOK", 11.7),
    ("NZD", 1.84),
    ("SEK", 11.2),
    ("USD", 1.09),
)
"""About, per euro; they drift from week to week."""

_RANDOM_BITS: Final = ~((0xF << 76) | (0x3 << 62))
_VERSION_4: Final = (0x4 << 76) | (0x2 << 62)


class Platform:
    """What all players share. It looks at no payment but by the approval policy."""

    def __init__(self, world: World, seed: int, begins_us: int) -> None:
        """Opens at once; rates are published weekly from `begins_us` on."""
        self.world = world
        self.policy: Policy = DEFAULT_POLICY
        self.providers: dict[str, Provider] = {}
        self.rates: ExchangeRates = NO_RATES
        self._rng = Random(f"{seed}:platform")  # noqa: S311  (a play, not a secret)
        self._begins_us = begins_us

    def open(self) -> Script:
        """Register the providers, agree to rates; then their source has new ones every week."""
        for name in (*CARD_PROVIDERS, BANK_PROVIDER):
            event = register_provider(name, self.by("operator:ada"), adapter="simulator")
            self.providers[name] = evolve_provider(None, event)
            self.world.append((event,))
        self._offer_rates()
        self._agree_to_rates()
        yield self._begins_us
        while True:
            self._offer_rates()
            yield self.world.now_us + 7 * DAY

    def _offer_rates(self) -> None:
        rates = tuple(
            Rate(
                currency=currency,
                numerator=round(about * self._rng.uniform(0.985, 1.015) * 10_000),
                denominator=10_000,
            )
            for currency, about in _RATES
        )
        self._about_rates(
            propose_rates(
                self.rates,
                self.by(f"system:{_RATES_SOURCE}"),
                source=_RATES_SOURCE,
                base="EUR",
                as_of=self.world.now.date().isoformat(),
                rates=rates,
            )
        )

    def _agree_to_rates(self) -> None:
        """Two people put the first rates in force, and have their source go on alone."""
        (proposal_id,) = self.rates.proposals
        for person in STAFF["finance"]:
            by = self._at_once(person)
            self._about_rates(approve_rates(self.rates, by, proposal_id=proposal_id))
        for person in STAFF["finance"]:
            by, note = self._at_once(person), "as the market is"
            self._about_rates(trust_source(self.rates, by, source=_RATES_SOURCE, note=note))

    def _at_once(self, person: str) -> Command:
        """The circumstances of what somebody of finance does when the platform opens."""
        command = self.unattended(f"operator:{person}", rates_stream(), self.rates.version)
        return replace(command, role="finance")

    def _about_rates(self, event: RatesEvent | None) -> None:
        if event is not None:
            self.rates = evolve_rates(self.rates, event)
            self.world.append((event,))

    def by(self, actor: str, role: str = "") -> Command:
        """The circumstances of what somebody of the platform's does now."""
        command_id = an_id(self._rng)
        return Command(
            now=self.world.now,
            actor=actor,
            command_id=command_id,
            request_digest=sha256(command_id.bytes).hexdigest(),
            role=role,
        )

    def unattended(self, actor: str, stream: UUID, version: int) -> Command:
        """The circumstances of what happens by itself to a stream at `version`."""
        return Command(
            now=self.world.now,
            actor=actor,
            command_id=uuid5(stream, f"{actor}:{version}"),
            request_digest="",
        )

    def staff(self, role: str, rng: Random) -> Command:
        """The circumstances of what somebody with this role decides now."""
        return self.by(f"operator:{rng.choice(STAFF[role])}", role)

    def in_policy_currency(self, amount: Money) -> Money | None:
        """An amount as the approval policy compares it, at the latest rates."""
        currency = self.policy.terms.currency
        if amount.currency == currency:
            return amount
        return exchange(amount, currency, self.rate(amount.currency, currency))

    def rate(self, source: str, target: str) -> Fraction:
        """Whole units of `target` for one of `source`."""
        if self.rates.in_force is None:
            raise LookupError("the platform is not open yet")
        return self.rates.in_force.rate(source, target)


def an_id(rng: Random) -> UUID:
    """A random id, of version 4."""
    return UUID(int=rng.getrandbits(128) & _RANDOM_BITS | _VERSION_4)


def token(rng: Random, kind: str) -> str:
    """What stands for a card, a device or an address: `fp_9c41…`."""
    return f"{kind}_{rng.getrandbits(64):016x}"


@lru_cache(maxsize=64)
def bins(country: str) -> tuple[str, ...]:
    """The first digits of cards that banks of a country issue."""
    rng = Random(f"bins of {country}")  # noqa: S311  (a play, not a secret)
    return tuple(f"{rng.choice('45')}{rng.randrange(10**5):05}" for _ in range(24))
