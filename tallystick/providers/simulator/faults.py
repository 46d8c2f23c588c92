"""What the simulated provider gets wrong, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Fault(StrEnum):
    """One way in which a provider misbehaves. Each is decided per payment reference."""

    DUPLICATE = "duplicate"
    """The same webhook twice under one message id, and once more under a new id."""
    REORDER = "reorder"
    """An older status is delivered after the newer one."""
    DELAY = "delay"
    """The webhook about the final status comes seconds late."""
    DROP = "drop"
    """No webhook at all: only a question finds the outcome."""
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
    OUTAGE = "outage"
    """A switch, on or off: every call is refused with 503 or hung up on, and no webhook leaves."""


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

PRESETS: Final[Mapping[str, Faults]] = MappingProxyType({"none": NO_FAULTS, "demo": DEMO_FAULTS})


def parse_faults(text: str) -> Faults:
    """Read `demo`, `duplicate=0.1,drop=0.05` or `demo,outage=1`; later items win.

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
