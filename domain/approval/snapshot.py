"""Approvals: who has to agree to a payout, and whether what they agreed to is still what it is.

An approval is bound to a snapshot of what the person saw. Any change of it, and time, void the
approval; `problems` says which.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from domain.approval.policy import Policy
from domain.approval.roles import Groups
from domain.errors import Reason
from domain.events import PlannedLeg
from domain.money import Money, exponent
from domain.player.player import Player, Verification

ANYBODY: Final = ("fraud", "finance")
"""Whoever may look at a payout that no tier asks anybody for."""

# --- what an approval is bound to ---------------------------------------------------------------


class Change(StrEnum):
    """Why an approval does not count any more."""

    AMOUNT = "amount_changed"
    INSTRUMENT = "instrument_changed"
    LEGS = "legs_changed"
    SCORE = "score_changed"
    PLAYER = "player_changed"
    EXPIRED = "expired"
    RECALLED = "recalled"
    """The payout has been taken out of the queue since."""


Parts = Mapping[str, str]
"""What people agree to, part by part, each in one canonical text."""

_CHANGES = {
    "amount": Change.AMOUNT,
    "instrument": Change.INSTRUMENT,
    "legs": Change.LEGS,
    "score": Change.SCORE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody's agreement; of the policy's own, person and role are empty."""

    person: str
    role: str
    at: datetime
    version: int
    """Of the withdrawal, with the approval in it."""
    snapshot: str
    """SHA-256, in hexadecimal, of everything they agreed to, the player's standing included."""
    parts: Parts
    """The same without the player's standing."""
    recalled: bool = False
    changed: tuple[Change, ...] = ()
    """What an amendment has changed since, even if another one has changed it back."""


def parts_of(
    *,
    amount: Money,
    instrument: str | None,
    legs: Iterable[PlannedLeg],
    score: int | None,
    high: Iterable[str],
) -> Parts:
    """What of a withdrawal people agree to."""
    routes = [
        [leg.leg, leg.provider, leg.method, leg.instrument, leg.amount.amount] for leg in legs
    ]
    return {
        "amount": _text([amount.amount, amount.currency]),
        "instrument": _text([instrument]),
        "legs": _text(routes),
        "score": _text([score, sorted(high)]),
    }


def snapshot_of(parts: Parts, player: Player, now: datetime) -> str:
    """SHA-256 over `parts` and how the player stands at `now`, in hexadecimal."""
    standing = [player.is_excluded(now), player.verification.value, player.stops_payouts]
    return sha256(_text({**parts, "player": _text(standing)}).encode()).hexdigest()


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def problems(
    approval: Approval,
    parts: Parts,
    player: Player | None,
    *,
    now: datetime,
    counts_seconds: int,
) -> tuple[Change, ...]:
    """Why the approval does not count at `now`; () while it does.

    `parts` are those of the withdrawal as it is. That the player's standing has changed follows
    from the snapshot: made of the parts agreed to and the present standing, it is another one.
    Without a player, that is left open.
    """
    found = list(changes(approval, parts))
    if player is not None and snapshot_of(approval.parts, player, now) != approval.snapshot:
        found.append(Change.PLAYER)
    if now >= approval.at + timedelta(seconds=counts_seconds):
        found.append(Change.EXPIRED)
    if approval.recalled:
        found.append(Change.RECALLED)
    return tuple(found)


def changes(approval: Approval, parts: Parts) -> tuple[Change, ...]:
    """What of the withdrawal is not, or has not stayed, as it was agreed to."""
    return tuple(
        change
        for part, change in _CHANGES.items()
        if change in approval.changed or parts[part] != approval.parts[part]
    )


# --- who has to agree ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What the policy asks for, and why."""

    required: Groups
    reasons: tuple[str, ...]
    policy: str
    approval_seconds: int


def screen(
    policy: Policy,
    player: Player,
    amount: Money,
    *,
    in_policy_currency: Money | None,
    closed_loop: bool,
    score: int | None,
    high: tuple[str, ...],
    on_hold: bool = False,
    deposited_minor: int,
    wagered_minor: int,
) -> Screening:
    """Who has to agree to this payout, and the reasons why.

    `in_policy_currency` is the amount at the rates in force; None where there is no rate: then
    whole units of its own currency are compared, and a person has to look.
    `on_hold`: its indicators stop it; compliance lets it go, and has to agree as well.
    `deposited_minor` and `wagered_minor` are in the amount's currency.
    """
    terms = policy.terms
    compared = in_policy_currency or amount
    required = next(
        tier.required
        for tier in terms.tiers
        if tier.limit_major is None
        or compared.amount <= tier.limit_major * 10 ** exponent(compared.currency)
    )
    reasons: list[str] = [Reason.ABOVE_AUTOMATIC_LIMIT] if required else []
    if score is not None and score >= terms.score_below:
        reasons.append(Reason.SCORE_TOO_HIGH)
        required = _and(required, ("fraud",))
    if high:
        reasons.append(Reason.HIGH_INDICATOR)
        for group in terms.high_required:
            required = _and(required, group)
    if on_hold:
        reasons.append(Reason.HELD_BY_INDICATORS)
        required = _and(required, ("compliance",))
    doubts = {
        Reason.PLAYER_UNVERIFIED: player.verification is not Verification.FULL,
        Reason.PLAYER_ON_HOLD: player.stops_payouts,
        Reason.OUTSIDE_CLOSED_LOOP: not closed_loop,
        Reason.LOW_TURNOVER: wagered_minor * 100 < deposited_minor * terms.turnover_percent_min,
        Reason.NO_RATE: in_policy_currency is None,
    }
    reasons += [reason for reason, doubtful in doubts.items() if doubtful]
    if any(doubts.values()):
        required = _and(required, ANYBODY)
    return Screening(
        required=required,
        reasons=tuple(reasons),
        policy=policy.name,
        approval_seconds=terms.approval_seconds,
    )


def _and(required: Groups, group: tuple[str, ...]) -> Groups:
    """`required`, and somebody of `group` among them: one more person only where it takes one."""
    roles = set(group)
    if any(roles.issuperset(known) for known in required):
        return required
    for index, known in enumerate(required):
        if roles.issubset(known):
            return (*required[:index], group, *required[index + 1 :])
    return (*required, group)
