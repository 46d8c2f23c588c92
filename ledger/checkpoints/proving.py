"""Checkpoints and proofs for people: read from the log and the stored hashes of its tree.

How one gets from a receipt (position, leaf, root, size) to a checkpoint that somebody else holds:

1. The inclusion proof of `position` in the checkpoint's size leads from the receipt's leaf to the
   checkpoint's root: the event is in what was signed, at that place.
2. The consistency proof from the receipt's size to the checkpoint's leads from the receipt's root
   to the checkpoint's: the tree that the receipt tells of was only added to.

Both are checked with nothing but SHA-256 and the public key of the signer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg_pool import ConnectionPool

from ledger.checkpoints import recomputing, signers, store
from ledger.checkpoints.signers import KnownSigner
from ledger.checkpoints.store import StoredCheckpoint
from ledger.eventstore.merkle import EMPTY_ROOT, recorded_at_us
from ledger.eventstore.proofs import (
    InvalidProof,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
)
from ledger.eventstore.stored_hashes import HashesMissing, StoredHashes

CONNECTIONS_MAX: Final = 8

_EVENT = """
SELECT uuid_send(originator_id), originator_version, topic, timestamptz_send(recorded_at), state,
       leaf
FROM ledger_events WHERE notification_id = %s
"""


class ProofError(Exception):
    """There is nothing to prove; the docstring of the class is the message."""

    code = "proof_error"

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or type(self).__doc__ or self.code
        super().__init__(self.detail)


class CheckpointNotFound(ProofError):
    """There is no such checkpoint: see /v1/checkpoints. The signer makes one about every second."""

    code = "checkpoint_not_found"


class SigningKeyNotFound(ProofError):
    """Nothing has been signed yet: `tallystick serve` runs the signer."""

    code = "signing_key_not_found"


class PositionBeyondLog(ProofError):
    """The log does not reach that far: `head` of /v1/events says where it ends."""

    code = "position_beyond_log"


class SizesInvalid(ProofError):
    """A tree only contains what came before: ask for sizes in ascending order."""

    code = "proof_sizes_invalid"


class LogNotAsSigned(ProofError):
    """The log is not what was recorded or signed: run `tallystick verify`, change nothing."""

    code = "log_not_as_signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedEvent:
    """What the leaf is computed from, beside the position."""

    stream: bytes
    """16 bytes."""
    version: int
    topic: str
    recorded_at_us: int
    """Microseconds since 1970."""
    state: bytes
    """Canonical JSON, as it was hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """The event at a position is in the tree of this size and root."""

    position: int
    event: ProvedEvent
    leaf: bytes
    size: int
    root: bytes
    hashes: list[bytes]
    """From the leaf up."""
    checkpoint: StoredCheckpoint | None
    """Of exactly this size, if one was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """The tree of the new size begins with that of the old one."""

    old_size: int
    old_root: bytes
    new_size: int
    new_root: bytes
    hashes: list[bytes]
    old_checkpoint: StoredCheckpoint | None
    new_checkpoint: StoredCheckpoint | None


class Proving:
    """Makes proofs, over a few connections. May be shared between threads."""

    def __init__(self, conninfo: str, *, timeout_seconds: float) -> None:
        """`conninfo` is of the reader role; nothing is connected before the first question."""
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            conninfo,
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=timeout_seconds,
            open=False,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            name="proving",
        )

    def close(self) -> None:
        """Let go of the database."""
        self._pool.close()

    def checkpoints(self, before: tuple[int, str] | None, limit: int) -> list[StoredCheckpoint]:
        """Up to `limit` before this size and key, newest first."""
        size, key = before or (None, "")
        with self._connection() as connection:
            return store.page(connection, size, limit, key)

    def checkpoint(self, size: int | None) -> StoredCheckpoint:
        """The checkpoint of a size, or the newest one.

        Raises:
            CheckpointNotFound: there is none.
        """
        with self._connection() as connection:
            found = store.newest(connection) if size is None else store.at(connection, size)
        if found is None:
            raise CheckpointNotFound
        return found

    def signers(self) -> list[KnownSigner]:
        """Whose signatures there are: those that sign first.

        Raises:
            SigningKeyNotFound: nobody has signed.
        """
        with self._connection() as connection:
            found = list(signers.every(connection))
        if not found:
            raise SigningKeyNotFound
        return found

    def inclusion(self, position: int, size: int | None = None) -> Inclusion:
        """That an event is in the log.

        `size` is that of the first checkpoint that covers it, if not given, or of the whole log
        where none does yet.

        Raises:
            PositionBeyondLog: there is no such event, or no such size.
            SizesInvalid: the tree of that size does not reach the event.
            LogNotAsSigned: the stored events do not lead to the root.
        """
        with self._connection() as connection:
            return prove_inclusion(connection, position, size)

    def consistency(self, old_size: int, new_size: int | None = None) -> Consistency:
        """That the log was only added to; `new_size` is that of the whole log, if not given.

        Raises:
            PositionBeyondLog: the log never had such a size.
            SizesInvalid: the old one is the larger.
            LogNotAsSigned: the stored events do not lead to the roots.
        """
        with self._connection() as connection:
            return prove_consistency(connection, old_size, new_size)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        self._pool.open()  # where it is open, nothing happens
        with self._pool.connection() as connection:
            yield connection


def prove_inclusion(
    connection: psycopg.Connection[Any], position: int, size: int | None
) -> Inclusion:
    """As `Proving.inclusion`, over a connection of the reader role."""
    head, _ = recomputing.head(connection)
    if not 1 <= position <= head:
        raise PositionBeyondLog(f"The log ends at position {head}: ask for one up to that.")
    if size is None:
        covering = store.covering(connection, position)
        size = covering.size if covering is not None and covering.size <= head else head
    if size > head:
        raise PositionBeyondLog(f"The log has {head} events: ask for a size up to that.")
    if size < position:
        raise SizesInvalid(
            f"A tree of {size} events does not reach position {position}: ask for a larger one."
        )
    event, leaf = _event(connection, position)
    hashes = StoredHashes(connection)
    root, checkpoint = _root(connection, hashes, size)
    try:
        path = inclusion_proof(position - 1, size, hashes)
        check_inclusion(position - 1, size, leaf, path, root)
    except (HashesMissing, InvalidProof) as error:
        raise LogNotAsSigned from error
    return Inclusion(
        position=position,
        event=event,
        leaf=leaf,
        size=size,
        root=root,
        hashes=path,
        checkpoint=checkpoint,
    )


def prove_consistency(
    connection: psycopg.Connection[Any], old_size: int, new_size: int | None
) -> Consistency:
    """As `Proving.consistency`, over a connection of the reader role."""
    head, _ = recomputing.head(connection)
    new_size = head if new_size is None else new_size
    if old_size > new_size:
        raise SizesInvalid(
            f"A log of {new_size} events does not begin with {old_size}: ask the other way round."
        )
    if new_size > head:
        raise PositionBeyondLog(f"The log has {head} events, not {new_size}.")
    hashes = StoredHashes(connection)
    old_root, old_checkpoint = _root(connection, hashes, old_size)
    new_root, new_checkpoint = _root(connection, hashes, new_size)
    try:
        path = consistency_proof(old_size, new_size, hashes)
        check_consistency(old_size, old_root, new_size, new_root, path)
    except (HashesMissing, InvalidProof) as error:
        raise LogNotAsSigned from error
    return Consistency(
        old_size=old_size,
        old_root=old_root,
        new_size=new_size,
        new_root=new_root,
        hashes=path,
        old_checkpoint=old_checkpoint,
        new_checkpoint=new_checkpoint,
    )


def root_at(connection: psycopg.Connection[Any], size: int) -> bytes:
    """The root over the first `size` events, from the stored hashes.

    Raises:
        PositionBeyondLog: the log is shorter.
        LogNotAsSigned: not all of them are there.
    """
    head, _ = recomputing.head(connection)
    if size > head:
        raise PositionBeyondLog(f"The log has {head} events: ask for a size up to that.")
    return _computed_root(StoredHashes(connection), size)


def _computed_root(hashes: StoredHashes, size: int) -> bytes:
    try:
        return hashes.subtree(0, size) if size else EMPTY_ROOT
    except HashesMissing as error:
        raise LogNotAsSigned from error


def _root(
    connection: psycopg.Connection[Any], hashes: StoredHashes, size: int
) -> tuple[bytes, StoredCheckpoint | None]:
    """The root at a size, which is what was signed and recorded there."""
    checkpoint = store.at(connection, size)
    root = _computed_root(hashes, size)
    recorded = recomputing.recorded_root(connection, size)
    if recorded not in (None, root) or (checkpoint is not None and checkpoint.root != root):
        raise LogNotAsSigned
    return root, checkpoint


def _event(connection: psycopg.Connection[Any], position: int) -> tuple[ProvedEvent, bytes]:
    row = connection.execute(_EVENT, [position], binary=True).fetchone()
    if row is None:
        raise LogNotAsSigned(f"There is no event at position {position}.")
    stream, version, topic, recorded, state, leaf = row
    if recomputing.leaf_of(position, stream, version, topic.encode(), recorded, state) != leaf:
        raise LogNotAsSigned(f"The event at position {position} was altered.")
    event = ProvedEvent(
        stream=stream,
        version=version,
        topic=topic,
        recorded_at_us=recorded_at_us(recorded),
        state=state,
    )
    return event, leaf
