"""Rebuilding a read model beside the one that answers, and switching readers to it.

Everything that is done is noted in the same transaction, so that a rebuild which was killed goes
on where it was; at every moment exactly one complete set of tables answers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from psycopg import Connection

from projections.engine.read_model import ReadModel, schema_of
from projections.engine.tables import create_indexes_in, create_tables_in, exists
from replay import log
from replay.rebuild import schemas
from replay.rebuild import state as states
from replay.rebuild.digests import RowsDiffer
from replay.rebuild.filling import STRETCH_EVENTS, Building, Filler, Progress
from replay.rebuild.recording import CutOverLog, record
from replay.rebuild.state import Phase, RebuildFailed, State, next_schema, old_schema
from replay.rebuild.switching import Compared, Switch


class TablesDiffer(RebuildFailed):
    """Old and new tables differ though the logic is the same: readers were not switched."""

    code = "tables_differ"

    def __init__(self, model: str, position: int, differences: list[RowsDiffer]) -> None:
        told = "\n".join(f"  {one}" for one in differences)
        super().__init__(
            f"{model}: old and new tables differ at position {position}; the first rows:\n{told}\n"
            "The new ones follow from the log. `tallystick verify` says whether the log is as it"
            " was; if it is, --accept-differences switches readers to them."
        )
        self.position = position
        self.differences = differences


@dataclass(slots=True, kw_only=True)
class Rebuilt:
    """What was done."""

    model: str
    version: int
    from_version: int | None
    events: int = 0
    """Folded by this run."""
    position: int = 0
    """How far the new tables had followed the log when readers were switched."""
    digest: str = ""
    digest_position: int = 0
    compared: bool = False
    resumed: bool = False
    cut_over_position: int = 0
    """Of the event that says so."""
    left: dict[str, str] = field(default_factory=dict)
    """Old schemas that are still there, and why; the next rebuild drops them."""
    elapsed_s: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    """By step."""

    @property
    def events_per_s(self) -> float:
        """While the tables were filled."""
        filling = self.seconds.get("filling", 0.0)
        return round(self.events / filling, 1) if filling else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """Everything a rebuild needs."""

    owner: str
    """Connection string of the owner role."""
    ledger: CutOverLog
    verify: bool = True
    """Compare with the tables that answer, where the logic is the same."""
    accept_differences: bool = False
    restart: bool = False
    """Begin anew, whatever an earlier run has left."""
    on_progress: Progress = lambda _done, _wanted: None
    faultpoint: Callable[[str], None] = lambda _name: None
    stretch_events: int = STRETCH_EVENTS
    drop_patience_seconds: float = 5.0
    """How long to wait for those who still read the old tables."""

    def run(self, model: ReadModel) -> Rebuilt:
        """Rebuild the model, or finish what was begun.

        Raises:
            RebuildRunning: somebody else is at it.
            TablesDiffer: readers were not switched.
            RebuildFailed: why not.
            AppendError: readers were switched, which the log does not say; run it again.
        """
        with states.locked(self.owner, model.name) as connection:
            return _Run(self, model, connection).run()


class _Run:
    def __init__(self, rebuild: Rebuild, model: ReadModel, connection: Connection[Any]) -> None:
        self._rebuild, self._model, self._connection = rebuild, model, connection
        building = Building(model, next_schema(model))
        self._filler = Filler(rebuild.owner, building, rebuild.faultpoint, rebuild.stretch_events)
        self._switch = Switch(rebuild.owner, connection, model, self._filler, rebuild.faultpoint)
        self._found = Rebuilt(model=model.name, version=model.version, from_version=None)

    def run(self) -> Rebuilt:
        began = monotonic()
        self._finish_another()
        state = self._begun()
        self._found.from_version = state.from_version
        if state.phase is Phase.FILLING:
            state = self._timed("filling", self._fill, state)
            state = self._timed("indexing", self._index, state)
        if state.phase in (Phase.INDEXED, Phase.COMPARED):
            before = state.position
            if state.phase is Phase.INDEXED:
                state = self._timed("comparing", self._compare, state)
            state = self._timed("switching", self._switch.switch, state)
            self._found.events += state.position - before
        if state.phase is Phase.SWITCHED:
            state = self._record(state)
        self._tidy(state)
        found = self._found
        found.position, found.compared = state.position, state.compared
        found.digest, found.digest_position = state.digest or "", state.digest_position or 0
        found.elapsed_s = round(monotonic() - began, 3)
        return found

    def _timed(self, step: str, act: Callable[[State], State], state: State) -> State:
        began = monotonic()
        state = act(state)
        self._found.seconds[step] = round(monotonic() - began, 3)
        return state

    # --- steps ----------------------------------------------------------------------------------

    def _finish_another(self) -> None:
        """An earlier rebuild that had switched readers is over, where it is not the one wanted."""
        state = states.read(self._connection, self._model.name)
        if state is None or state.phase not in (Phase.SWITCHED, Phase.RECORDED):
            return
        if self._rebuild.restart or state.version != self._model.version:
            if state.phase is Phase.SWITCHED:
                state = self._record(state)
            self._tidy(state)
            self._found.cut_over_position = 0

    def _record(self, state: State) -> State:
        position = record(self._rebuild.ledger, self._model.name, state)
        self._found.cut_over_position = position
        self._rebuild.faultpoint("rebuild.after_record")
        return states.note(self._connection, state, phase=Phase.RECORDED)

    def _begun(self) -> State:
        """The rebuild to go on with: an earlier one, unless it is of no use any more."""
        model, connection = self._model, self._connection
        state = states.read(connection, model.name)
        if state is not None and state.phase not in (Phase.SWITCHED, Phase.RECORDED):
            of_use = state.version == model.version and exists(connection, next_schema(model))
            if self._rebuild.restart or not of_use:
                states.end(connection, state)
                state = None
        if state is not None:
            self._found.resumed = True
            return state
        leftovers = schemas.named_like(connection, f"{model.name}_v[0-9]+_(next|old_[0-9a-f]{{8}})")
        self._found.left = schemas.drop_all(connection, leftovers)
        if next_schema(model) in self._found.left:
            raise RebuildFailed(
                f"{next_schema(model)} is in the way: {self._found.left[next_schema(model)]}"
            )
        with connection.transaction():
            create_tables_in(connection, model, next_schema(model))
            return states.begin(connection, model.name, model.version, self._answering())

    def _answering(self) -> int | None:
        """The version that answers: this one if it is installed, else the newest of the others."""
        query = "SELECT version FROM read_models WHERE name = %s ORDER BY version DESC"
        name = self._model.name
        installed = [
            version
            for (version,) in self._connection.execute(query, [name]).fetchall()
            if exists(self._connection, f"{name}_v{version}")
        ]
        return (
            self._model.version if self._model.version in installed else next(iter(installed), None)
        )

    def _fill(self, state: State) -> State:
        """Fold the log into the new tables, to where the old ones are: there they are compared."""
        before = state.position
        for _ in range(3):  # each time, there is less of what was appended meanwhile
            upto = self._wanted()
            if upto <= state.position:
                break
            state = self._filler.fill(self._connection, state, upto, self._rebuild.on_progress)
        self._found.events += state.position - before
        return state

    def _wanted(self) -> int:
        query = "SELECT position FROM read_models WHERE name = %s AND version = %s"
        row = self._connection.execute(query, [self._model.name, self._model.version]).fetchone()
        head = log.head(self._connection).position
        return min(row[0], head) if row and self._is_installed() else head

    def _is_installed(self) -> bool:
        return exists(self._connection, schema_of(self._model))

    def _index(self, state: State) -> State:
        with self._connection.transaction():
            create_indexes_in(self._connection, self._model, next_schema(self._model))
            state = states.note(self._connection, state, phase=Phase.INDEXED)
        self._rebuild.faultpoint("rebuild.after_indexes")
        return state

    def _compare(self, state: State) -> State:
        found: Compared | None = None
        if self._rebuild.verify and self._is_installed():
            state, found = self._switch.compare(state)
        if found is None:
            compared, digest = False, self._switch.digest_alone()
        else:
            compared, digest = found.old == found.new, found.new
            if not compared and not self._rebuild.accept_differences:
                raise TablesDiffer(self._model.name, found.position, found.differences)
        state = states.note(
            self._connection,
            state,
            phase=Phase.COMPARED,
            digest=digest,
            digest_position=state.position,
            compared=compared,
        )
        self._rebuild.faultpoint("rebuild.after_compare")
        return state

    def _tidy(self, state: State) -> None:
        """Drop the old tables, unless somebody still reads them; then the next rebuild does."""
        old = old_schema(state)
        why = schemas.drop(self._connection, old, self._rebuild.drop_patience_seconds)
        if why is not None:
            self._found.left[old] = why
        self._rebuild.faultpoint("rebuild.after_drop")
        if not self._found.cut_over_position:  # an earlier run has recorded it
            self._found.cut_over_position = record(self._rebuild.ledger, self._model.name, state)
        states.end(self._connection, state)
