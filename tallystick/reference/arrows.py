"""Which states an event leads to: every decision of the domain, taken in every state there is.

Nothing is listed by hand. An event that nothing leads to is an error.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import product
from typing import TypeVar, cast
from uuid import UUID

from domain import commands, events, provider
from domain import player as players
from domain.approvals import DEFAULT_POLICY
from domain.attempts import reference
from domain.deposit import Deposit, DepositStatus, cancel_deposit, create_deposit, submit_deposit
from domain.deposit_reports import DEPOSIT_TARGETS, hear_deposit, resolve_deposit
from domain.errors import DomainError, Reason
from domain.events import LedgerEvent
from domain.money import Money
from domain.outcomes import DeclineCode, Evidence, Outcome, Source
from domain.transactions import Transaction, evolve_transaction
from domain.withdrawal import Withdrawal, WithdrawalStatus
from domain.withdrawal_decisions import (
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    request_withdrawal,
    retry_withdrawal,
    screen_withdrawal,
    submit_withdrawal,
)
from domain.withdrawal_reports import WITHDRAWAL_TARGETS, hear_withdrawal, resolve_withdrawal


@dataclass(frozen=True, slots=True)
class Arrow:
    """An event that can happen to a transaction, and its status before and after."""

    event: str
    before: str
    """"" where the event begins the transaction."""
    after: str


Decision = Callable[[], LedgerEvent | Sequence[LedgerEvent] | None]
T = TypeVar("T", Deposit, Withdrawal)

_ID, SAMPLE_ID = UUID(int=1), UUID(int=2)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TIME_IS_UP = _NOW + timedelta(days=365)
_PEOPLE = ("ann", "ben")
_AMOUNTS_MINOR = (10_000, 100_000, 1_000_000)
"""One in each tier of the approval policy."""


def _command(actor: str = "system:reference", now: datetime = _NOW) -> commands.Command:
    return commands.Command(now=now, actor=actor, command_id=UUID(int=3), request_digest="")


_PROVIDER = provider.evolve_provider(
    None,
    provider.register_provider(
        "provider", _command(), adapter="simulator", poll_delays_seconds=(10, 10)
    ),
)
_PROVIDERS = (_PROVIDER, replace(_PROVIDER, paused=True))
_PLAYER = players.evolve_player(
    None,
    players.register_player(SAMPLE_ID, _command(), verification=players.Verification.FULL),
)
_PLAYERS = (_PLAYER, replace(_PLAYER, on_hold=True))


def arrows(kind: type[Transaction]) -> tuple[Arrow, ...]:
    """Everything that can happen to a deposit or to a withdrawal, in the order of the events."""
    return _arrows_of_deposits() if kind is Deposit else _arrows_of_withdrawals()


@cache
def _arrows_of_deposits() -> tuple[Arrow, ...]:
    found = _explored(_first_of_deposits(), _next_of_deposit, Deposit)
    return _in_order(found, list(DepositStatus))


@cache
def _arrows_of_withdrawals() -> tuple[Arrow, ...]:
    found = _explored(_first_of_withdrawals(), _next_of_withdrawal, Withdrawal)
    return _in_order(found, list(WithdrawalStatus))


def _in_order(found: Iterable[Arrow], statuses: Sequence[str]) -> tuple[Arrow, ...]:
    types = [cls.__name__ for cls in events.EVENT_TYPES]
    places = {status: place for place, status in enumerate(["", *statuses])}
    return tuple(
        sorted(found, key=lambda a: (types.index(a.event), places[a.before], places[a.after]))
    )


def _explored(
    first: Iterable[Decision], next_: Callable[[T], Iterator[Decision]], kind: type[T]
) -> set[Arrow]:
    """Take every decision in every state, until no state is new."""
    found: set[Arrow] = set()
    seen: set[object] = set()
    waiting: deque[T] = deque()

    def take(state: Transaction | None, decision: Decision) -> None:
        for event in _made_by(decision):
            before, state = state, evolve_transaction(state, event)
            assert isinstance(state, kind)  # noqa: S101 - for the type checker
            found.add(Arrow(type(event).__name__, before.status if before else "", state.status))
        if isinstance(state, kind) and _essence(state) not in seen:
            seen.add(_essence(state))
            # No command is a repeat here, whichever id it has.
            waiting.append(replace(state, commands={}))

    for decision in first:
        take(None, decision)
    while waiting:
        state = waiting.popleft()
        for decision in next_(state):
            take(state, decision)
    return found


def _made_by(decision: Decision) -> Sequence[LedgerEvent]:
    """The events of a decision; none where it refuses."""
    try:
        made = decision()
    except DomainError:
        return ()
    if made is None:
        return ()
    return made if isinstance(made, Sequence) else (made,)


def _essence(state: Transaction) -> object:
    """What decisions look at, without what grows for ever: times, versions, ids.

    A finer one finds the same arrows and takes minutes.
    """
    common = (
        state.status,
        state.polls > 0,
        state.status == "review" and state.reason,
        state.resolved,
        state.proposal and state.proposal.target,
        state.reference,
    )
    if isinstance(state, Deposit):
        return (*common, state.credited is None, state.expires_at is None)
    return (
        *common,
        *(state.attempt, state.reserved, state.paid, state.at_house_expense),
        state.status == "requested" and state.amount,
        state.status == "under_review" and state.approvals_required - len(state.approvals),
    )


def _reports(state: Transaction) -> Iterator[Evidence]:
    """Everything a provider can say, about this attempt and others, with this amount and others."""
    latest = state.attempt if isinstance(state, Withdrawal) else 1
    attempts = {max(latest - 1, 1), max(latest, 1), latest + 1}
    other = replace(state.amount, amount=state.amount.amount + 1)
    for source, outcome, amount, attempt in product(Source, Outcome, (None, other), attempts):
        said = Evidence(
            source=source, outcome=outcome, reference=reference(_ID, attempt), amount=amount
        )
        yield said
        if outcome is Outcome.DECLINED:
            yield replace(said, decline_code=DeclineCode.PROVIDER_ERROR)


def _first_of_deposits() -> Iterator[Decision]:
    for player, at in product((_PLAYER, replace(_PLAYER, excluded=True)), _PROVIDERS):
        yield partial(
            create_deposit,
            *(_ID, _command()),
            player=player,
            provider=at,
            method="redirect",
            amount=Money(_AMOUNTS_MINOR[0], "EUR"),
            instrument=None,
            metadata={},
        )


def _next_of_deposit(state: Deposit) -> Iterator[Decision]:
    for at in _PROVIDERS:
        yield partial(submit_deposit, state, _command(), provider=at)
    yield partial(cancel_deposit, state, _command(), "reason")
    for person, target in product(_PEOPLE, sorted(DEPOSIT_TARGETS)):
        by = _command(f"operator:{person}")
        yield partial(resolve_deposit, state, by, target=target, note="seen")
    for said, now in product(_reports(state), (_NOW, _TIME_IS_UP)):
        heard = partial(hear_deposit, state, _command(now=now), said, provider=_PROVIDER)
        yield partial(heard, available_minor=state.amount.amount)


def _first_of_withdrawals() -> Iterator[Decision]:
    for amount_minor, refusal in product(_AMOUNTS_MINOR, (None, Reason.INSUFFICIENT_FUNDS)):
        yield partial(
            request_withdrawal,
            *(_ID, _command("operator:platform")),
            player=_PLAYER,
            provider=_PROVIDER,
            method="bank_transfer",
            amount=Money(amount_minor, "EUR"),
            instrument=None,
            metadata={},
            refusal=refusal,
        )


def _next_of_withdrawal(state: Withdrawal) -> Iterator[Decision]:
    noted = (
        *(approve_withdrawal, reject_withdrawal, hold_withdrawal, release_withdrawal),
        *(request_information, provide_information),
    )
    for player in _PLAYERS:
        yield partial(screen_withdrawal, state, _command(), player=player, policy=DEFAULT_POLICY)
        yield partial(submit_withdrawal, state, _command(), player=player, provider=_PROVIDER)
    yield partial(cancel_withdrawal, state, _command(), reason="reason")
    yield partial(retry_withdrawal, state, _command())
    for person in _PEOPLE:
        by = _command(f"operator:{person}")
        for decide in noted:
            yield cast("Decision", partial(decide, state, by, note="seen"))
        for target in sorted(WITHDRAWAL_TARGETS):
            yield partial(resolve_withdrawal, state, by, target=target, note="seen")
    for said in _reports(state):
        yield partial(hear_withdrawal, state, _command(), said, provider=_PROVIDER)


def grouped(kind: type[Transaction]) -> Iterator[tuple[str, str, list[str]]]:
    """Event, status after it, and every status before it; "" before the first event."""
    befores: dict[tuple[str, str], list[str]] = defaultdict(list)
    for arrow in arrows(kind):
        befores[arrow.event, arrow.after].append(arrow.before)
    for (event, after), found in befores.items():
        yield event, after, found
