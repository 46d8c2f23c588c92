"""Paying out, and the two other ways in which a balance changes: corrections and exchanges.

Payouts are screened by the approval policy alone: no indicator is asked, so nothing that one finds
can change what players do.
"""

from collections.abc import Sequence
from typing import Final

from domain import accounts
from domain.adjustment.decisions import AdjustmentReason, approve_adjustment, request_adjustment
from domain.adjustment.state import evolve_adjustment
from domain.conversion.decisions import accept_conversion, quote_conversion
from domain.conversion.state import evolve_conversion
from domain.events import (
    Move,
    TransactionFailed,
    WithdrawalEvent,
    WithdrawalRejected,
)
from domain.events.evidence import DeclineCode, Evidence, Outcome, Source
from domain.fraud.assessment import Assessment
from domain.money import Money
from domain.withdrawal.closed_loop import plan_legs
from domain.withdrawal.decisions import (
    approve_withdrawal,
    reject_withdrawal,
    request_withdrawal,
    screen_withdrawal,
    submit_withdrawal,
)
from domain.withdrawal.legs import LegStatus
from domain.withdrawal.reports import hear_withdrawal
from domain.withdrawal.state import Withdrawal, WithdrawalStatus, fold_withdrawal
from tallystick.play.synthetic_players.paying_in import DISPATCHER
from tallystick.play.synthetic_players.person import Instrument, Person
from tallystick.play.synthetic_players.world import Script

UNJUDGED: Final = Assessment(score=0, hits=(), ruleset="none", hold_from=101)
"""No indicator has looked at the payout."""

_SPREAD_BASIS_POINTS: Final = 75
_LEAST_EXCHANGED: Final = 500
"""Minor units: less is not worth the trouble, and might be nothing in the other currency."""
_REJECTED: Final = 0.015
_BOUNCED: Final = 0.012


def pay_out(me: Person, amount_minor: int, to: Instrument) -> None:
    """Ask for a payout, of what there is at most; the rest happens by itself."""
    amount_minor = min(amount_minor, me.spendable())
    if amount_minor < 1:
        return
    amount = Money(amount_minor, me.currency)
    command = me.asks()
    net_minor = {i: me.net.get((i, amount.currency), 0) for i in me.state.instruments}
    plan = plan_legs(
        player=me.state,
        amount=amount,
        provider=to.provider,
        method=to.method,
        instrument=to.token,
        net_minor=net_minor,
    )
    events = request_withdrawal(
        command.command_id,
        command,
        player=me.state,
        provider=me.platform.providers[to.provider],
        method=to.method,
        amount=amount,
        instrument=to.token,
        metadata={},
        origin=me.origin(None),
        plan=plan,
    )
    state = _told(me, None, events)
    me.available[amount.currency] -= amount_minor
    for leg in plan.legs:
        _net(me, leg.instrument, amount.currency, -leg.amount.amount)
    me.wallet = max(0, me.wallet - amount_minor)
    me.world.start(me.seconds(1, 6), _payout(me, state))


def _payout(me: Person, state: Withdrawal) -> Script:
    """Screen it, agree to it, send it; whatever takes people takes hours."""
    while True:
        match state.status:
            case WithdrawalStatus.REQUESTED:
                state = _screen(me, state)
            case WithdrawalStatus.UNDER_REVIEW:
                state = _decide(me, state)
            case _:
                queued = [leg.number for leg in state.legs if leg.status is LegStatus.QUEUED]
                if not queued:
                    return
                state = _send(me, state, queued[0])
                sent = state.legs[queued[0] - 1]
                if sent.status is LegStatus.SUBMITTED:
                    yield me.seconds(2, 400)
                    state = _answer(me, state, queued[0])
        if state.status is WithdrawalStatus.UNDER_REVIEW:
            yield me.hours(0.2, 9)
        else:
            yield me.seconds(1, 40)


def _screen(me: Person, state: Withdrawal) -> Withdrawal:
    currency = state.amount.currency
    events = screen_withdrawal(
        state,
        me.platform.unattended("system:screening", state.id, state.version),
        player=me.state,
        policy=me.platform.policy,
        assessment=UNJUDGED,
        in_policy_currency=me.platform.in_policy_currency(state.amount),
        deposited_minor=me.deposited.get(currency, 0),
        wagered_minor=me.wagered.get(currency, 0),
    )
    return _told(me, state, events)


def _decide(me: Person, state: Withdrawal) -> Withdrawal:
    """Everybody who has to agree does, one after the other; rarely somebody says no."""
    platform = me.platform
    if me.rng.random() < _REJECTED:
        command = platform.staff(state.required[0][0], me.rng)
        rejected = reject_withdrawal(state, command, note="not explained")
        return _told(me, state, (rejected,) if rejected else ())
    for group in state.required:
        command = platform.staff(group[0], me.rng)
        events = approve_withdrawal(state, command, player=me.state, note="looks right")
        state = _told(me, state, events)
    return state


def _send(me: Person, state: Withdrawal, leg: int) -> Withdrawal:
    command = me.platform.unattended(DISPATCHER, state.id, state.version)
    provider = me.platform.providers[state.legs[leg - 1].provider]
    event = submit_withdrawal(state, command, leg=leg, player=me.state, provider=provider)
    return _told(me, state, (event,) if event else ())


def _answer(me: Person, state: Withdrawal, leg: int) -> Withdrawal:
    sent = state.legs[leg - 1]
    bounced = me.rng.random() < _BOUNCED
    evidence = Evidence(
        source=Source.ANSWER,
        outcome=Outcome.DECLINED if bounced else Outcome.SUCCEEDED,
        reference=sent.reference or "",
        amount=sent.amount,
        decline_code=DeclineCode.ACCOUNT_CLOSED if bounced else None,
    )
    command = me.platform.unattended(DISPATCHER, state.id, state.version)
    provider = me.platform.providers[sent.provider]
    return _told(me, state, hear_withdrawal(state, command, evidence, provider=provider))


def _told(me: Person, state: Withdrawal | None, events: Sequence[WithdrawalEvent]) -> Withdrawal:
    """Append, and take back what is released."""
    me.world.append(events)
    for event in events:
        if not isinstance(event, TransactionFailed | WithdrawalRejected):
            continue
        if event.released is not None:
            currency, released_minor = event.released.currency, event.released.amount
            me.available[currency] = me.available.get(currency, 0) + released_minor
            me.wallet += released_minor
        for count in event.counts:
            instrument = count.counter.split(":", 3)[3]
            _net(me, instrument, count.counter.split(":", 3)[2], count.change)
    state = fold_withdrawal(state, events)
    if state is None:
        raise ValueError("a payout begins with its request")
    return state


def _net(me: Person, instrument: str | None, currency: str, change: int) -> None:
    if instrument is not None:
        key = instrument, currency
        me.net[key] = me.net.get(key, 0) + change


# --- corrections and exchanges ------------------------------------------------------------------


def credit(me: Person, amount_minor: int, reason: AdjustmentReason, grounds: str) -> Script:
    """Two people of the platform credit the person: a bonus, or winnings paid by hand."""
    amount = Money(amount_minor, me.currency)
    move = Move(
        source=accounts.adjustments(me.currency),
        target=accounts.available(me.id, me.currency),
        money=amount,
    )
    command = me.platform.staff("support", me.rng)
    requested = request_adjustment(
        command.command_id,
        command,
        player_id=me.id,
        moves=(move,),
        reason=reason,
        grounds=grounds,
        transaction_id=None,
        metadata={},
    )
    me.world.append((requested,))
    state = evolve_adjustment(None, requested)
    yield me.minutes(2, 90)
    approved = approve_adjustment(state, me.platform.staff("compliance", me.rng), note="agreed")
    if approved is None:
        raise ValueError("an adjustment is agreed to once")
    me.world.append((approved,))
    me.available[me.currency] = me.available.get(me.currency, 0) + amount_minor
    me.wallet += amount_minor


def convert(me: Person, amount_minor: int, source: str, target: str) -> Script:
    """Exchange a part of a balance for another currency, at the house's rate."""
    amount_minor = min(amount_minor, me.available.get(source, 0))
    if amount_minor < _LEAST_EXCHANGED:
        return
    command = me.asks()
    quoted = quote_conversion(
        command.command_id,
        command,
        player_id=me.id,
        source=Money(amount_minor, source),
        target_currency=target,
        rate=me.platform.rate(source, target),
        rate_source=table.table if (table := me.platform.rates.in_force) else "",
        spread_basis_points=_SPREAD_BASIS_POINTS,
        metadata={},
    )
    me.world.append((quoted,))
    state = evolve_conversion(None, quoted)
    yield me.seconds(5, 120)
    if me.available[source] < amount_minor:
        return
    me.world.append(accept_conversion(state, me.asks()))
    me.available[source] -= amount_minor
    me.available[target] = me.available.get(target, 0) + state.target.amount
    if source == me.currency:
        me.wallet = max(0, me.wallet - amount_minor)
