"""What the simulated provider gets wrong, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Fault(StrEnum):
    """One way in which a provider misbehaves. Each is decided per payment reference, or per
    dispute."""

    DUPLICATE = "duplicate"
    """The same webhook twice under one message id, and once more under a new id."""
    REORDER = "reorder"
    """An older status is delivered after the newer one."""
    DELAY = "delay"
    """The webhook about the final status comes seconds late."""
    DROP = "drop"
    """No webhook at all: only a question finds the outcome. News of a dispute, which nobody can
    ask about, are only lost at first and come after everything else."""
    TRUNCATE = "truncate"
    """The first delivery is cut short after it was signed."""
    ALTER = "alter"
    """The first delivery is changed after it was signed."""
    WRONG_AMOUNT = "wrong_amount"
    """A success states another amount or currency than was asked for."""
    CONTRADICTION = "contradiction"
    """A final outcome is followed by the opposite one."""
    TIMEOUT_AFTER_EFFECT = "timeout_after_effect"
    """The payment is made, and the answer comes too late or never."""
    SERVER_ERROR = "server_error"
    """The answer is 503: before anything was done, or after it was."""
    GARBAGE = "garbage"
    """The payment is made, and the answer is 200 with an unreadable body."""
    DISPUTE = "dispute"
    """A deposit that has succeeded is contested by the player's bank. No defect of the provider,
    and no part of `demo`, so that what a demo comes to does not depend on people's answers."""
    OUTAGE = "outage"
    """A switch, on or off: every call is refused with 503 or hung up on, and no webhook leaves."""


class AnswerFault(StrEnum):
    """What goes wrong with the first answer; a repeated call is answered properly."""

    ERROR_BEFORE_EFFECT = "error_before_effect"
    """503, and nothing was done. A payment never exists: the same for every repetition. The
    answer to a dispute is taken when it is given again."""
    ERROR_AFTER_EFFECT = "error_after_effect"
    SILENCE = "silence"
    """The answer comes only when the client has given up."""
    HANG_UP = "hang_up"
    """The connection is closed without an answer."""
    GARBAGE = "garbage"


class Damage(StrEnum):
    """What happens to the first delivery of a notice, after it was signed."""

    TRUNCATED = "truncated"
    ALTERED = "altered"


class InvalidFaults(ValueError):
    """The text names no such fault or preset, or a rate outside 0 to 1."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates from 0 to 1 by fault; a fault that is not listed does not happen."""

    rates: Mapping[Fault, float] = field(default_factory=lambda: MappingProxyType({}))

    def rate(self, fault: Fault) -> float:
        return self.rates.get(fault, 0.0)

    @property
    def outage(self) -> bool:
        return self.rate(Fault.OUTAGE) > 0


NO_FAULTS: Final = Faults()

# An outage has no rate that ends, so the demo leaves it to the switch.
DEMO_FAULTS: Final = Faults(
    MappingProxyType(
        {
            Fault.DUPLICATE: 0.05,
            Fault.REORDER: 0.05,
            Fault.DELAY: 0.05,
            Fault.DROP: 0.03,
            Fault.TRUNCATE: 0.02,
            Fault.ALTER: 0.02,
            Fault.WRONG_AMOUNT: 0.01,
            Fault.CONTRADICTION: 0.01,
            Fault.TIMEOUT_AFTER_EFFECT: 0.02,
            Fault.SERVER_ERROR: 0.02,
            Fault.GARBAGE: 0.01,
        }
    )
)

# Everything but an outage, often enough that a few hundred payments meet each of them.
ALL_FAULTS: Final = Faults(
    MappingProxyType(
        {
            Fault.DUPLICATE: 0.1,
            Fault.REORDER: 0.1,
            Fault.DELAY: 0.1,
            Fault.DROP: 0.06,
            Fault.TRUNCATE: 0.05,
            Fault.ALTER: 0.05,
            Fault.WRONG_AMOUNT: 0.03,
            Fault.CONTRADICTION: 0.03,
            Fault.TIMEOUT_AFTER_EFFECT: 0.05,
            Fault.SERVER_ERROR: 0.05,
            Fault.GARBAGE: 0.03,
            Fault.DISPUTE: 0.03,
        }
    )
)

PRESETS: Final[Mapping[str, Faults]] = MappingProxyType(
    {"none": NO_FAULTS, "demo": DEMO_FAULTS, "all": ALL_FAULTS}
)


def parse_faults(text: str) -> Faults:
    """Read `demo`, `duplicate=0.1,drop=0.05` or `all,outage=1`; later items win.

    Raises:
        InvalidFaults: an unknown name, or a rate that is not a number from 0 to 1.
    """
    rates: dict[Fault, float] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, rate = (part.strip() for part in item.partition("="))
        if equals:
            fault = _fault(name)
            rates[fault] = _rate(fault, rate)
        elif name in PRESETS:
            rates = dict(PRESETS[name].rates)
        else:
            raise InvalidFaults(f"{name!r} is no preset; use {', '.join(PRESETS)} or fault=rate")
    return Faults(MappingProxyType(rates))


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        raise InvalidFaults(f"{name!r} is no fault; the faults are {', '.join(Fault)}") from None


def _rate(fault: Fault, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise InvalidFaults(f"the rate of {fault} is not a number: {text!r}") from None
    if not 0 <= rate <= 1:
        raise InvalidFaults(f"the rate of {fault} is not between 0 and 1: {text!r}")
    if fault is Fault.OUTAGE and rate not in (0, 1):
        raise InvalidFaults("outage is on (1) or off (0)")
    return rate
