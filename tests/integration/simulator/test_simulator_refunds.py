"""Refunds at the simulated provider: their ways, and never more than was captured."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.events.evidence import DeclineCode, Outcome
from domain.money import Money
from ledger.providers.protocol import Answer
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.faults import AnswerFault
from tallystick.play.simulator.plan import Plan, Truth, plan
from tallystick.play.simulator.profiles import Profile
from tests.servers.simulator_server import (
    FIFTY_EUROS,
    SEED,
    Simulator,
    of_profile,
    refund,
    wait_until,
)

TEN_EUROS = Money(1000, "EUR")


def refund_reference(simulator: Simulator, name: str, wanted: Callable[[Plan], bool]) -> str:
    return simulator.reference(f"refund-{name}", Kind.REFUND, wanted)


def send(simulator: Simulator, reference: str, deposit: str, amount: Money = FIFTY_EUROS) -> Answer:
    return simulator.provider.submit_refund(refund(reference, deposit, amount=amount))


def told(simulator: Simulator, reference: str) -> list[Outcome]:
    return [notice.answer.outcome for notice in simulator.receiver.accepted(reference)]


@pytest.mark.parametrize(
    ("profile", "answers", "notices", "effects"),
    [
        (
            Profile.REFUNDED_AT_ONCE,
            {Outcome.SUCCEEDED},
            [Outcome.SUCCEEDED],
            {"refund": 1},
        ),
        (
            Profile.REFUNDED_LATER,
            {Outcome.PENDING, Outcome.ACCEPTED},
            [Outcome.PENDING, Outcome.SUCCEEDED],
            {"refund": 1},
        ),
        (
            Profile.REFUND_DECLINED,
            {Outcome.DECLINED, Outcome.ACCEPTED},
            [Outcome.DECLINED],
            {},
        ),
        (
            Profile.REFUND_REVERSED,
            {Outcome.PENDING, Outcome.ACCEPTED},
            [Outcome.PENDING, Outcome.SUCCEEDED, Outcome.RETURNED],
            {"refund": 1, "return": 1},
        ),
    ],
)
def test_a_refund_goes_the_way_of_its_profile(
    simulator: Simulator,
    profile: Profile,
    answers: set[Outcome],
    notices: list[Outcome],
    effects: dict[str, int],
) -> None:
    deposit = simulator.succeeded_deposit(f"refunded-{profile}")
    reference = refund_reference(simulator, f"way-{profile}", of_profile(profile))
    assert send(simulator, reference, deposit).outcome in answers
    references = simulator.settle()
    assert told(simulator, reference) == notices
    assert simulator.fetch(reference).outcome is notices[-1]
    assert references[reference]["effects"] == effects
    assert references[deposit]["effects"] == {"deposit": 1}


def test_fifty_submissions_of_one_refund_are_one_refund(simulator: Simulator) -> None:
    deposit = simulator.succeeded_deposit("refunded-in-parallel")
    reference = refund_reference(simulator, "parallel", of_profile(Profile.REFUNDED_LATER))
    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(lambda _: send(simulator, reference, deposit), range(50)))
    references = simulator.settle()
    answers.add(send(simulator, reference, deposit))
    assert len(answers) == 1
    assert references[reference]["calls"] == {"submit": 50, "fetch": 0}
    assert references[reference]["effects"] == {"refund": 1}
    assert told(simulator, reference) == [Outcome.PENDING, Outcome.SUCCEEDED]


def test_the_same_key_for_another_refund_is_refused_and_unknown_to_us(
    simulator: Simulator,
) -> None:
    deposit = simulator.succeeded_deposit("refunded-reused")
    reference = refund_reference(simulator, "reused", of_profile(Profile.REFUNDED_AT_ONCE))
    send(simulator, reference, deposit, TEN_EUROS)
    other = send(simulator, reference, deposit, Money(1001, "EUR"))
    assert (other.outcome, other.raw_code) == (Outcome.UNKNOWN, "422")
    assert simulator.submit(reference, Kind.PAYOUT).outcome is Outcome.UNKNOWN


def test_ten_refunds_at_once_get_no_more_than_was_captured(simulator: Simulator) -> None:
    before = simulator.checks("over_refunds_refused")
    deposit = simulator.succeeded_deposit("refunded-in-parts")
    parts = [
        refund_reference(simulator, f"part-{number}", of_profile(Profile.REFUNDED_LATER))
        for number in range(10)
    ]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda each: send(simulator, each, deposit, TEN_EUROS), parts))
    references = simulator.settle()
    refunded = [each for each in parts if references[each]["effects"] == {"refund": 1}]
    assert len(refunded) == 5
    assert simulator.checks("over_refunds_refused") == before + 5
    for each in set(parts) - set(refunded):
        answer = simulator.fetch(each)
        assert answer.outcome is Outcome.DECLINED
        assert (answer.decline_code, answer.raw_code) == (
            DeclineCode.LIMIT_EXCEEDED,
            "over_refund",
        )
        assert told(simulator, each)[-1] is Outcome.DECLINED


def test_a_refused_refund_stays_refused_and_is_counted_once(simulator: Simulator) -> None:
    before = simulator.checks("over_refunds_refused")
    deposit = simulator.succeeded_deposit("refunded-over")
    reference = refund_reference(simulator, "over", of_profile(Profile.REFUNDED_AT_ONCE))
    more = Money(FIFTY_EUROS.amount + 1, "EUR")
    answers = {send(simulator, reference, deposit, more) for _ in range(3)}
    assert [each.raw_code for each in answers] == ["over_refund"]
    assert simulator.checks("over_refunds_refused") == before + 1


@pytest.mark.parametrize("profile", [Profile.REFUND_DECLINED, Profile.REFUND_REVERSED])
def test_a_refund_that_did_not_stay_may_be_made_again(
    simulator: Simulator, profile: Profile
) -> None:
    deposit = simulator.succeeded_deposit(f"refunded-again-{profile}")
    first = refund_reference(simulator, f"first-{profile}", of_profile(profile))
    send(simulator, first, deposit)
    simulator.settle()
    again = refund_reference(simulator, f"again-{profile}", of_profile(Profile.REFUNDED_AT_ONCE))
    assert send(simulator, again, deposit).outcome is Outcome.SUCCEEDED


def test_only_a_captured_deposit_is_refunded_and_in_its_own_currency(
    simulator: Simulator,
) -> None:
    before = simulator.checks("over_refunds_refused")
    declined = simulator.reference("no-capture", Kind.DEPOSIT, of_profile(Profile.DECLINED))
    payout = simulator.reference("no-deposit", Kind.PAYOUT, of_profile(Profile.PAID_AT_ONCE))
    simulator.submit(declined, Kind.DEPOSIT)
    simulator.submit(payout, Kind.PAYOUT)
    captured = simulator.succeeded_deposit("in-euros")
    simulator.settle()
    at_once = of_profile(Profile.REFUNDED_AT_ONCE)
    for name, of, amount, says in (
        ("of-none", "never-submitted", FIFTY_EUROS, "no_such_deposit"),
        ("of-payout", payout, FIFTY_EUROS, "no_such_deposit"),
        ("of-declined", declined, FIFTY_EUROS, "not_captured"),
        ("of-euros", captured, Money(5000, "USD"), "another_currency"),
    ):
        answer = send(simulator, refund_reference(simulator, name, at_once), of, amount)
        assert (answer.outcome, answer.raw_code) == (Outcome.DECLINED, says)
    assert simulator.checks("over_refunds_refused") == before


def test_a_refund_comes_back_when_the_bank_returns_it(simulator: Simulator) -> None:
    deposit = simulator.succeeded_deposit("refunded-and-back")
    reference = refund_reference(simulator, "back", of_profile(Profile.REFUNDED_AT_ONCE))
    send(simulator, reference, deposit)
    path = f"/v1/payments/{reference}/return"
    wait_until(lambda: simulator.control.post(path).status_code == 202, 5)
    assert simulator.control.post(path).status_code == 409
    assert simulator.settle()[reference]["effects"] == {"refund": 1, "return": 1}
    assert told(simulator, reference) == [Outcome.SUCCEEDED, Outcome.RETURNED]
    assert simulator.fetch(reference).outcome is Outcome.RETURNED


def test_a_dropped_notice_of_a_refund_leaves_the_outcome_to_a_question(
    simulator: Simulator,
) -> None:
    deposit = simulator.succeeded_deposit("refunded-unheard")
    simulator.use("drop=1")
    reference = refund_reference(simulator, "unheard", of_profile(Profile.REFUNDED_LATER))
    send(simulator, reference, deposit)
    simulator.settle()
    assert told(simulator, reference) == []
    assert simulator.fetch(reference).outcome is Outcome.SUCCEEDED


def test_a_wrong_amount_of_a_refund_is_stated_everywhere(simulator: Simulator) -> None:
    deposit = simulator.succeeded_deposit("refunded-wrongly")
    faults = simulator.use("wrong_amount=1,duplicate=1,alter=1")
    reference = refund_reference(simulator, "wrong", of_profile(Profile.REFUNDED_AT_ONCE))
    answer = send(simulator, reference, deposit)
    simulator.settle()
    expected = plan(SEED, reference, Kind.REFUND, "", faults).reported(FIFTY_EUROS)
    notices = simulator.receiver.accepted(reference)
    assert expected != FIFTY_EUROS
    assert {answer.amount, *(each.answer.amount for each in notices)} == {expected}
    assert len(notices) == 3
    assert len({each.message_id for each in notices}) == 2


def test_a_deposit_that_states_more_than_was_asked_for_may_be_refunded_as_stated(
    simulator: Simulator,
) -> None:
    before = simulator.checks("over_refunds_refused")
    faults = simulator.use("wrong_amount=1")

    def states_more(made: Plan) -> bool:
        stated = made.reported(FIFTY_EUROS)
        at_once = made.profile is Profile.IMMEDIATE_SUCCESS
        return at_once and stated.currency == "EUR" and stated.amount > FIFTY_EUROS.amount

    deposit = simulator.reference("states-more", Kind.DEPOSIT, states_more)
    stated = plan(SEED, deposit, Kind.DEPOSIT, "card", faults).reported(FIFTY_EUROS)
    simulator.submit(deposit, Kind.DEPOSIT)
    wait_until(lambda: simulator.fetch(deposit).amount == stated, 5)
    simulator.use("none")
    at_once = of_profile(Profile.REFUNDED_AT_ONCE)
    over = Money(stated.amount + 1, "EUR")
    too_much = send(simulator, refund_reference(simulator, "above-stated", at_once), deposit, over)
    assert (too_much.outcome, too_much.raw_code) == (Outcome.DECLINED, "over_refund")
    assert simulator.checks("over_refunds_refused") == before + 1
    all_of_it = refund_reference(simulator, "as-stated", at_once)
    assert send(simulator, all_of_it, deposit, stated).outcome is Outcome.SUCCEEDED


def test_a_refund_declined_and_paid_all_the_same_is_not_paid_a_second_time(
    simulator: Simulator,
) -> None:
    deposit = simulator.succeeded_deposit("refunded-late")
    before = simulator.checks("over_refunds_refused")
    simulator.use("contradiction=1")
    first = refund_reference(simulator, "late", of_profile(Profile.REFUND_DECLINED))
    # The first notice is not taken yet, so the second outcome does not exist for anybody.
    simulator.receiver.answer = lambda notice: 503 if notice.reference == first else 204
    send(simulator, first, deposit)
    wait_until(lambda: simulator.fetch(first).outcome is Outcome.DECLINED, 5)
    simulator.use("none")
    second = refund_reference(simulator, "second", of_profile(Profile.REFUNDED_AT_ONCE))
    answer = send(simulator, second, deposit)
    assert (answer.outcome, answer.raw_code) == (Outcome.DECLINED, "earlier_refund_in_work")
    simulator.receiver.answer = lambda notice: 204
    references = simulator.settle()
    assert told(simulator, first) == [Outcome.DECLINED, Outcome.SUCCEEDED]
    assert (references[first]["effects"], references[second]["effects"]) == ({"refund": 1}, {})
    assert simulator.checks("over_refunds_refused") == before, "the caller could not know"


@pytest.mark.parametrize(
    ("faults", "answer_fault"),
    [
        ("timeout_after_effect=1", AnswerFault.SILENCE),
        ("timeout_after_effect=1", AnswerFault.HANG_UP),
        ("server_error=1", AnswerFault.ERROR_AFTER_EFFECT),
        ("garbage=1", AnswerFault.GARBAGE),
    ],
)
def test_a_lost_answer_is_unknown_although_the_deposit_went_back(
    simulator: Simulator, faults: str, answer_fault: AnswerFault
) -> None:
    deposit = simulator.succeeded_deposit(f"refunded-unknown-{answer_fault}")
    simulator.use(faults)
    reference = refund_reference(
        simulator,
        f"lost-{answer_fault}",
        lambda made: made.answer_fault is answer_fault and made.profile is Profile.REFUNDED_AT_ONCE,
    )
    asked = refund(reference, deposit, timeout_seconds=0.3)
    assert simulator.provider.submit_refund(asked).outcome is Outcome.UNKNOWN
    assert simulator.fetch(reference).outcome is Outcome.SUCCEEDED
    assert simulator.provider.submit_refund(asked).outcome is Outcome.SUCCEEDED
    assert simulator.settle()[reference]["effects"] == {"refund": 1}


def test_an_error_before_a_refund_leaves_no_trace_and_takes_nothing(simulator: Simulator) -> None:
    deposit = simulator.succeeded_deposit("refunded-never")
    simulator.use("server_error=1")
    reference = refund_reference(
        simulator, "before", lambda made: made.truth is Truth.NEVER_RECEIVED
    )
    assert send(simulator, reference, deposit).outcome is Outcome.UNKNOWN
    assert simulator.fetch(reference).outcome is Outcome.NOT_FOUND
    simulator.use("none")
    other = refund_reference(simulator, "instead", of_profile(Profile.REFUNDED_AT_ONCE))
    assert send(simulator, other, deposit).outcome is Outcome.SUCCEEDED


def test_a_disputed_deposit_is_refunded_neither_before_nor_after_the_dispute_began(
    simulator: Simulator,
) -> None:
    simulator.use("dispute=1")
    deposit = simulator.succeeded_deposit("refunded-disputed")
    at_once = of_profile(Profile.REFUNDED_AT_ONCE)
    first = send(simulator, refund_reference(simulator, "before-dispute", at_once), deposit)
    wait_until(lambda: bool(simulator.receiver.disputed(deposit)), 5)
    second = send(simulator, refund_reference(simulator, "after-dispute", at_once), deposit)
    assert {(each.outcome, each.raw_code) for each in (first, second)} == {
        (Outcome.DECLINED, "disputed")
    }
