"""Batches over HTTP: commands per second through the API into the durable ledger.

W5        POST /v1/batches of 100 deposits by known players, through one provider
W5 wagers the same of 100 wagers

Each with one API process and with two (TALLYSTICK_API_PROCESSES). They run as `tallystick serve
api` does; one small process here sends requests whose bytes are made beforehand over plain
sockets, and hardly looks at the answers. All share the machine's cores with PostgreSQL. Read models
do not follow meanwhile. Where the processors' time went, per command, is told beside the figures:
with two cores, 2,000,000 microseconds a second are all there is.
"""

import gc
import json
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from uuid import UUID, uuid4

import httpx2
import psycopg
from _measure import Result, arguments, configuration, fresh_ledger, percentile, show

from domain.player.player import Verification
from ledger.access.api_keys import StaffRole, create_key
from ledger.commands.handling import Caller
from ledger.commands.player import PlayerCommands
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tallystick.serve import bootstrap

CONNECTIONS = 8
BATCH = 100
PLAYERS = 1_000
TARGET_PER_SECOND = 15_000
WARM_UP_SECONDS = 1.0

CPU = ("api", "postgres", "all")

Body = Callable[[Random], dict[str, object]]


@contextmanager
def running_api(settings: Settings, processes: int) -> Iterator[tuple[int, list[int]]]:
    """The API as processes of its own: their port and process ids."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "TALLYSTICK_DATA": str(settings.data),
        "TALLYSTICK_PORT": str(port),
        "TALLYSTICK_LOG_LEVEL": "warning",
        "TALLYSTICK_API_PROCESSES": str(processes),
    }
    command = [sys.executable, "-m", "tallystick", "serve", "api"]
    running = [subprocess.Popen(command, env=environment) for _ in range(processes)]
    try:
        for _ in range(processes * 20):  # connections are dealt out: ask until all have answered
            _wait_until_it_answers(f"http://127.0.0.1:{port}/livez")
        yield port, [process.pid for process in running]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(20)


def _wait_until_it_answers(url: str) -> None:
    until = perf_counter() + 30
    while perf_counter() < until:
        try:
            httpx2.get(url).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def register(settings: Settings, players: list[UUID]) -> None:
    """Customers of old, who have used their card before."""
    ledger = bootstrap.build_ledger(settings)
    try:
        handling = bootstrap.build_handling(ledger)
        for player_id in players:
            PlayerCommands(handling).register(
                player_id,
                verification=Verification.FULL,
                jurisdiction=None,
                time_zone="UTC",
                caller=Caller(actor="operator:bench", idempotency_key=str(player_id)),
            )
    finally:
        ledger.close()


def deposit(players: list[UUID]) -> Body:
    def body(random: Random) -> dict[str, object]:
        return {
            "player_id": str(random.choice(players)),
            "amount": {"amount": random.randrange(100, 100_000), "currency": "EUR"},
            "method": "card",
            "metadata": {"order": f"A-{random.randrange(10**6)}"},
        }

    return body


def wager(players: list[UUID]) -> Body:
    def body(random: Random) -> dict[str, object]:
        return {
            "player_id": str(random.choice(players)),
            "amount": {"amount": random.randrange(100, 10_000), "currency": "EUR"},
            "metadata": {"round": f"R-{random.randrange(10**6)}"},
        }

    return body


def requests(key: str, operation: str, body: Body, count: int) -> list[bytes]:
    """Whole requests as they go over the wire."""
    random = Random(7)
    return [_request(key, operation, body, random) for _ in range(count)]


def _request(key: str, operation: str, body: Body, random: Random) -> bytes:
    commands = [
        {"operation": operation, "idempotency_key": str(uuid4()), "body": body(random)}
        for _ in range(BATCH)
    ]
    content = json.dumps({"commands": commands}).encode()
    head = (
        "POST /v1/batches HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class _Connection:
    """A request on its way, and as much of its answer as has come."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.missing = 0
        self.began = 0.0

    def send(self, request: bytes) -> None:
        self.began = perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Whether the answer is complete."""
        data = self.socket.recv(1 << 20)
        if self.missing == 0:
            head, _, content = data.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200") or b'"status":4' in content:
                raise RuntimeError(data[:2_000])
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.missing = length - len(content)
        else:
            self.missing -= len(data)
        return self.missing == 0


@dataclass(slots=True)
class _Run:
    """One workload, and what was measured of it."""

    workload: str
    operation: str
    body: Body
    processes: int
    """Of the API."""
    rates: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    commands: int = 0
    cpu_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CPU, 0.0))

    def note(self, rate: float, took_ms: list[float], cpu: "CpuTime") -> None:
        self.rates.append(rate)
        self.took_ms += took_ms
        self.commands += BATCH * len(took_ms)
        for name, seconds in cpu.used_s.items():
            self.cpu_s[name] += seconds

    def told(self) -> str:
        """Latency, and where the processors' time went: what others used is not ours to have."""
        api, postgres, everything = (self.cpu_s[name] for name in CPU)
        micro = 1_000_000 / self.commands
        rest = everything - api - postgres
        self.took_ms.sort()
        return (
            f"p50 {percentile(self.took_ms, 0.5):.0f} ms, p99 {percentile(self.took_ms, 0.99):.0f}"
            f" ms; processor time per command: API {api * micro:.0f} us, PostgreSQL"
            f" {postgres * micro:.0f} us, all else on the machine {rest * micro:.0f} us"
        )


class CpuTime:
    """Processor time used by the API, by its database, and by everything else on the machine."""

    def __init__(self, api: list[int], settings: Settings) -> None:
        with psycopg.connect(database.conninfo(settings, Role.WRITER)) as connection:
            stat = Path(f"/proc/{connection.info.backend_pid}/stat").read_text()
        self._postmaster = int(stat.rpartition(")")[2].split()[1])
        self._api = api
        self.used_s = dict.fromkeys(CPU, 0.0)

    @contextmanager
    def counting(self) -> Iterator[None]:
        before = self._now()
        yield
        for name, seconds in self._now().items():
            self.used_s[name] += seconds - before[name]

    def _now(self) -> dict[str, float]:
        tick = os.sysconf("SC_CLK_TCK")
        api = postgres = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                _, _, rest = path.read_text().rpartition(")")
            except OSError:
                continue  # it has just ended
            fields, pid = rest.split(), int(path.parent.name)
            ticks = int(fields[11]) + int(fields[12])
            api += ticks if pid in self._api else 0
            postgres += ticks if self._postmaster in (pid, int(fields[1])) else 0
        whole = [int(word) for word in Path("/proc/stat").read_text().split()[1:9]]
        busy = sum(whole) - whole[3] - whole[4]
        return {"api": api / tick, "postgres": postgres / tick, "all": busy / tick}


def rate_over_http(port: int, waiting: list[bytes], seconds: float) -> tuple[float, list[float]]:
    """Commands per second, and how long each batch took in ms, over all connections."""
    selector = selectors.DefaultSelector()
    connections = [_Connection(port) for _ in range(CONNECTIONS)]
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(waiting.pop())
    took_ms: list[float] = []
    began = perf_counter()
    while (now := perf_counter()) < began + seconds:
        for key, _ in selector.select(timeout=0.1):
            if key.data.receive():
                took_ms.append((perf_counter() - key.data.began) * 1_000)
                key.data.send(waiting.pop())
    elapsed = now - began
    for connection in connections:
        while not connection.receive():
            pass
        connection.socket.close()
    return BATCH * len(took_ms) / elapsed, sorted(took_ms)


def main() -> None:
    options = arguments(__doc__)
    players = [uuid4() for _ in range(PLAYERS)]
    runs = [
        _Run(name, operation, body(players), processes)
        for name, operation, body, processes in (
            ("W5", "create-deposit", deposit, 1),
            ("W5 wagers", "record-wager", wager, 1),
            ("W5, 2 API processes", "create-deposit", deposit, 2),
            ("W5 wagers, 2 API processes", "record-wager", wager, 2),
        )
    ]
    with fresh_ledger() as settings:
        key = create_key(database.conninfo(settings, Role.OWNER), "bench", StaffRole.PLATFORM)
        register(settings, players)
        for _ in range(options.rounds):
            for processes in (1, 2):
                with running_api(settings, processes) as (port, pids):
                    for run in runs:
                        if run.processes == processes:
                            _measure_run(run, key, port, CpuTime(pids, settings), options.seconds)
        config = configuration(
            settings,
            connections=CONNECTIONS,
            batch=BATCH,
            players=PLAYERS,
            providers=1,
            read_models="do not follow",
            rounds=options.rounds,
            cores=os.cpu_count(),
            details={run.workload: run.told() for run in runs},
        )
    results = [
        Result(
            workload=run.workload,
            ours=statistics.median(run.rates),
            baseline=TARGET_PER_SECOND,
            baseline_name="the target",
            unit="commands/s",
        )
        for run in runs
    ]
    show("batches", config, results, as_json=options.json)


def _measure_run(run: _Run, key: str, port: int, cpu: CpuTime, seconds: float) -> None:
    enough = int(25_000 / BATCH * (seconds + WARM_UP_SECONDS))
    prepared = requests(key, run.operation, run.body, enough)
    gc.collect()
    gc.freeze()
    rate_over_http(port, prepared, WARM_UP_SECONDS)
    with cpu.counting():
        rate, took_ms = rate_over_http(port, prepared, seconds)
    run.note(rate, took_ms, cpu)


if __name__ == "__main__":
    main()
