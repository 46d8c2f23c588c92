"""Commands about players: who they are and what they may do."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.command import Command, repeated
from domain.counters import Window, limit_counter
from domain.errors import NothingToChange
from domain.events import LedgerEvent, WagerRecorded
from domain.money import Money
from domain.player.calendar import day_kept
from domain.player.holds import lift_hold, place_hold
from domain.player.instruments import Credential, change_credential, check_holder
from domain.player.limits import set_limit
from domain.player.player import (
    HoldKind,
    Player,
    Stop,
    Verification,
    change_verification,
    register_player,
    set_exclusion,
)
from domain.player.wagers import record_wager
from ledger.commands.errors import PlayerNotFound
from ledger.commands.handling import Caller, Handling, project_player
from ledger.commands.holder_names import similarity_percent
from ledger.commands.stream_handling import change_stream
from ledger.eventstore.append import Receipt
from ledger.eventstore.errors import VersionConflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Wagered:
    """A report of turnover as it was recorded."""

    event: WagerRecorded
    receipt: Receipt
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderChecked:
    """How like the player's name that on an instrument is."""

    player: Player
    """As the check left them."""
    similarity_percent: int
    """0 to 100."""


class PlayerCommands:
    """What staff and platforms do with players."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self, player_id: UUID) -> Player:
        """The player as they are now.

        Raises:
            PlayerNotFound: there is none under this id.
        """
        player = self._handling.ledger.load(player_id, project_player)
        if player is None:
            raise PlayerNotFound(player_id)
        return player

    def register(
        self,
        player_id: UUID,
        *,
        verification: Verification,
        jurisdiction: str | None,
        time_zone: str,
        caller: Caller,
    ) -> Player:
        """Make a player known, or change what is known of them.

        Raises:
            PlayerNotFound: something else has this id.
            CommandReused: the key was used before, with another request.
        """
        request = {
            "id": player_id,
            "verification": verification,
            "jurisdiction": jurisdiction,
            "time_zone": time_zone,
        }
        command = self._handling.command(caller, "register-player", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            if player is None:
                return register_player(
                    player_id,
                    command,
                    jurisdiction=jurisdiction,
                    verification=verification,
                    time_zone=time_zone,
                )
            try:
                return change_verification(
                    player,
                    command,
                    verification=verification,
                    jurisdiction=jurisdiction,
                    time_zone=time_zone,
                    kept_day=day_kept(player, time_zone, command.now),
                )
            except NothingToChange:
                return None

        return change_stream(self._handling, player_id, project_player, command, decide)

    def exclude(
        self,
        player_id: UUID,
        *,
        excluded: bool,
        reason: str,
        until: datetime | None = None,
        caller: Caller,
    ) -> Player:
        """Begin, lengthen or end the player's exclusion from deposits.

        Raises:
            PlayerNotFound, NothingToChange, ExclusionRunning, CommandReused.
        """
        request = {"id": player_id, "excluded": excluded, "reason": reason, "until": until}
        command = self._handling.command(caller, "exclude-player", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            return set_exclusion(
                _there(player, player_id), command, excluded=excluded, reason=reason, until=until
            )

        return change_stream(self._handling, player_id, project_player, command, decide)

    def hold(
        self, player_id: UUID, *, reason: str, stops: Collection[Stop] = (), caller: Caller
    ) -> Player:
        """Put the player on hold; what kind of hold it is follows from the caller's role.

        `stops`: payouts, deposits or both; what the kind usually does if empty.

        Raises:
            PlayerNotFound, NothingToChange, RoleNotAllowed, CommandReused.
        """
        request: dict[str, object] = {"id": player_id, "reason": reason}
        if stops:  # left out, it is the request that it was before there was a choice
            request["stops"] = sorted(stops)
        command = self._handling.command(caller, "hold-player", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            return place_hold(_there(player, player_id), command, stops=stops, reason=reason)

        return change_stream(self._handling, player_id, project_player, command, decide)

    def lift_hold(self, player_id: UUID, *, kind: HoldKind, reason: str, caller: Caller) -> Player:
        """Lift one hold; what it stopped goes on again unless there is another.

        Raises:
            PlayerNotFound, NothingToChange, HoldNotYours, CommandReused.
        """
        request = {"id": player_id, "kind": kind, "reason": reason}
        command = self._handling.command(caller, "lift-hold", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            return lift_hold(_there(player, player_id), command, kind=kind, reason=reason)

        return change_stream(self._handling, player_id, project_player, command, decide)

    # --- what indicators look at ----------------------------------------------------------------

    def change_credential(
        self, player_id: UUID, *, credential: Credential, caller: Caller
    ) -> Player:
        """Record that the player has another password, address or number, whatever it is.

        Raises:
            PlayerNotFound, CommandReused.
        """
        request = {"id": player_id, "credential": credential}
        command = self._handling.command(caller, "change-credential", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            return change_credential(_there(player, player_id), command, credential=credential)

        return change_stream(self._handling, player_id, project_player, command, decide)

    def check_holder(
        self,
        player_id: UUID,
        *,
        instrument: str,
        holder_name: str,
        verified_name: str,
        caller: Caller,
    ) -> HolderChecked:
        """Compare the name on an instrument with the player's, and record how like they are.

        The names are not kept, and no digest of them either, as names can be guessed: a repeat is
        told from another check by its result.

        Raises:
            PlayerNotFound, CommandReused.
        """
        percent = similarity_percent(holder_name, verified_name)
        request = {"id": player_id, "instrument": instrument, "similarity_percent": percent}
        command = self._handling.command(caller, "check-holder", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            return check_holder(
                _there(player, player_id),
                command,
                instrument=instrument,
                similarity_percent=percent,
            )

        player = change_stream(self._handling, player_id, project_player, command, decide)
        return HolderChecked(player=player, similarity_percent=percent)

    # --- limits ---------------------------------------------------------------------------------

    def set_limit(
        self,
        player_id: UUID,
        *,
        window: Window,
        currency: str,
        limit_minor: int | None,
        caller: Caller,
    ) -> Player:
        """Set how much the player may pay in per window: less at once, more later.

        Raises:
            PlayerNotFound, NothingToChange, LimitInvalid, CommandReused.
        """
        request = {
            "id": player_id,
            "window": window,
            "currency": currency,
            "limit_minor": limit_minor,
        }
        command = self._handling.command(caller, "set-limit", request)

        def decide(player: Player | None) -> LedgerEvent | None:
            return set_limit(
                _there(player, player_id),
                command,
                window=window,
                currency=currency,
                limit_minor=limit_minor,
            )

        return change_stream(self._handling, player_id, project_player, command, decide)

    def used_minor(
        self, player: Player, limits: Iterable[tuple[Window, str]]
    ) -> Mapping[tuple[Window, str], int]:
        """What counts towards each limit by now, in minor units of its currency."""
        today = self._handling.today(player)
        counters = {(w, code): limit_counter(player.id, w, code, today) for w, code in limits}
        balances = self._handling.ledger.balances(list(counters.values()))
        return {limit: balances[counter] for limit, counter in counters.items()}

    # --- turnover -------------------------------------------------------------------------------

    def record_wager(
        self, player_id: UUID, *, amount: Money, metadata: Mapping[str, str], caller: Caller
    ) -> Wagered:
        """Record turnover that the platform reports.

        Raises:
            PlayerNotFound: there is none under this id.
            CommandReused: the key was used before, with another request.
        """
        request = {"id": player_id, "amount": amount, "metadata": metadata}
        command = self._handling.command(caller, "record-wager", request)
        self._handling.known_player(player_id)
        wager_id = command.command_id
        event = record_wager(
            wager_id, command, player_id=player_id, amount=amount, metadata=metadata
        )
        try:
            receipt = self._handling.ledger.append([event])
        except VersionConflict:
            return self._recorded(wager_id, command)
        return Wagered(event=event, receipt=receipt, replayed=False)

    def _recorded(self, wager_id: UUID, command: Command) -> Wagered:
        """The answer that was given first."""
        event = self._handling.ledger.history(wager_id)[0]
        assert isinstance(event, WagerRecorded)  # noqa: S101  (the id is of this operation)
        repeated({event.command_id: event.request_digest}, command)
        return Wagered(
            event=event, receipt=self._handling.ledger.receipt(wager_id, 1), replayed=True
        )


def _there(player: Player | None, player_id: UUID) -> Player:
    if player is None:
        raise PlayerNotFound(player_id)
    return player
