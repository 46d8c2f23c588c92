"""`tallystick serve`: every part of the ledger as its own process, kept running.

Each part can be killed at any moment and loses nothing, because what it has not finished is in
the log or in the read models. The supervisor only starts what has died again, and the embedded
database with it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import psycopg
import structlog

from ledger.eventstore.setup_error import SetupError

PARENT_VARIABLE = "TALLYSTICK_PARENT"
CHECK_SECONDS = 0.2
RESTART_SECONDS_MAX = 5.0
STOP_SECONDS_MAX = 15.0
STEADY_SECONDS = 10.0
"""A part that has run this long starts again at once."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep running: its name, and the words after `tallystick`."""

    name: str
    arguments: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    started_at: float
    restarts: int = 0
    due_at: float | None = None


class Supervisor:
    """Keeps parts running until told to stop."""

    def __init__(self, parts: Sequence[Part], keep_database: Callable[[], None]) -> None:
        """`keep_database` is called again and again, and starts it where it is down."""
        self._parts = parts
        self._keep_database = keep_database
        self._running: list[_Running] = []

    def run(self, stop: threading.Event) -> None:
        """Start every part; restart what dies; stop them all when `stop` is set."""
        database = threading.Thread(target=self._watch_database, args=(stop,), daemon=True)
        database.start()
        try:
            self._running = [_Running(part, _start(part), monotonic()) for part in self._parts]
            while not stop.wait(CHECK_SECONDS):
                for running in self._running:
                    _revive(running)
        finally:
            self._stop_all()
            database.join(timeout=1)

    def _watch_database(self, stop: threading.Event) -> None:
        while not stop.wait(0.5):
            try:
                self._keep_database()
            except (SetupError, psycopg.Error, OSError) as error:
                # Whatever keeps the database from starting, the next attempt may succeed.
                _log.warning("supervisor.database", error=str(error))

    def _stop_all(self) -> None:
        for running in self._running:
            with contextlib.suppress(ProcessLookupError):
                running.process.send_signal(signal.SIGTERM)
        deadline = monotonic() + STOP_SECONDS_MAX
        for running in self._running:
            try:
                running.process.wait(max(0.1, deadline - monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()


def _revive(running: _Running) -> None:
    """Start a part again that has died, at once the first time and more slowly after that."""
    code = running.process.poll()
    if code is None:
        return
    now = monotonic()
    if running.due_at is None:
        steady = now - running.started_at > STEADY_SECONDS
        running.restarts = 0 if steady else running.restarts + 1
        wait = 0.0 if steady else min(RESTART_SECONDS_MAX, 0.2 * 2 ** (running.restarts - 1))
        running.due_at = now + wait
        _log.warning("supervisor.died", part=running.part.name, code=code, restart_in_s=wait)
    if now >= running.due_at:
        running.process = _start(running.part)
        running.started_at = now
        running.due_at = None


def _start(part: Part) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **part.environment, PARENT_VARIABLE: str(os.getpid())}
    return subprocess.Popen(  # noqa: S603  (our own program)
        [sys.executable, "-m", "tallystick", *part.arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt at the terminal reaches the supervisor alone
    )


def stop_event() -> threading.Event:
    """Set by SIGINT or SIGTERM."""
    stop = threading.Event()

    def tell(*_: object) -> None:
        # From another thread: this one may be interrupted while it holds the event's own lock.
        threading.Thread(target=stop.set).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    return stop


def end_with_parent() -> None:
    """In a part: end, as if told to, when the supervisor that started it is gone."""
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None:
        threading.Thread(target=_follow, args=(int(parent),), daemon=True).start()


def _follow(parent: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
