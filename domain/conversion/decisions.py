"""Conversion: state · decisions · evolve. A player exchanges one currency for another.

The quote pins what the player gets, whatever happens to rates afterwards. The house executes a
conversion at once; where a provider does, what it reports is decided in `conversion_reports.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final, assert_never
from uuid import UUID

from domain.command import Command, remember, repeated
from domain.conversion.rates import Rounding, quote_amounts
from domain.errors import InvalidQuote, InvalidTransition, QuoteExpired, Reason, SameCurrency
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
from domain.provider.attempt import first_poll, reference
from domain.provider.provider import Provider
from domain.provider.resolution import Proposal
from domain.replacing import replace

QUOTE_SECONDS: Final = 300
"""How long a quote holds unless it says otherwise."""


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


# --- decisions ----------------------------------------------------------------------------------


def quote_conversion(
    conversion_id: UUID,
    command: Command,
    *,
    player_id: UUID,
    source: Money,
    target_currency: str,
    rate: Fraction,
    rate_source: str,
    spread_basis_points: int,
    metadata: Mapping[str, str],
    valid_seconds: int = QUOTE_SECONDS,
    provider: str | None = None,
    quote_reference: str | None = None,
    rounding: Rounding = Rounding.DOWN,
) -> ConversionQuoted:
    """Say what the player would get, and until when.

    `rate` is whole units of the target's currency for one of the source's.

    Raises:
        SameCurrency: there is nothing to exchange.
        InvalidQuote: the spread is not between nothing and everything, or it would never hold.
        AmountTooSmall, InvalidMoney, InvalidRate: see `quote_amounts`.
    """
    if source.currency == target_currency:
        raise SameCurrency
    if valid_seconds < 1:
        raise InvalidQuote
    target, spread = quote_amounts(
        source,
        target_currency,
        rate,
        spread_basis_points=spread_basis_points,
        rounding=rounding,
    )
    return ConversionQuoted(
        **command.header(conversion_id, 1),
        request_digest=command.request_digest,
        player_id=player_id,
        provider=provider,
        source=source,
        target=target,
        spread=spread,
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator,
        rate_source=rate_source,
        rounding=rounding,
        quote_reference=quote_reference,
        expires_at=command.now + timedelta(seconds=valid_seconds),
        metadata=metadata,
    )


def accept_conversion(
    state: Conversion, command: Command, *, refusal: Reason | None = None
) -> tuple[ConversionEvent, ...]:
    """Take the quote; () if this command did so already.

    The source is reserved. Where the house executes, both sides are exchanged in the same append;
    where `refusal` forbids it, that is recorded and nothing is reserved.

    Raises:
        QuoteExpired: its time is over.
        InvalidTransition: it has been accepted, or is in review.
    """
    if repeated(state.commands, command):
        return ()
    if state.status is ConversionStatus.EXPIRED:
        raise QuoteExpired
    if state.status is not ConversionStatus.QUOTED:
        raise InvalidTransition(state.status, "accepted")
    if state.is_over(command.now):
        raise QuoteExpired
    accepted = ConversionAccepted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        source=state.source,
        reserved=refusal is None,
    )
    if refusal is not None:
        return accepted, _rejected(state, command, refusal, ahead=2)
    if state.provider is not None:
        return (accepted,)
    executed = ConversionExecuted(
        **command.header(state.id, state.version + 2),
        player_id=state.player_id,
        source=state.source,
        target=state.target,
        spread=state.spread,
        evidence=None,
    )
    return accepted, executed


def expire_conversion(state: Conversion, command: Command) -> ConversionExpired | None:
    """Give up a quote nobody took; None while it holds, or where it has expired already.

    Raises:
        InvalidTransition: it was taken, or is in review.
    """
    if state.status is ConversionStatus.EXPIRED:
        return None
    if state.status is not ConversionStatus.QUOTED:
        raise InvalidTransition(state.status, "expired")
    if not state.is_over(command.now):
        return None
    return ConversionExpired(**command.header(state.id, state.version + 1))


def submit_conversion(
    state: Conversion, command: Command, *, provider: Provider
) -> TransactionSubmitted | ConversionRejected:
    """Record that from now on the attempt may have reached the provider.

    After the quote's time, or to a provider paused since then, nothing is sent: the conversion is
    rejected, and the player has the source back.

    Raises:
        InvalidTransition: it is not accepted, has been submitted, or the house executes it.
    """
    if state.status is not ConversionStatus.ACCEPTED or state.provider is None:
        raise InvalidTransition(state.status, "submitted")
    reason = why_not_converted(state, provider, command.now)
    if reason is not None:
        return _rejected(state, command, reason)
    return TransactionSubmitted(
        **command.header(state.id, state.version + 1),
        reference=reference(state.id, 1),
        attempt=1,
        provider=state.provider,
        poll_at=first_poll(command.now, provider.poll_delays_seconds),
    )


def why_not_converted(state: Conversion, provider: Provider, now: datetime) -> Reason | None:
    """What keeps an accepted conversion from being sent, at first or once more; None: nothing."""
    if state.is_over(now):
        return Reason.QUOTE_EXPIRED
    return Reason.PROVIDER_PAUSED if provider.paused else None


def _rejected(
    state: Conversion, command: Command, reason: Reason, ahead: int = 1
) -> ConversionRejected:
    return ConversionRejected(
        **command.header(state.id, state.version + ahead),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=reason,
        released=state.source if state.reserved else None,
    )


# --- evolve -------------------------------------------------------------------------------------


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
