"""Deposits: everything that may be decided, with the refunds and disputes that claim them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Final, cast
from uuid import UUID

from domain.deposit.claims import Claim
from domain.deposit.concerns import review_concerns
from domain.deposit.decisions import DepositStatus, cancel_deposit, create_deposit, submit_deposit
from domain.deposit.reports import DEPOSIT_TARGETS, hear_deposit, resolve_deposit
from domain.deposit.state import Deposit
from domain.dispute.reports import hear_dispute
from domain.errors import Reason
from domain.events import LedgerEvent, RefundEvent
from domain.events.evidence import (
    DisputeNews,
    DisputeReport,
    DisputeStage,
    Evidence,
    Outcome,
    Source,
    Standing,
)
from domain.money import Money
from domain.refund.decisions import (
    Refund,
    approve_refund,
    cancel_refund,
    request_refund,
    submit_refund,
)
from domain.refund.reports import hear_refund
from domain.refund.state import evolve_refund
from tallystick.reference.arrows.exploring import Decided, Decision, Machine, by_two, made_by
from tallystick.reference.arrows.samples import (
    AMOUNT,
    ANN,
    BEN,
    EXCLUDED,
    INSTRUMENT,
    LIMIT_COUNTS,
    NOW,
    PAUSED,
    PLAYER,
    PROVIDER,
    STREAM,
    TIME_IS_UP,
    command,
    deposit_completed,
    reports,
)

_REFUNDS: Final = (UUID(int=6), UUID(int=7))
"""Two are enough for every sum: nothing, a part, all of it."""
_DISPUTE: Final = UUID(int=8)
_CONCERNS: Final = (Reason.PLAYER_EXCLUDED,)
_HALF: Final = Money(AMOUNT.amount // 2, AMOUNT.currency)


def _first() -> Iterator[Decision]:
    for player, at in ((PLAYER, PROVIDER), (EXCLUDED, PROVIDER), (PLAYER, PAUSED)):
        yield partial(
            create_deposit,
            *(STREAM, command()),
            player=player,
            provider=at,
            method="redirect",
            amount=AMOUNT,
            instrument=INSTRUMENT,
            metadata={},
            counts=LIMIT_COUNTS,
        )


def _following(state: Deposit) -> Iterator[Decision]:
    for player, at in ((PLAYER, PROVIDER), (EXCLUDED, PROVIDER), (PLAYER, PAUSED)):
        yield partial(submit_deposit, state, command(), player=player, provider=at)
    yield partial(cancel_deposit, state, command(), "reason")
    yield partial(review_concerns, state, ANN, note="seen")
    for target in sorted(DEPOSIT_TARGETS):
        yield by_two(state, resolve_deposit, target=target, note="seen")
    for said in reports(AMOUNT, {1: Source, 2: [Source.NOTICE]}):
        # Only the player's time matters, and only where a poll says that nothing was paid.
        for now in (NOW, TIME_IS_UP) if said.source is Source.POLL else (NOW,):
            heard = partial(hear_deposit, state, command(now=now), said, provider=PROVIDER)
            yield partial(heard, available_minor=AMOUNT.amount, concerns=_CONCERNS)
    yield from _claims(state)


def _claims(state: Deposit) -> Iterator[Decision]:
    """Refunds and disputes of the deposit record on its stream what they take of it."""
    unused = [refund for refund in _REFUNDS if refund not in state.refunds]
    for refund_id in unused[:1]:
        for amount in (None, _HALF):
            yield partial(_requested, refund_id, state, amount)
    for refund_id, claim in state.refunds.items():
        refund = _refund(refund_id, claim)
        yield partial(cancel_refund, refund, command(), deposit=state, reason="reason")
        for outcome in (Outcome.SUCCEEDED, Outcome.DECLINED, Outcome.RETURNED):
            said = Evidence(source=Source.NOTICE, outcome=outcome, reference="")
            yield partial(hear_refund, refund, command(), said, deposit=state, provider=PROVIDER)
    for news in (DisputeNews.OPENED, DisputeNews.LOST, DisputeNews.FUNDS_WITHDRAWN):
        report = DisputeReport(
            source=Source.NOTICE,
            news=news,
            stage=DisputeStage.CHARGEBACK,
            reference="",
            dispute_reference="dispute",
        )
        yield partial(hear_dispute, None, command(), report, dispute_id=_DISPUTE, deposit=state)


def _requested(refund_id: UUID, deposit: Deposit, amount: Money | None) -> tuple[LedgerEvent, ...]:
    return request_refund(
        *(refund_id, ANN),
        deposit=deposit,
        amount=amount,
        reason="reason",
        metadata={},
        required=(("finance",),),
    )


@cache
def _refund(refund_id: UUID, claim: Claim) -> Refund:
    """A refund whose claim stands so, by the decisions that lead there."""
    deposit = replace(deposit_completed(STREAM), credited=claim.amount)
    refund = _after(None, refund_id, _requested(refund_id, deposit, claim.amount))
    refund = _after(refund, refund_id, approve_refund(refund, BEN, note="seen"))
    sent = submit_refund(refund, command(), deposit=deposit, provider=PROVIDER)
    refund = _after(refund, refund_id, sent)
    if claim.standing is Standing.OPEN:
        return refund
    taken = claim.standing is Standing.TAKEN
    said = Evidence(
        source=Source.NOTICE,
        outcome=Outcome.SUCCEEDED if taken else Outcome.DECLINED,
        reference="",
    )
    heard = hear_refund(refund, command(), said, deposit=deposit, provider=PROVIDER)
    return _after(refund, refund_id, heard)


def _after(refund: Refund | None, refund_id: UUID, made: Decided) -> Refund:
    for event in made_by(lambda: made):
        if event.originator_id == refund_id:
            refund = evolve_refund(refund, cast("RefundEvent", event))
    if refund is None:
        raise ValueError("no refund came of this")
    return refund


def _essence(state: Deposit) -> object:
    """Claims matter as far as they take something; which refund or dispute it is does not."""
    claims = sorted(
        (claim.amount.amount >= AMOUNT.amount, claim.standing)
        for claim in state.refunds.values()
        if claim.standing is not Standing.RELEASED
    )
    released = len(claims) < len(state.refunds)
    is_open = state.status.is_open_at_provider
    return (
        state.status,
        is_open and state.polls > 0,
        state.status is DepositStatus.REVIEW and state.reason,
        state.resolved,
        state.reference,
        state.credited is None,
        is_open and state.expires_at is None,
        bool(state.concerns) and not state.concerns_reviewed,
        tuple(claims),
        released,
    )


DEPOSITS: Final = Machine(
    kind=Deposit,
    statuses=DepositStatus,
    first=_first,
    following=_following,
    essence=_essence,
)
