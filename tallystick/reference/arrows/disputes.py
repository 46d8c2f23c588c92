"""Disputes: everything that may be heard and answered, in any order, over two stages."""

from collections.abc import Iterator
from functools import partial
from typing import Final
from uuid import UUID

from domain.dispute.decisions import (
    Dispute,
    DisputeStatus,
    accept_dispute,
    answer_acknowledged,
    answer_delayed,
    answer_report,
    expire_dispute,
    submit_evidence,
)
from domain.dispute.reports import hear_dispute
from domain.events.evidence import DisputeNews, DisputeReport, DisputeStage, Outcome, Source
from tallystick.reference.arrows.exploring import Decision, Machine
from tallystick.reference.arrows.samples import (
    AMOUNT,
    ANN,
    NOW,
    STREAM,
    TIME_IS_UP,
    command,
    deposit_completed,
)

_DEPOSIT: Final = deposit_completed(UUID(int=9))
_STAGES: Final = (DisputeStage.CHARGEBACK, DisputeStage.PRE_ARBITRATION)
"""What is so of two stages is so of any two."""


def _reports() -> Iterator[DisputeReport]:
    for stage in _STAGES:
        for news in DisputeNews:
            for due_at in (None, NOW) if news is DisputeNews.EVIDENCE_DUE else (None,):
                yield DisputeReport(
                    source=Source.NOTICE,
                    news=news,
                    stage=stage,
                    reference=_DEPOSIT.reference or "",
                    dispute_reference="dispute",
                    amount=AMOUNT,
                    evidence_due_at=due_at,
                )


def _first() -> Iterator[Decision]:
    for report in _reports():
        yield partial(hear_dispute, None, command(), report, dispute_id=STREAM, deposit=_DEPOSIT)


def _following(state: Dispute) -> Iterator[Decision]:
    yield partial(submit_evidence, state, ANN, note="seen")
    yield partial(accept_dispute, state, ANN, deposit=_DEPOSIT, note="seen")
    yield partial(expire_dispute, state, command(now=TIME_IS_UP), deposit=_DEPOSIT)
    yield partial(answer_acknowledged, state, command(), answer_report(state))
    yield partial(answer_delayed, state, command(), outcome=Outcome.UNKNOWN, delays_seconds=(10,))
    for report in _reports():
        yield partial(hear_dispute, state, command(), report, dispute_id=STREAM, deposit=_DEPOSIT)


def _essence(state: Dispute) -> object:
    return (
        state.status,
        state.stage,
        state.evidence_due_at is None,
        state.acknowledged,
        state.contradicted,
        len(state.withdrawn),
        len(state.reinstated),
        len(state.waiting),
    )


DISPUTES: Final = Machine(
    kind=Dispute,
    statuses=DisputeStatus,
    first=_first,
    following=_following,
    essence=_essence,
)
