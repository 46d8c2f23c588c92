"""Conversion: state · evolve. What has become of an exchange of one currency for another.

Decisions are in `decisions.py`, reports of providers in `reports.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import assert_never
from uuid import UUID

from domain.command import remember
from domain.events import (
    ConversionAccepted,
    ConversionEvent,
    ConversionExecuted,
    ConversionExpired,
    ConversionQuoted,
    ConversionRejected,
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.events.evidence import Evidence, Outcome, ReviewReason
from domain.money import Money
from domain.provider.resolution import Proposal
from domain.replacing import replace


class ConversionStatus(StrEnum):
    """Where a conversion stands; `screen_word` is what people read."""

    QUOTED = "quoted"
    EXPIRED = "expired"
    ACCEPTED = "accepted"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    EXECUTED = "executed"
    REJECTED = "rejected"
    FAILED = "failed"
    REVIEW = "review"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]


_SCREEN_WORDS = {
    ConversionStatus.QUOTED: "Pending",
    ConversionStatus.ACCEPTED: "Processing",
    ConversionStatus.SUBMITTED: "Processing",
    ConversionStatus.UNKNOWN: "Processing",
    ConversionStatus.REVIEW: "Processing",
    ConversionStatus.EXECUTED: "Completed",
    ConversionStatus.REJECTED: "Rejected",
    ConversionStatus.FAILED: "Failed",
    ConversionStatus.EXPIRED: "Cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """An exchange of a player's money, from quote to execution."""

    id: UUID
    version: int
    status: ConversionStatus
    player_id: UUID
    provider: str | None
    """Who executes it; None: the house itself."""
    method: str
    amount: Money
    """What the player gives."""
    target: Money
    """What the player gets."""
    spread: Money
    """What the house keeps, in the target's currency."""
    rate: Fraction
    """Whole units of the target's currency for one of the source's."""
    rate_source: str
    rounding: str
    quote_reference: str | None
    expires_at: datetime
    instrument: str | None
    metadata: Mapping[str, str]
    requested_by: str
    """The person whose key asked for the quote."""
    created_at: datetime
    updated_at: datetime
    reserved: bool = False
    """The source amount stands on the player's reserved account because of this conversion."""
    settled: Money | None = None
    """What counts as paid out for the player's part, once executed; usually the target."""
    at_house_expense: bool = False
    """It was executed although the player has kept the source: the player got nothing for it."""
    held: Money | None = None
    """Taken from the player's available target currency while under review."""
    reason: str | None = None
    reference: str | None = None
    """Of the attempt, once submitted."""
    polls: int = 0
    reported: Evidence | None = None
    """What opened the latest review."""
    resolved: bool = False
    """Two people ended the review: what it was about is not judged again."""
    provider_reference: str | None = None
    proposal: Proposal | None = None
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""

    @property
    def source(self) -> Money:
        """What the player gives."""
        return self.amount

    def is_over(self, now: datetime) -> bool:
        """The quote no longer holds."""
        return now >= self.expires_at


def evolve_conversion(state: Conversion | None, event: ConversionEvent) -> Conversion:
    """The conversion after `event`."""
    if state is None and isinstance(event, ConversionQuoted):
        return _quoted(event)
    if state is None:
        raise ValueError(f"a conversion's history cannot begin with {type(event).__name__}")
    return _heard(_moved(state, event), event)


def fold_conversion(
    state: Conversion | None, events: Iterable[ConversionEvent]
) -> Conversion | None:
    """The conversion after `events`, in order."""
    for event in events:
        state = evolve_conversion(state, event)
    return state


def _quoted(event: ConversionQuoted) -> Conversion:
    return Conversion(
        id=event.originator_id,
        version=event.originator_version,
        status=ConversionStatus.QUOTED,
        player_id=event.player_id,
        provider=event.provider,
        method="conversion",
        amount=event.source,
        target=event.target,
        spread=event.spread,
        rate=Fraction(event.rate_numerator, event.rate_denominator),
        rate_source=event.rate_source,
        rounding=event.rounding,
        quote_reference=event.quote_reference,
        expires_at=event.expires_at,
        instrument=None,
        metadata=event.metadata,
        requested_by=event.actor.partition(":")[2],
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        commands={event.command_id: event.request_digest},
    )


def _moved(state: Conversion, event: ConversionEvent) -> Conversion:
    match event:
        case ConversionQuoted():
            raise ValueError("a conversion is quoted once")
        case ConversionExpired():
            return replace(state, status=ConversionStatus.EXPIRED)
        case ConversionAccepted():
            return replace(state, status=ConversionStatus.ACCEPTED, reserved=event.reserved)
        case ConversionRejected():
            return replace(
                state, status=ConversionStatus.REJECTED, reason=event.reason, reserved=False
            )
        case ConversionExecuted():
            return replace(
                state,
                status=ConversionStatus.EXECUTED,
                reserved=False,
                settled=event.target,
                reason=None,
            )
        case TransactionSubmitted():
            return replace(state, status=ConversionStatus.SUBMITTED, reference=event.reference)
        case TransactionPending():
            return replace(state, polls=event.polls)
        case TransactionUnknown():
            return replace(state, status=ConversionStatus.UNKNOWN, polls=event.polls)
        case TransactionFailed():
            return replace(
                state, status=ConversionStatus.FAILED, reason=event.reason, reserved=False
            )
        case ReviewOpened():
            return replace(
                state,
                status=ConversionStatus.REVIEW,
                reason=event.reason,
                held=event.reserved,
                reported=event.evidence,
                resolved=False,
                proposal=None,
            )
        case ResolutionProposed():
            return replace(state, proposal=Proposal.of(event))
        case TransactionResolved():
            return _resolved(state, event)
        case NoticeNoted():
            return state
        case _:
            assert_never(event)


def _resolved(state: Conversion, event: TransactionResolved) -> Conversion:
    executed = event.target == ConversionStatus.EXECUTED
    was_executed = state.settled is not None
    by_the_house = state.at_house_expense if was_executed else not state.reserved
    return replace(
        state,
        status=ConversionStatus(event.target),
        reason=None,
        reserved=False,
        settled=settled_amount(state) if executed else None,
        at_house_expense=executed and by_the_house,
        held=None,
        resolved=True,
        proposal=None,
    )


def settled_amount(state: Conversion) -> Money:
    """What counts as paid out once the review finds the conversion executed.

    That is what the provider says it paid out, in the target's own currency; a second exchange
    nobody asked for changes nothing about the first.
    """
    told = state.reported
    if told is None or told.outcome is not Outcome.SUCCEEDED or _is_a_second_exchange(state):
        return state.settled or state.target
    in_currency = told.amount is not None and told.amount.currency == state.target.currency
    return told.amount if told.amount and in_currency else state.settled or state.target


def _is_a_second_exchange(state: Conversion) -> bool:
    executed = state.settled is not None and not state.at_house_expense
    return executed and state.reason == ReviewReason.UNSOLICITED


def _heard(state: Conversion, event: ConversionEvent) -> Conversion:
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
