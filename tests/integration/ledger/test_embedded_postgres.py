"""The embedded PostgreSQL, with real servers: starting, crashing, stopping, and as whom."""

import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from ledger.eventstore.embedded import control
from ledger.eventstore.embedded.binaries import candidate_folders
from ledger.eventstore.embedded.control import ADMIN, EmbeddedPostgresError
from ledger.eventstore.embedded.home import locate
from ledger.settings import Settings
from tests.conftest import admin_connection, embedded_settings

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root drops privileges")

START = """
import os, signal, sys
from pathlib import Path
from ledger.settings import Settings
from ledger.eventstore.embedded import control
settings = Settings(database_url=None, data=Path(sys.argv[1]), system_data=Path(sys.argv[2]))
control.start(settings)
print(control.status(settings).pid, flush=True)
"""


def start_elsewhere(settings: Settings, script: str = START) -> "subprocess.Popen[str]":
    """Start PostgreSQL from another Python process, which prints the server's process id."""
    command = [sys.executable, "-c", script, str(settings.data), str(settings.system_data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def server_pid(settings: Settings) -> int:
    pid = control.status(settings).pid
    assert pid is not None
    return pid


def ask(settings: Settings, query: str) -> Sequence[object] | None:
    with admin_connection(settings) as connection:
        return connection.execute(query.encode()).fetchone()


def remember(settings: Settings) -> None:
    with admin_connection(settings) as connection:
        connection.execute("CREATE TABLE memory AS SELECT 'kept' AS what")


def test_it_starts_stops_and_starts_again_with_its_data(folder: Path) -> None:
    settings = embedded_settings(folder)
    assert not control.status(settings).running
    assert control.stop(settings) is False
    said: list[str] = []
    control.start(settings, said.append)
    assert any("Creating" in line for line in said)
    remember(settings)
    running = control.status(settings)
    assert (running.running, running.accepting) == (True, True)
    assert running.size_bytes > 1_000_000
    assert control.stop(settings) is True
    stopped = control.status(settings)
    assert (stopped.running, stopped.pid) == (False, None)
    assert stopped.version == str(running.version).split(".")[0]
    control.start(settings)
    assert ask(settings, "SELECT what FROM memory") == ("kept",)


def test_it_keeps_what_it_confirms_and_listens_on_a_private_socket_only(cluster: Settings) -> None:
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "server_encoding": "UTF8",
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
    }
    for name, value in expected.items():
        assert ask(cluster, f"SELECT current_setting('{name}')") == (value,), name
    home = locate(cluster)
    for private in (home.root, home.data_dir, home.socket_dir, home.log_dir):
        assert private.stat().st_mode & 0o777 == 0o700


def test_a_second_start_finds_the_first(cluster: Settings) -> None:
    pid = server_pid(cluster)
    assert control.start(cluster) == control.cluster(cluster)
    assert server_pid(cluster) == pid


def test_four_processes_starting_at_once_get_one_server(folder: Path) -> None:
    settings = embedded_settings(folder)
    starters = [start_elsewhere(settings) for _ in range(4)]
    answers = [starter.communicate(timeout=60)[0] for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0, 0]
    assert {int(answer) for answer in answers} == {server_pid(settings)}


def test_it_survives_the_death_of_its_starter(folder: Path) -> None:
    settings = embedded_settings(folder)
    starter = start_elsewhere(settings, START + "signal.pause()\n")
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    os.killpg(starter.pid, signal.SIGINT)  # the terminal's Ctrl-C goes to the whole group
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()
    assert server_pid(settings) == pid
    assert ask(settings, "SELECT 1") == (1,)


def test_a_server_whose_starter_died_at_once_is_found(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    remember(settings)
    os.kill(server_pid(settings), signal.SIGKILL)
    dies_launching = START.replace(
        "control.start(settings)",
        "control.start(settings, lambda said: said.startswith('Starting')"
        " and os.kill(os.getpid(), signal.SIGKILL))",
    )
    starter = start_elsewhere(settings, dies_launching)
    starter.communicate(timeout=60)
    assert starter.returncode == -signal.SIGKILL
    control.start(settings)
    assert ask(settings, "SELECT what FROM memory") == ("kept",)


def test_after_a_kill_it_recovers_with_its_data(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    remember(settings)
    killed = server_pid(settings)
    os.kill(killed, signal.SIGKILL)
    control.start(settings)
    assert server_pid(settings) != killed
    assert ask(settings, "SELECT what FROM memory") == ("kept",)


def test_a_start_waits_for_the_children_of_a_killed_server(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    with admin_connection(settings) as busy:
        row = busy.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        child = int(str(row[0]))
        os.kill(child, signal.SIGSTOP)
        os.kill(server_pid(settings), signal.SIGKILL)
        resume = subprocess.Popen(["sh", "-c", f"sleep 1; kill -CONT {child}"])
        said: list[str] = []
        control.start(settings, said.append)
        resume.wait()
    assert any("processes of an earlier server" in line for line in said)


def test_a_process_id_given_to_someone_else_does_not_keep_it_from_starting(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    control.stop(settings)
    home = locate(settings)
    stranger = home.user.popen(["sleep", "60"])
    try:
        # What a power failure leaves behind when the id has since been reused.
        home.pid_file.write_text(f"{stranger.pid}\n{home.data_dir}\n1\n5432\n\n\n\n\n")
        assert not control.status(settings).running
        assert control.stop(settings) is False
        control.start(settings)
        assert ask(settings, "SELECT 1") == (1,)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_start_waits_while_the_server_still_shuts_down(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    os.kill(server_pid(settings), signal.SIGINT)
    control.start(settings)
    assert ask(settings, "SELECT 1") == (1,)


def test_a_server_that_dies_while_starting_shows_its_log(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    control.stop(settings)
    with (locate(settings).data_dir / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = 'a lot'\n")
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        control.start(settings)


def test_binaries_of_another_major_version_are_refused_by_name(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    control.stop(settings)
    (locate(settings).data_dir / "PG_VERSION").write_text("12\n")
    with pytest.raises(
        EmbeddedPostgresError, match=r"(?s)No binaries of PostgreSQL 12.*pg_upgrade"
    ):
        control.start(settings)


@pytest.mark.parametrize("name", ["n" * 120, "a,b", "with 'quotes' and spaces $HOME"])
def test_any_path_will_do(folder: Path, name: str) -> None:
    settings = embedded_settings(folder, data=folder / name / "data")
    cluster = control.start(settings)
    try:
        socket_path = cluster.socket_dir / ".s.PGSQL.5432"
        assert len(os.fsencode(socket_path)) <= 107
        assert cluster.socket_dir.stat().st_mode & 0o777 == 0o700
        assert ask(settings, "SELECT 1") == (1,)
    finally:
        control.stop(settings)
        if not cluster.socket_dir.is_relative_to(folder):
            cluster.socket_dir.rmdir()


def test_an_open_socket_folder_under_tmp_is_refused(folder: Path) -> None:
    settings = embedded_settings(folder, data=folder / ("n" * 120))
    digest = hashlib.sha256(os.fsencode(settings.data / "postgres")).hexdigest()[:16]
    prepared = Path("/tmp") / f"tallystick-{digest}"  # noqa: S108 - the folder under test
    prepared.mkdir()
    prepared.chmod(0o777)
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"is not a folder of user|open to other"):
            control.start(settings)
    finally:
        prepared.rmdir()


@as_root
def test_root_hands_it_to_an_unprivileged_user(cluster: Settings) -> None:
    home = locate(cluster)
    owner = Path(f"/proc/{server_pid(cluster)}").stat().st_uid
    assert owner == home.user.uid != 0
    assert home.data_dir.stat().st_uid == owner


@as_root
def test_a_data_folder_its_user_cannot_reach_is_not_opened_up(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    settings = embedded_settings(folder, data=closed / "data")
    cluster = control.start(settings)
    try:
        assert cluster.data_dir.is_relative_to(settings.system_data)
        assert closed.stat().st_mode & 0o777 == 0o700
        assert control.start(settings) == cluster
        assert ask(settings, "SELECT 1") == (1,)
    finally:
        assert control.stop(settings) is True


@as_root
def test_binaries_its_user_cannot_read_are_copied_once(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    bundled = next(
        place for place in candidate_folders(Settings()) if (place.parent / "share").is_dir()
    )
    package = bundled.parent.parent
    shutil.copytree(bundled.parent, closed / package.name / "install", symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    settings = embedded_settings(folder, pg_bin=closed / package.name / "install" / "bin")
    control.start(settings)
    running = Path(f"/proc/{server_pid(settings)}/exe").readlink()
    assert running.is_relative_to(settings.system_data)
    control.stop(settings)
    copied_at = running.stat().st_ctime_ns
    control.start(settings)
    assert running.stat().st_ctime_ns == copied_at


def test_a_normal_user_needs_nothing_special(folder: Path) -> None:
    """Under root another process becomes `nobody`, having imported what it may then not read."""
    nobody = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.getuid())
    data = folder / "data"
    data.mkdir()
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    script = f"""
import os, sys
from pathlib import Path
import alembic.command, alembic.script, sqlalchemy.dialects.postgresql.psycopg
from ledger.settings import Settings
from ledger.eventstore import database
from ledger.eventstore.embedded import control
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})
os.chdir("/")
settings = Settings(database_url=None, data=Path(sys.argv[1]), system_data=Path(sys.argv[2]))
control.start(settings)
control.start(settings)
database.prepare(settings)
print(control.status(settings).user)
assert control.stop(settings)
assert not Path(sys.argv[2]).exists()
"""
    child = start_elsewhere(embedded_settings(folder), script)
    output, _ = child.communicate(timeout=60)
    assert (child.returncode, output.strip()) == (0, nobody.pw_name)
    assert (data / "postgres" / "data").stat().st_uid == nobody.pw_uid


def test_someone_elses_server_on_the_socket_is_noticed(folder: Path) -> None:
    """A copied data folder must not be taken for the original."""
    settings = embedded_settings(folder)
    control.start(settings)
    copy = embedded_settings(folder, data=folder / "copy")
    control.start(copy)
    control.stop(copy)
    copied_socket = locate(copy).socket_dir
    copied_socket.rmdir()
    copied_socket.symlink_to(locate(settings).socket_dir)
    with pytest.raises(EmbeddedPostgresError, match="is not a folder of user"):
        control.start(copy)


def test_a_frozen_socket_file_is_not_taken_for_a_server(folder: Path) -> None:
    settings = embedded_settings(folder)
    control.start(settings)
    control.stop(settings)
    left_over = locate(settings).socket_dir / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as unused:
        unused.bind(str(left_over))
    shutil.chown(left_over, locate(settings).user.uid)
    began = time.monotonic()
    control.start(settings)
    assert time.monotonic() - began < 30
    conninfo = control.cluster(settings).conninfo(user=ADMIN, dbname="postgres")
    with psycopg.connect(conninfo) as connection:
        assert connection.info.server_version >= 150000
