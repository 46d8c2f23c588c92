"""Legs: the parts of a payout, each with its own attempts, reviews and money.

Attempts are numbered over all legs of a withdrawal, so that the number in a reference says which
leg a report is about. A number that was never sent is used again by the same leg.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain import accounts
from domain.counters import instrument_counter
from domain.errors import LegNotFound, Reason
from domain.events import (
    Count,
    NoticeNoted,
    PlannedLeg,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
    WithdrawalPaid,
    WithdrawalProcessing,
    WithdrawalQueued,
    WithdrawalReturned,
)
from domain.events.evidence import Disposition, Evidence, Outcome
from domain.money import Money
from domain.provider.attempt import parse_reference
from domain.provider.resolution import Proposal
from domain.provider.turns import Turns
from domain.replacing import replace

LegEvent = (
    WithdrawalQueued
    | WithdrawalProcessing
    | WithdrawalPaid
    | WithdrawalReturned
    | TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | NoticeNoted
    | ReviewOpened
    | ResolutionProposed
    | TransactionResolved
)
"""What is about one leg."""


class LegStatus(StrEnum):
    """Where one leg stands."""

    PLANNED = "planned"
    """Waits for a decision: not approved yet, or taken out of the queue again."""
    QUEUED = "queued"
    SUBMITTED = "submitted"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    REVIEW = "review"
    PAID = "paid"
    RETURNED = "returned"
    FAILED = "failed"
    """With another attempt to come while the funds are reserved, otherwise for good."""
    RELEASED = "released"
    """Never to be sent (again): the withdrawal was rejected or cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A part of a payout to one instrument."""

    number: int
    """From 1, in the order of the plan."""
    provider: str
    method: str
    instrument: str | None
    amount: Money
    status: LegStatus = LegStatus.PLANNED
    reserved: bool
    """The amount stands on the player's reserved account because of this leg."""
    attempts: tuple[int, ...] = ()
    """Numbers in the references of its attempts, the latest last."""
    attempt_sent: int = 0
    """Of the latest attempt that was submitted; 0: none was."""
    reference: str | None = None
    """Of the latest attempt, once submitted."""
    polls: int = 0
    retry_at: datetime | None = None
    reported: Evidence | None = None
    """What opened the latest review."""
    resolved: bool = False
    """Two people ended the review: until money moves, what it was about is not judged again."""
    paid: bool = False
    """The provider has taken the money to the player, and it has not come back."""
    paid_reference: str | None = None
    """Of the attempt that paid, which need not be the latest."""
    settled: Money | None = None
    """What was paid, where people found so after the player had the amount back."""
    house_minor: int = 0
    """How much of what was paid the player had back already, and the house has lent."""
    held_minor: int = 0
    """Taken from the player's available balance while it is reviewed whether it was paid."""
    turns: Turns = Turns()  # noqa: RUF009  (it cannot change)
    """Payments, returns and failures that the provider told of, under the reference that counts."""
    reason: str | None = None
    provider_reference: str | None = None
    proposal: Proposal | None = None

    @property
    def plan(self) -> PlannedLeg:
        """The leg as it was planned."""
        return PlannedLeg(
            leg=self.number,
            provider=self.provider,
            method=self.method,
            instrument=self.instrument,
            amount=self.amount,
        )

    @property
    def attempt(self) -> int:
        """The number of the latest attempt; 0: there is none."""
        return self.attempts[-1] if self.attempts else 0

    @property
    def waits_for_retry(self) -> bool:
        """An attempt failed, and the funds are kept for another one."""
        return self.status is LegStatus.FAILED and self.reserved

    @property
    def is_unsent(self) -> bool:
        """Nothing of it can be at the provider, and it is not in the queue either."""
        return self.status is LegStatus.PLANNED or self.waits_for_retry

    @property
    def out(self) -> Money:
        """What is on its way, or paid: the amount, unless another was found to be paid."""
        return self.settled or self.amount

    @property
    def takes(self) -> bool:
        """Its amount is out of the player's reach: on its way to the instrument, or there."""
        return self.reserved or self.paid


def planned(legs: Iterable[PlannedLeg], *, reserved: bool) -> tuple[Leg, ...]:
    """The legs of a plan, before anything has happened to them."""
    return tuple(
        Leg(
            number=leg.leg,
            provider=leg.provider,
            method=leg.method,
            instrument=leg.instrument,
            amount=leg.amount,
            reserved=reserved,
        )
        for leg in legs
    )


def find_leg(legs: Sequence[Leg], number: int) -> Leg:
    """The leg with this number.

    Raises:
        LegNotFound: there is none.
    """
    if not 1 <= number <= len(legs):
        raise LegNotFound
    return legs[number - 1]


def leg_about(legs: Sequence[Leg], reference: str) -> Leg:
    """The leg that a provider's report under this reference is about.

    An attempt that was never made is about the leg that was reviewed for this very reference
    before, else the first that has not been sent, else the one with the latest attempt.
    """
    parsed = parse_reference(reference)
    for leg in legs:
        if parsed and parsed[1] in leg.attempts:
            return leg
    for leg in legs:
        if leg.reported and leg.reported.reference == reference:
            return leg
    unsent = [leg for leg in legs if leg.status in (LegStatus.PLANNED, LegStatus.QUEUED)]
    if parsed and unsent:
        return unsent[0]
    return max(legs, key=lambda leg: leg.attempt)


def leg_of(legs: Sequence[Leg], event: LegEvent) -> Leg:
    """The leg that `event` is about."""
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
            return leg_about(legs, event.evidence.reference)
        case _:
            assert_never(event)


def evolve_leg(leg: Leg, event: LegEvent) -> Leg:
    """The leg after an event about it."""
    evidence: Evidence | None = getattr(event, "evidence", None)
    moved = _moved(leg, event)
    if evidence is None:
        return moved
    named = evidence.provider_reference or leg.provider_reference
    return replace(moved, provider_reference=named, turns=_turns(moved, event, evidence))


def _turns(leg: Leg, event: LegEvent, said: Evidence) -> Turns:
    """What people have yet to look at is not taken for known."""
    put_off = isinstance(event, NoticeNoted) and event.disposition is Disposition.IN_REVIEW
    if put_off or said.reference != (leg.paid_reference or leg.reference):
        return leg.turns
    return leg.turns.after(said, fee=getattr(event, "fee", None))


def _moved(leg: Leg, event: LegEvent) -> Leg:
    match event:
        case WithdrawalQueued():
            known = event.attempt in leg.attempts
            return replace(
                leg,
                status=LegStatus.QUEUED,
                attempts=leg.attempts if known else (*leg.attempts, event.attempt),
                retry_at=None,
            )
        case TransactionSubmitted():
            return replace(
                leg,
                status=LegStatus.SUBMITTED,
                attempt_sent=event.attempt,
                reference=event.reference,
                polls=0,
                turns=Turns(),
            )
        case WithdrawalProcessing():
            return replace(leg, status=LegStatus.PROCESSING, polls=event.polls)
        case TransactionPending():
            return replace(leg, polls=event.polls)
        case TransactionUnknown():
            return replace(leg, status=LegStatus.UNKNOWN, polls=event.polls)
        case TransactionFailed():
            return _failed(leg, event)
        case WithdrawalPaid():
            return replace(
                leg,
                status=LegStatus.PAID,
                reason=None,
                reserved=False,
                paid=True,
                paid_reference=event.evidence.reference,
                settled=None,
                house_minor=event.from_house.amount if event.from_house else 0,
                resolved=False,
            )
        case WithdrawalReturned():
            return replace(
                leg,
                status=LegStatus.RETURNED,
                reason=Reason.RETURNED,
                paid=False,
                settled=None,
                house_minor=0,
                resolved=False,
                proposal=None,
            )
        case ReviewOpened():
            return replace(
                leg,
                status=LegStatus.REVIEW,
                reason=event.reason,
                reported=event.evidence,
                resolved=False,
                held_minor=event.reserved.amount if event.reserved else 0,
                retry_at=None,
                proposal=None,
            )
        case ResolutionProposed():
            return replace(leg, proposal=Proposal.of(event))
        case TransactionResolved():
            return _resolved(leg, event)
        case NoticeNoted():
            return leg
        case _:
            assert_never(event)


def _failed(leg: Leg, event: TransactionFailed) -> Leg:
    """Funds that are kept although no retry is due wait for people to decide again."""
    reserved = leg.reserved and event.released is None
    waits = reserved and event.retry_at is None
    return replace(
        leg,
        status=LegStatus.PLANNED if waits else LegStatus.FAILED,
        reason=event.reason,
        reserved=reserved,
        retry_at=event.retry_at,
    )


def _resolved(leg: Leg, event: TransactionResolved) -> Leg:
    paid = event.target == LegStatus.PAID
    settled, house_minor = leg.settled, leg.house_minor
    if not leg.takes:
        settled = _taken_after_all(leg, event)
        house_minor = max(0, settled.amount - leg.held_minor)
    reference = _paid_reference(leg) if paid else None
    turns, about = leg.turns.judged(), leg.reported
    if paid and about and reference == about.reference != (leg.paid_reference or leg.reference):
        turns = Turns().after(about)
    return replace(
        leg,
        status=LegStatus(event.target),
        reason=None,
        reserved=False,
        paid=paid,
        paid_reference=reference,
        settled=settled if paid else None,
        house_minor=house_minor if paid else 0,
        held_minor=0,
        turns=turns,
        resolved=True,
        proposal=None,
    )


def _taken_after_all(leg: Leg, event: TransactionResolved) -> Money:
    """What went to the provider by the end of a review, of a leg the player had back."""
    clearing = accounts.clearing(leg.provider, leg.amount.currency)
    minor = sum(move.money.amount for move in event.moves if move.target == clearing)
    return Money(minor, leg.amount.currency)


def _paid_reference(leg: Leg) -> str | None:
    """Of the attempt that a review found to have paid."""
    reported = leg.reported
    if leg.paid_reference is None and reported and reported.outcome is Outcome.SUCCEEDED:
        return reported.reference
    return leg.paid_reference or leg.reference


# --- what legs take from the net deposits of instruments ----------------------------------------


def taken(legs: Iterable[Leg]) -> dict[str, int]:
    """By instrument: minor units on their way there, or paid."""
    return _by_instrument((leg.instrument, leg.out) for leg in legs if leg.takes)


def taken_by_plan(legs: Iterable[PlannedLeg]) -> dict[str, int]:
    """By instrument: minor units that the plan takes once its funds are reserved."""
    return _by_instrument((leg.instrument, leg.amount) for leg in legs)


def _by_instrument(parts: Iterable[tuple[str | None, Money]]) -> dict[str, int]:
    taken_minor: dict[str, int] = {}
    for instrument, amount in parts:
        if instrument is not None:
            taken_minor[instrument] = taken_minor.get(instrument, 0) + amount.amount
    return taken_minor


def net_counts(
    player_id: UUID, currency: str, *, before: Mapping[str, int], after: Mapping[str, int]
) -> tuple[Count, ...]:
    """How the instruments' net deposits change, where legs took `before` and now take `after`."""
    changes = {i: before.get(i, 0) - after.get(i, 0) for i in (*before, *after)}
    return tuple(
        Count(counter=instrument_counter(player_id, instrument, currency), change=change)
        for instrument, change in changes.items()
        if change
    )
