"""A payout and its legs as read models keep them: what its status and next tasks follow from."""

from collections.abc import Iterable, Sequence
from typing import assert_never, cast

import msgspec
from msgspec.structs import replace

from domain.errors import Reason
from domain.events import (
    NoticeNoted,
    PlannedLeg,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
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
from domain.provider.attempt import parse_reference
from domain.withdrawal import legs as domain_legs
from domain.withdrawal.legs import LegEvent, LegStatus
from domain.withdrawal.status import WithdrawalStatus as W
from domain.withdrawal.status import status_of


class Proposed(msgspec.Struct, frozen=True):
    """How one person would end a leg's review."""

    target: str
    person: str


class Leg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a payout, as the domain has it, less what no list needs."""

    leg: int
    provider: str
    method: str
    instrument: str | None
    amount_minor: int
    status: LegStatus = LegStatus.PLANNED
    reserved: bool
    attempts: tuple[int, ...] = ()
    reference: str | None = None
    provider_reference: str | None = None
    reviewed: str | None = None
    """The reference of the report that opened the latest review."""
    proposed: Proposed | None = None
    reason: str | None = None

    @property
    def attempt(self) -> int:
        """The number of the latest attempt; 0: there is none."""
        return self.attempts[-1] if self.attempts else 0


class Payout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far people and providers are with a payout."""

    legs: tuple[Leg, ...]
    decision: W = W.REQUESTED
    screened: bool = False
    decision_reason: str | None = None

    @property
    def status(self) -> W:
        """Where the withdrawal stands: the domain's rule, which looks at the statuses alone."""
        return status_of(self.decision, cast("Sequence[domain_legs.Leg]", self.legs))

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
    def proposed(self) -> Proposed | None:
        """How the first review that somebody has a proposal for should end."""
        return next((leg.proposed for leg in self.legs if leg.proposed), None)

    @property
    def reserved(self) -> bool:
        """Some of it is still to be paid or given back."""
        return any(leg.reserved for leg in self.legs)


def requested(event: WithdrawalRequested) -> Payout:
    """A payout before anything has happened to it."""
    return Payout(legs=_planned(event.legs, reserved=event.reserved))


def _planned(legs: Iterable[PlannedLeg], *, reserved: bool) -> tuple[Leg, ...]:
    return tuple(
        Leg(
            leg=leg.leg,
            provider=leg.provider,
            method=leg.method,
            instrument=leg.instrument,
            amount_minor=leg.amount.amount,
            reserved=reserved,
        )
        for leg in legs
    )


def after(payout: Payout, event: WithdrawalEvent) -> Payout:
    """The payout after an event other than its first.

    Raises:
        ValueError: it was requested before.
    """
    match event:
        case WithdrawalRequested():
            raise ValueError(f"{event.originator_id} was requested before")
        case WithdrawalAmended():
            return _amended(payout, event)
        case WithdrawalScored():
            scored = replace(payout, screened=False)
            return _to_be_screened(scored) if payout.decision is W.UNDER_REVIEW else scored
        case WithdrawalScreeningStarted():
            return replace(payout, decision=W.SCREENING)
        case WithdrawalScreened():
            decision = W.UNDER_REVIEW if event.required else W.SCREENING
            return replace(payout, decision=decision, screened=True)
        case WithdrawalApprovalGiven():
            return payout
        case WithdrawalApproved():
            return replace(payout, decision=W.APPROVED)
        case WithdrawalInformationRequested():
            return replace(payout, decision=W.INFO_REQUIRED)
        case WithdrawalHeld():
            return replace(payout, decision=W.HELD)
        case WithdrawalInformationProvided() | WithdrawalReleased():
            return _review_again(payout)
        case WithdrawalRecalled():
            return _recalled(payout)
        case WithdrawalRejected(reason=reason):
            return _taken_back(payout, W.REJECTED, reason)
        case WithdrawalCancelled(reason=reason):
            return _taken_back(payout, W.CANCELLED, reason)
        case _:
            about = leg_about(payout.legs, event)
            changed = _leg_after(about, event)
            legs = tuple(changed if leg is about else leg for leg in payout.legs)
            return replace(payout, legs=legs)


def _amended(payout: Payout, event: WithdrawalAmended) -> Payout:
    amended = replace(payout, legs=_planned(event.legs, reserved=True), screened=False)
    stopped = payout.decision in (W.HELD, W.INFO_REQUIRED)
    return amended if stopped else _to_be_screened(amended)


def _to_be_screened(payout: Payout) -> Payout:
    return replace(payout, decision=W.REQUESTED)


def _review_again(payout: Payout) -> Payout:
    return replace(payout, decision=W.UNDER_REVIEW if payout.screened else W.REQUESTED)


def _recalled(payout: Payout) -> Payout:
    waiting = (LegStatus.QUEUED, LegStatus.FAILED)
    legs = tuple(
        replace(leg, status=LegStatus.PLANNED) if leg.status in waiting and leg.reserved else leg
        for leg in payout.legs
    )
    return _review_again(replace(payout, legs=legs))


def _taken_back(payout: Payout, decision: W, reason: str) -> Payout:
    legs = tuple(
        replace(leg, status=LegStatus.RELEASED, reserved=False)
        if leg.status is LegStatus.PLANNED or (leg.status is LegStatus.FAILED and leg.reserved)
        else leg
        for leg in payout.legs
    )
    return replace(payout, decision=decision, decision_reason=reason, legs=legs)


# --- legs ---------------------------------------------------------------------------------------


def leg_about(legs: Sequence[Leg], event: LegEvent) -> Leg:
    """The leg that an event is about, found as the domain finds it."""
    match event:
        case WithdrawalQueued() | WithdrawalPaid() | WithdrawalReturned():
            return legs[event.leg - 1]
        case ResolutionProposed(leg=int() as number) | TransactionResolved(leg=int() as number):
            return legs[number - 1]
        case ResolutionProposed() | TransactionResolved():
            return next(leg for leg in legs if leg.status is LegStatus.REVIEW)
        case TransactionSubmitted():
            return next(leg for leg in legs if event.attempt in leg.attempts)
        case (
            WithdrawalProcessing()
            | TransactionPending()
            | TransactionUnknown()
            | TransactionFailed()
            | NoticeNoted()
            | ReviewOpened()
        ):
            return _leg_reported(legs, event.evidence.reference)
        case _:
            assert_never(event)


def _leg_reported(legs: Sequence[Leg], reference: str) -> Leg:
    parsed = parse_reference(reference)
    for leg in legs:
        if parsed and parsed[1] in leg.attempts:
            return leg
    for leg in legs:
        if leg.reviewed == reference:
            return leg
    unsent = [leg for leg in legs if leg.status in (LegStatus.PLANNED, LegStatus.QUEUED)]
    if parsed and unsent:
        return unsent[0]
    return max(legs, key=lambda leg: leg.attempt)


def _leg_after(leg: Leg, event: LegEvent) -> Leg:
    evidence: Evidence | None = getattr(event, "evidence", None)
    moved = _moved(leg, event)
    if evidence is None or evidence.provider_reference in (None, leg.provider_reference):
        return moved
    return replace(moved, provider_reference=evidence.provider_reference)


def _moved(leg: Leg, event: LegEvent) -> Leg:
    match event:
        case WithdrawalQueued(attempt=attempt):
            known = attempt in leg.attempts
            attempts = leg.attempts if known else (*leg.attempts, attempt)
            return replace(leg, status=LegStatus.QUEUED, attempts=attempts)
        case TransactionSubmitted(reference=reference):
            return replace(leg, status=LegStatus.SUBMITTED, reference=reference)
        case WithdrawalProcessing():
            return replace(leg, status=LegStatus.PROCESSING)
        case TransactionUnknown():
            return replace(leg, status=LegStatus.UNKNOWN)
        case TransactionFailed(reason=reason, released=released, retry_at=retry_at):
            reserved = leg.reserved and released is None
            waits = reserved and retry_at is None
            status = LegStatus.PLANNED if waits else LegStatus.FAILED
            return replace(leg, status=status, reason=reason, reserved=reserved)
        case WithdrawalPaid():
            return replace(leg, status=LegStatus.PAID, reason=None, reserved=False)
        case WithdrawalReturned():
            return replace(
                leg, status=LegStatus.RETURNED, reason=Reason.RETURNED.value, proposed=None
            )
        case ReviewOpened(reason=reason, evidence=evidence):
            reviewed = evidence.reference
            reasoned = replace(leg, reason=reason.value, reviewed=reviewed, proposed=None)
            return replace(reasoned, status=LegStatus.REVIEW)
        case ResolutionProposed(target=target, person=person):
            return replace(leg, proposed=Proposed(target, person))
        case TransactionResolved(target=target):
            ended = replace(leg, status=LegStatus(target), reason=None, reserved=False)
            return replace(ended, proposed=None)
        case TransactionPending() | NoticeNoted():
            return leg
        case _:
            assert_never(event)
