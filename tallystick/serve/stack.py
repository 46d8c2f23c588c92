"""The parts of a running ledger, as processes: what `serve` and the demo start."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ledger.access.keyring import provider_secrets
from ledger.eventstore.embedded import control
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from tallystick.serve.supervisor import Part

SIMULATOR = "simulator"


def parts(settings: Settings, *, seed: int = 1, faults: str = "none") -> list[Part]:
    """Every part of `serve`; the provider simulator with its seed and faults."""
    common = environment_of(settings)
    number = settings.api_processes
    names = ["api"] if number == 1 else [f"api-{n}" for n in range(1, number + 1)]
    return [
        *(Part(name, ["serve", "api"], common) for name in names),
        Part("projector", ["serve", "projector"], common),
        Part("workers", ["serve", "workers"], common),
        Part("signer", ["serve", "signer"], common),
        Part("exports", ["serve", "exports"], common),
        simulator(settings, seed=seed, faults=faults),
    ]


def simulator(settings: Settings, *, seed: int, faults: str) -> Part:
    """The provider simulator; its secrets travel in the environment, never in the arguments."""
    secrets = provider_secrets(settings.data, SIMULATOR)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    return Part(
        "simulator",
        [
            "simulate-provider",
            *("--port", str(settings.simulator_port)),
            *("--seed", str(seed)),
            *("--faults", faults),
            *("--time-scale", "0.3"),
            *("--silence-seconds", str(settings.provider_timeout_seconds + 1)),
            *("--webhook-url", f"http://{host}:{settings.port}/v1/providers/simulator/notices"),
        ],
        {
            "TALLYSTICK_SIMULATOR_SECRET": secrets.webhook_secret,
            "TALLYSTICK_SIMULATOR_TOKEN": secrets.token,
        },
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """What another process needs to come to the same settings."""
    environment = {
        "TALLYSTICK_DATA": str(settings.data),
        "TALLYSTICK_DATABASE_NAME": settings.database_name,
        "TALLYSTICK_HOST": settings.host,
        "TALLYSTICK_PORT": str(settings.port),
        "TALLYSTICK_API_PROCESSES": str(settings.api_processes),
        "TALLYSTICK_SIMULATOR_PORT": str(settings.simulator_port),
        "TALLYSTICK_LOG_LEVEL": settings.log_level,
        "TALLYSTICK_PROVIDER_TIMEOUT_SECONDS": str(settings.provider_timeout_seconds),
    }
    if settings.origin is not None:
        environment["TALLYSTICK_ORIGIN"] = settings.origin
    if settings.database_url is not None:
        environment["DATABASE_URL"] = settings.database_url
    return environment


def keep_database(settings: Settings) -> None:
    """Start the embedded database where it has died; an outside one is not ours to start."""
    if settings.database_url is not None:
        return
    cluster = control.cluster(settings)
    try:
        conninfo = cluster.conninfo(user=control.ADMIN, dbname="postgres")
        psycopg.connect(conninfo, connect_timeout=5).close()
    except psycopg.OperationalError:
        control.start(settings)


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the right to run the parts of the ledger on this database.

    Raises:
        SetupError: somebody else has it.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    path = settings.data / f"serve-{settings.database_name}.lock"
    with Path(path).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                f"A ledger is running on the database {settings.database_name!r} already.",
                remedy="Stop it, or choose another database:"
                " TALLYSTICK_DATABASE_NAME=demo tallystick demo",
            ) from None
        yield
