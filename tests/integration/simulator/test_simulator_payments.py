"""Deposits and payouts at the simulated provider: their ways, and one effect for each key."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from domain.events.evidence import DeclineCode, Outcome
from domain.money import Money
from ledger.providers.simulator.adapter import SimulatorProvider
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.plan import plan
from tallystick.play.simulator.profiles import Profile
from tests.servers.simulator_server import (
    FIFTY_EUROS,
    SECRET,
    SEED,
    Simulator,
    of_profile,
    submission,
    wait_until,
)


@pytest.mark.parametrize(
    ("profile", "kind", "method", "answers", "last"),
    [
        (Profile.IMMEDIATE_SUCCESS, Kind.DEPOSIT, "card", {Outcome.SUCCEEDED}, Outcome.SUCCEEDED),
        (Profile.LATER_SUCCESS, Kind.DEPOSIT, "card", {Outcome.ACCEPTED}, Outcome.SUCCEEDED),
        (
            Profile.AUTHORISED_CAPTURED,
            Kind.DEPOSIT,
            "card",
            {Outcome.AUTHORISED, Outcome.ACCEPTED},
            Outcome.SUCCEEDED,
        ),
        (
            Profile.AUTHORISED_VOIDED,
            Kind.DEPOSIT,
            "card",
            {Outcome.AUTHORISED, Outcome.ACCEPTED},
            Outcome.VOIDED,
        ),
        (
            Profile.DECLINED,
            Kind.DEPOSIT,
            "card",
            {Outcome.DECLINED, Outcome.ACCEPTED},
            Outcome.DECLINED,
        ),
        (Profile.PAID_AT_ONCE, Kind.PAYOUT, "card", {Outcome.SUCCEEDED}, Outcome.SUCCEEDED),
        (Profile.PAID_LATER, Kind.PAYOUT, "card", {Outcome.ACCEPTED}, Outcome.SUCCEEDED),
        (Profile.PAYOUT_RETURNED, Kind.PAYOUT, "card", {Outcome.ACCEPTED}, Outcome.RETURNED),
    ],
)
def test_a_payment_goes_the_way_of_its_profile(
    simulator: Simulator,
    profile: Profile,
    kind: Kind,
    method: str,
    answers: set[Outcome],
    last: Outcome,
) -> None:
    reference = simulator.reference(f"way-{profile}", kind, of_profile(profile))
    assert simulator.submit(reference, kind, method).outcome in answers
    simulator.settle()
    assert simulator.fetch(reference).outcome is last
    notices = [notice.answer.outcome for notice in simulator.receiver.accepted(reference)]
    assert notices == [
        Outcome(status) for status in plan(SEED, reference, kind, method, simulator.faults).notices
    ]
    assert notices[-1] is last


def test_a_player_is_sent_to_a_page_and_pays_declines_or_never_comes_back(
    simulator: Simulator,
) -> None:
    ends = Counter[Outcome]()
    for number in range(30):
        answer = simulator.submit(f"player-{number}", Kind.DEPOSIT, "redirect")
        assert answer.outcome is Outcome.AWAITING_PLAYER
        assert answer.redirect_url is not None
        assert answer.redirect_url.startswith(f"{simulator.url}/pay/")
        assert httpx2.get(answer.redirect_url).status_code == 200
    simulator.settle()
    for number in range(30):
        ends[simulator.fetch(f"player-{number}").outcome] += 1
    assert set(ends) == {Outcome.SUCCEEDED, Outcome.DECLINED, Outcome.AWAITING_PLAYER}


def test_a_decline_carries_our_code_and_that_of_the_scheme(simulator: Simulator) -> None:
    hard = of_profile(Profile.PAYOUT_DECLINED_HARD)
    reference = simulator.reference("hard", Kind.PAYOUT, hard)
    simulator.submit(reference, Kind.PAYOUT)
    simulator.settle()
    answer = simulator.fetch(reference)
    assert (answer.decline_code, answer.raw_code) == (DeclineCode.ACCOUNT_CLOSED, "AC04")
    assert answer.amount is None


def test_a_success_states_amount_fee_and_the_providers_reference(simulator: Simulator) -> None:
    reference = simulator.reference(
        "fee",
        Kind.DEPOSIT,
        lambda made: made.profile is Profile.IMMEDIATE_SUCCESS and made.fee_basis_points == 150,
    )
    answer = simulator.submit(reference, Kind.DEPOSIT)
    assert (answer.amount, answer.fee) == (FIFTY_EUROS, Money(75, "EUR"))
    assert answer.provider_reference is not None
    assert answer == simulator.fetch(reference)


def test_a_paid_payout_comes_back_when_the_bank_returns_it(simulator: Simulator) -> None:
    reference = simulator.reference("back", Kind.PAYOUT, of_profile(Profile.PAID_AT_ONCE))
    path = f"/v1/payments/{reference}/return"
    assert simulator.control.post(path).status_code == 404
    simulator.submit(reference, Kind.PAYOUT)
    wait_until(lambda: simulator.fetch(reference).outcome is Outcome.SUCCEEDED, 5)
    assert simulator.control.post(path).status_code == 202
    assert simulator.control.post(path).status_code == 409
    references = simulator.settle()
    assert references[reference]["effects"] == {"payout": 1, "return": 1}
    notices = [notice.answer for notice in simulator.receiver.accepted(reference)]
    assert [each.outcome for each in notices] == [Outcome.SUCCEEDED, Outcome.RETURNED]
    assert notices[-1].amount == FIFTY_EUROS


def test_what_came_back_is_paid_again_at_another_time_and_may_come_back_again(
    simulator: Simulator,
) -> None:
    reference = simulator.reference("forth", Kind.PAYOUT, of_profile(Profile.PAID_AT_ONCE))
    path = f"/v1/payments/{reference}"
    assert simulator.control.post(f"{path}/pay-again").status_code == 404
    simulator.submit(reference, Kind.PAYOUT)
    wait_until(lambda: simulator.fetch(reference).outcome is Outcome.SUCCEEDED, 5)
    assert simulator.control.post(f"{path}/pay-again").status_code == 409
    for action in ("return", "pay-again", "return"):
        assert simulator.control.post(f"{path}/{action}").status_code == 202
        assert simulator.control.post(f"{path}/{action}").status_code == 409
        effects = simulator.settle()[reference]["effects"]
    assert effects == {"payout": 2, "return": 2}
    notices = [notice.answer for notice in simulator.receiver.accepted(reference)]
    there, back = Outcome.SUCCEEDED, Outcome.RETURNED
    assert [each.outcome for each in notices] == [there, back, there, back]
    times = [each.happened_at for each in notices if each.happened_at]
    assert times == sorted(set(times))
    assert simulator.fetch(reference).happened_at == times[-1]


def test_the_same_key_gives_the_same_answer_and_no_second_effect(simulator: Simulator) -> None:
    reference = simulator.reference("again", Kind.DEPOSIT, of_profile(Profile.LATER_SUCCESS))
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: simulator.submit(reference, Kind.DEPOSIT), range(16)))
    references = simulator.settle()
    answers.add(simulator.submit(reference, Kind.DEPOSIT))
    assert len(answers) == 1
    assert references[reference]["calls"] == {"submit": 16, "fetch": 0}
    assert references[reference]["effects"] == {"deposit": 1}
    assert len(simulator.receiver.accepted(reference)) == 1


def test_the_same_key_with_another_request_is_refused_and_unknown_to_us(
    simulator: Simulator,
) -> None:
    simulator.submit("reused", Kind.DEPOSIT)
    other = simulator.provider.submit_deposit(submission("reused", amount=Money(1, "EUR")))
    assert (other.outcome, other.raw_code) == (Outcome.UNKNOWN, "422")
    assert simulator.submit("reused", Kind.PAYOUT).outcome is Outcome.UNKNOWN


def test_an_unknown_reference_is_not_found(simulator: Simulator) -> None:
    assert simulator.fetch("never-submitted").outcome is Outcome.NOT_FOUND


def test_a_wrong_token_is_refused_before_anything_happens(simulator: Simulator) -> None:
    stranger = SimulatorProvider(simulator.url, SECRET, "wrong")
    assert stranger.submit_deposit(submission("stranger")).outcome is Outcome.NOT_SENT
    assert stranger.fetch("stranger", timeout_seconds=5).outcome is Outcome.UNKNOWN
    assert simulator.fetch("stranger").outcome is Outcome.NOT_FOUND
    assert httpx2.get(f"{simulator.url}/v1/statistics").status_code == 401


@pytest.mark.parametrize("reference", ["a b", "a\n", "", "a" * 101])
def test_a_reference_that_is_no_reference_is_refused(simulator: Simulator, reference: str) -> None:
    assert simulator.submit(reference, Kind.DEPOSIT).outcome is Outcome.NOT_SENT
    assert simulator.fetch(reference).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("amount", [Money(0, "EUR"), Money(100, "XXX")])
def test_an_impossible_amount_is_refused_before_anything_happens(
    simulator: Simulator, amount: Money
) -> None:
    answer = simulator.provider.submit_deposit(submission("impossible", amount=amount))
    assert answer.outcome is Outcome.NOT_SENT
    assert simulator.fetch("impossible").outcome is Outcome.NOT_FOUND
