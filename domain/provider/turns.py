"""Turns: money that a provider pays out, has back, and pays out again, in its own order.

The order in which reports arrive means nothing: a provider's time, where it gives one, says which
of two came later. The latest payment and the latest return are all that has to be known for that.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final

from domain.events.evidence import FINAL, Disposition, Evidence, Outcome
from domain.money import Money
from domain.replacing import replace


class Order(Enum):
    """When something happened, next to what is known to have happened."""

    NEWER = auto()
    REPEATED = auto()
    """It is known: the same at the same time of the provider's."""
    OLDER = auto()
    UNTOLD = auto()
    """The provider has not said when this, or what is known, happened."""


SAID_AGAIN: Final = {
    Order.NEWER: Disposition.EARLY,
    Order.REPEATED: Disposition.DUPLICATE,
    Order.OLDER: Disposition.LATE,
    Order.UNTOLD: Disposition.DUPLICATE,
}
"""What a payment is where one is known, and a return where one is known: nothing follows from it.

One that is newer comes before the return, or payment, in between.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What is known of payments under one reference, of their returns, and of failures."""

    paid_at: datetime | None = None
    """Provider's time of the latest payment that was told with one."""
    returned_at: datetime | None = None
    paid_told: bool = False
    """A payment was told, with a time or without."""
    returned_told: bool = False
    failed_at: datetime | None = None
    """Provider's time of the latest failure that was told with one, and was not judged since."""
    failed_told: bool = False
    charged: frozenset[datetime] = frozenset()
    """Provider's times of the payments whose fees are booked."""
    charged_untold: bool = False
    """So is the fee of one whose time is not known, and which came before any return."""

    def order(self, said: Evidence, *, paid: bool) -> Order:
        """Where a payment or return belongs; `paid`: the player has the money as far as we know.

        A payment and a return at the same time: the payment came first.
        """
        success = said.outcome is Outcome.SUCCEEDED
        same, other = self.paid_at, self.returned_at
        if not success:
            same, other = other, same
        at = said.happened_at
        if at is None:
            return Order.UNTOLD
        if same is not None and at <= same:
            return Order.REPEATED if at == same else Order.OLDER
        if other is None:
            return Order.NEWER if same is not None and paid is success else Order.UNTOLD
        later = at > other if success else at >= other
        return Order.NEWER if later else Order.OLDER

    def turned_by(self, said: Evidence, *, paid: bool) -> bool:
        """The money went, by what is newly said, to the other side than it is known to be on."""
        other = Outcome.RETURNED if paid else Outcome.SUCCEEDED
        return said.outcome is other and self.order(said, paid=paid) is Order.NEWER

    def failed_since(self, said: Evidence) -> bool:
        """A failure is known that came after this payment, or may have."""
        at = said.happened_at
        untold = at is None or self.failed_at is None
        return self.failed_told and (untold or at <= self.failed_at)  # type: ignore[operator]

    def paid_since(self, said: Evidence) -> bool:
        """This failure came before a payment that is known, and is not the first."""
        at, paid_at = said.happened_at, self.paid_at
        is_first = self.returned_at is None
        return at is not None and paid_at is not None and at < paid_at and not is_first

    def judged(self) -> "Turns":
        """What is known once people have decided what failures mean."""
        return replace(self, failed_at=None, failed_told=False)

    def fee(self, said: Evidence, currency: str) -> Money | None:
        """What the provider charges for a payment, where that is in its currency and not booked."""
        if said.fee is None or said.fee.currency != currency or not said.fee.amount:
            return None
        return None if said.happened_at in self.charged else said.fee

    def fee_beside(self, said: Evidence, currency: str) -> Money | None:
        """The fee of a payment that is heard of out of its order, and moves nothing any more."""
        if said.outcome is not Outcome.SUCCEEDED or self._may_be_untold(said):
            return None
        return self.fee(said, currency)

    def _may_be_untold(self, said: Evidence) -> bool:
        """This payment is taken for the one that was charged before its time was told."""
        at, returned_at = said.happened_at, self.returned_at
        if at is None or at in self.charged or not self.charged_untold:
            return False
        return returned_at is None or at <= returned_at

    def after(self, said: Evidence, *, fee: Money | None = None) -> "Turns":
        """What is known once this was heard too; `fee`: it has been booked."""
        at, is_charged = said.happened_at, fee is not None
        match said.outcome:
            case Outcome.SUCCEEDED:
                was_charged = not is_charged and said.fee is not None and self._may_be_untold(said)
                known = {at} if at is not None and (is_charged or was_charged) else ()
                untold = self.charged_untold or (is_charged and at is None)
                return replace(
                    self,
                    paid_at=_later(self.paid_at, at),
                    paid_told=True,
                    charged=self.charged.union(known),
                    charged_untold=untold and not was_charged,
                )
            case Outcome.RETURNED:
                return replace(
                    self,
                    returned_at=_later(self.returned_at, at),
                    returned_told=True,
                    charged_untold=self.charged_untold or is_charged,
                )
            case Outcome.DECLINED | Outcome.VOIDED:
                return replace(self, failed_at=_later(self.failed_at, at), failed_told=True)
            case _:
                return self


def _later(known: datetime | None, at: datetime | None) -> datetime | None:
    return max((moment for moment in (known, at) if moment is not None), default=None)


def shares(amount: Money, available_minor: int) -> tuple[Money | None, Money | None]:
    """What the player still has of an amount that was theirs again, and what they have not."""
    has_minor = max(0, min(available_minor, amount.amount))
    parts = (has_minor, amount.amount - has_minor)
    has, has_not = (Money(minor, amount.currency) if minor else None for minor in parts)
    return has, has_not


def is_judged(said: Evidence, judged: Evidence | None) -> bool:
    """Two people have decided what exactly this report means; `judged` is what they looked at.

    The same at a later time of the provider's is another one.
    """
    return (
        judged is not None
        and (said.outcome, said.reference) == (judged.outcome, judged.reference)
        and said.amount in (None, judged.amount)
        and not _is_before(judged, said)
    )


def is_outdated(said: Evidence, judged: Evidence | None) -> bool:
    """It happened, by the provider's clock, before what two people have decided about."""
    return (
        judged is not None
        and said.outcome in FINAL
        and said.reference == judged.reference
        and _is_before(said, judged)
    )


def _is_before(one: Evidence, other: Evidence) -> bool:
    known = one.happened_at is not None and other.happened_at is not None
    return known and one.happened_at < other.happened_at  # type: ignore[operator]
