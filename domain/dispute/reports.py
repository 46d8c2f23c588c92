"""What a provider's report means for a dispute, in whatever order reports arrive.

A stage outranks those before it, and within a stage `opened` < `evidence_due` < `expired` <
`under_review` < a verdict (`won`, `lost`, `withdrawn`). News of lower rank than what is known is
noted and changes nothing. A dispute cannot be polled, so this order is all there is; it holds for
every story that is true, which is one with at most one verdict in a stage. Two verdicts in one
stage contradict each other: the first one stands, nothing moves, a person has to look.

Money is apart from that. What the provider took or gave back counts once in each stage, however
late, and the two are booked in the order they happened: a reinstatement heard before the
withdrawal it belongs to waits for it, so the books never show money that we do not have. Money
news that names no amount is booked with the amount known by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from domain.command import Command
from domain.counters import instrument_counter
from domain.deposit.state import Deposit
from domain.dispute.decisions import with_claim
from domain.dispute.state import STAGES, Dispute, DisputeStatus, evolve_dispute
from domain.events import (
    Count,
    DisputeAcknowledged,
    DisputeEvent,
    DisputeEvidenceDue,
    DisputeExpired,
    DisputeFundsReinstated,
    DisputeFundsWithdrawn,
    DisputeLost,
    DisputeNewsNoted,
    DisputeOpened,
    DisputeWithdrawn,
    DisputeWon,
    Header,
    LedgerEvent,
)
from domain.events.evidence import Disposition, DisputeNews, DisputeReport, DisputeStage
from domain.money import Money

_VERDICTS = {
    DisputeStatus.WON: DisputeNews.WON,
    DisputeStatus.LOST: DisputeNews.LOST,
    DisputeStatus.WITHDRAWN: DisputeNews.WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One report about one dispute, with all that the decision needs."""

    state: Dispute
    command: Command
    report: DisputeReport

    @property
    def header(self) -> Header:
        return self.command.header(self.state.id, self.state.version + 1)

    @property
    def is_of_an_earlier_stage(self) -> bool:
        return STAGES.index(self.report.stage) < STAGES.index(self.state.stage)


def hear_dispute(
    state: Dispute | None,
    command: Command,
    report: DisputeReport,
    *,
    dispute_id: UUID,
    deposit: Deposit,
    own: Deposit | None = None,
) -> tuple[LedgerEvent, ...]:
    """What follows from a report; () where this very notice has been acted on.

    Whatever is heard first of a dispute, or of a stage, opens it. The deposit's record of the
    dispute is part of the answer wherever it changes. `deposit` is the one that the report names;
    where the dispute is known to be about another, that one is its `own`.
    """
    if state is not None and report.notice_id is not None and report.notice_id in state.notices:
        return ()
    if state is not None and state.deposit_id != deposit.id:
        about = _Report(state=state, command=command, report=report)
        noted = _noted(about, Disposition.CONTRADICTION)
        return (noted,) if own is None else with_claim(state, (noted,), command, own)
    if state is not None and STAGES.index(report.stage) <= STAGES.index(state.stage):
        known = _Report(state=state, command=command, report=report)
        return with_claim(state, _followed(known), command, deposit)
    opened = _opened(state, command, report, dispute_id, deposit)
    if report.news is DisputeNews.OPENED:
        return with_claim(state, (opened,), command, deposit)
    new = _Report(state=evolve_dispute(state, opened), command=command, report=report)
    return with_claim(state, (opened, *_followed(new)), command, deposit)


def _opened(
    state: Dispute | None,
    command: Command,
    report: DisputeReport,
    dispute_id: UUID,
    deposit: Deposit,
) -> DisputeOpened:
    return DisputeOpened(
        **command.header(dispute_id, state.version + 1 if state else 1),
        deposit_id=deposit.id,
        player_id=deposit.player_id,
        provider=deposit.provider,
        method=deposit.method,
        instrument=deposit.instrument,
        dispute_reference=report.dispute_reference,
        stage=report.stage,
        amount=_contested(state, report, deposit),
        reason_code=report.reason_code,
        report=report,
    )


def _contested(state: Dispute | None, report: DisputeReport, deposit: Deposit) -> Money:
    """What the provider names, in the deposit's currency; else what is known, else all of it."""
    captured = deposit.captured or deposit.amount
    named = None if _is_about_money(report) else report.amount
    if named is not None and named.currency == captured.currency:
        return named
    return state.amount if state else captured


def _followed(report: _Report) -> tuple[DisputeEvent, ...]:
    match report.report.news:
        case DisputeNews.FUNDS_WITHDRAWN:
            return _funds_withdrawn(report)
        case DisputeNews.FUNDS_REINSTATED:
            return (_funds_reinstated(report),)
        case _ if report.is_of_an_earlier_stage:
            return (_noted(report, Disposition.LATE),)
        case _:
            return (_in_stage(report),)


# --- the course of a stage ----------------------------------------------------------------------


def _in_stage(report: _Report) -> DisputeEvent:
    if report.report.news is DisputeNews.OPENED:
        return _noted(report, Disposition.DUPLICATE)
    match report.state.status:
        case DisputeStatus.OPENED | DisputeStatus.EVIDENCE_DUE:
            return _while_open(report)
        case DisputeStatus.SUBMITTED:
            return _while_submitted(report)
        case DisputeStatus.UNDER_REVIEW:
            return _while_under_review(report)
        case DisputeStatus.EXPIRED:
            return _after_expiry(report)
        case DisputeStatus.ACCEPTED:
            return _after_acceptance(report)
        case DisputeStatus.WON | DisputeStatus.LOST | DisputeStatus.WITHDRAWN:
            return _after_verdict(report)
        case _:
            assert_never(report.state.status)


def _while_open(report: _Report) -> DisputeEvent:
    """The provider waits for us, or has been answered by other ways than ours."""
    match report.report.news:
        case DisputeNews.EVIDENCE_DUE:
            return _evidence_due(report)
        case DisputeNews.EXPIRED:
            return DisputeExpired(**report.header, report=report.report)
        case DisputeNews.UNDER_REVIEW:
            return DisputeAcknowledged(**report.header, report=report.report)
        case _:
            return _verdict(report)


def _evidence_due(report: _Report) -> DisputeEvent:
    """A later time than known replaces it; an earlier one is old news."""
    known, named = report.state.evidence_due_at, report.report.evidence_due_at
    due_at = max(filter(None, (known, named)), default=None)
    if report.state.status is DisputeStatus.EVIDENCE_DUE and due_at == known:
        return _noted(report, Disposition.DUPLICATE)
    return DisputeEvidenceDue(**report.header, due_at=due_at, report=report.report)


def _while_submitted(report: _Report) -> DisputeEvent:
    """Our evidence is on its way; the provider may say that it came too late."""
    match report.report.news:
        case DisputeNews.EVIDENCE_DUE:
            return _noted(report, Disposition.LATE)
        case DisputeNews.EXPIRED:
            return DisputeExpired(**report.header, report=report.report)
        case DisputeNews.UNDER_REVIEW:
            return DisputeAcknowledged(**report.header, report=report.report)
        case _:
            return _verdict(report)


def _while_under_review(report: _Report) -> DisputeEvent:
    match report.report.news:
        case DisputeNews.EVIDENCE_DUE | DisputeNews.EXPIRED:
            return _noted(report, Disposition.LATE)
        case DisputeNews.UNDER_REVIEW:
            return _noted(report, Disposition.DUPLICATE)
        case _:
            return _verdict(report)


def _after_expiry(report: _Report) -> DisputeEvent:
    """No verdict yet: our own clock may be wrong, and a bank may decide without evidence."""
    match report.report.news:
        case DisputeNews.EVIDENCE_DUE:
            return _noted(report, Disposition.LATE)
        case DisputeNews.EXPIRED:
            return _noted(report, Disposition.DUPLICATE)
        case DisputeNews.UNDER_REVIEW:
            return DisputeAcknowledged(**report.header, report=report.report)
        case _:
            return _verdict(report)


def _after_acceptance(report: _Report) -> DisputeEvent:
    """We gave in. A loss confirms that; anything else than a loss cannot be."""
    match report.report.news:
        case DisputeNews.EVIDENCE_DUE | DisputeNews.UNDER_REVIEW:
            return _noted(report, Disposition.LATE)
        case DisputeNews.LOST | DisputeNews.EXPIRED:
            if report.state.acknowledged:
                return _noted(report, Disposition.DUPLICATE)
            return DisputeAcknowledged(**report.header, report=report.report)
        case _:
            return _noted(report, Disposition.CONTRADICTION)


def _after_verdict(report: _Report) -> DisputeEvent:
    news = report.report.news
    if news not in _VERDICTS.values():
        return _noted(report, Disposition.LATE)
    same = news is _VERDICTS[report.state.status]
    return _noted(report, Disposition.DUPLICATE if same else Disposition.CONTRADICTION)


def _verdict(report: _Report) -> DisputeEvent:
    match report.report.news:
        case DisputeNews.WON:
            return DisputeWon(**report.header, report=report.report)
        case DisputeNews.LOST:
            return DisputeLost(**report.header, report=report.report)
        case DisputeNews.WITHDRAWN:
            return DisputeWithdrawn(**report.header, report=report.report)
        case _:
            raise ValueError(f"{report.report.news} is no verdict")


def _noted(report: _Report, disposition: Disposition) -> DisputeNewsNoted:
    return DisputeNewsNoted(**report.header, disposition=disposition, report=report.report)


# --- the money ----------------------------------------------------------------------------------


def _is_about_money(report: DisputeReport) -> bool:
    return report.news in (DisputeNews.FUNDS_WITHDRAWN, DisputeNews.FUNDS_REINSTATED)


def _funds_withdrawn(report: _Report) -> tuple[DisputeEvent, ...]:
    """The money is taken; a reinstatement that waited for it follows at once."""
    state, stage = report.state, report.report.stage
    if stage in state.withdrawn:
        return (_again(report, state.withdrawn[stage]),)
    amount = report.report.amount or state.amount
    taken = DisputeFundsWithdrawn(
        **report.header,
        provider=state.provider,
        amount=amount,
        counts=_counts(state, amount, -amount.amount),
        report=report.report,
    )
    state = evolve_dispute(state, taken)
    for waiting_stage in sorted(state.waiting, key=STAGES.index):
        if _was_taken(state, waiting_stage):
            waited = _Report(
                state=state, command=report.command, report=state.waiting[waiting_stage]
            )
            return taken, _given_back(waited)
    return (taken,)


def _funds_reinstated(report: _Report) -> DisputeEvent:
    state, stage = report.state, report.report.stage
    if stage in state.reinstated:
        return _again(report, state.reinstated[stage])
    if stage in state.waiting:
        return _again(report, state.waiting[stage].amount)
    if not _was_taken(state, stage):
        return _noted(report, Disposition.EARLY)
    return _given_back(report)


def _given_back(report: _Report) -> DisputeFundsReinstated:
    amount = report.report.amount or _last_taken(report.state.withdrawn, report.report.stage)
    return DisputeFundsReinstated(
        **report.header,
        provider=report.state.provider,
        amount=amount,
        counts=_counts(report.state, amount, amount.amount),
        report=report.report,
    )


def _again(report: _Report, known: Money | None) -> DisputeNewsNoted:
    """The same once more; with another amount than before, a person has to look."""
    named = report.report.amount
    differs = named is not None and known is not None and named != known
    return _noted(report, Disposition.CONTRADICTION if differs else Disposition.DUPLICATE)


def _was_taken(state: Dispute, stage: DisputeStage) -> bool:
    """Whether, with one more at `stage`, each reinstatement has a withdrawal of its own.

    What was taken at one stage may be given back at a later one, never at an earlier one.
    """
    given_back = {*state.reinstated, stage}
    return all(
        _upto(given_back, index) <= _upto(set(state.withdrawn), index)
        for index in range(len(STAGES))
    )


def _upto(stages: set[DisputeStage], index: int) -> int:
    return sum(STAGES.index(stage) <= index for stage in stages)


def _last_taken(withdrawn: Mapping[DisputeStage, Money], stage: DisputeStage) -> Money:
    earlier = [s for s in withdrawn if STAGES.index(s) <= STAGES.index(stage)]
    return withdrawn[max(earlier, key=STAGES.index)]


def _counts(state: Dispute, amount: Money, change: int) -> tuple[Count, ...]:
    """What the instrument has paid in, net, where it is counted in this currency."""
    if state.instrument is None or amount.currency != state.amount.currency:
        return ()
    counter = instrument_counter(state.player_id, state.instrument, amount.currency)
    return (Count(counter=counter, change=change),)
