"""An export that is killed anywhere goes on, and ends in the same bytes as one that was not."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.export_jobs import ExportQueue, Status, Viewer
from ledger.settings import Settings
from replay.export.run import export
from replay.export.selection import Selection
from replay.export.sinks import Format
from replay.jobs import ExportJobs
from tests.conftest import admin_connection
from tests.generators.export_log import files_of, fill

FILE_POSITIONS = 60
CUTS = 6
KINDS = ("deposit", "withdrawal", "refund")
FAULTPOINTS = ("export.after_page", "export.before_rename", "export.after_file")
VIEWER = Viewer("ann", "auditor")

EXPORT = f"""
import sys
from pathlib import Path
from replay.export.run import export
from replay.export.selection import Selection
from replay.export.sinks import Format
selection, folder, written = Selection(kinds={KINDS!r}), Path(sys.argv[2]), Format(sys.argv[3])
export(sys.argv[1], selection, folder, written, file_positions={FILE_POSITIONS})
"""
WORK = f"""
import sys, threading
from pathlib import Path
from replay import jobs
from replay.export import run
run.FILE_POSITIONS = {FILE_POSITIONS}
jobs.ExportJobs(
    writer=sys.argv[1], reader=sys.argv[2], folder=Path(sys.argv[3]), keep_days=7,
    lease_seconds=1.0, idle_seconds=0.05,
).run(threading.Event())
"""


@pytest.fixture(scope="module")
def full(module_database: Settings) -> Settings:
    fill(module_database, seed=11, steps=450)
    return module_database


def run(program: str, *arguments: str, faultpoint: str = "") -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "TALLYSTICK_FAULTPOINT": faultpoint}
    return subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment)


@pytest.mark.parametrize(
    ("written", "faultpoints"),
    [(Format.JSONL, FAULTPOINTS), (Format.PARQUET, ("export.before_rename",))],
)
def test_an_export_killed_anywhere_ends_in_the_same_bytes(
    full: Settings, tmp_path: Path, written: Format, faultpoints: tuple[str, ...]
) -> None:
    reader = database.conninfo(full, Role.READER)
    selection = Selection(kinds=KINDS)
    made = export(reader, selection, tmp_path / "whole", written, file_positions=FILE_POSITIONS)
    assert len(made.files) > 3
    folder = tmp_path / "killed"
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    random = Random(seed)
    for faultpoint in faultpoints:
        passes = random.randint(1, 3)
        process = run(EXPORT, reader, str(folder), written, faultpoint=f"{faultpoint}:{passes}")
        assert process.wait(60) == -signal.SIGKILL
        finished = [name for name in files_of(folder) if name.startswith("events")]
        assert all(
            name.endswith(".part") or files_of(folder)[name] == files_of(tmp_path / "whole")[name]
            for name in finished
        )
    assert export(reader, selection, folder, written, file_positions=FILE_POSITIONS) == made
    assert files_of(folder) == files_of(tmp_path / "whole")


def test_an_export_killed_at_any_moment_goes_on(full: Settings, tmp_path: Path) -> None:
    reader = database.conninfo(full, Role.READER)
    folder, random = tmp_path / "killed", Random()
    for _ in range(2):
        process = run(EXPORT, reader, str(folder), Format.CSV)
        while process.poll() is None and not (folder / "progress.json").exists():
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.05))
        process.kill()
        process.wait()
    selection = Selection(kinds=KINDS)
    for name in ("killed", "whole"):
        export(reader, selection, tmp_path / name, Format.CSV, file_positions=FILE_POSITIONS)
    assert files_of(folder) == files_of(tmp_path / "whole")


def test_a_worker_killed_half_way_is_taken_over(full: Settings, tmp_path: Path) -> None:
    writer, reader = (database.conninfo(full, role) for role in (Role.WRITER, Role.READER))
    queue = ExportQueue(writer)
    request = {"format": "jsonl", "selection": Selection().asked()}
    job = queue.create(VIEWER, "key", "events", request)
    process = run(WORK, writer, reader, str(tmp_path), faultpoint="export.after_file:3")
    assert process.wait(60) == -signal.SIGKILL
    assert queue.get(VIEWER, job.id).status == Status.RUNNING
    before = _written_at(tmp_path, job.id)
    assert len(before) == 3
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("replay.export.run.FILE_POSITIONS", FILE_POSITIONS)
        _work_until_done(queue, job.id, writer, reader, tmp_path)
    done = queue.get(VIEWER, job.id)
    assert done.status == Status.DONE
    assert done.result is not None
    after = _written_at(tmp_path, job.id)
    assert len(after) == len(done.result["manifest"]["files"]) > 3
    assert before.items() <= after.items(), "what was finished is not written again"


def _written_at(folder: Path, job_id: UUID) -> dict[str, int]:
    """When each finished file was written."""
    found = (folder / str(job_id)).glob("events-*.jsonl")
    return {file.name: file.stat().st_mtime_ns for file in found}


def _work_until_done(
    queue: ExportQueue, job_id: UUID, writer: str, reader: str, folder: Path
) -> None:
    stop = threading.Event()
    jobs = ExportJobs(writer=writer, reader=reader, folder=folder, keep_days=7, idle_seconds=0.05)
    thread = threading.Thread(target=jobs.run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while queue.get(VIEWER, job_id).status in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()


def test_a_worker_outlives_lost_connections(
    full: Settings, cluster: Settings, tmp_path: Path
) -> None:
    """Those it reads with are ended under its hands, again and again."""
    writer, reader = (database.conninfo(full, role) for role in (Role.WRITER, Role.READER))
    queue = ExportQueue(writer)
    request = {"format": "csv", "selection": Selection().asked()}
    stop, cuts = threading.Event(), list[int]()

    def cut() -> None:
        while not stop.wait(0.005) and len(cuts) < CUTS:
            cuts.extend([1] * _end_readers(cluster, full.database_name))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("replay.jobs.AGAIN_SECONDS", 0.05)
        patched.setattr("replay.export.run.FILE_POSITIONS", FILE_POSITIONS)
        job = queue.create(VIEWER, "another key", "events", request)
        cutting = threading.Thread(target=cut)
        cutting.start()
        try:
            _work_until_done(queue, job.id, writer, reader, tmp_path)
        finally:
            stop.set()
            cutting.join()
    done = queue.get(VIEWER, job.id)
    assert (done.status, done.error) == (Status.DONE, None)
    assert cuts


def _end_readers(cluster: Settings, name: str) -> int:
    with admin_connection(cluster) as connection:
        return connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = 'tallystick_reader'",
            [name],
        ).rowcount
