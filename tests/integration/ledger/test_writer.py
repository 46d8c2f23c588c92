"""Group commit on a real database: order, isolation, receipts, money and limits."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from domain.accounts import available, clearing, reserved
from domain.money import Money
from ledger.eventstore.append import Append, Entry, Receipt
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.errors import (
    AppendError,
    FloorPassed,
    QueueFull,
    StoreUnavailable,
    VersionConflict,
)
from ledger.eventstore.ledger import Ledger
from ledger.settings import Settings
from tests.integration.ledger.queued import Batch, until
from tests.oracles.ledger_checks import (
    balance,
    check_log,
    check_receipt,
    credit,
    ledger_on,
    log,
    player_history,
    registered,
    rejected,
    requested,
)

EUR_100 = Money(10_000, "EUR")


@pytest.fixture
def ledger(database: Settings) -> Iterator[Ledger]:
    with ledger_on(database) as opened:
        yield opened


# --- order --------------------------------------------------------------------------------------


def test_positions_are_dense_under_16_threads(ledger: Ledger, database: Settings) -> None:
    def append(number: int) -> Receipt:
        return ledger.append(player_history(uuid4(), 1 + number % 4))

    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(append, range(200)))
    events = check_log(database)
    told = sorted(position for receipt in receipts for position in receipt.positions)
    assert told == list(range(1, len(events) + 1))


def test_positions_are_dense_under_three_processes(database: Settings, tmp_path: Path) -> None:
    target = conninfo(database, Role.WRITER)
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.servers.appender", target, str(file), "100", "4"]
        )
        for file in files
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    told = [line.split() for file in files for line in file.read_text().splitlines()]
    events = check_log(database)
    assert len(told) == len(events) == 300
    assert {(str(e.originator_id), str(e.notification_id)) for e in events} == set(map(tuple, told))


def test_the_events_of_one_append_stand_together(ledger: Ledger, database: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: ledger.append(player_history(uuid4(), 5)), range(40)))
    events = log(database)
    for receipt in receipts:
        assert len(receipt.positions) == 5
        assert len({events[position - 1].originator_id for position in receipt.positions}) == 1


def test_two_ledgers_that_take_turns_see_each_others_events(database: Settings) -> None:
    """What one of them remembers of a stream or a balance is out of date after the other's turn."""
    player_id = uuid4()
    history = player_history(player_id, 20)
    with ledger_on(database) as one, ledger_on(database) as other:
        for number, event in enumerate(history):
            turn = (one, other)[number % 2]
            receipt = turn.append(
                [event, credit(player_id, Money(1, "EUR"))], report=[available(player_id, "EUR")]
            )
            assert receipt.balances[available(player_id, "EUR")] == number + 1
        for stale in (one, other):
            with pytest.raises(VersionConflict):
                stale.append([history[5]])
    check_log(database)


# --- isolation ----------------------------------------------------------------------------------


def test_bad_appends_in_a_batch_do_not_disturb_the_good_ones(
    ledger: Ledger, database: Settings
) -> None:
    poor = uuid4()
    good = [uuid4(), uuid4(), uuid4()]
    with Batch(ledger, database) as batch:
        batch.add(registered(good[0]))
        batch.add(registered(good[0]))  # the same version again
        batch.add(*requested(poor, EUR_100))  # more than there is
        batch.add(registered(good[1]))
        batch.add(*player_history(uuid4(), 3)[1:])  # a stream that begins in the middle
        batch.add(registered(good[2]), unchanged={good[0]: 7})  # looked at another version
        batch.add(registered(good[2]))
    outcomes = [type(f.exception()) if f.exception() else None for f in batch.futures]
    assert outcomes == [
        None,
        VersionConflict,
        FloorPassed,
        None,
        VersionConflict,
        VersionConflict,
        None,
    ]
    batch_of_three = [future.result() for future in batch.futures if not future.exception()]
    assert len({receipt.size for receipt in batch_of_three}) == 1, "it was meant to be one batch"
    written = [event.originator_id for event in check_log(database)]
    assert [stream for stream in written if stream in good] == good
    assert len(written) == 4  # and the one that made the others wait


def test_what_the_database_itself_refuses_fails_alone(database: Settings) -> None:
    """An account name no index can hold: the neighbours of that append must not suffer."""
    poisonous = "house:" + "".join(uuid4().hex for _ in range(400))
    with ledger_on(database) as ledger, Batch(ledger, database) as batch:
        batch.add(registered())
        bad = Append(entries=[Entry(uuid4(), 1, "Bad", b"{}", ((poisonous, 1),))], report=())
        batch.futures.append(batch.pool.submit(ledger._writer.append, bad))
        until(lambda: ledger.waiting() == 2)
        batch.add(registered())
    first, poison, last = batch.futures
    assert first.result().position < last.result().position
    assert type(poison.exception()) is StoreUnavailable
    assert len(check_log(database)) == 3


def test_a_version_gap_is_a_conflict_even_in_a_stream_nobody_has_looked_at(
    database: Settings,
) -> None:
    stream = uuid4()
    history = player_history(stream, 5)
    with ledger_on(database) as one:
        one.append(history[:2])
    with ledger_on(database) as other:
        other.append([registered()])  # it remembers the head now, but not the stream
        with pytest.raises(VersionConflict) as caught:
            other.append(history[4:])
        assert caught.value.found == 2
        other.append(history[2:])
    check_log(database)


def test_a_conflict_is_found_though_the_stream_was_made_elsewhere(database: Settings) -> None:
    stream = uuid4()
    with ledger_on(database) as one, ledger_on(database) as other:
        other.append([registered()])
        one.append([registered(stream)])
        for _ in range(2):
            with pytest.raises(VersionConflict):
                other.append([registered(stream)])
    assert len(check_log(database)) == 2


# --- what a decision looked at ------------------------------------------------------------------


def test_a_decision_on_an_unchanged_stream_is_written(ledger: Ledger) -> None:
    looked_at = uuid4()
    ledger.append(player_history(looked_at, 2))
    assert ledger.append([registered()], unchanged={looked_at: 2}).position == 3


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_decision_on_an_outdated_stream_is_not(
    ledger: Ledger, database: Settings, seen: int
) -> None:
    looked_at = uuid4()
    ledger.append(player_history(looked_at, 2))
    with pytest.raises(VersionConflict):
        ledger.append([registered()], unchanged={looked_at: seen})
    assert len(log(database)) == 2


def test_a_decision_on_the_absence_of_a_stream(ledger: Ledger) -> None:
    absent = uuid4()
    ledger.append([registered()], unchanged={absent: 0})
    ledger.append([registered(absent)])
    with pytest.raises(VersionConflict):
        ledger.append([registered()], unchanged={absent: 0})


# --- receipts -----------------------------------------------------------------------------------


def test_receipts_are_what_the_log_says(ledger: Ledger, database: Settings) -> None:
    def append(number: int) -> Receipt:
        return ledger.append(player_history(uuid4(), 1 + number % 3))

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(append, range(60)))
    events = check_log(database)
    for receipt in receipts:
        check_receipt(receipt, events, database)


def test_a_receipt_can_be_had_again_later(ledger: Ledger) -> None:
    stream = uuid4()
    first = ledger.append(player_history(stream, 3))
    for _ in range(3):
        ledger.append([registered()])
    again = ledger.receipt(stream, 3)
    same = ("position", "leaf", "size", "root", "recorded_at")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]


def test_there_is_no_receipt_for_what_was_never_written(ledger: Ledger) -> None:
    with pytest.raises(LookupError):
        ledger.receipt(uuid4(), 1)


def test_a_receipt_states_the_balances_after_the_append_itself(
    ledger: Ledger, database: Settings
) -> None:
    player_id = uuid4()
    accounts = [available(player_id, "EUR"), clearing("acme", "EUR"), available(uuid4(), "EUR")]
    with Batch(ledger, database) as batch:
        for amount in (1, 20, 300):
            batch.add(credit(player_id, Money(amount, "EUR")), report=accounts)
    told = [list(future.result().balances.values()) for future in batch.futures]
    assert told == [[1, -1, 0], [21, -21, 0], [321, -321, 0]]
    assert ledger.balances(accounts) == dict(zip(accounts, told[-1], strict=True))


# --- money --------------------------------------------------------------------------------------


def test_a_withdrawal_of_more_than_there_is_is_refused_and_nothing_is_written(
    ledger: Ledger, database: Settings
) -> None:
    with pytest.raises(FloorPassed):
        ledger.append(requested(uuid4(), Money(1, "EUR")))
    assert log(database) == []


def test_the_prepared_refusal_is_written_instead(ledger: Ledger, database: Settings) -> None:
    stream, poor = uuid4(), uuid4()
    refusal = rejected(poor, EUR_100, stream)
    receipt = ledger.append(requested(poor, EUR_100, stream=stream), refusal=refusal)
    assert receipt.refused
    assert [event.topic for event in check_log(database)] == [
        "WithdrawalRequested",
        "WithdrawalRejected",
    ]
    assert ledger.history(stream) == list(refusal)


def test_the_refusals_own_accounts_keep_their_balances(database: Settings) -> None:
    """Accounts that only the refusal touches are read before they are written."""
    rich, poor = uuid4(), uuid4()
    with ledger_on(database) as earlier:
        earlier.append([credit(rich, Money(500, "EUR"))])
    with ledger_on(database) as ledger:
        receipt = ledger.append(requested(poor, EUR_100), refusal=[credit(rich, Money(5, "EUR"))])
        assert receipt.refused
        assert balance(ledger, rich) == 505


def test_of_50_withdrawals_of_everything_exactly_one_is_reserved(
    ledger: Ledger, database: Settings
) -> None:
    rich = uuid4()
    ledger.append([credit(rich, EUR_100)])
    start = threading.Barrier(50)

    def withdraw(_number: int) -> tuple[bool, tuple[str, ...]]:
        stream = uuid4()
        start.wait()
        receipt = ledger.append(
            requested(rich, EUR_100, stream=stream), refusal=rejected(rich, EUR_100, stream)
        )
        return receipt.refused, tuple(type(event).__name__ for event in ledger.history(stream))

    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(withdraw, range(50)))
    assert Counter(made) == {
        (False, ("WithdrawalRequested",)): 1,
        (True, ("WithdrawalRequested", "WithdrawalRejected")): 49,
    }
    accounts = [available(rich, "EUR"), reserved(rich, "EUR"), clearing("acme", "EUR")]
    assert list(ledger.balances(accounts).values()) == [0, 10_000, -10_000]
    check_log(database)


def test_of_50_withdrawals_from_two_processes_worth_of_writers_exactly_one_is_reserved(
    database: Settings,
) -> None:
    rich = uuid4()
    with ledger_on(database) as one, ledger_on(database) as other:
        one.append([credit(rich, EUR_100)])

        def withdraw(number: int) -> bool:
            stream = uuid4()
            return (
                (one, other)[number % 2]
                .append(
                    requested(rich, EUR_100, stream=stream),
                    refusal=rejected(rich, EUR_100, stream),
                )
                .refused
            )

        with ThreadPoolExecutor(16) as pool:
            refused = list(pool.map(withdraw, range(50)))
        assert refused.count(False) == 1
        assert balance(one, rich) == 0
    check_log(database)


# --- limits -------------------------------------------------------------------------------------


def test_a_full_queue_is_refused_at_once_and_nothing_of_it_is_written(
    database: Settings,
) -> None:
    with ledger_on(database, queue_size_max=3) as ledger:
        with Batch(ledger, database) as batch:
            for _ in range(3):
                batch.add(registered())
            with pytest.raises(QueueFull):
                ledger.append([registered()])
        assert len(check_log(database)) == 4
        ledger.append([registered()])


def test_while_nobody_answers_callers_get_a_true_error_in_time(database: Settings) -> None:
    """Queued appends were not written, and never will be; the one under way nobody knows."""
    with ledger_on(database, timeout_seconds=0.5) as ledger:
        with Batch(ledger, database) as batch:
            for _ in range(3):
                batch.add(registered())
            errors = [future.exception() for future in batch.futures]
        assert [type(error) for error in errors] == [StoreUnavailable] * 3
        assert ledger.waiting() == 0
    assert len(check_log(database)) <= 1


def test_closing_answers_everybody(database: Settings) -> None:
    with ledger_on(database) as ledger, ThreadPoolExecutor(1) as closing:
        with Batch(ledger, database) as batch:
            for _ in range(5):
                batch.add(registered())
            closed = closing.submit(ledger.close)
            until(lambda: _refuses(ledger))
        closed.result()
        assert all(future.result() for future in batch.futures)
    assert len(check_log(database)) == 6


def _refuses(ledger: Ledger) -> bool:
    try:
        ledger.append_many([])
    except StoreUnavailable:
        return True
    return False


def test_after_closing_nothing_is_accepted(database: Settings) -> None:
    with ledger_on(database) as ledger:
        ledger.close()
        with pytest.raises(StoreUnavailable):
            ledger.append([registered()])
    assert log(database) == []


def test_a_fault_of_the_writer_itself_leaves_nobody_without_an_answer(
    database: Settings,
) -> None:
    with ledger_on(database) as ledger:
        impossible = Append(entries=[Entry(uuid4(), 1, "\ud800", b"{}", ())])
        with pytest.raises(AppendError):
            ledger._writer.append(impossible)
        ledger.append([registered()])
    assert len(check_log(database)) == 1


def test_the_application_role_cannot_edit_the_log(ledger: Ledger, database: Settings) -> None:
    ledger.append([registered()])
    with (
        psycopg.connect(conninfo(database, Role.WRITER)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("UPDATE ledger_events SET topic = 'x'")
