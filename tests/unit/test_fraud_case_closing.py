"""Closing fraud cases and what they hold: nobody lets money go alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import uuid4

import pytest

from domain.commands import Command
from domain.errors import (
    HoldNotYours,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    FraudCaseClosed,
    FraudCaseClosureProposed,
    FraudCaseHoldLifted,
    FraudCaseHoldPlaced,
    HoldLifted,
    HoldPlaced,
)
from domain.fraud_case import (
    CaseDecision,
    CaseStatus,
)
from domain.player import HoldKind, Stop
from tests.scenario import NOW, PLAYER_ID, command, player
from tests.scenario_fraud_case import (
    CONFIRMED,
    FALSE_POSITIVE,
    INCONCLUSIVE,
    LETTING_GO,
    OTHER_PLAYER,
    SUBJECT,
    Deed,
    Scene,
    answering,
    asking,
    assigning,
    closing,
    compliance,
    fraud,
    hit,
    holding,
    joining,
    lifting,
    noting,
    opened,
    refused,
)

# --- holds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "kind"), [(fraud(), HoldKind.FRAUD), (compliance(), HoldKind.AML)], ids=["fraud", "aml"]
)
def test_a_hold_of_the_case_is_one_of_the_player(who: Command, kind: HoldKind) -> None:
    scene = opened().when(holding(kind), who).then(FraudCaseHoldPlaced, HoldPlaced)
    assert scene.players[PLAYER_ID].holds.keys() == {kind}
    assert scene.case.holds == ((PLAYER_ID, kind),)
    scene = scene.when(lifting(kind), replace(who, command_id=uuid4()))
    assert scene.then(FraudCaseHoldLifted, HoldLifted).players[PLAYER_ID].holds == {}
    assert (scene.case.holds, scene.case.placed_hold) == ((), True)


def test_what_the_player_is_told_to_be_held_for_names_the_case_and_not_the_note() -> None:
    scene = opened().when(holding(note="a mule of the ring"), fraud())
    placed = scene.last[-1]
    assert isinstance(placed, HoldPlaced)
    assert placed.reason == f"Fraud case {scene.case.id}"


def test_a_job_may_hold_a_player_because_of_a_case() -> None:
    scene = opened().when(holding(), command("system:fraud"))
    assert scene.case.holds == ((PLAYER_ID, HoldKind.FRAUD),)
    assert type(refused(scene, lifting(), command("system:fraud"))) is RoleNotAllowed


def test_a_role_places_holds_of_its_own_kind_only() -> None:
    assert type(refused(opened(), holding(HoldKind.AML), fraud())) is RoleNotAllowed
    assert type(refused(opened(), holding(HoldKind.FRAUD), compliance())) is RoleNotAllowed


def test_a_hold_that_somebody_else_placed_does_not_become_the_cases() -> None:
    scene = opened()
    held = replace(scene, players={PLAYER_ID: player(holds=["fraud"])})
    assert type(refused(held, holding(), fraud())) is NothingToChange
    assert type(refused(held, lifting(), fraud())) is NothingToChange


def test_a_hold_is_lifted_by_who_may_lift_its_kind() -> None:
    scene = opened().when(holding(HoldKind.AML), compliance())
    assert type(refused(scene, lifting(HoldKind.AML), fraud())) is HoldNotYours


def test_a_hold_that_was_lifted_elsewhere_is_over_for_the_case_too() -> None:
    scene = opened().when(holding(), fraud())
    free = replace(scene, players={PLAYER_ID: player()})
    assert free.when(lifting(), fraud()).then(FraudCaseHoldLifted).case.holds == ()


def test_a_case_holds_several_players() -> None:
    scene = opened().when(holding(), fraud()).when(holding(player_id=OTHER_PLAYER), fraud())
    assert scene.case.holds == ((PLAYER_ID, HoldKind.FRAUD), (OTHER_PLAYER, HoldKind.FRAUD))
    scene = scene.when(lifting(), fraud())
    assert scene.case.holds == ((OTHER_PLAYER, HoldKind.FRAUD),)


# --- closing ------------------------------------------------------------------------------------


def test_a_case_that_lets_no_money_go_is_closed_by_one_person() -> None:
    for decision in CaseDecision:
        scene = opened(hit(), hit("velocity", position=9)).when(closing(decision), fraud())
        closed = scene.then(FraudCaseClosed).last[-1]
        assert isinstance(closed, FraudCaseClosed)
        assert (closed.decision, closed.proposed_by) == (decision, None)
        assert (closed.subject, closed.indicators) == (SUBJECT, ("structuring", "velocity"))
        assert closed.opened_at == scene.case.opened_at
        case = scene.case
        assert (case.status, case.decision, case.closed_by) == (CaseStatus.CLOSED, decision, "ann")
        assert (case.reason, case.closed_at) == ("saw the statement", NOW)


MONEY: Mapping[str, Callable[[], Scene]] = {
    "a hit stops payouts": lambda: opened(hit(holds=True)),
    "a later hit stops payouts": lambda: opened(hit(), hit("card_testing", position=8, holds=True)),
    "it holds a player": lambda: opened().when(holding(), fraud()),
    "it held a player": lambda: opened().when(holding(), fraud()).when(lifting(), fraud()),
}


@pytest.mark.parametrize("decision", LETTING_GO)
@pytest.mark.parametrize("why", MONEY)
def test_nobody_lets_money_go_alone(why: str, decision: CaseDecision) -> None:
    scene = MONEY[why]().when(closing(decision), fraud("ann")).then(FraudCaseClosureProposed)
    assert scene.case.status is not CaseStatus.CLOSED
    assert scene.case.proposal is not None
    assert (scene.case.proposal.person, scene.case.proposal.decision) == ("ann", decision)
    assert type(refused(scene, closing(decision), fraud("ann"))) is SelfApproval
    scene = scene.when(closing(decision), fraud("ben"))
    assert scene.case.status is CaseStatus.CLOSED
    assert (scene.case.closure_proposed_by, scene.case.closed_by) == ("ann", "ben")
    assert (scene.case.proposal, scene.case.holds) == (None, ())
    assert not scene.players[PLAYER_ID].holds


@pytest.mark.parametrize("why", MONEY)
def test_one_person_confirms_and_what_is_held_stays_so(why: str) -> None:
    before = MONEY[why]()
    scene = before.when(closing(CONFIRMED), fraud()).then(FraudCaseClosed)
    assert (scene.case.status, scene.case.holds) == (CaseStatus.CLOSED, before.case.holds)
    assert scene.players == before.players


@pytest.mark.parametrize(
    "words", [(INCONCLUSIVE, "saw the statement"), (FALSE_POSITIVE, "saw something else")]
)
def test_other_words_replace_what_was_proposed(words: tuple[CaseDecision, str]) -> None:
    scene = opened(hit(holds=True)).when(closing(FALSE_POSITIVE), fraud("ann"))
    for who in ("ann", "ben"):
        replaced = scene.when(closing(*words), fraud(who)).then(FraudCaseClosureProposed)
        assert replaced.case.proposal is not None
        assert replaced.case.proposal.person == who
        assert type(refused(replaced, closing(*words), fraud(who))) is SelfApproval
        replaced.when(closing(*words), fraud("dan")).then(FraudCaseClosed)


def test_one_person_may_confirm_what_another_would_have_let_go() -> None:
    scene = opened(hit(holds=True)).when(closing(FALSE_POSITIVE), fraud("ann"))
    scene = scene.when(closing(CONFIRMED), fraud("ann")).then(FraudCaseClosed)
    assert scene.case.closure_proposed_by is None


@pytest.mark.parametrize(
    ("deed", "stands"),
    [
        (joining(hit(position=8)), False),
        (holding(player_id=OTHER_PLAYER), False),
        (lifting(), False),
        (asking(), False),
        (noting(), True),
        (assigning("ben"), True),
    ],
    ids=["hit", "hold", "lift", "ask", "note", "assign"],
)
def test_a_proposal_stands_while_the_case_says_the_same(deed: Deed, stands: bool) -> None:
    scene = opened().when(holding(), fraud()).when(closing(FALSE_POSITIVE), fraud("ann"))
    assert (scene.when(deed, fraud("dan")).case.proposal is not None) is stands


def test_an_answer_voids_what_was_proposed_before_it() -> None:
    scene = opened(hit(holds=True)).when(asking(), fraud())
    scene = scene.when(closing(FALSE_POSITIVE), fraud("ann")).when(answering(), fraud("ann"))
    assert scene.case.proposal is None


def test_the_holds_of_a_case_end_with_it_unless_it_is_confirmed() -> None:
    scene = opened().when(holding(), fraud()).when(holding(player_id=OTHER_PLAYER), fraud())
    scene = scene.when(closing(FALSE_POSITIVE), fraud("ann"))
    assert scene.players[PLAYER_ID].stops_payouts
    scene = scene.when(closing(FALSE_POSITIVE), fraud("ben")).then(
        FraudCaseHoldLifted, FraudCaseHoldLifted, FraudCaseClosed, HoldLifted, HoldLifted
    )
    assert not any(held.holds for held in scene.players.values())


def test_only_holds_of_the_case_end_with_it() -> None:
    scene = opened().when(holding(), fraud()).when(closing(INCONCLUSIVE), fraud("ann"))
    others = replace(
        scene.players[PLAYER_ID],
        holds=dict.fromkeys((HoldKind.FRAUD, HoldKind.AML), frozenset(Stop)),
    )
    scene = replace(scene, players={PLAYER_ID: others}).when(closing(INCONCLUSIVE), fraud("ben"))
    assert scene.players[PLAYER_ID].holds.keys() == {HoldKind.AML}


def only_payouts(scene: Scene) -> Scene:
    """The player's fraud hold is one of before holds said what they stop."""
    held = replace(scene.players[PLAYER_ID], holds={HoldKind.FRAUD: frozenset({Stop.PAYOUTS})})
    return replace(scene, players={PLAYER_ID: held})


def test_a_case_makes_its_own_hold_stop_more() -> None:
    scene = only_payouts(opened().when(holding(), fraud()))
    wider = scene.when(holding(), fraud()).then(FraudCaseHoldPlaced, HoldPlaced)
    assert wider.players[PLAYER_ID].stops_deposits
    assert wider.case.holds == ((PLAYER_ID, HoldKind.FRAUD),)


def test_a_case_does_not_take_over_the_hold_of_others() -> None:
    assert type(refused(only_payouts(opened()), holding(), fraud())) is NothingToChange


def test_a_case_ends_with_those_who_may_lift_its_holds() -> None:
    scene = opened().when(holding(HoldKind.AML), compliance())
    scene = scene.when(closing(FALSE_POSITIVE), fraud("ann"))
    assert type(refused(scene, closing(FALSE_POSITIVE), fraud("ben"))) is HoldNotYours
    scene = scene.when(closing(FALSE_POSITIVE), compliance("cleo"))
    assert (scene.case.status, scene.players[PLAYER_ID].holds) == (CaseStatus.CLOSED, {})


def test_a_case_ends_several_holds_of_one_player_in_one_append() -> None:
    scene = opened().when(holding(HoldKind.AML), compliance())
    scene = scene.when(holding(HoldKind.SUPPORT), command("system:fraud"))
    scene = scene.when(closing(FALSE_POSITIVE), compliance("cleo"))
    scene = scene.when(closing(FALSE_POSITIVE), compliance("dora"))
    assert scene.players[PLAYER_ID].holds == {}


def test_a_hold_that_was_lifted_elsewhere_does_not_keep_a_case_open() -> None:
    scene = opened().when(holding(), fraud()).when(closing(FALSE_POSITIVE), fraud("ann"))
    free = replace(scene, players={PLAYER_ID: player()})
    free.when(closing(FALSE_POSITIVE), fraud("ben")).then(FraudCaseHoldLifted, FraudCaseClosed)
