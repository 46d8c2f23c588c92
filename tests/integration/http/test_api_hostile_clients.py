"""One client cannot stop the API for the others: what it sends has an end, in size and in time."""

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from ledger.access.api_keys import StaffRole, create_key
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tallystick.serve import bootstrap
from tests.servers.hostile_clients import (
    OTHER_ADDRESS,
    Answer,
    Server,
    answer_in,
    api_process,
    last_answer,
    many,
    neighbour,
    push,
)

STREAMS_ADDRESS = "127.0.0.3"

AT_ONCE_SECONDS = 3.0
"""What a neighbour may wait on a busy machine. Alone it is some milliseconds; with a server that
is held up, it is as long as that is."""

JSON = "application/json"


@pytest.fixture(scope="module")
def key(module_database: Settings) -> str:
    bootstrap.prepare(module_database)
    owner = database.conninfo(module_database, Role.OWNER)
    return create_key(owner, "platform", StaffRole.PLATFORM)


@pytest.fixture(scope="module")
def server(module_database: Settings, key: str) -> Iterator[Server]:
    """With the limits that there are unless others are chosen; it may not open many files."""
    with api_process(module_database, key, open_files_max=1_024) as server:
        yield server


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `strict` writes what it has to say."""
    return tmp_path_factory.mktemp("strict") / "log"


@pytest.fixture(scope="module")
def strict_beside_a_stream(
    module_database: Settings, key: str, log: Path
) -> Iterator["StrictBesideAStream"]:
    """With limits that a test can wait for, and few connections; one is a stream from its start."""
    limits = {
        "head_timeout_seconds": 0.8,
        "body_timeout_seconds": 1.2,
        "write_timeout_seconds": 0.8,
        "connections_max": 6,
        "connections_per_address_max": 3,
    }
    with (
        api_process(module_database, key, log=log, log_level="warning", **limits) as server,
        server.connect(STREAMS_ADDRESS) as stream,
    ):
        stream.sendall(server.head("GET /v1/events", accept="text/event-stream") + b"\r\n")
        yield server, stream, time.monotonic()


StrictBesideAStream = tuple[Server, socket.socket, float]
"""The server, the stream, and when it began."""


@pytest.fixture(scope="module")
def strict(strict_beside_a_stream: "StrictBesideAStream") -> Server:
    return strict_beside_a_stream[0]


def refused(answer: Answer | None, status: int, code: str) -> Answer:
    """A problem like every other of the API, and the end of the connection."""
    assert answer is not None, "closed without a word"
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.problem["code"] == code
    assert answer.problem["type"] == f"urn:tallystick:problem:{code}"
    assert answer.problem["request_id"] == answer.headers["x-request-id"]
    return answer


def is_alive(server: Server) -> bool:
    return httpx2.get(f"{server.url}/livez", timeout=5).status_code == 200


# --- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b'"' + b'\\"' * 16_000, b'{"a": "' + b'\\"' * 16_000, b'"\\' * 16_000],
    ids=["escaped quotes", "within an object", "quotes and backslashes"],
)
def test_no_body_holds_the_others_up(server: Server, body: bytes) -> None:
    headers = {"authorization": f"Bearer {server.key}", "content-type": JSON}
    with neighbour(server) as other:
        answer = httpx2.post(
            f"{server.url}/v1/deposits", content=body, headers=headers, timeout=120
        )
    assert (answer.status_code, answer.json()["code"]) == (400, "body_malformed")
    assert other.slowest_seconds < 1.0
    assert not other.failures


@pytest.mark.parametrize(
    "body",
    [
        b'"' * 1_000_000,
        b'"\\' * 500_000,
        b"[" + b"[]," * 333_000 + b"1]",
        b'{"a":' * 31 + b"{" + b",".join(b'"%x":1' % n for n in range(49_000)) + b"}" + b"}" * 31,
        b"{" + b",".join(b'"%x":1' % n for n in range(49_000)) + b"}",
        b"{" + b",".join(b'"%x":1' % n for n in range(90_000)) + b"}",
    ],
    ids=["quotes", "backslashes", "lists", "deep", "49,000 fields", "90,000 fields"],
)
def test_no_large_body_holds_the_others_up(server: Server, body: bytes) -> None:
    headers = {"authorization": f"Bearer {server.key}", "content-type": JSON}
    headers["idempotency-key"] = "k"
    with neighbour(server) as other:
        answer = httpx2.post(
            f"{server.url}/v1/deposits", content=body, headers=headers, timeout=120
        )
    assert answer.status_code in (400, 422)
    assert other.slowest_seconds < AT_ONCE_SECONDS
    assert len(answer.content) < 100_000


def test_of_very_many_errors_the_first_are_listed_and_the_rest_counted(server: Server) -> None:
    headers = {"authorization": f"Bearer {server.key}", "idempotency-key": "k"}
    wrong = dict.fromkeys((f"{n:x}" for n in range(40_000)), 1)
    answer = httpx2.post(f"{server.url}/v1/deposits", json=wrong, headers=headers, timeout=60)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 100)
    assert answer.json()["detail"].endswith("The first 100 are listed; there are 39903 more.")


# --- heads ------------------------------------------------------------------------------------


def test_a_head_without_end_is_refused_before_more_is_read(server: Server) -> None:
    with neighbour(server) as other, server.connect() as connection:
        connection.sendall(server.head("GET /v1/transactions") + b"x-long: ")
        sent = push(connection, b"a" * 65_536, 1_600)
        with_answer = last_answer_or_reset(connection)
    assert sent < 60_000_000
    if with_answer is not None:
        refused(with_answer, 431, "head_too_large")
    assert other.slowest_seconds < AT_ONCE_SECONDS
    assert not other.failures


def last_answer_or_reset(connection: socket.socket) -> Answer | None:
    """Who sends on for long may not get to read why nobody listens."""
    try:
        return last_answer(connection)
    except ConnectionError:
        return None


@pytest.mark.parametrize(
    ("rest", "status", "code"),
    [
        (b"x-long: " + b"a" * 70_000, 431, "head_too_large"),
        (b"".join(b"x-%d: 1\r\n" % n for n in range(101)) + b"\r\n", 431, "head_too_large"),
        (b"\r\n" * 10_000 + b"x: " + b"a" * 60_000, 404, "not_found"),
    ],
    ids=["one long header", "many headers", "what follows an empty line is another request"],
)
def test_headers_have_a_size_and_a_number(
    server: Server, rest: bytes, status: int, code: str
) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("GET /nothing") + rest)
        if status == 404:
            assert answer_in(connection.recv(65_536)).status == 404
        else:
            refused(last_answer(connection), status, code)
    assert is_alive(server)


def test_a_head_within_the_limit_is_read(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("GET /livez", x_long="a" * 60_000, connection="close"))
        connection.sendall(b"\r\n")
        answer = last_answer(connection)
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize("length", [17_000, 200_000])
def test_an_address_has_a_length(server: Server, length: int) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("GET /v1/transactions?metadata=" + "a" * length) + b"\r\n")
        refused(last_answer(connection), 414, "url_too_long")


def test_what_is_no_http_is_a_problem_too(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        refused(last_answer(connection), 400, "request_malformed")


@pytest.mark.parametrize(
    "endless",
    [b"1;" + b"e" * 65_536, b"0\r\n" + b"x-trailer: 1\r\n" * 10_000],
    ids=["chunk extension", "trailers"],
)
def test_what_is_around_chunks_has_an_end(server: Server, endless: bytes) -> None:
    with neighbour(server) as other, server.connect() as connection:
        # Or what the system keeps for a busy server would count as sent, some ten MB or more.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
        head = server.head("POST /v1/providers/simulator/notices", transfer_encoding="chunked")
        connection.sendall(head + b"\r\n" + endless)
        sent = push(connection, b"x-trailer: 1\r\n" * 5_000 if b"x-" in endless else endless, 400)
        answer = last_answer_or_reset(connection)
    assert sent < 18_000_000
    if answer is not None:
        refused(answer, 413, "body_too_large")
    assert other.slowest_seconds < AT_ONCE_SECONDS


def test_a_body_that_goes_on_after_its_refusal_is_cut_off(server: Server) -> None:
    with server.connect() as connection:
        head = server.head(
            "POST /v1/deposits", transfer_encoding="chunked", content_type=JSON, idempotency_key="k"
        )
        connection.sendall(head + b"\r\n")
        sent = push(connection, b"10000\r\n" + b" " * 65_536 + b"\r\n", 1_600)
    assert sent < 60_000_000


def test_the_log_tells_of_many_requests_in_few_lines(strict: Server, log: Path) -> None:
    before = _refused_in(log)
    for _ in range(40):
        with strict.connect() as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            refused(last_answer(connection), 400, "request_malformed")
        with strict.connect() as connection:
            connection.sendall(strict.head("GET /livez", connection="upgrade", upgrade="h2c"))
            connection.sendall(b"\r\n")
            assert last_answer(connection) is not None
    _wait_until(lambda: _refused_in(log) == before + 40)
    assert len(log.read_text().splitlines()) < 80  # which is as many as there were requests


def _refused_in(log: Path) -> int:
    """How many malformed requests the log tells of."""
    lines = map(json.loads, log.read_text().splitlines())
    return sum(line["times"] for line in lines if line.get("code") == "request_malformed")


# --- time -------------------------------------------------------------------------------------


def test_a_head_that_takes_too_long_is_given_up(strict: Server) -> None:
    began = time.monotonic()
    with strict.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        refused(last_answer(connection), 408, "request_too_slow")
    assert 0.7 < time.monotonic() - began < 10


def test_a_head_a_byte_at_a_time_is_given_up_all_the_same(strict: Server) -> None:
    with strict.connect() as connection:
        for letter in b"GET /livez HTTP/1.1\r\nhost: localhost\r\n" + b"a" * 100:
            connection.sendall(bytes([letter]))
            if select.select([connection], [], [], 0.1)[0]:
                break
        refused(last_answer(connection), 408, "request_too_slow")


def test_who_says_nothing_gets_no_answer_and_no_place(strict: Server) -> None:
    with strict.connect() as connection:
        assert last_answer(connection) is None


def test_who_only_sends_empty_lines_is_given_up(strict: Server) -> None:
    with strict.connect() as connection:
        until = time.monotonic() + 6
        while time.monotonic() < until:
            try:
                connection.sendall(b"\r\n")
            except ConnectionError:
                return
            time.sleep(0.2)
    raise AssertionError("still open")


@pytest.mark.parametrize("path", ["/v1/deposits", "/v1/providers/simulator/notices", "/livez"])
def test_a_body_a_byte_at_a_time_is_given_up(strict: Server, path: str) -> None:
    method = "GET" if path == "/livez" else "POST"
    with strict.connect() as connection:
        connection.settimeout(0.2)
        head = strict.head(
            f"{method} {path}", content_length="1000", content_type=JSON, idempotency_key="k"
        )
        connection.sendall(head + b"\r\n")
        until = time.monotonic() + 15
        came = b""
        while not came and time.monotonic() < until:
            connection.sendall(b"x")
            try:
                came = connection.recv(65_536)
            except TimeoutError:
                continue
        connection.settimeout(20)
        refused(answer_in(came), 408, "request_too_slow")
        assert connection.recv(65_536) == b""


def test_who_is_answered_before_the_body_is_whole_may_not_stay_for_ever(strict: Server) -> None:
    with strict.connect() as connection:
        head = strict.head("POST /nothing", content_length="10")
        connection.sendall(head + b"\r\n12345")
        assert answer_in(connection.recv(65_536)).status == 404
        connection.sendall(b"67890")
        connection.settimeout(15)
        while connection.recv(65_536):
            pass


def test_a_large_body_that_takes_its_time_is_read(server: Server) -> None:
    body = b'{"metadata": {"note": "' + b"x" * 900_000 + b'"}}'
    with server.connect() as connection:
        head = server.head(
            "POST /v1/deposits",
            content_length=str(len(body)),
            content_type=JSON,
            idempotency_key="k",
            connection="close",
        )
        connection.sendall(head + b"\r\n")
        for start in range(0, len(body), 60_000):
            connection.sendall(body[start : start + 60_000])
            time.sleep(0.05)
        answer = last_answer(connection)
    assert answer is not None
    assert (answer.status, answer.problem["code"]) == (422, "request_invalid")


def test_a_stream_outlives_every_limit(strict_beside_a_stream: StrictBesideAStream) -> None:
    _, stream, began = strict_beside_a_stream
    assert b"200 OK" in stream.recv(65_536)
    stream.settimeout(max(0.1, began + 6 - time.monotonic()))  # longer than any of them
    with pytest.raises(TimeoutError):
        last_answer(stream)


def test_who_does_not_take_the_answer_loses_the_connection(strict: Server) -> None:
    request = strict.head("GET /openapi.json") + b"\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", strict.port))
        connection.settimeout(1)
        connection.sendall(request)
        _wait_until(lambda: strict.holds(connection))
        push(connection, request, 100)  # more than the system keeps for a connection
        _wait_until(lambda: not strict.holds(connection), seconds=60)


def _wait_until(done: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.1)


# --- requests sent ahead, and connections kept ------------------------------------------------


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    request = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    other = b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    came = bytearray()
    with server.connect() as connection:
        connection.sendall(request * 600 + other + request * 600 + last)
        while part := connection.recv(65_536):
            came += part
    answers = came.split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200"] * 600 + [b"404"] + [b"200"] * 601


def test_an_answer_under_way_is_finished_before_what_follows_is_refused(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("GET /v1/transactions") + b"\r\n" + b"nonsense\r\n\r\n")
        answer = last_answer(connection)
    assert answer is not None
    assert answer.status == 200
    assert b"HTTP/1.1" not in answer.body


def test_a_connection_serves_one_request_after_another(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(server.head("GET /livez") + b"\r\n")
            came = b""
            while not came.endswith(b'{"status":"ok"}'):
                came += connection.recv(65_536)
            assert answer_in(came).status == 200
            time.sleep(0.3)


def test_an_upgrade_is_not_taken_and_escapes_no_limit(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            server.head("GET /livez", connection="upgrade", upgrade="websocket") + b"\r\n"
        )
        answer = last_answer(connection)
    assert answer is not None
    assert answer.status == 200


# --- connections ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /v1/transactions HTTP/1.1\r\n",
        b"POST /v1/providers/simulator/notices HTTP/1.1\r\ncontent-length: 10\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_half_sent_requests_take_nobodys_place(server: Server, beginning: bytes) -> None:
    with neighbour(server) as other, many(server, 1_100, beginning):
        for path in ("/livez", "/readyz", "/v1/transactions"):
            assert _status_of(server, path) == 200
    assert other.slowest_seconds < 10.0  # 1,100 connections have to be dealt with
    assert not other.failures


def test_an_address_has_so_many_connections_and_probes_beside_them(strict: Server) -> None:
    stream = strict.head("GET /v1/events", accept="text/event-stream") + b"\r\n"
    with many(strict, 3, stream) as streams:
        for connection in streams:
            assert b"200 OK" in connection.recv(65_536)
        assert _status_of(strict, "/v1/transactions") == 503
        for probe in ("/livez", "/readyz", "/metrics"):
            assert _status_of(strict, probe) == 200
        assert _status_of(strict, "/v1/transactions", OTHER_ADDRESS) == 200
        with strict.connect() as connection:
            connection.sendall(strict.head("GET /v1/transactions") + b"\r\n")
            answer = refused(last_answer(connection), 503, "too_many_connections")
            assert answer.headers["retry-after"] == "1"
    _wait_until(lambda: _status_of(strict, "/v1/transactions") == 200)


def test_all_connections_are_bounded_and_probes_answer_beside_them(strict: Server) -> None:
    stream = strict.head("GET /v1/events", accept="text/event-stream") + b"\r\n"
    with (
        many(strict, 3, stream) as streams,
        many(strict, 2, stream, OTHER_ADDRESS) as others,
        many(strict, 200, b"GET /"),
    ):
        for connection in (*streams, *others):
            assert b"200 OK" in connection.recv(65_536)
        for address in ("127.0.0.1", OTHER_ADDRESS):
            assert _status_of(strict, "/v1/transactions", address) == 503
            assert _status_of(strict, "/livez", address) == 200
    _wait_until(lambda: _status_of(strict, "/v1/transactions") == 200)


def _status_of(server: Server, path: str, from_address: str = "127.0.0.1") -> int:
    with server.connect(from_address) as connection:
        connection.sendall(server.head(f"GET {path}", connection="close") + b"\r\n")
        answer = last_answer(connection)
    assert answer is not None
    return answer.status
