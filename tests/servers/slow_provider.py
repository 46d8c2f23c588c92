"""A provider that answers, but never to the end: one byte now and then, or all too many."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

GIVES_UP_SECONDS = 6.0
"""When it lets go of a caller who has not; long after the deadlines of the tests."""

_TRICKLE_SECONDS = 0.1
_OK = b"HTTP/1.1 200 OK\r\n"

Part = tuple[bytes, bytes]
"""What it says at once, and what it goes on to say again and again."""

HEADER: Part = (_OK + b"x-slow: ", b"z")
BODY: Part = (_OK + b"content-length: 60000\r\n\r\n", b" ")
CHUNKS: Part = (_OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n")
BY_THE_WAY: Part = (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")
HANDSHAKE: Part = (b"\x16\x03\x03\x3f\xf0\x02\x00\x3f\xec", b"\x00")
ENDLESS: Part = (_OK + b"transfer-encoding: chunked\r\n\r\n", b"2000\r\n" + b" " * 8192 + b"\r\n")


class SlowProvider:
    """Each request is read, noted, and answered without end."""

    def __init__(self, url: str, part: Part, pause_seconds: float, gives_up_seconds: float) -> None:
        self.url = url
        self.ended: list[float] = []
        """After how many seconds callers hung up."""
        self.overlaps: Counter[str] = Counter()
        """How often an attempt was called about that was being called about, by reference."""
        self.calls: Counter[str] = Counter()
        """How often it was called about an attempt, by reference."""
        self._part, self._pause_seconds = part, pause_seconds
        self._gives_up_seconds = gives_up_seconds
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def calls_now(self) -> int:
        with self._lock:
            return self._now.total()

    def treat(self, connection: socket.socket) -> None:
        """One caller, in a thread of its own."""
        with connection, suppress(OSError):
            reference = _reference(connection.recv(65536))
            began = time.monotonic()
            with self._lock:
                self.overlaps[reference] += self._now[reference] > 0
                self._now[reference] += 1
                self.calls[reference] += 1
            try:
                self._go_on(connection, began + self._gives_up_seconds)
            finally:
                with self._lock:
                    self._now[reference] -= 1
                    self.ended.append(time.monotonic() - began)

    def _go_on(self, connection: socket.socket, until: float) -> None:
        first, again = self._part
        connection.sendall(first)
        while time.monotonic() < until:
            connection.settimeout(max(self._pause_seconds, 0.001))
            with suppress(TimeoutError):
                if not connection.recv(65536):
                    return
            connection.settimeout(1.0)
            connection.sendall(again)


def _reference(request: bytes) -> str:
    """Of the attempt: the key of a submission, or the end of the path that asks about one."""
    head = request.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    for line in head[1:]:
        name, _, value = line.partition(": ")
        if name.lower() == "idempotency-key":
            return value
    path = head[0].split(" ")[1] if head[0].count(" ") == 2 else ""
    return path.rpartition("/")[2]


@contextmanager
def slow_provider(
    part: Part,
    *,
    scheme: str = "http",
    pause_seconds: float = _TRICKLE_SECONDS,
    gives_up_seconds: float = GIVES_UP_SECONDS,
) -> Iterator[SlowProvider]:
    """It listens until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        slow = SlowProvider(url, part, pause_seconds, gives_up_seconds)
        threading.Thread(target=_accept, args=(listener, slow.treat), daemon=True).start()
        yield slow
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, treat: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=treat, args=(connection,), daemon=True).start()
