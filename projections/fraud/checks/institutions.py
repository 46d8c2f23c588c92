"""Checks of institutions: whose deposits are disputed too often, and who gives back too much?"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import Unit
from projections.fraud.judging import Check, Finding
from projections.fraud.others import OPERATOR_DAYS
from projections.fraud.rules import Rule, Rules
from projections.fraud.signals import Disputed, RefundAsked, instant, microseconds
from projections.fraud.states import OperatorsState, ProviderState
from projections.fraud.windows import DAY_US

PERSON_DAYS_LEAST: Final = 30
"""Days of other persons, or the same on other days, that a percentile needs to mean anything."""


def _dispute_load(
    state: ProviderState, _signal: Disputed, _now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    disputes, settled = state.disputes, state.settled
    if disputes < rule.at["disputes"]:
        return None
    for severity, threshold in (
        (Severity.CRITICAL, rule.at["critical_basis_points"]),
        (Severity.MEDIUM, rule.at["warn_basis_points"]),
    ):
        if disputes * 10_000 >= threshold * settled:
            # Disputes of earlier deposits may come in a month in which nothing has settled yet.
            share = disputes * 10_000 // max(settled, 1)
            return Finding(
                severity,
                share,
                threshold,
                Unit.BASIS_POINTS.value,
                _month_start_us(state.month),
                {
                    "month": state.month,
                    "disputes": disputes,
                    "settled": settled,
                    "disputes_from": rule.at["disputes"],
                },
                f"{disputes} disputes against {settled} settled deposits in {state.month}:"
                f" {_percent(share)} (at least {_percent(threshold)}).",
                cause=state.month,
            )
    return None


def _month_start_us(month: str) -> int:
    year, _, number = month.partition("-")
    return microseconds(datetime(int(year), int(number), 1, tzinfo=UTC))


def _percent(basis_points: int) -> str:
    return f"{basis_points // 100}.{basis_points % 100:02d} %"


def _refund_abuse(
    state: OperatorsState, signal: RefundAsked, now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    refunds = state.persons.get(signal.operator, 0)
    threshold, percent = rule.at["operator_refunds"], rule.at["operator_percent"]
    if refunds < threshold:
        return None
    others = _others(state, signal.operator)
    if others.total() < PERSON_DAYS_LEAST:
        return None
    usual = _percentile(others, percent)
    if refunds <= usual:
        return None
    day = now_us // DAY_US
    return Finding(
        Severity.HIGH,
        refunds,
        threshold,
        Unit.COUNT.value,
        (day - OPERATOR_DAYS + 1) * DAY_US,
        {
            "operator": signal.operator,
            "refunds_today": refunds,
            "percentile": percent,
            "refunds_at_percentile": usual,
            "days_compared": others.total(),
            "window": f"{OPERATOR_DAYS} days",
        },
        f"{signal.operator} asked for {refunds} refunds on {instant(now_us):%Y-%m-%d}"
        f" (at least {threshold}); of {others.total()} other days of staff with refunds,"
        f" {percent} % had {usual} or fewer.",
        about=signal.operator,
        cause=signal.operator,
    )


def _others(state: OperatorsState, operator: str) -> Counter[int]:
    """How often there was a day with so many refunds, the person's present one left out."""
    others = Counter(asked for person, asked in state.persons.items() if person != operator)
    for _, persons in state.earlier:
        others.update(persons)
    return others


def _percentile(counts: Mapping[int, int], percent: int) -> int:
    """By nearest rank: the least number that `percent` of all are not above."""
    rank = -(-percent * sum(counts.values()) // 100)
    number = 0
    for number in sorted(counts):
        rank -= counts[number]
        if rank <= 0:
            break
    return number


CHECKS: Final[tuple[Check, ...]] = (
    Check("dispute_load", ProviderState, (Disputed,), _dispute_load),
    Check("refund_abuse", OperatorsState, (RefundAsked,), _refund_abuse),
)
