"""The simulated provider's plans: pure, deterministic, and free of races by construction."""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events.evidence import DeclineCode, Outcome
from domain.money import AMOUNT_MINOR_MAX, Money, transaction_amount
from ledger.providers.simulator.wire import Kind, Status
from tallystick.play.simulator.dice import draw
from tallystick.play.simulator.faults import (
    ALL_FAULTS,
    DEMO_FAULTS,
    NO_FAULTS,
    AnswerFault,
    Fault,
    Faults,
    InvalidFaults,
    parse_faults,
)
from tallystick.play.simulator.plan import Plan, Truth, plan, refused
from tallystick.play.simulator.profiles import (
    DEFAULT_WEIGHTS,
    PLAYER_METHODS,
    DisputeProfile,
    InvalidWeights,
    Profile,
    parse_weights,
)

seeds = st.integers(-(2**63), 2**63)
references = st.from_regex(r"[0-9a-f]{32}-[1-9]|[A-Za-z0-9_-]{1,40}", fullmatch=True)
kinds = st.sampled_from(Kind)
methods = st.sampled_from(("card", "redirect", "bank_transfer", "voucher", "wallet"))
rates: st.SearchStrategy[Mapping[Fault, float]] = st.dictionaries(
    st.sampled_from([fault for fault in Fault if fault is not Fault.OUTAGE]),
    st.sampled_from((0.0, 0.3, 1.0)),
)
amounts = st.builds(
    Money, st.integers(1, AMOUNT_MINOR_MAX), st.sampled_from(("EUR", "USD", "JPY", "KWD"))
)


@st.composite
def plans(draw_from: st.DrawFn) -> Plan:
    faults = Faults(draw_from(rates))
    kind, method = draw_from(kinds), draw_from(methods)
    return plan(draw_from(seeds), draw_from(references), kind, method, faults)


@given(seeds, references, kinds, methods, rates)
def test_the_same_seed_and_reference_give_the_same_plan(
    seed: int, reference: str, kind: Kind, method: str, given_rates: Mapping[Fault, float]
) -> None:
    first = plan(seed, reference, kind, method, Faults(given_rates))
    plan(seed + 1, "another", Kind.PAYOUT, "card", DEMO_FAULTS)
    assert plan(seed, reference, kind, method, Faults(dict(given_rates))) == first


def test_another_process_makes_the_same_choices() -> None:
    program = "from tallystick.play.simulator.dice import draw; print(draw(7, 'a-1', 'fee'))"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert int(output.stdout) == draw(7, "a-1", "fee") == 15_914_719_630_361_884_017


@given(seeds, references, kinds, methods)
def test_without_faults_every_plan_is_told_in_order(
    seed: int, reference: str, kind: Kind, method: str
) -> None:
    made = plan(seed, reference, kind, method, NO_FAULTS)
    assert made.answer_fault is None
    assert made.mismatch is None
    assert not made.late
    assert all(step.announced for step in made.steps)
    assert made.second in (None, Status.RETURNED)


@given(plans())
def test_every_plan_has_a_truth_and_a_final_answer(made: Plan) -> None:
    assert made.effects in (0, 1)
    assert isinstance(made.truth, Truth)
    assert made.final not in (Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.ACCEPTED)


@given(plans())
def test_a_second_final_status_always_follows_an_announced_first_one(made: Plan) -> None:
    if made.second is not None:
        assert made.steps[-1].announced
        assert made.truth is Truth.NEVER_RECEIVED or made.notices[-1] is made.second


@given(plans())
def test_a_decline_has_a_code_and_only_payouts_and_refunds_come_back(made: Plan) -> None:
    declines = Status.DECLINED in (made.first_final, made.second)
    assert declines == (made.decline_code is not None)
    assert made.second is not Status.RETURNED or made.kind in (Kind.PAYOUT, Kind.REFUND)


@given(seeds, references)
def test_a_card_never_waits_for_the_player_and_a_redirect_always_does(
    seed: int, reference: str
) -> None:
    card = plan(seed, reference, Kind.DEPOSIT, "card", NO_FAULTS)
    assert card.answer is not Status.AWAITING_PLAYER
    for method in PLAYER_METHODS:
        waiting = plan(seed, reference, Kind.DEPOSIT, method, NO_FAULTS)
        assert waiting.answer is Status.AWAITING_PLAYER


@given(seeds, st.uuids(), st.integers(2, 9))
def test_a_softly_declined_payout_succeeds_when_tried_again(
    seed: int, transaction: object, attempt: int
) -> None:
    weights = parse_weights("paid_at_once=0,paid_later=0,payout_declined_hard=0,payout_returned=0")
    name = str(transaction).replace("-", "")
    first = plan(seed, f"{name}-1", Kind.PAYOUT, "bank", NO_FAULTS, weights)
    again = plan(seed, f"{name}-{attempt}", Kind.PAYOUT, "bank", NO_FAULTS, weights)
    assert (first.truth, first.decline_code) == (Truth.DECLINED, DeclineCode.PROVIDER_ERROR)
    assert again.truth is Truth.MOVED


@given(seeds, st.uuids(), st.permutations((2, 3)), st.booleans())
def test_it_makes_no_difference_which_leg_of_a_payout_an_attempt_belongs_to(
    seed: int, transaction: object, later: list[int], clean: bool
) -> None:
    faults = NO_FAULTS if clean else DEMO_FAULTS
    name = str(transaction).replace("-", "")
    first = plan(seed, f"{name}-1", Kind.PAYOUT, "bank", NO_FAULTS)
    # Two legs, of which one is tried again: as attempts 1, 2 and 3, in either order.
    made = {n: plan(seed, f"{name}-{n}", Kind.PAYOUT, "bank", faults) for n in (1, *later)}
    assert made[2].profile is made[3].profile
    assert made[1].profile is first.profile
    if first.profile is Profile.PAYOUT_DECLINED_SOFT:
        assert {made[2].profile, made[3].profile} == {Profile.PAID_LATER}
    else:
        assert made[2].profile is first.profile


@given(seeds, references, methods)
def test_a_softly_declined_payout_is_never_contradicted(
    seed: int, reference: str, method: str
) -> None:
    faults = Faults({Fault.CONTRADICTION: 1.0})
    made = plan(seed, reference, Kind.PAYOUT, method, faults)
    if made.profile is Profile.PAYOUT_DECLINED_SOFT:
        assert made.second is None


@given(seeds, references, kinds, amounts)
def test_a_wrong_amount_is_possible_and_wrong(
    seed: int, reference: str, kind: Kind, asked: Money
) -> None:
    made = plan(seed, reference, kind, "card", Faults({Fault.WRONG_AMOUNT: 1.0}))
    reported = made.reported(asked)
    transaction_amount(reported.amount, reported.currency)
    assert (reported != asked) == (made.truth is Truth.MISMATCHED)


@given(plans(), amounts)
def test_a_fee_is_at_least_one_minor_unit_and_at_most_the_amount(made: Plan, asked: Money) -> None:
    fee = made.fee(asked)
    if fee is not None:
        assert made.kind is not Kind.CONVERSION
        assert fee.currency == asked.currency
        assert 1 <= fee.amount <= asked.amount


WAYS = (
    (Kind.DEPOSIT, "card"),
    (Kind.DEPOSIT, "voucher"),
    (Kind.PAYOUT, "x"),
    (Kind.REFUND, ""),
    (Kind.CONVERSION, ""),
)


def test_every_profile_and_every_fault_is_met_at_the_given_rate() -> None:
    count = 4000
    made = [
        plan(1, f"{number:032x}-1", kind, method, DEMO_FAULTS)
        for number in range(count)
        for kind, method in WAYS
    ]
    assert {each.profile for each in made} == set(Profile)
    assert {each.truth for each in made} == set(Truth)
    assert {each.answer_fault for each in made} == {None, *AnswerFault}
    duplicated = Counter(each.duplicate for each in made)[True] / len(made)
    assert duplicated == pytest.approx(0.05, abs=0.01)
    assert not any(each.dispute for each in made), "a demo has no disputes unless it asks for them"


def test_a_rate_of_one_is_certain_and_a_rate_of_zero_impossible() -> None:
    always, never = parse_faults("drop=1"), parse_faults("drop=0")
    for number in range(500):
        certain = plan(3, f"r{number}", Kind.DEPOSIT, "card", always)
        assert certain.notices == ()
        assert plan(3, f"r{number}", Kind.DEPOSIT, "card", never).notices != ()


def test_faults_are_read_from_presets_and_rates() -> None:
    assert parse_faults("") == parse_faults("none") == NO_FAULTS
    assert parse_faults("demo") == DEMO_FAULTS
    assert parse_faults("all") == ALL_FAULTS
    assert parse_faults("duplicate=0.1, drop=0.05").rates == {
        Fault.DUPLICATE: 0.1,
        Fault.DROP: 0.05,
    }
    switched = parse_faults("demo,outage=1,drop=0")
    assert switched.outage
    assert switched.rate(Fault.DROP) == 0
    assert switched.rate(Fault.DELAY) == DEMO_FAULTS.rate(Fault.DELAY)


def test_the_preset_with_everything_has_every_fault_but_an_outage() -> None:
    assert set(ALL_FAULTS.rates) == set(Fault) - {Fault.OUTAGE}
    assert not ALL_FAULTS.outage
    for fault, rate in DEMO_FAULTS.rates.items():
        assert ALL_FAULTS.rate(fault) > rate


@pytest.mark.parametrize(
    "text", ["dmeo", "dup=1", "drop=2", "drop=-1", "drop=nan", "drop=", "outage=0.5"]
)
def test_faults_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(InvalidFaults):
        parse_faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "unheard_of=1",
        "declined=-1",
        "declined=1.5",
        "declined",
        "player_pays=0,player_declines=0,player_abandons=0",
        "executed_at_once=0,executed_later=0,executed_after_silence=0,conversion_declined=0",
    ],
)
def test_weights_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InvalidWeights):
        parse_weights(text)


def test_weights_are_read_for_every_kind_of_payment_and_for_disputes() -> None:
    weights = parse_weights("refunded_later=0,executed_later=7,chargeback_won=9")
    assert weights.refunds[Profile.REFUNDED_LATER] == 0
    assert weights.conversions[Profile.EXECUTED_LATER] == 7
    assert weights.disputes[DisputeProfile.CHARGEBACK_WON] == 9
    assert weights.deposits == DEFAULT_WEIGHTS.deposits


@given(seeds, references, st.sampled_from((Kind.REFUND, Kind.CONVERSION)), rates)
def test_what_is_refused_is_declined_and_moves_nothing(
    seed: int, reference: str, kind: Kind, given_rates: Mapping[Fault, float]
) -> None:
    made = plan(seed, reference, kind, "", Faults(given_rates))
    declined = refused(made, DeclineCode.LIMIT_EXCEEDED)
    assert declined.effects == 0
    assert declined.truth in (Truth.DECLINED, Truth.NEVER_RECEIVED)
    assert declined.decline_code is DeclineCode.LIMIT_EXCEEDED
    assert declined.answer_fault is made.answer_fault
    final = [status for status in declined.notices if status is not Status.PENDING]
    assert final == [status for status in (Status.DECLINED,) if declined.notices]


def test_a_conversion_after_a_long_silence_takes_longer_than_any_other() -> None:
    made = [
        plan(5, f"c{number}", Kind.CONVERSION, "", NO_FAULTS, parse_weights(SILENT))
        for number in range(200)
    ]
    silent = [sum(step.delay_seconds for step in each.steps) for each in made if _silent(each)]
    others = [sum(step.delay_seconds for step in each.steps) for each in made if not _silent(each)]
    assert silent
    assert others
    assert min(silent) > 10 * max(others)


SILENT = "executed_after_silence=100"


def _silent(made: Plan) -> bool:
    return made.profile is Profile.EXECUTED_AFTER_SILENCE
