"""`tallystick proof`: make proofs about the log, and check them where there is no ledger."""

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from ledger.checkpoints import proof_files, proving
from ledger.checkpoints.checkpoint import open_checkpoint
from ledger.checkpoints.note import InvalidKey, NoteInvalid
from ledger.checkpoints.proof_files import Checked, ProofWrong
from ledger.checkpoints.proving import ProofError
from ledger.settings import Settings
from tallystick.cli.checkpoints import Json, KeyOption, prepared, reader, trusted
from tallystick.cli.terminal import fail, output

proofs = typer.Typer(
    help="Proofs: that an event is in the log, and that the log was only ever added to.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
Note = Annotated[
    Path | None,
    typer.Option("--checkpoint", exists=True, dir_okay=False, help="A signed checkpoint."),
]


@proofs.command("inclusion")
def inclusion(
    position: Annotated[int, typer.Argument(help="Of the event.")],
    size: Annotated[
        int | None,
        typer.Option(
            help="Of the tree; by default that of the first checkpoint that covers the event,"
            " or of the whole log."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Prove that the event at a position is in the log; `--json` gives a file to keep."""
    try:
        with reader(prepared()) as connection:
            found = proving.prove_inclusion(connection, position, size)
    except ProofError as error:
        fail(error.detail, json=json, ok=False)
    _show(proof_files.inclusion_json(found), json=json)


@proofs.command("consistency")
def consistency(
    old: Annotated[int, typer.Argument(help="Size of the older tree.")],
    new: Annotated[int | None, typer.Argument(help="Size of the newer; by default all.")] = None,
    json: Json = False,
) -> None:
    """Prove that the log of one size begins with that of another; `--json` gives a file."""
    try:
        with reader(prepared()) as connection:
            found = proving.prove_consistency(connection, old, new)
    except ProofError as error:
        fail(error.detail, json=json, ok=False)
    _show(proof_files.consistency_json(found), json=json)


@proofs.command("check")
def check(file: File, checkpoint: Note = None, key: KeyOption = None, json: Json = False) -> None:
    """Check a proof from a file, without any ledger. Exit status 1 if it does not hold."""
    try:
        verifiers = trusted(Settings(), key)
        note = None if checkpoint is None else checkpoint.read_text(encoding="utf-8")
        found = proof_files.check(_loaded(file), verifiers, note)
    except (ProofWrong, InvalidKey, UnicodeDecodeError) as error:
        fail(f"The proof does not hold: {error}.", json=json, ok=False)
    _say(found, json=json)


@proofs.command("receipt")
def receipt(
    file: File,
    checkpoint: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="A signed checkpoint.")
    ],
    key: KeyOption = None,
    json: Json = False,
) -> None:
    """Check an answer of the API, or its receipt, against a signed checkpoint.

    This ledger makes the proofs: the receipt's leaf has to be in the checkpoint's tree, and the
    receipt's tree has to be the beginning of it. Neither can be made up by whoever runs it.
    """
    try:
        settings = prepared()
        promised = proof_files.parse_receipt(_loaded(file))
        signed = open_checkpoint(checkpoint.read_text(encoding="utf-8"), trusted(settings, key))
        with reader(settings) as connection:
            included = proving.prove_inclusion(connection, promised.position, signed.size)
            sizes = sorted((promised.size, signed.size))
            consistent = proving.prove_consistency(connection, *sizes)
        paths = proof_files.inclusion_json(included), proof_files.consistency_json(consistent)
        proof_files.check_receipt(promised, signed, *paths)
    except (ProofWrong, NoteInvalid, InvalidKey, UnicodeDecodeError) as error:
        fail(f"The receipt does not hold: {error}.", json=json, ok=False)
    except ProofError as error:
        fail(f"The ledger cannot prove it: {error.detail}", json=json, ok=False)
    if json:
        inclusion_path, consistency_path = paths
        shown = {"ok": True, "inclusion": inclusion_path, "consistency": consistency_path}
        print(json_format.dumps(shown))
        return
    output().print(
        f"[green]It holds.[/green] The event at position {promised.position} is among the"
        f" {signed.size} events that {escape(signed.origin)} has signed, and the log was only"
        f" added to between the receipt and the checkpoint."
    )


def _loaded(file: Path) -> Any:
    try:
        return json_format.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ProofWrong("the file is not JSON") from error


def _show(proof: dict[str, Any], *, json: bool) -> None:
    if json:
        print(json_format.dumps(proof))
        return
    console = output()
    for name, value in proof.items():
        shown = json_format.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
        lines = shown if isinstance(shown, list) else [shown]
        for line in lines or ["(none needed)"]:
            console.print(f"{name:15} {escape('—' if line is None else str(line))}")


def _say(found: Checked, *, json: bool) -> None:
    if json:
        shown = {"ok": True, "proved": found.proved, "not_proved": found.not_proved}
        print(json_format.dumps(shown))
        return
    console = output()
    console.print("[green]It holds.[/green]")
    for sentence in found.proved:
        console.print(f"  proved: {escape(sentence)}")
    for sentence in found.not_proved:
        console.print(f"  [yellow]not proved:[/yellow] {escape(sentence)}")
