"""The story of one transaction: each event, with what it changed, who did it and what they saw."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import Connection

from domain.events import (
    DisputeNoticeReceived,
    LedgerEvent,
    ProviderNoticeReceived,
)
from domain.events.evidence import DisputeReport, Evidence
from domain.postings import Posting, postings
from domain.transactions import Transaction, evolve_transaction, kind_of
from ledger.eventstore.codec import TOPICS
from replay import at_position, context
from replay.at_position import Stored
from replay.context import Decided, Scored
from replay.decisions import is_decision
from replay.log import POSITION_MAX
from replay.nothing import why_nothing
from replay.seen import Heard, Saw

_AT_ONCE: Final = 50

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
    heard: Heard | None = None
    """None where it follows from nothing that a provider said."""
    saw: Saw | None = None
    """What was there to be seen before a decision; None where nothing was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A transaction from its first event to the last, or to a position."""

    id: UUID
    kind: str
    transaction: Transaction
    steps: tuple[Step, ...]


def story(connection: Connection[Any], transaction_id: UUID, *, upto: int | None = None) -> Story:
    """Replay a transaction, to position `upto` if given. Reads only.

    Raises:
        Nothing: no transaction has this id, or it began after `upto`.
    """
    (told,) = stories(connection, [transaction_id], upto=upto)
    return told


def stories(
    connection: Connection[Any], ids: Sequence[UUID], *, upto: int | None = None
) -> Iterator[Story]:
    """Replay transactions, in this order; a few at a time, which ask together what was seen.

    Raises:
        Nothing: see `story`.
    """
    for start in range(0, len(ids), _AT_ONCE):
        page = ids[start : start + _AT_ONCE]
        known = dict(at_position.streams(connection, page, POSITION_MAX if upto is None else upto))
        replayed = [_replayed(connection, id_, known.get(id_, []), upto) for id_ in page]
        decided = [one for _, of_one in replayed for one in of_one]
        saw = {one.position + 1: one for one in context.seen(connection, decided)}
        for told, _ in replayed:
            steps = _with_notices(connection, told.steps, known[told.id])
            seen = (replace(step, saw=saw.get(step.position)) for step in steps)
            yield replace(told, steps=tuple(seen))


def _replayed(
    connection: Connection[Any], transaction_id: UUID, known: Sequence[Stored], upto: int | None
) -> tuple[Story, list[Decided]]:
    """What the stream itself tells, and the decisions in it."""
    steps, decided, scored = [], [], None
    state: Transaction | None = None
    for stored in known:
        before, state = state, evolve_transaction(state, stored.event)
        if state is None:
            break
        steps.append(_step(stored, before, state))
        if is_decision(stored.event):
            decided.append(
                Decided(
                    position=stored.position,
                    at=stored.event.occurred_at,
                    before=before,
                    after=state,
                    scored=scored,
                )
            )
        if isinstance(stored.event, Scored):
            scored = (stored.position, stored.event)
    if state is None:
        raise why_nothing(connection, transaction_id, wanted="transaction", upto=upto)
    told = Story(id=transaction_id, kind=kind_of(state), transaction=state, steps=tuple(steps))
    return told, decided


def _step(stored: Stored, before: Transaction | None, after: Transaction) -> Step:
    event = stored.event
    facts = msgspec.to_builtins(event)
    return Step(
        position=stored.position,
        event=TOPICS[type(event)],
        actor=event.actor,
        occurred_at=event.occurred_at,
        recorded_at=stored.recorded_at,
        facts={name: value for name, value in facts.items() if name not in _HEADER},
        before=before.status if before else None,
        after=after.status,
        postings=postings(event),
    )


# --- what providers said ------------------------------------------------------------------------


def _with_notices(
    connection: Connection[Any], steps: Iterable[Step], known: Iterable[Stored]
) -> list[Step]:
    reports = [_report(stored.event) for stored in known]
    ids = {report.notice_id for report in reports if report and report.notice_id}
    notices: dict[UUID, Stored] = {}
    for stream_id, (received, *_) in at_position.streams(connection, ids, POSITION_MAX):
        notices[stream_id] = received
    return [
        replace(step, heard=_heard(report, notices)) if report else step
        for step, report in zip(steps, reports, strict=True)
    ]


def _report(event: LedgerEvent) -> Evidence | DisputeReport | None:
    found = getattr(event, "evidence", None) or getattr(event, "report", None)
    return found if isinstance(found, Evidence | DisputeReport) else None


def _heard(report: Evidence | DisputeReport, notices: Mapping[UUID, Stored]) -> Heard:
    stored = notices.get(report.notice_id) if report.notice_id else None
    notice = stored.event if stored else None
    received = (
        notice if isinstance(notice, ProviderNoticeReceived | DisputeNoticeReceived) else None
    )
    if isinstance(report, Evidence):
        means, decline, raw = report.outcome.value, report.decline_code, report.raw_code
    else:
        means, decline, raw = report.news.value, None, report.reason_code
    return Heard(
        source=report.source.value,
        means=means,
        decline_code=decline,
        raw_code=raw,
        notice_position=stored.position if stored else None,
        message_id=received.message_id if received else None,
        raw_digest=received.raw_digest if received else None,
    )
