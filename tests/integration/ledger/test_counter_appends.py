"""Counters on a real database: beside the accounts, under ceilings, whoever else writes."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from domain.money import Money
from ledger.eventstore.errors import BalanceChanged, CeilingPassed
from ledger.eventstore.ledger import Ledger
from ledger.settings import Settings
from tests.oracles.ledger_checks import (
    balance,
    check_log,
    counted,
    credit,
    ledger_on,
    rejected,
    requested,
    rows,
)

EUR_100 = Money(10_000, "EUR")
LIMIT = f"limit:{UUID(int=9)}:EUR:2026-W47"


@pytest.fixture
def ledger(database: Settings) -> Iterator[Ledger]:
    with ledger_on(database) as opened:
        yield opened


def test_counters_are_kept_beside_the_accounts_without_a_floor(
    ledger: Ledger, database: Settings
) -> None:
    ledger.append([counted(**{LIMIT: 700, "deposited:x:EUR": -5})])
    receipt = ledger.append([counted(**{LIMIT: -900})], report=[LIMIT])
    assert receipt.balances == {LIMIT: -200}
    assert ledger.balances([LIMIT, "deposited:x:EUR"]) == {LIMIT: -200, "deposited:x:EUR": -5}
    kept = rows(database, "SELECT account, floor, position FROM ledger_accounts ORDER BY 1")
    assert [tuple(row) for row in kept] == [("deposited:x:EUR", None, 1), (LIMIT, None, 2)]


def test_the_longest_name_of_a_counter_fits(ledger: Ledger) -> None:
    """Instruments are named by as many as 255 characters, of as many as four bytes."""
    name = f"instrument:{uuid4()}:EUR:{'😀' * 255}"
    ledger.append([counted(**{name: 1})])
    assert ledger.balances([name]) == {name: 1}


def test_a_ceiling_that_would_be_passed_refuses_and_nothing_is_written(
    ledger: Ledger, database: Settings
) -> None:
    ledger.append([counted(**{LIMIT: 600})], ceilings={LIMIT: 1_000})
    with pytest.raises(CeilingPassed):
        ledger.append([counted(**{LIMIT: 600})], ceilings={LIMIT: 1_000})
    assert ledger.append([counted(**{LIMIT: 400})], ceilings={LIMIT: 1_000}).position == 2
    assert len(check_log(database)) == 2


def test_of_50_deposits_up_to_the_limit_exactly_one_counts(
    ledger: Ledger, database: Settings
) -> None:
    start = threading.Barrier(50)

    def deposit(_number: int) -> bool:
        start.wait()
        return ledger.append(
            [counted(**{LIMIT: 1_000})], refusal=[counted()], ceilings={LIMIT: 1_000}
        ).refused

    with ThreadPoolExecutor(50) as pool:
        assert Counter(pool.map(deposit, range(50))) == {False: 1, True: 49}
    assert ledger.balances([LIMIT]) == {LIMIT: 1_000}
    assert len(check_log(database)) == 50


def test_a_refusal_that_rests_on_what_is_remembered_is_decided_again(database: Settings) -> None:
    """Another writer has made room meanwhile: whoever refuses then refuses wrongly."""
    player_id, ceilings = uuid4(), {LIMIT: 1_000}
    with ledger_on(database) as one, ledger_on(database) as other:
        for money in (300, 200, 100):
            one.append([counted(**{LIMIT: 900})], ceilings=ceilings)  # remembered as full
            other.append([counted(**{LIMIT: -900}), credit(player_id, Money(money, "EUR"))])
            deposit = one.append([counted(**{LIMIT: 900})], refusal=[counted()], ceilings=ceilings)
            assert not deposit.refused
            other.append([counted(**{LIMIT: -900})])
            one.append([counted(**{LIMIT: 900})], ceilings=ceilings)  # and without a refusal
            other.append([counted(**{LIMIT: -900})])
            stream = uuid4()
            withdrawal = one.append(
                requested(player_id, Money(money, "EUR"), stream=stream),
                refusal=rejected(player_id, Money(money, "EUR"), stream),
            )
            assert not withdrawal.refused  # remembered as empty
        assert one.balances([LIMIT]) == {LIMIT: 0}
        assert balance(one, player_id) == 0
    check_log(database)


def test_two_writers_at_once_refuse_exactly_what_the_order_of_the_log_refuses(
    database: Settings,
) -> None:
    """Replayed in order, every append was taken or refused as the counter stood just then."""
    ceilings = {LIMIT: 3}
    with ledger_on(database) as one, ledger_on(database) as other:

        def deposit(number: int) -> None:
            writer = (one, other)[number % 2]
            taken, refusal = counted(**{LIMIT: 1}), counted(refused=0)
            if not writer.append([taken], refusal=[refusal], ceilings=ceilings).refused:
                writer.append([counted(**{LIMIT: -1})])

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(deposit, range(300)))
        history = [
            event for stored in check_log(database) for event in one.history(stored.originator_id)
        ]
    used, refusals = 0, 0
    for event in history:
        (count,) = event.counts
        if count.counter == LIMIT:
            used += count.change
            assert 0 <= used <= 3
        else:
            refusals += 1
            assert used == 3, "refused although there was room"
    assert used == 0
    assert refusals > 0


def test_a_decision_is_written_only_if_the_balances_it_saw_still_hold(
    database: Settings,
) -> None:
    with ledger_on(database) as one, ledger_on(database) as other:
        one.append([counted(**{LIMIT: 5})], expected={LIMIT: 0})
        other.append([counted(**{LIMIT: 5})], expected={LIMIT: 5})
        with pytest.raises(BalanceChanged) as caught:
            one.append([counted(**{LIMIT: 1})], expected={LIMIT: 5})
        assert (caught.value.expected, caught.value.found) == (5, 10)
        other.append([counted(**{LIMIT: -5})])
        one.append([counted(**{LIMIT: 1})], expected={LIMIT: 5})  # as remembered, not as before
    assert len(check_log(database)) == 4
