"""`tallystick demo`."""

import json as json_format
import signal
import sys
from collections import defaultdict
from dataclasses import asdict
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from domain.accounts import currency_of, player_of
from domain.money import format_minor
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from tallystick.cli import db
from tallystick.cli.terminal import output
from tallystick.play.demo.report import Report
from tallystick.play.demo.run import play_day
from tallystick.play.simulator.faults import InvalidFaults
from tallystick.serve import logs


def demo(
    seed: Annotated[int, typer.Option(help="The same seed plays the same day.")] = 7,
    transactions: Annotated[int, typer.Option(min=20, help="How many in all.")] = 2_000,
    faults: Annotated[
        str, typer.Option(help="What goes wrong: none, demo, all, or rates such as duplicate=0.1.")
    ] = "demo,dispute=0.04",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Play a seeded day through the real API and the simulated provider; print what happened."""
    logs.configure("warning")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that its processes end with it
    began = monotonic()
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=json or not sys.stderr.isatty(),
        ) as progress:
            task = progress.add_task("Transactions requested", total=transactions)
            found = play_day(
                Settings(),
                seed=seed,
                transactions=transactions,
                faults=faults,
                on_progress=lambda _what, done: progress.update(task, completed=done),
            )
    except SetupError as problem:
        db.report(problem)
    except InvalidFaults as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from error
    elapsed_s = round(monotonic() - began, 3)
    if json:
        head = {"seed": seed}
        print(json_format.dumps(head | asdict(found) | {"elapsed_s": elapsed_s}))
        return
    _show(found, elapsed_s)


def _show(found: Report, elapsed_s: float) -> None:
    console = output()
    counts = Table("kind", "status", "transactions", title="Transactions", title_justify="left")
    counts.columns[-1].justify = "right"
    for kind, by_status in found.transactions.items():
        for status, count in by_status.items():
            counts.add_row(kind, status, str(count))
    console.print(counts)
    money = Table("account", "balance", title="Money", title_justify="left")
    money.columns[-1].justify = "right"
    for account, balance_minor in _totals(found.accounts).items():
        money.add_row(account, format_minor(balance_minor, currency_of(account)))
    console.print(money)
    sums = ", ".join(f"{currency} {total}" for currency, total in found.journal_sums.items())
    console.print(f"The journal sums to: {sums}.")
    console.print(
        f"{found.events} events, {found.outstanding} tasks outstanding, "
        f"read models {found.lag_events} events behind, {elapsed_s} s."
    )
    console.print(f"Root after position {found.position}: {found.root}")
    console.print("Look closer: tallystick verify, tallystick replay transaction ID")


def _totals(accounts: dict[str, int]) -> dict[str, int]:
    """Players' accounts added up; the others one by one."""
    totals: dict[str, int] = defaultdict(int)
    for account, balance_minor in accounts.items():
        of_player = player_of(account) is not None
        name = ":".join(("players", *account.split(":")[2:])) if of_player else account
        totals[name] += balance_minor
    return dict(sorted(totals.items()))
