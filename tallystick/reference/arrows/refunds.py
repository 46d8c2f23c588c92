"""Refunds: everything that may be decided about one of a deposit that was credited."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final
from uuid import UUID

from domain.deposit.decisions import DepositStatus
from domain.errors import Reason
from domain.events.evidence import Source
from domain.money import Money
from domain.refund.decisions import (
    Refund,
    RefundStatus,
    approve_refund,
    cancel_refund,
    reject_refund,
    request_refund,
    submit_refund,
)
from domain.refund.reports import REFUND_TARGETS, hear_refund, resolve_refund
from tallystick.reference.arrows.exploring import Decision, Machine, by_two
from tallystick.reference.arrows.samples import (
    AMOUNT,
    ANN,
    BEN,
    PROVIDER,
    STREAM,
    command,
    deposit_completed,
    left_minor,
    reports,
)

_DEPOSIT: Final = deposit_completed(UUID(int=9))
_IN_REVIEW: Final = replace(_DEPOSIT, status=DepositStatus.REVIEW)
_HALF: Final = Money(AMOUNT.amount // 2, AMOUNT.currency)


def _first() -> Iterator[Decision]:
    for refusal in (None, Reason.INSUFFICIENT_FUNDS):
        yield partial(
            request_refund,
            *(STREAM, ANN),
            deposit=_DEPOSIT,
            amount=_HALF,
            reason="reason",
            metadata={},
            required=(("finance",),),
            refusal=refusal,
        )


def _following(state: Refund) -> Iterator[Decision]:
    yield partial(approve_refund, state, BEN, note="seen")
    yield partial(reject_refund, state, BEN, deposit=_DEPOSIT, note="seen")
    yield partial(cancel_refund, state, BEN, deposit=_DEPOSIT, reason="reason")
    for deposit in (_DEPOSIT, _IN_REVIEW):
        yield partial(submit_refund, state, command(), deposit=deposit, provider=PROVIDER)
    for target in sorted(REFUND_TARGETS):
        yield by_two(state, resolve_refund, deposit=_DEPOSIT, target=target, note="seen")
    for said in reports(_HALF, {1: Source, 2: [Source.NOTICE]}):
        yield partial(
            hear_refund,
            *(state, command(), said),
            deposit=_DEPOSIT,
            provider=PROVIDER,
            available_minor=left_minor(_HALF, said),
        )


def _essence(state: Refund) -> object:
    return (
        state.status,
        state.polls > 0,
        state.status is RefundStatus.REVIEW and state.reason,
        state.resolved,
        state.turns.paid_told,
        state.turns.returned_at,
        state.reference,
        state.reserved,
        state.paid is None,
        state.house_minor > 0,
    )


REFUNDS: Final = Machine(
    kind=Refund,
    statuses=RefundStatus,
    first=_first,
    following=_following,
    essence=_essence,
)
