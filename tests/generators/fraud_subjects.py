"""Instruments, places, providers and staff, judged one signal after the other."""

from typing import Any, Final, TypeVar
from uuid import UUID

from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS
from projections.fraud.checks.registry import JUDGE
from projections.fraud.judging import Hit
from projections.fraud.rules import Rules
from projections.fraud.signals import AnySignal, Signal
from projections.fraud.states import AnyState, State
from tests.generators.fraud_signals import START_US

S = TypeVar("S", bound=State)


def player(number: int) -> str:
    return str(UUID(int=number))


class Judged:
    """Subjects as they stand, and what they hit so far."""

    def __init__(self, by: Rules | None = None) -> None:
        self.rules = by or Rules(DEFAULT_NAME, DEFAULT_TERMS)
        self.states: dict[str, AnyState] = {}
        self.hits: list[Hit] = []
        self._position = 0

    def tell(
        self, kind: type[AnySignal], subject: str, at: int, who: int = 1, **said: Any
    ) -> tuple[Hit, ...]:
        """Something happens `at` microseconds after START, by a player: what that hits."""
        self._position += 1
        own = kind.__struct_fields__[len(Signal.__struct_fields__) :]
        values = {name: said[name] if name in said else _ANY[name] for name in own}
        signal = kind(subject, self._position, START_US + at, player(who), **values)
        state, hits = JUDGE.judge(self.states.get(subject), signal, self.rules)
        self.states[subject] = state
        self.hits += hits
        return hits

    def state(self, subject: str, kind: type[S]) -> S:
        found = self.states[subject]
        assert isinstance(found, kind)
        return found

    def severities(self) -> list[str]:
        return [hit.severity for hit in self.hits]


_ANY: Final[dict[str, Any]] = {
    "amount": 1_000,
    "currency": "EUR",
    "instrument": "card",
    "provider": "acme",
    "reason": "insufficient_funds",
    "withdrawal": "payout-1",
    "closed_loop": False,
    "taken": 0,
    "covered": (),
    "operator": "ann",
}
"""What a signal says where a test does not care."""
