"""Commands about fraud cases."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast
from uuid import UUID, uuid5

from domain.command import Command
from domain.errors import InvalidTransition
from domain.events import FraudCaseEvent, FraudCaseOpened, IndicatorHit, LedgerEvent
from domain.fraud.case import CaseDecision, FraudCase, case_stream, fold_case
from domain.fraud.case_decisions import (
    agree_to_closing,
    assign_case,
    close_case,
    lift_case_hold,
    note_on_case,
    place_case_hold,
    receive_case_information,
    request_case_information,
    take_up_hit,
)
from domain.player.player import HoldKind, Player
from ledger.commands.errors import CaseNotFound, PlayerNotFound
from ledger.commands.handling import Caller, Handling, digest, project_player
from ledger.commands.stream_handling import change_stream

_TAKER = "system:fraud"

Decide = Callable[[FraudCase, Command], LedgerEvent | Sequence[LedgerEvent] | None]


def project_case(state: FraudCase | None, events: Iterable[LedgerEvent]) -> FraudCase | None:
    """The case a stream tells of.

    Raises:
        CaseNotFound: it tells of something else.
    """
    story = list(events)
    if state is None and story and not isinstance(story[0], FraudCaseOpened):
        raise CaseNotFound(story[0].originator_id)
    return fold_case(state, cast("list[FraudCaseEvent]", story))


class FraudCaseCommands:
    """What the system and analysts do with fraud cases."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self, case_id: UUID) -> FraudCase:
        """The case as it is now.

        Raises:
            CaseNotFound: there is none under this id.
        """
        case = self._handling.ledger.load(case_id, project_case)
        if case is None:
            raise CaseNotFound(case_id)
        return case

    # --- taking up ------------------------------------------------------------------------------

    def take_up(
        self, hit: IndicatorHit, *, after_number: int, amount_minor: int = 0, cause: str = ""
    ) -> FraudCase:
        """Add a hit to the subject's open case, or open the next one; a hit is taken up once.

        `amount_minor`, `cause`: the money that the hit is about, in EUR, and what it is true of.
        `after_number`: the latest case of the subject that is known of, 0 where none is. Cases
        that nobody told of yet are found by walking on; one that took the hit up before, by
        walking back as far as there can be one.
        """
        number = max(after_number, 1)
        command = self._taking(hit)
        before = self._taken_before(hit, command, number)
        if before is not None:
            return before
        while True:
            stream = case_stream(hit.subject, number)

            def decide(case: FraudCase | None, number: int = number) -> LedgerEvent | None:
                return take_up_hit(
                    case, command, number=number, hit=hit, amount_minor=amount_minor, cause=cause
                )

            try:
                return change_stream(self._handling, stream, project_case, command, decide)
            except InvalidTransition:
                number += 1

    def _taking(self, hit: IndicatorHit) -> Command:
        """The same for a hit whoever takes it up, and whatever words it is put in by then."""
        return Command(
            now=self._handling.now(),
            actor=_TAKER,
            command_id=uuid5(case_stream(hit.subject, 0), hit.hit),
            request_digest=digest(hit.hit),
        )

    def _taken_before(self, hit: IndicatorHit, command: Command, number: int) -> FraudCase | None:
        """The case before `number` that has the hit already.

        A case that was opened before the event that completed the hit is the earliest that can.
        """
        ledger = self._handling.ledger
        for earlier in range(number, 0, -1):
            stream = case_stream(hit.subject, earlier)
            case = ledger.load(stream, project_case)
            if case is None:
                continue
            if command.command_id in case.commands:
                return case
            if ledger.receipt(stream, 1).position < hit.position:
                return None
        return None

    # --- working --------------------------------------------------------------------------------

    def assign(self, case_id: UUID, person: str | None, caller: Caller) -> FraudCase:
        """Say who works on the case; None: nobody does.

        Raises:
            CaseNotFound, RoleNotAllowed, InvalidTransition, NothingToChange, CommandReused,
            VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> LedgerEvent | None:
            return assign_case(case, command, person=person)

        return self._change(case_id, "assign-case", {"person": person}, decide, caller)

    def note(self, case_id: UUID, note: str, caller: Caller) -> FraudCase:
        """Write down what was found out.

        Raises:
            CaseNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, CommandReused,
            VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> LedgerEvent | None:
            return note_on_case(case, command, note=note)

        return self._change(case_id, "note-case", {"note": note}, decide, caller)

    def request_information(self, case_id: UUID, note: str, caller: Caller) -> FraudCase:
        """Wait for what somebody was asked.

        Raises:
            CaseNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, CommandReused,
            VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> LedgerEvent | None:
            return request_case_information(case, command, note=note)

        return self._change(case_id, "request-case-information", {"note": note}, decide, caller)

    def receive_information(self, case_id: UUID, note: str, caller: Caller) -> FraudCase:
        """What was asked for has come.

        Raises:
            CaseNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, CommandReused,
            VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> LedgerEvent | None:
            return receive_case_information(case, command, note=note)

        return self._change(case_id, "receive-case-information", {"note": note}, decide, caller)

    # --- holds ----------------------------------------------------------------------------------

    def place_hold(
        self, case_id: UUID, player_id: UUID, hold: HoldKind, note: str, caller: Caller
    ) -> FraudCase:
        """Stop a player's payouts because of the case; the player is held in the same append.

        Raises:
            CaseNotFound, PlayerNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing,
            NothingToChange, CommandReused, VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> Sequence[LedgerEvent] | None:
            player = self._player(player_id)
            return place_case_hold(case, command, player=player, kind=hold, note=note)

        request = {"player_id": player_id, "hold": hold, "note": note}
        return self._change(case_id, "place-case-hold", request, decide, caller)

    def lift_hold(
        self, case_id: UUID, player_id: UUID, hold: HoldKind, note: str, caller: Caller
    ) -> FraudCase:
        """Lift a hold that was placed from the case, in the same append as the player's.

        Raises:
            CaseNotFound, PlayerNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing,
            NothingToChange, HoldNotYours, CommandReused, VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> Sequence[LedgerEvent] | None:
            player = self._player(player_id)
            return lift_case_hold(case, command, player=player, kind=hold, note=note)

        request = {"player_id": player_id, "hold": hold, "note": note}
        return self._change(case_id, "lift-case-hold", request, decide, caller)

    # --- closing --------------------------------------------------------------------------------

    def close(
        self, case_id: UUID, decision: CaseDecision, reason: str, caller: Caller
    ) -> FraudCase:
        """Say what the hits turned out to be: closes the case, or proposes to, see `close_case`.

        Raises:
            CaseNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, SelfApproval,
            NothingToChange, HoldNotYours, CommandReused, VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> Sequence[LedgerEvent] | None:
            players = self._held(case)
            return close_case(case, command, decision=decision, reason=reason, players=players)

        request = {"decision": decision, "reason": reason}
        return self._change(case_id, "close-case", request, decide, caller)

    def agree(self, case_id: UUID, proposal: UUID, note: str, caller: Caller) -> FraudCase:
        """Close the case as another person proposed, see `agree_to_closing`.

        Raises:
            CaseNotFound, RoleNotAllowed, InvalidTransition, ProposalChanged, SelfApproval,
            HoldNotYours, CommandReused, VersionChanged.
        """

        def decide(case: FraudCase, command: Command) -> Sequence[LedgerEvent] | None:
            players = self._held(case)
            return agree_to_closing(case, command, proposal=proposal, note=note, players=players)

        request = {"proposal": proposal, "note": note}
        return self._change(case_id, "agree-to-closing", request, decide, caller)

    # --- shared ---------------------------------------------------------------------------------

    def _held(self, case: FraudCase) -> Mapping[UUID, Player]:
        """Those on hold because of the case."""
        return {player_id: self._player(player_id) for player_id, _ in case.holds}

    def _player(self, player_id: UUID) -> Player:
        """The player as they are now: what is decided about their holds rests on it."""
        player = self._handling.ledger.load(player_id, project_player)
        if player is None:
            raise PlayerNotFound(player_id)
        return player

    def _change(
        self,
        case_id: UUID,
        operation: str,
        request: Mapping[str, object],
        decide: Decide,
        caller: Caller,
    ) -> FraudCase:
        command = self._handling.command(caller, operation, {"id": case_id, **request})

        def decide_about_it(case: FraudCase | None) -> LedgerEvent | Sequence[LedgerEvent] | None:
            if case is None:
                raise CaseNotFound(case_id)
            return decide(case, command)

        return change_stream(
            self._handling,
            case_id,
            project_case,
            command,
            decide_about_it,
            expected_version=caller.expected_version,
        )
