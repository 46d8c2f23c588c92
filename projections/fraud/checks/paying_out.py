"""Checks of payouts: money that only passes through, and targets nobody has seen before."""

from typing import Final

from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import Unit
from domain.money import format_minor
from projections.fraud.checks.amounts import EUR, in_words, sums
from projections.fraud.judging import Check, Finding
from projections.fraud.rules import Rule, Rules
from projections.fraud.signals import PayoutAsked, instant
from projections.fraud.states import PlayerState, Used
from projections.fraud.windows import DAY_US

_SECOND_US: Final = 1_000_000


def _pass_through(
    state: PlayerState, signal: PayoutAsked, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    start_us = now_us - 3 * DAY_US
    deposits = sums(state.deposits_7d, start_us)
    deposits_minor = rules.total(deposits, EUR)
    if deposits_minor < rule.at["deposits_minor"]:
        return None
    asked, wagered = sums(state.asked_72h, start_us), sums(state.wagered_72h, start_us)
    asked_minor, wagered_minor = rules.total(asked, EUR), rules.total(wagered, EUR)
    if asked_minor * 100 < rule.at["payout_percent"] * deposits_minor:
        return None
    if wagered_minor * 100 >= rule.at["wagered_percent"] * deposits_minor:
        return None
    asked_percent = asked_minor * 100 // deposits_minor
    wagered_percent = wagered_minor * 100 // deposits_minor
    return Finding(
        Severity.HIGH,
        asked_percent,
        rule.at["payout_percent"],
        Unit.PERCENT.value,
        start_us,
        {
            "deposits": in_words(deposits),
            "payouts": in_words(asked),
            "wagered": in_words(wagered),
            "wagered_percent": wagered_percent,
            "wagered_percent_below": rule.at["wagered_percent"],
            "window": "72 hours",
        },
        f"{asked_percent} % of {format_minor(deposits_minor, EUR)} paid in within 72 hours is "
        f"asked for again, and {wagered_percent} % of it was wagered.",
        amount_minor=asked_minor,
    )


def _low_turnover(
    state: PlayerState, signal: PayoutAsked, now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    if not state.amounts:
        return None
    at_us, amount_minor, currency = state.amounts[-1]
    wagered_minor = rules.total(state.wagered_since, currency)
    if wagered_minor * 100 >= rule.at["wagered_percent"] * amount_minor:
        return None
    percent, deposit = wagered_minor * 100 // amount_minor, format_minor(amount_minor, currency)
    return Finding(
        Severity.MEDIUM,
        percent,
        rule.at["wagered_percent"],
        Unit.PERCENT.value,
        at_us,
        {
            "deposit": deposit,
            "wagered": in_words(state.wagered_since),
            "window": "since the last deposit",
        },
        f"{percent} % of the last deposit of {deposit} was wagered before a payout was asked for.",
        amount_minor=rules.minor(signal.amount, signal.currency, EUR),
    )


def _new_payout_target(
    state: PlayerState, signal: PayoutAsked, now_us: int, rule: Rule, rules: Rules
) -> tuple[Finding, ...]:
    """Of each new target, and of the change of credentials: what is newest first."""
    amount_minor = rules.minor(signal.amount, signal.currency, EUR)
    payout = format_minor(signal.amount, signal.currency)
    age_us = rule.at["age_seconds"] * _SECOND_US
    found = [
        Finding(
            Severity.HIGH,
            (now_us - target.first_us) // _SECOND_US,
            rule.at["age_seconds"],
            Unit.SECONDS.value,
            now_us - age_us,
            {
                "payout": payout,
                "instrument": target.instrument,
                "first_used": f"{_ago(now_us - target.first_us)} before",
            },
            "A payout is asked for to an instrument that has never paid in "
            f"and was first used {_ago(now_us - target.first_us)} before.",
            amount_minor=amount_minor,
            cause=target.instrument,
        )
        for target in _unpaid(state, signal)
        if target.first_us >= now_us - age_us
    ]
    credential_us = rule.at["credential_seconds"] * _SECOND_US
    changed_us = state.credential_us
    if changed_us and changed_us >= now_us - credential_us:
        since, credential = _ago(now_us - changed_us), state.credential.replace("_", " ")
        change = Finding(
            Severity.HIGH,
            (now_us - changed_us) // _SECOND_US,
            rule.at["credential_seconds"],
            Unit.SECONDS.value,
            now_us - credential_us,
            {
                "payout": payout,
                "credential": state.credential,
                "changed": f"{since} before",
            },
            f"A payout is asked for {since} after the player's {credential} was changed.",
            amount_minor=amount_minor,
            cause=f"{state.credential} at {instant(changed_us).isoformat()}",
        )
        found.append(change)
        found.sort(key=lambda one: one.value)  # of those as new, targets come first
    return tuple(found)


def _unpaid(state: PlayerState, signal: PayoutAsked) -> list[Used]:
    """Where the payout goes that has never paid in: what was first used last comes first."""
    targets = [
        one for one in state.instruments if not one.settled and one.instrument in signal.instruments
    ]
    return sorted(targets, key=lambda one: (-one.first_us, one.instrument))


def _ago(gap_us: int) -> str:
    """`45 s`, `12 min`, `2 h`, `3 days`: rounded down."""
    seconds = gap_us // _SECOND_US
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min"
    return f"{seconds // 3_600} h" if seconds < 2 * 86_400 else f"{seconds // 86_400} days"


CHECKS: Final = (
    Check("pass_through", PlayerState, (PayoutAsked,), _pass_through),
    Check("low_turnover", PlayerState, (PayoutAsked,), _low_turnover),
    Check("new_payout_target", PlayerState, (PayoutAsked,), _new_payout_target),
)
"""Checks of payouts."""
