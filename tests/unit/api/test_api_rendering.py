"""Rendering: the plain values the API answers with are what its documented models describe."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from api.http.answers import body_of
from api.payments.rendering import encode, judged_by_player, rendered, rendered_rate
from api.payments.responses import AnyTransactionAnswer, AnyTransactionShown, LegShown
from domain.adjustment.state import AdjustmentStatus
from domain.conversion.state import ConversionStatus
from domain.deposit.decisions import DepositStatus
from domain.dispute.decisions import DisputeStatus
from domain.events.evidence import Standing
from domain.money import Money
from domain.refund.decisions import RefundStatus
from domain.transactions import Transaction, accounts_of, project_transaction
from domain.withdrawal.legs import LegStatus
from domain.withdrawal.state import Withdrawal, WithdrawalStatus
from ledger.commands.handling import Written
from ledger.eventstore.append import Receipt
from tests.generators.event_sequences import world
from tests.scenarios.conversion import conversion_in
from tests.scenarios.dispute import adjustment_in, dispute_in
from tests.scenarios.refund import refund_in
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    TWICE_SUPERVISED,
    approved_by,
    deposit_in,
    player,
    refund_tracked,
    withdrawal_in,
    withdrawal_screened,
)

SHOWN: TypeAdapter[object] = TypeAdapter(AnyTransactionShown)
ANSWERED: TypeAdapter[object] = TypeAdapter(AnyTransactionAnswer)


def everything() -> Iterator[tuple[str, Transaction]]:
    """A transaction of every kind in every status it can have."""
    for deposit in DepositStatus:
        yield f"deposit {deposit}", deposit_in(deposit).state
    for withdrawal in WithdrawalStatus:
        yield f"withdrawal {withdrawal}", withdrawal_in(withdrawal).state
    for refund in RefundStatus:
        yield f"refund {refund}", refund_in(refund).refund
    for conversion in ConversionStatus:
        yield f"conversion {conversion}", conversion_in(conversion).state
    for dispute in DisputeStatus:
        yield f"dispute {dispute}", dispute_in(dispute).state
    for adjustment in AdjustmentStatus:
        yield f"adjustment {adjustment}", adjustment_in(adjustment).state


EVERYTHING = dict(everything())


@pytest.mark.parametrize("transaction", EVERYTHING.values(), ids=EVERYTHING.keys())
def test_what_is_shown_is_what_the_document_describes(transaction: Transaction) -> None:
    """The models refuse unknown fields and missing ones, and write the very same bytes."""
    plain = rendered(transaction)
    assert SHOWN.dump_json(SHOWN.validate_python(plain)) == encode(plain)


@pytest.mark.parametrize("role", ["auditor", "finance", "support"])
@pytest.mark.parametrize("transaction", EVERYTHING.values(), ids=EVERYTHING.keys())
def test_what_is_answered_is_what_the_document_describes(
    transaction: Transaction, role: str
) -> None:
    answer = body_of(_written(transaction), role)
    described = ANSWERED.validate_json(encode(answer))
    assert TypeAdapter(dict[str, object]).validate_json(ANSWERED.dump_json(described)) == (
        TypeAdapter(dict[str, object]).validate_json(encode(answer))
    )


def test_every_step_of_random_histories_is_described() -> None:
    """Each transaction after each of its events, as the domain itself would have written them."""
    kinds = set()
    for seed in range(4):
        states: dict[UUID, Transaction | None] = {}
        for event in world(seed, 400).events:
            state = project_transaction(states.get(event.originator_id), [event])
            states[event.originator_id] = state
            if state is not None:
                plain = rendered(state)
                kinds.add(plain["kind"])
                assert SHOWN.dump_json(SHOWN.validate_python(plain)) == encode(plain)
    assert len(kinds) == 6


def test_an_answer_is_the_transaction_and_more() -> None:
    for transaction in EVERYTHING.values():
        shown, answer = rendered(transaction), body_of(_written(transaction), "auditor")
        assert {name: answer[name] for name in shown} == shown
        assert answer["position"] == answer["receipt"]["position"] == 7


def test_a_conversion_answers_the_balances_of_both_its_currencies() -> None:
    answer = body_of(_written(conversion_in(ConversionStatus.EXECUTED).state), "auditor")
    assert answer["balances"]["available"]["currency"] == answer["source"]["currency"]
    assert answer["target_balances"]["reserved"]["currency"] == answer["target"]["currency"]


def test_every_status_of_a_leg_has_a_word_for_people() -> None:
    words = {
        leg["status"]: leg["screen_status"]
        for transaction in EVERYTHING.values()
        if isinstance(transaction, Withdrawal)
        for leg in rendered(transaction)["legs"]
    }
    assert words.keys() == {status.value for status in LegStatus}
    assert (words["planned"], words["released"], words["paid"]) == (
        "Requested",
        "Cancelled",
        "Completed",
    )
    assert set(LegShown.model_fields) == set(_a_leg())


def test_a_deposit_says_what_is_left_of_it() -> None:
    claimed = refund_tracked(deposit_in("completed"), Money(4_000, "EUR"), Standing.OPEN)
    shown = rendered(claimed.state)
    assert shown["captured"] == {"amount": AMOUNT.amount, "currency": "EUR"}
    assert shown["refundable"] == {"amount": AMOUNT.amount - 4_000, "currency": "EUR"}
    assert [claim["standing"] for claim in shown["refunds"]] == ["open"]
    assert rendered(deposit_in("failed").state)["refundable"] is None


# --- approvals ----------------------------------------------------------------------------------


def test_an_approval_says_whether_it_counts_and_why_not() -> None:
    state = _approved_once()
    fine = rendered(state, player=player(), now=NOW)
    assert [(a["person"], a["role"], a["counts"]) for a in fine["approvals"]] == [
        ("ben", "fraud", True)
    ]
    assert fine["missing"] == (("finance",),)
    late = rendered(state, player=player(), now=NOW + timedelta(days=2))
    assert late["approvals"][0]["problems"] == ("expired",)
    assert late["missing"] == (("fraud",), ("finance",))
    stopped = rendered(state, player=player(on_hold=True), now=NOW)
    assert stopped["approvals"][0]["problems"] == ("player_changed",)


def test_a_write_judges_approvals_as_of_itself() -> None:
    """Its repeat, days later and with another standing of the player's, has to say the same."""
    state = _approved_once()
    assert rendered(state) == rendered(state, now=state.updated_at)
    assert rendered(state)["approvals"][0]["counts"] is True
    assert judged_by_player([state]) == {state.player_id}


@pytest.mark.parametrize("status", ["submitted", "paid", "rejected", "cancelled"])
def test_what_has_left_or_was_given_up_keeps_its_approvals(status: str) -> None:
    state = withdrawal_in(status).state
    assert isinstance(state, Withdrawal)
    years_later = rendered(state, player=player(on_hold=True), now=NOW + timedelta(days=900))
    assert years_later == rendered(state)
    assert judged_by_player([state]) == set()
    if status in ("submitted", "paid"):
        assert years_later["approvals"]
        assert all(approval["counts"] for approval in years_later["approvals"])
        assert years_later["missing"] == ()


# --- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "decimal"),
    [
        (Fraction(10_843, 10_000), "1.0843"),
        (Fraction(1, 3), "0.333333333333"),
        (Fraction(2), "2"),
        (Fraction(1, 2**62), "0.000000000000000000216840434497"),
        (Fraction(2**62), "4611686018430000000"),
    ],
)
def test_a_rate_is_shown_exactly_and_for_people(rate: Fraction, decimal: str) -> None:
    assert rendered_rate(rate) == {
        "numerator": rate.numerator,
        "denominator": rate.denominator,
        "decimal": decimal,
    }


def test_instants_are_shown_in_utc_wherever_they_come_from() -> None:
    dispute = dispute_in(DisputeStatus.EVIDENCE_DUE).state
    there = datetime(2026, 3, 9, 11, 30, tzinfo=timezone(timedelta(hours=2)))
    shown = rendered(replace(dispute, evidence_due_at=there))
    assert encode(shown["evidence_due_at"]) == b'"2026-03-09T09:30:00Z"'
    assert shown["evidence_due_at"].tzinfo is UTC


def _a_leg() -> Mapping[str, object]:
    leg: Mapping[str, object] = rendered(EVERYTHING["withdrawal paid"])["legs"][0]
    return leg


def _approved_once() -> Withdrawal:
    """A withdrawal that takes fraud and finance; fraud has agreed."""
    under_review = withdrawal_screened(policy=TWICE_SUPERVISED)
    state = under_review.when(approved_by, "ben", "fraud").then_state()
    assert isinstance(state, Withdrawal)
    return state


def _written(transaction: Transaction) -> Written:
    receipt = Receipt(
        position=7,
        positions=(7,),
        leaf=b"\1" * 32,
        size=7,
        root=b"\2" * 32,
        recorded_at=NOW,
        refused=False,
        balances=dict.fromkeys(accounts_of(transaction), 5),
    )
    return Written(transaction=transaction, receipt=receipt, replayed=False)
