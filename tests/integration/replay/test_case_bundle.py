"""A case bundle proves itself, and no byte of it can change.

The ledger behind it has all kinds of transactions, from a day of them with every fault switched on.
"""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4
from zipfile import ZipFile

import psycopg
import pytest

from domain.adjustment.decisions import AdjustmentReason
from domain.deposit.state import Deposit
from domain.events import Move
from domain.money import Money
from ledger.checkpoints.note import Signer
from ledger.commands.adjustment import RequestAdjustment
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from replay.case.folder import FolderTaken
from replay.case.members import Case, CaseKind, Unreadable
from replay.case.write import CaseManifest, NoCheckpoint, write_case
from replay.nothing import Nothing
from tests.conftest import admin_connection, fresh_database
from tests.generators.case_bundles import (
    KEY,
    SCRIPT,
    SIGNER,
    as_line,
    events_of,
    load_script,
    rewrite,
    run,
    sign_manifest,
    signing,
)
from tests.generators.mixed_day import MixedDay
from tests.oracles.ledger_checks import rows
from tests.property.backroom import two_processes

COMMANDS = 250
FLIPS_OF_LARGE_FILES = 120
SCRIPT_MODULE = load_script()
OTHER = Signer("tallystick/tests", bytes(32))
"""The same name, another key."""


@dataclass(frozen=True)
class Vault:
    """A ledger with a day in it, and the states that the day's own books have."""

    settings: Settings
    folder: Path
    players: list[UUID]
    states: dict[UUID, Any]
    topics: dict[str, int]

    def write(self, case: Case, name: str | None = None, **options: Any) -> CaseManifest:
        folder = self.folder / (name or uuid4().hex)
        sign_now = signing(self.settings, self.folder / "signer")
        reading = conninfo(self.settings, Role.READER)
        return write_case(reading, case, folder, SIGNER, **{"sign_now": sign_now} | options)

    def kind(self, kind: str) -> list[UUID]:
        name = kind.capitalize()
        return [stream for stream, state in self.states.items() if type(state).__name__ == name]


@pytest.fixture(scope="module")
def vault(module_database: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    with two_processes(module_database) as (ledger, _, reader):
        day = MixedDay(ledger, reader, seed=5)
        day.play(COMMANDS)
        adjust_a_deposit(day)
        folder = tmp_path_factory.mktemp("cases")
        yield Vault(module_database, folder, day.players, day.log.states, day.log.topics)


def adjust_a_deposit(day: MixedDay) -> None:
    """Nothing but the adjustment itself says that it belongs to the deposit."""
    request = RequestAdjustment(
        player_id=None,
        moves=(Move(source="house:fees:EUR", target="house:suspense:EUR", money=Money(7, "EUR")),),
        reason=AdjustmentReason.PROVIDER_DIFFERENCE,
        grounds="statement of the provider",
        transaction_id=next(s for s, state in day.log.states.items() if isinstance(state, Deposit)),
        metadata={},
    )
    written = day.handlers.adjustments.request(request, day.by("ann"))
    day.do(lambda: day.handlers.adjustments.approve(written.transaction.id, "n", day.by("cleo")))


@pytest.fixture(scope="module")
def made(vault: Vault) -> CaseManifest:
    """The case of a player."""
    return vault.write(Case(CaseKind.PLAYER, vault.players[0]), "made")


@pytest.fixture
def bundle(made: CaseManifest, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(made.folder, tmp_path / "bundle"))


def proved(folder: Path, *arguments: object) -> dict[str, Any]:
    status, answer = run(SCRIPT_MODULE, folder, *(arguments or ("--key", KEY)))
    assert status == 0, answer
    return answer


def refused(folder: Path, *arguments: object) -> dict[str, Any]:
    """It says what is wrong, and what to do."""
    status, answer = run(SCRIPT_MODULE, folder, *(arguments or ("--key", KEY)))
    assert (status, answer["ok"]) == (1, False)
    failure: dict[str, Any] = answer["failure"]
    assert failure["detail"]
    assert failure["remedy"]
    return failure


# --- what is in it -------------------------------------------------------------------------------


def test_every_case_of_a_mixed_day_is_proved_to_what_the_ledger_says(vault: Vault) -> None:
    by_kind = [vault.kind(kind)[:2] for kind in ("deposit", "withdrawal", "refund")]
    by_kind += [vault.kind(kind)[:2] for kind in ("conversion", "dispute", "adjustment")]
    cases = [Case(CaseKind.TRANSACTION, stream) for kind in by_kind for stream in kind]
    cases += [Case(CaseKind.PLAYER, player) for player in vault.players[1:3]]
    for case in cases:
        written = vault.write(case)
        answer = proved(written.folder)
        assert answer["events"] == written.events > 0
        stated = json.loads((written.folder / "statement.json").read_text())
        assert stated["case"] == {"kind": case.kind, "id": str(case.id)}
        told = {UUID(entry["id"]): entry["status"] for entry in stated["transactions"]}
        assert told == {stream: vault.states[stream].status for stream in told}


def test_the_whole_day_is_replayed_to_the_ledgers_balances(vault: Vault) -> None:
    """The script's own postings and statuses, over every event of every kind there is."""
    balances: dict[str, int] = {}
    standings: dict[str, Any] = {}
    for event in rows(vault.settings, "SELECT * FROM ledger_events ORDER BY notification_id"):
        said, stream = SCRIPT_MODULE.read_json(event.state.decode()), event.originator_id
        for account, amount in SCRIPT_MODULE.movements(event.topic, said):
            balances[account] = balances.get(account, 0) + amount
        if event.originator_version == 1 and event.topic in SCRIPT_MODULE.BEGINS:
            standings[stream] = SCRIPT_MODULE.begun(event.topic, said)
        elif stream in standings:
            standings[stream].take(event.topic, said)
    kept = rows(vault.settings, "SELECT account, balance FROM ledger_accounts WHERE balance <> 0")
    accounts = ("player:", "provider:", "house:")
    assert {a: b for a, b in balances.items() if b} == {
        account: balance for account, balance in kept if account.startswith(accounts)
    }
    told = {stream: standing.status for stream, standing in standings.items()}
    assert told == {stream: str(state.status) for stream, state in vault.states.items()}


def test_a_player_case_has_every_event_of_the_players_accounts(
    vault: Vault, made: CaseManifest
) -> None:
    stated = json.loads((made.folder / "statement.json").read_text())
    own = f"player:{vault.players[0]}:%"
    kept = rows(
        vault.settings, "SELECT account, balance FROM ledger_accounts WHERE account LIKE %s", own
    )
    claimed = {entry["account"]: entry["closing_minor"] for entry in stated["balances"]}
    assert claimed == dict(kept)
    assert any(claimed.values())
    theirs = {
        stream for stream, state in vault.states.items() if state.player_id == vault.players[0]
    }
    assert theirs <= {UUID(entry["id"]) for entry in stated["transactions"]}


def test_a_refunds_case_is_its_deposits_case(vault: Vault) -> None:
    """Everything that is connected, whichever part of it is asked for."""
    refund = next(s for s in vault.kind("refund") if vault.states[s].status == "succeeded")
    deposit = vault.states[refund].deposit_id
    one = vault.write(Case(CaseKind.TRANSACTION, refund))
    other = vault.write(Case(CaseKind.TRANSACTION, deposit))
    assert one.files["events.jsonl"] == other.files["events.jsonl"]
    topics = {event["topic"] for event in events_of(one.folder)}
    assert {"DepositCreated", "RefundRequested"} <= topics
    streams = {event["stream"] for event in events_of(one.folder)}
    for event in events_of(one.folder):
        said = json.loads(event["state"])
        heard = said.get("evidence") or said.get("report") or {}
        assert heard.get("notice_id") in {None, *streams}


def test_an_adjustment_belongs_to_the_case_of_what_it_sets_right(vault: Vault) -> None:
    adjustment = vault.kind("adjustment")[-1]
    deposit = vault.states[adjustment].transaction_id
    written = vault.write(Case(CaseKind.TRANSACTION, deposit))
    stated = json.loads((written.folder / "statement.json").read_text())
    assert {str(deposit), str(adjustment)} <= {told["id"] for told in stated["transactions"]}
    moved = {entry["account"]: entry["closing_minor"] for entry in stated["balances"]}
    assert moved["house:suspense:EUR"] == 7


def test_the_same_case_under_the_same_checkpoint_is_the_same_bytes(
    vault: Vault, made: CaseManifest
) -> None:
    again = vault.write(made.case, "made-again/made", zipped=True)
    assert again.files == made.files
    assert again.zip is not None
    with ZipFile(again.zip) as packed:
        unpacked = {Path(name).name: packed.read(name) for name in packed.namelist()}
    assert unpacked == {path.name: path.read_bytes() for path in made.folder.iterdir()}


def test_a_case_as_of_then_ends_there(vault: Vault, made: CaseManifest) -> None:
    then = (made.first_position + made.last_position) // 2
    earlier = vault.write(made.case, as_of=then)
    assert proved(earlier.folder)["events"] == earlier.events < made.events
    assert earlier.last_position <= then == earlier.as_of
    whole, part = events_of(made.folder), events_of(earlier.folder)
    assert part == [event for event in whole if event["position"] <= then]


def test_the_story_is_told_in_words_and_runs_nothing(vault: Vault, made: CaseManifest) -> None:
    page = (made.folder / "story.html").read_text()
    text = (made.folder / "story.txt").read_text()
    stated = json.loads((made.folder / "statement.json").read_text())
    for entry in stated["transactions"]:
        for told in (page, text):
            assert entry["id"] in told
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "seen:   balance" in text


def test_there_is_no_case_of_nothing(vault: Vault, made: CaseManifest) -> None:
    reading = conninfo(vault.settings, Role.READER)
    first = Case(CaseKind.TRANSACTION, vault.kind("deposit")[0])
    for case, as_of, code in (
        (Case(CaseKind.PLAYER, uuid4()), None, "no_such_player"),
        (Case(CaseKind.TRANSACTION, uuid4()), None, "no_such_transaction"),
        (Case(CaseKind.TRANSACTION, vault.players[0]), None, "not_a_transaction"),
        (first, 1, "not_begun_yet"),
    ):
        with pytest.raises(Nothing) as found:
            write_case(reading, case, vault.folder / "none", SIGNER, as_of=as_of)
        assert found.value.code == code
    with pytest.raises(NoCheckpoint, match="tallystick checkpoint now"):
        write_case(reading, first, vault.folder / "none", Signer("tallystick/new", bytes(32)))
    with pytest.raises(FolderTaken, match="not empty"):
        write_case(reading, first, made.folder, SIGNER)
    assert not (vault.folder / "none").exists()
    assert not list(vault.folder.glob(".*partial"))


def test_no_bundle_is_made_of_a_log_that_was_altered(cluster: Settings, tmp_path: Path) -> None:
    with fresh_database(cluster) as settings:
        with two_processes(settings) as (ledger, _, reader):
            day = MixedDay(ledger, reader, seed=7)
            day.play(20)
        case = Case(CaseKind.PLAYER, day.players[0])
        reading, sign_now = conninfo(settings, Role.READER), signing(settings, tmp_path / "signer")
        made = write_case(reading, case, tmp_path / "right", SIGNER, sign_now=sign_now)
        with admin_connection(settings, settings.database_name) as admin:
            admin.execute("SET session_replication_role = replica")
            admin.execute(
                "UPDATE ledger_events SET state = state || ' ' WHERE notification_id = %s",
                [made.last_position],
            )
        with pytest.raises(Unreadable, match=f"position {made.last_position} is not what was"):
            write_case(reading, case, tmp_path / "wrong", SIGNER, sign_now=sign_now)
    assert not (tmp_path / "wrong").exists()


# --- nothing of it can change --------------------------------------------------------------------


def test_no_byte_of_any_file_can_change(bundle: Path) -> None:
    random = Random(os.environ.get("TALLYSTICK_SEED", "1"))
    small = {"manifest.txt", "checkpoint.txt", "key.txt"}
    for path in sorted(bundle.iterdir()):
        right = path.read_bytes()
        places = range(len(right))
        if path.name not in small:
            places = random.sample(places, min(len(right), FLIPS_OF_LARGE_FILES))
        for at in places:
            flipped = right[at] ^ (1 << random.randrange(8))
            path.write_bytes(right[:at] + bytes([flipped]) + right[at + 1 :])
            assert refused(bundle)["file"] in (path.name, "manifest.txt"), (path.name, at)
        path.write_bytes(right)
    proved(bundle)


def test_nothing_can_be_cut_off_added_or_taken_out(bundle: Path) -> None:
    random = Random(1)
    for path in sorted(bundle.iterdir()):
        right = path.read_bytes()
        at = random.randrange(len(right))
        for changed in (
            *(b"", right[:-1], right[:at], right[1:], right[:at] + right[at + 1 :]),
            *(right + b"\n", right + b" ", right + right, b"\n" + right),
            *(right + right.splitlines(keepends=True)[-1], right.replace(b"\n", b"\r\n")),
        ):
            if changed != right:
                path.write_bytes(changed)
                refused(bundle)
        path.write_bytes(right)
    proved(bundle)


def test_no_file_can_be_missing_renamed_swapped_or_more(bundle: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in bundle.iterdir())
    aside = tmp_path / "aside"
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        path = bundle / name
        path.rename(aside)
        assert refused(bundle)["file"] == name
        aside.rename(bundle / f"{name}.txt")
        refused(bundle)
        (bundle / f"{name}.txt").rename(path)
        one, two = path.read_bytes(), (bundle / other).read_bytes()
        path.write_bytes(two)
        (bundle / other).write_bytes(one)
        refused(bundle)
        path.write_bytes(one)
        (bundle / other).write_bytes(two)
        path.rename(aside)
        path.symlink_to(aside)
        assert "not a plain file" in refused(bundle)["detail"]
        path.unlink()
        aside.rename(path)
    for name in ("extra.txt", ".hidden", "json.py"):
        (bundle / name).write_text("x")
        assert refused(bundle)["file"] == name
        (bundle / name).unlink()
    (bundle / "folder").mkdir()
    assert refused(bundle)["file"] == "folder"


def test_what_another_key_has_signed_is_not_proved(bundle: Path) -> None:
    sign_manifest(bundle, OTHER)
    assert "signature" in refused(bundle)["detail"] or refused(bundle)["file"] == "manifest.txt"
    refused(bundle, "--key", str(OTHER.verifier))
    assert refused(bundle, "--key", "nonsense")["remedy"].startswith("Copy the whole line")


@pytest.mark.parametrize("header", ["tallystick/tests", "elsewhere/case-bundle", "case-bundle"])
def test_what_is_signed_about_something_else_is_no_manifest(bundle: Path, header: str) -> None:
    sign_manifest(bundle, header=header)
    assert "not the manifest of a case" in refused(bundle)["detail"]


def test_a_whole_bundle_made_up_with_another_key_is_found_by_the_right_key(bundle: Path) -> None:
    """Without a key it fits together; that the key came with it is said loudly."""
    events = events_of(bundle)
    stated = json.loads((bundle / "statement.json").read_text())
    rewrite(bundle, events, OTHER, streams=stated["streams"])
    answer = proved(bundle, "--json")
    assert "CAME WITH THE BUNDLE" in answer["warning"]
    assert answer["key_given"] is False
    assert refused(bundle)["file"] == "manifest.txt"


def test_events_proof_and_manifest_rewritten_together_need_the_key(bundle: Path) -> None:
    """Everything but the signatures, which nobody else can make."""
    manifest, checkpoint = (bundle / "manifest.txt"), (bundle / "checkpoint.txt")
    kept = {path: path.read_bytes() for path in (manifest, checkpoint)}
    rewrite(bundle, events_of(bundle)[:-1], OTHER)
    (bundle / "key.txt").write_text(f"{KEY}\n")
    sign_manifest(bundle, OTHER)
    refused(bundle)
    refused(bundle, "--key-file", bundle / "key.txt")
    for path, right in kept.items():
        path.write_bytes(right)
        refused(bundle)


# --- nor by whoever holds the key, without contradicting the checkpoint --------------------------


Change = Callable[[list[dict[str, Any]]], None]


def _alter(events: list[dict[str, Any]]) -> None:
    event = next(e for e in events if '"amount":{"amount":' in e["state"])
    event["state"] = event["state"].replace('"amount":{"amount":', '"amount":{"amount":1', 1)


def _swap(events: list[dict[str, Any]]) -> None:
    events[1], events[2] = events[2], events[1]


CHANGES: dict[str, Change] = {
    "altered": _alter,
    "left out": lambda events: events.__delitem__(len(events) // 2),
    "cut off": lambda events: events.__delitem__(slice(-1, None)),
    "swapped": _swap,
    "twice": lambda events: events.insert(1, events[0]),
    "all gone": lambda events: events.clear(),
    "later": lambda events: events[-1].update(recorded_at_us=events[-1]["recorded_at_us"] + 1),
    "elsewhere": lambda events: events[-1].update(position=events[-1]["position"] + 10**9),
    "of another stream": lambda events: events[-1].update(stream=str(UUID(int=7))),
    "of another kind": lambda events: events[-1].update(topic="DepositVoided"),
    "of another version": lambda events: events[-1].update(version=99),
    "with more in it": lambda events: events[-1].update(note="x"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_events_cannot_change_even_if_the_manifest_is_signed_again(bundle: Path, what: str) -> None:
    events = events_of(bundle)
    CHANGES[what](events)
    lines = "".join(as_line(event) + "\n" for event in events)
    (bundle / "events.jsonl").write_text(lines, newline="\n")
    sign_manifest(bundle)
    assert refused(bundle)["file"] in ("events.jsonl", "proof.json")


@pytest.mark.parametrize(
    "spelling",
    [
        lambda line: line.replace(",", ", ", 1),
        lambda line: "{" + line[1:].partition(",")[2][:-1] + "," + line[1:].partition(",")[0] + "}",
        lambda line: line[:-1] + ',"version":1}',
        lambda line: line.replace('"position":', '"position":0', 1),
        lambda line: line.replace('"stream":"', '"stream":"urn:uuid:', 1),
        lambda line: line + " ",
        lambda line: "",
    ],
)
def test_a_line_has_one_spelling(bundle: Path, spelling: Callable[[str], str]) -> None:
    first, rest = (bundle / "events.jsonl").read_text().split("\n", 1)
    (bundle / "events.jsonl").write_text(f"{spelling(first)}\n{rest}", newline="\n")
    sign_manifest(bundle)
    failure = refused(bundle)
    assert (failure["file"], failure["line"]) == ("events.jsonl", 1)


def test_the_proof_is_of_the_signed_tree(bundle: Path) -> None:
    path = bundle / "proof.json"
    right = json.loads(path.read_text())
    hashes = right["hashes"]
    for change in (
        *({"size": right["size"] + 1}, {"root": "0" * 64}, {"more": 1}),
        *({"hashes": hashes[1:]}, {"hashes": [*hashes, hashes[0]]}, {"hashes": [7, *hashes[1:]]}),
        {"hashes": ["0" * 64, *hashes[1:]]},
    ):
        path.write_text(json.dumps(right | change))
        sign_manifest(bundle)
        assert refused(bundle)["file"] in ("proof.json", "events.jsonl"), change


def test_nothing_else_can_be_claimed(bundle: Path) -> None:
    path = bundle / "statement.json"
    right = json.loads(path.read_text())
    money = right["balances"][0]
    for change in (
        {
            "balances": [
                money | {"closing_minor": money["closing_minor"] + 1},
                *right["balances"][1:],
            ]
        },
        {"balances": right["balances"][1:]},
        {"balances": [money, *right["balances"]]},
        {"balances": [money | {"opening_minor": 1}, *right["balances"][1:]]},
        {
            "transactions": [
                right["transactions"][0] | {"status": "lost"},
                *right["transactions"][1:],
            ]
        },
        {"transactions": right["transactions"][1:]},
        {"transactions": []},
        {"streams": right["streams"][:-1]},
        {"events": right["events"] + 1},
        {"last_position": right["last_position"] + 1},
        {"as_of": right["last_position"] - 1},
        {"as_of": right["checkpoint"]["size"] + 1},
        {"checkpoint": right["checkpoint"] | {"size": right["checkpoint"]["size"] + 1}},
        {"case": {"kind": "player", "id": str(uuid4())}},
        {"case": {"kind": "transaction", "id": str(uuid4())}},
        {"case": {"kind": "house", "id": str(uuid4())}},
        {"more": 1},
    ):
        path.write_text(json.dumps(right | change))
        sign_manifest(bundle)
        assert refused(bundle)["file"] == "statement.json", change
    path.write_text(json.dumps(right))
    sign_manifest(bundle)
    proved(bundle)


def test_a_log_that_breaks_its_own_rules_is_not_proved_by_its_signature(bundle: Path) -> None:
    """The ledger itself signed it all, and it still does not hold."""
    events = events_of(bundle)
    completed = next(e for e in events if e["topic"] == "DepositCompleted")
    gap = [e for e in events if (e["stream"], e["version"]) != (completed["stream"], 2)]
    backwards = [dict(e) for e in events]
    backwards[-1]["recorded_at_us"] = 0
    spelt = [dict(e) for e in events]
    spelt[-1]["state"] = spelt[-1]["state"].replace(",", ", ", 1)
    unknown = [dict(e) for e in events]
    unknown[-1]["topic"] = "MoneyFound"
    unpaid = [e for e in events if e["stream"] != completed["stream"]]
    first = next(e for e in unpaid if e["topic"] == "WithdrawalRequested")
    overdrawn = [dict(first, version=1)]
    said = json.loads(first["state"]) | {"reserved": True}
    overdrawn[0]["state"] = as_line(said)
    for log, words in (
        (gap, "has version"),
        (backwards, "recorded before"),
        (spelt, "canonical"),
        (unknown, "does not know events of the kind 'MoneyFound'"),
        (overdrawn, "below zero"),
    ):
        rewrite(bundle, log, SIGNER)
        failure = refused(bundle)
        assert words in failure["detail"], failure
        assert failure["position"]


# --- far away ------------------------------------------------------------------------------------


class EmptyPlace:
    """Python with `cryptography` and nothing else, as on the machine of somebody outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("cryptography", "cffi", "pycparser", "_cffi_backend"):
            spec = find_spec(name)
            if spec is not None and spec.origin is not None:
                source = Path(spec.origin)
                source = source.parent if source.name == "__init__.py" else source
                (folder / source.name).symlink_to(source)

    def python(
        self, *arguments: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-s", "-B", *map(str, arguments)],
            env={"PYTHONPATH": str(self.folder)},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> EmptyPlace:
    place = EmptyPlace(tmp_path_factory.mktemp("elsewhere") / "packages")
    for name in ("psycopg", "msgspec", "tallystick", "domain", "pydantic"):
        assert "ModuleNotFoundError" in place.python("-c", f"import {name}").stderr
    return place


def test_the_script_in_the_bundle_proves_it_far_away(elsewhere: EmptyPlace, bundle: Path) -> None:
    done = elsewhere.python("verify.py", "--key", KEY, cwd=bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PROVED, for whoever trusts the key" in done.stdout
    assert "That nothing was left out" in done.stdout
    assert "CAME WITH THE BUNDLE" not in done.stdout
    keyless = elsewhere.python(bundle / "verify.py")
    assert keyless.returncode == 0
    assert keyless.stdout.count("CAME WITH THE BUNDLE") == 2
    answer = json.loads(elsewhere.python(SCRIPT, bundle, "--key", KEY, "--json").stdout)
    assert [step["step"] for step in answer["steps"]] == [
        *("files", "checkpoint", "tree", "order", "statement")
    ]


def test_the_script_far_away_says_what_is_wrong(elsewhere: EmptyPlace, bundle: Path) -> None:
    events = (bundle / "events.jsonl").read_bytes()
    (bundle / "events.jsonl").write_bytes(events.replace(b"EUR", b"USD", 1))
    done = elsewhere.python("verify.py", "--key", KEY, cwd=bundle)
    assert done.returncode == 1
    assert "NOT PROVED. events.jsonl: it is not the file that was signed" in done.stdout
    assert elsewhere.python("verify.py", "--nonsense", cwd=bundle).returncode == 2


def test_a_file_in_the_bundle_is_not_run_in_a_modules_place(
    elsewhere: EmptyPlace, bundle: Path
) -> None:
    """The script's own folder is where Python looks first, unless it is told not to."""
    for name in ("json.py", "hashlib.py", "argparse.py", "cryptography.py", "base64.py"):
        (bundle / name).write_text(
            "print('PROVED, for whoever trusts the key'); raise SystemExit(0)"
        )
        done = elsewhere.python("verify.py", "--key", KEY, cwd=bundle)
        assert done.returncode == 1
        assert f"NOT PROVED. {name}: it does not belong to the case" in done.stdout
        (bundle / name).unlink()


def test_it_says_whose_case_it_is(made: CaseManifest, elsewhere: EmptyPlace, bundle: Path) -> None:
    """Another case under the same key is proved just as well."""
    answer = proved(bundle)
    assert answer["case"] == {"kind": "player", "id": str(made.case.id)}
    assert answer["as_of"] == made.as_of
    said = elsewhere.python("verify.py", "--key", KEY, cwd=bundle).stdout
    assert f"the case of player {made.case.id}, up to position {made.as_of}" in said


def test_nothing_in_a_bundle_steers_the_terminal(elsewhere: EmptyPlace, bundle: Path) -> None:
    steering = "\x1b[1A\x1b[2K\u202e\nPROVED, for whoever trusts the key"
    (bundle / steering).touch()
    said = elsewhere.python("verify.py", cwd=bundle).stdout
    (bundle / steering).unlink()
    assert "CAME WITH THE BUNDLE" in said
    name, public = "tallystick\x1b[8m", b"\x01" + bytes(32)
    digest = sha256(name.encode() + b"\n" + public).hexdigest()
    (bundle / "key.txt").write_text(f"{name}+{digest[:8]}+{b64encode(public).decode()}")
    hidden = elsewhere.python("verify.py", cwd=bundle).stdout
    for text in (said, hidden):
        assert "NOT PROVED" in text
        assert all(character.isprintable() or character == "\n" for character in text)
        assert not any(line.startswith("PROVED") for line in text.splitlines())


def test_without_cryptography_it_says_how_to_get_it(bundle: Path) -> None:
    alone = [sys.executable, "-I", "-S", "verify.py"]
    done = subprocess.run(alone, cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "-m pip install cryptography" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_at_once_do_not_write_to_one_folder(vault: Vault, made: CaseManifest) -> None:
    def meanwhile(_done: int, _total: int | None) -> None:
        with pytest.raises(FolderTaken, match="another case is being written"):
            vault.write(Case(CaseKind.PLAYER, vault.players[1]), "shared")

    assert vault.write(made.case, "shared", on_progress=meanwhile).files == made.files
    assert [path.name for path in vault.folder.glob(".shared*")] == []


def test_the_reader_role_is_enough_to_write_a_case(vault: Vault, made: CaseManifest) -> None:
    with (
        psycopg.connect(conninfo(vault.settings, Role.READER)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM ledger_checkpoints")
    assert vault.write(made.case, sign_now=None).files == made.files
