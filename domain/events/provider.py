"""Providers: which payment service providers may be used."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.events.base import (
    CommandedEvent,
    Event,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRegistered(Event):
    """A payment service provider and the pace at which it is asked about open attempts."""

    provider: str
    adapter: str
    poll_delays_seconds: tuple[int, ...]
    """Delay before the first, second, … poll; a person is asked after the last."""
    expiry_seconds: Mapping[str, int]
    """By method: how long a player has to act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPaused(CommandedEvent):
    """No new transaction may go to this provider."""

    provider: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderResumed(CommandedEvent):
    """New transactions may go to this provider again."""

    provider: str
    reason: str
