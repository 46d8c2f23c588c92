"""Disputes: every state × every command, every state × every report, and any order of them."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.deposit.claims import Claim
from domain.deposit.concerns import with_excess
from domain.dispute.decisions import (
    STAGES,
    DisputeStatus,
    answer_acknowledged,
    answer_delayed,
    answer_report,
    dispute_stream,
    evolve_dispute,
    expire_dispute,
    fold_dispute,
    submit_evidence,
)
from domain.dispute.reports import hear_dispute
from domain.errors import CommandReused, EvidenceMissing, InvalidTransition
from domain.events import (
    DepositDisputeFundsTracked,
    DepositDisputeTracked,
    DepositExcessTracked,
    DisputeAccepted,
    DisputeAcknowledged,
    DisputeAnswerDelayed,
    DisputeEvidenceDue,
    DisputeEvidenceSubmitted,
    DisputeExpired,
    DisputeFundsReinstated,
    DisputeFundsWithdrawn,
    DisputeLost,
    DisputeNewsNoted,
    DisputeNoticeReceived,
    DisputeOpened,
    DisputeWithdrawn,
    DisputeWon,
)
from domain.events.evidence import Disposition, DisputeNews, DisputeStage, Outcome, Standing
from domain.money import Money
from domain.provider.webhook import notice_stream, report_of, set_aside
from tests.scenarios.dispute import (
    DISPUTE,
    DUE_AT,
    Case,
    contest,
    dispute_in,
    give_in,
    hearing,
    in_role,
    told,
    totals,
    undisputed,
)
from tests.scenarios.scenario import AMOUNT, NOW, PLAYER_ID, TRANSACTION, command
from tests.scenarios.tables import cells, words

DELAYS_SECONDS = (10, 60, 600)
HALF = Money(AMOUNT.amount // 2, "EUR")
DOLLARS = Money(10_800, "USD")
INSTRUMENT = f"instrument:{PLAYER_ID}:EUR:card-1"

# --- every state × every command ----------------------------------------------------------------

# `-` is refused, `.` is nothing to do any more: a clock or a worker comes too late.
COMMANDS = """
status        contest    give_in   expire   acknowledge   delay
opened        submitted  accepted  expired  .             .
evidence_due  submitted  accepted  expired  .             .
submitted     -          -         .        under_review  submitted
under_review  -          -         .        .             .
accepted      -          -         .        accepted      accepted
expired       -          -         .        .             .
won           -          -         .        .             .
lost          -          -         .        .             .
withdrawn     -          -         .        .             .
"""


def expire(case: Case, *, seconds: int = 0) -> object:
    now = DUE_AT + timedelta(seconds=seconds)
    return expire_dispute(case.state, command(now=now), deposit=case.deposit)


def acknowledge(case: Case) -> object:
    return answer_acknowledged(case.state, command(), answer_report(case.state))


def delay(case: Case) -> object:
    return answer_delayed(
        case.state, command(), outcome=Outcome.UNKNOWN, delays_seconds=DELAYS_SECONDS
    )


DECISIONS = {
    "contest": contest,
    "give_in": give_in,
    "expire": expire,
    "acknowledge": acknowledge,
    "delay": delay,
}
MADE = {
    "contest": (DisputeEvidenceSubmitted,),
    "give_in": (DisputeAccepted, DepositDisputeTracked),
    "expire": (DisputeExpired, DepositDisputeTracked),
    "acknowledge": (DisputeAcknowledged,),
    "delay": (DisputeAnswerDelayed,),
}


@pytest.mark.parametrize(("status", "name", "expected"), cells(COMMANDS))
def test_every_command_in_every_state(status: str, name: str, expected: str) -> None:
    decided = dispute_in(status).when(DECISIONS[name])
    if expected == "-":
        decided.then_refused(InvalidTransition)
    elif expected == ".":
        decided.then_nothing()
    else:
        assert decided.then(*MADE[name]).state.status == expected


def test_the_command_table_is_complete() -> None:
    assert words(COMMANDS).rows == [status.value for status in DisputeStatus]
    assert words(COMMANDS).columns == list(DECISIONS)


def test_every_status_has_a_screen_word() -> None:
    assert all(status.screen_word for status in DisputeStatus)


@pytest.mark.parametrize("status", DisputeStatus)
def test_a_dispute_is_either_open_at_the_provider_or_settled(status: DisputeStatus) -> None:
    still_open = {"opened", "evidence_due", "submitted", "under_review"}
    assert status.is_open_at_provider == (status in still_open)
    assert status.is_settled == (status not in still_open)


# --- every state × every report -----------------------------------------------------------------

# Cells: the status that follows, or what is noted instead: ~twice (known already), ~late (older
# than what is known), ~contra (it cannot be). `known` is: accepted still, and acknowledged.
REPORTS = """
status        opened  evidence_due  under_review  won      lost     withdrawn  expired
opened        ~twice  evidence_due  under_review  won      lost     withdrawn  expired
evidence_due  ~twice  ~twice        under_review  won      lost     withdrawn  expired
submitted     ~twice  ~late         under_review  won      lost     withdrawn  expired
under_review  ~twice  ~late         ~twice        won      lost     withdrawn  ~late
accepted      ~twice  ~late         ~late         ~contra  known    ~contra    known
expired       ~twice  ~late         under_review  won      lost     withdrawn  ~twice
won           ~twice  ~late         ~late         ~twice   ~contra  ~contra    ~late
lost          ~twice  ~late         ~late         ~contra  ~twice   ~contra    ~late
withdrawn     ~twice  ~late         ~late         ~contra  ~contra  ~twice     ~late
"""
NOTED = {
    "~twice": Disposition.DUPLICATE,
    "~late": Disposition.LATE,
    "~contra": Disposition.CONTRADICTION,
}
FOLLOWS = {
    "evidence_due": DisputeEvidenceDue,
    "under_review": DisputeAcknowledged,
    "won": DisputeWon,
    "lost": DisputeLost,
    "withdrawn": DisputeWithdrawn,
    "expired": DisputeExpired,
    "known": DisputeAcknowledged,
}
MONEY = (DisputeNews.FUNDS_WITHDRAWN, DisputeNews.FUNDS_REINSTATED)


def standing_of(case: Case) -> Standing:
    """How disputes of that status stand, where nothing is contradicted and no money is gone."""
    return case.state.status.standing


@pytest.mark.parametrize(("status", "news", "expected"), cells(REPORTS))
def test_every_report_in_every_state(status: str, news: str, expected: str) -> None:
    before = dispute_in(status)
    decided = before.when(hearing(told(news)))
    if expected in NOTED:
        tracked = (DepositDisputeTracked,) if expected == "~contra" else ()
        after = decided.then(DisputeNewsNoted, *tracked, disposition=NOTED[expected])
        assert after.state.status == status
    else:
        after = decided.case
        status_after = "accepted" if expected == "known" else expected
        assert type(decided.events[0]) is FOLLOWS[expected]
        assert after.state.status == status_after
    assert after.state.contradicted == (expected == "~contra")
    assert after.deposit.disputes[DISPUTE].standing is after.state.standing
    assert after.state.standing is (Standing.OPEN if expected == "~contra" else standing_of(after))
    assert totals(after.log) == totals(before.log)


def test_the_report_table_is_complete() -> None:
    assert words(REPORTS).rows == [status.value for status in DisputeStatus]
    assert words(REPORTS).columns == [news.value for news in DisputeNews if news not in MONEY]


@pytest.mark.parametrize("status", DisputeStatus)
@pytest.mark.parametrize("news", [news for news in DisputeNews if news not in MONEY])
def test_news_of_an_earlier_stage_is_late_in_every_state(
    status: DisputeStatus, news: DisputeNews
) -> None:
    decided = dispute_in(status).when(hearing(told(news, "inquiry")))
    decided.then(DisputeNewsNoted, disposition=Disposition.LATE)


@pytest.mark.parametrize("status", DisputeStatus)
@pytest.mark.parametrize("stage", ["pre_arbitration", "arbitration"])
def test_a_later_stage_opens_the_dispute_again_from_every_state(
    status: DisputeStatus, stage: str
) -> None:
    again = dispute_in(status).heard(told("opened", stage)).state
    assert (again.status, again.stage) == (DisputeStatus.OPENED, stage)
    assert (again.evidence_due_at, again.answer_note, again.acknowledged) == (None, "", False)


@pytest.mark.parametrize("news", [news for news in DisputeNews if news is not DisputeNews.OPENED])
@pytest.mark.parametrize("status", [None, *DisputeStatus])
def test_whatever_is_heard_first_of_a_dispute_or_stage_opens_it(
    news: DisputeNews, status: DisputeStatus | None
) -> None:
    before = dispute_in(status) if status else undisputed()
    made = before.when(hearing(told(news, "arbitration", amount=AMOUNT))).events
    assert isinstance(made[0], DisputeOpened)
    assert len(made) > 1
    assert not isinstance(made[1], DisputeOpened)


# --- what a deposit knows of it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "standing", "refundable_minor"),
    [
        ("opened", Standing.OPEN, 0),
        ("evidence_due", Standing.OPEN, 0),
        ("submitted", Standing.OPEN, 0),
        ("under_review", Standing.OPEN, 0),
        ("accepted", Standing.TAKEN, 0),
        ("expired", Standing.TAKEN, 0),
        ("lost", Standing.TAKEN, 0),
        ("won", Standing.RELEASED, AMOUNT.amount),
        ("withdrawn", Standing.RELEASED, AMOUNT.amount),
    ],
)
def test_a_dispute_claims_what_was_captured_until_it_is_won(
    status: str, standing: Standing, refundable_minor: int
) -> None:
    deposit = dispute_in(status).deposit
    assert deposit.disputes[DISPUTE].standing is standing
    assert deposit.refundable_minor == refundable_minor
    assert deposit.has_open_dispute == (standing is Standing.OPEN)


def test_the_claim_is_recorded_only_where_it_changes() -> None:
    case = undisputed().when(hearing(told("opened"))).then(DisputeOpened, DepositDisputeTracked)
    case = case.when(hearing(told("under_review"))).then(DisputeAcknowledged)
    case = case.when(hearing(told("won"))).then(DisputeWon, DepositDisputeTracked)
    case = case.when(hearing(told("opened", "arbitration"))).then(
        DisputeOpened, DepositDisputeTracked
    )
    assert case.deposit.has_open_dispute


def test_the_whole_deposit_is_contested_where_no_amount_is_named() -> None:
    assert undisputed().heard(told("opened")).state.amount == AMOUNT


def test_a_part_of_the_deposit_can_be_contested() -> None:
    case = undisputed().heard(told("opened", amount=HALF))
    assert case.state.amount == HALF
    assert case.deposit.refundable_minor == AMOUNT.amount - HALF.amount


def test_an_amount_named_late_corrects_the_claim() -> None:
    case = undisputed().heard(told("won"))
    assert case.deposit.disputes[DISPUTE].amount == AMOUNT
    case = case.when(hearing(told("opened", amount=HALF))).then(
        DisputeNewsNoted, DepositDisputeTracked, disposition=Disposition.DUPLICATE
    )
    assert case.state.amount == HALF
    assert case.deposit.disputes[DISPUTE].amount == HALF


def test_of_two_amounts_in_a_stage_the_larger_is_contested() -> None:
    case = undisputed().heard(told("opened", amount=AMOUNT), told("under_review", amount=HALF))
    assert case.state.amount == AMOUNT


def test_a_later_stage_can_be_about_less() -> None:
    case = undisputed().heard(told("opened", amount=AMOUNT))
    case = case.heard(told("opened", "arbitration", amount=HALF))
    assert case.state.amount == HALF


def test_an_amount_in_another_currency_is_flagged_and_everything_is_contested() -> None:
    state = undisputed().heard(told("opened", amount=DOLLARS)).state
    assert (state.amount, state.mismatched) == (AMOUNT, True)
    assert not undisputed().heard(told("opened", amount=HALF)).state.mismatched


def test_the_reason_code_is_the_latest_stages() -> None:
    case = undisputed().heard(told("opened"), told("under_review", reason_code="10.4"))
    assert case.state.reason == "10.4"
    case = case.heard(told("opened", "arbitration", reason_code="13.1"))
    assert case.state.reason == "13.1"


# --- answering ----------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", [contest, give_in])
def test_the_same_answer_is_given_once(decision: object) -> None:
    by = in_role("ann", "fraud")
    answered = dispute_in("opened").and_then(lambda case: decision(case, by=by))
    answered.when(lambda case: decision(case, by=by)).then_nothing()
    other = replace(by, request_digest="other")
    answered.when(lambda case: decision(case, by=other)).then_refused(CommandReused)


def test_an_answer_needs_something_to_stand_on() -> None:
    opened, by = dispute_in("opened"), in_role("ann", "fraud")
    opened.when(lambda case: give_in(case, note="  ")).then_refused(EvidenceMissing)
    bare = opened.when(lambda case: submit_evidence(case.state, by, note=" "))
    bare.then_refused(EvidenceMissing)
    opened.when(lambda case: contest(case, note="")).then(DisputeEvidenceSubmitted)


def test_the_answer_is_kept_until_the_provider_has_it() -> None:
    state = dispute_in("submitted").state
    assert (state.answer_note, state.documents) == ("the player was paid out", ("doc-1",))
    assert state.answer_due
    assert not dispute_in("submitted").and_then(acknowledge).state.answer_due


def test_accepting_is_told_to_the_provider_and_stays_accepted() -> None:
    accepted = dispute_in("accepted")
    assert accepted.state.answer_due
    state = accepted.and_then(acknowledge).state
    assert (state.status, state.acknowledged) == (DisputeStatus.ACCEPTED, True)
    assert not state.answer_due


@pytest.mark.parametrize("status", ["submitted", "accepted"])
def test_the_provider_is_told_again_after_each_delay_and_the_last_from_then_on(status: str) -> None:
    case, waited = dispute_in(status), []
    for _ in range(5):
        case = case.and_then(delay)
        waited.append((case.state.retry_at - NOW).total_seconds())
    assert waited == [10, 60, 600, 600, 600]
    assert case.state.answer_due
    assert case.and_then(acknowledge).state.retry_at is None


@pytest.mark.parametrize("news", ["won", "lost", "withdrawn", "expired", "under_review"])
def test_evidence_is_not_sent_any_more_once_the_provider_has_gone_on(news: str) -> None:
    case = dispute_in("submitted").and_then(delay).heard(told(news))
    assert (case.state.answer_due, case.state.retry_at) == (False, None)
    case.when(delay).then_nothing()
    case.when(acknowledge).then_nothing()


def test_what_was_accepted_is_not_told_to_a_provider_that_has_decided_otherwise() -> None:
    case = dispute_in("accepted").heard(told("won"))
    assert case.state.contradicted
    assert not case.state.answer_due


def test_a_loss_after_accepting_is_known_the_second_time() -> None:
    case = dispute_in("accepted").heard(told("lost"))
    assert case.state.acknowledged
    case.when(hearing(told("lost"))).then(DisputeNewsNoted, disposition=Disposition.DUPLICATE)


def test_the_receipt_of_an_answer_to_an_earlier_stage_means_nothing() -> None:
    sent = answer_report(dispute_in("submitted").state)
    case = dispute_in("submitted").heard(told("opened", "arbitration")).and_then(contest)
    case.when(lambda c: answer_acknowledged(c.state, command(), sent)).then_nothing()


# --- the time for evidence ----------------------------------------------------------------------


def test_a_dispute_expires_at_the_time_and_not_before() -> None:
    opened = dispute_in("opened")
    opened.when(lambda case: expire(case, seconds=-1)).then_nothing()
    opened.when(expire).then(DisputeExpired, DepositDisputeTracked, report=None)


def test_a_dispute_whose_time_nobody_named_does_not_expire() -> None:
    case = undisputed().heard(told("opened"), told("evidence_due"))
    assert case.state.status is DisputeStatus.EVIDENCE_DUE
    case.when(expire).then_nothing()


@pytest.mark.parametrize("order", [1, -1])
def test_the_latest_time_that_was_named_holds(order: int) -> None:
    later = DUE_AT + timedelta(days=1)
    news = [told("evidence_due", due_at=DUE_AT), told("evidence_due", due_at=later)]
    state = undisputed().heard(*news[::order]).state
    assert (state.status, state.evidence_due_at) == (DisputeStatus.EVIDENCE_DUE, later)


@pytest.mark.parametrize("news", ["under_review", "won", "lost", "withdrawn"])
def test_what_the_provider_says_counts_more_than_our_clock(news: str) -> None:
    case = dispute_in("opened").and_then(expire)
    assert case.deposit.disputes[DISPUTE].standing is Standing.TAKEN
    case = case.heard(told(news))
    assert case.state.status == news
    assert case.deposit.disputes[DISPUTE].standing is DisputeStatus(news).standing


# --- the money ----------------------------------------------------------------------------------

TAKEN = {
    "house:chargebacks:EUR": -HALF.amount,
    "provider:acme:clearing:EUR": HALF.amount,
    INSTRUMENT: -HALF.amount,
}


def since_the_deposit(case: Case) -> dict[str, int]:
    return totals(event for event in case.log if event.originator_id == DISPUTE)


@pytest.mark.parametrize("status", DisputeStatus)
def test_money_is_booked_in_every_state_and_changes_none(status: DisputeStatus) -> None:
    case = dispute_in(status).heard(told("funds_withdrawn", amount=HALF))
    assert since_the_deposit(case) == TAKEN
    assert case.state.funds_withdrawn
    case = case.heard(told("funds_reinstated", amount=HALF))
    assert since_the_deposit(case) == {}
    assert not case.state.funds_withdrawn
    assert case.state.status is status


def test_money_is_taken_once_in_a_stage() -> None:
    case = dispute_in("opened").heard(told("funds_withdrawn", amount=HALF))
    again = case.when(hearing(told("funds_withdrawn", amount=HALF)))
    case = again.then(DisputeNewsNoted, disposition=Disposition.DUPLICATE)
    assert since_the_deposit(case) == TAKEN


def test_money_is_given_back_once_in_a_stage() -> None:
    case = dispute_in("opened").heard(
        told("funds_withdrawn", amount=HALF), told("funds_reinstated", amount=HALF)
    )
    again = case.when(hearing(told("funds_reinstated", amount=HALF)))
    case = again.then(DisputeNewsNoted, disposition=Disposition.DUPLICATE)
    assert since_the_deposit(case) == {}


@pytest.mark.parametrize("news", MONEY)
def test_another_amount_the_second_time_needs_a_person(news: DisputeNews) -> None:
    case = dispute_in("opened").heard(told("funds_withdrawn", amount=HALF))
    case = case.heard(told("funds_reinstated", amount=HALF))
    decided = case.when(hearing(told(news, amount=AMOUNT)))
    after = decided.then(DisputeNewsNoted, disposition=Disposition.CONTRADICTION)
    assert after.state.contradicted
    assert totals(after.log) == totals(case.log)


def test_money_given_back_waits_until_it_is_known_to_have_been_taken() -> None:
    early = told("funds_reinstated", amount=HALF)
    case = (
        dispute_in("won").when(hearing(early)).then(DisputeNewsNoted, disposition=Disposition.EARLY)
    )
    assert since_the_deposit(case) == {}
    case.when(hearing(told("funds_reinstated", amount=HALF))).then(
        DisputeNewsNoted, disposition=Disposition.DUPLICATE
    )
    decided = case.when(hearing(told("funds_withdrawn", amount=HALF)))
    case = decided.then(DisputeFundsWithdrawn, DisputeFundsReinstated)
    assert decided.events[1].report == early
    assert since_the_deposit(case) == {}
    assert case.state.waiting == {}


def test_money_taken_at_one_stage_can_be_given_back_at_a_later_one() -> None:
    case = dispute_in("lost").heard(told("funds_withdrawn", amount=HALF))
    case = case.heard(told("won", "arbitration"))
    case = case.heard(told("funds_reinstated", "arbitration", amount=HALF))
    assert since_the_deposit(case) == {}


def test_money_taken_at_a_later_stage_is_not_what_an_earlier_one_gave_back() -> None:
    case = dispute_in("won").heard(told("funds_withdrawn", "arbitration", amount=HALF))
    decided = case.when(hearing(told("funds_reinstated", amount=HALF)))
    case = decided.then(DisputeNewsNoted, disposition=Disposition.EARLY)
    assert since_the_deposit(case) == TAKEN
    case = case.heard(told("funds_withdrawn", amount=HALF))
    assert since_the_deposit(case) == TAKEN


def test_money_news_without_an_amount_is_about_what_is_known() -> None:
    case = undisputed().heard(told("opened", amount=HALF), told("funds_withdrawn"))
    assert since_the_deposit(case) == TAKEN
    assert since_the_deposit(case.heard(told("funds_reinstated"))) == {}


def test_money_in_another_currency_is_booked_as_it_is_and_counts_for_no_instrument() -> None:
    case = dispute_in("opened").heard(told("funds_withdrawn", amount=DOLLARS))
    assert since_the_deposit(case) == {
        "house:chargebacks:USD": -DOLLARS.amount,
        "provider:acme:clearing:USD": DOLLARS.amount,
    }
    assert case.state.mismatched
    assert case.state.amount == AMOUNT


def test_what_a_dispute_has_taken_stays_its_claim_whatever_the_provider_says_of_it() -> None:
    case = dispute_in("opened").heard(told("funds_withdrawn", amount=AMOUNT))
    decided = case.when(hearing(told("won")))
    case = decided.then(DisputeWon, DepositDisputeTracked)
    assert case.deposit.disputes[DISPUTE] == Claim(amount=AMOUNT, standing=Standing.TAKEN)
    part = case.when(hearing(told("funds_reinstated", amount=HALF)))
    case = part.then(DisputeFundsReinstated, DepositDisputeTracked, DepositDisputeFundsTracked)
    assert case.deposit.disputes[DISPUTE] == Claim(amount=HALF, standing=Standing.TAKEN)
    assert case.deposit.withdrawn[DISPUTE] == (HALF,)
    assert case.deposit.refundable_minor == HALF.amount
    assert case.deposit.excess is None


def test_more_than_was_contested_is_claimed_where_more_was_taken() -> None:
    case = undisputed().heard(told("lost", amount=HALF), told("funds_withdrawn", amount=AMOUNT))
    assert case.deposit.disputes[DISPUTE] == Claim(amount=AMOUNT, standing=Standing.TAKEN)
    assert case.deposit.refundable_minor == 0


def test_money_taken_at_two_stages_is_more_than_came_in() -> None:
    case = dispute_in("lost").heard(told("funds_withdrawn", amount=AMOUNT))
    again = case.when(hearing(told("funds_withdrawn", "arbitration", amount=AMOUNT)))
    case = again.then(
        DisputeOpened,
        DisputeFundsWithdrawn,
        DepositDisputeTracked,
        DepositDisputeFundsTracked,
        DepositExcessTracked,
    )
    assert case.deposit.excess == AMOUNT
    assert case.deposit.concerns == ("more_out_than_in",)
    gone = case.heard(told("funds_reinstated", "arbitration", amount=AMOUNT)).deposit
    assert (gone.excess, gone.concerns, gone.concerns_reviewed) == (None, (), False)


def test_money_taken_in_another_currency_is_everything_that_came_in() -> None:
    case = dispute_in("won").heard(told("funds_withdrawn", amount=DOLLARS))
    assert case.deposit.withdrawn[DISPUTE] == (DOLLARS,)
    assert case.deposit.disputes[DISPUTE] == Claim(amount=AMOUNT, standing=Standing.TAKEN)
    assert case.deposit.excess is None
    euros = case.heard(told("funds_reinstated", amount=AMOUNT))
    assert euros.state.funds_withdrawn  # nobody can say whether that was all of it
    dollars = case.heard(told("funds_reinstated", amount=DOLLARS))
    assert not dollars.state.funds_withdrawn
    assert dollars.deposit.refundable_minor == AMOUNT.amount


def test_a_dispute_of_a_deposit_not_known_to_be_paid_is_an_excess_until_it_is() -> None:
    case = Case(undisputed().log[:-1]).heard(told("funds_withdrawn", amount=AMOUNT))
    assert case.deposit.excess == AMOUNT
    paid = replace(undisputed().log[-1], originator_version=case.deposit.version + 1)
    completed, excess = with_excess(case.deposit, (paid,), command())
    assert completed == paid
    assert excess == DepositExcessTracked(
        originator_id=TRANSACTION,
        originator_version=paid.originator_version + 1,
        occurred_at=excess.occurred_at,
        actor=excess.actor,
        command_id=excess.command_id,
        excess=Money(0, "EUR"),
    )


def test_a_deposit_without_an_instrument_counts_for_none() -> None:
    case = undisputed(instrument=None).heard(told("funds_withdrawn", amount=HALF))
    assert INSTRUMENT not in totals(case.log)


# --- the inbox ----------------------------------------------------------------------------------


def notice() -> DisputeNoticeReceived:
    return DisputeNoticeReceived(
        **command("provider:acme").header(notice_stream("acme", "m-1"), 1),
        provider="acme",
        message_id="m-1",
        reference=f"{TRANSACTION.hex}-1",
        dispute_reference="dp-1",
        stage=DisputeStage.ARBITRATION,
        news=DisputeNews.LOST,
        amount=HALF,
        reason_code="13.1",
        evidence_due_at=DUE_AT,
        raw_digest="digest",
        sent_at=NOW,
    )


def test_a_notice_is_heard_as_it_was_recorded() -> None:
    expected = told(
        "lost",
        "arbitration",
        amount=HALF,
        due_at=DUE_AT,
        reason_code="13.1",
        notice_id=notice_stream("acme", "m-1"),
    )
    assert report_of(notice()) == expected


def test_a_notice_about_no_deposit_of_ours_is_set_aside_in_its_own_stream() -> None:
    aside = set_aside(notice(), command(), "no such deposit")
    assert (aside.originator_id, aside.originator_version) == (notice_stream("acme", "m-1"), 2)
    assert aside.reason == "no such deposit"


# --- heard twice, and about something else ------------------------------------------------------


@pytest.mark.parametrize("news", DisputeNews)
@pytest.mark.parametrize("stage", STAGES)
def test_a_notice_is_acted_on_once(news: DisputeNews, stage: DisputeStage) -> None:
    report = told(news, stage, amount=AMOUNT)
    case = dispute_in("under_review").heard(report)
    case.when(hearing(report)).then_nothing()


def test_a_dispute_of_another_deposit_is_a_contradiction() -> None:
    case = dispute_in("under_review")
    other = replace(case.deposit, id=uuid4())
    (noted,) = hear_dispute(
        case.state, command(), told("lost", amount=HALF), dispute_id=DISPUTE, deposit=other
    )
    assert isinstance(noted, DisputeNewsNoted)
    state = evolve_dispute(case.state, noted)
    assert (state.status, state.amount) == (DisputeStatus.UNDER_REVIEW, AMOUNT)
    assert state.contradicted
    assert case.deposit.id != other.id
    told_too = hear_dispute(
        *(case.state, command(), told("lost", amount=HALF)),
        dispute_id=DISPUTE,
        deposit=other,
        own=dispute_in("won").deposit,
    )
    assert [type(event) for event in told_too] == [DisputeNewsNoted, DepositDisputeTracked]


def test_a_decision_about_another_deposit_is_a_mistake() -> None:
    case = dispute_in("opened")
    other = replace(case.deposit, id=uuid4())
    with pytest.raises(ValueError, match="not about the deposit"):
        expire_dispute(case.state, command(now=DUE_AT), deposit=other)


def test_a_contradiction_is_forgotten_at_the_next_stage() -> None:
    case = dispute_in("won").heard(told("lost"))
    assert case.state.contradicted
    assert not case.heard(told("opened", "arbitration")).state.contradicted


def test_a_dispute_has_one_stream_at_a_provider() -> None:
    assert dispute_stream("acme", "dp-1") == DISPUTE
    assert dispute_stream("acme", "dp-2") != DISPUTE
    assert dispute_stream("other", "dp-1") != DISPUTE


def test_a_history_begins_with_the_opening() -> None:
    assert fold_dispute(None, ()) is None
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_dispute(None, dispute_in("won").history[-1])


def test_the_state_tells_what_it_is_about() -> None:
    state = dispute_in("opened").state
    assert (state.deposit_id, state.player_id) == (TRANSACTION, PLAYER_ID)
    assert (state.provider, state.method, state.instrument) == ("acme", "redirect", "card-1")
    assert (state.requested_by, state.provider_reference) == ("acme", "dp-1")
    assert state.reference == f"{TRANSACTION.hex}-1"
