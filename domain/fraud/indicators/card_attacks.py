"""Attacks on cards: numbers that are tried until one works."""

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

CARD_ATTACKS: Final = (
    Indicator(
        number=14,
        code="card_testing",
        title="Card testing",
        subjects=(Subject.PLAYER,),
        windows=(Window(name="attempts and declines", seconds=600),),
        parameters=(
            Parameter(
                name="declines",
                default=5,
                unit=Unit.COUNT,
                meaning="at least this many declines within 10 minutes",
                least=1,
                most=64,
            ),
            Parameter(
                name="instruments",
                default=3,
                unit=Unit.COUNT,
                meaning="or at least this many instruments tried within 10 minutes",
                least=1,
                most=64,
            ),
            Parameter(
                name="decline_percent",
                default=60,
                unit=Unit.PERCENT,
                meaning="and at least this share of the attempts declined",
                least=1,
                most=100,
            ),
        ),
        severities=(Severity.CRITICAL,),
        effect=Effect.BLOCKS_PLAYER,
        active_seconds=30 * DAY_SECONDS,
        meaning="Stolen card numbers are tried in this account until one works.",
        formula="within 10 minutes declines ≥ `declines`; or different instruments ≥ `instruments`"
        " and declines ≥ `decline_percent` of attempts; looked at when a deposit is declined",
        example="5 declines within 10 minutes.",
        advice="Leave the player on hold, tell the provider which cards were tried, and refund"
        " what went through before its owners dispute it.",
        source="Common practice; schemes call it card testing or account testing. The numbers are"
        " ours.",
    ),
    Indicator(
        number=15,
        code="repeated_declines",
        title="Repeated declines",
        subjects=(Subject.INSTRUMENT,),
        windows=(
            Window(name="day", seconds=DAY_SECONDS),
            Window(name="month", seconds=30 * DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="day_declines",
                default=10,
                unit=Unit.COUNT,
                meaning="at least this many declines within 24 hours",
                least=1,
                most=1_000,
            ),
            Parameter(
                name="month_declines",
                default=15,
                unit=Unit.COUNT,
                meaning="or at least this many within 30 days",
                least=1,
                most=1_000,
            ),
        ),
        severities=(Severity.HIGH,),
        effect=Effect.SCORE,
        active_seconds=30 * DAY_SECONDS,
        meaning="An instrument is declined again and again. Schemes charge for every further try.",
        formula="declines of the instrument within 24 hours ≥ `day_declines`, or within 30 days ≥"
        " `month_declines`",
        example="10 declines of the instrument within 24 hours (at least 10).",
        advice="Stop retrying and ask the player for another instrument. Should several players be"
        " behind the declines, take it for a stolen card.",
        source="Mastercard on excessive authorisation attempts (10 declines in 24 hours); Visa on"
        " excessive reattempts (15 in 30 days).",
    ),
    Indicator(
        number=16,
        code="enumeration",
        title="Enumeration",
        subjects=(
            Subject.BIN,
            Subject.ADDRESS,
        ),
        windows=(
            Window(name="declines now", seconds=900),
            Window(name="what is usual, before those 15 minutes", seconds=7 * DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="declines",
                default=50,
                unit=Unit.COUNT,
                meaning="at least this many declines within 15 minutes",
                least=1,
                most=100_000,
            ),
            Parameter(
                name="times",
                default=3,
                unit=Unit.TIMES,
                meaning="and more than this many times the average 15 minutes of the 7 days before",
                least=1,
                most=1_000,
            ),
        ),
        severities=(Severity.CRITICAL,),
        effect=Effect.WATCHED,
        active_seconds=DAY_SECONDS,
        meaning="A machine tries out card numbers: of one issuer, or from one network address.",
        formula="declines within 15 minutes ≥ `declines`, and > `times` · (declines of the 7 days"
        " before those 15 minutes ÷ 672, the quarters of an hour in a week)",
        example="50 declines of the issuer's cards within 15 minutes (at least 50); the 7 days"
        " before had 1.4 on average (more than 3 times that).",
        advice="Have the provider block the address or the issuer's numbers for now, and look at"
        " what was approved in between.",
        source="Visa Acquirer Monitoring Program, which counts enumerated transactions. The"
        " numbers are ours.",
    ),
)
