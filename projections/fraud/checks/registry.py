"""Every check there is, and how every subject is judged."""

from typing import Final

from projections.fraud.checks import (
    institutions,
    instruments,
    patterns,
    paying_in,
    paying_out,
    places,
)
from projections.fraud.judging import Check, Judge
from projections.fraud.others import EVOLVE_OTHERS
from projections.fraud.players import evolve_player
from projections.fraud.states import PlayerState

CHECKS: Final[tuple[Check, ...]] = (
    *paying_in.CHECKS,
    *paying_out.CHECKS,
    *patterns.CHECKS,
    *instruments.CHECKS,
    *places.CHECKS,
    *institutions.CHECKS,
)

JUDGE: Final = Judge({PlayerState: evolve_player, **EVOLVE_OTHERS}, CHECKS)
