"""Provider: state · decisions · evolve. Which payment service providers may be used, and how."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.command import Command, remember, repeated
from domain.errors import NothingToChange, ScheduleEmpty
from domain.events import ProviderEvent, ProviderPaused, ProviderRegistered, ProviderResumed
from domain.provider.attempt import EXPIRY_SECONDS, POLL_DELAYS_SECONDS
from domain.replacing import replace

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:tallystick:provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A payment service provider as the ledger knows it."""

    id: UUID
    version: int
    name: str
    adapter: str
    poll_delays_seconds: tuple[int, ...]
    expiry_seconds: Mapping[str, int]
    paused: bool = False
    commands: Mapping[UUID, str]


@lru_cache(maxsize=1_000)
def provider_stream(name: str) -> UUID:
    """The stream of the provider with this name."""
    return uuid5(_NAMESPACE, name)


def register_provider(
    name: str,
    command: Command,
    *,
    adapter: str,
    poll_delays_seconds: tuple[int, ...] = POLL_DELAYS_SECONDS,
    expiry_seconds: Mapping[str, int] = EXPIRY_SECONDS,
) -> ProviderRegistered:
    """Make the provider known, with the pace at which it is asked about open attempts.

    Raises:
        ScheduleEmpty: it would never be asked.
    """
    if not poll_delays_seconds:
        raise ScheduleEmpty
    return ProviderRegistered(
        **command.header(provider_stream(name), 1),
        provider=name,
        adapter=adapter,
        poll_delays_seconds=poll_delays_seconds,
        expiry_seconds=expiry_seconds,
    )


def set_pause(
    state: Provider, command: Command, *, paused: bool, reason: str
) -> ProviderPaused | ProviderResumed | None:
    """Stop or restart sending new transactions there; None if this command did so already.

    Raises:
        NothingToChange: it is so already.
    """
    if repeated(state.commands, command):
        return None
    if state.paused == paused:
        raise NothingToChange
    event = ProviderPaused if paused else ProviderResumed
    return event(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        provider=state.name,
        reason=reason,
    )


def evolve_provider(state: Provider | None, event: ProviderEvent) -> Provider:
    """The provider after `event`."""
    if isinstance(event, ProviderRegistered):
        return Provider(
            id=event.originator_id,
            version=event.originator_version,
            name=event.provider,
            adapter=event.adapter,
            poll_delays_seconds=event.poll_delays_seconds,
            expiry_seconds=event.expiry_seconds,
            commands={},
        )
    if state is None:
        raise ValueError(f"a provider's history cannot begin with {type(event).__name__}")
    return replace(
        _changed(state, event),
        version=event.originator_version,
        commands=remember(state.commands, event),
    )


def _changed(state: Provider, event: ProviderEvent) -> Provider:
    match event:
        case ProviderRegistered():
            raise ValueError("a provider is registered once")
        case ProviderPaused():
            return replace(state, paused=True)
        case ProviderResumed():
            return replace(state, paused=False)
        case _:
            assert_never(event)


def fold_provider(state: Provider | None, events: Iterable[ProviderEvent]) -> Provider | None:
    """The provider after `events`, in order."""
    for event in events:
        state = evolve_provider(state, event)
    return state
