"""Dispute: state · evolve. A player's bank contests a deposit.

What we decide is in `decisions.py`; what the provider reports is decided in `reports.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.command import remember
from domain.events import (
    DisputeAccepted,
    DisputeAcknowledged,
    DisputeAnswerDelayed,
    DisputeEvent,
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
from domain.events.evidence import Disposition, DisputeNews, DisputeReport, DisputeStage, Standing
from domain.money import Money
from domain.provider.resolution import Proposal
from domain.replacing import replace

STAGES = tuple(DisputeStage)
"""Lowest first."""


class DisputeStatus(StrEnum):
    """Where a dispute stands in its present stage; `screen_word` is what people read."""

    OPENED = "opened"
    EVIDENCE_DUE = "evidence_due"
    SUBMITTED = "submitted"
    UNDER_REVIEW = "under_review"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    WON = "won"
    LOST = "lost"
    WITHDRAWN = "withdrawn"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]

    @property
    def is_open_at_provider(self) -> bool:
        """The stage has not ended, and we expect to hear from the provider."""
        return self.standing is Standing.OPEN

    @property
    def is_settled(self) -> bool:
        """The stage has ended; the next may follow."""
        return self.standing is not Standing.OPEN

    @property
    def waits_for_us(self) -> bool:
        """We may contest or accept it."""
        return self in (DisputeStatus.OPENED, DisputeStatus.EVIDENCE_DUE)

    @property
    def standing(self) -> Standing:
        """How the dispute stands towards what the deposit captured."""
        return _STANDINGS[self]


_SCREEN_WORDS = {
    DisputeStatus.OPENED: "Pending",
    DisputeStatus.EVIDENCE_DUE: "Pending",
    DisputeStatus.SUBMITTED: "Processing",
    DisputeStatus.UNDER_REVIEW: "Processing",
    DisputeStatus.ACCEPTED: "Accepted",
    DisputeStatus.EXPIRED: "Expired",
    DisputeStatus.WON: "Won",
    DisputeStatus.LOST: "Lost",
    DisputeStatus.WITHDRAWN: "Withdrawn",
}
_STANDINGS = {
    DisputeStatus.OPENED: Standing.OPEN,
    DisputeStatus.EVIDENCE_DUE: Standing.OPEN,
    DisputeStatus.SUBMITTED: Standing.OPEN,
    DisputeStatus.UNDER_REVIEW: Standing.OPEN,
    DisputeStatus.ACCEPTED: Standing.TAKEN,
    DisputeStatus.EXPIRED: Standing.TAKEN,
    DisputeStatus.LOST: Standing.TAKEN,
    DisputeStatus.WON: Standing.RELEASED,
    DisputeStatus.WITHDRAWN: Standing.RELEASED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A contested deposit, from the first news to the decision of the last stage."""

    id: UUID
    version: int
    status: DisputeStatus
    stage: DisputeStage
    deposit_id: UUID
    dispute_reference: str
    """The provider's own, the same at every stage."""
    player_id: UUID
    provider: str
    method: str
    amount: Money
    """What is contested: always in the deposit's currency."""
    instrument: str | None
    metadata: Mapping[str, str]
    requested_by: str
    """The provider that told us first."""
    created_at: datetime
    updated_at: datetime
    reason: str | None
    """The scheme's reason code."""
    reference: str | None
    """Ours, of the contested deposit's attempt."""
    provider_reference: str | None
    evidence_due_at: datetime | None = None
    """The latest time the provider named in this stage."""
    answer_note: str = ""
    """What we answered in this stage."""
    documents: tuple[str, ...] = ()
    acknowledged: bool = False
    """The provider has our answer."""
    answers_delayed: int = 0
    """How often the provider could not be told."""
    retry_at: datetime | None = None
    """When it is told again."""
    contradicted: bool = False
    """The provider said two things of this stage that cannot both be; a person has to look."""
    overtaken: bool = False
    """We had given in when the provider said something else: it is not told any more."""
    mismatched: bool = False
    """An amount was named in another currency than the deposit's."""
    named: Mapping[DisputeStage, Money] = field(default_factory=dict)
    """The largest amount contested in each stage, where the provider named any."""
    withdrawn: Mapping[DisputeStage, Money] = field(default_factory=dict)
    """What the provider took, by the stage it took it in."""
    reinstated: Mapping[DisputeStage, Money] = field(default_factory=dict)
    waiting: Mapping[DisputeStage, DisputeReport] = field(default_factory=dict)
    """Reinstatements of money that is not known to have been taken yet."""
    proposal: Proposal | None = None
    """Never: a dispute has no review of its own."""
    notices: frozenset[UUID] = frozenset()
    commands: Mapping[UUID, str]
    """Request digest by command id."""

    @property
    def standing(self) -> Standing:
        """How the dispute stands towards what the deposit captured.

        What a provider contradicts itself about may be taken still. What it has is taken, whatever
        it says of the dispute.
        """
        if self.contradicted:
            return Standing.OPEN
        released = self.status.standing is Standing.RELEASED
        return Standing.TAKEN if released and self.funds_withdrawn else self.status.standing

    @property
    def net_withdrawn(self) -> tuple[Money, ...]:
        """What the provider took and has not given back, by currency."""
        net: Counter[str] = Counter()
        for money in self.withdrawn.values():
            net[money.currency] += money.amount
        for money in self.reinstated.values():
            net[money.currency] -= money.amount
        return tuple(Money(minor, code) for code, minor in sorted(net.items()) if minor > 0)

    @property
    def funds_withdrawn(self) -> bool:
        """The provider took money that it has not given back."""
        return bool(self.net_withdrawn)

    @property
    def answer_due(self) -> bool:
        """Our answer is not known to have reached the provider, and may still matter to it."""
        if self.status is DisputeStatus.ACCEPTED:
            return not self.acknowledged and not self.overtaken
        return self.status is DisputeStatus.SUBMITTED


# --- evolve -------------------------------------------------------------------------------------


def evolve_dispute(state: Dispute | None, event: DisputeEvent) -> Dispute:
    """The dispute after `event`."""
    if isinstance(event, DisputeOpened):
        return _heard(_opened(state, event), event)
    if state is None:
        raise ValueError(f"a dispute's history cannot begin with {type(event).__name__}")
    return _heard(_moved(state, event), event)


def fold_dispute(state: Dispute | None, events: Iterable[DisputeEvent]) -> Dispute | None:
    """The dispute after `events`, in order."""
    for event in events:
        state = evolve_dispute(state, event)
    return state


def _opened(state: Dispute | None, event: DisputeOpened) -> Dispute:
    """For the first time, or at the next stage: then nothing of the stage before holds on."""
    if state is None:
        return Dispute(
            id=event.originator_id,
            version=event.originator_version,
            status=DisputeStatus.OPENED,
            stage=event.stage,
            deposit_id=event.deposit_id,
            dispute_reference=event.dispute_reference,
            player_id=event.player_id,
            provider=event.provider,
            method=event.method,
            amount=event.amount,
            instrument=event.instrument,
            metadata={},
            requested_by=event.actor.partition(":")[2],
            created_at=event.occurred_at,
            updated_at=event.occurred_at,
            reason=event.reason_code,
            reference=event.report.reference,
            provider_reference=event.dispute_reference,
            commands={},
        )
    return replace(
        state,
        status=DisputeStatus.OPENED,
        stage=event.stage,
        reason=event.reason_code or state.reason,
        evidence_due_at=None,
        answer_note="",
        documents=(),
        acknowledged=False,
        answers_delayed=0,
        retry_at=None,
        contradicted=False,
        overtaken=False,
    )


def _moved(state: Dispute, event: DisputeEvent) -> Dispute:
    match event:
        case DisputeOpened():
            raise ValueError("an opening is folded by itself")
        case DisputeEvidenceDue():
            return replace(state, status=DisputeStatus.EVIDENCE_DUE)
        case DisputeEvidenceSubmitted():
            return replace(
                state,
                status=DisputeStatus.SUBMITTED,
                answer_note=event.note,
                documents=event.documents,
            )
        case DisputeAccepted():
            return replace(state, status=DisputeStatus.ACCEPTED, answer_note=event.note)
        case DisputeAcknowledged():
            accepted = state.status is DisputeStatus.ACCEPTED
            status = state.status if accepted else DisputeStatus.UNDER_REVIEW
            return replace(state, status=status, acknowledged=True, retry_at=None)
        case DisputeAnswerDelayed():
            return replace(
                state, answers_delayed=state.answers_delayed + 1, retry_at=event.retry_at
            )
        case DisputeExpired():
            return replace(state, status=DisputeStatus.EXPIRED, retry_at=None)
        case DisputeWon():
            return replace(state, status=DisputeStatus.WON, retry_at=None)
        case DisputeLost():
            return replace(state, status=DisputeStatus.LOST, retry_at=None)
        case DisputeWithdrawn():
            return replace(state, status=DisputeStatus.WITHDRAWN, retry_at=None)
        case DisputeFundsWithdrawn():
            taken = {**state.withdrawn, event.report.stage: event.amount}
            return replace(state, withdrawn=taken)
        case DisputeFundsReinstated():
            stage = event.report.stage
            return replace(
                state,
                reinstated={**state.reinstated, stage: event.amount},
                waiting={s: report for s, report in state.waiting.items() if s is not stage},
            )
        case DisputeNewsNoted():
            return _noted(state, event)
        case _:
            assert_never(event)


def _noted(state: Dispute, event: DisputeNewsNoted) -> Dispute:
    if event.disposition is Disposition.CONTRADICTION:
        overtaken = state.overtaken or state.status is DisputeStatus.ACCEPTED
        return replace(state, contradicted=True, overtaken=overtaken)
    if event.disposition is Disposition.EARLY:
        return replace(state, waiting={**state.waiting, event.report.stage: event.report})
    return state


def _heard(state: Dispute, event: DisputeEvent) -> Dispute:
    """Version, time, what reports say by the way, and what is never acted on twice."""
    report: DisputeReport | None = getattr(event, "report", None)
    state = replace(
        state,
        version=event.originator_version,
        updated_at=event.occurred_at,
        commands=remember(state.commands, event),
    )
    if report is None:
        return state
    if report.notice_id is not None:
        state = replace(state, notices=state.notices | {report.notice_id})
    contradicts = isinstance(event, DisputeNewsNoted) and (
        event.disposition is Disposition.CONTRADICTION
    )
    return state if contradicts else _learned(state, report)


def _learned(state: Dispute, report: DisputeReport) -> Dispute:
    """Amount, time and reason, by rules that do not depend on which report came first."""
    due_at, amount, reason = state.evidence_due_at, report.amount, state.reason
    if report.stage is state.stage:
        due_at = max(filter(None, (due_at, report.evidence_due_at)), default=None)
        reason = reason or report.reason_code
    named = state.named
    if amount is not None and amount.currency == state.amount.currency:
        if report.news not in (DisputeNews.FUNDS_WITHDRAWN, DisputeNews.FUNDS_REINSTATED):
            known = named.get(report.stage, amount)
            named = {**named, report.stage: max(known, amount)}
    elif amount is not None:
        state = replace(state, mismatched=True)
    return replace(
        state,
        evidence_due_at=due_at,
        reason=reason,
        named=named,
        amount=named[max(named, key=STAGES.index)] if named else state.amount,
    )
