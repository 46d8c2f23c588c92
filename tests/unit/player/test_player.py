"""Players: what is known of them, their exclusions, the instruments they use."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import CommandReused, ExclusionInvalid, ExclusionRunning, NothingToChange
from domain.events import (
    Count,
    ExclusionEnded,
    InstrumentRegistered,
    PlayerEvent,
    PlayerExcluded,
    VerificationChanged,
)
from domain.money import Money
from domain.player.jurisdictions import JURISDICTIONS, USUAL, jurisdiction_of, may_deposit_as_known
from domain.player.player import (
    Instrument,
    Player,
    Verification,
    change_verification,
    evolve_player,
    fold_player,
    register_instrument,
    register_player,
    set_exclusion,
)
from domain.player.wagers import record_wager
from tests.scenarios.scenario import NOW, PLAYER_ID, by, command, player

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def after(state: Player, event: PlayerEvent | None) -> Player:
    assert event is not None
    return evolve_player(state, event)


# --- who they are -------------------------------------------------------------------------------


def test_a_new_player_is_unverified_and_free() -> None:
    state = evolve_player(None, register_player(PLAYER_ID, command()))
    assert (state.id, state.version, state.registered_at) == (PLAYER_ID, 1, NOW)
    assert (state.verification, state.jurisdiction) == (Verification.NONE, None)
    assert state.time_zone == "UTC"
    assert not state.excluded
    assert not state.is_excluded(NOW)
    assert not state.holds
    assert not state.limits
    assert not state.instruments


def test_what_is_known_of_a_player_changes_together() -> None:
    state = player(Verification.BASIC)
    event = change_verification(
        state,
        by("ann"),
        verification=Verification.FULL,
        jurisdiction="MT",
        time_zone="Europe/Malta",
    )
    assert isinstance(event, VerificationChanged)
    state = evolve_player(state, event)
    assert (state.verification, state.jurisdiction, state.time_zone, state.version) == (
        Verification.FULL,
        "MT",
        "Europe/Malta",
        2,
    )


KNOWN = {"verification": Verification.FULL, "jurisdiction": "MT", "time_zone": "Europe/Malta"}
OTHER = {"verification": Verification.BASIC, "jurisdiction": "GB", "time_zone": "Europe/London"}


def test_knowing_the_same_is_no_change() -> None:
    with pytest.raises(NothingToChange):
        change_verification(player(**KNOWN), by("ann"), **KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_one_difference_is_a_change(name: str) -> None:
    change = {**KNOWN, name: OTHER[name]}
    state = player(**KNOWN)
    state = after(state, change_verification(state, by("ann"), **change))
    assert {name: getattr(state, name) for name in KNOWN} == change


def test_a_verification_sent_twice_changes_once() -> None:
    asked, state = by("ann"), player(**KNOWN)
    state = after(state, change_verification(state, asked, **OTHER))
    assert change_verification(state, asked, **OTHER) is None
    with pytest.raises(CommandReused):
        change_verification(state, replace(asked, request_digest="other"), **OTHER)


def test_a_player_is_registered_first_and_once() -> None:
    registered = register_player(PLAYER_ID, command())
    excluded = set_exclusion(player(), by("ann"), excluded=True, reason="r")
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_player(None, excluded)
    # A second registration would wipe what is known: streams have one version 1.
    assert fold_player(None, [registered]).version == registered.originator_version == 1
    assert fold_player(None, []) is None


# --- exclusions ---------------------------------------------------------------------------------

UNTIL = NOW + 10 * DAY
STATES = {
    "free": player(),
    "open-ended": player(excluded=True),
    "running": player(excluded_until=UNTIL),
    "over": player(excluded_until=NOW),
}
ASKED = {
    "for good": (True, None),
    "until then": (True, UNTIL),
    "for less": (True, UNTIL - SECOND),
    "for more": (True, UNTIL + SECOND),
    "until now": (True, NOW),
    "end": (False, None),
}
EXCLUSIONS = {
    ("free", "for good"): PlayerExcluded,
    ("free", "until then"): PlayerExcluded,
    ("free", "for less"): PlayerExcluded,
    ("free", "for more"): PlayerExcluded,
    ("free", "until now"): ExclusionInvalid,
    ("free", "end"): NothingToChange,
    ("open-ended", "for good"): NothingToChange,
    ("open-ended", "until then"): ExclusionRunning,
    ("open-ended", "for less"): ExclusionRunning,
    ("open-ended", "for more"): ExclusionRunning,
    ("open-ended", "until now"): ExclusionInvalid,
    ("open-ended", "end"): ExclusionEnded,
    ("running", "for good"): PlayerExcluded,
    ("running", "until then"): NothingToChange,
    ("running", "for less"): ExclusionRunning,
    ("running", "for more"): PlayerExcluded,
    ("running", "until now"): ExclusionInvalid,
    ("running", "end"): ExclusionRunning,
    ("over", "for good"): PlayerExcluded,
    ("over", "until then"): PlayerExcluded,
    ("over", "for less"): PlayerExcluded,
    ("over", "for more"): PlayerExcluded,
    ("over", "until now"): ExclusionInvalid,
    ("over", "end"): ExclusionEnded,
}


def test_every_exclusion_has_a_row() -> None:
    assert set(EXCLUSIONS) == set(product(STATES, ASKED))


@pytest.mark.parametrize(("standing", "asked"), EXCLUSIONS, ids=" · ".join)
def test_exclusions_begin_grow_and_end_but_never_shrink(standing: str, asked: str) -> None:
    state, expected = STATES[standing], EXCLUSIONS[standing, asked]
    excluded, until = ASKED[asked]
    if not issubclass(expected, PlayerExcluded | ExclusionEnded):
        with pytest.raises(expected):
            set_exclusion(state, by("ann"), excluded=excluded, reason="r", until=until)
        return
    event = set_exclusion(state, by("ann"), excluded=excluded, reason="r", until=until)
    assert type(event) is expected
    state = evolve_player(state, event)
    assert (state.excluded, state.excluded_until) == (excluded, until)
    assert state.is_excluded(NOW) is excluded


@pytest.mark.parametrize(
    ("until", "at", "excluded"),
    [
        (None, NOW, True),
        (None, NOW + 10_000 * DAY, True),
        (UNTIL, UNTIL - timedelta(microseconds=1), True),
        (UNTIL, UNTIL, False),
        (UNTIL, UNTIL + DAY, False),
    ],
)
def test_an_exclusion_lasts_until_its_end(
    until: datetime | None, at: datetime, excluded: bool
) -> None:
    state = player(excluded=True, excluded_until=until)
    assert state.excluded
    assert state.is_excluded(at) is excluded


def test_an_exclusion_can_be_ended_once_its_time_is_over() -> None:
    state = player(excluded_until=UNTIL)
    with pytest.raises(ExclusionRunning):
        set_exclusion(state, by("ann", now=UNTIL - SECOND), excluded=False, reason="r")
    event = set_exclusion(state, by("ann", now=UNTIL), excluded=False, reason="r")
    assert not after(state, event).excluded


GAPS = st.sampled_from([timedelta(), SECOND, DAY - SECOND, DAY, 3 * DAY, 10 * DAY])
EXCLUSION_ACTS = st.sampled_from([("end", None), ("for good", None)]) | st.tuples(
    st.just("until"), GAPS
)


@given(st.lists(st.tuples(GAPS, EXCLUSION_ACTS), max_size=12))
def test_an_exclusion_never_ends_before_the_latest_time_it_was_set_for(
    acts: list[tuple[timedelta, tuple[str, timedelta | None]]],
) -> None:
    """By a naive model: whatever was accepted with a date binds until that date."""
    state, now, dates = player(), NOW, []
    for gap, (act, span) in acts:
        now += gap
        for moment in (now - gap, now - gap / 2, now):
            bound = any(moment < date for date in dates)
            assert state.is_excluded(moment) or not bound
        until = None if span is None else now + span
        try:
            event = set_exclusion(
                state, by("ann", now=now), excluded=act != "end", reason="r", until=until
            )
        except (ExclusionInvalid, ExclusionRunning, NothingToChange):
            continue
        state = after(state, event)
        if isinstance(event, PlayerExcluded) and event.until is not None:
            dates.append(event.until)
    for date in dates:
        assert date <= now or state.is_excluded(date - timedelta(microseconds=1))


def test_a_player_is_excluded_once_per_command_even_after_it_was_undone() -> None:
    asked, state = by("ann"), player()
    state = after(state, set_exclusion(state, asked, excluded=True, reason="r"))
    assert set_exclusion(state, asked, excluded=True, reason="r") is None
    other = replace(asked, request_digest="other")
    with pytest.raises(CommandReused):
        set_exclusion(state, other, excluded=True, reason="r")
    state = after(state, set_exclusion(state, by("ben"), excluded=False, reason="r"))
    assert set_exclusion(state, asked, excluded=True, reason="r") is None


# --- instruments --------------------------------------------------------------------------------


def use(state: Player, name: str, provider: str = "acme") -> InstrumentRegistered | None:
    return register_instrument(state, command(), instrument=name, provider=provider, method="card")


def test_an_instrument_is_registered_on_its_first_use_only() -> None:
    state = after(player(), use(player(), "card-1"))
    assert state.instruments == {"card-1": Instrument(provider="acme", method="card")}
    assert use(state, "card-1") is None
    assert use(state, "card-1", provider="zeta") is None


def test_instruments_are_listed_oldest_first() -> None:
    state, names = player(), ["card-2", "card-9", "card-1"]
    for name in names:
        state = after(state, use(state, name))
    assert list(state.instruments) == names


def test_an_instrument_can_follow_other_events_of_the_same_append() -> None:
    event = register_instrument(
        player(), command(), instrument="card-1", provider="acme", method="card", ahead=2
    )
    assert event is not None
    assert event.originator_version == player().version + 2


# --- jurisdictions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "listed"),
    [
        ("GB", "GB"),
        ("GB-ENG", "GB"),
        ("gb-eng", "GB"),
        ("DE", "DE"),
        ("DE-BY", "DE"),
        ("MT", None),
        ("GBX", None),
        ("", None),
        (None, None),
    ],
)
def test_a_subdivision_has_the_settings_of_its_country(
    code: str | None, listed: str | None
) -> None:
    assert jurisdiction_of(code) is (JURISDICTIONS[listed] if listed else USUAL)


def test_players_may_call_a_payout_back_but_not_in_great_britain() -> None:
    assert jurisdiction_of("MT").player_may_cancel_withdrawal
    assert not jurisdiction_of("GB").player_may_cancel_withdrawal


def test_a_limit_waits_a_day_at_least_wherever_the_player_is() -> None:
    assert USUAL.limit_increase_seconds == 86_400
    assert all(place.limit_increase_seconds >= 86_400 for place in JURISDICTIONS.values())


def _deposits_as_known() -> Iterator[tuple[str | None, Verification, bool]]:
    for verification in Verification:
        yield None, verification, True
        yield "MT", verification, True
        yield "GB", verification, verification is not Verification.NONE
        yield "GB-SCT", verification, verification is not Verification.NONE


@pytest.mark.parametrize(("code", "verification", "may"), list(_deposits_as_known()))
def test_where_the_law_asks_for_it_nobody_deposits_unknown(
    code: str | None, verification: Verification, may: bool
) -> None:
    assert may_deposit_as_known(player(verification, jurisdiction=code)) is may


# --- wagers -------------------------------------------------------------------------------------

WAGER_ID = UUID("00000000-0000-4000-8000-00000000000a")


def test_a_wager_is_a_stream_of_its_own_and_counts_as_turnover() -> None:
    event = record_wager(
        WAGER_ID, command(), player_id=PLAYER_ID, amount=Money(250, "EUR"), metadata={"round": "7"}
    )
    assert (event.originator_id, event.originator_version) == (WAGER_ID, 1)
    assert (event.player_id, event.amount) == (PLAYER_ID, Money(250, "EUR"))
    assert event.metadata == {"round": "7"}
    assert event.counts == (Count(counter=f"wagered:{PLAYER_ID}:EUR", change=250),)
