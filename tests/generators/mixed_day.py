"""A day of all six kinds of transactions, in simulated time and from one seed.

Players, staff, workers and the provider take turns on one clock. What there is to do follows from
the log alone, event by event, as the workers' list of outstanding work does; the provider is the
simulator's own plan with every fault switched on.
"""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.conversion.state import Conversion
from domain.dispute.decisions import Dispute
from domain.events.evidence import Outcome, Source
from domain.money import Money
from domain.provider.attempt import reference
from domain.withdrawal.state import Withdrawal
from ledger.commands.dispatch import Attempt
from ledger.commands.inbox import evidence_from
from ledger.providers.protocol import (
    Answer,
    ConversionSubmission,
    DisputeNotice,
    ProviderNotice,
    RefundSubmission,
)
from tests.generators.mixed_core import BACK_TO_SCREENING, IN_WORK, PROVIDER, WAITS_FOR_PEOPLE
from tests.generators.mixed_people import People
from tests.property.backroom import Taken


class MixedDay(People):
    """Everything that happens, one thing after the other."""

    # --- what follows from an event -------------------------------------------------------------

    def follow_up(self, event: Taken) -> None:
        """Workers, staff and the provider react."""
        stream = event.stream
        said = json.loads(event.state)
        match event.topic:
            case "DepositCreated" | "RefundApproved" | "ConversionAccepted":
                self.soon(lambda: self.submit(stream, 0))
            case "WithdrawalQueued":
                self.soon(lambda: self.submit(stream, said["leg"]))
            case "ProviderNoticeReceived" | "DisputeNoticeReceived":
                self.soon(lambda: self.handlers.inbox.act_on_notice(stream))
            case "ConversionQuoted":
                self.at(_moment(said["expires_at"]), lambda: self.expire(stream))
            case "DisputeEvidenceDue":
                if said["due_at"] is not None:
                    self.at(_moment(said["due_at"]), lambda: self.expire(stream))
                self.soon(lambda: self.answer_the_dispute(stream), self.chance.randint(1, 90))
            case "DisputeEvidenceSubmitted" | "DisputeAccepted":
                self.soon(lambda: self.tell_our_answer(stream))
            case "DisputeAnswerDelayed":
                self.at(_moment(said["retry_at"]), lambda: self.tell_our_answer(stream))
            case topic if topic in BACK_TO_SCREENING:
                self.soon(lambda: self.screen(stream))
            case "WithdrawalScreened" | "WithdrawalApprovalGiven":
                self.soon(lambda: self.look_at(stream), self.chance.randint(1, 5))
            case "RefundApprovalAwaited" | "AdjustmentRequested":
                self.soon(lambda: self.look_at(stream), self.chance.randint(1, 5))
            case "ReviewOpened" if self.chance.random() < 0.5:
                self.soon(lambda: self.look_at(stream), self.chance.randint(10, 200))
        if said.get("retry_at") and event.topic == "TransactionFailed":
            self.at(_moment(said["retry_at"]), lambda: self.retry(stream, said))
        if said.get("poll_at"):
            self.at_poll_time(event, said)

    def at_poll_time(self, event: Taken, said: dict[str, Any]) -> None:
        named = said.get("reference") or said["evidence"]["reference"]
        leg = self.leg_of(event.stream, int(named.rpartition("-")[2]))
        self.poll_of[event.stream, leg] = event.position
        self.at(_moment(said["poll_at"]), lambda: self.ask(event.stream, leg, event.position))

    def leg_of(self, stream: UUID, attempt: int) -> int:
        state = self.log.states[stream]
        if not isinstance(state, Withdrawal):
            return 0
        return next(leg.number for leg in state.legs if attempt in leg.attempts)

    # --- what workers do ------------------------------------------------------------------------

    def submit(self, stream: UUID, leg: int) -> None:
        """The attempt is in the log before the provider is called."""
        attempt = self.do(lambda: self.handlers.dispatch.submit(stream, leg))
        if isinstance(attempt, Attempt):
            self.hear(attempt, self.send(attempt), Source.ANSWER)

    def ask(self, stream: UUID, leg: int, position: int) -> None:
        """Unless the schedule has moved on, or there is nothing to ask about any more."""
        state = self.log.states[stream]
        part = state.legs[leg - 1] if isinstance(state, Withdrawal) else state
        if self.poll_of[stream, leg] != position or part.status not in IN_WORK:
            return
        dispatch = self.handlers.dispatch
        attempt = dispatch.attempt(stream, leg)
        assert attempt is not None
        answer = self.provider.fetch(attempt.reference)
        if answer.outcome is Outcome.NOT_FOUND and dispatch.why_not_again(attempt) is None:
            answer = self.send(attempt)
        self.hear(attempt, answer, Source.POLL)

    def send(self, attempt: Attempt) -> Answer:
        match attempt.submission:
            case RefundSubmission() as refund:
                return self.provider.submit_refund(refund)
            case ConversionSubmission() as conversion:
                return self.provider.submit_conversion(conversion)
            case payment if attempt.is_deposit:
                return self.provider.submit_deposit(payment)
            case payout:
                return self.provider.submit_payout(payout)

    def hear(self, attempt: Attempt, answer: Answer, source: Source) -> None:
        evidence = evidence_from(answer, attempt.reference, source)
        self.handlers.inbox.hear(attempt.transaction_id, evidence)

    def retry(self, stream: UUID, said: dict[str, Any]) -> None:
        leg = self.leg_of(stream, int(said["evidence"]["reference"].rpartition("-")[2]))
        self.handlers.dispatch.retry(stream, leg)

    def screen(self, stream: UUID) -> None:
        if self.log.states[stream].status == "requested":
            self.handlers.dispatch.screen(stream)

    def expire(self, stream: UUID) -> None:
        self.handlers.dispatch.expire(stream)

    def tell_our_answer(self, stream: UUID) -> None:
        pending = self.handlers.dispatch.dispute_answer(stream)
        if pending is not None:
            answer = self.provider.answer_dispute(pending.answer)
            self.handlers.dispatch.dispute_answered(stream, pending, answer.outcome)

    def deliver(self, notice: ProviderNotice | DisputeNotice) -> None:
        """A webhook at our door; a repeat is known by its id, and appends nothing."""
        stream, receipt = self.handlers.inbox.receive(PROVIDER, notice, "digest")
        assert (receipt is None) == self.notices.get(stream, False)
        self.notices[stream] = True

    # --- the end of the day ---------------------------------------------------------------------

    def waiting(self) -> list[UUID]:
        """What waits for people."""
        return [s for s, state in self.log.states.items() if state.status in WAITS_FOR_PEOPLE]

    def close(self) -> None:
        """People decide everything, whatever follows from it happens, and again."""
        self.closing_time = True
        for _ in range(12):
            waiting = self.waiting()
            if not waiting:
                return
            for stream in waiting:
                self.soon(lambda stream=stream: self.look_at(stream))
            self.run()

    def truths(self) -> dict[str, dict[str, int]]:
        """By transaction: what stands on our clearing account if we know what the provider does."""
        truths: dict[str, dict[str, int]] = {}
        for name, payment in self.provider.payments.items():
            if payment.plan.kind == "conversion" or not self.moved(payment):
                continue
            stream = str(UUID(hex=name.partition("-")[0]))
            told = payment.plan.reported(payment.amount)
            sign = -1 if payment.plan.kind == "deposit" else 1
            _add(truths, stream, told, sign)
        for played in self.provider.disputes.values():
            if played.taken:
                deposit = str(UUID(hex=played.payment.partition("-")[0]))
                _add(truths, self.dispute_of(deposit), played.amount, played.taken)
        return truths

    def dispute_of(self, deposit: str) -> str:
        return next(
            str(stream)
            for stream, state in self.log.states.items()
            if isinstance(state, Dispute) and str(state.deposit_id) == deposit
        )

    def conversions_that_differ(self) -> list[UUID]:
        """Executed in our books and not at the provider, or the other way round."""
        return [
            stream
            for stream, state in self.log.states.items()
            if isinstance(state, Conversion) and state.provider
            if (state.settled is not None) != self.moved_by(reference(stream, 1))
        ]

    def differences(self) -> dict[str, dict[str, int]]:
        """By transaction: what the provider has moved more than our books say, if they differ."""
        truths, cleared = self.truths(), self.log.books.cleared
        found: dict[str, dict[str, int]] = {}
        for stream in sorted(truths.keys() | cleared.keys()):
            ours, theirs = cleared.get(stream, {}), truths.get(stream, {})
            differing = {
                account: theirs.get(account, 0) - ours.get(account, 0)
                for account in ours.keys() | theirs.keys()
                if theirs.get(account, 0) != ours.get(account, 0)
            }
            if differing:
                found[stream] = differing
        return found


def _add(truths: dict[str, dict[str, int]], stream: str, money: Money, sign: int) -> None:
    account = f"provider:{PROVIDER}:clearing:{money.currency}"
    of_stream = truths.setdefault(stream, {})
    of_stream[account] = of_stream.get(account, 0) + sign * money.amount


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
