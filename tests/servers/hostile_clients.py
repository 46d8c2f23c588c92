"""An API process of its own, clients that mean it no good, and one that does beside them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from ledger.settings import Settings
from tallystick.serve import stack

OTHER_ADDRESS = "127.0.0.2"
"""Of this machine too, on Linux."""


@dataclass(kw_only=True)
class Server:
    """An API process: where it listens, and a key to it."""

    port: int
    key: str

    def holds(self, connection: socket.socket) -> bool:
        """Whether the other end of a connection of ours is still open in the server."""
        ends = f":{self.port:04X} 0100007F:{connection.getsockname()[1]:04X} "
        table = Path("/proc/net/tcp").read_text().splitlines()
        inodes = [line.split()[9] for line in table if ends in line]
        return inodes not in ([], ["0"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, from_address: str = "127.0.0.1", seconds: float = 20.0) -> socket.socket:
        """A connection, which waits so long for whatever it waits for."""
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=seconds, source_address=(from_address, 0)
        )

    def head(self, request: str, **headers: str) -> bytes:
        """The head of a request by the holder of the key, without the empty line."""
        lines = [f"{request} HTTP/1.1", "host: x", f"authorization: Bearer {self.key}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "".join(f"{line}\r\n" for line in lines).encode()


@contextmanager
def api_process(
    settings: Settings,
    key: str,
    *,
    open_files_max: int = 4_096,
    log: Path | None = None,
    **changes: object,
) -> Iterator[Server]:
    """`tallystick serve api` under so many open files, with these settings changed.

    What it logs goes to a file, if one is named.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"TALLYSTICK_{name.upper()}": str(value) for name, value in changes.items()}
    at = settings.model_copy(update={"port": port, "log_level": "error"})
    environment = {**os.environ, **stack.environment_of(at), **own}
    limited = ["sh", "-c", f'ulimit -n {open_files_max} && exec "$@"', "sh"]
    command = [*limited, sys.executable, "-m", "tallystick", "serve", "api"]
    with log.open("wb") if log else nullcontext() as lines:
        process = subprocess.Popen(command, env=environment, stderr=lines)
    try:
        until = time.monotonic() + 120
        while not _answers(f"http://127.0.0.1:{port}/livez"):
            assert process.poll() is None, "the server did not start"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.05)
        yield Server(port=port, key=key)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


@dataclass
class Neighbour:
    """Somebody else's client: how long each of its requests took, and what went wrong."""

    waits_seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def slowest_seconds(self) -> float:
        return max(self.waits_seconds, default=0.0)


@contextmanager
def neighbour(server: Server, path: str = "/v1/accounts/house:fees:EUR") -> Iterator[Neighbour]:
    """A client that keeps asking from an address of its own while something else goes on."""
    found = Neighbour()
    stop = threading.Event()

    def ask() -> None:
        transport = httpx2.HTTPTransport(local_address=OTHER_ADDRESS)
        headers = {"authorization": f"Bearer {server.key}"}
        with httpx2.Client(transport=transport, timeout=60, headers=headers) as client:
            while not stop.is_set():
                began = time.perf_counter()
                try:
                    answer = client.get(server.url + path)
                    if answer.status_code >= 500:
                        found.failures.append(answer.text)
                except httpx2.HTTPError as error:
                    found.failures.append(repr(error))
                found.waits_seconds.append(time.perf_counter() - began)
                stop.wait(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        while not found.waits_seconds:  # it is known, and has a connection
            time.sleep(0.01)
        found.waits_seconds.clear()
        yield found
    finally:
        stop.set()
        asking.join()


@dataclass
class Answer:
    """What came over a connection until the other side closed it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """All that came behind the headers."""

    @property
    def problem(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def last_answer(connection: socket.socket) -> Answer | None:
    """The answer, and then the end; None where the connection ends without one.

    Raises:
        TimeoutError: the other side neither answers nor closes.
        ConnectionResetError: it did not let us read what it said.
    """
    came = bytearray()
    while part := connection.recv(65_536):
        came += part
    if not came:
        return None
    return answer_in(bytes(came))


def answer_in(came: bytes) -> Answer:
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(first.split()[1]), headers, body)


def push(connection: socket.socket, piece: bytes, times: int) -> int:
    """Send the piece so often, or until the other side has had enough; how many bytes went."""
    sent = 0
    try:
        for _ in range(times):
            connection.sendall(piece)
            sent += len(piece)
    except (ConnectionError, TimeoutError):
        pass
    return sent


@contextmanager
def many(
    server: Server, count: int, beginning: bytes, from_address: str = "127.0.0.1"
) -> Iterator[list[socket.socket]]:
    """So many connections, over each of which a request begins and is not gone on with."""
    with ExitStack() as stack_:
        opened = []
        for _ in range(count):
            connection = stack_.enter_context(server.connect(from_address))
            opened.append(connection)
            try:
                connection.sendall(beginning)
            except ConnectionError:
                continue  # it had to make room for others already
        yield opened
