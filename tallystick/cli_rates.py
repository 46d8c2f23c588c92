"""`tallystick rates` and `tallystick policy`: what decisions are measured by, at a terminal."""

import json as json_format
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.errors import DomainError, NothingToChange
from domain.events import ApprovalTerms
from domain.money import InvalidMoney
from domain.policy import Policy
from domain.rates import RateTable, decimal_text
from tallystick import bootstrap, cli_db
from tallystick.commands.errors import NoRates
from tallystick.commands.handling import Caller, Handling
from tallystick.commands.policies import PolicyCommands, RateCommands
from tallystick.config import Settings
from tallystick.eventstore import database
from tallystick.eventstore.errors import AppendError
from tallystick.eventstore.setup_error import SetupError
from tallystick.rate_files import UNPACKED_BYTES_MAX, RateFile, RateFileInvalid, read_rates
from tallystick.terminal import fail, output

rates = typer.Typer(help="Exchange rates: what conversions are quoted by.", no_args_is_help=True)
policy = typer.Typer(
    help="The approval policy: who has to agree to a withdrawal.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]

_ACTOR = "system:rates"


@rates.callback()
def _rates() -> None:
    """Exchange rates: what conversions are quoted by."""


@policy.callback()
def _policy() -> None:
    """The approval policy: who has to agree to a withdrawal. Changed by two people, over HTTP."""


@rates.command("import")
def import_rates(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="The ECB's CSV or ZIP, or a CSV of ours.",
        ),
    ],
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Of a file with many days; else the newest one."),
    ] = None,
    json: Json = False,
) -> None:
    """Put the rates of a file in force. The same file again changes nothing.

    A CSV of ours has the header base,quote,rate,as_of and one rate a line.
    """
    try:
        read = read_rates(file.name, _content(file), day=day.date() if day else None)
        with _handling(prepare=True) as handling:
            table, published = _publish(RateCommands(handling), read)
    except (RateFileInvalid, DomainError, InvalidMoney, AppendError, OSError) as error:
        fail(str(error), json=json)
    if json:
        facts = {"published": published, "rates": len(read.rates), "skipped": read.skipped}
        print(json_format.dumps({**_heading(table), **facts}))
        return
    _say_imported(table, read, published=published)


@rates.command("show")
def show_rates(json: Json = False) -> None:
    """The rates in force: those published last."""
    try:
        with _handling() as handling:
            table = RateCommands(handling).get()
    except NoRates as error:
        fail(str(error), json=json)
    if json:
        found = {
            code: decimal_text(rate) or str(rate) for code, rate in sorted(table.rates.items())
        }
        print(json_format.dumps({**_heading(table), "rates": found}))
        return
    console = output()
    console.print(f"[bold]{escape(table.table)}[/bold]: {table.base} as of {table.as_of}")
    grid = Table(box=None, pad_edge=False, show_header=False)
    for code, rate in sorted(table.rates.items()):
        grid.add_row(code, decimal_text(rate) or str(rate))
    console.print(grid)


@policy.command("show")
def show_policy(json: Json = False) -> None:
    """The terms in force, and what one person has proposed and another has to publish."""
    with _handling() as handling:
        found = PolicyCommands(handling).get()
    if json:
        print(json_format.dumps(_policy_as_json(found)))
        return
    console = output()
    console.print(f"[bold]{escape(found.name)}[/bold] is in force:")
    _show_terms(console, found.terms)
    if found.proposal is not None:
        console.print(f"{escape(found.proposal.person)} proposes instead:")
        _show_terms(console, found.proposal.terms)


# --- the ledger ---------------------------------------------------------------------------------


@contextmanager
def _handling(*, prepare: bool = False) -> Iterator[Handling]:
    """The ledger, its database started if it is ours; `prepare` for what is going to be written."""
    settings = Settings()
    try:
        if prepare:
            bootstrap.prepare(settings)
        else:
            database.prepare(settings)
    except SetupError as problem:
        cli_db.report(problem)
    ledger = bootstrap.build_ledger(settings)
    try:
        yield bootstrap.build_handling(ledger)
    finally:
        ledger.close()


def _content(file: Path) -> bytes:
    """The file, or enough of it to be refused for its size."""
    with file.open("rb") as opened:
        return opened.read(UNPACKED_BYTES_MAX + 1)


def _publish(commands: RateCommands, read: RateFile) -> tuple[RateTable, bool]:
    """The table then in force, and whether it is another one than before."""
    # Importing twice is told by the rates themselves and not by a key made from the file: after a
    # correction that was wrong, the first file has to be good for another import.
    caller = Caller(actor=_ACTOR, idempotency_key=str(uuid4()))
    try:
        table = commands.publish(
            source=read.source, base=read.base, as_of=read.as_of, rates=read.rates, caller=caller
        )
    except NothingToChange:
        return commands.get(), False
    return table, True


# --- what is said -------------------------------------------------------------------------------


def _heading(table: RateTable) -> dict[str, Any]:
    return {
        "table": table.table,
        "source": table.source,
        "base": table.base,
        "as_of": table.as_of,
    }


def _say_imported(table: RateTable, read: RateFile, *, published: bool) -> None:
    console = output()
    if published:
        console.print(
            f"[green]Published[/green] {escape(table.table)}: {len(read.rates)} rates of one"
            f" {table.base}, as of {table.as_of}."
        )
    else:
        console.print(
            f"These rates of {escape(read.source)} for {read.as_of} have been published already;"
            f" nothing changed. In force: {escape(table.table)}."
        )
    if read.skipped:
        console.print(f"Skipped, no active currencies: {', '.join(read.skipped)}.")


def _policy_as_json(found: Policy) -> dict[str, Any]:
    proposal = found.proposal
    proposed = proposal and {
        "person": proposal.person,
        "terms": asdict(proposal.terms),
        "note": proposal.note,
    }
    return {
        "name": found.name,
        "version": found.version,
        "terms": asdict(found.terms),
        "proposal": proposed,
    }


def _show_terms(console: Console, terms: ApprovalTerms) -> None:
    for tier in terms.tiers:
        upto = "above" if tier.limit_major is None else f"up to {tier.limit_major} {terms.currency}"
        console.print(f"  {upto:>20}: {_people(tier.required)}")
    console.print(f"  without people only below a score of {terms.score_below}")
    console.print(f"  a high indicator also takes {_people(terms.high_required)}")
    console.print(f"  at least {terms.turnover_percent_min}% of what was deposited is wagered")
    console.print(f"  an approval counts for {terms.approval_seconds} seconds")


def _people(groups: Sequence[Sequence[str]]) -> str:
    return " and ".join(" or ".join(group) for group in groups) or "nobody"
