"""Who must agree to a withdrawal: a policy of tiers by amount, with a version of its own."""

from dataclasses import dataclass

from domain.errors import Reason
from domain.money import Money, exponent
from domain.player import Player, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTier:
    """Up to `limit_major` whole units of any currency, so many people have to agree."""

    limit_major: int | None
    approvals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicy:
    """Tiers by amount, lowest first; the last one has no limit."""

    version: str
    tiers: tuple[ApprovalTier, ...]


DEFAULT_POLICY = ApprovalPolicy(
    version="default-1",
    tiers=(
        ApprovalTier(limit_major=500, approvals=0),
        ApprovalTier(limit_major=2_000, approvals=1),
        ApprovalTier(limit_major=None, approvals=2),
    ),
)
"""Up to 500.00 nobody, up to 2,000.00 one person, above that two; identity must be verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What the policy asks for, and why."""

    approvals_required: int
    reasons: tuple[str, ...]
    policy: str


def screen(policy: ApprovalPolicy, player: Player, amount: Money) -> Screening:
    """How many people have to agree to this payout, and the reasons why."""
    required = next(
        tier.approvals
        for tier in policy.tiers
        if tier.limit_major is None
        or amount.amount <= tier.limit_major * 10 ** exponent(amount.currency)
    )
    reasons = [Reason.ABOVE_AUTOMATIC_LIMIT] if required else []
    if player.verification is not Verification.FULL:
        reasons.append(Reason.PLAYER_UNVERIFIED)
    if player.on_hold:
        reasons.append(Reason.PLAYER_ON_HOLD)
    return Screening(
        approvals_required=max(required, 1) if reasons else 0,
        reasons=tuple(reasons),
        policy=policy.version,
    )
