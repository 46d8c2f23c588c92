"""Checks of deposits: how much, how often just so much, and whether they may be at all."""

from datetime import datetime
from typing import Final

from domain.errors import Reason
from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import Unit
from domain.money import format_minor
from projections.fraud.checks.amounts import EUR, GBP, in_words, sums, with_worth
from projections.fraud.judging import Check, Finding
from projections.fraud.rules import Rule, Rules
from projections.fraud.signals import Attempted, Refused, Settled, instant, microseconds
from projections.fraud.states import PlayerState
from projections.fraud.windows import DAY_US, since

FATF_HIGH_RISK: Final = frozenset({"IR", "KP", "MM"})
"""Jurisdictions that the FATF calls for action on, by ISO 3166-1.

Source: FATF, High-Risk Jurisdictions subject to a Call for Action: the Democratic People's
Republic of Korea and Iran (since February 2020), Myanmar (since October 2022).
"""


def _due_diligence_threshold(
    state: PlayerState, signal: Settled, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    if state.verification == "full":
        return None
    start_us = now_us - 180 * DAY_US
    deposits = sums(state.deposits_180d, start_us)
    deposits_minor, threshold_minor = rules.total(deposits, EUR), rule.at["sum_minor"]
    if deposits_minor < threshold_minor:
        return None
    return Finding(
        Severity.HIGH,
        deposits_minor,
        threshold_minor,
        Unit.MINOR.value,
        start_us,
        {
            "deposits": in_words(deposits),
            "together": format_minor(deposits_minor, EUR),
            "verification": state.verification,
            "window": "180 days",
        },
        f"{format_minor(deposits_minor, EUR)} paid in within 180 days "
        f"(at least {format_minor(threshold_minor, EUR)}), "
        f"and verification is {state.verification}.",
    )


def _vulnerability_check(
    state: PlayerState, signal: Settled, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    if state.country != "GB":
        return None
    start_us = now_us - 30 * DAY_US
    deposits, paid = sums(state.deposits_30d, start_us), sums(state.paid_30d, start_us)
    net_minor = rules.total(deposits, GBP) - rules.total(paid, GBP)
    threshold_minor = rule.at["net_minor"]
    if net_minor <= threshold_minor:
        return None
    return Finding(
        Severity.MEDIUM,
        net_minor,
        threshold_minor,
        Unit.MINOR.value,
        start_us,
        {
            "deposits": in_words(deposits),
            "payouts": in_words(paid),
            "net": format_minor(net_minor, GBP),
            "country": state.country,
            "window": "30 days",
        },
        f"{format_minor(net_minor, GBP)} net paid in within 30 days "
        f"(more than {format_minor(threshold_minor, GBP)}) by a player in GB.",
    )


def _limit_breach(
    state: PlayerState, signal: Attempted | Refused, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    if isinstance(signal, Refused) and signal.reason == Reason.LIMIT_EXCEEDED:
        said = format_minor(signal.amount, signal.currency)
        return Finding(
            Severity.CRITICAL,
            1,
            1,
            Unit.COUNT.value,
            now_us,
            {"deposit": said, "reason": signal.reason},
            f"A deposit of {said} was refused: it would have passed the player's limit.",
            amount_minor=rules.minor(signal.amount, signal.currency, EUR),
        )
    return (
        _german_limit_breach(state, signal, now_us, rule, rules) if state.country == "DE" else None
    )


def _german_limit_breach(
    state: PlayerState, signal: Attempted | Refused, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    """The month that deposits are counted in is the player's own; a refused one is not in it.

    What was counted last may be of a month that is over, by now also where the player is.
    """
    latest = max((month for month, _ in state.months.values()), default="")
    month = max(latest, instant(now_us - DAY_US).strftime("%Y-%m"))
    gross = {c: minor for c, (counted, minor) in state.months.items() if counted == month}
    refused = isinstance(signal, Refused)
    if refused:
        gross[signal.currency] = gross.get(signal.currency, 0) + signal.amount
    gross_minor, threshold_minor = rules.total(gross, EUR), rule.at["month_de_minor"]
    if gross_minor <= threshold_minor:
        return None
    begun = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    return Finding(
        Severity.CRITICAL,
        gross_minor,
        threshold_minor,
        Unit.MINOR.value,
        microseconds(begun),
        {
            "deposit": format_minor(signal.amount, signal.currency),
            "deposits": in_words(gross),
            "together": format_minor(gross_minor, EUR),
            "country": state.country,
            "month": month,
        },
        f"Deposits of {month} {'would have come' if refused else 'come'} "
        f"to {format_minor(gross_minor, EUR)} with this one "
        f"(more than {format_minor(threshold_minor, EUR)}), by a player in DE.",
        cause=month,
    )


def _excluded_deposit(
    state: PlayerState, signal: Attempted | Refused, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    if isinstance(signal, Refused):
        if signal.reason != Reason.PLAYER_EXCLUDED:
            return None
    elif state.excluded_until_us != -1 and now_us >= state.excluded_until_us:
        return None
    until_us = state.excluded_until_us
    said = format_minor(signal.amount, signal.currency)
    return Finding(
        Severity.CRITICAL,
        1,
        1,
        Unit.COUNT.value,
        now_us,
        {
            "deposit": said,
            "excluded_until": instant(until_us).isoformat() if until_us > 0 else "no date",
        },
        f"A deposit of {said} was attempted while the player is excluded.",
        amount_minor=rules.minor(signal.amount, signal.currency, EUR),
    )


def _structuring(
    state: PlayerState, signal: Settled, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    thresholds = (rule.at["first_minor"], rule.at["second_minor"], rule.at["third_minor"])
    percent, least = rule.at["lower_percent"], rule.at["deposits"]
    start_us, lowest_minor = now_us - 7 * DAY_US, min(thresholds)
    if rules.total(sums(state.deposits_7d, start_us), EUR) < lowest_minor:
        return None  # no parts of it come to a threshold either; so it is nearly always
    singles = _single_deposits(state, start_us, -(-percent * lowest_minor // 100), rules)
    if len(singles) < least:
        return None
    most: tuple[int, Finding] | None = None
    for threshold_minor in thresholds:
        just_below = [
            (at_us, minor)
            for at_us, minor in singles
            if percent * threshold_minor <= 100 * minor and minor < threshold_minor
        ]
        for window, span_us in (("24 hours", DAY_US), ("7 days", 7 * DAY_US)):
            parts = [minor for at_us, minor in just_below if at_us >= now_us - span_us]
            together = sum(parts)
            # The largest sum: smaller ones of before must not stand before it.
            if len(parts) >= least and together >= max(threshold_minor, most[0] + 1 if most else 0):
                since_us = now_us - span_us
                most = together, _structured(parts, threshold_minor, rule, since_us, window)
    return most[1] if most else None


def _structured(
    parts: list[int], threshold_minor: int, rule: Rule, since_us: int, window: str
) -> Finding:
    together, below = format_minor(sum(parts), EUR), format_minor(threshold_minor, EUR)
    lower = format_minor(-(-rule.at["lower_percent"] * threshold_minor // 100), EUR)
    return Finding(
        Severity.HIGH,
        len(parts),
        rule.at["deposits"],
        Unit.COUNT.value,
        since_us,
        {
            "deposits": " + ".join([format_minor(minor, EUR) for minor in parts]),
            "together": together,
            "below": below,
            "window": window,
        },
        f"{len(parts)} deposits between {lower} and {below} within {window}, {together} together.",
        amount_minor=sum(parts),
    )


def _single_deposits(
    state: PlayerState, start_us: int, lowest_minor: int, rules: Rules
) -> list[tuple[int, int]]:
    """When, and how much in EUR: deposits since `start_us` of `lowest_minor` EUR or more."""
    singles: list[tuple[int, int]] = []
    for currency, entries in state.deposits_7d.items():
        inside, least_minor = since(entries, start_us), rules.least(lowest_minor, EUR, currency)
        singles += [
            (at_us, rules.minor(amount, currency, EUR))
            for at_us, number, amount in zip(inside[::3], inside[1::3], inside[2::3], strict=True)
            if number == 1 and amount >= least_minor
        ]
    return singles


def _amount_spike(
    state: PlayerState, signal: Attempted, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    amount_minor = rules.minor(signal.amount, signal.currency, EUR)
    if amount_minor < rule.at["amount_minor"]:
        return None
    start_us = now_us - 90 * DAY_US
    earlier = sorted(
        [
            rules.minor(amount, currency, EUR)
            for at_us, amount, currency in state.amounts
            if at_us >= start_us
        ]
    )
    if len(earlier) < rule.at["deposits"]:
        return None
    # The two in the middle; of an odd number, the one in the middle twice.
    doubled_median = earlier[(len(earlier) - 1) // 2] + earlier[len(earlier) // 2]
    times = rule.at["times"]
    if 2 * amount_minor <= times * doubled_median:
        return None
    median = format_minor(doubled_median // 2, EUR)
    return Finding(
        Severity.MEDIUM,
        amount_minor,
        times * doubled_median // 2,
        Unit.MINOR.value,
        start_us,
        {
            "deposit": format_minor(signal.amount, signal.currency),
            "median": median,
            "earlier_deposits": len(earlier),
            "times": times,
            "window": "90 days",
        },
        f"A deposit of {with_worth(signal.amount, signal.currency, rules)}; "
        f"the player's median is {median}.",
    )


def _geo_conflict(
    state: PlayerState, signal: Attempted, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    countries = {signal.instrument_country, signal.address_country, state.country}
    countries.discard("")
    listed = sorted(countries & FATF_HIGH_RISK)
    if not listed and len(countries) < rule.at["countries"]:
        return None
    known = {
        name: country
        for name, country in (
            ("card from", signal.instrument_country),
            ("address in", signal.address_country),
            ("verified in", state.country),
        )
        if country
    }
    places = ", ".join([f"{name} {country}" for name, country in known.items()])
    warning = f"; the FATF lists {', '.join(listed)}" if listed else ""
    return Finding(
        Severity.HIGH if listed else Severity.MEDIUM,
        len(listed) if listed else len(countries),
        1 if listed else rule.at["countries"],
        Unit.COUNT.value,
        now_us,
        {name.partition(" ")[0]: country for name, country in known.items()}
        | {"deposit": format_minor(signal.amount, signal.currency)},
        f"{places[0].upper()}{places[1:]}{warning}.",
        amount_minor=rules.minor(signal.amount, signal.currency, EUR),
        cause=", ".join(listed or sorted(countries)),
    )


CHECKS: Final = (
    Check("due_diligence_threshold", PlayerState, (Settled,), _due_diligence_threshold),
    Check("vulnerability_check", PlayerState, (Settled,), _vulnerability_check),
    Check("limit_breach", PlayerState, (Attempted, Refused), _limit_breach),
    Check("excluded_deposit", PlayerState, (Attempted, Refused), _excluded_deposit),
    Check("structuring", PlayerState, (Settled,), _structuring),
    Check("amount_spike", PlayerState, (Attempted,), _amount_spike),
    Check("geo_conflict", PlayerState, (Attempted,), _geo_conflict),
)
"""Checks of deposits."""
