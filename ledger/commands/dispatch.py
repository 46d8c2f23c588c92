"""What goes out to providers, and what is decided before it does: asked for by workers only.

Each step is recorded before its effect, and may be asked for again after a crash: what has been
done is recognised and not done twice.
"""

from dataclasses import dataclass
from typing import Protocol, assert_never
from uuid import UUID

from domain.adjustment.state import Adjustment
from domain.approval.policy import DEFAULT_POLICY, Policy, fold_policy, policy_stream
from domain.conversion.decisions import expire_conversion, submit_conversion, why_not_converted
from domain.conversion.rates import Rounding, exchange
from domain.conversion.state import Conversion, ConversionStatus
from domain.counters import deposited_counter, wagered_counter
from domain.deposit.decisions import DepositStatus, submit_deposit, why_not_deposited
from domain.deposit.state import Deposit
from domain.dispute.decisions import (
    Dispute,
    DisputeStatus,
    answer_acknowledged,
    answer_delayed,
    answer_report,
    expire_dispute,
)
from domain.errors import InvalidTransition, RateMissing
from domain.events import LedgerEvent, TransactionSubmitted
from domain.events.evidence import DisputeReport, Outcome
from domain.fraud.assessment import Assessment
from domain.money import Money
from domain.player.player import Player
from domain.provider.provider import provider_stream
from domain.refund.decisions import Refund, RefundStatus, submit_refund, why_not_refunded
from domain.transactions import Transaction
from domain.withdrawal.decisions import retry_withdrawal, screen_withdrawal, submit_withdrawal
from domain.withdrawal.legs import Leg, LegStatus, find_leg
from domain.withdrawal.sending import why_not_paid_out
from domain.withdrawal.state import Withdrawal
from ledger.commands.errors import NoRates
from ledger.commands.handling import Drafted, Handling
from ledger.commands.rates import rates_in_force
from ledger.providers.protocol import (
    ConversionSubmission,
    DisputeAnswer,
    RefundSubmission,
    Submission,
)

_MAY_NEVER_HAVE_ARRIVED = frozenset(
    {
        DepositStatus.SUBMITTED,
        DepositStatus.UNKNOWN,
        LegStatus.SUBMITTED,
        LegStatus.UNKNOWN,
        LegStatus.PROCESSING,
        RefundStatus.SUBMITTED,
        RefundStatus.UNKNOWN,
        RefundStatus.PENDING,
        ConversionStatus.SUBMITTED,
        ConversionStatus.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One submission to a provider that has been recorded, and what is to be sent."""

    transaction_id: UUID
    leg: int
    """Of a payout; 0: of no leg."""
    reference: str
    provider: str
    is_deposit: bool
    """The player pays; any other submission without more to it is a payout."""
    submission: Submission | RefundSubmission | ConversionSubmission


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAnswer:
    """Our answer to a dispute, as it is sent."""

    provider: str
    answer: DisputeAnswer
    report: DisputeReport
    """What the provider's having it is recorded as: of the stage that was answered."""


class Assessments(Protocol):
    """What the fraud indicators say about payouts."""

    def of(self, withdrawal_id: UUID, version: int) -> Assessment:
        """About what the event at `version` of the withdrawal asks for.

        Raises:
            NotAssessedYet: they have not come that far.
        """


class Dispatch:
    """Decides what leaves, and records that it does."""

    def __init__(
        self, handling: Handling, assessments: Assessments, call_timeout_seconds: float
    ) -> None:
        """`call_timeout_seconds` is what providers get to answer a call."""
        self._handling = handling
        self._assessments = assessments
        self._call_timeout_seconds = call_timeout_seconds

    # --- attempts -------------------------------------------------------------------------------

    def submit(self, transaction_id: UUID, leg: int = 0) -> Attempt | None:
        """Record that an attempt begins; None where it must not be sent, or not yet.

        A payout or refund whose provider is paused stays where it is, a payout only while nothing
        about it has changed; a deposit's player is not kept waiting, and the deposit is blocked.
        What is recorded instead sends nothing, of another leg neither.

        Raises:
            InvalidTransition: it has begun already, or was given up.
        """

        def decide(state: Transaction) -> Drafted | None:
            match state:
                case Deposit():
                    return self._submit_deposit(state)
                case Withdrawal():
                    return self._submit_leg(state, leg)
                case Refund():
                    return self._submit_refund(state)
                case Conversion():
                    return self._submit_conversion(state)
                case Dispute() | Adjustment():
                    raise InvalidTransition(state.status, "submitted")
                case _:
                    assert_never(state)

        written = self._handling.change_any(transaction_id, decide)
        if written is None:
            return None
        for event in written.events:
            if isinstance(event, TransactionSubmitted):
                return self._attempt(written.transaction, leg, event.reference)
        return None

    def _submit_deposit(self, state: Deposit) -> Drafted:
        provider = self._handling.provider(state.provider)
        player = self._handling.known_player(state.player_id)
        command = self._handling.unattended("system:dispatcher", state.id, state.version)
        return Drafted(
            events=(submit_deposit(state, command, player=player, provider=provider),),
            unchanged={provider.id: provider.version, player.id: player.version},
        )

    def _submit_leg(self, state: Withdrawal, number: int) -> Drafted | None:
        provider = self._handling.provider(find_leg(state.legs, number).provider)
        player = self._handling.known_player(state.player_id)
        command = self._handling.unattended("system:dispatcher", state.id, state.version)
        submitted = submit_withdrawal(state, command, leg=number, player=player, provider=provider)
        if submitted is None:
            self._handling.outdated(provider.id)
            self._handling.outdated(player.id)
            return None
        return Drafted(
            events=(submitted,),
            unchanged={provider.id: provider.version, player.id: player.version},
        )

    def _submit_refund(self, state: Refund) -> Drafted | None:
        provider = self._handling.provider(state.provider)
        if provider.paused:
            self._handling.outdated(provider.id)
            return None
        deposit = self._handling.deposit(state.deposit_id)
        command = self._handling.unattended("system:dispatcher", state.id, state.version)
        events = submit_refund(state, command, deposit=deposit, provider=provider)
        unchanged = {provider.id: provider.version}
        if all(event.originator_id != deposit.id for event in events):
            unchanged[deposit.id] = deposit.version
        return Drafted(events=events, unchanged=unchanged)

    def _submit_conversion(self, state: Conversion) -> Drafted:
        provider = self._handling.provider(state.provider or "")
        command = self._handling.unattended("system:dispatcher", state.id, state.version)
        return Drafted(
            events=(submit_conversion(state, command, provider=provider),),
            unchanged={provider.id: provider.version},
        )

    def attempt(self, transaction_id: UUID, leg: int = 0) -> Attempt | None:
        """The latest attempt, as it was sent; None where nothing has been.

        Raises:
            TransactionNotFound: there is no such transaction.
        """
        state = self._handling.transaction(transaction_id)
        return self._attempt(state, leg, _part(state, leg).reference)

    def why_not_again(self, attempt: Attempt) -> str | None:
        """Why an attempt that never arrived must not be sent once more now; None where it may.

        It may go again under its own reference only, which the provider takes for the same, and
        only if it would be submitted now as well. All of that is read afresh: there is no append
        that would tell that what is remembered is out of date.

        Raises:
            TransactionNotFound: there is no such transaction.
        """
        state = self._handling.transaction(attempt.transaction_id)
        part = _part(state, attempt.leg)
        if part.reference != attempt.reference:
            return "there has been another attempt"
        if part.status not in _MAY_NEVER_HAVE_ARRIVED:
            return part.status
        self._handling.outdated(provider_stream(attempt.provider))
        provider, now = self._handling.provider(attempt.provider), self._handling.now()
        match state:
            case Deposit():
                return why_not_deposited(self._player_now(state), provider, now)
            case Withdrawal():
                return why_not_paid_out(state, self._player_now(state), provider, now)
            case Refund():
                return why_not_refunded(self._handling.deposit(state.deposit_id), provider)
            case Conversion():
                return why_not_converted(state, provider, now)
            case Dispute() | Adjustment():
                raise InvalidTransition(state.status, "sent")
            case _:
                assert_never(state)

    def _player_now(self, state: Deposit | Withdrawal) -> Player:
        self._handling.outdated(state.player_id)
        return self._handling.known_player(state.player_id)

    def _attempt(self, state: Transaction, leg: int, reference: str | None) -> Attempt | None:
        submission = self._submission(state, leg, reference) if reference else None
        if reference is None or submission is None:
            return None
        return Attempt(
            transaction_id=state.id,
            leg=leg,
            reference=reference,
            provider=_part(state, leg).provider or "",
            is_deposit=isinstance(state, Deposit),
            submission=submission,
        )

    def _submission(
        self, state: Transaction, leg: int, reference: str
    ) -> Submission | RefundSubmission | ConversionSubmission | None:
        match state:
            case Deposit() | Withdrawal():
                part = _part(state, leg)
                return Submission(
                    reference=reference,
                    player_id=str(state.player_id),
                    method=part.method,
                    amount=part.amount,
                    instrument=part.instrument,
                    timeout_seconds=self._call_timeout_seconds,
                )
            case Refund():
                deposit = self._handling.deposit(state.deposit_id)
                return RefundSubmission(
                    reference=reference,
                    deposit_reference=deposit.reference or "",
                    deposit_provider_reference=deposit.provider_reference,
                    amount=state.amount,
                    timeout_seconds=self._call_timeout_seconds,
                )
            case Conversion():
                return ConversionSubmission(
                    reference=reference,
                    quote_reference=state.quote_reference or "",
                    source=state.amount,
                    target=state.target,
                    timeout_seconds=self._call_timeout_seconds,
                )
            case Dispute() | Adjustment():
                return None
            case _:
                assert_never(state)

    # --- withdrawals ----------------------------------------------------------------------------

    def screen(self, withdrawal_id: UUID) -> None:
        """Check a withdrawal against the policy.

        Raises:
            InvalidTransition: it has been screened.
            NotAssessedYet: the fraud indicators have not come as far as the request.
        """

        def decide(state: Withdrawal) -> Drafted | None:
            player = self._handling.known_player(state.player_id)
            policy: Policy | None = self._handling.ledger.remembered(policy_stream(), fold_policy)
            currency = state.amount.currency
            deposited = deposited_counter(player.id, currency)
            wagered = wagered_counter(player.id, currency)
            counted = self._handling.ledger.balances([deposited, wagered])
            command = self._handling.unattended("system:screening", state.id, state.version)
            in_force = policy or DEFAULT_POLICY
            events = screen_withdrawal(
                state,
                command,
                player=player,
                policy=in_force,
                assessment=self._assessments.of(state.id, state.asked_version),
                in_policy_currency=self._converted(state.amount, in_force.terms.currency),
                deposited_minor=counted[deposited],
                wagered_minor=counted[wagered],
            )
            return Drafted(
                events=events,
                unchanged={
                    player.id: player.version,
                    policy_stream(): policy.version if policy else 0,
                },
            )

        self._handling.change(withdrawal_id, Withdrawal, decide)

    def _converted(self, amount: Money, currency: str) -> Money | None:
        """The amount at the rate in force; None where there is none."""
        if amount.currency == currency:
            return amount
        try:
            rate = rates_in_force(self._handling).rate(amount.currency, currency)
        except (NoRates, RateMissing):
            return None
        return exchange(amount, currency, rate, Rounding.HALF_EVEN)

    def retry(self, withdrawal_id: UUID, leg: int) -> None:
        """Queue the next attempt of a leg whose last one failed.

        Raises:
            InvalidTransition: it is not waiting for one.
        """

        def decide(state: Withdrawal) -> Drafted | None:
            command = self._handling.unattended("system:dispatcher", state.id, state.version)
            return Drafted.of(retry_withdrawal(state, command, leg=leg))

        self._handling.change(withdrawal_id, Withdrawal, decide)

    # --- what runs out --------------------------------------------------------------------------

    def expire(self, transaction_id: UUID) -> None:
        """End a quote that nobody took, or the time for evidence that nobody gave, if it is over.

        Raises:
            InvalidTransition: it is nothing that runs out.
        """

        def decide(state: Transaction) -> Drafted | None:
            command = self._handling.unattended("system:clock", state.id, state.version)
            events: LedgerEvent | tuple[LedgerEvent, ...] | None
            match state:
                case Conversion():
                    events = expire_conversion(state, command)
                case Dispute():
                    deposit = self._handling.deposit(state.deposit_id)
                    events = expire_dispute(state, command, deposit=deposit)
                case _:
                    raise InvalidTransition(state.status, "expired")
            return Drafted.of(events)

        self._handling.change_any(transaction_id, decide)

    # --- answers to disputes --------------------------------------------------------------------

    def dispute_answer(self, dispute_id: UUID) -> PendingAnswer | None:
        """Our answer, where there is one that the provider does not have yet.

        Raises:
            TransactionNotFound: there is no such transaction.
        """
        state = self._handling.transaction(dispute_id)
        if not isinstance(state, Dispute) or not state.answer_due:
            return None
        return PendingAnswer(
            provider=state.provider,
            answer=DisputeAnswer(
                dispute_reference=state.dispute_reference,
                stage=state.stage,
                accept=state.status is DisputeStatus.ACCEPTED,
                note=state.answer_note,
                documents=state.documents,
                timeout_seconds=self._call_timeout_seconds,
            ),
            report=answer_report(state),
        )

    def dispute_answered(self, dispute_id: UUID, sent: PendingAnswer, outcome: Outcome) -> None:
        """Record that the provider has our answer, or when it is told again."""

        def decide(state: Dispute) -> Drafted | None:
            command = self._handling.unattended("system:dispatcher", state.id, state.version)
            if outcome is Outcome.ACCEPTED:
                return Drafted.of(answer_acknowledged(state, command, sent.report))
            provider = self._handling.provider(state.provider)
            return Drafted.of(
                answer_delayed(
                    state,
                    command,
                    outcome=outcome,
                    delays_seconds=provider.poll_delays_seconds,
                )
            )

        self._handling.change(dispute_id, Dispute, decide)


def _part(state: Transaction, leg: int) -> Transaction | Leg:
    """What is sent: a leg of a payout, anything else as a whole."""
    return find_leg(state.legs, leg) if isinstance(state, Withdrawal) else state
