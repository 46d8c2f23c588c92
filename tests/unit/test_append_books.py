"""One append after the other against versions and balances in memory."""

from uuid import UUID

import pytest

from domain.postings import Posting
from tallystick.eventstore.append import BALANCE_MINOR_MAX, Append, Books, Entry
from tallystick.eventstore.errors import (
    AppendError,
    BalanceOutOfRange,
    FloorPassed,
    VersionConflict,
)

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)
PLAYER = f"player:{UUID(int=9)}:available:EUR"
RESERVED = f"player:{UUID(int=9)}:reserved:EUR"
PROVIDER = "provider:acme:clearing:EUR"


def entry(stream: UUID, version: int, **moved: int) -> Entry:
    """An event; `player=-5, provider=5` are its postings."""
    names = {"player": PLAYER, "reserved": RESERVED, "provider": PROVIDER}
    postings = tuple(Posting(names[name], amount) for name, amount in moved.items())
    return Entry(stream, version, "Topic", b"{}", postings)


def append(*entries: Entry, **rest: object) -> Append:
    return Append(entries=entries, **rest)


def books(versions: dict[UUID, int] | None = None, **balances: int) -> Books:
    names = {"player": PLAYER, "reserved": RESERVED, "provider": PROVIDER}
    return Books(versions or {}, {names[name]: amount for name, amount in balances.items()})


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


def test_an_append_of_nothing_is_a_question_about_versions() -> None:
    assert books({B: 3}).take(append(unchanged={B: 3}), 0) == ((), False)


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
    both = Entry(
        A, 1, "Topic", b"{}", (Posting(PLAYER, -6), Posting(PLAYER, 6), Posting(PROVIDER, 0))
    )
    books(player=5).take(append(both), 0)


def test_every_player_account_has_the_floor() -> None:
    with pytest.raises(FloorPassed):
        books(player=9).take(append(entry(A, 1, reserved=-1, provider=1)), 0)


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
        report=("house:fees:EUR",),
    )
    assert wanted.streams() == {A, B, C}
    assert wanted.accounts() == {PLAYER, RESERVED, PROVIDER, "house:fees:EUR"}


@pytest.mark.parametrize(
    "bad",
    [
        append(entry(B, 1, player=-1, provider=1), entry(A, 9)),
        append(entry(B, 1, player=-1, provider=1), entry(B, 2, player=-9, provider=9)),
        append(entry(B, 1, player=-1, provider=1), unchanged={A: 7}),
        append(entry(B, 1, provider=-1), entry(B, 2, provider=-BALANCE_MINOR_MAX)),
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
