"""An acknowledged command survives SIGKILL of API, projector, workers or database at any instant.

Clients write down every acknowledgement, flushed to disk, while parts of the real program are
killed: at random moments, and at the named places in the code where it hurts most.
"""

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from psycopg.rows import namedtuple_row

from domain.provider.attempt import parse_reference
from ledger.access import api_keys
from ledger.access.keyring import provider_secrets
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.engine import reading
from projections.outstanding import outstanding
from projections.registry import READ_MODELS
from replay.verify import verify
from tallystick.serve import bootstrap, stack
from tallystick.serve.supervisor import Part, Supervisor
from tests.servers.running import PARTS, POSTGRES, Place, place, until

CLIENTS = 4
PLAYERS = 12
PAUSE_SECONDS = 0.08
"""Between a client's requests, so that the workers keep up."""

REVIVED_SECONDS_MAX = 60.0
SETTLED_SECONDS_MAX = 90.0

FAULTPOINTS = (
    ("api", "writer.before_commit"),
    ("api", "writer.after_commit"),
    ("projector", "projector.before_commit"),
    ("projector", "projector.after_commit"),
    ("workers", "worker.before_call"),
    ("workers", "worker.after_call"),
)
"""A part, and where in it to die. The part is killed to arm it, and then dies there: two kills."""

MOVED = {"completed", "paid"}
MAY_HAVE_MOVED = {"review", "returned"}


# --- the program --------------------------------------------------------------------------------


class Stack:
    """Every part of the ledger under its supervisor, each with an environment of its own."""

    def __init__(self, here: Place) -> None:
        self.here = here
        ports = _free_ports(2)
        self.settings: Settings = here.settings.model_copy(
            update={
                "port": ports[0],
                "simulator_port": ports[1],
                "provider_timeout_seconds": 2.0,
                "log_level": "error",
            }
        )
        bootstrap.prepare(self.settings)
        self._parts = {
            part.name: Part(part.name, part.arguments, dict(part.environment))
            for part in stack.parts(self.settings, seed=7, faults="duplicate=0.2,drop=0.1")
        }
        self.kills: Counter[str] = Counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        supervisor = Supervisor(
            list(self._parts.values()), lambda: stack.keep_database(self.settings)
        )
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def kill(self, victim: str, random: Random) -> None:
        """SIGKILL, as soon as there is somebody to kill."""
        until(lambda: self.here.kill(victim, random), f"{victim} to be there", REVIVED_SECONDS_MAX)
        self.kills[victim] += 1

    def kill_at(self, part: str, name: str, passes: int, random: Random) -> None:
        """Have the part die when it passes the faultpoint for the `passes`th time."""
        environment = self._parts[part].environment
        before = until(lambda: self.here.pid_of(part), f"{part} to be there", REVIVED_SECONDS_MAX)
        environment["TALLYSTICK_FAULTPOINT"] = f"{name}:{passes}"
        self.kill(part, random)
        armed = until(
            lambda: self._another(part, before), f"{part} to start again", REVIVED_SECONDS_MAX
        )
        del environment["TALLYSTICK_FAULTPOINT"]
        until(
            lambda: self.here.pid_of(part) != armed, f"{part} to die at {name}", REVIVED_SECONDS_MAX
        )
        self.kills[name] += 1

    def _another(self, part: str, before: int) -> int | None:
        pid = self.here.pid_of(part)
        return pid if pid != before else None

    def read(self, query: str, *values: object) -> list[Any]:
        target = database.conninfo(self.settings, Role.READER)
        with psycopg.connect(target, row_factory=namedtuple_row) as connection:
            return connection.execute(query, values).fetchall()

    def statistics(self) -> dict[str, Any]:
        """What the provider counted."""
        token = provider_secrets(self.settings.data, stack.SIMULATOR).token
        found: dict[str, Any] = httpx2.get(
            f"http://127.0.0.1:{self.settings.simulator_port}/v1/statistics",
            headers={"authorization": f"Bearer {token}"},
            timeout=10.0,
        ).json()
        return found

    def is_quiet(self) -> bool:
        """Nothing is outstanding, no read model lags, the provider has nothing more to say."""
        try:
            with psycopg.connect(
                database.conninfo(self.settings, Role.READER), autocommit=True
            ) as connection:
                # In this order: what the provider has said is in the log by the time the lag is
                # read, and what is in the log is in the read model by the time it is counted.
                return (
                    self.statistics()["idle"]
                    and not any(each.lag_events for each in reading.lag_sync(connection))
                    and outstanding.count(connection) == 0
                )
        except (psycopg.OperationalError, httpx2.TransportError):
            return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_until_drawn:
        listeners = [open_until_drawn.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


# --- clients ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Acknowledged:
    """What a client was told."""

    id: UUID
    position: int
    leaf: str


class Clients:
    """They ask for deposits and withdrawals, repeat what was cut short, and note each answer."""

    def __init__(self, url: str, key: str, notes: Path, seed: int) -> None:
        self._url, self._key, self._notes, self._seed = url, key, notes, seed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.asked = 0
        self.surprises: list[str] = []
        self._players = [uuid4() for _ in range(PLAYERS)]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Until the block ends, and then until each has an answer to its last request."""
        self._introduce_players()
        threads = [threading.Thread(target=self._work, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def acknowledged(self) -> list[Acknowledged]:
        lines = [json.loads(line) for line in self._notes.read_text().splitlines()]
        return [Acknowledged(UUID(line["id"]), line["position"], line["leaf"]) for line in lines]

    def _client(self) -> httpx2.Client:
        return httpx2.Client(
            base_url=self._url, headers={"authorization": f"Bearer {self._key}"}, timeout=15.0
        )

    def _introduce_players(self) -> None:
        with self._client() as client:
            until(lambda: _is_ready(client), "the API to be ready", REVIVED_SECONDS_MAX)
            for player in self._players:
                answer = client.put(
                    f"/v1/players/{player}",
                    json={"verification": "full"},
                    headers={"idempotency-key": f"player-{player}"},
                )
                assert answer.is_success, answer.text

    def _work(self, number: int) -> None:
        random = Random(f"{self._seed}-{number}")
        with self._client() as client, self._notes.open("a") as notes:
            while not self._stop.is_set():
                answer = self._ask(client, random)
                if answer is not None:
                    receipt = answer["receipt"]
                    kept = {"id": answer["id"], "position": answer["position"]}
                    with self._lock:
                        notes.write(json.dumps(kept | {"leaf": receipt["leaf"]}) + "\n")
                        notes.flush()
                        os.fsync(notes.fileno())
                self._stop.wait(PAUSE_SECONDS)

    def _ask(self, client: httpx2.Client, random: Random) -> dict[str, Any] | None:
        """One request, with one key, until it is answered; None if it never was."""
        path = random.choice(("/v1/deposits", "/v1/deposits", "/v1/withdrawals"))
        body = {
            "player_id": str(random.choice(self._players)),
            "method": "card" if path == "/v1/deposits" else "bank_transfer",
            "amount": {"amount": random.randrange(100, 5_000), "currency": "EUR"},
        }
        headers = {"idempotency-key": str(uuid4())}
        with self._lock:
            self.asked += 1
        deadline = monotonic() + REVIVED_SECONDS_MAX
        while monotonic() < deadline:
            try:
                answer = client.post(path, json=body, headers=headers)
            except httpx2.TransportError:
                threading.Event().wait(PAUSE_SECONDS)
                continue
            if answer.status_code == 201 or answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            if answer.status_code not in (429, 502, 503, 504):
                self.surprises.append(f"{answer.status_code} {answer.text}")
                return None
            threading.Event().wait(PAUSE_SECONDS)
        self.surprises.append(f"no answer within {REVIVED_SECONDS_MAX} s")
        return None


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx2.TransportError:
        return False


# --- the kills ----------------------------------------------------------------------------------

Blow = tuple[str, str | None]
"""Whom to kill, and at which faultpoint, if at one."""


def _default_blows(random: Random) -> list[Blow]:
    """20 kills: at every faultpoint once (two kills each), and eight at random moments."""
    plain = [*(POSTGRES,) * 4, *PARTS, random.choice(PARTS)]
    blows: list[Blow] = [*FAULTPOINTS, *((victim, None) for victim in plain)]
    random.shuffle(blows)
    return blows


def _random_blows(random: Random, kills: int) -> list[Blow]:
    blows: list[Blow] = []
    while kills > 0:
        blow: Blow = random.choice((*FAULTPOINTS, *((v, None) for v in (*PARTS, POSTGRES) * 2)))
        blows.append(blow)
        kills -= 1 if blow[1] is None else 2
    return blows


def _strike(program: Stack, blows: list[Blow], random: Random) -> None:
    pause = threading.Event()
    for victim, faultpoint in blows:
        pause.wait(random.uniform(0.0, 0.8))  # at any instant
        if faultpoint is None:
            program.kill(victim, random)
        else:
            program.kill_at(victim, faultpoint, random.randint(1, 4), random)


def _survive(seed: int, blows: list[Blow], random: Random) -> None:
    print(f"seed {seed}: {blows}")
    with place() as here:
        program = Stack(here)
        owner = database.conninfo(program.settings, Role.OWNER)
        key = api_keys.create_key(owner, "platform", api_keys.StaffRole.FINANCE)
        clients = Clients(program.url, key, here.folder / "acknowledged", seed)
        with program.running():
            with clients.at_work():
                _strike(program, blows, random)
            until(program.is_quiet, "everything to settle", SETTLED_SECONDS_MAX)
            provider = program.statistics()
        print(f"{clients.asked} requests, {len(clients.acknowledged())} acknowledged; killed:")
        print(dict(program.kills))
        _check_acknowledged(program, clients)
        _check_money_moved_once(program, provider)
        found = verify(database.conninfo(program.settings, Role.READER), READ_MODELS)
        assert found.ok, found.problems


# --- what must hold afterwards ------------------------------------------------------------------


def _check_acknowledged(program: Stack, clients: Clients) -> None:
    """Each acknowledged id is in the log exactly once, at the position the client was told."""
    assert not clients.surprises
    acknowledged = clients.acknowledged()
    assert len(acknowledged) == clients.asked > 0
    opened: Counter[UUID] = Counter()
    stream_at: dict[int, tuple[UUID, str]] = {}
    for row in program.read(
        "SELECT notification_id, originator_id, topic, leaf FROM ledger_events"
        " ORDER BY notification_id"
    ):
        opened[row.originator_id] += row.topic in ("DepositCreated", "WithdrawalRequested")
        stream_at[row.notification_id] = (row.originator_id, row.leaf.hex())
    assert list(stream_at) == list(range(1, len(stream_at) + 1))
    for told in acknowledged:
        assert stream_at[told.position] == (told.id, told.leaf)
        assert opened[told.id] == 1
    assert len({told.id for told in acknowledged}) == len(acknowledged)
    # Whoever was acknowledged is all there is: every request was repeated until it was.
    assert sum(opened.values()) == len(acknowledged)


def _check_money_moved_once(program: Stack, provider: dict[str, Any]) -> None:
    """Over all attempts of a transaction, and exactly where the ledger says that it did."""
    moved: Counter[UUID] = Counter()
    for reference, counted in provider["references"].items():
        parsed = parse_reference(reference)
        assert parsed is not None, reference
        effects = counted["effects"]
        moved[parsed[0]] += effects.get("deposit", 0) + effects.get("payout", 0)
    assert max(moved.values()) == 1
    for row in program.read("SELECT id, status FROM history_v2.transactions"):
        if row.status in MOVED:
            assert moved[row.id] == 1, row
        elif row.status not in MAY_HAVE_MOVED:
            assert moved[row.id] == 0, row
    still_open = "SELECT count(*) AS n FROM outstanding_v3.work WHERE due_at IS NOT NULL"
    assert program.read(still_open)[0].n == 0


# --- tests --------------------------------------------------------------------------------------


@pytest.mark.timeout(280)
def test_what_was_acknowledged_survives_twenty_kills() -> None:
    seed = int(os.environ.get("TALLYSTICK_TEST_SEED", "0")) or Random().randrange(1, 2**31)
    random = Random(seed)
    _survive(seed, _default_blows(random), random)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_what_was_acknowledged_survives_a_thousand_kills() -> None:
    """TALLYSTICK_SOAK_KILLS says how many, TALLYSTICK_TEST_SEED repeats a run."""
    seed = int(os.environ.get("TALLYSTICK_TEST_SEED", "0")) or Random().randrange(1, 2**31)
    random = Random(seed)
    kills = int(os.environ.get("TALLYSTICK_SOAK_KILLS", "1000"))
    _survive(seed, _random_blows(random, kills), random)
