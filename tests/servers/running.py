"""The real program, as processes on a data folder of its own: run it, find its parts, kill them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic
from typing import TypeVar

from click.testing import Result
from typer.testing import CliRunner

from ledger.eventstore.embedded import control
from ledger.settings import Settings
from tallystick.cli.main import app
from tests.conftest import embedded_settings, passable_folder

T = TypeVar("T")

PARTS = ("api", "projector", "workers")
POSTGRES = "postgres"
POLL_SECONDS = 0.02
_LEAVE_SECONDS = 20.0


class Place:
    """A data folder, and every process that works on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: Settings = embedded_settings(folder)

    def environment(self, **more: str) -> dict[str, str]:
        ours = {
            "TALLYSTICK_DATA": str(self.settings.data),
            "TALLYSTICK_SYSTEM_DATA": str(self.settings.system_data),
            "TERM": "dumb",
            "COLUMNS": "200",
        }
        return _foreign_environment() | ours | more

    def run(
        self, *arguments: str, timeout_seconds: float = 60.0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`tallystick` with these arguments, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tallystick", *arguments],
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def invoke(self, *arguments: str, **environment: str) -> Result:
        """As `run`, but within this process, which takes a fraction of the time."""
        leave_alone = {name: None for name in os.environ if _is_setting(name)}
        wanted = leave_alone | self.environment(**environment)
        return CliRunner(env=wanted).invoke(app, list(arguments))

    def start(self, *arguments: str, name: str, **environment: str) -> "subprocess.Popen[bytes]":
        """`tallystick` with these arguments; what it says is in `name`.out and `name`.err."""
        with (
            (self.folder / f"{name}.out").open("wb") as output,
            (self.folder / f"{name}.err").open("wb") as errors,
        ):
            return subprocess.Popen(
                [sys.executable, "-m", "tallystick", *arguments],
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )

    def said(self, name: str) -> str:
        """What a started process has said so far, errors last."""
        files = (self.folder / f"{name}.out", self.folder / f"{name}.err")
        return "\n".join(file.read_text(errors="replace") for file in files)

    # --- victims --------------------------------------------------------------------------------

    def pid_of(self, victim: str, random: Random | None = None) -> int | None:
        """The process of a part, or of PostgreSQL: its postmaster or, drawn, one of its children.

        None while it is not running.
        """
        if victim != POSTGRES:
            found = self._parts().get(victim)
            return found[0] if found else None
        processes = self._servers()
        postmaster = control.status(self.settings).pid
        if random is None or postmaster is None or random.random() < 0.5:
            return postmaster if postmaster in processes else None
        return random.choice(processes) if processes else None

    def kill(self, victim: str, random: Random | None = None) -> bool:
        """SIGKILL; whether there was anything to kill."""
        pid = self.pid_of(victim, random)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def _parts(self) -> dict[str, list[int]]:
        parts: dict[str, list[int]] = {}
        for pid in self.processes():
            words = _words(pid, "cmdline")
            if "serve" in words[:-1] and words[-1] in PARTS:
                parts.setdefault(words[-1], []).append(pid)
        return parts

    def processes(self) -> list[int]:
        """Of ours, but PostgreSQL's."""
        mark = f"TALLYSTICK_DATA={self.settings.data}"
        servers = set(self._servers())
        return [
            pid
            for pid in _all_processes()
            if pid not in servers and pid != os.getpid() and mark in _words(pid, "environ")
        ]

    def _servers(self) -> list[int]:
        data = control.cluster(self.settings).data_dir
        return [pid for pid in _all_processes() if _working_folder(pid) == data]

    # --- the end --------------------------------------------------------------------------------

    def clear(self) -> None:
        """End everything that works on the folder, and remove it."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.processes(), "its processes to end", _LEAVE_SECONDS)
        control.stop(self.settings)
        with suppress(TimeoutError):
            until(lambda: not self._servers(), "PostgreSQL to end", _LEAVE_SECONDS)
        for pid in self._servers():  # it was killed itself, and its children hang on
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def place() -> Iterator[Place]:
    """A fresh folder on disk; afterwards nothing is left of it."""
    made = Place(passable_folder("tallystick-test-"))
    try:
        yield made
    finally:
        made.clear()


def until(
    found: Callable[[], T | None],
    what: str,
    seconds: float,
    *,
    gone: Callable[[], bool] | None = None,
) -> T:
    """Look again and again until there is something.

    Raises:
        TimeoutError: there was not, in time, or `gone` says that there never will be.
    """
    deadline = monotonic() + seconds
    pause = threading.Event()
    while not (result := found()):
        if monotonic() > deadline or (gone is not None and gone()):
            raise TimeoutError(f"waited in vain for {what}")
        pause.wait(POLL_SECONDS)
    return result


def _foreign_environment() -> Mapping[str, str]:
    """Ours without settings of the ledger's."""
    return {name: value for name, value in os.environ.items() if not _is_setting(name)}


def _is_setting(name: str) -> bool:
    return name.startswith("TALLYSTICK_") or name == "DATABASE_URL"


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _words(pid: int, file: str) -> list[str]:
    try:
        content = Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return []
    return content.decode(errors="replace").rstrip("\0").split("\0")


def _working_folder(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None
