"""Checkpoints and proofs, as clients and people at a terminal get and check them."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ledger.checkpoints import signing
from ledger.checkpoints.checkpoint import open_checkpoint, parse_checkpoint
from ledger.checkpoints.note import Verifier, parts_of
from ledger.settings import Settings
from tallystick.cli.main import app
from tests.conftest import admin_connection, fresh_database
from tests.oracles.ledger_checks import ledger_on, player_history, registered
from tests.servers.api_server import Api, running_api


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@pytest.fixture(scope="module")
def written(api: Api) -> list[dict[str, Any]]:
    """Answers to deposits; between them the log is signed twice, and after them not."""
    answers = []
    for signed in (True, True, False):
        answers += [api.deposit(uuid4()).json() for _ in range(4)]
        if signed:
            sign(api)
    return answers


def sign(api: Api) -> None:
    assert signing.build(api.settings, lambda: datetime.now(UTC)).sign_now() is not None


def key_of(api: Api) -> Verifier:
    return Verifier.parse(api.get("/v1/checkpoints/key").json()["items"][0]["key"])


def tally(on: Api | Settings, *arguments: str) -> Result:
    """`tallystick` with these arguments, on this ledger."""
    settings = on.settings if isinstance(on, Api) else on
    environment = {
        "TALLYSTICK_DATA": str(settings.data),
        "TALLYSTICK_SYSTEM_DATA": str(settings.system_data),
        "TALLYSTICK_DATABASE_NAME": settings.database_name,
        "COLUMNS": "200",
    }
    return CliRunner(env=environment).invoke(app, list(arguments))


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root_of_path(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """RFC 6962 by its definition: the tree of `size` leaves splits at a power of two."""
    if size == 1:
        assert path == []
        return leaf
    left = 1 << ((size - 1).bit_length() - 1)
    if index < left:
        return node(root_of_path(index, left, leaf, path[:-1]), path[-1])
    return node(path[-1], root_of_path(index - left, size - left, leaf, path[:-1]))


def leaf_of(position: int, event: dict[str, Any]) -> bytes:
    """By the definition in the documentation, with nothing of ours."""

    def sized(part: bytes) -> bytes:
        return len(part).to_bytes(4, "big") + part

    return sha256(
        b"\x00"
        + sized(b"tallystick/v1")
        + position.to_bytes(8, "big")
        + UUID(event["stream"]).bytes
        + event["version"].to_bytes(8, "big")
        + sized(event["topic"].encode())
        + event["recorded_at_us"].to_bytes(8, "big", signed=True)
        + sized(event["state"].encode())
    ).digest()


# --- from a receipt to a checkpoint -------------------------------------------------------------


def test_a_client_gets_from_its_receipt_to_a_signed_checkpoint(
    api: Api, written: list[dict[str, Any]]
) -> None:
    """With SHA-256 and the public key, and no code of ours but to open the note."""
    for answer in written[:8]:
        receipt = answer["receipt"]
        proof = api.get(f"/v1/proofs/inclusion?position={receipt['position']}").json()
        signed = open_checkpoint(proof["checkpoint"], [key_of(api)])
        leaf, path = bytes.fromhex(receipt["leaf"]), [bytes.fromhex(h) for h in proof["hashes"]]
        assert leaf_of(receipt["position"], proof["event"]) == leaf
        assert json.loads(proof["event"]["state"])["player_id"] == answer["player_id"]
        assert root_of_path(proof["index"], signed.size, leaf, path) == signed.root
        consistent = api.get(
            "/v1/proofs/consistency", params={"from": receipt["size"], "to": signed.size}
        ).json()
        assert consistent["old_root"] == receipt["root"]
        assert consistent["new_root"] == signed.root.hex() == proof["root"]


def test_what_is_not_signed_yet_is_proved_in_the_whole_log(
    api: Api, written: list[dict[str, Any]]
) -> None:
    position = written[-1]["position"]
    proof = api.get(f"/v1/proofs/inclusion?position={position}").json()
    assert proof["checkpoint"] is None
    assert proof["size"] == api.get("/v1/events").json()["head"]


def test_any_size_may_be_asked_for(api: Api, written: list[dict[str, Any]]) -> None:
    position = written[0]["position"]
    for size in range(position, written[-1]["position"]):
        proof = api.get("/v1/proofs/inclusion", params={"position": position, "size": size}).json()
        path = [bytes.fromhex(each) for each in proof["hashes"]]
        leaf = bytes.fromhex(proof["leaf"])
        assert root_of_path(position - 1, size, leaf, path).hex() == proof["root"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("inclusion?position=999999", 404, "position_beyond_log"),
        ("inclusion?position=1&size=999999", 404, "position_beyond_log"),
        ("inclusion?position=3&size=2", 422, "proof_sizes_invalid"),
        ("inclusion?position=0", 422, "request_invalid"),
        ("inclusion", 422, "request_invalid"),
        ("consistency?from=3&to=2", 422, "proof_sizes_invalid"),
        ("consistency?from=1&to=999999", 404, "position_beyond_log"),
        ("consistency?old_size=1", 422, "request_invalid"),
    ],
)
def test_what_cannot_be_proved_says_why(
    api: Api, written: list[dict[str, Any]], query: str, status: int, code: str
) -> None:
    answer = api.get(f"/v1/proofs/{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code), written[-1]["position"]


# --- checkpoints --------------------------------------------------------------------------------


def test_checkpoints_are_listed_newest_first_and_page_by_page(
    api: Api, written: list[dict[str, Any]]
) -> None:
    everything = api.get("/v1/checkpoints").json()
    sizes = [each["size"] for each in everything["items"]]
    assert sizes == [written[7]["receipt"]["size"], written[3]["receipt"]["size"]]
    first = api.get("/v1/checkpoints?limit=1")
    second = api.get(first.links["next"]["url"])
    assert first.json()["items"] + second.json()["items"] == everything["items"]
    assert second.json()["next_cursor"] is None


def test_a_checkpoint_is_shown_as_json_and_as_the_note_itself(
    api: Api, written: list[dict[str, Any]]
) -> None:
    size = written[3]["receipt"]["size"]
    shown = api.get(f"/v1/checkpoints/{size}").json()
    plain = api.get(f"/v1/checkpoints/{size}", headers={"accept": "text/plain"})
    assert plain.headers["content-type"].startswith("text/plain")
    assert plain.text == shown["note"]
    assert parse_checkpoint(parts_of(plain.text)[0]).root.hex() == shown["root"]
    assert base64.b64encode(bytes.fromhex(shown["root"])).decode() in plain.text
    both = {"accept": "application/json, text/plain, */*"}  # as some clients ask by themselves
    assert api.get(f"/v1/checkpoints/{size}", headers=both).json() == shown
    latest = api.get("/v1/checkpoints/latest", headers={"accept": "text/plain"}).text
    assert open_checkpoint(latest, [key_of(api)]).size == written[7]["receipt"]["size"]


def test_a_size_that_was_not_signed_has_no_checkpoint(
    api: Api, written: list[dict[str, Any]]
) -> None:
    assert api.get("/v1/checkpoints/1").json()["code"] == "checkpoint_not_found"


def test_the_metrics_say_how_far_it_is_signed(api: Api, written: list[dict[str, Any]]) -> None:
    figures = api.get("/metrics").text
    assert f"tallystick_checkpoint_size {written[7]['receipt']['size']}.0" in figures
    assert "tallystick_signer_refused 0.0" in figures


def test_before_anything_is_signed_there_is_nothing_to_show(cluster: Settings) -> None:
    with fresh_database(cluster) as settings, running_api(settings) as fresh:
        assert fresh.get("/v1/checkpoints").json() == {"items": [], "next_cursor": None}
        assert fresh.get("/v1/checkpoints/latest").json()["code"] == "checkpoint_not_found"
        assert fresh.get("/v1/checkpoints/key").json()["code"] == "signing_key_not_found"


# --- at a terminal ------------------------------------------------------------------------------


def test_a_checkpoint_is_kept_in_a_file_and_checked_later(
    api: Api, written: list[dict[str, Any]], tmp_path: Path
) -> None:
    note = tmp_path / "checkpoint.txt"
    note.write_text(tally(api, "checkpoint", "show").stdout)
    assert note.read_text() == api.get("/v1/checkpoints/latest").json()["note"]
    key = tally(api, "checkpoint", "key").stdout.strip()
    assert key == str(key_of(api))
    assert tally(api, "checkpoint", "verify", str(note), "--key", key).exit_code == 0
    for damaged in (note.read_text().replace("\n" + str(written[7]["receipt"]["size"]), "\n3"), ""):
        note.write_text(damaged)
        failed = tally(api, "checkpoint", "verify", str(note), "--json")
        assert (failed.exit_code, json.loads(failed.stdout)["ok"]) == (1, False)


def test_proofs_are_kept_in_files_and_checked_without_a_ledger(
    api: Api, written: list[dict[str, Any]], tmp_path: Path
) -> None:
    position, size = str(written[0]["position"]), written[7]["receipt"]["size"]
    key = str(key_of(api))
    file, note = tmp_path / "proof.json", tmp_path / "checkpoint.txt"
    note.write_text(tally(api, "checkpoint", "show", str(size)).stdout)
    for words in (
        ("inclusion", position, "--size", str(size)),
        ("consistency", str(written[3]["receipt"]["size"]), str(size)),
    ):
        file.write_text(tally(api, "proof", *words, "--json").stdout)
        outside = CliRunner(env={"TALLYSTICK_DATA": str(tmp_path / "none")})
        check = ["proof", "check", str(file), "--checkpoint", str(note), "--key", key, "--json"]
        found = outside.invoke(app, check)
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["not_proved"] == []
        unsigned = json.loads(outside.invoke(app, ["proof", "check", str(file), "--json"]).stdout)
        assert any("no signature was checked" in each for each in unsigned["not_proved"])
        proof = json.loads(file.read_text())
        for changed in changes_of(proof):
            file.write_text(json.dumps(changed))
            assert outside.invoke(app, check).exit_code == 1, changed


def changes_of(proof: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The proof with one thing changed, for each thing there is."""
    for name, value in proof.items():
        if name in ("index", "kind"):  # they follow from the rest
            continue
        if isinstance(value, dict):
            for inner in value:
                yield proof | {name: value | {inner: changed(value[inner])}}
                yield proof | {name: value | {inner: "x"}}
                yield proof | {name: value | {inner: 2**63}}
        elif isinstance(value, list):
            yield proof | {name: value[:-1]}
            yield proof | {name: [*value, "00" * 32]}
            yield proof | {name: [changed(value[0]), *value[1:]]}
        else:
            yield proof | {name: changed(value)}


def changed(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    at = len(value) // 2
    return value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]


def test_a_receipt_is_checked_against_a_checkpoint(
    api: Api, written: list[dict[str, Any]], tmp_path: Path
) -> None:
    answer, note = tmp_path / "answer.json", tmp_path / "checkpoint.txt"
    note.write_text(tally(api, "checkpoint", "show").stdout)
    check = ["proof", "receipt", str(answer), "--checkpoint", str(note), "--json"]
    for shape in (written[2], written[2]["receipt"]):
        answer.write_text(json.dumps(shape))
        assert tally(api, *check).exit_code == 0
    for name, value in written[2]["receipt"].items():
        answer.write_text(json.dumps(written[2]["receipt"] | {name: changed(value)}))
        assert tally(api, *check).exit_code == 1, name
    answer.write_text(json.dumps(written[-1]))  # not signed yet
    assert "does not reach" in tally(api, *check).stdout


def test_a_log_that_was_changed_proves_nothing(
    cluster: Settings, database: Settings, tmp_path: Path
) -> None:
    with ledger_on(database) as ledger:
        ledger.append(player_history(registered().originator_id, 9))
    with running_api(database) as api:
        sign(api)
        note = tmp_path / "checkpoint.txt"
        note.write_text(tally(api, "checkpoint", "show").stdout)
        with admin_connection(cluster, database.database_name) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(
                "UPDATE ledger_events SET leaf = sha256('') WHERE originator_version = 4"
            )
        answer = api.get("/v1/proofs/inclusion?position=5&size=9")
        assert (answer.status_code, answer.json()["code"]) == (500, "log_not_as_signed")
        failed = tally(api, "checkpoint", "verify", str(note))
        assert failed.exit_code == 1
        assert "not what was signed" in failed.output
        with admin_connection(cluster, database.database_name) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(
                "UPDATE ledger_events SET recorded_at = 'infinity' WHERE notification_id = 4"
            )
        answer = api.get("/v1/proofs/inclusion?position=4&size=9")
        assert (answer.status_code, answer.json()["code"]) == (500, "log_not_as_signed")


def test_a_refusal_to_sign_shows_and_holds_up_nothing(
    cluster: Settings, database: Settings
) -> None:
    with running_api(database) as api:
        api.deposit(uuid4())
        sign(api)
        with admin_connection(cluster, database.database_name) as connection:
            connection.execute("UPDATE ledger_head SET root = sha256('')")
        refused = tally(api, "checkpoint", "now", "--json")
        assert refused.exit_code == 1
        assert "root recorded" in json.loads(refused.stdout)["error"]
        assert "tallystick_signer_refused 1.0" in api.get("/metrics").text
        failed = [c for c in json.loads(tally(api, "doctor", "--json").stdout) if not c["ok"]]
        assert [check["name"] for check in failed] == ["Checkpoints"]
        assert api.deposit(uuid4()).status_code == 201
        sign(api)  # the append has put the head right
        assert "tallystick_signer_refused 0.0" in api.get("/metrics").text


def test_signing_at_once_and_listing(database: Settings) -> None:
    assert tally(database, "checkpoint", "now").exit_code == 1  # there is nothing yet
    sizes = []
    for _ in range(2):
        with ledger_on(database) as ledger:
            sizes.append(ledger.append([registered()]).size)
        signed = json.loads(tally(database, "checkpoint", "now", "--json").stdout)
        assert {"size", "root", "note", "key"} <= signed.keys()
        assert signed["size"] == sizes[-1]
    assert tally(database, "checkpoint", "now").stdout == signed["note"]
    listed = json.loads(tally(database, "checkpoint", "list", "--json").stdout)
    assert [each["size"] for each in listed] == sizes[::-1]
    renewed = tally(database, "checkpoint", "new-key", "--reason", "a drill", "--json").stdout
    assert tally(database, "checkpoint", "key").stdout.strip() == json.loads(renewed)["key"]
    assert json.loads(tally(database, "checkpoint", "now", "--json").stdout)["key"] != signed["key"]
