"""A player as they were: standing, limits and how far they were used, balances, transactions."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from psycopg import Connection

from domain.accounts import of_player
from domain.counters import (
    Window,
    counts,
    deposited_counter,
    instrument_counter,
    limit_counter,
    wagered_counter,
)
from domain.events import HoldLifted, HoldPlaced, PlayerEvent
from domain.money import currencies
from domain.player.calendar import today_of
from domain.player.player import Player, evolve_player
from projections.engine.read_model import Recorded, Rows
from projections.history.fold import TRANSACTIONS, Transaction
from projections.history.history import HISTORY
from replay import at_position
from replay.at_position import Stored
from replay.nothing import why_nothing
from replay.seen import Balance

_KEPT = "SELECT account, balance, position FROM ledger_accounts WHERE account = ANY(%s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold that had not been lifted; one of a kind may have been placed after another."""

    kind: str
    stops: tuple[str, ...]
    reason: str
    placed_by: str
    placed_at: datetime
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitThen:
    """How much the player could pay in per window, and how much of it was used."""

    window: str
    currency: str
    limit_minor: int | None
    """In force; None: no limit."""
    used_minor: int
    """Of the window that the moment was in, by the player's own calendar."""
    pending_minor: int | None
    """What was to be in force from `pending_at`; None there: no limit any more."""
    pending_at: datetime | None
    """None: no change had been asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What had been counted for the player in one currency, in minor units."""

    currency: str
    deposited_minor: int
    """Everything paid in."""
    wagered_minor: int
    """Turnover, as the platform reported it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentThen:
    """What the player had paid in with, and what had come in from it less what went to it."""

    instrument: str
    provider: str
    method: str
    net_minor: dict[str, int]
    """By currency, in minor units; without those at zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerThen:
    """A player after the event at `position`, at the moment `at`."""

    id: UUID
    position: int
    at: datetime
    """Exclusions and limits depend on the clock: this is what it showed."""
    registered_at: datetime
    verification: str
    jurisdiction: str | None
    time_zone: str
    excluded: bool
    excluded_until: datetime | None
    excluded_at_least_until: datetime | None
    holds: tuple[Hold, ...]
    limits: tuple[LimitThen, ...]
    balances: tuple[Balance, ...]
    """Available and reserved, of every currency in which either was not zero."""
    counters: tuple[Counters, ...]
    """Of every currency in which anything had been counted."""
    instruments: tuple[InstrumentThen, ...]
    """Oldest first; without what was only ever paid out to."""
    transactions: tuple[Transaction, ...]
    """As history had them, the last to begin first."""
    more_transactions: bool
    """There were others before these."""
    empty: str | None
    """Why there is no transaction, where there is none."""


def player_then(
    connection: Connection[Any], player_id: UUID, *, position: int, at: datetime, limit: int
) -> PlayerThen:
    """The player after `position`, with at most `limit` transactions.

    Raises:
        Nothing: no player has this id, or they were registered later.
    """
    known = at_position.stream(connection, player_id, position)
    if not known or not isinstance(known[0].event, PlayerEvent):
        raise why_nothing(connection, player_id, wanted="player", upto=position)
    player = _folded(known)
    names = [name for code in currencies() for name in of_player(player_id, code)]
    standing = at_position.balances(connection, {position: names})[position]
    counters = _Counters(connection, player, position, at)
    begun = at_position.begun(connection, "player_id", player_id, upto=position, limit=limit + 1)
    excluded = player.is_excluded(at)
    return PlayerThen(
        id=player_id,
        position=position,
        at=at,
        registered_at=player.registered_at,
        verification=player.verification.value,
        jurisdiction=player.jurisdiction,
        time_zone=player.time_zone,
        excluded=excluded,
        excluded_until=player.excluded_until if excluded else None,
        excluded_at_least_until=player.excluded_at_least_until if excluded else None,
        holds=_holds(known),
        limits=counters.limits(),
        balances=tuple(_balances(player_id, standing)),
        counters=counters.by_currency(),
        instruments=counters.instruments(),
        transactions=_rows(connection, [one.id for one in begun[:limit]], position),
        more_transactions=len(begun) > limit,
        empty=None if begun else _why_none(connection, player_id, position),
    )


def _folded(known: Iterable[Stored]) -> Player:
    player: Player | None = None
    for stored in known:
        player = evolve_player(player, cast("PlayerEvent", stored.event))
    assert player is not None  # noqa: S101  (every event leaves one)
    return player


def _holds(known: Iterable[Stored]) -> tuple[Hold, ...]:
    holds: list[Hold] = []
    for stored in known:
        match stored.event:
            case HoldPlaced() as placed:
                hold = Hold(
                    kind=placed.hold,
                    stops=placed.stops,
                    reason=placed.reason,
                    placed_by=placed.actor,
                    placed_at=placed.occurred_at,
                    position=stored.position,
                )
                holds.append(hold)
            case HoldLifted() as lifted:
                holds = [hold for hold in holds if hold.kind != lifted.hold]
            case _:
                pass
    return tuple(holds)


def _balances(player_id: UUID, standing: dict[str, int]) -> Iterable[Balance]:
    for code in currencies():
        names = of_player(player_id, code)
        if any(standing[name] for name in names):
            yield from (Balance(account=name, balance_minor=standing[name]) for name in names)


# --- transactions -------------------------------------------------------------------------------


def _rows(
    connection: Connection[Any], ids: Sequence[UUID], position: int
) -> tuple[Transaction, ...]:
    """The rows that history would have had, folded from the transactions' own streams."""
    rows = Rows()
    for _, events in at_position.streams(connection, ids, position):
        for stored in events:
            HISTORY.apply(
                rows,
                Recorded(
                    position=stored.position, recorded_at=stored.recorded_at, event=stored.event
                ),
            )
    return tuple(rows[TRANSACTIONS][id_] for id_ in ids)


def _why_none(connection: Connection[Any], player_id: UUID, position: int) -> str:
    first = at_position.first_begun(connection, "player_id", player_id)
    if first is None:
        return f"player {player_id} has no transaction in this ledger"
    (stored,) = at_position.stream(connection, first.id, first.position)
    return (
        f"player {player_id} had begun no transaction at position {position}: the first one is at "
        f"position {first.position}, recorded {stored.recorded_at.astimezone(UTC).isoformat()}"
    )


# --- counters -----------------------------------------------------------------------------------


class _Counters:
    """What counters stood at after a position.

    They are kept as they are now, with the position of the event that changed each last. Those
    that have changed since are taken back to then by the events in between, or, where that is
    shorter, counted again from the first event.
    """

    def __init__(
        self, connection: Connection[Any], player: Player, position: int, at: datetime
    ) -> None:
        self._player, self._position, self._at = player, position, at
        self._today = today_of(player, at)
        names = {code: _names(player.id, code) for code in currencies()}
        kept = _kept(connection, [name for of_one in names.values() for name in of_one])
        self._currencies = [code for code, of_one in names.items() if kept.keys() & set(of_one)]
        kept = _kept(
            connection,
            [
                *(name for code in self._currencies for name in _sums(player.id, code)),
                *self._limit_names(),
                *self._instrument_names(),
            ],
        )
        self._values = _then(connection, player.id, kept, position)

    def _limit_names(self) -> list[str]:
        return [
            limit_counter(self._player.id, window, currency, self._today)
            for window, currency in self._player.limits
        ]

    def _instrument_names(self) -> list[str]:
        return [
            instrument_counter(self._player.id, instrument, code)
            for instrument in self._player.instruments
            for code in self._currencies
        ]

    def limits(self) -> tuple[LimitThen, ...]:
        """Every limit that was set, whether or not it was in force."""
        order = list(Window)
        found = []
        for (window, currency), limit in sorted(
            self._player.limits.items(), key=lambda item: (item[0][1], order.index(item[0][0]))
        ):
            name = limit_counter(self._player.id, window, currency, self._today)
            pending = limit.is_pending(self._at)
            found.append(
                LimitThen(
                    window=window.value,
                    currency=currency,
                    limit_minor=limit.in_force(self._at),
                    used_minor=self._values.get(name, 0),
                    pending_minor=limit.pending_minor if pending else None,
                    pending_at=limit.pending_at if pending else None,
                )
            )
        return tuple(found)

    def by_currency(self) -> tuple[Counters, ...]:
        found = (
            Counters(
                currency=code,
                deposited_minor=self._values.get(deposited_counter(self._player.id, code), 0),
                wagered_minor=self._values.get(wagered_counter(self._player.id, code), 0),
            )
            for code in self._currencies
        )
        return tuple(one for one in found if one.deposited_minor or one.wagered_minor)

    def instruments(self) -> tuple[InstrumentThen, ...]:
        return tuple(
            InstrumentThen(
                instrument=name,
                provider=used.provider,
                method=used.method,
                net_minor={
                    code: value
                    for code in self._currencies
                    if (value := self._values.get(self._instrument_counter(name, code), 0))
                },
            )
            for name, used in self._player.instruments.items()
        )

    def _instrument_counter(self, instrument: str, currency: str) -> str:
        return instrument_counter(self._player.id, instrument, currency)


def _sums(player_id: UUID, currency: str) -> tuple[str, str]:
    return deposited_counter(player_id, currency), wagered_counter(player_id, currency)


def _names(player_id: UUID, currency: str) -> tuple[str, ...]:
    """All that shows that there was ever anything in this currency."""
    return (*_sums(player_id, currency), *of_player(player_id, currency))


def _kept(connection: Connection[Any], names: Collection[str]) -> dict[str, tuple[int, int]]:
    """Value now and position of the last change, by name."""
    rows = connection.execute(_KEPT, [list(names)])
    return {name: (value, position) for name, value, position in rows}


def _then(
    connection: Connection[Any], player_id: UUID, kept: dict[str, tuple[int, int]], position: int
) -> dict[str, int]:
    values = {name: value for name, (value, changed_at) in kept.items() if changed_at <= position}
    changed = {name: kept[name] for name in kept.keys() - values.keys()}
    if not changed:
        return values
    last = max(changed_at for _, changed_at in changed.values())
    back = last - position < position
    values |= {name: value if back else 0 for name, (value, _) in changed.items()}
    after, upto = (position, last) if back else (0, position)
    for stored in at_position.events(connection, after=after, upto=upto, player_id=player_id):
        for count in counts(stored.event):
            # What was changed behind the look at the counters is not in their values.
            if count.counter in changed and stored.position <= changed[count.counter][1]:
                values[count.counter] += -count.change if back else count.change
    return values
