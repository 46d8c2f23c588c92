"""Payouts in several legs: each has its own attempts, and the withdrawal stands where they do."""

from itertools import combinations_with_replacement

import pytest

from domain.counters import instrument_counter
from domain.errors import InvalidTransition, LegAmbiguous, LegNotFound, Reason
from domain.events import (
    Count,
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionResolved,
    TransactionSubmitted,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalPaid,
    WithdrawalQueued,
    WithdrawalRecalled,
    WithdrawalRejected,
    WithdrawalRequested,
    WithdrawalReturned,
)
from domain.events.evidence import Disposition, ReviewReason
from domain.money import Money
from domain.postings import postings
from domain.provider.attempt import ATTEMPTS_MAX
from domain.withdrawal.decisions import cancel_withdrawal, reject_withdrawal, retry_withdrawal
from domain.withdrawal.legs import Leg, LegStatus
from domain.withdrawal.reports import resolve_withdrawal
from domain.withdrawal.state import WithdrawalStatus
from domain.withdrawal.status import status_of
from tests.scenarios.scenario import (
    AMOUNT,
    FIRST_LEG,
    PLAYER_ID,
    SECOND_LEG,
    Decided,
    Given,
    amended,
    approved_by,
    by,
    command,
    hear_of_withdrawal,
    heard,
    player,
    scored,
    send,
    submitted,
    two_legs_queued,
    two_legs_requested,
    two_legs_sent,
    withdrawal_in,
)


def after(decided: Decided) -> Given:
    assert decided.error is None, repr(decided.error)
    assert decided.events
    return Given(decided.history + decided.events)


def told(history: Given, *reports: tuple[str, int]) -> Given:
    """The provider says each outcome of its attempt."""
    for outcome, attempt in reports:
        source = "answer" if outcome in ("not_sent", "unknown", "accepted") else "notice"
        history = after(history.when(hear_of_withdrawal, heard(outcome, source, attempt=attempt)))
    return history


def stands(history: Given) -> tuple[str, ...]:
    """The withdrawal's status, then those of its legs."""
    return (history.state.status, *(leg.status for leg in history.state.legs))


def taken(minor: int, instrument: str) -> Count:
    return Count(counter=instrument_counter(PLAYER_ID, instrument, "EUR"), change=-minor)


def give_back(minor: int, instrument: str) -> Count:
    return taken(-minor, instrument)


# --- from the request to the provider -----------------------------------------------------------


def test_a_request_names_its_legs_and_takes_them_from_the_net_deposits() -> None:
    (requested,) = two_legs_requested().history
    assert isinstance(requested, WithdrawalRequested)
    assert [(leg.instrument, leg.amount) for leg in requested.legs] == [
        ("card-1", FIRST_LEG),
        ("iban-1", SECOND_LEG),
    ]
    assert requested.counts == (taken(4_000, "card-1"), taken(6_000, "iban-1"))
    assert [p.amount_minor for p in postings(requested)] == [-AMOUNT.amount, AMOUNT.amount]


def test_an_approval_queues_every_leg() -> None:
    *_, first, second = two_legs_queued().history
    assert [(e.leg, e.attempt) for e in (first, second)] == [(1, 1), (2, 2)]
    assert stands(two_legs_queued()) == ("queued", "queued", "queued")


def test_a_leg_is_sent_alone_and_once() -> None:
    sent = two_legs_queued().when(submitted, 2).then(TransactionSubmitted, attempt=2)
    assert stands(sent) == ("submitted", "queued", "submitted")
    sent.when(submitted, 2).then_refused(InvalidTransition)
    sent.when(submitted, 1).then(TransactionSubmitted, attempt=1)


@pytest.mark.parametrize("leg", [0, 3, -1])
def test_there_is_no_other_leg(leg: int) -> None:
    two_legs_queued().when(submitted, leg).then_refused(LegNotFound)
    two_legs_queued().when(retry_withdrawal, command(), leg=leg).then_refused(LegNotFound)
    resolve(both_in_review(), "ann", "paid", leg).then_refused(LegNotFound)


# --- how legs end -------------------------------------------------------------------------------


def test_a_payout_is_partly_paid_in_between_and_paid_in_the_end() -> None:
    first = two_legs_sent().when(hear_of_withdrawal, heard("succeeded", attempt=2))
    between = first.then(WithdrawalPaid, leg=2, amount=SECOND_LEG)
    assert stands(between) == ("partially_paid", "submitted", "paid")
    assert between.state.reserved_minor == FIRST_LEG.amount
    second = between.when(hear_of_withdrawal, heard("succeeded", attempt=1))
    paid = second.then(WithdrawalPaid, leg=1, amount=FIRST_LEG)
    assert stands(paid) == ("paid", "paid", "paid")
    assert paid.state.reserved_minor == 0


def test_a_leg_that_comes_back_credits_its_own_amount() -> None:
    paid = told(two_legs_sent(), ("succeeded", 1), ("succeeded", 2))
    returned = paid.when(hear_of_withdrawal, heard("returned", attempt=1)).then(
        WithdrawalReturned, leg=1, amount=FIRST_LEG, counts=(give_back(4_000, "card-1"),)
    )
    assert stands(returned) == ("partially_paid", "returned", "paid")
    assert stands(told(returned, ("returned", 2))) == ("returned", "returned", "returned")


def test_a_leg_that_fails_for_good_releases_its_own_amount() -> None:
    failed = two_legs_sent().when(hear_of_withdrawal, heard("declined", attempt=1))
    state = failed.then(TransactionFailed, released=FIRST_LEG, counts=(give_back(4_000, "card-1"),))
    assert stands(state) == ("submitted", "failed", "submitted")
    assert state.state.reserved_minor == SECOND_LEG.amount
    assert stands(told(state, ("succeeded", 2))) == ("partially_paid", "failed", "paid")
    assert stands(told(state, ("declined", 2))) == ("failed", "failed", "failed")
    assert stands(told(state, ("returned", 2))) == ("failed", "failed", "returned")


def test_one_leg_is_tried_again_while_the_other_is_open() -> None:
    failed = told(two_legs_sent(), ("not_sent", 1))
    assert stands(failed) == ("submitted", "failed", "submitted")
    assert failed.state.reserved_minor == AMOUNT.amount
    again = failed.when(retry_withdrawal, command()).then(WithdrawalQueued, leg=1, attempt=3)
    assert stands(again) == ("submitted", "queued", "submitted")
    sent = again.when(submitted, 1).then(TransactionSubmitted, attempt=3)
    assert stands(told(sent, ("succeeded", 3), ("succeeded", 2))) == ("paid", "paid", "paid")


def test_the_attempts_of_one_leg_do_not_use_up_those_of_another() -> None:
    history = told(two_legs_sent(), ("not_sent", 1), ("not_sent", 2))
    for attempt in (3, 4):
        history = send(after(history.when(retry_withdrawal, command(), leg=1)), 1)
        history = told(history, ("not_sent", attempt))
    first, second = history.state.legs
    assert len(first.attempts) == ATTEMPTS_MAX
    assert not first.reserved
    assert second.waits_for_retry
    assert history.state.reserved_minor == SECOND_LEG.amount


def test_where_several_legs_failed_one_has_to_be_named() -> None:
    both = told(two_legs_sent(), ("not_sent", 1), ("not_sent", 2))
    assert stands(both) == ("failed", "failed", "failed")
    both.when(retry_withdrawal, command()).then_refused(LegAmbiguous)
    both.when(retry_withdrawal, command(), leg=2).then(WithdrawalQueued, leg=2, attempt=3)


def test_a_leg_that_did_not_fail_is_not_tried_again() -> None:
    failed = told(two_legs_sent(), ("not_sent", 1))
    failed.when(retry_withdrawal, command(), leg=2).then_refused(InvalidTransition)


# --- which leg a report is about ----------------------------------------------------------------


def third_attempt() -> Given:
    """Leg 1 is out with attempt 3 after attempt 1 was never sent; leg 2 with attempt 2."""
    failed = told(two_legs_sent(), ("not_sent", 1))
    return send(after(failed.when(retry_withdrawal, command())), 1)


def test_an_earlier_attempt_of_a_leg_that_paid_stops_that_leg_only() -> None:
    stopped = third_attempt().when(hear_of_withdrawal, heard("succeeded", attempt=1))
    state = stopped.then(ReviewOpened, reason=ReviewReason.CONTRADICTION)
    assert stands(state) == ("review", "review", "submitted")
    goes_on = state.when(hear_of_withdrawal, heard("succeeded", attempt=2))
    assert stands(goes_on.then(WithdrawalPaid, leg=2)) == ("review", "review", "paid")


def test_anything_else_about_an_earlier_attempt_of_a_leg_is_noted() -> None:
    third_attempt().when(hear_of_withdrawal, heard("declined", attempt=1)).then(
        NoticeNoted, disposition=Disposition.LATE
    )


def test_another_leg_s_amount_is_a_mismatch() -> None:
    two_legs_sent().when(hear_of_withdrawal, heard("succeeded", attempt=1, amount=SECOND_LEG)).then(
        ReviewOpened, reason=ReviewReason.MISMATCH
    )


def test_an_attempt_nobody_made_is_reviewed_with_a_leg_that_was_not_sent() -> None:
    one_sent = send(two_legs_queued(), 1)
    stray = one_sent.when(hear_of_withdrawal, heard("succeeded", attempt=9))
    state = stray.then(ReviewOpened, reason=ReviewReason.UNSOLICITED)
    assert stands(state) == ("review", "submitted", "review")


def test_the_same_stray_report_does_not_stop_another_leg() -> None:
    stray = after(two_legs_queued().when(hear_of_withdrawal, heard("succeeded", attempt=9)))
    assert stands(stray) == ("review", "review", "queued")
    again = stray.when(hear_of_withdrawal, heard("succeeded", attempt=9))
    again.then(NoticeNoted, disposition=Disposition.IN_REVIEW)


def test_a_report_that_names_no_attempt_is_about_the_latest() -> None:
    unreadable = heard("succeeded")
    unreadable = type(unreadable)(
        source=unreadable.source,
        outcome=unreadable.outcome,
        reference="their-own-reference",
        notice_id=unreadable.notice_id,
    )
    two_legs_sent().when(hear_of_withdrawal, unreadable).then(WithdrawalPaid, leg=2)


# --- reviews ------------------------------------------------------------------------------------


def both_in_review() -> Given:
    other = Money(1, "EUR")
    history = two_legs_sent()
    for attempt in (1, 2):
        history = after(
            history.when(hear_of_withdrawal, heard("succeeded", attempt=attempt, amount=other))
        )
    return history


def resolve(history: Given, person: str, target: str, leg: int | None = None) -> Decided:
    return history.when(resolve_withdrawal, by(person), target=target, note="see 1", leg=leg)


def test_the_only_leg_in_review_need_not_be_named() -> None:
    review = after(
        two_legs_sent().when(
            hear_of_withdrawal, heard("succeeded", attempt=2, amount=Money(1, "EUR"))
        )
    )
    proposed = resolve(review, "ann", "failed").then(ResolutionProposed, leg=2)
    ended = resolve(proposed, "ben", "failed").then(
        TransactionResolved, leg=2, counts=(give_back(6_000, "iban-1"),)
    )
    assert stands(ended) == ("submitted", "submitted", "failed")
    assert ended.state.reserved_minor == FIRST_LEG.amount


def test_of_several_legs_in_review_one_has_to_be_named() -> None:
    resolve(both_in_review(), "ann", "paid").then_refused(LegAmbiguous)


def test_a_leg_that_is_not_in_review_cannot_be_resolved() -> None:
    review = after(
        two_legs_sent().when(
            hear_of_withdrawal, heard("succeeded", attempt=2, amount=Money(1, "EUR"))
        )
    )
    resolve(review, "ann", "paid", 1).then_refused(InvalidTransition)


def test_each_review_has_a_proposal_of_its_own() -> None:
    first = resolve(both_in_review(), "ann", "paid", 1).then(ResolutionProposed, leg=1)
    second = resolve(first, "ben", "paid", 2).then(ResolutionProposed, leg=2)
    ended = resolve(second, "ben", "paid", 1).then(TransactionResolved, leg=1)
    assert stands(ended) == ("review", "paid", "review")
    ended = resolve(ended, "ann", "paid", 2).then(TransactionResolved, leg=2)
    assert stands(ended) == ("paid", "paid", "paid")


def test_a_leg_found_to_be_paid_after_its_funds_went_back_is_taken_again() -> None:
    failed = told(two_legs_sent(), ("declined", 1))
    review = after(failed.when(hear_of_withdrawal, heard("succeeded", attempt=1)))
    proposed = resolve(review, "ann", "paid").then(ResolutionProposed)
    ended = resolve(proposed, "ben", "paid").then(
        TransactionResolved, counts=(taken(4_000, "card-1"),)
    )
    assert ended.state.legs[0].house_minor == 4_000


# --- recalls ------------------------------------------------------------------------------------


def recalled_with_one_sent() -> Given:
    """Leg 1 is at the provider, leg 2 has been taken out of the queue."""
    recalled = send(two_legs_queued(), 1).when(submitted, 2, party=player(on_hold=True))
    return recalled.then(WithdrawalRecalled)


def test_a_recall_takes_back_what_is_not_sent_and_the_rest_goes_on() -> None:
    recalled = recalled_with_one_sent()
    assert stands(recalled) == ("under_review", "submitted", "planned")
    paid = recalled.when(hear_of_withdrawal, heard("succeeded", attempt=1))
    assert stands(paid.then(WithdrawalPaid)) == ("under_review", "paid", "planned")


def test_a_recall_takes_every_leg_out_of_the_queue() -> None:
    recalled = two_legs_queued().when(submitted, 2, party=player(on_hold=True))
    assert stands(recalled.then(WithdrawalRecalled)) == ("under_review", "planned", "planned")


def test_approved_again_only_what_is_not_sent_is_queued_with_the_number_it_had() -> None:
    again = recalled_with_one_sent().when(approved_by, "ben")
    queued = again.then(WithdrawalApproved, WithdrawalQueued, leg=2, attempt=2)
    assert stands(queued) == ("submitted", "submitted", "queued")


def test_rejected_after_a_recall_only_what_is_not_sent_is_released() -> None:
    rejected = recalled_with_one_sent().when(reject_withdrawal, by("ben"), note="no")
    state = rejected.then(
        WithdrawalRejected, released=SECOND_LEG, counts=(give_back(6_000, "iban-1"),)
    )
    assert stands(state) == ("submitted", "submitted", "released")
    assert state.state.reserved_minor == FIRST_LEG.amount
    assert stands(told(state, ("succeeded", 1))) == ("partially_paid", "paid", "released")
    assert stands(told(state, ("declined", 1))) == ("rejected", "failed", "released")
    assert stands(told(state, ("returned", 1))) == ("rejected", "returned", "released")


def test_cancelled_after_a_recall_only_what_is_not_sent_is_released() -> None:
    cancelled = recalled_with_one_sent().when(
        cancel_withdrawal, by("ben"), reason=Reason.REQUESTED_BY_PLAYER
    )
    assert stands(cancelled.then(WithdrawalCancelled, released=SECOND_LEG)) == (
        "submitted",
        "submitted",
        "released",
    )


def test_a_leg_that_fails_while_the_rest_is_recalled_waits_for_the_same_decision() -> None:
    recalled = recalled_with_one_sent()
    failed = recalled.when(hear_of_withdrawal, heard("not_sent", "answer"))
    waits = failed.then(TransactionFailed, released=None, retry_at=None)
    assert stands(waits) == ("under_review", "planned", "planned")
    assert waits.state.reserved_minor == AMOUNT.amount
    waits.when(retry_withdrawal, command(), leg=1).then_refused(InvalidTransition)
    queued = waits.when(approved_by, "ben")
    queued.then(WithdrawalApproved, WithdrawalQueued, WithdrawalQueued)
    assert [(e.leg, e.attempt) for e in queued.events[1:]] == [(1, 3), (2, 2)]


def test_a_leg_that_waits_for_a_retry_is_recalled_with_the_others() -> None:
    failed = told(send(two_legs_queued(), 1), ("not_sent", 1))
    recalled = failed.when(submitted, 2, party=player(on_hold=True)).then(WithdrawalRecalled)
    assert stands(recalled) == ("under_review", "planned", "planned")
    assert recalled.state.retry_at is None


def test_a_leg_that_fails_after_the_rest_was_given_up_is_given_up_too() -> None:
    rejected = after(recalled_with_one_sent().when(reject_withdrawal, by("ben"), note="no"))
    rejected.when(hear_of_withdrawal, heard("not_sent", "answer")).then(
        TransactionFailed, released=FIRST_LEG, retry_at=None
    )


def test_a_recalled_leg_whose_first_attempt_paid_all_the_same_is_a_contradiction() -> None:
    waits = told(recalled_with_one_sent(), ("not_sent", 1))
    waits.when(hear_of_withdrawal, heard("succeeded", attempt=1)).then(
        ReviewOpened, reason=ReviewReason.CONTRADICTION
    )


def test_what_is_partly_sent_can_be_scored_but_not_amended() -> None:
    sent = send(two_legs_queued(), 1)
    scored_again = after(sent.when(scored, 80))
    assert stands(scored_again) == ("submitted", "submitted", "queued")
    recalled = after(scored_again.when(submitted, 2))
    assert stands(recalled) == ("requested", "submitted", "planned")
    recalled.when(amended).then_refused(InvalidTransition)


# --- giving up a leg ----------------------------------------------------------------------------


def test_a_leg_that_waits_for_a_retry_can_be_cancelled_beside_one_that_was_paid() -> None:
    failed = told(two_legs_sent(), ("succeeded", 1), ("not_sent", 2))
    assert stands(failed) == ("partially_paid", "paid", "failed")
    cancelled = failed.when(cancel_withdrawal, by("ann"), reason=Reason.DECIDED_BY_OPERATOR)
    state = cancelled.then(WithdrawalCancelled, released=SECOND_LEG)
    assert stands(state) == ("partially_paid", "paid", "released")
    assert state.state.reserved_minor == 0


@pytest.mark.parametrize("stopped", ["queued", "review"])
def test_nothing_is_cancelled_beside_a_leg_that_is_queued_or_in_review(stopped: str) -> None:
    failed = told(send(two_legs_queued(), 1), ("not_sent", 1))
    if stopped == "review":
        failed = after(failed.when(hear_of_withdrawal, heard("succeeded", attempt=2)))
    assert failed.state.legs[1].status == stopped
    failed.when(cancel_withdrawal, by("ann"), reason="x").then_refused(InvalidTransition)


# --- where a withdrawal stands ------------------------------------------------------------------

S = LegStatus
PENDING = "failed for now"


def leg(status: LegStatus | str) -> Leg:
    pending = status == PENDING
    return Leg(
        number=1,
        provider="acme",
        method="card",
        instrument=None,
        amount=AMOUNT,
        status=S.FAILED if pending else LegStatus(status),
        reserved=pending,
    )


TWO = {
    ("queued", "submitted"): "submitted",
    ("queued", "processing"): "processing",
    ("submitted", "processing"): "processing",
    ("queued", "unknown"): "unknown",
    ("paid", "unknown"): "unknown",
    ("paid", "queued"): "partially_paid",
    ("paid", "submitted"): "partially_paid",
    ("paid", "processing"): "partially_paid",
    ("paid", "returned"): "partially_paid",
    ("paid", "failed"): "partially_paid",
    ("paid", "released"): "partially_paid",
    ("paid", PENDING): "partially_paid",
    ("returned", "failed"): "failed",
    ("returned", PENDING): "failed",
    ("returned", "queued"): "queued",
    ("failed", "queued"): "queued",
    ("failed", PENDING): "failed",
    (PENDING, "submitted"): "submitted",
    ("released", "submitted"): "submitted",
    ("released", "failed"): "cancelled",
    ("released", "returned"): "cancelled",
}


@pytest.mark.parametrize(("legs", "expected"), TWO.items())
def test_where_a_withdrawal_of_two_legs_stands(legs: tuple[str, str], expected: str) -> None:
    decision = "cancelled" if "released" in legs else "approved"
    for order in (legs, legs[::-1]):
        assert status_of(WithdrawalStatus(decision), [leg(s) for s in order]) == expected


@pytest.mark.parametrize("other", list(S))
def test_a_leg_in_review_comes_first_and_a_leg_to_be_decided_on_second(other: LegStatus) -> None:
    decision = WithdrawalStatus.UNDER_REVIEW
    assert status_of(decision, [leg(S.REVIEW), leg(other)]) == "review"
    expected = "review" if other is S.REVIEW else "under_review"
    assert status_of(decision, [leg(S.PLANNED), leg(other)]) == expected


@pytest.mark.parametrize("status", [s for s in S if s not in (S.PLANNED, S.RELEASED)])
def test_legs_that_stand_alike_say_where_the_withdrawal_stands(status: LegStatus) -> None:
    for count in (1, 2, 3):
        legs = [leg(status)] * count
        assert status_of(WithdrawalStatus.APPROVED, legs) == status.value


def test_the_order_of_legs_means_nothing() -> None:
    for mixed in combinations_with_replacement([*S, PENDING], 3):
        legs = [leg(s) for s in mixed]
        assert status_of(WithdrawalStatus.APPROVED, legs) is status_of(
            WithdrawalStatus.APPROVED, legs[::-1]
        )


def test_the_history_behind_partially_paid() -> None:
    assert stands(withdrawal_in("partially_paid")) == ("partially_paid", "paid", "submitted")
