"""The signer signs what it has computed itself, and nothing else."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from domain.events import LedgerEvent
from ledger.checkpoints import recomputing, renewal, signers, signing, store
from ledger.checkpoints.checkpoint import open_checkpoint
from ledger.checkpoints.keys import signing_key, verifying_keys
from ledger.checkpoints.note import Signer
from ledger.checkpoints.signing import CheckpointSigner, Refused, SignerBusy
from ledger.checkpoints.state import StateFile
from ledger.checkpoints.store import StoredCheckpoint
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.merkle import Frontier
from ledger.settings import Settings
from tallystick.cli import doctor
from tallystick.cli.main import app
from tests.conftest import admin_connection, fresh_database
from tests.oracles.ledger_checks import ledger_on, log, player_history, registered, rows

KEY = Signer("tests.example/log", b"k" * 32)


@dataclass(frozen=True)
class Signed:
    """A ledger, and a signer of it."""

    database: Settings
    cluster: Settings
    folder: Path

    def signer(self, key: Signer = KEY, name: str = "state") -> CheckpointSigner:
        return CheckpointSigner(
            conninfo=conninfo(self.database, Role.WRITER),
            key=lambda: key,
            state=StateFile(self.folder, name),
            clock=lambda: datetime.now(UTC),
        )

    def sign(self, key: Signer = KEY, name: str = "state") -> StoredCheckpoint:
        found = self.signer(key, name).sign_now(timeout_seconds=5)
        assert found is not None
        return found

    def append(self, count: int, batches: int = 1) -> None:
        with ledger_on(self.database) as ledger:
            for _ in range(batches):
                ledger.append(one_batch(count))

    def tamper(self, *statements: str) -> None:
        """As somebody who may do everything to the database."""
        with admin_connection(self.cluster, self.database.database_name) as connection:
            connection.execute("SET session_replication_role = replica")  # no triggers
            for statement in statements:
                connection.execute(statement.encode())

    def stored(self) -> list[StoredCheckpoint]:
        with psycopg.connect(conninfo(self.database, Role.READER)) as connection:
            return list(store.every(connection))

    def refusal(self) -> str | None:
        """The code that others can read in the database."""
        with psycopg.connect(conninfo(self.database, Role.READER)) as connection:
            return next(each.refused for each in signers.every(connection))

    @contextmanager
    def running(self, *more: CheckpointSigner) -> Iterator[None]:
        stop = threading.Event()
        threads = [
            threading.Thread(target=each.run, args=(stop,)) for each in more or (self.signer(),)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def one_batch(count: int) -> Sequence[LedgerEvent]:
    """`count` events that are appended together."""
    return player_history(registered().originator_id, count)


def until(found: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def ledger(database: Settings, cluster: Settings, tmp_path: Path) -> Signed:
    return Signed(database, cluster, tmp_path)


# --- signing ------------------------------------------------------------------------------------


def test_what_is_signed_is_the_tree_of_the_events(ledger: Signed) -> None:
    ledger.append(3, batches=4)
    found = ledger.sign()
    frontier = Frontier()
    frontier.extend(event.leaf for event in log(ledger.database))
    opened = open_checkpoint(found.note, [KEY.verifier])
    assert (opened.size, opened.root) == (12, frontier.root()) == (found.size, found.root)
    assert ledger.stored() == [found]


def test_an_empty_log_is_not_signed(ledger: Signed) -> None:
    assert ledger.signer().sign_now() is None
    assert ledger.stored() == []


def test_signing_again_without_news_changes_nothing(ledger: Signed) -> None:
    ledger.append(2)
    assert ledger.sign() == ledger.sign()
    ledger.append(2)
    assert ledger.sign().size == 4
    assert [each.size for each in ledger.stored()] == [2, 4]


def test_a_signer_that_runs_signs_what_is_appended(ledger: Signed) -> None:
    with ledger.running():
        for expected in (2, 4):
            ledger.append(2)
            until(lambda: [each.size for each in ledger.stored()][-1:] == [expected])  # noqa: B023


def test_a_first_run_goes_in_steps_that_end_where_batches_do(
    ledger: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "STEP_EVENTS", 300)
    monkeypatch.setattr(recomputing, "PAGE_EVENTS", 128)
    ledger.append(70, batches=9)
    ledger.append(400)
    ledger.append(1)
    ledger.sign()
    assert [each.size for each in ledger.stored()] == [280, 560, 630, 1030, 1031]
    kept = rows(ledger.database, "SELECT height, number FROM ledger_subtrees ORDER BY 1, 2")
    assert [tuple(each) for each in kept] == [(8, 0), (8, 1), (8, 2), (8, 3)]


def test_a_signer_without_state_recomputes_all_and_comes_to_the_same(ledger: Signed) -> None:
    ledger.append(3, batches=3)
    first = ledger.sign()
    ledger.append(300)
    assert ledger.sign(name="new machine").size == 309
    assert [each.size for each in ledger.stored()] == [first.size, 309]
    assert rows(ledger.database, "SELECT FROM ledger_subtrees")


def test_which_checkpoint_covers_a_position_never_changes(
    ledger: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(5, batches=4)
    first = ledger.sign()
    monkeypatch.setattr(recomputing, "STEP_EVENTS", 5)
    another = Signer("tests.example/other", b"o" * 32)
    assert ledger.sign(another, "other").size == 20
    with psycopg.connect(conninfo(ledger.database, Role.READER)) as connection:
        assert store.covering(connection, 3) == first
        assert store.covering(connection, 21) is None
        pages = store.page(connection, None, 1)
        pages += store.page(connection, pages[-1].size, 1, pages[-1].key)
        assert sorted(each.key for each in pages) == sorted([first.key, another.verifier.id])


def test_of_two_signers_one_works_and_the_other_takes_over(ledger: Signed) -> None:
    first, second = ledger.signer(), ledger.signer(name="another machine")
    stop = threading.Event()
    thread = threading.Thread(target=first.run, args=(stop,))
    thread.start()
    try:
        ledger.append(2)
        until(ledger.stored)
        with ledger.running(second):
            ledger.append(2)
            assert second.sign_now(timeout_seconds=10) == ledger.stored()[-1]
            stop.set()
            thread.join()
            ledger.append(2)
            until(lambda: ledger.stored()[-1].size == 6)
    finally:
        stop.set()
        thread.join()


def test_two_signers_never_share_a_state_file(ledger: Signed) -> None:
    """Whoever lost its connection, and with it the lock in the database, may still be writing."""
    ledger.append(2)
    with StateFile(ledger.folder, "state").held() as held:
        assert held
        with pytest.raises(SignerBusy):
            ledger.signer().sign_now(timeout_seconds=0.2)
    assert ledger.sign().size == 2


def test_a_signer_outlives_its_connections(ledger: Signed) -> None:
    with ledger.running():
        ledger.append(2)
        until(ledger.stored)
        ledger.tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        ledger.append(2)
        until(lambda: ledger.stored()[-1].size == 4)


# --- refusing -----------------------------------------------------------------------------------

ALTERED = {
    "an event": ("UPDATE ledger_events SET state = '{}' WHERE notification_id = 8", "leaf_differs"),
    "an instant": (
        "UPDATE ledger_events SET recorded_at = 'infinity' WHERE notification_id = 8",
        "leaf_differs",
    ),
    "a leaf": (
        "UPDATE ledger_events SET leaf = sha256('') WHERE notification_id = 8",
        "leaf_differs",
    ),
    "a missing event": ("DELETE FROM ledger_events WHERE notification_id = 8", "position_missing"),
    "a missing end": ("DELETE FROM ledger_events WHERE notification_id = 10", "position_missing"),
    "the head's root": ("UPDATE ledger_head SET root = sha256('')", "root_differs"),
    "a batch's root": (
        "UPDATE ledger_roots SET root = sha256('') WHERE size = 10",
        "root_differs",
    ),
    "a missing root": ("DELETE FROM ledger_roots WHERE size > 5", "root_missing"),
    "a shorter log": ("UPDATE ledger_head SET position = 4", "log_shorter"),
    "a root that was signed": (
        "UPDATE ledger_roots SET root = sha256('') WHERE size = 5",
        "root_differs",
    ),
    "a checkpoint": ("UPDATE ledger_checkpoints SET root = sha256('')", "checkpoint_differs"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_is_not_as_recorded_is_not_signed(ledger: Signed, what: str) -> None:
    statement, code = ALTERED[what]
    ledger.append(5)
    ledger.sign()
    ledger.append(5)
    ledger.tamper(statement)
    with pytest.raises(Refused) as refused:
        ledger.sign()
    assert refused.value.code == code == ledger.refusal()
    assert [each.size for each in ledger.stored()] == [5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_events SET state = '{}' WHERE notification_id = 2",
        "UPDATE ledger_checkpoints SET root = sha256('') WHERE size = 5",
        "UPDATE ledger_head SET position = 5",
    ],
)
def test_a_signer_without_state_compares_all_that_its_key_has_signed(
    ledger: Signed, statement: str
) -> None:
    for _ in range(2):
        ledger.append(5)
        ledger.sign()
    ledger.append(5)
    ledger.tamper(statement)
    with pytest.raises(Refused):
        ledger.sign(name="new machine")
    assert [each.size for each in ledger.stored()] == [5, 10]


def test_another_history_is_never_signed_with_the_same_key(
    ledger: Signed, cluster: Settings
) -> None:
    ledger.append(5)
    ledger.sign()
    with fresh_database(cluster) as restored:
        other = Signed(restored, cluster, ledger.folder)
        for count, code in ((4, "log_shorter"), (1, "root_differs"), (5, "root_differs")):
            other.append(count)
            with pytest.raises(Refused) as refused:
                other.sign()
            assert refused.value.code == code
        assert other.stored() == []


def test_it_goes_on_once_the_trouble_is_gone(ledger: Signed) -> None:
    ledger.append(5)
    with ledger.running():
        until(ledger.stored)
        ledger.tamper("UPDATE ledger_head SET position = 4")  # as on a standby that is behind
        until(ledger.refusal)
        ledger.tamper("UPDATE ledger_head SET position = 5")
        ledger.append(2)
        until(lambda: ledger.refusal() is None)
        until(lambda: ledger.stored()[-1].size == 7)


def test_a_damaged_state_is_not_taken_for_none(ledger: Signed) -> None:
    ledger.append(5)
    ledger.sign()
    path = StateFile(ledger.folder, "state").path
    whole = path.read_text()
    for damaged in (whole[:-20], whole.replace('"size": 5', '"size": 6'), "{}", "[]"):
        path.write_text(damaged)
        with pytest.raises(Refused) as refused:
            ledger.sign()
        assert refused.value.code == "state_unreadable"
    path.write_text(whole)
    assert ledger.sign().size == 5


def test_what_the_database_has_lost_of_the_last_checkpoint_is_put_back(ledger: Signed) -> None:
    ledger.append(256)
    found = ledger.sign()
    ledger.tamper("DELETE FROM ledger_checkpoints", "DELETE FROM ledger_subtrees")
    assert ledger.sign() == found
    assert ledger.stored() == [found]
    assert len(rows(ledger.database, "SELECT FROM ledger_subtrees")) == 1


def test_a_state_file_from_a_backup_signs_nothing_anew(ledger: Signed) -> None:
    path = StateFile(ledger.folder, "state").path
    ledger.append(5)
    ledger.sign()
    backup = path.read_text()
    ledger.append(5)
    ledger.sign()
    before = ledger.stored()
    path.write_text(backup)
    assert ledger.sign() == before[-1]
    assert ledger.stored() == before


def test_a_key_that_comes_back_remembers_what_it_has_signed(
    ledger: Signed, cluster: Settings
) -> None:
    """Its file, and the database, are put back from a backup: of before another key was made."""
    another = Signer("tests.example/other", b"o" * 32)
    ledger.append(5)
    ledger.sign()
    ledger.sign(another)
    with fresh_database(cluster) as restored:
        other = Signed(restored, cluster, ledger.folder)
        other.append(5)
        for key in (KEY, another, KEY):
            with pytest.raises(Refused) as refused:
                other.sign(key)
            assert refused.value.code == "root_differs"
        assert other.stored() == []
    assert ledger.sign().size == 5


def test_a_clock_that_was_set_back_changes_nothing_of_what_was_signed(ledger: Signed) -> None:
    ledger.append(5)
    first = ledger.sign()
    another = Signer("tests.example/other", b"o" * 32)
    with_old_clock = CheckpointSigner(
        conninfo=conninfo(ledger.database, Role.WRITER),
        key=lambda: another,
        state=StateFile(ledger.folder, "other"),
        clock=lambda: datetime(2001, 1, 1, tzinfo=UTC),
    )
    assert with_old_clock.sign_now() is not None
    with psycopg.connect(conninfo(ledger.database, Role.READER)) as connection:
        assert store.covering(connection, 3) == first == store.at(connection, 5)
        assert store.newest(connection) == first


# --- new keys -----------------------------------------------------------------------------------


def test_after_a_new_key_the_old_one_signs_no_more_and_still_verifies(ledger: Signed) -> None:
    ours = ledger.database
    writer = conninfo(ours, Role.WRITER)
    ledger.append(5)
    old = signing_key(ours)
    with ledger.running(signing.build(ours, lambda: datetime.now(UTC))):
        until(ledger.stored)
        retired, made = renewal.new_key(ours, writer, "a restore", datetime.now(UTC))
        ledger.append(5)
        until(lambda: ledger.stored()[-1].size == 10)
    assert (retired, made) == (old.verifier, signing_key(ours).verifier)
    keys = {each.size: each.key for each in ledger.stored() if each.size == 10}
    assert keys == {10: made.id}
    for each in ledger.stored():
        open_checkpoint(each.note, verifying_keys(ours))
    ledger.append(1)
    with pytest.raises(Refused, match="retired"):  # somebody has kept the file
        ledger.sign(old, "kept")
    assert [each.size for each in ledger.stored() if each.key == old.verifier.id] == [5]


def test_a_new_key_that_was_begun_and_not_finished_is_finished_later(ledger: Signed) -> None:
    """Killed after the database was told: nothing is signed until it is said again."""
    ours, now = ledger.database, datetime.now(UTC)
    ledger.append(5)
    key = signing_key(ours).verifier
    with psycopg.connect(conninfo(ours, Role.WRITER)) as connection:
        signers.retire(connection, key.id, str(key), "a restore", now)
    with pytest.raises(Refused, match="retired"):
        signing.build(ours, lambda: now).sign_now()
    assert ledger.stored() == []
    assert "new-key" in str(doctor_on_checkpoints(ours).remedy)
    renewal.new_key(ours, conninfo(ours, Role.WRITER), "a restore", now)
    assert doctor_on_checkpoints(ours).ok
    assert signing.build(ours, lambda: now).sign_now() is not None


def test_after_a_restore_and_a_new_key_the_ledger_verifies_again(ledger: Signed) -> None:
    """What the old key has signed of the events that were lost is still in its file, set aside."""
    ours, clock = ledger.database, lambda: datetime.now(UTC)
    ledger.append(5)
    signing.build(ours, clock).sign_now()
    ledger.tamper(
        "TRUNCATE ledger_events, ledger_roots, ledger_checkpoints",
        "UPDATE ledger_head SET position = 0, root = sha256(''), frontier = '',"
        " recorded_at = 'epoch'",
    )
    ledger.append(3)
    assert verified(ours).exit_code == 1
    renewal.new_key(ours, conninfo(ours, Role.WRITER), "a restore", clock())
    assert verified(ours).exit_code == 0
    signing.build(ours, clock).sign_now()
    assert verified(ours).exit_code == 0


def verified(settings: Settings) -> Result:
    environment = {
        "TALLYSTICK_DATA": str(settings.data),
        "TALLYSTICK_SYSTEM_DATA": str(settings.system_data),
        "TALLYSTICK_DATABASE_NAME": settings.database_name,
    }
    return CliRunner(env=environment).invoke(app, ["verify", "--only", "log", "--jobs", "1"])


# --- the doctor ---------------------------------------------------------------------------------


def doctor_on_checkpoints(settings: Settings) -> doctor.Check:
    (found,) = (check for check in doctor.run_checks(settings) if check.name == "Checkpoints")
    return found


def test_the_doctor_tells_how_signing_is_doing(ledger: Signed) -> None:
    ours, clock = ledger.database, lambda: datetime.now(UTC)
    ledger.append(5)
    assert "nothing is signed yet of 5 events" in doctor_on_checkpoints(ours).detail
    signing.build(ours, clock).sign_now()
    ledger.append(2)
    assert "of 5 events" in doctor_on_checkpoints(ours).detail
    assert "2 events are newer" in doctor_on_checkpoints(ours).detail
    ledger.tamper("UPDATE ledger_events SET state = '{}' WHERE notification_id = 7")
    with pytest.raises(Refused):
        signing.build(ours, clock).sign_now()
    found = doctor_on_checkpoints(ours)
    assert not found.ok
    assert "position 7" in found.detail
    assert found.remedy is not None
    assert "new-key" in found.remedy


def test_the_doctor_sees_a_database_that_has_lost_what_was_signed(ledger: Signed) -> None:
    ledger.append(5)
    signing.build(ledger.database, lambda: datetime.now(UTC)).sign_now()
    ledger.tamper("UPDATE ledger_head SET position = 4")
    assert not doctor_on_checkpoints(ledger.database).ok
