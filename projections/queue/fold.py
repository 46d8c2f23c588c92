"""How each event changes what people have to decide."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from domain.adjustment.decisions import DECIDING_ROLES
from domain.adjustment.state import AdjustmentStatus
from domain.approval.roles import Groups, missing_groups
from domain.approval.snapshot import ANYBODY
from domain.deposit.decisions import DepositStatus
from domain.dispute.decisions import DisputeStatus
from domain.errors import Reason
from domain.events import (
    AdjustmentRequested,
    ConversionQuoted,
    DepositCompleted,
    DepositConcernsReviewed,
    DepositCreated,
    DepositExcessTracked,
    DisputeEvidenceDue,
    DisputeFundsReinstated,
    DisputeFundsWithdrawn,
    DisputeNewsNoted,
    DisputeOpened,
    LedgerEvent,
    RefundApprovalAwaited,
    RefundRequested,
    ResolutionProposed,
    ReviewOpened,
    TransactionResolved,
    WithdrawalAmended,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalRecalled,
    WithdrawalRequested,
    WithdrawalScored,
    WithdrawalScreened,
)
from domain.events.evidence import DisputeReport
from domain.money import Money
from domain.refund.state import RefundStatus
from domain.withdrawal.status import WithdrawalStatus as W
from projections.dispute_news import Contested, contested, report_of
from projections.engine.read_model import Recorded, Row, Table
from projections.payouts import Payout, after, requested
from projections.queue.events import (
    ChangesCase,
    ChangesNoCase,
    EndsWait,
    LeavesOthers,
    OfPayouts,
    OpensCase,
)


class Agreed(msgspec.Struct, frozen=True):
    """A person who agreed to a payout as it is, the role in which they did, and when."""

    person: str
    role: str
    at: datetime


class Case(Row, frozen=True):
    """A transaction, and for whom it waits.

    Every transaction has one, waiting or not: a payout may come back for review years after it
    was paid, and the event that says so names neither its amount nor its kind.
    """

    id: UUID
    kind: str
    player_id: UUID | None
    provider: str | None
    method: str
    amount_minor: int
    currency: str
    requested_by: str
    requested_at: datetime
    waiting_as: str | None
    waiting_since: datetime | None
    due_at: datetime | None
    stage: str | None
    named_in: str | None
    reasons: tuple[str, ...]
    score: int | None
    review_reason: str | None
    required: Groups
    approvals: tuple[Agreed, ...]
    approval_seconds: int
    note: str | None
    proposed_target: str | None
    proposed_by: str | None
    payout: Payout | None
    excess: Money | None
    position: int

    @property
    def why(self) -> tuple[str, ...]:
        """Why people have to look now."""
        return (self.review_reason,) if self.review_reason else self.reasons

    def counting(self, now: datetime) -> tuple[Agreed, ...]:
        """The approvals that are not too old at `now`.

        Whether the player's standing has changed since, only the transaction knows.
        """
        lasts = timedelta(seconds=self.approval_seconds)
        return tuple(one for one in self.approvals if now < one.at + lasts)

    def missing(self, now: datetime) -> Groups:
        """Groups of roles of which nobody has agreed so that it counts at `now`."""
        given = [(one.person, one.role) for one in self.counting(now)]
        return missing_groups(self.required, given)


CASES: Table[UUID, Case] = Table("cases", Case, ("id",))

# Named here, as making a union takes longer than asking it.
_ChangesNoOther = ChangesNoCase | LeavesOthers
_OfCases = OpensCase | OfPayouts

_KINDS: Mapping[type[LedgerEvent], str] = {
    DepositCreated: "deposit",
    WithdrawalRequested: "withdrawal",
    RefundRequested: "refund",
    ConversionQuoted: "conversion",
    DisputeOpened: "dispute",
    AdjustmentRequested: "adjustment",
}


def opened(recorded: Recorded) -> Case:
    """The case of a transaction that begins.

    Raises:
        ValueError: the event begins none.
    """
    event = recorded.event
    if not isinstance(event, OpensCase):
        raise ValueError(f"{event.originator_id} was never created")  # noqa: TRY004
    adjustment = isinstance(event, AdjustmentRequested)
    amount = _amount(event)
    case = Case(
        id=event.originator_id,
        kind=_KINDS[type(event)],
        player_id=event.player_id,
        provider=None if isinstance(event, AdjustmentRequested) else event.provider,
        method=_method(event),
        amount_minor=amount.amount,
        currency=amount.currency,
        requested_by=event.actor.partition(":")[2],
        requested_at=event.occurred_at,
        waiting_as=None,
        waiting_since=None,
        due_at=None,
        stage=None,
        named_in=None,
        reasons=(),
        score=None,
        review_reason=None,
        required=(DECIDING_ROLES,) if adjustment else (),
        approvals=(),
        approval_seconds=0,
        note=None,
        proposed_target=None,
        proposed_by=None,
        payout=requested(event) if isinstance(event, WithdrawalRequested) else None,
        excess=None,
        position=recorded.position,
    )
    match event:
        case AdjustmentRequested():
            asked = replace(case, reasons=(event.reason,))
            return _waiting(asked, AdjustmentStatus.REQUESTED, event, event.grounds)
        case RefundRequested():
            return replace(case, reasons=(event.reason,))
        case DisputeOpened():
            return _contested(case, event)
        case DepositCreated() | WithdrawalRequested() | ConversionQuoted():
            return case
        case _:
            assert_never(event)


def _amount(event: OpensCase) -> Money:
    match event:
        case AdjustmentRequested():
            return event.moves[0].money
        case ConversionQuoted():
            return event.source
        case _:
            return event.amount


def _method(event: OpensCase) -> str:
    match event:
        case AdjustmentRequested():
            return ""
        case ConversionQuoted():
            return "conversion"
        case _:
            return event.method


def changed(row: Case, recorded: Recorded) -> Case:
    """The case after an event other than the first of its transaction."""
    event = recorded.event
    if row.payout is not None:
        told = _of_payout(row, row.payout, event)
    else:
        told = _learned(_of_other(row, event), report_of(event))
    return row if told == row else replace(told, position=recorded.position)


def _of_other(row: Case, event: LedgerEvent) -> Case:
    """Of any transaction but a withdrawal."""
    if isinstance(event, _ChangesNoOther):
        return row
    if isinstance(event, TransactionResolved) and row.kind == "deposit":
        return _concerned(replace(row, review_reason=None), event)
    if isinstance(event, EndsWait):
        seen = isinstance(event, DepositConcernsReviewed)
        return _gone(replace(row, reasons=()) if seen else row)
    if isinstance(event, DisputeOpened):
        return _contested(row, event)
    if isinstance(event, _OfCases) and not isinstance(event, ChangesCase):
        raise ValueError(f"{type(event).__name__} cannot happen to the {row.kind} {row.id}")  # noqa: TRY004
    return _further(row, event)


def _further(row: Case, event: ChangesCase) -> Case:
    match event:
        case DepositCompleted(concerns=concerns):
            return _concerned(replace(row, reasons=(*concerns, *row.reasons)), event)
        case DepositExcessTracked(excess=excess):
            exceeded = _exceeded(row, excess)
            reviewed = row.waiting_as == DepositStatus.REVIEW
            return exceeded if reviewed else _concerned(exceeded, event)
        case RefundApprovalAwaited(required=required):
            return _waiting(replace(row, required=required), RefundStatus.PENDING_APPROVAL, event)
        case DisputeEvidenceDue(due_at=due_at):
            due = replace(row, due_at=max(filter(None, (row.due_at, due_at)), default=None))
            return _waiting(due, DisputeStatus.EVIDENCE_DUE, event)
        case DisputeFundsWithdrawn() | DisputeFundsReinstated() | DisputeNewsNoted():
            return row
        case ReviewOpened(reason=reason):
            in_review = replace(row, review_reason=reason.value)
            return _waiting(in_review, DepositStatus.REVIEW, event)
        case ResolutionProposed():
            return replace(row, proposed_target=event.target, proposed_by=event.person)
        case _:
            assert_never(event)


def _exceeded(row: Case, excess: Money) -> Case:
    """Whoever has looked at an excess has to look again when it grows."""
    code, known_minor = Reason.MORE_OUT_THAN_IN.value, row.excess.amount if row.excess else 0
    others = tuple(reason for reason in row.reasons if reason != code)
    waits = excess.amount > known_minor or (excess.amount and code in row.reasons)
    reasons = (*others, code) if waits else others
    return replace(row, reasons=reasons, excess=excess if excess.amount else None)


def _concerned(row: Case, event: LedgerEvent) -> Case:
    """A deposit that is in no review waits while there are concerns to look at."""
    if not row.reasons:
        return _gone(row)
    exceeds = Reason.MORE_OUT_THAN_IN in row.reasons
    status = Reason.MORE_OUT_THAN_IN if exceeds else DepositStatus.COMPLETED
    return row if row.waiting_as == status else _waiting(row, status, event)


_WAITING = (W.UNDER_REVIEW, W.INFO_REQUIRED, W.HELD, W.REVIEW)


def _of_payout(row: Case, payout: Payout, event: LedgerEvent) -> Case:
    """Of a withdrawal: it waits, or not, as its legs and the decision about them say."""
    if isinstance(event, ChangesNoCase):
        return row
    if not isinstance(event, OfPayouts):
        raise TypeError(f"{row.id} is a withdrawal: no {type(event).__name__} can happen to it")
    paid = after(payout, event)
    row = replace(_told(row, event), payout=paid)
    if paid.decision is W.REQUESTED:  # it will be screened again
        row = replace(row, reasons=(), required=())
    status = paid.status
    if status not in _WAITING:
        return _gone(row)
    row = replace(row, review_reason=paid.reason if status is W.REVIEW else None)
    asked_again = isinstance(event, WithdrawalScreened)
    if status != row.waiting_as or asked_again:
        row = _waiting(row, status, event, getattr(event, "note", None))
    proposed = paid.proposed
    return replace(
        row,
        proposed_target=proposed.target if proposed else None,
        proposed_by=proposed.person if proposed else None,
    )


def _told(row: Case, event: OfPayouts) -> Case:
    """What the event says, whether or not the withdrawal waits."""
    match event:
        case WithdrawalScreened(required=required, approval_seconds=seconds):
            screened = replace(row, required=required, approval_seconds=seconds)
            return replace(screened, reasons=_why(event), score=event.score)
        case WithdrawalAmended(amount=amount):  # and with it, what was agreed to
            return replace(row, amount_minor=amount.amount, approvals=())
        case WithdrawalScored(score=score):
            return replace(row, approvals=(), score=score)
        case WithdrawalApprovalGiven() | WithdrawalApproved():
            return _agreed(row, event) if event.person else row
        case WithdrawalRecalled(reason=reason):
            required = row.required or (ANYBODY,)
            return replace(row, reasons=(*row.reasons, reason), required=required, approvals=())
        case _:
            return row


def _why(event: WithdrawalScreened) -> tuple[str, ...]:
    """What the policy found, and the indicators behind it."""
    indicators = (*(hit.indicator for hit in event.hits), *event.high)
    return tuple(dict.fromkeys((*event.reasons, *indicators)))


def _contested(row: Case, event: DisputeOpened) -> Case:
    """A dispute at its first or next stage."""
    reasons = (event.reason_code,) if event.reason_code else row.reasons
    case = replace(row, stage=event.stage.value, reasons=reasons, due_at=None)
    return _learned(_waiting(case, DisputeStatus.OPENED, event), event.report)


def _learned(row: Case, report: DisputeReport | None) -> Case:
    """What a report about a dispute says by the way."""
    if report is None:
        return row
    known = contested(Contested(row.amount_minor, row.named_in), row.currency, report)
    row = replace(row, amount_minor=known.amount_minor, named_in=known.named_in)
    if report.stage != row.stage:
        return row
    due_at = row.due_at
    if row.waiting_as is not None and report.evidence_due_at is not None:
        due_at = max(filter(None, (due_at, report.evidence_due_at)))
    reasons = row.reasons or ((report.reason_code,) if report.reason_code else ())
    return replace(row, due_at=due_at, reasons=reasons)


def _waiting(row: Case, status: str, event: LedgerEvent, note: str | None = None) -> Case:
    return replace(
        row,
        waiting_as=str(status),
        waiting_since=event.occurred_at,
        note=note,
        proposed_target=None,
        proposed_by=None,
    )


def _gone(row: Case) -> Case:
    return replace(
        row,
        waiting_as=None,
        waiting_since=None,
        due_at=None,
        review_reason=None,
        note=None,
        proposed_target=None,
        proposed_by=None,
    )


def _agreed(row: Case, event: WithdrawalApprovalGiven | WithdrawalApproved) -> Case:
    """Once per person: who agrees again does so on what has changed since."""
    others = tuple(one for one in row.approvals if one.person != event.person)
    agreed = Agreed(event.person, event.role, event.occurred_at)
    return replace(row, approvals=(*others, agreed))
