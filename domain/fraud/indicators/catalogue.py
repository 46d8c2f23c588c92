"""The catalogue: every indicator there is, by number. The numbers are defaults; rule sets change
them."""

from collections.abc import Mapping
from typing import Final

from domain.fraud.indicators.card_attacks import CARD_ATTACKS
from domain.fraud.indicators.declaring import Indicator
from domain.fraud.indicators.duties import DUTIES
from domain.fraud.indicators.instruments import INSTRUMENTS
from domain.fraud.indicators.laundering import LAUNDERING
from domain.fraud.indicators.reversals import REVERSALS
from domain.fraud.indicators.takeover import TAKEOVER


def _number(indicator: Indicator) -> int:
    return indicator.number


INDICATORS: Final[tuple[Indicator, ...]] = tuple(
    sorted((*DUTIES, *LAUNDERING, *TAKEOVER, *INSTRUMENTS, *CARD_ATTACKS, *REVERSALS), key=_number)
)

BY_CODE: Final[Mapping[str, Indicator]] = {one.code: one for one in INDICATORS}
"""The same by code."""
