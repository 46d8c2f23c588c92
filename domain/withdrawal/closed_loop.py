"""The closed loop: a payout goes first to what the player paid in with.

Oldest instrument first, each up to its net deposits (what came in less what went back); only
what is left over goes where the player asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.events import PlannedLeg
from domain.money import Money
from domain.player.player import Player

LEGS_MAX: Final = 20
"""Legs of one payout. Where the instruments are more, the rest goes to the requested one."""

NOT_PAYABLE: Final = frozenset({"voucher"})
"""Methods that money can come from, but not go to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where the money goes."""

    legs: tuple[PlannedLeg, ...]
    closed_loop: bool
    """Every leg goes to an instrument the player has paid in with, or they never paid in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    provider: str
    method: str
    instrument: str | None
    amount_minor: int


def plan_legs(
    *,
    player: Player,
    amount: Money,
    provider: str,
    method: str,
    instrument: str | None,
    net_minor: Mapping[str, int],
) -> Plan:
    """Divide `amount` among the player's instruments and the requested one.

    `net_minor`: net deposits by instrument, in minor units of the amount's currency. The leg to
    the requested instrument uses the requested provider and method, any other leg those the
    instrument was first used with.
    """
    requested = _Part(provider=provider, method=method, instrument=instrument, amount_minor=0)
    parts: list[_Part] = []
    rest_minor = amount.amount
    for name, used in player.instruments.items():
        part_minor = min(net_minor.get(name, 0), rest_minor)
        if part_minor <= 0 or (used.method in NOT_PAYABLE and name != instrument):
            continue
        if len(parts) == LEGS_MAX:
            break
        via = requested if name == instrument else used
        parts.append(
            _Part(
                provider=via.provider, method=via.method, instrument=name, amount_minor=part_minor
            )
        )
        rest_minor -= part_minor
    parts = _with_rest(parts, requested, rest_minor)
    return Plan(
        legs=tuple(
            PlannedLeg(
                leg=number,
                provider=part.provider,
                method=part.method,
                instrument=part.instrument,
                amount=Money(part.amount_minor, amount.currency),
            )
            for number, part in enumerate(parts, start=1)
        ),
        closed_loop=not player.instruments
        or all(part.instrument in player.instruments for part in parts),
    )


def _with_rest(parts: list[_Part], requested: _Part, rest_minor: int) -> list[_Part]:
    """The rest joins the requested instrument's own leg, or becomes a leg of its own."""
    if rest_minor == 0:
        return parts
    own = [part for part in parts if part.instrument == requested.instrument]
    others = [part for part in parts if part.instrument != requested.instrument]
    if not own and len(others) == LEGS_MAX:
        *others, given_up = others
        rest_minor += given_up.amount_minor
    joined_minor = rest_minor + sum(part.amount_minor for part in own)
    last = _Part(
        provider=requested.provider,
        method=requested.method,
        instrument=requested.instrument,
        amount_minor=joined_minor,
    )
    return [last if part in own else part for part in parts] if own else [*others, last]
