"""Commands that follow from providers: notices in, attempts out, answers and polls.

These are given by the API's webhook door and by the workers, never by people. Each may be given
again after a crash: what has been done is recognised and not done twice.
"""

from uuid import UUID

from domain import accounts
from domain.approvals import ApprovalPolicy
from domain.attempts import parse_reference
from domain.commands import Command
from domain.deposit import Deposit, DepositStatus, submit_deposit
from domain.deposit_reports import hear_deposit
from domain.events import NoticeUnmatched, ProviderNoticeReceived
from domain.notice import evidence_of, notice_stream, set_aside
from domain.outcomes import Evidence, Source
from domain.player import Player
from domain.transactions import Transaction
from domain.withdrawal import Withdrawal, WithdrawalStatus
from domain.withdrawal_decisions import retry_withdrawal, screen_withdrawal, submit_withdrawal
from domain.withdrawal_reports import hear_withdrawal
from tallystick.commands.errors import PlayerNotFound, TransactionNotFound
from tallystick.commands.handling import Drafted, Handling, Written
from tallystick.eventstore.append import Receipt
from tallystick.eventstore.errors import VersionConflict
from tallystick.providers.protocol import Answer, ProviderNotice

_SUBMITTED = (DepositStatus.SUBMITTED, WithdrawalStatus.SUBMITTED)


class ProviderTraffic:
    """What is recorded about the traffic with providers, and what follows from it."""

    def __init__(self, handling: Handling, policy: ApprovalPolicy) -> None:
        self._handling = handling
        self._policy = policy

    # --- in -------------------------------------------------------------------------------------

    def receive(
        self, provider: str, notice: ProviderNotice, raw_digest: str
    ) -> tuple[UUID, Receipt | None]:
        """Record an authentic notice as evidence; its stream, and None where it was known.

        Raises:
            ProviderNotFound: no such provider.
            AppendError: it is not recorded; the provider must send it again.
        """
        self._handling.provider(provider)
        stream = notice_stream(provider, notice.message_id)
        answer = notice.answer
        event = ProviderNoticeReceived(
            **self._command(f"provider:{provider}", stream, 0).header(stream, 1),
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
        )
        try:
            return stream, self._handling.ledger.append([event])
        except VersionConflict:
            return stream, None

    def act_on_notice(self, notice_id: UUID) -> None:
        """Do what follows from a recorded notice; nothing, if it has been done."""
        history = self._handling.ledger.history(notice_id)
        received = next((e for e in history if isinstance(e, ProviderNoticeReceived)), None)
        if received is None or any(isinstance(e, NoticeUnmatched) for e in history):
            return
        transaction = self._transaction_of(received)
        if transaction is not None:
            self.hear(transaction.id, evidence_of(received))
            return
        command = self._command("system:inbox", notice_id, received.originator_version)
        self._append_once(set_aside(received, command, "no transaction has this reference"))

    def _transaction_of(self, received: ProviderNoticeReceived) -> Transaction | None:
        """The transaction a notice is about, if it is one of that provider's."""
        parsed = parse_reference(received.reference)
        if parsed is None:
            return None
        try:
            transaction = self._handling.known(parsed[0])
        except TransactionNotFound:
            return None
        return transaction if transaction.provider == received.provider else None

    def _append_once(self, event: NoticeUnmatched) -> None:
        try:
            self._handling.ledger.append([event])
        except VersionConflict:
            return  # another worker was faster, with the same event

    def hear(self, transaction_id: UUID, evidence: Evidence) -> Written | None:
        """Record a report about a transaction and what follows from it; None if nothing does.

        Raises:
            TransactionNotFound: no such transaction.
        """

        def decide(state: Transaction) -> Drafted | None:
            provider = self._handling.provider(state.provider)
            command = self._command(f"provider:{state.provider}", state.id, state.version)
            if isinstance(state, Withdrawal):
                return Drafted.of(hear_withdrawal(state, command, evidence, provider=provider))
            heard = hear_deposit(
                state,
                command,
                evidence,
                provider=provider,
                available_minor=self._available_minor(state, evidence),
            )
            return Drafted.of(heard)

        return self._handling.change_any(transaction_id, decide)

    def _available_minor(self, state: Deposit, evidence: Evidence) -> int:
        """Read only where a credit is in doubt: a completed deposit, and another final word."""
        if state.status is not DepositStatus.COMPLETED or state.credited is None:
            return 0
        account = accounts.available(state.player_id, state.credited.currency)
        return self._handling.ledger.balances([account])[account]

    # --- out ------------------------------------------------------------------------------------

    def submit(self, transaction_id: UUID) -> Transaction | None:
        """Record that an attempt begins; None where it must not be sent, or not yet.

        A payout whose provider is paused stays in the queue; a deposit's player is not kept
        waiting, and the deposit is blocked.

        Raises:
            InvalidTransition: it has begun already, or was given up.
        """

        def decide(state: Transaction) -> Drafted | None:
            provider = self._handling.provider(state.provider)
            command = self._command("system:dispatcher", state.id, state.version)
            unchanged = {provider.id: provider.version}
            if isinstance(state, Deposit):
                submitted = submit_deposit(state, command, provider=provider)
                return Drafted(events=(submitted,), unchanged=unchanged)
            if provider.paused:
                self._handling.ledger.forget(provider.id)
                return None
            player = self._player(state.player_id)
            return Drafted(
                events=(submit_withdrawal(state, command, player=player, provider=provider),),
                unchanged=unchanged | {player.id: player.version},
            )

        written = self._handling.change_any(transaction_id, decide)
        if written is None or written.transaction.status not in _SUBMITTED:
            return None
        return written.transaction

    def screen(self, withdrawal_id: UUID) -> None:
        """Check a withdrawal against the policy.

        Raises:
            InvalidTransition: it has been screened.
        """

        def decide(state: Withdrawal) -> Drafted | None:
            player = self._player(state.player_id)
            command = self._command("system:screening", state.id, state.version)
            return Drafted(
                events=screen_withdrawal(state, command, player=player, policy=self._policy),
                unchanged={player.id: player.version},
            )

        self._handling.change(withdrawal_id, Withdrawal, decide)

    def retry(self, withdrawal_id: UUID) -> None:
        """Queue the next attempt of a payout whose last one failed.

        Raises:
            InvalidTransition: it is not waiting for one.
        """

        def decide(state: Withdrawal) -> Drafted | None:
            command = self._command("system:dispatcher", state.id, state.version)
            return Drafted.of(retry_withdrawal(state, command))

        self._handling.change(withdrawal_id, Withdrawal, decide)

    def transaction(self, transaction_id: UUID) -> Transaction:
        """The transaction as it is now.

        Raises:
            TransactionNotFound: there is none under this id.
        """
        return self._handling.transaction(transaction_id)

    # --- shared ---------------------------------------------------------------------------------

    def _player(self, player_id: UUID) -> Player:
        player = self._handling.player(player_id)
        if player is None:
            raise PlayerNotFound(player_id)
        return player

    def _command(self, actor: str, stream: UUID, version: int) -> Command:
        return self._handling.unattended(actor, stream, version)


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
    )
