"""What will happen to a payment, decided beforehand.

Every choice is a pure function of the seed and the reference: never of the time, the order of
arrival or a shared random generator. The same seed and the same references give the same truth
however the calls interleave, so a test can predict it without running anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from domain.money import AMOUNT_MINOR_MAX, Money
from domain.outcomes import DeclineCode, Outcome
from tallystick.providers.simulator.faults import NO_FAULTS, Fault, Faults
from tallystick.providers.simulator.profiles import (
    DECLINE_CODES,
    DEFAULT_WEIGHTS,
    SCRIPTS,
    Profile,
    Script,
    Weights,
)
from tallystick.providers.simulator.wire import Kind, Status

# Simulated seconds, before the time scale: the shortest and the longest of each.
LATENCY_SECONDS: Final = (0.002, 0.02)
STEP_SECONDS: Final = (0.05, 0.5)
PLAYER_SECONDS: Final = (0.5, 3.0)
LATE_NOTICE_SECONDS: Final = (3.0, 10.0)

_ATTEMPT: Final = re.compile(r"(?P<transaction>[0-9a-f]{32})-(?P<number>[1-9][0-9]{0,5})")
_FINAL: Final = frozenset({Status.SUCCEEDED, Status.DECLINED, Status.VOIDED, Status.RETURNED})


class AnswerFault(StrEnum):
    """What goes wrong with the first answer; a repeated call is answered properly."""

    ERROR_BEFORE_EFFECT = "error_before_effect"
    """503, and the payment never exists: the same for every repetition."""
    ERROR_AFTER_EFFECT = "error_after_effect"
    SILENCE = "silence"
    """The answer comes only when the client has given up."""
    HANG_UP = "hang_up"
    """The connection is closed without an answer."""
    GARBAGE = "garbage"


class Damage(StrEnum):
    """What happens to the first delivery of the final notice, after it was signed."""

    TRUNCATED = "truncated"
    ALTERED = "altered"


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
        """How often money moves to or from the player; a return is not counted here."""
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


@dataclass(frozen=True, slots=True)
class _Dice:
    """The choices of one payment."""

    seed: int
    reference: str
    faults: Faults = NO_FAULTS

    def number(self, purpose: str) -> int:
        return draw(self.seed, self.reference, purpose)

    def seconds(self, purpose: str, bounds: tuple[float, float]) -> float:
        shortest, longest = bounds
        return shortest + (longest - shortest) * _unit(self.number(purpose))

    def has(self, fault: Fault) -> bool:
        return _unit(self.number(f"fault {fault}")) < self.faults.rate(fault)

    def profile(self, weights: Mapping[Profile, int]) -> Profile:
        point = self.number("profile") % sum(weights.values())
        for profile, weight in weights.items():
            if point < weight:
                return profile
            point -= weight
        raise AssertionError("the point lies below the sum of the weights")


def draw(seed: int, reference: str, purpose: str) -> int:
    """A whole number below 2**64 that depends on the three arguments and nothing else."""
    return int.from_bytes(sha256(f"{seed}:{purpose}:{reference}".encode()).digest()[:8])


def _unit(number: int) -> float:
    # 53 bits fit a float exactly, so that the result stays below 1 and a rate of 1 is certain.
    return (number >> 11) / 2**53


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
    webhooks are dropped is never contradicted, and one that is returned is never dropped.
    """
    dice = _Dice(seed, reference, faults)
    profile = _profile(seed, reference, weights.group(kind, method))
    script = SCRIPTS[profile]
    final = script.statuses[-1] if script.statuses else None
    returned = profile is Profile.PAYOUT_RETURNED
    mismatched = final is Status.SUCCEEDED and not returned and dice.has(Fault.WRONG_AMOUNT)
    dropped = not returned and dice.has(Fault.DROP)
    reordered = dice.has(Fault.REORDER) and not dropped and final is not None
    second = Status.RETURNED if returned else None
    if not (returned or dropped or mismatched) and dice.has(Fault.CONTRADICTION):
        second = _opposite(profile)
    return Plan(
        kind=kind,
        profile=profile,
        answer=script.answers[dice.number("answer") % len(script.answers)],
        steps=_steps(dice, script, dropped=dropped, reordered=reordered),
        late=(script.statuses[:-1] or (Status.PENDING,)) if reordered else (),
        second=second,
        decline_code=_decline_code(dice, profile, second),
        fee_basis_points=0 if mismatched else (0, 0, 90, 150)[dice.number("fee") % 4],
        mismatch=dice.number("mismatch") if mismatched else None,
        answer_fault=_answer_fault(dice),
        damage=_damage(dice),
        duplicate=dice.has(Fault.DUPLICATE),
        latency_seconds=dice.seconds("latency", LATENCY_SECONDS),
    )


def _profile(seed: int, reference: str, weights: Mapping[Profile, int]) -> Profile:
    """The attempts of one transaction share a profile; a soft decline spares the later ones."""
    attempt = _ATTEMPT.fullmatch(reference)
    if attempt is None:
        return _Dice(seed, reference).profile(weights)
    profile = _Dice(seed, attempt["transaction"]).profile(weights)
    if profile is Profile.PAYOUT_DECLINED_SOFT and attempt["number"] != "1":
        return Profile.PAID_LATER
    return profile


def _steps(dice: _Dice, script: Script, *, dropped: bool, reordered: bool) -> tuple[Step, ...]:
    delayed = dice.has(Fault.DELAY)
    bounds = PLAYER_SECONDS if Status.AWAITING_PLAYER in script.answers else STEP_SECONDS
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


def _decline_code(dice: _Dice, profile: Profile, second: Status | None) -> DeclineCode | None:
    match profile:
        case Profile.PAYOUT_DECLINED_HARD:
            return DeclineCode.ACCOUNT_CLOSED
        case Profile.PAYOUT_DECLINED_SOFT:
            return DeclineCode.PROVIDER_ERROR
        case Profile.PLAYER_DECLINES:
            return DeclineCode.AUTHENTICATION_FAILED
        case Profile.DECLINED:
            return DECLINE_CODES[dice.number("decline") % len(DECLINE_CODES)]
        case _:
            return DeclineCode.DO_NOT_HONOUR if second is Status.DECLINED else None


def _answer_fault(dice: _Dice) -> AnswerFault | None:
    if dice.has(Fault.SERVER_ERROR):
        before = dice.number("error before") % 2 == 0
        return AnswerFault.ERROR_BEFORE_EFFECT if before else AnswerFault.ERROR_AFTER_EFFECT
    if dice.has(Fault.TIMEOUT_AFTER_EFFECT):
        return AnswerFault.SILENCE if dice.number("silence") % 2 == 0 else AnswerFault.HANG_UP
    return AnswerFault.GARBAGE if dice.has(Fault.GARBAGE) else None


def _damage(dice: _Dice) -> Damage | None:
    if dice.has(Fault.TRUNCATE):
        return Damage.TRUNCATED
    return Damage.ALTERED if dice.has(Fault.ALTER) else None


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
