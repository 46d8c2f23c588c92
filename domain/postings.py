"""What each event means in double entry.

Source: the table of postings in docs/architecture.md.
"""

from dataclasses import dataclass
from typing import assert_never

from domain.accounts import available, clearing, fees, reserved
from domain.events import (
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositBlocked,
    DepositCancelled,
    DepositCompleted,
    DepositCreated,
    DepositExpired,
    DepositVoided,
    ExclusionEnded,
    HoldLifted,
    HoldPlaced,
    LedgerEvent,
    NoticeNoted,
    NoticeUnmatched,
    PlayerExcluded,
    PlayerRegistered,
    ProviderNoticeReceived,
    ProviderPaused,
    ProviderRegistered,
    ProviderResumed,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
    VerificationChanged,
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
            | TransactionFailed(player_id=player, released=released)
        ):
            if released is None:
                return ()
            currency = released.currency
            return move(reserved(player, currency), available(player, currency), released)
        case WithdrawalPaid(player_id=player, provider=provider, amount=amount, fee=fee):
            currency = amount.currency
            return move(reserved(player, currency), clearing(provider, currency), amount) + (
                move(fees(currency), clearing(provider, currency), fee)
            )
        case WithdrawalReturned(player_id=player, provider=provider, amount=amount):
            currency = amount.currency
            return move(clearing(provider, currency), available(player, currency), amount)
        case ReviewOpened(player_id=player, reserved=Money() as amount):
            return move(
                available(player, amount.currency), reserved(player, amount.currency), amount
            )
        case TransactionResolved(moves=moves):
            return sum((move(m.source, m.target, m.money) for m in moves), ())
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
        ):
            return ()
        case _:
            assert_never(event)


def move(source: str, target: str, money: Money | None) -> tuple[Posting, ...]:
    """Two postings that take `money` from one account to another."""
    if money is None or money.amount == 0:
        return ()
    return Posting(source, -money.amount), Posting(target, money.amount)
