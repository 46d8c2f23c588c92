"""Providers, references and notices: what may be changed, once, and only if it is a change."""

from dataclasses import replace
from uuid import UUID

import pytest

from domain.command import Command
from domain.errors import CommandReused, NothingToChange, ScheduleEmpty
from domain.events import ProviderNoticeReceived, ProviderPaused, ProviderResumed
from domain.events.evidence import Outcome, Source
from domain.provider.attempt import EXPIRY_SECONDS, POLL_DELAYS_SECONDS, parse_reference, reference
from domain.provider.provider import (
    Provider,
    evolve_provider,
    fold_provider,
    provider_stream,
    register_provider,
    set_pause,
)
from domain.provider.webhook import evidence_of, notice_stream, set_aside
from tests.generators.event_samples import SAMPLE
from tests.scenarios.scenario import by, command, provider


def pause(state: Provider, asked: Command, *, yes: bool) -> ProviderPaused | ProviderResumed | None:
    return set_pause(state, asked, paused=yes, reason="r")


def test_a_provider_is_paused_and_resumed() -> None:
    state = provider()
    event = pause(state, by("ann"), yes=True)
    assert type(event) is ProviderPaused
    state = evolve_provider(state, event)
    assert state.paused
    event = pause(state, by("ann"), yes=False)
    assert type(event) is ProviderResumed
    assert not evolve_provider(state, event).paused


@pytest.mark.parametrize("yes", [False, True])
def test_a_pause_that_is_so_already_is_no_change(yes: bool) -> None:
    with pytest.raises(NothingToChange):
        pause(provider(paused=yes), by("ann"), yes=yes)


def test_a_provider_is_paused_once_per_command() -> None:
    asked, state = by("ann"), provider()
    state = evolve_provider(state, pause(state, asked, yes=True))
    assert pause(state, asked, yes=True) is None
    with pytest.raises(CommandReused):
        pause(state, replace(asked, request_digest="other"), yes=True)


def test_a_repeated_pause_is_recognised_even_after_it_was_undone() -> None:
    asked, state = by("ann"), provider()
    state = evolve_provider(state, pause(state, asked, yes=True))
    state = evolve_provider(state, pause(state, by("ben"), yes=False))
    assert pause(state, asked, yes=True) is None


def test_a_provider_that_would_never_be_asked_is_not_registered() -> None:
    with pytest.raises(ScheduleEmpty):
        register_provider("acme", command(), adapter="x", poll_delays_seconds=())


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
        evolve_provider(None, pause(provider(), by("ann"), yes=True))
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
    notice = SAMPLE[ProviderNoticeReceived]
    evidence = evidence_of(notice)
    assert evidence.source is Source.NOTICE
    assert evidence.notice_id == notice.originator_id
    assert evidence.outcome is Outcome.DECLINED
    same = ("reference", "amount", "fee", "provider_reference", "decline_code", "raw_code")
    assert all(getattr(evidence, name) == getattr(notice, name) for name in same)


def test_a_notice_about_nothing_is_set_aside_in_its_own_stream() -> None:
    notice = SAMPLE[ProviderNoticeReceived]
    unmatched = set_aside(notice, command(), "no such transaction")
    assert unmatched.originator_id == notice.originator_id
    assert unmatched.originator_version == notice.originator_version + 1
