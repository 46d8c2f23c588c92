"""Clients that go away: whatever they had asked for, the others are answered as before."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from random import Random
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import psycopg
import pytest
from starlette.types import Message

from api.http.app import create_app
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from tallystick.serve.bootstrap import READ_CONNECTIONS_MAX, READS_NAME
from tests.integration.fraud.test_api_fraud_reports import exported
from tests.servers.api_server import Api, running_api, services_over, serving

READS_EVERY = 20
MOMENT_SECONDS_MAX = 0.03
"""Within this a stream has looked at the log for the first time."""

READ_SECONDS_MAX = 2.0
"""Far from what a read takes, and from the five seconds after which one is given up."""


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        for _ in range(20):
            api.deposit(uuid4()).raise_for_status()
        yield api


@contextmanager
def nothing_follows(api: Api) -> Iterator[Api]:
    """The API over a database whose read models have stopped behind the end of the log."""
    with (
        services_over(api.settings) as services,
        serving(services) as url,
        httpx2.Client(base_url=url, timeout=20.0) as client,
    ):
        yield replace(api, url=url, client=client, services=services)


@contextmanager
def asking(api: Api, path: str, *headers: str) -> Iterator[socket.socket]:
    """A connection on which compliance has sent a request."""
    address = urlsplit(api.url)
    with closing(socket.create_connection((address.hostname, address.port), 10.0)) as connection:
        key = f"authorization: Bearer {api.keys['cleo']}"
        lines = (f"GET {path} HTTP/1.1", "host: tests", key, *headers, "", "")
        connection.sendall("\r\n".join(lines).encode())
        yield connection


def leave_at_every_moment(api: Api, path: str, *headers: str, times: int = 100) -> None:
    """Ask and leave, orderly or as a client that has crashed, with reads beside.

    Every read is answered in time, and no connection to the database had to be thrown away.
    """
    slowest_seconds = max(reads_seconds(api))
    connected = backends(api)
    assert connected
    for number in range(times):
        random = Random(number)
        with asking(api, path, *headers) as connection:
            time.sleep(random.uniform(0.0, MOMENT_SECONDS_MAX))
            if random.random() < 0.5:
                reset_at_close = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_at_close)
        if number % READS_EVERY == READS_EVERY - 1:
            slowest_seconds = max(slowest_seconds, *reads_seconds(api))
    assert slowest_seconds < READ_SECONDS_MAX
    assert connected <= backends(api)


def backends(api: Api) -> set[int]:
    """The processes of the database that serve what requests read."""
    query = """
        SELECT pid FROM pg_stat_activity
        WHERE application_name = %s AND datname = current_database()
    """
    with psycopg.connect(conninfo(api.settings, Role.READER)) as reader:
        return {pid for (pid,) in reader.execute(query, [READS_NAME])}


def reads_seconds(api: Api) -> list[float]:
    """How long as many reads as the API has connections took, all at once."""

    def read(_number: int) -> float:
        began = time.monotonic()
        answer = api.get("/v1/events", "cleo", params={"limit": 1})
        assert answer.status_code == 200, answer.text
        return time.monotonic() - began

    with ThreadPoolExecutor(READ_CONNECTIONS_MAX) as threads:
        return list(threads.map(read, range(READ_CONNECTIONS_MAX)))


def end_of(api: Api) -> int:
    return int(api.get("/v1/events", "cleo", params={"limit": 1}).json()["head"])


def test_a_stream_that_is_left_gives_back_what_it_held(api: Api) -> None:
    leave_at_every_moment(api, "/v1/events", "accept: text/event-stream", times=400)


def test_a_stream_ends_between_two_events_where_its_client_leaves(api: Api) -> None:
    sent = asyncio.run(sent_of_a_stream(api, leaving_after=b"\n\n"))
    assert 0 < sum(b"data: " in body for body in sent) <= 3


async def sent_of_a_stream(api: Api, leaving_after: bytes) -> list[bytes]:
    """What the API sends to a client that leaves when it has its first event."""
    has_left, sent = asyncio.Event(), list[bytes]()
    asking = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        for request in asking:
            return request
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if sent[-1].startswith(b"event:") and sent[-1].endswith(leaving_after):
            has_left.set()

    headers = {"authorization": f"Bearer {api.keys['cleo']}", "accept": "text/event-stream"}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/events",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    app = create_app(api.services)
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return sent


def test_a_page_that_is_left_gives_back_what_it_held(api: Api) -> None:
    leave_at_every_moment(api, f"/v1/transactions?as_of={end_of(api)}")


def test_a_download_that_is_left_gives_back_what_it_held(api: Api) -> None:
    file = exported(api, "cleo")["files"][0]["href"]
    leave_at_every_moment(api, file)


@pytest.mark.parametrize("query", ["min_position", "as_of"])
def test_who_waits_for_a_read_model_keeps_nobody_from_reading(
    database: Settings, query: str
) -> None:
    """Also where they stay: more of them than there are connections."""
    with running_api(database) as running:
        running.deposit(uuid4()).raise_for_status()
    with nothing_follows(running) as api:
        api.deposit(uuid4()).raise_for_status()
        path = f"/v1/transactions?{query}={end_of(api)}"
        leave_at_every_moment(api, path, times=40)
        with ExitStack() as stack:
            waits = range(2 * READ_CONNECTIONS_MAX)
            waiting = [stack.enter_context(asking(api, path)) for _ in waits]
            time.sleep(0.2)
            assert max(reads_seconds(api)) < READ_SECONDS_MAX
            told = [connection.recv(64) for connection in waiting]
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in told), told
