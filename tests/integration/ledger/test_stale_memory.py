"""What a process remembers of a stream is no reason to leave work undone, or to be wrong."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute, DisputeStatus, dispute_stream
from domain.errors import Reason
from domain.events.evidence import DisputeNews, DisputeStage, Evidence, Outcome, Source
from domain.money import Money
from domain.provider.attempt import reference
from domain.refund.decisions import RefundStatus
from domain.withdrawal.state import Withdrawal
from ledger.commands.deposit import CreateDeposit
from ledger.commands.refund import RequestRefund
from ledger.commands.withdrawal import RequestWithdrawal
from ledger.providers.protocol import Answer, DisputeNotice, ProviderNotice
from ledger.settings import Settings
from tallystick.serve import bootstrap
from tests.oracles.ledger_checks import ledger_on
from tests.property.backroom import Clock, Handlers, by

PROVIDER, OTHER_PROVIDER = "bank", "wallets"
AMOUNT = Money(5_000, "EUR")


@pytest.fixture(scope="module")
def processes(module_database: Settings) -> Iterator[tuple[Handlers, Handlers]]:
    """Two workers, each with a memory of its own, by one clock."""
    bootstrap.prepare(module_database)
    clock = Clock()
    with ledger_on(module_database) as one, ledger_on(module_database) as other:
        first, second = (Handlers(ledger, clock, {}) for ledger in (one, other))
        for name in (PROVIDER, OTHER_PROVIDER):
            first.register_provider(name, poll_delays_seconds=(10, 30))
        yield first, second


def submitted(handlers: Handlers, **changes: object) -> UUID:
    fields: dict[str, Any] = {"player_id": uuid4(), "provider": PROVIDER, **changes}
    request = CreateDeposit(method="card", amount=AMOUNT, metadata={}, **fields)
    deposit_id = handlers.deposits.create(request, by("pat")).transaction.id
    handlers.dispatch.submit(deposit_id)
    return deposit_id


def say(handlers: Handlers, transaction_id: UUID, outcome: Outcome) -> None:
    """Have the provider answer a poll."""
    evidence = Evidence(source=Source.POLL, outcome=outcome, reference=reference(transaction_id, 1))
    handlers.inbox.hear(transaction_id, evidence)


def tell(
    handlers: Handlers,
    deposit_id: UUID,
    news: DisputeNews,
    stage: DisputeStage,
    due_at: datetime | None = None,
) -> UUID:
    """Have the provider tell news of the dispute about a deposit."""
    notice = DisputeNotice(
        message_id=uuid4().hex,
        reference=reference(deposit_id, 1),
        dispute_reference=f"dp-{deposit_id}",
        stage=stage,
        news=news,
        amount=None,
        reason_code=None,
        evidence_due_at=due_at,
        sent_at=handlers.clock(),
    )
    stream, _ = handlers.inbox.receive(PROVIDER, notice, "")
    handlers.inbox.act_on_notice(stream)
    return dispute_stream(PROVIDER, notice.dispute_reference)


def test_a_dispute_that_another_process_opened_again_still_expires(
    processes: tuple[Handlers, Handlers],
) -> None:
    one, other = processes
    deposit_id = submitted(one)
    say(one, deposit_id, Outcome.SUCCEEDED)
    due_at = one.clock() + timedelta(hours=1)
    dispute_id = tell(one, deposit_id, DisputeNews.EVIDENCE_DUE, DisputeStage.CHARGEBACK, due_at)
    one.clock.move(3_600)
    one.dispatch.expire(dispute_id)

    later = one.clock() + timedelta(hours=1)
    tell(other, deposit_id, DisputeNews.EVIDENCE_DUE, DisputeStage.ARBITRATION, later)
    one.clock.move(3_600)
    one.dispatch.expire(dispute_id)

    dispute = other.handling.transaction(dispute_id)
    assert isinstance(dispute, Dispute)
    assert (dispute.stage, dispute.status) == (DisputeStage.ARBITRATION, DisputeStatus.EXPIRED)


def test_a_late_success_is_checked_against_what_another_process_knows_of_the_player(
    processes: tuple[Handlers, Handlers],
) -> None:
    one, other = processes
    player = uuid4()
    deposit_id = submitted(one, player_id=player)
    say(one, deposit_id, Outcome.DECLINED)
    other.players.exclude(
        player, excluded=True, reason="asked for it", until=None, caller=by("cleo")
    )
    say(one, deposit_id, Outcome.SUCCEEDED)

    deposit = one.handling.transaction(deposit_id)
    assert isinstance(deposit, Deposit)
    assert deposit.credited == AMOUNT
    assert deposit.concerns == (Reason.PLAYER_EXCLUDED,)


@pytest.mark.parametrize("first_use", [True, False])
def test_a_success_in_time_is_checked_against_what_another_process_knows_of_the_player(
    processes: tuple[Handlers, Handlers], first_use: bool
) -> None:
    one, other = processes
    player = uuid4()
    if not first_use:
        say(one, submitted(one, player_id=player, instrument="card-1"), Outcome.SUCCEEDED)
    under_way = [submitted(one, player_id=player, instrument="card-1") for _ in range(2)]
    other.players.hold(player, reason="stolen cards", caller=by("ben"))
    say(one, under_way[0], Outcome.SUCCEEDED)
    other.players.exclude(player, excluded=True, reason="r", until=None, caller=by("cleo"))
    say(one, under_way[1], Outcome.SUCCEEDED)

    found = [one.handling.transaction(deposit_id) for deposit_id in under_way]
    assert all(isinstance(deposit, Deposit) for deposit in found)
    assert [deposit.credited for deposit in found] == [AMOUNT, AMOUNT]
    assert [deposit.concerns for deposit in found] == [
        (Reason.PLAYER_ON_HOLD,),
        (Reason.PLAYER_EXCLUDED, Reason.PLAYER_ON_HOLD),
    ]


@pytest.mark.parametrize("person", ["ben", "dora"])
def test_a_deposit_that_never_arrived_is_not_sent_again_while_a_hold_stops_deposits(
    processes: tuple[Handlers, Handlers], person: str
) -> None:
    """Ben's holds are of fraud, Dora's of finance."""
    one, other = processes
    player = uuid4()
    deposit_id = submitted(one, player_id=player)
    other.players.hold(player, reason="r", caller=by(person))
    attempt = one.dispatch.attempt(deposit_id)
    assert attempt is not None
    expected = None if person == "dora" else Reason.PLAYER_ON_HOLD
    assert one.dispatch.why_not_again(attempt) == expected


def test_a_deposit_that_never_arrived_is_not_sent_again_for_a_player_excluded_since(
    processes: tuple[Handlers, Handlers],
) -> None:
    one, other = processes
    player = uuid4()
    deposit_id = submitted(one, player_id=player)
    attempt = one.dispatch.attempt(deposit_id)
    assert attempt is not None
    assert one.dispatch.why_not_again(attempt) is None

    other.players.exclude(
        player, excluded=True, reason="asked for it", until=None, caller=by("cleo")
    )
    assert one.dispatch.why_not_again(attempt) == Reason.PLAYER_EXCLUDED


def test_a_notice_about_a_payout_that_another_process_planned_anew_is_not_set_aside(
    processes: tuple[Handlers, Handlers],
) -> None:
    one, other = processes
    player = uuid4()
    card = submitted(one, player_id=player, instrument="card-1")
    wallet = submitted(one, player_id=player, instrument="wallet-1", provider=OTHER_PROVIDER)
    for deposit_id in (card, wallet):
        say(one, deposit_id, Outcome.SUCCEEDED)
    requested = RequestWithdrawal(
        player_id=player, provider=PROVIDER, method="card", amount=AMOUNT, metadata={}
    )
    withdrawal_id = one.withdrawals.request(requested, by("pat")).transaction.id
    one.dispatch.screen(withdrawal_id)

    tell(one, card, DisputeNews.FUNDS_WITHDRAWN, DisputeStage.CHARGEBACK)
    less = Money(4_000, "EUR")
    other.withdrawals.amend(
        withdrawal_id, amount=less, instrument=None, note="less", caller=by("ann")
    )
    notice = ProviderNotice(
        message_id=uuid4().hex,
        reference=reference(withdrawal_id, 1),
        answer=Answer(outcome=Outcome.SUCCEEDED, amount=less),
        sent_at=one.clock(),
    )
    stream, _ = one.inbox.receive(OTHER_PROVIDER, notice, "")
    one.inbox.act_on_notice(stream)

    withdrawal = one.handling.transaction(withdrawal_id)
    assert isinstance(withdrawal, Withdrawal)
    assert [leg.provider for leg in withdrawal.legs] == [OTHER_PROVIDER]
    assert stream in withdrawal.notices


def test_a_refund_that_never_arrived_is_not_sent_again_while_a_dispute_is_open(
    processes: tuple[Handlers, Handlers],
) -> None:
    one, _ = processes
    deposit_id = submitted(one)
    say(one, deposit_id, Outcome.SUCCEEDED)
    request = RequestRefund(deposit_id=deposit_id, amount=None, reason="twice", metadata={})
    refund_id = one.refunds.request(request, by("ann")).transaction.id
    one.refunds.approve(refund_id, "", by("dora"))
    sent = one.dispatch.submit(refund_id)
    assert sent is not None
    assert one.dispatch.why_not_again(sent) is None

    tell(one, deposit_id, DisputeNews.OPENED, DisputeStage.CHARGEBACK)
    assert one.dispatch.why_not_again(sent) == Reason.DISPUTE_OPEN

    tell(one, deposit_id, DisputeNews.WON, DisputeStage.CHARGEBACK)
    assert one.dispatch.why_not_again(sent) is None
    assert one.handling.transaction(refund_id).status is RefundStatus.SUBMITTED
