"""What a provider's report means for a conversion: the ten rules, applied.

Only an attempt that was submitted while the quote held can be executed by a report, however late
it is heard of. Anything else that the provider says it exchanged, and any amount other than the
quoted one, needs a person; nothing is credited for it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from domain import accounts
from domain.command import Command, repeated
from domain.conversion.state import Conversion, ConversionStatus, settled_amount
from domain.errors import InvalidTransition, Reason
from domain.events import (
    ConversionEvent,
    ConversionExecuted,
    Header,
    Move,
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionUnknown,
)
from domain.events.evidence import Disposition, Evidence, Outcome, ReviewReason, Source
from domain.money import Money
from domain.provider.attempt import next_poll, parse_reference
from domain.provider.provider import Provider
from domain.provider.resolution import move, propose_or_agree
from domain.provider.turns import is_judged, is_outdated


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One report about one conversion, with all that the decision needs."""

    state: Conversion
    command: Command
    evidence: Evidence
    provider: Provider
    available_minor: int

    @property
    def header(self) -> Header:
        return self.command.header(self.state.id, self.state.version + 1)

    @property
    def has_other_amount(self) -> bool:
        """The provider names an amount, and it is not what the player should get."""
        expected = self.state.settled or self.state.target
        return self.evidence.amount is not None and self.evidence.amount != expected

    @property
    def is_of_no_attempt(self) -> bool:
        """Nothing was ever sent, or the reference is not of the only attempt there is."""
        parsed = parse_reference(self.evidence.reference)
        return self.state.reference is None or (parsed is not None and parsed[1] != 1)

    @property
    def is_first_word(self) -> bool:
        """Our own call was answered, and nothing else has been heard or asked of the attempt.

        Once it has been asked about, it may have been sent again meanwhile: what became of the
        first call says nothing any more.
        """
        state = self.state
        heard_before = (
            state.polls or state.notices or state.status is not ConversionStatus.SUBMITTED
        )
        return self.evidence.source is Source.ANSWER and not heard_before

    @property
    def judged(self) -> Evidence | None:
        """What two people have decided about."""
        return self.state.reported if self.state.resolved else None


def hear_conversion(
    state: Conversion,
    command: Command,
    evidence: Evidence,
    *,
    provider: Provider,
    available_minor: int = 0,
) -> tuple[ConversionEvent, ...]:
    """What follows from a report; () where this very notice has been acted on.

    The amount of the evidence is what the provider paid out for the player, in the target's
    currency. `available_minor` is the player's available balance there: an executed conversion
    that comes into doubt sets aside what is left of it.
    """
    if evidence.notice_id is not None and evidence.notice_id in state.notices:
        return ()
    report = _Report(
        state=state,
        command=command,
        evidence=evidence,
        provider=provider,
        available_minor=available_minor,
    )
    return (_heard(report),)


def _heard(report: _Report) -> ConversionEvent:
    status = report.state.status
    if status is ConversionStatus.REVIEW:
        return _noted(report, Disposition.IN_REVIEW)
    if is_judged(report.evidence, report.judged):
        return _noted(report, Disposition.DUPLICATE)
    if is_outdated(report.evidence, report.judged):
        return _noted(report, Disposition.LATE)
    if report.is_of_no_attempt:
        return _without_attempt(report)
    match status:
        case ConversionStatus.SUBMITTED | ConversionStatus.UNKNOWN:
            return _while_open(report)
        case ConversionStatus.EXECUTED:
            return _after_execution(report)
        case ConversionStatus.FAILED:
            return _after_failure(report)
        case (
            ConversionStatus.QUOTED
            | ConversionStatus.EXPIRED
            | ConversionStatus.ACCEPTED
            | ConversionStatus.REJECTED
        ):
            return _without_attempt(report)
        case _:
            assert_never(status)


def _while_open(report: _Report) -> ConversionEvent:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            return _executed(report)
        case Outcome.DECLINED:
            return _failed(report, report.evidence.decline_code or Reason.DECLINED)
        case Outcome.VOIDED:
            return _failed(report, Reason.VOIDED)
        case Outcome.RETURNED:
            return _review(report, ReviewReason.CONTRADICTION)
        case Outcome.NOT_SENT:
            if report.is_first_word:
                return _failed(report, Reason.NOT_SENT)
            return _nothing_final(report)
        case Outcome.UNKNOWN:
            return _unknown(report)
        case (
            Outcome.ACCEPTED
            | Outcome.PENDING
            | Outcome.AUTHORISED
            | Outcome.AWAITING_PLAYER
            | Outcome.NOT_FOUND
        ):
            return _nothing_final(report)
        case _:
            assert_never(report.evidence.outcome)


def _nothing_final(report: _Report) -> ConversionEvent:
    """Still open. A poll uses up one question of the schedule; after the last, ask a person."""
    state, source = report.state, report.evidence.source
    polls = state.polls + (source is Source.POLL)
    poll_at = None if source is Source.NOTICE else _next_poll(report, polls)
    if poll_at is None and source is not Source.NOTICE:
        return _review(report, ReviewReason.UNRESOLVED)
    return TransactionPending(
        **report.header, polls=polls, poll_at=poll_at, evidence=report.evidence
    )


def _unknown(report: _Report) -> ConversionEvent:
    state = report.state
    if state.status is not ConversionStatus.SUBMITTED:
        return _nothing_final(report)
    polls = state.polls + (report.evidence.source is Source.POLL)
    poll_at = _next_poll(report, polls)
    if poll_at is None:
        return _review(report, ReviewReason.UNRESOLVED)
    return TransactionUnknown(
        **report.header, polls=polls, poll_at=poll_at, evidence=report.evidence
    )


def _next_poll(report: _Report, polls: int) -> datetime | None:
    return next_poll(report.command.now, polls, report.provider.poll_delays_seconds)


def _after_execution(report: _Report) -> ConversionEvent:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            return _noted(report, Disposition.DUPLICATE)
        case Outcome.DECLINED | Outcome.VOIDED | Outcome.RETURNED:
            return _review(report, ReviewReason.CONTRADICTION)
        case _:
            return _noted(report, Disposition.LATE)


def _after_failure(report: _Report) -> ConversionEvent:
    """The player has the source back, and may have spent it: a success needs a person."""
    match report.evidence.outcome:
        case Outcome.SUCCEEDED | Outcome.RETURNED:
            return _review(report, ReviewReason.CONTRADICTION)
        case Outcome.DECLINED | Outcome.VOIDED:
            return _noted(report, Disposition.DUPLICATE)
        case _:
            return _noted(report, Disposition.LATE)


def _without_attempt(report: _Report) -> ConversionEvent:
    """An exchange that the provider says it made although nothing was sent to it."""
    if report.evidence.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED):
        return _review(report, ReviewReason.UNSOLICITED)
    return _noted(report, Disposition.UNSOLICITED)


def _executed(report: _Report) -> ConversionExecuted:
    return ConversionExecuted(
        **report.header,
        player_id=report.state.player_id,
        source=report.state.source,
        target=report.state.target,
        spread=report.state.spread,
        evidence=report.evidence,
    )


def _failed(report: _Report, reason: str) -> TransactionFailed:
    """The player has the source back; another try is another quote."""
    return TransactionFailed(
        **report.header,
        player_id=report.state.player_id,
        reason=reason,
        released=report.state.source,
        retry_at=None,
        counts=(),
        evidence=report.evidence,
        declined=None,
    )


def _noted(report: _Report, disposition: Disposition) -> NoticeNoted:
    return NoticeNoted(**report.header, disposition=disposition, evidence=report.evidence)


def _review(report: _Report, reason: ReviewReason) -> ReviewOpened:
    """Stop and ask a person; what is left of a credit that is now in doubt is set aside."""
    state = report.state
    credited = state.settled is not None and not state.at_house_expense
    hold_minor = max(0, min(report.available_minor, state.target.amount)) if credited else 0
    return ReviewOpened(
        **report.header,
        player_id=state.player_id,
        reason=reason,
        reserved=Money(hold_minor, state.target.currency) if hold_minor else None,
        evidence=report.evidence,
    )


# --- ending a review ----------------------------------------------------------------------------

CONVERSION_TARGETS = frozenset({ConversionStatus.EXECUTED.value, ConversionStatus.FAILED.value})


def resolve_conversion(
    state: Conversion, command: Command, *, target: str, note: str
) -> ResolutionProposed | TransactionResolved | None:
    """Propose or agree how a review ends; None if this command did so already.

    Raises:
        InvalidTransition: the conversion is not in review.
        InvalidResolution, EvidenceMissing, SelfApproval: see `propose_or_agree`.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not ConversionStatus.REVIEW:
        raise InvalidTransition(state.status, "resolved")
    return propose_or_agree(
        transaction_id=state.id,
        version=state.version,
        player_id=state.player_id,
        proposal=state.proposal,
        command=command,
        target=target,
        targets=CONVERSION_TARGETS,
        note=note,
        moves=_execute(state) if target == ConversionStatus.EXECUTED else _undo(state),
    )


def _execute(state: Conversion) -> tuple[Move, ...]:
    """The exchange counts. The player gets what was quoted; a difference waits in suspense.

    Where the player has kept the source, the house made the exchange with its own money: both
    sides of it wait in suspense, and the player's accounts are not touched.
    """
    player, source, target = state.player_id, state.source, state.target
    fx, suspense = accounts.fx(target.currency), accounts.suspense(target.currency)
    settled = settled_amount(state)
    if state.settled is not None:
        available = accounts.available(player, target.currency)
        reserved = accounts.reserved(player, target.currency)
        return move(reserved, available, state.held) + (
            move(fx, suspense, _less(settled, state.settled))
        )
    if not state.reserved:
        bought = Money(settled.amount + state.spread.amount, target.currency)
        return move(
            accounts.suspense(source.currency), accounts.fx(source.currency), source
        ) + move(fx, suspense, bought)
    return (
        move(accounts.reserved(player, source.currency), accounts.fx(source.currency), source)
        + move(fx, accounts.available(player, target.currency), target)
        + move(fx, accounts.fees(target.currency), state.spread)
        + move(fx, suspense, _less(settled, target))
    )


def _undo(state: Conversion) -> tuple[Move, ...]:
    """The exchange does not count.

    A player who was credited gets back as much of the source as is left of the target: what they
    have spent of it stays exchanged at the quoted rate, and both of its sides wait in suspense.
    """
    player, source, target = state.player_id, state.source, state.target
    available = accounts.available(player, source.currency)
    fx_source, fx_target = accounts.fx(source.currency), accounts.fx(target.currency)
    suspense_source = accounts.suspense(source.currency)
    suspense_target = accounts.suspense(target.currency)
    if state.settled is None:
        reserved = accounts.reserved(player, source.currency)
        return move(reserved, available, source) if state.reserved else ()
    if state.at_house_expense:
        bought = Money(state.settled.amount + state.spread.amount, target.currency)
        return move(fx_source, suspense_source, source) + move(suspense_target, fx_target, bought)
    held = state.held or Money(0, target.currency)
    returned = Money(source.amount * held.amount // target.amount, source.currency)
    return (
        move(fx_source, available, returned)
        + move(fx_source, suspense_source, _less(source, returned))
        + move(accounts.reserved(player, target.currency), fx_target, held)
        + move(suspense_target, fx_target, _less(state.settled, held))
        + move(accounts.fees(target.currency), fx_target, state.spread)
    )


def _less(money: Money, taken: Money) -> Money:
    return Money(money.amount - taken.amount, money.currency)
