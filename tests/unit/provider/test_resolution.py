"""Ending a review: two people, evidence, listed ways out, and books that are right afterwards."""

import pytest

from domain.deposit.reports import DEPOSIT_TARGETS
from domain.errors import EvidenceMissing, InvalidResolution, SelfApproval
from domain.events import ResolutionProposed, ReviewOpened, TransactionResolved
from domain.events.evidence import Outcome
from domain.money import Money
from domain.postings import postings
from domain.withdrawal.reports import WITHDRAWAL_TARGETS
from tests.scenarios.scenario import (
    AMOUNT,
    OTHER_AMOUNT,
    PLAYER_ID,
    Given,
    by,
    deposit_in,
    hear_of_deposit,
    hear_of_withdrawal,
    heard,
    resolve_as,
    resolve_deposit,
    resolve_withdrawal,
    resolved,
    withdrawal_in,
)

AVAILABLE = f"player:{PLAYER_ID}:available"
RESERVED = f"player:{PLAYER_ID}:reserved"
CLEARING = "provider:acme:clearing"
SUSPENSE = "house:suspense"

IN_REVIEW = {
    "deposit": (deposit_in, resolve_deposit, DEPOSIT_TARGETS),
    "withdrawal": (withdrawal_in, resolve_withdrawal, WITHDRAWAL_TARGETS),
}
WAYS_OUT = [(kind, target) for kind in IN_REVIEW for target in sorted(IN_REVIEW[kind][2])]
kinds = pytest.mark.parametrize("kind", IN_REVIEW)
ways_out = pytest.mark.parametrize(("kind", "target"), WAYS_OUT)


def review(kind: str) -> Given:
    return IN_REVIEW[kind][0]("review")


def test_the_listed_ways_out() -> None:
    assert sorted(DEPOSIT_TARGETS) == ["completed", "failed"]
    assert sorted(WITHDRAWAL_TARGETS) == ["failed", "paid"]


@ways_out
def test_rule_8_it_takes_two_people(kind: str, target: str) -> None:
    proposed = review(kind).when(resolve_as, "ann", target).then(ResolutionProposed, person="ann")
    assert proposed.state.status == "review"
    ended = proposed.when(resolve_as, "ben", target).then(TransactionResolved, person="ben")
    assert ended.state.status == target


@ways_out
def test_rule_8_the_same_person_twice_is_one_person(kind: str, target: str) -> None:
    proposed = review(kind).when(resolve_as, "ann", target).then(ResolutionProposed)
    proposed.when(resolve_as, "ann", target).then_refused(SelfApproval)


@kinds
def test_rule_8_persons_are_compared_not_kinds_of_actor(kind: str) -> None:
    target = min(IN_REVIEW[kind][2])
    proposed = review(kind).when(resolve_as, "ann", target).then(ResolutionProposed)
    resolve = IN_REVIEW[kind][1]
    other_key = by("ann").__class__(
        now=by("ann").now,
        actor="player:ann",
        command_id=by("ann").command_id,
        request_digest="digest",
    )
    proposed.when(resolve, other_key, target=target, note="n").then_refused(SelfApproval)


@kinds
def test_another_target_replaces_the_proposal(kind: str) -> None:
    one, other = sorted(IN_REVIEW[kind][2])
    proposed = review(kind).when(resolve_as, "ann", one).then(ResolutionProposed)
    replaced = proposed.when(resolve_as, "ben", other).then(ResolutionProposed, target=other)
    replaced.when(resolve_as, "ben", other).then_refused(SelfApproval)
    replaced.when(resolve_as, "ann", other).then(TransactionResolved)


@kinds
def test_a_new_review_does_not_inherit_a_proposal(kind: str) -> None:
    target, hear = (
        ("completed", hear_of_deposit)
        if kind == "deposit"
        else (
            "paid",
            hear_of_withdrawal,
        )
    )
    ended = resolved(review(kind), target)
    reopened = ended.when(hear, heard("declined")).then(ReviewOpened)
    assert reopened.state.proposal is None


@kinds
@pytest.mark.parametrize("target", ["", "created", "review", "refunded", "COMPLETED", "PAID"])
def test_rule_8_there_are_no_other_ways_out(kind: str, target: str) -> None:
    review(kind).when(resolve_as, "ann", target).then_refused(InvalidResolution)


@kinds
@pytest.mark.parametrize("note", ["", "   ", "\n\t"])
def test_rule_8_there_is_no_way_out_without_evidence(kind: str, note: str) -> None:
    _, resolve, targets = IN_REVIEW[kind]
    review(kind).when(resolve, by("ann"), target=min(targets), note=note).then_refused(
        EvidenceMissing
    )


# --- the books afterwards -----------------------------------------------------------------------


def books_of(history: Given) -> dict[str, int]:
    """Balances by account that the whole history leads to, but for empty ones."""
    balances: dict[str, int] = {}
    for event in history.history:
        for posting in postings(event):
            balances[posting.account] = balances.get(posting.account, 0) + posting.amount_minor
    return {account: balance for account, balance in balances.items() if balance}


def books(currency: str = "EUR", **accounts: int) -> dict[str, int]:
    names = {
        "available": AVAILABLE,
        "reserved": RESERVED,
        "clearing": CLEARING,
        "suspense": SUSPENSE,
    }
    return {f"{names[name]}:{currency}": amount for name, amount in accounts.items()}


def after_deposit(status: str, outcome: str, target: str, **rest: object) -> dict[str, int]:
    told = deposit_in(status).when(
        hear_of_deposit,
        heard(outcome, amount=rest.pop("amount", AMOUNT)),
        **rest,
    )
    return books_of(resolved(told.then(ReviewOpened), target))


def after_withdrawal(status: str, outcome: str, target: str, **rest: object) -> dict[str, int]:
    told = withdrawal_in(status).when(
        hear_of_withdrawal, heard(outcome, amount=rest.pop("amount", AMOUNT))
    )
    return books_of(resolved(told.then(ReviewOpened), target))


def test_a_mismatched_deposit_that_counts_is_credited_with_what_was_taken() -> None:
    assert after_deposit("submitted", "succeeded", "completed", amount=OTHER_AMOUNT) == books(
        available=9_999, clearing=-9_999
    )


def test_a_mismatched_deposit_that_does_not_count_waits_in_suspense() -> None:
    assert after_deposit("submitted", "succeeded", "failed", amount=OTHER_AMOUNT) == books(
        suspense=9_999, clearing=-9_999
    )


def test_a_deposit_settled_in_another_currency_is_credited_in_that_currency() -> None:
    dollars = Money(12_345, "USD")
    assert after_deposit("submitted", "succeeded", "completed", amount=dollars) == books(
        "USD", available=12_345, clearing=-12_345
    )


def test_an_authorised_amount_that_does_not_match_has_taken_nothing_yet() -> None:
    assert after_deposit("submitted", "authorised", "failed", amount=OTHER_AMOUNT) == {}


@pytest.mark.parametrize("status", ["created", "blocked"])
def test_money_nobody_asked_for_is_credited_or_waits_in_suspense(status: str) -> None:
    assert after_deposit(status, "succeeded", "completed") == books(
        available=10_000, clearing=-10_000
    )
    assert after_deposit(status, "succeeded", "failed") == books(suspense=10_000, clearing=-10_000)


@pytest.mark.parametrize("available_minor", [0, 4_000, 10_000])
def test_a_completed_deposit_that_did_happen_gives_back_what_was_reserved(
    available_minor: int,
) -> None:
    after = after_deposit("completed", "declined", "completed", available_minor=available_minor)
    assert after == books(available=10_000, clearing=-10_000)


def test_a_completed_deposit_that_did_not_happen_is_taken_back() -> None:
    assert after_deposit("completed", "declined", "failed", available_minor=10_000) == {}


def test_what_the_player_has_spent_meanwhile_is_the_houses_loss() -> None:
    after = after_deposit("completed", "declined", "failed", available_minor=4_000)
    assert after == books(available=6_000, suspense=-6_000)


def test_a_payout_that_was_paid_in_another_amount_leaves_the_difference_in_suspense() -> None:
    start = books(available=-10_000)
    assert after_withdrawal("submitted", "succeeded", "paid", amount=OTHER_AMOUNT) == (
        start | books(clearing=9_999, suspense=1)
    )
    more = Money(10_001, "EUR")
    assert after_withdrawal("submitted", "succeeded", "paid", amount=more) == (
        start | books(clearing=10_001, suspense=-1)
    )


def test_a_payout_in_another_currency_is_booked_as_asked() -> None:
    after = after_withdrawal("submitted", "succeeded", "paid", amount=Money(9, "USD"))
    assert after == books(available=-10_000, clearing=10_000)


def test_a_payout_that_was_not_paid_after_all_goes_back_to_the_player() -> None:
    assert after_withdrawal("submitted", "succeeded", "failed", amount=OTHER_AMOUNT) == {}
    assert after_withdrawal("paid", "declined", "failed") == {}


def test_a_payout_that_was_paid_all_the_same_stays_paid() -> None:
    assert after_withdrawal("paid", "declined", "paid") == books(available=-10_000, clearing=10_000)


@pytest.mark.parametrize("status", ["failed", "rejected", "cancelled"])
def test_a_payout_that_was_paid_after_the_funds_went_back_is_at_the_houses_expense(
    status: str,
) -> None:
    assert after_withdrawal(status, "succeeded", "paid") == books(suspense=-10_000, clearing=10_000)
    assert after_withdrawal(status, "succeeded", "failed") == {}


def test_a_player_account_never_goes_below_zero_inside_a_resolution() -> None:
    """Paid more than was reserved: the house makes up the difference, not the player."""
    told = withdrawal_in("submitted").when(
        hear_of_withdrawal, heard(Outcome.SUCCEEDED, amount=Money(20_000, "EUR"))
    )
    ended = resolved(told.then(ReviewOpened), "paid")
    moved = {}
    for posting in postings(ended.history[-1]):
        moved[posting.account] = moved.get(posting.account, 0) + posting.amount_minor
    assert moved == books(reserved=-10_000, suspense=-10_000, clearing=20_000)
