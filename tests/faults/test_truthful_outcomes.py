"""Every append ends well, or in an error that tells the truth, wherever the connection breaks.

Outcomes are classed: ok (in the log exactly once), failed (`StoreUnavailable`: not in the log),
unknown (only while the database stays away past the deadline). An append nobody competes with is
never a conflict: a repeat of its own half-known commit would look like one.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ledger.eventstore import database as ledger_database
from ledger.eventstore.append import Receipt
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.embedded import control
from ledger.eventstore.errors import AppendError, OutcomeUnknown, StoreUnavailable, VersionConflict
from ledger.eventstore.ledger import Ledger
from ledger.settings import Settings
from tests.conftest import admin_connection, embedded_settings
from tests.oracles.ledger_checks import check_log, log, registered, rows
from tests.servers.proxy import Fault, Proxy

TRANSIENT = [fault for fault in Fault if fault is not Fault.SILENT]


@pytest.fixture
def proxy(database: Settings) -> Iterator[Proxy]:
    opened = Proxy(conninfo(database, Role.WRITER))
    yield opened
    opened.close()


@pytest.fixture
def ledger(proxy: Proxy) -> Iterator[Ledger]:
    opened = Ledger(proxy.conninfo)
    yield opened
    proxy.come_up()
    opened.close()


def times_in_log(database: Settings, stream: UUID) -> int:
    return len(rows(database, "SELECT 1 FROM ledger_events WHERE originator_id = %s", stream))


def attempt(ledger: Ledger, stream: UUID) -> Receipt | AppendError:
    """The append's outcome; anything but an `AppendError` fails the test."""
    try:
        return ledger.append([registered(stream)])
    except AppendError as error:
        return error


def check_truth(database: Settings, outcomes: dict[UUID, Receipt | AppendError]) -> None:
    """Each outcome against the log."""
    events = check_log(database)
    places: dict[UUID, list[int]] = {}
    for event in events:
        places.setdefault(event.originator_id, []).append(event.notification_id)
    for stream, outcome in outcomes.items():
        found = places.get(stream, [])
        if isinstance(outcome, Receipt):
            assert found == [outcome.position]
        elif isinstance(outcome, StoreUnavailable):
            assert found == []
        else:
            assert isinstance(outcome, OutcomeUnknown), f"{outcome!r} is not true"
            assert len(found) <= 1


# --- one break ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_break_around_the_commit_is_survived(
    fault: Fault, proxy: Proxy, ledger: Ledger, database: Settings
) -> None:
    ledger.append([registered()])
    stream = uuid4()
    proxy.arm(fault)
    outcome = attempt(ledger, stream)
    assert proxy.armed() == 0, "the fault did not hit"
    assert isinstance(outcome, Receipt)
    check_truth(database, {stream: outcome})
    ledger.append([registered()])
    assert len(check_log(database)) == 3


@pytest.mark.parametrize("fault", TRANSIENT)
def test_so_is_one_in_the_very_first_batch(
    fault: Fault, proxy: Proxy, ledger: Ledger, database: Settings
) -> None:
    stream = uuid4()
    proxy.arm(fault)
    outcome = attempt(ledger, stream)
    assert isinstance(outcome, Receipt)
    check_truth(database, {stream: outcome})


@pytest.mark.parametrize("fault", TRANSIENT)
def test_three_breaks_in_a_row_are_survived(
    fault: Fault, proxy: Proxy, ledger: Ledger, database: Settings
) -> None:
    stream = uuid4()
    for _ in range(3):
        proxy.arm(fault)
    outcomes = {stream: attempt(ledger, stream)}
    while proxy.armed():
        stream = uuid4()
        outcomes[stream] = attempt(ledger, stream)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes.values())
    check_truth(database, outcomes)


def test_a_commit_still_under_way_when_the_client_is_cut_off_is_not_repeated(
    proxy: Proxy, ledger: Ledger, database: Settings
) -> None:
    """Somebody holds the head, so the server is at work on the batch while we ask about it.

    The head is let go only when another session of the ledger's waits for it, too.
    """
    ledger.append([registered()])
    before, stream = _sessions(database), uuid4()
    proxy.arm(Fault.IN_FLIGHT)
    with (
        admin_connection(database, database.database_name) as holder,
        ThreadPoolExecutor(1) as pool,
    ):
        holder.execute("BEGIN")
        holder.execute("SELECT * FROM ledger_head FOR UPDATE")
        appending = pool.submit(attempt, ledger, stream)
        _until(lambda: _sessions(database, waiting=True) - before)
        holder.execute("ROLLBACK")
        outcome = appending.result()
    assert isinstance(outcome, Receipt)
    check_truth(database, {stream: outcome})


def test_an_answer_that_was_lost_is_found_again_with_its_receipt(
    proxy: Proxy, ledger: Ledger, database: Settings
) -> None:
    ledger.append([registered()])
    stream = uuid4()
    proxy.arm(Fault.AFTER)
    receipt = ledger.append([registered(stream)])
    again = ledger.receipt(stream, 1)
    same = ("position", "leaf", "size", "root", "recorded_at")
    assert [getattr(receipt, name) for name in same] == [getattr(again, name) for name in same]


# --- the database stays away --------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "in_log"), [(Fault.BEFORE, 0), (Fault.AFTER, 1)])
def test_only_while_the_database_stays_away_is_the_outcome_unknown(
    fault: Fault, in_log: int, proxy: Proxy, database: Settings
) -> None:
    ledger = Ledger(proxy.conninfo, timeout_seconds=0.5)
    stream = uuid4()
    proxy.arm(fault, then=proxy.go_down)
    assert type(attempt(ledger, stream)) is OutcomeUnknown
    assert times_in_log(database, stream) == in_log
    refused = uuid4()
    assert type(attempt(ledger, refused)) is StoreUnavailable
    proxy.come_up()
    assert isinstance(_until_it_works(ledger), Receipt)
    assert times_in_log(database, stream) == in_log
    assert times_in_log(database, refused) == 0
    ledger.close()
    check_log(database)


def test_what_was_never_sent_is_unavailable_not_unknown(proxy: Proxy, database: Settings) -> None:
    ledger = Ledger(proxy.conninfo, timeout_seconds=0.3)
    proxy.go_down()
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: attempt(ledger, uuid4()), range(8)))
    assert {type(outcome) for outcome in told} == {StoreUnavailable}
    assert log(database) == []
    proxy.come_up()
    assert isinstance(_until_it_works(ledger), Receipt)
    ledger.close()
    assert len(check_log(database)) == 1


def test_nobody_is_told_of_a_conflict_with_what_was_never_written(
    proxy: Proxy, database: Settings
) -> None:
    """Two appends to one stream in one batch: the batch is lost, so neither came first."""
    ledger = Ledger(proxy.conninfo, timeout_seconds=1.0)
    stream = uuid4()
    with ThreadPoolExecutor(3) as pool:
        with admin_connection(database, database.database_name) as holder:
            holder.execute("BEGIN")
            holder.execute("SELECT * FROM ledger_head FOR UPDATE")
            first = pool.submit(attempt, ledger, uuid4())
            _until(lambda: _sessions(database, waiting=True))
            proxy.arm(Fault.BEFORE, then=proxy.go_down)
            rivals = [pool.submit(attempt, ledger, stream) for _ in range(2)]
            _until(lambda: ledger.waiting() == 2)
        told = [rival.result() for rival in rivals]
        assert isinstance(first.result(), Receipt)
    assert not any(isinstance(outcome, VersionConflict) for outcome in told)
    assert times_in_log(database, stream) == 0
    ledger.close()


def test_a_connection_that_falls_silent_does_not_silence_the_ledger(
    proxy: Proxy, database: Settings
) -> None:
    """Half-open: nothing is lost, nothing arrives. The ledger hangs up and goes on."""
    ledger = Ledger(proxy.conninfo, timeout_seconds=0.5)
    ledger.append([registered()])
    stream = uuid4()
    proxy.arm(Fault.SILENT)
    assert isinstance(attempt(ledger, stream), OutcomeUnknown | StoreUnavailable)
    assert isinstance(_until_it_works(ledger), Receipt)
    ledger.close()
    assert times_in_log(database, stream) == 0
    check_log(database)


# --- many breaks --------------------------------------------------------------------------------


def test_random_breaks_under_load_leave_every_answer_true(
    proxy: Proxy, ledger: Ledger, database: Settings
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    plan = [[chance.random() < 0.2 for _ in range(25)] for _ in range(8)]
    faults = [chance.choice(TRANSIENT) for _ in range(200)]
    outcomes: dict[UUID, Receipt | AppendError] = {}

    def work(breaks: list[bool]) -> None:
        for breaks_now in breaks:
            if breaks_now and faults:
                proxy.arm(faults.pop())
            stream = uuid4()
            outcomes[stream] = attempt(ledger, stream)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, plan))
    assert len(outcomes) == 200
    check_truth(database, outcomes)
    assert not any(isinstance(outcome, VersionConflict) for outcome in outcomes.values())


def test_all_sessions_terminated_every_200_ms(database: Settings) -> None:
    ledger = Ledger(conninfo(database, Role.WRITER))
    outcomes: dict[UUID, Receipt | AppendError] = {}
    rounds = threading.Semaphore(0)
    over = threading.Event()

    def terminate() -> None:
        with admin_connection(database) as connection:
            while not over.wait(0.2):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [database.database_name],
                )
                rounds.release()

    def work(_number: int) -> None:
        while not over.is_set():
            stream = uuid4()
            outcomes[stream] = attempt(ledger, stream)

    with ThreadPoolExecutor(9) as pool:
        working = [pool.submit(work, number) for number in range(8)]
        terminating = pool.submit(terminate)
        for _ in range(10):
            rounds.acquire()
        over.set()
        for future in (*working, terminating):
            future.result()
    ledger.close()
    assert {type(outcome) for outcome in outcomes.values()} == {Receipt}
    check_truth(database, outcomes)


# --- processes killed ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["writer.before_commit", "writer.after_commit"])
@pytest.mark.parametrize("threads", [1, 8])
def test_what_a_killed_process_has_acknowledged_is_in_the_log_once(
    place: str, threads: int, database: Settings, tmp_path: Path
) -> None:
    acknowledged = tmp_path / "acknowledged.txt"
    target = conninfo(database, Role.WRITER)
    killed = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.servers.appender",
            target,
            acknowledged,
            "1000",
            str(threads),
        ],
        env=os.environ | {"TALLYSTICK_FAULTPOINT": f"{place}:20"},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    told = [line.split() for line in acknowledged.read_text().splitlines()]
    assert len(told) >= 19 - threads
    positions = {str(e.originator_id): e.notification_id for e in check_log(database)}
    assert all(positions[stream] == int(position) for stream, position in told)
    # Killed after its commit, the last batch is in the log though nobody was told.
    assert len(positions) >= len(told) + (place == "writer.after_commit")
    with_another = Ledger(target)
    with_another.append([registered()])
    with_another.close()
    check_log(database)


def test_a_killed_database_comes_back_with_everything_acknowledged(folder: Path) -> None:
    settings = embedded_settings(folder)
    ledger_database.prepare(settings)
    ledger = Ledger(conninfo(settings, Role.WRITER), timeout_seconds=30.0)
    outcomes: dict[UUID, Receipt | AppendError] = {}
    over, under_way = threading.Event(), threading.Semaphore(0)

    def work(_number: int) -> None:
        while not over.is_set():
            stream = uuid4()
            outcomes[stream] = attempt(ledger, stream)
            under_way.release()

    with ThreadPoolExecutor(8) as pool:
        working = [pool.submit(work, number) for number in range(8)]
        for _ in range(2):
            for _ in range(100):
                under_way.acquire()
            server = control.status(settings).pid
            assert server is not None
            os.kill(server, signal.SIGKILL)
            control.start(settings)
        over.set()
        for future in working:
            future.result()
    ledger.close()
    assert {type(outcome) for outcome in outcomes.values()} == {Receipt}
    check_truth(settings, outcomes)


# --- helpers ------------------------------------------------------------------------------------


def _until(condition: object) -> None:
    """Wait for something that is bound to happen; pytest's time-out bounds it."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.005)


def _until_it_works(ledger: Ledger) -> Receipt:
    while True:
        outcome = attempt(ledger, uuid4())
        if isinstance(outcome, Receipt):
            return outcome
        assert isinstance(outcome, StoreUnavailable | OutcomeUnknown)


def _sessions(database: Settings, *, waiting: bool = False) -> set[int]:
    """Process ids of the database's sessions; with `waiting`, of those that wait for a lock."""
    with admin_connection(database) as connection:
        found = connection.execute(
            "SELECT pid, wait_event_type = 'Lock' FROM pg_stat_activity WHERE datname = %s",
            [database.database_name],
        ).fetchall()
    return {pid for pid, locked in found if locked or not waiting}
