"""Duties: what the law asks of whoever takes deposits, whether or not a player means harm."""

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

DUTIES: Final = (
    Indicator(
        number=1,
        code="due_diligence_threshold",
        title="Due diligence threshold",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="deposits", seconds=180 * DAY_SECONDS),),
        parameters=(
            Parameter(
                name="sum_minor",
                default=200_000,
                unit=Unit.MINOR,
                meaning="at least this much paid in within 180 days",
                currency="EUR",
            ),
        ),
        severities=(Severity.HIGH,),
        effect=Effect.LOCKS_PAYOUTS,
        active_seconds=180 * DAY_SECONDS,
        meaning="The player has paid in so much that the law wants their identity known in full,"
        " and it is not yet.",
        formula="Σ credited deposits within 180 days ≥ `sum_minor`, and verification is not full;"
        " looked at when a deposit is credited",
        example="2050.00 EUR paid in within 180 days (at least 2000.00 EUR), and verification is"
        " basic.",
        advice="Ask the player for the documents that are missing. Nothing else is needed: as soon"
        " as verification is full, the hit stops counting.",
        source="Directive (EU) 2015/849, article 11 (d): gambling services know their customers"
        " from 2,000 euro on, also in linked operations. The 180 days are ours.",
    ),
    Indicator(
        number=2,
        code="vulnerability_check",
        title="Vulnerability check",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="deposits and payouts", seconds=30 * DAY_SECONDS),),
        parameters=(
            Parameter(
                name="net_minor",
                default=15_000,
                unit=Unit.MINOR,
                meaning="more than this much paid in, less payouts, within 30 days",
                currency="GBP",
            ),
        ),
        severities=(Severity.MEDIUM,),
        effect=Effect.CARE,
        active_seconds=30 * DAY_SECONDS,
        meaning="A player in Great Britain has lost so much in a month that the operator has to"
        " look for signs of financial harm. It says nothing against the player.",
        formula="Σ credited deposits − Σ payouts received, both within 30 days, > `net_minor`, and"
        " the player is in GB; looked at when a deposit is credited",
        example="180.00 GBP net paid in within 30 days (more than 150.00 GBP) by a player in GB.",
        advice="Check public records for bankruptcy orders and unpaid court judgments, write down"
        " what was found, and decide on that alone whether to talk to the player.",
        source="Gambling Commission, social responsibility code provision 3.4.4: 150 pounds net in"
        " 30 days.",
    ),
    Indicator(
        number=3,
        code="limit_breach",
        title="Limit breached",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="calendar month", seconds=None),),
        parameters=(
            Parameter(
                name="month_de_minor",
                default=100_000,
                unit=Unit.MINOR,
                meaning="more than this much paid in or attempted in a calendar month by a player"
                " in Germany",
                currency="EUR",
            ),
        ),
        severities=(Severity.CRITICAL,),
        effect=Effect.REFUSES_DEPOSIT,
        active_seconds=DAY_SECONDS,
        meaning="The player tries to pay in more than their own limit, or the law where they are,"
        " allows.",
        formula="a deposit is refused for a limit; or the player is in DE and gross deposits of"
        " the calendar month, the one attempted or refused now included, > `month_de_minor`",
        example="A deposit of 80.00 EUR was refused: it would have passed the player's limit.",
        advice="Make sure that nothing was credited, and talk to the player about their limits. A"
        " limit that is run into again and again is a sign of harm.",
        source="GlüStV 2021 (Germany), § 6c: 1,000 euro a month over all operators.",
        money="the deposit that was refused",
    ),
    Indicator(
        number=4,
        code="excluded_deposit",
        title="Deposit while excluded",
        subjects=(Subject.PLAYER,),
        windows=(),
        parameters=(),
        severities=(Severity.CRITICAL,),
        effect=Effect.REFUSES_DEPOSIT,
        active_seconds=DAY_SECONDS,
        meaning="Somebody who has excluded themselves, or was excluded, tries to pay in.",
        formula="a deposit is attempted while the player is excluded, or is refused because they"
        " are",
        example="A deposit of 50.00 EUR was attempted while the player is excluded.",
        advice="Make sure that nothing was credited and no advertising goes to the player, and"
        " offer help.",
        source="Gambling Commission, social responsibility code provision 3.5.3; GlüStV 2021"
        " (Germany), §§ 8 to 8d.",
        money="the deposit",
    ),
)
