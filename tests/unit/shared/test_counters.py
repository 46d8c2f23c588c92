"""Counters: their names, the calendar windows in them, and taking counts back."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.counters import (
    Window,
    counts,
    deposited_counter,
    instrument_counter,
    limit_counter,
    uncounted,
    wagered_counter,
)
from domain.events import Count
from domain.money import Money
from domain.player.player import register_player
from domain.player.wagers import record_wager
from tests.scenarios.scenario import PLAYER_ID, TRANSACTION, command

DATES = st.dates(date(1990, 1, 1), date(2200, 12, 31))


def period(window: Window, today: date) -> str:
    return limit_counter(PLAYER_ID, window, "EUR", today).removeprefix(f"limit:{PLAYER_ID}:EUR:")


@pytest.mark.parametrize(
    ("today", "week", "month"),
    [
        (date(2026, 12, 27), "2026-W52", "2026-12"),
        (date(2026, 12, 28), "2026-W53", "2026-12"),
        (date(2026, 12, 31), "2026-W53", "2026-12"),
        (date(2027, 1, 1), "2026-W53", "2027-01"),
        (date(2027, 1, 3), "2026-W53", "2027-01"),
        (date(2027, 1, 4), "2027-W01", "2027-01"),
        # The last days of a December in the first week of the next year.
        (date(2024, 12, 29), "2024-W52", "2024-12"),
        (date(2024, 12, 30), "2025-W01", "2024-12"),
        (date(2025, 1, 1), "2025-W01", "2025-01"),
        (date(2026, 4, 30), "2026-W18", "2026-04"),
        (date(2026, 5, 1), "2026-W18", "2026-05"),
        (date(2028, 2, 28), "2028-W09", "2028-02"),
        (date(2028, 2, 29), "2028-W09", "2028-02"),
        (date(2028, 3, 1), "2028-W09", "2028-03"),
        (date(2027, 2, 28), "2027-W08", "2027-02"),
        (date(2027, 3, 1), "2027-W09", "2027-03"),
    ],
)
def test_a_date_lies_in_one_day_one_week_and_one_month(today: date, week: str, month: str) -> None:
    assert period(Window.DAY, today) == today.isoformat()
    assert period(Window.WEEK, today) == week
    assert period(Window.MONTH, today) == month


@given(DATES, DATES)
def test_two_dates_share_a_counter_exactly_when_they_share_the_window(a: date, b: date) -> None:
    def monday(day: date) -> date:
        return day - timedelta(days=day.weekday())

    assert (period(Window.DAY, a) == period(Window.DAY, b)) is (a == b)
    assert (period(Window.WEEK, a) == period(Window.WEEK, b)) is (monday(a) == monday(b))
    same_month = a.replace(day=1) == b.replace(day=1)
    assert (period(Window.MONTH, a) == period(Window.MONTH, b)) is same_month


@given(DATES, st.integers(0, 6))
def test_the_seven_days_from_monday_are_one_week(day: date, later: int) -> None:
    monday = day - timedelta(days=day.weekday())
    assert period(Window.WEEK, monday + timedelta(days=later)) == period(Window.WEEK, monday)


@given(DATES, DATES)
def test_no_counter_is_that_of_another_window(a: date, b: date) -> None:
    assert len({period(Window.DAY, a), period(Window.WEEK, b), period(Window.MONTH, a)}) == 3


def test_counters_are_apart_by_player_currency_and_purpose() -> None:
    today, other = date(2026, 3, 2), TRANSACTION
    names = [
        name
        for player_id in (PLAYER_ID, other)
        for currency in ("EUR", "USD")
        for name in (
            *(limit_counter(player_id, window, currency, today) for window in Window),
            instrument_counter(player_id, "card-1", currency),
            instrument_counter(player_id, "card-2", currency),
            deposited_counter(player_id, currency),
            wagered_counter(player_id, currency),
        )
    ]
    assert len(set(names)) == len(names)


def test_an_event_tells_what_it_counts() -> None:
    wager = record_wager(
        TRANSACTION, command(), player_id=PLAYER_ID, amount=Money(5, "EUR"), metadata={}
    )
    assert counts(wager) == wager.counts != ()
    assert counts(register_player(PLAYER_ID, command())) == ()


@given(st.lists(st.builds(Count, counter=st.sampled_from("abc"), change=st.integers(-9, 9))))
def test_counting_and_taking_back_leaves_nothing(made: list[Count]) -> None:
    balances: dict[str, int] = {}
    for count in (*made, *uncounted(tuple(made))):
        balances[count.counter] = balances.get(count.counter, 0) + count.change
    assert not any(balances.values())
