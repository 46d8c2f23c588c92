"""From the simulated provider, over HTTP both ways, to the player's balance: paid, back, paid."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx2
import pytest

from domain import accounts
from domain.provider.attempt import reference
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.providers.simulator.adapter import SimulatorProvider
from ledger.settings import Settings
from ledger.workers.worker import Worker
from tests.integration.fraud.assessing import CALL_TIMEOUT_SECONDS
from tests.servers.api_server import Api, running_api
from tests.servers.simulator_server import SEED, TOKEN, free_port, wait_until

FUNDS = 5_000
OUT = 3_000
ONE_WAY = (
    "declined=0,authorised_voided=0,"
    "paid_at_once=0,payout_declined_hard=0,payout_declined_soft=0,payout_returned=0"
)


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@contextmanager
def simulated(api: Api, *options: str) -> Iterator[httpx2.Client]:
    """A provider whose webhooks go to the API; what people at the bank do there."""
    port = free_port()
    command = [sys.executable, "-m", "tallystick.play.simulator", "--port", str(port)]
    command += ["--seed", str(SEED), "--time-scale", "0.02", "--settle-seconds", "0.05"]
    command += ["--webhook-url", f"{api.url}/v1/providers/simulator/notices", *options]
    environment = os.environ | {
        "TALLYSTICK_SIMULATOR_SECRET": api.secrets.webhook_secret,
        "TALLYSTICK_SIMULATOR_TOKEN": TOKEN,
    }
    process = subprocess.Popen(command, env=environment)
    url = f"http://127.0.0.1:{port}"
    provider = SimulatorProvider(url, api.secrets.webhook_secret, TOKEN)
    worker = Worker(
        conninfo=database.conninfo(api.settings, Role.WRITER),
        inbox=api.services.inbox,
        dispatch=api.dispatch,
        providers={"simulator": provider},
        clock=lambda: datetime.now(UTC),
        concurrency=2,
        call_timeout_seconds=CALL_TIMEOUT_SECONDS,
    )
    stop = threading.Event()
    working = threading.Thread(target=worker.run, args=(stop,))
    headers = {"authorization": f"Bearer {TOKEN}"}
    try:
        wait_until(lambda: provider.health_probe(timeout_seconds=1), 20)
        working.start()
        with httpx2.Client(base_url=url, headers=headers, trust_env=False) as bank:
            yield bank
    finally:
        stop.set()
        if working.ident is not None:
            working.join()
        provider.close()
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("faults", ["none", "duplicate=1,reorder=1"])
def test_the_books_follow_the_bank_however_often_it_changes_its_mind(api: Api, faults: str) -> None:
    player = uuid4()
    with simulated(api, "--faults", faults, "--profiles", ONE_WAY) as bank:
        api.verified(player)
        asked = api.deposit(player, FUNDS, instrument=None).json()["id"]
        wait_until(lambda: api.transaction(asked)["status"] == "completed", 20)
        payout = api.withdraw(player, OUT, instrument=None).json()["id"]
        attempt = reference(UUID(payout), 1)

        def is_known(status: str, available: int) -> bool:
            known = api.transaction(payout)["status"] == status
            return known and api.balance(player) == available

        wait_until(lambda: is_known("paid", FUNDS - OUT), 20)
        for action, status, available in (
            ("return", "returned", FUNDS),
            ("pay-again", "paid", FUNDS - OUT),
            ("return", "returned", FUNDS),
            ("pay-again", "paid", FUNDS - OUT),
        ):
            path = f"/v1/payments/{attempt}/{action}"
            wait_until(lambda path=path: bank.post(path).status_code == 202, 20)
            wait_until(lambda s=status, a=available: is_known(s, a), 20)
        wait_until(lambda: bool(bank.get("/v1/statistics").json()["idle"]), 20)
        theirs = bank.get("/v1/statistics").json()["references"][attempt]
    assert theirs["status"] == "succeeded"
    assert theirs["effects"] == {"payout": 3, "return": 2}
    wait_until(lambda: is_known("paid", FUNDS - OUT), 20)
    reserved = accounts.reserved(player, "EUR")
    assert api.services.handling.ledger.balances([reserved])[reserved] == 0
