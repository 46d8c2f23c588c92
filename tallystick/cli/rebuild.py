"""`tallystick rebuild` and `tallystick replay read-model`: read models built anew."""

import json as json_format
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from time import monotonic
from typing import Annotated, Any, NoReturn

import psycopg
import typer
from rich.markup import escape

from ledger.eventstore import database, positions
from ledger.eventstore.database import Role
from ledger.eventstore.errors import AppendError
from ledger.eventstore.setup_error import SetupError
from ledger.faultpoints import faultpoint
from ledger.settings import Settings
from projections.engine.read_model import ReadModel
from projections.registry import READ_MODELS
from replay.progress import peak_memory_mb, reporting
from replay.rebuild import overview
from replay.rebuild.as_of import build_as_of, drop_as_of
from replay.rebuild.run import Rebuild, Rebuilt
from replay.rebuild.state import RebuildFailed
from tallystick.cli import db
from tallystick.cli.as_of import AsOfOption, moment
from tallystick.cli.terminal import fail, output
from tallystick.serve import bootstrap

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user wants of every rebuild."""

    verify: bool
    accept_differences: bool
    restart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the rebuild of one model ended."""

    model: str
    peak_memory_mb: float
    rebuilt: Rebuilt | None = None
    code: str = ""
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        if self.rebuilt is None:
            return {"model": self.model, "error": self.code, "detail": self.detail}
        more = {
            "events_per_s": self.rebuilt.events_per_s,
            "peak_memory_mb": self.peak_memory_mb,
        }
        return asdict(self.rebuilt) | more


def rebuild(
    model: Annotated[str | None, typer.Argument(help="Which read model.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    verify: Annotated[
        bool, typer.Option(help="Compare with the tables in use, before readers are switched.")
    ] = True,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="Switch even if they differ.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, whatever an earlier run has left.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="With --all: how many at once.")] = 2,
    status: Annotated[
        bool, typer.Option("--status", help="Only say what is being rebuilt.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Only list schemas that nobody needs; see --yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: drop them.")] = False,
    json: Json = False,
) -> None:
    """Build a read model anew from the log, beside the one in use, and switch readers to it.

    Readers are never blocked. A rebuild that was killed goes on where it was when it is run again.
    Exit status 1 where readers were not switched.
    """
    settings = _prepared()
    if status or prune:
        with psycopg.connect(database.conninfo(settings, Role.OWNER), autocommit=True) as owner:
            _show_rebuilds(owner, json=json) if status else _prune(owner, yes=yes, json=json)
        return
    models = _chosen(model, every=every)
    options = Options(verify=verify, accept_differences=accept_differences, restart=restart)
    began = monotonic()
    outcomes = _rebuild(settings, models, options, jobs)
    failed = [one for one in outcomes if one.rebuilt is None]
    if json:
        print(json_format.dumps(_as_json(outcomes, monotonic() - began, every=every)))
    else:
        _show(outcomes)
    raise typer.Exit(1 if failed else 0)


def _as_json(outcomes: Sequence[Outcome], elapsed_s: float, *, every: bool) -> dict[str, Any]:
    if not every:
        return outcomes[0].as_json()
    events = max((one.rebuilt.events for one in outcomes if one.rebuilt), default=0)
    return {
        "rebuilt": [one.as_json() for one in outcomes],
        "elapsed_s": round(elapsed_s, 3),
        "events_per_s": round(events / elapsed_s, 1),
        "peak_memory_mb": max(one.peak_memory_mb for one in outcomes),
    }


def _chosen(name: str | None, *, every: bool) -> list[ReadModel]:
    if every == (name is not None):
        raise typer.BadParameter("name a read model, or say --all", param_hint="MODEL")
    return [one for one in READ_MODELS if every or one.name == name] or _refuse(name)


def _refuse(name: str | None) -> NoReturn:
    known = ", ".join(one.name for one in READ_MODELS)
    raise typer.BadParameter(f"there is no read model {name!r}; there are {known}")


def _prepared() -> Settings:
    """The database, started if it is ours and not running."""
    settings = Settings()
    try:
        database.prepare(settings)
    except SetupError as problem:
        db.report(problem)
    return settings


# --- rebuilding ---------------------------------------------------------------------------------


def _rebuild(
    settings: Settings, models: Sequence[ReadModel], options: Options, jobs: int
) -> list[Outcome]:
    with reporting(f"Rebuilding {', '.join(one.name for one in models)}") as report:
        if len(models) == 1 or jobs == 1:
            done = [0] * len(models)

            def on_progress(index: int, position: int, wanted: int) -> None:
                done[index] = position
                report(sum(done), wanted * len(models))

            return [
                _outcome(settings, one.name, options, partial(on_progress, index))
                for index, one in enumerate(models)
            ]
        return _side_by_side(settings, models, options, jobs, report)


def _outcome(
    settings: Settings, name: str, options: Options, on_progress: Callable[[int, int], None]
) -> Outcome:
    """Rebuild one model in this process."""
    (model,) = (one for one in READ_MODELS if one.name == name)
    ledger = bootstrap.build_ledger(settings)
    wanted = Rebuild(
        owner=database.conninfo(settings, Role.OWNER),
        ledger=ledger,
        verify=options.verify,
        accept_differences=options.accept_differences,
        restart=options.restart,
        on_progress=on_progress,
        faultpoint=faultpoint,
    )
    try:
        rebuilt = wanted.run(model)
    except RebuildFailed as failure:
        found = Outcome(model=name, peak_memory_mb=0.0, code=failure.code, detail=str(failure))
    except AppendError as failure:
        detail = f"Readers use the new tables; the log does not say so yet: {failure} Run it again."
        found = Outcome(model=name, peak_memory_mb=0.0, code="cut_over_unrecorded", detail=detail)
    except psycopg.Error as failure:
        detail = f"{str(failure).strip()}. Run it again: it goes on where it was."
        found = Outcome(model=name, peak_memory_mb=0.0, code="database_error", detail=detail)
    else:
        found = Outcome(model=name, peak_memory_mb=0.0, rebuilt=rebuilt)
    finally:
        ledger.close()
    return replace(found, peak_memory_mb=peak_memory_mb())


_reached: Any = None
"""In a process of several: how far each has come."""


def _begin_process(reached: Any, parent: int) -> None:
    global _reached  # noqa: PLW0603  (what a pool's process is started with has no other place)
    _reached = reached
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Where the parent was killed, nobody would hear how it ends; a rerun goes on from here."""
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def _outcome_beside(settings: Settings, name: str, options: Options, index: int) -> Outcome:
    def on_progress(position: int, wanted: int) -> None:
        _reached[2 * index], _reached[2 * index + 1] = position, wanted

    return _outcome(settings, name, options, on_progress)


def _side_by_side(
    settings: Settings,
    models: Sequence[ReadModel],
    options: Options,
    jobs: int,
    report: Callable[[int, int | None], None],
) -> list[Outcome]:
    """One process each, `jobs` of them at a time."""
    context = get_context("spawn")
    reached = context.Array("q", 2 * len(models))
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_begin_process, initargs=(reached, os.getpid())
    ) as pool:
        running: list[Future[Outcome]] = [
            pool.submit(_outcome_beside, settings, one.name, options, index)
            for index, one in enumerate(models)
        ]
        waited_for = set(running)
        while waited_for:
            _, waited_for = wait(waited_for, _LOOK_SECONDS, FIRST_COMPLETED)
            seen = reached[:]
            report(sum(seen[::2]), max(seen[1::2]) * len(models) or None)
        return [one.result() for one in running]


def _show(outcomes: Sequence[Outcome]) -> None:
    console = output()
    for one in outcomes:
        found = one.rebuilt
        if found is None:
            console.print(f"[red]{one.model} was not rebuilt.[/red] {escape(one.detail)}")
            continue
        compared = "the same as before" if found.compared else "not compared with what was there"
        console.print(
            f"[green]{found.model}[/green] version {found.version} was built anew from"
            f" {found.events} events in {found.elapsed_s} s ({found.events_per_s:,.0f} events/s);"
            f" its rows are {compared}."
        )
        console.print(
            f"Readers use it since position {found.position}; event {found.cut_over_position}"
            f" says so. Digest after position {found.digest_position}: {found.digest}"
        )
        for schema, why in found.left.items():
            console.print(f"[yellow]{schema} is still there:[/yellow] {escape(why)}")


# --- looking and tidying ------------------------------------------------------------------------


def _show_rebuilds(owner: psycopg.Connection[Any], *, json: bool) -> None:
    found = overview.status(owner)
    if json:
        rows = [asdict(one) | {"id": str(one.id)} for one in found]
        print(json_format.dumps(rows))
        return
    if not found:
        output().print("Nothing is being rebuilt.")
    for one in found:
        output().print(
            f"{one.target:32} version {one.version}  {one.phase:10} position {one.position}"
        )


def _prune(owner: psycopg.Connection[Any], *, yes: bool, json: bool) -> None:
    if not yes:
        found = overview.superfluous(owner, READ_MODELS)
        if json:
            print(json_format.dumps([asdict(one) for one in found]))
            return
        for one in found:
            output().print(f"{one.schema:40} {one.why}")
        output().print("Nothing was dropped: say --yes for that." if found else "Nothing to drop.")
        return
    dropped = overview.prune(owner, READ_MODELS)
    if json:
        print(json_format.dumps(dropped))
        return
    for schema, why in dropped.items():
        output().print(f"{schema:40} {escape(why) if why else 'dropped'}")


# --- the past -----------------------------------------------------------------------------------


def replay_read_model(
    model: Annotated[str, typer.Argument(help="Which read model.")],
    as_of: AsOfOption = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Drop it again; without --as-of, every one.")
    ] = False,
    json: Json = False,
) -> None:
    """Rebuild a whole read model as it was, into a schema of its own, to be asked with psql."""
    settings = _prepared()
    (found,) = _chosen(model, every=False)
    owner, writer = (database.conninfo(settings, role) for role in (Role.OWNER, Role.WRITER))
    try:
        position = _position(settings, as_of) if as_of is not None else None
        if drop:
            gone = drop_as_of(owner, found, position)
            print(json_format.dumps({"dropped": gone}) if json else "\n".join(gone) or "None.")
            return
        if position is None:
            raise typer.BadParameter("say as of when", param_hint="--as-of")
        with reporting(f"Rebuilding {found.name} as of {position}") as report:
            schema = build_as_of(owner, writer, found, position, report)
    except (RebuildFailed, positions.AsOfError) as failure:
        fail(str(failure), json=json, code=failure.code)
    tables = [f"{schema}.{table.name}" for table in found.tables]
    shown = {
        "model": found.name,
        "version": found.version,
        "position": position,
        "schema": schema,
        "tables": tables,
        "peak_memory_mb": peak_memory_mb(),
    }
    if json:
        print(json_format.dumps(shown))
        return
    output().print(f"{found.name} as of position {position}: {', '.join(tables)}")
    output().print("`tallystick db shell` asks it; --drop drops it.")


def _position(settings: Settings, as_of: str) -> int:
    reader = database.conninfo(settings, Role.READER)
    with psycopg.connect(reader, autocommit=True) as connection:
        found = moment(connection, as_of, now=datetime.now(UTC), settings=settings)
    return found.as_of.position
