"""`tallystick replay`: the past, at a terminal."""

import json as json_format
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import psycopg
import typer
from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.eventstore import database
from ledger.eventstore.codec import UnreadableEvent
from ledger.eventstore.database import Role
from ledger.eventstore.positions import AsOf, AsOfError
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings
from replay.account import account_then
from replay.nothing import Nothing
from replay.player import player_then
from replay.transaction import story
from tallystick.cli import db, replay_text
from tallystick.cli.as_of import AsOfOption, moment
from tallystick.cli.terminal import fail, output

replay = typer.Typer(help="What happened, event by event.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]


@replay.callback()
def _replay() -> None:
    """What happened, event by event. Reads only."""


@replay.command("transaction")
def replay_transaction(
    transaction_id: Annotated[UUID, typer.Argument(metavar="ID")],
    as_of: AsOfOption = None,
    json: Json = False,
) -> None:
    """Tell the story of a transaction: each event, who did it, what changed, what was posted.

    Under each decision is what there was to be seen right before it.
    """
    with _then(as_of, json=json) as then:
        told = story(then.connection, transaction_id, upto=then.as_of.position)
        if json:
            _print(then, id=told.id, kind=told.kind, steps=told.steps)
        else:
            replay_text.show_story(output(), told, then.as_of)


@replay.command("player")
def replay_player(
    player_id: Annotated[UUID, typer.Argument(metavar="ID")],
    as_of: AsOfOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Transactions at most.")] = 20,
    json: Json = False,
) -> None:
    """Show a player as they were: standing, limits, holds, balances, transactions."""
    with _then(as_of, json=json) as then:
        player = player_then(
            then.connection, player_id, position=then.as_of.position, at=then.at, limit=limit
        )
        if json:
            _print(then, **_fields(player))
        else:
            replay_text.show_player(output(), player, then.as_of)


@replay.command("account")
def replay_account(
    name: Annotated[str, typer.Argument(metavar="NAME", help="provider:acme:clearing:EUR")],
    as_of: AsOfOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Entries at most.")] = 20,
    json: Json = False,
) -> None:
    """Show an account as it was: its balance then, and the last entries up to then."""
    with _then(as_of, json=json) as then:
        account = account_then(then.connection, name, position=then.as_of.position, limit=limit)
        if json:
            _print(then, **_fields(account))
        else:
            replay_text.show_account(output(), account, then.as_of)


@dataclass(frozen=True, slots=True)
class _Then:
    """A moment of the ledger, and whom to ask about it."""

    connection: Connection[TupleRow]
    as_of: AsOf
    at: datetime


@contextmanager
def _then(text: str | None, *, json: bool) -> Iterator[_Then]:
    """The ledger as of `text`; what cannot be answered ends the program, with the reason."""
    settings = Settings()
    # Not one long snapshot: what is at or before a position never changes, and a read model may
    # be replaced by one that a snapshot from before would see empty.
    with psycopg.connect(_reader(), autocommit=True) as connection:
        connection.read_only = True
        connection.execute("SET statement_timeout = 0")
        try:
            found = moment(connection, text, now=datetime.now(UTC), settings=settings)
            yield _Then(connection, found.as_of, found.at)
        except (Nothing, AsOfError) as error:
            fail(str(error), code=error.code, json=json)
        except UnreadableEvent as error:
            said = f"{error}. The log was altered: run `tallystick verify`."
            fail(said, code="unreadable_event", json=json)


def _print(then: _Then, **fields: Any) -> None:
    as_of = then.as_of._asdict() | {"at": then.at}
    print(json_format.dumps(msgspec.to_builtins({"as_of": as_of} | fields)))


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _reader() -> str:
    """The database, started if it is ours and not running."""
    settings = Settings()
    try:
        database.prepare(settings)
    except SetupError as problem:
        db.report(problem)
    return database.conninfo(settings, Role.READER)
