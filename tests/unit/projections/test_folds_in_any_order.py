"""Read models in every order of events the domain allows: none stops, and nothing is forgotten.

Every decision is taken in every state there is, as for the tables of docs/events.md, and the read
models are folded along the way.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from domain.adjustment.state import Adjustment
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.events import LedgerEvent
from domain.transactions import Transaction, evolve_transaction, kind_of
from domain.withdrawal.state import Withdrawal
from projections.engine.read_model import Recorded, Rows
from projections.history.fold import TRANSACTIONS
from projections.history.history import HISTORY
from projections.outstanding.fold import OUTSTANDING
from projections.outstanding.outstanding import TASKS
from projections.queue.fold import CASES
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE
from projections.registry import READ_MODELS
from tallystick.reference.arrows import MACHINES
from tallystick.reference.arrows.exploring import Decision, Machine, made_by
from tallystick.reference.arrows.samples import STREAM

WAITS_FOR_PEOPLE = {"review", "under_review", "info_required", "held", "pending_approval"}
ENDS = {
    "deposit": {
        *("blocked", "cancelled", "completed", "failed", "expired", "voided"),
        *("partially_refunded", "refunded"),
    },
    "refund": {"succeeded", "failed", "rejected", "cancelled", "reversed"},
    "conversion": {"executed", "expired", "failed", "rejected"},
    "dispute": {"lost", "won", "withdrawn", "expired"},
    "adjustment": {"approved", "rejected"},
}
OTHERS_MOVE = {"dispute": {"under_review", "accepted"}}
"""The provider knows our answer, or is about to be told; what follows is for it to say."""


@dataclass(frozen=True)
class Place:
    """A transaction, its events, the statuses of its last step, and what read models have of it."""

    state: Transaction
    path: tuple[str, ...]
    statuses: frozenset[str]
    rows: tuple[Rows, ...]

    def of(self, model: object) -> Rows:
        return self.rows[READ_MODELS.index(cast("Any", model))]


def after(place: Place | None, events: Sequence[LedgerEvent]) -> Place:
    state = place.state if place else None
    path = list(place.path) if place else []
    statuses = set()
    rows = (
        tuple(kept.copy() for kept in place.rows) if place else tuple(Rows() for _ in READ_MODELS)
    )
    for event in events:
        state = evolve_transaction(state, event)
        assert state is not None
        path.append(type(event).__name__)
        statuses.add(state.status)
        recorded = Recorded(position=len(path), recorded_at=event.occurred_at, event=event)
        for model, kept in zip(READ_MODELS, rows, strict=True):
            try:
                model.apply(kept, recorded)
            except Exception as error:  # noqa: BLE001 -- whatever it is, it stops the model
                pytest.fail(f"{model.name} stops after {' → '.join(path)}: {error!r}")
    assert state is not None
    # No command is a repeat here, whichever id it has.
    return Place(replace(cast("Any", state), commands={}), tuple(path), frozenset(statuses), rows)


def waits_for_people(state: Transaction) -> bool:
    if isinstance(state, Adjustment):
        return state.status == "requested"
    if isinstance(state, Dispute):
        return state.status.waits_for_us
    return state.status in WAITS_FOR_PEOPLE


def waits_as(state: Transaction) -> str | None:
    """Concerns wait until somebody has looked at them, but for a review, which goes first."""
    if isinstance(state, Deposit) and state.unreviewed and state.status != "review":
        exceeds = "more_out_than_in" in state.unreviewed
        return "more_out_than_in" if exceeds else "completed"
    return str(state.status) if waits_for_people(state) else None


def check(place: Place) -> None:
    state, way = place.state, " → ".join(place.path)
    row = place.of(HISTORY)[TRANSACTIONS][STREAM]
    assert (row.status, row.version) == (state.status, state.version), way
    assert row.reason == getattr(state, "reason", row.reason), way
    case = place.of(WITHDRAWAL_QUEUE)[CASES][STREAM]
    assert case.waiting_as == waits_as(state), way
    if case.waiting_as == "review":
        proposal = getattr(state, "proposal", None)
        assert case.proposed_by == (proposal.person if proposal else None), way
    tasks = place.of(OUTSTANDING)[TASKS].values()
    kind = kind_of(state)
    ended = not state.reserved if isinstance(state, Withdrawal) else state.status in ENDS[kind]
    if ended:
        assert not tasks, f"work is left for ever: {way}"
    elif state.status not in OTHERS_MOVE.get(kind, ()):
        is_due = any(task.due_at is not None for task in tasks)
        assert is_due or case.waiting_as, f"nobody goes on with it: {way}"


@pytest.mark.parametrize("machine", MACHINES.values(), ids=[kind.__name__ for kind in MACHINES])
def test_no_order_of_events_stops_a_read_model_or_is_forgotten_by_it(machine: Machine[Any]) -> None:
    seen: set[object] = set()
    reached: set[str] = set()
    waiting: deque[Place] = deque()

    def take(before: Place | None, decision: Decision) -> None:
        events = [event for event in made_by(decision) if event.originator_id == STREAM]
        if not events:
            return
        place = after(before, events)
        check(place)
        reached.update(place.statuses)
        essence = machine.essence(cast("Any", place.state))
        if essence not in seen:
            seen.add(essence)
            waiting.append(place)

    for decision in machine.first():
        take(None, decision)
    while waiting:
        place = waiting.popleft()
        for decision in machine.following(cast("Any", place.state)):
            take(place, decision)
    assert reached == set(machine.statuses)
