"""Dispute: what people and the clock decide. A player's bank contests a deposit.

What a dispute is, is in `state.py`; what the provider reports is decided in `reports.py`. How a
dispute stands towards its deposit is recorded on the deposit's stream in the same append.
"""

from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.command import Command, repeated
from domain.deposit.claims import Claim, minor_of
from domain.deposit.concerns import with_excess
from domain.deposit.state import Deposit
from domain.dispute.state import STAGES as STAGES
from domain.dispute.state import Dispute as Dispute
from domain.dispute.state import DisputeStatus as DisputeStatus
from domain.dispute.state import evolve_dispute as evolve_dispute
from domain.dispute.state import fold_dispute as fold_dispute
from domain.errors import EvidenceMissing, InvalidTransition
from domain.events import (
    DepositDisputeFundsTracked,
    DepositDisputeTracked,
    DepositEvent,
    DisputeAccepted,
    DisputeAcknowledged,
    DisputeAnswerDelayed,
    DisputeEvent,
    DisputeEvidenceSubmitted,
    DisputeExpired,
    LedgerEvent,
)
from domain.events.evidence import DisputeNews, DisputeReport, Outcome, Source, Standing
from domain.money import Money

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:tallystick:dispute")


def dispute_stream(provider: str, dispute_reference: str) -> UUID:
    """One stream per dispute: whatever news of it comes first finds the same one."""
    return uuid5(_NAMESPACE, f"{provider}\n{dispute_reference}")


def submit_evidence(
    state: Dispute, command: Command, *, note: str, documents: tuple[str, ...] = ()
) -> DisputeEvidenceSubmitted | None:
    """Contest the dispute; None if this command did so already.

    Raises:
        InvalidTransition: the provider does not wait for our answer, or not any more.
        EvidenceMissing: there is neither a note nor a document.
    """
    if repeated(state.commands, command):
        return None
    if not state.status.waits_for_us:
        raise InvalidTransition(state.status, "contested")
    if not note.strip() and not documents:
        raise EvidenceMissing("Contesting a dispute needs a note or a document.")
    return DisputeEvidenceSubmitted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        note=note,
        documents=documents,
    )


def accept_dispute(
    state: Dispute, command: Command, *, deposit: Deposit, note: str
) -> tuple[LedgerEvent, ...]:
    """Do not contest the dispute; () if this command did so already.

    Raises:
        InvalidTransition: the provider does not wait for our answer, or not any more.
        EvidenceMissing: there is no note that says why.
    """
    if repeated(state.commands, command):
        return ()
    if not state.status.waits_for_us:
        raise InvalidTransition(state.status, "accepted")
    if not note.strip():
        raise EvidenceMissing("Accepting a dispute needs a note that says why.")
    accepted = DisputeAccepted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        note=note,
    )
    return with_claim(state, (accepted,), command, deposit)


def expire_dispute(
    state: Dispute, command: Command, *, deposit: Deposit
) -> tuple[LedgerEvent, ...]:
    """The time for evidence is over by our own clock; () where it is not, or we have answered.

    The provider may know better: what it says of the stage later still counts.
    """
    due_at = state.evidence_due_at
    if not state.status.waits_for_us or due_at is None or command.now < due_at:
        return ()
    expired = DisputeExpired(**command.header(state.id, state.version + 1), report=None)
    return with_claim(state, (expired,), command, deposit)


def answer_report(state: Dispute) -> DisputeReport:
    """What the provider's receipt of our answer says."""
    accepted = state.status is DisputeStatus.ACCEPTED
    return DisputeReport(
        source=Source.ANSWER,
        news=DisputeNews.LOST if accepted else DisputeNews.UNDER_REVIEW,
        stage=state.stage,
        reference=state.reference or "",
        dispute_reference=state.dispute_reference,
    )


def answer_acknowledged(
    state: Dispute, command: Command, report: DisputeReport
) -> DisputeAcknowledged | None:
    """The provider has our answer; None where that is known, or matters no more."""
    if not state.answer_due or report.stage is not state.stage:
        return None
    return DisputeAcknowledged(**command.header(state.id, state.version + 1), report=report)


def answer_delayed(
    state: Dispute, command: Command, *, outcome: Outcome, delays_seconds: tuple[int, ...]
) -> DisputeAnswerDelayed | None:
    """The provider could not be told; None where it need not be told any more.

    It is told again after each of `delays_seconds`, and after the last of them from then on: the
    provider takes the same answer any number of times.
    """
    if not state.answer_due:
        return None
    delay_seconds = delays_seconds[min(state.answers_delayed, len(delays_seconds) - 1)]
    return DisputeAnswerDelayed(
        **command.header(state.id, state.version + 1),
        retry_at=command.now + timedelta(seconds=delay_seconds),
        outcome=outcome,
    )


def with_claim(
    state: Dispute | None, events: tuple[DisputeEvent, ...], command: Command, deposit: Deposit
) -> tuple[LedgerEvent, ...]:
    """`events`, and the deposit's record of the dispute where they make it another one."""
    after = fold_dispute(state, events)
    if after is None or after.deposit_id != deposit.id:
        raise ValueError(f"the dispute is not about the deposit {deposit.id}")
    claim, told = _claim(after, deposit), list[DepositEvent]()
    if deposit.disputes.get(after.id) != claim:
        told.append(
            DepositDisputeTracked(
                **command.header(deposit.id, deposit.version + 1),
                dispute_id=after.id,
                amount=claim.amount,
                standing=claim.standing,
            )
        )
    if deposit.withdrawn.get(after.id, ()) != after.net_withdrawn:
        told.append(
            DepositDisputeFundsTracked(
                **command.header(deposit.id, deposit.version + 1 + len(told)),
                dispute_id=after.id,
                withdrawn=after.net_withdrawn,
            )
        )
    return *events, *with_excess(deposit, told, command)


def _claim(dispute: Dispute, deposit: Deposit) -> Claim:
    """What is contested or taken; where the dispute is over but the money not back, that money."""
    captured, contested = deposit.captured or deposit.amount, dispute.amount
    withdrawn_minor = sum(minor_of(captured, money) for money in dispute.net_withdrawn)
    withdrawn = Money(withdrawn_minor, captured.currency)
    if dispute.standing is Standing.TAKEN and dispute.status.standing is Standing.RELEASED:
        return Claim(amount=withdrawn, standing=Standing.TAKEN)
    comparable = contested.currency == withdrawn.currency
    amount = max(contested, withdrawn) if comparable else contested
    return Claim(amount=amount, standing=dispute.standing)
