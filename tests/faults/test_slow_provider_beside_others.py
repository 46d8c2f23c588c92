"""A provider that trickles, beside one that answers: two workers, over a real database."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.command import Command
from domain.provider.attempt import reference
from ledger.commands.conversion import PROVIDER_QUOTE_TIMEOUT_SECONDS
from ledger.commands.dispatch import Dispatch
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.providers.simulator.adapter import SimulatorProvider
from ledger.settings import Settings
from ledger.workers.worker import Worker
from tests.servers import slow_provider as slow
from tests.servers.api_server import PARALLEL, Api, running_api
from tests.servers.simulator_server import SECRET, TOKEN, Simulator, running, wait_until
from tests.servers.slow_provider import SlowProvider, slow_provider

CALL_TIMEOUT_SECONDS = 2.0
"""Longer than it takes until an attempt is asked about."""

HANDS = 4
WORKERS = 2
PROMPT_SECONDS = 15.0
"""For a busy machine; the slow one trickles for longer."""

TRICKLES_SECONDS = 40.0
STOPS_SECONDS_MAX = CALL_TIMEOUT_SECONDS + 8.0


@pytest.fixture(scope="module")
def good() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def api(database: Settings) -> Iterator[Api]:
    with running_api(database) as api:
        api.services.providers.register(
            "slow",
            adapter="simulator",
            poll_delays_seconds=(1, 1, 1),
            expiry_seconds={"redirect": 600, "bank_transfer": 600, "voucher": 600},
            command=Command(
                now=datetime.now(UTC), actor="system:tests", command_id=uuid4(), request_digest=""
            ),
        )
        yield api


@pytest.fixture
def trickling() -> Iterator[SlowProvider]:
    with slow_provider(slow.HEADER, gives_up_seconds=TRICKLES_SECONDS) as provider:
        yield provider


@contextmanager
def working(api: Api, good: Simulator, trickling: SlowProvider) -> Iterator[None]:
    """Two workers, with adapters of their own as two processes have; they stop in time."""
    stop = threading.Event()
    with ExitStack() as at_end:
        threads = []
        for _ in range(WORKERS):
            adapters = {
                name: at_end.enter_context(closing(SimulatorProvider(url, SECRET, TOKEN)))
                for name, url in (("simulator", good.url), ("slow", trickling.url))
            }
            worker = Worker(
                conninfo=database.conninfo(api.settings, Role.WRITER),
                inbox=api.services.inbox,
                dispatch=Dispatch(api.services.handling, api.assessments, CALL_TIMEOUT_SECONDS),
                providers=adapters,
                clock=lambda: datetime.now(UTC),
                concurrency=HANDS,
                call_timeout_seconds=CALL_TIMEOUT_SECONDS,
            )
            threads.append(threading.Thread(target=worker.run, args=(stop,)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            stopped = time.monotonic()
            for thread in threads:
                thread.join()
        assert time.monotonic() - stopped < STOPS_SECONDS_MAX


def deposits(api: Api, count: int, provider: str) -> list[UUID]:
    made = [api.deposit(uuid4(), provider=provider).json() for _ in range(count)]
    assert {each["provider"] for each in made} == {provider}
    return [UUID(each["id"]) for each in made]


def test_a_provider_that_trickles_starves_nobody(
    api: Api, good: Simulator, trickling: SlowProvider
) -> None:
    player = uuid4()
    api.verified(player)
    api.fund(player)
    deposits(api, 10 * HANDS, "slow")
    with working(api, good, trickling):
        wait_until(lambda: trickling.calls_now() == WORKERS * HANDS, PROMPT_SECONDS)
        sent = [reference(each, 1) for each in deposits(api, 5 * HANDS, "simulator")]
        payout = api.withdraw(player).json()["id"]
        wait_until(lambda: good.statistics()["references"].keys() >= {*sent}, PROMPT_SECONDS)
        wait_until(
            lambda: api.transaction(payout)["status"] not in ("requested", "queued"),
            PROMPT_SECONDS,
        )
        assert trickling.calls_now() <= WORKERS * HANDS
    assert max(trickling.ended) < CALL_TIMEOUT_SECONDS + 2.0


def test_an_attempt_is_never_called_about_twice_at_once(
    api: Api, good: Simulator, trickling: SlowProvider
) -> None:
    """Neither asked about while it is being sent, nor sent while it is being asked about."""
    stuck = {reference(each, 1) for each in deposits(api, HANDS, "slow")}
    with working(api, good, trickling):
        wait_until(
            lambda: (
                trickling.overlaps.total() > 0 or min(trickling.calls[each] for each in stuck) > 2
            ),
            TRICKLES_SECONDS,
        )
    assert trickling.overlaps.total() == 0, trickling.overlaps
    assert trickling.calls.keys() == stuck


def test_those_who_wait_for_a_quote_keep_nobody_else_waiting(
    database: Settings, trickling: SlowProvider
) -> None:
    port = int(trickling.url.rpartition(":")[2])
    with running_api(database.model_copy(update={"simulator_port": port})) as api:
        player = uuid4()
        api.verified(player)
        body = {
            "player_id": str(player),
            "source": {"amount": 1_000, "currency": "EUR"},
            "target_currency": "USD",
            "provider": "simulator",
        }
        with ThreadPoolExecutor(PARALLEL) as callers:
            asked = [
                callers.submit(api.post, "/v1/conversions/quotes", body) for _ in range(PARALLEL)
            ]
            wait_until(lambda: trickling.calls_now() > 0, PROMPT_SECONDS)
            assert api.deposit(player).status_code == 201
            answers = [each.result() for each in asked]
    assert {(each.status_code, each.json()["code"]) for each in answers} == {
        (503, "quote_unavailable")
    }
    assert trickling.calls.total() < PARALLEL
    assert max(trickling.ended) < PROVIDER_QUOTE_TIMEOUT_SECONDS + 2.0
