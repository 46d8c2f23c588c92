"""What an answer leaves out about how risky a payout looks, for who may not see that.

`permissions.py` says who may see what; here is where it stands in transactions, the queue and
events. A value that is withheld is null, or not there and named as withheld: none is ever another.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.payments.rendering import Plain
from api.permissions import May, hidden_from, may
from domain.approval.snapshot import Change
from domain.errors import Reason
from domain.events import (
    HoldLifted,
    HoldPlaced,
    WithdrawalHeld,
    WithdrawalScored,
    WithdrawalScreened,
)
from domain.fraud.indicators.catalogue import BY_CODE
from domain.player.player import HoldKind

OF_WITHDRAWALS: Final[Mapping[str, May]] = {
    "score": May.SEE_SCORES,
    "high": May.SEE_HITS,
    "hits": May.SEE_HITS,
    "ruleset": May.SEE_HITS,
}
"""Fields of a withdrawal, by what it takes to see them; else they are null."""

OF_EVENTS: Final[Mapping[str, Mapping[str, May]]] = {
    WithdrawalScored.__name__: OF_WITHDRAWALS,
    WithdrawalScreened.__name__: {**OF_WITHDRAWALS, "reasons": May.SEE_SCORES},
    WithdrawalHeld.__name__: {"note": May.SEE_HITS},
    HoldPlaced.__name__: {"reason": May.SEE_HITS},
    HoldLifted.__name__: {"reason": May.SEE_HITS},
}
"""Fields of events, by type, likewise. Why indicators hold something names them, or a case."""

_OTHER_HOLDS: Final = frozenset({HoldKind.PAYMENT, HoldKind.SUPPORT})
"""Of players; their reasons have nothing to do with fraud."""

_OF_SCORES: Final = frozenset(
    {Reason.SCORE_TOO_HIGH, Reason.HIGH_INDICATOR, Reason.HELD_BY_INDICATORS}
)
_OF_POLICY: Final = frozenset[str]({*Reason, *Change}).difference(BY_CODE)
"""Why a payout waits, but for what is also the name of an indicator."""


def shown_to(role: str, body: Plain) -> Plain:
    """A rendered transaction, without what of a withdrawal is not for this role."""
    if body["kind"] != "withdrawal":
        return body
    for name, what in OF_WITHDRAWALS.items():
        if not may(role, what):
            body[name] = None
    body["screening_reasons"] = policy_reasons(body["screening_reasons"], role)
    return body


def policy_reasons(reasons: Iterable[str], role: str) -> tuple[str, ...]:
    """The reasons of the approval policy, without those about the score for who may not see it."""
    sees = may(role, May.SEE_SCORES)
    return tuple(reason for reason in reasons if sees or reason not in _OF_SCORES)


def queue_reasons(reasons: Iterable[str], role: str) -> tuple[str, ...]:
    """Those of a payout that waits, among which indicators are."""
    if may(role, May.SEE_HITS):
        return tuple(reasons)
    return policy_reasons((reason for reason in reasons if reason in _OF_POLICY), role)


def withheld_fields(topic: str, data: Mapping[str, Any], role: str) -> list[str]:
    """Fields of an event that are not for this role, in the order of the table."""
    if data.get("hold") in _OTHER_HOLDS:
        return []
    fields = OF_EVENTS.get(topic, {})
    return [name for name, what in fields.items() if name in data and not may(role, what)]


def not_whole_for(role: str) -> tuple[str, ...]:
    """The types of events that this role does not see, or not whole: where events are as the log
    has them, byte for byte, there are none of these."""
    parts = (
        topic
        for topic, fields in OF_EVENTS.items()
        if not all(may(role, what) for what in fields.values())
    )
    return tuple(sorted({*hidden_from(role), *parts}))
