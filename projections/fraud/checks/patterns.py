"""Checks of what a player does over and over: attempts, cards, disputes, refunds, exchanges."""

from collections import defaultdict
from typing import Final

from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import Unit
from domain.money import format_minor
from projections.fraud.checks.amounts import EUR, with_worth
from projections.fraud.judging import Check, Finding
from projections.fraud.rules import Rule, Rules
from projections.fraud.signals import (
    Attempted,
    Converted,
    Declined,
    Disputed,
    PayoutAsked,
    RefundAsked,
)
from projections.fraud.states import PlayerState
from projections.fraud.windows import DAY_US, HOUR_US, MINUTE_US, count

_Conversion = tuple[int, int, str, int, str]


def _velocity(
    state: PlayerState, signal: Attempted, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    per_day = count(state.attempts_24h, now_us - DAY_US)
    hour_most, day_most = rule.at["hour_deposits"], rule.at["day_deposits"]
    if per_day <= hour_most and per_day <= day_most:
        return None
    per_hour = count(state.attempts_24h, now_us - HOUR_US)
    if per_hour > hour_most:
        number, most, span_us, window = per_hour, hour_most, HOUR_US, "an hour"
    elif per_day > day_most:
        number, most, span_us, window = per_day, day_most, DAY_US, "a day"
    else:
        return None
    return Finding(
        Severity.MEDIUM,
        number,
        most,
        Unit.COUNT.value,
        now_us - span_us,
        {"hour_deposits": per_hour, "day_deposits": per_day, "window": window},
        f"{number} deposits within {window}.",
    )


def _many_instruments(
    state: PlayerState, signal: Attempted, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    week_least, day_least = rule.at["week_instruments"], rule.at["day_instruments"]
    if len(state.instruments) < min(week_least, day_least):
        return None
    week = sum([one.last_us >= now_us - 7 * DAY_US for one in state.instruments])
    day = sum([one.last_us >= now_us - DAY_US for one in state.instruments])
    if week >= week_least:
        severity, number, least, span_us, window = (
            Severity.HIGH,
            week,
            week_least,
            7 * DAY_US,
            "7 days",
        )
    elif day >= day_least:
        severity, number, least, span_us, window = (
            Severity.MEDIUM,
            day,
            day_least,
            DAY_US,
            "24 hours",
        )
    else:
        return None
    return Finding(
        severity,
        number,
        least,
        Unit.COUNT.value,
        now_us - span_us,
        {"day_instruments": day, "week_instruments": week, "window": window},
        f"{number} instruments were used within {window}.",
    )


def _card_testing(
    state: PlayerState, signal: Declined, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    start_us = now_us - 10 * MINUTE_US
    declines = sum([at_us >= start_us for at_us, _ in state.declines])
    attempted = [instrument for at_us, instrument in state.attempts if at_us >= start_us]
    attempts, instruments = len(attempted), len({one for one in attempted if one})
    if declines >= rule.at["declines"]:
        value, threshold, unit = declines, rule.at["declines"], Unit.COUNT
        sentence = f"{declines} declines within 10 minutes."
    elif (
        instruments >= rule.at["instruments"]
        and declines * 100 >= rule.at["decline_percent"] * attempts
    ):
        value, threshold, unit = (
            declines * 100 // attempts,
            rule.at["decline_percent"],
            Unit.PERCENT,
        )
        sentence = (
            f"{instruments} instruments within 10 minutes, "
            f"and {declines} of {attempts} attempts were declined."
        )
    else:
        return None
    return Finding(
        Severity.CRITICAL,
        value,
        threshold,
        unit.value,
        start_us,
        {
            "declines": declines,
            "attempts": attempts,
            "instruments": instruments,
            "window": "10 minutes",
        },
        sentence,
    )


def _dormant_wake(
    state: PlayerState, signal: Attempted | PayoutAsked, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    if state.gap_us < rule.at["gap_seconds"] * 1_000_000:
        return None
    if rules.minor(signal.amount, signal.currency, EUR) < rule.at["amount_minor"]:
        return None
    gap_days = state.gap_us // DAY_US
    return Finding(
        Severity.MEDIUM,
        state.gap_us // 1_000_000,
        rule.at["gap_seconds"],
        Unit.SECONDS.value,
        now_us - state.gap_us,
        {
            "payment": format_minor(signal.amount, signal.currency),
            "amount_from": format_minor(rule.at["amount_minor"], EUR),
            "gap_days": gap_days,
        },
        f"{with_worth(signal.amount, signal.currency, rules)} after {gap_days} days "
        "without a payment.",
    )


def _dispute_load(
    state: PlayerState, signal: Disputed, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    start_us = now_us - 180 * DAY_US
    disputes, least = count(state.disputes_180d, start_us), rule.at["player_disputes"]
    if disputes < least:
        return None
    return Finding(
        Severity.HIGH,
        disputes,
        least,
        Unit.COUNT.value,
        start_us,
        {
            "disputes": disputes,
            "dispute": format_minor(signal.amount, signal.currency),
            "window": "180 days",
        },
        f"{disputes} {'dispute' if disputes == 1 else 'disputes'} of the player within 180 days.",
        amount_minor=rules.minor(signal.amount, signal.currency, EUR),
    )


def _refund_abuse(
    state: PlayerState, signal: RefundAsked, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    start_us = now_us - 30 * DAY_US
    refunds = count(state.refunds_30d, start_us)
    if refunds < rule.at["refunds"]:
        return None
    deposits = sum([count(entries, start_us) for entries in state.deposits_30d.values()])
    if refunds * 100 < rule.at["refund_percent"] * deposits:
        return None
    return Finding(
        Severity.MEDIUM,
        refunds,
        rule.at["refunds"],
        Unit.COUNT.value,
        start_us,
        {
            "refunds": refunds,
            "deposits": deposits,
            "refund_percent_from": rule.at["refund_percent"],
            "refund": format_minor(signal.amount, signal.currency),
            "window": "30 days",
        },
        f"{refunds} refunds of {deposits} deposits within 30 days.",
    )


def _fx_round_trip(
    state: PlayerState, signal: Converted, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    start_us = now_us - DAY_US
    trips = _round_trips([one for one in state.conversions if one[0] >= start_us])
    if not trips:
        return None
    there, back = trips[-1]
    between = " and ".join(sorted((there[2], there[4])))
    number = len(trips)
    if number >= rule.at["trips"]:
        value, threshold, unit = number, rule.at["trips"], Unit.COUNT
        said = "1 round trip" if number == 1 else f"{number} round trips"
        sentence = f"{said} within a day, the last between {between}."
    elif back is state.conversions[-1] and _gains_more(there, back, rule.at["gain_basis_points"]):
        value, threshold, unit = (
            _gain_basis_points(there, back),
            rule.at["gain_basis_points"],
            Unit.BASIS_POINTS,
        )
        gained = f"{value // 100}.{value % 100:02} %"
        sentence = f"A round trip between {between} within a day gained {gained}."
    else:
        return None
    return Finding(
        Severity.MEDIUM,
        value,
        threshold,
        unit.value,
        start_us,
        {
            "trips": number,
            "there": _in_words(there),
            "back": _in_words(back),
            "window": "24 hours",
        },
        sentence,
    )


def _round_trips(conversions: list[_Conversion]) -> list[tuple[_Conversion, _Conversion]]:
    """Ways there and back; the way back takes the latest way there that has none yet."""
    alone: defaultdict[tuple[str, str], list[_Conversion]] = defaultdict(list)
    trips: list[tuple[_Conversion, _Conversion]] = []
    for one in conversions:
        _, _, source_currency, _, target_currency = one
        ways_there = alone[target_currency, source_currency]
        if ways_there:
            trips.append((ways_there.pop(), one))
        else:
            alone[source_currency, target_currency].append(one)
    return trips


def _gains_more(there: _Conversion, back: _Conversion, basis_points: int) -> bool:
    """Whether what came back is more than what would have, by so much; in whole numbers."""
    came_back, would_have = back[3] * there[3], back[1] * there[1]
    return came_back * 10_000 > would_have * (10_000 + basis_points)


def _gain_basis_points(there: _Conversion, back: _Conversion) -> int:
    """Rounded up: what is more than the threshold is more as a whole number too."""
    return -(-back[3] * there[3] * 10_000 // (back[1] * there[1])) - 10_000


def _in_words(conversion: _Conversion) -> str:
    _, source, source_currency, target, target_currency = conversion
    return f"{format_minor(source, source_currency)} for {format_minor(target, target_currency)}"


CHECKS: Final = (
    Check("velocity", PlayerState, (Attempted,), _velocity),
    Check("many_instruments", PlayerState, (Attempted,), _many_instruments),
    Check("card_testing", PlayerState, (Declined,), _card_testing),
    Check("dormant_wake", PlayerState, (Attempted, PayoutAsked), _dormant_wake),
    Check("dispute_load", PlayerState, (Disputed,), _dispute_load),
    Check("refund_abuse", PlayerState, (RefundAsked,), _refund_abuse),
    Check("fx_round_trip", PlayerState, (Converted,), _fx_round_trip),
)
"""Checks of what a player does over and over."""
