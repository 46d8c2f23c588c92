"""Refund: what people decide. A deposit, or a part of it, goes back.

What a refund is, is in `state.py`; what the provider reports is decided in `reports.py`. Whatever
a refund takes of its deposit, or gives back, is recorded on the deposit's stream in that append.
"""

from collections.abc import Mapping
from uuid import UUID

from domain.approval.roles import Groups, missing_after
from domain.command import Command, repeated
from domain.counters import instrument_counter
from domain.deposit.claims import Claim
from domain.deposit.concerns import with_excess
from domain.deposit.state import Deposit
from domain.errors import (
    DisputeOpen,
    InvalidTransition,
    NotRefundable,
    Reason,
    RefundExceedsCapture,
    SelfApproval,
)
from domain.events import (
    Count,
    DepositEvent,
    DepositRefundTracked,
    LedgerEvent,
    RefundApprovalAwaited,
    RefundApproved,
    RefundCancelled,
    RefundRejected,
    RefundRequested,
    TransactionSubmitted,
)
from domain.events.evidence import Standing
from domain.money import Money, transaction_amount
from domain.provider.attempt import first_poll, reference
from domain.provider.provider import Provider
from domain.refund.state import Refund as Refund
from domain.refund.state import RefundStatus as RefundStatus
from domain.refund.state import evolve_refund as evolve_refund
from domain.refund.state import fold_refund as fold_refund

ATTEMPT = 1
"""A refund is sent once; one that failed is requested anew."""


def request_refund(
    refund_id: UUID,
    command: Command,
    *,
    deposit: Deposit,
    amount: Money | None,
    reason: str,
    metadata: Mapping[str, str],
    required: Groups,
    refusal: Reason | None = None,
) -> tuple[LedgerEvent, ...]:
    """Reserve the funds and ask for a second person; `amount` None is everything refundable.

    A rule that the caller found broken, such as missing funds, is a `refusal`: it is recorded,
    and neither reserves nor claims anything.

    Raises:
        NotRefundable: the deposit has not been credited, or is in review.
        DisputeOpen: a dispute about it is open, or contradicts itself.
        RefundExceedsCapture: it is more than what is left of the deposit.
        InvalidMoney: the amount is not that of a transaction.
        ValueError: `required` is not one group of roles; a refund takes one other person.
    """
    if len(required) != 1:
        raise ValueError("a refund takes one other person: one group of roles")
    amount = _refundable(deposit, amount)
    requested = RefundRequested(
        **command.header(refund_id, 1),
        request_digest=command.request_digest,
        deposit_id=deposit.id,
        player_id=deposit.player_id,
        provider=deposit.provider,
        method=deposit.method,
        amount=amount,
        instrument=deposit.instrument,
        reason=reason,
        metadata=metadata,
        reserved=refusal is None,
        counts=() if refusal else instrument_counts(deposit, -amount.amount),
    )
    if refusal is not None:
        return requested, RefundRejected(
            **command.header(refund_id, 2),
            request_digest=command.request_digest,
            player_id=deposit.player_id,
            reason=refusal,
            note="",
            released=None,
            counts=(),
        )
    awaited = RefundApprovalAwaited(**command.header(refund_id, 2), required=required)
    return requested, awaited, *tracked(deposit, command, refund_id, amount, Standing.OPEN)


def _refundable(deposit: Deposit, amount: Money | None) -> Money:
    """The amount to refund, where the deposit allows it."""
    captured = deposit.captured
    if captured is None or not deposit.status.is_credited:
        raise NotRefundable(f"A deposit that is {deposit.status} cannot be refunded.")
    if deposit.has_open_dispute:
        raise DisputeOpen
    left = Money(deposit.refundable_minor, captured.currency)
    if amount is None and left.amount:
        return left
    if amount is None or amount.currency != left.currency or amount.amount > left.amount:
        contested = any(c.standing is not Standing.RELEASED for c in deposit.disputes.values())
        why = " A dispute has taken money of it, or may take it." if contested else ""
        raise RefundExceedsCapture(f"{left} of this deposit can still be refunded.{why}")
    return transaction_amount(amount.amount, amount.currency)


def approve_refund(state: Refund, command: Command, *, note: str) -> RefundApproved | None:
    """Let the refund go ahead; None if this command did so already.

    Raises:
        InvalidTransition: nobody is asked to agree.
        SelfApproval: the person who asked for the refund.
        RoleNotAllowed: another role has to agree.
    Source: design/domain.md, Approvals.
    """
    if repeated(state.commands, command):
        return None
    if state.status is not RefundStatus.PENDING_APPROVAL:
        raise InvalidTransition(state.status, "approved")
    if command.person == state.requested_by:
        raise SelfApproval
    missing_after(state.required, (), person=command.person, role=command.role)
    return RefundApproved(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        role=command.role,
        note=note,
        attempt=ATTEMPT,
    )


def reject_refund(
    state: Refund, command: Command, *, deposit: Deposit, note: str
) -> tuple[LedgerEvent, ...]:
    """Refuse the refund and release its funds; () if this command did so already.

    Raises:
        InvalidTransition: nobody is asked to agree.
    """
    if repeated(state.commands, command):
        return ()
    if state.status is not RefundStatus.PENDING_APPROVAL:
        raise InvalidTransition(state.status, "rejected")
    rejected = RefundRejected(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=Reason.DECIDED_BY_OPERATOR,
        note=note,
        released=state.amount,
        counts=instrument_counts(state, state.amount.amount),
    )
    return rejected, *tracked(deposit, command, state.id, state.amount, Standing.RELEASED)


def cancel_refund(
    state: Refund, command: Command, *, deposit: Deposit, reason: str
) -> tuple[LedgerEvent, ...]:
    """Give the refund up before it is sent, and release its funds; () if done already.

    Raises:
        InvalidTransition: it is past the point where nothing can have been paid.
    """
    if repeated(state.commands, command):
        return ()
    if state.status not in (RefundStatus.PENDING_APPROVAL, RefundStatus.APPROVED):
        raise InvalidTransition(state.status, "cancelled")
    return _cancelled(state, command, deposit, reason)


def submit_refund(
    state: Refund, command: Command, *, deposit: Deposit, provider: Provider
) -> tuple[LedgerEvent, ...]:
    """Record that from now on the attempt may have reached the provider.

    What has changed since the request cancels it instead: an open dispute, a deposit that is in
    review or has nothing left to refund, a paused provider.

    Raises:
        InvalidTransition: it is not approved, or has been sent.
    """
    if state.status is not RefundStatus.APPROVED:
        raise InvalidTransition(state.status, "submitted")
    forbidden = why_not_refunded(deposit, provider)
    if forbidden is not None:
        return _cancelled(state, command, deposit, forbidden)
    return (
        TransactionSubmitted(
            **command.header(state.id, state.version + 1),
            reference=reference(state.id, ATTEMPT),
            attempt=ATTEMPT,
            provider=state.provider,
            poll_at=first_poll(command.now, provider.poll_delays_seconds),
        ),
    )


def why_not_refunded(deposit: Deposit, provider: Provider) -> Reason | None:
    """What keeps a requested refund from being sent, at first or once more; None: nothing."""
    if deposit.has_open_dispute:
        return Reason.DISPUTE_OPEN
    if not deposit.status.is_credited or deposit.unclaimed_minor < 0:
        return Reason.NOT_REFUNDABLE
    return Reason.PROVIDER_PAUSED if provider.paused else None


def _cancelled(
    state: Refund, command: Command, deposit: Deposit, reason: str
) -> tuple[LedgerEvent, ...]:
    cancelled = RefundCancelled(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=reason,
        released=state.amount,
        counts=instrument_counts(state, state.amount.amount),
    )
    return cancelled, *tracked(deposit, command, state.id, state.amount, Standing.RELEASED)


# --- what the deposit and its instrument are told ------------------------------------------------


def tracked(
    deposit: Deposit, command: Command, refund_id: UUID, amount: Money, standing: Standing
) -> tuple[DepositEvent, ...]:
    """What a refund takes of its deposit; nothing where the deposit has it so already."""
    if deposit.refunds.get(refund_id) == Claim(amount=amount, standing=standing):
        return ()
    told = DepositRefundTracked(
        **command.header(deposit.id, deposit.version + 1),
        refund_id=refund_id,
        amount=amount,
        standing=standing,
    )
    return with_excess(deposit, (told,), command)


def instrument_counts(of: Deposit | Refund, change: int) -> tuple[Count, ...]:
    """`change` minor units of what the instrument has paid in net; nothing without one."""
    if of.instrument is None or change == 0:
        return ()
    currency = (of.captured or of.amount if isinstance(of, Deposit) else of.amount).currency
    counter = instrument_counter(of.player_id, of.instrument, currency)
    return (Count(counter=counter, change=change),)
