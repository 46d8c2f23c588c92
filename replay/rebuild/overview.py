"""What is being rebuilt, and which schemas of read models nobody needs any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from projections.engine.read_model import ReadModel, schema_of
from replay.rebuild import schemas
from replay.rebuild import state as states
from replay.rebuild.state import Phase, RebuildRunning, State

_UNFINISHED: Final = "{}_v[0-9]+_(next|old_[0-9a-f]{{8}})"
_VERSION: Final = "{}_v[0-9]+"


@dataclass(frozen=True, slots=True)
class Superfluous:
    """A schema that neither readers nor a rebuild in progress need."""

    schema: str
    why: str


def status(connection: Connection[Any]) -> list[State]:
    """Every rebuild that was begun and not ended, and every read model of the past."""
    return states.every(connection)


def superfluous(connection: Connection[Any], models: Sequence[ReadModel]) -> list[Superfluous]:
    """What `prune` would drop: other versions, and what ended rebuilds have left."""
    begun = {state.target for state in status(connection) if state.phase is not Phase.KEPT}
    found: list[Superfluous] = []
    for model in models:
        found += [
            Superfluous(schema, f"readers use {schema_of(model)}")
            for schema in schemas.named_like(connection, _VERSION.format(model.name))
            if schema != schema_of(model) and _is_installed(connection, model)
        ]
        if model.name not in begun:
            found += [
                Superfluous(schema, "left by a rebuild")
                for schema in schemas.named_like(connection, _UNFINISHED.format(model.name))
            ]
    return found


def prune(connection: Connection[Any], models: Sequence[ReadModel]) -> dict[str, str | None]:
    """Drop what is superfluous, and its checkpoints; by schema, None or why it is still there.

    `connection` is the owner's, in autocommit.
    """
    dropped: dict[str, str | None] = {}
    for model in models:
        try:
            # What is superfluous now may be what a rebuild that begins now fills.
            with states.alone(connection, model.name):
                dropped |= _pruned(connection, model)
        except RebuildRunning as error:
            dropped |= {one.schema: str(error) for one in superfluous(connection, [model])}
    return dropped


def _pruned(connection: Connection[Any], model: ReadModel) -> dict[str, str | None]:
    dropped: dict[str, str | None] = {}
    for one in superfluous(connection, [model]):
        dropped[one.schema] = schemas.drop(connection, one.schema)
        if dropped[one.schema] is None:
            connection.execute(
                "DELETE FROM read_models WHERE name || '_v' || version = %s", [one.schema]
            )
    return dropped


def _is_installed(connection: Connection[Any], model: ReadModel) -> bool:
    return bool(schemas.named_like(connection, schema_of(model)))
