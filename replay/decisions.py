"""Which events are decisions: somebody, or a rule, chose, and there was something to be seen.

A new event has to be put on one of the two lists.
"""

from typing import TypeGuard, assert_never

from domain.events import (
    AdjustmentApproved,
    AdjustmentRejected,
    AdjustmentRequested,
    ConversionAccepted,
    ConversionExecuted,
    ConversionExpired,
    ConversionQuoted,
    ConversionRejected,
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
    DisputeOpened,
    DisputeWithdrawn,
    DisputeWon,
    FraudEvent,
    LedgerEvent,
    NoticeEvent,
    NoticeNoted,
    PlayerEvent,
    PolicyEvent,
    ProviderEvent,
    RatesEvent,
    ReadModelEvent,
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
    WagerEvent,
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

Decision = (
    # Taken or refused by the rules, at once.
    DepositCreated
    | DepositBlocked
    | WithdrawalRequested
    | RefundRequested
    | ConversionQuoted
    | AdjustmentRequested
    # Given up, by a person or because the provider let go.
    | DepositVoided
    | DepositCancelled
    | WithdrawalCancelled
    | RefundCancelled
    # Screened, and sent or taken back.
    | WithdrawalAmended
    | WithdrawalScreened
    | WithdrawalQueued
    | WithdrawalRecalled
    | RefundApprovalAwaited
    # Decided by people.
    | WithdrawalApprovalGiven
    | WithdrawalApproved
    | WithdrawalRejected
    | WithdrawalInformationRequested
    | WithdrawalHeld
    | WithdrawalReleased
    | RefundApproved
    | RefundRejected
    | ConversionAccepted
    | ConversionRejected
    | DisputeEvidenceSubmitted
    | DisputeAccepted
    | AdjustmentApproved
    | AdjustmentRejected
    | DepositConcernsReviewed
    # Reviews: begun by a rule, ended by two people.
    | ReviewOpened
    | ResolutionProposed
    | TransactionResolved
)
"""Somebody, or a rule, chose between ways to go on."""

NoDecision = (
    # A provider said so, or what was decided before is carried out.
    DepositAwaitingPlayer
    | DepositAuthorised
    | DepositCompleted
    | WithdrawalProcessing
    | WithdrawalPaid
    | WithdrawalReturned
    | RefundSucceeded
    | RefundReversed
    | ConversionExecuted
    | DisputeOpened
    | DisputeEvidenceDue
    | DisputeAcknowledged
    | DisputeAnswerDelayed
    | DisputeWon
    | DisputeLost
    | DisputeWithdrawn
    | DisputeFundsWithdrawn
    | DisputeFundsReinstated
    | DisputeNewsNoted
    | TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | NoticeNoted
    # The clock said so.
    | DepositExpired
    | ConversionExpired
    | DisputeExpired
    # Kept for other decisions to rest on.
    | DepositRefundTracked
    | DepositDisputeTracked
    | DepositDisputeFundsTracked
    | DepositExcessTracked
    | WithdrawalScored
    | WithdrawalScreeningStarted
    | WithdrawalInformationProvided
    # Of no transaction.
    | NoticeEvent
    | PlayerEvent
    | WagerEvent
    | ProviderEvent
    | PolicyEvent
    | RatesEvent
    | ReadModelEvent
    | FraudEvent
)
"""Nobody chose, or it is not about a transaction."""


def is_decision(event: LedgerEvent) -> TypeGuard[Decision]:
    """Whether it says that somebody, or a rule, chose."""
    if isinstance(event, Decision):
        return True
    if isinstance(event, NoDecision):
        return False
    assert_never(event)
