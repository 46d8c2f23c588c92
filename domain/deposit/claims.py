"""Claims: what refunds and disputes take of what a deposit captured.

Succeeded and in-flight refunds and open or lost disputes never exceed what was captured: each
refund is requested in one append with its claim on the deposit's stream, whose version lets only
one of two requests through. A dispute is somebody else's decision and may claim what has been
refunded already; then more is claimed than there is, and nothing is left to refund. Once the money
is gone twice, people are told by how much (`concerns.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.events.evidence import Standing
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one refund or dispute takes of a deposit, or may take."""

    amount: Money
    standing: Standing


def unclaimed_minor(captured: Money, claims: Iterable[Claim]) -> int:
    """What no open or taken claim is about; below 0 where more is claimed than was captured."""
    return captured.amount - sum(
        minor_of(captured, claim.amount)
        for claim in claims
        if claim.standing is not Standing.RELEASED
    )


def minor_of(captured: Money, money: Money) -> int:
    """What `money` is of what was captured, in minor units.

    What is in another currency cannot be subtracted, and counts as everything.
    """
    return money.amount if money.currency == captured.currency else captured.amount


def taken_minor(captured: Money, claims: Iterable[Claim]) -> int:
    """What has been taken of the captured amount, at most all of it."""
    return captured.amount - max(
        0, unclaimed_minor(captured, (c for c in claims if c.standing is Standing.TAKEN))
    )
