"""One read model, one batch: fold it, write the rows that changed, advance the checkpoint."""

import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from projections.engine.read_model import ReadModel, Recorded, Rows, schema_of
from projections.engine.tables import StoredTable

LOST = (psycopg.OperationalError, psycopg.InterfaceError)
"""The trouble is with the database or the way to it: worth trying again."""

_TOO_LARGE = psycopg.errors.ProgramLimitExceeded
"""The driver counts it among troubles of operation, but it is the row that is at fault."""

_ADVANCE = """
UPDATE read_models
SET position = %s, stopped_at = NULL, error = NULL, updated_at = clock_timestamp()
WHERE name = %s AND version = %s AND position = %s
"""
_STOP = """
UPDATE read_models SET stopped_at = %s, error = %s, updated_at = clock_timestamp()
WHERE name = %s AND version = %s AND position = %s
"""

_log = logging.getLogger(__name__)


class CheckpointRaced(Exception):
    """Somebody else has advanced this read model; what was done here is rolled back."""


class Unfoldable(Exception):
    """A fold cannot take an event; the cause says why."""

    def __init__(self, index: int) -> None:
        super().__init__(f"event {index} of the batch")
        self.index = index


def fold(model: ReadModel, rows: Rows, batch: Sequence[Recorded]) -> None:
    """Let `model` change `rows` as the events say.

    Raises:
        Unfoldable: it fails at an event; `rows` are then of no use.
    """
    apply = model.apply
    index = 0
    try:
        for index, recorded in enumerate(batch):  # noqa: B007 -- says where it failed
            apply(rows, recorded)
    except Exception as error:
        raise Unfoldable(index) from error


class FollowingModel:
    """A read model where its tables are."""

    def __init__(self, model: ReadModel, schema: str | None = None) -> None:
        """`schema` is where its tables are, if not where readers look."""
        self.model = model
        self.key = (model.name, model.version)
        self.stored: list[StoredTable[Any, Any]] = [
            StoredTable(schema or schema_of(model), table) for table in model.tables
        ]

    def advance(self, connection: Connection[TupleRow], batch: Sequence[Recorded]) -> None:
        """Fold the batch into the stored rows; the checkpoint goes first, as it locks out others.

        Raises:
            CheckpointRaced: the model is not at the position before the batch.
            Unfoldable: see `fold`.
        """
        previous, last = batch[0].position - 1, batch[-1].position
        if connection.execute(_ADVANCE, [last, *self.key, previous]).rowcount == 0:
            raise CheckpointRaced(f"{self.model.name} is no longer at position {previous}")
        self.take(connection, batch)

    def take(self, connection: Connection[TupleRow], batch: Sequence[Recorded]) -> None:
        """Fold the batch into the stored rows; the checkpoint is the caller's affair.

        Raises:
            Unfoldable: see `fold`.
        """
        before = Rows()
        touched = self.model.touched(batch)
        for stored in self.stored:
            before[stored.table] = stored.load(connection, touched.get(stored.table, ()))
        after = before.copy()
        fold(self.model, after, batch)
        for stored in self.stored:
            stored.save(connection, before[stored.table], after[stored.table])

    def stop(self, connection: Connection[TupleRow], position: int, error: BaseException) -> None:
        """Record at which event the model stopped, and why."""
        text = f"{type(error).__name__}: {error}"
        connection.execute(_STOP, [position, text, *self.key, position - 1])
        _log.error("read model %s stopped at position %d: %s", self.model.name, position, text)


def advance(
    connection: Connection[TupleRow], following: FollowingModel, batch: Sequence[Recorded]
) -> bool:
    """Advance one model within its savepoint; False where it has to stop.

    What comes before the event that cannot be taken is taken: the model stops right before it.
    """
    try:
        with connection.transaction():
            following.advance(connection, batch)
    except Unfoldable as failure:
        good, cause = batch[: failure.index], failure.__cause__ or failure
    except Exception as rejection:
        if isinstance(rejection, (*LOST, CheckpointRaced)) and not isinstance(
            rejection, _TOO_LARGE
        ):
            raise
        good, cause = batch[: len(batch) // 2], rejection
    else:
        return True
    if good:
        return advance(connection, following, good)
    following.stop(connection, batch[0].position, cause)
    return False
