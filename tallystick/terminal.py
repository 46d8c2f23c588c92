"""Printing for people; where nobody watches, nothing is shortened to fit a screen."""

import sys

from rich.console import Console

PIPED_COLUMNS = 240


def output() -> Console:
    """Standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)
