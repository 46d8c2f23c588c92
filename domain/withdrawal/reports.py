"""What a provider's report means for a leg of a withdrawal: the ten rules, applied.

The attempt in the reference says which leg it is; the others go on, whatever is found. Money that
may have left is never sent again: a report about an earlier attempt, or two different final
outcomes, stops the leg until a person has looked.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from domain import accounts
from domain.command import Command, repeated
from domain.errors import InvalidTransition, LegAmbiguous, Reason
from domain.events import (
    Count,
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
from domain.events.evidence import (
    DeclineCode,
    Disposition,
    Evidence,
    Outcome,
    ReviewReason,
    Source,
)
from domain.money import Money
from domain.provider.attempt import ATTEMPTS_MAX, next_poll, parse_reference
from domain.provider.provider import Provider
from domain.provider.resolution import move, propose_or_agree
from domain.provider.turns import SAID_AGAIN, Order, is_judged, is_outdated, shares
from domain.replacing import replace
from domain.withdrawal.legs import Leg, LegStatus, find_leg, leg_about, net_counts, taken
from domain.withdrawal.state import Withdrawal, WithdrawalStatus

_GIVEN_UP: Final = frozenset({WithdrawalStatus.REJECTED, WithdrawalStatus.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One report about one leg, with all that the decision needs."""

    state: Withdrawal
    leg: Leg
    command: Command
    evidence: Evidence
    provider: Provider
    available_minor: int

    def header(self, ahead: int = 1) -> Header:
        return self.command.header(self.state.id, self.state.version + ahead)

    @property
    def has_other_amount(self) -> bool:
        """The provider names an amount, and it is not what we asked for or know to be paid."""
        return self.evidence.amount is not None and self.evidence.amount != self.leg.out

    @property
    def attempt(self) -> int:
        """The attempt the report is about; the latest where the reference does not say."""
        parsed = parse_reference(self.evidence.reference)
        return parsed[1] if parsed else self.leg.attempt

    @property
    def is_of_another_attempt(self) -> bool:
        """Not of the one that paid, nor, while none has, of the latest."""
        paid = parse_reference(self.leg.paid_reference or "")
        return self.attempt != (paid[1] if paid else self.leg.attempt)

    @property
    def is_first_word(self) -> bool:
        """Our own call was answered, and nothing else has been heard or asked of the attempt.

        Once it has been asked about, it may have been sent again meanwhile: what became of the
        first call says nothing any more.
        """
        heard_before = self.leg.polls or self.leg.status is not LegStatus.SUBMITTED
        return self.evidence.source is Source.ANSWER and not heard_before

    @property
    def given_back(self) -> tuple[Count, ...]:
        """What the instrument has in net deposits again, once the leg takes nothing any more."""
        currency = self.leg.amount.currency
        before = taken((self.leg,))
        return net_counts(self.state.player_id, currency, before=before, after={})

    @property
    def judged(self) -> Evidence | None:
        """What two people have decided about."""
        return self.leg.reported if self.leg.resolved else None

    @property
    def order(self) -> Order:
        """When the payment or return came, next to what is known."""
        return self.leg.turns.order(self.evidence, paid=self.leg.paid)


def hear_withdrawal(
    state: Withdrawal,
    command: Command,
    evidence: Evidence,
    *,
    provider: Provider,
    available_minor: int = 0,
) -> tuple[WithdrawalEvent, ...]:
    """What follows from a report; () where this very notice has been acted on.

    `available_minor` is the player's available balance: what was returned to it is taken from it
    again where the provider paid again, or held where that is in doubt.
    """
    if evidence.notice_id is not None and evidence.notice_id in state.notices:
        return ()
    leg = leg_about(state.legs, evidence.reference)
    report = _Report(
        state=state,
        leg=leg,
        command=command,
        evidence=evidence,
        provider=provider,
        available_minor=available_minor,
    )
    if leg.status is LegStatus.REVIEW:
        return (_in_review(report),)
    if is_outdated(evidence, report.judged):
        if leg.turns.turned_by(evidence, paid=leg.paid):
            return (_review(report, ReviewReason.CONTRADICTION),)
        return (_noted(report, Disposition.LATE),)
    if is_judged(evidence, report.judged):
        return (_noted(report, Disposition.DUPLICATE),)
    if report.attempt not in leg.attempts:
        return (_without_attempt(report),)
    if report.is_of_another_attempt:
        return (_about_another_attempt(report),)
    match leg.status:
        case LegStatus.SUBMITTED | LegStatus.PROCESSING | LegStatus.UNKNOWN:
            return _while_open(report)
        case LegStatus.PAID:
            return (_after_payment(report),)
        case LegStatus.FAILED:
            return (_after_failure(report),)
        case LegStatus.RETURNED:
            return _after_return(report)
        case LegStatus.PLANNED | LegStatus.QUEUED | LegStatus.RELEASED:
            was_sent = leg.attempt != 0 and leg.attempt == leg.attempt_sent
            return (_after_failure(report) if was_sent else _without_attempt(report),)
        case _:
            assert_never(leg.status)


def _in_review(report: _Report) -> WithdrawalEvent:
    """Only whether the player could cover it waits for people: it may come back meanwhile."""
    leg, said = report.leg, report.evidence
    moved = said.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED) and not report.has_other_amount
    in_order = moved and report.order is not Order.UNTOLD
    uncovered = leg.paid and leg.reason == ReviewReason.UNCOVERED
    if uncovered and in_order and said.reference == leg.paid_reference:
        return _after_payment(report)
    return _noted(report, Disposition.IN_REVIEW)


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
            if report.is_first_word:
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
    """With another attempt to come the funds stay reserved; otherwise the player has them back.

    Where the rest of the withdrawal has been recalled meanwhile, people decide about this leg
    too before it is tried again; where the rest was given up, so is this.
    """
    state, leg = report.state, report.leg
    again = retry and len(leg.attempts) < ATTEMPTS_MAX and state.decision not in _GIVEN_UP
    approved = state.decision is WithdrawalStatus.APPROVED
    retry_at = _next_poll(report, len(leg.attempts) - 1) if again else None
    released = leg.amount if retry_at is None else None
    counts = report.given_back if released else ()
    return TransactionFailed(
        **report.header(),
        player_id=state.player_id,
        reason=reason,
        released=released,
        retry_at=retry_at if approved else None,
        counts=counts,
        evidence=report.evidence,
        declined=None,
    )


def _nothing_final(report: _Report) -> WithdrawalEvent:
    """Still open. A poll uses up one question of the schedule; after the last, ask a person."""
    leg, source = report.leg, report.evidence.source
    polls = leg.polls + (source is Source.POLL)
    poll_at = None if source is Source.NOTICE else _next_poll(report, polls)
    if poll_at is None and source is not Source.NOTICE:
        return _review(report, ReviewReason.UNRESOLVED)
    in_work = report.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)
    if in_work and leg.status is LegStatus.SUBMITTED:
        return WithdrawalProcessing(
            **report.header(), polls=polls, poll_at=poll_at, evidence=report.evidence
        )
    return TransactionPending(
        **report.header(), polls=polls, poll_at=poll_at, evidence=report.evidence
    )


def _unknown(report: _Report) -> WithdrawalEvent:
    leg = report.leg
    if leg.status is not LegStatus.SUBMITTED:
        return _nothing_final(report)
    polls = leg.polls + (report.evidence.source is Source.POLL)
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
            return _noted(report, SAID_AGAIN[report.order])
        case Outcome.RETURNED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            if report.order in (Order.REPEATED, Order.OLDER):
                return _noted(report, SAID_AGAIN[report.order])
            if report.order is Order.UNTOLD and report.leg.turns.returned_told:
                return _review(report, ReviewReason.CONTRADICTION)
            return _returned(report)
        case Outcome.DECLINED | Outcome.VOIDED:
            if report.leg.turns.paid_since(report.evidence):
                return _noted(report, Disposition.LATE)
            return _review(report, ReviewReason.CONTRADICTION)
        case _:
            return _noted(report, Disposition.LATE)


def _after_return(report: _Report) -> tuple[WithdrawalEvent, ...]:
    """Paid again, if it is said to be later; or the payment that came back, told after its return.

    Where no time is told, a payment that was told before may be either.
    """
    order = report.order
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return (_review(report, ReviewReason.MISMATCH),)
            if order is Order.NEWER:
                if report.leg.turns.failed_since(report.evidence):
                    return (_review(report, ReviewReason.CONTRADICTION),)
                return _paid_again(report)
            if order is Order.UNTOLD and report.leg.turns.paid_told:
                return (_review(report, ReviewReason.CONTRADICTION),)
            return (_noted(report, Disposition.LATE),)
        case Outcome.RETURNED:
            return (_noted(report, SAID_AGAIN[order]),)
        case Outcome.DECLINED | Outcome.VOIDED:
            return (_noted(report, Disposition.DUPLICATE),)
        case _:
            return (_noted(report, Disposition.LATE),)


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
    leg = report.leg
    return WithdrawalPaid(
        **report.header(),
        leg=leg.number,
        player_id=report.state.player_id,
        provider=leg.provider,
        amount=leg.amount,
        fee=leg.turns.fee(report.evidence, leg.amount.currency),
        evidence=report.evidence,
    )


def _paid_again(report: _Report) -> tuple[WithdrawalEvent, ...]:
    """The player has it twice unless it is taken back; what they have spent waits for people."""
    state, leg = report.state, report.leg
    players, house = shares(leg.amount, report.available_minor)
    paid = replace(
        _paid(report),
        from_available=players,
        from_house=house,
        counts=net_counts(
            state.player_id,
            leg.amount.currency,
            before={},
            after=taken((replace(leg, paid=True),)),
        ),
    )
    if house is None:
        return (paid,)
    return paid, _review(report, ReviewReason.UNCOVERED, ahead=2)


def _returned(report: _Report, ahead: int = 1) -> WithdrawalReturned:
    leg = report.leg
    lent = Money(leg.house_minor, leg.amount.currency) if leg.house_minor else None
    return WithdrawalReturned(
        **report.header(ahead),
        leg=leg.number,
        player_id=report.state.player_id,
        provider=leg.provider,
        amount=leg.out,
        counts=report.given_back,
        evidence=report.evidence,
        to_house=lent,
    )


def _noted(report: _Report, disposition: Disposition) -> NoticeNoted:
    leg, fee = report.leg, None
    if disposition in (Disposition.EARLY, Disposition.LATE) and report.order is not Order.UNTOLD:
        fee = leg.turns.fee_beside(report.evidence, leg.amount.currency)
    return NoticeNoted(
        **report.header(),
        disposition=disposition,
        evidence=report.evidence,
        fee=fee,
        provider=leg.provider if fee else None,
    )


def _review(report: _Report, reason: ReviewReason, ahead: int = 1) -> ReviewOpened:
    """Stop and ask a person; what may have been paid although the player has it back is held."""
    leg, doubtful = report.leg, reason in (ReviewReason.CONTRADICTION, ReviewReason.MISMATCH)
    paid_after_all = doubtful and report.evidence.outcome is Outcome.SUCCEEDED and not leg.takes
    players, _ = shares(leg.amount, report.available_minor)
    return ReviewOpened(
        **report.header(ahead),
        player_id=report.state.player_id,
        reason=reason,
        reserved=players if paid_after_all else None,
        evidence=report.evidence,
    )


# --- ending a review ----------------------------------------------------------------------------

WITHDRAWAL_TARGETS = frozenset({LegStatus.PAID.value, LegStatus.FAILED.value})


def resolve_withdrawal(
    state: Withdrawal, command: Command, *, target: str, note: str, leg: int | None = None
) -> ResolutionProposed | TransactionResolved | None:
    """Propose or agree how a leg's review ends; None if this command did so already.

    Raises:
        LegNotFound: there is no such leg.
        LegAmbiguous: several legs are in review, and none is named.
        InvalidTransition: the leg, or where none is named any leg, is not in review.
        InvalidResolution, EvidenceMissing, SelfApproval: see `propose_or_agree`.
    """
    if repeated(state.commands, command):
        return None
    reviewed = _reviewed(state, leg)
    settled = reviewed.settled if reviewed.takes else _settled_amount(reviewed)
    paid = replace(reviewed, paid=True, settled=settled)
    after = {} if target == LegStatus.FAILED else taken((paid,))
    return propose_or_agree(
        transaction_id=state.id,
        version=state.version,
        player_id=state.player_id,
        proposal=reviewed.proposal,
        command=command,
        target=target,
        targets=WITHDRAWAL_TARGETS,
        note=note,
        moves=_moves(state.player_id, reviewed, target),
        leg=reviewed.number,
        counts=net_counts(
            state.player_id, state.amount.currency, before=taken((reviewed,)), after=after
        ),
    )


def _reviewed(state: Withdrawal, leg: int | None) -> Leg:
    legs = state.legs if leg is None else (find_leg(state.legs, leg),)
    reviewed = [known for known in legs if known.status is LegStatus.REVIEW]
    if not reviewed:
        raise InvalidTransition(state.status, "resolved")
    if len(reviewed) > 1:
        raise LegAmbiguous
    return reviewed[0]


def _moves(player_id: UUID, leg: Leg, target: str) -> tuple[Move, ...]:
    """What sets the books right, whether the funds are reserved, paid out, or back already."""
    amount, currency = leg.amount, leg.amount.currency
    available = accounts.available(player_id, currency)
    reserved = accounts.reserved(player_id, currency)
    clearing = accounts.clearing(leg.provider, currency)
    suspense = accounts.suspense(currency)
    held = Money(leg.held_minor, currency)
    if target == LegStatus.FAILED:
        if leg.reserved:
            return move(reserved, available, amount)
        if not leg.paid:
            return move(reserved, available, held)
        lent = Money(leg.house_minor, currency)
        players = Money(leg.out.amount - lent.amount, currency)
        return move(clearing, available, players) + move(clearing, suspense, lent)
    if leg.paid:
        return ()
    settled = _settled_amount(leg)
    if not leg.reserved:
        covered = Money(min(settled.amount, held.amount), currency)
        return (
            move(reserved, clearing, covered)
            + move(reserved, available, Money(held.amount - covered.amount, currency))
            + move(suspense, clearing, Money(settled.amount - covered.amount, currency))
        )
    difference = Money(amount.amount - settled.amount, currency)
    return move(reserved, clearing, settled) + move(reserved, suspense, difference)


def _settled_amount(leg: Leg) -> Money:
    """What the provider says it paid, where it says so in the leg's own currency."""
    amount = leg.reported.amount if leg.reported else None
    if amount is None or amount.currency != leg.amount.currency or amount.amount <= 0:
        return leg.amount
    return amount
