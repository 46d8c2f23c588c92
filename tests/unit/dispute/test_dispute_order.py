"""Disputes: however the news of a true story are shuffled and repeated, the end is the same."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.dispute.decisions import STAGES
from domain.events.evidence import DisputeReport, DisputeStage
from domain.money import Money
from tests.scenarios.dispute import DISPUTE, DUE_AT, Case, contest, told, totals, undisputed
from tests.scenarios.scenario import AMOUNT

DISPUTED = Money(6_000, "EUR")
amounts = st.sampled_from([None, AMOUNT, DISPUTED])
due_times = st.sampled_from([None, DUE_AT, DUE_AT + timedelta(days=2)])


@dataclass(frozen=True)
class Story:
    """What a provider has to say of a dispute, in the order in which it happened."""

    news: tuple[DisputeReport, ...]
    has_verdict: bool
    """In the last stage."""


@st.composite
def stories(draw: st.DrawFn, *, stages_max: int = 2) -> Story:
    """A true story: one course through each stage, no money given back that was not taken."""
    count = draw(st.integers(1, stages_max))
    stages = sorted(
        draw(st.lists(st.sampled_from(STAGES), min_size=count, max_size=count, unique=True)),
        key=STAGES.index,
    )
    news: list[DisputeReport] = []
    taken, has_verdict = 0, False
    for stage in stages:
        news += draw(_stage(stage))
        has_verdict = draw(st.booleans())
        if has_verdict:
            verdict = draw(st.sampled_from(["won", "lost", "withdrawn"]))
            news.append(told(verdict, stage, amount=draw(amounts)))
        if draw(st.booleans()):
            news.append(told("funds_withdrawn", stage, amount=DISPUTED))
            taken += 1
        if taken and draw(st.booleans()):
            news.append(told("funds_reinstated", stage, amount=DISPUTED))
            taken -= 1
    return Story(tuple(news), has_verdict)


@st.composite
def _stage(draw: st.DrawFn, stage: DisputeStage) -> list[DisputeReport]:
    """Everything up to a verdict."""
    steps = [told("opened", stage, amount=draw(amounts), due_at=draw(due_times))]
    times = draw(st.lists(due_times, max_size=2))
    steps += [told("evidence_due", stage, due_at=due_at) for due_at in times]
    if draw(st.booleans()):
        steps.append(told("expired", stage))
    if draw(st.booleans()):
        steps.append(told("under_review", stage, amount=draw(amounts)))
    return steps


def delivered(draw: st.DrawFn, story: Story) -> list[DisputeReport]:
    """The same news in any order, some of it again: the same message, or another that says so."""
    again = draw(st.lists(st.sampled_from(story.news), max_size=4))
    said_twice = [
        replace(report, notice_id=uuid4()) if draw(st.booleans()) else report for report in again
    ]
    return draw(st.permutations([*story.news, *said_twice]))


@st.composite
def deliveries(draw: st.DrawFn, *, stages_max: int = 2) -> tuple[Story, list[DisputeReport]]:
    story = draw(stories(stages_max=stages_max))
    return story, delivered(draw, story)


def end(case: Case) -> dict[str, object]:
    """Everything that may not depend on the order."""
    state = case.state
    return {
        "stage": state.stage,
        "status": state.status,
        "claims": case.deposit.disputes,
        "amount": state.amount,
        "due": state.evidence_due_at,
        "taken": state.withdrawn,
        "given back": state.reinstated,
        "waiting": state.waiting,
        "contradicted": state.contradicted,
        "totals": totals(case.log),
    }


@given(deliveries(stages_max=1))
@settings(deadline=None)
def test_one_stage_ends_the_same_in_whatever_order(
    told_and_heard: tuple[Story, list[DisputeReport]],
) -> None:
    story, heard = told_and_heard
    assert end(undisputed().heard(*heard)) == end(undisputed().heard(*story.news))


@given(deliveries(stages_max=3))
@settings(deadline=None)
def test_several_stages_end_the_same_in_whatever_order(
    told_and_heard: tuple[Story, list[DisputeReport]],
) -> None:
    story, heard = told_and_heard
    assert end(undisputed().heard(*heard)) == end(undisputed().heard(*story.news))


@given(deliveries(stages_max=3))
@settings(deadline=None)
def test_the_end_is_what_the_story_says(
    told_and_heard: tuple[Story, list[DisputeReport]],
) -> None:
    story, heard = told_and_heard
    state = undisputed().heard(*heard).state
    last = [report for report in story.news if report.stage is state.stage]
    ranks = ["opened", "evidence_due", "expired", "under_review", "won", "lost", "withdrawn"]
    said = [report.news for report in last if report.news in ranks]
    assert STAGES.index(state.stage) == max(STAGES.index(r.stage) for r in story.news)
    assert state.status == max(said, key=ranks.index)
    taken = sum(report.news == "funds_withdrawn" for report in story.news)
    given_back = sum(report.news == "funds_reinstated" for report in story.news)
    assert len(state.withdrawn) == taken
    assert len(state.reinstated) == given_back
    assert not state.contradicted


@given(deliveries(stages_max=3))
@settings(deadline=None)
def test_never_is_more_given_back_than_was_taken(
    told_and_heard: tuple[Story, list[DisputeReport]],
) -> None:
    log = undisputed().heard(*told_and_heard[1]).log
    for upto in range(len(log)):
        assert totals(log[:upto]).get("house:chargebacks:EUR", 0) <= 0


@given(data=st.data())
@settings(deadline=None)
def test_our_evidence_changes_no_verdict_whenever_it_is_submitted(data: st.DataObject) -> None:
    story, heard = data.draw(deliveries().filter(lambda drawn: drawn[0].has_verdict))
    at = data.draw(st.integers(1, len(heard)))
    case = undisputed().heard(*heard[:at])
    if case.state.status.waits_for_us:
        case = case.and_then(contest)
    assert end(case.heard(*heard[at:])) == end(undisputed().heard(*story.news))


def test_every_notice_is_remembered_whether_or_not_it_changed_anything() -> None:
    news = [told("won"), told("opened"), told("funds_reinstated"), told("lost", "inquiry")]
    case = undisputed().heard(*news)
    assert case.state.notices == {report.notice_id for report in news}
    assert case.state.version == len(case.history)
    assert all(event.originator_id == DISPUTE for event in case.history)
