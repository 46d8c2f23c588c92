"""`tallystick checkpoint`: sign the log, and show and check what was signed."""

import json as json_format
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from ledger.checkpoints import renewal, signing, store
from ledger.checkpoints.checkpoint import open_checkpoint
from ledger.checkpoints.keys import verifying_keys
from ledger.checkpoints.note import InvalidKey, NoteInvalid, Verifier
from ledger.checkpoints.proving import ProofError, root_at
from ledger.checkpoints.signing import Refused, SignerBusy
from ledger.checkpoints.store import StoredCheckpoint
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.ledger import utc_now
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from replay.progress import peak_memory_mb, reporting
from tallystick.cli import db
from tallystick.cli.terminal import fail, output

checkpoints = typer.Typer(
    help="Signed checkpoints: what outsiders keep, so that nobody can change the past unseen.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="The signer's public key; by default the keys of this machine."),
]


@checkpoints.command("now")
def sign_now(json: Json = False) -> None:
    """Sign at once what there is; where a signer runs, wait until it has."""
    settings = prepared()
    signer = signing.build(settings, utc_now)
    try:
        with reporting("Signing") as report:
            found = signer.sign_now(report)
    except Refused as refused:
        fail(f"The signer refuses to sign: {refused.detail}.", json=json, ok=False)
    except SignerBusy as busy:
        fail(str(busy.__doc__), json=json, ok=False)
    if found is None:
        fail("There is nothing to sign: the log is empty.", json=json, ok=False)
    if json:
        print(json_format.dumps(_as_json(found) | {"peak_memory_mb": peak_memory_mb()}))
    else:
        print(found.note, end="")


@checkpoints.command("list")
def list_checkpoints(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    json: Json = False,
) -> None:
    """List what was signed, newest first."""
    with reader(prepared()) as connection:
        found = store.page(connection, None, limit)
    if json:
        print(json_format.dumps([_as_json(each) for each in found]))
        return
    table = Table("size", "signed at", "root", "key", box=None)
    for each in found:
        table.add_row(
            str(each.size), f"{each.signed_at:%Y-%m-%d %H:%M:%S%z}", each.root.hex(), each.key
        )
    output().print(table)


@checkpoints.command("show")
def show(
    size: Annotated[
        int | None, typer.Argument(help="Of which size; by default the newest.")
    ] = None,
    json: Json = False,
) -> None:
    """Print a signed checkpoint, exactly: `tallystick checkpoint show > checkpoint.txt`."""
    with reader(prepared()) as connection:
        found = store.newest(connection) if size is None else store.at(connection, size)
    if found is None:
        which = "yet" if size is None else f"of size {size}"
        fail(
            f"There is no checkpoint {which}; `tallystick checkpoint list` shows all.",
            json=json,
            ok=False,
        )
    if json:
        print(json_format.dumps(_as_json(found)))
    else:
        sys.stdout.write(found.note)


@checkpoints.command("key")
def show_key(json: Json = False) -> None:
    """Print the public key that this ledger's checkpoints are checked with."""
    found = verifying_keys(Settings())
    if not found:
        fail(
            "There is no key on this machine; the signer makes it when it first runs.",
            json=json,
            ok=False,
        )
    if json:
        retired = [str(key) for key in found[1:]]
        print(json_format.dumps({"key": str(found[0]), "retired": retired}))
    else:
        print(found[0])


@checkpoints.command("verify")
def verify_note(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A signed checkpoint.")],
    key: KeyOption = None,
    json: Json = False,
) -> None:
    """Check the signature of a checkpoint, and that this ledger still is what was signed.

    The root is computed from the hashes that are stored with the events; `tallystick verify` also
    computes those hashes anew. Exit status 1 if anything differs.
    """
    settings = prepared()
    try:
        found = open_checkpoint(file.read_text(encoding="utf-8"), trusted(settings, key))
        with reader(settings) as connection:
            root = root_at(connection, found.size)
    except (NoteInvalid, InvalidKey, UnicodeDecodeError) as error:
        fail(f"The checkpoint does not hold: {error}.", json=json, ok=False)
    except ProofError as error:
        fail(f"This ledger is not what was signed. {error.detail}", json=json, ok=False)
    if root != found.root:
        fail(
            f"This ledger is not what was signed: of {found.size} events the root is"
            f" {root.hex()}, and {found.root.hex()} was signed. Run `tallystick verify`.",
            json=json,
            ok=False,
        )
    if json:
        shown = {"ok": True, "origin": found.origin, "size": found.size, "root": root.hex()}
        print(json_format.dumps(shown))
        return
    output().print(
        f"[green]It holds.[/green] {escape(found.origin)} has signed the root of {found.size}"
        f" events, and this ledger still has it: {root.hex()}"
    )


@checkpoints.command("new-key")
def new_key(
    reason: Annotated[str, typer.Option(help="Why: kept with the key that is retired.")],
    json: Json = False,
) -> None:
    """Retire the key and begin with another, after a restore that lost events.

    The log then goes on differently from what the old key has signed, which must never sign it.
    Its private half is destroyed; its public half is kept, to verify what it has signed.
    """
    settings = prepared()
    try:
        old, new = renewal.new_key(
            settings, database.conninfo(settings, Role.WRITER), reason, utc_now()
        )
    except (psycopg.Error, OSError, InvalidKey) as error:
        fail(f"The key was not replaced, or not wholly: {error} Run it again.", json=json, ok=False)
    if json:
        print(json_format.dumps({"retired": str(old), "key": str(new)}))
        return
    console = output()
    console.print(f"Retired: {escape(str(old))}")
    console.print(f"New key: {escape(str(new))}")
    console.print("Give the new key to everybody who checks your checkpoints, and say why.")


# --- shared with `tallystick proof` -------------------------------------------------------------


def prepared() -> Settings:
    """The settings, and the database started if it is ours and not running."""
    settings = Settings()
    try:
        database.prepare(settings)
    except SetupError as problem:
        db.report(problem)
    return settings


@contextmanager
def reader(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection that reads the ledger at one moment."""
    with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def trusted(settings: Settings, key: str | None) -> list[Verifier]:
    """The key that was named, or those of this machine.

    Raises:
        InvalidKey: it is none.
    """
    return verifying_keys(settings) if key is None else [Verifier.parse(key.strip())]


def _as_json(checkpoint: StoredCheckpoint) -> dict[str, Any]:
    return {
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "key": checkpoint.key,
        "signed_at": checkpoint.signed_at.isoformat(),
        "note": checkpoint.note,
    }
