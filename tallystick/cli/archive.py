"""`tallystick archive`: the log as files, at a terminal."""

import json as json_format
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from domain.money import format_minor
from ledger.checkpoints.note import InvalidKey, Verifier
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.positions import AsOfError, resolve
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from replay import engines
from replay.archive import compare, layout
from replay.archive.compare import Compared
from replay.archive.fold import BUCKET_LOCAL
from replay.archive.layout import ArchiveError
from replay.archive.replayed import Replayed, replay_archive
from replay.archive.verify import ArchiveVerification, verify_archive
from replay.archive.write import archive as write_archive
from replay.engines import EngineError
from replay.progress import peak_memory_mb, reporting
from tallystick.cli import db
from tallystick.cli.terminal import fail, output

archive = typer.Typer(
    help="The log as Parquet files: kept, verified and replayed without a database.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The archive's folder.")]
Model = StrEnum("Model", {name: name for name in BUCKET_LOCAL})  # type: ignore[misc]


@archive.command()
def write(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Made where there is none.")],
    upto: Annotated[
        str | None,
        typer.Option(help="A position, an instant or a checkpoint; the log's end otherwise."),
    ] = None,
    buckets: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=layout.BUCKETS_MAX,
            help=f"Into how many files each segment is split, by owner; {layout.BUCKETS} unless"
            " said otherwise when the archive is made, and fixed from then on.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Add to an archive what it lacks of the log. What is in it already is never touched."""
    conninfo = _reader()
    try:
        end = _position(conninfo, upto)
        before = layout.load(to).position if (to / layout.MANIFEST).exists() else 0
        with reporting("Archiving") as report:
            manifest = write_archive(conninfo, to, report, upto=end, buckets=buckets)
    except (ArchiveError, AsOfError) as error:
        fail(str(error), json=json)
    told: dict[str, Any] = {
        "folder": str(to),
        "position": manifest.position,
        "root": manifest.root,
        "events_added": max(manifest.position - before, 0),
        "segments": len(manifest.segments),
        "buckets": manifest.buckets,
        "bytes": sum(file.bytes for s in manifest.segments for file in s.files),
        "peak_memory_mb": peak_memory_mb(),
    }
    if json:
        print(json_format.dumps(told))
        return
    output().print(
        f"{told['events_added']} events added; {to} ends at position {manifest.position}, in"
        f" {len(manifest.segments)} segments of {manifest.buckets} buckets."
    )
    output().print(f"Root after it: {manifest.root}")


@archive.command()
def verify(
    folder: Folder,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="A public key that checkpoints are signed with, or a file of them; check the"
            " signatures too. May be repeated."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check files, leaves, positions, roots and checkpoints of an archive; needs no database.

    Exit status 0 if everything is as it was written, 1 if anything differs.
    """
    try:
        verifiers = [verifier for text in key or () for verifier in _keys(text)]
        with reporting("Verifying") as report:
            found = verify_archive(folder, report, verifiers=verifiers)
    except (ArchiveError, InvalidKey) as error:
        fail(str(error), json=json)
    if json:
        print(json_format.dumps(_as_json(found)))
    else:
        _show(found, with_key=bool(verifiers))
    raise typer.Exit(0 if found.ok else 1)


@archive.command()
def replay(
    folder: Folder,
    engine: Annotated[
        str, typer.Option(help="serial, processes, ray (started here), or ray://host:port.")
    ] = "processes",
    workers: Annotated[
        int | None, typer.Option(min=1, help="At once; as many as there are processors.")
    ] = None,
    model: Annotated[
        list[Model] | None, typer.Option(help="A read model to fold; all of these otherwise.")
    ] = None,
    upto: Annotated[
        int | None, typer.Option(min=0, help="A position; the archive's end otherwise.")
    ] = None,
    with_database: Annotated[
        bool,
        typer.Option(
            "--compare", help="Compare with the database's tables, if they are at that position."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Fold an archive into read models and balances again, and say what digests they have.

    The digests are the same on every engine. Exit status 1 if --compare finds a difference.
    """
    models = [one.value for one in model or Model]
    compared: list[Compared] = []
    try:
        runs_on = engines.build(engine, workers)
        with reporting("Replaying") as report:
            replayed = replay_archive(folder, runs_on, models, upto=upto, on_progress=report)
        if with_database:
            compared = compare.compare_with_database(_reader(), replayed)
    except (ArchiveError, EngineError) as error:
        fail(str(error), json=json)
    if json:
        print(json_format.dumps(_replayed_as_json(replayed, compared)))
    else:
        _show_replayed(replayed, compared)
    raise typer.Exit(1 if any(one.same is False for one in compared) else 0)


def _reader() -> str:
    """The database, started if it is ours and not running."""
    settings = Settings()
    try:
        database.prepare(settings)
    except SetupError as problem:
        db.report(problem)
    return database.conninfo(settings, Role.READER)


def _position(conninfo: str, upto: str | None) -> int | None:
    if upto is None:
        return None
    with psycopg.connect(conninfo) as connection:
        return resolve(connection, upto, datetime.now(UTC)).position


def _keys(text: str) -> list[Verifier]:
    """The key itself, or every line of a file."""
    path = Path(text)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else [text]
    return [Verifier.parse(line.strip()) for line in lines if line.strip()]


def _as_json(found: ArchiveVerification) -> dict[str, Any]:
    return {
        "ok": found.ok,
        **asdict(found),
        "first_bad_position": found.first_bad_position,
        "peak_memory_mb": peak_memory_mb(),
    }


def _show(found: ArchiveVerification, *, with_key: bool) -> None:
    console = output()
    if found.ok:
        console.print(
            f"[green]Verified.[/green] {found.events} events: every file, leaf and root agrees"
            f" ({found.elapsed_s} s)."
        )
        console.print(f"Root after position {found.position}: {found.root}")
        console.print(_signed(found, with_key=with_key))
        return
    where = found.first_bad_position
    console.print(
        f"[red]Not as written.[/red] {found.problems_found} problems; "
        + ("no position is known." if where is None else f"the first position is {where}.")
    )
    for problem in found.problems:
        place = "" if problem.position is None else str(problem.position)
        console.print(f"  {place:>10}  {problem.code:20} {escape(problem.detail)}")
    console.print(
        "Take the files from another copy, or write the archive anew into another folder."
    )


def _signed(found: ArchiveVerification, *, with_key: bool) -> str:
    if not found.signed_upto:
        return "It holds no checkpoint: only the root above says which log this is."
    if not with_key:
        return (
            f"It holds a checkpoint of position {found.signed_upto}, whose root agrees; its"
            " signature was not checked: name the key with --key."
        )
    return f"Signed up to position {found.signed_upto}: the signatures are right."


def _replayed_as_json(replayed: Replayed, compared: list[Compared]) -> dict[str, Any]:
    workers = _peaks(replayed)
    told = asdict(replayed)
    for bucket in told["buckets"]:
        for name in ("balances", "worker", "peak_memory_mb"):
            del bucket[name]
    return {
        **told,
        "workers": [{"id": worker, "peak_memory_mb": peak} for worker, peak in workers.items()],
        "compared": [asdict(one) for one in compared],
    }


def _peaks(replayed: Replayed) -> dict[str, float]:
    """The most memory that each worker has had, in MiB."""
    peaks: dict[str, float] = {}
    for bucket in replayed.buckets:
        peaks[bucket.worker] = max(bucket.peak_memory_mb, peaks.get(bucket.worker, 0.0))
    return peaks


def _show_replayed(replayed: Replayed, compared: list[Compared]) -> None:
    console = output()
    console.print(
        f"{replayed.events} events folded up to position {replayed.position} by"
        f" {replayed.engine} ({replayed.elapsed_s} s)."
    )
    table = Table(box=None, pad_edge=False)
    names = sorted(replayed.buckets[0].digests)
    table.add_column("bucket", justify="right")
    table.add_column("events", justify="right")
    for name in names:
        table.add_column(f"{name} rows", justify="right")
        table.add_column("digest")
    for bucket in replayed.buckets:
        cells = [c for name in names for c in (str(bucket.rows[name]), bucket.digests[name][:16])]
        table.add_row(str(bucket.bucket), str(bucket.events), *cells)
    console.print(table)
    for currency, moved in replayed.currencies.items():
        net = format_minor(moved.net_minor, currency)
        console.print(f"{format_minor(moved.moved_minor, currency)} posted, sums to {net}")
    console.print(f"{replayed.accounts} accounts and counters: {replayed.accounts_digest}")
    console.print(f"Digest: {replayed.digest}")
    for one in compared:
        word = {True: "[green]same[/green]", False: "[red]differs[/red]", None: "not compared"}
        console.print(f"Database, {one.what}: {word[one.same]} ({escape(one.detail)})")
    peaks = ", ".join(f"{peak:.0f}" for peak in _peaks(replayed).values())
    console.print(f"Peak memory in MiB: {replayed.peak_memory_mb:.0f} here, {peaks} in workers")
