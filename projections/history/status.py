"""The status and reason that each event leads to: a new event has to be listed."""

from collections.abc import Mapping

from domain.adjustment.state import AdjustmentStatus as A
from domain.conversion.state import ConversionStatus as C
from domain.deposit.decisions import DepositStatus as D
from domain.dispute.decisions import DisputeStatus as X
from domain.errors import Reason
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
from domain.events.evidence import Outcome
from domain.refund.state import RefundStatus as R

NotOfTransactions = (
    ProviderNoticeReceived
    | DisputeNoticeReceived
    | NoticeUnmatched
    | PlayerRegistered
    | VerificationChanged
    | LimitSet
    | InstrumentRegistered
    | InstrumentHolderChecked
    | CredentialsChanged
    | PlayerExcluded
    | ExclusionEnded
    | HoldPlaced
    | HoldLifted
    | WagerRecorded
    | ProviderRegistered
    | ProviderPaused
    | ProviderResumed
    | ApprovalPolicyProposed
    | ApprovalPolicyPublished
    | RatesEvent
    | ProjectionCutOver
    | FraudEvent
)
Creation = (
    DepositCreated
    | WithdrawalRequested
    | RefundRequested
    | ConversionQuoted
    | DisputeOpened
    | AdjustmentRequested
)
"""The first of a transaction; a dispute may open again, at the next stage."""

OnlyOfWithdrawals = (
    WithdrawalAmended
    | WithdrawalScored
    | WithdrawalScreeningStarted
    | WithdrawalScreened
    | WithdrawalApprovalGiven
    | WithdrawalApproved
    | WithdrawalRejected
    | WithdrawalInformationRequested
    | WithdrawalInformationProvided
    | WithdrawalHeld
    | WithdrawalReleased
    | WithdrawalQueued
    | WithdrawalRecalled
    | WithdrawalProcessing
    | WithdrawalPaid
    | WithdrawalReturned
    | WithdrawalCancelled
)
OfWithdrawals = (
    OnlyOfWithdrawals
    | TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | NoticeNoted
    | ReviewOpened
    | ResolutionProposed
    | TransactionResolved
)
"""Their status follows from the legs, see `projections/payouts.py`."""

# What happens to transactions other than withdrawals: the status it leads to, None where it keeps
# the status or where that depends on more than the type.
STATUS_AFTER: Mapping[type[LedgerEvent], str | None] = {
    DepositBlocked: D.BLOCKED.value,
    DepositAwaitingPlayer: D.AWAITING_PLAYER.value,
    DepositAuthorised: D.AUTHORISED.value,
    DepositCompleted: None,
    DepositVoided: D.VOIDED.value,
    DepositExpired: D.EXPIRED.value,
    DepositCancelled: D.CANCELLED.value,
    DepositRefundTracked: None,
    DepositDisputeTracked: None,
    DepositConcernsReviewed: None,
    DepositDisputeFundsTracked: None,
    DepositExcessTracked: None,
    RefundApprovalAwaited: R.PENDING_APPROVAL.value,
    RefundApproved: R.APPROVED.value,
    RefundRejected: R.REJECTED.value,
    RefundCancelled: R.CANCELLED.value,
    RefundSucceeded: R.SUCCEEDED.value,
    RefundReversed: R.REVERSED.value,
    ConversionExpired: C.EXPIRED.value,
    ConversionAccepted: C.ACCEPTED.value,
    ConversionRejected: C.REJECTED.value,
    ConversionExecuted: C.EXECUTED.value,
    DisputeEvidenceDue: X.EVIDENCE_DUE.value,
    DisputeEvidenceSubmitted: X.SUBMITTED.value,
    DisputeAccepted: X.ACCEPTED.value,
    DisputeAcknowledged: None,
    DisputeAnswerDelayed: None,
    DisputeExpired: X.EXPIRED.value,
    DisputeWon: X.WON.value,
    DisputeLost: X.LOST.value,
    DisputeWithdrawn: X.WITHDRAWN.value,
    DisputeFundsWithdrawn: None,
    DisputeFundsReinstated: None,
    DisputeNewsNoted: None,
    AdjustmentApproved: A.APPROVED.value,
    AdjustmentRejected: A.REJECTED.value,
    TransactionSubmitted: D.SUBMITTED.value,
    TransactionPending: None,
    TransactionUnknown: D.UNKNOWN.value,
    TransactionFailed: D.FAILED.value,
    NoticeNoted: None,
    ReviewOpened: D.REVIEW.value,
    ResolutionProposed: None,
    TransactionResolved: None,
}
CHANGES_REASON: frozenset[type[LedgerEvent]] = frozenset(
    {
        DepositBlocked,
        DepositCancelled,
        DepositVoided,
        RefundRejected,
        RefundCancelled,
        RefundSucceeded,
        RefundReversed,
        ConversionRejected,
        ConversionExecuted,
        AdjustmentRejected,
        TransactionFailed,
        ReviewOpened,
        TransactionResolved,
    }
)


def status_after(kind: str, status: str, event: LedgerEvent) -> str:
    """The status of a transaction other than a withdrawal, where no amount matters for it."""
    known = STATUS_AFTER[type(event)]
    if known is not None:
        return known
    match event:
        case TransactionPending():
            in_work = event.evidence.outcome in (Outcome.ACCEPTED, Outcome.PENDING)
            if in_work and kind == "deposit" and status == D.AWAITING_PLAYER:
                return D.SUBMITTED.value
            if in_work and kind == "refund" and status == R.SUBMITTED:
                return R.PENDING.value
            return status
        case DisputeAcknowledged():
            return status if status == X.ACCEPTED else X.UNDER_REVIEW.value
        case TransactionResolved():
            return event.target
        case _:
            return status


def deposit_status(credited_minor: int, refunded_minor: int) -> str:
    """How much of a credited deposit has been refunded."""
    if refunded_minor == 0:
        return D.COMPLETED.value
    all_of_it = refunded_minor >= credited_minor
    return (D.REFUNDED if all_of_it else D.PARTIALLY_REFUNDED).value


def reason_after(event: LedgerEvent) -> str | None:
    """Why the transaction stands where the event leads."""
    match event:
        case DepositVoided():
            return Reason.VOIDED.value
        case RefundReversed():
            return Reason.RETURNED.value
        case ReviewOpened():
            return event.reason.value
        case (
            TransactionFailed(reason=reason)
            | DepositBlocked(reason=reason)
            | DepositCancelled(reason=reason)
            | RefundRejected(reason=reason)
            | RefundCancelled(reason=reason)
            | ConversionRejected(reason=reason)
            | AdjustmentRejected(reason=reason)
        ):
            return reason
        case _:
            return None  # it went well, or people have decided
