"""The story of one transaction: each event, with what it changed and who did it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.events import LedgerEvent
from domain.postings import Posting, postings
from domain.transactions import Transaction, evolve_transaction, kind_of
from tallystick.eventstore.codec import TOPICS, decode

_HISTORY = """
SELECT notification_id, originator_version, topic, state, recorded_at
FROM ledger_events WHERE originator_id = %s AND notification_id <= %s ORDER BY originator_version
"""

_HEADER = ("originator_id", "originator_version", "occurred_at", "actor", "command_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event of a transaction."""

    position: int
    event: str
    actor: str
    occurred_at: datetime
    recorded_at: datetime
    facts: Mapping[str, Any]
    """The event's own fields, as stored."""
    before: str | None
    """Status before; None before the first event."""
    after: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A transaction from its first event to the last, or to a position."""

    id: UUID
    kind: str
    transaction: Transaction
    steps: tuple[Step, ...]


class NoStory(LookupError):
    """There is no such transaction, or there was none yet."""


def story(
    connection: Connection[TupleRow], transaction_id: UUID, *, upto: int | None = None
) -> Story:
    """Replay a transaction, to position `upto` if given. Reads only.

    Raises:
        NoStory: no transaction has this id, or it began after `upto`.
    """
    limit = 2**62 if upto is None else upto
    steps: list[Step] = []
    state: Transaction | None = None
    for position, version, topic, stored, recorded_at in connection.execute(
        _HISTORY, [transaction_id, limit], binary=True
    ):
        event = decode(topic, stored, transaction_id, version)
        before = state
        state = evolve_transaction(state, event)
        if state is None:
            raise NoStory(f"{transaction_id} is not a transaction: its stream begins with {topic}")
        steps.append(_step(position, recorded_at, event, before, state))
    if state is None:
        when = "" if upto is None else f" at position {upto}"
        raise NoStory(f"there is no transaction {transaction_id}{when}")
    return Story(id=transaction_id, kind=kind_of(state), transaction=state, steps=tuple(steps))


def _step(
    position: int,
    recorded_at: datetime,
    event: LedgerEvent,
    before: Transaction | None,
    after: Transaction,
) -> Step:
    facts = msgspec.to_builtins(event)
    return Step(
        position=position,
        event=TOPICS[type(event)],
        actor=event.actor,
        occurred_at=event.occurred_at,
        recorded_at=recorded_at,
        facts={name: value for name, value in facts.items() if name not in _HEADER},
        before=before.status if before else None,
        after=after.status,
        postings=postings(event),
    )
