"""Deposit: state · evolve. What has become of what a player pays in.

Decisions are in `decisions.py`, reports of providers in `reports.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import assert_never
from uuid import UUID

from domain import accounts
from domain.command import remember
from domain.counters import uncounted
from domain.deposit.claims import Claim as Claim
from domain.deposit.claims import minor_of, taken_minor, unclaimed_minor
from domain.deposit.status import DepositStatus as DepositStatus
from domain.errors import Reason
from domain.events import (
    Count,
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositBlocked,
    DepositCancelled,
    DepositCompleted,
    DepositConcernsReviewed,
    DepositCreated,
    DepositDisputeFundsTracked,
    DepositDisputeTracked,
    DepositEvent,
    DepositExcessTracked,
    DepositExpired,
    DepositRefundTracked,
    DepositVoided,
    NoticeNoted,
    Origin,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.events.evidence import FINAL, Disposition, Evidence, Outcome, ReviewReason, Standing
from domain.money import Money
from domain.provider.resolution import Proposal
from domain.replacing import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A player's payment to the platform, from intention to credit."""

    id: UUID
    version: int
    status: DepositStatus
    player_id: UUID
    provider: str
    method: str
    amount: Money
    instrument: str | None
    metadata: Mapping[str, str]
    origin: Origin | None = None
    requested_by: str
    """The person, player or machine that created it."""
    created_at: datetime
    updated_at: datetime
    counted: tuple[Count, ...] = ()
    """Towards the player's deposit limits, at its creation."""
    counts_now: bool = False
    """Those counts are in force: it is under way or completed, not given up."""
    reason: str | None = None
    reference: str | None = None
    """Of the attempt, once submitted."""
    polls: int = 0
    redirect_url: str | None = None
    expires_at: datetime | None = None
    credited: Money | None = None
    """What stands to the player's credit because of this deposit."""
    reserved: Money | None = None
    """Taken from the player's available balance while under review."""
    house: Money | None = None
    """What stands in suspense for it: paid by the house, or kept by it where negative."""
    reported: Evidence | None = None
    """What opened the latest review."""
    resolved: bool = False
    """Two people ended the review: what it was about is not judged again."""
    succeeded_at: datetime | None = None
    """Provider's time of the first success that was told with one, and was not judged since."""
    failed_at: datetime | None = None
    """Likewise of the last failure."""
    provider_reference: str | None = None
    concerns: tuple[str, ...] = ()
    """Rules that forbade it by the time it was paid all the same, and an excess."""
    unreviewed: frozenset[str] = frozenset()
    """Those that nobody has looked at."""
    proposal: Proposal | None = None
    refunds: Mapping[UUID, Claim] = field(default_factory=dict)
    disputes: Mapping[UUID, Claim] = field(default_factory=dict)
    withdrawn: Mapping[UUID, tuple[Money, ...]] = field(default_factory=dict)
    """What each dispute has taken and not given back."""
    excess: Money | None = None
    """How much more than came in is known to have gone out; None where it is not more."""
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""

    @property
    def captured(self) -> Money | None:
        """What refunds and disputes can be about; None where nothing was credited."""
        return self.credited

    @property
    def unclaimed_minor(self) -> int:
        """What no refund or dispute claims; below 0 where they claim more than was captured."""
        claims = (*self.refunds.values(), *self.disputes.values())
        return unclaimed_minor(self.captured or Money(0, self.amount.currency), claims)

    @property
    def refundable_minor(self) -> int:
        """What may still be refunded, in minor units of what was captured."""
        return max(0, self.unclaimed_minor)

    @property
    def has_open_dispute(self) -> bool:
        return any(claim.standing is Standing.OPEN for claim in self.disputes.values())

    @property
    def excess_minor(self) -> int:
        """How much more has gone out, by refunds and disputes, than came in."""
        captured = self.captured or Money(0, self.amount.currency)
        refunded = (c.amount for c in self.refunds.values() if c.standing is Standing.TAKEN)
        gone = (*refunded, *chain.from_iterable(self.withdrawn.values()))
        return max(0, sum(minor_of(captured, money) for money in gone) - captured.amount)

    @property
    def concerns_reviewed(self) -> bool:
        """Somebody has looked at all that there was to be looked at."""
        return bool(self.concerns) and not self.unreviewed

    @property
    def counts_back(self) -> tuple[Count, ...]:
        """What gives the limits free again when the deposit is given up."""
        return uncounted(self.counted) if self.counts_now else ()

    @property
    def counts_again(self) -> tuple[Count, ...]:
        """What counts towards the limits when a deposit that was given up succeeds after all."""
        return () if self.counts_now else self.counted


def evolve_deposit(state: Deposit | None, event: DepositEvent) -> Deposit:
    """The deposit after `event`."""
    if isinstance(event, DepositCreated):
        return _created(event)
    if state is None:
        raise ValueError(f"a deposit's history cannot begin with {type(event).__name__}")
    return _heard(_moved(state, event), event)


def fold_deposit(state: Deposit | None, events: Iterable[DepositEvent]) -> Deposit | None:
    """The deposit after `events`, in order."""
    for event in events:
        state = evolve_deposit(state, event)
    return state


def _created(event: DepositCreated) -> Deposit:
    return Deposit(
        id=event.originator_id,
        version=event.originator_version,
        status=DepositStatus.CREATED,
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
        counted=event.counts,
        counts_now=bool(event.counts),
        commands={event.command_id: event.request_digest},
    )


def _moved(state: Deposit, event: DepositEvent) -> Deposit:
    match event:
        case DepositCreated():
            raise ValueError("a deposit is created once")
        case DepositBlocked():
            return _given_up(state, DepositStatus.BLOCKED, event.reason)
        case TransactionSubmitted():
            return replace(state, status=DepositStatus.SUBMITTED, reference=event.reference)
        case DepositAwaitingPlayer():
            return replace(
                state,
                status=DepositStatus.AWAITING_PLAYER,
                redirect_url=event.redirect_url,
                expires_at=event.expires_at,
            )
        case DepositAuthorised():
            return replace(state, status=DepositStatus.AUTHORISED)
        case DepositCompleted():
            return replace(
                state,
                status=_refunded_status(event.settled, state.refunds),
                credited=event.settled,
                counts_now=bool(state.counted),
                concerns=(*event.concerns, *state.concerns),
                unreviewed=state.unreviewed.union(event.concerns),
                reason=None,
            )
        case DepositRefundTracked():
            claim = Claim(amount=event.amount, standing=event.standing)
            refunds = {**state.refunds, event.refund_id: claim}
            credited = state.credited if state.status.is_credited else None
            status = _refunded_status(credited, refunds) if credited else state.status
            return replace(state, status=status, refunds=refunds)
        case DepositConcernsReviewed():
            return replace(state, unreviewed=frozenset())
        case DepositDisputeTracked():
            claim = Claim(amount=event.amount, standing=event.standing)
            return replace(state, disputes={**state.disputes, event.dispute_id: claim})
        case DepositDisputeFundsTracked():
            withdrawn = {**state.withdrawn, event.dispute_id: event.withdrawn}
            return replace(state, withdrawn=withdrawn)
        case DepositExcessTracked():
            return _exceeded(state, event.excess)
        case DepositVoided():
            return _given_up(state, DepositStatus.VOIDED, Reason.VOIDED)
        case DepositExpired():
            return _given_up(state, DepositStatus.EXPIRED, state.reason)
        case DepositCancelled():
            return _given_up(state, DepositStatus.CANCELLED, event.reason)
        case TransactionFailed():
            return _given_up(state, DepositStatus.FAILED, event.reason)
        case TransactionUnknown():
            return replace(state, status=DepositStatus.UNKNOWN, polls=event.polls)
        case TransactionPending():
            player_acted = (
                state.status is DepositStatus.AWAITING_PLAYER
                and event.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)
            )
            status = DepositStatus.SUBMITTED if player_acted else state.status
            return replace(state, status=status, polls=event.polls)
        case ReviewOpened():
            return replace(
                state,
                status=DepositStatus.REVIEW,
                reason=event.reason,
                reserved=event.reserved,
                reported=event.evidence,
                resolved=False,
                proposal=None,
            )
        case ResolutionProposed():
            return replace(state, proposal=Proposal.of(event))
        case TransactionResolved():
            credited = _credited_by(state, event)
            return replace(
                state,
                status=_refunded_status(credited, state.refunds)
                if credited
                else DepositStatus(event.target),
                reason=None,
                reserved=None,
                credited=credited,
                house=_house_after(state, event),
                counts_now=bool(state.counted and credited),
                succeeded_at=None,
                failed_at=None,
                resolved=True,
                proposal=None,
            )
        case NoticeNoted():
            return state
        case _:
            assert_never(event)


def _given_up(state: Deposit, status: DepositStatus, reason: str | None) -> Deposit:
    """Nothing is credited, and nothing counts towards the limits any more."""
    return replace(state, status=status, reason=reason, counts_now=False)


def _refunded_status(credited: Money, refunds: Mapping[UUID, Claim]) -> DepositStatus:
    """How much of a credited deposit has been refunded; a reversed refund brings it back."""
    taken = taken_minor(credited, refunds.values())
    if taken == 0:
        return DepositStatus.COMPLETED
    all_of_it = taken >= credited.amount
    return DepositStatus.REFUNDED if all_of_it else DepositStatus.PARTIALLY_REFUNDED


def _exceeded(state: Deposit, excess: Money) -> Deposit:
    """An excess is looked at anew when it grows, and no longer when it is gone."""
    code, known_minor = Reason.MORE_OUT_THAN_IN.value, state.excess.amount if state.excess else 0
    others = tuple(concern for concern in state.concerns if concern != code)
    unreviewed = state.unreviewed
    if excess.amount > known_minor:
        unreviewed = unreviewed | {code}
    if not excess.amount:
        return replace(state, excess=None, concerns=others, unreviewed=unreviewed - {code})
    return replace(state, excess=excess, concerns=(*others, code), unreviewed=unreviewed)


def _credited_by(state: Deposit, event: TransactionResolved) -> Money | None:
    """What stands to the player's credit once the review has ended."""
    if event.target != DepositStatus.COMPLETED:
        return None
    return state.credited or settled_amount(state)


def _house_after(state: Deposit, event: TransactionResolved) -> Money | None:
    """What the house has paid for this deposit, in net, once the books are set right again."""
    house = state.house
    for made in event.moves:
        suspense = accounts.suspense(made.money.currency)
        sign = (made.source == suspense) - (made.target == suspense)
        if sign and (house is None or house.currency == made.money.currency):
            so_far_minor = house.amount if house else 0
            house = Money(so_far_minor + sign * made.money.amount, made.money.currency)
    return house if house and house.amount else None


def settled_amount(state: Deposit) -> Money:
    """What the provider says it took where that is what the review is about, else the amount."""
    reported = state.reported
    took = reported is not None and (
        reported.outcome is Outcome.SUCCEEDED
        or state.reason in (ReviewReason.MISMATCH, ReviewReason.UNSOLICITED)
    )
    return reported.amount if took and reported and reported.amount else state.amount


def _heard(state: Deposit, event: DepositEvent) -> Deposit:
    """Version, time, and the notices and commands that are never acted on twice."""
    evidence: Evidence | None = getattr(event, "evidence", None)
    notices, provider_reference = state.notices, state.provider_reference
    succeeded_at, failed_at = state.succeeded_at, state.failed_at
    if evidence is not None:
        notices = notices | {evidence.notice_id} if evidence.notice_id else notices
        provider_reference = evidence.provider_reference or provider_reference
        at, outcome = evidence.happened_at, evidence.outcome
        put_off = isinstance(event, NoticeNoted) and event.disposition is Disposition.IN_REVIEW
        if at is not None and outcome in FINAL and not put_off:
            if outcome is Outcome.SUCCEEDED:
                succeeded_at = min(succeeded_at or at, at)
            else:
                failed_at = max(failed_at or at, at)
    return replace(
        state,
        version=event.originator_version,
        updated_at=event.occurred_at,
        notices=notices,
        provider_reference=provider_reference,
        succeeded_at=succeeded_at,
        failed_at=failed_at,
        commands=remember(state.commands, event),
    )
