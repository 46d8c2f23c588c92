"""What a provider's report means for a refund: the ten rules, applied.

Money that may have left stays claimed on the deposit, so that nobody refunds it a second time;
two different final outcomes, or another amount, need a person. One reversal is normal: a refund
that had succeeded comes back from the bank.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from domain import accounts
from domain.attempts import next_poll, parse_reference
from domain.commands import Command, repeated
from domain.deposit import Deposit
from domain.errors import InvalidTransition, Reason
from domain.events import (
    Count,
    Header,
    LedgerEvent,
    Move,
    NoticeNoted,
    RefundReversed,
    RefundSucceeded,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionUnknown,
)
from domain.money import Money
from domain.outcomes import Disposition, Evidence, Outcome, ReviewReason, Source, Standing
from domain.provider import Provider
from domain.refund import ATTEMPT, instrument_counts, tracked
from domain.refund_state import Refund, RefundStatus
from domain.resolution import move, propose_or_agree

Events = tuple[LedgerEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One report about one refund, with all that the decision needs."""

    state: Refund
    command: Command
    evidence: Evidence
    deposit: Deposit
    provider: Provider

    def header(self, ahead: int = 1) -> Header:
        return self.command.header(self.state.id, self.state.version + ahead)

    @property
    def has_other_amount(self) -> bool:
        """The provider names an amount, and it is not what we asked for or know to be paid."""
        known = self.state.paid or self.state.amount
        return self.evidence.amount is not None and self.evidence.amount != known

    @property
    def is_of_no_attempt(self) -> bool:
        """Nothing was ever sent, or the reference is not of the only attempt there is."""
        parsed = parse_reference(self.evidence.reference)
        return self.state.reference is None or (parsed is not None and parsed[1] != ATTEMPT)

    @property
    def is_first_word(self) -> bool:
        """Our own call was answered, and nothing else has been heard or asked of the attempt.

        Once it has been asked about, it may have been sent again meanwhile: what became of the
        first call says nothing any more.
        """
        state = self.state
        heard_before = state.polls or state.notices or state.status is not RefundStatus.SUBMITTED
        return self.evidence.source is Source.ANSWER and not heard_before

    @property
    def was_judged(self) -> bool:
        """Two people have decided what exactly this report means."""
        judged, said = self.state.reported, self.evidence
        return (
            self.state.resolved
            and judged is not None
            and (said.outcome, said.reference) == (judged.outcome, judged.reference)
            and said.amount in (None, judged.amount)
        )

    def tracked(self, amount: Money, standing: Standing) -> Events:
        """What follows for the deposit."""
        return tracked(self.deposit, self.command, self.state.id, amount, standing)


def hear_refund(
    state: Refund,
    command: Command,
    evidence: Evidence,
    *,
    deposit: Deposit,
    provider: Provider,
) -> Events:
    """What follows from a report; () where this very notice has been acted on.

    `deposit` is the one it refunds: what the refund claims of it changes in the same append.
    """
    if evidence.notice_id is not None and evidence.notice_id in state.notices:
        return ()
    report = _Report(
        state=state, command=command, evidence=evidence, deposit=deposit, provider=provider
    )
    if state.status is RefundStatus.REVIEW:
        return _noted(report, Disposition.IN_REVIEW)
    if report.was_judged:
        return _noted(report, Disposition.DUPLICATE)
    if report.is_of_no_attempt:
        return _without_attempt(report)
    match state.status:
        case RefundStatus.SUBMITTED | RefundStatus.PENDING | RefundStatus.UNKNOWN:
            return _while_open(report)
        case RefundStatus.SUCCEEDED:
            return _after_success(report)
        case RefundStatus.FAILED:
            return _after_failure(report)
        case RefundStatus.REVERSED:
            return _after_reversal(report)
        case (
            RefundStatus.REQUESTED
            | RefundStatus.PENDING_APPROVAL
            | RefundStatus.APPROVED
            | RefundStatus.REJECTED
            | RefundStatus.CANCELLED
        ):
            return _without_attempt(report)
        case _:
            assert_never(state.status)


def _while_open(report: _Report) -> Events:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            amount = report.state.amount
            return _succeeded(report), *report.tracked(amount, Standing.TAKEN)
        case Outcome.RETURNED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            return _succeeded(report), *_reversed(report, ahead=2)
        case Outcome.DECLINED:
            return _failed(report, report.evidence.decline_code or Reason.DECLINED)
        case Outcome.VOIDED:
            return _failed(report, Reason.VOIDED)
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


def _nothing_final(report: _Report) -> Events:
    """Still open. A poll uses up one question of the schedule; after the last, ask a person."""
    state, source = report.state, report.evidence.source
    polls = state.polls + (source is Source.POLL)
    poll_at = None if source is Source.NOTICE else _next_poll(report, polls)
    if poll_at is None and source is not Source.NOTICE:
        return _review(report, ReviewReason.UNRESOLVED)
    pending = TransactionPending(
        **report.header(), polls=polls, poll_at=poll_at, evidence=report.evidence
    )
    return (pending,)


def _unknown(report: _Report) -> Events:
    """Nobody can say, unless we know more: our own late answer unsettles nothing."""
    state, source = report.state, report.evidence.source
    answered_late = source is Source.ANSWER and state.status is RefundStatus.PENDING
    if state.status is RefundStatus.UNKNOWN or answered_late:
        return _nothing_final(report)
    polls = state.polls + (source is Source.POLL)
    poll_at = _next_poll(report, polls)
    if poll_at is None:
        return _review(report, ReviewReason.UNRESOLVED)
    unknown = TransactionUnknown(
        **report.header(), polls=polls, poll_at=poll_at, evidence=report.evidence
    )
    return (unknown,)


def _next_poll(report: _Report, polls: int) -> datetime | None:
    return next_poll(report.command.now, polls, report.provider.poll_delays_seconds)


def _after_success(report: _Report) -> Events:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            return _noted(report, Disposition.DUPLICATE)
        case Outcome.RETURNED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            if report.state.house_minor:  # the player has the funds back already
                return _review(report, ReviewReason.CONTRADICTION)
            return _reversed(report)
        case Outcome.DECLINED | Outcome.VOIDED:
            return _review(report, ReviewReason.CONTRADICTION)
        case _:
            return _noted(report, Disposition.LATE)


def _after_failure(report: _Report) -> Events:
    """The funds went back to the player: a success, even one that came back, is against it."""
    match report.evidence.outcome:
        case Outcome.SUCCEEDED | Outcome.RETURNED:
            return _review(report, ReviewReason.CONTRADICTION)
        case Outcome.DECLINED | Outcome.VOIDED:
            return _noted(report, Disposition.DUPLICATE)
        case _:
            return _noted(report, Disposition.LATE)


def _after_reversal(report: _Report) -> Events:
    """The success that came back may be told after its return; told twice, it is another one."""
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.state.success_told or report.has_other_amount:
                return _review(report, ReviewReason.CONTRADICTION)
            return _noted(report, Disposition.LATE)
        case Outcome.RETURNED | Outcome.DECLINED | Outcome.VOIDED:
            return _noted(report, Disposition.DUPLICATE)
        case _:
            return _noted(report, Disposition.LATE)


def _without_attempt(report: _Report) -> Events:
    """Money that the provider says it paid although this attempt was never made."""
    if report.evidence.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED):
        return _review(report, ReviewReason.UNSOLICITED)
    return _noted(report, Disposition.UNSOLICITED)


def _succeeded(report: _Report) -> RefundSucceeded:
    state, fee = report.state, report.evidence.fee
    in_currency = fee is not None and fee.currency == state.amount.currency and fee.amount
    return RefundSucceeded(
        **report.header(),
        player_id=state.player_id,
        provider=state.provider,
        amount=state.amount,
        fee=fee if in_currency else None,
        evidence=report.evidence,
    )


def _reversed(report: _Report, ahead: int = 1) -> Events:
    """The player has the money again, and the deposit may be refunded again."""
    state = report.state
    amount = state.paid or state.amount
    came_back = RefundReversed(
        **report.header(ahead),
        player_id=state.player_id,
        provider=state.provider,
        amount=amount,
        counts=instrument_counts(state, amount.amount),
        evidence=report.evidence,
    )
    return came_back, *report.tracked(amount, Standing.RELEASED)


def _failed(report: _Report, reason: str) -> Events:
    """A refund is not sent again by itself: the player has the funds back."""
    state = report.state
    failed = TransactionFailed(
        **report.header(),
        player_id=state.player_id,
        reason=reason,
        released=state.amount,
        retry_at=None,
        counts=instrument_counts(state, state.amount.amount),
        evidence=report.evidence,
        declined=None,
    )
    return failed, *report.tracked(state.amount, Standing.RELEASED)


def _noted(report: _Report, disposition: Disposition) -> Events:
    noted = NoticeNoted(**report.header(), disposition=disposition, evidence=report.evidence)
    return (noted,)


def _review(report: _Report, reason: ReviewReason) -> Events:
    """Stop and ask a person; meanwhile nobody else refunds what this may have paid."""
    state = report.state
    opened = ReviewOpened(
        **report.header(),
        player_id=state.player_id,
        reason=reason,
        reserved=None,
        evidence=report.evidence,
    )
    if state.reserved or state.paid:
        return (opened,)
    return opened, *report.tracked(state.amount, Standing.OPEN)


# --- ending a review ----------------------------------------------------------------------------

REFUND_TARGETS = frozenset({RefundStatus.SUCCEEDED.value, RefundStatus.FAILED.value})


def resolve_refund(
    state: Refund, command: Command, *, deposit: Deposit, target: str, note: str
) -> Events:
    """Propose or agree how a review ends; () if this command did so already.

    Raises:
        InvalidTransition: the refund is not in review.
        InvalidResolution, EvidenceMissing, SelfApproval: see `propose_or_agree`.
    """
    if repeated(state.commands, command):
        return ()
    if state.status is not RefundStatus.REVIEW:
        raise InvalidTransition(state.status, "resolved")
    decided = propose_or_agree(
        transaction_id=state.id,
        version=state.version,
        player_id=state.player_id,
        proposal=state.proposal,
        command=command,
        target=target,
        targets=REFUND_TARGETS,
        note=note,
        moves=_moves(state, target),
        counts=_counts(state, target),
    )
    if not isinstance(decided, TransactionResolved):
        return (decided,)
    if target == RefundStatus.FAILED:
        claimed = deposit.refunds.get(state.id)
        amount = claimed.amount if claimed else state.amount
        return decided, *tracked(deposit, command, state.id, amount, Standing.RELEASED)
    amount = state.paid or state.settled
    return decided, *tracked(deposit, command, state.id, amount, Standing.TAKEN)


def _moves(state: Refund, target: str) -> tuple[Move, ...]:
    """What sets the books right, whether the funds are reserved, paid out, or back already."""
    currency = state.amount.currency
    available = accounts.available(state.player_id, currency)
    reserved = accounts.reserved(state.player_id, currency)
    clearing = accounts.clearing(state.provider, currency)
    suspense = accounts.suspense(currency)
    if target == RefundStatus.FAILED:
        if state.paid is None:
            return move(reserved, available, state.amount) if state.reserved else ()
        house = Money(state.house_minor, currency)
        players = Money(state.paid.amount - house.amount, currency)
        return move(clearing, available, players) + move(clearing, suspense, house)
    if state.paid is not None:
        return ()
    reserved_minor = state.amount.amount if state.reserved else 0
    covered_minor = min(state.settled.amount, reserved_minor)
    return (
        move(reserved, clearing, Money(covered_minor, currency))
        + move(reserved, available, Money(reserved_minor - covered_minor, currency))
        + move(suspense, clearing, Money(state.settled.amount - covered_minor, currency))
    )


def _counts(state: Refund, target: str) -> tuple[Count, ...]:
    """What the instrument got, less what is counted as gone to it already."""
    counted = state.amount if state.reserved else state.paid
    counted_minor = counted.amount if counted else 0
    gone = (state.paid or state.settled) if target == RefundStatus.SUCCEEDED else None
    return instrument_counts(state, counted_minor - (gone.amount if gone else 0))
