"""Players and providers: what may be changed, once, and only if it is a change."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from domain.attempts import EXPIRY_SECONDS, POLL_DELAYS_SECONDS, parse_reference, reference
from domain.errors import CommandReused, NothingToChange
from domain.events import (
    ExclusionEnded,
    HoldLifted,
    HoldPlaced,
    PlayerExcluded,
    ProviderPaused,
    ProviderResumed,
    VerificationChanged,
)
from domain.notice import evidence_of, notice_stream, set_aside
from domain.outcomes import Outcome, Source
from domain.player import (
    Player,
    Verification,
    change_verification,
    evolve_player,
    fold_player,
    register_player,
    set_exclusion,
    set_hold,
)
from domain.provider import (
    Provider,
    evolve_provider,
    fold_provider,
    provider_stream,
    register_provider,
    set_pause,
)
from tests.event_samples import SAMPLE
from tests.scenario import NOW, PLAYER_ID, by, command, player, provider

Change = Callable[..., object]


def exclude(state: Player, asked: object, *, yes: bool) -> object:
    return set_exclusion(state, asked, excluded=yes, reason="r")


def hold(state: Player, asked: object, *, yes: bool) -> object:
    return set_hold(state, asked, on_hold=yes, reason="r")


def pause(state: Provider, asked: object, *, yes: bool) -> object:
    return set_pause(state, asked, paused=yes, reason="r")


SWITCHES = [
    (exclude, player, evolve_player, "excluded", PlayerExcluded, ExclusionEnded),
    (hold, player, evolve_player, "on_hold", HoldPlaced, HoldLifted),
    (pause, provider, evolve_provider, "paused", ProviderPaused, ProviderResumed),
]
switches = pytest.mark.parametrize(
    ("switch", "make", "evolve", "name", "on", "off"), SWITCHES, ids=lambda value: str(value)[:20]
)


@switches
def test_a_switch_goes_on_and_off_again(
    switch: Change, make: Change, evolve: Change, name: str, on: type, off: type
) -> None:
    state = make()
    event = switch(state, by("ann"), yes=True)
    assert type(event) is on
    state = evolve(state, event)
    assert getattr(state, name)
    event = switch(state, by("ann"), yes=False)
    assert type(event) is off
    assert not getattr(evolve(state, event), name)


@switches
def test_a_switch_that_is_so_already_is_no_change(
    switch: Change, make: Change, evolve: Change, name: str, on: type, off: type
) -> None:
    with pytest.raises(NothingToChange):
        switch(make(), by("ann"), yes=False)
    with pytest.raises(NothingToChange):
        switch(replace(make(), **{name: True}), by("ann"), yes=True)


@switches
def test_a_switch_is_thrown_once_per_command(
    switch: Change, make: Change, evolve: Change, name: str, on: type, off: type
) -> None:
    asked = by("ann")
    state = make()
    state = evolve(state, switch(state, asked, yes=True))
    assert switch(state, asked, yes=True) is None
    with pytest.raises(CommandReused):
        switch(state, replace(asked, request_digest="other"), yes=True)


@switches
def test_a_repeat_is_recognised_even_after_it_was_undone(
    switch: Change, make: Change, evolve: Change, name: str, on: type, off: type
) -> None:
    asked = by("ann")
    state = make()
    state = evolve(state, switch(state, asked, yes=True))
    state = evolve(state, switch(state, by("ben"), yes=False))
    assert switch(state, asked, yes=True) is None


# --- players ------------------------------------------------------------------------------------


def test_a_new_player_is_unverified_and_free() -> None:
    state = evolve_player(None, register_player(PLAYER_ID, command()))
    assert (state.id, state.version, state.registered_at) == (PLAYER_ID, 1, NOW)
    assert state.verification is Verification.NONE
    assert not state.excluded
    assert not state.on_hold


def test_verification_and_jurisdiction_change_together() -> None:
    state = player(Verification.BASIC)
    event = change_verification(state, by("ann"), verification=Verification.FULL, jurisdiction="MT")
    assert isinstance(event, VerificationChanged)
    state = evolve_player(state, event)
    assert (state.verification, state.jurisdiction, state.version) == (
        Verification.FULL,
        "MT",
        2,
    )


def test_the_same_verification_is_no_change() -> None:
    with pytest.raises(NothingToChange):
        change_verification(player(), by("ann"), verification=Verification.FULL, jurisdiction=None)


def test_a_verification_sent_twice_changes_once() -> None:
    asked, state = by("ann"), player()
    change = {"verification": Verification.BASIC, "jurisdiction": "GB"}
    state = evolve_player(state, change_verification(state, asked, **change))
    assert change_verification(state, asked, **change) is None


def test_a_player_is_registered_first_and_once() -> None:
    registered = register_player(PLAYER_ID, command())
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_player(None, SAMPLE[HoldPlaced])
    # A second registration would wipe what is known: streams have one version 1.
    assert fold_player(None, [registered]).version == registered.originator_version == 1
    assert fold_player(None, []) is None


# --- providers ----------------------------------------------------------------------------------


def test_a_provider_has_one_stream_by_name() -> None:
    assert provider_stream("acme") == provider_stream("acme") != provider_stream("Acme")
    assert register_provider("acme", command(), adapter="x").originator_id == provider_stream(
        "acme"
    )


def test_the_usual_schedule_lasts_more_than_a_week_and_then_ends() -> None:
    assert POLL_DELAYS_SECONDS[:6] == (10, 30, 120, 600, 3_600, 21_600)
    assert POLL_DELAYS_SECONDS[6:] == (86_400,) * 7


def test_the_usual_times_for_a_player_to_act() -> None:
    minutes, days = 60, 86_400
    expected = {"redirect": 30 * minutes, "voucher": 7 * days, "bank_transfer": 7 * days}
    assert expected == EXPIRY_SECONDS


def test_a_provider_is_registered_first() -> None:
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_provider(None, SAMPLE[ProviderPaused])
    assert fold_provider(None, []) is None


# --- references and notices ---------------------------------------------------------------------

STREAM = UUID("11111111-2222-4333-8444-555555555555")


def test_a_reference_names_the_transaction_and_the_attempt() -> None:
    assert reference(STREAM, 3) == "11111111222243338444555555555555-3"
    assert parse_reference(reference(STREAM, 3)) == (STREAM, 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "-1",
        STREAM.hex,
        f"{STREAM.hex}-",
        f"{STREAM.hex}-x",
        f"{STREAM.hex}--1",
        f"{STREAM.hex}-1.0",
        f"{STREAM.hex}-١",
        f"{STREAM.hex}-²",
        f"{STREAM}-1",
        f"{STREAM.hex[:-1]}-1",
        f"{STREAM.hex[:-1]}g-1",
        f"{STREAM.hex}-{'9' * 5_000}",
    ],
)
def test_anything_else_is_no_reference_of_ours(text: str) -> None:
    assert parse_reference(text) is None


def test_one_message_has_one_stream() -> None:
    assert notice_stream("acme", "m1") == notice_stream("acme", "m1")
    streams = {notice_stream(p, m) for p in ("acme", "zeta") for m in ("m1", "m2")}
    assert len(streams) == 4


def test_a_notice_becomes_evidence_that_names_it() -> None:
    notice = next(s for s in SAMPLE.values() if type(s).__name__ == "ProviderNoticeReceived")
    evidence = evidence_of(notice)
    assert evidence.source is Source.NOTICE
    assert evidence.notice_id == notice.originator_id
    assert evidence.outcome is Outcome.DECLINED
    same = ("reference", "amount", "fee", "provider_reference", "decline_code", "raw_code")
    assert all(getattr(evidence, name) == getattr(notice, name) for name in same)


def test_a_notice_about_nothing_is_set_aside_in_its_own_stream() -> None:
    notice = next(s for s in SAMPLE.values() if type(s).__name__ == "ProviderNoticeReceived")
    unmatched = set_aside(notice, command(), "no such transaction")
    assert unmatched.originator_id == notice.originator_id
    assert unmatched.originator_version == notice.originator_version + 1
