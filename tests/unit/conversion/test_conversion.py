"""Conversions: every state × every command, every state × every report, and the ten rules."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from uuid import uuid4

import pytest

from domain.conversion.decisions import accept_conversion, expire_conversion, submit_conversion
from domain.conversion.rates import Rounding
from domain.conversion.reports import CONVERSION_TARGETS, resolve_conversion
from domain.conversion.state import ConversionStatus, evolve_conversion, fold_conversion
from domain.errors import (
    AmountTooSmall,
    CommandReused,
    DomainError,
    EvidenceMissing,
    InvalidQuote,
    InvalidRate,
    InvalidResolution,
    InvalidTransition,
    QuoteExpired,
    Reason,
    SameCurrency,
    SelfApproval,
)
from domain.events import (
    ConversionAccepted,
    ConversionExecuted,
    ConversionExpired,
    ConversionRejected,
    NoticeNoted,
    ResolutionProposed,
    ReviewOpened,
    TransactionFailed,
    TransactionPending,
    TransactionResolved,
    TransactionSubmitted,
    TransactionUnknown,
)
from domain.events.evidence import DeclineCode, Disposition, Outcome, ReviewReason, Source
from domain.money import InvalidMoney, Money
from domain.postings import postings
from tests.scenarios.conversion import (
    OTHER_TARGET,
    OVER,
    RATE,
    SOURCE,
    SPREAD,
    TARGET,
    WITHOUT_A_PROVIDER,
    balances,
    conversion_in,
    conversion_quote,
    conversion_quoted,
    conversion_resolved,
    hear_of_conversion,
    quoted_by_the_house,
    resolve_conversion_as,
)
from tests.scenarios.scenario import NOW, PLAYER_ID, Given, by, command, heard, provider
from tests.scenarios.tables import cells, words

JUST_BEFORE = OVER - timedelta(microseconds=1)

# --- every state × every command ----------------------------------------------------------------

# `late` is the same after the quote's time. `over` is refused because the quote has expired,
# `.` does nothing, `-` is refused because the state does not allow it.
COMMANDS = """
status     accept   accept-late refuse  expire expire-late submit    submit-late submit-paused resolve
quoted     accepted over        refused .      expired     -         -           -             -
expired    over     over        over    .      .           -         -           -             -
accepted   -        -           -       -      -           submitted rejected    rejected      -
submitted  -        -           -       -      -           -         -           -             -
unknown    -        -           -       -      -           -         -           -             -
executed   -        -           -       -      -           -         -           -             -
rejected   -        -           -       -      -           -         -           -             -
failed     -        -           -       -      -           -         -           -             -
review     -        -           -       -      -           -         -           -             proposed
"""  # noqa: E501

# The same for a conversion by the house. Only what differs is listed.
BY_THE_HOUSE = {
    ("quoted", "accept"): "executed",
    ("accepted", "submit"): "-",
    ("accepted", "submit-late"): "-",
    ("accepted", "submit-paused"): "-",
}

DECISIONS = {
    "accept": lambda state: accept_conversion(state, command()),
    "accept-late": lambda state: accept_conversion(state, command(now=OVER)),
    "refuse": lambda state: accept_conversion(state, command(), refusal=Reason.PLAYER_EXCLUDED),
    "expire": lambda state: expire_conversion(state, command()),
    "expire-late": lambda state: expire_conversion(state, command(now=OVER)),
    "submit": lambda state: submit_conversion(state, command(), provider=provider()),
    "submit-late": lambda state: submit_conversion(state, command(now=OVER), provider=provider()),
    "submit-paused": lambda state: submit_conversion(
        state, command(), provider=provider(paused=True)
    ),
    "resolve": lambda state: resolve_conversion_as(state, "ann", "executed"),
}
MADE = {
    ".": (),
    "accepted": (ConversionAccepted,),
    "executed": (ConversionAccepted, ConversionExecuted),
    "refused": (ConversionAccepted, ConversionRejected),
    "expired": (ConversionExpired,),
    "submitted": (TransactionSubmitted,),
    "rejected": (ConversionRejected,),
    "proposed": (ResolutionProposed,),
}
REFUSED: dict[str, type[DomainError]] = {"-": InvalidTransition, "over": QuoteExpired}


def expect_command(history: Given, name: str, expected: str) -> None:
    decided = history.when(DECISIONS[name])
    if expected in REFUSED:
        decided.then_refused(REFUSED[expected])
    else:
        decided.then(*MADE[expected])


@pytest.mark.parametrize(("status", "name", "expected"), cells(COMMANDS))
def test_every_command_in_every_state(status: str, name: str, expected: str) -> None:
    expect_command(conversion_in(status), name, expected)


def house_in(status: str) -> Given:
    """A conversion by the house; where it cannot be so, one by a provider with its name removed."""
    if status in WITHOUT_A_PROVIDER:
        return conversion_in(status, by_the_house=True)
    quoted, *rest = conversion_in(status).history
    return Given((replace(quoted, provider=None), *rest))


@pytest.mark.parametrize(("status", "name", "same"), cells(COMMANDS))
def test_every_command_in_every_state_of_a_conversion_by_the_house(
    status: str, name: str, same: str
) -> None:
    expect_command(house_in(status), name, BY_THE_HOUSE.get((status, name), same))


def test_the_command_table_is_complete() -> None:
    assert words(COMMANDS).rows == [status.value for status in ConversionStatus]
    assert words(COMMANDS).columns == list(DECISIONS)


# --- every state × every report -----------------------------------------------------------------

# A row holds for every source unless it names one. Cells: what is recorded.
#   done      both sides exchanged           failed    the player has the source back
#   pending   still open, ask again          !x        a person has to look, because of x
#   ~x        noted, nothing follows: ~late, ~twice (heard before), ~seen (a person is looking),
#             ~stray (about an attempt that was never made)
REPORTS = """
status           accepted awaiting_player pending authorised succeeded declined voided  returned not_found not_sent unknown
quoted           ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
expired          ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
accepted         ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
submitted/answer pending  pending         pending pending    done      failed   failed  !contra  pending   failed   unknown
submitted/notice pending  pending         pending pending    done      failed   failed  !contra  pending   pending  unknown
submitted/poll   pending  pending         pending pending    done      failed   failed  !contra  pending   pending  unknown
unknown          pending  pending         pending pending    done      failed   failed  !contra  pending   pending  pending
executed         ~late    ~late           ~late   ~late      ~twice    !contra  !contra !contra  ~late     ~late    ~late
rejected         ~stray   ~stray          ~stray  ~stray     !stray    ~stray   ~stray  !stray   ~stray    ~stray   ~stray
failed           ~late    ~late           ~late   ~late      !contra   ~twice   ~twice  !contra  ~late     ~late    ~late
review           ~seen    ~seen           ~seen   ~seen      ~seen     ~seen    ~seen   ~seen    ~seen     ~seen    ~seen
"""  # noqa: E501

# The same with an amount that is not the quoted one. Only what differs is listed.
OTHER_AMOUNT_REPORTS = {
    ("submitted", "succeeded"): "!mismatch",
    ("unknown", "succeeded"): "!mismatch",
    ("executed", "succeeded"): "!mismatch",
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
    "done": (ConversionExecuted, {"target": TARGET, "spread": SPREAD}, "executed"),
    "failed": (TransactionFailed, {"released": SOURCE, "retry_at": None}, "failed"),
    "unknown": (TransactionUnknown, {}, "unknown"),
}


def expect_report(status: str, expected: str, evidence: object) -> None:
    history = conversion_in(status)
    decided = history.when(hear_of_conversion, evidence)
    after = status
    if expected in NOTED:
        decided.then(NoticeNoted, disposition=NOTED[expected])
    elif expected in REVIEWED:
        decided.then(ReviewOpened, reason=REVIEWED[expected], reserved=None)
        after = "review"
    elif expected == "pending":
        decided.then(TransactionPending, polls=int(evidence.source is Source.POLL))
    else:
        kind, fields, after = RECORDED[expected]
        decided.then(kind, **fields)
    if expected not in RECORDED:
        assert [line for event in decided.events for line in postings(event)] == []
    assert decided.then_state().status == after


@pytest.mark.parametrize(("status", "source", "outcome", "expected"), cells(REPORTS, Source))
def test_every_report_in_every_state(status: str, source: str, outcome: str, expected: str) -> None:
    expect_report(status, expected, heard(outcome, source, amount=TARGET))


@pytest.mark.parametrize(("status", "source", "outcome", "same"), cells(REPORTS, Source))
def test_every_report_of_another_amount_in_every_state(
    status: str, source: str, outcome: str, same: str
) -> None:
    expected = OTHER_AMOUNT_REPORTS.get((status, outcome), same)
    expect_report(status, expected, heard(outcome, source, amount=OTHER_TARGET))


def test_the_report_table_is_complete() -> None:
    covered = {(status, source, outcome) for status, source, outcome, _ in cells(REPORTS, Source)}
    assert covered == {(s, w, o) for s in ConversionStatus for w in Source for o in Outcome}
    assert len(cells(REPORTS, Source)) == len(covered)


@pytest.mark.parametrize("status", sorted(WITHOUT_A_PROVIDER))
@pytest.mark.parametrize("outcome", Outcome)
def test_the_house_needs_no_report_to_execute_and_believes_none(status: str, outcome: str) -> None:
    decided = conversion_in(status, by_the_house=True).when(hear_of_conversion, heard(outcome))
    if outcome in ("succeeded", "returned"):
        decided.then(ReviewOpened, reason=ReviewReason.UNSOLICITED)
    else:
        decided.then(NoticeNoted, disposition=Disposition.UNSOLICITED)


def test_every_status_has_a_screen_word() -> None:
    assert all(status.screen_word for status in ConversionStatus)


# --- the quote ----------------------------------------------------------------------------------


def test_a_quote_pins_all_that_matters() -> None:
    quote = conversion_quote()
    assert (quote.source, quote.target, quote.spread) == (SOURCE, TARGET, SPREAD)
    assert Fraction(quote.rate_numerator, quote.rate_denominator) == RATE
    assert quote.rounding == "down"
    assert quote.expires_at == NOW + timedelta(minutes=5)
    state = conversion_quoted().state
    assert (state.amount, state.target, state.spread, state.rate) == (SOURCE, TARGET, SPREAD, RATE)
    assert (state.provider, state.requested_by, state.player_id) == ("acme", "p1", PLAYER_ID)


def test_a_quote_may_hold_for_another_time_and_round_another_way() -> None:
    # 1.00 EUR at 180.50 is 180.5 yen: 180 down, 180 to the even one; 181.5 is 182 to the even one.
    terms = {"source": Money(100, "EUR"), "spread_basis_points": 0}
    quote = conversion_quote(
        **terms, rate=Fraction(363, 2), rounding=Rounding.HALF_EVEN, valid_seconds=10
    )
    assert quote.target == Money(182, "JPY")
    assert quote.rounding == "half_even"
    assert quote.expires_at == NOW + timedelta(seconds=10)
    assert conversion_quote(**terms, rate=Fraction(363, 2)).target == Money(181, "JPY")


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"target_currency": "EUR"}, SameCurrency),
        ({"target_currency": "DEM"}, InvalidMoney),
        ({"source": Money(0, "EUR")}, InvalidMoney),
        ({"source": Money(1, "EUR"), "rate": Fraction(99)}, AmountTooSmall),
        ({"source": Money(1, "EUR")}, AmountTooSmall),
        ({"spread_basis_points": 10_000}, AmountTooSmall),
        ({"spread_basis_points": 10_001}, InvalidQuote),
        ({"spread_basis_points": -1}, InvalidQuote),
        ({"valid_seconds": 0}, InvalidQuote),
        ({"rate": Fraction(0)}, InvalidRate),
        ({"rate": Fraction(-1)}, InvalidRate),
        ({"rate": Fraction(2**63)}, InvalidRate),
        ({"rate": Fraction(1, 2**63)}, InvalidRate),
        ({"rate": Fraction(2**63 - 1)}, InvalidMoney),
    ],
)
def test_a_quote_that_cannot_be_given(terms: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        conversion_quote(**terms)


def test_a_quote_holds_until_the_last_moment_and_not_a_moment_longer() -> None:
    quoted = conversion_quoted()
    quoted.when(accept_conversion, command(now=JUST_BEFORE)).then(ConversionAccepted)
    quoted.when(accept_conversion, command(now=OVER)).then_refused(QuoteExpired)
    quoted.when(expire_conversion, command(now=JUST_BEFORE)).then_nothing()
    quoted.when(expire_conversion, command(now=OVER)).then(ConversionExpired)


# --- acceptance and submission ------------------------------------------------------------------


def test_the_house_exchanges_both_sides_at_once() -> None:
    executed = (
        quoted_by_the_house()
        .when(accept_conversion, command("player:p1"))
        .then(ConversionAccepted, ConversionExecuted, evidence=None)
    )
    assert executed.state.status is ConversionStatus.EXECUTED
    assert balances(executed) == {
        "available:EUR": -10_000,
        "fx:EUR": 10_000,
        "fx:JPY": -18_049,
        "fees:JPY": 91,
        "available:JPY": 17_958,
    }


def test_with_a_provider_the_source_is_reserved_until_it_has_executed() -> None:
    accepted = conversion_quoted().when(accept_conversion, command()).then(ConversionAccepted)
    assert balances(accepted) == {"available:EUR": -10_000, "reserved:EUR": 10_000}
    assert accepted.state.reserved
    assert not conversion_in("executed").state.reserved
    assert balances(conversion_in("executed")) == balances(
        conversion_in("executed", by_the_house=True)
    )


@pytest.mark.parametrize("by_the_house", [True, False])
def test_what_a_rule_forbids_is_recorded_and_moves_nothing(by_the_house: bool) -> None:
    quoted = quoted_by_the_house() if by_the_house else conversion_quoted()
    refused = quoted.when(accept_conversion, command(), refusal=Reason.INSUFFICIENT_FUNDS).then(
        ConversionAccepted, ConversionRejected, reason=Reason.INSUFFICIENT_FUNDS, released=None
    )
    assert balances(refused) == {}
    assert refused.state.reason == Reason.INSUFFICIENT_FUNDS


@pytest.mark.parametrize(
    ("now", "paused", "reason"),
    [
        (OVER, False, Reason.QUOTE_EXPIRED),
        (OVER, True, Reason.QUOTE_EXPIRED),
        (NOW, True, Reason.PROVIDER_PAUSED),
    ],
)
def test_what_cannot_be_sent_gives_the_source_back(now: object, paused: bool, reason: str) -> None:
    rejected = (
        conversion_in("accepted")
        .when(submit_conversion, command(now=now), provider=provider(paused=paused))
        .then(ConversionRejected, reason=reason, released=SOURCE)
    )
    assert balances(rejected) == {}
    assert not rejected.state.reserved


def test_it_may_be_sent_until_the_last_moment_and_is_asked_about_by_the_schedule() -> None:
    quick = provider(poll_delays_seconds=(7, 30))
    conversion_in("accepted").when(
        submit_conversion, command(now=JUST_BEFORE), provider=quick
    ).then(TransactionSubmitted, poll_at=JUST_BEFORE + timedelta(seconds=7), attempt=1)


@pytest.mark.parametrize("by_the_house", [True, False])
@pytest.mark.parametrize("refusal", [None, Reason.PLAYER_ON_HOLD])
def test_a_command_sent_twice_acts_once(by_the_house: bool, refusal: Reason | None) -> None:
    quoted = quoted_by_the_house() if by_the_house else conversion_quoted()
    accept = command("player:p1")
    decided = quoted.when(accept_conversion, accept, refusal=refusal)
    accepted = Given(decided.history + decided.events)
    accepted.when(accept_conversion, accept, refusal=refusal).then_nothing()
    accepted.when(accept_conversion, replace(accept, now=OVER)).then_nothing()
    other = replace(accept, request_digest="another request")
    accepted.when(accept_conversion, other).then_refused(CommandReused)


def test_a_history_begins_with_its_quote() -> None:
    *_, accepted = conversion_in("accepted").history
    with pytest.raises(ValueError, match="cannot begin"):
        evolve_conversion(None, accepted)
    with pytest.raises(ValueError, match="quoted once"):
        fold_conversion(None, [conversion_quote(), conversion_quote()])


# --- the ten rules ------------------------------------------------------------------------------


def test_rule_1_a_notice_already_acted_on_appends_nothing() -> None:
    notice = heard("succeeded")
    executed = conversion_in("submitted").when(hear_of_conversion, notice).then(ConversionExecuted)
    executed.when(hear_of_conversion, notice).then_nothing()


def test_rule_1_a_notice_that_was_only_noted_is_not_noted_again() -> None:
    notice = heard("pending")
    noted = conversion_in("executed").when(hear_of_conversion, notice).then(NoticeNoted)
    noted.when(hear_of_conversion, notice).then_nothing()


def test_rule_2_the_same_meaning_under_a_new_id_is_noted() -> None:
    for told in (TARGET, None):
        conversion_in("executed").when(hear_of_conversion, heard("succeeded", amount=told)).then(
            NoticeNoted, disposition=Disposition.DUPLICATE
        )


@pytest.mark.parametrize(
    "answer", ["accepted", "pending", "awaiting_player", "not_sent", "unknown"]
)
def test_rule_4_a_webhook_before_our_own_answer_settles_it(answer: str) -> None:
    early = conversion_in("submitted").when(hear_of_conversion, heard("succeeded"))
    late = early.then(ConversionExecuted).when(hear_of_conversion, heard(answer, "answer"))
    assert late.then(NoticeNoted).state.status is ConversionStatus.EXECUTED


def test_rule_5_not_sent_is_failed_and_gives_the_source_back() -> None:
    failed = (
        conversion_in("submitted")
        .when(hear_of_conversion, heard("not_sent", "answer"))
        .then(TransactionFailed, reason=Reason.NOT_SENT, released=SOURCE)
    )
    assert balances(failed) == {}


@pytest.mark.parametrize("source", ["poll", "notice"])
def test_rule_5_a_first_call_that_was_not_sent_fails_nothing_that_has_arrived_since(
    source: str,
) -> None:
    arrived = conversion_in("submitted").when(hear_of_conversion, heard("accepted", source))
    late = arrived.then(TransactionPending).when(hear_of_conversion, heard("not_sent", "answer"))
    assert late.then(TransactionPending).state.reserved


@pytest.mark.parametrize(
    ("code", "reason"), [(None, "declined"), (DeclineCode.PROVIDER_ERROR, "provider_error")]
)
def test_a_refusal_says_why_and_gives_the_source_back(
    code: DeclineCode | None, reason: str
) -> None:
    failed = (
        conversion_in("unknown")
        .when(hear_of_conversion, heard("declined", decline_code=code))
        .then(TransactionFailed, reason=reason, released=SOURCE, counts=())
    )
    assert balances(failed) == {}


def test_rule_5_unknown_is_not_failed_and_keeps_the_source_reserved() -> None:
    unknown = (
        conversion_in("submitted")
        .when(hear_of_conversion, heard("unknown", "answer"))
        .then(TransactionUnknown, poll_at=NOW + timedelta(seconds=10))
    )
    assert unknown.state.reserved
    assert balances(unknown) == {"available:EUR": -10_000, "reserved:EUR": 10_000}


def test_rule_5_polls_go_through_the_whole_schedule_and_then_ask_a_person() -> None:
    slow = provider(poll_delays_seconds=(10, 30, 120))
    history = conversion_in("unknown")
    asked = []
    while history.state.status is not ConversionStatus.REVIEW:
        decided = history.when(hear_of_conversion, heard("pending", "poll"), provider=slow)
        history = Given(decided.history + decided.events)
        asked.append(getattr(decided.events[0], "poll_at", None))
    assert asked == [NOW + timedelta(seconds=30), NOW + timedelta(seconds=120), None]
    assert history.state.reason == ReviewReason.UNRESOLVED
    assert history.state.reserved


def test_rule_5_an_unknown_that_uses_up_the_schedule_asks_a_person() -> None:
    hasty = provider(poll_delays_seconds=(10,))
    conversion_in("submitted").when(
        hear_of_conversion, heard("unknown", "poll"), provider=hasty
    ).then(ReviewOpened, reason=ReviewReason.UNRESOLVED)


def test_rule_5_a_schedule_that_was_shortened_meanwhile_asks_a_person() -> None:
    polled = conversion_in("unknown").when(hear_of_conversion, heard("pending", "poll"))
    polled.then(TransactionPending).when(
        hear_of_conversion,
        heard("accepted", "answer"),
        provider=provider(poll_delays_seconds=(10,)),
    ).then(ReviewOpened, reason=ReviewReason.UNRESOLVED)


def test_rule_5_notices_do_not_use_up_the_schedule() -> None:
    slow = provider(poll_delays_seconds=(10,))
    history = conversion_in("unknown")
    for _ in range(5):
        history = history.when(hear_of_conversion, heard("pending"), provider=slow).then(
            TransactionPending, polls=0, poll_at=None
        )


@pytest.mark.parametrize(
    ("available_minor", "held"),
    [(0, None), (-5, None), (1, Money(1, "JPY")), (17_958, TARGET), (20_000, TARGET)],
)
def test_rule_6_what_is_left_of_the_target_is_set_aside(
    available_minor: int, held: Money | None
) -> None:
    conversion_in("executed").when(
        hear_of_conversion, heard("declined"), available_minor=available_minor
    ).then(ReviewOpened, reason=ReviewReason.CONTRADICTION, reserved=held)


@pytest.mark.parametrize("status", [s.value for s in ConversionStatus if s.value != "executed"])
def test_rule_6_nothing_is_set_aside_where_nothing_was_credited(status: str) -> None:
    decided = conversion_in(status).when(
        hear_of_conversion, heard("returned"), available_minor=99_999
    )
    assert getattr(decided.events[0], "reserved", None) is None


def test_rule_6_a_success_after_a_failure_is_reviewed_for_the_player_has_the_source() -> None:
    conversion_in("failed").when(hear_of_conversion, heard("succeeded", amount=TARGET)).then(
        ReviewOpened, reason=ReviewReason.CONTRADICTION
    )


@pytest.mark.parametrize(
    "told", [OTHER_TARGET, Money(17_959, "JPY"), Money(17_958, "KRW"), SOURCE, Money(0, "JPY")]
)
@pytest.mark.parametrize("status", ["submitted", "unknown"])
def test_rule_7_another_amount_or_currency_credits_nothing(status: str, told: Money) -> None:
    reviewed = (
        conversion_in(status)
        .when(hear_of_conversion, heard("succeeded", amount=told))
        .then(ReviewOpened, reason=ReviewReason.MISMATCH)
    )
    assert balances(reviewed) == {"available:EUR": -10_000, "reserved:EUR": 10_000}


@pytest.mark.parametrize("status", ["submitted", "unknown"])
def test_what_was_sent_in_time_counts_however_late_it_is_heard_of(status: str) -> None:
    week_later = NOW + timedelta(days=7)
    conversion_in(status).when(
        hear_of_conversion, heard("succeeded", amount=TARGET), now=week_later
    ).then(ConversionExecuted, target=TARGET)


@pytest.mark.parametrize("status", ["quoted", "expired", "accepted", "rejected"])
def test_what_was_never_sent_and_executed_all_the_same_is_reviewed(status: str) -> None:
    conversion_in(status).when(hear_of_conversion, heard("succeeded", amount=TARGET)).then(
        ReviewOpened, reason=ReviewReason.UNSOLICITED
    )


@pytest.mark.parametrize("status", ["submitted", "unknown", "executed", "failed"])
def test_an_attempt_we_never_made_is_reviewed(status: str) -> None:
    told = conversion_in(status).when(hear_of_conversion, heard("succeeded", attempt=2))
    told.then(ReviewOpened, reason=ReviewReason.UNSOLICITED)
    noted = conversion_in(status).when(hear_of_conversion, heard("declined", attempt=2))
    noted.then(NoticeNoted, disposition=Disposition.UNSOLICITED)


# --- ending a review ----------------------------------------------------------------------------


def test_the_listed_ways_out() -> None:
    assert sorted(CONVERSION_TARGETS) == ["executed", "failed"]


@pytest.mark.parametrize("target", sorted(CONVERSION_TARGETS))
def test_rule_8_it_takes_two_people(target: str) -> None:
    proposed = conversion_in("review").when(resolve_conversion_as, "ann", target)
    proposed = proposed.then(ResolutionProposed, person="ann")
    proposed.when(resolve_conversion_as, "ann", target).then_refused(SelfApproval)
    ended = proposed.when(resolve_conversion_as, "ben", target)
    assert ended.then(TransactionResolved, person="ben").state.status == target


@pytest.mark.parametrize("target", ["", "quoted", "review", "rejected", "EXECUTED", "completed"])
def test_rule_8_there_are_no_other_ways_out(target: str) -> None:
    conversion_in("review").when(resolve_conversion_as, "ann", target).then_refused(
        InvalidResolution
    )


def test_rule_8_there_is_no_way_out_without_evidence() -> None:
    conversion_in("review").when(
        resolve_conversion, by("ann"), target="failed", note=" "
    ).then_refused(EvidenceMissing)


def test_a_resolution_sent_twice_acts_once() -> None:
    agree = by("ben")
    proposed = conversion_in("review").when(resolve_conversion_as, "ann", "failed")
    ended = proposed.then(ResolutionProposed).when(
        resolve_conversion, agree, target="failed", note="n"
    )
    ended.then(TransactionResolved).when(
        resolve_conversion, agree, target="failed", note="n"
    ).then_nothing()


def after_review(status: str, outcome: str, told: Money | None = None, **rest: object) -> Given:
    """In review, because of what was told about a conversion in `status`."""
    house = bool(rest.pop("by_the_house", False))
    decided = conversion_in(status, by_the_house=house).when(
        hear_of_conversion, heard(outcome, amount=told), **rest
    )
    return decided.then(ReviewOpened)


EXCHANGED = {
    "available:EUR": -10_000,
    "fx:EUR": 10_000,
    "fx:JPY": -18_049,
    "fees:JPY": 91,
    "available:JPY": 17_958,
}
AT_HOUSE_EXPENSE = {
    "suspense:EUR": -10_000,
    "fx:EUR": 10_000,
    "fx:JPY": -18_049,
    "suspense:JPY": 18_049,
}


@pytest.mark.parametrize(
    ("told", "fx_minor", "suspense"),
    [
        (OTHER_TARGET, -17_991, {"suspense:JPY": -58}),
        (Money(18_000, "JPY"), -18_091, {"suspense:JPY": 42}),
        (Money(0, "JPY"), -91, {"suspense:JPY": -17_958}),
        (Money(17_958, "KRW"), -18_049, {}),
    ],
)
def test_the_player_gets_what_was_quoted_and_a_difference_waits_in_suspense(
    told: Money, fx_minor: int, suspense: dict[str, int]
) -> None:
    reviewed = after_review("submitted", "succeeded", told)
    ended = conversion_resolved(reviewed, "executed")
    assert balances(ended) == {**EXCHANGED, "fx:JPY": fx_minor, **suspense}


@pytest.mark.parametrize("told", [OTHER_TARGET, Money(1, "KRW")])
def test_a_mismatch_that_does_not_count_gives_the_source_back(told: Money) -> None:
    reviewed = after_review("submitted", "succeeded", told)
    assert balances(conversion_resolved(reviewed, "failed")) == {}


def test_what_a_contradiction_says_it_is_about_is_not_what_was_paid_out() -> None:
    reviewed = after_review("submitted", "returned", OTHER_TARGET)
    assert balances(conversion_resolved(reviewed, "executed")) == EXCHANGED


def test_a_conversion_never_heard_of_again_ends_either_way() -> None:
    hasty = provider(poll_delays_seconds=(10,))
    decided = conversion_in("unknown").when(
        hear_of_conversion, heard("pending", "poll"), provider=hasty
    )
    reviewed = decided.then(ReviewOpened, reason=ReviewReason.UNRESOLVED)
    assert balances(conversion_resolved(reviewed, "executed")) == EXCHANGED
    assert balances(conversion_resolved(reviewed, "failed")) == {}


def test_an_accepted_conversion_executed_without_being_sent_ends_either_way() -> None:
    reviewed = after_review("accepted", "succeeded", TARGET)
    assert balances(conversion_resolved(reviewed, "executed")) == EXCHANGED
    assert balances(conversion_resolved(reviewed, "failed")) == {}


@pytest.mark.parametrize("status", ["quoted", "expired", "rejected", "failed"])
def test_an_exchange_made_while_the_player_had_the_source_is_at_the_houses_expense(
    status: str,
) -> None:
    reviewed = after_review(status, "succeeded", TARGET)
    executed = conversion_resolved(reviewed, "executed")
    assert balances(executed) == AT_HOUSE_EXPENSE
    assert executed.state.at_house_expense
    assert balances(conversion_resolved(reviewed, "failed")) == {}


def test_an_exchange_at_the_houses_expense_that_is_taken_back_leaves_nothing() -> None:
    executed = conversion_resolved(after_review("failed", "succeeded", OTHER_TARGET), "executed")
    assert balances(executed) == {**AT_HOUSE_EXPENSE, "fx:JPY": -17_991, "suspense:JPY": 17_991}
    undone = executed.when(hear_of_conversion, heard("voided"), available_minor=99_999)
    again = undone.then(ReviewOpened, reserved=None)
    assert balances(conversion_resolved(again, "failed")) == {}
    assert balances(conversion_resolved(again, "executed")) == balances(executed)


def test_an_exchange_at_the_houses_expense_that_is_told_in_another_amount_is_corrected() -> None:
    executed = conversion_resolved(after_review("rejected", "succeeded", TARGET), "executed")
    told = executed.when(hear_of_conversion, heard("succeeded", amount=OTHER_TARGET))
    ended = conversion_resolved(told.then(ReviewOpened), "executed")
    assert balances(ended) == {**AT_HOUSE_EXPENSE, "fx:JPY": -17_991, "suspense:JPY": 17_991}
    assert ended.state.at_house_expense


@pytest.mark.parametrize("available_minor", [0, 7_000, 17_958])
def test_an_executed_conversion_that_did_happen_gives_back_what_was_set_aside(
    available_minor: int,
) -> None:
    reviewed = after_review("executed", "declined", available_minor=available_minor)
    ended = conversion_resolved(reviewed, "executed")
    assert balances(ended) == EXCHANGED
    assert ended.state.held is None


def test_an_executed_conversion_that_did_not_happen_is_taken_back() -> None:
    reviewed = after_review("executed", "declined", available_minor=17_958)
    assert balances(conversion_resolved(reviewed, "failed")) == {}


def test_a_conversion_that_did_happen_is_still_the_players_and_not_the_houses() -> None:
    ended = conversion_resolved(after_review("executed", "declined"), "executed")
    assert not ended.state.at_house_expense
    again = ended.when(hear_of_conversion, heard("voided"), available_minor=17_958)
    assert balances(conversion_resolved(again.then(ReviewOpened), "failed")) == {}


def test_what_the_player_has_spent_stays_exchanged_and_waits_in_suspense() -> None:
    # 8,000 of 17,958 yen are left: 44.54 of 100.00 euro, rounded down, go back.
    reviewed = after_review("executed", "declined", available_minor=8_000)
    assert balances(conversion_resolved(reviewed, "failed")) == {
        "available:EUR": -5_546,
        "suspense:EUR": 5_546,
        "available:JPY": 9_958,
        "suspense:JPY": -9_958,
    }


def test_a_player_who_has_spent_everything_gets_nothing_back() -> None:
    reviewed = after_review("executed", "declined")
    assert balances(conversion_resolved(reviewed, "failed")) == {
        "available:EUR": -10_000,
        "suspense:EUR": 10_000,
        "available:JPY": 17_958,
        "suspense:JPY": -17_958,
    }


def test_another_amount_told_after_execution_moves_only_the_difference() -> None:
    reviewed = after_review("executed", "succeeded", OTHER_TARGET, available_minor=17_958)
    ended = conversion_resolved(reviewed, "executed")
    assert balances(ended) == {**EXCHANGED, "fx:JPY": -17_991, "suspense:JPY": -58}
    assert ended.state.settled == OTHER_TARGET


def test_a_settled_difference_is_taken_back_with_the_rest() -> None:
    executed = conversion_resolved(conversion_in("review"), "executed")
    undone = executed.when(hear_of_conversion, heard("returned"), available_minor=17_958)
    assert balances(conversion_resolved(undone.then(ReviewOpened), "failed")) == {}


@pytest.mark.parametrize("by_the_house", [True, False])
def test_a_second_exchange_nobody_asked_for_changes_nothing_about_the_first(
    by_the_house: bool,
) -> None:
    executed = conversion_in("executed", by_the_house=by_the_house)
    stray = heard("succeeded", amount=OTHER_TARGET, attempt=2)
    reviewed = executed.when(hear_of_conversion, stray, available_minor=5).then(ReviewOpened)
    ended = conversion_resolved(reviewed, "executed")
    assert balances(ended) == EXCHANGED
    assert ended.state.settled == TARGET


# --- after a review -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", sorted(CONVERSION_TARGETS))
def test_a_mismatch_that_was_judged_is_not_judged_again_when_it_is_told_again(target: str) -> None:
    ended = conversion_resolved(conversion_in("review"), target)
    ended.when(hear_of_conversion, heard("succeeded", amount=OTHER_TARGET)).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


@pytest.mark.parametrize("target", sorted(CONVERSION_TARGETS))
def test_a_different_final_outcome_after_a_review_is_another_review(target: str) -> None:
    ended = conversion_resolved(conversion_in("review"), target)
    told = "declined" if target == "executed" else "succeeded"
    reopened = ended.when(hear_of_conversion, heard(told, amount=TARGET)).then(ReviewOpened)
    assert reopened.state.proposal is None
    assert not reopened.state.resolved


def test_what_counts_after_a_review_is_what_later_reports_are_compared_with() -> None:
    ended = conversion_resolved(conversion_in("review"), "executed")  # OTHER_TARGET was paid out
    ended.when(hear_of_conversion, heard("succeeded", amount=TARGET)).then(
        ReviewOpened, reason=ReviewReason.MISMATCH
    )
    doubted = ended.when(hear_of_conversion, heard("declined")).then(ReviewOpened)
    conversion_resolved(doubted, "executed").when(
        hear_of_conversion, heard("succeeded", amount=OTHER_TARGET)
    ).then(NoticeNoted, disposition=Disposition.DUPLICATE)


def test_what_was_judged_of_one_attempt_says_nothing_about_another() -> None:
    stray = conversion_in("failed").when(hear_of_conversion, heard("succeeded", attempt=2))
    ended = conversion_resolved(stray.then(ReviewOpened), "failed")
    ended.when(hear_of_conversion, heard("succeeded")).then(
        ReviewOpened, reason=ReviewReason.CONTRADICTION
    )


@pytest.mark.parametrize("status", ["quoted", "expired", "rejected"])
@pytest.mark.parametrize("target", sorted(CONVERSION_TARGETS))
def test_what_two_people_judged_is_not_executed_when_it_is_told_again(
    status: str, target: str
) -> None:
    ended = conversion_resolved(after_review(status, "succeeded", TARGET), target)
    ended.when(hear_of_conversion, heard("succeeded", amount=TARGET)).then(
        NoticeNoted, disposition=Disposition.DUPLICATE
    )


def test_a_conversion_that_failed_by_two_people_is_never_executed_by_a_rule() -> None:
    failed = conversion_resolved(conversion_in("review"), "failed")
    decided = failed.when(hear_of_conversion, heard("succeeded", amount=TARGET))
    assert not any(isinstance(event, ConversionExecuted) for event in decided.events)


def test_notices_heard_during_a_review_do_not_change_what_it_is_about() -> None:
    review = conversion_in("review")
    noted = review.when(
        hear_of_conversion, heard("succeeded", amount=TARGET, notice_id=uuid4())
    ).then(NoticeNoted)
    assert noted.state.reported == review.state.reported
