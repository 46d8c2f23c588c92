"""Every engine gives the same, to the last bit, also when a worker is killed half-way."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from replay import engines
from replay.archive.fold import BUCKET_LOCAL, fold_bucket
from replay.archive.replayed import Replayed, replay_archive
from replay.archive.write import archive
from replay.engines import ATTEMPTS_MAX, Engine, EngineError, Processes, Ray, Serial
from tests.conftest import fresh_database
from tests.generators.archived_log import fill
from tests.servers.archive_workers import echoes, killed_half_way, refuses

BUCKETS = 5


@pytest.fixture(scope="module")
def written(cluster: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "a"
    with fresh_database(cluster) as database:
        fill(database, seed=42, steps=700)
        reader = conninfo(database, Role.READER)
        archive(reader, folder, buckets=BUCKETS, segment_events=200)
    return folder


@pytest.fixture(scope="module")
def ray() -> Iterator[Engine]:
    """On one Ray for all tests here: starting it takes longer than they do."""
    pytest.importorskip("ray")
    engine = Ray(2)
    with engine.connected():
        yield engine


@pytest.fixture(params=["processes", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that has workers."""
    if request.param == "processes":
        return Processes(2)
    found: Engine = request.getfixturevalue("ray")
    return found


def what_it_comes_to(replayed: Replayed) -> Any:
    """Everything but how it was computed."""
    buckets = [(b.bucket, b.events, b.rows, b.digests) for b in replayed.buckets]
    accounts = replayed.accounts, replayed.accounts_digest, replayed.currencies
    return replayed.position, replayed.events, replayed.digest, buckets, accounts


class Killing:
    """An engine some of whose workers are killed while they are at a bucket."""

    name = "killing"

    def __init__(self, engine: Engine, notes: Path, kills: int) -> None:
        self._engine = engine
        self._notes = notes
        self._kills = kills
        self.workers = engine.workers

    def map(self, function: Any, buckets: Any) -> Any:
        killed = partial(killed_half_way, function, self._notes, self._kills)
        return self._engine.map(killed, buckets)


def test_every_engine_gives_what_the_serial_run_gives(written: Path, engine: Engine) -> None:
    serial = replay_archive(written, Serial())
    assert serial.events > 500
    assert what_it_comes_to(replay_archive(written, engine)) == what_it_comes_to(serial)


def test_a_killed_worker_changes_nothing(written: Path, engine: Engine, tmp_path: Path) -> None:
    killing = Killing(engine, tmp_path, kills=1)
    replayed = replay_archive(written, killing)
    assert what_it_comes_to(replayed) == what_it_comes_to(replay_archive(written, Serial()))
    pids = (tmp_path / "2").read_text().split()
    assert len(pids) == len(set(pids)) == 2, "the bucket was not run again by another worker"


@pytest.mark.parametrize(
    "engine", ["processes", pytest.param("ray", marks=pytest.mark.soak)], indirect=True
)
def test_a_bucket_whose_workers_always_die_is_given_up(engine: Engine, tmp_path: Path) -> None:
    """Never a result without it."""
    dying = partial(killed_half_way, echoes, tmp_path, 99)
    with pytest.raises(EngineError, match="Bucket 2 was given up"):
        list(engine.map(dying, [2]))
    assert len((tmp_path / "2").read_text().split()) == ATTEMPTS_MAX


def test_what_the_function_raises_is_raised_and_not_tried_again(engine: Engine) -> None:
    with pytest.raises(LookupError, match="three"):
        list(engine.map(refuses, range(4)))


def test_results_do_not_depend_on_the_models_asked_for(written: Path) -> None:
    whole = [fold_bucket(written, tuple(BUCKET_LOCAL), 10**9, n) for n in range(BUCKETS)]
    for name in BUCKET_LOCAL:
        alone = [fold_bucket(written, (name,), 10**9, n) for n in range(BUCKETS)]
        assert [b.digests[name] for b in alone] == [b.digests[name] for b in whole]


def test_engines_are_found_by_name_and_others_refused(tmp_path: Path) -> None:
    assert engines.build("serial", 7).workers == 1
    assert engines.build("processes", 3).workers == 3
    assert engines.build("ray://10.0.0.1:10001").name == "ray"
    with pytest.raises(EngineError, match="no engine 'spark'"):
        engines.build("spark")


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"tallystick\[cluster\]"):
        list(Ray(1).map(refuses, range(2)))
