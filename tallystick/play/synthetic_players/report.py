"""An evaluation for people: as tables of a document, and that document brought up to date."""

from collections.abc import Iterable, Sequence
from typing import Final

from tallystick.play.synthetic_players.evaluation import Evaluation, OfIndicator, OfKind
from tallystick.play.synthetic_players.kinds import Kind

BEGINS: Final = "<!-- population: made by tallystick population --write docs/fraud.md -->"
ENDS: Final = "<!-- end of population -->"

KIND_COLUMNS: Final = ("kind", "players", "found", "share", "found most by")
INDICATOR_COLUMNS: Final = ("indicator", "hits", "players", "of them not honest", "precision")


class BlockMissing(Exception):
    """The document has no block for the population: two comments, one after the other."""


def written(text: str, found: Evaluation) -> str:
    """A document with its block made anew.

    Raises:
        BlockMissing: there is none, or it does not end.
    """
    before, begins, rest = text.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise BlockMissing(f"it needs a line {BEGINS} and, further on, a line {ENDS}")
    return f"{before}{BEGINS}\n\n{as_markdown(found)}\n{ENDS}{after}"


def as_markdown(found: Evaluation) -> str:
    """The block: what was played, who was found, and what each indicator said."""
    return "\n".join(
        (
            heading(found),
            "",
            *_table(KIND_COLUMNS, map(kind_cells, found.kinds)),
            "",
            *_table(INDICATOR_COLUMNS, map(indicator_cells, found.indicators)),
            "",
        )
    )


def heading(found: Evaluation) -> str:
    """What was played and judged, in a sentence or two."""
    stopped = percent(found.payouts_stopped, found.payouts)
    payouts = f"{found.payouts_stopped:,} of {found.payouts:,} payouts ({stopped})"
    return (
        f"{found.players:,} players, {found.days} days, seed {found.seed}: "
        f"{found.events:,} events.\n{payouts} would be seen by a person or held."
    )


def kind_cells(one: OfKind) -> Sequence[str]:
    """A row about a kind; for honest players, the share is of those looked at for nothing."""
    by = ", ".join(f"{indicator} {players:,}" for indicator, players in one.by.items())
    name = one.kind.replace("_", " ") if one.kind is not Kind.HONEST else "honest, looked at"
    return name, f"{one.players:,}", f"{one.found:,}", percent(one.found, one.players), by


def indicator_cells(one: OfIndicator) -> Sequence[str]:
    """A row about an indicator; its precision is by players, whatever the severity."""
    precision = percent(one.bad, one.players)
    return one.indicator, f"{one.hits:,}", f"{one.players:,}", f"{one.bad:,}", precision


def percent(part: int, whole: int) -> str:
    """`93.3 %`; a dash where there is nothing to take a part of."""
    return f"{part * 100 / whole:.1f} %" if whole else "–"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('---' for _ in columns)}|"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"
