"""A large log for benchmarks: a day of all kinds of transactions, again and again for other people.

The day is the one that the tests play: real commands against a provider with every fault. What it
appended is then appended again, together as it was, with every id exchanged for another one, so
that each repetition is about other players and other transactions. It all goes through the codec
and the group commit of the ledger, as anything else does; only deciding it again is saved.
"""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))  # the day is played by the tests

from domain.events import LedgerEvent
from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.eventstore.embedded import control
from ledger.eventstore.errors import AppendError
from ledger.eventstore.ledger import Drafting, Ledger
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.registry import READ_MODELS
from replay.progress import reporting
from tallystick.serve import bootstrap
from tests.generators.mixed_day import MixedDay
from tests.property.backroom import two_processes

COMMANDS = 1_500
"""In the day that is repeated: some 9,000 events."""

AT_ONCE = 400
DAY = timedelta(days=1)
_ID = re.compile(
    rb"(?<![0-9a-f])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    rb"|[0-9a-f]{32})(?![0-9a-f])"
)
_KEPT_BITS = UUID("00000000-0000-f000-c000-000000000000").int
"""Version and variant of a UUID."""

_ONCE = frozenset(("ProviderRegistered", "ApprovalPolicyProposed", "RateTableProposed"))
_APPENDED = """
SELECT r.size, originator_id, originator_version, topic, state
FROM ledger_events CROSS JOIN LATERAL (
    SELECT size FROM ledger_roots WHERE size >= notification_id ORDER BY size LIMIT 1
) AS r
ORDER BY notification_id
"""

Day = list[list[tuple[UUID, int, str, bytes]]]
"""What was appended together: stream, version, topic, state."""


def generate(settings: Settings, events: int, seed: int = 7) -> None:
    """Fill a fresh ledger with at least `events` events; read models do not follow: see `follow`.

    The log begins 400 days ago and has a day for each repetition.
    """
    played = _played(settings, seed)
    clock = _Clock(datetime.now(UTC) - timedelta(days=400))
    ledger = Ledger(
        database.conninfo(settings, Role.WRITER),
        clock=clock,
        queue_size_max=2 * AT_ONCE,
        timeout_seconds=60.0,
    )
    done, repetition = 0, 0
    try:
        with reporting("Generating a log") as report:
            while done < events:
                mask = Random(f"{seed}-{repetition}").getrandbits(128) & ~_KEPT_BITS
                drafts = _repeated(played, mask) if repetition else _first(played)
                while together := list(islice(drafts, AT_ONCE)):
                    for outcome in ledger.append_many(together):
                        if isinstance(outcome, AppendError):
                            raise outcome
                    done += sum(len(draft.events) for draft in together)
                    report(done, max(done, events))
                repetition += 1
                clock.now += min(DAY, 399 * DAY * COMMANDS * 6 / events)
    finally:
        ledger.close()
    with psycopg.connect(database.conninfo(settings, Role.OWNER), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE ledger_events, ledger_accounts, ledger_roots")


def follow(settings: Settings) -> None:
    """Bring every read model up to date."""
    Projector(
        conninfo=database.conninfo(settings, Role.WRITER), models=READ_MODELS, decode=decode
    ).catch_up()


class _Clock:
    """Stands still between repetitions: a log of millions of events then spans months."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def _played(settings: Settings, seed: int) -> Day:
    """The day as it was appended, in a database of its own that is dropped again."""
    aside = settings.model_copy(update={"database_name": f"{settings.database_name}_played"})
    bootstrap.migrate(aside)
    with two_processes(aside) as (ledger, _, reader):
        played = MixedDay(ledger, reader, seed)
        played.play(COMMANDS)
        played.close()
    day: Day = []
    with psycopg.connect(database.conninfo(aside, Role.READER)) as connection:
        together = 0
        for size, *event in connection.execute(_APPENDED):
            if size != together:
                day.append([])
                together = size
            day[-1].append((event[0], event[1], event[2], event[3]))
    admin = control.cluster(settings).conninfo(user=control.ADMIN, dbname="postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        name = psycopg.sql.Identifier(aside.database_name)
        connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    return day


def _first(day: Day) -> Iterator[Drafting]:
    """The day as it was, with what is there but once."""
    for together in day:
        yield Drafting(events=[decode(topic, state, s, v) for s, v, topic, state in together])


def _repeated(day: Day, mask: int) -> Iterator[Drafting]:
    """The same day for other people."""

    def exchanged(found: re.Match[bytes]) -> bytes:
        text = found.group()
        other = UUID(int=int(text.replace(b"-", b""), 16) ^ mask)
        return (str(other) if len(text) == 36 else other.hex).encode()

    once = {s for together in day for s, _, topic, _ in together if topic in _ONCE}
    for together in day:
        if any(stream in once for stream, *_ in together):
            continue
        made: list[LedgerEvent] = [
            decode(topic, _ID.sub(exchanged, state), UUID(int=stream.int ^ mask), version)
            for stream, version, topic, state in together
        ]
        yield Drafting(events=made)
