"""Folds of read models: pure, total, in step with the domain, and indifferent to batch sizes."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import events
from domain.accounts import currency_of
from domain.adjustment.state import Adjustment
from domain.conversion.state import Conversion
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.events import EVENT_TYPES, LedgerEvent, ReviewOpened
from domain.events.evidence import Evidence, Outcome
from domain.money import Money
from domain.refund.state import Refund
from domain.transactions import Transaction, kind_of
from domain.withdrawal.approvals import approval_problems
from domain.withdrawal.legs import LegStatus
from domain.withdrawal.reports import resolve_withdrawal
from domain.withdrawal.state import Withdrawal
from projections.engine.compare import fold_all
from projections.engine.read_model import ReadModel, Recorded, Rows, Table
from projections.engine.tables import array_text
from projections.history import status as history_status
from projections.history.fold import TRANSACTIONS
from projections.history.history import HISTORY
from projections.journal.journal import ACCOUNTS, ENTRIES, JOURNAL
from projections.outstanding import events as outstanding_events
from projections.outstanding.fold import OUTSTANDING
from projections.outstanding.outstanding import TASKS, Task
from projections.queue import events as cases_events
from projections.queue.fold import CASES
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE
from projections.registry import READ_MODELS
from tests.generators.event_sequences import World, recorded, world
from tests.scenarios import conversion, dispute, scenario
from tests.scenarios.scenario import NOW, PROVIDER_NAME, TRANSACTION, heard

worlds = st.builds(world, st.integers(0, 2**32), st.integers(1, 150))
COPIED = (
    *("player_id", "method", "instrument", "metadata", "reason", "reference"),
    *("provider_reference", "created_at", "updated_at", "version"),
)
random_worlds = [pytest.param(seed, id=f"world {seed}") for seed in range(5)]


@cache
def large_world(seed: int) -> World:
    return world(seed, 2_500)


def rows_of(model: ReadModel, events: Sequence[LedgerEvent]) -> Rows:
    return fold_all(model, recorded(events))


def in_batches(model: ReadModel, log: Sequence[Recorded], size: int) -> Rows:
    """As the projector does it: only the rows that `touched` names are there for a batch."""
    stored = Rows()
    for start in range(0, len(log), size):
        batch, rows = log[start : start + size], Rows()
        touched = model.touched(batch)
        for table in model.tables:
            rows[table] = loaded_by(table, stored[table], set(touched.get(table, ())))
        loaded = rows.copy()
        for one in batch:
            model.apply(rows, one)
        for table in model.tables:
            for key in loaded[table].keys() - rows[table].keys():
                del stored[table][key]
            stored[table].update(rows[table])
    return stored


def loaded_by(table: Table[Any, Any], stored: dict[Any, Any], keys: set[Any]) -> dict[Any, Any]:
    if table.loaded_by is None:
        return {key: stored[key] for key in keys if key in stored}
    return {key: row for key, row in stored.items() if getattr(row, table.loaded_by) in keys}


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


def parts_of(*unions: Any) -> list[type]:
    return [part for union in unions for part in get_args(union) or (union,)]


def test_every_event_is_known_to_every_fold() -> None:
    every = sorted(event.__name__ for event in EVENT_TYPES)

    def names(kinds: Any) -> list[str]:
        return sorted(kind.__name__ for kind in kinds)

    h, o, c = history_status, outstanding_events, cases_events
    known = [*h.STATUS_AFTER, *parts_of(h.NotOfTransactions, h.Creation, h.OnlyOfWithdrawals)]
    assert names(known) == every
    assert every == names(
        parts_of(
            *(o.SchedulesNothing, o.Opens, o.OfPayouts, o.AtProvider),
            *(o.Schedules, o.SaysByTheWay, o.Ends),
        )
    )
    parts = parts_of(c.ChangesNoCase, c.OpensCase, c.OfPayouts, c.ChangesCase, c.EndsWait)
    assert sorted(set(names(parts))) == every
    assert {*parts_of(c.OfPayouts)} & {*parts_of(c.ChangesCase, c.EndsWait)} == {
        *(events.ReviewOpened, events.ResolutionProposed, events.TransactionResolved)
    }


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
        assert row.provider == (state.provider or None)
        for name in COPIED:
            assert getattr(row, name) == getattr(state, name), (name, state)


@pytest.mark.parametrize("seed", random_worlds)
def test_history_knows_what_is_special_to_each_kind(seed: int) -> None:
    made = large_world(seed)
    rows = rows_of(HISTORY, made.events)[TRANSACTIONS]
    for state in made.transactions.values():
        row = rows[state.id]
        match state:
            case Deposit():
                taken = [c.amount.amount for c in state.refunds.values() if c.standing == "taken"]
                assert row.refunded_minor == sum(taken)
                assert row.credited_minor == (state.credited.amount if state.credited else None)
            case Refund():
                assert row.related_id == state.deposit_id
            case Dispute():
                assert (row.related_id, row.stage) == (state.deposit_id, state.stage)
            case Adjustment():
                assert row.related_id == state.transaction_id
            case Conversion():
                target = state.target
                assert (row.target_minor, row.target_currency) == (target.amount, target.currency)
            case Withdrawal():
                assert row.payout is not None
                legs = [
                    (leg.leg, leg.provider, leg.instrument, leg.amount_minor, leg.status)
                    for leg in row.payout.legs
                ]
                assert legs == [
                    (leg.number, leg.provider, leg.instrument, leg.amount.amount, leg.status)
                    for leg in state.legs
                ]
                for leg, known in zip(state.legs, row.payout.legs, strict=True):
                    for name in ("attempts", "reserved", "reference", "provider_reference"):
                        assert getattr(known, name) == getattr(leg, name)


@pytest.mark.parametrize("first", ["failed", "completed"])
@pytest.mark.parametrize("amount_minor", [900, 10_000, 25_000])
def test_history_knows_what_is_credited_after_reviews_that_end_differently(
    first: str, amount_minor: int
) -> None:
    """A review ends one way, the provider contradicts that, and it ends the other way."""

    def told(more_minor: int) -> Evidence:
        amount = Money(amount_minor + more_minor, scenario.AMOUNT.currency)
        return heard(Outcome.SUCCEEDED, amount=amount)

    given = scenario.deposit_in("submitted")
    course = (
        (told(0), first),
        (heard(Outcome.DECLINED), "failed"),
        (told(7), "completed"),
        (told(9), "failed"),
        (told(2), "completed"),
    )
    for outcome, target in course:
        decided = given.when(scenario.hear_of_deposit, outcome)
        given = scenario.Given((*given.history, *decided.events))
        for person in ("ann", "ben"):
            decided = given.when(scenario.resolve_as, person, target)
            given = scenario.Given((*given.history, *decided.events))
            state = given.state
            assert isinstance(state, Deposit)
            row = rows_of(HISTORY, given.history)[TRANSACTIONS][TRANSACTION]
            assert row.credited_minor == (state.credited.amount if state.credited else None)
            assert row.status == state.status
    ends = [e.target for e in given.history if isinstance(e, events.TransactionResolved)]
    assert ends[-3:] == ["completed", "failed", "completed"]


def waits(state: Transaction) -> bool:
    """People have to do something about it."""
    waiting = {"under_review", "info_required", "held", "review", "pending_approval"}
    if isinstance(state, Adjustment):
        return state.status == "requested"
    if isinstance(state, Dispute):
        return state.status.waits_for_us
    return state.status in waiting


@pytest.mark.parametrize("seed", random_worlds)
def test_the_queue_holds_exactly_what_waits_for_people(seed: int) -> None:
    made = large_world(seed)
    cases = rows_of(WITHDRAWAL_QUEUE, made.events)[CASES]
    assert cases.keys() == made.transactions.keys()
    for state in made.transactions.values():
        case = cases[state.id]
        assert (case.kind, case.amount_minor) == (kind_of(state), state.amount.amount)
        if isinstance(state, Deposit) and state.unreviewed and state.status != "review":
            exceeds = "more_out_than_in" in state.unreviewed
            assert case.waiting_as == ("more_out_than_in" if exceeds else "completed")
            assert (set(case.reasons), case.excess) == (state.unreviewed, state.excess)
            continue
        assert case.waiting_as == (state.status.value if waits(state) else None)
        assert case.requested_by == state.requested_by
        if isinstance(state, Withdrawal) and case.waiting_as:
            assert case.required == state.required
            assert case.reasons == state.screening_reasons
            why = approval_problems(state, None, NOW)
            counted = {known.person for known, problems in why if not problems}
            assert {one.person for one in case.counting(NOW)} == counted
        if isinstance(state, Dispute) and case.waiting_as:
            assert case.due_at == state.evidence_due_at
        if case.waiting_as == "review":
            assert case.why == (state.reason,)
            assert case.proposed_by == (state.proposal.person if state.proposal else None)


def test_the_queue_forgets_a_proposal_with_the_review_that_it_ended() -> None:
    history = scenario.two_legs_sent()
    for attempt in (1, 2):
        other = heard(Outcome.SUCCEEDED, attempt=attempt, amount=Money(1, "EUR"))
        history = history.when(scenario.hear_of_withdrawal, other).then(ReviewOpened)
    proposals = []
    for person, leg in (("ann", 1), ("ben", 1), ("ann", 2)):
        made = history.when(
            *(resolve_withdrawal, scenario.by(person)), target="failed", note="seen", leg=leg
        )
        history = scenario.Given((*made.history, *made.events))
        case = rows_of(WITHDRAWAL_QUEUE, history.history)[CASES][TRANSACTION]
        assert case.waiting_as == history.state.status == "review"
        proposals.append(case.proposed_by)
    assert proposals == ["ann", None, "ann"]


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


UNDER_WAY = {
    LegStatus.QUEUED: "submit",
    LegStatus.SUBMITTED: "poll",
    LegStatus.PROCESSING: "poll",
    LegStatus.UNKNOWN: "poll",
}
NEXT = {
    "deposit": {"created": "submit", "authorised": "poll", "awaiting_player": "poll"},
    "refund": {"pending_approval": "wait", "approved": "submit", "pending": "poll"},
    "conversion": {"quoted": "expire", "accepted": "submit"},
    "dispute": {"opened": "wait", "evidence_due": "wait"},
    "adjustment": {},
}


def expected_tasks(state: Transaction) -> dict[str, str]:
    """What there is to do next for a transaction, by its name, from its state alone."""
    if isinstance(state, Withdrawal):
        tasks = {}
        for leg in state.legs:
            name = f"{state.id}/{leg.number}"
            if leg.waits_for_retry:
                tasks[name] = "retry"
            elif leg.status in UNDER_WAY:
                tasks[name] = UNDER_WAY[leg.status]
        if state.reserved:
            tasks[str(state.id)] = "screen" if state.status == "requested" else "wait"
        return tasks
    if isinstance(state, Dispute) and state.answer_due:
        return {str(state.id): "answer_dispute"}
    if isinstance(state, Dispute) and state.status.waits_for_us and state.evidence_due_at:
        return {str(state.id): "expire"}
    at_provider = {"submitted": "poll", "unknown": "poll"}
    if isinstance(state, Dispute):
        at_provider = {}
    kind = (NEXT[kind_of(state)] | at_provider).get(state.status)
    return {str(state.id): kind} if kind else {}


@pytest.mark.parametrize("seed", random_worlds)
def test_every_open_transaction_has_its_tasks(seed: int) -> None:
    made = large_world(seed)
    tasks = rows_of(OUTSTANDING, made.events)[TASKS]
    of_transactions = {t.work: t for t in tasks.values() if t.kind != "notice"}
    expected: dict[str, str] = {}
    for state in made.transactions.values():
        expected |= expected_tasks(state)
    assert {work: task.kind for work, task in of_transactions.items()} == expected
    assert all((task.due_at is None) == (task.kind == "wait") for task in tasks.values())
    notices = {t.work for t in tasks.values() if t.kind == "notice"}
    assert notices == {f"notice:{notice.originator_id}" for notice in made.notices}


@pytest.mark.parametrize("seed", random_worlds)
def test_a_task_says_which_attempt_and_leg_it_is_about(seed: int) -> None:
    made = large_world(seed)
    tasks = rows_of(OUTSTANDING, made.events)[TASKS]
    for state in made.transactions.values():
        if isinstance(state, Withdrawal):
            for leg in state.legs:
                task = tasks.get(f"{state.id}/{leg.number}")
                if task is not None:
                    assert (task.leg, task.provider) == (leg.number, leg.provider)
                    assert task.attempt == leg.attempt
        elif (task := tasks.get(str(state.id))) and task.kind in ("submit", "poll"):
            assert (task.leg, task.attempt) == (0, 1)
            assert task.provider == state.provider


def task_after(events: Sequence[LedgerEvent]) -> Task | None:
    tasks = rows_of(OUTSTANDING, events)[TASKS]
    return tasks.get(f"{TRANSACTION}/1") or tasks.get(str(TRANSACTION))


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


def tasks_after(events: Sequence[LedgerEvent]) -> dict[str, tuple[str, int]]:
    """Kind and attempt, by what comes after the transaction's id in the name."""
    tasks = rows_of(OUTSTANDING, events)[TASKS].values()
    return {
        task.work.removeprefix(str(TRANSACTION)): (task.kind, task.attempt)
        for task in tasks
        if task.stream == TRANSACTION
    }


def test_each_leg_of_a_payout_has_a_task_of_its_own() -> None:
    queued = scenario.two_legs_queued()
    own = {"": ("wait", 0)}
    assert tasks_after(queued.history) == own | {"/1": ("submit", 1), "/2": ("submit", 2)}
    sent = scenario.send(queued, 2)
    assert tasks_after(sent.history) == own | {"/1": ("submit", 1), "/2": ("poll", 2)}
    paid = sent.when(scenario.hear_of_withdrawal, heard(Outcome.SUCCEEDED, attempt=2))
    assert tasks_after((*sent.history, *paid.events)) == own | {"/1": ("submit", 1)}


def test_a_leg_that_failed_is_retried_under_a_new_number() -> None:
    sent = scenario.two_legs_sent()
    failed = sent.when(scenario.hear_of_withdrawal, heard("not_sent", "answer", attempt=1))
    history = scenario.Given((*sent.history, *failed.events))
    own = {"": ("wait", 0), "/2": ("poll", 2)}
    assert tasks_after(history.history) == own | {"/1": ("retry", 1)}
    again = scenario.second_attempt(history)
    assert tasks_after(again.history) == own | {"/1": ("submit", 3)}


def test_what_is_recalled_leaves_the_queue_and_waits_for_people() -> None:
    queued = scenario.two_legs_queued()
    held = scenario.player(on_hold=True)
    recalled = queued.when(scenario.submitted, 1, party=held)
    assert [type(event).__name__ for event in recalled.events] == ["WithdrawalRecalled"]
    assert tasks_after((*queued.history, *recalled.events)) == {"": ("wait", 0)}


def test_an_amended_withdrawal_is_screened_again() -> None:
    waiting = scenario.withdrawal_screened()
    assert tasks_after(waiting.history) == {"": ("wait", 0)}
    amended = waiting.when(scenario.amended)
    assert tasks_after((*waiting.history, *amended.events)) == {"": ("screen", 0)}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("quoted", "expire"),
        ("accepted", "submit"),
        ("submitted", "poll"),
        ("unknown", "poll"),
        ("executed", None),
        ("expired", None),
        ("rejected", None),
        ("review", None),
    ],
)
def test_a_conversion_is_due_when_its_state_says(status: str, kind: str | None) -> None:
    task = task_after(conversion.conversion_in(status).history)
    assert (task.kind if task else None) == kind
    if status == "quoted":
        assert task is not None
        assert task.due_at == NOW + timedelta(seconds=300)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("opened", "expire"),
        ("evidence_due", "expire"),
        ("submitted", "answer_dispute"),
        ("accepted", "answer_dispute"),
        ("under_review", None),
        ("won", None),
        ("lost", None),
        ("withdrawn", None),
        ("expired", None),
    ],
)
def test_a_dispute_is_due_when_its_state_says(status: str, kind: str | None) -> None:
    case = dispute.dispute_in(status)
    task = rows_of(OUTSTANDING, case.log)[TASKS].get(str(case.state.id))
    assert (task.kind if task else None) == kind


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_outstanding_once_everything_has_ended(seed: int) -> None:
    made = world(seed, 400)
    assert rows_of(OUTSTANDING, made.events)[TASKS]
    made.settle(6_000)
    assert rows_of(OUTSTANDING, made.events)[TASKS] == {}


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
