"""A read model as it was: rebuilt up to a position into a schema of its own, for psql."""

from typing import Final

from projections.engine.read_model import ReadModel
from projections.engine.tables import create_indexes_in, create_tables_in, exists
from replay import log
from replay.rebuild import schemas
from replay.rebuild import state as states
from replay.rebuild.filling import STRETCH_EVENTS, Building, Filler, Progress
from replay.rebuild.state import Phase, RebuildFailed

SCHEMA_PATTERN: Final = "{}_at_[0-9]+"


def schema_at(model: ReadModel, position: int) -> str:
    """Where the model of the past is: `history_at_4711`."""
    return f"{model.name}_at_{position}"


def build_as_of(
    conninfo_owner: str,
    conninfo_writer: str,
    model: ReadModel,
    position: int,
    on_progress: Progress = lambda _done, _wanted: None,
    *,
    stretch_events: int = STRETCH_EVENTS,
) -> str:
    """Rebuild `model` up to `position`; the schema it is in, kept until it is dropped.

    What is there already is used; what an earlier run has begun is gone on with. Readers may read
    it, and nothing else ever will.

    Args:
        conninfo_owner: of the owner role, which makes the tables.
        conninfo_writer: of a role that reads the log.
        position: the last event that counts; 0: none.

    Raises:
        RebuildRunning: somebody else is building the same.
        RebuildFailed: the log does not reach that far, or the fold cannot take an event.
    """
    schema = schema_at(model, position)
    with states.locked(conninfo_owner, schema) as connection:
        end = log.head(connection).position
        if not 0 <= position <= end:
            raise RebuildFailed(f"the log ends at position {end}, before {position}")
        state = states.read(connection, schema)
        of_use = state is not None and state.version == model.version and exists(connection, schema)
        if state is None or not of_use:
            why = schemas.drop(connection, schema)
            if why is not None:
                raise RebuildFailed(f"{schema} is in the way: {why}")
            with connection.transaction():
                if state is not None:
                    states.end(connection, state)
                create_tables_in(connection, model, schema)
                state = states.begin(connection, schema, model.version, None)
        if state.phase is not Phase.KEPT:
            filler = Filler(conninfo_writer, Building(model, schema), stretch_events=stretch_events)
            state = filler.fill(connection, state, position, on_progress)
            with connection.transaction():
                create_indexes_in(connection, model, schema)
                states.note(connection, state, phase=Phase.KEPT)
    return schema


def drop_as_of(conninfo_owner: str, model: ReadModel, position: int | None = None) -> list[str]:
    """Drop the model of the past at `position`, or at any; the schemas that are gone.

    Raises:
        RebuildRunning: somebody is building it.
        RebuildFailed: somebody still reads it, or has built on it.
    """
    with states.locked(conninfo_owner, f"{model.name} of the past") as connection:
        pattern = SCHEMA_PATTERN.format(model.name)
        wanted = None if position is None else schema_at(model, position)
        found = [s for s in schemas.named_like(connection, pattern) if wanted in (None, s)]
    for schema in found:
        with states.locked(conninfo_owner, schema) as connection:
            why = schemas.drop(connection, schema)
            if why is not None:
                raise RebuildFailed(f"{schema} is still there: {why}")
            state = states.read(connection, schema)
            if state is not None:
                states.end(connection, state)
    return found
