"""`tallystick population`: what the indicators find among players of whom we know what they are."""

import json as json_format
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer
from rich.table import Table

from replay.progress import reporting
from tallystick.cli.terminal import fail, output
from tallystick.play import synthetic_players as played
from tallystick.play.synthetic_players.evaluation import Evaluation, evaluate
from tallystick.play.synthetic_players.report import (
    INDICATOR_COLUMNS,
    KIND_COLUMNS,
    BlockMissing,
    heading,
    indicator_cells,
    kind_cells,
    written,
)


def population(
    players: Annotated[int, typer.Option(min=20, help="How many in all.")] = played.PLAYERS,
    days: Annotated[int, typer.Option(min=7, help="How long they are watched.")] = played.DAYS,
    seed: Annotated[int, typer.Option(help="The same seed makes the same players.")] = played.SEED,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A document whose block about it is made anew."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Make players up, some of them bad, and say which of them the default rules find.

    Needs no database: everything is played and judged in memory.
    """
    if write is not None and not write.is_file():
        fail(f"There is no document {write}.", json=json)
    began = monotonic()
    with reporting("Playing and judging", unit="days") as report:
        found = evaluate(players, days, seed, lambda day: report(max(day, 0), days))
        report(days, days)
    elapsed_s = round(monotonic() - began, 3)
    if write is not None:
        _write(write, found, json=json)
    if json:
        print(json_format.dumps(_as_json(found) | {"elapsed_s": elapsed_s}))
    else:
        _show(found, elapsed_s)


def _write(path: Path, found: Evaluation, *, json: bool) -> None:
    try:
        anew = written(path.read_text(encoding="utf-8"), found)
    except BlockMissing as missing:
        fail(f"{path} has no block to be made anew: {missing}.", json=json)
    path.write_text(anew, encoding="utf-8")


def _as_json(found: Evaluation) -> dict[str, Any]:
    told = asdict(found)
    told["kinds"] = [asdict(one) | {"share": _share(one.found, one.players)} for one in found.kinds]
    told["indicators"] = [
        asdict(one) | {"precision": _share(one.bad, one.players)} for one in found.indicators
    ]
    return told


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _show(found: Evaluation, elapsed_s: float) -> None:
    console = output()
    kinds = Table(*KIND_COLUMNS, title="Who is found", title_justify="left")
    for kind in found.kinds:
        kinds.add_row(*kind_cells(kind))
    indicators = Table(*INDICATOR_COLUMNS, title="What indicators say", title_justify="left")
    for indicator in found.indicators:
        indicators.add_row(*indicator_cells(indicator))
    for table in (kinds, indicators):
        for column in table.columns[1:4]:
            column.justify = "right"
        console.print(table)
    console.print(f"{heading(found)}\n{elapsed_s} s.")
