"""What a provider's report means for a withdrawal: the ten rules, applied.

Money that may have left is never sent again: a report about an earlier attempt, or two
different final outcomes, stops everything until a person has looked.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from domain import accounts
from domain.attempts import ATTEMPTS_MAX, next_poll, parse_reference
from domain.commands import Command, repeated
from domain.errors import InvalidTransition, Reason
from domain.events import (
    Header,
    Move,
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionUnknown,
    WithdrawalEvent,
    WithdrawalPaid,
    WithdrawalProcessing,
    WithdrawalReturned,
)
from domain.money import Money
from domain.outcomes import DeclineCode, Disposition, Evidence, Outcome, ReviewReason, Source
from domain.provider import Provider
from domain.resolution import move, propose_or_agree
from domain.withdrawal import Withdrawal, WithdrawalStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One report about one withdrawal, with all that the decision needs."""

    state: Withdrawal
    command: Command
    evidence: Evidence
    provider: Provider

    def header(self, ahead: int = 1) -> Header:
        return self.command.header(self.state.id, self.state.version + ahead)

    @property
    def has_other_amount(self) -> bool:
        """The provider names an amount, and it is not the one we asked for."""
        return self.evidence.amount is not None and self.evidence.amount != self.state.amount

    @property
    def attempt(self) -> int:
        """The attempt the report is about; the latest where the reference does not say."""
        parsed = parse_reference(self.evidence.reference)
        return parsed[1] if parsed else self.state.attempt

    @property
    def is_of_another_attempt(self) -> bool:
        """Not of the one that paid, nor, while none has, of the latest."""
        paid = parse_reference(self.state.paid_reference or "")
        return self.attempt != (paid[1] if paid else self.state.attempt)

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


def hear_withdrawal(
    state: Withdrawal, command: Command, evidence: Evidence, *, provider: Provider
) -> tuple[WithdrawalEvent, ...]:
    """What follows from a report; () where this very notice has been acted on."""
    if evidence.notice_id is not None and evidence.notice_id in state.notices:
        return ()
    report = _Report(state=state, command=command, evidence=evidence, provider=provider)
    if state.status is WithdrawalStatus.REVIEW:
        return (_noted(report, Disposition.IN_REVIEW),)
    if report.was_judged:
        return (_noted(report, Disposition.DUPLICATE),)
    if report.attempt > state.attempt:
        return (_without_attempt(report),)
    if report.is_of_another_attempt:
        return (_about_another_attempt(report),)
    match state.status:
        case WithdrawalStatus.SUBMITTED | WithdrawalStatus.PROCESSING | WithdrawalStatus.UNKNOWN:
            return _while_open(report)
        case WithdrawalStatus.PAID:
            return (_after_payment(report),)
        case WithdrawalStatus.FAILED:
            return (_after_failure(report),)
        case WithdrawalStatus.RETURNED:
            return (_noted(report, Disposition.DUPLICATE),)
        case (
            WithdrawalStatus.REQUESTED
            | WithdrawalStatus.SCREENING
            | WithdrawalStatus.UNDER_REVIEW
            | WithdrawalStatus.INFO_REQUIRED
            | WithdrawalStatus.HELD
            | WithdrawalStatus.APPROVED
            | WithdrawalStatus.QUEUED
            | WithdrawalStatus.REJECTED
            | WithdrawalStatus.CANCELLED
        ):
            return (_without_attempt(report),)
        case _:
            assert_never(state.status)


def _while_open(report: _Report) -> tuple[WithdrawalEvent, ...]:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return (_review(report, ReviewReason.MISMATCH),)
            return (_paid(report),)
        case Outcome.RETURNED:
            if report.has_other_amount:
                return (_review(report, ReviewReason.MISMATCH),)
            return _paid(report), _returned(report, ahead=2)
        case Outcome.DECLINED:
            return (_declined(report),)
        case Outcome.VOIDED:
            return (_failed(report, Reason.VOIDED, retry=False),)
        case Outcome.NOT_SENT:
            first_call = report.evidence.source is Source.ANSWER
            if first_call and report.state.status is WithdrawalStatus.SUBMITTED:
                return (_failed(report, Reason.NOT_SENT, retry=True),)
            return (_nothing_final(report),)
        case Outcome.UNKNOWN:
            return (_unknown(report),)
        case (
            Outcome.ACCEPTED
            | Outcome.PENDING
            | Outcome.AUTHORISED
            | Outcome.AWAITING_PLAYER
            | Outcome.NOT_FOUND
        ):
            return (_nothing_final(report),)
        case _:
            assert_never(report.evidence.outcome)


def _declined(report: _Report) -> TransactionFailed:
    """A trouble of the provider's own is worth another attempt; a refusal of the bank's is not."""
    code = report.evidence.decline_code
    return _failed(report, code or Reason.DECLINED, retry=code is DeclineCode.PROVIDER_ERROR)


def _failed(report: _Report, reason: str, *, retry: bool) -> TransactionFailed:
    """With another attempt to come the funds stay reserved; otherwise the player has them back."""
    state = report.state
    again = retry and state.attempt < ATTEMPTS_MAX
    retry_at = _next_poll(report, state.attempt - 1) if again else None
    return TransactionFailed(
        **report.header(),
        player_id=state.player_id,
        reason=reason,
        released=state.amount if retry_at is None else None,
        retry_at=retry_at,
        evidence=report.evidence,
    )


def _nothing_final(report: _Report) -> WithdrawalEvent:
    """Still open. A poll uses up one question of the schedule; after the last, ask a person."""
    state, source = report.state, report.evidence.source
    polls = state.polls + (source is Source.POLL)
    poll_at = None if source is Source.NOTICE else _next_poll(report, polls)
    if poll_at is None and source is not Source.NOTICE:
        return _review(report, ReviewReason.UNRESOLVED)
    in_work = report.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)
    if in_work and state.status is WithdrawalStatus.SUBMITTED:
        return WithdrawalProcessing(
            **report.header(), polls=polls, poll_at=poll_at, evidence=report.evidence
        )
    return TransactionPending(
        **report.header(), polls=polls, poll_at=poll_at, evidence=report.evidence
    )


def _unknown(report: _Report) -> WithdrawalEvent:
    state = report.state
    if state.status is not WithdrawalStatus.SUBMITTED:
        return _nothing_final(report)
    polls = state.polls + (report.evidence.source is Source.POLL)
    poll_at = _next_poll(report, polls)
    if poll_at is None:
        return _review(report, ReviewReason.UNRESOLVED)
    return TransactionUnknown(
        **report.header(), polls=polls, poll_at=poll_at, evidence=report.evidence
    )


def _next_poll(report: _Report, polls: int) -> datetime | None:
    return next_poll(report.command.now, polls, report.provider.poll_delays_seconds)


def _about_another_attempt(report: _Report) -> WithdrawalEvent:
    """Two attempts that both pay would pay the player twice."""
    if report.evidence.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED):
        return _review(report, ReviewReason.CONTRADICTION)
    return _noted(report, Disposition.LATE)


def _after_payment(report: _Report) -> WithdrawalEvent:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            return _noted(report, Disposition.DUPLICATE)
        case Outcome.RETURNED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            if report.state.at_house_expense:  # the player has the funds back already
                return _review(report, ReviewReason.CONTRADICTION)
            return _returned(report)
        case Outcome.DECLINED | Outcome.VOIDED:
            return _review(report, ReviewReason.CONTRADICTION)
        case _:
            return _noted(report, Disposition.LATE)


def _after_failure(report: _Report) -> WithdrawalEvent:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED | Outcome.RETURNED:
            return _review(report, ReviewReason.CONTRADICTION)
        case Outcome.DECLINED | Outcome.VOIDED:
            return _noted(report, Disposition.DUPLICATE)
        case _:
            return _noted(report, Disposition.LATE)


def _without_attempt(report: _Report) -> WithdrawalEvent:
    """Money that the provider says it paid although this attempt was never made."""
    if report.evidence.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED):
        return _review(report, ReviewReason.UNSOLICITED)
    return _noted(report, Disposition.UNSOLICITED)


def _paid(report: _Report) -> WithdrawalPaid:
    state, fee = report.state, report.evidence.fee
    in_currency = fee is not None and fee.currency == state.amount.currency and fee.amount
    return WithdrawalPaid(
        **report.header(),
        player_id=state.player_id,
        provider=state.provider,
        amount=state.amount,
        fee=fee if in_currency else None,
        evidence=report.evidence,
    )


def _returned(report: _Report, ahead: int = 1) -> WithdrawalReturned:
    return WithdrawalReturned(
        **report.header(ahead),
        player_id=report.state.player_id,
        provider=report.state.provider,
        amount=report.state.amount,
        evidence=report.evidence,
    )


def _noted(report: _Report, disposition: Disposition) -> NoticeNoted:
    return NoticeNoted(**report.header(), disposition=disposition, evidence=report.evidence)


def _review(report: _Report, reason: ReviewReason) -> ReviewOpened:
    return ReviewOpened(
        **report.header(),
        player_id=report.state.player_id,
        reason=reason,
        reserved=None,
        evidence=report.evidence,
    )


# --- ending a review ----------------------------------------------------------------------------

WITHDRAWAL_TARGETS = frozenset({WithdrawalStatus.PAID.value, WithdrawalStatus.FAILED.value})


def resolve_withdrawal(
    state: Withdrawal, command: Command, *, target: str, note: str
) -> ResolutionProposed | TransactionResolved | None:
    """Propose or agree how a review ends; None if this command did so already.

    Raises:
        InvalidTransition: the withdrawal is not in review.
        InvalidResolution, EvidenceMissing, SelfApproval: see `propose_or_agree`.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not WithdrawalStatus.REVIEW:
        raise InvalidTransition(state.status, "resolved")
    return propose_or_agree(
        transaction_id=state.id,
        version=state.version,
        player_id=state.player_id,
        proposal=state.proposal,
        command=command,
        target=target,
        targets=WITHDRAWAL_TARGETS,
        note=note,
        moves=_moves(state, target),
    )


def _moves(state: Withdrawal, target: str) -> tuple[Move, ...]:
    """What sets the books right, whether the funds are reserved, paid out, or back already."""
    amount, currency = state.amount, state.amount.currency
    available = accounts.available(state.player_id, currency)
    reserved = accounts.reserved(state.player_id, currency)
    clearing = accounts.clearing(state.provider, currency)
    suspense = accounts.suspense(currency)
    if target == WithdrawalStatus.FAILED:
        if state.reserved:
            return move(reserved, available, amount)
        back_to = suspense if state.at_house_expense else available
        return move(clearing, back_to, amount) if state.paid else ()
    if state.paid:
        return ()
    if not state.reserved:
        return move(suspense, clearing, amount)
    settled = _settled_amount(state)
    difference = Money(amount.amount - settled.amount, currency)
    return move(reserved, clearing, settled) + move(reserved, suspense, difference)


def _settled_amount(state: Withdrawal) -> Money:
    """What the provider says it paid, where it says so in the withdrawal's own currency."""
    reported = state.reported
    amount = reported.amount if reported else None
    in_currency = amount is not None and amount.currency == state.amount.currency
    return amount if amount is not None and in_currency else state.amount
