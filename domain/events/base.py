"""What every event carries, and the parts events are made of."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from domain.money import Money


class Header(TypedDict):
    """What every event carries, as keyword arguments."""

    originator_id: UUID
    originator_version: int
    occurred_at: datetime
    actor: str
    command_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact in one stream."""

    originator_id: UUID
    originator_version: int
    occurred_at: datetime
    actor: str
    """`operator:<person>`, `player:<id>`, `provider:<name>` or `system:<job>`."""
    command_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandedEvent(Event):
    """A fact that somebody asked for: repeating the request is recognised by its digest."""

    request_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Money that goes from one account to another."""

    source: str
    target: str
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A change of a counter: how far a limit is used, what an instrument has paid in net.

    Counters are not money and have no counterpart; see `counters.py` for their names.
    """

    counter: str
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLeg:
    """A part of a payout, and where it goes."""

    leg: int
    """From 1, in the order of the plan."""
    provider: str
    method: str
    instrument: str | None
    amount: Money
