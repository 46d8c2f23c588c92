"""`tallystick export case`, as it is typed: what it writes, what it says, what it refuses."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from ledger.checkpoints.keys import verifying_keys
from ledger.settings import Settings
from tallystick.cli.main import app
from tests.generators.case_bundles import load_script, run
from tests.servers.api_server import running_api

Invoke = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def player(module_database: Settings) -> Iterator[UUID]:
    """Somebody who has paid in."""
    chosen = uuid4()
    with running_api(module_database) as api:
        api.fund(chosen, 5_000)
        yield chosen


@pytest.fixture
def invoke(module_database: Settings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`tallystick export case … --json` on the test's ledger."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("TALLYSTICK_DATA", str(module_database.data))
    monkeypatch.setenv("TALLYSTICK_SYSTEM_DATA", str(module_database.system_data))
    monkeypatch.setenv("TALLYSTICK_DATABASE_NAME", module_database.database_name)

    def invoked(*arguments: object) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(app, ["export", "case", *map(str, arguments), "--json"])
        return done.exit_code, json.loads(done.stdout) if done.exit_code != 2 else {}

    return invoked


def test_a_case_is_written_signed_and_proved(
    invoke: Invoke, module_database: Settings, player: UUID, tmp_path: Path
) -> None:
    status, answer = invoke("--player", player, "--to", tmp_path / "case", "--zip")
    assert status == 0
    assert Path(answer["zip"]).is_file()
    assert answer["peak_memory_mb"] > 0
    key = str(verifying_keys(module_database)[0])
    assert answer["key"] == key
    proved, told = run(load_script(), tmp_path / "case", "--key", key)
    assert (proved, told["events"]) == (0, answer["events"])


def test_what_cannot_be_exported_is_said_in_a_sentence(
    invoke: Invoke, player: UUID, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    to = ("--to", tmp_path / "case")
    for arguments, words in (
        (("--transaction", uuid4(), *to), "there is no transaction"),
        (("--player", player, "--as-of", "1", *to), "there was no player"),
        (("--player", player, "--as-of", "1000000", *to), "ends"),
        (("--player", player, "--to", tmp_path / "taken"), "is not empty"),
    ):
        status, answer = invoke(*arguments)
        assert status == 1
        assert words in answer["error"]
    for arguments in ((), ("--player", player, "--transaction", player)):
        assert invoke(*arguments, *to)[0] == 2


def test_a_second_key_is_not_made_where_the_first_one_is_elsewhere(
    invoke: Invoke,
    module_database: Settings,
    player: UUID,
    tmp_path: Path,
) -> None:
    assert invoke("--player", player, "--to", tmp_path / "case")[0] == 0
    keys = module_database.data / "keys"
    private = next(keys.glob(f"*{module_database.database_name}.key"))
    public = private.with_suffix(".pub")
    kept = private.read_text(), public.read_text()
    private.unlink()
    try:
        with_public = invoke("--player", player, "--to", tmp_path / "again")
        public.unlink()
        without = invoke("--player", player, "--to", tmp_path / "again")
        assert not private.exists()
    finally:
        for path, text in zip((private, public), kept, strict=True):
            path.write_text(text)
    for status, answer in (with_public, without):
        assert status == 1
        assert "is not on this machine" in answer["error"]
    assert not (tmp_path / "again").exists()
