"""Player: state · decisions · evolve. Who may deposit, and whose payouts may leave.

Deposit limits are decided in `limits.py`, holds in `holds.py`; their state is here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.command import Command, remember, repeated
from domain.counters import Window
from domain.errors import ExclusionInvalid, ExclusionRunning, NothingToChange
from domain.events import (
    CredentialsChanged,
    ExclusionEnded,
    HoldLifted,
    HoldPlaced,
    InstrumentHolderChecked,
    InstrumentRegistered,
    LimitSet,
    PlayerEvent,
    PlayerExcluded,
    PlayerRegistered,
    VerificationChanged,
)
from domain.replacing import replace


class Verification(StrEnum):
    """How well the player's identity is known."""

    NONE = "none"
    BASIC = "basic"
    FULL = "full"


class HoldKind(StrEnum):
    """What a hold is about; who may lift it depends on that."""

    PAYMENT = "payment"
    FRAUD = "fraud"
    AML = "aml"
    SUPPORT = "support"


class Stop(StrEnum):
    """What a hold stops."""

    PAYOUTS = "payouts"
    DEPOSITS = "deposits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much a player may pay in per window, and what they have asked for from later on."""

    limit_minor: int | None
    """In force until `pending_at`; None: no limit."""
    pending_minor: int | None = None
    """In force from `pending_at`; None: no limit any more."""
    pending_at: datetime | None = None
    """None: no change has been asked for."""

    def is_pending(self, now: datetime) -> bool:
        """Whether a change is still to come."""
        return self.pending_at is not None and now < self.pending_at

    def in_force(self, now: datetime) -> int | None:
        """What holds at `now`, in minor units; None: no limit."""
        if self.pending_at is None or self.is_pending(now):
            return self.limit_minor
        return self.pending_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDay:
    """The day that goes on for deposit limits after a change of the time zone."""

    day: date
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A card, account or wallet: where it has been used first."""

    provider: str
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """The platform's customer, known here by an opaque id."""

    id: UUID
    version: int
    registered_at: datetime
    updated_at: datetime
    jurisdiction: str | None
    verification: Verification
    time_zone: str
    """IANA name: where the player's days begin."""
    kept_day: KeptDay | None = None
    """Of the time zone before, see `calendar.py`."""
    excluded: bool = False
    """The bare flag, as last recorded; `is_excluded` also looks at the clock."""
    excluded_until: datetime | None = None
    """None while excluded: until somebody ends it."""
    excluded_at_least_until: datetime | None = None
    """The latest end that was ever set for the exclusion: nobody ends it before. None: for it no
    end was set."""
    limits: Mapping[tuple[Window, str], Limit]
    """By window and currency."""
    holds: Mapping[HoldKind, frozenset[Stop]] = field(default_factory=dict)
    """What each hold stops."""
    instruments: Mapping[str, Instrument]
    """By fingerprint, oldest first."""
    commands: Mapping[UUID, str]

    @property
    def stops_payouts(self) -> bool:
        """Whether no payout may leave, whatever the kind of hold."""
        return self._is_stopped(Stop.PAYOUTS)

    @property
    def stops_deposits(self) -> bool:
        """Whether nothing may be paid in, whatever the kind of hold."""
        return self._is_stopped(Stop.DEPOSITS)

    def _is_stopped(self, what: Stop) -> bool:
        return any(what in stopped for stopped in self.holds.values())

    def is_excluded(self, now: datetime) -> bool:
        """Whether the player may not deposit at `now`: an exclusion is over at its `until`."""
        return self.excluded and (self.excluded_until is None or now < self.excluded_until)


# --- decisions ----------------------------------------------------------------------------------


def register_player(
    player_id: UUID,
    command: Command,
    *,
    jurisdiction: str | None = None,
    verification: Verification = Verification.NONE,
    time_zone: str = "UTC",
) -> PlayerRegistered:
    """Make the player known. Whether there is such a time zone is checked at the edges."""
    return PlayerRegistered(
        **command.header(player_id, 1),
        jurisdiction=jurisdiction,
        verification=verification,
        time_zone=time_zone,
    )


def change_verification(
    state: Player,
    command: Command,
    *,
    verification: Verification,
    jurisdiction: str | None,
    time_zone: str,
    kept_day: KeptDay | None = None,
) -> VerificationChanged | None:
    """Record how well the player's identity is known; None if this command did so already.

    `kept_day`: which day goes on, and how long, if that is another time zone; None: none does.

    Raises:
        NothingToChange: it is so already.
    """
    if repeated(state.commands, command):
        return None
    known = (state.verification, state.jurisdiction, state.time_zone)
    if known == (verification, jurisdiction, time_zone):
        raise NothingToChange
    kept = kept_day if time_zone != state.time_zone else None
    return VerificationChanged(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        verification=verification,
        jurisdiction=jurisdiction,
        time_zone=time_zone,
        limit_day=kept.day.isoformat() if kept else None,
        limit_day_until=kept.until if kept else None,
    )


def set_exclusion(
    state: Player,
    command: Command,
    *,
    excluded: bool,
    reason: str,
    until: datetime | None = None,
) -> PlayerExcluded | ExclusionEnded | None:
    """Begin, extend or end the player's exclusion; None if this command did so already.

    An exclusion with an `until` can be extended but neither shortened nor ended before, not even
    after it was extended to have no end; one without lasts until somebody ends it. `until` has no
    meaning when ending.

    Raises:
        NothingToChange: it is so already.
        ExclusionInvalid: it would be over before it begins.
        ExclusionRunning: it would end before the time it was set for.
    """
    if repeated(state.commands, command):
        return None
    header = command.header(state.id, state.version + 1)
    if excluded:
        _check_exclusion(state, command.now, until)
        return PlayerExcluded(
            **header, request_digest=command.request_digest, reason=reason, until=until
        )
    if not state.excluded:
        raise NothingToChange
    least = state.excluded_at_least_until
    if least is not None and command.now < least:
        raise ExclusionRunning(f"It was set until {least.isoformat()}, and is not ended before.")
    return ExclusionEnded(**header, request_digest=command.request_digest, reason=reason)


def _check_exclusion(state: Player, now: datetime, until: datetime | None) -> None:
    if until is not None and until <= now:
        raise ExclusionInvalid
    if not state.is_excluded(now):
        return
    if until == state.excluded_until:
        raise NothingToChange
    if until is not None and (state.excluded_until is None or until < state.excluded_until):
        raise ExclusionRunning


def register_instrument(
    state: Player,
    command: Command,
    *,
    instrument: str,
    provider: str,
    method: str,
    ahead: int = 1,
) -> InstrumentRegistered | None:
    """Remember a card, account or wallet on its first use; None if it is known.

    `ahead`: how many versions after the player's own the event is, 1 unless others of the same
    append come before it.
    """
    if instrument in state.instruments:
        return None
    return InstrumentRegistered(
        **command.header(state.id, state.version + ahead),
        instrument=instrument,
        provider=provider,
        method=method,
    )


# --- evolve -------------------------------------------------------------------------------------


def evolve_player(state: Player | None, event: PlayerEvent) -> Player:
    """The player after `event`."""
    if isinstance(event, PlayerRegistered):
        return Player(
            id=event.originator_id,
            version=event.originator_version,
            registered_at=event.occurred_at,
            updated_at=event.occurred_at,
            jurisdiction=event.jurisdiction,
            verification=Verification(event.verification),
            time_zone=event.time_zone,
            limits={},
            instruments={},
            commands={},
        )
    if state is None:
        raise ValueError(f"a player's history cannot begin with {type(event).__name__}")
    return replace(
        _changed(state, event),
        version=event.originator_version,
        updated_at=event.occurred_at,
        commands=remember(state.commands, event),
    )


def _changed(state: Player, event: PlayerEvent) -> Player:
    match event:
        case PlayerRegistered():
            raise ValueError("a player is registered once")
        case VerificationChanged():
            return replace(
                state,
                verification=Verification(event.verification),
                jurisdiction=event.jurisdiction,
                time_zone=event.time_zone,
                kept_day=_kept_day(state, event),
            )
        case LimitSet():
            key = (Window(event.window), event.currency)
            return replace(
                state, limits={**state.limits, key: _limit(state.limits.get(key), event)}
            )
        case InstrumentRegistered():
            used = Instrument(provider=event.provider, method=event.method)
            return replace(state, instruments={**state.instruments, event.instrument: used})
        case InstrumentHolderChecked() | CredentialsChanged():
            return state  # indicators look at them, decisions about the player do not
        case PlayerExcluded():
            return replace(
                state,
                excluded=True,
                excluded_until=event.until,
                excluded_at_least_until=_at_least_until(state, event),
            )
        case ExclusionEnded():
            return replace(state, excluded=False, excluded_until=None, excluded_at_least_until=None)
        case HoldPlaced():
            kind, stops = HoldKind(event.hold), frozenset(map(Stop, event.stops))
            stopped = state.holds.get(kind, frozenset())
            return replace(state, holds={**state.holds, kind: stopped | stops})
        case HoldLifted():
            left = {kind: stops for kind, stops in state.holds.items() if kind != event.hold}
            return replace(state, holds=left)
        case _:
            assert_never(event)


def _kept_day(state: Player, event: VerificationChanged) -> KeptDay | None:
    if event.limit_day is None or event.limit_day_until is None:
        return state.kept_day if event.time_zone == state.time_zone else None
    return KeptDay(day=date.fromisoformat(event.limit_day), until=event.limit_day_until)


def _at_least_until(state: Player, event: PlayerExcluded) -> datetime | None:
    """An exclusion that is extended keeps its latest end; one that was over begins anew."""
    kept = state.excluded_at_least_until if state.is_excluded(event.occurred_at) else None
    return max((end for end in (kept, event.until) if end is not None), default=None)


def _limit(standing: Limit | None, event: LimitSet) -> Limit:
    """The limit after `event`: what was in force stays so until the change takes effect."""
    if event.effective_at <= event.occurred_at:
        return Limit(limit_minor=event.limit_minor)
    return Limit(
        limit_minor=standing.in_force(event.occurred_at) if standing else None,
        pending_minor=event.limit_minor,
        pending_at=event.effective_at,
    )


def fold_player(state: Player | None, events: Iterable[PlayerEvent]) -> Player | None:
    """The player after `events`, in order."""
    for event in events:
        state = evolve_player(state, event)
    return state
