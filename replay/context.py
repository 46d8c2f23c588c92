"""What deciders saw: balances, score, standing, approvals, provider health and policy, back then.

Everything is of the log right before the decision's own event, so also of what else was decided in
the same append before it. Of all decisions that are asked about together it takes a bounded number
of queries, and about two per decision.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar, cast
from uuid import UUID

from psycopg import Connection

from domain.accounts import of_player, player_of
from domain.approval.policy import DEFAULT_POLICY, evolve_policy, policy_stream
from domain.conversion.rates import rates_stream
from domain.conversion.state import Conversion
from domain.events import (
    PlayerEvent,
    PolicyEvent,
    ProviderEvent,
    ProviderRegistered,
    RateTableApproved,
    RateTablePublished,
    WithdrawalScored,
    WithdrawalScreened,
)
from domain.player.player import Player, evolve_player
from domain.provider.provider import evolve_provider, provider_stream
from domain.transactions import Transaction, accounts_of, evolve_transaction
from domain.withdrawal.approvals import approval_problems, missing_approvals
from domain.withdrawal.state import Withdrawal
from replay import at_position
from replay.at_position import Stored
from replay.seen import (
    Agreed,
    Approvals,
    Balance,
    Counted,
    Health,
    PolicyInForce,
    RatesInForce,
    Saw,
    Score,
    Standing,
)

RECENT_TRANSACTIONS: Final = 50
"""Of a provider, for its health."""

T = TypeVar("T")

Scored = WithdrawalScored | WithdrawalScreened
"""What says how risky a payout looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that is asked about."""

    position: int
    """Of its event."""
    at: datetime
    """When it was taken: `occurred_at` of its event."""
    before: Transaction | None
    after: Transaction
    scored: tuple[int, Scored] | None
    """What said last before it how risky it looks, with its position."""


def seen(connection: Connection[Any], decided: Sequence[Decided]) -> list[Saw]:
    """What each of these decisions saw, in the same order.

    Asking about many at once pays where read models are behind: the log is read once for all.
    """
    if not decided:
        return []
    then = _Then(connection, decided)
    return [then.saw(one) for one in decided]


# --- what has to be known for all of them -------------------------------------------------------


class _Timeline(Generic[T]):
    """What something was, from position to position."""

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._states: list[T] = []

    def add(self, position: int, state: T) -> None:
        self._positions.append(position)
        self._states.append(state)

    def at(self, position: int) -> T | None:
        """None before the first."""
        index = bisect_right(self._positions, position)
        return self._states[index - 1] if index else None


class _Then:
    """The surroundings of some decisions."""

    def __init__(self, connection: Connection[Any], decided: Sequence[Decided]) -> None:
        self._connection = connection
        self._upto = max(one.position for one in decided) - 1
        self._balances = at_position.balances(
            connection, {one.position - 1: _accounts(one.after) for one in decided}
        )
        players = {one.after.player_id for one in decided} - {None}
        self._players = {id_: self._player(cast("UUID", id_)) for id_ in players}
        self._policy = self._published_policies()
        self._rates = at_position.last_of_stream(
            connection,
            rates_stream(),
            {one.position - 1 for one in decided},
            (RateTablePublished, RateTableApproved),
        )
        asked: dict[str, list[int]] = {}
        for one in decided:
            for name in _providers(one.after):
                asked.setdefault(name, []).append(one.position - 1)
        self._providers = {name: self._provider(name) for name in asked}
        self._recent = {
            name: at_position.begun_by(
                connection, "provider", name, positions, limit=RECENT_TRANSACTIONS
            )
            for name, positions in asked.items()
        }
        self._statuses = self._statuses_of(
            {
                one.id
                for of_one in self._recent.values()
                for begun in of_one.values()
                for one in begun
            }
        )

    def _player(self, player_id: UUID) -> _Timeline[Player]:
        timeline: _Timeline[Player] = _Timeline()
        state: Player | None = None
        for stored in at_position.stream(self._connection, player_id, self._upto):
            state = evolve_player(state, cast("PlayerEvent", stored.event))
            timeline.add(stored.position, state)
        return timeline

    def _published_policies(self) -> _Timeline[PolicyInForce]:
        timeline: _Timeline[PolicyInForce] = _Timeline()
        state = DEFAULT_POLICY
        timeline.add(0, PolicyInForce(policy=state.name, since=None, position=None))
        for stored in at_position.stream(self._connection, policy_stream(), self._upto):
            before, state = state, evolve_policy(state, cast("PolicyEvent", stored.event))
            if state.published != before.published:
                since = stored.event.occurred_at
                named = PolicyInForce(policy=state.name, since=since, position=stored.position)
                timeline.add(stored.position, named)
        return timeline

    def _provider(self, name: str) -> _Timeline[Health]:
        timeline: _Timeline[Health] = _Timeline()
        timeline.add(0, _health(name))
        state = None
        for stored in at_position.stream(self._connection, provider_stream(name), self._upto):
            event = cast("ProviderEvent", stored.event)
            state = evolve_provider(state, event)
            timeline.add(
                stored.position,
                _health(
                    name,
                    registered=True,
                    paused=state.paused,
                    since=event.occurred_at,
                    reason=None if isinstance(event, ProviderRegistered) else event.reason,
                ),
            )
        return timeline

    def _statuses_of(self, ids: Collection[UUID]) -> dict[UUID, _Timeline[str]]:
        found: dict[UUID, _Timeline[str]] = {}
        for id_, events in at_position.streams(self._connection, ids, self._upto):
            found[id_] = _statuses(events)
        return found

    # --- what one of them saw -------------------------------------------------------------------

    def saw(self, decided: Decided) -> Saw:
        """What was there right before the decision."""
        position = decided.position - 1
        player = self._player_at(decided.after.player_id, position)
        balances = self._balances[position]
        return Saw(
            position=position,
            balances=tuple(
                Balance(account=account, balance_minor=balances[account])
                for account in _accounts(decided.after)
            ),
            player=_standing(player, decided.at),
            score=_score(decided),
            approvals=_approvals(decided, player),
            providers=tuple(self._health_at(name, position) for name in _providers(decided.after)),
            policy=cast("PolicyInForce", self._policy.at(position)),
            rates=self._rates_at(decided.after, position),
        )

    def _player_at(self, player_id: UUID | None, position: int) -> Player | None:
        return self._players[player_id].at(position) if player_id else None

    def _health_at(self, name: str, position: int) -> Health:
        known = cast("Health", self._providers[name].at(position))
        recent = self._recent[name][position]
        statuses = Counter(
            status for begun in recent if (status := self._statuses[begun.id].at(position))
        )
        return _health(
            name,
            registered=known.registered,
            paused=known.paused,
            since=known.since,
            reason=known.reason,
            recent=len(recent),
            recent_by_status=dict(statuses.most_common()),
        )

    def _rates_at(self, transaction: Transaction, position: int) -> RatesInForce | None:
        stored = self._rates.get(position)
        if stored is None or not isinstance(transaction, Conversion | Withdrawal):
            return None
        event = cast("RateTablePublished | RateTableApproved", stored.event)
        return RatesInForce(table=event.table, as_of=event.as_of, position=stored.position)


def _health(
    provider: str,
    *,
    registered: bool = False,
    paused: bool = False,
    since: datetime | None = None,
    reason: str | None = None,
    recent: int = 0,
    recent_by_status: Mapping[str, int] | None = None,
) -> Health:
    return Health(
        provider=provider,
        registered=registered,
        paused=paused,
        since=since,
        reason=reason,
        recent=recent,
        recent_by_status=recent_by_status or {},
    )


def _statuses(events: Iterable[Stored]) -> _Timeline[str]:
    timeline: _Timeline[str] = _Timeline()
    state: Transaction | None = None
    for stored in events:
        state = evolve_transaction(state, stored.event)
        if state is not None:
            timeline.add(stored.position, state.status.value)
    return timeline


def _accounts(transaction: Transaction) -> tuple[str, ...]:
    """The accounts that somebody who decides about it looks at."""
    accounts = dict.fromkeys(accounts_of(transaction))
    if transaction.player_id is not None:
        accounts |= dict.fromkeys(of_player(transaction.player_id, transaction.amount.currency))
    for move in getattr(transaction, "moves", ()):
        accounts |= dict.fromkeys((move.source, move.target))
    # The player's first, in the order of their currencies.
    return tuple(sorted(accounts, key=lambda account: player_of(account) is None))


def _providers(transaction: Transaction) -> tuple[str, ...]:
    """Each once; none for what the house does by itself."""
    names = [transaction.provider]
    if isinstance(transaction, Withdrawal):
        names += [leg.provider for leg in transaction.legs]
    return tuple(dict.fromkeys(name for name in names if name))


def _standing(player: Player | None, at: datetime) -> Standing | None:
    if player is None:
        return None
    excluded = player.is_excluded(at)
    return Standing(
        verification=player.verification.value,
        jurisdiction=player.jurisdiction,
        holds=tuple(sorted(hold.value for hold in player.holds)),
        stops=tuple(sorted({stop.value for stops in player.holds.values() for stop in stops})),
        excluded=excluded,
        excluded_until=player.excluded_until if excluded else None,
    )


def _score(decided: Decided) -> Score | None:
    if decided.scored is None:
        return None
    position, event = decided.scored
    counted = decided.before.hits if isinstance(decided.before, Withdrawal) else ()
    return Score(
        score=event.score,
        high=tuple(event.high),
        hits=tuple(
            Counted(
                indicator=hit.indicator,
                severity=hit.severity,
                subject=hit.subject,
                position=hit.position,
                holds=hit.holds,
            )
            for hit in counted
        ),
        ruleset=event.ruleset,
        position=position,
    )


def _approvals(decided: Decided, player: Player | None) -> Approvals | None:
    state = decided.before
    if not isinstance(state, Withdrawal):
        return None
    given = tuple(
        Agreed(
            person=approval.person,
            role=approval.role,
            at=approval.at,
            counted=not problems,
            problems=tuple(problem.value for problem in problems),
        )
        for approval, problems in approval_problems(state, player, decided.at)
    )
    missing = missing_approvals(state, player, decided.at) if player else state.required
    return Approvals(screened=state.screened, required=state.required, given=given, missing=missing)
