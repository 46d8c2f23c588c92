"""`tallystick replay` and `tallystick verify`: the past, at a terminal."""

import json as json_format
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, NoReturn
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from domain.accounts import currency_of
from domain.money import format_minor
from projections.registry import READ_MODELS
from replay import log, saying
from replay import verify as verification
from replay.transaction import NoStory, Step, Story, story
from tallystick import cli_db
from tallystick.config import Settings
from tallystick.eventstore import database
from tallystick.eventstore.database import Role
from tallystick.eventstore.setup_error import SetupError
from tallystick.terminal import output

replay = typer.Typer(help="What happened, event by event.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]

_SAID_COLUMNS = 70


@replay.callback()
def _replay() -> None:
    """What happened, event by event. Reads only."""


@replay.command("transaction")
def replay_transaction(
    transaction_id: Annotated[UUID, typer.Argument(metavar="ID")],
    as_of: Annotated[
        int | None, typer.Option(min=1, help="Only up to this position of the log.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell the story of a transaction: each event, who did it, what changed, what was posted."""
    try:
        with log.snapshot(_reader()) as connection:
            told = story(connection, transaction_id, upto=as_of)
    except NoStory as error:
        _fail(str(error), json=json)
    if json:
        print(json_format.dumps(_story_as_json(told)))
        return
    _show_story(told)


def verify(json: Json = False) -> None:
    """Recompute leaves, roots, balances and read models from the log, and compare.

    Exit status 0 if everything is as it was recorded, 1 if anything differs.
    """
    conninfo = _reader()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=json or not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("Verifying", total=None)
        found = verification.verify(
            conninfo,
            READ_MODELS,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json:
        print(json_format.dumps(_verification_as_json(found)))
    else:
        _show_verification(found)
    raise typer.Exit(0 if found.ok else 1)


def _reader() -> str:
    """The database, started if it is ours and not running."""
    settings = Settings()
    try:
        database.prepare(settings)
    except SetupError as problem:
        cli_db.report(problem)
    return database.conninfo(settings, Role.READER)


def _fail(message: str, *, json: bool) -> NoReturn:
    if json:
        print(json_format.dumps({"error": message}))
    else:
        Console(stderr=True).print(f"[red]{escape(message)}[/red]")
    raise typer.Exit(1)


def _story_as_json(told: Story) -> dict[str, Any]:
    return {
        "id": str(told.id),
        "kind": told.kind,
        "steps": [msgspec.to_builtins(step) for step in told.steps],
    }


def _show_story(told: Story) -> None:
    console = output()
    amount, player_id = told.transaction.amount, told.transaction.player_id
    of_player = f" for player {player_id}" if player_id else ""
    console.print(
        f"[bold]{told.kind}[/bold] {told.id} of {amount}{of_player}:"
        f" [bold]{told.transaction.status}[/bold]"
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("position", "when", "event", "who", "status", "posted, counted", "said"):
        table.add_column(
            heading,
            justify="right" if heading == "position" else "left",
            overflow="fold",
            max_width=_SAID_COLUMNS if heading == "said" else None,
        )
    for step in told.steps:
        table.add_row(
            str(step.position),
            f"{step.recorded_at:%Y-%m-%d %H:%M:%S.%f}",
            step.event,
            escape(step.actor),
            step.after if step.before in (None, step.after) else f"{step.before} → {step.after}",
            escape("\n".join((*_posted(step, player_id), *saying.counted(step.facts)))),
            escape(saying.words(step.facts)),
        )
    console.print(table)


def _posted(step: Step, player_id: UUID | None) -> Iterator[str]:
    """The accounts of the story's own player without the id: its first line says it."""
    for posting in step.postings:
        name = posting.account.replace(f"player:{player_id}:", "player:")
        yield f"{name} {format_minor(posting.amount_minor, currency_of(posting.account))}"


def _verification_as_json(found: verification.Verification) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "events": found.events,
        "position": found.position,
        "root": found.root,
        "first_bad_position": found.first_bad_position,
        "problems": [asdict(problem) for problem in found.problems],
        "elapsed_s": found.elapsed_s,
    }


def _show_verification(found: verification.Verification) -> None:
    console = output()
    if found.ok:
        console.print(
            f"[green]Verified.[/green] {found.events} events, the tree, the balances and every "
            f"read model agree ({found.elapsed_s} s)."
        )
        console.print(f"Root after position {found.position}: {found.root}")
        return
    console.print(
        f"[red]Not as recorded.[/red] {found.problems_found} problems in {found.events} events; "
        f"the first is at position {found.first_bad_position}."
    )
    for problem in found.problems:
        console.print(f"  {problem.position:>10}  {problem.code:20} {escape(problem.detail)}")
    console.print("Keep this database as it is, and compare with a backup from before the change.")
