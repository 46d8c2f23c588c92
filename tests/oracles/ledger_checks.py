"""What must hold of any ledger, read straight from its tables, and events to fill one with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import namedtuple_row

from domain.accounts import available
from domain.events import (
    Count,
    DepositCompleted,
    DepositCreated,
    Header,
    HoldLifted,
    HoldPlaced,
    LedgerEvent,
    PlayerRegistered,
    WithdrawalRejected,
    WithdrawalRequested,
)
from domain.events.evidence import Evidence, Outcome, Source
from domain.money import Money
from ledger.eventstore.append import Receipt
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.ledger import Ledger
from ledger.eventstore.merkle import leaf_hash
from ledger.settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@contextmanager
def ledger_on(database: Settings, **changes: Any) -> Iterator[Ledger]:
    ledger = Ledger(conninfo(database, Role.WRITER), **changes)
    try:
        yield ledger
    finally:
        ledger.close()


def rows(database: Settings, sql: str, *values: object) -> list[Any]:
    target = conninfo(database, Role.READER)
    with psycopg.connect(target, row_factory=namedtuple_row) as connection:
        return connection.execute(sql, values).fetchall()


def log(database: Settings) -> list[Any]:
    return rows(database, "SELECT * FROM ledger_events ORDER BY notification_id")


# --- events to fill a ledger with ---------------------------------------------------------------


def header(stream: UUID, version: int) -> Header:
    return Header(
        originator_id=stream,
        originator_version=version,
        occurred_at=datetime.now(UTC),
        actor="system:tests",
        command_id=uuid4(),
    )


def registered(player_id: UUID | None = None) -> PlayerRegistered:
    """The smallest append: one event, which posts nothing."""
    return PlayerRegistered(
        **header(player_id or uuid4(), 1),
        jurisdiction=None,
        verification="none",
        time_zone="UTC",
    )


def player_history(player_id: UUID, count: int) -> list[LedgerEvent]:
    """`count` events of one stream."""
    events: list[LedgerEvent] = [registered(player_id)]
    for version in range(2, count + 1):
        kind = HoldPlaced if version % 2 == 0 else HoldLifted
        placed = header(player_id, version)
        events.append(kind(**placed, request_digest="digest", hold="fraud", reason="r"))
    return events


def credit(player_id: UUID, amount: Money, *, stream: UUID | None = None) -> DepositCompleted:
    """Money for a player, in a stream of its own."""
    stream = stream or uuid4()
    return DepositCompleted(
        **header(stream, 1),
        player_id=player_id,
        provider="acme",
        instrument=None,
        settled=amount,
        fee=None,
        late=False,
        concerns=(),
        counts=(),
        evidence=Evidence(source=Source.POLL, outcome=Outcome.SUCCEEDED, reference="r"),
    )


def counted(**changes: int) -> DepositCreated:
    """A deposit of 1.00 euro, with what it counts."""
    return DepositCreated(
        **header(uuid4(), 1),
        request_digest="digest",
        player_id=uuid4(),
        provider="acme",
        method="card",
        amount=Money(100, "EUR"),
        instrument=None,
        metadata={},
        origin=None,
        counts=tuple(Count(counter=name, change=change) for name, change in changes.items()),
    )


def requested(
    player_id: UUID, amount: Money, *, stream: UUID | None = None
) -> tuple[WithdrawalRequested]:
    """A withdrawal that reserves its amount."""
    return (
        WithdrawalRequested(
            **header(stream or uuid4(), 1),
            request_digest="digest",
            player_id=player_id,
            provider="acme",
            method="bank_transfer",
            amount=amount,
            instrument=None,
            metadata={},
            origin=None,
            reserved=True,
            legs=(),
            closed_loop=True,
            counts=(),
        ),
    )


def rejected(
    player_id: UUID, amount: Money, stream: UUID
) -> tuple[WithdrawalRequested, WithdrawalRejected]:
    """The same withdrawal where there is too little money for it."""
    (request,) = requested(player_id, amount, stream=stream)
    return (
        replace(request, reserved=False),
        WithdrawalRejected(
            **header(stream, 2),
            request_digest="digest",
            player_id=player_id,
            reason="insufficient_funds",
            note="",
            released=None,
            counts=(),
        ),
    )


def balance(ledger: Ledger, player_id: UUID, currency: str = "EUR") -> int:
    account = available(player_id, currency)
    return ledger.balances([account])[account]


# --- what must hold -----------------------------------------------------------------------------


def check_log(database: Settings) -> list[Any]:
    """Dense positions, time that never goes back, contiguous streams, leaves, roots and head."""
    events = log(database)
    assert [e.notification_id for e in events] == list(range(1, len(events) + 1))
    assert all(a.recorded_at <= b.recorded_at for a, b in pairwise(events))
    versions: dict[UUID, int] = {}
    for event in events:
        assert event.originator_version == versions.get(event.originator_id, 0) + 1
        versions[event.originator_id] = event.originator_version
        assert event.leaf == leaf_of(event)
    roots = {r.size: r.root for r in rows(database, "SELECT size, root FROM ledger_roots")}
    computed = naive_roots([event.leaf for event in events], set(roots))
    assert roots == computed
    (head,) = rows(database, "SELECT * FROM ledger_head")
    assert head.position == len(events)
    if events:
        assert head.root == roots[len(events)]
        assert head.recorded_at == events[-1].recorded_at
    return events


def leaf_of(event: Any) -> bytes:
    return leaf_hash(
        event.notification_id,
        event.originator_id.bytes,
        event.originator_version,
        event.topic.encode(),
        (event.recorded_at - _EPOCH) // timedelta(microseconds=1),
        event.state,
    )


def naive_roots(leaves: Sequence[bytes], sizes: set[int]) -> dict[int, bytes]:
    """Roots by RFC 6962's recursive definition; perfect subtrees are computed once."""
    known: dict[tuple[int, int], bytes] = {}

    def tree(start: int, end: int) -> bytes:
        if end - start == 1:
            return leaves[start]
        if (start, end) not in known:
            split = 1 << (end - start - 1).bit_length() - 1
            parts = tree(start, start + split) + tree(start + split, end)
            known[start, end] = sha256(b"\x01" + parts).digest()
        return known[start, end]

    return {size: tree(0, size) for size in sizes}


def check_receipt(receipt: Receipt, events: Sequence[Any], database: Settings) -> None:
    """What the caller was told is what the log says."""
    assert list(receipt.positions) == list(range(receipt.positions[0], receipt.position + 1))
    last = events[receipt.position - 1]
    assert receipt.leaf == last.leaf == leaf_of(last)
    assert receipt.recorded_at == last.recorded_at
    assert receipt.size >= receipt.position
    leaves = [event.leaf for event in events[: receipt.size]]
    assert receipt.root == naive_roots(leaves, {receipt.size})[receipt.size]
    (stored,) = rows(database, "SELECT root FROM ledger_roots WHERE size = %s", receipt.size)
    assert stored.root == receipt.root
