"""Comparing new tables with those that answer, and having readers use the new ones.

Who may change the tables that answer has to advance the model's row in `read_models` first, in
the same transaction. So whoever holds that row holds the tables still, for as long as it takes to
begin a snapshot or to rename two schemas; readers take no lock that would notice.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import Connection, errors, sql

from projections.engine.read_model import ReadModel, schema_of
from projections.engine.tables import exists, take_turns_installing
from replay import log
from replay.rebuild import state as states
from replay.rebuild.digests import RowsDiffer, differences, digest
from replay.rebuild.filling import Filler
from replay.rebuild.state import Phase, RebuildFailed, State, next_schema, old_schema

CATCH_UP_EVENTS_MAX: Final = 2_000
"""What may be left to fold while the projector waits."""

_ATTEMPTS_MAX: Final = 50
_LOCK_TIMEOUT_MS: Final = 1_000

_POSITION = "SELECT position FROM read_models WHERE name = %s AND version = %s"
_LOCKED_POSITION = f"{_POSITION} FOR UPDATE"
_ANSWERS = """
INSERT INTO read_models AS kept (name, version, position) VALUES (%s, %s, %s)
ON CONFLICT (name, version) DO UPDATE
SET position = excluded.position, stopped_at = NULL, error = NULL, updated_at = clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """Digests of both, of the same position."""

    position: int
    old: str
    new: str
    differences: list[RowsDiffer]


@dataclass(frozen=True, slots=True)
class Switch:
    """What it takes to compare and to switch."""

    owner: str
    connection: Connection[Any]
    """The owner's, in autocommit, that holds the lock on the rebuild."""
    model: ReadModel
    filler: Filler
    faultpoint: Callable[[str], None] = lambda _name: None

    # --- comparing ------------------------------------------------------------------------------

    def compare(self, state: State) -> tuple[State, Compared | None]:
        """Digests of old and new tables at the same position, which is the old ones'.

        None where the old ones are behind the new ones: they have only just been begun.
        """
        for _ in range(_ATTEMPTS_MAX):
            state = self._follow(state)
            with psycopg.connect(self.owner) as holder:
                position = self._hold(holder)
                if position is None or position - state.position > CATCH_UP_EVENTS_MAX:
                    continue
                if position < state.position:
                    return state, None
                state = self.filler.fill(self.connection, state, position)
                with log.snapshot(self.owner) as snapshot:
                    exported = log.export(snapshot)
                    holder.rollback()
                    return state, self._digests(snapshot, exported, state)
        raise RebuildFailed(f"{self.model.name} is being written to all the time; try again")

    def digest_alone(self) -> str:
        """Of the new tables, where there is nothing to compare them with."""
        return digest(self.connection, self.model, next_schema(self.model))

    def _digests(self, snapshot: Connection[Any], exported: str, state: State) -> Compared:
        def of_old() -> str:
            with log.snapshot(self.owner, exported) as other:
                return digest(other, self.model, schema_of(self.model))

        with ThreadPoolExecutor(1) as beside:
            old = beside.submit(of_old)
            new = digest(snapshot, self.model, next_schema(self.model))
            compared = Compared(state.position, old.result(), new, [])
        if compared.old != compared.new:
            both = schema_of(self.model), next_schema(self.model)
            compared.differences.extend(differences(snapshot, self.model, *both))
        return compared

    def _follow(self, state: State) -> State:
        """Be where the tables that answer are, or nearly."""
        row = self.connection.execute(_POSITION, self._key).fetchone()
        return self.filler.fill(self.connection, state, row[0]) if row else state

    def _hold(self, holder: Connection[Any]) -> int | None:
        """Lock the row of the tables that answer; None where others would not let go of it."""
        try:
            holder.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
            row = holder.execute(_LOCKED_POSITION, self._key).fetchone()
        except errors.LockNotAvailable:
            return None
        if row is None:
            raise RebuildFailed(f"{self.model.name} has no tables any more; try again")
        return int(row[0])

    @property
    def _key(self) -> list[object]:
        return [self.model.name, self.model.version]

    # --- switching ------------------------------------------------------------------------------

    def switch(self, state: State) -> State:
        """Have readers use the new tables, all at once."""
        for _ in range(_ATTEMPTS_MAX):
            state = self._catch_up(state)
            try:
                with psycopg.connect(self.owner) as switching:
                    switched = self._switch_now(switching, state)
                    if switched is None:
                        switching.rollback()
                        continue
                    self.faultpoint("rebuild.before_switch")
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                continue
            self.faultpoint("rebuild.after_switch")
            return switched
        raise RebuildFailed(f"{self.model.name} is being written to all the time; try again")

    def _catch_up(self, state: State) -> State:
        """Be at the end of the log, as it is now; twice, as the first time may take a while."""
        for _ in range(2):
            state = self.filler.fill(self.connection, state, log.head(self.connection).position)
        return state

    def _switch_now(self, switching: Connection[Any], state: State) -> State | None:
        """Rename both schemas, in the transaction that is open; None: too much is left to fold."""
        switching.execute("SET LOCAL synchronous_commit TO on")
        switching.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
        take_turns_installing(switching)
        row = switching.execute(_LOCKED_POSITION, self._key).fetchone()
        answering = row[0] if row else 0
        if answering - state.position > CATCH_UP_EVENTS_MAX:
            return None
        if answering > state.position:  # readers must never see an earlier position than before
            state = self.filler.fill(switching, state, answering)
        now, new = schema_of(self.model), next_schema(self.model)
        if exists(switching, now):
            _rename(switching, now, old_schema(state))
        _rename(switching, new, now)
        switching.execute(_ANSWERS, [*self._key, state.position])
        return states.note(switching, state, phase=Phase.SWITCHED)


def _rename(connection: Connection[Any], schema: str, name: str) -> None:
    rename = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
    connection.execute(rename.format(sql.Identifier(schema), sql.Identifier(name)))
