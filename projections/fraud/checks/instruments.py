"""Checks of instruments: whose are they, who else uses them, and do they work?"""

from typing import Final

from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import Unit
from domain.money import format_minor
from projections.fraud.checks.amounts import EUR, with_worth
from projections.fraud.judging import Check, Finding
from projections.fraud.rules import Rule, Rules
from projections.fraud.signals import Declined, HolderChecked, LegAsked, Seen
from projections.fraud.states import HoldingState, InstrumentState
from projections.fraud.windows import DAY_US, count

NAMED_MAX: Final = 10
"""Players that the evidence names, those seen last; how many there are, it says of all."""


def named(players: tuple[tuple[str, int], ...]) -> str:
    """The players seen last, the latest first: so that evidence stays small."""
    return ", ".join(player for player, _ in reversed(players[-NAMED_MAX:]))


def _closed_loop(
    state: HoldingState, signal: LegAsked, _now_us: int, rule: Rule, rules: Rules
) -> Finding | None:
    if signal.closed_loop or state.paid_in:
        return None
    net_minor = state.net.get(signal.currency, 0) + signal.taken
    excess_minor = signal.amount - net_minor
    value = rules.minor(excess_minor, signal.currency, EUR)
    threshold = rule.at["excess_minor"]
    if value <= threshold:
        return None
    before = (
        f" and was paid {format_minor(-net_minor, signal.currency)} before" if net_minor else ""
    )
    return Finding(
        Severity.HIGH,
        value,
        threshold,
        Unit.MINOR.value,
        0,
        {
            "part_of_payout": format_minor(signal.amount, signal.currency),
            "net_paid_in": format_minor(net_minor, signal.currency),
            "excess": with_worth(excess_minor, signal.currency, rules),
            "withdrawal": signal.withdrawal,
        },
        f"{with_worth(signal.amount, signal.currency, rules)} are to go to an instrument that has"
        f" never paid in{before}, although others have.",
    )


def _name_mismatch(
    _state: HoldingState, signal: HolderChecked, now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    threshold = rule.at["similarity_percent"]
    if signal.similarity >= threshold:
        return None
    return Finding(
        Severity.HIGH,
        signal.similarity,
        threshold,
        Unit.PERCENT.value,
        now_us,
        {"similarity_percent": signal.similarity},
        f"The holder's name is {signal.similarity} % like the verified one (less than"
        f" {threshold} %).",
    )


def _shared_instrument(
    state: InstrumentState, _signal: Seen, now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    players = len(state.players)
    for severity, name in (
        (Severity.HIGH, "high_players"),
        (Severity.MEDIUM, "medium_players"),
    ):
        if players >= rule.at[name]:
            return Finding(
                severity,
                players,
                rule.at[name],
                Unit.COUNT.value,
                now_us - 30 * DAY_US,
                {
                    "players": players,
                    "seen_last": named(state.players),
                    "window": "30 days",
                },
                f"{players} players used the instrument within 30 days (at least {rule.at[name]}).",
            )
    return None


def _repeated_declines(
    state: InstrumentState, _signal: Declined, now_us: int, rule: Rule, _rules: Rules
) -> Finding | None:
    day = count(state.declines_24h, now_us - DAY_US)
    month = count(state.declines_30d, now_us - 30 * DAY_US)
    for declines, threshold, span_us, window in (  # the larger number, where both are true
        (month, rule.at["month_declines"], 30 * DAY_US, "30 days"),
        (day, rule.at["day_declines"], DAY_US, "24 hours"),
    ):
        if declines >= threshold:
            return Finding(
                Severity.HIGH,
                declines,
                threshold,
                Unit.COUNT.value,
                now_us - span_us,
                {"day_declines": day, "month_declines": month, "window": window},
                f"{declines} {'decline' if declines == 1 else 'declines'} of the instrument"
                f" within {window} (at least {threshold}).",
            )
    return None


CHECKS: Final[tuple[Check, ...]] = (
    Check("closed_loop", HoldingState, (LegAsked,), _closed_loop),
    Check("name_mismatch", HoldingState, (HolderChecked,), _name_mismatch, ends=True),
    Check("shared_instrument", InstrumentState, (Seen,), _shared_instrument),
    Check("repeated_declines", InstrumentState, (Declined,), _repeated_declines),
)
