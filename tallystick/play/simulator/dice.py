"""Choices that depend on the seed and a reference, and on nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from tallystick.play.simulator.faults import NO_FAULTS, AnswerFault, Damage, Fault, Faults

_Choice = TypeVar("_Choice")


def draw(seed: int, reference: str, purpose: str) -> int:
    """A whole number below 2**64 that depends on the three arguments and nothing else."""
    return int.from_bytes(sha256(f"{seed}:{purpose}:{reference}".encode()).digest()[:8])


def name_of(prefix: str, number: int) -> str:
    """A name of the simulator's own: `sim_01234567x89abcdef` for a number below 2**64.

    Digits are kept apart by a letter in the middle, so that no name passes for a card number,
    which receivers drop.
    """
    return f"{prefix}_{number >> 32:08x}x{number & 0xFFFF_FFFF:08x}"


@dataclass(frozen=True, slots=True)
class Dice:
    """The choices of one payment or dispute."""

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

    def weighted(self, weights: Mapping[_Choice, int]) -> _Choice:
        """One of the keys, each as often as its weight says."""
        point = self.number("profile") % sum(weights.values())
        for choice, weight in weights.items():
            if point < weight:
                return choice
            point -= weight
        raise AssertionError("the point lies below the sum of the weights")

    def answer_fault(self) -> AnswerFault | None:
        """What goes wrong with the first answer."""
        if self.has(Fault.SERVER_ERROR):
            before = self.number("error before") % 2 == 0
            return AnswerFault.ERROR_BEFORE_EFFECT if before else AnswerFault.ERROR_AFTER_EFFECT
        if self.has(Fault.TIMEOUT_AFTER_EFFECT):
            silent = self.number("silence") % 2 == 0
            return AnswerFault.SILENCE if silent else AnswerFault.HANG_UP
        return AnswerFault.GARBAGE if self.has(Fault.GARBAGE) else None

    def damage(self) -> Damage | None:
        """What happens to the first delivery of a notice."""
        if self.has(Fault.TRUNCATE):
            return Damage.TRUNCATED
        return Damage.ALTERED if self.has(Fault.ALTER) else None


def _unit(number: int) -> float:
    # 53 bits fit a float exactly, so that the result stays below 1 and a rate of 1 is certain.
    return (number >> 11) / 2**53
