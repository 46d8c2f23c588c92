"""One append after the other against versions and balances in memory."""

from uuid import UUID

import pytest

from ledger.eventstore.append import BALANCE_MINOR_MAX, Append, Books, Entry
from ledger.eventstore.errors import (
    AppendError,
    BalanceChanged,
    BalanceOutOfRange,
    CeilingPassed,
    FloorPassed,
    VersionConflict,
)

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)
PLAYER = f"player:{UUID(int=9)}:available:EUR"
RESERVED = f"player:{UUID(int=9)}:reserved:EUR"
PROVIDER = "provider:acme:clearing:EUR"
COUNTER = f"limit:{UUID(int=9)}:EUR:2026-W47"
NAMES = {"player": PLAYER, "reserved": RESERVED, "provider": PROVIDER, "counter": COUNTER}


def entry(stream: UUID, version: int, **moved: int) -> Entry:
    """An event; `player=-5, provider=5, counter=1` is what it posts and counts."""
    changes = tuple((NAMES[name], amount) for name, amount in moved.items())
    return Entry(stream, version, "Topic", b"{}", changes)


def append(*entries: Entry, **rest: object) -> Append:
    return Append(entries=entries, **rest)


def books(versions: dict[UUID, int] | None = None, **balances: int) -> Books:
    return Books(versions or {}, {NAMES[name]: amount for name, amount in balances.items()})


def balances(after: Books) -> tuple[int, int]:
    return after.balance(PLAYER), after.balance(PROVIDER)


# --- versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_a_stream_begins_at_version_0_or_1(first: int) -> None:
    taken, refused = books().take(append(entry(A, first), entry(A, first + 1)), 0)
    assert [e.version for e in taken] == [first, first + 1]
    assert not refused


@pytest.mark.parametrize(
    ("stored", "versions"),
    [
        ({}, [2]),
        ({}, [1, 3]),
        ({}, [1, 1]),
        ({}, [2, 1]),
        ({}, [-1]),
        ({A: 0}, [2]),
        ({}, [0, 0]),
        ({A: 1}, [1]),
        ({A: 5}, [0]),
        ({A: 5}, [1]),
        ({A: 5}, [5]),
        ({A: 5}, [7]),
        ({A: 5}, [6, 6]),
    ],
)
def test_versions_follow_one_another_without_gap_or_repeat(
    stored: dict[UUID, int], versions: list[int]
) -> None:
    with pytest.raises(VersionConflict):
        books(stored).take(append(*(entry(A, version) for version in versions)), 0)


def test_a_conflict_says_what_was_expected_and_found() -> None:
    with pytest.raises(VersionConflict) as caught:
        books({A: 5}).take(append(entry(A, 4)), 0)
    assert (caught.value.stream, caught.value.expected, caught.value.found) == (A, 3, 5)


def test_streams_of_one_append_are_counted_separately() -> None:
    taken, _ = books({A: 3}).take(append(entry(A, 4), entry(B, 1), entry(A, 5)), 0)
    assert [(e.stream, e.version) for e in taken] == [(A, 4), (B, 1), (A, 5)]


def test_the_second_of_two_equal_appends_in_a_batch_conflicts() -> None:
    batch = books()
    batch.take(append(entry(A, 1)), 0)
    with pytest.raises(VersionConflict):
        batch.take(append(entry(A, 1)), 1)


def test_the_second_of_two_appends_at_version_0_conflicts_too() -> None:
    batch = books()
    batch.take(append(entry(A, 0)), 0)
    with pytest.raises(VersionConflict):
        batch.take(append(entry(A, 0)), 1)


def test_a_version_taken_in_the_batch_can_be_followed_in_it() -> None:
    batch = books()
    batch.take(append(entry(A, 1)), 0)
    batch.take(append(entry(A, 2)), 1)
    with pytest.raises(VersionConflict):
        batch.take(append(entry(A, 2)), 2)


# --- what a decision looked at ------------------------------------------------------------------


def test_a_stream_the_decision_looked_at_may_not_have_changed() -> None:
    with pytest.raises(VersionConflict):
        books({B: 3}).take(append(entry(A, 1), unchanged={B: 2}), 0)


def test_nor_may_it_have_appeared() -> None:
    with pytest.raises(VersionConflict):
        books({B: 1}).take(append(entry(A, 1), unchanged={B: 0}), 0)


def test_a_change_earlier_in_the_batch_counts() -> None:
    batch = books({B: 3})
    batch.take(append(entry(B, 4)), 0)
    with pytest.raises(VersionConflict):
        batch.take(append(entry(A, 1), unchanged={B: 3}), 1)
    batch.take(append(entry(A, 1), unchanged={B: 4}), 1)


def test_there_is_no_append_of_nothing() -> None:
    """It would have no position to be answered with."""
    with pytest.raises(ValueError, match="at least one event"):
        append(unchanged={B: 3})


@pytest.mark.parametrize("name", ["player", "provider", "counter"])
@pytest.mark.parametrize(("seen", "holds"), [(4, False), (5, True), (6, False)])
def test_a_balance_the_decision_looked_at_may_not_have_changed(
    name: str, seen: int, holds: bool
) -> None:
    batch = books(**{name: 5})
    decided = append(entry(A, 1), expected={NAMES[name]: seen})
    if holds:
        batch.take(decided, 0)
        return
    with pytest.raises(BalanceChanged) as caught:
        batch.take(decided, 0)
    assert (caught.value.account, caught.value.expected, caught.value.found) == (
        NAMES[name],
        seen,
        5,
    )


def test_a_balance_changed_earlier_in_the_batch_counts() -> None:
    batch = books()
    batch.take(append(entry(A, 1, counter=3), expected={COUNTER: 0}), 0)
    with pytest.raises(BalanceChanged):
        batch.take(append(entry(B, 1, counter=3), expected={COUNTER: 0}), 1)
    batch.take(append(entry(B, 1, counter=3), expected={COUNTER: 3}), 1)


def test_a_balance_seen_is_the_one_before_the_append() -> None:
    books(player=5).take(append(entry(A, 1, player=-5, provider=5), expected={PLAYER: 5}), 0)


def test_a_refusal_is_no_answer_to_a_changed_balance() -> None:
    """The decision rests on it, and so does the refusal."""
    with pytest.raises(BalanceChanged):
        books(player=5).take(append(TOO_MUCH, refusal=(entry(A, 1),), expected={PLAYER: 9}), 0)


# --- floors -------------------------------------------------------------------------------------


def test_a_player_account_may_reach_zero() -> None:
    after = books(player=5)
    after.take(append(entry(A, 1, player=-5, provider=5)), 0)
    assert balances(after) == (0, 5)


def test_it_may_not_go_below() -> None:
    with pytest.raises(FloorPassed) as caught:
        books(player=5).take(append(entry(A, 1, player=-6, provider=6)), 0)
    assert caught.value.account == PLAYER


def test_other_accounts_may() -> None:
    after = books()
    after.take(append(entry(A, 1, provider=-6, player=6)), 0)
    assert balances(after) == (6, -6)


def test_a_floor_holds_after_every_event_not_only_at_the_end() -> None:
    out, back = entry(A, 1, player=-6, provider=6), entry(A, 2, provider=-6, player=6)
    with pytest.raises(FloorPassed):
        books(player=5).take(append(out, back), 0)


def test_within_one_event_only_the_sum_counts() -> None:
    for both in (((PLAYER, -6), (PLAYER, 6)), ((PLAYER, 6), (PLAYER, -6))):
        books(player=5).take(append(Entry(A, 1, "Topic", b"{}", both)), 0)
    too_much = Entry(A, 1, "Topic", b"{}", ((PLAYER, -9), (PLAYER, 3)))
    with pytest.raises(FloorPassed):
        books(player=5).take(append(too_much), 0)


def test_every_player_account_has_the_floor() -> None:
    with pytest.raises(FloorPassed):
        books(player=9).take(append(entry(A, 1, reserved=-1, provider=1)), 0)


# --- counters and ceilings ----------------------------------------------------------------------


def test_a_counter_is_kept_like_an_account_and_has_no_floor() -> None:
    after = books(counter=2)
    after.take(append(entry(A, 1, counter=-5)), 0)
    assert after.balance(COUNTER) == -3
    assert after.moved == {COUNTER: 0}


@pytest.mark.parametrize("name", ["player", "provider", "counter"])
def test_a_ceiling_may_be_reached_and_not_passed(name: str) -> None:
    ceilings = {NAMES[name]: 10}
    books(**{name: 4}).take(append(entry(A, 1, **{name: 6}), ceilings=ceilings), 0)
    with pytest.raises(CeilingPassed) as caught:
        books(**{name: 5}).take(append(entry(A, 1, **{name: 6}), ceilings=ceilings), 0)
    assert (caught.value.account, caught.value.ceiling) == (NAMES[name], 10)


def test_a_ceiling_is_about_the_end_of_the_append() -> None:
    up, down = entry(A, 1, counter=11), entry(A, 2, counter=-1)
    books().take(append(up, down, ceilings={COUNTER: 10}), 0)


def test_a_ceiling_is_about_what_does_not_move_too() -> None:
    with pytest.raises(CeilingPassed):
        books(counter=11).take(append(entry(A, 1), ceilings={COUNTER: 10}), 0)


def test_what_an_earlier_append_counted_is_used_up_for_the_next_one() -> None:
    batch = books()
    batch.take(append(entry(A, 1, counter=6), ceilings={COUNTER: 10}), 0)
    with pytest.raises(CeilingPassed):
        batch.take(append(entry(B, 1, counter=6), ceilings={COUNTER: 10}), 1)
    assert batch.balance(COUNTER) == 6
    batch.take(append(entry(B, 1, counter=4), ceilings={COUNTER: 10}), 1)


def test_the_refusal_is_taken_where_a_ceiling_would_be_passed() -> None:
    refusal = (entry(A, 1), entry(A, 2))
    after = books(counter=7)
    above = append(entry(A, 1, counter=6), refusal=refusal, ceilings={COUNTER: 10})
    assert after.take(above, 0) == (refusal, True)
    assert after.balance(COUNTER) == 7
    assert after.moved == {}


def test_the_refusal_has_no_ceilings() -> None:
    """They are the entries'; what led to the refusal may well be above them already."""
    above = append(
        entry(A, 1, counter=1), refusal=(entry(A, 1, provider=1),), ceilings={COUNTER: 10}
    )
    assert books(counter=12).take(above, 0)[1]


# --- refusals and neighbours --------------------------------------------------------------------

TOO_MUCH = entry(A, 1, player=-6, provider=6)


def test_the_refusal_is_taken_where_a_floor_would_be_passed() -> None:
    refusal = (entry(A, 1), entry(A, 2))
    after = books(player=5)
    assert after.take(append(TOO_MUCH, refusal=refusal), 0) == (refusal, True)
    assert balances(after) == (5, 0)
    after.take(append(entry(A, 3)), 2)


def test_the_refusal_is_left_where_there_is_enough() -> None:
    taken, refused = books(player=6).take(append(TOO_MUCH, refusal=(entry(A, 1),)), 0)
    assert list(taken) == [TOO_MUCH]
    assert not refused


def test_the_refusal_is_no_way_around_a_version() -> None:
    with pytest.raises(VersionConflict):
        books({A: 1}, player=5).take(append(TOO_MUCH, refusal=(entry(A, 1),)), 0)


def test_the_refusal_may_not_pass_a_floor_either() -> None:
    with pytest.raises(FloorPassed):
        books(player=5).take(append(TOO_MUCH, refusal=(TOO_MUCH,)), 0)


def test_what_the_check_needs_includes_the_refusal() -> None:
    """Otherwise the refusal's accounts would count as empty, and be overwritten."""
    wanted = append(
        entry(A, 1, player=-1, provider=1),
        refusal=(entry(B, 1, reserved=1, provider=-1),),
        unchanged={C: 4},
        ceilings={COUNTER: 7},
        expected={"house:fx:EUR": 3},
        report=("house:fees:EUR",),
    )
    needed = {PLAYER, RESERVED, PROVIDER, COUNTER, "house:fx:EUR", "house:fees:EUR"}
    assert wanted.streams() == {A, B, C}
    assert wanted.accounts() == needed
    streams: set[UUID] = set()
    accounts: set[str] = set()
    wanted.add_unknown({}, {}, streams, accounts)
    assert (streams, accounts) == ({C}, needed)  # A and B begin here
    wanted.add_unknown({C: 4}, dict.fromkeys(needed, 0), known := set(), known)
    assert known == set()


@pytest.mark.parametrize(
    ("versions", "unknown"), [([1], set()), ([0, 1, 2], set()), ([2], {A}), ([7, 8], {A})]
)
def test_a_stream_that_does_not_begin_here_has_to_be_looked_up(
    versions: list[int], unknown: set[UUID]
) -> None:
    found: set[UUID] = set()
    append(*(entry(A, version) for version in versions)).add_unknown({}, {}, found, set())
    assert found == unknown


@pytest.mark.parametrize(
    "bad",
    [
        append(entry(B, 1, player=-1, provider=1), entry(A, 9)),
        append(entry(B, 1, player=-1, provider=1), entry(B, 2, player=-9, provider=9)),
        append(entry(B, 1, player=-1, provider=1), unchanged={A: 7}),
        append(entry(B, 1, provider=-1), entry(B, 2, provider=-BALANCE_MINOR_MAX)),
        append(entry(B, 1, player=-1, provider=1), ceilings={PROVIDER: -3}),
        append(entry(B, 1, player=-1, provider=1), expected={PROVIDER: -5}),
    ],
)
def test_an_append_that_fails_leaves_no_trace(bad: Append) -> None:
    batch = books({A: 1}, player=5, provider=-5)
    batch.take(append(entry(A, 2, player=-2, provider=2)), 0)
    with pytest.raises(AppendError):
        batch.take(bad, 1)
    assert balances(batch) == (3, -3)
    assert batch.moved == {PLAYER: 0, PROVIDER: 0}
    batch.take(append(entry(B, 1, player=-3, provider=3)), 1)
    assert balances(batch) == (0, 0)


def test_what_an_earlier_append_took_is_gone_for_the_next_one() -> None:
    batch = books(player=10)
    batch.take(append(entry(A, 1, player=-6, provider=6)), 0)
    with pytest.raises(FloorPassed):
        batch.take(append(entry(B, 1, player=-6, provider=6)), 1)


def test_it_is_remembered_which_event_moved_an_account_last() -> None:
    batch = books(player=10)
    batch.take(append(entry(A, 1, player=-1, provider=1), entry(A, 2, player=-1, reserved=1)), 0)
    batch.take(append(entry(B, 1), entry(B, 2, reserved=-1, provider=1)), 2)
    assert batch.moved == {PLAYER: 1, RESERVED: 3, PROVIDER: 3}


# --- range --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_a_balance_stops_well_before_a_bigint_overflows(sign: int) -> None:
    full = books(provider=sign * BALANCE_MINOR_MAX)
    with pytest.raises(BalanceOutOfRange):
        full.take(append(entry(A, 1, provider=sign)), 0)
    full.take(append(entry(A, 1, provider=-sign)), 0)
    assert BALANCE_MINOR_MAX < 2**63 - 1


def test_a_balance_out_of_range_is_no_lack_of_funds() -> None:
    full = books(player=1, provider=BALANCE_MINOR_MAX)
    with pytest.raises(BalanceOutOfRange):
        full.take(append(entry(A, 1, provider=1, player=-1), refusal=(entry(A, 1),)), 0)
