"""The simulated provider's disputes: pure stories, whose truth survives every odd order."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events.evidence import DisputeNews, DisputeStage
from domain.money import Money
from ledger.providers.card_numbers import holds_card_number
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.dice import name_of
from tallystick.play.simulator.dispute_plan import DisputePlan, Response, plan_dispute
from tallystick.play.simulator.faults import NO_FAULTS, Fault, Faults
from tallystick.play.simulator.plan import Plan, Truth, plan
from tallystick.play.simulator.profiles import DEFAULT_WEIGHTS, DisputeProfile

INQUIRY, CHARGEBACK = DisputeStage.INQUIRY, DisputeStage.CHARGEBACK
AGAIN = DisputeStage.PRE_ARBITRATION
DISPUTED = Faults({Fault.DISPUTE: 1.0})
FAULTY = Faults({fault: 0.5 for fault in Fault if fault is not Fault.OUTAGE})

seeds = st.integers(-(2**63), 2**63)
references = st.from_regex(r"[0-9a-f]{32}-[1-9]", fullmatch=True)
responses: st.SearchStrategy[Mapping[DisputeStage, Response]] = st.dictionaries(
    st.sampled_from((CHARGEBACK, AGAIN)), st.sampled_from(Response)
)


@st.composite
def dispute_plans(draw_from: st.DrawFn) -> DisputePlan:
    faults = draw_from(st.sampled_from((NO_FAULTS, FAULTY)))
    seed, reference = draw_from(seeds), draw_from(references)
    return plan_dispute(seed, reference, faults, DEFAULT_WEIGHTS.disputes)


def of_profile(profile: DisputeProfile) -> DisputePlan:
    """A dispute without faults whose money is taken when it is opened."""
    for number in itertools.count():
        made = plan_dispute(1, f"{number}", NO_FAULTS, {profile: 1})
        if all(each.funds_at_opening or not each.waits for each in made.rounds):
            return made
    raise AssertionError


def news(story: tuple[tuple[DisputeStage, DisputeNews], ...]) -> list[str]:
    return [f"{stage} {each}" for stage, each in story]


OPENING = ["chargeback opened", "chargeback funds_withdrawn", "chargeback evidence_due"]
WON = ["chargeback under_review", "chargeback won", "chargeback funds_reinstated"]
OPENED_AGAIN = [each.replace("chargeback", "pre_arbitration") for each in OPENING]
CONTESTED, BOTH = (
    {CHARGEBACK: Response.CONTESTED},
    {
        CHARGEBACK: Response.CONTESTED,
        AGAIN: Response.CONTESTED,
    },
)


@pytest.mark.parametrize(
    ("profile", "said", "told", "gone"),
    [
        (
            DisputeProfile.INQUIRY_WITHDRAWN,
            {},
            ["inquiry opened", "inquiry withdrawn"],
            False,
        ),
        (DisputeProfile.CHARGEBACK_WON, {}, [*OPENING, "chargeback expired"], True),
        (
            DisputeProfile.CHARGEBACK_WON,
            {CHARGEBACK: Response.ACCEPTED},
            [*OPENING, "chargeback lost"],
            True,
        ),
        (DisputeProfile.CHARGEBACK_WON, CONTESTED, [*OPENING, *WON], False),
        (
            DisputeProfile.CHARGEBACK_LOST,
            CONTESTED,
            [*OPENING, "chargeback under_review", "chargeback lost"],
            True,
        ),
        (
            DisputeProfile.PRE_ARBITRATION_LOST,
            CONTESTED,
            [*OPENING, *WON, *OPENED_AGAIN, "pre_arbitration expired"],
            True,
        ),
        (
            DisputeProfile.PRE_ARBITRATION_LOST,
            BOTH,
            [
                *OPENING,
                *WON,
                *OPENED_AGAIN,
                "pre_arbitration under_review",
                "pre_arbitration lost",
            ],
            True,
        ),
        (
            DisputeProfile.PRE_ARBITRATION_WON,
            BOTH,
            [
                *OPENING,
                *WON,
                *OPENED_AGAIN,
                *(each.replace("chargeback", "pre_arbitration") for each in WON),
            ],
            False,
        ),
    ],
    ids=str,
)
def test_a_story_follows_its_profile_and_the_answers(
    profile: DisputeProfile,
    said: Mapping[DisputeStage, Response],
    told: list[str],
    gone: bool,
) -> None:
    made = of_profile(profile)
    assert news(made.story(said)) == told
    assert news(made.delivered(said)) == told
    assert made.takes_money(said) is gone


@given(dispute_plans(), responses)
def test_money_is_gone_exactly_where_the_dispute_was_lost_or_not_answered(
    made: DisputePlan, said: Mapping[DisputeStage, Response]
) -> None:
    ends = {DisputeNews.LOST, DisputeNews.EXPIRED}
    assert made.takes_money(said) == any(each in ends for _, each in made.story(said))


@given(dispute_plans(), responses)
def test_money_is_never_taken_twice_nor_given_back_before_it_was_taken(
    made: DisputePlan, said: Mapping[DisputeStage, Response]
) -> None:
    taken = 0
    for _, each in made.story(said):
        taken += each is DisputeNews.FUNDS_WITHDRAWN
        taken -= each is DisputeNews.FUNDS_REINSTATED
        assert taken in (0, 1)


@given(dispute_plans(), responses)
def test_all_news_are_delivered_in_whatever_order(
    made: DisputePlan, said: Mapping[DisputeStage, Response]
) -> None:
    assert sorted(made.delivered(said)) == sorted(made.story(said))


@given(dispute_plans(), responses)
def test_what_follows_from_an_answer_is_never_told_before_what_called_for_it(
    made: DisputePlan, said: Mapping[DisputeStage, Response]
) -> None:
    called_for = {DisputeNews.OPENED, DisputeNews.EVIDENCE_DUE}
    order = made.delivered(said)
    for stage in {stage for stage, _ in order} - {INQUIRY}:
        at = [each for about, each in order if about is stage]
        first_end = min(
            at.index(each)
            for each in (DisputeNews.EXPIRED, DisputeNews.LOST, DisputeNews.WON)
            if each in at
        )
        assert called_for <= set(at[:first_end])
    stages = [stage for stage, _ in order]
    assert stages == sorted(stages, key=(INQUIRY, CHARGEBACK, AGAIN).index)


def test_every_order_of_the_opening_is_met_and_none_is_the_right_one() -> None:
    faults = Faults({Fault.REORDER: 1.0})
    right = (DisputeNews.OPENED, DisputeNews.FUNDS_WITHDRAWN, DisputeNews.EVIDENCE_DUE)
    met = {
        plan_dispute(1, f"{number}", faults, DEFAULT_WEIGHTS.disputes).deliveries(right)
        for number in range(200)
    }
    assert met == set(itertools.permutations(right)) - {right}


@given(dispute_plans())
def test_part_or_all_of_the_deposit_is_contested_and_never_more(made: DisputePlan) -> None:
    assert made.contested(Money(1, "JPY")) == Money(1, "JPY")
    assert made.contested(Money(5001, "EUR")).amount in (2500, 5001)


@given(seeds, references, st.sampled_from(Kind), st.sampled_from((DISPUTED, FAULTY)))
def test_only_a_deposit_that_has_succeeded_and_is_told_so_is_disputed(
    seed: int, reference: str, kind: Kind, faults: Faults
) -> None:
    made = plan(seed, reference, kind, "card", faults)
    if made.dispute is not None:
        assert (made.kind, made.truth) == (Kind.DEPOSIT, Truth.MOVED)
        assert made.steps[-1].announced


@given(seeds, references)
def test_a_dispute_changes_nothing_else_about_its_deposit(seed: int, reference: str) -> None:
    def without_dispute(made: Plan) -> list[object]:
        names = set(Plan.__dataclass_fields__) - {"dispute"}
        return [getattr(made, name) for name in sorted(names)]

    calm = plan(seed, reference, Kind.DEPOSIT, "card", NO_FAULTS)
    contested = plan(seed, reference, Kind.DEPOSIT, "card", DISPUTED)
    assert without_dispute(calm) == without_dispute(contested)
    assert calm.dispute is None
    assert (contested.dispute is not None) == (contested.truth is Truth.MOVED)


def test_deposits_are_disputed_at_the_given_rate_in_every_way() -> None:
    faults = Faults({Fault.DISPUTE: 0.2})
    made = [plan(3, f"{number}", Kind.DEPOSIT, "card", faults) for number in range(4000)]
    moved = [each for each in made if each.truth is Truth.MOVED]
    disputes = [each.dispute for each in moved if each.dispute]
    assert len(disputes) / len(moved) == pytest.approx(0.2, abs=0.03)
    assert {each.profile for each in disputes} == set(DisputeProfile)
    assert len({each.reference for each in disputes}) == len(disputes)


@given(st.integers(0, 2**64 - 1))
def test_a_name_never_passes_for_a_card_number(number: int) -> None:
    assert not holds_card_number(name_of("dsp", number))
