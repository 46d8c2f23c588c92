"""Given a deposit and its refund, when somebody decides, then these events on both streams.

A refund's decisions are told the deposit, and may append to its stream as well.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.counters import counts
from domain.deposit.state import Deposit, fold_deposit
from domain.errors import DomainError, Reason
from domain.events import DepositDisputeTracked, Event, LedgerEvent
from domain.events.evidence import Evidence, Standing
from domain.money import Money
from domain.postings import postings
from domain.refund.decisions import (
    Refund,
    RefundStatus,
    approve_refund,
    cancel_refund,
    fold_refund,
    reject_refund,
    request_refund,
    submit_refund,
)
from domain.refund.reports import hear_refund, resolve_refund
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    OTHER_AMOUNT,
    REFUND,
    TRANSACTION,
    Given,
    as_events,
    by,
    command,
    deposit_in,
    heard,
    provider,
)

REQUIRED = (("finance", "fraud"),)
DISPUTE = UUID("00000000-0000-4000-8000-000000000004")

RefundDecision = Callable[..., LedgerEvent | Sequence[LedgerEvent] | None]


@dataclass(frozen=True)
class GivenRefund:
    """What has happened so far to the deposit and to one refund of it, in order."""

    history: tuple[LedgerEvent, ...]
    refund_id: UUID = REFUND

    @property
    def deposit(self) -> Deposit:
        state = fold_deposit(None, self._of(TRANSACTION))
        assert state is not None
        return state

    @property
    def refund(self) -> Refund:
        state = fold_refund(None, self._of(self.refund_id))
        assert state is not None
        return state

    def _of(self, stream: UUID) -> list[LedgerEvent]:
        return [event for event in self.history if event.originator_id == stream]

    def when(self, decision: RefundDecision, *args: object, **kwargs: object) -> "DecidedRefund":
        """Let `decision` decide on the refund, knowing its deposit."""
        try:
            made = decision(self.refund, *args, deposit=self.deposit, **kwargs)
        except DomainError as error:
            return DecidedRefund(self, (), error)
        return DecidedRefund(self, as_events(made), None)

    def go_on(self, decision: RefundDecision, *args: object, **kwargs: object) -> "GivenRefund":
        decided = self.when(decision, *args, **kwargs)
        assert decided.events, repr(decided.error)
        return decided.after

    def and_refund(self, refund_id: UUID) -> "GivenRefund":
        """The same history, with another of the deposit's refunds to decide about."""
        return GivenRefund(self.history, refund_id)


@dataclass(frozen=True)
class DecidedRefund:
    """What came of it."""

    given: GivenRefund
    events: tuple[LedgerEvent, ...]
    error: DomainError | None

    @property
    def after(self) -> GivenRefund:
        """The history with whatever was decided."""
        assert self.error is None, repr(self.error)
        return GivenRefund(self.given.history + self.events, self.given.refund_id)

    def then(self, *kinds: type[Event], **fields: object) -> GivenRefund:
        """Exactly these events, the refund's last with these fields; gives the history."""
        after = self.after
        assert tuple(type(event) for event in self.events) == kinds
        of_refund = [e for e in self.events if e.originator_id == self.given.refund_id]
        actual = {name: getattr(of_refund[-1], name) for name in fields} if of_refund else {}
        assert actual == fields
        for stream in {event.originator_id for event in after.history}:
            versions = [
                event.originator_version for event in after.history if event.originator_id == stream
            ]
            assert versions == list(range(1, len(versions) + 1))
        return after

    def then_nothing(self) -> GivenRefund:
        return self.then()

    def then_refused(self, kind: type[DomainError]) -> None:
        assert self.error is not None, f"not refused: {self.events}"
        assert type(self.error) is kind


def balances(events: Sequence[LedgerEvent]) -> dict[str, int]:
    """Minor units by account, of whatever is not 0."""
    total: Counter[str] = Counter()
    for event in events:
        for posting in postings(event):
            total[posting.account] += posting.amount_minor
    return {account: minor for account, minor in total.items() if minor}


def counted(events: Sequence[LedgerEvent]) -> dict[str, int]:
    """By counter, of whatever is not 0."""
    total: Counter[str] = Counter()
    for event in events:
        for count in counts(event):
            total[count.counter] += count.change
    return {counter: value for counter, value in total.items() if value}


# --- decisions, as the tests make them ----------------------------------------------------------


def hear_of_refund(
    state: Refund, evidence: Evidence, *, now: datetime = NOW, **kwargs: object
) -> object:
    """`hear_refund` by the system, with the usual provider."""
    kwargs.setdefault("provider", provider())
    return hear_refund(state, command("provider:acme", now=now), evidence, **kwargs)


def approve(state: Refund, person: str = "ben", *, deposit: Deposit, role: str = "fraud") -> object:
    del deposit
    return approve_refund(state, by(person, role=role), note="fine")


def reject(state: Refund, *, deposit: Deposit) -> object:
    return reject_refund(state, by("ben"), deposit=deposit, note="no")


def cancel(state: Refund, *, deposit: Deposit) -> object:
    return cancel_refund(state, by("ann"), deposit=deposit, reason="x")


def submit(state: Refund, *, deposit: Deposit, paused: bool = False) -> object:
    return submit_refund(state, command(), deposit=deposit, provider=provider(paused=paused))


def resolve(state: Refund, person: str, target: str, *, deposit: Deposit) -> object:
    return resolve_refund(state, by(person), deposit=deposit, target=target, note="ticket 4711")


def heard_back(
    outcome: str, source: str = "notice", *, transaction: UUID = REFUND, **kwargs: object
) -> Evidence:
    """What a provider says about the refund."""
    return heard(outcome, source, transaction=transaction, **kwargs)


# --- histories ----------------------------------------------------------------------------------


def refund_requested(
    amount: Money | None = AMOUNT,
    *,
    of: Given | GivenRefund | None = None,
    refund_id: UUID = REFUND,
    refusal: Reason | None = None,
) -> GivenRefund:
    """Ann asks for the refund."""
    history = (of or deposit_in("completed")).history
    deposit = GivenRefund(history).deposit
    made = request_refund(
        refund_id,
        by("ann"),
        deposit=deposit,
        amount=amount,
        reason="sent twice",
        metadata={},
        required=REQUIRED,
        refusal=refusal,
    )
    return GivenRefund((*history, *made), refund_id)


def refund_sent(
    amount: Money | None = AMOUNT,
    *,
    of: Given | GivenRefund | None = None,
    refund_id: UUID = REFUND,
) -> GivenRefund:
    requested = refund_requested(amount, of=of, refund_id=refund_id)
    return requested.go_on(approve).go_on(submit)


def disputed(history: GivenRefund, standing: str, amount: Money = AMOUNT) -> GivenRefund:
    """A dispute about the deposit stands like this from now on."""
    event = DepositDisputeTracked(
        **command().header(TRANSACTION, history.deposit.version + 1),
        dispute_id=DISPUTE,
        amount=amount,
        standing=Standing(standing),
    )
    return GivenRefund((*history.history, event), history.refund_id)


def judged(history: GivenRefund, target: str) -> GivenRefund:
    """A refund in review, ended by two people."""
    return history.go_on(resolve, "ann", target).go_on(resolve, "ben", target)


def refund_in(status: RefundStatus | str, amount: Money = AMOUNT) -> GivenRefund:
    """A history that ends in `status`, made by the real decisions."""
    status = RefundStatus(status)
    history = _refund_in(status, amount)
    assert history.refund.status is status
    return history


def _refund_in(status: RefundStatus, amount: Money) -> GivenRefund:
    requested = refund_requested(amount)
    match status:
        case RefundStatus.REQUESTED:
            return GivenRefund(requested.history[:-2])  # requested and awaited together
        case RefundStatus.PENDING_APPROVAL:
            return requested
        case RefundStatus.APPROVED:
            return requested.go_on(approve)
        case RefundStatus.REJECTED:
            return requested.go_on(reject)
        case RefundStatus.CANCELLED:
            return requested.go_on(cancel)
        case _:
            history = refund_sent(amount)
    reports: dict[RefundStatus, list[Evidence]] = {
        RefundStatus.SUBMITTED: [],
        RefundStatus.PENDING: [heard_back("accepted", "answer")],
        RefundStatus.UNKNOWN: [heard_back("unknown", "answer")],
        RefundStatus.SUCCEEDED: [heard_back("succeeded")],
        RefundStatus.FAILED: [heard_back("declined")],
        RefundStatus.REVERSED: [heard_back("succeeded"), heard_back("returned")],
        RefundStatus.REVIEW: [heard_back("succeeded", amount=OTHER_AMOUNT)],
    }
    for evidence in reports[status]:
        history = history.go_on(hear_of_refund, evidence)
    return history
