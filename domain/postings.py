"""What each event means in double entry.

Source: the table of postings in docs/architecture.md.
"""

from dataclasses import dataclass
from typing import assert_never

from domain.accounts import available, chargebacks, clearing, fees, fx, reserved, suspense
from domain.events import (
    AdjustmentApproved,
    AdjustmentRejected,
    AdjustmentRequested,
    ApprovalPolicyProposed,
    ApprovalPolicyPublished,
    ConversionAccepted,
    ConversionExecuted,
    ConversionExpired,
    ConversionQuoted,
    ConversionRejected,
    CredentialsChanged,
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositBlocked,
    DepositCancelled,
    DepositCompleted,
    DepositConcernsReviewed,
    DepositCreated,
    DepositDisputeFundsTracked,
    DepositDisputeTracked,
    DepositExcessTracked,
    DepositExpired,
    DepositRefundTracked,
    DepositVoided,
    DisputeAccepted,
    DisputeAcknowledged,
    DisputeAnswerDelayed,
    DisputeEvidenceDue,
    DisputeEvidenceSubmitted,
    DisputeExpired,
    DisputeFundsReinstated,
    DisputeFundsWithdrawn,
    DisputeLost,
    DisputeNewsNoted,
    DisputeNoticeReceived,
    DisputeOpened,
    DisputeWithdrawn,
    DisputeWon,
    ExclusionEnded,
    FraudEvent,
    HoldLifted,
    HoldPlaced,
    InstrumentHolderChecked,
    InstrumentRegistered,
    LedgerEvent,
    LimitSet,
    NoticeNoted,
    NoticeUnmatched,
    PlayerExcluded,
    PlayerRegistered,
    ProjectionCutOver,
    ProviderNoticeReceived,
    ProviderPaused,
    ProviderRegistered,
    ProviderResumed,
    RatesEvent,
    RefundApprovalAwaited,
    RefundApproved,
    RefundCancelled,
    RefundRejected,
    RefundRequested,
    RefundReversed,
    RefundSucceeded,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
    VerificationChanged,
    WagerRecorded,
    WithdrawalAmended,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalHeld,
    WithdrawalInformationProvided,
    WithdrawalInformationRequested,
    WithdrawalPaid,
    WithdrawalProcessing,
    WithdrawalQueued,
    WithdrawalRecalled,
    WithdrawalRejected,
    WithdrawalReleased,
    WithdrawalRequested,
    WithdrawalReturned,
    WithdrawalScored,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.money import Money


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of the journal: `amount_minor` added to `account`."""

    account: str
    amount_minor: int


def postings(event: LedgerEvent) -> tuple[Posting, ...]:
    """What `event` means in double entry; sums to zero per currency."""
    match event:
        case DepositCompleted(player_id=player, provider=provider, settled=amount, fee=fee):
            currency = amount.currency
            return move(clearing(provider, currency), available(player, currency), amount) + (
                move(fees(currency), clearing(provider, currency), fee)
            )
        case WithdrawalRequested(player_id=player, amount=amount, reserved=True):
            return move(
                available(player, amount.currency), reserved(player, amount.currency), amount
            )
        case (
            WithdrawalRejected(player_id=player, released=released)
            | WithdrawalCancelled(player_id=player, released=released)
            | RefundRejected(player_id=player, released=released)
            | RefundCancelled(player_id=player, released=released)
            | ConversionRejected(player_id=player, released=released)
            | TransactionFailed(player_id=player, released=released)
        ):
            if released is None:
                return ()
            currency = released.currency
            return move(reserved(player, currency), available(player, currency), released)
        case WithdrawalPaid() | RefundSucceeded():
            return _paid_out(event)
        case WithdrawalReturned() | RefundReversed():
            return _came_back(event)
        case NoticeNoted(provider=str() as provider, fee=Money() as fee):
            return move(fees(fee.currency), clearing(provider, fee.currency), fee)
        case ReviewOpened(player_id=player, reserved=Money() as amount):
            return move(
                available(player, amount.currency), reserved(player, amount.currency), amount
            )
        case TransactionResolved(moves=moves) | AdjustmentApproved(moves=moves):
            return sum((move(m.source, m.target, m.money) for m in moves), ())
        case WithdrawalAmended(player_id=player, released=Money() as amount):
            currency = amount.currency
            return move(reserved(player, currency), available(player, currency), amount)
        case RefundRequested(player_id=player, amount=amount, reserved=True):
            currency = amount.currency
            return move(available(player, currency), reserved(player, currency), amount)
        case ConversionAccepted(player_id=player, source=amount, reserved=True):
            currency = amount.currency
            return move(available(player, currency), reserved(player, currency), amount)
        case ConversionExecuted(player_id=player, source=source, target=target, spread=spread):
            return (
                move(reserved(player, source.currency), fx(source.currency), source)
                + move(fx(target.currency), available(player, target.currency), target)
                + move(fx(target.currency), fees(target.currency), spread)
            )
        case DisputeFundsWithdrawn(provider=provider, amount=amount):
            currency = amount.currency
            return move(chargebacks(currency), clearing(provider, currency), amount)
        case DisputeFundsReinstated(provider=provider, amount=amount):
            currency = amount.currency
            return move(clearing(provider, currency), chargebacks(currency), amount)
        case (
            DepositCreated()
            | DepositBlocked()
            | DepositAwaitingPlayer()
            | DepositAuthorised()
            | DepositVoided()
            | DepositExpired()
            | DepositCancelled()
            | WithdrawalRequested()
            | WithdrawalScreeningStarted()
            | WithdrawalScreened()
            | WithdrawalApprovalGiven()
            | WithdrawalApproved()
            | WithdrawalInformationRequested()
            | WithdrawalInformationProvided()
            | WithdrawalHeld()
            | WithdrawalReleased()
            | WithdrawalQueued()
            | WithdrawalRecalled()
            | WithdrawalProcessing()
            | TransactionSubmitted()
            | TransactionPending()
            | TransactionUnknown()
            | NoticeNoted()
            | ReviewOpened()
            | ResolutionProposed()
            | ProviderNoticeReceived()
            | NoticeUnmatched()
            | PlayerRegistered()
            | VerificationChanged()
            | PlayerExcluded()
            | ExclusionEnded()
            | HoldPlaced()
            | HoldLifted()
            | ProviderRegistered()
            | ProviderPaused()
            | ProviderResumed()
            | DepositRefundTracked()
            | DepositDisputeTracked()
            | DepositConcernsReviewed()
            | DepositDisputeFundsTracked()
            | DepositExcessTracked()
            | WithdrawalAmended()
            | WithdrawalScored()
            | RefundRequested()
            | RefundApprovalAwaited()
            | RefundApproved()
            | ConversionQuoted()
            | ConversionExpired()
            | ConversionAccepted()
            | DisputeOpened()
            | DisputeEvidenceDue()
            | DisputeEvidenceSubmitted()
            | DisputeAccepted()
            | DisputeAcknowledged()
            | DisputeAnswerDelayed()
            | DisputeExpired()
            | DisputeWon()
            | DisputeLost()
            | DisputeWithdrawn()
            | DisputeNewsNoted()
            | AdjustmentRequested()
            | AdjustmentRejected()
            | DisputeNoticeReceived()
            | LimitSet()
            | InstrumentRegistered()
            | InstrumentHolderChecked()
            | CredentialsChanged()
            | WagerRecorded()
            | ApprovalPolicyProposed()
            | ApprovalPolicyPublished()
            | ProjectionCutOver()
        ):
            return ()
        case _ if isinstance(event, RatesEvent | FraudEvent):
            return ()
        case _:
            assert_never(event)


def _paid_out(event: WithdrawalPaid | RefundSucceeded) -> tuple[Posting, ...]:
    """What is reserved goes out; for what is paid again it is reserved again first."""
    currency = event.amount.currency
    kept, paid_to = reserved(event.player_id, currency), clearing(event.provider, currency)
    return (
        move(available(event.player_id, currency), kept, event.from_available)
        + move(suspense(currency), kept, event.from_house)
        + move(kept, paid_to, event.amount)
        + move(fees(currency), paid_to, event.fee)
    )


def _came_back(event: WithdrawalReturned | RefundReversed) -> tuple[Posting, ...]:
    """The player has it again, but for what the house had lent."""
    currency = event.amount.currency
    back = available(event.player_id, currency)
    return move(clearing(event.provider, currency), back, event.amount) + (
        move(back, suspense(currency), event.to_house)
    )


def move(source: str, target: str, money: Money | None) -> tuple[Posting, ...]:
    """Two postings that take `money` from one account to another."""
    if money is None or money.amount == 0:
        return ()
    return Posting(source, -money.amount), Posting(target, money.amount)
