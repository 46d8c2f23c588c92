"""The simulated provider as a process of its own, and what tests of it have in common."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

from domain.events.evidence import Outcome
from domain.money import Money
from ledger.providers.protocol import (
    Answer,
    DisputeNotice,
    InvalidNotice,
    ProviderNotice,
    RefundSubmission,
    Submission,
)
from ledger.providers.simulator.adapter import SimulatorProvider
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.faults import Faults, parse_faults
from tallystick.play.simulator.plan import Plan, plan
from tallystick.play.simulator.profiles import Profile

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "token-of-the-tests"
SEED = 11
TIME_SCALE = 0.02
FIFTY_EUROS = Money(5000, "EUR")
MIXED_FAULTS = (
    "duplicate=0.2,reorder=0.2,delay=0.1,drop=0.1,truncate=0.1,alter=0.1,wrong_amount=0.1,"
    "contradiction=0.15,server_error=0.1,timeout_after_effect=0.1,garbage=0.1"
)
MIXED_PROFILES = "payout_returned=40,authorised_voided=20"


@dataclass(frozen=True)
class Received:
    """One delivery: the notice if it was good, and how it was answered."""

    notice: ProviderNotice | DisputeNotice | None
    status_code: int
    at_seconds: float


class Receiver:
    """The other end of the webhooks: verifies, answers 204, and remembers."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[ProviderNotice | DisputeNotice], int] = lambda notice: 204
        self._provider = SimulatorProvider("http://127.0.0.1:1", SECRET, TOKEN)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.take(dict(self.headers.items()), body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        try:
            notice = self._provider.parse_notice(headers, body)
        except InvalidNotice:
            received = Received(None, 400, time.monotonic())
        else:
            received = Received(notice, self.answer(notice), time.monotonic())
        with self._lock:
            self.received.append(received)
        return received.status_code

    def accepted(self, reference: str) -> list[ProviderNotice]:
        """The acknowledged notices about one payment, in order of arrival."""
        return [each for each in self._taken(reference) if isinstance(each, ProviderNotice)]

    def disputed(self, reference: str) -> list[DisputeNotice]:
        """The acknowledged notices about disputes of one deposit, in order of arrival."""
        return [each for each in self._taken(reference) if isinstance(each, DisputeNotice)]

    def _taken(self, reference: str) -> list[ProviderNotice | DisputeNotice]:
        return [
            each.notice
            for each in self.received
            if each.notice and each.notice.reference == reference and each.status_code == 204
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Simulator:
    """A running simulator, and the ways to talk to it."""

    def __init__(self, port: int, receiver: Receiver) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.receiver = receiver
        self.provider = SimulatorProvider(self.url, SECRET, TOKEN)
        self.control = httpx2.Client(
            base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
        )
        self.faults = parse_faults("none")

    def use(self, faults: str) -> Faults:
        self.control.put("/v1/faults", json={"faults": faults}).raise_for_status()
        self.faults = parse_faults(faults)
        return self.faults

    def settle(self) -> dict[str, dict[str, object]]:
        """Wait until nothing happens any more; the statistics by reference."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.statistics(detail=False)["idle"]:
                references = self.statistics()["references"]
                assert isinstance(references, dict)
                return references
            time.sleep(0.02)
        raise AssertionError(f"still busy: {self.statistics(detail=False)}")

    def statistics(self, *, detail: bool = True) -> dict[str, object]:
        answer = self.control.get("/v1/statistics", params={"detail": detail}).raise_for_status()
        content: dict[str, object] = answer.json()
        return content

    def webhooks(self) -> Counter[str]:
        counts = self.statistics(detail=False)["webhooks"]
        assert isinstance(counts, dict)
        return Counter(counts)

    def checks(self, name: str) -> int:
        """A count of what it declined for what was asked."""
        count = self.statistics(detail=False)[name]
        assert isinstance(count, int)
        return count

    def disputes(self) -> dict[str, dict[str, object]]:
        """What became of each dispute, by the simulator's own name of it."""
        disputes = self.statistics()["dispute_references"]
        assert isinstance(disputes, dict)
        return disputes

    def submit(self, reference: str, kind: Kind, method: str = "card") -> Answer:
        asked = submission(reference, method=method)
        if kind is Kind.PAYOUT:
            return self.provider.submit_payout(asked)
        return self.provider.submit_deposit(asked)

    def fetch(self, reference: str) -> Answer:
        return self.provider.fetch(reference, timeout_seconds=5)

    def succeeded_deposit(self, name: str) -> str:
        """The reference of a deposit that has been captured and announced."""
        reference = self.reference(name, Kind.DEPOSIT, of_profile(Profile.IMMEDIATE_SUCCESS))
        self.submit(reference, Kind.DEPOSIT)
        wait_until(lambda: self.fetch(reference).outcome is Outcome.SUCCEEDED, 5)
        return reference

    def reference(self, name: str, kind: Kind, wanted: Callable[[Plan], bool]) -> str:
        """A reference for which the plan, under the present faults, is as wanted."""
        for number in range(5000):
            reference = f"{name}-{number}"
            if wanted(plan(SEED, reference, kind, "card", self.faults)):
                return reference
        raise AssertionError("no reference has such a plan")


@contextmanager
def running(*options: str) -> Iterator[Simulator]:
    receiver = Receiver()
    port = free_port()
    command = [sys.executable, "-m", "tallystick.play.simulator", "--port", str(port)]
    command += ["--seed", str(SEED), "--time-scale", str(TIME_SCALE), "--settle-seconds", "0.05"]
    command += ["--webhook-url", f"http://127.0.0.1:{receiver.port}/notices", *options]
    environment = os.environ | {
        "TALLYSTICK_SIMULATOR_SECRET": SECRET,
        "TALLYSTICK_SIMULATOR_TOKEN": TOKEN,
    }
    process = subprocess.Popen(command, env=environment)
    simulator = Simulator(port, receiver)
    try:
        wait_until(lambda: simulator.provider.health_probe(timeout_seconds=1), 20)
        yield simulator
    finally:
        process.terminate()
        process.wait(10)
        simulator.provider.close()
        simulator.control.close()
        receiver.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def submission(
    reference: str,
    *,
    method: str = "card",
    amount: Money = FIFTY_EUROS,
    timeout_seconds: float = 5.0,
) -> Submission:
    return Submission(
        reference=reference,
        player_id="player-1",
        method=method,
        amount=amount,
        instrument="instrument-1",
        timeout_seconds=timeout_seconds,
    )


def refund(
    reference: str,
    deposit: str,
    *,
    amount: Money = FIFTY_EUROS,
    timeout_seconds: float = 5.0,
) -> RefundSubmission:
    return RefundSubmission(
        reference=reference,
        deposit_reference=deposit,
        deposit_provider_reference=None,
        amount=amount,
        timeout_seconds=timeout_seconds,
    )


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats each connection in its own way; its base address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                behave(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()


def answering(content: bytes, status: bytes = b"200 OK") -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        length = str(len(content)).encode()
        head = b"HTTP/1.1 " + status + b"\r\ncontent-length: " + length + b"\r\n\r\n"
        connection.sendall(head + content)

    return behave


def of_profile(profile: Profile) -> Callable[[Plan], bool]:
    return lambda made: made.profile is profile
