"""`tallystick rates` and `tallystick policy`: what decisions are measured by, at a terminal."""

import json as json_format
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.approval.policy import Policy
from domain.conversion.rate_decisions import beyond
from domain.conversion.rates import ExchangeRates, RateProposal, RateTable, decimal_text
from domain.errors import DomainError, NothingToChange
from domain.events import ApprovalTerms
from domain.money import InvalidMoney
from ledger.access.api_keys import Keys, UnknownKey
from ledger.commands.errors import NoRates
from ledger.commands.handling import Caller, Handling
from ledger.commands.policy import PolicyCommands
from ledger.commands.rates import RateCommands
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.errors import AppendError
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from tallystick.cli import db
from tallystick.cli.rate_files import UNPACKED_BYTES_MAX, RateFile, RateFileInvalid, read_rates
from tallystick.cli.terminal import fail, output
from tallystick.serve import bootstrap

rates = typer.Typer(
    help="Exchange rates: what conversions are quoted by, and payouts compared at.",
    no_args_is_help=True,
)
policy = typer.Typer(
    help="The approval policy: who has to agree to a withdrawal.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]

Key = Annotated[
    str | None,
    typer.Option(
        envvar="TALLYSTICK_KEY",
        help="API key of the person who acts; kept out of the list of processes by the variable.",
    ),
]
Note = Annotated[
    str, typer.Option(help="Why; needed where a rate moves by more than 10 %.", show_default=False)
]

_REFUSED = (RateFileInvalid, DomainError, InvalidMoney, AppendError, OSError, UnknownKey)


@rates.callback()
def _rates() -> None:
    """Exchange rates: what conversions are quoted by, and payouts compared at."""


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
    note: Note = "",
    key: Key = None,
    json: Json = False,
) -> None:
    """Propose the rates of a file. The same file again changes nothing.

    With a key, as that person, and another one has to approve. Without, as a job does it for the
    file's source: if that is trusted they are in force at once, unless a rate moves by more than
    10 %; else they wait for two people. A CSV of ours has the header base,quote,rate,as_of and one
    rate a line.
    """
    try:
        read = read_rates(file.name, _content(file), day=day.date() if day else None)
        with _handling(prepare=True) as handling:
            left, waiting, published = _offer(RateCommands(handling), read, note, key)
    except _REFUSED as error:
        fail(str(error), json=json)
    if json:
        facts = {
            **_heading(_as_table(read)),
            "table": left.in_force.table if left.in_force else None,
            "published": published,
            "proposal": _proposal_as_json(waiting, left),
            "rates": len(read.rates),
            "skipped": read.skipped,
        }
        print(json_format.dumps(facts))
        return
    _say_imported(left, waiting, read, published=published)


@rates.command("approve")
def approve_rates(
    proposal: Annotated[UUID, typer.Argument(help="Its id, as `rates show` has it.")],
    key: Key = None,
    note: Note = "",
    json: Json = False,
) -> None:
    """Approve rates that another person proposed: they are in force from now on.

    Of what only a source has sent, two people do, one after the other.
    """
    try:
        if key is None:
            raise typer.BadParameter("it takes a person's", param_hint="--key")
        with _handling() as handling:
            left, waiting = RateCommands(handling).approve(proposal, note, _by(key))
    except _REFUSED as error:
        fail(str(error), json=json)
    if json:
        name = left.in_force.table if left.in_force else None
        print(json_format.dumps({"table": name, "proposal": _proposal_as_json(waiting, left)}))
    elif waiting is not None:
        _say_waiting(waiting, left)
    elif left.in_force is not None:
        output().print(f"[green]In force[/green]: {escape(left.in_force.table)}.")


@rates.command("show")
def show_rates(json: Json = False) -> None:
    """The rates in force, and those that wait for people."""
    with _handling() as handling:
        found = RateCommands(handling).get()
    waiting = list(found.proposals.values())
    table = found.in_force
    if table is None and not waiting:
        fail(str(NoRates()), json=json)
    if json:
        shown = {**_heading(table), "rates": _decimals(table)} if table else {"table": None}
        proposals = [_proposal_as_json(one, found) for one in waiting]
        print(json_format.dumps({**shown, "proposals": proposals}))
        return
    if table is None:
        output().print("No rates are in force.")
    else:
        agreed = " and ".join(found.approved_by) or table.source
        _print_table(table, f"[bold]{escape(table.table)}[/bold], by {escape(agreed)}")
    for one in waiting:
        _say_waiting(one, found)
        _print_table(one.table, f"  {escape(one.table.table)}")


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
        db.report(problem)
    ledger = bootstrap.build_ledger(settings)
    try:
        yield bootstrap.build_handling(ledger)
    finally:
        ledger.close()


def _content(file: Path) -> bytes:
    """The file, or enough of it to be refused for its size."""
    with file.open("rb") as opened:
        return opened.read(UNPACKED_BYTES_MAX + 1)


def _by(key: str) -> Caller:
    """The person whose key it is.

    Raises:
        UnknownKey: nobody's.
    """
    with closing(Keys(database.conninfo(Settings(), Role.WRITER))) as keys:
        holder = keys.holder_of(key)
    if holder is None:
        raise UnknownKey
    return Caller(actor=f"operator:{holder.person}", idempotency_key=str(uuid4()), role=holder.role)


def _offer(
    commands: RateCommands, read: RateFile, note: str, key: str | None
) -> tuple[ExchangeRates, RateProposal | None, bool]:
    """The rates afterwards, what then waits of the file, and whether others came in force."""
    # Importing twice is told by the rates themselves and not by a key made from the file: after a
    # correction that was wrong, the first file has to be good for another import.
    job = Caller(actor=f"system:{read.source}", idempotency_key=str(uuid4()))
    try:
        left, waiting = commands.propose(
            source=read.source,
            base=read.base,
            as_of=read.as_of,
            rates=read.rates,
            note=note,
            caller=job if key is None else _by(key),
        )
    except NothingToChange:
        left = commands.get()
        return left, left.waiting(_as_table(read)), False
    return left, waiting, waiting is None


def _as_table(read: RateFile) -> RateTable:
    return RateTable(
        table=f"{read.source}-{read.as_of}",
        source=read.source,
        base=read.base,
        as_of=read.as_of,
        rates={one.currency: Fraction(one.numerator, one.denominator) for one in read.rates},
    )


# --- what is said -------------------------------------------------------------------------------


def _heading(table: RateTable) -> dict[str, Any]:
    return {
        "table": table.table,
        "source": table.source,
        "base": table.base,
        "as_of": table.as_of,
    }


def _decimals(table: RateTable) -> dict[str, str]:
    return {code: decimal_text(rate) or str(rate) for code, rate in sorted(table.rates.items())}


def _print_table(table: RateTable, title: str) -> None:
    console = output()
    console.print(f"{title}: {table.base} as of {table.as_of}")
    grid = Table(box=None, pad_edge=False, show_header=False)
    for code, rate in _decimals(table).items():
        grid.add_row(code, rate)
    console.print(grid)


def _say_imported(
    left: ExchangeRates, waiting: RateProposal | None, read: RateFile, *, published: bool
) -> None:
    console, table = output(), left.in_force
    if published and table is not None:
        console.print(
            f"[green]Published[/green] {escape(table.table)}: {len(read.rates)} rates of one"
            f" {table.base}, as of {table.as_of}."
        )
    elif waiting is not None:
        _say_waiting(waiting, left)
    else:
        console.print("These rates are in force already; nothing changed.")
    if read.skipped:
        console.print(f"Skipped, no active currencies: {', '.join(read.skipped)}.")


def _say_waiting(waiting: RateProposal, rates: ExchangeRates) -> None:
    people = "two people" if waiting.person is None else f"another person than {waiting.person}"
    console = output()
    console.print(
        f"[yellow]Waiting[/yellow] for {escape(people)}: rates of {escape(waiting.table.source)}"
        f" as of {waiting.table.as_of}. {escape(_beyond(waiting, rates))}".rstrip()
    )
    console.print(f"  tallystick rates approve {waiting.id}", highlight=False)


def _beyond(waiting: RateProposal, rates: ExchangeRates) -> str:
    """How it is further from what is in force by now than a source may go alone."""
    return beyond(rates, waiting.table, datetime.now(UTC))


def _proposal_as_json(waiting: RateProposal | None, rates: ExchangeRates) -> dict[str, Any] | None:
    if waiting is None:
        return None
    return {
        "id": str(waiting.id),
        "person": waiting.person,
        "beyond": _beyond(waiting, rates) or None,
        "note": waiting.note,
        **{name: said for name, said in _heading(waiting.table).items() if name != "table"},
        "rates": _decimals(waiting.table),
    }


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
