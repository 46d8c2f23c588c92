"""Filling new tables from the log: the ordinary fold, in large stretches."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from psycopg import Connection

from domain.events import LedgerEvent
from ledger.eventstore.codec import TOPICS, decode_stored
from projections.engine.bulk import BulkTable
from projections.engine.collecting import collector_paused
from projections.engine.following import Unfoldable, fold
from projections.engine.log_reader import CannotDecode, LogGap, RangeReader
from projections.engine.read_model import ReadModel, Recorded, Rows, types_ignored
from projections.engine.tables import adapt
from replay.rebuild.state import RebuildFailed, State

STRETCH_EVENTS: Final = 20_000
"""Measured: half as many are a tenth slower, and twice as many take more memory for nothing."""

Progress = Callable[[int, int], None]
"""Position reached, position wanted."""

_ADVANCE = """
UPDATE rebuilds SET position = %s, updated_at = clock_timestamp()
WHERE target = %s AND id = %s AND position = %s
"""


class Building:
    """A read model that is being built, where its tables are."""

    def __init__(self, model: ReadModel, schema: str) -> None:
        self.model = model
        self._tables: list[BulkTable[Any, Any]] = [BulkTable(schema, t) for t in model.tables]

    def take(
        self, connection: Connection[Any], state: State, end: int, events: Sequence[Recorded]
    ) -> State:
        """Advance to `end`, in the transaction that is open: rows and checkpoint together.

        Raises:
            RebuildFailed: the fold cannot take an event, or somebody else has removed the rebuild.
        """
        values = [end, state.target, state.id, state.position]
        if connection.execute(_ADVANCE, values).rowcount == 0:
            raise RebuildFailed(f"the rebuild of {state.target} was removed by somebody else")
        before = Rows()
        touched = self.model.touched(events)
        for stored in self._tables:
            before[stored.table] = stored.load(connection, touched.get(stored.table, ()))
        after = before.copy()
        try:
            fold(self.model, after, events)
        except Unfoldable as failure:
            cause = failure.__cause__ or failure
            raise RebuildFailed(
                f"{self.model.name} cannot take the event at position"
                f" {events[failure.index].position}: {type(cause).__name__}: {cause}"
            ) from cause
        for stored in self._tables:
            stored.save(connection, before[stored.table], after[stored.table])
        return replace(state, position=end)


@dataclass(frozen=True, slots=True)
class Filler:
    """Advances a building along the log."""

    conninfo: str
    """Of any role that may read the log."""
    building: Building
    faultpoint: Callable[[str], None] = lambda _name: None
    stretch_events: int = STRETCH_EVENTS

    def fill(
        self,
        connection: Connection[Any],
        state: State,
        upto: int,
        on_progress: Progress = lambda _done, _wanted: None,
    ) -> State:
        """Advance to `upto`, which the log has reached; a transaction for each stretch.

        In a transaction that is open already, everything is part of that.

        Raises:
            RebuildFailed: what is there can not be folded; it says where and why.
        """
        adapt(connection)
        reader = RangeReader(
            self.conninfo, decode_stored, self.stretch_events, _topics(self.building.model)
        )
        with collector_paused(), _failures_told(self.building.model):
            for stretch in reader.read(state.position, upto):
                with connection.transaction():
                    state = self.building.take(connection, state, stretch.end, stretch.events)
                    self.faultpoint("rebuild.batch")
                on_progress(stretch.end, upto)
        return state


def _topics(model: ReadModel) -> Collection[str]:
    """Of events that change nothing in the model."""
    ignored: frozenset[type[LedgerEvent]] = types_ignored(model)
    return [TOPICS[kind] for kind in ignored]


@contextmanager
def _failures_told(model: ReadModel) -> Iterator[None]:
    try:
        yield
    except CannotDecode as failure:
        raise RebuildFailed(f"{model.name}: {failure}: {failure.__cause__}") from failure
    except LogGap as gap:
        raise RebuildFailed(f"{model.name}: {gap}; run `tallystick verify`") from gap
