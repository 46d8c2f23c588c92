"""Holds: who may place them, who may lift them, and that several stand at once."""

from dataclasses import replace
from itertools import product

import pytest

from domain.command import Command
from domain.errors import CommandReused, HoldNotYours, NothingToChange, RoleNotAllowed
from domain.events import HoldLifted, HoldPlaced, PlayerEvent
from domain.player.holds import lift_hold, place_hold
from domain.player.player import HoldKind, Player, Stop, evolve_player
from tests.scenarios.scenario import PLAYER_ID, by, command, player

ROLES = ("administrator", "finance", "fraud", "support", "compliance", "platform", "auditor", "")
PLACED = {"finance": "payment", "fraud": "fraud", "compliance": "aml", "support": "support"}
LIFTED = {
    ("finance", "payment"),
    ("fraud", "fraud"),
    ("fraud", "support"),
    ("compliance", "aml"),
    ("compliance", "support"),
}
SYSTEM = command("system:screening")


def acting(role: str, person: str = "ann") -> Command:
    return replace(by(person), role=role)


def after(state: Player, event: PlayerEvent | None) -> Player:
    assert event is not None
    return evolve_player(state, event)


# --- placing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "kind"), list(product(ROLES, (None, *HoldKind))))
def test_each_role_places_its_own_kind_of_hold(role: str, kind: HoldKind | None) -> None:
    own = PLACED.get(role)
    if own is None or kind not in (None, own):
        with pytest.raises(RoleNotAllowed):
            place_hold(player(), acting(role), kind=kind, reason="r")
        return
    event = place_hold(player(), acting(role), kind=kind, reason="r")
    assert isinstance(event, HoldPlaced)
    assert (event.hold, event.reason) == (own, "r")
    state = evolve_player(player(), event)
    assert state.holds.keys() == {own}
    assert state.stops_payouts


@pytest.mark.parametrize("kind", [None, *HoldKind])
def test_the_systems_jobs_place_any_kind_and_fraud_if_they_name_none(
    kind: HoldKind | None,
) -> None:
    event = place_hold(player(), SYSTEM, kind=kind, reason="r")
    assert event is not None
    assert event.hold == (kind or "fraud")


@pytest.mark.parametrize("actor", ["provider:acme", "player:p1", "operator:ann"])
def test_nobody_else_without_a_role_places_holds(actor: str) -> None:
    with pytest.raises(RoleNotAllowed):
        place_hold(player(), command(actor), reason="r")


def test_a_job_that_acts_for_a_role_is_bound_to_it() -> None:
    with pytest.raises(RoleNotAllowed):
        place_hold(player(), replace(SYSTEM, role="administrator"), reason="r")


@pytest.mark.parametrize(("role", "own"), PLACED.items())
def test_a_kind_of_hold_stands_once(role: str, own: str) -> None:
    others = tuple(kind for kind in HoldKind if kind != own)
    with pytest.raises(NothingToChange):
        place_hold(player(holds=[own]), acting(role), reason="r")
    state = after(player(holds=others), place_hold(player(holds=others), acting(role), reason="r"))
    assert state.holds.keys() == set(HoldKind)


# --- what is stopped ----------------------------------------------------------------------------

BOTH = frozenset(Stop)


@pytest.mark.parametrize(
    ("role", "stops"),
    [
        ("finance", {Stop.PAYOUTS}),
        ("fraud", BOTH),
        ("compliance", BOTH),
        ("support", {Stop.PAYOUTS}),
    ],
)
def test_what_a_hold_stops_follows_from_its_kind_unless_it_is_said(
    role: str, stops: frozenset[Stop]
) -> None:
    usual = after(player(), place_hold(player(), acting(role), reason="r"))
    assert (usual.stops_payouts, usual.stops_deposits) == (True, Stop.DEPOSITS in stops)
    for said in ([Stop.PAYOUTS], [Stop.DEPOSITS], [*Stop]):
        state = after(player(), place_hold(player(), acting(role), stops=said, reason="r"))
        assert state.stops_payouts is (Stop.PAYOUTS in said)
        assert state.stops_deposits is (Stop.DEPOSITS in said)


def test_a_hold_that_was_stored_without_saying_stops_payouts_alone() -> None:
    asked = command()
    stored = HoldPlaced(**asked.header(PLAYER_ID, 2), request_digest="", hold="fraud", reason="r")
    state = evolve_player(player(), stored)
    assert (state.stops_payouts, state.stops_deposits) == (True, False)


@pytest.mark.parametrize("first", [[Stop.PAYOUTS], [Stop.DEPOSITS]])
def test_a_hold_is_made_to_stop_more_and_never_less(first: list[Stop]) -> None:
    state = after(player(), place_hold(player(), acting("fraud"), stops=first, reason="r"))
    with pytest.raises(NothingToChange):
        place_hold(state, acting("fraud"), stops=first, reason="r")
    state = after(state, place_hold(state, acting("fraud"), reason="more"))
    assert state.holds == {HoldKind.FRAUD: BOTH}
    for less in ([], [Stop.PAYOUTS], [Stop.DEPOSITS]):
        with pytest.raises(NothingToChange):
            place_hold(state, acting("fraud"), stops=less, reason="less")
    state = after(state, lift_hold(state, acting("fraud"), kind=HoldKind.FRAUD, reason="r"))
    assert not state.stops_payouts
    assert not state.stops_deposits


# --- lifting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "kind"), list(product(ROLES, HoldKind)))
def test_a_hold_is_lifted_by_whoever_its_kind_is_for(role: str, kind: HoldKind) -> None:
    state = player(holds=tuple(HoldKind))
    if (role, kind) not in LIFTED:
        with pytest.raises(HoldNotYours):
            lift_hold(state, acting(role), kind=kind, reason="r")
        return
    event = lift_hold(state, acting(role), kind=kind, reason="r")
    assert isinstance(event, HoldLifted)
    assert (event.hold, event.reason) == (kind, "r")
    assert evolve_player(state, event).holds.keys() == set(HoldKind) - {kind}


@pytest.mark.parametrize("kind", HoldKind)
def test_no_job_lifts_a_hold(kind: HoldKind) -> None:
    with pytest.raises(HoldNotYours):
        lift_hold(player(holds=[kind]), SYSTEM, kind=kind, reason="r")


@pytest.mark.parametrize("kind", HoldKind)
def test_the_refusal_names_who_may_lift_it(kind: HoldKind) -> None:
    with pytest.raises(HoldNotYours) as refused:
        lift_hold(player(holds=[kind]), acting("administrator"), kind=kind, reason="r")
    may = {role for role, of in LIFTED if of == kind}
    assert {role for role in ROLES if role and role in refused.value.detail.split(" by ")[1]} == may


@pytest.mark.parametrize(("role", "kind"), sorted(LIFTED))
def test_a_hold_that_does_not_stand_is_not_lifted(role: str, kind: str) -> None:
    others = tuple(other for other in HoldKind if other != kind)
    with pytest.raises(NothingToChange):
        lift_hold(player(holds=others), acting(role), kind=HoldKind(kind), reason="r")


def test_who_may_not_lift_a_hold_does_not_learn_whether_there_is_one() -> None:
    with pytest.raises(HoldNotYours):
        lift_hold(player(), acting("support"), kind=HoldKind.AML, reason="r")


def test_payouts_stay_stopped_until_the_last_hold_is_lifted() -> None:
    state = player(holds=["payment", "aml"])
    state = after(state, lift_hold(state, acting("finance"), kind=HoldKind.PAYMENT, reason="r"))
    assert state.stops_payouts
    state = after(state, lift_hold(state, acting("compliance"), kind=HoldKind.AML, reason="r"))
    assert not state.stops_payouts


# --- repeats ------------------------------------------------------------------------------------


def test_a_hold_is_placed_and_lifted_once_per_command() -> None:
    placing, lifting = acting("fraud"), acting("fraud", "ben")
    state = player()
    state = after(state, place_hold(state, placing, reason="r"))
    assert place_hold(state, placing, reason="r") is None
    state = after(state, lift_hold(state, lifting, kind=HoldKind.FRAUD, reason="r"))
    assert lift_hold(state, lifting, kind=HoldKind.FRAUD, reason="r") is None
    # Also when it was undone in between: the repeat does not place it again.
    assert place_hold(state, placing, reason="r") is None


def test_a_key_is_not_used_for_another_hold() -> None:
    asked = acting("fraud")
    state = after(player(), place_hold(player(), asked, reason="r"))
    other = replace(asked, request_digest="other")
    with pytest.raises(CommandReused):
        place_hold(state, other, reason="other")
    with pytest.raises(CommandReused):
        lift_hold(state, other, kind=HoldKind.FRAUD, reason="r")
