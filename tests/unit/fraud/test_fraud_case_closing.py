"""Closing fraud cases and what they hold: nobody lets money go alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import uuid4

import pytest

from domain.command import Command
from domain.errors import (
    HoldNotYours,
    InvalidTransition,
    NothingToChange,
    ProposalChanged,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    FraudCaseClosed,
    FraudCaseClosureProposed,
    FraudCaseHoldLifted,
    FraudCaseHoldPlaced,
    FraudCaseNoted,
    HoldLifted,
    HoldPlaced,
)
from domain.fraud.case import CaseDecision, CaseStatus
from domain.player.player import HoldKind, Stop
from tests.scenarios.fraud_case import (
    CONFIRMED,
    FALSE_POSITIVE,
    INCONCLUSIVE,
    LETTING_GO,
    OTHER_PLAYER,
    SUBJECT,
    Deed,
    Scene,
    agreeing,
    answering,
    asking,
    assigning,
    closed_by_two,
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
from tests.scenarios.scenario import NOW, PLAYER_ID, command, player

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

NOT_HIGH: Mapping[str, Callable[[], Scene]] = {
    "medium": lambda: opened(hit(severity="medium"), hit("velocity", severity="low", position=9)),
    "low": lambda: opened(hit(severity="low"), hit("velocity", severity="low", position=9)),
}

MONEY: Mapping[str, Callable[[], Scene]] = {
    "a hit stops payouts": lambda: opened(hit(severity="medium", holds=True)),
    "a later hit stops payouts": lambda: opened(
        hit(severity="medium"), hit("card_testing", severity="medium", position=8, holds=True)
    ),
    "it holds a player": lambda: opened(hit(severity="medium")).when(holding(), fraud()),
    "it held a player": lambda: (
        opened(hit(severity="medium")).when(holding(), fraud()).when(lifting(), fraud())
    ),
}

HIGH: Mapping[str, Callable[[], Scene]] = {
    "high": opened,
    "critical": lambda: opened(hit("card_testing", severity="critical")),
    "high by a later hit": lambda: opened(hit(severity="medium"), hit(position=9)),
    "high, and holds a player": lambda: opened().when(holding(), fraud()),
    "high, and stops payouts": lambda: opened(hit(holds=True)),
}


@pytest.mark.parametrize("severity", NOT_HIGH)
@pytest.mark.parametrize("decision", CaseDecision)
def test_what_is_not_high_and_lets_no_money_go_is_closed_by_one_person(
    severity: str, decision: CaseDecision
) -> None:
    scene = NOT_HIGH[severity]().when(closing(decision), fraud())
    closed = scene.then(FraudCaseClosed).last[-1]
    assert isinstance(closed, FraudCaseClosed)
    assert (closed.decision, closed.proposed_by) == (decision, None)
    assert (closed.subject, closed.indicators) == (SUBJECT, ("structuring", "velocity"))
    assert closed.opened_at == scene.case.opened_at
    case = scene.case
    assert (case.status, case.decision, case.closed_by) == (CaseStatus.CLOSED, decision, "ann")
    assert (case.reason, case.closed_at) == ("saw the statement", NOW)


def taken_by_two(scene: Scene, decision: CaseDecision) -> Scene:
    """Nobody closes it alone; with another person, it is."""
    scene = scene.when(closing(decision), fraud("ann")).then(FraudCaseClosureProposed)
    proposal = scene.case.proposal
    assert scene.case.status is not CaseStatus.CLOSED
    assert proposal is not None
    assert (proposal.person, proposal.decision) == ("ann", decision)
    assert type(refused(scene, agreeing(), fraud("ann"))) is SelfApproval
    assert type(refused(scene, agreeing(), compliance("ann"))) is SelfApproval
    assert type(refused(scene, closing(decision), fraud("ann"))) is SelfApproval
    scene = scene.when(agreeing(), fraud("ben"))
    case = scene.case
    assert (case.status, case.decision, case.reason) == (
        CaseStatus.CLOSED,
        decision,
        "saw the statement",
    )
    assert (case.closure_proposed_by, case.closed_by, case.proposal) == ("ann", "ben", None)
    return scene


@pytest.mark.parametrize("decision", CaseDecision)
@pytest.mark.parametrize("why", HIGH)
def test_what_is_high_is_closed_by_two_people_however_it_ends(
    why: str, decision: CaseDecision
) -> None:
    taken_by_two(HIGH[why](), decision)


@pytest.mark.parametrize("decision", LETTING_GO)
@pytest.mark.parametrize("why", MONEY)
def test_nobody_lets_money_go_alone(why: str, decision: CaseDecision) -> None:
    scene = taken_by_two(MONEY[why](), decision)
    assert scene.case.holds == ()
    assert not scene.players[PLAYER_ID].holds


@pytest.mark.parametrize("why", MONEY)
def test_one_person_confirms_what_is_not_high_and_what_is_held_stays_so(why: str) -> None:
    before = MONEY[why]()
    scene = before.when(closing(CONFIRMED), fraud()).then(FraudCaseClosed)
    assert (scene.case.status, scene.case.holds) == (CaseStatus.CLOSED, before.case.holds)
    assert scene.players == before.players


def test_what_two_people_confirm_stays_held() -> None:
    held = opened().when(holding(), fraud())
    scene = closed_by_two(held, CONFIRMED).then(FraudCaseClosed)
    assert (scene.case.holds, scene.players) == (held.case.holds, held.players)


# --- what is agreed to --------------------------------------------------------------------------


def test_who_agrees_adds_a_note_of_their_own_or_none() -> None:
    scene = opened().when(closing(FALSE_POSITIVE, "a prize"), fraud("ann"))
    told = scene.when(agreeing(note="saw the ticket"), fraud("ben"))
    told.then(FraudCaseNoted, FraudCaseClosed)
    assert [(one.person, one.note) for one in told.case.notes[-2:]] == [
        ("ben", "saw the ticket"),
        ("ben", "a prize"),
    ]
    assert told.case.reason == "a prize"
    scene.when(agreeing(note=" "), fraud("ben")).then(FraudCaseClosed)


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("ann", (INCONCLUSIVE, "saw the statement")),
        ("ben", (INCONCLUSIVE, "saw the statement")),
        ("ben", (CONFIRMED, "a mule")),
        ("ann", (FALSE_POSITIVE, "saw something else")),
    ],
)
def test_what_was_replaced_is_not_agreed_to(who: str, words: tuple[CaseDecision, str]) -> None:
    scene = opened().when(closing(FALSE_POSITIVE), fraud("ann"))
    seen = scene.case.proposal
    assert seen is not None
    scene = scene.when(closing(*words), fraud(who)).then(FraudCaseClosureProposed)
    assert scene.case.proposal is not None
    told = refused(scene, agreeing(seen.id), fraud("dan"))
    assert type(told) is ProposalChanged
    assert f"{scene.case.proposal.id} is, by {who}" in told.detail
    scene.when(agreeing(), fraud("dan")).then(FraudCaseClosed)


def test_a_hit_after_the_proposal_has_to_be_looked_at_before_anybody_agrees() -> None:
    scene = opened().when(closing(FALSE_POSITIVE), fraud("ann"))
    seen = scene.case.proposal
    assert seen is not None
    scene = scene.when(joining(hit("velocity", position=9)), command("system:fraud"))
    told = refused(scene, agreeing(seen.id), fraud("ben"))
    assert type(told) is ProposalChanged
    assert "nothing is proposed" in told.detail
    scene = scene.when(closing(FALSE_POSITIVE), fraud("ann"))
    assert type(refused(scene, agreeing(seen.id), fraud("ben"))) is ProposalChanged
    scene.when(agreeing(), fraud("ben")).then(FraudCaseClosed)


def test_the_same_decision_in_any_words_of_another_person_is_no_agreement() -> None:
    scene = opened().when(closing(FALSE_POSITIVE, "a prize"), fraud("ann"))
    for reason in ("a prize", "saw the ticket"):
        told = refused(scene, closing(FALSE_POSITIVE, reason), fraud("ben"))
        assert type(told) is NothingToChange
        assert scene.case.proposal is not None
        assert f"agree to the proposal {scene.case.proposal.id}" in told.detail


def test_what_nobody_proposed_is_not_agreed_to() -> None:
    assert type(refused(opened(), agreeing(), fraud())) is ProposalChanged
    closed = closed_by_two(opened())
    assert type(refused(closed, agreeing(), fraud("dan"))) is InvalidTransition


def test_a_closed_case_says_how_strong_its_hits_were_at_most() -> None:
    scene = opened(hit(value=5)).when(joining(hit(position=8, value=4), 90_000), fraud())
    scene = scene.when(joining(hit(position=9, severity="critical", value=1), 10), fraud())
    scene = scene.when(joining(hit("name_mismatch", position=10, value=60)), fraud())
    scene = scene.when(joining(hit("name_mismatch", position=11, value=41)), fraud())
    closed = closed_by_two(scene, FALSE_POSITIVE).last[-1]
    assert isinstance(closed, FraudCaseClosed)
    assert [
        (one.indicator, one.severity, one.value, one.amount_minor) for one in closed.covered
    ] == [("structuring", "critical", 5, 90_000), ("name_mismatch", "high", 41, 0)]


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
    scene = opened().when(asking(), fraud())
    scene = scene.when(closing(FALSE_POSITIVE), fraud("ann")).when(answering(), fraud("ann"))
    assert scene.case.proposal is None


def test_the_holds_of_a_case_end_with_it_unless_it_is_confirmed() -> None:
    scene = opened().when(holding(), fraud()).when(holding(player_id=OTHER_PLAYER), fraud())
    scene = scene.when(closing(FALSE_POSITIVE), fraud("ann"))
    assert scene.players[PLAYER_ID].stops_payouts
    scene = scene.when(agreeing(), fraud("ben")).then(
        FraudCaseHoldLifted, FraudCaseHoldLifted, FraudCaseClosed, HoldLifted, HoldLifted
    )
    assert not any(held.holds for held in scene.players.values())


def test_only_holds_of_the_case_end_with_it() -> None:
    scene = opened().when(holding(), fraud()).when(closing(INCONCLUSIVE), fraud("ann"))
    others = replace(
        scene.players[PLAYER_ID],
        holds=dict.fromkeys((HoldKind.FRAUD, HoldKind.AML), frozenset(Stop)),
    )
    scene = replace(scene, players={PLAYER_ID: others}).when(agreeing(), fraud("ben"))
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
    assert type(refused(scene, agreeing(), fraud("ben"))) is HoldNotYours
    scene = scene.when(agreeing(), compliance("cleo"))
    assert (scene.case.status, scene.players[PLAYER_ID].holds) == (CaseStatus.CLOSED, {})


def test_a_case_ends_several_holds_of_one_player_in_one_append() -> None:
    scene = opened().when(holding(HoldKind.AML), compliance())
    scene = scene.when(holding(HoldKind.SUPPORT), command("system:fraud"))
    scene = scene.when(closing(FALSE_POSITIVE), compliance("cleo"))
    scene = scene.when(agreeing(), compliance("dora"))
    assert scene.players[PLAYER_ID].holds == {}


def test_a_hold_that_was_lifted_elsewhere_does_not_keep_a_case_open() -> None:
    scene = opened().when(holding(), fraud()).when(closing(FALSE_POSITIVE), fraud("ann"))
    free = replace(scene, players={PLAYER_ID: player()})
    free.when(agreeing(), fraud("ben")).then(FraudCaseHoldLifted, FraudCaseClosed)
