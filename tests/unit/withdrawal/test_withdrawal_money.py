"""Whatever happens to a withdrawal: its books, its legs and its counters tell the same story."""

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import accounts
from domain.counters import counts, instrument_counter
from domain.errors import DomainError
from domain.events import LedgerEvent
from domain.events.evidence import DeclineCode, Outcome, Source
from domain.money import Money
from domain.player.player import Player
from domain.postings import postings
from domain.withdrawal.decisions import (
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    retry_withdrawal,
)
from domain.withdrawal.reports import resolve_withdrawal
from domain.withdrawal.state import Withdrawal, fold_withdrawal
from tests.scenarios.scenario import (
    AMOUNT,
    PLAYER_ID,
    SUPERVISED,
    UNATTENDED,
    amended,
    approved_by,
    as_events,
    by,
    command,
    hear_of_withdrawal,
    heard,
    player,
    scored,
    screened,
    submitted,
    withdrawal_requested,
)

INSTRUMENTS = [("card-1", "acme", "card"), ("wallet-1", "other", "wallet")]
NET_MINOR = {"card-1": 4_000, "wallet-1": 1_500}
NAMES = ["card-1", "wallet-1", "iban-1", "iban-2", None]

Action = Callable[[Withdrawal, Random], LedgerEvent | Sequence[LedgerEvent] | None]


def _party(random: Random) -> Player:
    return player(instruments=INSTRUMENTS, on_hold=random.random() < 0.2)


def _amend(state: Withdrawal, random: Random) -> object:
    amount = Money(state.amount.amount - random.choice([0, 1, 3_000]), "EUR")
    if amount.amount < 1:
        return None
    return amended(state, amount, random.choice(NAMES), party=_party(random), net_minor=NET_MINOR)


def _hear(state: Withdrawal, random: Random) -> object:
    sent = [attempt for leg in state.legs for attempt in leg.attempts if leg.attempt_sent]
    if not sent and random.random() < 0.9:
        return None
    attempt = random.choice(sent) if sent and random.random() < 0.95 else random.randint(1, 4)
    likely = [Outcome.SUCCEEDED, Outcome.NOT_SENT, Outcome.DECLINED, Outcome.RETURNED]
    outcome = random.choice(likely if random.random() < 0.7 else list(Outcome))
    amounts = [None] * 9 + [leg.amount for leg in state.legs] + [Money(7, "USD")]
    code = random.choice([None, DeclineCode.PROVIDER_ERROR])
    return hear_of_withdrawal(
        state,
        heard(
            outcome,
            random.choice(list(Source)),
            attempt=attempt,
            amount=random.choice(amounts),
            fee=random.choice([None, Money(25, "EUR")]),
            decline_code=code if outcome is Outcome.DECLINED else None,
        ),
    )


def _resolve(state: Withdrawal, random: Random) -> object:
    return resolve_withdrawal(
        state,
        by(random.choice(["ann", "ben"])),
        target=random.choice(["paid", "failed"]),
        note="see ticket 4711",
        leg=random.randint(1, len(state.legs)),
    )


def _resolve_agreed(state: Withdrawal, random: Random) -> object:
    """The second person agrees with the first."""
    proposal = state.proposal
    target = proposal.target if proposal else random.choice(["paid", "failed"])
    leg = next((leg.number for leg in state.legs if leg.status == "review"), None)
    person = "ben" if proposal and proposal.person == "ann" else "ann"
    return resolve_withdrawal(
        state, by(person), target=target, note="n", leg=proposal.leg if proposal else leg
    )


def _proceed(state: Withdrawal, random: Random) -> object:
    """What usually comes next."""
    legs = {leg.status.value: leg.number for leg in state.legs}
    if "review" in legs:
        return _resolve_agreed(state, random)
    if state.status == "requested":
        return screened(state, by_player=player(), policy=random.choice([SUPERVISED, UNATTENDED]))
    if state.status == "under_review":
        return approved_by(state, "ann")
    if state.status == "held":
        return release_withdrawal(state, by("ann", role="compliance"), note="go on")
    if state.status == "info_required":
        return provide_information(state, by("ann"), note="!")
    if "queued" in legs:
        return submitted(state, legs["queued"])
    waiting = [leg.number for leg in state.legs if leg.waits_for_retry]
    if waiting and random.random() < 0.7:
        return retry_withdrawal(state, command(), leg=random.choice(waiting))
    return _hear(state, random)


def _reject(state: Withdrawal, random: Random) -> object:
    cleo = by("cleo", role="compliance")
    return reject_withdrawal(state, cleo, note="no") if random.random() < 0.3 else None


ACTIONS: tuple[Action, ...] = (
    *[_proceed] * 16,
    *[_hear] * 8,
    lambda s, r: screened(s, by_player=_party(r), policy=r.choice([SUPERVISED, UNATTENDED])),
    lambda s, r: approved_by(s, r.choice(["ann", "ben"]), party=_party(r)),
    lambda s, r: submitted(s, r.randint(1, len(s.legs)), party=_party(r)),
    lambda s, r: submitted(s, r.randint(1, len(s.legs)), party=player(on_hold=True)),
    _resolve,
    _amend,
    lambda s, r: scored(s, r.choice([10, 60])),
    lambda s, r: hold_withdrawal(s, by("ann"), note="wait"),
    lambda s, r: request_information(s, by("ann"), note="?"),
    _reject,
    lambda s, r: cancel_withdrawal(s, by("ann"), reason="x") if r.random() < 0.3 else None,
)

steps = st.lists(
    st.tuples(st.integers(0, len(ACTIONS) - 1), st.integers(0, 2**20)), min_size=10, max_size=60
)


def history_of(chosen: list[tuple[int, int]]) -> list[LedgerEvent]:
    """What the domain makes of these steps; what it refuses does not happen."""
    requested = withdrawal_requested(by_player=player(instruments=INSTRUMENTS), net_minor=NET_MINOR)
    events = list(requested.history)
    state = fold_withdrawal(None, events)
    for action, seed in chosen:
        try:
            made = as_events(ACTIONS[action](state, Random(seed)))
        except DomainError:
            continue
        events.extend(made)
        state = fold_withdrawal(state, made)
    return events


@settings(max_examples=300, deadline=None)
@given(steps)
def test_books_legs_and_counters_agree_after_every_append(chosen: list[tuple[int, int]]) -> None:
    balances: dict[str, int] = {}
    counted: dict[str, int] = {}
    state: Withdrawal | None = None
    command_id = None
    for event in [*history_of(chosen), None]:
        if event is None or (command_id is not None and event.command_id != command_id):
            assert state is not None
            _agree(state, balances, counted)
        if event is None:
            return
        command_id = event.command_id
        made = postings(event)
        assert sum(posting.amount_minor for posting in made) == 0
        for posting in made:
            balances[posting.account] = balances.get(posting.account, 0) + posting.amount_minor
        for count in counts(event):
            counted[count.counter] = counted.get(count.counter, 0) + count.change
        state = fold_withdrawal(state, (event,))


def _agree(state: Withdrawal, balances: dict[str, int], counted: dict[str, int]) -> None:
    """Money is reserved for each leg that says so, and gone for each that was paid."""
    assert sum(leg.amount.amount for leg in state.legs) == state.amount.amount <= AMOUNT.amount
    reserved = sum(leg.amount.amount for leg in state.legs if leg.reserved)
    paid = sum(leg.out.amount - leg.house_minor for leg in state.legs if leg.paid)
    assert balances.get(accounts.reserved(PLAYER_ID, "EUR"), 0) == reserved == state.reserved_minor
    assert balances.get(accounts.available(PLAYER_ID, "EUR"), 0) == -reserved - paid
    taken = {
        instrument_counter(PLAYER_ID, leg.instrument, "EUR"): -leg.out.amount
        for leg in state.legs
        if leg.instrument and (leg.reserved or leg.paid)
    }
    assert {name: value for name, value in counted.items() if value} == taken


@settings(max_examples=100, deadline=None)
@given(steps)
def test_a_reference_is_sent_once_and_belongs_to_one_leg(chosen: list[tuple[int, int]]) -> None:
    history = history_of(chosen)
    versions = [event.originator_version for event in history]
    assert versions == list(range(1, len(history) + 1))
    sent = [
        event.reference
        for event in history
        if hasattr(event, "attempt") and hasattr(event, "reference")
    ]
    assert len(sent) == len(set(sent))
    state = fold_withdrawal(None, history)
    assert state is not None
    attempts = [attempt for leg in state.legs for attempt in leg.attempts]
    assert len(attempts) == len(set(attempts))
