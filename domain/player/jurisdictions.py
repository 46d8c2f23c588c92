"""Jurisdictions: what the law where the player is changes about payments.

A subdivision without settings of its own has those of its country, and a country that is not
listed has the usual ones. The settings are a reading of the sources named beside them, not
legal advice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.player.player import Player, Verification

_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Jurisdiction:
    """What differs from one place to another."""

    player_may_cancel_withdrawal: bool = True
    """Whether players themselves may call a payout back, to play on with the money."""
    limit_increase_seconds: int = _DAY_SECONDS
    """How long a higher deposit limit, or none any more, has to wait."""
    verification_before_deposit: Verification = Verification.NONE
    """How well the player's identity has to be known before the first deposit."""


USUAL: Final = Jurisdiction()
"""Where nothing else is known."""

JURISDICTIONS: Final[Mapping[str, Jurisdiction]] = {
    # Interstate treaty on gambling (GlüStV 2021), § 6c: a higher limit waits for seven days.
    "DE": Jurisdiction(limit_increase_seconds=7 * _DAY_SECONDS),
    # Gambling Commission. Remote technical standards, 14: no cancelling of withdrawals. Licence
    # conditions and codes of practice, 17.1.1 and 3.2.11: identity before the first deposit.
    "GB": Jurisdiction(
        player_may_cancel_withdrawal=False, verification_before_deposit=Verification.BASIC
    ),
}
"""By ISO 3166 code of a country or one of its subdivisions."""

_RANK: Final = {Verification.NONE: 0, Verification.BASIC: 1, Verification.FULL: 2}


def jurisdiction_of(code: str | None) -> Jurisdiction:
    """The settings of `GB-ENG`, else of `GB`, else the usual ones; None: not known where."""
    if code is None:
        return USUAL
    code = code.upper()
    country = code.partition("-")[0]
    return JURISDICTIONS.get(code) or JURISDICTIONS.get(country) or USUAL


def may_deposit_as_known(player: Player) -> bool:
    """Whether the player's identity is known well enough to deposit where they are."""
    needed = jurisdiction_of(player.jurisdiction).verification_before_deposit
    return _RANK[player.verification] >= _RANK[needed]
