"""Folds of read models: pure, total, in step with the domain, and indifferent to batch sizes."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.accounts import currency_of
from domain.deposit import Deposit
from domain.events import EVENT_TYPES, DepositCreated, LedgerEvent, WithdrawalRequested
from domain.outcomes import Outcome
from domain.transactions import Transaction, kind_of
from domain.withdrawal import Withdrawal
from projections import history, outstanding, withdrawal_queue
from projections.compare import fold_all
from projections.history import HISTORY, TRANSACTIONS
from projections.journal import ACCOUNTS, ENTRIES, JOURNAL
from projections.outstanding import OUTSTANDING, TASKS, Task
from projections.read_model import ReadModel, Recorded, Rows
from projections.registry import READ_MODELS
from projections.tables import array_text
from projections.withdrawal_queue import CASES, WITHDRAWAL_QUEUE
from tests import scenario
from tests.event_sequences import World, recorded, world
from tests.scenario import NOW, PROVIDER_NAME, TRANSACTION, heard

worlds = st.builds(world, st.integers(0, 2**32), st.integers(1, 150))
COPIED = (
    *("player_id", "provider", "method", "instrument", "metadata", "reason", "reference"),
    *("provider_reference", "created_at", "updated_at", "version"),
)
random_worlds = [pytest.param(seed, id=f"world {seed}") for seed in range(5)]


@cache
def large_world(seed: int) -> World:
    return world(seed, 1_500)


def rows_of(model: ReadModel, events: Sequence[LedgerEvent]) -> Rows:
    return fold_all(model, recorded(events))


def in_batches(model: ReadModel, log: Sequence[Recorded], size: int) -> Rows:
    """As the projector does it: only the rows that `touched` names are there for a batch."""
    stored = Rows()
    for start in range(0, len(log), size):
        batch, rows = log[start : start + size], Rows()
        touched = model.touched(batch)
        for table in model.tables:
            keys = touched.get(table, ())
            rows[table] = {key: stored[table][key] for key in keys if key in stored[table]}
        loaded = rows.copy()
        for one in batch:
            model.apply(rows, one)
        for table in model.tables:
            for key in loaded[table].keys() - rows[table].keys():
                del stored[table][key]
            stored[table].update(rows[table])
    return stored


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", READ_MODELS, ids=lambda model: model.name)
@given(made=worlds, size=st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_batches_of_any_size_give_the_same_rows(model: ReadModel, made: World, size: int) -> None:
    log = recorded(made.events)
    whole, in_parts = fold_all(model, log), in_batches(model, log, size)
    for table in model.tables:
        assert in_parts[table] == whole[table]


@pytest.mark.parametrize("model", READ_MODELS, ids=lambda model: model.name)
def test_a_fold_gives_every_row_its_own_key(model: ReadModel) -> None:
    rows = rows_of(model, large_world(0).events)
    for table in model.tables:
        for key, row in rows[table].items():
            columns = tuple(getattr(row, column) for column in table.key)
            assert key == (columns if len(columns) > 1 else columns[0])


def test_every_event_is_known_to_every_fold() -> None:
    every = set(EVENT_TYPES)
    creations = {DepositCreated, WithdrawalRequested}
    transactions = set(history._STATUS_AFTER) | creations
    assert transactions | set(get_args(history._NotOfTransactions)) == every
    scheduled = get_args(outstanding._Opens | outstanding._Schedules | outstanding._Ends)
    assert set(scheduled) | set(get_args(outstanding._SchedulesNothing)) == every
    assert set(get_args(withdrawal_queue._ChangesNoCase)) < every


# --- in step with the domain --------------------------------------------------------------------


@pytest.mark.parametrize("seed", random_worlds)
def test_history_says_what_the_domain_says(seed: int) -> None:
    made = large_world(seed)
    rows = rows_of(HISTORY, made.events)[TRANSACTIONS]
    assert rows.keys() == made.transactions.keys()
    for state in made.transactions.values():
        row = rows[state.id]
        assert (row.kind, row.status) == (kind_of(state), state.status)
        assert (row.amount_minor, row.currency) == (state.amount.amount, state.amount.currency)
        for name in COPIED:
            assert getattr(row, name) == getattr(state, name), (name, state)


@pytest.mark.parametrize("seed", random_worlds)
def test_the_queue_holds_exactly_what_waits_for_people(seed: int) -> None:
    made = large_world(seed)
    cases = rows_of(WITHDRAWAL_QUEUE, made.events)[CASES]
    waiting = {"under_review", "info_required", "held", "review"}
    for state in made.transactions.values():
        case = cases[state.id]
        assert case.waiting_as == (state.status.value if state.status in waiting else None)
        if isinstance(state, Withdrawal) and case.waiting_as:
            assert case.approvals_required == state.approvals_required
            assert set(case.approvals) == state.approvals
            assert case.requested_by == state.requested_by
            if case.waiting_as != "review":
                assert case.reasons == state.screening_reasons
        if case.waiting_as == "review":
            assert case.reasons == (state.reason,)
            assert case.proposed_by == (state.proposal.person if state.proposal else None)


@pytest.mark.parametrize("seed", random_worlds)
def test_journal_balances_are_the_ledgers(seed: int) -> None:
    made = large_world(seed)
    rows = rows_of(JOURNAL, made.events)
    balances = {a.account: a.balance_minor for a in rows[ACCOUNTS].values()}
    assert balances == {account: made.balances[account] for account in balances}
    assert not any(made.balances[account] for account in made.balances.keys() - balances.keys())
    running: dict[str, int] = {}
    sums: dict[str, int] = {}
    for entry in rows[ENTRIES].values():
        running[entry.account] = running.get(entry.account, 0) + entry.amount_minor
        assert entry.balance_minor == running[entry.account]
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.amount_minor
        assert entry.currency == currency_of(entry.account)
    assert set(sums.values()) <= {0}
    assert running == balances


# --- outstanding --------------------------------------------------------------------------------


def expected_kind(state: Transaction) -> str | None:
    """What there is to do next for a transaction, from its state alone."""
    by_status = {
        "created": "submit",
        "requested": "screen",
        "queued": "submit",
        "submitted": "poll",
        "processing": "poll",
        "authorised": "poll",
        "unknown": "poll",
        "awaiting_player": "poll",
        "under_review": "wait",
        "info_required": "wait",
        "held": "wait",
    }
    if isinstance(state, Withdrawal) and state.status == "failed" and state.reserved:
        return "retry"
    return by_status.get(state.status)


@pytest.mark.parametrize("seed", random_worlds)
def test_every_open_transaction_has_its_one_task(seed: int) -> None:
    made = large_world(seed)
    tasks = rows_of(OUTSTANDING, made.events)[TASKS]
    of_transactions = {t.work: t for t in tasks.values() if t.kind != "notice"}
    expected = {str(s.id): kind for s in made.transactions.values() if (kind := expected_kind(s))}
    assert {work: task.kind for work, task in of_transactions.items()} == expected
    assert all(task.provider.startswith("psp-") for task in tasks.values())
    assert all((task.due_at is None) == (task.kind == "wait") for task in tasks.values())
    notices = {t.work for t in tasks.values() if t.kind == "notice"}
    assert notices == {f"notice:{notice.originator_id}" for notice in made.notices}


def task_after(events: Sequence[LedgerEvent]) -> Task | None:
    return rows_of(OUTSTANDING, events)[TASKS].get(str(TRANSACTION))


@pytest.mark.parametrize("status", ["created", "submitted", "awaiting_player", "authorised"])
def test_an_open_deposit_is_due_when_its_state_says(status: str) -> None:
    given = scenario.deposit_in(status)
    task = task_after(given.history)
    assert task is not None
    assert task.transaction_id == TRANSACTION
    assert task.provider == PROVIDER_NAME
    assert task.due_at == (NOW if status == "created" else NOW + timedelta(seconds=10))


def test_a_player_is_asked_about_more_and_more_rarely_and_last_when_their_time_is_up() -> None:
    given = scenario.deposit_in("awaiting_player")
    due = []
    while isinstance(state := given.state, Deposit) and state.status == "awaiting_player":
        task = task_after(given.history)
        assert task is not None
        assert task.due_at is not None
        due.append((task.due_at - NOW).total_seconds())
        polled = heard(Outcome.AWAITING_PLAYER, "poll")
        decided = given.when(scenario.hear_of_deposit, polled, now=task.due_at)
        given = scenario.Given(decided.history + decided.events)
    assert due == [10, 40, 160, 760, 1_800]
    assert given.state.status == "expired"
    assert task_after(given.history) is None


def test_a_provider_that_answers_nothing_useful_is_asked_again_after_a_pause() -> None:
    given = scenario.deposit_in("awaiting_player")
    overdue = NOW + timedelta(minutes=31)
    decided = given.when(scenario.hear_of_deposit, heard(Outcome.NOT_SENT, "poll"), now=overdue)
    task = task_after((*given.history, *decided.events))
    assert task is not None
    assert task.due_at is not None
    assert task.due_at > overdue


def test_a_report_from_which_nothing_follows_leaves_the_schedule_alone() -> None:
    given = scenario.deposit_in("awaiting_player")
    decided = given.when(scenario.hear_of_deposit, heard(Outcome.AWAITING_PLAYER))
    assert [type(event).__name__ for event in decided.events] == ["NoticeNoted"]
    assert task_after(decided.history + decided.events) == task_after(given.history)


def test_a_failed_attempt_is_retried_when_its_pause_is_over() -> None:
    given = scenario.withdrawal_failed_for_now()
    state = given.state
    task = task_after(given.history)
    assert isinstance(state, Withdrawal)
    assert task is not None
    assert (task.kind, task.due_at) == ("retry", state.retry_at)


def test_a_refused_withdrawal_leaves_nothing_to_do() -> None:
    refused = scenario.withdrawal_requested(refusal=scenario.Reason.INSUFFICIENT_FUNDS)
    assert task_after(refused.history) is None


# --- poison -------------------------------------------------------------------------------------


def test_a_transaction_that_was_never_created_is_refused() -> None:
    events = scenario.deposit_in("submitted").history
    for model in (HISTORY, OUTSTANDING):
        with pytest.raises((ValueError, KeyError)):
            fold_all(model, recorded(events[1:]))


# --- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, None, -3], "{1,null,-3}"),
        (["a", 'say "hi" \\', None], '{"a","say \\"hi\\" \\\\",null}'),
        (["NULL", "{", ","], '{"NULL","{",","}'),
        (["line\nbreak", 'tab\t"', None], '{"line\nbreak","tab\t\\"",null}'),
        ([], "{}"),
    ],
)
def test_values_become_the_text_of_an_array(values: list[object], text: str) -> None:
    assert array_text(values) == text
