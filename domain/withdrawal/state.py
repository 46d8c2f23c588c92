"""Withdrawal: state · evolve. A player's request to be paid, from request to receipt.

The money goes out in legs (`legs.py`), each with attempts of its own; where the withdrawal stands
follows from them, see `status.py`. Decisions of people are in `decisions.py`, what is sent in
`sending.py`, reports of providers in `reports.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.approval.roles import Groups
from domain.approval.snapshot import ANYBODY, Approval, Parts, changes, parts_of
from domain.command import remember
from domain.events import (
    NoticeNoted,
    Origin,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
    WeighedHit,
    WithdrawalAmended,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalEvent,
    WithdrawalHeld,
    WithdrawalInformationProvided,
    WithdrawalInformationRequested,
    WithdrawalPaid,
    WithdrawalProcessing,
    WithdrawalQueued,
    WithdrawalRecalled,
    WithdrawalRejected,
    WithdrawalReleased,
    WithdrawalRequested,
    WithdrawalReturned,
    WithdrawalScored,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.events.evidence import Evidence
from domain.fraud.assessment import INDICATORS_ACTOR, Known
from domain.money import Money
from domain.provider.resolution import Proposal
from domain.replacing import replace
from domain.withdrawal.legs import Leg, LegEvent, LegStatus, evolve_leg, leg_of, planned
from domain.withdrawal.status import WithdrawalStatus, status_of

__all__ = ["Withdrawal", "WithdrawalStatus", "evolve_withdrawal", "fold_withdrawal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A player's request to be paid."""

    id: UUID
    version: int
    decision: WithdrawalStatus
    """How far people and rules are: requested, screening, under_review, info_required, held,
    approved, rejected or cancelled."""
    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    origin: Origin | None = None
    requested_by: str
    """The person whose key made the request: they cannot approve it."""
    amended_by: frozenset[str] = frozenset()
    """They cannot approve it either."""
    created_at: datetime
    updated_at: datetime
    asked_version: int = 1
    """Of the event that says what is asked for: the request, or the last amendment."""
    legs: tuple[Leg, ...]
    closed_loop: bool
    """Every leg goes to an instrument the player has paid in with, or they never paid in."""
    score: int | None = None
    """0 to 100; None: nobody has said."""
    high: tuple[str, ...] = ()
    """Indicators of high or critical severity."""
    scored: Known | None = None
    """What somebody said last, apart from our own indicators; None: nobody has."""
    found: Known | None = None
    """What our own indicators have found since it was asked for; nobody takes it back."""
    judged: Known | None = None
    """What its last screening came to."""
    hits: tuple[WeighedHit, ...] = ()
    """What its own screening counted."""
    ruleset: str | None = None
    """By which it was judged last."""
    released_at: Known | None = None
    """What was known when compliance last let it go, of what is asked for now."""
    screened: bool = False
    """As it is now: neither amended nor scored again since."""
    screening_reasons: tuple[str, ...] = ()
    required: Groups = ()
    """One person for each group, who has any role of it."""
    approval_seconds: int = 0
    """How long an approval counts."""
    approvals: tuple[Approval, ...] = ()
    """The latest of each person, whether or not it still counts."""
    cleared: Approval | None = None
    """What the payout was approved as, by the last person or by the policy."""
    decision_reason: str | None = None
    """Why it was rejected or cancelled."""
    reference: str | None = None
    """Of the attempt submitted last."""
    provider_reference: str | None = None
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""

    @property
    def status(self) -> WithdrawalStatus:
        """Where it stands, see `status_of`."""
        return status_of(self.decision, self.legs)

    @property
    def reason(self) -> str | None:
        """Why it stands there: of a review first, then of a rejection, then of a leg."""
        reviewed = [leg.reason for leg in self.legs if leg.status is LegStatus.REVIEW]
        if reviewed:
            return reviewed[0]
        if any(leg.status is LegStatus.RELEASED for leg in self.legs):
            return self.decision_reason
        return next((leg.reason for leg in self.legs if leg.reason), None)

    @property
    def reserved(self) -> bool:
        """Some of it is reserved, to be paid or given back."""
        return any(leg.reserved for leg in self.legs)

    @property
    def reserved_minor(self) -> int:
        """How much stands on the player's reserved account because of it, in minor units."""
        return sum(leg.amount.amount if leg.reserved else leg.held_minor for leg in self.legs)

    @property
    def may_be_sent(self) -> bool:
        """Some of it is still to go to the provider, as far as is known."""
        return any(leg.is_unsent or leg.status is LegStatus.QUEUED for leg in self.legs)

    @property
    def known(self) -> Known:
        """How risky it looks to who decides about it."""
        return Known(score=self.score or 0, high=self.high)

    @property
    def looks_worse(self) -> bool:
        """Our own indicators have found what its score does not say."""
        return self.found is not None and not self.known.covers(self.found)

    @property
    def attempt(self) -> int:
        """The number of the latest attempt of any leg; 0: there is none."""
        return max(leg.attempt for leg in self.legs)

    @property
    def polls(self) -> int:
        """How often the provider was asked about the leg that was asked about most."""
        return max(leg.polls for leg in self.legs)

    @property
    def retry_at(self) -> datetime | None:
        """When the next leg is due for another attempt."""
        return min((leg.retry_at for leg in self.legs if leg.retry_at), default=None)

    @property
    def proposal(self) -> Proposal | None:
        """How the first review that somebody has a proposal for should end."""
        return next((leg.proposal for leg in self.legs if leg.proposal), None)

    @property
    def parts(self) -> Parts:
        """What people agree to."""
        return parts_of(
            amount=self.amount,
            instrument=self.instrument,
            legs=[leg.plan for leg in self.legs],
            score=self.score,
            high=self.high,
        )


def evolve_withdrawal(state: Withdrawal | None, event: WithdrawalEvent) -> Withdrawal:
    """The withdrawal after `event`."""
    if isinstance(event, WithdrawalRequested):
        return _requested(event)
    if state is None:
        raise ValueError(f"a withdrawal's history cannot begin with {type(event).__name__}")
    return _heard(_moved(state, event), event)


def fold_withdrawal(
    state: Withdrawal | None, events: Iterable[WithdrawalEvent]
) -> Withdrawal | None:
    """The withdrawal after `events`, in order."""
    for event in events:
        state = evolve_withdrawal(state, event)
    return state


def _requested(event: WithdrawalRequested) -> Withdrawal:
    return Withdrawal(
        id=event.originator_id,
        version=event.originator_version,
        decision=WithdrawalStatus.REQUESTED,
        player_id=event.player_id,
        provider=event.provider,
        method=event.method,
        amount=event.amount,
        instrument=event.instrument,
        metadata=event.metadata,
        origin=event.origin,
        requested_by=event.actor.partition(":")[2],
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        legs=planned(event.legs, reserved=event.reserved),
        closed_loop=event.closed_loop,
        commands={event.command_id: event.request_digest},
    )


def _moved(state: Withdrawal, event: WithdrawalEvent) -> Withdrawal:
    match event:
        case WithdrawalRequested():
            raise ValueError("a withdrawal is requested once")
        case WithdrawalAmended():
            return _amended(state, event)
        case WithdrawalScored():
            scored = _scored(state, event)
            under_review = state.decision is WithdrawalStatus.UNDER_REVIEW
            return _to_be_screened(scored) if under_review else scored
        case WithdrawalScreeningStarted():
            return replace(state, decision=WithdrawalStatus.SCREENING)
        case WithdrawalScreened():
            review = bool(event.required)
            return replace(
                state,
                decision=WithdrawalStatus.UNDER_REVIEW if review else WithdrawalStatus.SCREENING,
                screened=True,
                screening_reasons=event.reasons,
                required=event.required,
                approval_seconds=event.approval_seconds,
                score=event.score,
                high=event.high,
                judged=Known(score=event.score, high=event.high),
                hits=event.hits,
                ruleset=event.ruleset,
            )
        case WithdrawalApprovalGiven():
            return _agreed(state, event)
        case WithdrawalApproved():
            agreed = _agreed(state, event) if event.person else state
            return replace(
                agreed, decision=WithdrawalStatus.APPROVED, cleared=_approval(state, event)
            )
        case WithdrawalInformationRequested():
            return replace(state, decision=WithdrawalStatus.INFO_REQUIRED)
        case WithdrawalInformationProvided():
            return _review_again(state)
        case WithdrawalReleased():
            return _review_again(replace(state, released_at=state.known.and_also(state.judged)))
        case WithdrawalHeld():
            return replace(state, decision=WithdrawalStatus.HELD)
        case WithdrawalRecalled():
            return _recalled(state, event)
        case WithdrawalRejected():
            return _taken_back(state, WithdrawalStatus.REJECTED, event.reason)
        case WithdrawalCancelled():
            return _taken_back(state, WithdrawalStatus.CANCELLED, event.reason)
        case (
            WithdrawalQueued()
            | WithdrawalProcessing()
            | WithdrawalPaid()
            | WithdrawalReturned()
            | TransactionSubmitted()
            | TransactionPending()
            | TransactionUnknown()
            | TransactionFailed()
            | NoticeNoted()
            | ReviewOpened()
            | ResolutionProposed()
            | TransactionResolved()
        ):
            return _of_a_leg(state, event)
        case _:
            assert_never(event)


def _of_a_leg(state: Withdrawal, event: LegEvent) -> Withdrawal:
    about = leg_of(state.legs, event)
    changed = evolve_leg(about, event)
    reference = event.reference if isinstance(event, TransactionSubmitted) else state.reference
    legs = tuple(changed if leg is about else leg for leg in state.legs)
    return replace(state, legs=legs, reference=reference)


def _scored(state: Withdrawal, event: WithdrawalScored) -> Withdrawal:
    """Others may think better of what they said; what our own indicators found stays.

    Where all of it is under way, that does not change what it was sent by: it matters should an
    attempt fail and be made again.
    """
    known = Known(score=event.score, high=event.high)
    if event.actor == INDICATORS_ACTOR:
        state = replace(state, found=known.and_also(state.found), screened=False)
        if not state.may_be_sent:
            return state
    else:
        state = replace(state, scored=known, screened=False)
    return replace(state, score=event.score, high=event.high, ruleset=event.ruleset)


def _amended(state: Withdrawal, event: WithdrawalAmended) -> Withdrawal:
    """What is held, or waits for the player, still does so; it is screened again afterwards.

    It is then judged by all that indicators have found by now, and nobody has let that go.
    """
    amended = replace(
        state,
        amount=event.amount,
        instrument=event.instrument,
        legs=planned(event.legs, reserved=True),
        closed_loop=event.closed_loop,
        asked_version=event.originator_version,
        amended_by=state.amended_by | {event.actor.partition(":")[2]},
        screened=False,
        found=None,
        released_at=None,
    )
    approvals = tuple(
        replace(known, changed=changes(known, amended.parts)) for known in state.approvals
    )
    amended = replace(amended, approvals=approvals)
    stopped = state.decision in (WithdrawalStatus.HELD, WithdrawalStatus.INFO_REQUIRED)
    return amended if stopped else _to_be_screened(amended)


def _to_be_screened(state: Withdrawal) -> Withdrawal:
    return replace(state, decision=WithdrawalStatus.REQUESTED, screening_reasons=(), required=())


def _review_again(state: Withdrawal) -> Withdrawal:
    """Who has to agree is known only if nothing it depends on has changed since."""
    if not state.screened:
        return _to_be_screened(state)
    return replace(state, decision=WithdrawalStatus.UNDER_REVIEW)


def _agreed(state: Withdrawal, event: WithdrawalApprovalGiven | WithdrawalApproved) -> Withdrawal:
    others = (known for known in state.approvals if known.person != event.person)
    return replace(state, approvals=(*others, _approval(state, event)))


def _approval(state: Withdrawal, event: WithdrawalApprovalGiven | WithdrawalApproved) -> Approval:
    return Approval(
        person=event.person,
        role=event.role,
        at=event.occurred_at,
        version=event.originator_version,
        snapshot=event.snapshot,
        parts=state.parts,
    )


def _recalled(state: Withdrawal, event: WithdrawalRecalled) -> Withdrawal:
    """Legs that have not been sent wait for a decision again, whatever became of the others."""
    waiting = (LegStatus.QUEUED, LegStatus.FAILED)
    legs = tuple(
        replace(leg, status=LegStatus.PLANNED, retry_at=None)
        if leg.status in waiting and leg.reserved
        else leg
        for leg in state.legs
    )
    recalled = replace(
        state,
        legs=legs,
        approvals=tuple(replace(approval, recalled=True) for approval in state.approvals),
        cleared=None,
        required=state.required or (ANYBODY,),
        screening_reasons=(*state.screening_reasons, event.reason),
    )
    return _review_again(recalled)


def _taken_back(state: Withdrawal, decision: WithdrawalStatus, reason: str) -> Withdrawal:
    legs = tuple(
        replace(leg, status=LegStatus.RELEASED, reserved=False, retry_at=None)
        if leg.is_unsent
        else leg
        for leg in state.legs
    )
    return replace(state, decision=decision, decision_reason=reason, legs=legs)


def _heard(state: Withdrawal, event: WithdrawalEvent) -> Withdrawal:
    """Version, time, and the notices and commands that are never acted on twice."""
    evidence: Evidence | None = getattr(event, "evidence", None)
    notices, provider_reference = state.notices, state.provider_reference
    if evidence is not None:
        notices = notices | {evidence.notice_id} if evidence.notice_id else notices
        provider_reference = evidence.provider_reference or provider_reference
    return replace(
        state,
        version=event.originator_version,
        updated_at=event.occurred_at,
        notices=notices,
        provider_reference=provider_reference,
        commands=remember(state.commands, event),
    )
