"""`tallystick replay`: what it tells, and why there is nothing to tell."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from ledger.checkpoints import keys
from ledger.checkpoints.checkpoint import Checkpoint
from ledger.checkpoints.note import Signer, sign
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.positions import AsOf, AsOfInFuture, AsOfInvalid
from ledger.settings import Settings
from replay.account import account_then
from replay.log import POSITION_MAX
from replay.nothing import Nothing
from replay.player import PlayerThen, player_then
from replay.transaction import story
from tallystick.cli.as_of import moment
from tallystick.cli.main import app
from tests.generators.played_day import CREATIONS, PlayedDay, played_day
from tests.oracles.ledger_checks import ledger_on, registered, rows
from tests.servers.running import Place

LIMIT = 4


@pytest.fixture(scope="module")
def played(module_database: Settings) -> PlayedDay:
    return played_day(module_database)


@pytest.fixture
def reader(played: PlayedDay) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(conninfo(played.settings, Role.READER), autocommit=True) as connection:
        yield connection


# --- why there is nothing -----------------------------------------------------------------------


@pytest.fixture
def installed(played: PlayedDay) -> PlayedDay:
    played.installed()
    played.follow()
    return played


def first(played: PlayedDay, topic: str) -> Any:
    return next(row for row in played.rows if row.topic == topic)


def test_what_is_not_a_transaction_is_called_what_it_is(
    installed: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    for topic, said in (
        ("PlayerRegistered", "a player: try `tallystick replay player"),
        ("ProviderNoticeReceived", "a notice of a provider"),
        ("WagerRecorded", "turnover that the platform reported"),
        ("ProviderRegistered", "a provider"),
        ("RateTableProposed", "where each RateTableProposed is recorded"),
    ):
        with pytest.raises(Nothing) as nothing:
            story(reader, first(installed, topic).originator_id)
        assert said in str(nothing.value)
        assert nothing.value.code == "not_a_transaction"
    deposit = first(installed, "DepositCreated").originator_id
    with pytest.raises(Nothing, match="a deposit: try `tallystick replay transaction") as nothing:
        player_then(reader, deposit, position=POSITION_MAX, at=datetime.now(UTC), limit=1)
    assert nothing.value.code == "not_a_player"


def test_what_began_later_is_told_apart_from_what_never_was(
    installed: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    deposit, player = first(installed, "DepositCreated"), first(installed, "PlayerRegistered")
    for row, ask in (
        (deposit, lambda at: story(reader, deposit.originator_id, upto=at)),
        (player, lambda at: player_at(reader, player.originator_id, at)),
    ):
        ask(row.notification_id)
        with pytest.raises(Nothing) as nothing:
            ask(row.notification_id - 1)
        assert nothing.value.code == "not_begun_yet"
        assert f"its first event is at position {row.notification_id}, recorded 20" in str(
            nothing.value
        )
    for ask in (story, lambda r, i: player_at(r, i, POSITION_MAX)):
        with pytest.raises(Nothing, match="in this ledger") as nothing:
            ask(reader, uuid4())
        assert nothing.value.code.startswith("no_such_")


def player_at(reader: psycopg.Connection[Any], player_id: UUID, position: int) -> PlayerThen:
    return player_then(reader, player_id, position=position, at=datetime.now(UTC), limit=LIMIT)


def test_a_player_without_transactions_is_told_why(
    installed: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    begun = next(row for row in installed.rows if row.topic in CREATIONS)
    player_id = UUID(json.loads(begun.state)["player_id"])
    for followed in (installed.follow, installed.uninstalled):
        followed()
        early = player_at(reader, player_id, begun.notification_id - 1)
        assert early.empty is not None
        assert f"the first one is at position {begun.notification_id}" in early.empty
        assert not early.transactions


def test_an_account_without_entries_is_told_why(
    installed: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    for installed_or_not in (installed.installed, installed.uninstalled):
        installed_or_not()
        row = first(installed, "DepositCompleted")
        account = f"player:{json.loads(row.state)['player_id']}:available:EUR"
        early = account_then(reader, account, position=1, limit=LIMIT)
        assert (early.balance_minor, early.entries) == (0, ())
        assert early.empty is not None
        assert "its first entry is at position" in early.empty
        with pytest.raises(Nothing, match="nothing was ever posted") as nothing:
            account_then(reader, f"player:{uuid4()}:available:EUR", position=9, limit=LIMIT)
        assert nothing.value.code == "no_such_account"
    for name, said in (
        (f"limit:{uuid4()}:EUR:2026-03", "is a counter"),
        ("nonsense", "Accounts are called"),
        ("house:fees:XXX", "Accounts are called"),
    ):
        with pytest.raises(Nothing, match=said) as nothing:
            account_then(reader, name, position=9, limit=LIMIT)
        assert nothing.value.code == "not_an_account"


# --- at a terminal ------------------------------------------------------------------------------


@dataclass
class Terminal:
    """The program, on a ledger with two players and nothing else."""

    place: Place
    name: str

    def json(self, *words: str, exit_code: int = 0) -> Any:
        answer = self.place.invoke(*words, "--json", TALLYSTICK_DATABASE_NAME=self.name)
        assert answer.exit_code == exit_code, answer.output
        return json.loads(answer.stdout)

    def said(self, *words: str) -> str:
        answer = self.place.invoke(*words, TALLYSTICK_DATABASE_NAME=self.name)
        assert answer.exit_code == 0, answer.output
        return answer.stdout


@pytest.fixture
def terminal(installed: PlayedDay) -> Terminal:
    return Terminal(Place(installed.settings.data.parent), installed.settings.database_name)


def test_a_story_is_told_with_what_was_seen(terminal: Terminal, installed: PlayedDay) -> None:
    row = first(installed, "WithdrawalApproved")
    told = terminal.json("replay", "transaction", str(row.originator_id))
    assert told.keys() == {"as_of", "id", "kind", "steps"}
    step = next(step for step in told["steps"] if step["position"] == row.notification_id)
    assert step["saw"]["position"] == row.notification_id - 1
    assert step["saw"].keys() == {
        *("position", "balances", "player", "score", "approvals", "providers", "policy", "rates"),
    }
    assert told["steps"][1]["saw"] is None
    said = terminal.said("replay", "transaction", str(row.originator_id))
    assert f"seen at position {row.notification_id - 1}:" in said
    for words in ("available", "verified", "sim: in use since", "policy", "still takes"):
        assert words in said


def test_what_providers_said_is_told_with_its_digest(
    terminal: Terminal, installed: PlayedDay
) -> None:
    row = next(
        row
        for row in installed.rows
        if row.topic == "DepositCompleted"
        and json.loads(row.state)["evidence"]["source"] == "notice"
    )
    told = terminal.json("replay", "transaction", str(row.originator_id))
    step = next(step for step in told["steps"] if step["position"] == row.notification_id)
    notice = next(
        each
        for each in installed.rows
        if str(each.originator_id) == step["facts"]["evidence"]["notice_id"]
    )
    received = json.loads(notice.state)
    assert step["heard"] == {
        "source": "notice",
        "means": "succeeded",
        "decline_code": None,
        "raw_code": received["raw_code"],
        "notice_position": notice.notification_id,
        "message_id": received["message_id"],
        "raw_digest": received["raw_digest"],
    }


def test_players_and_accounts_are_shown(terminal: Terminal, installed: PlayedDay) -> None:
    row = first(installed, "DepositCompleted")
    player_id = json.loads(row.state)["player_id"]
    at = ("--as-of", str(row.notification_id))
    player = terminal.json("replay", "player", player_id, "--limit", "1", *at)
    assert player["as_of"]["position"] == row.notification_id
    assert (player["id"], len(player["transactions"])) == (player_id, 1)
    said = terminal.said("replay", "player", player_id, *at)
    assert f"as of position {row.notification_id}" in said
    assert "available" in said
    account = next(one["account"] for one in player["balances"] if one["balance_minor"])
    found = terminal.json("replay", "account", account, *at)
    assert found["balance_minor"] == found["entries"][0]["balance_minor"]
    assert account in terminal.said("replay", "account", account, *at)


def test_the_future_is_an_error_and_not_an_empty_answer(
    terminal: Terminal, installed: PlayedDay
) -> None:
    deposit = str(first(installed, "DepositCreated").originator_id)
    player = str(first(installed, "PlayerRegistered").originator_id)
    for words in (
        ("replay", "transaction", deposit),
        ("replay", "player", player),
        ("replay", "account", "provider:sim:clearing:EUR"),
    ):
        for when in ("2999-01-01T00:00:00Z", str(len(installed.rows) + 1)):
            refused = terminal.json(*words, "--as-of", when, exit_code=1)
            assert refused["code"] == "as_of_in_future"
            assert f"the log ends at position {len(installed.rows)}" in refused["error"]
    nothing = terminal.json("replay", "transaction", deposit, "--as-of", "1", exit_code=1)
    assert nothing["code"] == "not_begun_yet"


def test_a_signed_checkpoint_in_a_file_is_a_point_in_the_log(
    database: Settings, tmp_path: Path
) -> None:
    settings = database.model_copy(update={"data": tmp_path})
    with ledger_on(database) as ledger:
        for _ in range(3):
            ledger.append([registered(uuid4())])
    (second,) = rows(database, "SELECT root FROM ledger_roots WHERE size = 2")
    note = tmp_path / "checkpoint.txt"

    def asked() -> AsOf:
        with psycopg.connect(conninfo(database, Role.READER), autocommit=True) as connection:
            return moment(connection, str(note), now=datetime.now(UTC), settings=settings).as_of

    def written(size: int, root: bytes, key: Signer) -> None:
        note.write_text(sign(Checkpoint(key.verifier.name, size, root).text(), key))

    key = Signer.generate("elsewhere/1")
    written(2, second.root, key)
    with pytest.raises(AsOfInvalid, match="this machine has no key of the ledger"):
        asked()
    own = keys.signing_key(settings)
    with pytest.raises(AsOfInvalid, match="is no signed checkpoint of this ledger"):
        asked()
    written(2, second.root, own)
    assert asked().position == 2
    written(2, bytes(32), own)
    with pytest.raises(AsOfInvalid, match="not the one that was signed"):
        asked()
    written(4, second.root, own)
    with pytest.raises(AsOfInFuture, match="the log ends at position 3"):
        asked()
    note.write_bytes(b"\xff" * 70_000)
    with pytest.raises(AsOfInvalid, match="too large"):
        asked()


@pytest.mark.parametrize("when", ["yesterday", "2026-03-02", "checkpoint:first", "-1"])
def test_what_is_no_point_in_any_log_is_refused_before_the_log_is_asked(when: str) -> None:
    answer = CliRunner().invoke(app, ["replay", "player", str(uuid4()), f"--as-of={when}"])
    assert answer.exit_code == 2
    assert "is not a point in the log" in answer.stderr
