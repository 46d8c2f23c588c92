"""A provider whose answers never end keeps nobody waiting beyond the deadline."""

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from domain.events.evidence import Outcome
from domain.money import Money
from ledger.providers.protocol import (
    ConversionSubmission,
    DisputeAnswer,
    QuoteRequest,
    QuoteUnavailable,
)
from ledger.providers.simulator.adapter import SimulatorProvider
from tests.servers import slow_provider as slow
from tests.servers.simulator_server import (
    FIFTY_EUROS,
    SECRET,
    TOKEN,
    refund,
    server,
    submission,
    wait_until,
)
from tests.servers.slow_provider import Part, SlowProvider, slow_provider

TIMEOUT_SECONDS = 0.6
SLACK_SECONDS = 2.0
"""For a busy machine; what is being tested would take three times as long, or for ever."""

Call = Callable[[SimulatorProvider], Outcome | str]

PAYMENT = submission("r-1", timeout_seconds=TIMEOUT_SECONDS)
ANSWER = DisputeAnswer(
    dispute_reference="d-1",
    accept=False,
    note="",
    documents=(),
    timeout_seconds=TIMEOUT_SECONDS,
)
CONVERSION = ConversionSubmission(
    reference="r-1",
    quote_reference="q-1",
    source=FIFTY_EUROS,
    target=Money(5_000, "USD"),
    timeout_seconds=TIMEOUT_SECONDS,
)


def quoted(provider: SimulatorProvider) -> str:
    try:
        provider.quote(
            QuoteRequest(source=FIFTY_EUROS, target_currency="USD", timeout_seconds=TIMEOUT_SECONDS)
        )
    except QuoteUnavailable as why:
        return why.reason
    return "quoted"


CALLS: dict[str, Call] = {
    "deposit": lambda provider: provider.submit_deposit(PAYMENT).outcome,
    "payout": lambda provider: provider.submit_payout(PAYMENT).outcome,
    "refund": lambda provider: (
        provider.submit_refund(refund("r-1", "d-1", timeout_seconds=TIMEOUT_SECONDS)).outcome
    ),
    "conversion": lambda provider: provider.submit_conversion(CONVERSION).outcome,
    "answer to a dispute": lambda provider: provider.answer_dispute(ANSWER).outcome,
    "question": lambda provider: provider.fetch("r-1", timeout_seconds=TIMEOUT_SECONDS).outcome,
    "quote": quoted,
    "probe": lambda provider: str(provider.health_probe(timeout_seconds=TIMEOUT_SECONDS)),
}


@pytest.fixture
def trickling() -> Iterator[SlowProvider]:
    with slow_provider(slow.HEADER) as provider:
        yield provider


def outcome_in_time(call: Call, url: str) -> Outcome | str:
    """What the call comes to, which must not take longer than it was given."""
    with closing(SimulatorProvider(url, SECRET, TOKEN)) as provider:
        began = time.monotonic()
        outcome = call(provider)
        assert time.monotonic() - began < TIMEOUT_SECONDS + SLACK_SECONDS
    return outcome


@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_call_ends_while_a_header_trickles(
    name: str, trickling: SlowProvider
) -> None:
    expected = {"quote": "unknown", "probe": "False"}.get(name, Outcome.UNKNOWN)
    assert outcome_in_time(CALLS[name], trickling.url) == expected
    wait_until(lambda: len(trickling.ended) == 1, slow.GIVES_UP_SECONDS * 2)
    assert trickling.ended[0] < TIMEOUT_SECONDS + SLACK_SECONDS  # it hung up, too


@pytest.mark.parametrize(
    ("part", "pause_seconds"),
    [
        (slow.BODY, 0.1),
        (slow.CHUNKS, 0.1),
        (slow.BY_THE_WAY, 0.1),
        (slow.BY_THE_WAY, 0.0),
        (slow.ENDLESS, 0.0),
        (slow.ENDLESS, 0.1),
    ],
    ids=["body", "chunks", "hints", "many hints", "endless", "endless and slow"],
)
def test_an_answer_without_end_is_unknown_by_the_deadline(part: Part, pause_seconds: float) -> None:
    with slow_provider(part, pause_seconds=pause_seconds) as provider:
        assert outcome_in_time(CALLS["payout"], provider.url) is Outcome.UNKNOWN
        wait_until(lambda: len(provider.ended) == 1, slow.GIVES_UP_SECONDS * 2)
        assert provider.ended[0] < TIMEOUT_SECONDS + SLACK_SECONDS


def test_a_handshake_without_end_is_not_sent_by_the_deadline() -> None:
    with slow_provider(slow.HANDSHAKE, scheme="https") as provider:
        assert outcome_in_time(CALLS["payout"], provider.url) is Outcome.NOT_SENT
        wait_until(lambda: len(provider.ended) == 1, slow.GIVES_UP_SECONDS * 2)
        assert provider.ended[0] < TIMEOUT_SECONDS + SLACK_SECONDS


def reading_slowly(connection: socket.socket) -> None:
    """A little at a time, so that the caller can always send a little more."""
    connection.settimeout(0.5)
    end = time.monotonic() + slow.GIVES_UP_SECONDS
    try:
        while time.monotonic() < end and connection.recv(262_144):
            time.sleep(0.02)
    except OSError:
        return


def test_a_request_that_is_read_slowly_may_have_been_sent_by_the_deadline() -> None:
    long = replace(ANSWER, note="x" * 60_000_000)
    with server(reading_slowly) as url:
        outcome = outcome_in_time(lambda provider: provider.answer_dispute(long).outcome, url)
    assert outcome is Outcome.UNKNOWN


def test_a_redirect_is_not_followed() -> None:
    asked: list[bytes] = []

    def redirecting(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /v1/payouts\r\n"
            b"connection: close\r\ncontent-length: 0\r\n\r\n"
        )
        connection.close()

    with server(redirecting) as url:
        assert outcome_in_time(CALLS["payout"], url) is Outcome.UNKNOWN
    assert len(asked) == 1


def test_an_answer_that_is_packed_unasked_is_not_unpacked() -> None:
    """However small it is, it could have no end."""
    succeeded = {
        "reference": "r-1",
        "status": "succeeded",
        "amount": {"amount": 5_000, "currency": "EUR"},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": None,
    }
    packed = gzip.compress(json.dumps(succeeded).encode())
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
    asked: list[bytes] = []

    def packing(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(head % len(packed) + packed)

    with server(packing) as url:
        assert outcome_in_time(CALLS["payout"], url) is Outcome.UNKNOWN
    assert b"accept-encoding: identity" in asked[0].lower()
