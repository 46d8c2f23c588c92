"""What a player of the population is: known to whoever made it, and written in no event."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What the generator made a player do."""

    HONEST = "honest"
    STRUCTURER = "structurer"
    """Pays in a large sum in parts, each below what would be reported."""
    MULE = "mule"
    """Passes money of others through the account, within hours."""
    CARD_TESTER = "card_tester"
    """Tries stolen card numbers out until some work."""
    BONUS_RING = "bonus_ring"
    """One of several accounts in one hand that all take the welcome bonus."""
    REFUND_ABUSER = "refund_abuser"
    """Takes deposits back again and again, and has the bank take back others."""
    DORMANT_TAKEOVER = "dormant_takeover"
    """A forgotten account that somebody else has taken over."""


PER_10_000: Final = {
    Kind.STRUCTURER: 90,
    Kind.MULE: 120,
    Kind.CARD_TESTER: 80,
    Kind.BONUS_RING: 160,
    Kind.REFUND_ABUSER: 80,
    Kind.DORMANT_TAKEOVER: 70,
}
"""How many of 10,000 players are of each kind; the others are honest."""
