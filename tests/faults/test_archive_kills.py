"""A killed `archive write` leaves a valid archive, and the next run finishes it, byte for byte."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import sleep

import pytest

from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from replay.archive import layout
from replay.archive.verify import verify_archive
from replay.archive.write import archive
from tests.conftest import fresh_database
from tests.generators.archived_log import contents, fill
from tests.servers.archive_writer import BUCKETS, SEGMENT_EVENTS

FAULTPOINTS = (
    "archive.page:2",
    "archive.before_rename:2",
    "archive.before_manifest:1",
    "archive.before_manifest:2",
    "archive.after_manifest:1",
)
RANDOM_KILLS_SOAKED = 40


@pytest.fixture(scope="module")
def reader(cluster: Settings) -> Iterator[str]:
    with fresh_database(cluster) as database:
        fill(database, seed=77, steps=1_200)
        yield conninfo(database, Role.READER)


@pytest.fixture(scope="module")
def undisturbed(reader: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("archive") / "undisturbed"
    manifest = archive(reader, folder, buckets=BUCKETS, segment_events=SEGMENT_EVENTS)
    assert len(manifest.segments) > 2
    return contents(folder)


def start(reader: str, folder: Path, faultpoint: str = "") -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.servers.archive_writer", reader, str(folder)],
        env={**os.environ, "TALLYSTICK_FAULTPOINT": faultpoint},
    )


def check_and_finish(reader: str, folder: Path, undisturbed: dict[str, bytes]) -> None:
    if (folder / layout.MANIFEST).exists():
        found = verify_archive(folder)
        assert found.ok, found.problems
    archive(reader, folder, buckets=BUCKETS, segment_events=SEGMENT_EVENTS)
    assert contents(folder) == undisturbed


@pytest.mark.parametrize("faultpoint", FAULTPOINTS)
def test_a_run_killed_anywhere_is_finished_by_the_next(
    reader: str, undisturbed: dict[str, bytes], tmp_path: Path, faultpoint: str
) -> None:
    folder = tmp_path / "a"
    assert start(reader, folder, faultpoint).wait(60) == -signal.SIGKILL
    check_and_finish(reader, folder, undisturbed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(RANDOM_KILLS_SOAKED))
def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    reader: str, undisturbed: dict[str, bytes], tmp_path: Path, seed: int
) -> None:
    random, folder = Random(seed), tmp_path / "a"
    process = start(reader, folder)
    while not folder.exists() and process.poll() is None:
        sleep(0.001)
    sleep(random.random() * 0.4)
    process.kill()
    process.wait()
    check_and_finish(reader, folder, undisturbed)
