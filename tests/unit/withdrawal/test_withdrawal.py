"""Withdrawals: every state × every command, every state × every report, and the ten rules."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import (
    AmountMayOnlyFall,
    CancellationNotAllowed,
    CommandReused,
    InvalidTransition,
    NothingToChange,
    Reason,
    RoleNotAllowed,
)
from domain.events import (
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionSubmitted,
    TransactionUnknown,
    WithdrawalAmended,
    WithdrawalApproved,
    WithdrawalCancelled,
    WithdrawalHeld,
    WithdrawalInformationProvided,
    WithdrawalInformationRequested,
    WithdrawalPaid,
    WithdrawalProcessing,
    WithdrawalQueued,
    WithdrawalRejected,
    WithdrawalReleased,
    WithdrawalRequested,
    WithdrawalReturned,
    WithdrawalScored,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.events.evidence import DeclineCode, Disposition, Outcome, ReviewReason, Source
from domain.money import Money
from domain.postings import postings
from domain.provider.attempt import ATTEMPTS_MAX
from domain.withdrawal.decisions import (
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    retry_withdrawal,
    score_withdrawal,
)
from domain.withdrawal.state import WithdrawalStatus, evolve_withdrawal
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    OTHER_AMOUNT,
    UNATTENDED,
    Given,
    amended,
    approved_by,
    by,
    command,
    failing_until_the_last_attempt,
    hear_of_withdrawal,
    heard,
    player,
    provider,
    resolve_as,
    resolved,
    scored,
    screened,
    second_attempt,
    send,
    submitted,
    withdrawal_failed_for_now,
    withdrawal_in,
    withdrawal_requested,
)
from tests.scenarios.tables import cells, words

# --- every state × every command ----------------------------------------------------------------

# `failed_for_now` is the status `failed` with the funds still reserved for another attempt.
COMMANDS = """
status          screen    amend   score  approve reject   hold request_information provide_information release cancel    retry  submit resolve
requested       screened  amended scored -       -        -    -                   -                   -       cancelled -      -      -
screening       -         amended scored -       -        -    -                   -                   -       cancelled -      -      -
under_review    -         amended scored queued  rejected held asked               -                   -       cancelled -      -      -
info_required   -         amended scored -       rejected -    -                   answered            -       -         -      -      -
held            -         amended scored -       rejected -    -                   -                   released -        -      -      -
approved        -         -       scored -       -        -    -                   -                   -       -         -      -      -
queued          -         -       scored -       -        -    -                   -                   -       -         -      sent   -
submitted       -         -       -      -       -        -    -                   -                   -       -         -      -      -
processing      -         -       -      -       -        -    -                   -                   -       -         -      -      -
unknown         -         -       -      -       -        -    -                   -                   -       -         -      -      -
partially_paid  -         -       -      -       -        -    -                   -                   -       -         -      -      -
paid            -         -       -      -       -        -    -                   -                   -       -         -      -      -
returned        -         -       -      -       -        -    -                   -                   -       -         -      -      -
failed          -         -       -      -       -        -    -                   -                   -       -         -      -      -
failed_for_now  -         -       scored -       -        -    -                   -                   -       cancelled again  -      -
rejected        -         -       -      -       -        -    -                   -                   -       -         -      -      -
cancelled       -         -       -      -       -        -    -                   -                   -       -         -      -      -
review          -         -       -      -       -        -    -                   -                   -       -         -      -      proposed
"""  # noqa: E501

DECISIONS = {
    "screen": screened,
    "amend": amended,
    "score": scored,
    "approve": lambda s: approved_by(s, "ann"),
    "reject": lambda s: reject_withdrawal(s, by("ann", role="compliance"), note="no"),
    "hold": lambda s: hold_withdrawal(s, by("ann"), note="wait"),
    "request_information": lambda s: request_information(s, by("ann"), note="who is it?"),
    "provide_information": lambda s: provide_information(s, by("ann"), note="it is them"),
    "release": lambda s: release_withdrawal(s, by("ann", role="compliance"), note="go on"),
    "cancel": lambda s: cancel_withdrawal(s, by("ann"), reason=Reason.REQUESTED_BY_PLAYER),
    "retry": lambda s: retry_withdrawal(s, command()),
    "submit": submitted,
    "resolve": lambda s: resolve_as(s, "ann", "paid"),
}
MADE = {
    "screened": (WithdrawalScreeningStarted, WithdrawalScreened),
    "amended": (WithdrawalAmended,),
    "scored": (WithdrawalScored,),
    "queued": (WithdrawalApproved, WithdrawalQueued),
    "rejected": (WithdrawalRejected,),
    "held": (WithdrawalHeld,),
    "asked": (WithdrawalInformationRequested,),
    "answered": (WithdrawalInformationProvided,),
    "released": (WithdrawalReleased,),
    "cancelled": (WithdrawalCancelled,),
    "again": (WithdrawalQueued,),
    "sent": (TransactionSubmitted,),
    "proposed": (ResolutionProposed,),
}


def withdrawal(status: str) -> Given:
    return withdrawal_failed_for_now() if status == "failed_for_now" else withdrawal_in(status)


@pytest.mark.parametrize(("status", "name", "expected"), cells(COMMANDS))
def test_every_command_in_every_state(status: str, name: str, expected: str) -> None:
    decided = withdrawal(status).when(DECISIONS[name])
    if expected == "-":
        decided.then_refused(InvalidTransition)
    else:
        decided.then(*MADE[expected])


def test_the_command_table_is_complete() -> None:
    assert set(words(COMMANDS).rows) == {s.value for s in WithdrawalStatus} | {"failed_for_now"}
    assert words(COMMANDS).columns == list(DECISIONS)


# --- every state × every report -----------------------------------------------------------------

# A row holds for every source unless it names one. Cells: what is recorded.
#   paid, back     paid; paid and returned        pending   still open, ask again
#   failed, again  failed for good; funds stay reserved for another attempt
#   !x             a person has to look, because of x
#   ~x             noted, nothing follows: ~late, ~twice (heard before), ~seen (a person is
#                  looking), ~stray (about an attempt that was never made)
REPORTS = """
status           accepted   awaiting_player pending    authorised succeeded declined voided  returned not_found not_sent unknown
requested        ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
screening        ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
under_review     ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
info_required    ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
held             ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
approved         ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
queued           ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
submitted/answer processing pending         processing pending    paid      failed   failed  back     pending   again    unknown
submitted/notice processing pending         processing pending    paid      failed   failed  back     pending   pending  unknown
submitted/poll   processing pending         processing pending    paid      failed   failed  back     pending   pending  unknown
processing       pending    pending         pending    pending    paid      failed   failed  back     pending   pending  pending
unknown          pending    pending         pending    pending    paid      failed   failed  back     pending   pending  pending
paid             ~late      ~late           ~late      ~late      ~twice    !contra  !contra returned ~late     ~late    ~late
returned         ~late      ~late           ~late      ~late      !contra   ~twice   ~twice  ~twice   ~late     ~late    ~late
failed           ~late      ~late           ~late      ~late      !contra   ~twice   ~twice  !contra  ~late     ~late    ~late
failed_for_now   ~late      ~late           ~late      ~late      !contra   ~twice   ~twice  !contra  ~late     ~late    ~late
rejected         ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
cancelled        ~stray     ~stray          ~stray     ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
review           ~seen      ~seen           ~seen      ~seen      ~seen     ~seen    ~seen   ~seen    ~seen     ~seen    ~seen
"""  # noqa: E501

# The same with an amount that is not the one we asked for. Only what differs is listed.
OTHER_AMOUNT_REPORTS = {
    ("submitted", "succeeded"): "!mismatch",
    ("submitted", "returned"): "!mismatch",
    ("processing", "succeeded"): "!mismatch",
    ("processing", "returned"): "!mismatch",
    ("unknown", "succeeded"): "!mismatch",
    ("unknown", "returned"): "!mismatch",
    ("paid", "succeeded"): "!mismatch",
    ("returned", "succeeded"): "!mismatch",
    ("paid", "returned"): "!mismatch",
}

NOTED = {
    "~late": Disposition.LATE,
    "~twice": Disposition.DUPLICATE,
    "~seen": Disposition.IN_REVIEW,
    "~stray": Disposition.UNSOLICITED,
}
REVIEWED = {
    "!contra": ReviewReason.CONTRADICTION,
    "!mismatch": ReviewReason.MISMATCH,
    "!stray": ReviewReason.UNSOLICITED,
}
RECORDED = {
    "paid": ((WithdrawalPaid,), {"amount": AMOUNT}, "paid"),
    "back": ((WithdrawalPaid, WithdrawalReturned), {"amount": AMOUNT}, "returned"),
    "returned": ((WithdrawalReturned,), {"amount": AMOUNT}, "returned"),
    "failed": ((TransactionFailed,), {"released": AMOUNT, "retry_at": None}, "failed"),
    "again": (
        (TransactionFailed,),
        {"released": None, "retry_at": NOW + timedelta(seconds=10)},
        "failed",
    ),
    "processing": ((WithdrawalProcessing,), {}, "processing"),
    "unknown": ((TransactionUnknown,), {}, "unknown"),
}


def expect_report(status: str, source: str, expected: str, evidence: object) -> None:
    decided = withdrawal(status).when(hear_of_withdrawal, evidence)
    after = "failed" if status == "failed_for_now" else status
    if expected in NOTED:
        decided.then(NoticeNoted, disposition=NOTED[expected])
    elif expected in REVIEWED:
        decided.then(ReviewOpened, reason=REVIEWED[expected], reserved=None)
        after = "review"
    elif expected == "pending":
        decided.then(TransactionPending, polls=int(source == "poll"))
    else:
        kinds, fields, after = RECORDED[expected]
        decided.then(*kinds, **fields)
    assert decided.then_state().status == after


@pytest.mark.parametrize(("status", "source", "outcome", "expected"), cells(REPORTS, Source))
def test_every_report_in_every_state(status: str, source: str, outcome: str, expected: str) -> None:
    expect_report(status, source, expected, heard(outcome, source, amount=AMOUNT))


@pytest.mark.parametrize(("status", "source", "outcome", "same"), cells(REPORTS, Source))
def test_every_report_of_another_amount_in_every_state(
    status: str, source: str, outcome: str, same: str
) -> None:
    expected = OTHER_AMOUNT_REPORTS.get((status, outcome), same)
    expect_report(status, source, expected, heard(outcome, source, amount=OTHER_AMOUNT))


def test_the_report_table_is_complete() -> None:
    rows = cells(REPORTS, Source)
    covered = {(status, source, outcome) for status, source, outcome, _ in rows}
    statuses = {s.value for s in WithdrawalStatus} | {"failed_for_now"}
    statuses -= {"partially_paid"}  # takes two legs: tests/unit/withdrawal/test_withdrawal_legs.py
    assert covered == {(s, w, o) for s in statuses for w in Source for o in Outcome}
    assert len(rows) == len(covered)


def test_every_status_has_a_screen_word() -> None:
    assert all(status.screen_word for status in WithdrawalStatus)


# --- requests -----------------------------------------------------------------------------------


def test_a_request_reserves_the_funds_in_the_same_event() -> None:
    (requested,) = withdrawal_requested().history
    assert isinstance(requested, WithdrawalRequested)
    assert [p.amount_minor for p in postings(requested)] == [-AMOUNT.amount, AMOUNT.amount]


def test_a_refused_request_is_recorded_with_its_rejection_and_moves_nothing() -> None:
    refused = withdrawal_requested(refusal=Reason.INSUFFICIENT_FUNDS)
    requested, rejected = refused.history
    assert isinstance(rejected, WithdrawalRejected)
    assert rejected.reason == Reason.INSUFFICIENT_FUNDS
    assert postings(requested) == postings(rejected) == ()
    assert refused.state.status is WithdrawalStatus.REJECTED
    assert not refused.state.reserved


def test_a_small_withdrawal_of_a_verified_player_is_approved_and_queued_by_the_policy() -> None:
    withdrawal_requested().when(screened, policy=UNATTENDED).then(
        WithdrawalScreeningStarted,
        WithdrawalScreened,
        WithdrawalApproved,
        WithdrawalQueued,
        attempt=1,
    )


def test_a_history_begins_with_its_request() -> None:
    *_, rejected = withdrawal_in("rejected").history
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_withdrawal(None, rejected)


# --- decisions ----------------------------------------------------------------------------------


def test_a_withdrawal_is_approved_at_most_once() -> None:
    withdrawal_in("queued").when(approved_by, "ben").then_refused(InvalidTransition)


def test_a_rejection_releases_what_was_reserved() -> None:
    cleo = by("cleo", role="compliance")
    withdrawal_in("held").when(reject_withdrawal, cleo, note="no").then(
        WithdrawalRejected, released=AMOUNT, reason=Reason.DECIDED_BY_OPERATOR
    )


@pytest.mark.parametrize("role", ["administrator", "finance", "fraud", "support", "platform", ""])
@pytest.mark.parametrize("decision", [release_withdrawal, reject_withdrawal])
def test_only_compliance_ends_a_hold(role: str, decision: object) -> None:
    held = withdrawal_in("held")
    held.when(decision, by("ann", role=role), note="go").then_refused(RoleNotAllowed)


@pytest.mark.parametrize(
    ("status", "decision", "fields"),
    [
        ("under_review", reject_withdrawal, {"note": "no"}),
        ("under_review", hold_withdrawal, {"note": "no"}),
        ("under_review", request_information, {"note": "no"}),
        ("under_review", cancel_withdrawal, {"reason": "no"}),
        ("info_required", provide_information, {"note": "no"}),
        ("info_required", reject_withdrawal, {"note": "no"}),
        ("under_review", score_withdrawal, {"score": 1, "high": (), "ruleset": "rules-1"}),
        (
            "under_review",
            lambda s, c: approve_withdrawal(
                s, replace(c, role="fraud"), player=player(), note="fine"
            ),
            {},
        ),
        ("held", release_withdrawal, {"note": "no"}),
        ("failed_for_now", retry_withdrawal, {}),
        ("review", lambda s, c: resolve_as(s, "", "paid", command=c), {}),
    ],
)
def test_a_command_sent_twice_acts_once_and_its_id_is_not_for_another_request(
    status: str, decision: object, fields: dict[str, object]
) -> None:
    once = by("ann", role="compliance")
    decided = withdrawal(status).when(decision, once, **fields)
    done = Given(decided.history + decided.events)
    assert decided.events
    done.when(decision, once, **fields).then_nothing()
    other = replace(once, request_digest="another request")
    done.when(decision, other, **fields).then_refused(CommandReused)


def test_a_player_cancels_where_their_jurisdiction_lets_them() -> None:
    by_player = {"reason": Reason.REQUESTED_BY_PLAYER, "by_player": True}
    withdrawal_in("requested").when(
        cancel_withdrawal, command("player:p1"), **by_player, player_may_cancel=True
    ).then(WithdrawalCancelled, released=AMOUNT)
    withdrawal_in("requested").when(
        cancel_withdrawal, command("player:p1"), **by_player, player_may_cancel=False
    ).then_refused(CancellationNotAllowed)


def test_an_operator_cancels_whatever_the_jurisdiction_says_of_players() -> None:
    withdrawal_in("requested").when(
        cancel_withdrawal, by("ann"), reason=Reason.DECIDED_BY_OPERATOR, player_may_cancel=False
    ).then(WithdrawalCancelled)


# --- amendments and scores ----------------------------------------------------------------------


def test_an_amendment_to_less_releases_the_difference() -> None:
    decided = withdrawal_in("under_review").when(amended, OTHER_AMOUNT)
    state = decided.then(WithdrawalAmended, released=Money(1, "EUR"), amount=OTHER_AMOUNT).state
    assert [p.amount_minor for p in postings(decided.events[0])] == [-1, 1]
    assert state.amount == OTHER_AMOUNT
    assert state.reserved_minor == OTHER_AMOUNT.amount
    assert [leg.amount for leg in state.legs] == [OTHER_AMOUNT]


def test_an_amendment_to_another_instrument_releases_nothing() -> None:
    decided = withdrawal_in("under_review").when(amended, AMOUNT, "iban-2")
    state = decided.then(WithdrawalAmended, released=None).state
    assert postings(decided.events[0]) == ()
    assert (state.instrument, state.legs[0].instrument) == ("iban-2", "iban-2")


@pytest.mark.parametrize("amount", [Money(10_001, "EUR"), Money(9_999, "USD")])
def test_an_amount_may_only_fall(amount: Money) -> None:
    withdrawal_in("under_review").when(amended, amount).then_refused(AmountMayOnlyFall)


def test_an_amendment_that_changes_nothing_is_refused() -> None:
    withdrawal_in("under_review").when(amended, AMOUNT).then_refused(NothingToChange)


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("requested", "requested"),
        ("screening", "requested"),
        ("under_review", "requested"),
        ("info_required", "info_required"),
        ("held", "held"),
    ],
)
def test_what_is_amended_is_screened_again_unless_it_is_stopped(status: str, after: str) -> None:
    assert withdrawal_in(status).when(amended).then_state().status == after


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("requested", "requested"),
        ("screening", "screening"),
        ("under_review", "requested"),
        ("info_required", "info_required"),
        ("held", "held"),
        ("approved", "approved"),
        ("queued", "queued"),
        ("failed_for_now", "failed"),
    ],
)
def test_what_is_scored_under_review_is_screened_again(status: str, after: str) -> None:
    assert withdrawal(status).when(scored).then_state().status == after


@pytest.mark.parametrize("change", [amended, scored])
@pytest.mark.parametrize(
    ("status", "go_on"), [("held", release_withdrawal), ("info_required", provide_information)]
)
def test_what_has_changed_while_it_was_stopped_is_screened_afterwards(
    status: str, go_on: object, change: object
) -> None:
    changed = withdrawal_in(status).when(change)
    goes_on = Given(changed.history + changed.events).when(
        go_on, by("ann", role="compliance"), note="go on"
    )
    state = goes_on.then_state()
    assert (state.status, state.screening_reasons, state.required) == ("requested", (), ())


def test_the_same_score_again_is_refused() -> None:
    once = withdrawal_in("under_review").when(scored, 55, ("pass_through",))
    once.then(WithdrawalScored).when(scored, 55, ("pass_through",)).then_refused(NothingToChange)


# --- the ten rules ------------------------------------------------------------------------------


def test_rule_1_a_notice_already_acted_on_appends_nothing() -> None:
    notice = heard("succeeded")
    paid = withdrawal_in("submitted").when(hear_of_withdrawal, notice).then(WithdrawalPaid)
    paid.when(hear_of_withdrawal, notice).then_nothing()


def test_rule_2_the_same_meaning_under_a_new_id_is_noted() -> None:
    withdrawal_in("paid").when(hear_of_withdrawal, heard("succeeded", amount=AMOUNT)).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


def test_rule_2_the_same_reference_with_another_amount_is_reviewed() -> None:
    withdrawal_in("paid").when(hear_of_withdrawal, heard("succeeded", amount=OTHER_AMOUNT)).then(
        ReviewOpened, reason=ReviewReason.MISMATCH
    )


@pytest.mark.parametrize("outcome", ["accepted", "pending", "not_found", "unknown"])
def test_rule_3_an_older_notice_that_arrives_later_changes_nothing(outcome: str) -> None:
    noted = withdrawal_in("paid").when(hear_of_withdrawal, heard(outcome)).then(NoticeNoted)
    assert noted.state.status is WithdrawalStatus.PAID


@pytest.mark.parametrize("answer", ["accepted", "pending", "not_sent", "unknown"])
def test_rule_4_a_webhook_before_our_own_answer_settles_it(answer: str) -> None:
    early = withdrawal_in("submitted").when(hear_of_withdrawal, heard("succeeded"))
    late = early.then(WithdrawalPaid).when(hear_of_withdrawal, heard(answer, "answer"))
    assert late.then(NoticeNoted).state.status is WithdrawalStatus.PAID


def test_rule_4_not_sent_after_the_provider_was_heard_is_not_a_failure() -> None:
    withdrawal_in("processing").when(hear_of_withdrawal, heard("not_sent", "answer")).then(
        TransactionPending
    )


def test_rule_4_not_sent_after_the_provider_was_asked_is_not_a_failure() -> None:
    """It may have been sent again by then: another attempt could pay twice."""
    asked = withdrawal_in("submitted").when(hear_of_withdrawal, heard("not_found", "poll"))
    asked.then(TransactionPending).when(hear_of_withdrawal, heard("not_sent", "answer")).then(
        TransactionPending
    )


def test_rule_5_not_sent_is_safe_to_try_again_with_the_funds_still_reserved() -> None:
    failed = withdrawal_in("submitted").when(hear_of_withdrawal, heard("not_sent", "answer"))
    state = failed.then(TransactionFailed, released=None, reason=Reason.NOT_SENT).state
    assert state.reserved
    assert state.retry_at == NOW + timedelta(seconds=10)


def test_rule_5_unknown_is_not_failed_and_is_never_sent_again_by_a_rule() -> None:
    unknown = withdrawal_in("submitted").when(hear_of_withdrawal, heard("unknown", "answer"))
    state = unknown.then(TransactionUnknown).state
    assert state.reserved
    assert state.retry_at is None


def test_rule_5_after_the_last_question_a_person_is_asked() -> None:
    slow = provider(poll_delays_seconds=(10, 30))
    first = withdrawal_in("unknown").when(
        hear_of_withdrawal, heard("not_found", "poll"), provider=slow
    )
    second = first.then(TransactionPending, polls=1, poll_at=NOW + timedelta(seconds=30))
    second.when(hear_of_withdrawal, heard("not_found", "poll"), provider=slow).then(
        ReviewOpened, reason=ReviewReason.UNRESOLVED
    )


def test_rule_5_a_new_attempt_begins_its_own_schedule() -> None:
    history = withdrawal_failed_for_now()
    history = send(second_attempt(history))
    assert history.state.polls == 0


@pytest.mark.parametrize("outcome", ["declined", "voided"])
def test_rule_6_a_payout_that_was_paid_and_then_declined_is_reviewed(outcome: str) -> None:
    withdrawal_in("paid").when(hear_of_withdrawal, heard(outcome)).then(
        ReviewOpened, reason=ReviewReason.CONTRADICTION
    )


def test_rule_6_while_in_review_the_money_stays_reserved() -> None:
    review = withdrawal_in("review").state
    assert review.reserved


@pytest.mark.parametrize("told", [OTHER_AMOUNT, Money(10_001, "EUR"), Money(10_000, "USD")])
def test_rule_7_another_amount_or_currency_is_not_paid(told: Money) -> None:
    decided = withdrawal_in("submitted").when(hear_of_withdrawal, heard("succeeded", amount=told))
    decided.then(ReviewOpened, reason=ReviewReason.MISMATCH)
    assert postings(decided.events[0]) == ()


def test_a_late_success_of_a_failed_payout_is_a_contradiction_and_moves_nothing() -> None:
    decided = withdrawal_in("failed").when(hear_of_withdrawal, heard("succeeded", amount=AMOUNT))
    decided.then(ReviewOpened, reason=ReviewReason.CONTRADICTION)
    assert postings(decided.events[0]) == ()


def test_a_returned_payout_is_credited_once() -> None:
    returned = withdrawal_in("paid").when(hear_of_withdrawal, heard("returned"))
    again = returned.then(WithdrawalReturned).when(hear_of_withdrawal, heard("returned"))
    again.then(NoticeNoted, disposition=Disposition.DUPLICATE)


def test_a_payout_that_is_heard_of_only_when_it_returns_posts_both_ways() -> None:
    withdrawal_in("submitted").when(hear_of_withdrawal, heard("returned")).then(
        WithdrawalPaid, WithdrawalReturned
    )


# --- attempts -----------------------------------------------------------------------------------


def test_a_trouble_of_the_providers_own_is_worth_another_attempt() -> None:
    trouble = heard("declined", decline_code=DeclineCode.PROVIDER_ERROR)
    withdrawal_in("submitted").when(hear_of_withdrawal, trouble).then(
        TransactionFailed, released=None, reason="provider_error"
    )


@pytest.mark.parametrize("code", [c for c in DeclineCode if c is not DeclineCode.PROVIDER_ERROR])
def test_a_refusal_is_final(code: DeclineCode) -> None:
    refusal = heard("declined", decline_code=code)
    withdrawal_in("submitted").when(hear_of_withdrawal, refusal).then(
        TransactionFailed, released=AMOUNT, reason=code.value
    )


def test_after_the_last_attempt_the_funds_go_back() -> None:
    history = failing_until_the_last_attempt()
    assert history.state.attempt == ATTEMPTS_MAX
    assert not history.state.reserved
    history.when(retry_withdrawal, command()).then_refused(InvalidTransition)


@pytest.mark.parametrize("outcome", ["succeeded", "returned"])
@pytest.mark.parametrize("later", ["queued", "submitted"])
def test_an_earlier_attempt_that_paid_stops_the_next_one(outcome: str, later: str) -> None:
    history = second_attempt(withdrawal_failed_for_now())
    history = send(history) if later == "submitted" else history
    history.when(hear_of_withdrawal, heard(outcome, attempt=1)).then(
        ReviewOpened, reason=ReviewReason.CONTRADICTION
    )


@pytest.mark.parametrize("outcome", ["declined", "pending", "unknown", "not_found"])
def test_anything_else_about_an_earlier_attempt_is_noted(outcome: str) -> None:
    history = send(second_attempt(withdrawal_failed_for_now()))
    history.when(hear_of_withdrawal, heard(outcome, attempt=1)).then(
        NoticeNoted, disposition=Disposition.LATE
    )


@pytest.mark.parametrize("status", ["submitted", "processing", "unknown", "failed", "paid"])
def test_money_for_an_attempt_that_was_never_made_is_reviewed(status: str) -> None:
    withdrawal_in(status).when(hear_of_withdrawal, heard("succeeded", attempt=2)).then(
        ReviewOpened, reason=ReviewReason.UNSOLICITED
    )


def test_a_second_attempt_that_paid_too_is_not_taken_for_a_duplicate() -> None:
    sent_twice = send(second_attempt(withdrawal_failed_for_now()))
    first_paid = sent_twice.when(hear_of_withdrawal, heard("succeeded", attempt=1))
    judged = resolved(first_paid.then(ReviewOpened), "paid")
    judged.when(hear_of_withdrawal, heard("succeeded", attempt=2)).then(
        ReviewOpened, reason=ReviewReason.CONTRADICTION
    )


def test_the_attempt_that_was_judged_to_have_paid_can_be_heard_of_again() -> None:
    sent_twice = send(second_attempt(withdrawal_failed_for_now()))
    first_paid = sent_twice.when(hear_of_withdrawal, heard("succeeded", attempt=1))
    judged = resolved(first_paid.then(ReviewOpened), "paid")
    judged.when(hear_of_withdrawal, heard("succeeded", attempt=1)).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


# --- after a review -----------------------------------------------------------------------------


def test_a_payout_at_the_houses_expense_that_returns_goes_back_to_the_house() -> None:
    """The funds went back to the player when it failed; the bank paid all the same."""
    paid_all_the_same = withdrawal_in("failed").when(hear_of_withdrawal, heard("succeeded"))
    judged = resolved(paid_all_the_same.then(ReviewOpened), "paid")
    decided = judged.when(hear_of_withdrawal, heard("returned"))
    decided.then(WithdrawalReturned, to_house=AMOUNT)
    moved: Counter[str] = Counter()
    for posting in postings(decided.events[0]):
        moved[posting.account] += posting.amount_minor
    assert {account: minor for account, minor in moved.items() if minor} == {
        "provider:acme:clearing:EUR": -AMOUNT.amount,
        "house:suspense:EUR": AMOUNT.amount,
    }


def test_a_payout_at_the_houses_expense_that_failed_after_all_goes_back_to_the_house() -> None:
    paid_all_the_same = withdrawal_in("failed").when(hear_of_withdrawal, heard("succeeded"))
    judged = resolved(paid_all_the_same.then(ReviewOpened), "paid")
    failed_after_all = judged.when(hear_of_withdrawal, heard("declined")).then(ReviewOpened)
    ended = resolved(failed_after_all, "failed")
    assert {p.account: p.amount_minor for p in postings(ended.history[-1])} == {
        "provider:acme:clearing:EUR": -AMOUNT.amount,
        "house:suspense:EUR": AMOUNT.amount,
    }
