"""What providers tell us: recorded as evidence first, acted on afterwards.

Notices come through the API's webhook door, answers and polled statuses from the workers. Each
may be given again after a crash: what has been done is recognised and not done twice.
"""

from typing import assert_never
from uuid import UUID

from domain import accounts
from domain.adjustment.state import Adjustment
from domain.command import Command
from domain.conversion.reports import hear_conversion
from domain.conversion.state import Conversion, ConversionStatus
from domain.counters import counted_on
from domain.deposit.concerns import with_excess
from domain.deposit.decisions import DepositStatus
from domain.deposit.reports import hear_deposit
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute, dispute_stream
from domain.dispute.reports import hear_dispute
from domain.errors import InvalidTransition
from domain.events import (
    DepositCompleted,
    DisputeNoticeReceived,
    NoticeUnmatched,
    ProviderNoticeReceived,
)
from domain.events.evidence import Evidence, Outcome, Source
from domain.player.limits import late_concerns, standing_concerns
from domain.player.player import Player
from domain.provider.attempt import parse_reference
from domain.provider.provider import Provider
from domain.provider.webhook import evidence_of, notice_stream, report_of, set_aside
from domain.refund.decisions import Refund
from domain.refund.reports import hear_refund
from domain.transactions import Transaction
from domain.withdrawal.legs import leg_about
from domain.withdrawal.reports import hear_withdrawal
from domain.withdrawal.state import Withdrawal
from ledger.commands.deposit import first_use
from ledger.commands.errors import TransactionNotFound
from ledger.commands.handling import Drafted, Handling, Written
from ledger.eventstore.append import Receipt
from ledger.eventstore.errors import VersionConflict
from ledger.providers.protocol import Answer, DisputeNotice, ProviderNotice

Received = ProviderNoticeReceived | DisputeNoticeReceived

_GIVEN_UP = (DepositStatus.FAILED, DepositStatus.EXPIRED, DepositStatus.CANCELLED)


class Inbox:
    """Records what is heard from providers, and what follows from it."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    # --- notices --------------------------------------------------------------------------------

    def receive(
        self, provider: str, notice: ProviderNotice | DisputeNotice, raw_digest: str
    ) -> tuple[UUID, Receipt | None]:
        """Record an authentic notice as evidence; its stream, and None where it was known.

        Raises:
            ProviderNotFound: no such provider.
            AppendError: it is not recorded; the provider must send it again.
        """
        self._handling.provider(provider)
        stream = notice_stream(provider, notice.message_id)
        command = self._handling.unattended(f"provider:{provider}", stream, 0)
        try:
            event = _received(stream, provider, notice, raw_digest, command)
            return stream, self._handling.ledger.append([event])
        except VersionConflict:
            return stream, None

    def act_on_notice(self, notice_id: UUID) -> None:
        """Do what follows from a recorded notice; nothing, if it has been done."""
        history = self._handling.ledger.history(notice_id)
        received = next((e for e in history if isinstance(e, Received)), None)
        if received is None or any(isinstance(e, NoticeUnmatched) for e in history):
            return
        transaction = self._transaction_of(received)
        if isinstance(received, DisputeNoticeReceived):
            if isinstance(transaction, Deposit):
                self._hear_of_dispute(received, transaction.id)
            else:
                self._set_aside(received, "no deposit has this reference")
        elif transaction is None or isinstance(transaction, Dispute | Adjustment):
            self._set_aside(received, "no transaction has this reference")
        else:
            self.hear(transaction.id, evidence_of(received))

    def _transaction_of(self, received: Received) -> Transaction | None:
        """The transaction a notice is about, if it is one of that provider's."""
        parsed = parse_reference(received.reference)
        if parsed is None:
            return None
        try:
            transaction = self._handling.known(parsed[0])
            if received.provider not in _providers_of(transaction, parsed[1]):
                # Not one of them so far: another process may have planned a payout anew.
                transaction = self._handling.transaction(parsed[0])
        except TransactionNotFound:
            return None
        speaks = received.provider in _providers_of(transaction, parsed[1])
        return transaction if speaks else None

    def _set_aside(self, received: Received, reason: str) -> None:
        command = self._handling.unattended(
            "system:inbox", received.originator_id, received.originator_version
        )
        try:
            self._handling.ledger.append([set_aside(received, command, reason)])
        except VersionConflict:
            return  # another worker was faster, with the same event

    def _hear_of_dispute(self, received: DisputeNoticeReceived, deposit_id: UUID) -> None:
        dispute_id = dispute_stream(received.provider, received.dispute_reference)
        report = report_of(received)

        def decide(state: Transaction | None) -> Drafted | None:
            if state is not None and not isinstance(state, Dispute):
                raise TransactionNotFound(dispute_id)
            version = state.version if state else 0
            command = self._handling.unattended(
                f"provider:{received.provider}", dispute_id, version
            )
            own_id = state.deposit_id if state else deposit_id
            events = hear_dispute(
                state,
                command,
                report,
                dispute_id=dispute_id,
                deposit=self._handling.deposit(deposit_id),
                own=self._handling.deposit(own_id) if own_id != deposit_id else None,
            )
            return Drafted.of(events)

        self._handling.begin_or_change(dispute_id, decide)

    # --- reports about attempts -----------------------------------------------------------------

    def hear(self, transaction_id: UUID, evidence: Evidence) -> Written | None:
        """Record a report about a transaction and what follows from it; None if nothing does.

        Raises:
            TransactionNotFound: no such transaction.
        """
        return self._handling.change_any(transaction_id, lambda state: self._hear(state, evidence))

    def _hear(self, state: Transaction, evidence: Evidence) -> Drafted | None:
        name = _provider_of(state, evidence)
        provider = self._handling.provider(name)
        command = self._handling.unattended(f"provider:{name}", state.id, state.version)
        match state:
            case Deposit():
                return self._hear_deposit(state, command, evidence, provider)
            case Withdrawal():
                return Drafted.of(
                    hear_withdrawal(
                        state,
                        command,
                        evidence,
                        provider=provider,
                        available_minor=self._available_to_pay_minor(state, evidence),
                    )
                )
            case Refund():
                return Drafted.of(
                    hear_refund(
                        state,
                        command,
                        evidence,
                        deposit=self._handling.deposit(state.deposit_id),
                        provider=provider,
                        available_minor=self._available_to_pay_minor(state, evidence),
                    )
                )
            case Conversion():
                return Drafted.of(
                    hear_conversion(
                        state,
                        command,
                        evidence,
                        provider=provider,
                        available_minor=self._available_target_minor(state),
                    )
                )
            case Dispute() | Adjustment():
                raise InvalidTransition(state.status, "reported on by an attempt's reference")
            case _:
                assert_never(state)

    def _hear_deposit(
        self, state: Deposit, command: Command, evidence: Evidence, provider: Provider
    ) -> Drafted | None:
        """A credit rests on how the player stands, which the append checks with it."""
        succeeded = evidence.outcome is Outcome.SUCCEEDED
        player = self._handling.known_player(state.player_id) if succeeded else None
        heard = hear_deposit(
            state,
            command,
            evidence,
            provider=provider,
            available_minor=self._available_minor(state, evidence),
            concerns=self._concerns(state, player) if player else (),
        )
        if heard is None:
            return None
        events = with_excess(state, (heard,), command)
        if player is None or not isinstance(heard, DepositCompleted):
            return Drafted(events=events)
        first = first_use(player, state, heard, command)
        return Drafted(
            events=(*events, *first), unchanged=None if first else {player.id: player.version}
        )

    def _available_minor(self, state: Deposit, evidence: Evidence) -> int:
        """Read only where a credit may come into doubt, and is not just repeated."""
        repeated = (
            evidence.outcome is Outcome.SUCCEEDED
            and evidence.amount in (None, state.credited)
            and state.failed_at is None
        )
        if state.credited is None or repeated:
            return 0
        account = accounts.available(state.player_id, state.credited.currency)
        return self._handling.ledger.balances([account])[account]

    def _available_to_pay_minor(self, state: Withdrawal | Refund, evidence: Evidence) -> int:
        """Read only where money that the player has back may be with them a second time."""
        if evidence.outcome is not Outcome.SUCCEEDED:
            return 0
        if isinstance(state, Withdrawal):
            is_out = leg_about(state.legs, evidence.reference).takes
        else:
            is_out = state.reserved or state.paid is not None
        if is_out:
            return 0
        account = accounts.available(state.player_id, state.amount.currency)
        return self._handling.ledger.balances([account])[account]

    def _available_target_minor(self, state: Conversion) -> int:
        """Read only where an exchange that was carried out may come into doubt."""
        if state.status is not ConversionStatus.EXECUTED:
            return 0
        account = accounts.available(state.player_id, state.target.currency)
        return self._handling.ledger.balances([account])[account]

    def _concerns(self, state: Deposit, player: Player) -> tuple[str, ...]:
        """What would forbid the deposit by now.

        Only one that was given up may pass a limit: the others count since their creation. It
        counts on the day of its creation again, so it is that day's limit that it may pass.
        """
        if state.status not in _GIVEN_UP or not state.counted:
            return standing_concerns(player, self._handling.now())
        today = counted_on(state.counted)
        used = self._handling.ledger.balances([count.counter for count in state.counted])
        return late_concerns(player, state.amount, used, self._handling.now(), today)


def evidence_from(answer: Answer, reference: str, source: Source) -> Evidence:
    """What a provider answered, to be acted on."""
    return Evidence(
        source=source,
        outcome=answer.outcome,
        reference=reference,
        amount=answer.amount,
        fee=answer.fee,
        provider_reference=answer.provider_reference,
        decline_code=answer.decline_code,
        raw_code=answer.raw_code,
        redirect_url=answer.redirect_url,
        happened_at=answer.happened_at,
    )


def _received(
    stream: UUID,
    provider: str,
    notice: ProviderNotice | DisputeNotice,
    raw_digest: str,
    command: Command,
) -> Received:
    if isinstance(notice, DisputeNotice):
        return DisputeNoticeReceived(
            **command.header(stream, 1),
            provider=provider,
            message_id=notice.message_id,
            reference=notice.reference,
            dispute_reference=notice.dispute_reference,
            stage=notice.stage,
            news=notice.news,
            amount=notice.amount,
            reason_code=notice.reason_code,
            evidence_due_at=notice.evidence_due_at,
            raw_digest=raw_digest,
            sent_at=notice.sent_at,
        )
    answer = notice.answer
    return ProviderNoticeReceived(
        **command.header(stream, 1),
        provider=provider,
        message_id=notice.message_id,
        reference=notice.reference,
        outcome=answer.outcome,
        amount=answer.amount,
        fee=answer.fee,
        provider_reference=answer.provider_reference,
        decline_code=answer.decline_code,
        raw_code=answer.raw_code,
        redirect_url=answer.redirect_url,
        raw_digest=raw_digest,
        sent_at=notice.sent_at,
        happened_at=answer.happened_at,
    )


def _providers_of(transaction: Transaction, attempt: int) -> set[str]:
    """Everyone who may speak about an attempt: each leg of a payout has a provider of its own.

    Of an attempt that was never made, any of them may.
    """
    if isinstance(transaction, Withdrawal):
        legs = [leg for leg in transaction.legs if attempt in leg.attempts]
        if legs:
            return {leg.provider for leg in legs}
        return {leg.provider for leg in transaction.legs} | {transaction.provider}
    return {transaction.provider} if transaction.provider else set()


def _provider_of(transaction: Transaction, evidence: Evidence) -> str:
    """The provider whose schedule holds for the attempt that the evidence is about."""
    if isinstance(transaction, Withdrawal):
        return leg_about(transaction.legs, evidence.reference).provider
    return transaction.provider or ""
