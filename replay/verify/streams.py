"""Streams: is each one whole, and could everything in it happen, and is nothing posted twice?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.transactions import Transaction, evolve_transaction
from ledger.eventstore.codec import UnreadableEvent, decode_stored
from projections.history.status import NotOfTransactions

PAGE_EVENTS = 5_000

_POSTING_KINDS = {
    "DepositCompleted": "credit",
    "RefundSucceeded": "payout",
    "RefundReversed": "payout",
    "ConversionExecuted": "exchange",
    "AdjustmentApproved": "adjustment",
    "DisputeFundsWithdrawn": "chargeback",
    "DisputeFundsReinstated": "chargeback",
    "WithdrawalPaid": "payout",
    "WithdrawalReturned": "payout",
    "TransactionResolved": "payout",
}
"""What may not happen twice in a row in one stream: events of a kind take turns."""
_OF_ONE_LEG = ("WithdrawalPaid", "WithdrawalReturned", "TransactionResolved")
# The leg is found in the bytes as they are, which may have been altered into anything; that would
# be reported as such. Within a text its quotation marks would be escaped.
_POSTED_TWICE = """
SELECT notification_id, originator_id, topic, leg FROM (
    SELECT notification_id, originator_id, topic, leg,
           lag(topic) OVER (
               PARTITION BY originator_id, kind, leg ORDER BY originator_version
           ) AS topic_before
    FROM (
        SELECT notification_id, originator_id, originator_version, topic, kind,
               CASE WHEN topic = ANY(%(of_one_leg)s)
                   THEN substring(encode(state, 'escape') FROM '"leg":([0-9]+)') END AS leg
        FROM ledger_events
        JOIN unnest(%(topics)s::text[], %(kinds)s::text[]) AS posting (topic, kind) USING (topic)
    ) AS postings
) AS ordered
WHERE topic = topic_before AND topic <> 'TransactionResolved'
ORDER BY notification_id LIMIT %(most)s
"""
# Every resolution ends a review: there can be no more of them than there were reviews.
_RESOLVED_TWICE = """
SELECT notification_id, originator_id FROM (
    SELECT notification_id, originator_id, topic,
           sum(CASE topic WHEN 'ReviewOpened' THEN 1 ELSE -1 END) OVER (
               PARTITION BY originator_id ORDER BY originator_version
           ) AS open_reviews
    FROM ledger_events WHERE topic IN ('ReviewOpened', 'TransactionResolved')
) AS reviews
WHERE topic = 'TransactionResolved' AND open_reviews < 0
ORDER BY notification_id LIMIT %(most)s
"""


_BY_STREAM = """
SELECT notification_id, uuid_send(originator_id), originator_version, topic, state
FROM ledger_events WHERE originator_id BETWEEN %s AND %s
ORDER BY originator_id, originator_version
"""

_NOT_OF_TRANSACTIONS: frozenset[type] = frozenset(get_args(NotOfTransactions))

Report = Callable[[int, str, str], None]
"""Position, code, detail."""


def check_posted_once(connection: Connection[TupleRow], report: Report, problems_max: int) -> None:
    """Nothing is posted twice for one transaction, asked in the database.

    Of each kind of problem the first `problems_max` are told.
    """
    most = {"most": problems_max}
    wanted = {
        "topics": list(_POSTING_KINDS),
        "kinds": list(_POSTING_KINDS.values()),
        "of_one_leg": list(_OF_ONE_LEG),
    }
    for position, stream, topic, leg in connection.execute(_POSTED_TWICE, wanted | most):
        part = f", leg {leg}," if leg else ""
        report(position, "posted_twice", f"stream {stream}{part} has another {topic}")
    for position, stream in connection.execute(_RESOLVED_TWICE, most):
        report(position, "posted_twice", f"stream {stream} has more resolutions than reviews")


@dataclass(frozen=True, slots=True)
class Share:
    """The streams whose ids, as numbers, are in one of so many equal shares of all."""

    number: int = 0
    of: int = 1

    def bounds(self) -> tuple[UUID, UUID]:
        """The first and the last id."""
        first, after = ((n << 128) // self.of for n in (self.number, self.number + 1))
        return UUID(int=first), UUID(int=after - 1)


@dataclass(frozen=True, slots=True)
class StreamsChecked:
    """How many of what were looked at."""

    streams: int
    transactions: int
    events: int


def check_streams(
    connection: Connection[TupleRow],
    share: Share,
    report: Report,
    advance: Callable[[int], None] = lambda _events: None,
) -> StreamsChecked:
    """Versions of a stream are 1, 2, 3 …, and each event can happen to what the others made of it.

    One stream after the other: memory does not grow with them.
    """
    checks = _Streams(report)
    connection.execute("SET LOCAL cursor_tuple_fraction = 1")
    ends = share.bounds()
    with connection.cursor(name="streams", binary=True) as cursor:
        cursor.itersize = PAGE_EVENTS
        cursor.execute(_BY_STREAM, ends)
        while page := cursor.fetchmany(PAGE_EVENTS):
            for position, stream, version, topic, state in page:
                checks.take(position, stream, version, topic, state)
            advance(len(page))
    return StreamsChecked(checks.streams, checks.transactions, checks.events)


class _Streams:
    """Streams one after the other, event by event."""

    def __init__(self, report: Report) -> None:
        self.streams = self.transactions = self.events = 0
        self._report = report
        self._stream = b""
        self._id = UUID(int=0)
        self._version = 0
        self._state: Transaction | None = None
        self._is_lost = False
        """The stream cannot be followed any further."""

    def take(self, position: int, stream: bytes, version: int, topic: str, state: bytes) -> None:
        if stream != self._stream or not self.streams:
            self.streams += 1
            self._stream, self._id = stream, UUID(bytes=stream)
            self._version, self._state, self._is_lost = 0, None, False
        self.events += 1
        if version != self._version + 1:
            detail = f"stream {self._id} has version {version} where {self._version + 1} belongs"
            self._report(position, "stream_has_hole", detail)
            self._is_lost = True
        self._version = version
        if not self._is_lost:
            self._evolve(position, version, topic, state)

    def _evolve(self, position: int, version: int, topic: str, state: bytes) -> None:
        try:
            event = decode_stored(topic, state, self._stream, version)
        except UnreadableEvent as error:
            self._report(position, "illegal_transition", f"stream {self._id}: {error}")
            self._is_lost = True
            return
        if self._state is None and type(event) in _NOT_OF_TRANSACTIONS:
            return
        try:
            self._state = evolve_transaction(self._state, event)
        except Exception as error:  # noqa: BLE001  (an event that cannot happen is a finding)
            why = f": {error}" if isinstance(error, ValueError) else ""
            detail = f"{topic} cannot happen to stream {self._id} as it stands{why}"
            self._report(position, "illegal_transition", detail)
            self._is_lost = True
            return
        if self._state is None:
            detail = f"stream {self._id} cannot begin with {topic}"
            self._report(position, "illegal_transition", detail)
            self._is_lost = True
        self.transactions += version == 1
