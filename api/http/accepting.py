"""Letting connections in: each address in its turn, and nobody who has left again meanwhile.

asyncio lets in whoever waits, one behind the other, and does for each what a connection needs. One
who opens connections and leaves them as fast as they can then has all others wait behind theirs,
or, where the system keeps no more of them waiting, come again a second later. Taking a connection
from the system and looking whether anybody is still there takes a fraction of that.
"""

import asyncio
import errno
import select
import socket
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from api.http.connections import address_of

BACKLOG_MAX: Final = 65_535
"""Connections that the system keeps waiting for us, as far as it allows."""

TAKEN_AT_ONCE: Final = 1_024
LET_IN_AT_ONCE: Final = 32
"""One of each address, before those that are in have their turn: what a connection has sent is read
before there are so many more that it would have to make room for them."""

WAITING_MAX: Final = 256
"""Taken and not let in yet; more are left to the system meanwhile."""

AGAIN_SECONDS: Final = 1.0
"""After the system has refused us a connection, as it does where files run out."""

HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)
"""What Linux says of a client that will send no more; 0 where it cannot be asked."""

SAFE: Final = frozenset({"GET", "HEAD"})
"""Methods whose requests need no answer when nobody is there to read it."""

_log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server, which lets connections in fairly."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen at these sockets, or else at the configured address."""
        try:
            listening = sockets or bound_to(self.config.host, self.config.port)
        except OSError as error:
            _log.error("http.not_listening", error=str(error))
            sys.exit(STARTUP_FAILURE)
        for each in listening:
            each.setblocking(False)
            each.listen(BACKLOG_MAX)
        await super().startup(sockets=[])
        protocol = partial(
            cast("Any", self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers = [cast("Any", Accepting(each, protocol)) for each in listening]


class Accepting:
    """Lets in who comes to one socket. Belongs to the event loop that is running."""

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        """`protocol` makes what each connection is spoken by."""
        self._listening = listening
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._waiting: OrderedDict[str, deque[socket.socket]] = OrderedDict()
        """By address, whose turn it is first."""
        self._count = 0
        self._coming_in: set[asyncio.Task[Any]] = set()
        self._listen()

    def close(self) -> None:
        """Let nobody in any more."""
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening)
            self._listening.close()
        for of_address in self._waiting.values():
            for connection in of_address:
                connection.close()
        self._waiting.clear()
        self._count = 0

    async def wait_closed(self) -> None:
        """Wait for those that were being let in."""
        if self._coming_in:
            await asyncio.wait(self._coming_in)

    def _listen(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._take)

    def _take(self) -> None:
        """Take from the system who has come."""
        for _ in range(TAKEN_AT_ONCE):
            if self._count >= WAITING_MAX:
                return
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                _log.error("http.no_connection_taken", error=str(error))
                self._loop.remove_reader(self._listening)
                self._loop.call_later(AGAIN_SECONDS, self._listen)
                return
            self._wait(connection, address_of(address[0]))

    def _wait(self, connection: socket.socket, address: str) -> None:
        if _has_left(connection):
            connection.close()
            return
        connection.setblocking(False)
        self._waiting.setdefault(address, deque()).append(connection)
        self._count += 1
        if self._count == 1:
            self._loop.call_soon(self._let_in)

    def _let_in(self) -> None:
        """Let in one of each address, and of the next ones when it is our turn again."""
        for _ in range(min(LET_IN_AT_ONCE, len(self._waiting))):
            address, of_address = self._waiting.popitem(last=False)
            connection = of_address.popleft()
            self._count -= 1
            if of_address:
                self._waiting[address] = of_address
            coming = self._loop.connect_accepted_socket(self._protocol, connection)
            task = self._loop.create_task(coming)
            self._coming_in.add(task)
            task.add_done_callback(self._coming_in.discard)
        if self._count:
            self._loop.call_soon(self._let_in)


def bound_to(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Sockets at every address that the host has here.

    `shared`: other processes may have sockets there too; the kernel deals connections out to them.

    Raises:
        OSError: an address is taken, or none of them is this machine's.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    for family, address in dict.fromkeys((family, address) for family, *_, address in found):
        try:
            bound.append(socket.create_server(address, family=family, reuse_port=shared))
        except OSError as error:
            is_last_chance = not bound and address == found[-1][-1]
            if error.errno != errno.EADDRNOTAVAIL or is_last_chance:
                for each in bound:
                    each.close()
                raise
    return bound


def has_hung_up(connection: socket.socket) -> bool:
    """Whether the client will send no more, as far as the system knows."""
    asked = select.poll()
    asked.register(connection, HUNG_UP)
    return bool(HUNG_UP and asked.poll(0))


def _has_left(connection: socket.socket) -> bool:
    """Whether the client has gone, having asked for nothing, or for something to read.

    What changes something is carried out for them all the same.
    """
    if not has_hung_up(connection):
        return False
    try:
        said = connection.recv(5, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return True
    method, space, _ = said.partition(b" ")
    return not said or (bool(space) and method.decode("latin-1") in SAFE)
