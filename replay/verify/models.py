"""A part for each read model: folded again from the log, is it what the tables say?"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast, get_type_hints

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from projections.engine import compare
from projections.engine.compare import Alongside, Difference
from projections.engine.read_model import ReadModel, Recorded, Rows, Table
from projections.engine.tables import NotInstalled, StoredTable, schema_seen
from replay.spill import Spilled
from replay.verify.findings import PROBLEMS_MAX, Findings


class Refolded:
    """One read model, folded again as far as its tables have followed the log."""

    def __init__(
        self, connection: Connection[TupleRow], model: ReadModel, head_position: int
    ) -> None:
        self.findings = Findings(model.name)
        self._connection = connection
        self._model = model
        self._head_position = head_position
        self._failed_at: int | None = None
        self._events = 0
        self._rows = Rows()
        self._alongside: list[tuple[Table[Any, Any], Alongside]] = []
        self._upto = self._checkpoint()
        if self._upto is not None:
            self._prepare()

    def take(self, position: int, recorded: Recorded | None) -> None:
        """Fold one event; None: it cannot be read."""
        if self._upto is None or self._failed_at is not None or position > self._upto:
            return
        self._events += 1
        if recorded is None:
            self._failed_at = position
            return
        try:
            self._model.apply(self._rows, recorded)
        except Exception:  # noqa: BLE001  (an event that no fold can take is a finding)
            self._failed_at = position

    def after_page(self) -> None:
        """Compare what can be compared and forgotten."""
        if self._upto is None or self._failed_at is not None:
            return
        for table, alongside in self._alongside:
            made = self._rows[table]
            self.findings.count("rows", len(made))
            with self._no_row_can_be():
                self._report(alongside.take(made))
            made.clear()

    def finish(self) -> None:
        """Compare with the tables."""
        found, name = self.findings, self._model.name
        if self._upto is None:
            return
        found.count("events", self._events)
        if self._upto > self._head_position:
            detail = f"{name} has followed the log to {self._upto}"
            found.report(self._head_position + 1, "ahead_of_log", detail)
        if self._failed_at is not None:
            found.report(self._failed_at, "unfoldable", f"{name} cannot take this event")
            return
        others = [table for table in self._model.tables if not compare.has_growing_key(table)]
        for table in others:
            found.count("rows", len(self._rows[table]))
        with self._no_row_can_be():
            for _, alongside in self._alongside:
                self._report(alongside.rest())
            differences = compare.compare(
                self._connection, self._model, self._rows, PROBLEMS_MAX, tables=others
            )
            self._report(differences)

    @contextmanager
    def _no_row_can_be(self) -> Iterator[None]:
        """What cannot be read as a row is a finding; nothing more is compared after it."""
        try:
            yield
        except (psycopg.Error, ValueError, TypeError, OverflowError) as error:
            name, upto = self._model.name, self._upto or 0
            detail = f"{name}: its tables hold what no row can be: {_first_line(error)}"
            self.findings.report(upto, "read_model_differs", detail)
            self._upto = None

    def _checkpoint(self) -> int | None:
        """How far the tables have followed the log; None where they are not all there."""
        model, connection = self._model, self._connection
        try:
            with connection.transaction():
                schema = schema_seen(connection, model)
                upto = compare.checkpoint(connection, model)
                for table in model.tables:
                    stored = StoredTable(schema, table)
                    connection.execute(f"{stored.select_all} LIMIT 0".encode())
        except (NotInstalled, psycopg.Error) as error:
            problem = _first_line(error)
        else:
            return upto
        if self._head_position:  # before the first event there may be no tables yet
            detail = f"{model.name}: {problem}; `tallystick rebuild {model.name}` makes it anew"
            self.findings.report(self._head_position, "read_model_missing", detail)
        return None

    def _prepare(self) -> None:
        for table in self._model.tables:
            if compare.has_growing_key(table):
                alongside = Alongside(self._connection, self._model, table)
                self._alongside.append((table, alongside))
            else:
                hints = get_type_hints(table.row)
                keys = tuple(hints[column] for column in table.key)
                key: object = keys[0] if len(keys) == 1 else tuple[keys]  # type: ignore[valid-type]
                rows = Spilled[Any, Any](key, table.row)
                self._rows[table] = cast("dict[Any, Any]", rows)

    def _report(self, differences: Iterable[Difference]) -> None:
        for difference in differences:
            row = difference.expected or difference.found
            position = getattr(row, "position", self._upto or 0)
            detail = (
                f"{self._model.name}: {difference.table} {difference.key} is not what the log says"
            )
            self.findings.report(position, "read_model_differs", detail)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
