"""What people and rules decide about a withdrawal before any money leaves."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from domain.approval.policy import Policy
from domain.approval.roles import missing_after, missing_groups
from domain.approval.snapshot import screen
from domain.command import Command, repeated
from domain.errors import (
    AlreadyApproved,
    AmountMayOnlyFall,
    CancellationNotAllowed,
    InvalidTransition,
    NothingToChange,
    Reason,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    Origin,
    WithdrawalAmended,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalEvent,
    WithdrawalHeld,
    WithdrawalInformationProvided,
    WithdrawalInformationRequested,
    WithdrawalRejected,
    WithdrawalReleased,
    WithdrawalRequested,
    WithdrawalScored,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.fraud.assessment import INDICATORS_ACTOR, Assessment, Known
from domain.fraud.indicators.catalogue import BY_CODE
from domain.money import Money
from domain.player.player import Player
from domain.provider.provider import Provider
from domain.replacing import replace
from domain.withdrawal.approvals import counting, snapshot
from domain.withdrawal.closed_loop import Plan
from domain.withdrawal.legs import Leg, LegStatus, net_counts, taken, taken_by_plan
from domain.withdrawal.sending import planned_legs, queue_legs, retry_withdrawal, submit_withdrawal
from domain.withdrawal.state import Withdrawal, WithdrawalStatus

__all__ = [
    "amend_withdrawal",
    "approve_withdrawal",
    "cancel_withdrawal",
    "hold_withdrawal",
    "provide_information",
    "reject_withdrawal",
    "release_withdrawal",
    "request_information",
    "request_withdrawal",
    "retry_withdrawal",
    "score_withdrawal",
    "screen_withdrawal",
    "submit_withdrawal",
]

_CANCELLABLE = frozenset(
    {WithdrawalStatus.REQUESTED, WithdrawalStatus.SCREENING, WithdrawalStatus.UNDER_REVIEW}
)
_AMENDABLE = _CANCELLABLE | {WithdrawalStatus.INFO_REQUIRED, WithdrawalStatus.HELD}
_SCORERS = frozenset({"platform", "fraud", "compliance"})
"""Roles that may say how risky a payout looks; so may jobs."""

_REJECTABLE = frozenset(
    {WithdrawalStatus.UNDER_REVIEW, WithdrawalStatus.INFO_REQUIRED, WithdrawalStatus.HELD}
)


def request_withdrawal(
    withdrawal_id: UUID,
    command: Command,
    *,
    player: Player,
    provider: Provider,
    method: str,
    amount: Money,
    instrument: str | None,
    metadata: Mapping[str, str],
    origin: Origin | None = None,
    plan: Plan,
    refusal: Reason | None = None,
) -> tuple[WithdrawalEvent, ...]:
    """Register the request and reserve the funds; with a `refusal`, record it and reserve none.

    `plan` says where the money goes, see `plan_legs`; its legs make up the amount.
    """
    takes = taken_by_plan(plan.legs) if refusal is None else {}
    requested = WithdrawalRequested(
        **command.header(withdrawal_id, 1),
        request_digest=command.request_digest,
        player_id=player.id,
        provider=provider.name,
        method=method,
        amount=amount,
        instrument=instrument,
        metadata=metadata,
        origin=origin,
        reserved=refusal is None,
        legs=plan.legs,
        closed_loop=plan.closed_loop,
        counts=net_counts(player.id, amount.currency, before={}, after=takes),
    )
    if refusal is None:
        return (requested,)
    rejected = WithdrawalRejected(
        **command.header(withdrawal_id, 2),
        request_digest=command.request_digest,
        player_id=player.id,
        reason=refusal,
        note="",
        released=None,
        counts=(),
    )
    return requested, rejected


def amend_withdrawal(
    state: Withdrawal,
    command: Command,
    *,
    plan: Plan,
    amount: Money,
    instrument: str | None,
    note: str,
) -> WithdrawalAmended | None:
    """Take less, or pay to another instrument; None if this command did so already.

    The difference is released, the withdrawal is screened again, and no approval counts.

    Raises:
        InvalidTransition: it is approved or further, or a part of it has been sent or settled.
        AmountMayOnlyFall: it would be more, or in another currency.
        NothingToChange: amount and instrument are so already.
    """
    if repeated(state.commands, command):
        return None
    waits = all(leg.status is LegStatus.PLANNED and not leg.attempt_sent for leg in state.legs)
    if state.status not in _AMENDABLE or not waits:
        raise InvalidTransition(state.status, "amended")
    if amount.currency != state.amount.currency or amount.amount > state.amount.amount:
        raise AmountMayOnlyFall
    if (amount, instrument) == (state.amount, state.instrument):
        raise NothingToChange
    less = state.amount.amount - amount.amount
    before, after = taken(state.legs), taken_by_plan(plan.legs)
    return WithdrawalAmended(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        amount=amount,
        instrument=instrument,
        legs=plan.legs,
        closed_loop=plan.closed_loop,
        origin=state.origin,
        released=Money(less, amount.currency) if less else None,
        note=note,
        counts=net_counts(state.player_id, amount.currency, before=before, after=after),
    )


def score_withdrawal(
    state: Withdrawal, command: Command, *, score: int, high: tuple[str, ...], ruleset: str
) -> WithdrawalScored | None:
    """Record how risky it looks, until the last of it is sent; None if this command did so already.

    What indicators find is recorded as long as it may come back, to be sent again.
    `score`: 0 to 100. What is under review is screened again, what is queued is recalled when it
    would be sent, and what is held or waits for the player is screened again afterwards.

    Raises:
        InvalidTransition: all of it has been sent, or has ended.
        NothingToChange: they said the same before: the indicators, or whoever else scores.
        RoleNotAllowed: the person's role says nothing about risk.
    """
    if repeated(state.commands, command):
        return None
    if command.role and command.role not in _SCORERS:
        raise RoleNotAllowed(f"A payout is scored by {', '.join(sorted(_SCORERS))}.")
    by_indicators = command.actor == INDICATORS_ACTOR
    if not state.may_be_sent and not (by_indicators and state.reserved):
        raise InvalidTransition(state.status, "scored")
    said_before = state.found if by_indicators else state.scored
    if said_before == Known(score=score, high=high):
        raise NothingToChange
    return WithdrawalScored(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        score=score,
        high=high,
        ruleset=ruleset,
    )


def screen_withdrawal(
    state: Withdrawal,
    command: Command,
    *,
    player: Player,
    policy: Policy,
    assessment: Assessment,
    in_policy_currency: Money | None,
    deposited_minor: int,
    wagered_minor: int,
) -> tuple[WithdrawalEvent, ...]:
    """Check what the policy asks for; where nobody has to agree any more, approve and queue.

    What the indicators say holds it, where they say so: of the request, and what they found since.
    What somebody else scored it counts too, and never for less than the indicators do.
    `in_policy_currency`: the amount at the latest rate, None where there is none.
    `deposited_minor` and `wagered_minor`: all the player ever did, in the amount's currency.

    Raises:
        InvalidTransition: it has been screened.
    """
    if state.status is not WithdrawalStatus.REQUESTED:
        raise InvalidTransition(state.status, "screened")
    known = Known(score=assessment.score, high=assessment.high)
    known = known.and_also(state.found).and_also(state.scored)
    stopping = _stopping(state, assessment)
    holds = bool(stopping) or known.score >= assessment.hold_from
    screening = screen(
        policy,
        player,
        state.amount,
        in_policy_currency=in_policy_currency,
        closed_loop=state.closed_loop,
        score=known.score,
        high=known.high,
        on_hold=holds,
        deposited_minor=deposited_minor,
        wagered_minor=wagered_minor,
    )
    started = WithdrawalScreeningStarted(**command.header(state.id, state.version + 1))
    screened = WithdrawalScreened(
        **command.header(state.id, state.version + 2),
        reasons=screening.reasons,
        required=screening.required,
        policy=screening.policy,
        approval_seconds=screening.approval_seconds,
        score=known.score,
        high=known.high,
        hits=assessment.hits,
        ruleset=assessment.ruleset,
    )
    if holds and not _was_released(state, known):
        why = ", ".join(stopping) or f"score {known.score}"
        return started, screened, _held_by_rules(state, command, f"{why}, by {assessment.ruleset}")
    judged = replace(state, score=known.score, high=known.high)
    if missing_groups(screening.required, counting(judged, player, command.now)):
        return started, screened
    approved = WithdrawalApproved(
        **command.header(state.id, state.version + 3),
        request_digest=command.request_digest,
        person="",
        role="",
        snapshot=snapshot(judged, player, command.now),
        note=f"policy {screening.policy} asks for nobody"
        if not screening.required
        else f"everybody whom policy {screening.policy} asks for has agreed",
    )
    return started, screened, approved, *queue_legs(state, command, planned_legs(state), ahead=4)


def _stopping(state: Withdrawal, assessment: Assessment) -> tuple[str, ...]:
    """Indicators that stop it by themselves: of the request, or found since."""
    since = state.found.high if state.found else ()
    found = (code for code in since if code in BY_CODE and BY_CODE[code].effect.holds)
    return tuple(sorted({*assessment.holds, *found}))


def _was_released(state: Withdrawal, known: Known) -> bool:
    """Compliance has let it go, knowing at least as much as is known now."""
    return state.released_at is not None and state.released_at.covers(known)


def _held_by_rules(state: Withdrawal, command: Command, why: str) -> WithdrawalHeld:
    return WithdrawalHeld(
        **command.header(state.id, state.version + 3),
        request_digest=command.request_digest,
        note=why,
    )


def approve_withdrawal(
    state: Withdrawal, command: Command, *, player: Player, note: str
) -> tuple[WithdrawalEvent, ...]:
    """Agree to the payout as it is now; the last one who has to agree queues what is not sent.

    () if this command did so already.

    Raises:
        InvalidTransition: it is not under review.
        SelfApproval: the person requested or amended it.
        AlreadyApproved: the person has agreed, and it still counts.
        RoleNotAllowed: nobody of their role is missing.
    """
    if repeated(state.commands, command):
        return ()
    if state.status is not WithdrawalStatus.UNDER_REVIEW:
        raise InvalidTransition(state.status, "approved")
    if command.person == state.requested_by or command.person in state.amended_by:
        raise SelfApproval
    given = counting(state, player, command.now)
    if any(person == command.person for person, _ in given):
        raise AlreadyApproved
    missing = missing_after(state.required, given, person=command.person, role=command.role)
    kind = WithdrawalApprovalGiven if missing else WithdrawalApproved
    agreed = kind(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        role=command.role,
        snapshot=snapshot(state, player, command.now),
        note=note,
    )
    if missing:
        return (agreed,)
    return agreed, *queue_legs(state, command, planned_legs(state), ahead=2)


def reject_withdrawal(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalRejected | None:
    """Refuse what has not been sent and release its funds; None if this command did so already.

    Raises:
        InvalidTransition: it is neither under review nor held.
        RoleNotAllowed: it is held, and the person is not of compliance.
    """
    if repeated(state.commands, command):
        return None
    if state.status not in _REJECTABLE:
        raise InvalidTransition(state.status, "rejected")
    _only_compliance_ends_a_hold(state, command)
    unsent = [leg for leg in state.legs if leg.is_unsent]
    return WithdrawalRejected(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=Reason.DECIDED_BY_OPERATOR,
        note=note,
        released=_sum(state, unsent),
        counts=net_counts(state.player_id, state.amount.currency, before=taken(unsent), after={}),
    )


def hold_withdrawal(state: Withdrawal, command: Command, *, note: str) -> WithdrawalHeld | None:
    """Stop the decision until the hold is released; None if this command did so already.

    Raises:
        InvalidTransition: it is not under review.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.UNDER_REVIEW:
        raise InvalidTransition(state.status, "held")
    return WithdrawalHeld(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def release_withdrawal(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalReleased | None:
    """End the hold; None if this command did so already.

    Raises:
        InvalidTransition: it is not held.
        RoleNotAllowed: the person is not of compliance.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.HELD:
        raise InvalidTransition(state.status, "released")
    _only_compliance_ends_a_hold(state, command)
    return WithdrawalReleased(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def _only_compliance_ends_a_hold(state: Withdrawal, command: Command) -> None:
    if state.status is WithdrawalStatus.HELD and command.role != "compliance":
        raise RoleNotAllowed("A held payout is released or rejected by compliance.")


def request_information(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalInformationRequested | None:
    """Ask the player something first; None if this command did so already.

    Raises:
        InvalidTransition: it is not under review.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.UNDER_REVIEW:
        raise InvalidTransition(state.status, "asked about")
    return WithdrawalInformationRequested(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def provide_information(
    state: Withdrawal, command: Command, *, note: str
) -> WithdrawalInformationProvided | None:
    """Record the player's answer; None if this command did so already.

    Raises:
        InvalidTransition: nothing was asked.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.INFO_REQUIRED:
        raise InvalidTransition(state.status, "answered")
    return WithdrawalInformationProvided(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        note=note,
    )


def cancel_withdrawal(
    state: Withdrawal,
    command: Command,
    *,
    reason: str,
    by_player: bool = False,
    player_may_cancel: bool = True,
) -> WithdrawalCancelled | None:
    """Give up what has not been sent and release its funds; None if this command did so already.

    `player_may_cancel`: whether the player's jurisdiction lets them cancel by themselves.

    Raises:
        CancellationNotAllowed: the player asks, and may not.
        InvalidTransition: it is approved or further, and no leg waits for another attempt; or a
            leg is in the queue or in review.
    """
    if repeated(state.commands, command):
        return None
    if by_player and not player_may_cancel:
        raise CancellationNotAllowed
    if state.status not in _CANCELLABLE and not _failed_for_now(state):
        raise InvalidTransition(state.status, "cancelled")
    unsent = [leg for leg in state.legs if leg.is_unsent]
    return WithdrawalCancelled(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=reason,
        released=_sum(state, unsent),
        counts=net_counts(state.player_id, state.amount.currency, before=taken(unsent), after={}),
    )


def _failed_for_now(state: Withdrawal) -> bool:
    """A leg waits for another attempt, and none is in the queue, in review or to be decided on."""
    stopped = (LegStatus.QUEUED, LegStatus.REVIEW, LegStatus.PLANNED)
    return any(leg.waits_for_retry for leg in state.legs) and not any(
        leg.status in stopped for leg in state.legs
    )


def _sum(state: Withdrawal, legs: Iterable[Leg]) -> Money:
    return Money(sum(leg.amount.amount for leg in legs), state.amount.currency)
