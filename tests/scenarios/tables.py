"""Tables written as text, so that a whole state machine can be read at a glance."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """A table: the first line names the columns, the first word of each other line the row."""

    columns: list[str]
    lines: list[list[str]]

    @property
    def rows(self) -> list[str]:
        return [line[0] for line in self.lines]


def words(table: str) -> Words:
    head, *lines = [line.split() for line in table.strip().splitlines()]
    assert all(len(line) == len(head) for line in lines), "a line has too few or too many cells"
    return Words(head[1:], lines)


def cells(table: str, sources: Iterable[str] | None = None) -> list[tuple[str, ...]]:
    """(row, column, cell) of every cell.

    With `sources`, (row, source, column, cell): a row named `row/source` holds for that source,
    any other for all of them.
    """
    read = words(table)
    if sources is None:
        return [
            (row, column, cell)
            for row, *line in read.lines
            for column, cell in zip(read.columns, line, strict=True)
        ]
    names = [str(source) for source in sources]
    return [
        (row.partition("/")[0], source, column, cell)
        for row, *line in read.lines
        for source in ([row.partition("/")[2]] if "/" in row else names)
        for column, cell in zip(read.columns, line, strict=True)
    ]
