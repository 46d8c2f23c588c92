"""What the simulated provider declines for what is asked, whatever its plans say.

Only a mistake of the caller leads here, so these are cross-checks of the caller's books: a
ledger that works never makes them decline.
"""

from dataclasses import dataclass
from typing import Final

from domain.events.evidence import DeclineCode
from domain.money import Money
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.exchange_desk import TARGET_ABOVE_QUOTE, Desk
from tallystick.play.simulator.payment import Payment

OVER_REFUND: Final = "over_refund"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is declined: in the shared vocabulary, and in the simulator's own words."""

    code: DeclineCode
    raw_code: str


class Refusals:
    """Knows what was refunded of each deposit, and counts the mistakes of the caller."""

    def __init__(self, desk: Desk) -> None:
        self.over_refunds_count = 0
        """Refunds of more than the caller could believe to be left of the deposit."""
        self.above_quote_count = 0
        """Conversions to more than the quote gives."""
        self._desk = desk
        self._refunds: dict[str, list[Payment]] = {}

    def note_refund(self, deposit_reference: str, refund: Payment) -> None:
        """A refund was admitted, and takes its part of the deposit from now on."""
        self._refunds.setdefault(deposit_reference, []).append(refund)

    def of_refund(
        self, deposit: Payment | None, amount: Money, now_seconds: float
    ) -> Refusal | None:
        """Why this refund is declined; None if it is admitted.

        A deposit that its plan lets be disputed is never refunded, whether the dispute has begun
        or not: the player would get the money twice, or not, depending on which came first.
        """
        if deposit is None or deposit.plan.kind is not Kind.DEPOSIT:
            return Refusal(DeclineCode.PROVIDER_ERROR, "no_such_deposit")
        if not deposit.moved(now_seconds):
            return Refusal(DeclineCode.PROVIDER_ERROR, "not_captured")
        if deposit.plan.dispute is not None:
            return Refusal(DeclineCode.DO_NOT_HONOUR, "disputed")
        captured_minor = _captured_minor(deposit, amount.currency)
        if captured_minor is None:
            return Refusal(DeclineCode.PROVIDER_ERROR, "another_currency")
        refunds = self._refunds.get(deposit.reference, [])
        told_minor = sum(_held_minor(each) for each in refunds if each.holds(now_seconds))
        if told_minor + amount.amount > captured_minor:
            self.over_refunds_count += 1
            return Refusal(DeclineCode.LIMIT_EXCEEDED, OVER_REFUND)
        # What was declined and is going to be paid all the same is not the caller's mistake.
        secret_minor = sum(
            _held_minor(each) for each in refunds if each.moves_late and not each.holds(now_seconds)
        )
        if told_minor + secret_minor + amount.amount > captured_minor:
            return Refusal(DeclineCode.LIMIT_EXCEEDED, "earlier_refund_in_work")
        return None

    def of_conversion(self, quote: str, source: Money, target: Money) -> Refusal | None:
        """Why this conversion is declined; None if it is admitted."""
        why = self._desk.refusal(quote, source, target)
        if why is None:
            return None
        self.above_quote_count += int(why == TARGET_ABOVE_QUOTE)
        return Refusal(DeclineCode.PROVIDER_ERROR, why)


# Where what was asked for and what is stated differ, people decide which of them counts. Either
# may be right, so a mistake is counted only where it is one by both.


def _captured_minor(deposit: Payment, currency: str) -> int | None:
    amounts = (deposit.amount, deposit.plan.reported(deposit.amount))
    return max((each.amount for each in amounts if each.currency == currency), default=None)


def _held_minor(refund: Payment) -> int:
    return min(refund.amount.amount, refund.plan.reported(refund.amount).amount)
