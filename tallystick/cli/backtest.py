"""`tallystick backtest`: what another rule set would have changed, at a terminal."""

import json as json_format
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from ledger.eventstore import database
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from replay import engines
from replay.archive.layout import ArchiveError
from replay.backtest.candidates import CandidateInvalid, Named, Wanted, read_changes
from replay.backtest.job import kept_archive, up_to_date
from replay.backtest.run import backtest as run_backtest
from replay.backtest.span import SpanInvalid, check
from replay.engines import EngineError
from replay.progress import reporting
from tallystick.cli import db
from tallystick.cli.backtest_text import show
from tallystick.cli.terminal import fail, output

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]
LIMIT = 20
"""Changed decisions that people are shown unless they ask for more."""


def backtest(
    ruleset: Annotated[
        str,
        typer.Argument(
            help="A rule set by its id or name (`live`: the one in force), or a JSON or TOML file"
            " with changes to the live one: {indicator: {mode, thresholds}}."
        ),
    ],
    first: Annotated[
        str | None,
        typer.Option("--from", help="A position or an instant; payouts from then on."),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option("--to", help="A position or an instant; payouts before then."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="serial, processes, ray (started here), or ray://host:port.")
    ] = "processes",
    workers: Annotated[
        int | None, typer.Option(min=1, help="At once; as many as there are processors.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The archive to read, which needs no database; otherwise one is kept in the data"
            " folder and brought up to date first.",
        ),
    ] = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where files are put meanwhile; beside the archive otherwise."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="Changed decisions to list, the largest: 20, in JSON all."),
    ] = None,
    json: Json = False,
) -> None:
    """Judge the whole log by another rule set, and list the decisions that would change.

    Judging begins where the log does, so that windows are full; only payouts of the span are
    compared. The digest is the same on every engine.
    """
    try:
        wanted = _wanted(ruleset)
        for point in (first, before):
            if point is not None:
                check(point)
        runs_on = engines.build(engine, workers)
        folder = archive or _kept()
        with reporting("Judging") as report:
            found = run_backtest(
                folder,
                wanted,
                runs_on,
                first=first,
                before=before,
                scratch=scratch,
                keep=limit if json or limit is not None else LIMIT,
                on_progress=report,
            )
    except (ArchiveError, CandidateInvalid, EngineError, SpanInvalid) as error:
        fail(str(error), json=json)
    except OSError as error:
        fail(f"A file cannot be read or written: {error}", json=json)
    except psycopg.OperationalError as error:
        fail(f"The database went away ({type(error).__name__}); start it and try again.", json=json)
    if json:
        print(json_format.dumps(found.as_json()))
    else:
        show(output(), found)


def _wanted(text: str) -> Wanted:
    """A file where it looks like one: names of rule sets have no dots."""
    path = Path(text)
    return read_changes(path) if path.suffix in (".json", ".toml") else Named(text)


def _kept() -> Path:
    """The archive in the data folder, brought up to date; the database is started if need be."""
    settings = Settings()
    try:
        database.prepare(settings)
    except SetupError as problem:
        db.report(problem)
    kept_archive(settings).mkdir(parents=True, exist_ok=True)
    with reporting("Archiving") as report:
        return up_to_date(settings, report)
