"""What a report about a dispute tells by the way, whatever else follows from it.

Reports come in any order, so the highest stage's largest amount counts, as in the domain.
"""

from dataclasses import dataclass
from typing import get_args

from domain.dispute.decisions import STAGES
from domain.events import (
    DisputeAcknowledged,
    DisputeEvidenceDue,
    DisputeExpired,
    DisputeFundsReinstated,
    DisputeFundsWithdrawn,
    DisputeLost,
    DisputeNewsNoted,
    DisputeOpened,
    DisputeWithdrawn,
    DisputeWon,
    LedgerEvent,
)
from domain.events.evidence import Disposition, DisputeNews, DisputeReport, DisputeStage

Reported = (
    DisputeOpened
    | DisputeEvidenceDue
    | DisputeAcknowledged
    | DisputeExpired
    | DisputeWon
    | DisputeLost
    | DisputeWithdrawn
    | DisputeFundsWithdrawn
    | DisputeFundsReinstated
    | DisputeNewsNoted
)
"""What carries a report, though an expiry by our own clock has none."""

_REPORTED: frozenset[type] = frozenset(get_args(Reported))
_ABOUT_MONEY = (DisputeNews.FUNDS_WITHDRAWN, DisputeNews.FUNDS_REINSTATED)
_RANK = {stage.value: rank for rank, stage in enumerate(STAGES)}


@dataclass(frozen=True, slots=True)
class Contested:
    """How much is contested, in minor units, and the stage that it was named in."""

    amount_minor: int
    named_in: str | None


def report_of(event: LedgerEvent) -> DisputeReport | None:
    """What the provider said; None where nothing is learned from the event."""
    if type(event) not in _REPORTED or not isinstance(event, Reported):
        return None
    refuted = isinstance(event, DisputeNewsNoted) and (
        event.disposition is Disposition.CONTRADICTION
    )
    return None if refuted else event.report


def contested(known: Contested, currency: str, report: DisputeReport) -> Contested:
    """What is contested after a report."""
    named = report.amount
    if named is None or named.currency != currency or report.news in _ABOUT_MONEY:
        return known
    stage: DisputeStage = report.stage
    if known.named_in is None or _RANK[known.named_in] < _RANK[stage.value]:
        return Contested(named.amount, stage.value)
    if known.named_in == stage.value:
        return Contested(max(known.amount_minor, named.amount), stage.value)
    return known
