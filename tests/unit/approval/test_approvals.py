"""Who must agree to a payout, and how long what they said counts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.approval.policy import DEFAULT_POLICY, Policy
from domain.approval.roles import Groups
from domain.approval.snapshot import Change, Screening, screen
from domain.errors import AlreadyApproved, Reason, RoleNotAllowed, SelfApproval
from domain.events import (
    TransactionSubmitted,
    WeighedHit,
    WithdrawalApprovalGiven,
    WithdrawalApproved,
    WithdrawalHeld,
    WithdrawalQueued,
    WithdrawalRecalled,
    WithdrawalScreened,
    WithdrawalScreeningStarted,
)
from domain.fraud.assessment import Assessment, Path, assess
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.money import Money
from domain.player.player import Player, Verification
from domain.withdrawal.approvals import approval_problems, missing_approvals
from domain.withdrawal.decisions import hold_withdrawal, reject_withdrawal, release_withdrawal
from domain.withdrawal.state import Withdrawal
from tests.scenarios.scenario import (
    AMOUNT,
    NOW,
    OTHER_AMOUNT,
    TWICE_SUPERVISED,
    UNATTENDED,
    Given,
    amended,
    approved_by,
    by,
    player,
    policy,
    scored,
    screened,
    submitted,
    withdrawal_in,
    withdrawal_requested,
    withdrawal_screened,
)

EITHER: Groups = (("fraud", "finance"),)
BOTH: Groups = (("fraud",), ("finance",))
FRAUD: Groups = (("fraud",),)
COMPLIANCE: Groups = (("compliance",),)
ALL: Groups = BOTH + COMPLIANCE

# --- what the policy asks for -------------------------------------------------------------------


def ask(
    amount: Money = AMOUNT,
    policy: Policy = DEFAULT_POLICY,
    party: Player | None = None,
    **facts: object,
) -> Screening:
    usual: dict[str, object] = {
        "in_policy_currency": amount,
        "closed_loop": True,
        "score": None,
        "high": (),
        "deposited_minor": 0,
        "wagered_minor": 0,
    }
    return screen(policy, party or player(), amount, **(usual | facts))


@pytest.mark.parametrize(
    ("amount_minor", "required"),
    [
        (1, ()),
        (50_000, ()),
        (50_001, EITHER),
        (200_000, EITHER),
        (200_001, BOTH),
        (1_000_000, BOTH),
        (1_000_001, ALL),
    ],
)
def test_the_default_policy_asks_for_more_people_the_larger_the_amount(
    amount_minor: int, required: Groups
) -> None:
    screening = ask(Money(amount_minor, "EUR"))
    assert screening.required == required
    assert screening.reasons == ((Reason.ABOVE_AUTOMATIC_LIMIT,) if required else ())
    assert (screening.policy, screening.approval_seconds) == ("default-1", 86_400)


def test_amounts_are_compared_in_the_policys_currency() -> None:
    yen = Money(100_000, "JPY")
    assert ask(yen, in_policy_currency=Money(60_000, "EUR")).required == EITHER
    assert ask(yen, in_policy_currency=Money(50_000, "EUR")).required == ()


@pytest.mark.parametrize(
    ("amount", "required"),
    [
        (Money(500, "JPY"), EITHER),
        (Money(2_001, "JPY"), BOTH),
        (Money(500_000, "KWD"), EITHER),
        (Money(2_000_001, "KWD"), BOTH),
        (Money(20_000_001, "CLF"), BOTH),
    ],
)
def test_without_a_rate_whole_units_are_compared_and_a_person_looks(
    amount: Money, required: Groups
) -> None:
    screening = ask(amount, in_policy_currency=None)
    assert screening.required == required
    assert Reason.NO_RATE in screening.reasons


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"party": player(Verification.NONE)}, Reason.PLAYER_UNVERIFIED),
        ({"party": player(Verification.BASIC)}, Reason.PLAYER_UNVERIFIED),
        ({"party": player(on_hold=True)}, Reason.PLAYER_ON_HOLD),
        ({"closed_loop": False}, Reason.OUTSIDE_CLOSED_LOOP),
        ({"in_policy_currency": None}, Reason.NO_RATE),
        (
            {
                "policy": policy((None, ()), turnover_percent_min=50),
                "deposited_minor": 100,
                "wagered_minor": 49,
            },
            Reason.LOW_TURNOVER,
        ),
    ],
)
def test_what_is_doubtful_needs_somebody_of_fraud_or_finance(
    facts: dict[str, object], reason: Reason
) -> None:
    screening = ask(Money(1, "EUR"), **facts)
    assert (screening.required, screening.reasons) == (EITHER, (reason,))


def test_enough_turnover_is_enough() -> None:
    half = policy((None, ()), turnover_percent_min=50)
    assert ask(policy=half, deposited_minor=100, wagered_minor=50).reasons == ()


@pytest.mark.parametrize(("score", "required"), [(None, ()), (0, ()), (39, ()), (40, FRAUD)])
def test_from_the_policys_score_on_somebody_of_fraud_looks(
    score: int | None, required: Groups
) -> None:
    screening = ask(score=score)
    assert screening.required == required
    assert screening.reasons == ((Reason.SCORE_TOO_HIGH,) if required else ())


@pytest.mark.parametrize(
    ("amount_minor", "facts", "required"),
    [
        (100_000, {"score": 40}, FRAUD),
        (1_000_000, {"score": 40}, BOTH),
        (1, {"high": ("pass_through",)}, COMPLIANCE),
        (1, {"high": ("pass_through",), "closed_loop": False}, COMPLIANCE + EITHER),
        (100_000, {"high": ("pass_through",)}, EITHER + COMPLIANCE),
        (1_000_001, {"high": ("pass_through",), "score": 99, "closed_loop": False}, ALL),
    ],
)
def test_no_more_people_are_asked_than_it_takes(
    amount_minor: int, facts: dict[str, object], required: Groups
) -> None:
    assert ask(Money(amount_minor, "EUR"), **facts).required == required


def test_every_reason_is_given() -> None:
    doubtful = player(Verification.NONE, on_hold=True)
    screening = ask(
        Money(200_001, "EUR"), party=doubtful, score=90, high=("pass_through",), closed_loop=False
    )
    assert screening.reasons == (
        Reason.ABOVE_AUTOMATIC_LIMIT,
        Reason.SCORE_TOO_HIGH,
        Reason.HIGH_INDICATOR,
        Reason.PLAYER_UNVERIFIED,
        Reason.PLAYER_ON_HOLD,
        Reason.OUTSIDE_CLOSED_LOOP,
    )


def test_exclusion_from_deposits_does_not_keep_a_player_from_being_paid() -> None:
    assert ask(party=player(excluded=True)).reasons == ()


def test_a_policy_is_read_from_its_lowest_tier() -> None:
    tiers = policy((10, ALL), (20, EITHER), (None, BOTH))
    required = [
        len(ask(Money(units * 100, "EUR"), policy=tiers).required) for units in (10, 11, 20, 21)
    ]
    assert required == [3, 1, 1, 2]


# --- who may agree ------------------------------------------------------------------------------


def test_the_second_of_two_people_queues_it() -> None:
    under_review = withdrawal_screened(policy=TWICE_SUPERVISED)
    once = under_review.when(approved_by, "ann").then(
        WithdrawalApprovalGiven, person="ann", role="fraud"
    )
    state = once.when(approved_by, "ben", "finance").then(WithdrawalApproved, WithdrawalQueued)
    assert {(a.person, a.role) for a in state.state.approvals} == {
        ("ann", "fraud"),
        ("ben", "finance"),
    }


def test_two_people_of_the_same_role_do_not_make_up_for_another_role() -> None:
    once = withdrawal_screened(policy=TWICE_SUPERVISED).when(approved_by, "ann")
    once.then(WithdrawalApprovalGiven).when(approved_by, "ben").then_refused(RoleNotAllowed)


@pytest.mark.parametrize("role", ["administrator", "support", "compliance", "platform", ""])
def test_only_the_roles_that_are_missing_count(role: str) -> None:
    withdrawal_screened().when(approved_by, "ann", role).then_refused(RoleNotAllowed)


def test_one_person_counts_once_whatever_their_role() -> None:
    once = withdrawal_screened(policy=TWICE_SUPERVISED).when(approved_by, "ann")
    once.then(WithdrawalApprovalGiven).when(approved_by, "ann", "finance").then_refused(
        AlreadyApproved
    )


def test_nobody_approves_their_own_request() -> None:
    withdrawal_in("under_review").when(approved_by, "p1").then_refused(SelfApproval)


def test_nobody_approves_what_they_amended() -> None:
    changed = withdrawal_in("under_review").when(amended, person="ann")
    again = Given(changed.history + changed.events).when(screened)
    under_review = again.then(WithdrawalScreeningStarted, WithdrawalScreened)
    under_review.when(approved_by, "ann").then_refused(SelfApproval)
    under_review.when(approved_by, "ben").then(WithdrawalApproved, WithdrawalQueued)


def test_what_nobody_has_to_agree_to_is_approved_by_the_policy() -> None:
    state = (
        withdrawal_requested()
        .when(screened, policy=UNATTENDED)
        .then(WithdrawalScreeningStarted, WithdrawalScreened, WithdrawalApproved, WithdrawalQueued)
        .state
    )
    assert state.approvals == ()
    assert state.cleared is not None


# --- what voids an approval ---------------------------------------------------------------------


def agreed() -> Given:
    """Ann of fraud has agreed, finance is missing."""
    decided = withdrawal_screened(policy=TWICE_SUPERVISED).when(approved_by, "ann")
    return decided.then(WithdrawalApprovalGiven)


def why(history: Given, party: Player | None = None, seconds: int = 0) -> tuple[Change, ...]:
    state = history.state
    assert isinstance(state, Withdrawal)
    ((approval, problems),) = approval_problems(
        state, party or player(), NOW + timedelta(seconds=seconds)
    )
    assert approval.person == "ann"
    return problems


def rescreened(decided: object) -> Given:
    changed = Given(decided.history + decided.events)
    again = changed.when(screened, policy=TWICE_SUPERVISED)
    return Given(again.history + again.events)


def test_an_approval_counts_while_nothing_changes() -> None:
    assert why(agreed()) == ()
    assert missing_approvals(agreed().state, player(), NOW) == (("finance",),)


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (lambda s: amended(s, OTHER_AMOUNT), (Change.AMOUNT, Change.LEGS)),
        (lambda s: amended(s, AMOUNT, "iban-2"), (Change.INSTRUMENT, Change.LEGS)),
        (
            lambda s: amended(
                s,
                OTHER_AMOUNT,
                party=player(instruments=[("card-1", "acme", "card")]),
                net_minor={"card-1": 1},
            ),
            (Change.AMOUNT, Change.LEGS),
        ),
        (lambda s: scored(s, 10), (Change.SCORE,)),
        (lambda s: scored(s, 10, ("pass_through",)), (Change.SCORE,)),
    ],
)
def test_a_change_of_the_withdrawal_voids_it_and_is_named(
    change: object, problems: tuple[Change, ...]
) -> None:
    changed = rescreened(agreed().when(change))
    assert why(changed) == problems
    assert set(BOTH) <= set(missing_approvals(changed.state, player(), NOW))


def test_an_approval_stays_void_when_the_withdrawal_is_amended_back() -> None:
    there = agreed().when(lambda s: amended(s, AMOUNT, "iban-2"))
    back = rescreened(Given(there.history + there.events).when(lambda s: amended(s, AMOUNT)))
    assert why(back) == (Change.INSTRUMENT, Change.LEGS)
    assert missing_approvals(back.state, player(), NOW) == BOTH


@pytest.mark.parametrize(
    "party",
    [
        player(excluded=True),
        player(excluded_until=NOW + timedelta(seconds=1)),
        player(on_hold=True),
        player(Verification.BASIC),
    ],
)
def test_a_change_of_the_player_voids_it(party: Player) -> None:
    assert why(agreed(), party) == (Change.PLAYER,)
    assert missing_approvals(agreed().state, party, NOW) == BOTH


def test_an_exclusion_that_is_over_is_none() -> None:
    assert why(agreed(), player(excluded_until=NOW)) == ()


@pytest.mark.parametrize(("seconds", "problems"), [(86_399, ()), (86_400, (Change.EXPIRED,))])
def test_time_voids_it(seconds: int, problems: tuple[Change, ...]) -> None:
    assert why(agreed(), seconds=seconds) == problems


def test_every_change_is_named() -> None:
    changed = rescreened(agreed().when(lambda s: amended(s, OTHER_AMOUNT, "iban-2")))
    changed = rescreened(changed.when(scored))
    assert why(changed, player(on_hold=True), 86_400) == (
        Change.AMOUNT,
        Change.INSTRUMENT,
        Change.LEGS,
        Change.SCORE,
        Change.PLAYER,
        Change.EXPIRED,
    )


def test_a_void_approval_can_be_given_again_and_then_replaces_the_old_one() -> None:
    changed = rescreened(agreed().when(scored, 10))
    again = changed.when(approved_by, "ann").then(WithdrawalApprovalGiven)
    assert why(again) == ()
    again.when(approved_by, "ben", "finance").then(WithdrawalApproved, WithdrawalQueued)


def test_a_void_approval_does_not_help_to_queue_it() -> None:
    later = NOW + timedelta(days=1)
    decided = agreed().when(lambda s: approved_by(s, "ben", "finance", now=later))
    decided.then(WithdrawalApprovalGiven)


def test_a_policy_that_asks_for_fewer_people_is_content_with_those_who_agreed() -> None:
    """They agreed, the score went up and down again, and a new policy asks for one of them."""
    up = agreed().when(scored, 99)
    down = Given(up.history + up.events).when(scored, 0)
    Given(down.history + down.events).when(screened).then(
        WithdrawalScreeningStarted, WithdrawalScreened, WithdrawalApproved, WithdrawalQueued
    )


def test_a_hold_of_the_withdrawal_itself_voids_nothing() -> None:
    held = agreed().when(hold_withdrawal, by("cem"), note="wait")
    released = Given(held.history + held.events).when(
        release_withdrawal, by("cem", role="compliance"), note="go"
    )
    assert why(Given(released.history + released.events)) == ()


# --- once more before anything is sent ----------------------------------------------------------


@pytest.mark.parametrize(
    ("party", "reason"),
    [
        (player(on_hold=True), Reason.PLAYER_ON_HOLD),
        (player(on_hold=True, excluded=True), Reason.PLAYER_ON_HOLD),
        (player(excluded=True), Reason.PLAYER_EXCLUDED),
        (player(Verification.BASIC), Change.PLAYER),
    ],
)
def test_a_player_who_has_changed_takes_it_out_of_the_queue(party: Player, reason: str) -> None:
    recalled = withdrawal_in("queued").when(submitted, party=party)
    state = recalled.then(WithdrawalRecalled, reason=reason).state
    assert state.status == "under_review"
    assert state.reserved_minor == AMOUNT.amount
    assert reason in state.screening_reasons
    assert why(Given(recalled.history + recalled.events))[-1] is Change.RECALLED


def test_an_exclusion_that_people_knew_of_when_they_agreed_does_not_recall_it() -> None:
    excluded = player(excluded=True)
    queued = withdrawal_screened().when(approved_by, "ann", party=excluded)
    queued.then(WithdrawalApproved, WithdrawalQueued).when(submitted, party=excluded).then(
        TransactionSubmitted
    )


def test_a_hold_recalls_it_even_if_people_knew() -> None:
    held = player(on_hold=True)
    queued = withdrawal_screened().when(approved_by, "ann", party=held)
    queued.then(WithdrawalApproved, WithdrawalQueued).when(submitted, party=held).then(
        WithdrawalRecalled, reason=Reason.PLAYER_ON_HOLD
    )


def test_after_a_recall_the_same_people_may_agree_again() -> None:
    recalled = withdrawal_in("queued").when(submitted, party=player(on_hold=True))
    under_review = recalled.then(WithdrawalRecalled)
    under_review.when(approved_by, "ann").then(WithdrawalApproved, WithdrawalQueued, attempt=1)


def test_what_the_policy_approved_needs_a_person_after_a_recall() -> None:
    queued = withdrawal_screened(policy=UNATTENDED)
    recalled = queued.when(submitted, party=player(on_hold=True)).then(WithdrawalRecalled)
    assert recalled.state.required == EITHER
    recalled.when(approved_by, "ann").then(WithdrawalApproved, WithdrawalQueued)


def test_a_new_score_recalls_it_to_be_screened_again() -> None:
    riskier = withdrawal_in("queued").when(scored, 60, ("pass_through",))
    recalled = Given(riskier.history + riskier.events).when(submitted)
    again = recalled.then(WithdrawalRecalled, reason=Change.SCORE)
    assert again.state.status == "requested"
    asked = again.when(screened, policy=UNATTENDED)
    assert asked.then(WithdrawalScreeningStarted, WithdrawalScreened).state.required == (
        FRAUD + COMPLIANCE
    )


def test_what_people_approved_too_long_ago_is_recalled() -> None:
    queued = withdrawal_in("queued")
    in_time = NOW + timedelta(seconds=86_399)
    assert queued.when(submitted, now=in_time).then_state().status == "submitted"
    queued.when(submitted, now=NOW + timedelta(days=1)).then(
        WithdrawalRecalled, reason=Change.EXPIRED
    )


def test_the_first_of_two_approvals_expires_first() -> None:
    noon = NOW + timedelta(hours=12)
    queued = agreed().when(lambda s: approved_by(s, "ben", "finance", now=noon))
    queued.then(WithdrawalApproved, WithdrawalQueued).when(
        submitted, now=NOW + timedelta(days=1)
    ).then(WithdrawalRecalled, reason=Change.EXPIRED)


def test_what_the_policy_approved_by_itself_does_not_age() -> None:
    queued = withdrawal_screened(policy=UNATTENDED)
    sent = queued.when(submitted, now=NOW + timedelta(days=30)).then_state()
    assert sent.status == "submitted"


def test_a_recalled_withdrawal_can_be_rejected() -> None:
    recalled = withdrawal_in("queued").when(submitted, party=player(on_hold=True))
    state = recalled.then(WithdrawalRecalled).when(reject_withdrawal, by("ann"), note="no")
    assert state.then_state().status == "rejected"


def test_a_snapshot_is_bound_to_each_part_apart() -> None:
    """No two different withdrawals share a text, whatever their instruments are called."""
    one = withdrawal_requested(instrument='a","b').state
    other = replace(one, instrument="a", legs=tuple(replace(x, instrument="b") for x in one.legs))
    assert one.parts != other.parts


# --- what the indicators say --------------------------------------------------------------------


def counted(indicator: str, severity: str, *, holds: bool = False) -> WeighedHit:
    return WeighedHit(
        indicator=indicator, severity=severity, subject="player:p", position=7, holds=holds
    )


def assessed(*hits: WeighedHit) -> Assessment:
    return assess(hits, DEFAULT_TERMS, "rules-1")


MEDIUMS = (counted("velocity", "medium"), counted("geo_conflict", "medium"))


@pytest.mark.parametrize(
    ("hits", "score", "path"),
    [
        ((), 0, Path.AUTOMATIC),
        ((counted("a", "low"), counted("velocity", "medium")), 35, Path.AUTOMATIC),
        (MEDIUMS, 50, Path.REVIEW),
        ((counted("structuring", "high"),), 50, Path.REVIEW),
        ((*MEDIUMS, counted("amount_spike", "medium")), 75, Path.HOLD),
        ((counted("structuring", "high"), counted("pass_through", "high")), 100, Path.HOLD),
        ((counted("closed_loop", "high", holds=True),), 50, Path.HOLD),
        ((counted("card_testing", "critical"),), 100, Path.HOLD),
    ],
)
def test_low_medium_and_high_add_up_to_a_way(
    hits: tuple[WeighedHit, ...], score: int, path: Path
) -> None:
    found = assessed(*hits)
    assert (found.score, found.path(40)) == (score, path)


def test_an_indicator_counts_once_at_its_highest_severity() -> None:
    twice = assessed(counted("many_instruments", "medium"), counted("many_instruments", "high"))
    assert twice.score == 50
    assert [hit.severity for hit in twice.hits] == ["high"]


def test_a_harmless_small_payout_needs_nobody_and_says_by_which_rules() -> None:
    found = withdrawal_requested().when(screened, policy=UNATTENDED, assessment=assessed())
    sent = found.then_state()
    assert (sent.status, sent.score, sent.ruleset) == ("queued", 0, "rules-1")


def test_a_score_of_forty_or_more_waits_with_its_reasons() -> None:
    found = withdrawal_requested().when(screened, policy=UNATTENDED, assessment=assessed(*MEDIUMS))
    waits = found.then(WithdrawalScreeningStarted, WithdrawalScreened).state
    assert waits.status == "under_review"
    assert waits.screening_reasons == (Reason.SCORE_TOO_HIGH,)
    assert {hit.indicator for hit in waits.hits} == {"velocity", "geo_conflict"}


@pytest.mark.parametrize(
    "hits",
    [
        (counted("structuring", "high"), counted("pass_through", "high")),
        (counted("closed_loop", "high", holds=True),),
    ],
)
def test_what_holds_waits_for_compliance_and_then_for_approvals(
    hits: tuple[WeighedHit, ...],
) -> None:
    found = withdrawal_requested().when(screened, policy=UNATTENDED, assessment=assessed(*hits))
    held = found.then(WithdrawalScreeningStarted, WithdrawalScreened, WithdrawalHeld)
    assert held.state.status == "held"
    held.when(release_withdrawal, by("ann"), note="fine").then_refused(RoleNotAllowed)
    released = held.when(release_withdrawal, by("cem", role="compliance"), note="fine").then_state()
    assert released.status == "under_review"
    assert ("compliance",) in released.required


def test_what_compliance_let_go_is_held_again_only_if_more_is_known() -> None:
    hits = (counted("closed_loop", "high", holds=True),)
    found = withdrawal_requested().when(screened, policy=UNATTENDED, assessment=assessed(*hits))
    released = Given(found.history + found.events).when(
        release_withdrawal, by("cem", role="compliance"), note="fine"
    )
    scored_again = Given(released.history + released.events).when(scored, 10)
    same = Given(scored_again.history + scored_again.events).when(
        screened, policy=UNATTENDED, assessment=assessed(*hits)
    )
    assert same.then_state().status == "under_review"
    more = assessed(*hits, counted("pass_through", "high"))
    worse = Given(scored_again.history + scored_again.events).when(
        screened, policy=UNATTENDED, assessment=more
    )
    assert worse.then_state().status == "held"
