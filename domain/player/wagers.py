"""Wagers: the turnover that the platform reports. Each report is a stream of its own.

Nothing is decided about a wager here and no money moves; how much of what came in has been
played with is asked when a payout is screened.
"""

from collections.abc import Mapping
from uuid import UUID

from domain.command import Command
from domain.counters import wagered_counter
from domain.events import Count, WagerRecorded
from domain.money import Money


def record_wager(
    wager_id: UUID,
    command: Command,
    *,
    player_id: UUID,
    amount: Money,
    metadata: Mapping[str, str],
) -> WagerRecorded:
    """Note that the player has staked `amount`.

    A report sent twice has the same id, and a stream has one version 1: the second is refused by
    the store.
    """
    return WagerRecorded(
        **command.header(wager_id, 1),
        request_digest=command.request_digest,
        player_id=player_id,
        amount=amount,
        metadata=metadata,
        counts=(Count(counter=wagered_counter(player_id, amount.currency), change=amount.amount),),
    )
