"""What people agreed to about a withdrawal, and whether it still holds.

Asked when somebody approves, when a screening is done again, and once more before anything is sent.
"""

from datetime import datetime

from domain.approval.roles import Groups, missing_groups
from domain.approval.snapshot import Approval, Change, problems, snapshot_of
from domain.errors import Reason
from domain.player.player import Player
from domain.withdrawal.state import Withdrawal


def snapshot(state: Withdrawal, player: Player, now: datetime) -> str:
    """What an approval given now would be bound to: SHA-256, in hexadecimal."""
    return snapshot_of(state.parts, player, now)


def approval_problems(
    state: Withdrawal, player: Player | None, now: datetime
) -> tuple[tuple[Approval, tuple[Change, ...]], ...]:
    """Each approval, and why it does not count; () for one that does.

    Without a player, whether their standing has changed is left open.
    """
    parts, seconds = state.parts, state.approval_seconds
    return tuple(
        (approval, problems(approval, parts, player, now=now, counts_seconds=seconds))
        for approval in state.approvals
    )


def counting(state: Withdrawal, player: Player, now: datetime) -> tuple[tuple[str, str], ...]:
    """Person and role of each approval that counts."""
    found = approval_problems(state, player, now)
    return tuple((known.person, known.role) for known, why in found if not why)


def missing_approvals(state: Withdrawal, player: Player, now: datetime) -> Groups:
    """Groups of roles of which somebody still has to agree."""
    return missing_groups(state.required, counting(state, player, now))


def recall_reason(state: Withdrawal, player: Player, now: datetime) -> str | None:
    """What has changed since the payout was approved, so that it may not leave; None: nothing.

    What the policy approved by itself does not age; what people approved does.
    """
    if player.stops_payouts:
        return Reason.PLAYER_ON_HOLD
    cleared = state.cleared
    if cleared is None:
        return Change.RECALLED
    found = problems(cleared, state.parts, player, now=now, counts_seconds=state.approval_seconds)
    if Change.PLAYER in found and player.is_excluded(now):
        return Reason.PLAYER_EXCLUDED
    if state.looks_worse:
        return Change.SCORE
    changed = [change for change in found if change is not Change.EXPIRED]
    if changed:
        return changed[0]
    return Change.EXPIRED if missing_approvals(state, player, now) else None
