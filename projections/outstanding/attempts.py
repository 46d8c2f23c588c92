"""Outstanding work for attempts under way, and for the legs of payouts."""

from typing import assert_never
from uuid import UUID

from msgspec.structs import replace

from domain.events import (
    TransactionFailed,
    TransactionPending,
    TransactionSubmitted,
    TransactionUnknown,
    WithdrawalProcessing,
    WithdrawalQueued,
)
from domain.withdrawal.legs import LegStatus
from domain.withdrawal.status import WithdrawalStatus
from projections.engine.read_model import Recorded
from projections.outstanding.events import AtProvider, OfPayouts, UnderWay
from projections.outstanding.outstanding import Kind, Task
from projections.payouts import Leg, Payout, after, leg_about

Tasks = dict[str, Task]
"""Of any stream, by `work`."""


def put(tasks: Tasks, work: str, task: Task | None) -> None:
    """Make this the task; None: there is none."""
    if task is not None:
        tasks[work] = task
    else:
        tasks.pop(work, None)


def at_provider(
    task: Task,
    recorded: Recorded,
    event: UnderWay,
) -> Task | None:
    """The task of what is under way; as it is where the event leaves the schedule alone."""
    kind, attempt = Kind.POLL, task.attempt
    match event:
        case TransactionPending(poll_at=None) | WithdrawalProcessing(poll_at=None):
            return task
        case TransactionFailed(retry_at=None):
            return None
        case TransactionFailed(retry_at=due_at):
            kind = Kind.RETRY
        case TransactionSubmitted(poll_at=due_at, attempt=attempt):
            pass
        case (
            TransactionUnknown(poll_at=due_at)
            | TransactionPending(poll_at=due_at)
            | WithdrawalProcessing(poll_at=due_at)
        ):
            pass
        case _:
            assert_never(event)
    return replace(
        task, kind=kind.value, due_at=due_at, attempt=attempt, position=recorded.position
    )


# --- a payout, with a task per leg --------------------------------------------------------------

_OfAnyPayout = OfPayouts | AtProvider
"""Named here, as making a union takes longer than asking it."""

_UNDER_WAY = (LegStatus.QUEUED, LegStatus.SUBMITTED, LegStatus.PROCESSING, LegStatus.UNKNOWN)


def change_payout(tasks: Tasks, own: Task, payout: Payout, recorded: Recorded) -> None:
    """Change the payout's own row, and that of the leg that the event is about."""
    event = recorded.event
    if not isinstance(event, _OfAnyPayout):
        raise TypeError(f"{own.stream} is a payout: no {type(event).__name__} can happen to it")
    changed = after(payout, event)
    if isinstance(event, WithdrawalQueued):
        tasks[of_leg(own.stream, event.leg)] = _queued(own, recorded, event)
    elif isinstance(event, UnderWay):
        work = of_leg(own.stream, leg_about(payout.legs, event).leg)
        if work not in tasks:
            raise ValueError(f"{work} was not under way before {type(event).__name__}")
        put(tasks, work, at_provider(tasks[work], recorded, event))
    for leg in changed.legs:
        if leg.status not in _UNDER_WAY and not _waits_for_retry(leg):
            tasks.pop(of_leg(own.stream, leg.leg), None)
    put(tasks, own.work, _own(own, changed, recorded) if changed.reserved else None)


def of_leg(stream: UUID, leg: int) -> str:
    """The name of a leg's task."""
    return f"{stream}/{leg}"


def _waits_for_retry(leg: Leg) -> bool:
    return leg.status is LegStatus.FAILED and leg.reserved


def _queued(own: Task, recorded: Recorded, event: WithdrawalQueued) -> Task:
    """A leg's attempt waits to be sent."""
    return Task(
        work=of_leg(own.stream, event.leg),
        kind=Kind.SUBMIT.value,
        stream=own.stream,
        transaction_id=own.transaction_id,
        leg=event.leg,
        attempt=event.attempt,
        provider=event.provider,
        due_at=event.occurred_at,
        payout=None,
        contest=None,
        position=recorded.position,
    )


def _own(own: Task, payout: Payout, recorded: Recorded) -> Task:
    """Whatever has changed since, who has to agree is found out again."""
    to_screen = payout.status is WithdrawalStatus.REQUESTED
    kind = Kind.SCREEN.value if to_screen else Kind.WAIT.value
    if kind == own.kind:
        return replace(own, payout=payout)
    due_at = recorded.event.occurred_at if to_screen else None
    return replace(own, kind=kind, due_at=due_at, payout=payout, position=recorded.position)
