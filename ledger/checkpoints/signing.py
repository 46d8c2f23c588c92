"""The signer: it reads what is new in the log, computes the tree anew, and signs it.

It keeps what it last signed outside the database, and refuses to sign a log that is not a
continuation of that. While it refuses it goes on looking, because the trouble may go away: a
standby catches up, a wrong database is swapped for the right one. Writes are never held up.

The order of effects: the state file first, then the database. Killed anywhere between, it finds
in the file all that it has to put into the database; and nothing is shown to anybody that the
file does not know of, so that no second root is ever signed for a size.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import inf
from time import monotonic, sleep
from typing import Any, Final

import psycopg
import structlog
from psycopg import Connection

from ledger.checkpoints import recomputing, signers, store
from ledger.checkpoints.checkpoint import Checkpoint, open_checkpoint
from ledger.checkpoints.keys import signing_key
from ledger.checkpoints.note import InvalidKey, Signer, sign
from ledger.checkpoints.recomputing import Refused
from ledger.checkpoints.state import State, StateFile, StateUnreadable
from ledger.checkpoints.store import StoredCheckpoint
from ledger.checkpoints.tiled import TiledFrontier
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.faultpoints import faultpoint
from ledger.settings import Settings

__all__ = ["CheckpointSigner", "Refused", "SignerBusy", "build"]

SIGN_SECONDS: Final = 1.0
"""Between checkpoints, while fewer than SIGN_EVENTS are new."""

SIGN_EVENTS: Final = 1_000
LOOK_SECONDS: Final = 0.1
TAKE_OVER_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 0.5
AGAIN_SECONDS_MAX: Final = 30.0
"""Between looks at a log that was refused; it begins with a second and doubles."""

_MICROSECOND: Final = timedelta(microseconds=1)
_LOCK_SIGN: Final = 7_236_851_905

_log = structlog.get_logger(__name__)

OnProgress = Callable[[int, int], None]
"""How many events are signed for or looked at, and how many there are."""


class SignerBusy(Exception):
    """Another signer works on this ledger and has not signed in time; see `tallystick doctor`."""


class CheckpointSigner:
    """Signs one ledger. Of several, in whatever processes, one works and the others wait."""

    def __init__(
        self,
        *,
        conninfo: str,
        key: Callable[[], Signer],
        state: StateFile,
        clock: Callable[[], datetime],
    ) -> None:
        """`conninfo` is of the writer role; `key` is asked again whenever work is taken up."""
        self._conninfo = conninfo
        self._key = key
        self._state = state
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Sign until `stop` is set; the database may come and go meanwhile."""
        while not stop.is_set():
            try:
                with self._alone() as connection:
                    if connection is None:
                        stop.wait(TAKE_OVER_SECONDS)
                    else:
                        self._work(connection, stop)
            except psycopg.Error as error:
                _log.warning("signer.database_away", error=type(error).__name__)
                stop.wait(AWAY_SECONDS)
            except (OSError, InvalidKey) as error:
                _log.error("signer.cannot_sign", error=str(error))
                stop.wait(AGAIN_SECONDS_MAX)

    def sign_now(
        self, on_progress: OnProgress = lambda _done, _total: None, timeout_seconds: float = 30.0
    ) -> StoredCheckpoint | None:
        """Sign what there is; None if that is nothing. Where another signer works, let it do so.

        Raises:
            Refused: the log is not what was recorded or signed.
            SignerBusy: another one works and has not come as far within `timeout_seconds`.
        """
        deadline = monotonic() + timeout_seconds
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            wanted, _ = recomputing.head(connection)
        while True:
            with self._alone() as connection:
                if connection is not None:
                    return self._sign_upto(connection, wanted, on_progress)
            found = self._signed_by_another(wanted)
            if found is not None:
                return found
            if monotonic() > deadline:
                raise SignerBusy
            sleep(LOOK_SECONDS)

    @contextmanager
    def _alone(self) -> Iterator[Connection[Any] | None]:
        """A connection of the one signer that works; None where another one does.

        The lock belongs to the connection over which checkpoints are inserted: without the one
        the other is gone as well.
        """
        with self._state.held() as held:
            if not held:
                yield None
                return
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_SIGN]).fetchone()
                yield connection if row and row[0] else None

    def _work(self, connection: Connection[Any], stop: threading.Event) -> None:
        pause_seconds = 1.0
        while not stop.is_set():
            key = self._key()
            try:
                with self._telling(connection, key):
                    signing = Signing(connection, key, self._state, self._clock)
                    while not stop.is_set():
                        signing.follow(stop)
                        pause_seconds = 1.0
            except Refused as refused:
                _log.error(
                    "signer.refused", code=refused.code, detail=refused.detail, key=key.verifier.id
                )
                stop.wait(pause_seconds)
                pause_seconds = min(2 * pause_seconds, AGAIN_SECONDS_MAX)

    def _sign_upto(
        self, connection: Connection[Any], wanted: int, on_progress: OnProgress
    ) -> StoredCheckpoint | None:
        key = self._key()
        with self._telling(connection, key):
            signing = Signing(connection, key, self._state, self._clock)
            while signing.waiting() and signing.size < wanted:
                signing.step()
                on_progress(signing.size, wanted)
        return signing.last

    @contextmanager
    def _telling(self, connection: Connection[Any], key: Signer) -> Iterator[None]:
        """Say where others can read it that nothing is signed, and why."""
        try:
            yield
        except Refused as refused:
            if refused.code != "key_retired":
                now, known = self._clock(), key.verifier
                signers.register(connection, known.id, str(known), now)
                signers.tell_refused(connection, known.id, refused.code, refused.detail, now)
            raise

    def _signed_by_another(self, wanted: int) -> StoredCheckpoint | None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            found = store.newest(connection)
            if found is not None and found.size >= wanted:
                return found
            for known in signers.every(connection):
                if known.refused is not None and known.retired_at is None:
                    raise Refused(known.refused, known.detail or "")
        return None


def build(settings: Settings, clock: Callable[[], datetime]) -> CheckpointSigner:
    """The signer of this ledger; its key is made when it is first needed."""
    return CheckpointSigner(
        conninfo=database.conninfo(settings, Role.WRITER),
        key=lambda: signing_key(settings),
        state=StateFile.of(settings),
        clock=clock,
    )


class Signing:
    """A signer at work: what it has signed, and the next step from there."""

    def __init__(
        self,
        connection: Connection[Any],
        key: Signer,
        state_file: StateFile,
        clock: Callable[[], datetime],
    ) -> None:
        """Take up where the state file says; what it holds beyond the database is put there.

        Raises:
            Refused: the log is not a continuation of what was signed.
        """
        self._connection = connection
        self._signer = key
        self._key = key.verifier.id
        self._state_file = state_file
        self._clock = clock
        self._tree = TiledFrontier()
        self._signed_at = -inf
        self._is_told = False
        self.last: StoredCheckpoint | None = None
        signers.register(connection, self._key, str(key.verifier), clock())
        position, _ = recomputing.head(connection)
        if store.newest_size_of_key(connection, self._key) > position:
            raise Refused("log_shorter", f"the log ends at {position}, and more of it was signed")
        newest = store.newest(connection)
        self._not_before = None if newest is None else newest.signed_at + _MICROSECOND
        """Of checkpoints of one size the first one counts, also where a clock was set back."""
        self._sign_from = store.newest_size_upto(connection, position)
        """Below, somebody has signed already: which checkpoint covers a position never changes."""
        state = self._read_state()
        if state is not None:
            self._resume(state, position)

    @property
    def size(self) -> int:
        """How many events have been looked at."""
        return self._tree.size

    def follow(self, stop: threading.Event) -> None:
        """Look once, sign if it is time, and pause if there is nothing more to do."""
        new = self.waiting()
        if new and (new >= SIGN_EVENTS or monotonic() - self._signed_at >= SIGN_SECONDS):
            self.step()
            self._signed_at = monotonic()
        if new <= recomputing.STEP_EVENTS:
            stop.wait(LOOK_SECONDS)

    def waiting(self) -> int:
        """How many events are new.

        Raises:
            Refused: the log has become shorter or, at the same length, another one.
        """
        position, root = recomputing.head(self._connection)
        if position < self.size:
            raise self._shorter(position, self.size)
        if position == self.size:
            if root != self._tree.root():
                raise _differs(self.size)
            self._tell_signing()
        return position - self.size

    def step(self) -> None:
        """Look at what is new, up to the end of a batch, and sign it.

        Raises:
            Refused: it is not what was recorded or signed; nothing has changed.
        """
        position, root = recomputing.head(self._connection)
        size = recomputing.next_size(self._connection, self.size, position)
        tree = self._tree.copy()
        signed = store.roots_of_key(self._connection, self._key, self.size, size)
        for reached in recomputing.extend(self._connection, tree, size):
            if reached in signed and signed[reached] != tree.root():
                raise _other_checkpoint(reached)
        recorded = {recomputing.recorded_root(self._connection, size)}
        if recorded | ({root} if size == position else set()) != {tree.root()}:
            raise _differs(size)
        subtrees = tree.take_filled()
        if size < self._sign_from:
            with self._connection.transaction():
                store.insert_subtrees(self._connection, subtrees)
        else:
            self._sign(State(self._checkpoint(tree), tree.pack(), subtrees))
            self._tell_signing()
        self._tree = tree

    def _checkpoint(self, tree: TiledFrontier) -> StoredCheckpoint:
        text = Checkpoint(self._signer.verifier.name, tree.size, tree.root()).text()
        note, now = sign(text, self._signer), self._clock()
        signed_at = now if self._not_before is None else max(now, self._not_before)
        return StoredCheckpoint(tree.size, self._key, tree.root(), note, signed_at)

    def _sign(self, state: State) -> None:
        faultpoint("signer.before_state")
        self._state_file.write(state)
        faultpoint("signer.before_insert")
        self._publish(state)
        faultpoint("signer.after_insert")

    def _publish(self, state: State) -> None:
        """Put into the database what belongs there, unless it is there."""
        with self._connection.transaction():
            if signers.is_retired(self._connection, self._key):
                raise Refused("key_retired", f"the key {self._key} has been retired")
            kept = store.insert(self._connection, state.checkpoint)
            if kept.root != state.checkpoint.root:
                raise _other_checkpoint(state.checkpoint.size)
            store.insert_subtrees(self._connection, state.subtrees)
        self.last = kept

    def _read_state(self) -> State | None:
        try:
            return self._state_file.read(self._key)
        except StateUnreadable as damaged:
            raise Refused("state_unreadable", str(damaged)) from damaged

    def _resume(self, state: State, position: int) -> None:
        signed = state.checkpoint
        tree = self._tree_of(state)
        if position < signed.size:
            raise self._shorter(position, signed.size)
        if recomputing.recorded_root(self._connection, signed.size) != signed.root:
            raise _differs(signed.size)
        self._publish(state)
        self._tree = tree

    def _tell_signing(self) -> None:
        if not self._is_told:
            signers.tell_signing(self._connection, self._key)
            self._is_told = True

    def _tree_of(self, state: State) -> TiledFrontier:
        """What the state file says of the tree, if it is what its note says."""
        signed, path = state.checkpoint, self._state_file.path
        try:
            noted = open_checkpoint(signed.note, [self._signer.verifier])
            tree = TiledFrontier(signed.size, state.frontier)
        except ValueError as error:
            raise Refused("state_unreadable", f"{path} is damaged: {error}") from error
        if not (noted.size, noted.root) == (signed.size, signed.root) == (tree.size, tree.root()):
            raise Refused("state_unreadable", f"{path} contradicts itself")
        return tree

    @staticmethod
    def _shorter(position: int, size: int) -> Refused:
        return Refused("log_shorter", f"the log ends at {position}, and {size} events were signed")


def _differs(size: int) -> Refused:
    detail = f"the root recorded at size {size} is not that of the events"
    return Refused("root_differs", detail, size)


def _other_checkpoint(size: int) -> Refused:
    detail = f"a checkpoint of this key at size {size} has another root"
    return Refused("checkpoint_differs", detail, size)
