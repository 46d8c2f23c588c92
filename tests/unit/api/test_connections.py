"""A server with limits over a small application, and clients that come close to them."""

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.http.accepting import WAITING_MAX, Accepting, bound_to
from api.http.connections import Connections, Limits
from api.http.observing import Metrics
from api.http.protocol import AHEAD_BYTES, LimitedProtocol

LOOPS = ["asyncio"] if sys.platform == "win32" else ["asyncio", "uvloop"]
HOST = b" HTTP/1.1\r\nhost: x\r\n"
BIG_BYTES = 1_000_000
BUFFER_BYTES = 16_384


def run(loop_name: str, test: Coroutine[object, object, None]) -> None:
    """On one of the loops that there may be: they tell of what happens in another order."""
    factory = asyncio.new_event_loop
    if loop_name == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(test, 60))


asked: list[str] = []
"""What the application was asked for, in order."""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once, `/whole` when the body has come, and `/wait` when the client has left."""
    asked.append(f"{scope['method']} {scope['path']}")
    while scope["path"] == "/whole" and (await receive()).get("more_body", False):
        pass
    while scope["path"] == "/wait" and (await receive())["type"] != "http.disconnect":
        pass
    body = b"x" * BIG_BYTES if scope["path"] == "/big" else b"ok"
    length = str(len(body)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(
    limits: Limits,
    kind: type[LimitedProtocol] = LimitedProtocol,
) -> AsyncIterator[Callable[[bytes], socket.socket]]:
    """How to connect and send something; what waits to be sent is kept by us, not by the system."""

    class Protocol(kind):  # type: ignore[misc,valid-type]
        table = Connections(limits, Metrics())

    config = uvicorn.Config(
        application, log_config=None, ws="none", access_log=False, lifespan="off"
    )
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    made = partial(Protocol, config=config, server_state=ServerState(), app_state={})
    server = await asyncio.get_running_loop().create_server(made, sock=listening)

    def connect(sent: bytes) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        client.connect(listening.getsockname())
        client.setblocking(False)
        client.send(sent)
        return client

    config.load()
    try:
        yield connect
    finally:
        server.close()


class Telling(LimitedProtocol):
    """Tells of the connection that was made last, and of its end."""

    last: ClassVar["Telling"]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.lost = asyncio.Event()
        Telling.last = self

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


async def received(client: socket.socket, size: int = 65_536) -> bytes:
    """What comes next; nothing where the other side has closed."""
    loop = asyncio.get_running_loop()
    return await asyncio.wait_for(loop.sock_recv(client, size), 10)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


# --- one connection and the others ------------------------------------------------------------


@pytest.mark.parametrize("has_left", [True, False], ids=["has left", "fails"])
@pytest.mark.parametrize("loop_name", LOOPS)
def test_whatever_happens_to_a_connection_the_others_keep_their_limits(
    loop_name: str, has_left: bool
) -> None:
    leaving: list[socket.socket] = []

    has_been_looked_at = asyncio.Event()

    class Leaves(LimitedProtocol):
        """What a client does in the very turn in which it is looked at cannot be known yet."""

        def look(self, now: float) -> None:
            if leaving and self._whole_by is not None and now >= self._whole_by:
                reset(leaving.pop())
                has_been_looked_at.set()
                if not has_left:
                    raise RuntimeError("a fault")
            super().look(now)

    async def test() -> None:
        limits = Limits(head_seconds=0.3, body_seconds=0.3)
        async with serving(limits, Leaves) as connect:
            first = connect(b"POST /" + HOST + b"content-length: 9\r\n\r\nabc")
            assert b"200 OK" in await received(first)
            leaving.append(first)
            await has_been_looked_at.wait()
            with closing(connect(b"GET / HTTP/1.1\r\n")) as other:
                assert b"request_too_slow" in await received(other)

    run(loop_name, test())


@pytest.mark.parametrize("has_left", [True, False], ids=["has left", "fails"])
@pytest.mark.parametrize("loop_name", LOOPS)
def test_who_cannot_be_sent_away_keeps_nobody_out(loop_name: str, has_left: bool) -> None:
    leaving: list[socket.socket] = []

    class Leaves(LimitedProtocol):
        def make_room(self) -> None:
            reset(leaving.pop())
            if not has_left:
                raise RuntimeError("a fault")
            super().make_room()

    async def test() -> None:
        async with serving(Limits(per_address_max=1), Leaves) as connect:
            leaving.append(connect(b"POST /" + HOST + b"content-length: 9\r\n\r\nabc"))
            assert b"200 OK" in await received(leaving[0])
            with closing(connect(b"GET /" + HOST + b"\r\n")) as other:
                assert b"200 OK" in await received(other)

    run(loop_name, test())


# --- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("path", [b"/", b"/whole"], ids=["answered before it is whole", "whole"])
def test_a_request_that_is_not_whole_holds_no_place_behind_one_that_was(
    loop_name: str, path: bytes
) -> None:
    whole = b"POST /whole" + HOST + b"content-length: 2\r\n\r\nhi"
    part = b"POST " + path + HOST + b"content-length: 1000\r\n\r\nabc"

    async def test() -> None:
        async with serving(Limits(per_address_max=2)) as connect:
            holding = [connect(whole + part), connect(whole + whole + part)]
            for client, answers in zip(holding, (1, 2), strict=True):
                came = b""
                while came.count(b"200 OK") < answers:
                    came += await received(client)
            with closing(connect(b"GET /" + HOST + b"\r\n")) as other:
                assert b"200 OK" in await received(other)
            for client in holding:
                client.close()

    run(loop_name, test())


@pytest.mark.parametrize("loop_name", LOOPS)
def test_a_whole_request_behind_another_keeps_its_place(loop_name: str) -> None:
    async def test() -> None:
        async with serving(Limits(per_address_max=1)) as connect:
            with closing(connect(b"GET /" + HOST + b"\r\nGET /wait" + HOST + b"\r\n")) as first:
                assert b"200 OK" in await received(first)
                with closing(connect(b"GET /" + HOST + b"\r\n")) as other:
                    assert b"too_many_connections" in await received(other)

    run(loop_name, test())


# --- who has gone -------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who has hung up")
@pytest.mark.parametrize("loop_name", LOOPS)
def test_nothing_is_read_for_who_has_left_but_what_they_write_is_written(loop_name: str) -> None:
    """They came and went while the loop was busy: here, before it could have a look."""

    async def test() -> None:
        asked.clear()
        async with serving(Limits()) as connect:
            connect(b"GET /left" + HOST + b"\r\n").close()
            connect(b"POST /left" + HOST + b"content-length: 2\r\n\r\nhi").close()
            reset(connect(b"HEAD /left" + HOST + b"\r\n"))
            with closing(connect(b"GET /stays" + HOST + b"\r\n")) as client:
                assert b"200 OK" in await received(client)
        assert asked == ["POST /left", "GET /stays"]

    run(loop_name, test())


# --- answers ----------------------------------------------------------------------------------

KEPT = [b"", b"connection: close\r\n"]


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("header", KEPT, ids=["kept", "closed behind it"])
def test_who_keeps_taking_gets_the_whole_answer_however_long_it_takes(
    loop_name: str, header: bytes
) -> None:
    async def test() -> None:
        limits = Limits(write_seconds=0.6)
        async with serving(limits) as connect:
            with closing(connect(b"GET /big" + HOST + header + b"\r\n")) as client:
                began, came = time.monotonic(), 0
                while came < BIG_BYTES:
                    part = await received(client, 16_384)
                    assert part, f"cut off after {came:,} bytes"
                    came += len(part)
                    await asyncio.sleep(0.03)
                assert time.monotonic() - began > 2 * limits.write_seconds

    run(loop_name, test())


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("header", KEPT, ids=["kept", "closed behind it"])
def test_who_stops_taking_loses_the_connection(loop_name: str, header: bytes) -> None:
    async def test() -> None:
        async with serving(Limits(write_seconds=0.3), Telling) as connect:
            with closing(connect(b"GET /big" + HOST + header + b"\r\n")) as client:
                for _ in range(10):
                    await received(client, 16_384)
                    await asyncio.sleep(0.03)
                await asyncio.wait_for(Telling.last.lost.wait(), 10)

    run(loop_name, test())


GET, WAIT = b"GET /" + HOST + b"\r\n", b"GET /wait" + HOST + b"\r\n"
AHEAD = {
    "nothing": (),
    "a request with it": (GET,),
    "requests with it": (GET * 20,),
    "a request later": (b"", GET),
    "several later": (GET, GET * 20, GET[:10]),
    "half a body": (b"POST /" + HOST + b"content-length: 9\r\n\r\nabc", b"def"),
    "nonsense": (b"nonsense\r\n\r\n", b"nonsense"),
}


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("ahead", AHEAD.values(), ids=AHEAD)
def test_a_client_that_leaves_is_noticed_whatever_it_has_sent_ahead(
    loop_name: str, ahead: tuple[bytes, ...]
) -> None:
    async def test() -> None:
        async with serving(Limits(), Telling) as connect:
            client = connect(WAIT + b"".join(ahead[:1]))
            for later in ahead[1:]:
                await asyncio.sleep(0.05)
                client.send(later)
            await asyncio.sleep(0.05)
            client.close()
            await asyncio.wait_for(Telling.last.lost.wait(), 5)

    run(loop_name, test())


@pytest.mark.parametrize("loop_name", LOOPS)
def test_of_what_is_sent_ahead_only_so_much_is_read(loop_name: str) -> None:
    async def test() -> None:
        async with serving(Limits(), Telling) as connect:
            with closing(connect(WAIT)) as client:
                sending = asyncio.get_running_loop().sock_sendall(client, GET * 200_000)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(sending, 1)
                assert AHEAD_BYTES <= len(Telling.last._held) < 600_000

    run(loop_name, test())


# --- letting in -------------------------------------------------------------------------------


@asynccontextmanager
async def letting_in(come: Callable[[tuple[str, int]], None]) -> AsyncIterator[asyncio.Queue[str]]:
    """Clients who came while the loop was busy, as `come` has them; from where, as let in."""
    let_in: asyncio.Queue[str] = asyncio.Queue()

    class Noted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            let_in.put_nowait(transport.get_extra_info("peername")[0])

    listening = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    listening.setblocking(False)
    come(listening.getsockname())
    accepting = Accepting(listening, Noted)
    try:
        yield let_in
    finally:
        accepting.close()
        await accepting.wait_closed()


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


HOSTS = ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]
"""This machine's own addresses: some have no IPv6."""


def client_of(to: tuple[str, int], host: str = "127.0.0.1", sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(to, source_address=(host, 0))
    client.sendall(sent)
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers at all of 127.0.0.0/8")
@pytest.mark.parametrize("loop_name", LOOPS)
def test_who_comes_from_elsewhere_need_not_wait_behind_a_crowd(loop_name: str) -> None:
    clients: list[socket.socket] = []

    def crowd(to: tuple[str, int]) -> None:
        clients.extend(client_of(to) for _ in range(WAITING_MAX - 1))
        clients.append(client_of(to, "127.0.0.2"))

    async def test() -> None:
        async with letting_in(crowd) as let_in:
            order = [await let_in.get() for _ in clients]
        assert order.index("127.0.0.2") <= 1

    run(loop_name, test())
    for client in clients:
        client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who has hung up")
@pytest.mark.parametrize("loop_name", LOOPS)
def test_who_has_left_is_not_let_in_unless_something_is_to_be_written(loop_name: str) -> None:
    def left(to: tuple[str, int]) -> None:
        client_of(to).close()
        client_of(to, sent=b"GET / HTTP/1.1\r\n\r\n").close()
        reset(client_of(to, sent=b"HEAD / HTTP/1.1\r\n\r\n"))
        client_of(to, "127.0.0.2", sent=b"POST / HTTP/1.1\r\n\r\n").close()

    async def test() -> None:
        async with letting_in(left) as let_in:
            assert await let_in.get() == "127.0.0.2"
            await asyncio.sleep(0.05)
            assert let_in.empty()

    run(loop_name, test())


@pytest.mark.parametrize("loop_name", LOOPS)
def test_once_nobody_is_let_in_any_more_those_who_wait_are_told_and_the_loop_rests(
    loop_name: str,
) -> None:
    clients: list[socket.socket] = []

    def crowd(to: tuple[str, int]) -> None:
        clients.extend(client_of(to) for _ in range(100))

    async def test() -> None:
        async with letting_in(crowd) as let_in:
            await let_in.get()
        began = time.thread_time()
        await asyncio.sleep(0.3)
        assert time.thread_time() - began < 0.15  # as long as it lasts where the loop is kept busy
        assert clients[-1].recv(1) == b""

    run(loop_name, test())
    for client in clients:
        client.close()


@pytest.mark.parametrize("host", HOSTS)
def test_an_address_is_shared_only_where_that_is_asked_for(host: str) -> None:
    with contextlib.ExitStack() as opened:

        def bound(port: int, *, shared: bool) -> list[socket.socket]:
            return [opened.enter_context(s) for s in bound_to(host, port, shared=shared)]

        first, second = bound(0, shared=True), bound(0, shared=False)
        assert bound(first[0].getsockname()[1], shared=True)
        for taken in (first, second):
            with pytest.raises(OSError, match="in use"):
                bound(taken[0].getsockname()[1], shared=False)
