"""The embedded PostgreSQL: start, stop, status.

One server per data folder, on a Unix socket that only its user (and root) can reach. It is durable
(checksums, fsync), outlives the process that started it, and may be started by several processes
at once: a lock in its folder orders them, and whether it runs is asked of the server itself, since
a process id in a file may belong to anyone after a crash.
"""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ledger.eventstore.embedded.binaries import Binaries, choose_binaries
from ledger.eventstore.embedded.home import EmbeddedPostgresError, Home, locate, prepare_home
from ledger.eventstore.embedded.initdb import ADMIN, initialise, write_configuration
from ledger.settings import Settings

__all__ = ["ADMIN", "Cluster", "ClusterStatus", "EmbeddedPostgresError", "start", "status", "stop"]

_POLL_SECONDS = 0.02
_PROGRESS_EVERY_SECONDS = 2.0
_ORPHANS_LEAVE_SECONDS = 30.0
_STOP_SECONDS_MAX = 300.0
_LOG_TAIL_LINES = 20

Progress = Callable[[str], None]


def _silent(_message: str) -> None:
    """Nobody is watching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A PostgreSQL of ours; `socket_dir` is what a connection names as its host."""

    data_dir: Path
    socket_dir: Path
    log_dir: Path
    user: str
    """The operating system user it runs as."""

    def conninfo(self, *, user: str, dbname: str) -> str:
        return make_conninfo("", host=str(self.socket_dir), port=5432, user=user, dbname=dbname)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """What is known of the embedded PostgreSQL without changing anything."""

    running: bool
    """The server answers; while it recovers from a crash, with a refusal."""
    accepting: bool
    version: str | None
    """Of the running server, else the major version that made the data; None before the first."""
    pid: int | None
    data_dir: Path
    socket_dir: Path
    log_dir: Path
    user: str
    size_bytes: int
    """Of the data folder, write-ahead log included."""


def cluster(settings: Settings) -> Cluster:
    """Where the embedded PostgreSQL is or would be; nothing is created or started."""
    return _cluster(locate(settings))


def start(settings: Settings, on_progress: Progress = _silent) -> Cluster:
    """Have the embedded PostgreSQL accept connections; does nothing if it already does.

    Waits for crash recovery as long as it takes, while the server lives.

    Raises:
        EmbeddedPostgresError: no binaries, an unusable folder, or the server died while starting;
            the message then ends with its log.
    """
    home = prepare_home(settings)
    with _start_lock(home, on_progress):
        if _comes_to_rest(home, on_progress):
            _verify_it_is_ours(home)
            return _cluster(home)
        binaries = choose_binaries(settings, home.user, home.data_dir)
        if not (home.data_dir / "PG_VERSION").exists():
            on_progress(f"Creating a PostgreSQL {binaries.version} in {home.root}")
            initialise(home, binaries)
        write_configuration(home)
        _launch(home, binaries, on_progress)
    return _cluster(home)


def stop(settings: Settings) -> bool:
    """Shut the server down, ending its sessions; False if it was not running.

    Raises:
        EmbeddedPostgresError: it did not end within five minutes.
    """
    home = locate(settings)
    if not home.root.is_dir():
        return False
    with _start_lock(home, _silent):
        pid = _server_pid(home)
        if _ping(home) is Ping.NO_RESPONSE or pid is None:
            return False
        os.kill(pid, signal.SIGINT)  # PostgreSQL's "fast" shutdown
        deadline = time.monotonic() + _STOP_SECONDS_MAX
        # It removes its pid file last.
        while home.pid_file.exists() and _process_exists(pid):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"The server (pid {pid}) is still shutting down.\n{_log_tail(home)}",
                    remedy="Wait for its last checkpoint, or read its log.",
                )
            time.sleep(_POLL_SECONDS)
    return True


def status(settings: Settings) -> ClusterStatus:
    """What is running, as which process, and how large it is."""
    home = locate(settings)
    answer = _ping(home)
    running = answer in (Ping.OK, Ping.REJECT)
    return ClusterStatus(
        running=running,
        accepting=answer is Ping.OK,
        version=_version(home, accepting=answer is Ping.OK),
        pid=_server_pid(home) if running else None,
        data_dir=home.data_dir,
        socket_dir=home.socket_dir,
        log_dir=home.log_dir,
        user=home.user.name,
        size_bytes=_size_bytes(home.data_dir),
    )


def _cluster(home: Home) -> Cluster:
    return Cluster(
        data_dir=home.data_dir,
        socket_dir=home.socket_dir,
        log_dir=home.log_dir,
        user=home.user.name,
    )


@contextmanager
def _start_lock(home: Home, on_progress: Progress) -> Iterator[None]:
    """Hold the folder's lock. The kernel releases it should we die."""
    descriptor = os.open(home.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if home.user.dropped:
            os.fchown(descriptor, home.user.uid, home.user.gid)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("Waiting for another process that is starting or stopping PostgreSQL")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _admin_conninfo(home: Home) -> str:
    # Without a limit a stopped (SIGSTOP) server would hold us for ever.
    return make_conninfo(_cluster(home).conninfo(user=ADMIN, dbname="postgres"), connect_timeout=10)


def _ping(home: Home) -> Ping:
    """Ask the server itself: OK, REJECT (starting, recovering, stopping) or NO_RESPONSE."""
    return Ping(PGconn.ping(_admin_conninfo(home).encode()))


def _verify_it_is_ours(home: Home) -> None:
    """That the server behind our socket serves our data: the folder may have been copied."""
    with psycopg.connect(_admin_conninfo(home), autocommit=True) as connection:
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    served = Path(row[0]) if row else None
    if served is None or not served.exists() or not served.samefile(home.data_dir):
        raise EmbeddedPostgresError(
            f"The server on {home.socket_dir} serves {served}, not {home.data_dir}.",
            remedy="Stop that server, or set TALLYSTICK_DATA to another folder.",
        )


def _comes_to_rest(home: Home, on_progress: Progress) -> bool:
    """Wait until the server of an earlier start accepts connections (True) or is gone (False).

    It may be recovering or shutting down, or have been killed and leave children behind. Once it
    is gone its process id file is dropped: PostgreSQL distrusts the file for ever if the id now
    belongs to another process of the same user. Where there is no `/proc` to tell (outside Linux)
    the file stays, and PostgreSQL's own judgement stands.
    """
    knows = Path("/proc/self/cwd").exists()
    report = _Reporter(on_progress)
    gone_by = time.monotonic() + _ORPHANS_LEAVE_SECONDS
    while (answer := _ping(home)) is not Ping.OK:
        if answer is Ping.REJECT:  # alive, and entitled to take its time
            gone_by = time.monotonic() + _ORPHANS_LEAVE_SECONDS
            report(lambda: f"Waiting for PostgreSQL: {_log_tail(home, lines=1)}")
        elif not (knows and home.pid_file.exists()):
            return False
        elif not (workers := _processes_in(home.data_dir)):
            home.pid_file.unlink(missing_ok=True)
            return False
        elif time.monotonic() > gone_by:
            raise EmbeddedPostgresError(
                f"Processes of an earlier server still work in {home.data_dir}: {workers}.",
                remedy="Wait for them to end, or end them with kill -QUIT.",
            )
        else:
            report(lambda: "Waiting for the processes of an earlier server to end")
        time.sleep(_POLL_SECONDS)
    return True


class _Reporter:
    """Passes on what a wait has to say, at once and then every two seconds."""

    def __init__(self, on_progress: Progress) -> None:
        self._on_progress = on_progress
        self._next_at = float("-inf")

    def __call__(self, message: Callable[[], str]) -> None:
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + _PROGRESS_EVERY_SECONDS
            self._on_progress(message())


def _processes_in(folder: Path) -> list[int]:
    """Processes whose working directory is `folder`, as that of every PostgreSQL process is."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return found


def _launch(home: Home, binaries: Binaries, on_progress: Progress) -> None:
    """Start the server and wait until it accepts connections."""
    home.start_log.unlink(missing_ok=True)
    log = os.open(home.start_log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        if home.user.dropped:
            os.fchown(log, home.user.uid, home.user.gid)
        server = home.user.popen(
            [binaries / "postgres", "-D", home.data_dir],
            cwd=home.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    finally:
        os.close(log)
    # It outlives us; if it ends before us, this collects it.
    threading.Thread(target=server.wait, name="postgres-reaper", daemon=True).start()
    report = _Reporter(on_progress)
    report(lambda: f"Starting PostgreSQL {binaries.version}")
    while _ping(home) is not Ping.OK:
        # It also ends where the server of a starter that died at once has been faster.
        if server.poll() is not None and not _comes_to_rest(home, on_progress):
            raise EmbeddedPostgresError(
                f"PostgreSQL ended while starting.\n{_log_tail(home)}",
                remedy=f"Correct what its log says ({home.log_dir}) and start again.",
            )
        report(lambda: f"PostgreSQL is recovering: {_log_tail(home, lines=1)}")
        time.sleep(_POLL_SECONDS)


def _server_pid(home: Home) -> int | None:
    try:
        return int(home.pid_file.read_text(encoding="utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _version(home: Home, *, accepting: bool) -> str | None:
    if accepting:
        with psycopg.connect(_admin_conninfo(home), autocommit=True) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]) if row else None
    try:
        return (home.data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _size_bytes(folder: Path) -> int:
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:  # the server recycles files while we look
                continue
    return size


def _log_tail(home: Home, *, lines: int = _LOG_TAIL_LINES) -> str:
    """The last lines the server wrote, from before and after its log collector started."""
    try:
        newest_last = sorted(home.log_dir.glob("*.log"), key=lambda path: path.stat().st_mtime)
    except OSError:
        return "(its log cannot be read)"
    text: list[str] = []
    for path in newest_last[-2:]:
        text += path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(text[-lines:]) or "(its log is empty)"
