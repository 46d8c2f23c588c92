"""Adjustments: everything that may be decided."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from domain import accounts
from domain.adjustment.decisions import (
    AdjustmentReason,
    approve_adjustment,
    reject_adjustment,
    request_adjustment,
)
from domain.adjustment.state import Adjustment, AdjustmentStatus
from domain.errors import Reason
from domain.events import Move
from tallystick.reference.arrows.exploring import Decision, Machine
from tallystick.reference.arrows.samples import AMOUNT, ANN, CLEO, SAMPLE_ID, STREAM

_MOVE: Final = Move(
    source=accounts.adjustments(AMOUNT.currency),
    target=accounts.available(SAMPLE_ID, AMOUNT.currency),
    money=AMOUNT,
)


def _first() -> Iterator[Decision]:
    yield partial(
        request_adjustment,
        *(STREAM, ANN),
        player_id=SAMPLE_ID,
        moves=(_MOVE,),
        reason=AdjustmentReason.GOODWILL,
        grounds="a ticket",
        transaction_id=None,
        metadata={},
    )


def _following(state: Adjustment) -> Iterator[Decision]:
    for refusal in (None, Reason.INSUFFICIENT_FUNDS):
        yield partial(approve_adjustment, state, CLEO, note="seen", refusal=refusal)
    yield partial(reject_adjustment, state, CLEO, note="seen")


ADJUSTMENTS: Final = Machine(
    kind=Adjustment,
    statuses=AdjustmentStatus,
    first=_first,
    following=_following,
    essence=lambda state: state.status,
)
