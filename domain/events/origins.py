"""Where a request of a player's came from, as far as fraud indicators look at it.

Device and address are tokens of the platform's own, such as a keyed hash: what they stand for never
reaches the log.
"""

from dataclasses import dataclass

from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """From where a player asked for a deposit or payout; None for what the platform left out."""

    device: str | None
    """Token of the device."""
    address: str | None
    """Token of the network address."""
    address_country: str | None
    """Where that address is, by ISO 3166-1: `DE`."""
    instrument_country: str | None
    """Where the card or account was issued."""
    bin: str | None
    """The first six to eight digits of a card, which name its issuer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """What a provider declined a deposit of, repeated from its first event."""

    provider: str
    amount: Money
    instrument: str | None
    address: str | None
    bin: str | None
