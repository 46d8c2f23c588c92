"""What one simulated provider is made of."""

from dataclasses import dataclass
from typing import Final

from tallystick.play.simulator.faults import NO_FAULTS, Faults
from tallystick.play.simulator.profiles import DEFAULT_WEIGHTS, Weights

PAYMENTS_MAX: Final = 500_000
"""Beyond this many payments, new ones are refused instead of filling the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The settings. Seconds in plans are multiplied by `time_scale`;
    the others are real ones, since the receiver acts in real time and looks at a real clock."""

    seed: int
    public_url: str
    faults: Faults = NO_FAULTS
    weights: Weights = DEFAULT_WEIGHTS
    time_scale: float = 1.0
    settle_seconds: float = 1.0
    evidence_seconds: float = 86_400.0
    """How long a dispute waits for an answer."""
    quote_seconds: float = 300.0
    """How long a quote holds."""
    payments_max: int = PAYMENTS_MAX
