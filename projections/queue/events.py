"""What each event means for the cases people have to decide, by type."""

from typing import get_args

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

ChangesNoCase = (
    DepositBlocked
    | DepositAwaitingPlayer
    | DepositAuthorised
    | DepositVoided
    | DepositExpired
    | DepositCancelled
    | DepositDisputeTracked
    | DepositDisputeFundsTracked
    | DepositRefundTracked
    | WithdrawalScreeningStarted
    | WithdrawalProcessing
    | RefundSucceeded
    | ConversionExpired
    | ConversionAccepted
    | ConversionRejected
    | ConversionExecuted
    | DisputeAnswerDelayed
    | TransactionPending
    | TransactionUnknown
    | NoticeNoted
    | ProviderNoticeReceived
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
OpensCase = (
    DepositCreated
    | WithdrawalRequested
    | RefundRequested
    | ConversionQuoted
    | DisputeOpened
    | AdjustmentRequested
)
"""The first of a transaction; a dispute may open again, at the next stage."""

OfPayouts = (
    WithdrawalAmended
    | WithdrawalScored
    | WithdrawalScreened
    | WithdrawalApprovalGiven
    | WithdrawalApproved
    | WithdrawalInformationRequested
    | WithdrawalHeld
    | WithdrawalInformationProvided
    | WithdrawalReleased
    | WithdrawalRecalled
    | WithdrawalRejected
    | WithdrawalCancelled
    | WithdrawalQueued
    | WithdrawalPaid
    | WithdrawalReturned
    | TransactionSubmitted
    | TransactionFailed
    | ReviewOpened
    | ResolutionProposed
    | TransactionResolved
)
"""What may change for whom a withdrawal waits."""

ChangesCase = (
    DepositCompleted
    | DepositExcessTracked
    | RefundApprovalAwaited
    | DisputeEvidenceDue
    | DisputeFundsWithdrawn
    | DisputeFundsReinstated
    | DisputeNewsNoted
    | ReviewOpened
    | ResolutionProposed
)
EndsWait = (
    DepositConcernsReviewed
    | RefundApproved
    | RefundRejected
    | RefundCancelled
    | RefundReversed
    | DisputeEvidenceSubmitted
    | DisputeAccepted
    | DisputeAcknowledged
    | DisputeExpired
    | DisputeWon
    | DisputeLost
    | DisputeWithdrawn
    | AdjustmentApproved
    | AdjustmentRejected
    | TransactionResolved
)
"""People have decided, or no longer need to."""

LeavesOthers = TransactionSubmitted | TransactionFailed
"""What changes withdrawals only, although it happens to any kind."""

IGNORED: frozenset[type] = frozenset(get_args(ChangesNoCase))
