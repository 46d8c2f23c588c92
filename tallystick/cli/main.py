"""`tallystick`: everything a person does at a terminal."""

import json as json_format
import sys
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, TypeVar
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape

from ledger.access import api_keys
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from tallystick.cli import (
    archive,
    backtest,
    case,
    checkpoints,
    db,
    export,
    population,
    proofs,
    rates,
    rebuild,
    replay,
    verify,
)
from tallystick.cli.demo import demo
from tallystick.cli.doctor import doctor
from tallystick.play.simulator.command import simulate_provider
from tallystick.play.simulator.faults import InvalidFaults, parse_faults
from tallystick.serve import bootstrap, logs, stack
from tallystick.serve.supervisor import Supervisor, end_with_parent, stop_event

app = typer.Typer(
    help="An event-sourced payment ledger and back office for gaming platforms.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
keys = typer.Typer(help="API keys: who may come in, and as whom.", no_args_is_help=True)

app.add_typer(archive.archive, name="archive")
app.add_typer(db.app, name="db")
app.add_typer(keys, name="key")
app.add_typer(export.export, name="export")
export.export.command("case")(case.case)
app.add_typer(replay.replay, name="replay")
app.add_typer(checkpoints.checkpoints, name="checkpoint")
app.add_typer(proofs.proofs, name="proof")
app.add_typer(rates.rates, name="rates")
app.add_typer(rates.policy, name="policy")
app.command()(verify.verify)
app.command()(backtest.backtest)
app.command()(rebuild.rebuild)
replay.replay.command("read-model")(rebuild.replay_read_model)
app.command()(doctor)
app.command()(demo)
app.command()(population.population)
app.command("simulate-provider")(simulate_provider)

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]


@app.callback()
def _begin() -> None:
    """An event-sourced payment ledger and back office for gaming platforms."""
    end_with_parent()


class ServedPart(StrEnum):
    """What `serve` can run alone."""

    ALL = "all"
    API = "api"
    PROJECTOR = "projector"
    WORKERS = "workers"
    SIGNER = "signer"
    EXPORTS = "exports"


@app.command()
def serve(
    part: Annotated[ServedPart, typer.Argument(help="One part alone, or all of them.")] = (
        ServedPart.ALL
    ),
    faults: Annotated[
        str, typer.Option(help="What the provider simulator does wrong: none, demo, or rates.")
    ] = "none",
) -> None:
    """Run the ledger until interrupted: database, API, projector, workers, signer, simulator."""
    settings = Settings()
    logs.configure(settings.log_level)
    stop = stop_event()
    match part:
        case ServedPart.API:
            bootstrap.serve_api(settings, stop)
        case ServedPart.PROJECTOR:
            bootstrap.serve_projector(settings, stop)
        case ServedPart.WORKERS:
            bootstrap.serve_workers(settings, stop)
        case ServedPart.SIGNER:
            bootstrap.serve_signer(settings, stop)
        case ServedPart.EXPORTS:
            bootstrap.serve_exports(settings, stop)
        case ServedPart.ALL:
            _refuse_unknown_faults(faults)
            _serve_all(settings, faults, stop)


def _refuse_unknown_faults(faults: str) -> None:
    try:
        parse_faults(faults)
    except InvalidFaults as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from error


def _serve_all(settings: Settings, faults: str, stop: threading.Event) -> None:
    console = Console(stderr=True)
    try:
        with stack.only_one(settings):
            bootstrap.prepare(settings, lambda text: console.print(escape(text), style="dim"))
            _welcome(settings)
            parts = stack.parts(settings, faults=faults)
            Supervisor(parts, lambda: stack.keep_database(settings)).run(stop)
    except SetupError as problem:
        db.report(problem)


def _welcome(settings: Settings) -> None:
    """Say where everything is, and print a first key where there is none."""
    console = Console(highlight=False, soft_wrap=True)
    url = f"http://{settings.host}:{settings.port}"
    console.print(f"\n[bold]Tallystick[/bold] answers at {url} (interrupt with Ctrl-C)")
    console.print("Payments go to the provider simulator, which settles them in a moment.\n")
    owner = database.conninfo(settings, Role.OWNER)
    key = "$KEY"
    if not api_keys.list_keys(owner):
        key = api_keys.create_key(owner, "owner", api_keys.StaffRole.ADMINISTRATOR)
        console.print(f"Your API key, shown this once: [bold]{key}[/bold]\n")
    else:
        console.print(
            "KEY stands for your API key; a new one: tallystick key create NAME --role ROLE\n"
        )
    player = uuid4()
    console.print("Pay in 10.50 euro for a player:\n")
    console.print(
        f'  curl -s {url}/v1/deposits -H "Authorization: Bearer {key}" \\\n'
        f"    -H 'Idempotency-Key: {player.hex[:8]}' -H 'Content-Type: application/json' \\\n"
        f'    -d \'{{"player_id": "{player}", "method": "card", '
        f'"amount": {{"amount": 1050, "currency": "EUR"}}}}\'\n',
        markup=False,
    )
    console.print("and see it settle:\n")
    console.print(
        f"  curl -s '{url}/v1/transactions?player_id={player}' \\\n"
        f'    -H "Authorization: Bearer {key}"\n',
        markup=False,
    )


@keys.command("create")
def create_key(
    person: Annotated[str, typer.Argument(help="Who acts when the key is used.")],
    role: Annotated[
        api_keys.StaffRole, typer.Option(help="What they may do: the same with all their keys.")
    ],
    json: Json = False,
) -> None:
    """Make a key and print it, this once."""
    settings = Settings()
    key = _owned(settings, lambda owner: api_keys.create_key(owner, person, role))
    print(json_format.dumps({"person": person, "role": role, "key": key}) if json else key)


@keys.command("list")
def list_keys(json: Json = False) -> None:
    """Every key there has been."""
    found = _owned(Settings(), api_keys.list_keys)
    rows = [
        {
            "id": key.id,
            "person": key.person,
            "role": key.role,
            "created_at": key.created_at.isoformat(),
            "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
        }
        for key in found
    ]
    if json:
        print(json_format.dumps(rows))
        return
    for row in rows:
        state = "revoked" if row["revoked_at"] else "valid"
        print(f"{row['id']}  {row['person']:20}  {row['role']:13}  {state}")


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id: the part between the underscores.")],
    json: Json = False,
) -> None:
    """Make a key useless."""
    _owned(Settings(), lambda owner: api_keys.revoke_key(owner, key_id))
    print(json_format.dumps({"revoked": key_id}) if json else f"{key_id} is revoked")


def _owned(settings: Settings, act: Callable[[str], T]) -> T:
    """Do something as the owner role; what is wrong is said in a sentence."""
    try:
        bootstrap.prepare(settings)
        return act(database.conninfo(settings, Role.OWNER))
    except SetupError as problem:
        db.report(problem)
    except (api_keys.InvalidPerson, api_keys.PersonHasOtherRole, api_keys.UnknownKey) as error:
        Console(stderr=True).print(f"[red]{escape(str(error))}[/red]")
        sys.exit(1)
