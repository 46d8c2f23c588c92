"""What each event means for outstanding work, by type: a new event has to be listed."""

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

SchedulesNothing = (
    DepositRefundTracked
    | DepositDisputeTracked
    | DepositDisputeFundsTracked
    | DepositExcessTracked
    | DepositConcernsReviewed
    | NoticeNoted
    | ResolutionProposed
    | AdjustmentRequested
    | AdjustmentApproved
    | AdjustmentRejected
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
"""Whoever has work with the transaction has the same afterwards."""
Opens = (
    DepositCreated
    | WithdrawalRequested
    | RefundRequested
    | ConversionQuoted
    | DisputeOpened
    | ProviderNoticeReceived
    | DisputeNoticeReceived
)
"""The first of a stream; a dispute may open again, at the next stage."""
OfPayouts = (
    WithdrawalAmended
    | WithdrawalScored
    | WithdrawalScreeningStarted
    | WithdrawalApprovalGiven
    | WithdrawalInformationRequested
    | WithdrawalInformationProvided
    | WithdrawalHeld
    | WithdrawalReleased
    | WithdrawalScreened
    | WithdrawalApproved
    | WithdrawalQueued
    | WithdrawalRecalled
    | WithdrawalProcessing
    | WithdrawalPaid
    | WithdrawalReturned
    | WithdrawalRejected
    | WithdrawalCancelled
)
"""What only happens to withdrawals; they have a task per leg."""
AtProvider = (
    TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | ReviewOpened
    | TransactionResolved
)
"""What happens to whatever is under way at a provider."""
Schedules = (
    DepositAwaitingPlayer
    | DepositAuthorised
    | RefundApprovalAwaited
    | RefundApproved
    | ConversionAccepted
    | DisputeEvidenceDue
    | DisputeEvidenceSubmitted
    | DisputeAccepted
    | DisputeAnswerDelayed
)
"""What has a stream with one task do something else, or later."""
SaysByTheWay = DisputeFundsWithdrawn | DisputeFundsReinstated | DisputeNewsNoted
"""What may name a later time for evidence, and changes nothing else."""

Ends = (
    DepositBlocked
    | DepositCompleted
    | DepositVoided
    | DepositExpired
    | DepositCancelled
    | RefundRejected
    | RefundCancelled
    | RefundSucceeded
    | RefundReversed
    | ConversionExpired
    | ConversionRejected
    | ConversionExecuted
    | DisputeAcknowledged
    | DisputeExpired
    | DisputeWon
    | DisputeLost
    | DisputeWithdrawn
    | NoticeUnmatched
)
"""Nothing is left to do for a stream with one task."""

UnderWay = (
    TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | WithdrawalProcessing
)
"""How one attempt gets on."""
