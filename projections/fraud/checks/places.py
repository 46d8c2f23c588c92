"""Checks of where requests come from: who shares a device or an address, and who tries numbers?"""

from typing import Final

from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import Unit
from projections.fraud.checks.instruments import named
from projections.fraud.judging import Check, Finding
from projections.fraud.others import QUARTER_US
from projections.fraud.rules import Rule, Rules
from projections.fraud.signals import Declined, Seen
from projections.fraud.states import AddressState, BinState, DeviceState
from projections.fraud.windows import DAY_US, count

QUARTERS_A_WEEK: Final = 7 * 24 * 4


def _shared_device(
    state: DeviceState, _signal: Seen, now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    return _shared(state, Severity.MEDIUM, rule.at["device_players"], now_us, 7 * DAY_US)


def _shared_address(
    state: AddressState, _signal: Seen, now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    return _shared(state, Severity.LOW, rule.at["address_players"], now_us, DAY_US)


def _shared(
    state: DeviceState | AddressState,
    severity: Severity,
    threshold: int,
    now_us: int,
    span_us: int,
) -> Finding | None:
    players = len(state.players)
    if players < threshold:
        return None
    what, window = (
        ("device", "7 days") if isinstance(state, DeviceState) else ("address", "24 hours")
    )
    return Finding(
        severity,
        players,
        threshold,
        Unit.COUNT.value,
        now_us - span_us,
        {"players": players, "seen_last": named(state.players), "window": window},
        f"{players} players used the {what} within {window} (at least {threshold}).",
    )


def _enumeration(
    state: AddressState | BinState, _signal: Declined, now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    start_us = now_us - QUARTER_US
    declines = count(state.declines_15m, start_us)
    threshold, times = rule.at["declines"], rule.at["times"]
    if declines < threshold:
        return None
    earlier = count(state.declines_week, start_us - 7 * DAY_US) - declines
    if declines * QUARTERS_A_WEEK <= times * earlier:
        return None
    tenths = earlier * 10 // QUARTERS_A_WEEK
    average = f"{tenths // 10}.{tenths % 10}"
    whose = "of the issuer's cards" if isinstance(state, BinState) else "from the address"
    return Finding(
        Severity.CRITICAL,
        declines,
        threshold,
        Unit.COUNT.value,
        start_us,
        {
            "declines": declines,
            "declines_of_7_days_before": earlier,
            "average_before": average,
            "times": times,
            "window": "15 minutes",
        },
        f"{declines} {'decline' if declines == 1 else 'declines'} {whose} within 15 minutes"
        f" (at least {threshold}); the 7 days before had {average} on average"
        f" (more than {times} times that).",
    )


CHECKS: Final[tuple[Check, ...]] = (
    Check("shared_device_or_address", DeviceState, (Seen,), _shared_device),
    Check("shared_device_or_address", AddressState, (Seen,), _shared_address),
    Check("enumeration", BinState, (Declined,), _enumeration),
    Check("enumeration", AddressState, (Declined,), _enumeration),
)
