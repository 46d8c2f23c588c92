"""What a provider's report means for a deposit: the ten rules, applied.

The order in which reports arrive means nothing. A report of lower rank than what is known is
noted and changes nothing; two different final outcomes, or another amount, need a person.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from domain import accounts
from domain.command import Command, repeated
from domain.counters import deposited_counter, instrument_counter, uncounted
from domain.deposit.decisions import DepositStatus
from domain.deposit.state import Deposit, settled_amount
from domain.errors import InvalidTransition, Reason
from domain.events import (
    Count,
    Declined,
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositCompleted,
    DepositEvent,
    DepositExpired,
    DepositVoided,
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
from domain.provider.attempt import EXPIRY_SECONDS, next_poll, parse_reference
from domain.provider.provider import Provider
from domain.provider.resolution import move, propose_or_agree
from domain.provider.turns import is_judged, is_outdated

_NOT_FINAL = frozenset(
    {
        Outcome.ACCEPTED,
        Outcome.AWAITING_PLAYER,
        Outcome.PENDING,
        Outcome.AUTHORISED,
        Outcome.NOT_FOUND,
        Outcome.NOT_SENT,
        Outcome.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One report about one deposit, with all that the decision needs."""

    state: Deposit
    command: Command
    evidence: Evidence
    provider: Provider
    available_minor: int
    concerns: tuple[str, ...]

    @property
    def header(self) -> Header:
        return self.command.header(self.state.id, self.state.version + 1)

    @property
    def has_other_amount(self) -> bool:
        """The provider names an amount, and it is not the one we asked for."""
        return self.evidence.amount is not None and self.evidence.amount != self.state.amount

    @property
    def player_has_acted(self) -> bool:
        return self.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)

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
        heard_before = state.polls or state.notices or state.status is not DepositStatus.SUBMITTED
        return self.evidence.source is Source.ANSWER and not heard_before

    @property
    def judged(self) -> Evidence | None:
        """What two people have decided about."""
        return self.state.reported if self.state.resolved else None

    @property
    def came_before_success(self) -> bool:
        """By the provider's clock, this was before it succeeded."""
        at, succeeded_at = self.evidence.happened_at, self.state.succeeded_at
        return at is not None and succeeded_at is not None and at < succeeded_at

    @property
    def came_before_failure(self) -> bool:
        """By the provider's clock, it failed after this."""
        at, failed_at = self.evidence.happened_at, self.state.failed_at
        return at is not None and failed_at is not None and at <= failed_at

    @property
    def is_overdue(self) -> bool:
        """The player's time is over, and it is the provider's answer when we asked."""
        expires_at, polled = self.state.expires_at, self.evidence.source is Source.POLL
        return polled and expires_at is not None and self.command.now >= expires_at


def hear_deposit(
    state: Deposit,
    command: Command,
    evidence: Evidence,
    *,
    provider: Provider,
    available_minor: int = 0,
    concerns: tuple[str, ...] = (),
) -> DepositEvent | None:
    """What follows from a report; None where this very notice has been acted on.

    `available_minor` is the player's available balance in the deposit's currency: a completed
    deposit that turns out to have failed reserves what is left of it. `concerns` are the rules
    that would forbid the deposit by now: a success is credited all the same, and says so.
    """
    if evidence.notice_id is not None and evidence.notice_id in state.notices:
        return None
    report = _Report(
        state=state,
        command=command,
        evidence=evidence,
        provider=provider,
        available_minor=available_minor,
        concerns=concerns,
    )
    if state.status is DepositStatus.REVIEW:
        return _noted(report, Disposition.IN_REVIEW)
    if is_judged(evidence, report.judged):
        return _noted(report, Disposition.DUPLICATE)
    if is_outdated(evidence, report.judged):
        return _noted(report, Disposition.LATE)
    if report.is_of_no_attempt:
        return _without_attempt(report)
    match state.status:
        case (
            DepositStatus.SUBMITTED
            | DepositStatus.AWAITING_PLAYER
            | DepositStatus.AUTHORISED
            | DepositStatus.UNKNOWN
        ):
            return _while_open(report)
        case DepositStatus.FAILED if state.resolved:
            return _after_void(report)
        case DepositStatus.FAILED | DepositStatus.EXPIRED | DepositStatus.CANCELLED:
            return _after_giving_up(report)
        case DepositStatus.VOIDED:
            return _after_void(report)
        case DepositStatus.COMPLETED | DepositStatus.PARTIALLY_REFUNDED | DepositStatus.REFUNDED:
            return _after_completion(report)
        case DepositStatus.CREATED | DepositStatus.BLOCKED:
            return _without_attempt(report)
        case _:
            assert_never(state.status)


def _while_open(report: _Report) -> DepositEvent:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            return _completed(report, late=False)
        case Outcome.DECLINED:
            return _failed(report, report.evidence.decline_code or Reason.DECLINED)
        case Outcome.VOIDED:
            return DepositVoided(
                **report.header, counts=report.state.counts_back, evidence=report.evidence
            )
        case Outcome.RETURNED:
            return _review(report, ReviewReason.CONTRADICTION)
        case Outcome.AUTHORISED:
            return _authorised(report)
        case Outcome.AWAITING_PLAYER:
            return _awaiting_player(report)
        case Outcome.ACCEPTED | Outcome.PENDING | Outcome.NOT_FOUND:
            return _nothing_final(report)
        case Outcome.NOT_SENT:
            if report.is_first_word:
                return _failed(report, Reason.NOT_SENT)
            return _nothing_final(report)
        case Outcome.UNKNOWN:
            return _unknown(report)
        case _:
            assert_never(report.evidence.outcome)


def _authorised(report: _Report) -> DepositEvent:
    if report.state.status is DepositStatus.AUTHORISED:
        return _nothing_final(report)
    if report.has_other_amount:
        return _review(report, ReviewReason.MISMATCH)
    poll_at = _next_poll(report, report.state.polls)
    return DepositAuthorised(
        **report.header, poll_at=poll_at or report.command.now, evidence=report.evidence
    )


def _awaiting_player(report: _Report) -> DepositEvent:
    """The player has to act. A poll that still says so after their time is up ends the wait."""
    state, polled = report.state, report.evidence.source is Source.POLL
    if state.status is DepositStatus.AUTHORISED:
        return _nothing_final(report) if polled else _noted(report, Disposition.LATE)
    if report.is_overdue:
        return _expired(report)
    if state.status is DepositStatus.AWAITING_PLAYER:
        return _nothing_final(report) if polled else _noted(report, Disposition.DUPLICATE)
    seconds = report.provider.expiry_seconds.get(state.method, EXPIRY_SECONDS["redirect"])
    expires_at = state.expires_at or report.command.now + timedelta(seconds=seconds)
    poll_at = _next_poll(report, state.polls) or expires_at
    return DepositAwaitingPlayer(
        **report.header,
        redirect_url=report.evidence.redirect_url or state.redirect_url or "",
        expires_at=expires_at,
        poll_at=min(poll_at, expires_at),
        evidence=report.evidence,
    )


def _nothing_final(report: _Report) -> DepositEvent:
    """Still open. A poll uses up one question of the schedule; after the last, ask a person."""
    state, source = report.state, report.evidence.source
    if source is not Source.POLL and state.status is DepositStatus.AUTHORISED:
        older = report.evidence.outcome is not Outcome.AUTHORISED
        return _noted(report, Disposition.LATE if older else Disposition.DUPLICATE)
    waits_for_player = state.status is DepositStatus.AWAITING_PLAYER
    if waits_for_player and report.is_overdue and report.evidence.outcome is Outcome.NOT_FOUND:
        return _expired(report)
    if source is Source.NOTICE and not waits_for_player:
        return TransactionPending(
            **report.header, polls=state.polls, poll_at=None, evidence=report.evidence
        )
    polls = state.polls + (source is Source.POLL)
    poll_at = _next_poll(report, polls)
    if waits_for_player and not report.player_has_acted and not report.is_overdue:
        poll_at = min(filter(None, (poll_at, state.expires_at)), default=None)
    if poll_at is None:
        return _review(report, ReviewReason.UNRESOLVED)
    return TransactionPending(
        **report.header, polls=polls, poll_at=poll_at, evidence=report.evidence
    )


def _unknown(report: _Report) -> DepositEvent:
    state = report.state
    if state.status in (DepositStatus.UNKNOWN, DepositStatus.AUTHORISED):
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


def _after_giving_up(report: _Report) -> DepositEvent:
    match report.evidence.outcome:
        case Outcome.SUCCEEDED:
            if report.has_other_amount:
                return _review(report, ReviewReason.MISMATCH)
            if report.came_before_failure:
                return _review(report, ReviewReason.CONTRADICTION)
            return _completed(report, late=True)
        case Outcome.DECLINED | Outcome.VOIDED:
            return _noted(report, Disposition.DUPLICATE)
        case Outcome.RETURNED:
            return _review(report, ReviewReason.CONTRADICTION)
        case _:
            return _noted(report, Disposition.LATE)


def _after_void(report: _Report) -> DepositEvent:
    if report.evidence.outcome in (Outcome.SUCCEEDED, Outcome.RETURNED):
        return _review(report, ReviewReason.CONTRADICTION)
    return _after_giving_up(report)


def _after_completion(report: _Report) -> DepositEvent:
    outcome = report.evidence.outcome
    if outcome in _NOT_FINAL:
        return _noted(report, Disposition.LATE)
    if outcome is not Outcome.SUCCEEDED:
        if outcome is Outcome.DECLINED and report.came_before_success:
            return _noted(report, Disposition.LATE)
        return _review(report, ReviewReason.CONTRADICTION)
    if report.came_before_failure:
        return _review(report, ReviewReason.CONTRADICTION)
    told, credited = report.evidence.amount, report.state.credited
    if told is None or told == credited:
        return _noted(report, Disposition.DUPLICATE)
    return _review(report, ReviewReason.MISMATCH)


def _without_attempt(report: _Report) -> DepositEvent:
    if report.evidence.outcome in (Outcome.SUCCEEDED, Outcome.AUTHORISED):
        return _review(report, ReviewReason.UNSOLICITED)
    return _noted(report, Disposition.UNSOLICITED)


def _completed(report: _Report, *, late: bool) -> DepositCompleted:
    state = report.state
    return DepositCompleted(
        **report.header,
        player_id=state.player_id,
        provider=state.provider,
        instrument=state.instrument,
        settled=state.amount,
        fee=_fee(report.evidence, state.amount.currency),
        late=late,
        concerns=report.concerns,
        counts=_credit_counts(state, state.amount) + state.counts_again,
        evidence=report.evidence,
    )


def _expired(report: _Report) -> DepositExpired:
    return DepositExpired(
        **report.header, counts=report.state.counts_back, evidence=report.evidence
    )


def _failed(report: _Report, reason: str) -> TransactionFailed:
    return TransactionFailed(
        **report.header,
        player_id=report.state.player_id,
        reason=reason,
        released=None,
        retry_at=None,
        counts=report.state.counts_back,
        evidence=report.evidence,
        declined=_declined(report),
    )


def _declined(report: _Report) -> Declined | None:
    if report.evidence.outcome is not Outcome.DECLINED:
        return None
    state, origin = report.state, report.state.origin
    return Declined(
        provider=state.provider,
        amount=state.amount,
        instrument=state.instrument,
        address=origin.address if origin else None,
        bin=origin.bin if origin else None,
    )


def _noted(report: _Report, disposition: Disposition) -> NoticeNoted:
    return NoticeNoted(**report.header, disposition=disposition, evidence=report.evidence)


def _review(report: _Report, reason: ReviewReason) -> ReviewOpened:
    """Stop and ask a person; what is left of a credit that is now in doubt is set aside."""
    credited = report.state.credited
    reserve_minor = max(0, min(report.available_minor, credited.amount)) if credited else 0
    return ReviewOpened(
        **report.header,
        player_id=report.state.player_id,
        reason=reason,
        reserved=Money(reserve_minor, credited.currency) if credited and reserve_minor else None,
        evidence=report.evidence,
    )


def _credit_counts(state: Deposit, credited: Money) -> tuple[Count, ...]:
    """What came in from the instrument, and from the player altogether."""
    counters = [deposited_counter(state.player_id, credited.currency)]
    if state.instrument is not None:
        counters.append(instrument_counter(state.player_id, state.instrument, credited.currency))
    return tuple(Count(counter=counter, change=credited.amount) for counter in counters)


def _fee(evidence: Evidence, currency: str) -> Money | None:
    """A provider's fee is booked where it is in the transaction's own currency."""
    fee = evidence.fee
    return fee if fee is not None and fee.currency == currency and fee.amount else None


# --- ending a review ----------------------------------------------------------------------------

DEPOSIT_TARGETS = frozenset({DepositStatus.COMPLETED.value, DepositStatus.FAILED.value})


def resolve_deposit(
    state: Deposit, command: Command, *, target: str, note: str
) -> ResolutionProposed | TransactionResolved | None:
    """Propose or agree how a review ends; None if this command did so already.

    Raises:
        InvalidTransition: the deposit is not in review.
        InvalidResolution, EvidenceMissing, SelfApproval: see `propose_or_agree`.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not DepositStatus.REVIEW:
        raise InvalidTransition(state.status, "resolved")
    return propose_or_agree(
        transaction_id=state.id,
        version=state.version,
        player_id=state.player_id,
        proposal=state.proposal,
        command=command,
        target=target,
        targets=DEPOSIT_TARGETS,
        note=note,
        moves=_moves(state, target),
        counts=_counts(state, target),
    )


def _moves(state: Deposit, target: str) -> tuple[Move, ...]:
    """What sets the books right, whether or not the player had been credited."""
    settled = settled_amount(state)
    currency = (state.credited or settled).currency
    available = accounts.available(state.player_id, currency)
    reserved = accounts.reserved(state.player_id, currency)
    clearing = accounts.clearing(state.provider, currency)
    suspense = accounts.suspense(currency)
    if target == DepositStatus.COMPLETED:
        if state.credited is not None:
            return move(reserved, available, state.reserved)
        # What an earlier failure left in suspense belongs to this credit.
        house = Money(_house_minor(state, currency), currency)
        rest = Money(settled.amount - abs(house.amount), currency)
        if house.amount < 0:
            return move(suspense, available, Money(-house.amount, currency)) + move(
                clearing, available, rest
            )
        return move(clearing, suspense, house) + move(clearing, available, rest)
    if state.credited is None:
        about_money = state.reason in (ReviewReason.MISMATCH, ReviewReason.UNSOLICITED)
        reported = state.reported
        took_money = about_money and reported and reported.outcome is Outcome.SUCCEEDED
        kept_minor = max(0, -_house_minor(state, currency))
        kept_now = Money(settled.amount - kept_minor, currency)
        return move(clearing, suspense, kept_now) if took_money else ()
    recovered_minor = state.reserved.amount if state.reserved else 0
    missing = Money(state.credited.amount - recovered_minor, currency)
    return move(reserved, clearing, state.reserved) + move(suspense, clearing, missing)


def _house_minor(state: Deposit, currency: str) -> int:
    return state.house.amount if state.house and state.house.currency == currency else 0


def _counts(state: Deposit, target: str) -> tuple[Count, ...]:
    """What puts in force, or takes back, whatever is not as `target` has it."""
    if target == DepositStatus.COMPLETED:
        credit = () if state.credited else _credit_counts(state, settled_amount(state))
        return credit + state.counts_again
    taken_back = uncounted(_credit_counts(state, state.credited)) if state.credited else ()
    return taken_back + state.counts_back
