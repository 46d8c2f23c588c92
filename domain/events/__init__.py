"""The table of contents: every fact the ledger can record, ending in the union `LedgerEvent`.

Events are named in the past tense and never change once recorded. Amounts are integers in minor
units; instants are UTC with microseconds; accounts and providers are named by strings.
"""

from typing import get_args

from domain.events.adjustment import AdjustmentApproved, AdjustmentRejected, AdjustmentRequested
from domain.events.approval import (
    ApprovalPolicyProposed,
    ApprovalPolicyPublished,
    ApprovalTerms,
    ApprovalTier,
    Rate,
    RateProposalDiscarded,
    RateSourceProposed,
    RateSourceRevoked,
    RateSourceTrusted,
    RateTableApproved,
    RateTableProposed,
    RateTablePublished,
)
from domain.events.attempt import (
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.events.base import (
    CommandedEvent,
    Count,
    Event,
    Header,
    Move,
    PlannedLeg,
)
from domain.events.conversion import (
    ConversionAccepted,
    ConversionExecuted,
    ConversionExpired,
    ConversionQuoted,
    ConversionRejected,
)
from domain.events.deposit import (
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
)
from domain.events.dispute import (
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
)
from domain.events.fraud_case import (
    FraudCaseAssigned,
    FraudCaseClosed,
    FraudCaseClosureProposed,
    FraudCaseHitAdded,
    FraudCaseHoldLifted,
    FraudCaseHoldPlaced,
    FraudCaseInformationReceived,
    FraudCaseInformationRequested,
    FraudCaseNoted,
    FraudCaseOpened,
    IndicatorHit,
    Strength,
)
from domain.events.fraud_report import (
    ReportDismissed,
    ReportDrafted,
    ReportedIndicator,
    ReportedTransaction,
    ReportFiled,
    ReportRevised,
)
from domain.events.origins import Declined, Origin
from domain.events.player import (
    CredentialsChanged,
    ExclusionEnded,
    HoldLifted,
    HoldPlaced,
    InstrumentHolderChecked,
    InstrumentRegistered,
    LimitSet,
    PlayerExcluded,
    PlayerRegistered,
    VerificationChanged,
    WagerRecorded,
)
from domain.events.provider import ProviderPaused, ProviderRegistered, ProviderResumed
from domain.events.read_model import ProjectionCutOver
from domain.events.refund import (
    RefundApprovalAwaited,
    RefundApproved,
    RefundCancelled,
    RefundRejected,
    RefundRequested,
    RefundReversed,
    RefundSucceeded,
)
from domain.events.ruleset import (
    IndicatorTerms,
    RuleSetDiscarded,
    RuleSetDrafted,
    RuleSetPublished,
    RuleSetTerms,
    Threshold,
)
from domain.events.webhook import DisputeNoticeReceived, NoticeUnmatched, ProviderNoticeReceived
from domain.events.withdrawal import (
    WeighedHit,
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

ProviderEvidence = (
    TransactionSubmitted
    | TransactionPending
    | TransactionUnknown
    | TransactionFailed
    | NoticeNoted
    | ReviewOpened
    | ResolutionProposed
    | TransactionResolved
)
"""What any transaction shares that a provider carries out."""

DepositEvent = (
    DepositCreated
    | DepositBlocked
    | DepositAwaitingPlayer
    | DepositAuthorised
    | DepositCompleted
    | DepositVoided
    | DepositExpired
    | DepositCancelled
    | DepositRefundTracked
    | DepositDisputeTracked
    | DepositConcernsReviewed
    | DepositDisputeFundsTracked
    | DepositExcessTracked
    | ProviderEvidence
)

WithdrawalEvent = (
    WithdrawalRequested
    | WithdrawalAmended
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
    | ProviderEvidence
)

RefundEvent = (
    RefundRequested
    | RefundApprovalAwaited
    | RefundApproved
    | RefundRejected
    | RefundCancelled
    | RefundSucceeded
    | RefundReversed
    | ProviderEvidence
)

ConversionEvent = (
    ConversionQuoted
    | ConversionExpired
    | ConversionAccepted
    | ConversionRejected
    | ConversionExecuted
    | ProviderEvidence
)

DisputeEvent = (
    DisputeOpened
    | DisputeEvidenceDue
    | DisputeEvidenceSubmitted
    | DisputeAccepted
    | DisputeAcknowledged
    | DisputeAnswerDelayed
    | DisputeExpired
    | DisputeWon
    | DisputeLost
    | DisputeWithdrawn
    | DisputeFundsWithdrawn
    | DisputeFundsReinstated
    | DisputeNewsNoted
)

AdjustmentEvent = AdjustmentRequested | AdjustmentApproved | AdjustmentRejected

NoticeEvent = ProviderNoticeReceived | DisputeNoticeReceived | NoticeUnmatched

PlayerEvent = (
    PlayerRegistered
    | VerificationChanged
    | LimitSet
    | InstrumentRegistered
    | InstrumentHolderChecked
    | CredentialsChanged
    | PlayerExcluded
    | ExclusionEnded
    | HoldPlaced
    | HoldLifted
)

WagerEvent = WagerRecorded

ProviderEvent = ProviderRegistered | ProviderPaused | ProviderResumed

PolicyEvent = ApprovalPolicyProposed | ApprovalPolicyPublished

RatesEvent = (
    RateTablePublished
    | RateTableProposed
    | RateTableApproved
    | RateProposalDiscarded
    | RateSourceProposed
    | RateSourceTrusted
    | RateSourceRevoked
)

ReadModelEvent = ProjectionCutOver

RuleSetEvent = RuleSetDrafted | RuleSetPublished | RuleSetDiscarded

FraudCaseEvent = (
    FraudCaseOpened
    | FraudCaseHitAdded
    | FraudCaseAssigned
    | FraudCaseNoted
    | FraudCaseInformationRequested
    | FraudCaseInformationReceived
    | FraudCaseHoldPlaced
    | FraudCaseHoldLifted
    | FraudCaseClosureProposed
    | FraudCaseClosed
)

ReportEvent = ReportDrafted | ReportRevised | ReportFiled | ReportDismissed
"""For compliance and auditors only."""

FraudEvent = RuleSetEvent | FraudCaseEvent | ReportEvent
"""What moves no money, and no transaction either: how fraud is looked for, and what was found."""

LedgerEvent = (
    DepositEvent
    | WithdrawalEvent
    | RefundEvent
    | ConversionEvent
    | DisputeEvent
    | AdjustmentEvent
    | NoticeEvent
    | PlayerEvent
    | WagerEvent
    | ProviderEvent
    | PolicyEvent
    | RatesEvent
    | ReadModelEvent
    | FraudEvent
)

EVENT_TYPES: tuple[type[LedgerEvent], ...] = get_args(LedgerEvent)
"""Every event type, in the order of this file."""

__all__ = [
    "EVENT_TYPES",
    "AdjustmentApproved",
    "AdjustmentEvent",
    "AdjustmentRejected",
    "AdjustmentRequested",
    "ApprovalPolicyProposed",
    "ApprovalPolicyPublished",
    "ApprovalTerms",
    "ApprovalTier",
    "CommandedEvent",
    "ConversionAccepted",
    "ConversionEvent",
    "ConversionExecuted",
    "ConversionExpired",
    "ConversionQuoted",
    "ConversionRejected",
    "Count",
    "CredentialsChanged",
    "Declined",
    "DepositAuthorised",
    "DepositAwaitingPlayer",
    "DepositBlocked",
    "DepositCancelled",
    "DepositCompleted",
    "DepositConcernsReviewed",
    "DepositCreated",
    "DepositDisputeFundsTracked",
    "DepositDisputeTracked",
    "DepositEvent",
    "DepositExcessTracked",
    "DepositExpired",
    "DepositRefundTracked",
    "DepositVoided",
    "DisputeAccepted",
    "DisputeAcknowledged",
    "DisputeAnswerDelayed",
    "DisputeEvent",
    "DisputeEvidenceDue",
    "DisputeEvidenceSubmitted",
    "DisputeExpired",
    "DisputeFundsReinstated",
    "DisputeFundsWithdrawn",
    "DisputeLost",
    "DisputeNewsNoted",
    "DisputeNoticeReceived",
    "DisputeOpened",
    "DisputeWithdrawn",
    "DisputeWon",
    "Event",
    "ExclusionEnded",
    "FraudCaseAssigned",
    "FraudCaseClosed",
    "FraudCaseClosureProposed",
    "FraudCaseEvent",
    "FraudCaseHitAdded",
    "FraudCaseHoldLifted",
    "FraudCaseHoldPlaced",
    "FraudCaseInformationReceived",
    "FraudCaseInformationRequested",
    "FraudCaseNoted",
    "FraudCaseOpened",
    "FraudEvent",
    "Header",
    "HoldLifted",
    "HoldPlaced",
    "IndicatorHit",
    "IndicatorTerms",
    "InstrumentHolderChecked",
    "InstrumentRegistered",
    "LedgerEvent",
    "LimitSet",
    "Move",
    "NoticeEvent",
    "NoticeNoted",
    "NoticeUnmatched",
    "Origin",
    "PlannedLeg",
    "PlayerEvent",
    "PlayerExcluded",
    "PlayerRegistered",
    "PolicyEvent",
    "ProjectionCutOver",
    "ProviderEvent",
    "ProviderEvidence",
    "ProviderNoticeReceived",
    "ProviderPaused",
    "ProviderRegistered",
    "ProviderResumed",
    "Rate",
    "RateProposalDiscarded",
    "RateSourceProposed",
    "RateSourceRevoked",
    "RateSourceTrusted",
    "RateTableApproved",
    "RateTableProposed",
    "RateTablePublished",
    "RatesEvent",
    "ReadModelEvent",
    "RefundApprovalAwaited",
    "RefundApproved",
    "RefundCancelled",
    "RefundEvent",
    "RefundRejected",
    "RefundRequested",
    "RefundReversed",
    "RefundSucceeded",
    "ReportDismissed",
    "ReportDrafted",
    "ReportEvent",
    "ReportFiled",
    "ReportRevised",
    "ReportedIndicator",
    "ReportedTransaction",
    "ResolutionProposed",
    "ReviewOpened",
    "RuleSetDiscarded",
    "RuleSetDrafted",
    "RuleSetEvent",
    "RuleSetPublished",
    "RuleSetTerms",
    "Strength",
    "Threshold",
    "TransactionFailed",
    "TransactionPending",
    "TransactionResolved",
    "TransactionSubmitted",
    "TransactionUnknown",
    "VerificationChanged",
    "WagerEvent",
    "WagerRecorded",
    "WeighedHit",
    "WithdrawalAmended",
    "WithdrawalApprovalGiven",
    "WithdrawalApproved",
    "WithdrawalCancelled",
    "WithdrawalEvent",
    "WithdrawalHeld",
    "WithdrawalInformationProvided",
    "WithdrawalInformationRequested",
    "WithdrawalPaid",
    "WithdrawalProcessing",
    "WithdrawalQueued",
    "WithdrawalRecalled",
    "WithdrawalRejected",
    "WithdrawalReleased",
    "WithdrawalRequested",
    "WithdrawalReturned",
    "WithdrawalScored",
    "WithdrawalScreened",
    "WithdrawalScreeningStarted",
]
