"""Several API processes answer at one port, over one ledger."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2

from ledger.access.api_keys import StaffRole, create_key
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tallystick.serve import bootstrap, stack
from tests.servers.api_server import transaction_body

PROCESSES = 2


def test_processes_share_a_port_and_a_ledger(module_database: Settings) -> None:
    bootstrap.prepare(module_database)
    owner = database.conninfo(module_database, Role.OWNER)
    key = create_key(owner, "platform", StaffRole.PLATFORM)
    player = uuid4()

    def deposit(url: str) -> int:
        """Over a connection of its own, which the kernel deals to one of the processes."""
        headers = {"authorization": f"Bearer {key}", "idempotency-key": str(uuid4())}
        body = transaction_body(player, 100)
        answer = httpx2.post(f"{url}/v1/deposits", json=body, headers=headers, timeout=10)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["position"])

    with api_processes(module_database) as (url, running):
        positions = [deposit(url) for _ in range(40)]
        running[0].send_signal(signal.SIGTERM)
        assert running[0].wait(20) == 0
        positions += [deposit(url) for _ in range(10)]
    assert positions == sorted(set(positions))


def test_each_process_is_a_part_of_its_own(module_database: Settings) -> None:
    def names(settings: Settings) -> list[str]:
        return [p.name for p in stack.parts(settings) if list(p.arguments) == ["serve", "api"]]

    several = module_database.model_copy(update={"api_processes": 3})
    assert names(module_database) == ["api"]
    assert names(several) == ["api-1", "api-2", "api-3"]
    assert stack.environment_of(several)["TALLYSTICK_API_PROCESSES"] == "3"


@contextmanager
def api_processes(settings: Settings) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """As many as there are to be, with nobody who follows the log; their address and themselves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chosen = settings.model_copy(update={"api_processes": PROCESSES, "port": port})
    environment = {**os.environ, **stack.environment_of(chosen)}
    command = [sys.executable, "-m", "tallystick", "serve", "api"]
    running = [subprocess.Popen(command, env=environment) for _ in range(PROCESSES)]
    try:
        _wait_for_listeners(port)
        yield f"http://127.0.0.1:{port}", running
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(20)


def _wait_for_listeners(port: int) -> None:
    """Until every process listens; the kernel lists each socket of its own."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        table = Path("/proc/net/tcp").read_text()
        if table.count(f":{port:04X} 00000000:0000 0A") == PROCESSES:
            return
        time.sleep(0.1)
    raise TimeoutError
