"""What a read model is: tables, and one pure fold that fills them from the log.

The fold sees rows in memory and nothing else, so following the log, rebuilding and verifying
are the same code over the same events.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from domain.events import LedgerEvent

K = TypeVar("K", bound=Hashable)
R = TypeVar("R", bound="Row")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its place in the log. A struct, as one is made for every event."""

    position: int
    recorded_at: datetime
    event: LedgerEvent


class Row(msgspec.Struct, frozen=True):
    """One row of a table: its fields are the columns, in order.

    A struct and not a dataclass because a fold replaces a row at nearly every event, and
    `dataclasses.replace` takes twenty-five times as long on twenty frozen fields.
    """


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What a fold keeps in one column as JSON text, whole; no query looks into it.

    A column may hold one of several such types: then each has a `tag`.
    """


@dataclass(frozen=True, slots=True, eq=False)
class Table(Generic[K, R]):
    """A table of a read model. One with a single key column is held in memory by that column."""

    name: str
    row: type[R]
    key: tuple[str, ...]
    append_only: bool = False
    """Rows are only ever added, by the event they belong to: nothing needs to be loaded."""
    loaded_by: str | None = None
    """The column that `touched` gives values of, where it is not the key: several rows may have
    the same. It needs an index."""

    @property
    def columns(self) -> tuple[str, ...]:
        return self.row.__struct_fields__


class Rows:
    """The rows of one read model that are in memory: by table, then by key.

    A row that is absent does not exist, or is not touched by the events at hand.
    """

    __slots__ = ("_by_table",)

    def __init__(self) -> None:
        self._by_table: dict[str, dict[Any, Any]] = {}

    def __getitem__(self, table: Table[K, R]) -> dict[K, R]:
        rows = self._by_table.get(table.name)
        if rows is None:
            rows = self._by_table[table.name] = {}
        return cast("dict[K, R]", rows)

    def __setitem__(self, table: Table[K, R], rows: dict[K, R]) -> None:
        self._by_table[table.name] = rows

    def copy(self) -> "Rows":
        """The same rows; adding, replacing or removing some there changes nothing here."""
        twin = Rows()
        twin._by_table = {name: rows.copy() for name, rows in self._by_table.items()}
        return twin


Keys = Mapping[Table[Any, Any], Collection[Any]]


class ReadModel(Protocol):
    """One question about the ledger, and the tables that answer it."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Raised whenever the tables or what the fold puts into them change."""

    @property
    def tables(self) -> tuple[Table[Any, Any], ...]: ...

    @property
    def ddl(self) -> str:
        """CREATE TABLE statements, names unqualified."""

    @property
    def indexes(self) -> str:
        """CREATE INDEX statements, names unqualified; a rebuild runs them last."""

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        """The keys of every row, of tables that are not append-only, that `apply` may look at.

        Of a table that is loaded by another column, values of that column.
        """

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        """Change `rows` as the event says; looks at nothing else and keeps nothing."""


def schema_of(model: ReadModel) -> str:
    """The PostgreSQL schema with the tables of this version: `history_v1`."""
    return f"{model.name}_v{model.version}"


def types_ignored(model: ReadModel) -> frozenset[type[LedgerEvent]]:
    """Types of events that change nothing in this model, where it says so in `ignores`.

    Nothing rests on it: `apply` knows them, too. A rebuild need not even read them.
    """
    found: frozenset[type[LedgerEvent]] = getattr(model, "ignores", frozenset())
    return found
