"""`tallystick verify`: is the log as it was written, and does everything else follow from it?"""

import json as json_format
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ledger.checkpoints.keys import verifying_keys
from ledger.checkpoints.note import InvalidKey, Verifier
from ledger.checkpoints.state import StateFile, StateUnreadable
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from projections.registry import READ_MODELS
from replay import verify as verification
from replay.progress import reporting
from replay.verify import CORE_PARTS, Verification
from tallystick.cli import db
from tallystick.cli.terminal import fail, output

_PARTS = ", ".join(verification.part_names(READ_MODELS))
_DETAIL_LINES_MAX = 20


def verify(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PART", help=f"One part or several of: {_PARTS}."),
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", min=1, help="Check the log from this position.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=1, help="Check the log up to this position.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes to share the work; default: one per core, for a short log one.",
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="A signed checkpoint that you have kept; several."
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="The signer's public key; by default the keys of this machine."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Answer with JSON on standard output.")
    ] = False,
) -> None:
    """Recompute leaves, roots, balances and read models from the log, and compare.

    Exit status 0 if everything is as it was recorded, 1 if anything differs or if the work could
    not be finished.
    """
    settings = Settings()
    try:
        database.prepare(settings)
    except SetupError as problem:
        db.report(problem)
    try:
        with reporting("Verifying") as report:
            found = verification.verify(
                database.conninfo(settings, Role.READER),
                READ_MODELS,
                report,
                parts=only or None,
                verifiers=_verifiers(settings, key),
                notes=[*_own_note(settings), *(file.read_text() for file in checkpoint or ())],
                jobs=jobs,
                first=first,
                last=last,
            )
    except (
        verification.UnknownPart,
        verification.RangeInvalid,
        verification.WorkerDied,
    ) as error:
        fail(str(error), json=json, ok=False)
    except (InvalidKey, StateUnreadable, UnicodeDecodeError) as error:
        fail(f"{error}", json=json, ok=False)
    if json:
        print(json_format.dumps(_as_json(found)))
    else:
        _show(found)
    raise typer.Exit(0 if found.ok else 1)


def _verifiers(settings: Settings, keys: Sequence[str] | None) -> list[Verifier]:
    return [Verifier.parse(key.strip()) for key in keys] if keys else verifying_keys(settings)


def _own_note(settings: Settings) -> list[str]:
    """What the signer of this machine signed last: it keeps that outside the database.

    Not what a key has signed that was retired since: events were lost, and everybody was told.
    """
    state, keys = StateFile.of(settings).peek(), verifying_keys(settings)
    if state is None or (keys and state.checkpoint.key != keys[0].id):
        return []
    return [state.checkpoint.note]


def _as_json(found: Verification) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "events": found.events,
        "position": found.position,
        "root": found.root,
        "first_bad_position": found.first_bad_position,
        "problems": [asdict(problem) for problem in found.problems],
        "problems_found": found.problems_found,
        "parts": [asdict(part) for part in found.parts],
        "checkpoints": asdict(found.checkpoints),
        "jobs": found.jobs,
        "elapsed_s": found.elapsed_s,
        "events_per_s": found.events_per_s,
        "peak_memory_mb": found.peak_memory_mb,
    }


def _show(found: Verification) -> None:
    console = output()
    if found.ok:
        console.print(
            f"[green]Verified.[/green] {found.events:,} events: everything that was checked is as"
            " it was recorded."
        )
    else:
        console.print(
            f"[red]Not as recorded.[/red] {found.problems_found} problems in {found.events}"
            f" events; the first is at position {found.first_bad_position}."
        )
    console.print(_parts(found))
    console.print(_of_checkpoints(found))
    shared = "one process" if found.jobs == 1 else f"{found.jobs} processes"
    console.print(
        f"Root after position {found.position}: {found.root}\n"
        f"{found.elapsed_s} s, {found.events_per_s:,.0f} events/s, {shared},"
        f" at most {found.peak_memory_mb:,.0f} MB in one.",
        style="dim",
    )
    if not found.ok:
        _show_problems(console, found)


def _parts(found: Verification) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "", "checked"):
        table.add_column(heading, overflow="fold")
    for part in found.parts:
        checked = ", ".join(f"{number:,} {what}" for what, number in part.checked.items() if number)
        said = "[green]agrees[/green]"
        if part.part not in CORE_PARTS and part.checked.get("events", 0) < found.position:
            said += f", up to position {part.checked.get('events', 0):,}: it is behind"
        if not part.ok:
            said = f"[red]{part.problems_found} problems from {part.first_bad_position}[/red]"
        table.add_row(part.part, said, checked)
    return table


def _of_checkpoints(found: Verification) -> str:
    checked = found.checkpoints
    if not checked.stored + checked.brought:
        return (
            "No signed checkpoint was compared: whoever may change everything in this database"
            " could have rewritten it as a whole."
        )
    newest = "none of them agrees with the log"
    if checked.newest is not None:
        newest = f"up to position {checked.newest} the log is what was signed"
    if not checked.signatures:
        newest += " (if those are the signer's: no key is known here, and --key names one)"
    return (
        f"{checked.stored:,} stored checkpoints and {checked.brought} from outside,"
        f" {checked.signatures:,} signatures checked: {newest}."
    )


def _show_problems(console: Console, found: Verification) -> None:
    console.print()
    for problem in found.problems[:_DETAIL_LINES_MAX]:
        console.print(f"  {problem.position:>10}  {problem.code:20} {escape(problem.detail)}")
    if found.problems_found > _DETAIL_LINES_MAX:
        console.print(f"  … and {found.problems_found - _DETAIL_LINES_MAX} more (see --json)")
    of_log = any(part.part == "log" and not part.ok for part in found.parts)
    console.print(
        "\nKeep this database as it is, and compare with a backup from before the change."
        if of_log
        else "\nThe log itself is whole. Keep a copy of what differs; `tallystick rebuild MODEL`"
        " makes a read model anew from the log."
    )
