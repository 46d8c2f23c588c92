"""`tallystick export events`, as a person runs it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ledger.settings import Settings
from tallystick.cli.main import app
from tests.generators.export_log import fill

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(module_database: Settings) -> Run:
    fill(module_database, seed=5, steps=120)
    runner = CliRunner(
        env={
            "TALLYSTICK_DATA": str(module_database.data),
            "TALLYSTICK_SYSTEM_DATA": str(module_database.system_data),
            "TALLYSTICK_DATABASE_NAME": module_database.database_name,
            "DATABASE_URL": None,
            "TERM": "dumb",
            "COLUMNS": "200",
        }
    )
    return lambda *arguments: runner.invoke(app, ["export", "events", *map(str, arguments)])


def answer(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_events_are_exported_and_said_to_be(run: Run, tmp_path: Path) -> None:
    result = run("--to-folder", tmp_path / "x", "--topic", "DepositCreated", "--json")
    assert result.exit_code == 0, result.output
    told = answer(result)
    assert told["events"] > 0
    assert told["asked"]["topics"] == ["DepositCreated"]
    assert told["peak_memory_mb"] > 0
    lines = (tmp_path / "x" / told["files"][0]["name"]).read_text().splitlines()
    assert {json.loads(line)["topic"] for line in lines} == {"DepositCreated"}
    progress = json.loads(result.stderr.splitlines()[-1])
    assert progress["done"] == progress["total"] == told["upto"]


def test_people_read_a_sentence(run: Run, tmp_path: Path) -> None:
    result = run("--to-folder", tmp_path / "x", "--format", "csv", "--as-of", "20")
    assert "Exported 20 events, positions 1 to 20, in 1 files" in result.stdout
    assert "manifest.json" in result.stdout
    again = run("--to-folder", tmp_path / "y", "--after", "7", "--upto", "7")
    assert again.exit_code == 0
    assert "Nothing to export" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--upto", "1000000"), "the log ends at"),
        (("--as-of", "1000000"), "no position 1000000 yet"),
        (("--upto", "3", "--as-of", "3"), "give one"),
        (("--from", "yesterday"), "--from takes an instant"),
        (("--to", "2026-03-02T10:00:00"), "--to takes an instant"),
        (("--kind", "loan"), "no kind 'loan'"),
        (("--topic", "Deposit"), "no topic 'Deposit'"),
    ],
)
def test_what_cannot_be_exported_is_said_and_how_to_ask(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = run("--to-folder", tmp_path / "x", *arguments, "--json")
    assert result.exit_code == 1
    assert said in answer(result)["error"]
    assert answer(result)["code"]
    assert not list(tmp_path.glob("x/*"))
