"""The population at a terminal and in a real ledger; and what the documentation says of it."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from tallystick.cli.main import app
from tallystick.play import synthetic_players
from tallystick.play.synthetic_players.evaluation import Evaluation, evaluate
from tallystick.play.synthetic_players.kinds import Kind
from tallystick.play.synthetic_players.report import (
    BEGINS,
    ENDS,
    BlockMissing,
    as_markdown,
    written,
)
from tests.generators.synthetic_players_log import append_population

PLAYERS, DAYS, SEED = 600, 90, 7
PAGE = Path(__file__).parents[2] / "docs" / "fraud.md"


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate(PLAYERS, DAYS, SEED)


# --- what is found ------------------------------------------------------------------------------


def test_most_of_every_kind_are_found(found: Evaluation) -> None:
    bad = [one for one in found.kinds if one.kind is not Kind.HONEST]
    assert len(bad) == 6
    assert sum(one.found for one in bad) >= 0.9 * sum(one.players for one in bad)
    for one in bad:
        assert one.found >= 0.75 * one.players, one


def test_hardly_any_honest_player_is_looked_at(found: Evaluation) -> None:
    (honest,) = (one for one in found.kinds if one.kind is Kind.HONEST)
    assert 0 < honest.found < 0.02 * honest.players


def test_the_players_of_all_kinds_are_all_the_players(found: Evaluation) -> None:
    assert sum(one.players for one in found.kinds) == PLAYERS
    for indicator in found.indicators:
        assert indicator.bad <= indicator.players <= PLAYERS


def test_the_same_seed_is_judged_the_same() -> None:
    assert evaluate(60, 30, 2) == evaluate(60, 30, 2)


# --- at a terminal ------------------------------------------------------------------------------


def answered(*words: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["population", "--players", "60", "--days", "30", *words])
    assert answer.exit_code == 0, answer.output
    told: dict[str, Any] = json.loads(answer.stdout) if "--json" in words else {}
    return told


def test_it_answers_in_json_without_any_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    told = answered("--json", "--seed", "2")
    assert (told["players"], told["days"], told["seed"]) == (60, 30, 2)
    assert {kind["kind"] for kind in told["kinds"]} == set(Kind)
    assert len(told["indicators"]) == 23


def test_it_says_who_is_found_and_what_the_indicators_say() -> None:
    words = ["population", "--players", "60", "--days", "30"]
    shown = CliRunner().invoke(app, words).stdout
    assert "card tester" in shown
    assert "honest, looked at" in shown
    assert "due_diligence_threshold" in shown


def test_it_makes_the_block_of_a_document_anew_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGINS}\nyesterday's\n{ENDS}\n\nafter\n")
    answered("--write", str(page))
    text = page.read_text()
    assert text.startswith(f"before\n\n{BEGINS}\n")
    assert text.endswith(f"{ENDS}\n\nafter\n")
    assert "yesterday's" not in text
    answered("--write", str(page))
    assert page.read_text() == text


def test_a_document_without_the_block_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing to see\n")
    words = ["population", "--players", "20", "--days", "7", "--write", str(page)]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 1
    assert "no block" in answer.stderr
    assert page.read_text() == "nothing to see\n"


# --- the documentation --------------------------------------------------------------------------


def shape(block: str) -> list[str]:
    """Of each line the first cell, which names what it is about; no numbers."""
    lines = [line.split("|") for line in block.splitlines() if line.startswith("|")]
    return [line[1].strip() for line in lines] + [str(len(line)) for line in lines]


def test_the_table_in_the_documentation_is_as_the_code_writes_it(found: Evaluation) -> None:
    text = PAGE.read_text(encoding="utf-8")
    block = text.partition(BEGINS)[2].partition(ENDS)[0]
    assert shape(block) == shape(as_markdown(found))
    players, days, seed = (
        synthetic_players.PLAYERS,
        synthetic_players.DAYS,
        synthetic_players.SEED,
    )
    assert f"{players:,} players, {days} days, seed {seed}" in block
    assert shape(written(text, found)) == shape(text)


def test_a_block_that_does_not_end_is_refused(found: Evaluation) -> None:
    with pytest.raises(BlockMissing):
        written(f"{BEGINS}\n", found)


# --- the ledger ---------------------------------------------------------------------------------


def test_the_real_ledger_takes_every_event(module_database: Settings) -> None:
    events = list(synthetic_players.events(60, 40, 3))
    assert append_population(module_database, 60, 40, 3) == len(events)
    with psycopg.connect(conninfo(module_database, Role.READER)) as connection:
        row = connection.execute("SELECT count(*) FROM ledger_events").fetchone()
    assert row == (len(events),)
