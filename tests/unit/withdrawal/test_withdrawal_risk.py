"""Whose word counts about a payout: our own indicators', others', and that of who let it go."""

import pytest

from domain.approval.snapshot import Change
from domain.errors import NothingToChange
from domain.events import WeighedHit, WithdrawalHeld, WithdrawalRecalled, WithdrawalScored
from domain.fraud.assessment import INDICATORS_ACTOR, Assessment, assess
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.withdrawal.decisions import release_withdrawal, retry_withdrawal, score_withdrawal
from tests.scenarios.scenario import (
    UNATTENDED,
    UNREMARKABLE,
    Given,
    amended,
    by,
    command,
    hear_of_withdrawal,
    heard,
    scored,
    screened,
    submitted,
    withdrawal_in,
    withdrawal_requested,
)

PASSES_THROUGH = WeighedHit(
    indicator="pass_through", severity="high", subject="player:p", position=7, holds=False
)
OUT_OF_LOOP = WeighedHit(
    indicator="closed_loop", severity="high", subject="holding:p:i", position=7, holds=True
)


def found_since(state: object, score: int, *high: str) -> object:
    """What the fraud desk says of a hit that came after the request."""
    desk = command(INDICATORS_ACTOR)
    return score_withdrawal(state, desk, score=score, high=high, ruleset="rules-1")


def released(state: object) -> object:
    return release_withdrawal(state, by("cem", role="compliance"), note="looked at it")


def judged(story: Given, assessment: Assessment = UNREMARKABLE) -> Given:
    """Screened, where nobody has to agree but for its risk."""
    return after(story, screened, policy=UNATTENDED, assessment=assessment)


def recalled(story: Given) -> Given:
    """Right before it is sent, it is seen that its score has changed."""
    return after(story, submitted)


def after(story: Given, decision: object, *args: object, **kwargs: object) -> Given:
    decided = story.when(decision, *args, **kwargs)
    assert decided.error is None, repr(decided.error)
    return Given(decided.history + decided.events)


# --- found since the request --------------------------------------------------------------------


@pytest.mark.parametrize("status", ["requested", "under_review", "queued"])
def test_nobody_takes_back_what_indicators_found_since(status: str) -> None:
    story = withdrawal_in(status)
    story = after(story, found_since, 50, "many_instruments")
    story = after(story, scored, 5)
    state = judged(recalled(story) if status == "queued" else story).state
    assert (state.status, state.score, state.high) == ("under_review", 50, ("many_instruments",))


def test_what_was_sent_before_is_not_sent_again_unseen() -> None:
    """It stays what it was approved as, until an attempt fails and another one would be made."""
    story = after(withdrawal_in("submitted"), found_since, 50, "many_instruments")
    assert (story.state.status, story.state.score) == ("submitted", 0)
    story = after(story, hear_of_withdrawal, heard("not_sent", "answer"))
    story = after(story, lambda state: retry_withdrawal(state, command()))
    seen = story.when(submitted).then(WithdrawalRecalled, reason=Change.SCORE)
    assert judged(seen).state.status == "under_review"


def test_what_somebody_else_said_they_may_take_back() -> None:
    story = after(withdrawal_requested(), scored, 90, ("new_device",))
    assert judged(story).state.status == "held"
    assert judged(after(story, scored, 5)).state.status == "queued"


def test_what_indicators_found_counts_although_somebody_had_said_the_same() -> None:
    story = after(withdrawal_in("under_review"), scored, 50, ("many_instruments",))
    story = after(story, found_since, 50, "many_instruments")
    assert judged(after(story, scored, 0)).state.score == 50


@pytest.mark.parametrize("says", [scored, found_since])
def test_who_said_so_before_says_nothing_new(says: object) -> None:
    once = after(withdrawal_in("under_review"), says, 60)
    once.when(says, 60).then_refused(NothingToChange)
    once.when(says, 61).then(WithdrawalScored)


@pytest.mark.parametrize("hold_from", [70, 101])
def test_an_indicator_that_stops_payouts_stops_those_asked_for_before(hold_from: int) -> None:
    """Whatever the score, and from what score on the rule set holds: 101 is never."""
    mild = Assessment(score=0, hits=(), ruleset="rules-1", hold_from=hold_from)
    story = after(withdrawal_in("queued"), found_since, 50, "due_diligence_threshold")
    held = judged(recalled(story), mild)
    assert held.state.status == "held"
    last = held.history[-1]
    assert isinstance(last, WithdrawalHeld)
    assert last.note == "due_diligence_threshold, by rules-1"


def test_what_is_asked_for_instead_is_judged_by_itself() -> None:
    """The indicators look at it anew, and count what they found before as well."""
    story = after(withdrawal_requested(), found_since, 100, "card_testing")
    assert judged(story).state.status == "held"
    assert judged(after(story, amended)).state.status == "queued"


# --- let go by compliance -----------------------------------------------------------------------


def held_for(*hits: WeighedHit) -> tuple[Given, Assessment]:
    assessment = assess(hits, DEFAULT_TERMS, "rules-1")
    story = judged(withdrawal_requested(), assessment)
    assert story.state.status == "held"
    return story, assessment


def test_a_lower_score_from_elsewhere_does_not_undo_that_it_was_let_go() -> None:
    """Else a scorer who says it again and again would keep it held for ever."""
    story, assessment = held_for(OUT_OF_LOOP)
    story = after(after(story, scored, 10), released)
    assert judged(story, assessment).state.status == "under_review"


def test_what_was_let_go_is_held_again_for_what_is_found_afterwards() -> None:
    story, assessment = held_for(OUT_OF_LOOP)
    story = after(after(story, released), found_since, 100, "card_testing", "closed_loop")
    assert judged(story, assessment).state.status == "held"


def test_what_is_asked_for_instead_nobody_has_let_go() -> None:
    """It may go to another instrument that has never paid in, which looks as bad as the first."""
    story, assessment = held_for(OUT_OF_LOOP)
    story = after(after(story, released), amended, instrument="iban-2")
    assert judged(story, assessment).state.status == "held"


def test_what_was_amended_while_it_was_held_is_let_go_as_amended() -> None:
    story, assessment = held_for(OUT_OF_LOOP, PASSES_THROUGH)
    story = after(after(story, amended, instrument="iban-2"), released)
    assert judged(story, assessment).state.status == "under_review"
