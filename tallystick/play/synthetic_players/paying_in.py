"""Paying in, and what becomes of deposits: refunds, and disputes at the bank.

Each step is decided by the ledger's own functions, so the events are what it would record.
"""

from collections.abc import Generator, Mapping
from typing import Final

from domain.deposit.decisions import DepositStatus, create_deposit, submit_deposit
from domain.deposit.reports import hear_deposit
from domain.deposit.state import Deposit, evolve_deposit
from domain.dispute.decisions import Dispute, dispute_stream, evolve_dispute
from domain.dispute.reports import hear_dispute
from domain.errors import Reason
from domain.events import (
    DepositCompleted,
    DepositDisputeFundsTracked,
    DepositDisputeTracked,
    DepositExcessTracked,
    DepositRefundTracked,
    DisputeEvent,
    LedgerEvent,
    RefundEvent,
    RefundRejected,
    RefundRequested,
)
from domain.events.evidence import (
    DeclineCode,
    DisputeNews,
    DisputeReport,
    DisputeStage,
    Evidence,
    Outcome,
    Source,
)
from domain.money import Money
from domain.player.limits import deposit_ceilings, deposit_counts
from domain.player.player import register_instrument
from domain.provider.attempt import reference
from domain.refund.decisions import (
    Refund,
    approve_refund,
    evolve_refund,
    request_refund,
    submit_refund,
)
from domain.refund.reports import hear_refund
from tallystick.play.synthetic_players.person import Instrument, Person
from tallystick.play.synthetic_players.world import DAY, Script

DISPATCHER: Final = "system:dispatcher"
_TOLD_BY_DISPUTES: Final = DepositDisputeTracked | DepositDisputeFundsTracked | DepositExcessTracked
HOLDERS_CHECKED: Final = 0.22
"""How many of the providers' answers name the holder."""
_REFUNDED_BY: Final = (("finance",),)

Paying = Generator[int, None, Deposit]


def pay_in(
    me: Person,
    amount_minor: int,
    instrument: Instrument,
    *,
    declined: DeclineCode | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Paying:
    """Pay in, and wait for what the provider says; the deposit as it is then."""
    created = _created(me, Money(amount_minor, me.currency), instrument, metadata or {})
    if created.status is DepositStatus.BLOCKED:
        return created
    yield me.after(200_000, 1_500_000)
    platform = me.platform
    command = platform.unattended(DISPATCHER, created.id, created.version)
    provider = platform.providers[instrument.provider]
    submitted = submit_deposit(created, command, player=me.state, provider=provider)
    me.world.append((submitted,))
    state = evolve_deposit(created, submitted)
    yield me.after(700_000, 12_000_000)
    command = platform.unattended(DISPATCHER, state.id, state.version)
    heard = hear_deposit(state, command, _answer(state, declined), provider=provider)
    if heard is None:
        raise ValueError("an answer is heard once")
    state = evolve_deposit(state, heard)
    if isinstance(heard, DepositCompleted):
        _credit(me, heard)
        first = register_instrument(
            me.state,
            command,
            instrument=instrument.token,
            provider=instrument.provider,
            method=instrument.method,
        )
        me.world.append((heard,) if first is None else (heard, first))
        if first is not None:
            me.told(first)
            if me.rng.random() < HOLDERS_CHECKED:
                me.check_holder(instrument)
    else:
        _count(me, heard)
        me.world.append((heard,))
    return state


def _created(
    me: Person, amount: Money, instrument: Instrument, metadata: Mapping[str, str]
) -> Deposit:
    command = me.asks()
    today = me.today()
    counts = deposit_counts(me.id, amount, today)
    refusal, used = None, me.used
    if used is not None:
        ceilings = deposit_ceilings(me.state, amount.currency, command.now, today)
        if any(used.get(name, 0) + amount.amount > most for name, most in ceilings.items()):
            refusal = Reason.LIMIT_EXCEEDED
    events = create_deposit(
        command.command_id,
        command,
        player=me.state,
        provider=me.platform.providers[instrument.provider],
        method=instrument.method,
        amount=amount,
        instrument=instrument.token,
        metadata=metadata,
        origin=me.origin(instrument),
        counts=counts,
        refusal=refusal,
    )
    me.world.append(events)
    _count(me, events[0])
    state = evolve_deposit(None, events[0])
    return state if len(events) == 1 else evolve_deposit(state, events[1])


def _count(me: Person, event: LedgerEvent) -> None:
    if me.used is None:
        return
    for count in getattr(event, "counts", ()):
        me.used[count.counter] = me.used.get(count.counter, 0) + count.change


def _answer(state: Deposit, declined: DeclineCode | None) -> Evidence:
    if declined is not None:
        return Evidence(
            source=Source.ANSWER,
            outcome=Outcome.DECLINED,
            reference=reference(state.id, 1),
            decline_code=declined,
        )
    return Evidence(
        source=Source.ANSWER,
        outcome=Outcome.SUCCEEDED,
        reference=reference(state.id, 1),
        amount=state.amount,
        fee=Money(state.amount.amount // 90 + 1, state.amount.currency),
        provider_reference=f"pp_{state.id.hex[:16]}",
    )


def _credit(me: Person, event: DepositCompleted) -> None:
    currency, amount_minor = event.settled.currency, event.settled.amount
    me.available[currency] = me.available.get(currency, 0) + amount_minor
    me.deposited[currency] = me.deposited.get(currency, 0) + amount_minor
    if event.instrument is not None:
        key = event.instrument, currency
        me.net[key] = me.net.get(key, 0) + amount_minor
    if currency == me.currency:
        me.wallet += amount_minor


# --- refunds ------------------------------------------------------------------------------------


def ask_back(me: Person, deposit: Deposit, grounds: str) -> Paying:
    """Have support take a deposit back; finance agrees within a day. The deposit afterwards."""
    platform, currency = me.platform, deposit.amount.currency
    enough = me.available.get(currency, 0) >= deposit.refundable_minor
    command = platform.staff("support", me.rng)
    events = request_refund(
        command.command_id,
        command,
        deposit=deposit,
        amount=None,
        reason=grounds,
        metadata={},
        required=_REFUNDED_BY,
        refusal=None if enough else Reason.INSUFFICIENT_FUNDS,
    )
    refund, deposit = _told(me, None, deposit, events)
    if not refund.reserved:
        return deposit
    yield me.hours(0.3, 20)
    approved = approve_refund(refund, platform.staff("finance", me.rng), note="as agreed")
    if approved is None:
        raise ValueError("a refund is agreed to once")
    refund, deposit = _told(me, refund, deposit, (approved,))
    yield me.seconds(1, 20)
    provider = platform.providers[refund.provider]
    command = platform.unattended(DISPATCHER, refund.id, refund.version)
    events = submit_refund(refund, command, deposit=deposit, provider=provider)
    refund, deposit = _told(me, refund, deposit, events)
    yield me.seconds(2, 90)
    command = platform.unattended(DISPATCHER, refund.id, refund.version)
    evidence = Evidence(
        source=Source.ANSWER,
        outcome=Outcome.SUCCEEDED,
        reference=reference(refund.id, 1),
        amount=refund.amount,
    )
    events = hear_refund(refund, command, evidence, deposit=deposit, provider=provider)
    return _told(me, refund, deposit, events)[1]


def _told(
    me: Person, refund: Refund | None, deposit: Deposit, events: tuple[LedgerEvent, ...]
) -> tuple[Refund, Deposit]:
    """Append what a refund is about, and what its deposit is told."""
    me.world.append(events)
    for event in events:
        if isinstance(event, DepositRefundTracked | DepositExcessTracked):
            deposit = evolve_deposit(deposit, event)
        elif isinstance(event, RefundEvent):
            refund = evolve_refund(refund, event)
            if isinstance(event, RefundRequested) and event.reserved:
                _take_back(me, deposit, event.amount.amount)
            elif isinstance(event, RefundRejected) and event.released is not None:
                _take_back(me, deposit, -event.released.amount)
    if refund is None:
        raise ValueError("a refund begins with its request")
    return refund, deposit


def _take_back(me: Person, deposit: Deposit, amount_minor: int) -> None:
    currency = deposit.amount.currency
    me.available[currency] = me.available.get(currency, 0) - amount_minor
    if deposit.instrument is not None:
        key = deposit.instrument, currency
        me.net[key] = me.net.get(key, 0) - amount_minor
    if currency == me.currency:
        me.wallet = max(0, me.wallet - amount_minor)


# --- disputes -----------------------------------------------------------------------------------


def dispute(me: Person, deposit: Deposit, reason_code: str, *, lost: bool) -> Script:
    """Have the bank contest a deposit; it takes the money at once and decides weeks later."""
    number = f"dp_{me.rng.getrandbits(48):012x}"
    state: Dispute | None = None
    for news in (DisputeNews.OPENED, DisputeNews.FUNDS_WITHDRAWN):
        state, deposit = _heard(me, state, deposit, number, news, reason_code)
        yield me.hours(0.1, 20)
    yield me.after(12 * DAY, 45 * DAY)
    verdicts = (DisputeNews.LOST,) if lost else (DisputeNews.WON, DisputeNews.FUNDS_REINSTATED)
    for news in verdicts:
        state, deposit = _heard(me, state, deposit, number, news, reason_code)
        yield me.hours(0.1, 20)


def _heard(
    me: Person,
    state: Dispute | None,
    deposit: Deposit,
    number: str,
    news: DisputeNews,
    reason_code: str,
) -> tuple[Dispute, Deposit]:
    dispute_id = dispute_stream(deposit.provider, number)
    actor = f"provider:{deposit.provider}"
    report = DisputeReport(
        source=Source.NOTICE,
        news=news,
        stage=DisputeStage.CHARGEBACK,
        reference=deposit.reference or "",
        dispute_reference=number,
        amount=deposit.amount,
        reason_code=reason_code,
    )
    command = me.platform.unattended(actor, dispute_id, state.version if state else 0)
    events = hear_dispute(state, command, report, dispute_id=dispute_id, deposit=deposit)
    me.world.append(events)
    for event in events:
        if isinstance(event, _TOLD_BY_DISPUTES):
            deposit = evolve_deposit(deposit, event)
        elif isinstance(event, DisputeEvent):
            state = evolve_dispute(state, event)
            for count in getattr(event, "counts", ()):
                key = (deposit.instrument or "", deposit.amount.currency)
                me.net[key] = me.net.get(key, 0) + count.change
    if state is None:
        raise ValueError("a dispute begins by being opened")
    return state, deposit
