"""The platform: its payment providers, its staff, its approval policy and its rates."""

from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import Final
from uuid import UUID, uuid5

from domain.commands import Command
from domain.events import Rate
from domain.money import Money
from domain.policy import DEFAULT_POLICY, Policy
from domain.provider import Provider, evolve_provider, register_provider
from domain.rates import RateTable, evolve_rates, exchange, publish_rates
from tallystick.population.world import DAY, Script, World

CARD_PROVIDERS: Final = ("cardinal", "northpay")
BANK_PROVIDER: Final = "banklink"

STAFF: Final = {
    "fraud": ("frida", "farid", "fiona"),
    "finance": ("felix", "fleur"),
    "compliance": ("clara", "conrad"),
    "support": ("sam", "sofia", "sven", "sunita"),
}
"""Who works there, by role."""

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
        self.rates: RateTable | None = None
        self._rng = Random(f"{seed}:platform")  # noqa: S311  (a play, not a secret)
        self._begins_us = begins_us

    def open(self) -> Script:
        """Register the providers, publish rates; then new rates every week."""
        for name in (*CARD_PROVIDERS, BANK_PROVIDER):
            event = register_provider(name, self.by("operator:ada"), adapter="simulator")
            self.providers[name] = evolve_provider(None, event)
            self.world.append((event,))
        self._publish()
        yield self._begins_us
        while True:
            self._publish()
            yield self.world.now_us + 7 * DAY

    def _publish(self) -> None:
        rates = tuple(
            Rate(
                currency=currency,
                numerator=round(about * self._rng.uniform(0.985, 1.015) * 10_000),
                denominator=10_000,
            )
            for currency, about in _RATES
        )
        event = publish_rates(
            self.rates,
            self.by("operator:ada"),
            source="market",
            base="EUR",
            as_of=self.world.now.date().isoformat(),
            rates=rates,
        )
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
        if self.rates is None:
            raise LookupError("the platform is not open yet")
        return self.rates.rate(source, target)


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
