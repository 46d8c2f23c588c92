"""`tallystick export case`: everything about a player or a transaction, for somebody outside."""

import json as json_format
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from ledger.checkpoints import signing
from ledger.checkpoints.keys import ledger_name, signing_key, verifying_keys
from ledger.checkpoints.note import InvalidKey, Signer
from ledger.checkpoints.recomputing import Refused
from ledger.checkpoints.signing import SignerBusy
from ledger.checkpoints.store import newest
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.positions import AsOfError
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from replay import log
from replay.case.folder import FolderTaken
from replay.case.members import Case, CaseKind, Unreadable
from replay.case.write import CaseManifest, NoCheckpoint, write_case
from replay.nothing import Nothing
from replay.progress import peak_memory_mb, reporting
from tallystick.cli import db
from tallystick.cli.as_of import AsOfOption, moment
from tallystick.cli.terminal import fail, output


def case(
    to: Annotated[Path, typer.Option(metavar="DIR", help="A folder that is not there yet.")],
    player: Annotated[UUID | None, typer.Option(metavar="ID", help="All of a player.")] = None,
    transaction: Annotated[
        UUID | None, typer.Option(metavar="ID", help="A transaction, and all that belongs to it.")
    ] = None,
    as_of: AsOfOption = None,
    zipped: Annotated[bool, typer.Option("--zip", help="Make DIR.zip as well.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Answer with JSON on standard output.")
    ] = False,
) -> None:
    """Write a bundle that proves itself: events, proof, signed checkpoint, and verify.py."""
    wanted = _wanted(player, transaction)
    settings = Settings()
    try:
        database.prepare(settings)
        conninfo = database.conninfo(settings, Role.READER)
        position = None if as_of is None else _position(settings, conninfo, as_of)
        with reporting("Exporting the case") as report:
            made = write_case(
                conninfo,
                wanted,
                to.expanduser().absolute(),
                _signer(settings, conninfo),
                as_of=position,
                sign_now=signing.build(settings, lambda: datetime.now(UTC)).sign_now,
                zipped=zipped,
                on_progress=report,
            )
    except SetupError as problem:
        db.report(problem)
    except (AsOfError, FolderTaken, NoCheckpoint, Nothing, Unreadable) as error:
        fail(str(error), json=json)
    except OSError as error:
        fail(f"the case cannot be written, and nothing of it was left: {error}", json=json)
    except (InvalidKey, Refused, SignerBusy) as error:
        fail(f"the case cannot be signed: {str(error) or type(error).__doc__}", json=json)
    if json:
        print(json_format.dumps(_as_json(made)))
    else:
        _show(made)


def _wanted(player: UUID | None, transaction: UUID | None) -> Case:
    if player is not None and transaction is None:
        return Case(CaseKind.PLAYER, player)
    if transaction is not None and player is None:
        return Case(CaseKind.TRANSACTION, transaction)
    raise typer.BadParameter("name one: --player ID or --transaction ID")


def _position(settings: Settings, conninfo: str, as_of: str) -> int:
    with log.snapshot(conninfo) as connection:
        found = moment(connection, as_of, now=datetime.now(UTC), settings=settings)
    return found.as_of.position


def _signer(settings: Settings, conninfo: str) -> Signer:
    """The key of this ledger; never a new one beside a key that is elsewhere."""
    private = settings.data / "keys" / f"checkpoint-{ledger_name(settings)}.key"
    if not private.exists():
        with log.snapshot(conninfo) as connection:
            signed = newest(connection)
        if signed is not None or verifying_keys(settings):
            raise NoCheckpoint(
                "the ledger has been signed before, and the signing key is not on this machine "
                f"({private}): export the case where it is"
            )
    return signing_key(settings)


def _as_json(made: CaseManifest) -> dict[str, Any]:
    return {
        "case": {"kind": made.case.kind, "id": str(made.case.id)},
        "folder": str(made.folder),
        "zip": str(made.zip) if made.zip else None,
        "events": made.events,
        "transactions": made.transactions,
        "first_position": made.first_position,
        "last_position": made.last_position,
        "as_of": made.as_of,
        "checkpoint": {"size": made.checkpoint.size, "root": made.checkpoint.root.hex()},
        "key": made.key,
        "files": made.files,
        "peak_memory_mb": peak_memory_mb(),
    }


def _show(made: CaseManifest) -> None:
    console = output()
    console.print(
        f"[green]Written and checked.[/green] {made.events} events of {made.transactions} "
        f"transactions, under the checkpoint of {made.checkpoint.size} events."
    )
    for path in (made.folder, made.zip):
        if path is not None:
            console.print(f"  {path}", markup=False)
    console.print(
        f"Whoever gets it runs `python verify.py --key '{made.key}'` in it: tell them the key by "
        "another channel.",
        markup=False,
    )
