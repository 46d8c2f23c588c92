"""Reversals: deposits that banks contest, or that go back on request."""

from typing import Final

from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import (
    DAY_SECONDS,
    Effect,
    Indicator,
    Parameter,
    Subject,
    Unit,
    Window,
)

REVERSALS: Final = (
    Indicator(
        number=21,
        code="dispute_load",
        title="Disputes",
        subjects=(
            Subject.PROVIDER,
            Subject.PLAYER,
        ),
        windows=(
            Window(name="a provider's calendar month, UTC", seconds=None),
            Window(name="a player's disputes", seconds=180 * DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="warn_basis_points",
                default=90,
                unit=Unit.BASIS_POINTS,
                meaning="disputes at a provider are at least this share of its settled deposits,"
                " for medium",
                least=1,
                most=10_000,
            ),
            Parameter(
                name="critical_basis_points",
                default=150,
                unit=Unit.BASIS_POINTS,
                meaning="the same, for critical",
                least=1,
                most=10_000,
            ),
            Parameter(
                name="disputes",
                default=10,
                unit=Unit.COUNT,
                meaning="and there are at least this many at the provider in the month",
                least=1,
                most=100_000,
            ),
            Parameter(
                name="player_disputes",
                default=1,
                unit=Unit.COUNT,
                meaning="at least this many of one player within 180 days, for high",
                least=1,
                most=1_000,
            ),
        ),
        severities=(
            Severity.MEDIUM,
            Severity.HIGH,
            Severity.CRITICAL,
        ),
        effect=Effect.SCORE,
        active_seconds=30 * DAY_SECONDS,
        meaning="Players' banks contest deposits. Schemes fine who has too many of them, and"
        " finally take the cards away.",
        formula="provider: disputes of the calendar month ≥ `disputes`, and disputes ÷ settled"
        " deposits ≥ `critical_basis_points` (critical) or ≥ `warn_basis_points` (medium); player:"
        " disputes within 180 days ≥ `player_disputes` (high)",
        example="1 dispute of the player within 180 days.",
        advice="Of a player: look at what they did with the money, and answer the dispute in time."
        " Of a provider: find what the disputes have in common, such as a descriptor nobody"
        " recognises.",
        source="The warning is that of Visa's Dispute Monitoring Program (0.9 %), the critical"
        " share that of Mastercard's Excessive Chargeback Program (1.5 %).",
        money="the player's dispute",
    ),
    Indicator(
        number=22,
        code="refund_abuse",
        title="Refund abuse",
        subjects=(
            Subject.PLAYER,
            Subject.OPERATORS,
        ),
        windows=(
            Window(name="a player's refunds and deposits", seconds=30 * DAY_SECONDS),
            Window(name="days of staff, UTC, the present one included", seconds=30 * DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="refund_percent",
                default=30,
                unit=Unit.PERCENT,
                meaning="refunds of a player are at least this share of their deposits, by number,"
                " for medium",
                least=1,
                most=1_000,
            ),
            Parameter(
                name="refunds",
                default=3,
                unit=Unit.COUNT,
                meaning="and there are at least this many within 30 days",
                least=1,
                most=1_000,
            ),
            Parameter(
                name="operator_refunds",
                default=5,
                unit=Unit.COUNT,
                meaning="at least this many refunds asked for by one of staff in a day, for high",
                least=1,
                most=1_000,
            ),
            Parameter(
                name="operator_percent",
                default=99,
                unit=Unit.PERCENT,
                meaning="and more than this share of all days of staff with refunds had at most",
                least=50,
                most=100,
            ),
        ),
        severities=(
            Severity.MEDIUM,
            Severity.HIGH,
        ),
        effect=Effect.SCORE,
        active_seconds=30 * DAY_SECONDS,
        meaning="Deposits of a player are taken back again and again; or one of staff gives back"
        " far more than others do.",
        formula="player: refunds within 30 days ≥ `refunds`, and ≥ `refund_percent` of the number"
        " of deposits (medium); staff: the refunds that one person asked for today ≥"
        " `operator_refunds` and > the `operator_percent` percentile, by nearest rank, of"
        " everybody's other days with refunds, of which there have to be 30 (high)",
        example="3 refunds of 9 deposits within 30 days.",
        advice="Look at who asked for the refunds and why, and where the money went. Talk to"
        " whoever granted them only after that.",
        source="Common practice against friendly fraud and fraud from within. The numbers are"
        " ours.",
    ),
)
