"""Deposits: every state × every command, every state × every report, and the ten rules."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain import accounts
from domain.counters import deposited_counter, instrument_counter
from domain.deposit.concerns import review_concerns
from domain.deposit.decisions import Claim, DepositStatus, cancel_deposit, submit_deposit
from domain.deposit.reports import DEPOSIT_TARGETS, resolve_deposit
from domain.deposit.state import Deposit, evolve_deposit
from domain.errors import CommandReused, EvidenceMissing, InvalidTransition, Reason, SelfApproval
from domain.events import (
    DepositAuthorised,
    DepositAwaitingPlayer,
    DepositBlocked,
    DepositCancelled,
    DepositCompleted,
    DepositConcernsReviewed,
    DepositCreated,
    DepositDisputeTracked,
    DepositExcessTracked,
    DepositExpired,
    DepositVoided,
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.events.evidence import Disposition, Outcome, ReviewReason, Source, Standing
from domain.money import Money
from domain.player.limits import deposit_counts
from domain.player.player import HoldKind, Stop, Verification
from domain.postings import postings
from tests.scenarios.refund import counted
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    OTHER_AMOUNT,
    PLAYER_ID,
    PROVIDER_NAME,
    TRANSACTION,
    Given,
    by,
    command,
    deposit_created,
    deposit_in,
    hear_of_deposit,
    heard,
    player,
    provider,
    refund_tracked,
    resolve_as,
    resolved,
)
from tests.scenarios.tables import cells, words

# --- every state × every command ----------------------------------------------------------------

COMMANDS = """
status              submit      cancel      resolve     concerns
created             submitted   cancelled   -           -
blocked             -           -           -           -
awaiting_player     -           cancelled   -           -
submitted           -           -           -           -
authorised          -           -           -           -
unknown             -           -           -           -
completed           -           -           -           -
partially_refunded  -           -           -           -
refunded            -           -           -           -
failed              -           -           -           -
voided              -           -           -           -
expired             -           -           -           -
cancelled           -           -           -           -
review              -           -           proposed    -
"""

DECISIONS = {
    "submit": lambda state: submit_deposit(state, command(), player=player(), provider=provider()),
    "cancel": lambda state: cancel_deposit(state, by("ann"), Reason.REQUESTED_BY_PLAYER),
    "resolve": lambda state: resolve_as(state, "ann", "completed"),
    "concerns": lambda state: review_concerns(state, by("ann"), note="seen"),
}
MADE = {
    "submitted": (TransactionSubmitted,),
    "cancelled": (DepositCancelled,),
    "proposed": (ResolutionProposed,),
}


@pytest.mark.parametrize(("status", "name", "expected"), cells(COMMANDS))
def test_every_command_in_every_state(status: str, name: str, expected: str) -> None:
    decided = deposit_in(status).when(DECISIONS[name])
    if expected == "-":
        decided.then_refused(InvalidTransition)
    else:
        decided.then(*MADE[expected])


def test_the_command_table_is_complete() -> None:
    assert words(COMMANDS).rows == [status.value for status in DepositStatus]
    assert words(COMMANDS).columns == list(DECISIONS)


# --- every state × every report -----------------------------------------------------------------

# A row holds for every source unless it names one. Cells: what is recorded.
#   done      credited                       done-late  credited after it had been given up
#   pending   still open, ask again          !x         a person has to look, because of x
#   ~x        noted, nothing follows: ~late, ~twice (heard before), ~seen (a person is looking),
#             ~stray (about an attempt that was never made)
REPORTS = """
status                 accepted awaiting_player pending authorised succeeded declined voided  returned not_found not_sent unknown
created                ~stray   ~stray          ~stray  !stray     !stray    ~stray   ~stray  ~stray   ~stray    ~stray   ~stray
blocked                ~stray   ~stray          ~stray  !stray     !stray    ~stray   ~stray  ~stray   ~stray    ~stray   ~stray
awaiting_player/answer pending  ~twice          pending authorised done      failed   voided  !contra  pending   pending  unknown
awaiting_player/notice pending  ~twice          pending authorised done      failed   voided  !contra  pending   pending  unknown
awaiting_player/poll   pending  pending         pending authorised done      failed   voided  !contra  pending   pending  unknown
submitted/answer       pending  awaiting        pending authorised done      failed   voided  !contra  pending   failed   unknown
submitted/notice       pending  awaiting        pending authorised done      failed   voided  !contra  pending   pending  unknown
submitted/poll         pending  awaiting        pending authorised done      failed   voided  !contra  pending   pending  unknown
authorised/answer      ~late    ~late           ~late   ~twice     done      failed   voided  !contra  ~late     ~late    ~late
authorised/notice      ~late    ~late           ~late   ~twice     done      failed   voided  !contra  ~late     ~late    ~late
authorised/poll        pending  pending         pending pending    done      failed   voided  !contra  pending   pending  pending
unknown                pending  awaiting        pending authorised done      failed   voided  !contra  pending   pending  pending
completed              ~late    ~late           ~late   ~late      ~twice    !contra  !contra !contra  ~late     ~late    ~late
partially_refunded     ~late    ~late           ~late   ~late      ~twice    !contra  !contra !contra  ~late     ~late    ~late
refunded               ~late    ~late           ~late   ~late      ~twice    !contra  !contra !contra  ~late     ~late    ~late
failed                 ~late    ~late           ~late   ~late      done-late ~twice   ~twice  !contra  ~late     ~late    ~late
voided                 ~late    ~late           ~late   ~late      !contra   ~twice   ~twice  !contra  ~late     ~late    ~late
expired                ~late    ~late           ~late   ~late      done-late ~twice   ~twice  !contra  ~late     ~late    ~late
cancelled              ~late    ~late           ~late   ~late      done-late ~twice   ~twice  !contra  ~late     ~late    ~late
review                 ~seen    ~seen           ~seen   ~seen      ~seen     ~seen    ~seen   ~seen    ~seen     ~seen    ~seen
"""  # noqa: E501

# The same with an amount that is not the one we asked for. Only what differs is listed.
OTHER_AMOUNT_REPORTS = {
    ("awaiting_player", "authorised"): "!mismatch",
    ("awaiting_player", "succeeded"): "!mismatch",
    ("submitted", "authorised"): "!mismatch",
    ("submitted", "succeeded"): "!mismatch",
    ("unknown", "authorised"): "!mismatch",
    ("unknown", "succeeded"): "!mismatch",
    ("authorised", "succeeded"): "!mismatch",
    ("completed", "succeeded"): "!mismatch",
    ("partially_refunded", "succeeded"): "!mismatch",
    ("refunded", "succeeded"): "!mismatch",
    ("failed", "succeeded"): "!mismatch",
    ("expired", "succeeded"): "!mismatch",
    ("cancelled", "succeeded"): "!mismatch",
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
    "done": (DepositCompleted, {"late": False}, "completed"),
    "done-late": (DepositCompleted, {"late": True}, "completed"),
    "failed": (TransactionFailed, {"released": None, "retry_at": None}, "failed"),
    "voided": (DepositVoided, {}, "voided"),
    "authorised": (DepositAuthorised, {}, "authorised"),
    "awaiting": (DepositAwaitingPlayer, {}, "awaiting_player"),
    "unknown": (TransactionUnknown, {}, "unknown"),
}


def expect_report(status: str, source: str, outcome: str, expected: str, evidence: object) -> None:
    decided = deposit_in(status).when(hear_of_deposit, evidence)
    after = status
    if expected in NOTED:
        decided.then(NoticeNoted, disposition=NOTED[expected])
    elif expected in REVIEWED:
        decided.then(ReviewOpened, reason=REVIEWED[expected])
        after = "review"
    elif expected == "pending":
        decided.then(TransactionPending, polls=int(source == "poll"))
        if status == "awaiting_player" and outcome in ("accepted", "pending"):
            after = "submitted"  # the player has been there and left the rest to the provider
    else:
        kind, fields, after = RECORDED[expected]
        decided.then(kind, **fields)
    assert decided.then_state().status == after


@pytest.mark.parametrize(("status", "source", "outcome", "expected"), cells(REPORTS, Source))
def test_every_report_in_every_state(status: str, source: str, outcome: str, expected: str) -> None:
    expect_report(status, source, outcome, expected, heard(outcome, source, amount=AMOUNT))


@pytest.mark.parametrize(("status", "source", "outcome", "same"), cells(REPORTS, Source))
def test_every_report_of_another_amount_in_every_state(
    status: str, source: str, outcome: str, same: str
) -> None:
    expected = OTHER_AMOUNT_REPORTS.get((status, outcome), same)
    evidence = heard(outcome, source, amount=OTHER_AMOUNT)
    expect_report(status, source, outcome, expected, evidence)


def test_the_report_table_is_complete() -> None:
    covered = {(status, source, outcome) for status, source, outcome, _ in cells(REPORTS, Source)}
    assert covered == {(s, w, o) for s in DepositStatus for w in Source for o in Outcome}
    assert len(cells(REPORTS, Source)) == len(covered)


def test_every_status_has_a_screen_word() -> None:
    assert all(status.screen_word for status in DepositStatus)


@pytest.mark.parametrize("status", DepositStatus)
def test_open_at_the_provider_settled_and_neither(status: DepositStatus) -> None:
    assert status.is_credited == (status in {"completed", "partially_refunded", "refunded"})
    still_open = {"awaiting_player", "submitted", "authorised", "unknown"}
    neither = {"created", "review"}
    assert status.is_open_at_provider == (status in still_open)
    assert status.is_settled == (status not in still_open | neither)


# --- creation -----------------------------------------------------------------------------------


def test_a_deposit_is_created() -> None:
    (created,) = deposit_created().history
    assert isinstance(created, DepositCreated)
    assert deposit_created().state.status is DepositStatus.CREATED


def test_an_excluded_players_deposit_is_recorded_and_blocked() -> None:
    _created, blocked = deposit_created(by_player=player(excluded=True)).history
    assert isinstance(blocked, DepositBlocked)
    assert blocked.reason == Reason.PLAYER_EXCLUDED


def test_a_deposit_to_a_paused_provider_is_recorded_and_blocked() -> None:
    _created, blocked = deposit_created(to=provider(paused=True)).history
    assert isinstance(blocked, DepositBlocked)
    assert blocked.reason == Reason.PROVIDER_PAUSED


def test_a_provider_paused_before_the_submission_blocks_the_deposit() -> None:
    created = deposit_in("created")
    paused = provider(paused=True)
    created.when(submit_deposit, command(), player=player(), provider=paused).then(
        DepositBlocked, reason=Reason.PROVIDER_PAUSED
    )


def test_a_player_excluded_before_the_submission_blocks_the_deposit() -> None:
    excluded = player(excluded=True)
    deposit_in("created").when(
        submit_deposit, command(), player=excluded, provider=provider()
    ).then(DepositBlocked, reason=Reason.PLAYER_EXCLUDED)


@pytest.mark.parametrize("kind", HoldKind)
@pytest.mark.parametrize("stops", [("payouts",), ("deposits",), ("deposits", "payouts")])
def test_a_hold_blocks_deposits_only_if_it_stops_them(
    kind: HoldKind, stops: tuple[str, ...]
) -> None:
    held = replace(player(), holds={kind: frozenset(map(Stop, stops))})
    created = deposit_created(by_player=held).state
    decided = deposit_in("created").when(
        submit_deposit, command(), player=held, provider=provider()
    )
    if "deposits" not in stops:
        assert created.status is DepositStatus.CREATED
        decided.then(TransactionSubmitted)
        return
    assert (created.status, created.reason) == (DepositStatus.BLOCKED, Reason.PLAYER_ON_HOLD)
    decided.then(DepositBlocked, reason=Reason.PLAYER_ON_HOLD)


def test_a_player_who_must_be_known_by_the_submission_is_known_then() -> None:
    unknown = player(Verification.NONE, jurisdiction="GB")
    deposit_in("created").when(submit_deposit, command(), player=unknown, provider=provider()).then(
        DepositBlocked, reason=Reason.PLAYER_UNVERIFIED
    )


def test_a_rule_that_the_caller_found_broken_blocks_the_deposit() -> None:
    blocked = deposit_created(refusal=Reason.LIMIT_EXCEEDED)
    assert blocked.state.status is DepositStatus.BLOCKED
    assert blocked.state.reason == Reason.LIMIT_EXCEEDED


def test_exclusion_comes_before_a_limit() -> None:
    blocked = deposit_created(by_player=player(excluded=True), refusal=Reason.LIMIT_EXCEEDED)
    assert blocked.state.reason == Reason.PLAYER_EXCLUDED


def test_who_created_it_is_remembered() -> None:
    assert deposit_created().state.requested_by == "p1"


def test_exclusion_comes_before_a_pause() -> None:
    history = deposit_created(by_player=player(excluded=True), to=provider(paused=True))
    assert history.state.reason == Reason.PLAYER_EXCLUDED


def test_the_first_poll_follows_the_providers_schedule() -> None:
    quick = provider(poll_delays_seconds=(7, 30))
    decided = deposit_in("created").when(submit_deposit, command(), player=player(), provider=quick)
    decided.then(TransactionSubmitted, poll_at=NOW + timedelta(seconds=7), attempt=1)


def test_a_command_sent_twice_acts_once() -> None:
    cancel = by("ann")
    cancelled = deposit_in("created").when(cancel_deposit, cancel, "x").then(DepositCancelled)
    cancelled.when(cancel_deposit, cancel, "x").then_nothing()


def test_a_command_id_cannot_be_used_for_another_request() -> None:
    cancel = by("ann")
    cancelled = deposit_in("created").when(cancel_deposit, cancel, "x").then(DepositCancelled)
    other = replace(cancel, request_digest="another request")
    cancelled.when(cancel_deposit, other, "x").then_refused(CommandReused)


def test_a_history_begins_with_its_creation() -> None:
    *_, cancelled = deposit_in("cancelled").history
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_deposit(None, cancelled)


# --- the ten rules ------------------------------------------------------------------------------


def test_rule_1_a_notice_already_acted_on_appends_nothing() -> None:
    notice = heard("succeeded")
    completed = deposit_in("submitted").when(hear_of_deposit, notice).then(DepositCompleted)
    completed.when(hear_of_deposit, notice).then_nothing()


def test_rule_1_a_notice_that_was_only_noted_is_not_noted_again() -> None:
    notice = heard("pending")
    noted = deposit_in("completed").when(hear_of_deposit, notice).then(NoticeNoted)
    noted.when(hear_of_deposit, notice).then_nothing()


def test_rule_2_the_same_meaning_under_a_new_id_is_noted() -> None:
    completed = deposit_in("completed")
    completed.when(hear_of_deposit, heard("succeeded", amount=AMOUNT)).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


def test_rule_2_the_same_reference_with_another_amount_is_reviewed() -> None:
    completed = deposit_in("completed")
    completed.when(hear_of_deposit, heard("succeeded", amount=OTHER_AMOUNT)).then(
        ReviewOpened, reason=ReviewReason.MISMATCH
    )


@pytest.mark.parametrize("outcome", ["accepted", "pending", "awaiting_player", "authorised"])
def test_rule_3_an_older_notice_that_arrives_later_changes_nothing(outcome: str) -> None:
    completed = deposit_in("completed")
    noted = completed.when(hear_of_deposit, heard(outcome)).then(
        NoticeNoted, disposition=Disposition.LATE
    )
    assert noted.state.status is DepositStatus.COMPLETED


@pytest.mark.parametrize(
    "answer", ["accepted", "pending", "awaiting_player", "not_sent", "unknown"]
)
def test_rule_4_a_webhook_before_our_own_answer_settles_it(answer: str) -> None:
    early = deposit_in("submitted").when(hear_of_deposit, heard("succeeded")).then(DepositCompleted)
    late = early.when(hear_of_deposit, heard(answer, "answer")).then(NoticeNoted)
    assert late.state.status is DepositStatus.COMPLETED


def test_rule_5_not_sent_is_failed() -> None:
    submitted = deposit_in("submitted")
    submitted.when(hear_of_deposit, heard("not_sent", "answer")).then(
        TransactionFailed, reason=Reason.NOT_SENT
    )


@pytest.mark.parametrize("source", ["poll", "notice"])
def test_rule_5_a_first_call_that_was_not_sent_fails_nothing_that_has_arrived_since(
    source: str,
) -> None:
    arrived = deposit_in("submitted").when(hear_of_deposit, heard("accepted", source))
    late = arrived.then(TransactionPending).when(hear_of_deposit, heard("not_sent", "answer"))
    assert late.then(TransactionPending).state.status is DepositStatus.SUBMITTED


@pytest.mark.parametrize("source", ["notice", "poll"])
def test_rule_5_only_the_answer_to_our_own_call_can_say_not_sent(source: str) -> None:
    submitted = deposit_in("submitted")
    submitted.when(hear_of_deposit, heard("not_sent", source)).then(TransactionPending)


def test_rule_5_unknown_is_not_failed_and_is_polled() -> None:
    unknown = deposit_in("submitted").when(hear_of_deposit, heard("unknown", "answer"))
    unknown.then(TransactionUnknown, poll_at=NOW + timedelta(seconds=10))


def test_rule_5_polls_go_through_the_whole_schedule_and_then_ask_a_person() -> None:
    slow = provider(poll_delays_seconds=(10, 30, 120))
    history = deposit_in("unknown")
    asked = []
    while history.state.status is not DepositStatus.REVIEW:
        decided = history.when(hear_of_deposit, heard("pending", "poll"), provider=slow)
        history = Given(decided.history + decided.events)
        asked.append(getattr(decided.events[0], "poll_at", None))
    assert asked == [NOW + timedelta(seconds=30), NOW + timedelta(seconds=120), None]
    assert history.state.reason == ReviewReason.UNRESOLVED


def test_rule_5_notices_do_not_use_up_the_schedule() -> None:
    slow = provider(poll_delays_seconds=(10,))
    history = deposit_in("unknown")
    for _ in range(5):
        history = history.when(hear_of_deposit, heard("pending"), provider=slow).then(
            TransactionPending, polls=0, poll_at=None
        )


def test_rule_5_a_provider_that_never_got_it_does_not_make_it_failed() -> None:
    deposit_in("unknown").when(hear_of_deposit, heard("not_found", "poll")).then(TransactionPending)


def test_rule_6_two_different_final_outcomes_are_reviewed_and_what_is_left_is_reserved() -> None:
    completed = deposit_in("completed")
    completed.when(hear_of_deposit, heard("declined"), available_minor=4_000).then(
        ReviewOpened, reason=ReviewReason.CONTRADICTION, reserved=Money(4_000, "EUR")
    )


@pytest.mark.parametrize(
    ("available_minor", "reserved"),
    [(0, None), (-5, None), (1, Money(1, "EUR")), (10_000, AMOUNT), (10_001, AMOUNT)],
)
def test_rule_6_no_more_is_reserved_than_was_credited_or_is_there(
    available_minor: int, reserved: Money | None
) -> None:
    completed = deposit_in("completed")
    completed.when(hear_of_deposit, heard("declined"), available_minor=available_minor).then(
        ReviewOpened, reserved=reserved
    )


@pytest.mark.parametrize(
    "told", [OTHER_AMOUNT, Money(10_001, "EUR"), Money(10_000, "USD"), Money(100, "JPY")]
)
def test_rule_7_another_amount_or_currency_credits_nothing(told: Money) -> None:
    decided = deposit_in("submitted").when(hear_of_deposit, heard("succeeded", amount=told))
    decided.then(ReviewOpened, reason=ReviewReason.MISMATCH, reserved=None)
    assert postings(decided.events[0]) == ()


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_a_late_success_is_credited_once_and_marked(status: str) -> None:
    late = (
        deposit_in(status)
        .when(hear_of_deposit, heard("succeeded"))
        .then(DepositCompleted, late=True, settled=AMOUNT)
    )
    late.when(hear_of_deposit, heard("succeeded")).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


def test_a_deposit_cancelled_before_it_was_sent_cannot_succeed_by_itself() -> None:
    never_sent = deposit_in("created").when(cancel_deposit, by("ann"), "x").then(DepositCancelled)
    never_sent.when(hear_of_deposit, heard("succeeded")).then(
        ReviewOpened, reason=ReviewReason.UNSOLICITED
    )
    never_sent.when(hear_of_deposit, heard("declined")).then(
        NoticeNoted, disposition=Disposition.UNSOLICITED
    )


@pytest.mark.parametrize("status", ["submitted", "failed", "completed"])
def test_money_for_an_attempt_we_never_made_is_reviewed(status: str) -> None:
    deposit_in(status).when(hear_of_deposit, heard("succeeded", attempt=2)).then(
        ReviewOpened, reason=ReviewReason.UNSOLICITED
    )


def test_a_late_success_says_which_rules_would_forbid_it_by_now() -> None:
    late = deposit_in("failed").when(
        hear_of_deposit, heard("succeeded"), concerns=("player_excluded",)
    )
    late.then(DepositCompleted, late=True, concerns=("player_excluded",))


@pytest.mark.parametrize("status", ["submitted", "awaiting_player", "authorised", "unknown"])
def test_a_success_in_time_says_what_forbids_it_by_now(status: str) -> None:
    in_time = deposit_in(status).when(
        hear_of_deposit, heard("succeeded"), concerns=("player_on_hold",)
    )
    in_time.then(DepositCompleted, late=False, concerns=("player_on_hold",))


# --- what it counts towards ----------------------------------------------------------------------

LIMITS = {count.counter: count.change for count in deposit_counts(PLAYER_ID, AMOUNT, NOW.date())}
CREDIT = {
    instrument_counter(PLAYER_ID, "card-1", "EUR"): AMOUNT.amount,
    deposited_counter(PLAYER_ID, "EUR"): AMOUNT.amount,
}


@pytest.mark.parametrize("status", DepositStatus)
def test_in_every_state_what_is_under_way_or_credited_counts(status: DepositStatus) -> None:
    given_up = {"blocked", "failed", "voided", "expired", "cancelled"}
    credited = {"completed", "partially_refunded", "refunded"}
    expected = ({} if status in given_up else LIMITS) | (CREDIT if status in credited else {})
    history = deposit_in(status)
    assert counted(history.history) == expected
    assert history.state.counts_now == (status not in given_up)


def test_a_deposit_blocked_at_its_submission_gives_its_limits_free() -> None:
    paused = provider(paused=True)
    blocked = deposit_in("created").when(
        submit_deposit, command(), player=player(), provider=paused
    )
    assert counted(blocked.then(DepositBlocked).history) == {}


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_a_late_success_counts_again(status: str) -> None:
    late = deposit_in(status).when(hear_of_deposit, heard("succeeded")).then(DepositCompleted)
    assert counted(late.history) == LIMITS | CREDIT
    assert late.state.counts_now


def test_without_an_instrument_only_the_player_has_paid_in() -> None:
    history = deposit_created(instrument=None)
    sent = history.when(submit_deposit, command(), player=player(), provider=provider())
    done = sent.then(TransactionSubmitted).when(hear_of_deposit, heard("succeeded"))
    assert counted(done.then(DepositCompleted).history) == LIMITS | {
        deposited_counter(PLAYER_ID, "EUR"): AMOUNT.amount
    }


@pytest.mark.parametrize("target", sorted(DEPOSIT_TARGETS))
@pytest.mark.parametrize("status", ["submitted", "completed", "refunded", "voided", "failed"])
def test_a_review_ends_with_exactly_what_its_target_counts(status: str, target: str) -> None:
    told = "declined" if status in ("completed", "refunded") else "returned"
    review = deposit_in(status).when(hear_of_deposit, heard(told)).then(ReviewOpened)
    ended = resolved(review, target)
    assert counted(ended.history) == (LIMITS | CREDIT if target == "completed" else {})
    assert ended.state.counts_now == (target == "completed")


def test_a_review_of_another_amount_counts_what_the_provider_took() -> None:
    ended = resolved(deposit_in("review"), "completed")
    took = dict.fromkeys(CREDIT, OTHER_AMOUNT.amount)
    assert counted(ended.history) == LIMITS | took


# --- refunds and disputes of it ------------------------------------------------------------------


def _disputed(history: Given, standing: Standing, amount: Money = AMOUNT) -> Given:
    event = DepositDisputeTracked(
        **command().header(TRANSACTION, len(history.history) + 1),
        dispute_id=uuid4(),
        amount=amount,
        standing=standing,
    )
    return Given((*history.history, event))


@pytest.mark.parametrize(
    ("taken_minor", "status"),
    [
        (0, "completed"),
        (1, "partially_refunded"),
        (9_999, "partially_refunded"),
        (10_000, "refunded"),
        (10_001, "refunded"),
    ],
)
def test_its_status_follows_from_what_refunds_have_taken(taken_minor: int, status: str) -> None:
    taken = Money(taken_minor, "EUR")
    history = refund_tracked(deposit_in("completed"), taken, Standing.TAKEN, uuid4())
    assert history.state.status == status
    assert history.state.refundable_minor == max(0, 10_000 - taken_minor)


def test_several_refunds_add_up() -> None:
    half = Money(5_000, "EUR")
    once = refund_tracked(deposit_in("completed"), half, Standing.TAKEN, uuid4())
    assert refund_tracked(once, half, Standing.TAKEN, uuid4()).state.status == "refunded"


def test_a_refund_under_way_takes_nothing_yet_and_leaves_nothing_for_another() -> None:
    history = refund_tracked(deposit_in("completed"), AMOUNT, Standing.OPEN)
    assert history.state.status is DepositStatus.COMPLETED
    assert history.state.refundable_minor == 0


@pytest.mark.parametrize("status", ["partially_refunded", "refunded"])
def test_a_released_refund_brings_it_back(status: str) -> None:
    history = deposit_in(status)
    (claim,) = history.state.refunds.values()
    back = refund_tracked(history, claim.amount, Standing.RELEASED)
    assert back.state.status is DepositStatus.COMPLETED
    assert back.state.refundable_minor == AMOUNT.amount


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("status", DepositStatus)
def test_a_refund_is_tracked_in_every_state_and_changes_only_a_credited_one(
    status: DepositStatus, standing: Standing
) -> None:
    before = deposit_in(status)
    after = refund_tracked(before, AMOUNT, standing, uuid4())
    assert Claim(amount=AMOUNT, standing=standing) in after.state.refunds.values()
    if standing is Standing.TAKEN and status.is_credited:
        assert after.state.status is DepositStatus.REFUNDED
    else:
        assert after.state.status is status


def test_a_refund_that_succeeds_during_a_review_shows_when_the_review_has_ended() -> None:
    review = deposit_in("completed").when(hear_of_deposit, heard("declined")).then(ReviewOpened)
    refunded = refund_tracked(review, AMOUNT, Standing.TAKEN)
    assert refunded.state.status is DepositStatus.REVIEW
    assert resolved(refunded, "completed").state.status is DepositStatus.REFUNDED
    assert resolved(refunded, "failed").state.status is DepositStatus.FAILED


def test_what_failed_after_all_leaves_nothing_to_refund() -> None:
    review = deposit_in("completed").when(hear_of_deposit, heard("declined")).then(ReviewOpened)
    failed = resolved(review, "failed").state
    assert failed.captured is None
    assert failed.refundable_minor == 0


@pytest.mark.parametrize(
    ("standing", "is_open", "left_minor"),
    [(Standing.OPEN, True, 0), (Standing.TAKEN, False, 0), (Standing.RELEASED, False, 10_000)],
)
def test_an_open_or_lost_dispute_leaves_nothing_to_refund(
    standing: Standing, is_open: bool, left_minor: int
) -> None:
    state = _disputed(deposit_in("completed"), standing).state
    assert isinstance(state, Deposit)
    assert state.has_open_dispute is is_open
    assert state.refundable_minor == left_minor
    assert state.status is DepositStatus.COMPLETED


def test_a_refunded_deposit_can_be_disputed_all_the_same() -> None:
    state = _disputed(deposit_in("refunded"), Standing.OPEN).state
    assert isinstance(state, Deposit)
    assert (state.refundable_minor, state.unclaimed_minor) == (0, -AMOUNT.amount)


def test_a_dispute_in_another_currency_leaves_nothing_to_refund() -> None:
    state = _disputed(deposit_in("completed"), Standing.TAKEN, Money(1, "USD")).state
    assert state.refundable_minor == 0


# --- waiting for the player ---------------------------------------------------------------------

OVERDUE = NOW + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("method", "wait"),
    [
        ("redirect", timedelta(minutes=30)),
        ("voucher", timedelta(days=7)),
        ("bank_transfer", timedelta(days=7)),
        ("something_new", timedelta(minutes=30)),
    ],
)
def test_a_player_has_as_long_as_the_method_takes(method: str, wait: timedelta) -> None:
    created = replace(deposit_in("submitted").history[0], method=method)
    submitted = Given((created, *deposit_in("submitted").history[1:]))
    submitted.when(hear_of_deposit, heard("awaiting_player", "answer")).then(
        DepositAwaitingPlayer, expires_at=NOW + wait
    )


def test_it_expires_only_after_the_provider_was_asked() -> None:
    awaiting = deposit_in("awaiting_player")
    awaiting.when(hear_of_deposit, heard("awaiting_player"), now=OVERDUE).then(NoticeNoted)
    awaiting.when(hear_of_deposit, heard("awaiting_player", "poll"), now=OVERDUE).then(
        DepositExpired
    )


def test_it_does_not_expire_a_moment_too_early() -> None:
    early = OVERDUE - timedelta(microseconds=1)
    deposit_in("awaiting_player").when(
        hear_of_deposit, heard("awaiting_player", "poll"), now=early
    ).then(TransactionPending, poll_at=OVERDUE)


def test_a_provider_without_a_record_lets_it_expire_once_the_time_is_over() -> None:
    awaiting = deposit_in("awaiting_player")
    awaiting.when(hear_of_deposit, heard("not_found", "poll"), now=OVERDUE).then(DepositExpired)


@pytest.mark.parametrize("reported", ["pending", "authorised", "unknown"])
def test_once_the_player_has_acted_a_missing_record_expires_nothing(reported: str) -> None:
    acted = deposit_in("awaiting_player").when(hear_of_deposit, heard(reported)).then_state()
    decided = hear_of_deposit(acted, heard("not_found", "poll"), now=OVERDUE)
    assert isinstance(decided, TransactionPending)


@pytest.mark.parametrize("source", ["answer", "notice", "poll"])
def test_a_question_that_was_never_sent_expires_nothing(source: str) -> None:
    deposit_in("awaiting_player").when(
        hear_of_deposit, heard("not_sent", source), now=OVERDUE
    ).then(TransactionPending)


# --- fees ---------------------------------------------------------------------------------------


def test_a_fee_in_the_deposits_currency_is_booked() -> None:
    fee = Money(30, "EUR")
    deposit_in("submitted").when(hear_of_deposit, heard("succeeded", fee=fee)).then(
        DepositCompleted, fee=fee
    )


@pytest.mark.parametrize("fee", [Money(0, "EUR"), Money(30, "USD")])
def test_no_fee_or_one_in_another_currency_is_left_to_the_settlement(fee: Money) -> None:
    deposit_in("submitted").when(hear_of_deposit, heard("succeeded", fee=fee)).then(
        DepositCompleted, fee=None
    )


# --- after a review -----------------------------------------------------------------------------


def test_what_two_people_judged_is_not_credited_when_it_is_told_again() -> None:
    unsolicited = deposit_in("blocked").when(hear_of_deposit, heard("succeeded", amount=AMOUNT))
    refused = resolved(unsolicited.then(ReviewOpened), "failed")
    refused.when(hear_of_deposit, heard("succeeded", amount=AMOUNT)).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


def test_what_two_people_judged_of_one_attempt_is_not_judged_of_another() -> None:
    stray = deposit_in("failed").when(hear_of_deposit, heard("succeeded", attempt=2))
    refused = resolved(stray.then(ReviewOpened), "failed")
    refused.when(hear_of_deposit, heard("succeeded", attempt=1)).then(ReviewOpened)


def test_a_mismatch_that_was_judged_is_not_judged_again_when_it_is_told_again() -> None:
    refused = resolved(deposit_in("review"), "failed")
    refused.when(hear_of_deposit, heard("succeeded", amount=OTHER_AMOUNT)).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


@pytest.mark.parametrize("target", sorted(DEPOSIT_TARGETS))
def test_a_different_final_outcome_after_a_review_is_another_review(target: str) -> None:
    ended = resolved(deposit_in("review"), target)
    told = "declined" if target == "completed" else "succeeded"
    ended.when(hear_of_deposit, heard(told, amount=AMOUNT)).then(ReviewOpened)


def test_a_deposit_taken_back_by_two_people_is_never_credited_by_a_rule_again() -> None:
    reviewed = (
        deposit_in("completed")
        .when(hear_of_deposit, heard("declined"), available_minor=10_000)
        .then(ReviewOpened)
    )
    taken_back = resolved(reviewed, "failed")
    decided = taken_back.when(hear_of_deposit, heard("succeeded", amount=AMOUNT))
    assert not any(isinstance(event, DepositCompleted) for event in decided.events)


@pytest.mark.parametrize("reason", ["blocked", "voided"])
def test_a_resolution_credits_what_the_provider_says_it_took(reason: str) -> None:
    told = deposit_in(reason).when(hear_of_deposit, heard("succeeded", amount=OTHER_AMOUNT))
    ended = resolved(told.then(ReviewOpened), "completed")
    assert ended.state.credited == OTHER_AMOUNT


def test_an_authorisation_nobody_asked_for_has_taken_nothing() -> None:
    told = deposit_in("blocked").when(hear_of_deposit, heard("authorised", amount=AMOUNT))
    ended = resolved(told.then(ReviewOpened), "failed")
    assert postings(ended.history[-1]) == ()


def test_a_resolution_sent_twice_acts_once() -> None:
    agree = by("ben")
    proposed = deposit_in("review").when(resolve_as, "ann", "failed").then(ResolutionProposed)
    ended = proposed.when(resolve_deposit, agree, target="failed", note="n").then(
        TransactionResolved
    )
    ended.when(resolve_deposit, agree, target="failed", note="n").then_nothing()


def test_rule_8_the_proposer_cannot_agree() -> None:
    proposed = deposit_in("review").when(resolve_as, "ann", "failed").then(ResolutionProposed)
    proposed.when(resolve_as, "ann", "failed").then_refused(SelfApproval)


def test_notices_heard_during_a_review_do_not_change_what_it_is_about() -> None:
    review = deposit_in("review")
    noted = review.when(hear_of_deposit, heard("succeeded", amount=AMOUNT, notice_id=uuid4()))
    assert noted.then(NoticeNoted).state.reported == review.state.reported


def test_a_deposit_that_failed_at_the_houses_expense_is_not_credited_twice() -> None:
    spent = deposit_in("completed")  # and the player has nothing left of it
    doubted = spent.when(hear_of_deposit, heard("declined"), available_minor=2_500)
    failed = resolved(doubted.then(ReviewOpened), "failed")
    assert failed.state.house == Money(AMOUNT.amount - 2_500, "EUR")
    moved_after_all = failed.when(hear_of_deposit, heard("succeeded")).then(ReviewOpened)
    completed = resolved(moved_after_all, "completed")
    balances: Counter[str] = Counter()
    for event in completed.history:
        for posting in postings(event):
            balances[posting.account] += posting.amount_minor
    assert balances[accounts.clearing(PROVIDER_NAME, "EUR")] == -AMOUNT.amount
    assert balances[accounts.available(PLAYER_ID, "EUR")] == AMOUNT.amount
    assert balances[accounts.suspense("EUR")] == 0
    assert completed.state.house is None


def test_a_late_success_that_the_rules_forbid_is_looked_at_once() -> None:
    concerned = deposit_in("expired").when(
        hear_of_deposit, heard("succeeded"), concerns=(Reason.LIMIT_EXCEEDED,)
    )
    seen = concerned.then(DepositCompleted, concerns=(Reason.LIMIT_EXCEEDED,)).when(
        review_concerns, by("ann"), note="the player was told"
    )
    history = seen.then(DepositConcernsReviewed, person="ann", note="the player was told")
    assert history.state.concerns == (Reason.LIMIT_EXCEEDED,)
    history.when(review_concerns, by("ben"), note="again").then_refused(InvalidTransition)
    deposit_in("completed").when(review_concerns, by("ben"), note="x").then_refused(
        InvalidTransition
    )


def _exceeded(history: Given, minor: int) -> Given:
    event = DepositExcessTracked(
        **command().header(TRANSACTION, len(history.history) + 1), excess=Money(minor, "EUR")
    )
    return Given((*history.history, event))


@pytest.mark.parametrize("status", DepositStatus)
def test_an_excess_is_looked_at_in_every_state_once_no_review_is_open(
    status: DepositStatus,
) -> None:
    decided = _exceeded(deposit_in(status), 100).when(review_concerns, by("ann"), note="seen")
    if status is DepositStatus.REVIEW:
        decided.then_refused(InvalidTransition)
    else:
        state = decided.then(DepositConcernsReviewed).state
        assert (state.concerns, state.concerns_reviewed) == (("more_out_than_in",), True)
        assert state.status is status


def test_an_excess_is_looked_at_anew_when_it_grows_and_not_when_it_shrinks() -> None:
    seen = _exceeded(deposit_in("completed"), 100).when(review_concerns, by("ann"), note="seen")
    history = seen.then(DepositConcernsReviewed)
    less = _exceeded(history, 40)
    assert (less.state.excess, less.state.concerns_reviewed) == (Money(40, "EUR"), True)
    more = _exceeded(less, 41)
    assert (more.state.excess, more.state.concerns_reviewed) == (Money(41, "EUR"), False)
    none = _exceeded(more, 0).state
    assert (none.excess, none.concerns, none.unreviewed) == (None, (), frozenset())


def test_an_excess_that_is_gone_leaves_other_concerns_to_look_at() -> None:
    late = deposit_in("expired").when(
        hear_of_deposit, heard("succeeded"), concerns=(Reason.LIMIT_EXCEEDED,)
    )
    gone = _exceeded(_exceeded(late.then(DepositCompleted), 100), 0)
    assert gone.state.concerns == (Reason.LIMIT_EXCEEDED,)
    assert not gone.state.concerns_reviewed
    gone.when(review_concerns, by("ann"), note="seen").then(DepositConcernsReviewed)


def test_looking_at_concerns_needs_a_note() -> None:
    concerned = deposit_in("expired").when(
        hear_of_deposit, heard("succeeded"), concerns=(Reason.LIMIT_EXCEEDED,)
    )
    concerned.then(DepositCompleted).when(review_concerns, by("ann"), note=" ").then_refused(
        EvidenceMissing
    )
