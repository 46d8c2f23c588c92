"""What may follow from a transaction's state, in the random histories of `event_sequences.py`."""

from typing import TYPE_CHECKING, assert_never
from uuid import UUID

from domain import accounts
from domain.adjustment.decisions import approve_adjustment, reject_adjustment
from domain.adjustment.state import Adjustment
from domain.approval.policy import DEFAULT_POLICY
from domain.conversion.decisions import accept_conversion, expire_conversion, submit_conversion
from domain.conversion.reports import hear_conversion, resolve_conversion
from domain.conversion.state import Conversion, ConversionStatus
from domain.deposit.decisions import DepositStatus, cancel_deposit, submit_deposit
from domain.deposit.reports import hear_deposit, resolve_deposit
from domain.deposit.state import Deposit
from domain.dispute.decisions import (
    Dispute,
    accept_dispute,
    answer_acknowledged,
    answer_delayed,
    answer_report,
    dispute_stream,
    expire_dispute,
    submit_evidence,
)
from domain.dispute.reports import hear_dispute
from domain.errors import Reason
from domain.events import DisputeNoticeReceived, LedgerEvent
from domain.events.evidence import DeclineCode, Evidence, Outcome, Source
from domain.fraud.assessment import Assessment
from domain.money import Money
from domain.provider.attempt import reference
from domain.provider.webhook import evidence_of, report_of, set_aside
from domain.refund.decisions import approve_refund, cancel_refund, reject_refund, submit_refund
from domain.refund.reports import hear_refund, resolve_refund
from domain.refund.state import Refund, RefundStatus
from domain.transactions import Transaction
from domain.withdrawal.decisions import (
    amend_withdrawal,
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    score_withdrawal,
    screen_withdrawal,
)
from domain.withdrawal.legs import Leg, LegStatus, leg_about
from domain.withdrawal.reports import hear_withdrawal, resolve_withdrawal
from domain.withdrawal.sending import retry_withdrawal, submit_withdrawal
from domain.withdrawal.state import Withdrawal
from domain.withdrawal.status import WithdrawalStatus

if TYPE_CHECKING:
    from tests.generators.event_sequences import Appended, Notice, World

    Made = Appended | LedgerEvent | None


def proceed(world: "World", state: Transaction) -> "Made":
    """What a worker or a person would do next."""
    match state:
        case Deposit():
            return _deposit(world, state)
        case Withdrawal():
            return _withdrawal(world, state)
        case Refund():
            return _refund(world, state)
        case Conversion():
            return _conversion(world, state)
        case Dispute():
            return _dispute(world, state)
        case Adjustment():
            return _adjustment(world, state)
        case _:
            assert_never(state)


def act_on(world: "World", notice: "Notice") -> "Made":
    """What follows from a notice."""
    stream = notice.reference.partition("-")[0]
    state = world.transactions.get(UUID(stream)) if len(stream) == 32 else None
    if isinstance(notice, DisputeNoticeReceived):
        if not isinstance(state, Deposit):
            return set_aside(notice, world.command(), "no deposit of ours")
        dispute_id = dispute_stream(notice.provider, notice.dispute_reference)
        known = world.transactions.get(dispute_id)
        return hear_dispute(
            known if isinstance(known, Dispute) else None,
            world.command(),
            report_of(notice),
            dispute_id=dispute_id,
            deposit=state,
        )
    if state is None or isinstance(state, Dispute | Adjustment):
        return set_aside(notice, world.command(), "nothing we know")
    return _hear(world, state, evidence_of(notice))


def heard(world: "World", state: Transaction) -> Evidence:
    """Something a provider may say about the transaction."""
    random = world.random
    outcome = random.choices(list(Outcome), [5, 5, 6, 3, 14, 4, 1, 0.5, 1, 2, 3])[0]
    attempts, amount = [1], state.amount
    if isinstance(state, Conversion):
        amount = state.target
    if isinstance(state, Withdrawal):
        leg = _some_leg(world, state)
        attempts, amount = [*leg.attempts[-1:]] or [state.attempt + 1], leg.amount
    other = random.random() < 0.03
    return Evidence(
        source=random.choice([Source.ANSWER, Source.POLL]),
        outcome=outcome,
        reference=reference(state.id, attempts[-1]),
        amount=Money(amount.amount + 1, amount.currency) if other else None,
        fee=random.choice([None, Money(7, amount.currency)]),
        provider_reference=random.choice([None, f"psp-ref-{state.id.hex[:6]}-{attempts[-1]}"]),
        decline_code=random.choice([None, *DeclineCode]),
        redirect_url="https://psp.example/pay",
    )


def _hear(
    world: "World", state: Deposit | Withdrawal | Refund | Conversion, evidence: Evidence
) -> "Made":
    command = world.command()
    match state:
        case Deposit():
            return hear_deposit(
                state,
                command,
                evidence,
                provider=world.providers[state.provider],
                available_minor=_available_minor(world, state.player_id, state.amount.currency),
                concerns=world.random.choice([(), (), ("player_excluded",)]),
            )
        case Withdrawal():
            provider = world.providers[leg_about(state.legs, evidence.reference).provider]
            return hear_withdrawal(state, command, evidence, provider=provider)
        case Refund():
            provider = world.providers[state.provider]
            return hear_refund(
                state, command, evidence, deposit=_deposit_of(world, state), provider=provider
            )
        case Conversion():
            if state.provider is None:
                return None
            return hear_conversion(
                state,
                command,
                evidence,
                provider=world.providers[state.provider],
                available_minor=_available_minor(world, state.player_id, state.target.currency),
            )
        case _:
            assert_never(state)


def _available_minor(world: "World", player_id: UUID, currency: str) -> int:
    return world.balances[accounts.available(player_id, currency)]


def _deposit_of(world: "World", state: Refund | Dispute) -> Deposit:
    found = world.transactions[state.deposit_id]
    if not isinstance(found, Deposit):
        raise TypeError(found)
    return found


# --- by kind ------------------------------------------------------------------------------------


def _deposit(world: "World", state: Deposit) -> "Made":
    command, random = world.command(), world.random
    if state.status is DepositStatus.CREATED and random.random() < 0.9:
        player, provider = world.players[state.player_id], world.providers[state.provider]
        return submit_deposit(state, command, player=player, provider=provider)
    if state.status is DepositStatus.REVIEW:
        target = random.choice(["completed", "completed", "failed"])
        return resolve_deposit(state, world.by_person(), target=target, note="seen")
    if random.random() < 0.05:
        return cancel_deposit(state, command, "test")
    return _hear(world, state, heard(world, state))


def _withdrawal(world: "World", state: Withdrawal) -> "Made":
    random, by = world.random, world.by_person()
    player, chance = world.players[state.player_id], random.random()
    if chance < 0.04:
        return cancel_withdrawal(state, by, reason="test")
    if chance < 0.08:
        return _amended(world, state)
    if chance < 0.11:
        score = random.randint(0, 100)
        return score_withdrawal(state, world.command(), score=score, high=(), ruleset="test")
    match state.status:
        case WithdrawalStatus.REQUESTED:
            in_euro = state.amount if state.amount.currency == "EUR" else None
            return screen_withdrawal(
                state,
                world.command(),
                player=player,
                policy=DEFAULT_POLICY,
                assessment=_assessed(random.choice((0, 0, 25, 50, 75))),
                in_policy_currency=in_euro,
                deposited_minor=10**9,
                wagered_minor=10**9,
            )
        case WithdrawalStatus.UNDER_REVIEW:
            if random.random() < 0.75:
                return approve_withdrawal(state, by, player=player, note="fine")
            decide = random.choice([reject_withdrawal, hold_withdrawal, request_information])
            return decide(state, by, note='a "note"')
        case WithdrawalStatus.INFO_REQUIRED:
            return provide_information(state, by, note="here")
        case WithdrawalStatus.HELD:
            return release_withdrawal(state, by, note="fine")
        case WithdrawalStatus.REVIEW:
            target = random.choice(["paid", "paid", "failed"])
            in_review = [leg for leg in state.legs if leg.status is LegStatus.REVIEW]
            return resolve_withdrawal(
                state, by, target=target, note="seen", leg=random.choice(in_review).number
            )
        case _:
            return _leg(world, state, _some_leg(world, state))


def _leg(world: "World", state: Withdrawal, leg: Leg) -> "Made":
    if leg.status is LegStatus.QUEUED:
        return submit_withdrawal(
            state,
            world.command(),
            leg=leg.number,
            player=world.players[state.player_id],
            provider=world.providers[leg.provider],
        )
    if leg.waits_for_retry:
        return retry_withdrawal(state, world.command(), leg=leg.number)
    return _hear(world, state, heard(world, state))


def _some_leg(world: "World", state: Withdrawal) -> Leg:
    """Mostly one that is to be paid still."""
    reserved = [leg for leg in state.legs if leg.reserved]
    return world.random.choice(reserved or list(state.legs))


def _amended(world: "World", state: Withdrawal) -> "Made":
    less = Money(max(1, state.amount.amount - 1), state.amount.currency)
    plan = world.plan(world.players[state.player_id], less, state.provider, state.instrument)
    return amend_withdrawal(
        state, world.by_person(), plan=plan, amount=less, instrument=state.instrument, note="less"
    )


def _refund(world: "World", state: Refund) -> "Made":
    random, by, deposit = world.random, world.by_person(), _deposit_of(world, state)
    if random.random() < 0.03:
        return cancel_refund(state, by, deposit=deposit, reason="test")
    match state.status:
        case RefundStatus.PENDING_APPROVAL:
            if random.random() < 0.1:
                return reject_refund(state, by, deposit=deposit, note="no")
            return approve_refund(state, by, note="yes")
        case RefundStatus.APPROVED:
            provider = world.providers[state.provider]
            return submit_refund(state, world.command(), deposit=deposit, provider=provider)
        case RefundStatus.REVIEW:
            target = random.choice(["succeeded", "failed"])
            return resolve_refund(state, by, deposit=deposit, target=target, note="seen")
        case _:
            return _hear(world, state, heard(world, state))


def _conversion(world: "World", state: Conversion) -> "Made":
    random = world.random
    match state.status:
        case ConversionStatus.QUOTED:
            if state.is_over(world.now):
                return expire_conversion(state, world.command())
            refusal = world.refusal(state.player_id, state.source)
            return accept_conversion(state, world.command(), refusal=refusal)
        case ConversionStatus.ACCEPTED if state.provider is not None:
            return submit_conversion(
                state, world.command(), provider=world.providers[state.provider]
            )
        case ConversionStatus.REVIEW:
            target = random.choice(["executed", "failed"])
            return resolve_conversion(state, world.by_person(), target=target, note="seen")
        case _:
            return _hear(world, state, heard(world, state))


def _dispute(world: "World", state: Dispute) -> "Made":
    random, deposit = world.random, _deposit_of(world, state)
    if state.answer_due:
        if random.random() < 0.4:
            outcome = random.choice([Outcome.NOT_SENT, Outcome.UNKNOWN])
            return answer_delayed(state, world.command(), outcome=outcome, delays_seconds=(10, 60))
        return answer_acknowledged(state, world.command(), answer_report(state))
    due_at = state.evidence_due_at
    if due_at is not None and due_at <= world.now:
        return expire_dispute(state, world.command(), deposit=deposit)
    if random.random() < 0.6:
        return None  # nobody has looked yet
    if random.random() < 0.4:
        return accept_dispute(state, world.by_person(), deposit=deposit, note="they are right")
    return submit_evidence(state, world.by_person(), note="look", documents=("doc-1",))


def _adjustment(world: "World", state: Adjustment) -> "Made":
    if world.random.random() < 0.3:
        return reject_adjustment(state, world.by_person(), note="no")
    refusal = world.random.choice([None, None, Reason.INSUFFICIENT_FUNDS])
    return approve_adjustment(state, world.by_person(), note="yes", refusal=refusal)


def _assessed(score: int) -> Assessment:
    return Assessment(score=score, hits=(), ruleset="default-1", hold_from=70)
