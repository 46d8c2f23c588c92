"""What a provider's report means for a refund: the ten rules, applied.

Money that may have left stays claimed on the deposit, so that nobody refunds it a second time;
two different final outcomes, or another amount, need a person. One reversal is normal: a refund
that had succeeded comes back from the bank.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from domain import accounts
from domain.command import Command, repeated
from domain.deposit.state import Deposit
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
from domain.events.evidence import Disposition, Evidence, Outcome, ReviewReason, Source, Standing
from domain.money import Money
from domain.provider.attempt import next_poll, parse_reference
from domain.provider.provider import Provider
from domain.provider.resolution import move, propose_or_agree
from domain.provider.turns import SAID_AGAIN, Order, is_judged, is_outdated, shares
from domain.refund.decisions import ATTEMPT, instrument_counts, tracked
from domain.refund.state import Refund, RefundStatus
from domain.replacing import replace

Events = tuple[LedgerEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One report about one refund, with all that the decision needs."""

    state: Refund
    command: Command
    evidence: Evidence
    deposit: Deposit
    provider: Provider
    available_minor: int

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
    def judged(self) -> Evidence | None:
        """What two people have decided about."""
        return self.state.reported if self.state.resolved else None

    @property
    def order(self) -> Order:
        """When the payment or return came, next to what is known."""
        return self.state.turns.order(self.evidence, paid=self.state.paid is not None)

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
    available_minor: int = 0,
) -> Events:
    """What follows from a report; () where this very notice has been acted on.

    `deposit` is the one it refunds: what the refund claims of it changes in the same append.
    `available_minor` is the player's available balance: what was returned to it is taken from it
    again where the provider paid again, or held where that is in doubt.
    """
    if evidence.notice_id is not None and evidence.notice_id in state.notices:
        return ()
    report = _Report(
        state=state,
        command=command,
        evidence=evidence,
        deposit=deposit,
        provider=provider,
        available_minor=available_minor,
    )
    if state.status is RefundStatus.REVIEW:
        return _in_review(report)
    if is_outdated(evidence, report.judged):
        if state.turns.turned_by(evidence, paid=state.paid is not None):
            return _review(report, ReviewReason.CONTRADICTION)
        return _noted(report, Disposition.LATE)
    if is_judged(evidence, report.judged):
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


def _in_review(report: _Report) -> Events:
    """Only whether the player could cover it waits for people: it may come back meanwhile."""
    state, said = report.state, report.evidence
    moved = said.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED) and not report.has_other_amount
    in_order = moved and report.order is not Order.UNTOLD
    uncovered = state.paid is not None and state.reason == ReviewReason.UNCOVERED
    if uncovered and in_order and said.reference == state.reference:
        return _after_success(report)
    return _noted(report, Disposition.IN_REVIEW)


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
            return _noted(report, SAID_AGAIN[report.order])
        case Outcome.RETURNED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            if report.order in (Order.REPEATED, Order.OLDER):
                return _noted(report, SAID_AGAIN[report.order])
            if report.order is Order.UNTOLD and report.state.turns.returned_told:
                return _review(report, ReviewReason.CONTRADICTION)
            return _reversed(report)
        case Outcome.DECLINED | Outcome.VOIDED:
            if report.state.turns.paid_since(report.evidence):
                return _noted(report, Disposition.LATE)
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
    """Paid again, if it is said to be later; or the success that came back, told after its return.

    Where no time is told, a success that was told before may be either.
    """
    order = report.order
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.CONTRADICTION)
            if order is Order.NEWER:
                if report.state.turns.failed_since(report.evidence):
                    return _review(report, ReviewReason.CONTRADICTION)
                return _paid_again(report)
            if order is Order.UNTOLD and report.state.turns.paid_told:
                return _review(report, ReviewReason.CONTRADICTION)
            return _noted(report, Disposition.LATE)
        case Outcome.RETURNED:
            return _noted(report, SAID_AGAIN[order])
        case Outcome.DECLINED | Outcome.VOIDED:
            return _noted(report, Disposition.DUPLICATE)
        case _:
            return _noted(report, Disposition.LATE)


def _without_attempt(report: _Report) -> Events:
    """Money that the provider says it paid although this attempt was never made."""
    if report.evidence.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED):
        return _review(report, ReviewReason.UNSOLICITED)
    return _noted(report, Disposition.UNSOLICITED)


def _succeeded(report: _Report) -> RefundSucceeded:
    state = report.state
    return RefundSucceeded(
        **report.header(),
        player_id=state.player_id,
        provider=state.provider,
        amount=state.amount,
        fee=state.turns.fee(report.evidence, state.amount.currency),
        evidence=report.evidence,
    )


def _paid_again(report: _Report) -> Events:
    """The player has it twice unless it is taken back; what they have spent waits for people."""
    state = report.state
    players, house = shares(state.amount, report.available_minor)
    paid = replace(
        _succeeded(report),
        from_available=players,
        from_house=house,
        counts=instrument_counts(state, -state.amount.amount),
    )
    claimed = report.tracked(state.amount, Standing.TAKEN)
    if house is None:
        return paid, *claimed
    return paid, _review_opened(report, ReviewReason.UNCOVERED, ahead=2), *claimed


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
        to_house=Money(state.house_minor, amount.currency) if state.house_minor else None,
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
    state, fee = report.state, None
    if disposition in (Disposition.EARLY, Disposition.LATE) and report.order is not Order.UNTOLD:
        fee = state.turns.fee_beside(report.evidence, state.amount.currency)
    noted = NoticeNoted(
        **report.header(),
        disposition=disposition,
        evidence=report.evidence,
        fee=fee,
        provider=state.provider if fee else None,
    )
    return (noted,)


def _review(report: _Report, reason: ReviewReason) -> Events:
    """Stop and ask a person; meanwhile nobody else refunds what this may have paid."""
    state, opened = report.state, _review_opened(report, reason)
    if state.reserved or state.paid:
        return (opened,)
    return opened, *report.tracked(state.amount, Standing.OPEN)


def _review_opened(report: _Report, reason: ReviewReason, ahead: int = 1) -> ReviewOpened:
    """What may have been paid although the player has it back is held."""
    state, doubtful = report.state, reason is ReviewReason.CONTRADICTION
    paid_after_all = doubtful and report.evidence.outcome is Outcome.SUCCEEDED
    is_back = not (state.reserved or state.paid)
    players, _ = shares(state.amount, report.available_minor)
    return ReviewOpened(
        **report.header(ahead),
        player_id=state.player_id,
        reason=reason,
        reserved=players if paid_after_all and is_back else None,
        evidence=report.evidence,
    )


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
            kept = state.amount if state.reserved else Money(state.held_minor, currency)
            return move(reserved, available, kept)
        house = Money(state.house_minor, currency)
        players = Money(state.paid.amount - house.amount, currency)
        return move(clearing, available, players) + move(clearing, suspense, house)
    if state.paid is not None:
        return ()
    reserved_minor = state.amount.amount if state.reserved else state.held_minor
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
