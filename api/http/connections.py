"""How many connections there may be, whose turn it is to go when there are too many, and when.

A process has so many places, and so many for each address. A connection that has not sent a whole
request yet holds nothing of ours: when the places are taken, the one that has waited longest makes
room for the next. Where every place is taken by a request under way, a few more connections are
let in for the sake of probes; anything else that comes over them is turned away.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from ipaddress import IPv6Address, IPv6Network
from typing import Final, Protocol

import structlog

from api.http.observing import Metrics
from api.http.problems import code_of

PROBES: Final = frozenset({b"/livez", b"/readyz", b"/metrics"})
PROBE_PLACES: Final = 64
"""Connections beyond the limits, for whoever asks how the process is."""

LOOK_SECONDS: Final = 0.25
"""Between looks at what has taken too long."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may take of one process."""

    head_seconds: float = 10.0
    """From the first byte of a request to the end of its headers; also until the first byte."""
    body_seconds: float = 30.0
    """From there to the end of its body."""
    write_seconds: float = 60.0
    """How long a client may take nothing of an answer that waits for it."""
    connections_max: int = 4_000
    per_address_max: int = 500


class Client(Protocol):
    """A connection, as the limits see it."""

    address: str

    def make_room(self) -> None:
        """Go, because another one needs the place."""

    def look(self, now: float) -> None:
        """Go, if something has taken too long."""

    def give_up(self) -> None:
        """Go, whatever state it is in."""


def _of_one(client: Client, act: Callable[[], None]) -> None:
    """What goes wrong with a connection ends that one, and keeps nothing from the others."""
    try:
        act()
    except Exception:  # noqa: BLE001
        _log.exception("http.connection_failed")
        client.give_up()


class _Places:
    """Places for connections; those in which nothing is under way are known, oldest first."""

    def __init__(self, places_max: int) -> None:
        self._max = places_max
        self._taken: set[Client] = set()
        self._waiting: OrderedDict[Client, None] = OrderedDict()

    def has_room(self) -> bool:
        """Whether there is a place, after the longest waiting has been sent away if need be."""
        if len(self._taken) >= self._max and self._waiting:
            longest = next(iter(self._waiting))
            _of_one(longest, longest.make_room)
        return len(self._taken) < self._max

    def take(self, client: Client) -> None:
        self._taken.add(client)
        self._waiting[client] = None

    def wait(self, client: Client) -> None:
        self._waiting[client] = None

    def work(self, client: Client) -> None:
        self._waiting.pop(client, None)

    def leave(self, client: Client) -> None:
        self._taken.discard(client)
        self._waiting.pop(client, None)

    def is_empty(self) -> bool:
        return not self._taken


class Place(Enum):
    """What may come over a connection."""

    ANYTHING = auto()
    PROBES = auto()
    NOTHING = auto()


class Connections:
    """The connections of one process. Belongs to its event loop."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self._metrics = metrics
        self._open: set[Client] = set()
        self._held: dict[Client, tuple[_Places, ...]] = {}
        self._all = _Places(limits.connections_max)
        self._of: dict[str, _Places] = {}
        self._probes = _Places(PROBE_PLACES)
        self._refused: Counter[str] = Counter()
        self._looking = False

    def admit(self, client: Client, loop: asyncio.AbstractEventLoop) -> Place:
        """Give a new connection a place, if there is one or one can be made."""
        self._open.add(client)
        self._metrics.connections.inc()
        if not self._looking:
            self._looking = True
            loop.call_later(LOOK_SECONDS, self._look, loop)
        own = self._of.get(client.address) or _Places(self.limits.per_address_max)
        if own.has_room() and self._all.has_room():
            self._of[client.address] = own
            self._take(client, own, self._all)
            return Place.ANYTHING
        if self._probes.has_room():
            self._take(client, self._probes)
            return Place.PROBES
        return Place.NOTHING

    def _take(self, client: Client, *places: _Places) -> None:
        self._held[client] = places
        for each in places:
            each.take(client)

    def waits(self, client: Client) -> None:
        """Nothing is under way for it."""
        for each in self._held.get(client, ()):
            each.wait(client)

    def works(self, client: Client) -> None:
        """A whole request has come."""
        for each in self._held.get(client, ()):
            each.work(client)

    def leaves(self, client: Client) -> None:
        """Give its place to others."""
        for each in self._held.pop(client, ()):
            each.leave(client)
        own = self._of.get(client.address)
        if own is not None and own.is_empty():
            del self._of[client.address]

    def gone(self, client: Client) -> None:
        """It is closed."""
        self.leaves(client)
        self._open.discard(client)
        self._metrics.connections.dec()

    def refused(self, error: Exception) -> None:
        """Count what was refused before there was a request to log."""
        code = code_of(type(error))
        self._metrics.refused.labels(code).inc()
        self._refused[code] += 1

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what has taken too long, and tell what was refused."""
        try:
            now = loop.time()
            for client in tuple(self._open):
                _of_one(client, partial(client.look, now))
            for code, times in self._refused.items():
                _log.warning("http.refused", code=code, times=times)
            self._refused.clear()
        finally:
            self._looking = bool(self._open)
            if self._looking:
                loop.call_later(LOOK_SECONDS, self._look, loop)


def address_of(host: str | None) -> str:
    """Whose connections are counted together: a /64 network of IPv6 is one customer's."""
    if host is None or ":" not in host:
        return host or ""
    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))
