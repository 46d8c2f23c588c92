"""`tallystick export`: the log in files, at a terminal."""

import json as json_format
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated
from uuid import UUID

import psycopg
import typer
from rich.markup import escape

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.positions import AsOfError, instant_named
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from projections.engine.reading import ReadModelBehind
from replay import log
from replay.export.errors import ExportError, SelectionInvalid
from replay.export.folder import MANIFEST
from replay.export.manifest import Manifest
from replay.export.run import export as write_export
from replay.export.selection import KINDS, Selection
from replay.export.sinks import Format
from replay.progress import peak_memory_mb, reporting
from tallystick.cli import db
from tallystick.cli.as_of import AsOfOption, moment
from tallystick.cli.terminal import fail, output

export = typer.Typer(help="The past in files, for others to keep and check.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]


@export.callback()
def _export() -> None:
    """The past in files, for others to keep and check. Reads only."""


@export.command("events")
def events(
    to_folder: Annotated[
        Path, typer.Option(help="Empty or new, or that of the same export: it is gone on with.")
    ],
    format: Annotated[  # noqa: A002
        Format, typer.Option(help="What the files are; xlsx for small sets only.")
    ] = Format.JSONL,
    recorded_from: Annotated[
        str | None, typer.Option("--from", help="Recorded from this instant on (RFC 3339).")
    ] = None,
    recorded_to: Annotated[
        str | None, typer.Option("--to", help="Recorded before this instant.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Events behind this position.")] = 0,
    upto: Annotated[
        int | None, typer.Option(min=0, help="Up to this position; else to the log's end.")
    ] = None,
    as_of: AsOfOption = None,
    player: Annotated[UUID | None, typer.Option(help="About this player.")] = None,
    transaction: Annotated[UUID | None, typer.Option(help="Of this transaction.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help=f"Of transactions of this kind: {', '.join(KINDS)}.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="Of transactions begun with it, and events that name it.")
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Of this type, such as DepositCompleted; or several.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the chosen events to files that are the same bytes whenever they are made again.

    Killed half-way, the same command goes on where it was; the end stays where the log ended at
    the first start. `manifest.json` says what is in the files and what vouches for it.
    """
    settings, began = Settings(), monotonic()
    conninfo = _reader(settings)
    try:
        selection = Selection(
            after=after,
            upto=_end(settings, upto, as_of),
            recorded_from=_instant("--from", recorded_from),
            recorded_to=_instant("--to", recorded_to),
            player_id=player,
            transaction_id=transaction,
            kinds=tuple(kind or ()),
            provider=provider,
            topics=tuple(topic or ()),
        )
        with reporting("Exporting", unit="positions") as report:
            made = write_export(conninfo, selection, to_folder, format, report)
    except (ExportError, AsOfError) as error:
        fail(str(error), json=json, code=error.code)
    except ReadModelBehind as error:
        fail(
            f"Which transactions are meant is not known up to the end of the export: {error}."
            " Have `tallystick serve projector` run, and try again.",
            json=json,
            code=error.code,
        )
    except psycopg.OperationalError as error:
        fail(
            f"The database went away ({type(error).__name__}). What is finished is in {to_folder};"
            " run the same command again to go on.",
            json=json,
            code="database_unavailable",
        )
    _show(made, to_folder, monotonic() - began, json=json)


def _end(settings: Settings, upto: int | None, as_of: str | None) -> int | None:
    if as_of is None:
        return upto
    if upto is not None:
        raise SelectionInvalid("--upto and --as-of both say where the export ends; give one.")
    with log.snapshot(database.conninfo(settings, Role.READER)) as connection:
        found = moment(connection, as_of, now=datetime.now(UTC), settings=settings)
    return found.as_of.position


def _instant(option: str, text: str | None) -> datetime | None:
    instant = None if text is None else instant_named(text)
    if text is not None and instant is None:
        raise SelectionInvalid(
            f"{option} takes an instant such as 2026-05-03T14:00:00Z, not {text!r}."
        )
    return instant


def _show(made: Manifest, folder: Path, elapsed_seconds: float, *, json: bool) -> None:
    if json:
        answer = made.shown() | {
            "folder": str(folder),
            "elapsed_s": round(elapsed_seconds, 3),
            "peak_memory_mb": peak_memory_mb(),
        }
        print(json_format.dumps(answer))
        return
    console = output()
    if made.empty is not None:
        console.print(f"[yellow]Nothing to export.[/yellow] {escape(made.empty)}")
    else:
        size_mb = sum(file.bytes for file in made.files) / 1e6
        console.print(
            f"[green]Exported[/green] {made.events} events, positions {made.first_position} to"
            f" {made.last_position}, in {len(made.files)} files ({size_mb:.1f} MB)."
        )
    console.print(f"What is in them: {folder / MANIFEST}")
    if made.checkpoint is None:
        console.print(escape(made.checkpoint_missing or ""))
    else:
        console.print(f"Covered by the checkpoint of size {made.checkpoint.size}.")


def _reader(settings: Settings) -> str:
    """The database, started if it is ours and not running."""
    try:
        database.prepare(settings)
    except SetupError as problem:
        db.report(problem)
    return database.conninfo(settings, Role.READER)
