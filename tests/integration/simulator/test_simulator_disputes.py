"""Disputes at the simulated provider: stories that follow the plan, each round answered once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from domain.events.evidence import DisputeNews, DisputeStage, Outcome
from domain.money import Money
from ledger.providers.protocol import Answer, DisputeAnswer
from ledger.providers.simulator.adapter import SimulatorProvider
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.dispute_plan import DisputePlan, Response
from tallystick.play.simulator.faults import AnswerFault
from tallystick.play.simulator.plan import plan
from tallystick.play.simulator.profiles import DisputeProfile
from tests.integration.simulator.simulator_disputes import (
    AGAIN,
    CHARGEBACK,
    CONTESTED,
    TWICE,
    answer,
    contest_one,
    play,
    told,
    wait_for_evidence_due,
)
from tests.servers.simulator_server import (
    FIFTY_EUROS,
    SECRET,
    SEED,
    TOKEN,
    Simulator,
    answering,
    free_port,
    running,
    server,
    submission,
    wait_until,
)

EVIDENCE_SECONDS = 1.0


@pytest.fixture(scope="module")
def impatient() -> Iterator[Simulator]:
    """A simulator whose disputes wait for an answer for a moment only."""
    with running("--evidence-seconds", str(EVIDENCE_SECONDS)) as simulator:
        yield simulator


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (DisputeProfile.INQUIRY_WITHDRAWN, {}),
        (DisputeProfile.CHARGEBACK_WON, CONTESTED),
        (DisputeProfile.CHARGEBACK_WON, {CHARGEBACK: Response.ACCEPTED}),
        (DisputeProfile.CHARGEBACK_LOST, CONTESTED),
        (DisputeProfile.PRE_ARBITRATION_WON, TWICE),
        (DisputeProfile.PRE_ARBITRATION_LOST, TWICE),
        (DisputeProfile.PRE_ARBITRATION_LOST, CONTESTED | {AGAIN: Response.ACCEPTED}),
    ],
)
def test_a_dispute_goes_the_way_of_its_plan_and_the_answers(
    simulator: Simulator, profile: DisputeProfile, said: dict[DisputeStage, Response]
) -> None:
    name = "-".join(("story", *(f"{stage}-{each}" for stage, each in said.items())))
    deposit, dispute = contest_one(simulator, name, profile)
    play(simulator, deposit, dispute, said)
    assert told(simulator, deposit) == dispute.story(said)
    of_this = simulator.disputes()[dispute.reference]
    assert of_this["payment"] == deposit
    assert of_this["funds_taken"] is dispute.takes_money(said)
    assert of_this["over"] is True
    assert simulator.fetch(deposit).outcome is Outcome.SUCCEEDED, "the payment itself stays"
    assert [each.answer.outcome for each in simulator.receiver.accepted(deposit)] == [
        Outcome.SUCCEEDED
    ]


@pytest.mark.parametrize("taken_at_opening", [True, False])
def test_a_dispute_that_nobody_answers_expires_and_takes_the_money(
    impatient: Simulator, taken_at_opening: bool
) -> None:
    deposit, dispute = contest_one(
        impatient,
        "silent",
        DisputeProfile.CHARGEBACK_WON,
        also=lambda made: made.rounds[0].funds_at_opening is taken_at_opening,
    )
    due = wait_for_evidence_due(impatient, deposit)
    wait_until(lambda: impatient.disputes()[dispute.reference]["over"] is True, 5)
    assert told(impatient, deposit) == dispute.story()
    assert (CHARGEBACK, DisputeNews.EXPIRED) in told(impatient, deposit)
    assert impatient.disputes()[dispute.reference]["funds_taken"] is True
    expired = [
        each for each in impatient.receiver.disputed(deposit) if each.news is DisputeNews.EXPIRED
    ]
    assert due.evidence_due_at is not None
    assert expired[0].sent_at >= due.evidence_due_at
    assert answer(impatient, dispute).outcome is Outcome.DECLINED, "too late"


def test_a_second_round_that_nobody_answers_expires(impatient: Simulator) -> None:
    deposit, dispute = contest_one(impatient, "once", DisputeProfile.PRE_ARBITRATION_WON)
    wait_for_evidence_due(impatient, deposit)
    assert answer(impatient, dispute, stage=CHARGEBACK).outcome is Outcome.ACCEPTED
    wait_until(lambda: impatient.disputes()[dispute.reference]["over"] is True, 5)
    assert told(impatient, deposit) == dispute.story(CONTESTED)
    assert told(impatient, deposit)[-1][1] in (DisputeNews.EXPIRED, DisputeNews.FUNDS_WITHDRAWN)


def test_a_notice_says_what_is_contested_why_and_until_when(simulator: Simulator) -> None:
    half, made = contest_one(
        simulator, "half", DisputeProfile.CHARGEBACK_LOST, also=lambda made: made.half
    )
    due = wait_for_evidence_due(simulator, half)
    assert (due.dispute_reference, due.reason_code) == (made.reference, made.reason_code)
    assert due.amount == Money(FIFTY_EUROS.amount // 2, "EUR")
    assert due.evidence_due_at is not None
    left = due.evidence_due_at - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    others = [each for each in simulator.receiver.disputed(half) if each.news is not due.news]
    assert {each.evidence_due_at for each in others} == {None}

    whole, _ = contest_one(
        simulator, "whole", DisputeProfile.CHARGEBACK_LOST, also=lambda made: not made.half
    )
    assert wait_for_evidence_due(simulator, whole).amount == FIFTY_EUROS


def test_nothing_is_disputed_unless_it_is_asked_for(simulator: Simulator) -> None:
    before = len(simulator.disputes())
    simulator.use("demo")
    for number in range(20):
        simulator.submit(f"undisputed-{number}", Kind.DEPOSIT)
    simulator.settle()
    assert len(simulator.disputes()) == before


def test_a_dispute_that_waits_for_an_answer_keeps_nobody_waiting(simulator: Simulator) -> None:
    deposit, dispute = contest_one(simulator, "waits", DisputeProfile.CHARGEBACK_WON)
    wait_for_evidence_due(simulator, deposit)
    simulator.settle()
    assert simulator.disputes()[dispute.reference]["waits"] == "chargeback"
    assert answer(simulator, dispute).outcome is Outcome.ACCEPTED
    simulator.settle()
    assert simulator.disputes()[dispute.reference]["over"] is True, "idle only once it is over"


# Answers


def test_fifty_answers_to_one_dispute_are_one_answer(simulator: Simulator) -> None:
    deposit, dispute = contest_one(simulator, "fifty", DisputeProfile.CHARGEBACK_WON)
    wait_for_evidence_due(simulator, deposit)
    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(lambda _: answer(simulator, dispute), range(50)))
    simulator.settle()
    answers.add(answer(simulator, dispute))
    assert answers == {Answer(outcome=Outcome.ACCEPTED)}
    of_this = simulator.disputes()[dispute.reference]
    assert (of_this["calls"], of_this["answers"]) == (51, {"chargeback": "contested"})
    assert told(simulator, deposit) == dispute.story(CONTESTED)
    assert len(simulator.receiver.disputed(deposit)) == len(dispute.story(CONTESTED))


def test_another_answer_is_declined_and_changes_nothing(simulator: Simulator) -> None:
    deposit, dispute = contest_one(simulator, "other", DisputeProfile.CHARGEBACK_WON)
    wait_for_evidence_due(simulator, deposit)
    answer(simulator, dispute)
    for other in (
        answer(simulator, dispute, accept=True),
        answer(simulator, dispute, note="something else"),
    ):
        assert (other.outcome, other.raw_code) == (Outcome.DECLINED, "not_answerable")
    simulator.settle()
    assert told(simulator, deposit) == dispute.story(CONTESTED)


def test_an_inquiry_awaits_no_answer(simulator: Simulator) -> None:
    deposit, dispute = contest_one(simulator, "inquiry", DisputeProfile.INQUIRY_WITHDRAWN)
    wait_until(lambda: bool(simulator.receiver.disputed(deposit)), 5)
    assert answer(simulator, dispute).outcome is Outcome.DECLINED
    simulator.settle()
    assert told(simulator, deposit) == dispute.story()


@pytest.mark.parametrize(
    ("reference", "outcome"),
    [
        ("dsp_unheard-of", Outcome.NOT_FOUND),
        # The slash takes it past the simulator's own paths: a 404, and not about the dispute.
        ("dsp_unheard/of", Outcome.UNKNOWN),
    ],
)
def test_an_answer_to_no_dispute_is_not_found(
    simulator: Simulator, reference: str, outcome: Outcome
) -> None:
    unheard = DisputeAnswer(
        dispute_reference=reference, accept=True, note="", documents=(), timeout_seconds=5.0
    )
    assert simulator.provider.answer_dispute(unheard).outcome is outcome


def test_an_answer_that_reaches_nobody_or_nobody_who_believes_us_is_not_sent(
    simulator: Simulator,
) -> None:
    asked = DisputeAnswer(
        dispute_reference="dsp_1", accept=True, note="", documents=(), timeout_seconds=2.0
    )
    nobody = SimulatorProvider(f"http://127.0.0.1:{free_port()}", SECRET, TOKEN)
    stranger = SimulatorProvider(simulator.url, SECRET, "wrong")
    assert nobody.answer_dispute(asked).outcome is Outcome.NOT_SENT
    assert stranger.answer_dispute(asked).outcome is Outcome.NOT_SENT


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b'{"dispute":"dsp_1","stage":"chargeback","accept":true}', Outcome.ACCEPTED),
        (b'{"dispute":"dsp_2","stage":"chargeback","accept":true}', Outcome.UNKNOWN),
        (b'{"dispute":"dsp_1","stage":"chargeback","accept":false}', Outcome.UNKNOWN),
        (b'{"dispute":"dsp_1","stage":"appeal","accept":true}', Outcome.UNKNOWN),
        (b"<html>thank you</html>", Outcome.UNKNOWN),
    ],
)
def test_our_answer_counts_as_taken_only_if_the_provider_says_just_that(
    content: bytes, outcome: Outcome
) -> None:
    asked = DisputeAnswer(
        dispute_reference="dsp_1", accept=True, note="", documents=(), timeout_seconds=2.0
    )
    with server(answering(content)) as base_url:
        provider = SimulatorProvider(base_url, SECRET, TOKEN)
        assert provider.answer_dispute(asked).outcome is outcome
        provider.close()


def test_a_late_repetition_is_not_taken_for_the_answer_to_the_next_round(
    simulator: Simulator,
) -> None:
    deposit, dispute = contest_one(simulator, "late", DisputeProfile.PRE_ARBITRATION_WON)
    wait_for_evidence_due(simulator, deposit)
    answer(simulator, dispute, stage=CHARGEBACK)
    wait_for_evidence_due(simulator, deposit, AGAIN)
    assert answer(simulator, dispute, stage=CHARGEBACK).outcome is Outcome.ACCEPTED
    assert answer(simulator, dispute, accept=True, stage=CHARGEBACK).outcome is Outcome.DECLINED
    assert simulator.disputes()[dispute.reference]["answers"] == {"chargeback": "contested"}
    # Without a stage it is for the round that waits, were it word for word the same.
    assert answer(simulator, dispute).outcome is Outcome.ACCEPTED
    simulator.settle()
    assert told(simulator, deposit) == dispute.story(TWICE)


@pytest.mark.parametrize(
    ("faults", "answer_fault"),
    [
        ("timeout_after_effect=1", AnswerFault.SILENCE),
        ("timeout_after_effect=1", AnswerFault.HANG_UP),
        ("server_error=1", AnswerFault.ERROR_AFTER_EFFECT),
        ("garbage=1", AnswerFault.GARBAGE),
    ],
)
def test_a_lost_answer_to_our_answer_is_unknown_although_it_was_taken(
    simulator: Simulator, faults: str, answer_fault: AnswerFault
) -> None:
    deposit, dispute = lost_answer(simulator, faults, answer_fault)
    assert answer(simulator, dispute, timeout_seconds=0.3).outcome is Outcome.UNKNOWN
    again = answer(simulator, dispute, timeout_seconds=0.3)
    assert again.outcome is Outcome.ACCEPTED, "a repetition is answered properly"
    simulator.settle()
    assert told(simulator, deposit) == dispute.story(CONTESTED)


def test_an_answer_that_met_an_error_is_taken_when_it_is_given_again(
    simulator: Simulator,
) -> None:
    deposit, dispute = lost_answer(simulator, "server_error=1", AnswerFault.ERROR_BEFORE_EFFECT)
    assert answer(simulator, dispute).outcome is Outcome.UNKNOWN
    assert simulator.disputes()[dispute.reference]["waits"] == "chargeback"
    assert answer(simulator, dispute).outcome is Outcome.ACCEPTED
    simulator.settle()
    assert told(simulator, deposit) == dispute.story(CONTESTED)


def lost_answer(
    simulator: Simulator, faults: str, answer_fault: AnswerFault
) -> tuple[str, DisputePlan]:
    simulator.use(f"dispute=1,{faults}")
    deposit = simulator.reference(
        f"lost-answer-{answer_fault}",
        Kind.DEPOSIT,
        lambda made: (
            made.answer_fault is not AnswerFault.ERROR_BEFORE_EFFECT
            and made.dispute is not None
            and made.dispute.profile is DisputeProfile.CHARGEBACK_WON
            and made.dispute.answer_fault is answer_fault
        ),
    )
    dispute = plan(SEED, deposit, Kind.DEPOSIT, "card", simulator.faults).dispute
    assert dispute is not None
    # The deposit itself meets such a fault too, and is announced all the same.
    simulator.provider.submit_deposit(submission(deposit, timeout_seconds=0.3))
    wait_for_evidence_due(simulator, deposit)
    return deposit, dispute


def test_an_outage_takes_no_answers(simulator: Simulator) -> None:
    deposit, dispute = contest_one(simulator, "outage", DisputeProfile.CHARGEBACK_WON)
    wait_for_evidence_due(simulator, deposit)
    simulator.use("outage=1")
    assert answer(simulator, dispute).outcome is Outcome.UNKNOWN
    simulator.use("none")
    assert simulator.disputes()[dispute.reference]["waits"] == "chargeback"
