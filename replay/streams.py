"""Streams: is each one whole, and is nothing posted twice for one transaction?

Asked of the whole log at once, in the database: no memory of ours grows with it.
"""

from collections.abc import Callable

from psycopg import Connection
from psycopg.rows import TupleRow

_POSTING_KINDS = {
    "DepositCompleted": "credit",
    "RefundSucceeded": "refund",
    "RefundReversed": "reversal",
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
_STREAMS_WITH_HOLES = """
SELECT notification_id, originator_id, originator_version, number FROM (
    SELECT notification_id, originator_id, originator_version,
           row_number() OVER (PARTITION BY originator_id ORDER BY originator_version) AS number
    FROM ledger_events
) AS numbered
WHERE originator_version <> number ORDER BY notification_id LIMIT %(most)s
"""
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


def check_streams(
    connection: Connection[TupleRow], report: Callable[[int, str, str], None], problems_max: int
) -> None:
    """Versions of a stream are 1, 2, 3 …; nothing is posted twice for one transaction.

    What is not so is told to `report` by position, code and detail: of each kind the first
    `problems_max`.
    """
    most = {"most": problems_max}
    for position, stream, version, number in connection.execute(_STREAMS_WITH_HOLES, most):
        detail = f"stream {stream} has version {version} where {number} belongs"
        report(position, "stream_has_hole", detail)
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
