"""Adjustments: every state × every command, who may decide, and which moves can be made."""

from dataclasses import replace
from uuid import uuid4

import pytest

from domain import accounts
from domain.adjustment.decisions import (
    AdjustmentReason,
    approve_adjustment,
    reject_adjustment,
    request_adjustment,
)
from domain.adjustment.state import Adjustment, AdjustmentStatus, evolve_adjustment, fold_adjustment
from domain.errors import (
    AdjustmentInvalid,
    CommandReused,
    EvidenceMissing,
    InvalidTransition,
    Reason,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import AdjustmentApproved, AdjustmentRejected, Move
from domain.money import AMOUNT_MINOR_MAX, Money
from domain.postings import Posting, postings
from tests.scenarios.dispute import GOODWILL, adjustment_in, adjustment_requested, in_role
from tests.scenarios.scenario import AMOUNT, PLAYER_ID
from tests.scenarios.tables import cells, words

COMMANDS = """
status     approve   refuse    reject    take_back
requested  approved  rejected  rejected  rejected
approved   -         -         -         -
rejected   -         -         -         -
"""

DECISIONS = {
    "approve": lambda s: approve_adjustment(s, in_role("ben", "compliance"), note="fine"),
    "refuse": lambda s: approve_adjustment(
        s, in_role("ben", "compliance"), note="fine", refusal=Reason.INSUFFICIENT_FUNDS
    ),
    "reject": lambda s: reject_adjustment(s, in_role("ben", "compliance"), note="no"),
    "take_back": lambda s: reject_adjustment(s, in_role("ann", "support"), note="my mistake"),
}
MADE = {"approved": AdjustmentApproved, "rejected": AdjustmentRejected}


@pytest.mark.parametrize(("status", "name", "expected"), cells(COMMANDS))
def test_every_command_in_every_state(status: str, name: str, expected: str) -> None:
    decided = adjustment_in(status).when(DECISIONS[name])
    if expected == "-":
        decided.then_refused(InvalidTransition)
    else:
        state = decided.then(MADE[expected]).state
        assert state.status == expected


def test_the_command_table_is_complete() -> None:
    assert words(COMMANDS).rows == [status.value for status in AdjustmentStatus]
    assert words(COMMANDS).columns == list(DECISIONS)


def test_every_status_has_a_screen_word() -> None:
    assert all(status.screen_word for status in AdjustmentStatus)


def test_an_adjustment_is_settled_once_it_is_decided_and_never_waits_for_a_provider() -> None:
    settled = {status for status in AdjustmentStatus if status.is_settled}
    assert settled == {AdjustmentStatus.APPROVED, AdjustmentStatus.REJECTED}
    assert not any(status.is_open_at_provider for status in AdjustmentStatus)


# --- who decides --------------------------------------------------------------------------------


def test_compliance_decides() -> None:
    by_ben = in_role("ben", "compliance")
    decided = adjustment_requested().when(approve_adjustment, by_ben, note="fine")
    decided.then(AdjustmentApproved, person="ben", role="compliance", note="fine")


@pytest.mark.parametrize("role", ["administrator", "finance", "fraud", "support", "platform", ""])
@pytest.mark.parametrize("decision", [approve_adjustment, reject_adjustment])
def test_nobody_else_decides(role: str, decision: object) -> None:
    decided = adjustment_requested().when(decision, in_role("ben", role), note="fine")
    decided.then_refused(RoleNotAllowed)


def test_nobody_approves_their_own_adjustment_in_whatever_role() -> None:
    requested = adjustment_requested(by=in_role("ann", "support"))
    decided = requested.when(approve_adjustment, in_role("ann", "compliance"), note="fine")
    decided.then_refused(SelfApproval)


def test_the_same_command_decides_once() -> None:
    command = in_role("ben", "compliance")
    approved = adjustment_requested().when(approve_adjustment, command, note="fine")
    approved = approved.then(AdjustmentApproved)
    approved.when(approve_adjustment, command, note="fine").then_nothing()
    other = replace(command, request_digest="other")
    approved.when(approve_adjustment, other, note="fine").then_refused(CommandReused)
    approved.when(reject_adjustment, other, note="fine").then_refused(CommandReused)


def test_the_same_command_rejects_once() -> None:
    command = in_role("ben", "compliance")
    rejected = adjustment_requested().when(reject_adjustment, command, note="no")
    rejected = rejected.then(AdjustmentRejected, reason=Reason.DECIDED_BY_OPERATOR)
    rejected.when(reject_adjustment, command, note="no").then_nothing()


def test_what_cannot_move_any_more_is_rejected_in_the_name_of_who_approved() -> None:
    decided = adjustment_requested().when(DECISIONS["refuse"])
    rejected = decided.then(AdjustmentRejected, person="ben", reason="insufficient_funds")
    assert rejected.state.reason == "insufficient_funds"
    assert rejected.state.purpose == AdjustmentReason.GOODWILL


# --- what moves ---------------------------------------------------------------------------------


def test_the_money_moves_when_it_is_approved_and_not_before() -> None:
    requested = adjustment_requested(GOODWILL, GOODWILL)
    assert postings(requested.history[0]) == ()
    approved = requested.when(DECISIONS["approve"]).then(AdjustmentApproved)
    once = (
        Posting("house:adjustments:EUR", -AMOUNT.amount),
        Posting(f"player:{PLAYER_ID}:available:EUR", AMOUNT.amount),
    )
    assert postings(approved.history[-1]) == once + once


def test_a_rejected_adjustment_moves_nothing() -> None:
    assert [postings(event) for event in adjustment_in("rejected").history] == [(), ()]


def test_the_state_tells_what_was_asked_and_who_decided() -> None:
    state = adjustment_in("approved").state
    assert isinstance(state, Adjustment)
    assert (state.requested_by, state.decided_by, state.note) == ("ann", "ben", "fine")
    assert (state.amount, state.moves, state.grounds) == (AMOUNT, (GOODWILL,), "ticket 4711")
    assert (state.reason, state.metadata) == ("goodwill", {"campaign": "spring"})


CHARGEBACKS, CLEARING = accounts.chargebacks("EUR"), accounts.clearing("acme", "EUR")
EURO = Money(1, "EUR")
MOVABLE = {
    "from a player's available balance": (accounts.available(PLAYER_ID, "EUR"), CHARGEBACKS),
    "between house accounts": (accounts.suspense("EUR"), accounts.fees("EUR")),
    "from a provider": (CLEARING, accounts.fx("EUR")),
}
UNMOVABLE = {
    "nowhere": ("house:treasure:EUR", CHARGEBACKS, EURO, "is not an account"),
    "empty": ("", CHARGEBACKS, EURO, "is not an account"),
    "two lines": (CHARGEBACKS + "\n", CLEARING, EURO, "is not an account"),
    "nobody": ("player:somebody:available:EUR", CHARGEBACKS, EURO, "is not an account"),
    "a player's something": (f"player:{PLAYER_ID}:all:EUR", CLEARING, EURO, "is not an account"),
    "reserved source": (
        accounts.reserved(PLAYER_ID, "EUR"),
        CHARGEBACKS,
        EURO,
        "leaves it alone",
    ),
    "reserved target": (
        CHARGEBACKS,
        accounts.reserved(PLAYER_ID, "EUR"),
        EURO,
        "leaves it alone",
    ),
    "to itself": (CLEARING, CLEARING, EURO, "to itself"),
    "other currency of the source": (accounts.fees("USD"), CLEARING, EURO, "in EUR"),
    "other currency of the target": (CLEARING, accounts.fees("USD"), EURO, "in EUR"),
    "no currency": (
        "house:fees:EUX",
        "house:fx:EUX",
        Money(1, "EUX"),
        "not an ISO 4217 currency",
    ),
    "nothing": (CHARGEBACKS, CLEARING, Money(0, "EUR"), "whole number of minor units"),
    "less than nothing": (CHARGEBACKS, CLEARING, Money(-1, "EUR"), "whole number"),
    "too much": (CHARGEBACKS, CLEARING, Money(AMOUNT_MINOR_MAX + 1, "EUR"), "whole number"),
}


@pytest.mark.parametrize(("source", "target"), MOVABLE.values(), ids=MOVABLE)
@pytest.mark.parametrize("amount_minor", [1, AMOUNT_MINOR_MAX])
def test_a_move_between_two_accounts_of_a_currency_can_be_made(
    source: str, target: str, amount_minor: int
) -> None:
    move = Move(source=source, target=target, money=Money(amount_minor, "EUR"))
    assert adjustment_requested(move).state.moves == (move,)


@pytest.mark.parametrize(("source", "target", "money", "why"), UNMOVABLE.values(), ids=UNMOVABLE)
def test_a_move_that_cannot_be_made_is_named(
    source: str, target: str, money: Money, why: str
) -> None:
    move = Move(source=source, target=target, money=money)
    with pytest.raises(AdjustmentInvalid, match=rf"(?s)^Move 2: .*{why}"):
        adjustment_requested(GOODWILL, move)


def test_an_adjustment_has_to_move_something() -> None:
    with pytest.raises(AdjustmentInvalid, match="at least one move"):
        ask(moves=())


@pytest.mark.parametrize("grounds", ["", "  \n"])
def test_an_adjustment_needs_grounds(grounds: str) -> None:
    with pytest.raises(EvidenceMissing):
        ask(grounds=grounds)


@pytest.mark.parametrize("player_id", [None, uuid4()])
def test_who_moves_a_players_money_names_the_player(player_id: object) -> None:
    with pytest.raises(AdjustmentInvalid, match="has to name the player"):
        ask(player_id=player_id)


def test_money_credited_to_the_wrong_player_can_be_moved_to_the_right_one() -> None:
    right = accounts.available(uuid4(), "EUR")
    move = Move(source=accounts.available(PLAYER_ID, "EUR"), target=right, money=EURO)
    assert adjustment_requested(move).state.player_id == PLAYER_ID


def test_house_money_may_move_for_a_player_or_for_nobody() -> None:
    move = Move(source=CHARGEBACKS, target=CLEARING, money=EURO)
    assert adjustment_requested(move, player_id=None).state.player_id is None
    assert adjustment_requested(move).state.player_id == PLAYER_ID


def test_a_history_begins_with_the_request() -> None:
    assert fold_adjustment(None, ()) is None
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_adjustment(None, adjustment_in("approved").history[-1])


def ask(**changed: object) -> object:
    arguments: dict[str, object] = {
        "player_id": PLAYER_ID,
        "moves": (GOODWILL,),
        "reason": AdjustmentReason.CORRECTION,
        "grounds": "ticket 4711",
        "transaction_id": None,
        "metadata": {},
    }
    return request_adjustment(uuid4(), in_role("ann", "support"), **(arguments | changed))
