"""A proxy in front of PostgreSQL that breaks connections at chosen places of the protocol.

It listens on 127.0.0.1 and forwards to the server's Unix socket. It reads just enough of the
protocol to tell the request that commits a batch (a statement that updates `ledger_head`) and the
end of its answer. Source: PostgreSQL documentation, "Frontend/Backend Protocol", message formats.
"""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum, auto

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_WRITES = b"UPDATE ledger_head"
_SYNC, _QUERY, _PARSE, _BIND = b"S", b"Q", b"P", b"B"
_READY = b"Z"


class Fault(Enum):
    """Where the connection breaks that carries the next batch."""

    BEFORE = auto()
    """The request never reaches the server."""
    IN_FLIGHT = auto()
    """It reaches the server, and the client is cut off while the server works on it."""
    AFTER = auto()
    """The server has answered; nothing of the answer reaches the client."""
    MID_ANSWER = auto()
    """Half of the answer reaches the client."""
    FATAL = auto()
    """All of it but its end, then the server says that an administrator ended the session."""
    SILENT = auto()
    """The request is swallowed and nothing is ever said again, but the connection stays open."""


class Proxy:
    """Serves until closed; faults are armed one by one and hit the next batches in turn."""

    def __init__(self, target: str) -> None:
        """`target` is a connection string to a Unix socket."""
        parameters = conninfo_to_dict(target)
        self._server = f"{parameters['host']}/.s.PGSQL.{parameters.get('port', 5432)}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.conninfo = make_conninfo(
            target,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            sslmode="disable",
            gssencmode="disable",
        )
        self._armed: deque[tuple[Fault, Callable[[], None]]] = deque()
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._down = False
        threading.Thread(target=self._serve, daemon=True).start()

    def arm(self, fault: Fault, then: Callable[[], None] = lambda: None) -> None:
        """Break the next batch's connection, and call `then` just before."""
        with self._lock:
            self._armed.append((fault, then))

    def armed(self) -> int:
        """Faults that have not hit a batch yet."""
        with self._lock:
            return len(self._armed)

    def go_down(self) -> None:
        """Break every connection and let no new one through."""
        self._down = True
        self.cut_all()

    def come_up(self) -> None:
        self._down = False

    def cut_all(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()

    def close(self) -> None:
        self._listener.close()
        self.cut_all()

    def _next_fault(self) -> tuple[Fault, Callable[[], None]] | None:
        with self._lock:
            return self._armed.popleft() if self._armed else None

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._down:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._server)
                except OSError:  # the server itself is down
                    client.close()
                    server.close()
                    continue
                link = _Link(client, server, self._next_fault)
                with self._lock:
                    self._links.append(link)
                link.start()


class _Link:
    """One client's connection and the server's side of it."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        next_fault: Callable[[], tuple[Fault, Callable[[], None]] | None],
    ) -> None:
        self._client, self._server, self._next_fault = client, server, next_fault
        self._writing: set[bytes] = set()
        """Names of prepared statements that write."""
        self._fault: Fault | None = None
        self._then: Callable[[], None] = lambda: None

    def start(self) -> None:
        for run in (self._to_server, self._to_client):
            threading.Thread(target=self._guarded, args=(run,), daemon=True).start()

    def cut(self) -> None:
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except (OSError, EOFError):
            pass
        finally:
            if self._fault is not Fault.SILENT:
                self.cut()

    def _to_server(self) -> None:
        self._server.sendall(_startup(self._client))
        request = b""
        for kind, message in _messages(self._client):
            request += message
            if kind not in (_SYNC, _QUERY, b"X", b"p"):
                continue
            hit = self._next_fault() if self._is_write(request) else None
            if hit is not None:
                self._fault, self._then = hit
                if self._fault in (Fault.BEFORE, Fault.SILENT):
                    self._finish()
                    return
            self._server.sendall(request)
            request = b""
            if self._fault is Fault.IN_FLIGHT:
                self._then()
                with suppress(OSError):
                    self._client.shutdown(socket.SHUT_RDWR)
                return

    def _finish(self) -> None:
        self._then()
        if self._fault is not Fault.SILENT:
            self.cut()

    def _to_client(self) -> None:
        answer = b""
        for kind, message in _messages(self._server):
            if self._fault in (None, Fault.IN_FLIGHT):
                with suppress(OSError):
                    self._client.sendall(message)
                continue
            if kind != _READY:
                answer += message
                continue
            if self._fault is Fault.MID_ANSWER:
                self._client.sendall(answer[: len(answer) // 2])
            if self._fault is Fault.FATAL:
                self._client.sendall(answer + _fatal())
            self._finish()
            return

    def _is_write(self, request: bytes) -> bool:
        writes = False
        for kind, message in _split(request):
            body = message[5:]
            if kind == _PARSE:
                name, sql, _ = body.split(b"\0", 2)
                if _WRITES in sql:
                    self._writing.add(name)
                else:
                    self._writing.discard(name)
            if kind == _BIND:
                writes |= body.split(b"\0", 2)[1] in self._writing
        return writes


def _startup(client: socket.socket) -> bytes:
    """The first message has no type: a length and its content."""
    length = _exactly(client, 4)
    return length + _exactly(client, struct.unpack(">I", length)[0] - 4)


def _messages(source: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Type and whole bytes of each message: a byte, a length that counts itself, a body."""
    while True:
        head = _exactly(source, 5)
        yield head[:1], head + _exactly(source, struct.unpack(">I", head[1:])[0] - 4)


def _split(request: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start < len(request):
        end = start + 1 + struct.unpack_from(">I", request, start + 1)[0]
        yield request[start : start + 1], request[start:end]
        start = end


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _fatal() -> bytes:
    fields = {
        b"S": b"FATAL",
        b"V": b"FATAL",
        b"C": b"57P01",
        b"M": b"terminating connection due to administrator command",
    }
    body = b"".join(name + value + b"\0" for name, value in fields.items()) + b"\0"
    return b"E" + struct.pack(">I", len(body) + 4) + body
