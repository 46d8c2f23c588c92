"""The adapter and broken connections: not sent, or maybe sent."""

import json
import socket
import time
from collections.abc import Callable

import pytest

from domain.events.evidence import Outcome
from ledger.providers.simulator.adapter import SimulatorProvider
from tests.servers.simulator_server import SECRET, TOKEN, answering, free_port, server, submission


def both_answers(base_url: str) -> tuple[Outcome, Outcome]:
    """What a submission and a question come to."""
    provider = SimulatorProvider(base_url, SECRET, TOKEN)
    submitted = provider.submit_payout(submission("r-1", timeout_seconds=0.3))
    asked = provider.fetch("r-1", timeout_seconds=0.3)
    assert not provider.health_probe(timeout_seconds=0.3)
    provider.close()
    return submitted.outcome, asked.outcome


def closing_after_reading(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.close()


def trickling(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(12):
        try:
            connection.sendall(b" ")
        except OSError:
            return
        time.sleep(0.05)


def test_a_refused_connection_is_not_sent() -> None:
    assert both_answers(f"http://127.0.0.1:{free_port()}") == (Outcome.NOT_SENT, Outcome.UNKNOWN)


def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    assert both_answers("http://provider.invalid") == (Outcome.NOT_SENT, Outcome.UNKNOWN)


def test_a_connection_that_cannot_be_made_in_time_is_not_sent() -> None:
    with socket.socket() as full:
        # Nobody accepts, and the queue for accepting is full: connecting hangs.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        time.sleep(0.05)
        outcomes = both_answers(f"http://127.0.0.1:{address[1]}")
        for each in waiting:
            each.close()
    assert outcomes == (Outcome.NOT_SENT, Outcome.UNKNOWN)


@pytest.mark.parametrize(
    "behave",
    [
        socket.socket.close,
        closing_after_reading,
        lambda connection: None,
        trickling,
        answering(b"<html>hello</html>"),
        answering(b""),
        answering(b'{"reference": "r-1", "status": "succeeded"}'),
        answering(b"{}", b"500 Internal Server Error"),
        answering(b"", b"302 Found"),
        answering(b"", b"404 Not Found"),
        answering(b'{"error":"payment_not_found","detail":"","reference":"r-2"}', b"404 Not Found"),
        lambda connection: connection.sendall(b"\x00\x01\x02 not HTTP\r\n\r\n"),
    ],
    ids=[
        "closes at once",
        "closes after reading",
        "never answers",
        "trickles",
        "garbage",
        "empty",
        "fields missing",
        "500",
        "redirect",
        "404 of a proxy",
        "404 about another payment",
        "not HTTP",
    ],
)
def test_everything_after_the_connection_is_unknown(
    behave: Callable[[socket.socket], None],
) -> None:
    with server(behave) as base_url:
        provider = SimulatorProvider(base_url, SECRET, TOKEN)
        submitted = provider.submit_payout(submission("r-1", timeout_seconds=0.3))
        asked = provider.fetch("r-1", timeout_seconds=0.3)
        provider.close()
    assert (submitted.outcome, asked.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)


def answer_body(**changes: object) -> bytes:
    body: dict[str, object] = {
        "reference": "r-1",
        "status": "succeeded",
        "amount": {"amount": 5000, "currency": "EUR"},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": None,
    }
    return json.dumps(body | changes).encode()


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.SUCCEEDED),
        ({"reference": "r-2"}, Outcome.UNKNOWN),
        ({"amount": None}, Outcome.UNKNOWN),
        ({"status": "not_sent"}, Outcome.UNKNOWN),
        ({"status": "awaiting_player"}, Outcome.UNKNOWN),
        ({"status": "declined"}, Outcome.UNKNOWN),
    ],
)
def test_an_answer_is_believed_only_if_it_makes_sense(
    changes: dict[str, object], outcome: Outcome
) -> None:
    with server(answering(answer_body(**changes))) as base_url:
        provider = SimulatorProvider(base_url, SECRET, TOKEN)
        assert provider.submit_deposit(submission("r-1")).outcome is outcome
        provider.close()
