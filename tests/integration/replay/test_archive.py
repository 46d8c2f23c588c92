"""The archive: the log byte for byte in files, which say what they are without a database."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from heapq import merge
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ledger.checkpoints.note import Signer
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from replay.archive import layout, read
from replay.archive.apart import Reader
from replay.archive.compare import compare_with_database
from replay.archive.layout import ArchiveError, bucket_of
from replay.archive.replayed import replay_archive
from replay.archive.verify import verify_archive
from replay.archive.write import archive
from tallystick.cli.archive import archive as app
from tests.conftest import fresh_database
from tests.generators.archived_log import contents, fill, flipped, follow, log_rows, sign_at, sizes
from tests.integration.replay.archive_forgery import cover_up, forge, poisoned
from tests.oracles.ledger_checks import rows

STEPS = 700
CUT = 250
"""Events a segment."""


@pytest.fixture(scope="module")
def ledger(cluster: Settings) -> Any:
    """One whose read models have followed it; only read from."""
    with fresh_database(cluster) as database:
        fill(database, seed=41, steps=STEPS)
        follow(database)
        yield database


@pytest.fixture(scope="module")
def written(ledger: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of all of it; only read from."""
    folder = tmp_path_factory.mktemp("archive") / "whole"
    archive(reader(ledger), folder, buckets=3, segment_events=CUT)
    return folder


@pytest.fixture(scope="module")
def apart() -> Iterator[Reader]:
    with Reader() as reader:
        yield reader


def reader(database: Settings) -> str:
    return conninfo(database, Role.READER)


def end_of(database: Settings) -> int:
    return int(rows(database, "SELECT position FROM ledger_head")[0].position)


def events_in(folder: Path) -> list[read.Archived]:
    manifest = layout.load(folder)
    return [
        event
        for segment in manifest.segments
        for event in merge(*(read.events(folder / file.name) for file in segment.files))
    ]


# --- what is in it ------------------------------------------------------------------------------


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(0, 10_000), max_size=3),
    buckets=st.integers(1, 5),
    segment_events=st.integers(90, 1_500),
)
def test_an_archive_is_the_log_byte_for_byte_however_many_runs_it_took(
    ledger: Settings, tmp_path: Path, cuts: list[int], buckets: int, segment_events: int
) -> None:
    folder, end = tmp_path / "runs", end_of(ledger)
    shutil.rmtree(folder, ignore_errors=True)
    stops = sorted(cut % (end + 1) for cut in cuts)
    for upto in (*stops, None):
        manifest = archive(
            reader(ledger), folder, upto=upto, buckets=buckets, segment_events=segment_events
        )
    assert manifest.position == end
    found = events_in(folder)
    assert [tuple(event)[:-1] for event in found] == log_rows(ledger, end)
    assert {s.last for s in manifest.segments} == {
        *(stop for stop in stops if stop),
        *range(segment_events, end, segment_events),
        end,
    }
    verified = verify_archive(folder)
    assert verified.ok, verified.problems
    assert verified.events == end
    assert verified.root == rows(ledger, "SELECT root FROM ledger_head")[0].root.hex()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_runs_that_end_where_segments_do_give_the_bytes_of_one_run(
    database: Settings, tmp_path: Path, seed: int
) -> None:
    end = fill(database, seed, 300)
    archive(reader(database), tmp_path / "one", buckets=2, segment_events=100)
    for upto in (100, 200, end):
        archive(reader(database), tmp_path / "many", upto=upto, buckets=2, segment_events=100)
    archive(reader(database), tmp_path / "many", upto=50)  # has it already: nothing to do
    assert contents(tmp_path / "one") == contents(tmp_path / "many")


def test_what_is_written_is_never_touched_again(database: Settings, tmp_path: Path) -> None:
    end = fill(database, 5, 300)
    archive(reader(database), tmp_path / "a", upto=150, buckets=2, segment_events=100)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.parquet")}
    manifest = archive(reader(database), tmp_path / "a")
    assert before.items() <= {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*")}.items()
    assert [segment.last for segment in manifest.segments][:3] == [100, 150, 200]
    assert manifest.position == end
    assert verify_archive(tmp_path / "a").ok


def test_all_streams_of_a_player_are_in_one_bucket(ledger: Settings, written: Path) -> None:
    """As history says whose they are, which is another way to find out."""
    players = {
        row.id.bytes: row.player_id.bytes
        for row in rows(ledger, "SELECT id, player_id FROM history_v2.transactions")
        if row.player_id is not None
    }
    manifest = layout.load(written)
    owned = 0
    for segment in manifest.segments:
        for file in segment.files:
            for event in read.events(written / file.name):
                if event.stream in players:
                    owned += 1
                    assert event.owner == players[event.stream]
                assert bucket_of(event.owner, manifest.buckets) == file.bucket
    assert owned > end_of(ledger) / 2


def test_an_empty_log_is_archived_too(database: Settings, tmp_path: Path) -> None:
    assert archive(reader(database), tmp_path / "a").position == 0
    assert verify_archive(tmp_path / "a").ok
    assert replay_archive(tmp_path / "a").events == 0
    end = fill(database, 7, 50)
    assert archive(reader(database), tmp_path / "a").position == end


# --- what is refused ----------------------------------------------------------------------------


def test_nothing_is_added_to_an_archive_of_another_log(
    ledger: Settings, database: Settings, tmp_path: Path
) -> None:
    fill(database, 8, 300)
    archive(reader(ledger), tmp_path / "a", upto=200, buckets=2)
    before = contents(tmp_path / "a")
    with pytest.raises(ArchiveError, match="of another log"):
        archive(reader(database), tmp_path / "a")
    assert contents(tmp_path / "a") == before


def test_an_altered_event_is_not_archived(database: Settings, tmp_path: Path) -> None:
    fill(database, 9, 300)
    alter(database, "UPDATE ledger_events SET state = state || ' ' WHERE notification_id = 150")
    with pytest.raises(ArchiveError, match="Position 150 was altered"):
        archive(reader(database), tmp_path / "a", buckets=2, segment_events=100)
    assert layout.load(tmp_path / "a").position == 100
    assert verify_archive(tmp_path / "a").ok


@pytest.mark.parametrize("upto", [19, None])
def test_a_log_that_does_not_lead_to_its_roots_is_not_archived(
    database: Settings, tmp_path: Path, upto: int | None
) -> None:
    """As when an event was altered together with its leaf."""
    fill(database, 9, 100)
    alter(database, "UPDATE ledger_roots SET root = sha256(root)")
    with pytest.raises(ArchiveError, match="another root than was recorded"):
        archive(reader(database), tmp_path / "a", upto=upto)
    assert layout.load(tmp_path / "a").position == 0


def alter(database: Settings, statement: str) -> None:
    with psycopg.connect(conninfo(database, Role.OWNER)) as connection:
        for table in ("ledger_events", "ledger_roots"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connection.execute(statement)


def test_only_one_process_writes_at_a_time(ledger: Settings, tmp_path: Path) -> None:
    with layout.alone(tmp_path), pytest.raises(ArchiveError, match="Another process"):
        archive(reader(ledger), tmp_path)


def test_the_number_of_buckets_stays(ledger: Settings, tmp_path: Path) -> None:
    archive(reader(ledger), tmp_path / "a", upto=10, buckets=2)
    with pytest.raises(ArchiveError, match="made with 2 buckets"):
        archive(reader(ledger), tmp_path / "a", buckets=3)
    with pytest.raises(ArchiveError, match="ends at position"):
        archive(reader(ledger), tmp_path / "a", upto=10**9)


def test_a_folder_with_other_things_in_it_is_left_alone(ledger: Settings, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(ArchiveError, match="something else"):
        archive(reader(ledger), tmp_path)


# --- verifying ----------------------------------------------------------------------------------


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_a_flipped_byte_anywhere_is_found(
    written: Path, apart: Reader, tmp_path: Path, seed: int
) -> None:
    random, copy = Random(seed), tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(written, copy)
    path = random.choice(sorted(p for p in copy.rglob("*") if p.is_file()))
    flipped(path, random)
    if path.name == layout.MANIFEST:
        with pytest.raises(ArchiveError):
            verify_archive(copy)
        return
    found = verify_archive(copy)
    assert not found.ok
    assert any(path.name in problem.detail for problem in found.problems)
    if found.first_bad_position is not None:
        assert found.first_bad_position == first_that_differs(apart, copy, written, path)


def first_that_differs(apart: Reader, copy: Path, written: Path, path: Path) -> int:
    """The first event of a file that cannot be read, or not as it was."""
    good = list(read.events(written / path.relative_to(copy)))
    bad: list[read.Archived] = []
    with suppress(ArchiveError):
        bad.extend(read.events(path, apart.row_groups))
    pairs = zip(good, [*bad, *[None] * len(good)], strict=False)
    return next(event.position for event, other in pairs if event != other)


@pytest.mark.parametrize("column", ["state", "leaf", "version", "topic", "recorded_at", "owner"])
def test_a_changed_value_is_found_where_it_is_whatever_the_digests_say(
    written: Path, tmp_path: Path, column: str
) -> None:
    """Somebody writes a file anew, and the manifest with it."""
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    position = forge(copy, column, Random(3))
    found = verify_archive(copy)
    assert found.first_bad_position == position, found.problems


@pytest.mark.parametrize(
    ("covered_up", "code"), [(False, "file_altered"), (True, "file_unreadable")]
)
def test_a_file_that_harms_its_reader_is_a_finding_and_not_the_end(
    written: Path, tmp_path: Path, covered_up: bool, code: str
) -> None:
    """As a program of its own, which may die; the other files are verified all the same."""
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    file = layout.load(copy).segments[0].files[0]
    poisoned(copy / file.name)
    if covered_up:
        cover_up(copy, file)
    verify = [sys.executable, "-m", "tallystick", "archive", "verify", str(copy), "--json"]
    ended = subprocess.run(verify, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1, ended
    found = json.loads(ended.stdout)
    assert {(p["code"], file.name in p["detail"]) for p in found["problems"]} >= {(code, True)}
    assert found["events"] > 0
    with pytest.raises(ArchiveError, match="cannot be read"):
        replay_archive(copy)


def test_what_ends_or_holds_the_reader_is_said_of_the_file(written: Path, tmp_path: Path) -> None:
    path = written / layout.load(written).segments[0].files[0].name
    never = tmp_path / "never.parquet"
    os.mkfifo(never)
    others = running_below(os.getpid(), "replay.archive.apart")
    with Reader(read_seconds_max=5.0) as reader:
        with pytest.raises(read.Unreadable, match="longer than 5 seconds"):
            list(read.events(never, reader.row_groups))
        found = read.events(path, reader.row_groups)
        assert next(found) == next(read.events(path))
        (process,) = running_below(os.getpid(), "replay.archive.apart") - others
        os.kill(process, signal.SIGSEGV)
        with pytest.raises(read.Unreadable, match="ended the process"):
            list(reader.row_groups(path, read.ALL))
        assert list(read.events(path, reader.row_groups)) == list(read.events(path))
    assert running_below(os.getpid(), "replay.archive.apart") == others


def running_below(parent: int, name: str) -> set[int]:
    """Child processes whose command line has a name in it."""
    children = Path(f"/proc/{parent}/task").glob("*/children")
    pids = [pid for one in children for pid in one.read_text().split()]
    return {int(p) for p in pids if name.encode() in Path(f"/proc/{p}/cmdline").read_bytes()}


def test_a_missing_file_is_found(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    file = layout.load(copy).segments[1].files[1]
    first = next(read.events(copy / file.name)).position
    (copy / file.name).unlink()
    found = verify_archive(copy)
    assert found.first_bad_position == first
    assert "file_missing" in {problem.code for problem in found.problems}


def test_checkpoints_come_along_and_are_checked(database: Settings, tmp_path: Path) -> None:
    fill(database, 10, 300)
    signer, other = Signer.generate("ledger.example"), Signer.generate("ledger.example")
    size = [size for size in sizes(database) if size <= 200][-1]
    sign_at(database, signer, size)
    archive(reader(database), tmp_path / "a", buckets=2, segment_events=200)
    found = verify_archive(tmp_path / "a", verifiers=[signer.verifier])
    assert found.ok
    assert (found.signed_upto, found.signatures) == (size, 1)
    assert verify_archive(tmp_path / "a").signed_upto == size
    found = verify_archive(tmp_path / "a", verifiers=[other.verifier])
    assert [problem.code for problem in found.problems] == ["checkpoint_invalid"]


def test_a_checkpoint_of_another_root_stops_the_archive(database: Settings, tmp_path: Path) -> None:
    fill(database, 10, 100)
    sign_at(database, Signer.generate("ledger.example"), sizes(database)[0], b"x" * 32)
    with pytest.raises(ArchiveError, match="than was signed"):
        archive(reader(database), tmp_path / "a")


# --- replaying ----------------------------------------------------------------------------------


def test_a_replay_gives_what_the_database_has(ledger: Settings, written: Path) -> None:
    compared = compare_with_database(reader(ledger), replay_archive(written))
    assert {one.what for one in compared} == {"history", "withdrawal_queue", "accounts"}
    assert all(one.same for one in compared), compared


def test_a_changed_row_in_the_database_differs(cluster: Settings, tmp_path: Path) -> None:
    with fresh_database(cluster) as database:
        fill(database, 11, 200)
        follow(database)
        archive(reader(database), tmp_path / "a", buckets=2)
        with psycopg.connect(conninfo(database, Role.OWNER)) as connection:
            connection.execute(
                "UPDATE history_v2.transactions SET method = 'x' WHERE id ="
                " (SELECT min(id::text)::uuid FROM history_v2.transactions)"
            )
            connection.execute("UPDATE ledger_accounts SET balance = 1 WHERE balance = 0")
        same = {
            c.what: c.same
            for c in compare_with_database(reader(database), replay_archive(tmp_path / "a"))
        }
        assert same == {"history": False, "accounts": False, "withdrawal_queue": True}


def test_a_replay_of_the_past_is_that_of_a_shorter_archive(
    ledger: Settings, written: Path, tmp_path: Path
) -> None:
    archive(reader(ledger), tmp_path / "a", upto=333, buckets=3)
    shorter, past = replay_archive(tmp_path / "a"), replay_archive(written, upto=333)
    assert shorter.digest == past.digest != replay_archive(written).digest
    compared = compare_with_database(reader(ledger), past)
    assert all(one.same is None for one in compared), "the tables have gone on"
    with pytest.raises(ArchiveError, match="it has no"):
        replay_archive(written, upto=10**9)


def test_money_sums_to_zero(written: Path) -> None:
    currencies = replay_archive(written).currencies
    assert len(currencies) > 1
    assert all(one.net_minor == 0 < one.moved_minor for one in currencies.values())


# --- at a terminal ------------------------------------------------------------------------------


def test_the_command_line_writes_verifies_and_replays(ledger: Settings, tmp_path: Path) -> None:
    environment = {
        "TALLYSTICK_DATA": str(ledger.data),
        "TALLYSTICK_SYSTEM_DATA": str(ledger.system_data),
        "TALLYSTICK_DATABASE_NAME": ledger.database_name,
    }
    runner, folder = CliRunner(env=environment), str(tmp_path / "a")

    def run(*arguments: str, exit_code: int = 0) -> Any:
        result = runner.invoke(app, [*arguments, "--json"])
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    end = end_of(ledger)
    assert run("write", "--to", folder, "--upto", "100")["events_added"] == 100
    assert run("write", "--to", folder)["events_added"] == end - 100
    assert run("verify", folder)["ok"]
    replayed = run("replay", folder, "--engine", "serial", "--compare", "--model", "history")
    assert [one["same"] for one in replayed["compared"]] == [True, True]
    assert replayed["events"] == end
    assert replayed["workers"][0]["peak_memory_mb"] > 0
    assert "ends at" in run("write", "--to", folder, "--upto", str(end + 1), exit_code=1)["error"]
    flipped(next(Path(folder).rglob("*.parquet")), Random(1))
    assert not run("verify", folder, exit_code=1)["ok"]
    shown = runner.invoke(app, ["verify", folder])
    assert "Not as written" in shown.stdout
