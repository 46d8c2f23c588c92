"""Start a ledger of its own, play a day on it, and report."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psycopg

from ledger.access import api_keys
from ledger.access.api_keys import StaffRole
from ledger.access.keyring import provider_secrets
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from projections.engine import reading
from projections.fraud import queries as fraud
from projections.outstanding import outstanding
from replay import log
from tallystick.play.demo.http import PATIENCE_SECONDS, Person
from tallystick.play.demo.plan import plan_day
from tallystick.play.demo.play import Cast, Play, Progress
from tallystick.play.demo.report import Report, report
from tallystick.play.simulator.faults import parse_faults
from tallystick.serve import bootstrap, stack
from tallystick.serve.supervisor import Supervisor

QUIET_LOOKS = 3
"""So many looks in a row must find nothing going on."""


def play_day(
    settings: Settings,
    *,
    seed: int,
    transactions: int,
    faults: str,
    on_progress: Progress,
) -> Report:
    """Play the day of `seed` on a stack of processes started for it.

    Raises:
        InvalidFaults: `faults` is neither a name nor rates; nothing has been started.
        SetupError: a ledger is running on this database already, or it cannot be set up.
    """
    parsed_faults = parse_faults(faults)
    settings = settings.model_copy(
        update={
            "host": "127.0.0.1",
            "port": _free_port(),
            "simulator_port": _free_port(),
            "provider_timeout_seconds": 2.0,
            "log_level": "error",
        }
    )
    with stack.only_one(settings), _running(settings, seed, faults):
        url = f"http://{settings.host}:{settings.port}"
        with httpx2.Client(base_url=url, timeout=30.0) as client:
            _wait_until_ready(client)
            owner = database.conninfo(settings, Role.OWNER)
            people = {
                name: Person(client, api_keys.create_key(owner, f"demo-{name}", role))
                for name, role in _PEOPLE.items()
            }
            cast = Cast(
                **people,
                seed=seed,
                faults=parsed_faults,
                is_quiet=_Quiet(settings).look,
            )
            Play(plan_day(seed, transactions), cast, on_progress).run()
    with log.snapshot(database.conninfo(settings, Role.READER)) as connection:
        return report(connection)


@contextmanager
def _running(settings: Settings, seed: int, faults: str) -> Iterator[None]:
    """The stack, supervised: what dies during the day is started again."""
    bootstrap.prepare(settings)
    stop = threading.Event()
    parts = stack.parts(settings, seed=seed, faults=faults)
    supervisor = Supervisor(parts, lambda: stack.keep_database(settings))
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _wait_until_ready(client: httpx2.Client) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        try:
            if client.get("/readyz").is_success:
                return
        except httpx2.TransportError:
            pass
        pause.wait(0.1)
    raise SetupError(
        "The API did not become ready.", remedy="Look at what it says: tallystick doctor"
    )


_PEOPLE = {
    "platform": StaffRole.PLATFORM,
    "support": StaffRole.SUPPORT,
    "risk": StaffRole.FRAUD,
    "treasury": StaffRole.FINANCE,
    "compliance": StaffRole.COMPLIANCE,
}


class _Quiet:
    """Whether anything is still going on, in the ledger or at the provider."""

    def __init__(self, settings: Settings) -> None:
        secrets = provider_secrets(settings.data, stack.SIMULATOR)
        self._conninfo = database.conninfo(settings, Role.READER)
        self._simulator = httpx2.Client(
            base_url=f"http://127.0.0.1:{settings.simulator_port}",
            headers={"Authorization": f"Bearer {secrets.token}"},
            timeout=30.0,
        )
        self._quiet_looks = 0

    def look(self) -> bool:
        """True once several looks in a row have found nothing."""
        try:
            quiet = self._provider_is_idle() and self._nothing_is_outstanding()
        except (httpx2.TransportError, psycopg.OperationalError):
            quiet = False
        self._quiet_looks = self._quiet_looks + 1 if quiet else 0
        return self._quiet_looks >= QUIET_LOOKS

    def _provider_is_idle(self) -> bool:
        answer = self._simulator.get("/v1/statistics", params={"detail": "false"})
        return bool(answer.json()["idle"])

    def _nothing_is_outstanding(self) -> bool:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            lags = reading.lag_sync(connection)
            if any(lag.lag_events for lag in lags) or fraud.is_anything_due(connection):
                return False
            return outstanding.count(connection) == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
