"""Many appends at once: one wait, and an outcome of its own for each."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.accounts import available
from domain.money import Money
from ledger.eventstore import batch_sql
from ledger.eventstore.append import Receipt
from ledger.eventstore.errors import (
    BalanceChanged,
    CeilingPassed,
    FloorPassed,
    QueueFull,
    StoreUnavailable,
    VersionConflict,
)
from ledger.eventstore.ledger import Drafting, Ledger
from ledger.settings import Settings
from tests.integration.ledger.queued import Batch, until
from tests.oracles.ledger_checks import (
    check_log,
    check_receipt,
    counted,
    credit,
    ledger_on,
    log,
    player_history,
    registered,
    requested,
)

EUR_100 = Money(10_000, "EUR")
LIMIT = f"limit:{UUID(int=9)}:EUR:2026-W47"


@pytest.fixture
def ledger(database: Settings) -> Iterator[Ledger]:
    with ledger_on(database) as opened:
        yield opened


def test_many_appends_have_an_outcome_each_in_their_order(
    ledger: Ledger, database: Settings
) -> None:
    poor, stream, taken = uuid4(), uuid4(), uuid4()
    ledger.append([registered(taken)])
    outcomes = ledger.append_many(
        [
            Drafting(events=[registered(stream)], report=[LIMIT]),
            Drafting(events=[registered(taken)]),
            Drafting(events=[counted(**{LIMIT: 5})], ceilings={LIMIT: 4}),
            Drafting(events=requested(poor, EUR_100)),
            Drafting(events=[credit(poor, EUR_100)], report=[available(poor, "EUR")]),
            Drafting(events=requested(poor, EUR_100), report=[available(poor, "EUR")]),
            Drafting(events=player_history(stream, 2)[1:], unchanged={taken: 1}),
            Drafting(events=[registered()], unchanged={taken: 0}),
            Drafting(events=[registered()], expected={LIMIT: 1}),
            Drafting(
                events=[counted(**{LIMIT: 5})],
                ceilings={LIMIT: 4},
                refusal=player_history(uuid4(), 2),
            ),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [
        Receipt,
        VersionConflict,
        CeilingPassed,
        FloorPassed,
        Receipt,
        Receipt,
        Receipt,
        VersionConflict,
        BalanceChanged,
        Receipt,
    ]
    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    assert [list(receipt.positions) for receipt in receipts] == [[2], [3], [4], [5], [6, 7]]
    assert [receipt.refused for receipt in receipts] == [False, False, False, False, True]
    assert [dict(receipt.balances) for receipt in receipts[:3]] == [
        {LIMIT: 0},
        {available(poor, "EUR"): 10_000},
        {available(poor, "EUR"): 0},
    ]
    assert len({receipt.size for receipt in receipts}) == 1, "it was meant to be one batch"
    events = check_log(database)
    for receipt in receipts:
        check_receipt(receipt, events, database)


def test_more_appends_than_a_batch_holds_keep_their_order(
    ledger: Ledger, database: Settings
) -> None:
    history = player_history(uuid4(), 600)
    outcomes = ledger.append_many([Drafting(events=[event]) for event in history])
    assert [outcome.position for outcome in outcomes] == list(range(1, 601))
    check_log(database)


def test_a_hundred_deposits_of_new_players_cost_one_look(
    ledger: Ledger, database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append([registered()])
    looks: list[int] = []
    look = batch_sql.look

    def counting(connection: Any, streams: Any, accounts: Any) -> Any:
        looks.append(len(accounts))
        return look(connection, streams, accounts)

    monkeypatch.setattr(batch_sql, "look", counting)
    drafts = []
    for _ in range(100):
        windows = {f"limit:{uuid4()}:EUR:{period}": 100 for period in ("d", "w", "m")}
        drafts.append(Drafting(events=[counted(**windows)], ceilings=dict.fromkeys(windows, 100)))
    outcomes = ledger.append_many(drafts)
    assert {type(outcome) for outcome in outcomes} == {Receipt}
    assert looks == [300]
    assert len(check_log(database)) == 101


def test_many_are_queued_together_or_not_at_all(database: Settings) -> None:
    with ledger_on(database, queue_size_max=5) as ledger:
        with pytest.raises(QueueFull):
            ledger.append_many([Drafting(events=[registered()])] * 6)
        with Batch(ledger, database) as batch:
            batch.add(registered())
            with pytest.raises(QueueFull):
                ledger.append_many([Drafting(events=[registered()]) for _ in range(5)])
            assert ledger.waiting() == 1
            four = batch.pool.submit(
                ledger.append_many, [Drafting(events=[registered()]) for _ in range(4)]
            )
            until(lambda: ledger.waiting() == 5)
        assert [outcome.position for outcome in four.result()] == [3, 4, 5, 6]
    assert len(check_log(database)) == 6


def test_while_nobody_answers_none_of_many_is_written_and_all_are_told_so(
    database: Settings,
) -> None:
    with ledger_on(database, timeout_seconds=0.5) as ledger:
        with Batch(ledger, database) as batch:
            many = batch.pool.submit(
                ledger.append_many, [Drafting(events=[registered()]) for _ in range(3)]
            )
            assert [type(outcome) for outcome in many.result()] == [StoreUnavailable] * 3
        assert ledger.waiting() == 0
    assert len(check_log(database)) <= 1


def test_after_closing_none_of_many_is_accepted(database: Settings) -> None:
    with ledger_on(database) as ledger:
        ledger.close()
        with pytest.raises(StoreUnavailable):
            ledger.append_many([Drafting(events=[registered()])])
    assert log(database) == []
