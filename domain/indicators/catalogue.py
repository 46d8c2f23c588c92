"""The catalogue: every indicator there is, by number. The numbers are defaults; rule sets change
them."""

from collections.abc import Mapping
from typing import Final

from domain.indicators.card_attacks import CARD_ATTACKS
from domain.indicators.declaring import Indicator
from domain.indicators.duties import DUTIES
from domain.indicators.instruments import INSTRUMENTS
from domain.indicators.laundering import LAUNDERING
from domain.indicators.reversals import REVERSALS
from domain.indicators.takeover import TAKEOVER


def _number(indicator: Indicator) -> int:
    return indicator.number


INDICATORS: Final[tuple[Indicator, ...]] = tuple(
    sorted((*DUTIES, *LAUNDERING, *TAKEOVER, *INSTRUMENTS, *CARD_ATTACKS, *REVERSALS), key=_number)
)

BY_CODE: Final[Mapping[str, Indicator]] = {one.code: one for one in INDICATORS}
"""The same by code."""
