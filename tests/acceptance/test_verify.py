"""Verify finds whatever somebody who may do anything to the database did to it.

As the superuser, with the triggers off: every kind of alteration of a stored event, and of what
is kept beside the log. Each time `verify` must say so and name the place; put back, all is well.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import namedtuple_row

from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.eventstore.merkle import Frontier
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.registry import READ_MODELS
from replay.verify import Verification, part_names, tasks, verify
from replay.verify.run import _Run
from tests.conftest import admin_connection
from tests.oracles.ledger_checks import leaf_of
from tests.servers.api_server import running_api
from tests.servers.running import Place

ALTERATIONS_OF_EACH_KIND = 12
_OURS = ("public", *(f"{model.name}_v{model.version}" for model in READ_MODELS))


@dataclass(frozen=True)
class Vault:
    """A ledger, and the superuser's connection to its database."""

    settings: Settings
    admin: psycopg.Connection[Any]

    def verify(self) -> Verification:
        return verify(database.conninfo(self.settings, Role.READER), READ_MODELS)

    def execute(self, statement: str, *values: object) -> int:
        """As the superuser; how many rows it changed."""
        return self.admin.execute(statement.encode(), values).rowcount

    def log(self) -> list[Any]:
        with self.admin.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute("SELECT * FROM ledger_events ORDER BY 1").fetchall()

    def batch_of(self, position: int) -> range:
        """The positions that were appended together with this one."""
        sizes = [
            0,
            *(row[0] for row in self.admin.execute("SELECT size FROM ledger_roots ORDER BY 1")),
        ]
        return next(range(a + 1, b + 1) for a, b in pairwise(sizes) if a < position <= b)

    @contextmanager
    def altered(self) -> Iterator[None]:
        """Afterwards every table is as it was, and verify says so."""
        try:
            yield
        finally:
            for schema, table in self._tables():
                copy = sql.Identifier("kept", f"{schema}.{table}")
                original = sql.Identifier(schema, table)
                self.admin.execute(sql.SQL("TRUNCATE {}").format(original))
                self.admin.execute(
                    sql.SQL("INSERT INTO {} SELECT * FROM {}").format(original, copy)
                )
        assert self.verify().ok

    def keep(self) -> None:
        """Remember every table as it is."""
        self.execute("SET session_replication_role = replica")
        self.execute("CREATE SCHEMA kept")
        for schema, table in self._tables():
            copy = sql.Identifier("kept", f"{schema}.{table}")
            original = sql.Identifier(schema, table)
            self.admin.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(copy, original))

    def _tables(self) -> list[tuple[str, str]]:
        return self.admin.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)"
            " AND tablename NOT IN ('alembic_version', 'api_keys')",
            [list(_OURS)],
        ).fetchall()


@pytest.fixture(scope="module")
def vault(module_database: Settings) -> Iterator[Vault]:
    """A day's worth: deposits paid in, withdrawals small and under review, a refusal."""
    with running_api(module_database) as api:
        for _ in range(3):
            player = uuid4()
            api.fund(player, 20_000)
            api.withdraw(player, 4_000)
        api.withdraw(uuid4(), 100)
        for approver in ("anna", "ben"):
            case = api.review(uuid4())
            answer = api.post(
                f"/v1/withdrawals/{case['id']}/approve", {"note": "fine"}, person=approver
            )
            assert answer.is_success, answer.text
    Projector(
        conninfo=database.conninfo(module_database, Role.WRITER),
        models=READ_MODELS,
        decode=decode,
    ).catch_up()
    with admin_connection(module_database, module_database.database_name) as admin:
        made = Vault(module_database, admin)
        found = made.verify()
        assert found.ok, found.problems
        assert found.events == len(made.log()) >= 35
        assert any(len(made.batch_of(event.notification_id)) > 1 for event in made.log())
        made.keep()
        yield made


def check_found(found: Verification, position: int | range) -> None:
    """It says false, and names the position, or one in the range where it cannot know better."""
    expected = range(position, position + 1) if isinstance(position, int) else position
    assert not found.ok
    assert found.first_bad_position in expected, found.problems
    assert all(problem.code and problem.detail for problem in found.problems)
    assert [problem.position for problem in found.problems] == sorted(
        problem.position for problem in found.problems
    )


# --- one stored event ---------------------------------------------------------------------------


def _flipped(random: Random, content: bytes) -> bytes:
    index = random.randrange(len(content))
    changed = bytes([content[index] ^ (1 << random.randrange(8))])
    return content[:index] + changed + content[index + 1 :]


def _state(random: Random, event: Any) -> bytes:
    return _flipped(random, event.state)


def _amount(random: Random, event: Any) -> bytes:
    """Readable all the same: a digit for another."""
    digits = [index for index, byte in enumerate(event.state) if byte in b"123456789"]
    index = random.choice(digits)
    other = random.choice([digit for digit in b"123456789" if digit != event.state[index]])
    changed: bytes = event.state[:index] + bytes([other]) + event.state[index + 1 :]
    return changed


def _shorter(random: Random, event: Any) -> bytes:
    kept: bytes = event.state[: random.randrange(len(event.state))]
    return kept


def _topic(random: Random, event: Any) -> str:
    known = ["DepositCompleted", "WithdrawalPaid", "PlayerRegistered", "Nonsense", ""]
    return random.choice([topic for topic in known if topic != event.topic])


def _stream(random: Random, event: Any) -> UUID:
    return UUID(bytes=_flipped(random, event.originator_id.bytes))


def _version(random: Random, event: Any) -> int:
    return random.choice((0, -1, -(2**40), 1_000, 2**62)) - event.originator_version % 2


def _recorded_at(random: Random, event: Any) -> datetime | str:
    step = timedelta(microseconds=random.choice((1, -1, 10**6, -(10**10), 10**12)))
    moved: datetime = event.recorded_at + step
    return random.choice((moved, moved, "infinity", "-infinity", datetime(1, 1, 1, tzinfo=UTC)))


def _leaf(random: Random, event: Any) -> bytes:
    return random.choice((_flipped(random, event.leaf), b"", event.leaf + b"\0"))


ALTERATIONS = {
    "state": ("state", _state),
    "amount": ("state", _amount),
    "shorter_state": ("state", _shorter),
    "topic": ("topic", _topic),
    "stream": ("originator_id", _stream),
    "version": ("originator_version", _version),
    "recorded_at": ("recorded_at", _recorded_at),
    "leaf": ("leaf", _leaf),
}


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_any_alteration_of_an_event_is_found_where_it_is(vault: Vault, kind: str) -> None:
    column, alter = ALTERATIONS[kind]
    random = Random(f"alter {kind}")
    for event in random.sample(vault.log(), ALTERATIONS_OF_EACH_KIND):
        value = alter(random, event)
        with vault.altered():
            changed = vault.execute(
                f"UPDATE ledger_events SET {column} = %s WHERE notification_id = %s",
                value,
                event.notification_id,
            )
            assert changed == 1
            found = vault.verify()
            print(event.notification_id, event.topic, column, value)
            check_found(found, event.notification_id)
            assert "altered" in {problem.code for problem in found.problems}


def test_an_event_at_another_position_is_missed_where_it_was(vault: Vault) -> None:
    random = Random(1)
    log = vault.log()
    for event in random.sample(log, 6):
        for position in (0, -3, len(log) + 1, len(log) + 1_000, 2**62):
            with vault.altered():
                _move(vault, event.notification_id, position)
                check_found(vault.verify(), min(event.notification_id, position))


def _move(vault: Vault, position: int, to: int) -> None:
    vault.execute(
        "UPDATE ledger_events SET notification_id = %s WHERE notification_id = %s", to, position
    )


def test_a_rewritten_event_with_a_matching_leaf_is_found_in_its_batch(vault: Vault) -> None:
    random = Random(2)
    for event in random.sample(vault.log(), 12):
        changed = event._replace(state=_amount(random, event))
        with vault.altered():
            vault.execute(
                "UPDATE ledger_events SET state = %s, leaf = %s WHERE notification_id = %s",
                changed.state,
                leaf_of(changed),
                event.notification_id,
            )
            batch = vault.batch_of(event.notification_id)
            check_found(vault.verify(), range(batch.start, event.notification_id + 1))


def test_each_of_several_alterations_is_named(vault: Vault) -> None:
    positions = [5, 17, 23]
    with vault.altered():
        vault.execute("UPDATE ledger_events SET leaf = %s WHERE notification_id = 5", b"x" * 32)
        vault.execute("UPDATE ledger_events SET topic = 'X' WHERE notification_id = 17")
        vault.execute("UPDATE ledger_events SET state = '{}' WHERE notification_id = 23")
        found = vault.verify()
        check_found(found, positions[0])
        assert [p.position for p in found.problems if p.code == "altered"] == positions


# --- the log as a whole -------------------------------------------------------------------------


def test_a_deleted_event_is_missed_where_it_was(vault: Vault) -> None:
    last = len(vault.log())
    for position in (1, 2, last // 2, last - 1, last):
        with vault.altered():
            vault.execute("DELETE FROM ledger_events WHERE notification_id = %s", position)
            found = vault.verify()
            check_found(found, position)
            gaps = [p for p in found.problems if p.code in ("gap", "missing")]
            assert [gap.position for gap in gaps] == [position]


def test_swapped_events_are_found(vault: Vault) -> None:
    random = Random(3)
    for _ in range(6):
        first, second = sorted(random.sample(range(1, len(vault.log()) + 1), 2))
        with vault.altered():
            for position, to in ((first, -1), (second, first), (-1, second)):
                _move(vault, position, to)
            check_found(vault.verify(), range(vault.batch_of(first).start, first + 1))


def test_an_event_inserted_between_others_is_found(vault: Vault) -> None:
    log = vault.log()
    for position in (1, 7, 20, len(log)):
        batch = vault.batch_of(position)
        with vault.altered():
            vault.execute(
                "UPDATE ledger_events SET notification_id = -notification_id"
                " WHERE notification_id >= %s",
                position,
            )
            vault.execute(
                "UPDATE ledger_events SET notification_id = 1 - notification_id"
                " WHERE notification_id < 0"
            )
            _insert(vault, log[position - 1], position)
            check_found(vault.verify(), range(batch.start, position + 1))


@pytest.mark.parametrize("before", [0, -5])
def test_an_event_inserted_before_the_first_is_found(vault: Vault, before: int) -> None:
    with vault.altered():
        _insert(vault, vault.log()[0], before)
        check_found(vault.verify(), before)


@pytest.mark.parametrize("head_moves", [False, True])
def test_an_event_added_to_the_end_is_found(vault: Vault, head_moves: bool) -> None:
    log = vault.log()
    end = len(log) + 1
    with vault.altered():
        _insert(vault, log[-1], end)
        if head_moves:
            vault.execute("UPDATE ledger_head SET position = %s", end)
        check_found(vault.verify(), end)


def _insert(vault: Vault, like: Any, position: int) -> None:
    """An event of a new stream, as well made as one can without touching what is beside the log."""
    made = like._replace(notification_id=position, originator_id=uuid4(), originator_version=1)
    leaf = leaf_of(made) if position > 0 else made.leaf
    vault.execute("INSERT INTO ledger_events VALUES (%s, %s, %s, %s, %s, %s, %s)", *made[:6], leaf)


@pytest.mark.parametrize("head_put_back", [False, True])
@pytest.mark.parametrize("roots_too", [False, True])
def test_a_truncated_tail_is_found(vault: Vault, head_put_back: bool, roots_too: bool) -> None:
    """With the head, its root and the roots put back too, what follows from the log is ahead."""
    log = vault.log()
    keep = vault.batch_of(len(log) - 6).start - 1
    frontier = Frontier()
    frontier.extend(event.leaf for event in log[:keep])
    with vault.altered():
        vault.execute("DELETE FROM ledger_events WHERE notification_id > %s", keep)
        if roots_too:
            vault.execute("DELETE FROM ledger_roots WHERE size > %s", keep)
        if head_put_back:
            vault.execute(
                "UPDATE ledger_head SET position = %s, root = %s, frontier = %s, recorded_at = %s",
                keep,
                frontier.root(),
                frontier.pack(),
                log[keep - 1].recorded_at,
            )
        check_found(vault.verify(), range(keep + 1, len(log) + 1))


# --- beside the log -----------------------------------------------------------------------------

BESIDE = {
    "balance": "UPDATE ledger_accounts SET balance = balance + 1 WHERE account = %(account)s",
    "account deleted": "DELETE FROM ledger_accounts WHERE account = %(account)s",
    "account invented": "INSERT INTO ledger_accounts VALUES ('house:mine:EUR', 5, NULL, 3)",
    "account renamed": "UPDATE ledger_accounts SET account = 'x' WHERE account = %(account)s",
    "floor": "UPDATE ledger_accounts SET floor = NULL WHERE account = %(account)s",
    "root": "UPDATE ledger_roots SET root = sha256('x') WHERE size = %(size)s",
    "root deleted": "DELETE FROM ledger_roots WHERE size = %(size)s",
    "last root deleted": "DELETE FROM ledger_roots WHERE size = %(last)s",
    "root invented": "INSERT INTO ledger_roots VALUES (%(last)s + 5, sha256('x'))",
    "root of nothing": "INSERT INTO ledger_roots VALUES (0, sha256('x'))",
    "head's root": "UPDATE ledger_head SET root = sha256('x')",
    "head's frontier": "UPDATE ledger_head SET frontier = sha256('x') || substr(frontier, 33)",
    "head's frontier cut": "UPDATE ledger_head SET frontier = ''",
    "head's time": "UPDATE ledger_head SET recorded_at = recorded_at - interval '1 second'",
    "head's position": "UPDATE ledger_head SET position = position - 1",
    "status": "UPDATE history_v2.transactions SET status = 'failed' WHERE id = %(id)s",
    "transaction deleted": "DELETE FROM history_v2.transactions WHERE id = %(id)s",
    "journal": "UPDATE journal_v1.entries SET amount_minor = amount_minor + 1"
    " WHERE account = %(account)s",
    "work done": "DELETE FROM outstanding_v3.work WHERE work ="
    " (SELECT work FROM outstanding_v3.work WHERE due_at IS NOT NULL LIMIT 1)",
    "work invented": "INSERT INTO outstanding_v3.work"
    " VALUES ('x', 'poll', gen_random_uuid(), NULL, 0, 1, 'simulator', now(), NULL, NULL, 3)",
    "checkpoint back": "UPDATE read_models SET position = 10 WHERE name = 'journal'",
    "checkpoint ahead": "UPDATE read_models SET position = position + 7 WHERE name = 'journal'",
    "checkpoint deleted": "DELETE FROM read_models WHERE name = 'history'",
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_is_kept_beside_the_log_must_follow_from_it(vault: Vault, what: str) -> None:
    log = vault.log()
    completed = next(event for event in log if event.topic == "DepositCompleted")
    account = vault.admin.execute(
        "SELECT account FROM ledger_accounts WHERE account LIKE '%:available:%' AND balance > 0"
        " ORDER BY position, account LIMIT 1"
    ).fetchone()
    assert account is not None
    values = {
        "account": account[0],
        "size": vault.batch_of(len(log) // 2).stop - 1,
        "last": len(log),
        "id": completed.originator_id,
    }
    with vault.altered():
        assert vault.admin.execute(BESIDE[what].encode(), values).rowcount > 0
        found = vault.verify()
        check_found(found, range(len(log) + 10))


def test_a_rewritten_root_is_found_at_its_batch(vault: Vault) -> None:
    log = vault.log()
    for position in (3, len(log) // 2, len(log)):
        batch = vault.batch_of(position)
        with vault.altered():
            vault.execute(
                "UPDATE ledger_roots SET root = sha256(root) WHERE size = %s", batch.stop - 1
            )
            check_found(vault.verify(), batch.start)


# --- shared work, and what is not there ---------------------------------------------------------


def test_the_same_is_found_however_many_share_the_work(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_PIECE_EVENTS_MIN", 5)
    reader = database.conninfo(vault.settings, Role.READER)
    for statement in (
        "SELECT 1",
        "UPDATE ledger_events SET state = '{}' WHERE notification_id = 20",
        "DELETE FROM ledger_events WHERE notification_id = 7",
        "UPDATE ledger_roots SET root = sha256('x') WHERE size > 9 AND size < 30",
    ):
        with vault.altered():
            vault.execute(statement)
            alone, shared = (verify(reader, READ_MODELS, jobs=jobs) for jobs in (1, 3))
            assert shared.problems == alone.problems
            assert shared.parts == alone.parts
            assert shared.first_bad_position == alone.first_bad_position


def test_a_dropped_table_is_a_problem_and_no_crash(vault: Vault) -> None:
    for what in ("SCHEMA history_v2", "TABLE journal_v1.entries", "TABLE ledger_events"):
        with vault.admin.transaction(force_rollback=True):
            vault.execute(f"DROP {what} CASCADE")
            run = _Run(vault.admin, READ_MODELS, set(part_names()), (), (), None, None)
            found = run.alone()
        assert not found.ok
        codes = {problem.code for problem in found.problems}
        assert codes & {"read_model_missing", "table_missing"}, found.problems


# --- at the terminal ----------------------------------------------------------------------------


SHAPE = {
    "ok": bool,
    "events": int,
    "position": int,
    "root": str,
    "first_bad_position": int | None,
    "problems": list,
    "problems_found": int,
    "parts": list,
    "checkpoints": dict,
    "jobs": int,
    "elapsed_s": float,
    "events_per_s": float | int,
    "peak_memory_mb": float,
}


def test_the_command_says_so_in_json_and_by_its_exit_status(vault: Vault) -> None:
    here = Place(vault.settings.data.parent)
    name = {"TALLYSTICK_DATABASE_NAME": vault.settings.database_name}
    answer = here.invoke("verify", "--json", **name)
    assert answer.exit_code == 0, answer.stderr
    sound = json.loads(answer.stdout)
    _check_shape(sound)
    assert (sound["ok"], sound["first_bad_position"], sound["problems"]) == (True, None, [])
    assert sound["events"] == sound["position"] == len(vault.log())

    with vault.altered():
        vault.execute("UPDATE ledger_events SET state = '{}' WHERE notification_id = 11")
        in_json = here.run("verify", "--json", **name)
        in_words = here.invoke("verify", **name)
    assert (in_json.returncode, in_words.exit_code) == (1, 1)
    bad = json.loads(in_json.stdout)
    _check_shape(bad)
    assert (bad["ok"], bad["first_bad_position"]) == (False, 11)
    assert all(set(problem) == {"position", "code", "detail"} for problem in bad["problems"])
    assert "the first is at position 11" in " ".join(in_words.stdout.split())


def _check_shape(answer: dict[str, Any]) -> None:
    assert set(answer) == set(SHAPE)
    for name, kind in SHAPE.items():
        assert isinstance(answer[name], kind), name
