"""Refunds: every state × every command, every state × every report, the ten rules, the claims."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.accounts import available, clearing, reserved, suspense
from domain.counters import deposited_counter, instrument_counter
from domain.deposit.claims import Claim
from domain.deposit.decisions import DepositStatus
from domain.errors import (
    CommandReused,
    DisputeOpen,
    EvidenceMissing,
    InvalidResolution,
    InvalidTransition,
    NotRefundable,
    Reason,
    RefundExceedsCapture,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    DepositExcessTracked,
    DepositRefundTracked,
    NoticeNoted,
    RefundApprovalAwaited,
    RefundApproved,
    RefundCancelled,
    RefundRejected,
    RefundRequested,
    RefundReversed,
    RefundSucceeded,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.events.evidence import (
    DeclineCode,
    Disposition,
    Outcome,
    ReviewReason,
    Source,
    Standing,
)
from domain.money import InvalidMoney, Money
from domain.refund.decisions import (
    RefundStatus,
    approve_refund,
    cancel_refund,
    evolve_refund,
    reject_refund,
    request_refund,
    submit_refund,
)
from domain.refund.reports import REFUND_TARGETS, resolve_refund
from tests.scenarios.refund import (
    REQUIRED,
    GivenRefund,
    approve,
    balances,
    cancel,
    counted,
    disputed,
    hear_of_refund,
    heard_back,
    judged,
    refund_in,
    refund_requested,
    refund_sent,
    reject,
    resolve,
    submit,
)
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    OTHER_AMOUNT,
    PLAYER_ID,
    PROVIDER_NAME,
    REFUND,
    Given,
    by,
    command,
    deposit_in,
    hear_of_deposit,
    heard,
    provider,
    refund_tracked,
    resolved,
)
from tests.scenarios.tables import cells, words

AVAILABLE = available(PLAYER_ID, "EUR")
RESERVED = reserved(PLAYER_ID, "EUR")
CLEARING = clearing(PROVIDER_NAME, "EUR")
SUSPENSE = suspense("EUR")
INSTRUMENT = instrument_counter(PLAYER_ID, "card-1", "EUR")

# --- every state × every command ----------------------------------------------------------------

COMMANDS = """
status            approve   reject    cancel     submit     resolve
requested         -         -         -          -          -
pending_approval  approved  rejected  cancelled  -          -
approved          -         -         cancelled  submitted  -
submitted         -         -         -          -          -
pending           -         -         -          -          -
unknown           -         -         -          -          -
succeeded         -         -         -          -          -
failed            -         -         -          -          -
rejected          -         -         -          -          -
cancelled         -         -         -          -          -
reversed          -         -         -          -          -
review            -         -         -          -          proposed
"""

DECISIONS = {
    "approve": approve,
    "reject": reject,
    "cancel": cancel,
    "submit": submit,
    "resolve": lambda state, *, deposit: resolve(state, "ann", "succeeded", deposit=deposit),
}
MADE = {
    "approved": ((RefundApproved,), "approved"),
    "rejected": ((RefundRejected, DepositRefundTracked), "rejected"),
    "cancelled": ((RefundCancelled, DepositRefundTracked), "cancelled"),
    "submitted": ((TransactionSubmitted,), "submitted"),
    "proposed": ((ResolutionProposed,), "review"),
}


@pytest.mark.parametrize(("status", "name", "expected"), cells(COMMANDS))
def test_every_command_in_every_state(status: str, name: str, expected: str) -> None:
    decided = refund_in(status).when(DECISIONS[name])
    if expected == "-":
        decided.then_refused(InvalidTransition)
    else:
        kinds, after = MADE[expected]
        assert decided.then(*kinds).refund.status == after


def test_the_command_table_is_complete() -> None:
    assert words(COMMANDS).rows == [status.value for status in RefundStatus]
    assert words(COMMANDS).columns == list(DECISIONS)


# --- every state × every report -----------------------------------------------------------------

# A row holds for every source unless it names one. Cells: what is recorded.
#   done      succeeded                      done-back  succeeded, and came back
#   back      came back                      failed     the player has the funds again
#   pending   still open, ask again          !x         a person has to look, because of x
#   ~x        noted, nothing follows: ~late, ~twice (heard before), ~seen (a person is looking),
#             ~stray (about an attempt that was never made)
REPORTS = """
status           accepted awaiting_player pending authorised succeeded declined voided returned  not_found not_sent unknown
requested        ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray !stray    ~stray    ~stray   ~stray
pending_approval ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray !stray    ~stray    ~stray   ~stray
approved         ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray !stray    ~stray    ~stray   ~stray
submitted/answer pending  pending         pending pending    done      failed   failed done-back pending   failed   unknown
submitted/notice pending  pending         pending pending    done      failed   failed done-back pending   pending  unknown
submitted/poll   pending  pending         pending pending    done      failed   failed done-back pending   pending  unknown
pending/answer   pending  pending         pending pending    done      failed   failed done-back pending   pending  pending
pending/notice   pending  pending         pending pending    done      failed   failed done-back pending   pending  unknown
pending/poll     pending  pending         pending pending    done      failed   failed done-back pending   pending  unknown
unknown          pending  pending         pending pending    done      failed   failed done-back pending   pending  pending
succeeded        ~late    ~late           ~late   ~late      ~twice    !contra  !contra back     ~late     ~late    ~late
failed           ~late    ~late           ~late   ~late      !contra   ~twice   ~twice !contra   ~late     ~late    ~late
rejected         ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray !stray    ~stray    ~stray   ~stray
cancelled        ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray !stray    ~stray    ~stray   ~stray
reversed         ~late    ~late           ~late   ~late      !contra   ~twice   ~twice ~twice    ~late     ~late    ~late
review           ~seen    ~seen           ~seen   ~seen      ~seen     ~seen    ~seen  ~seen     ~seen     ~seen    ~seen
"""  # noqa: E501

# The same with an amount that is not the one we asked for. Only what differs is listed.
OTHER_AMOUNT_REPORTS = {
    (status, outcome): "!mismatch"
    for status in ("submitted", "pending", "unknown", "succeeded")
    for outcome in ("succeeded", "returned")
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
    "done": ((RefundSucceeded, DepositRefundTracked), {"amount": AMOUNT}, "succeeded"),
    "done-back": (
        (RefundSucceeded, RefundReversed, DepositRefundTracked),
        {"amount": AMOUNT},
        "reversed",
    ),
    "back": ((RefundReversed, DepositRefundTracked), {"amount": AMOUNT}, "reversed"),
    "failed": (
        (TransactionFailed, DepositRefundTracked),
        {"released": AMOUNT, "retry_at": None},
        "failed",
    ),
    "unknown": ((TransactionUnknown,), {}, "unknown"),
}


def expect_report(status: str, source: str, outcome: str, expected: str, amount: Money) -> None:
    decided = refund_in(status).when(hear_of_refund, heard_back(outcome, source, amount=amount))
    after = status
    if expected in NOTED:
        decided.then(NoticeNoted, disposition=NOTED[expected])
    elif expected in REVIEWED:
        # what had been released may have been paid: it is claimed again until a person has looked
        had_it_back = status in ("failed", "reversed", "rejected", "cancelled")
        again = (DepositRefundTracked,) if had_it_back else ()
        decided.then(ReviewOpened, *again, reason=REVIEWED[expected], reserved=None)
        after = "review"
    elif expected == "pending":
        decided.then(TransactionPending, polls=int(source == "poll"))
        if status == "submitted" and outcome in ("accepted", "pending"):
            after = "pending"
    else:
        kinds, fields, after = RECORDED[expected]
        decided.then(*kinds, **fields)
    assert decided.after.refund.status == after


@pytest.mark.parametrize(("status", "source", "outcome", "expected"), cells(REPORTS, Source))
def test_every_report_in_every_state(status: str, source: str, outcome: str, expected: str) -> None:
    expect_report(status, source, outcome, expected, AMOUNT)


@pytest.mark.parametrize(("status", "source", "outcome", "same"), cells(REPORTS, Source))
def test_every_report_of_another_amount_in_every_state(
    status: str, source: str, outcome: str, same: str
) -> None:
    expected = OTHER_AMOUNT_REPORTS.get((status, outcome), same)
    expect_report(status, source, outcome, expected, OTHER_AMOUNT)


def test_the_report_table_is_complete() -> None:
    covered = {(status, source, outcome) for status, source, outcome, _ in cells(REPORTS, Source)}
    assert covered == {(s, w, o) for s in RefundStatus for w in Source for o in Outcome}
    assert len(cells(REPORTS, Source)) == len(covered)


def test_every_status_has_a_screen_word() -> None:
    assert all(status.screen_word for status in RefundStatus)


# --- in every state: the books, the instrument, the claim ----------------------------------------

# After a deposit of 100.00 and a refund of all of it. Where the money is; what the instrument has
# paid in net; how the refund stands towards the deposit.
POSITIONS = """
status           available reserved clearing instrument claim    deposit
requested        0         10000    -10000   0          -        completed
pending_approval 0         10000    -10000   0          open     completed
approved         0         10000    -10000   0          open     completed
submitted        0         10000    -10000   0          open     completed
pending          0         10000    -10000   0          open     completed
unknown          0         10000    -10000   0          open     completed
succeeded        0         0        0        0          taken    refunded
failed           10000     0        -10000   10000      released completed
rejected         10000     0        -10000   10000      released completed
cancelled        10000     0        -10000   10000      released completed
reversed         10000     0        -10000   10000      released completed
review           0         10000    -10000   0          open     completed
"""


@pytest.mark.parametrize("row", words(POSITIONS).lines, ids=words(POSITIONS).rows)
def test_in_every_state_the_money_the_counter_and_the_claim_agree(row: list[str]) -> None:
    status, *cells_ = row
    history = refund_in(status)
    books, deposit = balances(history.history), history.deposit
    claim = deposit.refunds.get(REFUND)
    assert cells_ == [
        str(books.get(AVAILABLE, 0)),
        str(books.get(RESERVED, 0)),
        str(books.get(CLEARING, 0)),
        str(counted(history.history).get(INSTRUMENT, 0)),
        claim.standing.value if claim else "-",
        deposit.status.value,
    ]
    assert sum(books.values()) == 0


def test_the_position_table_is_complete() -> None:
    assert words(POSITIONS).rows == [status.value for status in RefundStatus]


@pytest.mark.parametrize("status", RefundStatus)
def test_a_refund_never_changes_how_much_the_player_has_paid_in(status: RefundStatus) -> None:
    paid_in = deposited_counter(PLAYER_ID, "EUR")
    assert counted(refund_in(status).history)[paid_in] == AMOUNT.amount


# --- the request --------------------------------------------------------------------------------


def test_a_refund_is_requested_and_awaits_another_person() -> None:
    *_, requested, awaited, claimed = refund_requested().history
    assert isinstance(requested, RefundRequested)
    assert requested.reserved
    assert isinstance(awaited, RefundApprovalAwaited)
    assert awaited.required == REQUIRED
    assert isinstance(claimed, DepositRefundTracked)
    assert (claimed.amount, claimed.standing) == (AMOUNT, Standing.OPEN)


def test_a_refund_goes_to_where_the_deposit_came_from() -> None:
    history = refund_requested()
    refund, deposit = history.refund, history.deposit
    assert (refund.player_id, refund.provider, refund.method, refund.instrument) == (
        deposit.player_id,
        deposit.provider,
        deposit.method,
        deposit.instrument,
    )
    assert (refund.deposit_id, refund.requested_by, refund.grounds) == (
        deposit.id,
        "ann",
        "sent twice",
    )


def test_without_an_amount_everything_that_is_left_is_refunded() -> None:
    part = refund_sent(Money(2_500, "EUR"))
    rest = refund_requested(None, of=part, refund_id=uuid4())
    assert rest.refund.amount == Money(7_500, "EUR")


def test_a_refusal_is_recorded_and_claims_nothing() -> None:
    refused = refund_requested(refusal=Reason.INSUFFICIENT_FUNDS)
    *_, requested, rejected = refused.history
    assert isinstance(requested, RefundRequested)
    assert not requested.reserved
    assert isinstance(rejected, RefundRejected)
    assert rejected.released is None
    assert refused.refund.status is RefundStatus.REJECTED
    assert refused.refund.reason == Reason.INSUFFICIENT_FUNDS
    assert refused.deposit.refunds == {}
    assert counted(refused.history)[INSTRUMENT] == AMOUNT.amount
    assert balances(refused.history)[AVAILABLE] == AMOUNT.amount


def _request(history: Given | GivenRefund, amount: Money | None = AMOUNT) -> object:
    deposit = GivenRefund(history.history).deposit
    return request_refund(
        uuid4(),
        by("ann"),
        deposit=deposit,
        amount=amount,
        reason="x",
        metadata={},
        required=REQUIRED,
    )


@pytest.mark.parametrize(
    "status",
    sorted(set(DepositStatus) - {"completed", "partially_refunded", "refunded"}),
)
def test_only_a_credited_deposit_can_be_refunded(status: str) -> None:
    with pytest.raises(NotRefundable):
        _request(deposit_in(status))


def test_a_completed_deposit_in_review_cannot_be_refunded() -> None:
    review = deposit_in("completed").when(hear_of_deposit, heard("declined")).then(ReviewOpened)
    with pytest.raises(NotRefundable):
        _request(review)


def test_what_is_left_of_a_partially_refunded_deposit_can_be_refunded() -> None:
    assert _request(deposit_in("partially_refunded"), None)


def test_the_last_minor_unit_can_be_refunded_and_not_one_more() -> None:
    assert _request(deposit_in("completed"), AMOUNT)
    with pytest.raises(RefundExceedsCapture, match=r"100\.00 EUR"):
        _request(deposit_in("completed"), Money(10_001, "EUR"))


@pytest.mark.parametrize("amount", [None, Money(1, "EUR")])
def test_nothing_is_refunded_twice(amount: Money | None) -> None:
    for history in (deposit_in("refunded"), refund_requested(), refund_in("review")):
        with pytest.raises(RefundExceedsCapture, match=r"0\.00 EUR"):
            _request(history, amount)


@pytest.mark.parametrize("status", ["rejected", "cancelled", "failed", "reversed"])
def test_what_was_not_refunded_after_all_can_be_refunded_again(status: str) -> None:
    assert _request(refund_in(status))


def test_a_refund_is_in_the_deposits_currency() -> None:
    with pytest.raises(RefundExceedsCapture):
        _request(deposit_in("completed"), Money(1, "USD"))


@pytest.mark.parametrize("minor", [0, -1])
def test_a_refund_has_an_amount(minor: int) -> None:
    with pytest.raises(InvalidMoney):
        _request(deposit_in("completed"), Money(minor, "EUR"))


def test_nothing_is_refunded_while_a_dispute_is_open() -> None:
    for standing, refusal in (("open", DisputeOpen), ("taken", RefundExceedsCapture)):
        with pytest.raises(refusal):
            _request(disputed(GivenRefund(deposit_in("completed").history), standing))


def test_a_dispute_that_was_won_leaves_the_deposit_as_it_was() -> None:
    assert _request(disputed(GivenRefund(deposit_in("completed").history), "released"))


@pytest.mark.parametrize("required", [(), (("finance",), ("fraud",))])
def test_a_refund_takes_exactly_one_other_person(required: tuple[tuple[str, ...], ...]) -> None:
    deposit = GivenRefund(deposit_in("completed").history).deposit
    with pytest.raises(ValueError, match="one other person"):
        request_refund(
            REFUND,
            by("ann"),
            deposit=deposit,
            amount=None,
            reason="x",
            metadata={},
            required=required,
        )


def test_a_history_begins_with_its_request() -> None:
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_refund(None, RefundApprovalAwaited(**command().header(REFUND, 1), required=()))


# --- people -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["finance", "fraud"])
def test_another_person_in_a_role_that_may_approves(role: str) -> None:
    refund_requested().when(approve, "ben", role=role).then(
        RefundApproved, person="ben", role=role, attempt=1
    )


@pytest.mark.parametrize("role", ["support", "administrator", "compliance", "platform", ""])
def test_no_other_role_approves(role: str) -> None:
    refund_requested().when(approve, "ben", role=role).then_refused(RoleNotAllowed)


@pytest.mark.parametrize("role", ["finance", "administrator"])
def test_nobody_approves_their_own_request(role: str) -> None:
    refund_requested().when(approve, "ann", role=role).then_refused(SelfApproval)


def test_rejecting_tells_why() -> None:
    rejected = refund_requested().when(reject).then(RefundRejected, DepositRefundTracked, note="no")
    assert rejected.refund.reason == Reason.DECIDED_BY_OPERATOR


def test_every_command_sent_twice_acts_once() -> None:
    once = by("ben", role="fraud")
    requested = refund_requested()
    approved = requested.when(lambda s, deposit: approve_refund(s, once, note="n"))
    after = approved.then(RefundApproved)
    assert approve_refund(after.refund, once, note="n") is None
    gone = requested.when(lambda s, deposit: reject_refund(s, once, deposit=deposit, note="n"))
    after = gone.then(RefundRejected, DepositRefundTracked)
    assert reject_refund(after.refund, once, deposit=after.deposit, note="n") == ()
    gone = requested.when(lambda s, deposit: cancel_refund(s, once, deposit=deposit, reason="x"))
    after = gone.then(RefundCancelled, DepositRefundTracked)
    assert cancel_refund(after.refund, once, deposit=after.deposit, reason="x") == ()


def test_a_command_id_cannot_be_used_for_another_request() -> None:
    once = command("operator:ben", digest="one")
    history = refund_requested().when(
        lambda s, deposit: reject_refund(s, once, deposit=deposit, note="n")
    )
    after = history.then(RefundRejected, DepositRefundTracked)
    other = command("operator:ben", digest="two", command_id=once.command_id)
    with pytest.raises(CommandReused):
        reject_refund(after.refund, other, deposit=after.deposit, note="n")


# --- sending ------------------------------------------------------------------------------------


def test_the_first_poll_follows_the_providers_schedule() -> None:
    approved = refund_in("approved")
    quick = provider(poll_delays_seconds=(7, 30))
    (sent,) = submit_refund(approved.refund, command(), deposit=approved.deposit, provider=quick)
    assert isinstance(sent, TransactionSubmitted)
    assert (sent.poll_at, sent.attempt) == (NOW + timedelta(seconds=7), 1)
    assert sent.reference == f"{REFUND.hex}-1"


def _deposit_in_review(history: GivenRefund) -> GivenRefund:
    deposit = history.deposit
    report = hear_of_deposit(deposit, heard("declined"))
    assert isinstance(report, ReviewOpened)
    return GivenRefund((*history.history, report))


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        (lambda history: disputed(history, "open"), Reason.DISPUTE_OPEN),
        (lambda history: disputed(history, "taken"), Reason.NOT_REFUNDABLE),
        (_deposit_in_review, Reason.NOT_REFUNDABLE),
    ],
    ids=["disputed", "dispute lost", "deposit in review"],
)
def test_what_has_happened_to_the_deposit_meanwhile_stops_the_refund(
    meanwhile: object, reason: Reason
) -> None:
    stopped = (
        meanwhile(refund_in("approved"))
        .when(submit)
        .then(RefundCancelled, DepositRefundTracked, reason=reason, released=AMOUNT)
    )
    assert stopped.refund.status is RefundStatus.CANCELLED
    assert stopped.deposit.refunds[REFUND].standing is Standing.RELEASED


def test_nothing_is_sent_to_a_paused_provider() -> None:
    refund_in("approved").when(submit, paused=True).then(
        RefundCancelled, DepositRefundTracked, reason=Reason.PROVIDER_PAUSED
    )


def test_a_dispute_that_was_won_meanwhile_stops_nothing() -> None:
    disputed(refund_in("approved"), "released").when(submit).then(TransactionSubmitted)


def test_a_deposit_refunded_by_others_so_that_this_is_too_much_stops_it() -> None:
    approved = refund_in("approved")
    more = refund_tracked(
        Given(tuple(e for e in approved.history if e.originator_id != REFUND)),
        Money(1, "EUR"),
        Standing.TAKEN,
        uuid4(),
    )
    GivenRefund((*approved.history, more.history[-1])).when(submit).then(
        RefundCancelled, DepositRefundTracked, reason=Reason.NOT_REFUNDABLE
    )


# --- the ten rules ------------------------------------------------------------------------------


def test_rule_1_a_notice_already_acted_on_appends_nothing() -> None:
    notice = heard_back("succeeded")
    done = refund_sent().when(hear_of_refund, notice).then(RefundSucceeded, DepositRefundTracked)
    done.when(hear_of_refund, notice).then_nothing()


def test_rule_1_a_notice_that_was_only_noted_is_not_noted_again() -> None:
    notice = heard_back("pending")
    noted = refund_in("succeeded").when(hear_of_refund, notice).then(NoticeNoted)
    noted.when(hear_of_refund, notice).then_nothing()


@pytest.mark.parametrize("answer", ["accepted", "pending", "not_sent", "unknown", "declined"])
def test_rule_4_a_webhook_before_our_own_answer_settles_it(answer: str) -> None:
    early = refund_sent().go_on(hear_of_refund, heard_back("succeeded"))
    late = early.go_on(hear_of_refund, heard_back(answer, "answer"))
    assert late.refund.status == ("review" if answer == "declined" else "succeeded")
    assert balances(late.history) == {}


def test_rule_4_our_own_late_answer_does_not_unsettle_what_is_under_way() -> None:
    early = refund_sent().go_on(hear_of_refund, heard_back("pending"))
    late = early.when(hear_of_refund, heard_back("unknown", "answer")).then(TransactionPending)
    assert late.refund.status is RefundStatus.PENDING


def test_rule_5_not_sent_is_failed_and_released() -> None:
    refund_sent().when(hear_of_refund, heard_back("not_sent", "answer")).then(
        TransactionFailed, DepositRefundTracked, reason=Reason.NOT_SENT, released=AMOUNT
    )


@pytest.mark.parametrize("first", ["unknown", "accepted"])
def test_rule_5_polls_go_through_the_whole_schedule_and_then_ask_a_person(first: str) -> None:
    slow = provider(poll_delays_seconds=(10, 30, 120))
    history = refund_sent().go_on(hear_of_refund, heard_back(first, "answer"))
    asked = []
    while history.refund.status is not RefundStatus.REVIEW:
        decided = history.when(hear_of_refund, heard_back("not_found", "poll"), provider=slow)
        history = decided.after
        asked.append(getattr(decided.events[0], "poll_at", None))
    assert asked == [NOW + timedelta(seconds=30), NOW + timedelta(seconds=120), None]
    assert history.refund.reason == ReviewReason.UNRESOLVED
    assert balances(history.history)[RESERVED] == AMOUNT.amount


def test_rule_5_unreadable_polls_use_up_the_schedule_too() -> None:
    slow = provider(poll_delays_seconds=(10,))
    refund_sent().when(hear_of_refund, heard_back("unknown", "poll"), provider=slow).then(
        ReviewOpened, reason=ReviewReason.UNRESOLVED
    )


def test_rule_5_notices_do_not_use_up_the_schedule() -> None:
    slow = provider(poll_delays_seconds=(10,))
    history = refund_in("unknown")
    for _ in range(5):
        history = history.when(hear_of_refund, heard_back("pending"), provider=slow).then(
            TransactionPending, polls=0, poll_at=None
        )


@pytest.mark.parametrize(
    "told", [OTHER_AMOUNT, Money(10_001, "EUR"), Money(10_000, "USD"), Money(100, "JPY")]
)
def test_rule_7_another_amount_or_currency_pays_nothing(told: Money) -> None:
    review = (
        refund_sent()
        .when(hear_of_refund, heard_back("succeeded", amount=told))
        .then(ReviewOpened, reason=ReviewReason.MISMATCH)
    )
    assert balances(review.history)[RESERVED] == AMOUNT.amount


def test_a_decline_says_why() -> None:
    code = DeclineCode.ACCOUNT_CLOSED
    declined = refund_sent().go_on(hear_of_refund, heard_back("declined", decline_code=code))
    assert declined.refund.reason == "account_closed"


@pytest.mark.parametrize("status", ["submitted", "succeeded", "failed"])
def test_money_for_an_attempt_we_never_made_is_reviewed(status: str) -> None:
    told = refund_in(status).go_on(hear_of_refund, heard_back("succeeded", attempt=2))
    assert told.refund.status is RefundStatus.REVIEW
    assert told.refund.reason == ReviewReason.UNSOLICITED


def test_a_reversal_told_before_its_success_ends_as_one_told_after() -> None:
    first = refund_sent().go_on(hear_of_refund, heard_back("returned"))
    late = first.when(hear_of_refund, heard_back("succeeded")).then(
        NoticeNoted, disposition=Disposition.LATE
    )
    after = refund_in("reversed")
    assert late.refund.status is after.refund.status is RefundStatus.REVERSED
    assert balances(late.history) == balances(after.history)
    assert late.deposit.refunds == after.deposit.refunds


def test_a_success_of_another_amount_after_a_reversal_is_reviewed() -> None:
    first = refund_sent().go_on(hear_of_refund, heard_back("returned"))
    told = first.go_on(hear_of_refund, heard_back("succeeded", amount=OTHER_AMOUNT))
    assert told.refund.status is RefundStatus.REVIEW


def test_another_success_after_a_reversal_is_reviewed() -> None:
    first = refund_sent().go_on(hear_of_refund, heard_back("returned"))
    once = first.go_on(hear_of_refund, heard_back("succeeded"))
    again = once.go_on(hear_of_refund, heard_back("succeeded"))
    assert again.refund.status is RefundStatus.REVIEW


def test_a_fee_in_the_refunds_currency_is_booked_and_no_other() -> None:
    for fee, booked in (
        (Money(30, "EUR"), Money(30, "EUR")),
        (Money(30, "USD"), None),
        (Money(0, "EUR"), None),
    ):
        refund_sent().when(hear_of_refund, heard_back("succeeded", fee=fee)).then(
            RefundSucceeded, DepositRefundTracked, fee=booked
        )


# --- after a review -----------------------------------------------------------------------------


def _unresolved() -> GivenRefund:
    return refund_in("unknown").go_on(
        hear_of_refund, heard_back("unknown", "poll"), provider=provider(poll_delays_seconds=(1,))
    )


def _told(status: str, outcome: str, amount: Money | None = None) -> GivenRefund:
    return refund_in(status).go_on(hear_of_refund, heard_back(outcome, amount=amount))


REVIEWS = {
    "unresolved": _unresolved,
    "less": lambda: _told("submitted", "succeeded", OTHER_AMOUNT),
    "more": lambda: _told("submitted", "succeeded", Money(10_002, "EUR")),
    "dollars": lambda: _told("submitted", "succeeded", Money(10_000, "USD")),
    "nothing": lambda: _told("submitted", "succeeded", Money(0, "EUR")),
    "partly-back": lambda: _told("submitted", "returned", OTHER_AMOUNT),
    "approved": lambda: _told("approved", "succeeded"),
    "declined": lambda: _told("succeeded", "declined"),
    "failed": lambda: _told("failed", "succeeded"),
    "cancelled": lambda: _told("cancelled", "succeeded"),
    "reversed": lambda: _told("reversed", "succeeded"),
}

# The books after the deposit, the refund, and the review's end. `taken`: what it took of the
# deposit in the end; the instrument has paid in what was captured less that.
RESOLUTIONS = """
review/target          available reserved clearing suspense taken
unresolved/succeeded   0         0        0        0        10000
unresolved/failed      10000     0        -10000   0        0
less/succeeded         1         0        -1       0        9999
less/failed            10000     0        -10000   0        0
more/succeeded         0         0        2        -2       10002
more/failed            10000     0        -10000   0        0
dollars/succeeded      0         0        0        0        10000
dollars/failed         10000     0        -10000   0        0
nothing/succeeded      0         0        0        0        10000
nothing/failed         10000     0        -10000   0        0
partly-back/succeeded  0         0        0        0        10000
partly-back/failed     10000     0        -10000   0        0
approved/succeeded     0         0        0        0        10000
approved/failed        10000     0        -10000   0        0
declined/succeeded     0         0        0        0        10000
declined/failed        10000     0        -10000   0        0
failed/succeeded       10000     0        0        -10000   10000
failed/failed          10000     0        -10000   0        0
cancelled/succeeded    10000     0        0        -10000   10000
cancelled/failed       10000     0        -10000   0        0
reversed/succeeded     10000     0        0        -10000   10000
reversed/failed        10000     0        -10000   0        0
"""


@pytest.mark.parametrize("row", words(RESOLUTIONS).lines, ids=words(RESOLUTIONS).rows)
def test_a_resolution_sets_the_books_right_from_wherever_the_money_is(row: list[str]) -> None:
    name, *expected = row
    review, _, target = name.partition("/")
    ended = judged(REVIEWS[review](), target)
    books, claim = balances(ended.history), ended.deposit.refunds[REFUND]
    taken = claim.amount.amount if claim.standing is Standing.TAKEN else 0
    accounts = (AVAILABLE, RESERVED, CLEARING, SUSPENSE)
    assert expected == [str(books.get(account, 0)) for account in accounts] + [str(taken)]
    assert claim.standing is (Standing.TAKEN if target == "succeeded" else Standing.RELEASED)
    assert counted(ended.history).get(INSTRUMENT, 0) == AMOUNT.amount - taken
    assert ended.refund.status == target
    assert sum(books.values()) == 0


def test_the_resolution_table_is_complete() -> None:
    assert words(RESOLUTIONS).rows == [
        f"{review}/{target}" for review in REVIEWS for target in ("succeeded", "failed")
    ]


@pytest.mark.parametrize(("review", "more"), [("failed", ()), ("more", (DepositExcessTracked,))])
def test_what_the_house_paid_goes_back_to_the_house(
    review: str, more: tuple[type[DepositExcessTracked], ...]
) -> None:
    ended = judged(REVIEWS[review](), "succeeded")
    returned = heard_back("returned", amount=ended.refund.paid)
    back = ended.when(hear_of_refund, returned).then(RefundReversed, DepositRefundTracked, *more)
    assert balances(back.history) == {AVAILABLE: AMOUNT.amount, CLEARING: -AMOUNT.amount}


def test_less_than_was_asked_for_comes_back_as_it_went() -> None:
    ended = judged(REVIEWS["less"](), "succeeded")
    back = ended.when(hear_of_refund, heard_back("returned", amount=OTHER_AMOUNT)).then(
        RefundReversed, DepositRefundTracked, amount=OTHER_AMOUNT
    )
    assert balances(back.history) == {AVAILABLE: AMOUNT.amount, CLEARING: -AMOUNT.amount}
    assert back.deposit.refundable_minor == AMOUNT.amount


def test_what_two_people_judged_is_not_judged_again_when_it_is_told_again() -> None:
    for target in sorted(REFUND_TARGETS):
        ended = judged(refund_in("review"), target)
        ended.when(hear_of_refund, heard_back("succeeded", amount=OTHER_AMOUNT)).then(
            NoticeNoted, disposition=Disposition.DUPLICATE
        )


@pytest.mark.parametrize("target", sorted(REFUND_TARGETS))
def test_a_different_final_outcome_after_a_review_is_another_review(target: str) -> None:
    ended = judged(refund_in("review"), target)
    told = "declined" if target == "succeeded" else "succeeded"
    again = ended.go_on(hear_of_refund, heard_back(told, amount=AMOUNT))
    assert again.refund.status is RefundStatus.REVIEW


def test_while_a_released_refund_is_reviewed_nobody_else_refunds_the_deposit() -> None:
    for status in ("failed", "reversed", "cancelled", "rejected"):
        review = _told(status, "succeeded")
        assert review.deposit.refunds[REFUND] == Claim(amount=AMOUNT, standing=Standing.OPEN)
        with pytest.raises(RefundExceedsCapture):
            _request(review, Money(1, "EUR"))


def test_a_refund_paid_after_all_stops_the_one_requested_in_its_place() -> None:
    other = UUID(int=9)
    again = refund_requested(of=refund_in("failed"), refund_id=other).go_on(approve)
    paid = judged(again.and_refund(REFUND).go_on(hear_of_refund, heard_back("succeeded")), "failed")
    assert paid.and_refund(other).go_on(submit).refund.status is RefundStatus.SUBMITTED
    paid = judged(
        again.and_refund(REFUND).go_on(hear_of_refund, heard_back("succeeded")), "succeeded"
    )
    stopped = paid.and_refund(other).go_on(submit)
    assert stopped.refund.status is RefundStatus.CANCELLED
    assert stopped.deposit.refundable_minor == 0


def test_two_refunds_of_the_same_money_are_an_excess_until_one_comes_back() -> None:
    other = UUID(int=9)
    second = refund_sent(of=refund_in("failed"), refund_id=other)
    second = second.go_on(hear_of_refund, heard_back("succeeded", transaction=other))
    assert second.deposit.excess is None
    first = second.and_refund(REFUND).go_on(hear_of_refund, heard_back("succeeded"))
    assert first.deposit.excess is None  # nobody can say yet
    paid = first.go_on(resolve, "ann", "succeeded").when(resolve, "ben", "succeeded")
    both = paid.then(TransactionResolved, DepositRefundTracked, DepositExcessTracked)
    assert both.deposit.excess == AMOUNT
    back = both.and_refund(other).go_on(hear_of_refund, heard_back("returned", transaction=other))
    assert back.deposit.excess is None


def test_rule_8_two_people_with_evidence_and_a_listed_target() -> None:
    review = refund_in("review")
    proposed = review.when(resolve, "ann", "failed").then(ResolutionProposed)
    proposed.when(resolve, "ann", "failed").then_refused(SelfApproval)
    proposed.when(resolve, "ben", "succeeded").then(ResolutionProposed)
    review.when(resolve, "ann", "reversed").then_refused(InvalidResolution)
    with pytest.raises(EvidenceMissing):
        resolve_refund(review.refund, by("ann"), deposit=review.deposit, target="failed", note="  ")
    proposed.when(resolve, "ben", "failed").then(TransactionResolved, DepositRefundTracked)


def test_a_resolution_sent_twice_acts_once() -> None:
    agree = by("ben")
    proposed = refund_in("review").go_on(resolve, "ann", "failed")
    ended = proposed.when(
        lambda s, deposit: resolve_refund(s, agree, deposit=deposit, target="failed", note="n")
    ).then(TransactionResolved, DepositRefundTracked)
    again = resolve_refund(ended.refund, agree, deposit=ended.deposit, target="failed", note="n")
    assert again == ()


def test_a_refund_in_flight_while_its_deposit_is_reviewed_can_still_end() -> None:
    for outcome, after in (("succeeded", "refunded"), ("declined", "completed")):
        review = _deposit_in_review(refund_sent())
        ended = review.go_on(hear_of_refund, heard_back(outcome))
        assert ended.deposit.status == "review"
        deposit = Given(tuple(e for e in ended.history if e.originator_id == ended.deposit.id))
        assert resolved(deposit, "completed").state.status == after
