"""Backtests: the same on every engine, the same as live, and what an obvious loop finds."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from psycopg.rows import args_row
from typer.testing import CliRunner

from domain.fraud.ruleset import DEFAULT_NAME
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.compare import checkpoint
from projections.engine.projector import Projector
from projections.engine.read_model import schema_of
from projections.engine.tables import adapt, builder, install
from projections.fraud.judging import Hit
from projections.fraud.model import ASSESSMENTS, FRAUD, HITS, AssessmentRow
from replay.archive import layout
from replay.archive.write import archive
from replay.backtest.candidates import Changed, Named
from replay.backtest.digest import digest
from replay.backtest.report import Backtest, Span
from replay.backtest.run import backtest
from replay.backtest.span import SpanInvalid
from replay.engines import Engine, Processes, Ray
from tallystick.cli.main import app
from tests.conftest import fresh_database
from tests.generators.backtested_log import (
    DRAFTED,
    DRAFTED_ID,
    PUBLISHED,
    Obvious,
    fill,
    judged_in_a_loop,
)
from tests.oracles.ledger_checks import log
from tests.servers.backtest_workers import killed_half_way

PLAYERS, DAYS, SEED = 500, 45, 3
CANDIDATE = Named("rules-2")


@pytest.fixture(scope="module")
def database(cluster: Settings) -> Iterator[Settings]:
    with fresh_database(cluster) as settings:
        fill(settings, PLAYERS, DAYS, SEED)
        yield settings


@pytest.fixture(scope="module")
def written(database: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backtest") / "archive"
    archive(conninfo(database, Role.READER), folder, buckets=5, segment_events=4_000)
    return folder


@pytest.fixture(scope="module")
def serial(written: Path) -> Backtest:
    return backtest(written, CANDIDATE)


@pytest.fixture(scope="module")
def end(written: Path) -> int:
    return layout.load(written).position


@pytest.fixture(scope="module")
def obvious(database: Settings, end: int) -> Obvious:
    return judged_in_a_loop(database, DRAFTED, "rules-2", end + 1)


def from_the_log(found: Backtest) -> Backtest:
    """Everything but how it was computed."""
    return replace(found, engine="", workers=0, elapsed_s=0.0, peak_memory_mb=0.0)


class Killing:
    """An engine some of whose workers are killed while they are at a piece of the work."""

    name = "killing"

    def __init__(self, engine: Engine, notes: Path) -> None:
        self._engine = engine
        self._notes = notes
        self.workers = engine.workers

    def map(self, function: Any, buckets: Any) -> Any:
        return self._engine.map(partial(killed_half_way, function, self._notes), buckets)


# --- the same, however it is computed -----------------------------------------------------------


def test_the_log_was_worth_backtesting(serial: Backtest) -> None:
    assert serial.judged > 100
    assert serial.decisions_changed > 5
    assert len({(one.before, one.after) for one in serial.moved}) > 1
    assert [one.ruleset for one in serial.in_force] == [DEFAULT_NAME, "rules-1"]
    assert serial.hits > 50
    assert serial.digest != serial.digest_in_force


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_processes_gives_what_the_serial_run_gives(
    written: Path, serial: Backtest, workers: int
) -> None:
    assert from_the_log(backtest(written, CANDIDATE, Processes(workers))) == from_the_log(serial)


def test_ray_gives_what_the_serial_run_gives(written: Path, serial: Backtest) -> None:
    pytest.importorskip("ray")
    assert from_the_log(backtest(written, CANDIDATE, Ray(2))) == from_the_log(serial)


def test_a_worker_killed_half_way_changes_nothing(
    written: Path, serial: Backtest, tmp_path: Path
) -> None:
    found = backtest(written, CANDIDATE, Killing(Processes(2), tmp_path))
    assert from_the_log(found) == from_the_log(serial)
    for stage in ("deal_bucket", "judge_partition"):
        assert len(set((tmp_path / f"{stage}-2").read_text().split())) == 2


def test_how_the_archive_is_cut_up_changes_nothing(
    database: Settings, serial: Backtest, tmp_path: Path
) -> None:
    archive(conninfo(database, Role.READER), tmp_path / "a", buckets=1)
    assert from_the_log(backtest(tmp_path / "a", CANDIDATE)) == from_the_log(serial)


def test_nothing_is_left_behind(written: Path, serial: Backtest) -> None:
    assert serial.judged
    assert [path.name for path in written.parent.iterdir()] == ["archive"]


# --- the same as live ---------------------------------------------------------------------------


def test_what_was_in_force_comes_to_what_the_live_tables_hold(
    database: Settings, serial: Backtest
) -> None:
    install(conninfo(database, Role.OWNER), [FRAUD])
    writer = conninfo(database, Role.WRITER)
    Projector(conninfo=writer, models=[FRAUD], decode=decode).catch_up()
    schema = schema_of(FRAUD)
    with psycopg.connect(conninfo(database, Role.READER)) as connection:
        connection.execute("SET timezone = 'UTC'")
        adapt(connection)
        assert checkpoint(connection, FRAUD) == serial.log_position
        with connection.cursor(row_factory=args_row(builder(Hit)), binary=True) as cursor:
            columns = ", ".join(HITS.columns)
            query = f'SELECT {columns} FROM {schema}.hits ORDER BY id COLLATE "C"'
            hits = cursor.execute(query.encode()).fetchall()
        with connection.cursor(row_factory=args_row(builder(AssessmentRow)), binary=True) as rows:
            columns = ", ".join(ASSESSMENTS.columns)
            query = f"SELECT {columns} FROM {schema}.assessments ORDER BY position"
            assessments = rows.execute(query.encode()).fetchall()
    assert len(hits) == serial.hits_in_force
    assert digest(hits, assessments) == serial.digest_in_force


def test_live_names_the_rule_set_that_is_in_force_where_the_log_ends(
    written: Path, serial: Backtest
) -> None:
    since = serial.in_force[-1].position
    found = backtest(written, Named("live"), first=str(since + 1))
    assert found.candidate == "rules-1"
    assert [one.ruleset for one in found.in_force] == ["rules-1"]


def test_a_candidate_like_what_is_in_force_changes_nothing(written: Path, serial: Backtest) -> None:
    before = str(serial.in_force[-1].position)
    found = backtest(written, Named(DEFAULT_NAME), before=before)
    assert found.judged > 50
    assert (found.decisions_changed, found.scores_changed, found.decisions) == (0, 0, ())
    assert found.digest == found.digest_in_force
    assert all(day.before == day.after for day in found.queue)
    assert all(one.before == one.after for one in found.indicators)


# --- what would have changed --------------------------------------------------------------------


def test_the_changed_decisions_are_those_of_an_obvious_loop(
    serial: Backtest, obvious: Obvious
) -> None:
    found = {one.withdrawal_id: (one.before.path, one.after.path) for one in serial.decisions}
    assert found == obvious.changed(first=1)
    assert serial.decisions_changed == len(found)
    assert serial.judged == len(obvious.candidate.assessments)
    for one in serial.decisions:
        assert one.after.score == obvious.candidate.assessments[one.withdrawal_id][1].score
    assert serial.hits == len(obvious.candidate.hits)
    assert serial.hits_in_force == len(obvious.in_force.hits)


def test_hits_are_counted_by_how_the_next_case_about_their_subject_ended(
    serial: Backtest, obvious: Obvious
) -> None:
    def ended(hit: Hit) -> str | None:
        later = (
            d for p, subject, d in obvious.closed if subject == hit.subject and p > hit.position
        )
        return next(later, None)

    outcomes = 0
    for one in serial.indicators:
        for side, told in ((obvious.in_force, one.before), (obvious.candidate, one.after)):
            hits = [hit for hit in side.hits.values() if hit.indicator == one.indicator]
            ends = [ended(hit) for hit in hits]
            assert told.hits == len(hits)
            assert told.confirmed == ends.count("confirmed")
            assert told.false_positive == ends.count("false_positive")
            assert told.inconclusive == ends.count("inconclusive")
            outcomes += told.confirmed + told.false_positive + told.inconclusive
    assert outcomes


def test_a_lowered_threshold_is_read_as_a_change_to_the_live_rule_set(
    written: Path, database: Settings, end: int
) -> None:
    changes = {"velocity": {"thresholds": {"hour_deposits": 1}}}
    found = backtest(written, Changed("stricter", changes))
    velocity = tuple(
        replace(
            one,
            thresholds=tuple(
                replace(t, value=1) if t.name == "hour_deposits" else t for t in one.thresholds
            ),
        )
        if one.indicator == "velocity"
        else one
        for one in PUBLISHED.indicators
    )
    expected = judged_in_a_loop(
        database, replace(PUBLISHED, indicators=velocity), "stricter", end + 1
    )
    assert found.candidate == "stricter"
    assert {
        one.withdrawal_id: (one.before.path, one.after.path) for one in found.decisions
    } == expected.changed(first=1)
    assert found.hits == len(expected.candidate.hits)


def test_only_the_largest_are_kept_where_so_is_asked(written: Path, serial: Backtest) -> None:
    found = backtest(written, CANDIDATE, keep=2)
    assert found.decisions == serial.decisions[:2]
    assert found.decisions_changed == serial.decisions_changed
    assert backtest(written, CANDIDATE, keep=0).decisions == ()


# --- spans --------------------------------------------------------------------------------------


def test_the_first_position_of_a_span_is_in_it_and_the_last_is_not(
    written: Path, serial: Backtest
) -> None:
    positions = sorted(one.position for one in serial.decisions)
    first, last = positions[1], positions[-2]
    found = backtest(written, CANDIDATE, first=str(first), before=str(last))
    assert found.span == Span(first=first, before=last)
    inside = {one.position for one in found.decisions}
    assert first in inside
    assert last not in inside
    assert inside == {position for position in positions if first <= position < last}
    longer = backtest(written, CANDIDATE, first=str(first + 1), before=str(last + 1))
    assert {one.position for one in longer.decisions} == (inside | {last}) - {first}


def test_what_is_later_than_the_span_is_not_judged(
    written: Path, database: Settings, end: int
) -> None:
    before = end * 2 // 3
    found = backtest(written, CANDIDATE, before=str(before))
    expected = judged_in_a_loop(database, DRAFTED, "rules-2", before)
    assert (found.hits, found.hits_in_force) == (
        len(expected.candidate.hits),
        len(expected.in_force.hits),
    )
    assert found.log_position == end, "how payouts ended is looked up in the whole log"


def test_an_instant_means_what_was_recorded_then_or_later(
    written: Path, database: Settings, serial: Backtest
) -> None:
    rows = log(database)
    at = {row.notification_id: row.recorded_at for row in rows}
    instant: datetime = at[serial.decisions[0].position]
    first = next(position for position, recorded in at.items() if recorded >= instant)
    found = backtest(written, CANDIDATE, first=instant.isoformat())
    assert found.span == Span(first=first, before=len(rows) + 1)
    until = backtest(written, CANDIDATE, before=instant.isoformat())
    assert until.span == Span(first=1, before=first)
    after = next(position for position, recorded in at.items() if recorded > instant)
    later = (instant + timedelta(microseconds=1)).isoformat()
    assert backtest(written, CANDIDATE, before=later).span == Span(first=1, before=after)


@pytest.mark.parametrize(
    ("first", "before"),
    [("7", "6"), ("1", "99999999"), ("2026-02-30T00:00:00Z", None), ("yesterday", None)],
)
def test_a_span_that_is_none_is_refused(
    written: Path, first: str | None, before: str | None
) -> None:
    with pytest.raises(SpanInvalid):
        backtest(written, CANDIDATE, first=first, before=before)


def test_an_empty_span_has_nothing_in_it(written: Path) -> None:
    found = backtest(written, CANDIDATE, first="1", before="1")
    assert (found.judged, found.hits, found.queue, found.indicators) == (0, 0, (), ())


# --- at a terminal ------------------------------------------------------------------------------


@pytest.fixture
def run(database: Settings, tmp_path: Path) -> Callable[..., Result]:
    runner = CliRunner(
        env={
            "TALLYSTICK_DATA": str(database.data),
            "TALLYSTICK_SYSTEM_DATA": str(database.system_data),
            "TALLYSTICK_DATABASE_NAME": database.database_name,
            "DATABASE_URL": None,
            "TERM": "dumb",
            "COLUMNS": "200",
        }
    )
    return lambda *arguments: runner.invoke(app, ["backtest", *map(str, arguments)])


def test_the_archive_that_is_kept_is_brought_up_to_date_first(
    run: Callable[..., Result], serial: Backtest
) -> None:
    result = run("rules-2", "--engine", "serial", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["digest"] == serial.digest
    assert len(told["decisions"]) == serial.decisions_changed
    progress = json.loads(result.stderr.splitlines()[-1])
    assert (progress["doing"], progress["done"]) == ("Judging", progress["total"])


def test_people_read_what_would_change(
    run: Callable[..., Result], written: Path, serial: Backtest, tmp_path: Path
) -> None:
    result = run(DRAFTED_ID, "--engine", "serial", "--archive", written, "--limit", "1")
    assert result.exit_code == 0, result.output
    assert f"{serial.decisions_changed} would have gone another way" in result.stdout
    assert str(serial.decisions[0].withdrawal_id) in result.stdout
    assert str(serial.decisions[1].withdrawal_id) not in result.stdout
    assert "▇" in result.stdout
    assert serial.digest in result.stdout
    changes = tmp_path / "mine.toml"
    changes.write_text("[velocity.thresholds]\nhour_deposits = 1\n")
    from_file = run(changes, "--engine", "serial", "--archive", written)
    assert from_file.exit_code == 0, from_file.output
    assert from_file.stdout.startswith("mine against default-1, rules-1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rules-9",), "The log has no rule set 'rules-9'"),
        (("rules-2", "--from", "soon"), "neither a position nor an instant"),
        (("rules-2", "--engine", "spark"), "There is no engine 'spark'"),
        (("rules-2", "--archive", "/nowhere"), "There is no archive in /nowhere"),
        (("none.json",), "none.json cannot be read"),
        (("rules-2", "--scratch", "/nowhere"), "/nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Callable[..., Result], written: Path, arguments: tuple[str, ...], said: str
) -> None:
    more = () if "--archive" in arguments else ("--archive", str(written))
    result = run(*arguments, *more, "--json")
    assert result.exit_code == 1
    assert said in json.loads(result.stdout)["error"]
