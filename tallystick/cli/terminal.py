"""Printing for people; where nobody watches, nothing is shortened to fit a screen."""

import json as json_format
import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

PIPED_COLUMNS = 240


def output() -> Console:
    """Standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)


def fail(message: str, *, json: bool, **said: object) -> NoReturn:
    """Say what is wrong, and end with status 1; in JSON, `said` stands beside it."""
    if json:
        print(json_format.dumps({**said, "error": message}))
    else:
        Console(stderr=True, soft_wrap=True).print(f"[red]{escape(message)}[/red]")
    raise typer.Exit(1)
