"""Signals: what happened to a subject, and nothing else that judging looks at.

Whatever an indicator needs to know is either in the signal or was in an earlier one about the same
subject. `event_signals.py` has what each event says.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from domain.fraud.strength import Covered

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened to a subject."""

    subject: str
    """`player:<id>`, `holding:<player>:<fingerprint>`, `instrument:<fingerprint>`, …"""
    position: int
    at_us: int
    """When, by the event: microseconds since 1970."""
    player: str
    """Whose doing it was; "" where it was no player's."""


# --- about players ------------------------------------------------------------------------------


class Known(Signal, frozen=True, tag="known"):
    """How well a player's identity is known, and where they are."""

    verification: str
    country: str
    """By ISO 3166-1, without a subdivision; "" where it is not known."""


class Excluded(Signal, frozen=True, tag="excluded"):
    """A player may not deposit; or may again, with `until_us` 0."""

    until_us: int
    """-1: until somebody ends it."""


class CredentialChanged(Signal, frozen=True, tag="credential"):
    """Another password, address or number."""

    credential: str


class MonthCounted(Signal, frozen=True, tag="month"):
    """Gross deposits of a calendar month of the player's, as limits count them, have changed."""

    month: str
    currency: str
    change: int


class Attempted(Signal, frozen=True, tag="attempted"):
    """A player wants to pay in."""

    amount: int
    currency: str
    instrument: str
    address_country: str
    instrument_country: str


class Refused(Signal, frozen=True, tag="refused"):
    """A rule forbade a deposit."""

    amount: int
    currency: str
    reason: str


class Settled(Signal, frozen=True, tag="settled"):
    """A deposit has been credited."""

    amount: int
    currency: str
    instrument: str
    provider: str


class Declined(Signal, frozen=True, tag="declined"):
    """A provider declined a deposit."""

    amount: int
    currency: str
    instrument: str
    reason: str


class Taken(Signal, frozen=True, tag="taken"):
    """A player uses an instrument for the first time."""

    instrument: str


class Wagered(Signal, frozen=True, tag="wagered"):
    """A player has staked money."""

    amount: int
    currency: str


class PayoutAsked(Signal, frozen=True, tag="payout"):
    """A player wants to be paid, or asks for less than before."""

    withdrawal: str
    amount: int
    currency: str
    instruments: tuple[str, ...]
    """Where it goes."""
    amended: bool


class Paid(Signal, frozen=True, tag="paid"):
    """A part of a payout has reached the player."""

    amount: int
    currency: str


class RefundAsked(Signal, frozen=True, tag="refund"):
    """A deposit is to go back."""

    amount: int
    currency: str
    operator: str
    """Who asks for it."""


class Disputed(Signal, frozen=True, tag="disputed"):
    """A player's bank contests a deposit."""

    amount: int
    currency: str


class Converted(Signal, frozen=True, tag="converted"):
    """A player has exchanged one currency for another."""

    source: int
    source_currency: str
    target: int
    target_currency: str


class Cleared(Signal, frozen=True, tag="cleared"):
    """A case about the subject ended: these indicators had hit for nothing."""

    indicators: tuple[str, ...]
    covered: Covered = ()
    """How strong their hits were; empty: nobody wrote that down."""


# --- about instruments and where requests come from ---------------------------------------------


class LegAsked(Signal, frozen=True, tag="leg"):
    """A part of a payout is to go to an instrument."""

    withdrawal: str
    amount: int
    currency: str
    closed_loop: bool
    """The payout goes only to what the player has paid in with, or they never paid in."""
    taken: int = 0
    """Of an amended payout: what it was to take there before, by which the net is less already."""


class NetCounted(Signal, frozen=True, tag="net"):
    """What an instrument has paid in for a player, less what went back, has changed."""

    currency: str
    change: int


class HolderChecked(Signal, frozen=True, tag="holder"):
    """The name on an instrument was compared with the player's."""

    similarity: int


class Seen(Signal, frozen=True, tag="seen"):
    """A player used an instrument, a device or an address."""


AnySignal = (
    Known
    | Excluded
    | CredentialChanged
    | MonthCounted
    | Attempted
    | Refused
    | Settled
    | Declined
    | Taken
    | Wagered
    | PayoutAsked
    | Paid
    | RefundAsked
    | Disputed
    | Converted
    | Cleared
    | LegAsked
    | NetCounted
    | HolderChecked
    | Seen
)


def player_subject(player: object) -> str:
    return f"player:{player}"


def holding_subject(player: object, instrument: str) -> str:
    return f"holding:{player}:{instrument}"


OPERATORS: Final = "operators:all"


def microseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at_us: int) -> datetime:
    """The other way round."""
    return _EPOCH + timedelta(microseconds=at_us)
