"""What will happen to a payment, decided beforehand.

Every choice is a pure function of the seed and the reference: never of the time, the order of
arrival or a shared random generator. The same seed and the same references give the same truth
however the calls interleave, so a test can predict it without running anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from domain.events.evidence import DeclineCode, Outcome
from domain.money import AMOUNT_MINOR_MAX, Money
from ledger.providers.simulator.wire import Kind, Status
from tallystick.play.simulator.dice import Dice
from tallystick.play.simulator.dispute_plan import DisputePlan, plan_dispute
from tallystick.play.simulator.faults import AnswerFault, Damage, Fault, Faults
from tallystick.play.simulator.profiles import (
    DECLINE_CODES,
    DEFAULT_WEIGHTS,
    RETURNED,
    SCRIPTS,
    Profile,
    Script,
    Weights,
)

# Simulated seconds, before the time scale: the shortest and the longest of each.
LATENCY_SECONDS: Final = (0.002, 0.02)
STEP_SECONDS: Final = (0.05, 0.5)
PLAYER_SECONDS: Final = (0.5, 3.0)
LATE_NOTICE_SECONDS: Final = (3.0, 10.0)
SILENT_SECONDS: Final = (20.0, 40.0)

_ATTEMPT: Final = re.compile(r"(?P<transaction>[0-9a-f]{32})-(?P<number>[1-9][0-9]{0,5})")
_FINAL: Final = frozenset({Status.SUCCEEDED, Status.DECLINED, Status.VOIDED, Status.RETURNED})


class Truth(StrEnum):
    """What there is to know about a payment when all is said."""

    MOVED = "moved"
    DECLINED = "declined"
    VOIDED = "voided"
    ABANDONED = "abandoned"
    """The player never acted; it stays `awaiting_player`."""
    RETURNED = "returned"
    """It moved, and came back."""
    MISMATCHED = "mismatched"
    """It moved, and the provider states another amount or currency than was asked for."""
    CONTRADICTED = "contradicted"
    """It moved and was reported so; a later notice says declined, which is false."""
    MOVED_LATE = "moved_late"
    """It was declined and reported so; later it moved all the same."""
    NEVER_RECEIVED = "never_received"
    """Refused with 503 before anything was done; the provider knows nothing of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A status that the payment reaches, and whether a webhook says so."""

    status: Status
    delay_seconds: float
    """After the step before, or after the submission; simulated seconds."""
    announced: bool = True
    notice_delay_seconds: float = 0.0
    """How much later than the status itself its webhook leaves; simulated seconds."""

    @property
    def final(self) -> bool:
        return self.status in _FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The scripted life of one payment."""

    kind: Kind
    profile: Profile
    answer: Status
    """What the answer to the submission says, if it is readable."""
    steps: tuple[Step, ...]
    """What follows, up to the first final status."""
    late: tuple[Status, ...] = ()
    """Older statuses whose webhooks are sent after the final one was acknowledged."""
    second: Status | None = None
    """A second final status; announced once the first was acknowledged, never before."""
    decline_code: DeclineCode | None = None
    fee_basis_points: int = 0
    mismatch: int | None = None
    """Where the wrong amount or currency comes from; None if it is right."""
    answer_fault: AnswerFault | None = None
    damage: Damage | None = None
    duplicate: bool = False
    latency_seconds: float = 0.0
    dispute: DisputePlan | None = None
    """How the player's bank contests the deposit once it has succeeded; None: not at all."""

    @property
    def first_final(self) -> Status | None:
        """The first final status; None if the player never acts."""
        return self.steps[-1].status if self.steps else None

    @property
    def truth(self) -> Truth:
        """What a ledger that lost and invented nothing has to know in the end."""
        if self.answer_fault is AnswerFault.ERROR_BEFORE_EFFECT:
            return Truth.NEVER_RECEIVED
        if self.mismatch is not None:
            return Truth.MISMATCHED
        return _TRUTHS[self.first_final, self.second]

    @property
    def final(self) -> Outcome:
        """What a question about the payment is answered in the end."""
        return _FINAL_OUTCOMES[self.truth]

    @property
    def effects(self) -> int:
        """How often money moves to or from the player, or is exchanged; neither a return nor a
        dispute is counted here."""
        return int(
            self.truth is not Truth.NEVER_RECEIVED
            and Status.SUCCEEDED in (self.first_final, self.second)
        )

    @property
    def notices(self) -> tuple[Status, ...]:
        """The webhooks in the order of their first delivery, without the repetitions."""
        if self.truth is Truth.NEVER_RECEIVED:
            return ()
        announced = tuple(step.status for step in self.steps if step.announced)
        return announced + self.late + (() if self.second is None else (self.second,))

    def reported(self, asked: Money) -> Money:
        """The amount that a success states, when `asked` was asked for."""
        return asked if self.mismatch is None else _another(asked, self.mismatch)

    def fee(self, asked: Money) -> Money | None:
        """The provider's fee on a success, at least one minor unit; None if there is none."""
        if not self.fee_basis_points:
            return None
        return Money(max(1, asked.amount * self.fee_basis_points // 10_000), asked.currency)


_TRUTHS: Final[Mapping[tuple[Status | None, Status | None], Truth]] = {
    (None, None): Truth.ABANDONED,
    (Status.SUCCEEDED, None): Truth.MOVED,
    (Status.DECLINED, None): Truth.DECLINED,
    (Status.VOIDED, None): Truth.VOIDED,
    (Status.SUCCEEDED, Status.RETURNED): Truth.RETURNED,
    (Status.SUCCEEDED, Status.DECLINED): Truth.CONTRADICTED,
    (Status.DECLINED, Status.SUCCEEDED): Truth.MOVED_LATE,
}
_FINAL_OUTCOMES: Final[Mapping[Truth, Outcome]] = {
    Truth.MOVED: Outcome.SUCCEEDED,
    Truth.DECLINED: Outcome.DECLINED,
    Truth.VOIDED: Outcome.VOIDED,
    Truth.ABANDONED: Outcome.AWAITING_PLAYER,
    Truth.RETURNED: Outcome.RETURNED,
    Truth.MISMATCHED: Outcome.SUCCEEDED,
    Truth.CONTRADICTED: Outcome.SUCCEEDED,
    Truth.MOVED_LATE: Outcome.SUCCEEDED,
    Truth.NEVER_RECEIVED: Outcome.NOT_FOUND,
}


def plan(
    seed: int,
    reference: str,
    kind: Kind,
    method: str,
    faults: Faults,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Plan:
    """The life of the payment with this reference.

    Faults that would make the outcome depend on timing exclude each other: a payment whose
    webhooks are dropped is never contradicted, and one that is returned is never dropped. A
    deposit is disputed only where it has succeeded, is told so, and is not told otherwise.
    """
    dice = Dice(seed, reference, faults)
    profile = _profile(seed, reference, weights.group(kind, method))
    script = SCRIPTS[profile]
    final = script.statuses[-1] if script.statuses else None
    returned = profile in RETURNED
    mismatched = final is Status.SUCCEEDED and not returned and dice.has(Fault.WRONG_AMOUNT)
    dropped = not returned and dice.has(Fault.DROP)
    reordered = dice.has(Fault.REORDER) and not dropped and final is not None
    second = Status.RETURNED if returned else None
    if not (returned or dropped or mismatched) and dice.has(Fault.CONTRADICTION):
        second = _opposite(profile)
    free = kind is Kind.CONVERSION or mismatched
    scripted = Plan(
        kind=kind,
        profile=profile,
        answer=script.answers[dice.number("answer") % len(script.answers)],
        steps=_steps(dice, script, dropped=dropped, reordered=reordered),
        late=(script.statuses[:-1] or (Status.PENDING,)) if reordered else (),
        second=second,
        decline_code=_decline_code(dice, profile, second),
        fee_basis_points=0 if free else (0, 0, 90, 150)[dice.number("fee") % 4],
        mismatch=dice.number("mismatch") if mismatched else None,
        answer_fault=dice.answer_fault(),
        damage=dice.damage(),
        duplicate=dice.has(Fault.DUPLICATE),
        latency_seconds=dice.seconds("latency", LATENCY_SECONDS),
    )
    # A deposit that is only found by asking may be disputed before it is known to have succeeded.
    disputable = kind is Kind.DEPOSIT and scripted.truth is Truth.MOVED and not dropped
    if disputable and dice.has(Fault.DISPUTE):
        return replace(scripted, dispute=plan_dispute(seed, reference, faults, weights.disputes))
    return scripted


def refused(scripted: Plan, code: DeclineCode) -> Plan:
    """The same payment, declined for what was asked: only a caller's mistake leads here, so it is
    no choice of the seed. The faults of its answer and its notices stay."""
    last = scripted.steps[-1]
    return replace(
        scripted,
        answer=Status.DECLINED,
        steps=(replace(last, status=Status.DECLINED),),
        late=scripted.late and (Status.PENDING,),
        second=None,
        decline_code=code,
        fee_basis_points=0,
        mismatch=None,
    )


def _profile(seed: int, reference: str, weights: Mapping[Profile, int]) -> Profile:
    """The attempts of one transaction share a profile; a soft decline spares the later ones.

    Attempts are numbered over all legs of a payout, so attempt 2 may be a first try of its leg or
    a second one of another: which of the two makes no difference here, as the number alone
    counts, and 1 is given once.
    """
    attempt = _ATTEMPT.fullmatch(reference)
    if attempt is None:
        return Dice(seed, reference).weighted(weights)
    profile = Dice(seed, attempt["transaction"]).weighted(weights)
    if profile is Profile.PAYOUT_DECLINED_SOFT and attempt["number"] != "1":
        return Profile.PAID_LATER
    return profile


def _steps(dice: Dice, script: Script, *, dropped: bool, reordered: bool) -> tuple[Step, ...]:
    delayed = dice.has(Fault.DELAY)
    bounds = PLAYER_SECONDS if Status.AWAITING_PLAYER in script.answers else STEP_SECONDS
    if script is SCRIPTS[Profile.EXECUTED_AFTER_SILENCE]:
        bounds = SILENT_SECONDS
    steps = []
    for index, status in enumerate(script.statuses):
        final = index == len(script.statuses) - 1
        late = dice.seconds("notice delay", LATE_NOTICE_SECONDS) if delayed and final else 0.0
        steps.append(
            Step(
                status,
                dice.seconds(f"step {index}", bounds),
                announced=not dropped and (final or not reordered),
                notice_delay_seconds=late,
            )
        )
    return tuple(steps)


def _opposite(profile: Profile) -> Status | None:
    """What contradicts the end of this profile; None where nothing may.

    A payout that was softly declined is tried again, so a late success of the first attempt
    would race the second one, and the outcome would depend on timing.
    """
    if profile is Profile.PAYOUT_DECLINED_SOFT or not SCRIPTS[profile].statuses:
        return None
    opposites = {Status.SUCCEEDED: Status.DECLINED, Status.DECLINED: Status.SUCCEEDED}
    return opposites.get(SCRIPTS[profile].statuses[-1])


def _decline_code(dice: Dice, profile: Profile, second: Status | None) -> DeclineCode | None:
    match profile:
        case Profile.PAYOUT_DECLINED_HARD | Profile.REFUND_DECLINED:
            return DeclineCode.ACCOUNT_CLOSED
        case Profile.PAYOUT_DECLINED_SOFT:
            return DeclineCode.PROVIDER_ERROR
        case Profile.CONVERSION_DECLINED:
            return DeclineCode.LIMIT_EXCEEDED
        case Profile.PLAYER_DECLINES:
            return DeclineCode.AUTHENTICATION_FAILED
        case Profile.DECLINED:
            return DECLINE_CODES[dice.number("decline") % len(DECLINE_CODES)]
        case _:
            return DeclineCode.DO_NOT_HONOUR if second is Status.DECLINED else None


def _another(asked: Money, number: int) -> Money:
    """An amount or currency that is not the one asked for, and still a possible one."""
    if number % 3 == 0:
        return Money(asked.amount, "EUR" if asked.currency == "USD" else "USD")
    difference = 1 + number // 3 % (asked.amount // 2 + 1)
    less_allowed = asked.amount > difference
    more_allowed = asked.amount + difference <= AMOUNT_MINOR_MAX
    if less_allowed and (number % 3 == 1 or not more_allowed):
        return Money(asked.amount - difference, asked.currency)
    return Money(asked.amount + difference, asked.currency)
