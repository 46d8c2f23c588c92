"""Fraud cases: which hits they take up, and every state and every command."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.errors import (
    CommandReused,
    EvidenceMissing,
    InvalidTransition,
    NothingToChange,
    RoleNotAllowed,
)
from domain.events import (
    Event,
    FraudCaseAssigned,
    FraudCaseClosureProposed,
    FraudCaseHitAdded,
    FraudCaseHoldLifted,
    FraudCaseHoldPlaced,
    FraudCaseInformationReceived,
    FraudCaseInformationRequested,
    FraudCaseNoted,
    FraudCaseOpened,
    HoldLifted,
    HoldPlaced,
)
from domain.fraud.assessment import Severity
from domain.fraud.case import (
    HITS_KEPT_MAX,
    CaseStatus,
    NoteKind,
    case_stream,
    evolve_case,
    fold_case,
)
from domain.fraud.case_decisions import take_up_hit
from tests.scenarios.fraud_case import (
    FALSE_POSITIVE,
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
from tests.scenarios.scenario import NOW, PLAYER_ID, by, command

# --- hits ---------------------------------------------------------------------------------------


def test_a_hit_opens_the_case_of_its_subject() -> None:
    case = opened().case
    assert (case.id, case.version) == (case_stream(SUBJECT, 1), 1)
    assert (case.status, case.subject, case.number) == (CaseStatus.OPEN, SUBJECT, 1)
    assert (case.severity, case.hits_count) == (Severity.HIGH, 1)
    assert (case.indicators, case.player_ids) == (("structuring",), (PLAYER_ID,))
    assert (case.assigned_to, case.proposal, case.decision) == (None, None, None)


def test_other_hits_of_the_subject_join_it() -> None:
    worse = hit("card_testing", severity="critical", position=8)
    again = hit("structuring", position=9)
    case = opened(hit(), worse, again).then(FraudCaseHitAdded).case
    assert (case.hits, case.hits_count) == ((hit(), worse, again), 3)
    assert case.indicators == ("structuring", "card_testing")
    assert case.severity is Severity.CRITICAL


def test_a_hit_is_taken_up_once_by_whichever_command() -> None:
    first = command("system:fraud")
    scene = opened().when(joining(hit(position=8)), first)
    assert scene.when(joining(hit(position=8)), first).then().case == scene.case
    scene.when(joining(hit(position=8)), command("system:fraud")).then()


def test_hits_beyond_those_that_are_kept_only_count() -> None:
    scene = opened(*(hit(position=n) for n in range(1, HITS_KEPT_MAX + 1)))
    last = hit("card_testing", position=999, holds=True, severity="critical")
    case = scene.when(joining(last), command("system:fraud")).case
    assert (len(case.hits), case.hits_count) == (HITS_KEPT_MAX, HITS_KEPT_MAX + 1)
    assert last not in case.hits
    assert case.indicators == ("structuring", "card_testing")
    assert (case.severity, case.stops_payouts) == (Severity.CRITICAL, True)


@pytest.mark.parametrize(
    ("subject", "by_whom", "players"),
    [
        (SUBJECT, None, (PLAYER_ID,)),
        (f"holding:{PLAYER_ID}:card_1", PLAYER_ID, (PLAYER_ID,)),
        (f"holding:{PLAYER_ID}:card_1", OTHER_PLAYER, (PLAYER_ID, OTHER_PLAYER)),
        ("instrument:card_1", OTHER_PLAYER, (OTHER_PLAYER,)),
        ("provider:acme", None, ()),
        ("operators:all", None, ()),
    ],
)
def test_a_case_is_about_whom_its_hits_name(
    subject: str, by_whom: UUID | None, players: tuple[UUID, ...]
) -> None:
    assert opened(hit(subject=subject, player_id=by_whom)).case.player_ids == players


def test_the_cases_of_a_subject_are_numbered_streams() -> None:
    streams = {case_stream(SUBJECT, 1), case_stream(SUBJECT, 2), case_stream("device:d", 1)}
    assert len(streams) == 3
    second = take_up_hit(None, command("system:fraud"), number=2, hit=hit())
    assert isinstance(second, FraudCaseOpened)
    assert (second.originator_id, second.number) == (case_stream(SUBJECT, 2), 2)


# --- every state and every command --------------------------------------------------------------

STATES: Mapping[str, Callable[[], Scene]] = {
    "open": opened,
    "waiting": lambda: opened().when(asking(), fraud()),
    "closed": lambda: closed_by_two(opened()),
}

DEEDS: Mapping[str, tuple[Deed, tuple[type[Event], ...], frozenset[str]]] = {
    "join": (joining(hit(position=8)), (FraudCaseHitAdded,), frozenset({"open", "waiting"})),
    "assign": (assigning("ben"), (FraudCaseAssigned,), frozenset({"open", "waiting"})),
    "note": (noting(), (FraudCaseNoted,), frozenset({"open", "waiting"})),
    "ask": (asking(), (FraudCaseInformationRequested,), frozenset({"open"})),
    "answer": (answering(), (FraudCaseInformationReceived,), frozenset({"waiting"})),
    "hold": (holding(), (FraudCaseHoldPlaced, HoldPlaced), frozenset({"open", "waiting"})),
    "close": (closing(), (FraudCaseClosureProposed,), frozenset({"open", "waiting"})),
}
"""What is done, what is recorded of it, and in which states."""

WITH_HOLD: Mapping[str, Callable[[], Scene]] = {
    "open": lambda: opened().when(holding(), fraud()),
    "waiting": lambda: opened().when(holding(), fraud()).when(asking(), fraud()),
    "closed": lambda: closed_by_two(opened().when(holding(), fraud())),
}


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("name", DEEDS)
def test_what_can_be_done_in_which_state(status: str, name: str) -> None:
    scene, (deed, kinds, allowed) = STATES[status](), DEEDS[name]
    assert scene.case.status == status
    if status in allowed:
        scene.when(deed, fraud("ben")).then(*kinds)
    else:
        assert type(refused(scene, deed, fraud("ben"))) is InvalidTransition


@pytest.mark.parametrize("status", WITH_HOLD)
def test_a_hold_is_lifted_from_any_case_that_is_not_closed(status: str) -> None:
    scene = WITH_HOLD[status]()
    assert (scene.case.status, len(scene.case.holds)) == (status, 1)
    if status == "closed":
        assert type(refused(scene, lifting(), fraud())) is InvalidTransition
    else:
        scene.when(lifting(), fraud()).then(FraudCaseHoldLifted, HoldLifted)


def test_all_states_are_listed() -> None:
    assert set(STATES) == set(WITH_HOLD) == set(CaseStatus)


WORK = {
    **{name: deed for name, (deed, _, _) in DEEDS.items() if name != "join"},
    "lift": lifting(),
    "agree": agreeing(),
}


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("role", ["administrator", "finance", "support", "platform", "auditor", ""])
def test_only_fraud_and_compliance_work_on_cases(name: str, role: str) -> None:
    for make in (*STATES.values(), *WITH_HOLD.values()):
        assert type(refused(make(), WORK[name], by("ann", role=role))) is RoleNotAllowed


@pytest.mark.parametrize("name", WORK)
def test_a_command_sent_twice_is_carried_out_once(name: str) -> None:
    scenes: dict[str, Callable[[], Scene]] = {
        "answer": STATES["waiting"],
        "lift": WITH_HOLD["open"],
        "agree": lambda: opened().when(closing(), fraud("ann")),
    }
    scene, once = scenes.get(name, opened)(), fraud("ben")
    after = scene.when(WORK[name], once)
    assert after.last
    assert after.when(WORK[name], once).then().case == after.case
    other = replace(once, request_digest="other")
    assert type(refused(after, WORK[name], other)) is CommandReused


@pytest.mark.parametrize("empty", ["", " \n"])
@pytest.mark.parametrize(
    ("status", "deed"),
    [
        ("open", noting),
        ("open", asking),
        ("waiting", answering),
        ("open", lambda empty: holding(note=empty)),
        ("open", lambda empty: lifting(note=empty)),
        ("open", lambda empty: closing(reason=empty)),
    ],
    ids=["note", "ask", "answer", "hold", "lift", "close"],
)
def test_what_is_done_says_why(status: str, deed: Callable[[str], Deed], empty: str) -> None:
    assert type(refused(WITH_HOLD[status](), deed(empty), fraud())) is EvidenceMissing


# --- working ------------------------------------------------------------------------------------


def test_somebody_works_on_a_case_or_nobody() -> None:
    scene = opened().when(assigning("ben"), fraud())
    assert scene.case.assigned_to == "ben"
    assert type(refused(scene, assigning("ben"), fraud())) is NothingToChange
    scene = scene.when(assigning(None), compliance())
    assert scene.case.assigned_to is None
    assert type(refused(scene, assigning(None), fraud())) is NothingToChange
    assert type(refused(scene, assigning(""), fraud())) is NothingToChange


def test_a_case_waits_for_what_was_asked_until_it_comes() -> None:
    scene = opened().when(asking("which bank?"), fraud())
    assert (scene.case.status, scene.case.asked) == (CaseStatus.WAITING, True)
    scene = scene.when(answering("ours"), fraud("ben"))
    assert (scene.case.status, scene.case.asked) == (CaseStatus.OPEN, False)
    assert [(note.person, note.kind, note.note) for note in scene.case.notes] == [
        ("ann", NoteKind.INFORMATION_REQUESTED, "which bank?"),
        ("ben", NoteKind.INFORMATION_RECEIVED, "ours"),
    ]


def test_everything_people_say_is_kept_in_order() -> None:
    scene = (
        opened()
        .when(noting("a"), fraud())
        .when(holding(note="b"), fraud())
        .when(lifting(note="c"), fraud())
        .when(closing(FALSE_POSITIVE, "d"), fraud())
        .when(agreeing(note="e"), fraud("ben"))
    )
    assert [(note.kind, note.note) for note in scene.case.notes] == [
        (NoteKind.NOTE, "a"),
        (NoteKind.HOLD_PLACED, "b"),
        (NoteKind.HOLD_LIFTED, "c"),
        (NoteKind.CLOSURE_PROPOSED, "d"),
        (NoteKind.NOTE, "e"),
        (NoteKind.CLOSED, "d"),
    ]


# --- folding ------------------------------------------------------------------------------------


def test_a_case_begins_with_its_opening() -> None:
    scene = opened()
    with pytest.raises(ValueError, match="cannot begin with FraudCaseNoted"):
        evolve_case(None, scene.when(noting(), fraud()).last[0])


def test_a_case_folds_to_what_it_was_event_by_event() -> None:
    later = replace(fraud(), now=NOW + timedelta(hours=1))
    scene = opened()
    after = scene.when(noting(), later)
    assert fold_case(None, (*scene.last, *after.last)) == after.case
    assert (after.case.opened_at, after.case.updated_at) == (NOW, later.now)
