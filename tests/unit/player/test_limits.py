"""Deposit limits: less at once, more after a day, counted per calendar window."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.counters import Window, limit_counter
from domain.errors import CommandReused, LimitInvalid, NothingToChange
from domain.events import Count, LimitSet
from domain.money import AMOUNT_MINOR_MAX, Money
from domain.player.calendar import day_kept, today_of
from domain.player.limits import (
    deposit_ceilings,
    deposit_counts,
    late_concerns,
    limit_in_force,
    set_limit,
)
from domain.player.player import Limit, Player, change_verification, evolve_player
from tests.scenarios.scenario import NOW, PLAYER_ID, by, player

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
TODAY = date(2026, 3, 2)


def ask(
    state: Player,
    limit_minor: int | None,
    *,
    now: datetime = NOW,
    window: Window = Window.DAY,
    currency: str = "EUR",
) -> LimitSet:
    event = set_limit(
        state, by("ann", now=now), window=window, currency=currency, limit_minor=limit_minor
    )
    assert event is not None
    return event


def asked(state: Player, *asks: tuple[timedelta, int | None]) -> Player:
    """The player after asking for each value at its time, counted from NOW."""
    for after, limit_minor in asks:
        state = evolve_player(state, ask(state, limit_minor, now=NOW + after))
    return state


def at(state: Player, after: timedelta) -> int | None:
    """The daily limit in force, at a time counted from NOW."""
    return limit_in_force(state, Window.DAY, "EUR", NOW + after)


# --- setting ------------------------------------------------------------------------------------


def test_nobody_has_a_limit_to_begin_with() -> None:
    assert all(limit_in_force(player(), window, "EUR", NOW) is None for window in Window)


@pytest.mark.parametrize("limit_minor", [0, 1, AMOUNT_MINOR_MAX])
def test_the_first_limit_holds_at_once(limit_minor: int) -> None:
    event = ask(player(), limit_minor)
    assert (event.window, event.currency, event.limit_minor) == ("day", "EUR", limit_minor)
    assert event.effective_at == NOW
    assert at(evolve_player(player(), event), timedelta()) == limit_minor


def test_a_decrease_holds_at_once() -> None:
    state = asked(player(), (timedelta(), 100), (timedelta(), 99))
    assert at(state, timedelta()) == 99


@pytest.mark.parametrize("more", [101, None])
def test_an_increase_or_removal_holds_a_day_later(more: int | None) -> None:
    state = asked(player(), (timedelta(), 100), (timedelta(), more))
    assert at(state, timedelta()) == 100
    assert at(state, DAY - TICK) == 100
    assert at(state, DAY) == more


def test_where_the_law_says_so_an_increase_waits_for_a_week() -> None:
    state = asked(player(jurisdiction="DE-BE"), (timedelta(), 100), (timedelta(), 200))
    assert at(state, 7 * DAY - TICK) == 100
    assert at(state, 7 * DAY) == 200


def test_moving_elsewhere_does_not_shorten_a_wait_that_has_begun() -> None:
    state = asked(player(jurisdiction="DE"), (timedelta(), 100), (timedelta(), 200))
    assert at(replace(state, jurisdiction="MT"), DAY) == 100


def test_limits_are_apart_by_window_and_currency() -> None:
    keys = list(product(Window, ("EUR", "JPY")))
    state = player()
    for limit_minor, (window, currency) in enumerate(keys, start=1):
        event = ask(state, limit_minor, window=window, currency=currency)
        state = evolve_player(state, event)
    assert [limit_in_force(state, *key, NOW) for key in keys] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("limit_minor", [-1, AMOUNT_MINOR_MAX + 1, True, 1.0, "1"])
def test_a_limit_is_a_number_of_minor_units_that_can_be_paid_in(limit_minor: object) -> None:
    with pytest.raises(LimitInvalid):
        ask(player(), limit_minor)


@pytest.mark.parametrize("currency", ["eur", "XXX", ""])
def test_a_limit_in_no_currency_would_never_apply(currency: str) -> None:
    with pytest.raises(LimitInvalid):
        ask(player(), 100, currency=currency)


def test_a_limit_is_set_once_per_command() -> None:
    command = by("ann")
    change = {"window": Window.WEEK, "currency": "EUR"}
    state = evolve_player(player(), set_limit(player(), command, **change, limit_minor=5))
    assert set_limit(state, command, **change, limit_minor=5) is None
    with pytest.raises(CommandReused):
        set_limit(state, replace(command, request_digest="other"), **change, limit_minor=6)


# --- what stands × what is asked for ------------------------------------------------------------

LATER = timedelta(hours=1)
STANDING = {
    "none": (),
    "100": ((timedelta(), 100),),
    "100, soon 200": ((timedelta(), 100), (timedelta(), 200)),
    "100, soon none": ((timedelta(), 100), (timedelta(), None)),
    "200 since": ((-DAY, 100), (-DAY + LATER, 200)),
    "none since": ((-DAY, 100), (-DAY + LATER, None)),
}
ASKED = (0, 100, 150, 200, 300, None)
NO = "nothing to change"
OUTCOMES = {
    # asked:             0       100      150      200      300      None
    "none":            ("now",  "now",   "now",   "now",   "now",   NO),
    "100":             ("now",  NO,      "later", "later", "later", "later"),
    "100, soon 200":   ("now",  "now",   "later", NO,      "later", "later"),
    "100, soon none":  ("now",  "now",   "later", "later", "later", NO),
    "200 since":       ("now",  "now",   "now",   NO,      "later", "later"),
    "none since":      ("now",  "now",   "now",   "now",   "now",   NO),
}  # fmt: skip


def test_every_standing_limit_has_a_row() -> None:
    assert set(OUTCOMES) == set(STANDING)
    assert {len(row) for row in OUTCOMES.values()} == {len(ASKED)}


@pytest.mark.parametrize(
    ("standing", "limit_minor", "outcome"),
    [
        (standing, limit_minor, outcome)
        for standing, row in OUTCOMES.items()
        for limit_minor, outcome in zip(ASKED, row, strict=True)
    ],
)
def test_what_is_asked_for_holds_now_or_later_and_replaces_what_is_pending(
    standing: str, limit_minor: int | None, outcome: str
) -> None:
    state = asked(player(), *STANDING[standing])
    before = at(state, LATER)
    if outcome == NO:
        with pytest.raises(NothingToChange):
            ask(state, limit_minor, now=NOW + LATER)
        return
    event = ask(state, limit_minor, now=NOW + LATER)
    state = evolve_player(state, event)
    assert event.effective_at == NOW + LATER + (DAY if outcome == "later" else timedelta())
    assert at(state, LATER) == (before if outcome == "later" else limit_minor)
    # Whatever was pending is gone: from the new time on there is nothing but what was asked for.
    assert at(state, LATER + DAY - TICK) == at(state, LATER)
    assert at(state, LATER + DAY) == limit_minor


# --- over time ----------------------------------------------------------------------------------

VALUES = st.sampled_from([0, 1, 2, 3, 4, 5, None])
GAPS = st.sampled_from(
    [
        timedelta(),
        TICK,
        timedelta(hours=1),
        timedelta(hours=12),
        DAY - TICK,
        DAY,
        DAY + TICK,
        3 * DAY,
    ]
)
ASKS = st.lists(st.tuples(GAPS, VALUES), max_size=12)

NONE = AMOUNT_MINOR_MAX + 1
"""No limit, as a number above every limit."""


def play(asks: list[tuple[timedelta, int | None]]) -> tuple[Player, list[tuple[datetime, int]]]:
    """The player after all asks, and what was asked when, also where nothing came of it."""
    state, now, made = player(), NOW, []
    for gap, value in asks:
        now += gap
        made.append((now, NONE if value is None else value))
        try:
            event = ask(state, value, now=now)
        except NothingToChange:
            continue
        state = evolve_player(state, event)
    return state, made


def as_number(limit_minor: int | None) -> int:
    return NONE if limit_minor is None else limit_minor


def expected(asks: list[tuple[datetime, int]], now: datetime) -> int:
    """The limit by another formulation: no pending changes, only what has been asked when.

    The last thing asked for holds once it is a day old; before, it holds only as far as it is
    below what held when it was asked for. Asking for the same again is not asking.
    """
    changes = [new for old, new in pairwise([(NOW, NONE), *asks]) if new[1] != old[1]]
    return _expected(changes, now)


def _expected(changes: list[tuple[datetime, int]], now: datetime) -> int:
    if not changes:
        return NONE
    when, value = changes[-1]
    if now >= when + DAY:
        return value
    return min(value, _expected(changes[:-1], when))


def moments(asks: list[tuple[datetime, int]]) -> list[datetime]:
    """Every time at which the last limit could change, and those just beside it."""
    times = {when + wait for when, _ in asks for wait in (timedelta(), DAY)} | {NOW}
    last = asks[-1][0] if asks else NOW
    return sorted(t + d for t in times for d in (-TICK, timedelta(), TICK) if t + d >= last)


def in_force_throughout(
    asks: list[tuple[timedelta, int | None]],
) -> list[tuple[datetime, int, list[tuple[datetime, int]]]]:
    """The limit at every moment that matters, as the player was then, with the asks until then."""
    seen = []
    for number in range(len(asks) + 1):
        state, made = play(asks[:number])
        until = NOW + sum((gap for gap, _ in asks[: number + 1]), timedelta())
        for now in moments(made):
            if number == len(asks) or now <= until:
                limit = as_number(limit_in_force(state, Window.DAY, "EUR", now))
                seen.append((now, limit, made))
    return seen


@given(ASKS)
def test_the_limit_in_force_is_that_of_an_independent_reference(
    asks: list[tuple[timedelta, int | None]],
) -> None:
    for now, limit, made in in_force_throughout(asks):
        assert limit == expected(made, now)


@given(ASKS)
def test_the_limit_is_never_above_what_was_asked_for_within_a_day(
    asks: list[tuple[timedelta, int | None]],
) -> None:
    for now, limit, made in in_force_throughout(asks):
        assert all(limit <= value for when, value in made if now < when + DAY)


@given(ASKS)
def test_the_limit_never_rises_to_what_was_not_asked_for_a_day_before(
    asks: list[tuple[timedelta, int | None]],
) -> None:
    for (_, before, _), (now, limit, made) in pairwise(in_force_throughout(asks)):
        if limit > before:
            assert any(value == limit and when + DAY <= now for when, value in made)


@given(ASKS, VALUES)
def test_lowering_a_limit_always_helps_at_once(
    asks: list[tuple[timedelta, int | None]], value: int | None
) -> None:
    state, made = play(asks)
    now = made[-1][0] if made else NOW
    before = as_number(limit_in_force(state, Window.DAY, "EUR", now))
    if as_number(value) < before:
        state = evolve_player(state, ask(state, value, now=now))
        assert limit_in_force(state, Window.DAY, "EUR", now) == value
        assert limit_in_force(state, Window.DAY, "EUR", now + 1_000 * DAY) == value


# --- counting -----------------------------------------------------------------------------------


def test_a_deposit_counts_in_all_three_windows_with_or_without_a_limit() -> None:
    assert deposit_counts(PLAYER_ID, Money(500, "EUR"), date(2027, 1, 3)) == (
        Count(counter=f"limit:{PLAYER_ID}:EUR:2027-01-03", change=500),
        Count(counter=f"limit:{PLAYER_ID}:EUR:2026-W53", change=500),
        Count(counter=f"limit:{PLAYER_ID}:EUR:2027-01", change=500),
    )


def counter(window: Window, currency: str = "EUR") -> str:
    return limit_counter(PLAYER_ID, window, currency, TODAY)


def limited(**limits: int | None) -> Player:
    """A player with these limits in EUR, by window."""
    made = {(Window(w), "EUR"): Limit(limit_minor=minor) for w, minor in limits.items()}
    return replace(player(), limits=made)


def test_only_windows_with_a_limit_have_a_ceiling() -> None:
    assert deposit_ceilings(player(), "EUR", NOW, TODAY) == {}
    state = limited(day=0, week=None, month=900)
    assert deposit_ceilings(state, "EUR", NOW, TODAY) == {
        counter(Window.DAY): 0,
        counter(Window.MONTH): 900,
    }
    assert deposit_ceilings(state, "USD", NOW, TODAY) == {}


def test_a_ceiling_is_the_limit_in_force_now() -> None:
    state = asked(player(), (timedelta(), 100), (timedelta(), 200))
    assert deposit_ceilings(state, "EUR", NOW + DAY - TICK, TODAY) == {counter(Window.DAY): 100}
    assert deposit_ceilings(state, "EUR", NOW + DAY, TODAY) == {counter(Window.DAY): 200}


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
def test_every_ceiling_is_of_a_counter_that_a_deposit_of_that_day_counts_on(today: date) -> None:
    state = limited(day=1, week=2, month=3)
    counted = {count.counter for count in deposit_counts(state.id, Money(1, "EUR"), today)}
    assert set(deposit_ceilings(state, "EUR", NOW, today)) == counted


# --- moving -------------------------------------------------------------------------------------

ZONES = ("UTC", "Pacific/Auckland", "Pacific/Honolulu", "Pacific/Kiritimati", "America/Havana")
HALF_HOUR = timedelta(minutes=30)


@given(st.lists(st.tuples(st.integers(0, 150), st.sampled_from(ZONES)), max_size=8))
def test_moving_neither_opens_a_day_nor_closes_one_early(moves: list[tuple[int, str]]) -> None:
    """Looked at every half hour, whatever the moves: days go on, and each lasts a day at least."""
    state, days = player(), []
    due: dict[int, list[str]] = {}
    for step, zone in moves:
        due.setdefault(step, []).append(zone)
    for step in range(400):
        now = NOW + step * HALF_HOUR
        before = today_of(state, now)
        for zone in due.get(step, ()):
            state = moved(state, zone, now)
            assert today_of(state, now) == before
        days.append(before)
    assert days == sorted(days)
    lasted = Counter(days)
    complete = sorted(lasted)[1:-1]
    assert all(lasted[day] >= 46 for day in complete), "a day has 23 hours at least"
    assert days[-1] <= (NOW + 400 * HALF_HOUR + timedelta(hours=14)).date()


def test_in_the_end_days_are_those_of_where_the_player_is() -> None:
    state = moved(player(), "Pacific/Auckland", NOW)
    there = NOW + 3 * DAY  # 22:30 in Auckland
    assert today_of(state, there) == date(2026, 3, 5)
    assert today_of(state, there + timedelta(hours=2)) == date(2026, 3, 6)


def moved(state: Player, zone: str, now: datetime) -> Player:
    try:
        event = change_verification(
            state,
            by("ann", now=now),
            verification=state.verification,
            jurisdiction=state.jurisdiction,
            time_zone=zone,
            kept_day=day_kept(state, zone, now),
        )
    except NothingToChange:
        return state
    assert event is not None
    return evolve_player(state, event)


# --- hearing late -------------------------------------------------------------------------------

EXCLUDED, EXCEEDED = "player_excluded", "limit_exceeded"


@pytest.mark.parametrize("window", Window)
@pytest.mark.parametrize(
    ("used_minor", "concerns"), [(0, ()), (499, ()), (500, ()), (501, (EXCEEDED,))]
)
def test_a_late_deposit_is_of_concern_when_it_passes_a_limit(
    window: Window, used_minor: int, concerns: tuple[str, ...]
) -> None:
    state, used = limited(**{window: 1_000}), {counter(window): used_minor}
    assert late_concerns(state, Money(500, "EUR"), used, NOW, TODAY) == concerns


def test_a_counter_that_was_never_used_is_at_zero() -> None:
    assert late_concerns(limited(day=500), Money(500, "EUR"), {}, NOW, TODAY) == ()
    assert late_concerns(limited(day=499), Money(500, "EUR"), {}, NOW, TODAY) == (EXCEEDED,)


def test_a_limit_passed_in_every_window_is_one_concern() -> None:
    state = limited(day=1, week=1, month=1)
    assert late_concerns(state, Money(2, "EUR"), {}, NOW, TODAY) == (EXCEEDED,)


def test_a_late_deposit_is_of_concern_while_the_player_is_excluded() -> None:
    state = player(excluded_until=NOW + DAY)
    amount = Money(500, "EUR")
    assert late_concerns(state, amount, {}, NOW, TODAY) == (EXCLUDED,)
    assert late_concerns(state, amount, {}, NOW + DAY, TODAY) == ()
    both = replace(state, limits=limited(week=0).limits)
    assert late_concerns(both, amount, {}, NOW, TODAY) == (EXCLUDED, EXCEEDED)
