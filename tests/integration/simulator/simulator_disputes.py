"""Disputes at a running simulator: how tests bring them about, answer and follow them."""

from collections.abc import Callable

from domain.events.evidence import DisputeNews, DisputeStage, Outcome
from ledger.providers.protocol import Answer, DisputeAnswer, DisputeNotice
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.dispute_plan import DisputePlan, News, Response
from tallystick.play.simulator.faults import AnswerFault
from tallystick.play.simulator.plan import Plan, plan
from tallystick.play.simulator.profiles import DisputeProfile, Profile
from tests.servers.simulator_server import SEED, Simulator, wait_until

CHARGEBACK, AGAIN = DisputeStage.CHARGEBACK, DisputeStage.PRE_ARBITRATION
CONTESTED = {CHARGEBACK: Response.CONTESTED}
TWICE = CONTESTED | {AGAIN: Response.CONTESTED}


def of_dispute(
    profile: DisputeProfile, also: Callable[[DisputePlan], bool] = lambda made: True
) -> Callable[[Plan], bool]:
    return lambda made: (
        made.profile is Profile.IMMEDIATE_SUCCESS
        and made.answer_fault in (None, AnswerFault.ERROR_AFTER_EFFECT)
        and made.dispute is not None
        and made.dispute.profile is profile
        and also(made.dispute)
    )


def contest_one(
    simulator: Simulator,
    name: str,
    profile: DisputeProfile,
    *,
    faults: str = "dispute=1",
    also: Callable[[DisputePlan], bool] = lambda made: True,
) -> tuple[str, DisputePlan]:
    """Make a deposit that is going to be disputed; its reference and the dispute's plan."""
    simulator.use(faults)
    deposit = simulator.reference(f"{name}-{profile}", Kind.DEPOSIT, of_dispute(profile, also))
    simulator.submit(deposit, Kind.DEPOSIT)
    dispute = plan(SEED, deposit, Kind.DEPOSIT, "card", simulator.faults).dispute
    assert dispute is not None
    return deposit, dispute


def answer(
    simulator: Simulator,
    dispute: DisputePlan,
    *,
    accept: bool = False,
    note: str = "delivered and used",
    stage: DisputeStage | None = None,
    timeout_seconds: float = 5.0,
) -> Answer:
    return simulator.provider.answer_dispute(
        DisputeAnswer(
            dispute_reference=dispute.reference,
            accept=accept,
            note=note,
            documents=("doc-1", "doc-2"),
            stage=stage,
            timeout_seconds=timeout_seconds,
        )
    )


def wait_for_evidence_due(
    simulator: Simulator, deposit: str, stage: DisputeStage = CHARGEBACK
) -> DisputeNotice:
    def due() -> list[DisputeNotice]:
        return [
            each
            for each in simulator.receiver.disputed(deposit)
            if (each.stage, each.news) == (stage, DisputeNews.EVIDENCE_DUE)
        ]

    wait_until(lambda: bool(due()), 5)
    return due()[0]


def told(simulator: Simulator, deposit: str) -> tuple[News, ...]:
    """What the receiver heard, in order, without the repetitions."""
    notices = simulator.receiver.disputed(deposit)
    return tuple(dict.fromkeys((each.stage, each.news) for each in notices))


def play(
    simulator: Simulator, deposit: str, dispute: DisputePlan, said: dict[DisputeStage, Response]
) -> None:
    """Answer each round as it comes, until nothing happens any more."""
    for stage, response in said.items():
        wait_for_evidence_due(simulator, deposit, stage)
        accept = response is Response.ACCEPTED
        assert answer(simulator, dispute, accept=accept, stage=stage).outcome is Outcome.ACCEPTED
    simulator.settle()
