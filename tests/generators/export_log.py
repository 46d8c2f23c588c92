"""A log to export: random, as the domain would have written it, with leaves and roots; and a
naive reading of it to compare with."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from domain.events import LedgerEvent
from ledger.eventstore import database
from ledger.eventstore.codec import TOPICS, decode, encode
from ledger.eventstore.database import Role
from ledger.eventstore.merkle import Frontier, leaf_hash
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.engine.tables import install
from projections.registry import READ_MODELS
from replay.export.selection import Selection
from tests.generators.event_sequences import world

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = "notification_id, originator_id, originator_version, topic, state, recorded_at, leaf"
BATCH_EVENTS = 7


def fill(settings: Settings, seed: int, steps: int) -> int:
    """Put a random log into a fresh database, and have the read models follow; its head."""
    events = world(seed, steps).events
    owner = database.conninfo(settings, Role.OWNER)
    install(owner, READ_MODELS)
    write(owner, events)
    follow(settings)
    return len(events)


def follow(settings: Settings) -> None:
    projector = Projector(
        conninfo=database.conninfo(settings, Role.WRITER), models=READ_MODELS, decode=decode
    )
    projector.catch_up()


def write(owner: str, events: Sequence[LedgerEvent]) -> None:
    """Behind the end of the log, a root every few events."""
    with psycopg.connect(owner) as connection:
        head = connection.execute("SELECT position, frontier FROM ledger_head").fetchone()
        assert head is not None
        frontier = Frontier(*head)
        recorded, roots = datetime(2026, 3, 2, 9, 30, tzinfo=UTC), []
        copy_in = f"COPY ledger_events ({_COLUMNS}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(copy_in) as copy:
            for event in events:
                position, stream = frontier.size + 1, event.originator_id
                recorded = max(recorded, event.occurred_at) + timedelta(microseconds=position % 3)
                state, topic = encode(event), TOPICS[type(event)]
                leaf = leaf_hash(
                    position,
                    stream.bytes,
                    event.originator_version,
                    topic.encode(),
                    (recorded - _EPOCH) // timedelta(microseconds=1),
                    state,
                )
                frontier.append(leaf)
                copy.write_row(
                    (position, stream, event.originator_version, topic, state, recorded, leaf)
                )
                if position % BATCH_EVENTS == 0:
                    roots.append((position, frontier.root()))
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO ledger_roots VALUES (%s, %s)", roots)
        connection.execute(
            "UPDATE ledger_head SET position = %s, frontier = %s, root = %s, recorded_at = %s",
            [frontier.size, frontier.pack(), frontier.root(), recorded],
        )


# --- the naive reading --------------------------------------------------------------------------


def read(settings: Settings) -> list[Any]:
    """Every row of the log."""
    reader = database.conninfo(settings, Role.READER)
    with psycopg.connect(reader, row_factory=namedtuple_row) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        return connection.execute("SELECT * FROM ledger_events ORDER BY notification_id").fetchall()


def chosen(rows: Sequence[Any], selection: Selection) -> list[Any]:
    """What the selection means, by looking at one event after the other."""
    begun = {row.originator_id: row for row in rows if row.originator_version == 1}
    return [row for row in rows if _matches(row, begun[row.originator_id], selection)]


def line(row: Any) -> bytes:
    """What an export says of an event in JSONL."""
    recorded = row.recorded_at.astimezone(UTC)
    start = {
        "position": row.notification_id,
        "stream": str(row.originator_id),
        "version": row.originator_version,
        "topic": row.topic,
        "recorded_at": f"{recorded:%Y-%m-%dT%H:%M:%S.%f}Z",
        "leaf": row.leaf.hex(),
    }
    return (
        json.dumps(start, separators=(",", ":")).encode()[:-1] + b',"event":' + row.state + b"}\n"
    )


KIND_BY_FIRST_EVENT = {
    "DepositCreated": "deposit",
    "WithdrawalRequested": "withdrawal",
    "RefundRequested": "refund",
    "ConversionQuoted": "conversion",
    "DisputeOpened": "dispute",
    "AdjustmentRequested": "adjustment",
}


def _matches(row: Any, first: Any, wanted: Selection) -> bool:
    said, begun = json.loads(row.state), json.loads(first.state)
    kind = KIND_BY_FIRST_EVENT.get(first.topic)
    of_kind = kind is not None
    player = str(wanted.player_id)
    checks = [
        row.notification_id > wanted.after,
        wanted.upto is None or row.notification_id <= wanted.upto,
        wanted.recorded_from is None or row.recorded_at >= wanted.recorded_from,
        wanted.recorded_to is None or row.recorded_at < wanted.recorded_to,
        not wanted.topics or row.topic in wanted.topics,
        not wanted.kinds or kind in wanted.kinds,
        wanted.transaction_id is None or row.originator_id == wanted.transaction_id,
        wanted.player_id is None
        or row.originator_id == wanted.player_id
        or (of_kind and begun["player_id"] == player)
        or (row.topic == "WagerRecorded" and said["player_id"] == player),
        wanted.provider is None
        or (of_kind and begun.get("provider") == wanted.provider)
        or said.get("provider") == wanted.provider,
    ]
    return all(checks)


def files_of(folder: Path) -> dict[str, str]:
    """Every file with its digest."""
    return {
        str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
