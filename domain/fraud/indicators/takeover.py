"""Takeover: is this still the player, doing what this player does?"""

from typing import Final

from domain.fraud.assessment import Severity
from domain.fraud.indicators.declaring import (
    DAY_SECONDS,
    HOUR_SECONDS,
    Effect,
    Indicator,
    Parameter,
    Subject,
    Unit,
    Window,
)

TAKEOVER: Final = (
    Indicator(
        number=9,
        code="new_payout_target",
        title="New payout target",
        subjects=(Subject.PLAYER,),
        windows=(
            Window(name="age of the instrument, by default", seconds=DAY_SECONDS),
            Window(name="change of credentials, by default", seconds=DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="age_seconds",
                default=DAY_SECONDS,
                unit=Unit.SECONDS,
                meaning="the player first used the instrument at most this long ago, and it has"
                " not paid in yet",
                least=1,
                most=30 * DAY_SECONDS,
            ),
            Parameter(
                name="credential_seconds",
                default=DAY_SECONDS,
                unit=Unit.SECONDS,
                meaning="or a password, address or number was changed at most this long ago",
                least=1,
                most=30 * DAY_SECONDS,
            ),
        ),
        severities=(Severity.HIGH,),
        effect=Effect.SCORE,
        active_seconds=DAY_SECONDS,
        meaning="A payout is asked for to an account nobody has seen before, or right after the"
        " credentials were changed. That is what a takeover of an account looks like.",
        formula="an instrument of the payout was first used at most `age_seconds` ago and no"
        " deposit by it was credited; or credentials were changed at most `credential_seconds`"
        " ago; looked at when a payout is asked for",
        example="A payout is asked for 2 h after the player's email was changed.",
        advice="Reach the player by a way that was known before the change, and ask whether the"
        " request is theirs.",
        source="Common practice against takeovers of accounts. The numbers are ours.",
        less_is_worse=True,
        money="the payout",
    ),
    Indicator(
        number=17,
        code="velocity",
        title="Velocity",
        subjects=(Subject.PLAYER,),
        windows=(
            Window(name="hour", seconds=HOUR_SECONDS),
            Window(name="day", seconds=DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="hour_deposits",
                default=10,
                unit=Unit.COUNT,
                meaning="more than this many deposits attempted within an hour",
                least=1,
                most=10_000,
            ),
            Parameter(
                name="day_deposits",
                default=20,
                unit=Unit.COUNT,
                meaning="or more than this many within 24 hours",
                least=1,
                most=10_000,
            ),
        ),
        severities=(Severity.MEDIUM,),
        effect=Effect.SCORE,
        active_seconds=DAY_SECONDS,
        meaning="Deposits follow each other faster than people play.",
        formula="deposits attempted within an hour > `hour_deposits`, or within 24 hours >"
        " `day_deposits`",
        example="11 deposits within an hour.",
        advice="Look whether the player chases losses, which calls for care, or a machine pays,"
        " which calls for a hold.",
        source="Common practice. The numbers are ours.",
    ),
    Indicator(
        number=18,
        code="amount_spike",
        title="Amount spike",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="deposits compared", seconds=90 * DAY_SECONDS),),
        parameters=(
            Parameter(
                name="times",
                default=10,
                unit=Unit.TIMES,
                meaning="more than this many times the player's own median",
                least=1,
                most=10_000,
            ),
            Parameter(
                name="amount_minor",
                default=50_000,
                unit=Unit.MINOR,
                meaning="and the deposit is at least this much",
                currency="EUR",
            ),
            Parameter(
                name="deposits",
                default=3,
                unit=Unit.COUNT,
                meaning="and there are at least this many earlier ones to compare with",
                least=1,
                most=31,
            ),
        ),
        severities=(Severity.MEDIUM,),
        effect=Effect.SCORE,
        active_seconds=7 * DAY_SECONDS,
        meaning="A deposit is far larger than what the player usually pays in.",
        formula="amount > `times` · the median of the latest credited deposits (31 at most, within"
        " 90 days, and at least `deposits` of them), and amount ≥ `amount_minor`; looked at when a"
        " deposit is attempted",
        example="A deposit of 900.00 EUR; the player's median is 30.00 EUR.",
        advice="Make sure that it is the player, and ask where the money comes from.",
        source="Common practice. The numbers are ours.",
    ),
    Indicator(
        number=19,
        code="dormant_wake",
        title="Dormant account wakes",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="since the payment before", seconds=None),),
        parameters=(
            Parameter(
                name="gap_seconds",
                default=365 * DAY_SECONDS,
                unit=Unit.SECONDS,
                meaning="at least this long since the last payment",
                least=DAY_SECONDS,
                most=3650 * DAY_SECONDS,
            ),
            Parameter(
                name="amount_minor",
                default=50_000,
                unit=Unit.MINOR,
                meaning="and the payment now is at least this much",
                currency="EUR",
            ),
        ),
        severities=(Severity.MEDIUM,),
        effect=Effect.SCORE,
        active_seconds=7 * DAY_SECONDS,
        meaning="After a long time without payments there is a large one: it may be"
        " somebody who found a forgotten account.",
        formula="time since the last payment ≥ `gap_seconds`, and the amount ≥ `amount_minor`;"
        " looked at when a deposit is attempted or a payout asked for",
        example="600.00 EUR after 402 days without a payment.",
        advice="Reach the player by a way that was known before, and check whether the credentials"
        " were changed of late.",
        source="Common practice. The numbers are ours.",
    ),
    Indicator(
        number=20,
        code="geo_conflict",
        title="Countries conflict",
        subjects=(Subject.PLAYER,),
        windows=(),
        parameters=(
            Parameter(
                name="countries",
                default=2,
                unit=Unit.COUNT,
                meaning="at least this many different countries among the card's, the network"
                " address's and the player's, for medium",
                least=2,
                most=3,
            ),
        ),
        severities=(
            Severity.MEDIUM,
            Severity.HIGH,
        ),
        effect=Effect.SCORE,
        active_seconds=7 * DAY_SECONDS,
        meaning="Card, network address and verified residence lie in different countries, or one of"
        " them in a country that the FATF calls on everybody to act against.",
        formula="a known country is listed (high); or different known countries ≥ `countries`"
        " (medium); looked at when a deposit is attempted",
        example="Card from DE, address in RO, verified in DE.",
        advice="Compare with the devices known, and ask about travel before anything else: most"
        " such conflicts are holidays.",
        source="FATF, High-Risk Jurisdictions subject to a Call for Action: Iran, Myanmar and North"
        " Korea.",
        money="the deposit",
    ),
)
