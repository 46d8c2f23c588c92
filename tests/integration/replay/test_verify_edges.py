"""Verify at its edges: cut ranges, kept hashes, killed processes, and one moment for everything."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from domain.money import Money
from ledger.checkpoints import store
from ledger.checkpoints.note import Signer
from ledger.checkpoints.signing import CheckpointSigner
from ledger.checkpoints.state import StateFile
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.engine.read_model import ReadModel
from projections.engine.tables import install
from projections.registry import READ_MODELS
from replay.verify import RangeInvalid, Verification, WorkerDied, run, verify
from tests.conftest import admin_connection
from tests.oracles.ledger_checks import credit, ledger_on, player_history, registered, rows

KEY = Signer("tests.example/log", b"k" * 32)

Tamper = Callable[[str], None]


@pytest.fixture
def tamper(database: Settings, cluster: Settings) -> Tamper:
    """As somebody who may do everything to the database."""

    def execute(statement: str) -> None:
        with admin_connection(cluster, database.database_name) as connection:
            connection.execute("SET session_replication_role = replica")
            assert connection.execute(statement.encode()).rowcount != 0

    return execute


def append(database: Settings, *counts: int) -> None:
    """Batches of so many events."""
    with ledger_on(database) as ledger:
        for count in counts:
            ledger.append(player_history(registered().originator_id, count))


def follow(database: Settings, models: Sequence[ReadModel] = READ_MODELS) -> None:
    install(conninfo(database, Role.OWNER), models)
    Projector(conninfo=conninfo(database, Role.WRITER), models=models, decode=decode).catch_up()


def sign(database: Settings) -> store.StoredCheckpoint:
    signer = CheckpointSigner(
        conninfo=conninfo(database, Role.WRITER),
        key=lambda: KEY,
        state=StateFile(database.data, database.database_name),
        clock=lambda: datetime.now(UTC),
    )
    signed = signer.sign_now()
    assert signed is not None
    return signed


def of_log(
    database: Settings, first: int | None = None, last: int | None = None, *notes: str
) -> Verification:
    return verify(
        conninfo(database, Role.READER),
        (),
        parts=["log"],
        verifiers=[KEY.verifier],
        notes=notes,
        first=first,
        last=last,
    )


# --- a range of the log -------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "last"), [(None, 9), (3, 9), (6, 10), (None, 10), (10, 10)])
def test_events_that_are_missing_at_the_end_of_a_range_are_missed(
    database: Settings, tamper: Tamper, first: int | None, last: int
) -> None:
    append(database, 5, 5)
    assert of_log(database, first, last).ok
    tamper("DELETE FROM ledger_events WHERE notification_id > 7")
    found = of_log(database, first, last)
    assert not found.ok
    assert found.first_bad_position in (8, 9), found.problems


@pytest.mark.parametrize(("first", "last"), [(11, None), (2, 11), (7, 6)])
def test_a_range_that_is_not_in_the_log_is_refused(
    database: Settings, first: int | None, last: int | None
) -> None:
    append(database, 5, 5)
    with pytest.raises(RangeInvalid, match=r"--from|ends at position 10"):
        of_log(database, first, last)


def test_a_note_of_more_events_than_there_are_is_told_whatever_the_range(
    database: Settings, tamper: Tamper
) -> None:
    append(database, 5)
    (before,) = rows(database, "SELECT * FROM ledger_head")
    append(database, 5)
    note = sign(database).note
    assert of_log(database, 2, 4, note).ok
    for table in ("ledger_events WHERE notification_id > 5", "ledger_roots WHERE size > 5"):
        tamper(f"DELETE FROM {table}")
    tamper("DELETE FROM ledger_checkpoints")
    with admin_connection(database, database.database_name) as connection:
        connection.execute(
            "UPDATE ledger_head SET (position, recorded_at, frontier, root) = (%s, %s, %s, %s)",
            [before.position, before.recorded_at, before.frontier, before.root],
        )
    assert of_log(database).ok, "nobody knows"
    for first, last in ((None, None), (2, 4), (2, None), (None, 4), (2, 5)):
        found = of_log(database, first, last, note)
        assert (found.ok, found.first_bad_position) == (False, 6), found.problems


# --- hashes that are kept -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE ledger_subtrees SET hash = sha256(hash) WHERE number = 1", 257),
        ("UPDATE ledger_subtrees SET number = 7 WHERE number = 1", 601),
        ("UPDATE ledger_subtrees SET height = 16 WHERE number = 0", 1),
        ("UPDATE ledger_subtrees SET height = 9 WHERE number = 1", 513),
        ("UPDATE ledger_subtrees SET height = 32767 WHERE number = 1", 601),
        ("UPDATE ledger_subtrees SET height = -32768 WHERE number = 1", 2),
        ("UPDATE ledger_subtrees SET number = -5 WHERE number = 1", 1),
    ],
)
def test_a_kept_hash_that_does_not_follow_from_the_leaves_is_found(
    database: Settings, tamper: Tamper, statement: str, position: int
) -> None:
    append(database, 300, 300)
    sign(database)
    found = of_log(database)
    assert found.ok
    assert found.parts[0].checked["subtrees"] == 2
    tamper(statement)
    found = of_log(database)
    assert {problem.code for problem in found.problems} == {"subtree_differs"}
    assert found.first_bad_position == position


# --- beside the log -----------------------------------------------------------------------------


def test_an_account_of_which_the_log_knows_nothing_is_found(
    database: Settings, tamper: Tamper
) -> None:
    append(database, 5)
    tamper("INSERT INTO ledger_accounts VALUES ('house:mine:EUR', 0, NULL, 3)")
    found = verify(conninfo(database, Role.READER), (), parts=["books"])
    assert [problem.code for problem in found.problems] == ["balance_differs"]


def test_a_row_that_no_row_can_be_is_a_problem_and_no_crash(
    database: Settings, tamper: Tamper
) -> None:
    journal = [model for model in READ_MODELS if model.name == "journal"]
    with ledger_on(database) as ledger:
        ledger.append([credit(uuid4(), Money(100, "EUR"))])
    follow(database, journal)
    tamper("UPDATE journal_v1.entries SET occurred_at = 'infinity' WHERE line = 1")
    found = verify(conninfo(database, Role.READER), journal, parts=["journal"])
    assert [problem.code for problem in found.problems] == ["read_model_differs"]


# --- the work -----------------------------------------------------------------------------------


def test_all_of_it_sees_one_moment(database: Settings) -> None:
    """However much is appended and followed while it works."""
    append(database, 3)
    follow(database)
    with run._snapshot(conninfo(database, Role.READER), READ_MODELS) as connection:
        begun = run._Run(connection, READ_MODELS, set(run.part_names()), (), (), None, None)
        append(database, 3)
        follow(database)
        found = begun.alone()
    assert found.ok, found.problems
    assert found.events == found.position == 3


def test_when_a_process_is_killed_nothing_is_verified(database: Settings) -> None:
    append(database, 3)
    killed: list[int] = []

    def kill_one(_done: int, _total: int) -> None:
        if not killed:
            (child, *_) = multiprocessing.active_children()
            assert child.pid is not None
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(WorkerDied, match="nothing is verified"):
        verify(conninfo(database, Role.READER), (), kill_one, jobs=2)
    assert killed
