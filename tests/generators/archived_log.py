"""A log to archive: what a whole ledger appends, through the real writer."""

from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from ledger.checkpoints import store
from ledger.checkpoints.checkpoint import Checkpoint
from ledger.checkpoints.note import Signer, sign
from ledger.checkpoints.store import StoredCheckpoint
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.errors import AppendError
from ledger.eventstore.ledger import Drafting
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.engine.tables import install
from projections.registry import READ_MODELS
from tests.generators.event_sequences import world
from tests.oracles.ledger_checks import ledger_on, rows

AT_ONCE = 40


def fill(database: Settings, seed: int, steps: int) -> int:
    """Append a world; the position of the end."""
    appends = world(seed, steps).appends
    with ledger_on(database) as ledger:
        for start in range(0, len(appends), AT_ONCE):
            drafts = [Drafting(events=events) for events in appends[start : start + AT_ONCE]]
            for outcome in ledger.append_many(drafts):
                if isinstance(outcome, AppendError):
                    raise outcome
    (head,) = rows(database, "SELECT position FROM ledger_head")
    return int(head.position)


def follow(database: Settings) -> None:
    """Bring the read models up to date."""
    install(conninfo(database, Role.OWNER), READ_MODELS)
    writer = conninfo(database, Role.WRITER)
    Projector(conninfo=writer, models=READ_MODELS, decode=decode).catch_up()


def sign_at(database: Settings, signer: Signer, size: int, root: bytes | None = None) -> None:
    """A checkpoint of that size, with the root that is recorded for it unless another is given."""
    if root is None:
        (row,) = rows(database, "SELECT root FROM ledger_roots WHERE size = %s", size)
        root = row.root
    note = sign(Checkpoint(signer.verifier.name, size, root).text(), signer)
    stored = StoredCheckpoint(size, signer.verifier.id, root, note, datetime.now(UTC))
    with psycopg.connect(conninfo(database, Role.WRITER)) as connection:
        store.insert(connection, stored)


def sizes(database: Settings) -> list[int]:
    """After which positions a batch ended."""
    return [row.size for row in rows(database, "SELECT size FROM ledger_roots ORDER BY size")]


def log_rows(database: Settings, upto: int) -> list[tuple[Any, ...]]:
    """The log as PostgreSQL gives it, in the archive's terms but for the owner."""
    found = rows(
        database,
        """
        SELECT notification_id, uuid_send(originator_id) AS stream, originator_version, topic,
               (extract(epoch FROM recorded_at) * 1000000)::bigint AS recorded_at_us, state, leaf
        FROM ledger_events WHERE notification_id <= %s ORDER BY notification_id
        """,
        upto,
    )
    return [tuple(row) for row in found]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flipped(path: Path, random: Random) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)
