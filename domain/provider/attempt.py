"""Attempts: the references our submissions carry, and when an open one is asked about again."""

from datetime import datetime, timedelta
from uuid import UUID

POLL_DELAYS_SECONDS = (10, 30, 120, 600, 3_600, 21_600, *(86_400,) * 7)
"""After 10 s, 30 s, 2 min, 10 min, 1 h, 6 h, then daily for a week; then a person is asked."""

EXPIRY_SECONDS = {"redirect": 1_800, "bank_transfer": 604_800, "voucher": 604_800}
"""How long a player has to act: half an hour on a page, a week for a transfer or voucher."""

ATTEMPTS_MAX = 3
"""Submissions of one payout before it has failed for good."""


def reference(transaction: UUID, attempt: int) -> str:
    """Our reference of an attempt, which is also its idempotency key at the provider."""
    return f"{transaction.hex}-{attempt}"


def parse_reference(text: str) -> tuple[UUID, int] | None:
    """The transaction and attempt number behind a reference, or None if it is not one of ours."""
    stream, dash, number = text.partition("-")
    if not dash or len(stream) != 32 or not (number.isascii() and number.isdigit()):
        return None
    try:
        return UUID(hex=stream), int(number)
    except ValueError:
        return None


def first_poll(now: datetime, delays_seconds: tuple[int, ...]) -> datetime:
    """When to ask about an attempt for the first time."""
    return now + timedelta(seconds=delays_seconds[0])


def next_poll(now: datetime, polls: int, delays_seconds: tuple[int, ...]) -> datetime | None:
    """When to ask again after `polls` questions; None when the schedule is exhausted."""
    if polls >= len(delays_seconds):
        return None
    return now + timedelta(seconds=delays_seconds[polls])
