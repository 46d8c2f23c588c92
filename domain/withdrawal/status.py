"""Where a withdrawal stands, in one word, however many legs it has."""

from collections.abc import Sequence
from enum import StrEnum

from domain.withdrawal.legs import Leg, LegStatus


class WithdrawalStatus(StrEnum):
    """Where a withdrawal stands; `screen_word` is what people read."""

    REQUESTED = "requested"
    SCREENING = "screening"
    UNDER_REVIEW = "under_review"
    INFO_REQUIRED = "info_required"
    HELD = "held"
    APPROVED = "approved"
    QUEUED = "queued"
    SUBMITTED = "submitted"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    PARTIALLY_PAID = "partially_paid"
    """Some of it reached the player; the rest is open, or has ended otherwise."""
    PAID = "paid"
    RETURNED = "returned"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    REVIEW = "review"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]


_SCREEN_WORDS = {
    WithdrawalStatus.REQUESTED: "Requested",
    WithdrawalStatus.SCREENING: "Requested",
    WithdrawalStatus.UNDER_REVIEW: "Under Review",
    WithdrawalStatus.INFO_REQUIRED: "Under Review",
    WithdrawalStatus.HELD: "Under Review",
    WithdrawalStatus.APPROVED: "Approved",
    WithdrawalStatus.QUEUED: "Approved",
    WithdrawalStatus.SUBMITTED: "Processing",
    WithdrawalStatus.PROCESSING: "Processing",
    WithdrawalStatus.UNKNOWN: "Processing",
    WithdrawalStatus.REVIEW: "Processing",
    WithdrawalStatus.PARTIALLY_PAID: "Processing",
    WithdrawalStatus.PAID: "Completed",
    WithdrawalStatus.RETURNED: "Failed",
    WithdrawalStatus.FAILED: "Failed",
    WithdrawalStatus.REJECTED: "Rejected",
    WithdrawalStatus.CANCELLED: "Cancelled",
}


_IN_TRANSIT = (LegStatus.PROCESSING, LegStatus.SUBMITTED, LegStatus.QUEUED)


def status_of(decision: WithdrawalStatus, legs: Sequence[Leg]) -> WithdrawalStatus:
    """Where a withdrawal stands, by the first line that fits:

    - a leg is in review: review
    - a leg waits for the decision: the decision (requested … approved)
    - no leg may go out any more, and none was sent: the decision (rejected, cancelled)
    - a leg is unknown: unknown
    - every leg is paid: paid; some are: partially_paid, whether the others are open or have ended
    - a leg is on its way: processing, submitted or queued, the furthest of them
    - a leg failed and has another attempt to come: failed, with funds reserved
    - the rest was taken back after nothing reached the player: the decision
    - every leg came back: returned
    - otherwise: failed
    """
    stand = {leg.status for leg in legs}
    if LegStatus.REVIEW in stand:
        return WithdrawalStatus.REVIEW
    if LegStatus.PLANNED in stand or stand == {LegStatus.RELEASED}:
        return decision
    if LegStatus.UNKNOWN in stand:
        return WithdrawalStatus.UNKNOWN
    if LegStatus.PAID in stand:
        whole = stand == {LegStatus.PAID}
        return WithdrawalStatus.PAID if whole else WithdrawalStatus.PARTIALLY_PAID
    for status in _IN_TRANSIT:
        if status in stand:
            return WithdrawalStatus(status)
    if LegStatus.RELEASED in stand:
        return decision
    return WithdrawalStatus.RETURNED if stand == {LegStatus.RETURNED} else WithdrawalStatus.FAILED
