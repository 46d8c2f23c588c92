"""Disputes and adjustments: a history for every status, made by the real decisions.

A dispute is decided together with the deposit it is about, so a case holds both streams.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from domain.accounts import adjustments, available
from domain.adjustment.decisions import (
    AdjustmentReason,
    approve_adjustment,
    reject_adjustment,
    request_adjustment,
)
from domain.adjustment.state import AdjustmentStatus
from domain.command import Command
from domain.counters import counts
from domain.deposit.state import Deposit, fold_deposit
from domain.dispute.decisions import (
    Dispute,
    DisputeStatus,
    accept_dispute,
    dispute_stream,
    fold_dispute,
    submit_evidence,
)
from domain.dispute.reports import hear_dispute
from domain.errors import DomainError
from domain.events import (
    DepositCompleted,
    DepositCreated,
    Event,
    LedgerEvent,
    Move,
    TransactionSubmitted,
)
from domain.events.evidence import (
    DisputeNews,
    DisputeReport,
    DisputeStage,
    Evidence,
    Outcome,
    Source,
)
from domain.money import Money
from domain.postings import postings
from domain.provider.attempt import reference
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    PLAYER_ID,
    PROVIDER_NAME,
    TRANSACTION,
    Given,
    as_events,
    command,
)

DISPUTE_REFERENCE = "dp-1"
DISPUTE = dispute_stream(PROVIDER_NAME, DISPUTE_REFERENCE)
ADJUSTMENT = UUID("00000000-0000-4000-8000-000000000003")
DUE_AT = NOW + timedelta(days=7)

Made = LedgerEvent | Sequence[LedgerEvent] | None


def in_role(person: str, role: str) -> Command:
    """A command of an operator's who acts in a role."""
    return Command(
        now=NOW,
        actor=f"operator:{person}",
        command_id=uuid4(),
        request_digest="digest",
        role=role,
    )


# --- disputes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A deposit and what has been heard of its dispute, as recorded."""

    log: tuple[LedgerEvent, ...]
    """Of both streams, in the order of the appends."""

    @property
    def history(self) -> tuple[LedgerEvent, ...]:
        """The dispute's own stream."""
        return tuple(event for event in self.log if event.originator_id == DISPUTE)

    @property
    def dispute(self) -> Dispute | None:
        return fold_dispute(None, self.history)

    @property
    def state(self) -> Dispute:
        state = self.dispute
        assert state is not None, "there is no dispute yet"
        return state

    @property
    def deposit(self) -> Deposit:
        own = (event for event in self.log if event.originator_id == TRANSACTION)
        deposit = fold_deposit(None, own)
        assert deposit is not None
        return deposit

    def when(self, decision: Callable[["Case"], Made]) -> "CaseDecided":
        try:
            made = decision(self)
        except DomainError as error:
            return CaseDecided(self, (), error)
        return CaseDecided(self, as_events(made), None)

    def heard(self, *reports: DisputeReport) -> "Case":
        """The provider is heard, one report after the other."""
        case = self
        for report in reports:
            case = case.when(hearing(report)).case
        return case

    def and_then(self, decision: Callable[["Case"], Made]) -> "Case":
        """Something that is decided, and not refused."""
        decided = self.when(decision)
        assert decided.error is None, repr(decided.error)
        assert decided.events
        return decided.case


@dataclass(frozen=True)
class CaseDecided:
    """What came of a decision."""

    before: Case
    events: tuple[LedgerEvent, ...]
    error: DomainError | None

    @property
    def case(self) -> Case:
        """The case with whatever was decided, each stream's versions without a gap."""
        case = Case(self.before.log + self.events)
        for stream in (TRANSACTION, DISPUTE):
            versions = [e.originator_version for e in case.log if e.originator_id == stream]
            assert versions == list(range(1, len(versions) + 1))
        return case

    def then(self, *kinds: type[Event], **fields: object) -> Case:
        """Exactly these events, the first with these fields."""
        if self.error is not None:
            raise AssertionError(f"refused: {self.error!r}") from self.error
        assert tuple(type(event) for event in self.events) == kinds
        actual = {name: getattr(self.events[0], name) for name in fields} if kinds else {}
        assert actual == fields
        return self.case

    def then_nothing(self) -> Case:
        return self.then()

    def then_refused(self, kind: type[DomainError]) -> None:
        assert self.error is not None, f"not refused: {self.events}"
        assert type(self.error) is kind


def hearing(report: DisputeReport) -> Callable[[Case], Made]:
    return lambda case: hear_dispute(
        case.dispute,
        command(f"provider:{PROVIDER_NAME}"),
        report,
        dispute_id=DISPUTE,
        deposit=case.deposit,
    )


def told(
    news: DisputeNews | str,
    stage: DisputeStage | str = DisputeStage.CHARGEBACK,
    *,
    amount: Money | None = None,
    due_at: datetime | None = None,
    reason_code: str | None = None,
    notice_id: UUID | None = None,
) -> DisputeReport:
    """What a provider says about a dispute; each is a new message unless it is named."""
    return DisputeReport(
        source=Source.NOTICE,
        news=DisputeNews(news),
        stage=DisputeStage(stage),
        reference=reference(TRANSACTION, 1),
        dispute_reference=DISPUTE_REFERENCE,
        amount=amount,
        reason_code=reason_code,
        evidence_due_at=due_at,
        notice_id=notice_id or uuid4(),
    )


def undisputed(amount: Money = AMOUNT, *, instrument: str | None = "card-1") -> Case:
    """A completed deposit that nobody contests yet."""
    evidence = Evidence(
        source=Source.NOTICE, outcome=Outcome.SUCCEEDED, reference=reference(TRANSACTION, 1)
    )
    return Case(
        (
            DepositCreated(
                **command("player:p1").header(TRANSACTION, 1),
                request_digest="digest",
                player_id=PLAYER_ID,
                provider=PROVIDER_NAME,
                method="redirect",
                amount=amount,
                instrument=instrument,
                metadata={},
                origin=None,
                counts=(),
            ),
            TransactionSubmitted(
                **command().header(TRANSACTION, 2),
                reference=reference(TRANSACTION, 1),
                attempt=1,
                provider=PROVIDER_NAME,
                poll_at=NOW,
            ),
            DepositCompleted(
                **command().header(TRANSACTION, 3),
                player_id=PLAYER_ID,
                provider=PROVIDER_NAME,
                instrument=instrument,
                settled=amount,
                fee=None,
                late=False,
                concerns=(),
                counts=(),
                evidence=evidence,
            ),
        )
    )


def contest(
    case: Case, *, note: str = "the player was paid out", by: Command | None = None
) -> Made:
    return submit_evidence(
        case.state, by or in_role("ann", "fraud"), note=note, documents=("doc-1",)
    )


def give_in(case: Case, *, note: str = "fraud", by: Command | None = None) -> Made:
    return accept_dispute(
        case.state, by or in_role("ann", "fraud"), deposit=case.deposit, note=note
    )


def dispute_in(status: DisputeStatus | str) -> Case:
    """A case whose dispute is in `status`, at the stage of a chargeback."""
    status = DisputeStatus(status)
    opened = undisputed().heard(told("opened", amount=AMOUNT, due_at=DUE_AT))
    match status:
        case DisputeStatus.OPENED:
            case = opened
        case DisputeStatus.SUBMITTED:
            case = opened.and_then(contest)
        case DisputeStatus.ACCEPTED:
            case = opened.and_then(give_in)
        case DisputeStatus.EVIDENCE_DUE:
            case = opened.heard(told("evidence_due", due_at=DUE_AT))
        case _:
            case = opened.heard(told(status.value))
    assert case.state.status is status
    return case


def totals(log: Iterable[LedgerEvent]) -> dict[str, int]:
    """What all of it changed, by account and counter; without what changed by nothing."""
    changed: Counter[str] = Counter()
    for event in log:
        for posting in postings(event):
            changed[posting.account] += posting.amount_minor
        for count in counts(event):
            changed[count.counter] += count.change
    return {name: change for name, change in changed.items() if change}


# --- adjustments --------------------------------------------------------------------------------

GOODWILL = Move(source=adjustments("EUR"), target=available(PLAYER_ID, "EUR"), money=AMOUNT)


def adjustment_requested(
    *moves: Move, by: Command | None = None, player_id: UUID | None = PLAYER_ID
) -> Given:
    return Given(
        (
            request_adjustment(
                ADJUSTMENT,
                by or in_role("ann", "support"),
                player_id=player_id,
                moves=moves or (GOODWILL,),
                reason=AdjustmentReason.GOODWILL,
                grounds="ticket 4711",
                transaction_id=TRANSACTION,
                metadata={"campaign": "spring"},
            ),
        )
    )


def adjustment_in(status: AdjustmentStatus | str) -> Given:
    """A history that ends in `status`."""
    requested = adjustment_requested()
    match AdjustmentStatus(status):
        case AdjustmentStatus.REQUESTED:
            return requested
        case AdjustmentStatus.APPROVED:
            decided = requested.when(approve_adjustment, in_role("ben", "compliance"), note="fine")
        case AdjustmentStatus.REJECTED:
            decided = requested.when(reject_adjustment, in_role("ben", "compliance"), note="no")
    assert decided.error is None, repr(decided.error)
    return Given(decided.history + decided.events)
