"""Clients that mean no good, one kind after the other, and how long another one waits beside them.

For each behaviour a process does that and nothing else for `--seconds`, as fast as it can, while a
normal client at another address of this machine asks for its deposits, makes some, and asks whether
the service is alive, over the connection it has and over new ones. Told are the slowest and the
middle of that client's requests, and what it was refused: nothing should be, whatever goes on
beside it.
"""

import argparse
import contextlib
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle
from time import perf_counter
from uuid import uuid4

import httpx2
from _measure import configuration, fresh_ledger, percentile
from batches import running_api
from rich.console import Console
from rich.table import Table

from ledger.access.api_keys import StaffRole, create_key
from ledger.eventstore import database
from ledger.eventstore.database import Role

NORMAL_ADDRESS = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
CONNECTIONS = 1_100
BODY = b'"' + b'\\"' * 8_000

Act = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How a normal client fared beside a behaviour."""

    behaviour: str
    requests: int
    median_ms: float
    slowest_ms: float
    failures: int
    first_failure: str | None


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _head(request: str, key: str, *lines: str) -> bytes:
    said = (f"{request} HTTP/1.1", "host: x", f"authorization: Bearer {key}", *lines)
    return "".join(f"{line}\r\n" for line in said).encode()


def _post(body: bytes) -> Act:
    """The same body again and again, over one connection as long as it lasts."""

    def act(port: int, key: str) -> None:
        lines = ("content-type: application/json", f"content-length: {len(body)}")
        request = _head("POST /v1/deposits", key, "idempotency-key: k", *lines) + b"\r\n" + body
        with _connect(port) as connection:
            for _ in range(20):
                connection.settimeout(600)
                connection.sendall(request)
                connection.recv(65_536)

    return act


def _endless_head(port: int, key: str) -> None:
    """100 MB of one header."""
    with _connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: ")
        for _ in range(1_600):
            connection.sendall(b"a" * 65_536)
        connection.recv(65_536)


def _half_sent(beginning: bytes) -> Act:
    """Many connections over which a byte a second comes, opened again where they are closed."""

    def act(port: int, _key: str) -> None:
        opened: list[socket.socket] = []
        try:
            for _ in range(CONNECTIONS):
                opened.append(_connect(port))
                opened[-1].sendall(beginning)
            for _ in range(20):
                time.sleep(1)
                for number, connection in enumerate(opened):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        connection.close()
                        opened[number] = _connect(port)
                        opened[number].sendall(beginning)
        finally:
            for connection in opened:
                connection.close()

    return act


def _flood(port: int, _key: str) -> None:
    """Connections as fast as they open, none closed before there are very many."""
    with contextlib.ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(_connect(port))


def _drop_streams(port: int, key: str) -> None:
    """Event streams, opened and dropped before they say anything."""
    for _ in range(50):
        with _connect(port) as connection:
            connection.sendall(_head("GET /v1/events", key, "accept: text/event-stream") + b"\r\n")


def _unread(port: int, key: str) -> None:
    """Answers that nobody takes."""
    opened = [_connect(port) for _ in range(50)]
    for connection in opened:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            for _ in range(100):
                connection.send(_head("GET /openapi.json", key) + b"\r\n")
    time.sleep(5)
    for connection in opened:
        connection.close()


BEHAVIOURS: dict[str, Act] = {
    "nothing": lambda _port, _key: time.sleep(0.1),
    "bodies of quotes": _post(BODY),
    "large bodies": _post(b"[" + b"[]," * 330_000 + b"1]"),
    "endless heads": _endless_head,
    "half-sent heads": _half_sent(b"GET / HTTP/1.1\r\nx: "),
    "half-sent bodies": _half_sent(
        b"POST /v1/providers/simulator/notices HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
    ),
    "connections": _flood,
    "dropped streams": _drop_streams,
    "unread answers": _unread,
}


def _misbehave(name: str, port: int, key: str, seconds: float) -> None:
    until = perf_counter() + seconds
    while perf_counter() < until:
        with contextlib.suppress(OSError):
            BEHAVIOURS[name](port, key)


def beside(name: str, port: int, key: str, seconds: float) -> Waited:
    """What a normal client meets while somebody behaves like that."""
    spawned = multiprocessing.get_context("spawn")
    hostile = spawned.Process(target=_misbehave, args=(name, port, key, seconds), daemon=True)
    hostile.start()
    waits_ms: list[float] = []
    failures: list[str] = []
    transport = httpx2.HTTPTransport(local_address=NORMAL_ADDRESS)
    base, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {key}"}
    with httpx2.Client(transport=transport, base_url=base, headers=headers, timeout=60) as client:
        ask = cycle([_is_alive, _make_deposit, _ask_for_deposits, partial(_come_anew, base)])
        until = perf_counter() + seconds
        while (began := perf_counter()) < until:
            try:
                answer = next(ask)(client)
                if answer.status_code >= 400:
                    failures.append(f"{answer.status_code} {answer.text[:300]}")
            except httpx2.HTTPError as error:
                failures.append(repr(error))
            waits_ms.append((perf_counter() - began) * 1_000)
            time.sleep(0.01)
    hostile.terminate()
    hostile.join()
    waits_ms.sort()
    return Waited(
        behaviour=name,
        requests=len(waits_ms),
        median_ms=round(percentile(waits_ms, 0.5), 1),
        slowest_ms=round(waits_ms[-1], 1),
        failures=len(failures),
        first_failure=failures[0] if failures else None,
    )


def _is_alive(client: httpx2.Client) -> httpx2.Response:
    return client.get("/livez")


def _come_anew(base: str, _client: httpx2.Client) -> httpx2.Response:
    """Over a connection of its own, which has to be let in first."""
    transport = httpx2.HTTPTransport(local_address=NORMAL_ADDRESS)
    with httpx2.Client(transport=transport, base_url=base, timeout=60) as client:
        return _is_alive(client)


def _make_deposit(client: httpx2.Client) -> httpx2.Response:
    body = {
        "player_id": str(uuid4()),
        "amount": {"amount": 1_000, "currency": "EUR"},
        "method": "card",
    }
    return client.post("/v1/deposits", json=body, headers={"idempotency-key": str(uuid4())})


def _ask_for_deposits(client: httpx2.Client) -> httpx2.Response:
    return client.get("/v1/transactions?limit=10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of each behaviour")
    parser.add_argument("--only", action="append", choices=BEHAVIOURS, help="these alone")
    given = parser.parse_args()
    with fresh_ledger() as settings:
        key = create_key(database.conninfo(settings, Role.OWNER), "bench", StaffRole.PLATFORM)
        config = configuration(settings, connections=CONNECTIONS, seconds=given.seconds)
        with running_api(settings, 1) as (port, _):
            found = [beside(name, port, key, given.seconds) for name in given.only or BEHAVIOURS]
    if given.json:
        results = [asdict(each) for each in found]
        print(json.dumps({"name": "hostile", "config": config, "results": results}))
        return
    table = Table("behaviour", "requests", "median ms", "slowest ms", "failures", "the first")
    for each in found:
        figures = (f"{each.requests:,}", f"{each.median_ms:,.1f}", f"{each.slowest_ms:,.1f}")
        table.add_row(each.behaviour, *figures, f"{each.failures:,}", each.first_failure or "")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
