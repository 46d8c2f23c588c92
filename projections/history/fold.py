"""A transaction's row, and how each event changes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never, cast, get_args
from uuid import UUID

from msgspec.structs import replace

from domain.adjustment.state import AdjustmentStatus
from domain.conversion.state import ConversionStatus
from domain.deposit.decisions import DepositStatus
from domain.dispute.decisions import DisputeStatus
from domain.events import (
    AdjustmentRequested,
    ConversionQuoted,
    DepositCompleted,
    DepositCreated,
    DepositRefundTracked,
    DisputeOpened,
    LedgerEvent,
    RefundRequested,
    TransactionResolved,
    TransactionSubmitted,
    WithdrawalAmended,
    WithdrawalRequested,
)
from domain.events.evidence import DisputeReport, Evidence, Standing
from domain.money import Money
from domain.refund.state import RefundStatus
from domain.withdrawal.status import WithdrawalStatus
from projections import payouts
from projections.dispute_news import Contested, contested, report_of
from projections.engine.read_model import Recorded, Row, Table
from projections.history.status import (
    CHANGES_REASON,
    Creation,
    OfWithdrawals,
    deposit_status,
    reason_after,
    status_after,
)
from projections.payouts import Payout


class Transaction(Row, frozen=True):
    """A transaction of any kind as it stands."""

    id: UUID
    kind: str
    status: str
    player_id: UUID | None
    provider: str | None
    method: str
    amount_minor: int
    currency: str
    target_minor: int | None
    target_currency: str | None
    instrument: str | None
    related_id: UUID | None
    metadata: Mapping[str, str]
    reason: str | None
    reference: str | None
    provider_reference: str | None
    payout: Payout | None
    credited_minor: int | None
    refunded_minor: int
    refunds: Mapping[str, int]
    stage: str | None
    named_in: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    created_position: int
    position: int


TRANSACTIONS: Table[UUID, Transaction] = Table("transactions", Transaction, ("id",))


# --- the first event ----------------------------------------------------------------------------


def created(recorded: Recorded, event: Creation) -> Transaction:
    """The row of a transaction that begins."""
    match event:
        case DepositCreated():
            return _new(recorded, event, "deposit", DepositStatus.CREATED)
        case WithdrawalRequested():
            row = _new(recorded, event, "withdrawal", WithdrawalStatus.REQUESTED)
            return replace(row, payout=payouts.requested(event))
        case RefundRequested():
            row = _new(recorded, event, "refund", RefundStatus.REQUESTED)
            return replace(row, related_id=event.deposit_id)
        case DisputeOpened():
            row = _new(recorded, event, "dispute", DisputeStatus.OPENED)
            return _contested(row, event)
        case ConversionQuoted() | AdjustmentRequested():
            return _of_the_house(recorded, event)
        case _:
            assert_never(event)


def _new(
    recorded: Recorded,
    event: DepositCreated | WithdrawalRequested | RefundRequested | DisputeOpened,
    kind: str,
    status: str,
) -> Transaction:
    metadata = {} if isinstance(event, DisputeOpened) else event.metadata
    row = _row(recorded, kind, status, event.player_id, event.amount, metadata)
    instrument = event.instrument
    return replace(row, provider=event.provider, method=event.method, instrument=instrument)


def _of_the_house(recorded: Recorded, event: ConversionQuoted | AdjustmentRequested) -> Transaction:
    """What may have no provider, and goes to no instrument."""
    player_id, metadata = event.player_id, event.metadata
    if isinstance(event, AdjustmentRequested):
        amount, status = event.moves[0].money, AdjustmentStatus.REQUESTED
        row = _row(recorded, "adjustment", status, player_id, amount, metadata)
        return replace(row, reason=event.reason, related_id=event.transaction_id)
    target = event.target
    row = _row(recorded, "conversion", ConversionStatus.QUOTED, player_id, event.source, metadata)
    return replace(
        row,
        provider=event.provider,
        method="conversion",
        target_minor=target.amount,
        target_currency=target.currency,
    )


def _row(
    recorded: Recorded,
    kind: str,
    status: str,
    player_id: UUID | None,
    amount: Money,
    metadata: Mapping[str, str],
) -> Transaction:
    event = recorded.event
    return Transaction(
        id=event.originator_id,
        kind=kind,
        status=str(status),
        player_id=player_id,
        provider=None,
        method="",
        amount_minor=amount.amount,
        currency=amount.currency,
        target_minor=None,
        target_currency=None,
        instrument=None,
        related_id=None,
        metadata=metadata,
        reason=None,
        reference=None,
        provider_reference=None,
        payout=None,
        credited_minor=None,
        refunded_minor=0,
        refunds={},
        stage=None,
        named_in=None,
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        version=event.originator_version,
        created_position=recorded.position,
        position=recorded.position,
    )


_OF_WITHDRAWALS: frozenset[type] = frozenset(get_args(OfWithdrawals))

# --- the others ---------------------------------------------------------------------------------


def changed(row: Transaction, recorded: Recorded) -> Transaction:
    """The row after another event of its transaction."""
    event = recorded.event
    payout = row.payout
    row = _of_other(row, event) if payout is None else _of_payout(row, payout, event)
    evidence: Evidence | None = getattr(event, "evidence", None)
    return replace(
        row,
        reference=event.reference if isinstance(event, TransactionSubmitted) else row.reference,
        provider_reference=(evidence and evidence.provider_reference) or row.provider_reference,
        updated_at=event.occurred_at,
        version=event.originator_version,
        position=recorded.position,
    )


def _of_payout(row: Transaction, payout: Payout, event: LedgerEvent) -> Transaction:
    if type(event) not in _OF_WITHDRAWALS:
        raise TypeError(f"{row.id} is a withdrawal: no {type(event).__name__} can happen to it")
    after = payouts.after(payout, cast("OfWithdrawals", event))
    if after is payout:
        return row
    if isinstance(event, WithdrawalAmended):
        amount = event.amount
        row = replace(row, amount_minor=amount.amount, instrument=event.instrument)
    return replace(row, payout=after, status=after.status.value, reason=after.reason)


def _of_other(row: Transaction, event: LedgerEvent) -> Transaction:
    match event:
        case DepositCompleted(settled=settled):
            row = replace(row, credited_minor=settled.amount, reason=None)
            return replace(row, status=deposit_status(settled.amount, row.refunded_minor))
        case DepositRefundTracked():
            return _refunded(row, event)
        case TransactionResolved() if row.kind == "deposit":
            return _resolved_deposit(row, event)
        case DisputeOpened():
            return _contested(row, event)
        case _:
            status = status_after(row.kind, row.status, event)
            reason = reason_after(event) if type(event) in CHANGES_REASON else row.reason
            if status != row.status or reason != row.reason:
                row = replace(row, status=status, reason=reason)
            report = report_of(event)
            return row if report is None else _learned(row, report)


def _refunded(row: Transaction, event: DepositRefundTracked) -> Transaction:
    """A refund has taken a part of the deposit, or has not after all."""
    refunds = {**row.refunds, str(event.refund_id): event.amount.amount}
    if event.standing is not Standing.TAKEN:
        del refunds[str(event.refund_id)]
    taken_minor = sum(refunds.values())
    if refunds == row.refunds:
        return row
    row = replace(row, refunds=refunds, refunded_minor=taken_minor)
    if row.credited_minor is None or not DepositStatus(row.status).is_credited:
        return row
    return replace(row, status=deposit_status(row.credited_minor, taken_minor))


def _resolved_deposit(row: Transaction, event: TransactionResolved) -> Transaction:
    if event.target != DepositStatus.COMPLETED:
        return replace(row, status=event.target, reason=None, credited_minor=None)
    # Where nothing was credited before, what moves is what is credited now, less what goes back.
    credited_minor = row.credited_minor or sum(
        -move.money.amount if move.target.startswith("provider:") else move.money.amount
        for move in event.moves
    )
    status = deposit_status(credited_minor, row.refunded_minor)
    return replace(row, status=status, reason=None, credited_minor=credited_minor)


def _contested(row: Transaction, event: DisputeOpened) -> Transaction:
    """A dispute at its first or next stage."""
    opened = replace(
        row,
        status=DisputeStatus.OPENED.value,
        stage=event.stage.value,
        reason=event.reason_code or row.reason,
        related_id=event.deposit_id,
        reference=row.reference or event.report.reference,
        provider_reference=event.dispute_reference,
    )
    return _learned(opened, event.report)


def _learned(row: Transaction, report: DisputeReport) -> Transaction:
    known = contested(Contested(row.amount_minor, row.named_in), row.currency, report)
    in_stage = report.stage == row.stage
    return replace(
        row,
        amount_minor=known.amount_minor,
        named_in=known.named_in,
        reason=row.reason or (report.reason_code if in_stage else None),
    )
