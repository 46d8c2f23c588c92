"""Withdrawals: everything that may be decided, with one leg and with three."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from domain.approval.policy import DEFAULT_POLICY
from domain.errors import Reason
from domain.events import PlannedLeg
from domain.events.evidence import DeclineCode, Evidence, Outcome, Source
from domain.fraud.assessment import Assessment
from domain.money import Money
from domain.provider.attempt import reference
from domain.withdrawal.approvals import missing_approvals
from domain.withdrawal.closed_loop import Plan
from domain.withdrawal.decisions import (
    amend_withdrawal,
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    request_withdrawal,
    score_withdrawal,
    screen_withdrawal,
)
from domain.withdrawal.legs import Leg, LegStatus
from domain.withdrawal.reports import WITHDRAWAL_TARGETS, hear_withdrawal, resolve_withdrawal
from domain.withdrawal.sending import retry_withdrawal, submit_withdrawal
from domain.withdrawal.state import Withdrawal, WithdrawalStatus
from tallystick.reference.arrows import samples
from tallystick.reference.arrows.exploring import Decision, Machine, by_two
from tallystick.reference.arrows.samples import (
    ANN,
    BEN,
    CLEO,
    HELD,
    INSTRUMENT,
    NOW,
    PLAYER,
    STREAM,
    command,
    left_minor,
    reports,
)

_AUTOMATIC: Final = Money(20_000, "EUR")
_ASKED_FOR: Final = (
    (_AUTOMATIC, 1, None),
    (_AUTOMATIC, 3, None),
    (_AUTOMATIC, 1, Reason.INSUFFICIENT_FUNDS),
    (Money(100_000, "EUR"), 1, None),
    (Money(1_000_000, "EUR"), 1, None),
)
"""Amount, legs, refusal: amounts that nobody, one person and two people have to agree to."""
_LESS: Final = Money(10_000, "EUR")

_PROVIDER: Final = replace(samples.PROVIDER, poll_delays_seconds=(10,))
"""Asked once, so that attempts and questions are few: a second failure is for good."""


def _plan(amount: Money, legs: int, instrument: str = INSTRUMENT) -> Plan:
    planned = tuple(
        PlannedLeg(
            leg=number,
            provider=_PROVIDER.name,
            method="card",
            instrument=f"{instrument}-{number}",
            amount=replace(amount, amount=amount.amount // legs),
        )
        for number in range(1, legs + 1)
    )
    return Plan(legs=planned, closed_loop=True)


_HARMLESS: Final = Assessment(score=0, hits=(), ruleset="reference", hold_from=70)
_RISKY: Final = Assessment(score=90, hits=(), ruleset="reference", hold_from=70)


def _first() -> Iterator[Decision]:
    for amount, legs, refusal in _ASKED_FOR:
        yield partial(
            request_withdrawal,
            *(STREAM, command("operator:platform")),
            player=PLAYER,
            provider=_PROVIDER,
            method="card",
            amount=amount,
            instrument=f"{INSTRUMENT}-1",
            metadata={},
            plan=_plan(amount, legs),
            refusal=refusal,
        )


def _following(state: Withdrawal) -> Iterator[Decision]:
    for player, assessment in ((PLAYER, _HARMLESS), (HELD, _HARMLESS), (PLAYER, _RISKY)):
        yield partial(
            screen_withdrawal,
            *(state, command()),
            player=player,
            policy=DEFAULT_POLICY,
            assessment=assessment,
            in_policy_currency=state.amount,
            deposited_minor=0,
            wagered_minor=0,
        )
    yield from _of_people(state)
    alone = len(state.legs) == 1
    # Of legs that stand alike, one is enough.
    for leg in {_essence_of_leg(leg, alone=alone): leg for leg in state.legs}.values():
        yield from _of_leg(state, leg)
    unmade = {state.attempt + 1: [Source.NOTICE]}
    for said in reports(state.legs[0].amount, unmade):
        yield partial(hear_withdrawal, state, command(), said, provider=_PROVIDER)


def _of_people(state: Withdrawal) -> Iterator[Decision]:
    for person in (ANN, BEN):
        yield partial(approve_withdrawal, state, person, player=PLAYER, note="seen")
    yield partial(reject_withdrawal, state, CLEO, note="seen")
    yield partial(hold_withdrawal, state, ANN, note="seen")
    yield partial(release_withdrawal, state, CLEO, note="seen")
    yield partial(request_information, state, ANN, note="seen")
    yield partial(provide_information, state, ANN, note="seen")
    yield partial(cancel_withdrawal, state, ANN, reason="reason")
    yield partial(score_withdrawal, state, ANN, score=10, high=(), ruleset="reference")
    yield partial(
        amend_withdrawal,
        *(state, ANN),
        plan=_plan(_LESS, len(state.legs), "another"),
        amount=_LESS,
        instrument="another-1",
        note="seen",
    )


def _of_leg(state: Withdrawal, leg: Leg) -> Iterator[Decision]:
    yield partial(retry_withdrawal, state, command(), leg=leg.number)
    for player in (PLAYER, HELD):
        yield partial(
            submit_withdrawal,
            *(state, command()),
            leg=leg.number,
            player=player,
            provider=_PROVIDER,
        )
    for target in sorted(WITHDRAWAL_TARGETS):
        yield by_two(state, resolve_withdrawal, target=target, note="seen", leg=leg.number)
    for said in _told(leg, alone=len(state.legs) == 1):
        yield partial(
            hear_withdrawal,
            *(state, command(), said),
            provider=_PROVIDER,
            available_minor=left_minor(leg.amount, said),
        )


def _told(leg: Leg, *, alone: bool) -> Iterator[Evidence]:
    """Everything a provider can say; of a leg among others, one report for each consequence."""
    if alone:
        ways: dict[int, Sequence[Source]] = {attempt: [Source.NOTICE] for attempt in leg.attempts}
        if leg.attempts:
            ways[leg.attempt] = list(Source)
        yield from reports(leg.amount, ways)
    elif leg.attempts:
        for source, outcome, code in _CONSEQUENCES:
            yield Evidence(
                source=source,
                outcome=outcome,
                reference=reference(STREAM, leg.attempt),
                decline_code=code,
            )


_CONSEQUENCES: Final = (
    (Source.ANSWER, Outcome.UNKNOWN, None),
    (Source.NOTICE, Outcome.PENDING, None),
    (Source.NOTICE, Outcome.SUCCEEDED, None),
    (Source.NOTICE, Outcome.RETURNED, None),
    (Source.NOTICE, Outcome.DECLINED, None),
    (Source.NOTICE, Outcome.DECLINED, DeclineCode.PROVIDER_ERROR),
    (Source.POLL, Outcome.PENDING, None),
)
"""Unknown, in work, paid, returned, failed for good or for now, unresolved."""

_LATER: Final = (WithdrawalStatus.HELD, WithdrawalStatus.INFO_REQUIRED, WithdrawalStatus.APPROVED)
"""A score given in these decides where the withdrawal goes once it is under review again."""


def _essence(state: Withdrawal) -> object:
    """Legs that stand alike are the same, whichever comes first."""
    alone = len(state.legs) == 1
    return (
        state.decision,
        state.decision is WithdrawalStatus.UNDER_REVIEW
        and len(missing_approvals(state, PLAYER, NOW)),
        state.decision in _LATER and state.screened,
        state.decision is WithdrawalStatus.REQUESTED and alone and state.amount,
        tuple(sorted(_essence_of_leg(leg, alone=alone) for leg in state.legs)),
    )


def _essence_of_leg(leg: Leg, *, alone: bool) -> tuple[str, ...]:
    """Of a leg among others only what its status, and with it the withdrawal's, depends on."""
    if not alone:
        return leg.status, str(leg.waits_for_retry)
    told = leg.status is LegStatus.REVIEW and leg.reason
    turns = (leg.turns.paid_told, leg.turns.returned_told, leg.turns.returned_at)
    known = (leg.status, leg.reserved, leg.paid, leg.house_minor > 0, told, leg.resolved, turns)
    return tuple(str(part) for part in (*known, len(leg.attempts), leg.attempt_sent))


WITHDRAWALS: Final = Machine(
    kind=Withdrawal,
    statuses=WithdrawalStatus,
    first=_first,
    following=_following,
    essence=_essence,
    legs=lambda state: [leg.status for leg in state.legs],
)
