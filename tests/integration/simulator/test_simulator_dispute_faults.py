"""Disputes at the simulated provider in every odd order: all their news arrive in the end."""

import time
from collections import Counter

import pytest

from domain.events.evidence import DisputeNews
from ledger.providers.protocol import DisputeNotice
from tallystick.play.simulator.profiles import DisputeProfile
from tests.integration.simulator.simulator_disputes import (
    CONTESTED,
    TWICE,
    contest_one,
    play,
    told,
    wait_for_evidence_due,
)
from tests.servers.simulator_server import TIME_SCALE, Simulator, wait_until


@pytest.mark.parametrize("number", range(4))
def test_reordered_news_of_a_dispute_all_arrive_in_the_order_of_the_plan(
    simulator: Simulator, number: int
) -> None:
    deposit, dispute = contest_one(
        simulator,
        f"reordered-{number}",
        DisputeProfile.PRE_ARBITRATION_WON,
        faults="dispute=1,reorder=1",
    )
    play(simulator, deposit, dispute, TWICE)
    assert told(simulator, deposit) == dispute.delivered(TWICE) != dispute.story(TWICE)
    # Each says when it happened, however late it comes.
    happened = sorted(simulator.receiver.disputed(deposit), key=lambda each: each.sent_at)
    assert tuple((each.stage, each.news) for each in happened) == dispute.story(TWICE)


def test_a_withdrawal_may_be_heard_of_before_its_inquiry(simulator: Simulator) -> None:
    deposit, _ = contest_one(
        simulator,
        "backwards",
        DisputeProfile.INQUIRY_WITHDRAWN,
        faults="dispute=1,reorder=1",
    )
    wait_until(lambda: len(simulator.receiver.disputed(deposit)) == 2, 5)
    assert [each for _, each in told(simulator, deposit)] == [
        DisputeNews.WITHDRAWN,
        DisputeNews.OPENED,
    ]


def test_dropped_news_of_a_dispute_come_after_all_the_others(simulator: Simulator) -> None:
    # A deposit whose own webhook is dropped is never disputed, so only some are left.
    deposit, dispute = contest_one(
        simulator,
        "dropped",
        DisputeProfile.CHARGEBACK_WON,
        faults="dispute=1,drop=0.5",
        also=lambda made: made.lost_first is not None,
    )
    play(simulator, deposit, dispute, CONTESTED)
    assert told(simulator, deposit) == dispute.delivered(CONTESTED)
    assert sorted(told(simulator, deposit)) == sorted(dispute.story(CONTESTED))


def test_duplicated_news_come_twice_under_one_id_and_once_under_another(
    simulator: Simulator,
) -> None:
    deposit, dispute = contest_one(
        simulator, "doubled", DisputeProfile.CHARGEBACK_LOST, faults="dispute=1,duplicate=1"
    )
    play(simulator, deposit, dispute, CONTESTED)
    notices = simulator.receiver.disputed(deposit)
    for news in dispute.story(CONTESTED):
        ids = Counter(each.message_id for each in notices if (each.stage, each.news) == news)
        assert sorted(ids.values()) == [1, 2], news
    assert told(simulator, deposit) == dispute.story(CONTESTED)


@pytest.mark.parametrize("fault", ["truncate", "alter"])
def test_damaged_news_of_a_dispute_are_refused_and_sent_again_undamaged(
    simulator: Simulator, fault: str
) -> None:
    refused_before = sum(each.notice is None for each in simulator.receiver.received)
    deposit, dispute = contest_one(
        simulator, f"{fault}d", DisputeProfile.CHARGEBACK_LOST, faults=f"dispute=1,{fault}=1"
    )
    play(simulator, deposit, dispute, CONTESTED)
    assert told(simulator, deposit) == dispute.story(CONTESTED)
    refused = sum(each.notice is None for each in simulator.receiver.received) - refused_before
    # One more for the deposit's own notice.
    assert refused == len(dispute.story(CONTESTED)) + 1
    assert simulator.webhooks()["damaged_acknowledged"] == 0


def test_delayed_news_of_the_end_come_late(simulator: Simulator) -> None:
    deposit, dispute = contest_one(
        simulator, "delayed", DisputeProfile.CHARGEBACK_WON, faults="dispute=1,delay=1"
    )
    wait_for_evidence_due(simulator, deposit)
    answered_at_seconds = time.monotonic()
    play(simulator, deposit, dispute, CONTESTED)
    assert told(simulator, deposit) == dispute.story(CONTESTED)
    assert time.monotonic() - answered_at_seconds > dispute.late_seconds * TIME_SCALE > 0


def test_news_of_a_dispute_wait_for_a_receiver_that_refuses_them(simulator: Simulator) -> None:
    refused = Counter[str]()

    def refuse_twice(notice: object) -> int:
        if not isinstance(notice, DisputeNotice) or refused[notice.message_id] == 2:
            return 204
        refused[notice.message_id] += 1
        return 500

    simulator.receiver.answer = refuse_twice
    deposit, dispute = contest_one(simulator, "refused", DisputeProfile.CHARGEBACK_WON)
    play(simulator, deposit, dispute, CONTESTED)
    assert told(simulator, deposit) == dispute.story(CONTESTED)
    assert len(refused) == len(dispute.story(CONTESTED))
