"""Laundering: money that comes in to go out again, looking different."""

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

LAUNDERING: Final = (
    Indicator(
        number=5,
        code="structuring",
        title="Structuring",
        subjects=(Subject.PLAYER,),
        windows=(
            Window(name="day", seconds=DAY_SECONDS),
            Window(name="week", seconds=7 * DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="lower_percent",
                default=90,
                unit=Unit.PERCENT,
                meaning="a deposit counts from this share of a threshold on",
                least=1,
                most=99,
            ),
            Parameter(
                name="deposits",
                default=3,
                unit=Unit.COUNT,
                meaning="at least this many deposits just below the same threshold",
                least=1,
                most=32,
            ),
            Parameter(
                name="first_minor",
                default=200_000,
                unit=Unit.MINOR,
                meaning="the first threshold: a deposit counts if it is less",
                currency="EUR",
            ),
            Parameter(
                name="second_minor",
                default=500_000,
                unit=Unit.MINOR,
                meaning="the second threshold, likewise",
                currency="EUR",
            ),
            Parameter(
                name="third_minor",
                default=1_000_000,
                unit=Unit.MINOR,
                meaning="the third threshold, likewise",
                currency="EUR",
            ),
        ),
        severities=(Severity.HIGH,),
        effect=Effect.SCORE,
        active_seconds=30 * DAY_SECONDS,
        meaning="Money is paid in in parts that each stay just below an amount from which on"
        " questions are asked, and together pass it.",
        formula="for one threshold T and one window: credited deposits of `lower_percent` · T or"
        " more and less than T, their number ≥ `deposits` and their Σ ≥ T; looked at when a"
        " deposit is credited. Beyond 96 deposits of a currency within 7 days, those of the same"
        " two and a half hours or so are kept as one, and no longer seen singly",
        example="3 deposits between 1800.00 EUR and 2000.00 EUR within 7 days, 5770.00 EUR"
        " together.",
        advice="Ask where the money comes from, and compare the answer with what is known of the"
        " player's income.",
        source="APG and FATF, Vulnerabilities of Casinos and Gaming Sector (2009), on structuring."
        " The first threshold is that of due diligence (article 11 (d) of Directive (EU)"
        " 2015/849), the others are usual ones.",
        money="the deposits together",
    ),
    Indicator(
        number=6,
        code="pass_through",
        title="Pass-through",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="payments and wagers", seconds=3 * DAY_SECONDS),),
        parameters=(
            Parameter(
                name="payout_percent",
                default=80,
                unit=Unit.PERCENT,
                meaning="at least this share of the deposits is asked for again",
                least=1,
                most=1_000,
            ),
            Parameter(
                name="wagered_percent",
                default=30,
                unit=Unit.PERCENT,
                meaning="less than this share of the deposits was wagered",
                least=1,
                most=1_000,
            ),
            Parameter(
                name="deposits_minor",
                default=10_000,
                unit=Unit.MINOR,
                meaning="at least this much paid in within 72 hours",
                currency="EUR",
            ),
        ),
        severities=(Severity.HIGH,),
        effect=Effect.SCORE,
        active_seconds=7 * DAY_SECONDS,
        meaning="Money comes in and goes out again and is hardly played with: the account serves"
        " to move it, or to give it another origin.",
        formula="within 72 hours Σ credited deposits ≥ `deposits_minor`, Σ payouts asked for ≥"
        " `payout_percent` of Σ deposits, and Σ wagered < `wagered_percent` of Σ deposits; looked"
        " at when a payout is asked for",
        example="95 % of 1200.00 EUR paid in within 72 hours is asked for again, and 4 % of it was"
        " wagered.",
        advice="Ask for the source of the money and for proof that the account it is to go to is"
        " the player's. Until then, keep the payout waiting.",
        source="MONEYVAL, The use of online gambling for money laundering (2013), on deposits paid"
        " out without play. The numbers are ours.",
        money="the payouts together",
    ),
    Indicator(
        number=7,
        code="low_turnover",
        title="Low turnover",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="since the last deposit", seconds=None),),
        parameters=(
            Parameter(
                name="wagered_percent",
                default=100,
                unit=Unit.PERCENT,
                meaning="less than this share of the last deposit was wagered since",
                least=1,
                most=1_000,
            ),
        ),
        severities=(Severity.MEDIUM,),
        effect=Effect.SCORE,
        active_seconds=DAY_SECONDS,
        meaning="A payout is asked for before the last deposit has been played through once.",
        formula="Σ wagered since the last credited deposit < `wagered_percent` of that deposit;"
        " looked at when a payout is asked for",
        example="35 % of the last deposit of 200.00 EUR was wagered before a payout was asked for.",
        advice="Look at what the player did between deposit and request. Many simply changed their"
        " mind: by itself this proves nothing.",
        source="MONEYVAL, The use of online gambling for money laundering (2013). To ask for one"
        " turn of the deposit is common practice.",
        less_is_worse=True,
        money="the payout",
    ),
    Indicator(
        number=8,
        code="closed_loop",
        title="Outside the closed loop",
        subjects=(Subject.HOLDING,),
        windows=(Window(name="everything so far", seconds=None),),
        parameters=(
            Parameter(
                name="excess_minor",
                default=0,
                unit=Unit.MINOR,
                meaning="more than this much goes to the instrument than came from it",
                currency="EUR",
                least=0,
            ),
        ),
        severities=(Severity.HIGH,),
        effect=Effect.BLOCKS_LEG,
        active_seconds=DAY_SECONDS,
        meaning="A payout is to go to an instrument that has never paid in, although the player"
        " has paid in with others: money would leave by another door than it came by.",
        formula="the instrument's part of the payout − net deposits by it > `excess_minor`, where"
        " it has never paid in for the player and others have; looked at when a payout is asked"
        " for",
        example="300.00 EUR are to go to an instrument that has never paid in, although others"
        " have.",
        advice="Have the payout go back to where the money came from. Where that is impossible,"
        " such as to an expired card, have the player prove that the new account is theirs.",
        source="Common practice of operators and card schemes: payouts return to their source.",
    ),
    Indicator(
        number=23,
        code="fx_round_trip",
        title="Exchange round trip",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="exchanges", seconds=DAY_SECONDS),),
        parameters=(
            Parameter(
                name="trips",
                default=3,
                unit=Unit.COUNT,
                meaning="at least this many round trips within 24 hours",
                least=1,
                most=16,
            ),
            Parameter(
                name="gain_basis_points",
                default=50,
                unit=Unit.BASIS_POINTS,
                meaning="or a round trip that gained more than this",
                least=1,
                most=10_000,
            ),
        ),
        severities=(Severity.MEDIUM,),
        effect=Effect.SCORE,
        active_seconds=7 * DAY_SECONDS,
        meaning="Money is exchanged there and back: to profit from rates that lag, or to blur"
        " where it came from.",
        formula="round trips A→B→A within 24 hours ≥ `trips`, or the trip that is completed now"
        " gained > `gain_basis_points`; an exchange back is paired with the latest one there that"
        " has no partner yet",
        example="3 round trips within a day, the last between EUR and USD.",
        advice="Compare the exchanges with the rates then in force. If rates lag, mend that first;"
        " then ask what the exchanges were for.",
        source="Common practice. The numbers are ours: half a per cent is more than an honest"
        " spread leaves.",
    ),
)
