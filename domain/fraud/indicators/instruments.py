"""Instruments: whose cards and accounts are they, and do the numbers come from a list?"""

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

INSTRUMENTS: Final = (
    Indicator(
        number=10,
        code="name_mismatch",
        title="Holder's name differs",
        subjects=(Subject.HOLDING,),
        windows=(),
        parameters=(
            Parameter(
                name="similarity_percent",
                default=85,
                unit=Unit.PERCENT,
                meaning="the holder's name is less than this similar to the verified one",
                least=1,
                most=100,
            ),
        ),
        severities=(Severity.HIGH,),
        effect=Effect.SCORE,
        active_seconds=30 * DAY_SECONDS,
        meaning="The instrument seems to belong to somebody else than the player.",
        formula="similarity < `similarity_percent`; looked at when the names are compared. A later"
        " comparison that is similar enough ends the hit",
        example="The holder's name is 41 % like the verified one (less than 85 %).",
        advice="Ask for proof that the instrument is the player's own. Look for maiden names,"
        " other spellings and joint accounts first.",
        source="Common practice; schemes and supervisors want payments by the player alone. The"
        " number is ours.",
        less_is_worse=True,
    ),
    Indicator(
        number=11,
        code="shared_instrument",
        title="Shared instrument",
        subjects=(Subject.INSTRUMENT,),
        windows=(Window(name="players", seconds=30 * DAY_SECONDS),),
        parameters=(
            Parameter(
                name="medium_players",
                default=2,
                unit=Unit.COUNT,
                meaning="at least this many players within 30 days, for medium",
                least=2,
                most=64,
            ),
            Parameter(
                name="high_players",
                default=3,
                unit=Unit.COUNT,
                meaning="at least this many players within 30 days, for high",
                least=2,
                most=64,
            ),
        ),
        severities=(
            Severity.MEDIUM,
            Severity.HIGH,
        ),
        effect=Effect.SCORE,
        active_seconds=30 * DAY_SECONDS,
        meaning="One card or account pays for several players: a ring, a stolen card, or a family.",
        formula="different players who registered or used the instrument within 30 days ≥"
        " `high_players` (high) or ≥ `medium_players` (medium)",
        example="3 players used the instrument within 30 days (at least 3).",
        advice="Compare the players' names, devices, bonuses and payouts. Two of one household are"
        " common; strangers are not.",
        source="Common practice. The numbers are ours.",
    ),
    Indicator(
        number=12,
        code="shared_device_or_address",
        title="Shared device or address",
        subjects=(
            Subject.DEVICE,
            Subject.ADDRESS,
        ),
        windows=(
            Window(name="players of a device", seconds=7 * DAY_SECONDS),
            Window(name="players of an address", seconds=DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="device_players",
                default=3,
                unit=Unit.COUNT,
                meaning="at least this many players of one device within 7 days, for medium",
                least=2,
                most=64,
            ),
            Parameter(
                name="address_players",
                default=5,
                unit=Unit.COUNT,
                meaning="at least this many players of one address within 24 hours, for low",
                least=2,
                most=64,
            ),
        ),
        severities=(
            Severity.LOW,
            Severity.MEDIUM,
        ),
        effect=Effect.SCORE,
        active_seconds=7 * DAY_SECONDS,
        meaning="One device, or one network address, serves several players.",
        formula="different players of the device within 7 days ≥ `device_players` (medium); of the"
        " address within 24 hours ≥ `address_players` (low)",
        example="3 players used the device within 7 days (at least 3).",
        advice="Look for the same bonus taken several times and for one hand behind the accounts."
        " An address may belong to a whole dormitory or mobile network.",
        source="Common practice. The numbers are ours.",
    ),
    Indicator(
        number=13,
        code="many_instruments",
        title="Many instruments",
        subjects=(Subject.PLAYER,),
        windows=(
            Window(name="day", seconds=DAY_SECONDS),
            Window(name="week", seconds=7 * DAY_SECONDS),
        ),
        parameters=(
            Parameter(
                name="day_instruments",
                default=3,
                unit=Unit.COUNT,
                meaning="at least this many instruments within 24 hours, for medium",
                least=1,
                most=64,
            ),
            Parameter(
                name="week_instruments",
                default=5,
                unit=Unit.COUNT,
                meaning="at least this many instruments within 7 days, for high",
                least=1,
                most=64,
            ),
        ),
        severities=(
            Severity.MEDIUM,
            Severity.HIGH,
        ),
        effect=Effect.SCORE,
        active_seconds=7 * DAY_SECONDS,
        meaning="One player uses many cards or accounts: few people own so many.",
        formula="different instruments within 7 days ≥ `week_instruments` (high); within 24 hours"
        " ≥ `day_instruments` (medium); looked at when a deposit is attempted",
        example="5 instruments were used within 7 days.",
        advice="Ask whose they are, and look for declines and differing names among them.",
        source="Common practice. The numbers are ours.",
    ),
)
