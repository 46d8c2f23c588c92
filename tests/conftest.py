"""One PostgreSQL for the whole run, and a fresh migrated database for each test that asks."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from ledger.eventstore import database as ledger_database
from ledger.eventstore.embedded import control
from ledger.settings import Settings

_PREFIX = "tallystick-tests-"
_MEMORY_BYTES_MIN = 6 * 1024**3  # the write-ahead log alone may take two

settings.register_profile(
    "default",
    max_examples=100,
    stateful_step_count=30,
    deadline=None,  # how long something takes is for bench/ to say
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
settings.register_profile(
    "soak",
    settings.get_profile("default"),
    max_examples=10_000,
    stateful_step_count=50,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
"""How hard the properties are tried: HYPOTHESIS_PROFILE=soak for hours of it."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running embedded PostgreSQL, shared by all workers of this run.

    Its own database is the template of the others: tests must not connect to it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    users = shared / "cluster.users"
    with _locked(shared / "cluster.lock"):
        folder = _cluster_folder(shared / "cluster.folder")
        settings = embedded_settings(folder)
        ledger_database.prepare(settings)
        users.write_text(str(_count(users) + 1))
    yield settings
    with _locked(shared / "cluster.lock"):
        users.write_text(str(_count(users) - 1))
        if _count(users) == 0:
            (shared / "cluster.folder").unlink()
            discard(folder)


@pytest.fixture
def database(cluster: Settings) -> Iterator[Settings]:
    """Settings of a fresh, migrated database, dropped after the test."""
    with fresh_database(cluster) as settings:
        yield settings


@pytest.fixture(scope="module")
def module_database(cluster: Settings) -> Iterator[Settings]:
    """Like `database`, shared by the tests of one module."""
    with fresh_database(cluster) as settings:
        yield settings


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder every user may pass; an embedded PostgreSQL in it is stopped after the test.

    `tmp_path` will not do: its parent is closed to the user PostgreSQL runs as under root.
    """
    made = passable_folder("tallystick-test-")
    yield made
    discard(made)


def embedded_settings(folder: Path, **changes: object) -> Settings:
    """Settings of an embedded PostgreSQL that keeps everything inside `folder`."""
    values: dict[str, object] = {
        "database_url": None,
        "data": folder / "data",
        "system_data": folder / "system",
    }
    return Settings.model_validate(values | changes)


@contextmanager
def fresh_database(cluster: Settings) -> Iterator[Settings]:
    """Settings of a new copy of the cluster's migrated database."""
    name = f"test_{uuid4().hex}"
    with admin_connection(cluster) as connection:
        ledger_database.create_database(connection, name, template=cluster.database_name)
    try:
        yield cluster.model_copy(update={"database_name": name})
    finally:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        with admin_connection(cluster) as connection:
            connection.execute(drop)


def admin_connection(
    cluster: Settings, dbname: str = "postgres"
) -> psycopg.Connection[tuple[object, ...]]:
    """The superuser's, in autocommit."""
    conninfo = control.cluster(cluster).conninfo(user=control.ADMIN, dbname=dbname)
    return psycopg.connect(conninfo, autocommit=True)


def passable_folder(prefix: str, *, parent: Path | None = None) -> Path:
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    made.chmod(0o755)
    return made


def discard(folder: Path) -> None:
    """Stop what runs in `folder` and remove it."""
    control.stop(embedded_settings(folder))
    shutil.rmtree(folder)


def _cluster_folder(note: Path) -> Path:
    """The folder of this run's cluster, made by whichever worker comes first."""
    if note.exists():
        return Path(note.read_text())
    _sweep()
    made = passable_folder(_PREFIX, parent=_fast_folder())
    (made / "pytest.pid").write_text(str(_run_pid()))
    note.write_text(str(made))
    return made


def _fast_folder() -> Path:
    """Memory where there is plenty: copying a database there costs no disk flushes.

    Tests that crash servers or measure them make their own on disk, with `folder`.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder made in it has an unguessable name
    roomy = memory.is_dir() and os.access(memory, os.W_OK)
    if roomy and shutil.disk_usage(memory).free > _MEMORY_BYTES_MIN:
        return memory
    return Path(tempfile.gettempdir())


def _sweep() -> None:
    """Discard clusters of runs that were killed: a server outlives its starter by design."""
    for left_over in _fast_folder().glob(f"{_PREFIX}*"):
        note = left_over / "pytest.pid"
        if left_over.stat().st_uid != os.getuid() or not note.exists():
            continue
        try:
            os.kill(int(note.read_text()), 0)
        except (ProcessLookupError, ValueError):
            discard(left_over)


def _run_pid() -> int:
    """Of the process that lives as long as the run: under xdist, the workers' parent."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def _count(users: Path) -> int:
    return int(users.read_text()) if users.exists() else 0


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
