"""Rules: a rule set made ready to judge by."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from domain.events import IndicatorTerms, RuleSetTerms
from domain.fraud.indicators.catalogue import BY_CODE
from domain.money import exponent

LIVE: Final = "live"
OFF: Final = "off"


class Rule(NamedTuple):
    """How one indicator is used."""

    mode: str
    """`live`, `shadow` or `off`."""
    at: Mapping[str, int]
    """Its thresholds, by name."""


class Rules:
    """A rule set. Two of the same terms judge alike."""

    __slots__ = ("_factors", "_rates", "name", "rules", "terms")

    def __init__(self, name: str, terms: RuleSetTerms) -> None:
        self.name = name
        self.terms = terms
        self.rules: Mapping[str, Rule] = {
            one.indicator: Rule(one.mode, _thresholds(one)) for one in terms.indicators
        }
        self._rates = {rate.currency: (rate.numerator, rate.denominator) for rate in terms.rates}
        self._rates[terms.base] = (1, 1)
        self._factors: dict[tuple[str, str], tuple[int, int]] = {}

    def minor(self, amount_minor: int, source: str, target: str) -> int:
        """What an amount is in minor units of `target`, at the reference rates, rounded down.

        Of a currency that has none, a whole unit counts as one of the base's.
        """
        if source == target:
            return amount_minor
        numerator, denominator = self._exact(source, target)
        return amount_minor * numerator // denominator

    def least(self, amount_minor: int, source: str, target: str) -> int:
        """The least of `target` that is worth `amount_minor` of `source`, or more."""
        if source == target:
            return amount_minor
        numerator, denominator = self._exact(target, source)
        return -(-amount_minor * denominator // numerator)

    def total(self, by_currency: Mapping[str, int], target: str) -> int:
        """What the amounts are together; each is rounded down by itself."""
        return sum(self.minor(amount, currency, target) for currency, amount in by_currency.items())

    def _exact(self, source: str, target: str) -> tuple[int, int]:
        """What to multiply and to divide by."""
        factor = self._factors.get((source, target))
        if factor is None:
            factor = self._factors[source, target] = self._factor(source, target)
        return factor

    def _factor(self, source: str, target: str) -> tuple[int, int]:
        from_numerator, from_denominator = self._rates.get(source, (1, 1))
        to_numerator, to_denominator = self._rates.get(target, (1, 1))
        return (
            to_numerator * from_denominator * 10 ** exponent(target),
            to_denominator * from_numerator * 10 ** exponent(source),
        )


def _thresholds(terms: IndicatorTerms) -> Mapping[str, int]:
    """By name; one that is newer than the rule set has its default.

    The log keeps rule sets for ever, and judging must not fail at one of them.
    """
    declared = BY_CODE.get(terms.indicator)
    defaults = {one.name: one.default for one in declared.parameters} if declared else {}
    return defaults | {one.name: one.value for one in terms.thresholds}
