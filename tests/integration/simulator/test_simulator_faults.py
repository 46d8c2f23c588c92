"""What the simulated provider gets wrong when it is told to, one fault at a time."""

import time
from collections import Counter

import pytest

from domain.events.evidence import Outcome
from ledger.providers.protocol import DisputeNotice, ProviderNotice
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.faults import AnswerFault
from tallystick.play.simulator.plan import Truth, plan
from tallystick.play.simulator.profiles import Profile
from tests.servers.simulator_server import (
    FIFTY_EUROS,
    SEED,
    TIME_SCALE,
    Simulator,
    of_profile,
    submission,
)


def test_a_duplicate_comes_twice_under_one_id_and_once_under_another(
    simulator: Simulator,
) -> None:
    simulator.use("duplicate=1")
    simulator.submit("twice", Kind.DEPOSIT)
    simulator.settle()
    notices = simulator.receiver.accepted("twice")
    last = notices[-1].answer
    ids = Counter(notice.message_id for notice in notices if notice.answer == last)
    assert sorted(ids.values()) == [1, 2]


def test_a_reordered_notice_tells_the_older_status_after_the_newer(simulator: Simulator) -> None:
    simulator.use("reorder=1")
    captured = of_profile(Profile.AUTHORISED_CAPTURED)
    reference = simulator.reference("reordered", Kind.DEPOSIT, captured)
    simulator.submit(reference, Kind.DEPOSIT)
    simulator.settle()
    notices = [notice.answer.outcome for notice in simulator.receiver.accepted(reference)]
    assert notices == [Outcome.SUCCEEDED, Outcome.AUTHORISED]


def test_a_delayed_notice_comes_long_after_the_status_it_tells(simulator: Simulator) -> None:
    simulator.use("delay=1")
    reference = simulator.reference(
        "delayed",
        Kind.DEPOSIT,
        lambda made: bool(made.steps) and made.steps[-1].notice_delay_seconds > 9,
    )
    submitted_at_seconds = time.monotonic()
    simulator.submit(reference, Kind.DEPOSIT)
    simulator.settle()
    last = [
        each.at_seconds
        for each in simulator.receiver.received
        if each.notice and each.notice.reference == reference
    ][-1]
    assert last - submitted_at_seconds > 9 * TIME_SCALE


def test_a_dropped_notice_leaves_the_outcome_to_a_question(simulator: Simulator) -> None:
    simulator.use("drop=1")
    before = simulator.webhooks()["dropped"]
    reference = simulator.reference("dropped", Kind.DEPOSIT, of_profile(Profile.LATER_SUCCESS))
    simulator.submit(reference, Kind.DEPOSIT)
    references = simulator.settle()
    assert simulator.receiver.accepted(reference) == []
    assert simulator.webhooks()["dropped"] == before + 1
    assert simulator.fetch(reference).outcome is Outcome.SUCCEEDED
    assert references[reference]["effects"] == {"deposit": 1}


@pytest.mark.parametrize("fault", ["truncate", "alter"])
def test_a_damaged_notice_is_refused_and_sent_again_undamaged(
    simulator: Simulator, fault: str
) -> None:
    before = simulator.webhooks()
    refused_before = sum(each.notice is None for each in simulator.receiver.received)
    simulator.use(f"{fault}=1")
    simulator.submit(f"damaged-by-{fault}", Kind.DEPOSIT)
    simulator.settle()
    refused = sum(each.notice is None for each in simulator.receiver.received) - refused_before
    assert refused == 1
    after = simulator.webhooks()
    assert after["damaged"] == before["damaged"] + 1
    assert after["damaged_acknowledged"] == 0
    assert simulator.receiver.accepted(f"damaged-by-{fault}")


def test_a_wrong_amount_is_stated_everywhere(simulator: Simulator) -> None:
    faults = simulator.use("wrong_amount=1")
    reference = simulator.reference("wrong", Kind.DEPOSIT, of_profile(Profile.IMMEDIATE_SUCCESS))
    answer = simulator.submit(reference, Kind.DEPOSIT)
    simulator.settle()
    expected = plan(SEED, reference, Kind.DEPOSIT, "card", faults).reported(FIFTY_EUROS)
    assert expected != FIFTY_EUROS
    told = simulator.receiver.accepted(reference)[-1].answer
    assert {answer.amount, told.amount, simulator.fetch(reference).amount} == {expected}


@pytest.mark.parametrize(
    ("profile", "told", "last"),
    [
        (Profile.LATER_SUCCESS, [Outcome.SUCCEEDED, Outcome.DECLINED], Outcome.SUCCEEDED),
        (Profile.DECLINED, [Outcome.DECLINED, Outcome.SUCCEEDED], Outcome.SUCCEEDED),
    ],
)
def test_a_contradiction_waits_until_the_first_outcome_was_acknowledged(
    simulator: Simulator, profile: Profile, told: list[Outcome], last: Outcome
) -> None:
    simulator.use("contradiction=1")
    reference = simulator.reference(f"contra-{profile}", Kind.DEPOSIT, of_profile(profile))
    refusals = 3

    def refuse_thrice(notice: ProviderNotice | DisputeNotice) -> int:
        seen = sum(
            each.notice is not None and each.notice.reference == reference
            for each in simulator.receiver.received
        )
        return 503 if notice.reference == reference and seen < refusals else 204

    simulator.receiver.answer = refuse_thrice
    simulator.submit(reference, Kind.DEPOSIT)
    references = simulator.settle()
    deliveries = [
        each
        for each in simulator.receiver.received
        if each.notice and each.notice.reference == reference
    ]
    assert [each.status_code for each in deliveries] == [503] * refusals + [204, 204]
    outcomes = [
        each.notice.answer.outcome for each in deliveries if isinstance(each.notice, ProviderNotice)
    ]
    assert outcomes == [told[0]] * (refusals + 1) + [told[1]]
    assert deliveries[-1].at_seconds - deliveries[-2].at_seconds >= 0.05
    assert simulator.fetch(reference).outcome is last
    assert references[reference]["effects"] == {"deposit": 1}


@pytest.mark.parametrize(
    ("faults", "answer_fault"),
    [
        ("timeout_after_effect=1", AnswerFault.SILENCE),
        ("timeout_after_effect=1", AnswerFault.HANG_UP),
        ("server_error=1", AnswerFault.ERROR_AFTER_EFFECT),
        ("garbage=1", AnswerFault.GARBAGE),
    ],
)
def test_a_lost_answer_is_unknown_although_the_money_moved(
    simulator: Simulator, faults: str, answer_fault: AnswerFault
) -> None:
    simulator.use(faults)
    reference = simulator.reference(
        f"lost-{answer_fault}",
        Kind.PAYOUT,
        lambda made: made.answer_fault is answer_fault and made.profile is Profile.PAID_AT_ONCE,
    )
    asked = submission(reference, timeout_seconds=0.3)
    assert simulator.provider.submit_payout(asked).outcome is Outcome.UNKNOWN
    assert simulator.fetch(reference).outcome is Outcome.SUCCEEDED
    again = simulator.provider.submit_payout(asked)
    assert again.outcome is Outcome.SUCCEEDED, "a repetition is answered properly"
    assert simulator.settle()[reference]["effects"] == {"payout": 1}


def test_an_error_before_the_effect_leaves_no_trace_however_often_it_is_tried(
    simulator: Simulator,
) -> None:
    simulator.use("server_error=1")
    reference = simulator.reference(
        "before", Kind.DEPOSIT, lambda made: made.truth is Truth.NEVER_RECEIVED
    )
    for _ in range(2):
        assert simulator.submit(reference, Kind.DEPOSIT).outcome is Outcome.UNKNOWN
        assert simulator.fetch(reference).outcome is Outcome.NOT_FOUND
    references = simulator.settle()
    assert references[reference]["calls"] == {"submit": 2, "fetch": 2}
    assert references[reference]["effects"] == {}
    assert simulator.receiver.accepted(reference) == []


def test_an_outage_refuses_everything_and_holds_the_webhooks_back(simulator: Simulator) -> None:
    reference = simulator.reference("outage", Kind.DEPOSIT, of_profile(Profile.LATER_SUCCESS))
    simulator.receiver.answer = lambda notice: 503
    simulator.submit(reference, Kind.DEPOSIT)
    simulator.use("outage=1")
    assert not simulator.provider.health_probe(timeout_seconds=2)
    for number in range(8):
        assert simulator.submit(f"during-{number}", Kind.DEPOSIT).outcome is Outcome.UNKNOWN
    assert simulator.fetch(reference).outcome is Outcome.UNKNOWN
    simulator.receiver.answer = lambda notice: 204
    time.sleep(0.5)
    assert simulator.receiver.accepted(reference) == []
    assert not simulator.statistics()["idle"]

    simulator.use("none")
    assert simulator.provider.health_probe(timeout_seconds=2)
    references = simulator.settle()
    assert len(simulator.receiver.accepted(reference)) == 1
    assert simulator.fetch("during-0").outcome is Outcome.NOT_FOUND
    assert references["during-0"]["effects"] == {}


def test_unknown_faults_are_refused_at_run_time(simulator: Simulator) -> None:
    answer = simulator.control.put("/v1/faults", json={"faults": "dorp=1"})
    assert answer.status_code == 400
    assert "dorp" in answer.json()["detail"]
