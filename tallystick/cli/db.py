"""`tallystick db`: the ledger's database from the command line."""

import json as json_format
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ledger.eventstore import database
from ledger.eventstore.embedded import control
from ledger.eventstore.embedded.binaries import find_program
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings, redacted
from tallystick.serve import bootstrap

app = typer.Typer(help="The ledger's database.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]


class ShellRole(StrEnum):
    """What `db shell` calls the roles."""

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"


def report(problem: SetupError) -> NoReturn:
    """Say on standard error what is wrong and what to do; exit with status 1."""
    console = Console(stderr=True)
    console.print(f"[red]{escape(problem.problem)}[/red]", highlight=False)
    console.print(escape(problem.remedy), highlight=False)
    raise typer.Exit(1)


@contextmanager
def _problems_reported() -> Iterator[None]:
    try:
        yield
    except SetupError as problem:
        report(problem)


def _progress() -> Callable[[str], None]:
    """To standard error, so that `--json` stays clean."""
    console = Console(stderr=True)
    return lambda message: console.print(escape(message), style="dim", highlight=False)


def _refuse_foreign(settings: Settings, verb: str) -> None:
    if settings.database_url is not None:
        raise SetupError(
            f"DATABASE_URL names a database of yours, which this command does not {verb}.",
            remedy="Unset DATABASE_URL to use the embedded PostgreSQL.",
        )


@app.command()
def start(*, json: Json = False) -> None:
    """Start the embedded PostgreSQL and make the ledger's database ready."""
    settings = Settings()
    with _problems_reported():
        _refuse_foreign(settings, "start")
        database.prepare(settings, _progress())
        _show_status(settings, as_json=json)


@app.command()
def stop(*, json: Json = False) -> None:
    """Shut the embedded PostgreSQL down, ending its sessions."""
    settings = Settings()
    with _problems_reported():
        _refuse_foreign(settings, "stop")
        stopped = control.stop(settings)
    if json:
        typer.echo(json_format.dumps({"stopped": stopped}))
    else:
        typer.echo("Stopped." if stopped else "It was not running.")


@app.command()
def status(*, json: Json = False) -> None:
    """Say which database is used and whether it answers; exit status 3 if it does not."""
    settings = Settings()
    with _problems_reported():
        answers = _show_status(settings, as_json=json)
    if not answers:
        raise typer.Exit(3)


@app.command()
def migrate(*, json: Json = False) -> None:
    """Bring the schema to this program's version. Also done whenever the ledger starts."""
    settings = Settings()
    with _problems_reported():
        bootstrap.migrate(settings, _progress())
        state = database.migration_state(settings)
    if json:
        typer.echo(json_format.dumps(asdict(state)))
    else:
        typer.echo(f"The schema is at version {state.applied}.")


@app.command()
def shell(
    *,
    role: Annotated[ShellRole, typer.Option(help="As whom to connect.")] = ShellRole.READER,
) -> None:
    """Open psql on the ledger's database."""
    settings = Settings()
    with _problems_reported():
        target = database.conninfo(settings, database.Role[role.name])
        psql = find_program(settings, "psql")
        if psql is None:
            raise SetupError(
                "There is no psql here.",
                remedy="Install PostgreSQL's client, or set TALLYSTICK_PG_BIN to its folder.",
            )
    parameters = conninfo_to_dict(target)
    # Command lines are visible to every user of the machine; environments are not.
    password = parameters.pop("password", None)
    environment = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    command = [str(psql), f"--dbname={make_conninfo('', **parameters)}"]
    os.execve(psql, command, environment)  # noqa: S606 - becoming psql is the purpose


def _show_status(settings: Settings, *, as_json: bool) -> bool:
    """Print the state of the database; whether it answers."""
    facts = _foreign_facts(settings) if settings.database_url else _embedded_facts(settings)
    if as_json:
        typer.echo(json_format.dumps(facts))
    else:
        table = Table(show_header=False, box=None)
        for name, value in facts.items():
            table.add_row(name.replace("_", " "), escape("—" if value is None else str(value)))
        Console(soft_wrap=True).print(table)
    return facts["accepting"] is True


def _embedded_facts(settings: Settings) -> dict[str, object]:
    state = asdict(control.status(settings))
    plain = {
        name: str(value) if isinstance(value, Path) else value for name, value in state.items()
    }
    return {"database": "embedded", **plain}


def _foreign_facts(settings: Settings) -> dict[str, object]:
    facts: dict[str, object] = {"database": redacted(settings.database_url or "")}
    try:
        version = database.server_version(settings)
    except SetupError as problem:
        return {**facts, "accepting": False, "problem": problem.problem}
    return {**facts, "accepting": True, "version": version}
