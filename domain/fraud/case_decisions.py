"""Fraud case: decisions. Taking up hits, working on a case, closing it.

Holds are placed and lifted from a case together with the player's own events, by the rules of
`player/holds.py`, so that a case never says otherwise than the player does. Closing a case as
anything but confirmed lets money go: the holds that were placed from it and still stand are lifted
in the same append. Closing it as confirmed leaves its holds on the players; who may lift holds of
their kind does so there. What is high is closed by two people, and so is what lets money go: one
proposes, another agrees to that very proposal.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from domain.command import Command, repeated
from domain.errors import (
    EvidenceMissing,
    InvalidTransition,
    NothingToChange,
    ProposalChanged,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    FraudCaseAssigned,
    FraudCaseClosed,
    FraudCaseClosureProposed,
    FraudCaseHitAdded,
    FraudCaseHoldLifted,
    FraudCaseHoldPlaced,
    FraudCaseInformationReceived,
    FraudCaseInformationRequested,
    FraudCaseNoted,
    FraudCaseOpened,
    HoldLifted,
    HoldPlaced,
    IndicatorHit,
)
from domain.fraud.case import CaseDecision, CaseStatus, FraudCase, case_stream
from domain.player.holds import lift_hold, place_hold
from domain.player.player import HoldKind, Player, evolve_player
from domain.replacing import replace

ANALYSTS: Final = ("fraud", "compliance")
"""Whose people work on cases."""

# --- taking up ----------------------------------------------------------------------------------


def take_up_hit(
    state: FraudCase | None,
    command: Command,
    *,
    number: int,
    hit: IndicatorHit,
    amount_minor: int = 0,
    cause: str = "",
) -> FraudCaseOpened | FraudCaseHitAdded | None:
    """Open the subject's case of that number with a hit, or add it to the open one; None if the
    case has taken it up already, by whichever command.

    Raises:
        InvalidTransition: the case is closed; the next number is for this hit.
    """
    if state is None:
        return FraudCaseOpened(
            **command.header(case_stream(hit.subject, number), 1),
            request_digest=command.request_digest,
            subject=hit.subject,
            number=number,
            hit=hit,
            amount_minor=amount_minor,
            cause=cause,
        )
    if repeated(state.commands, command) or any(known.hit == hit.hit for known in state.hits):
        return None
    _require_open(state, "joined by another hit")
    return FraudCaseHitAdded(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        hit=hit,
        amount_minor=amount_minor,
        cause=cause,
    )


# --- working ------------------------------------------------------------------------------------


def assign_case(
    state: FraudCase, command: Command, *, person: str | None
) -> FraudCaseAssigned | None:
    """Say who works on it, None: nobody does; None if this command did so already.

    Raises:
        RoleNotAllowed, InvalidTransition: see `_require_working`.
        NothingToChange: it is assigned so.
    """
    if repeated(state.commands, command):
        return None
    _require_working(state, command, "assigned")
    if (person or None) == state.assigned_to:
        raise NothingToChange
    return FraudCaseAssigned(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=person or "",
    )


def note_on_case(state: FraudCase, command: Command, *, note: str) -> FraudCaseNoted | None:
    """Write down what was found out; None if this command did so already.

    Raises:
        RoleNotAllowed, InvalidTransition: see `_require_working`.
        EvidenceMissing: the note is empty.
    """
    if repeated(state.commands, command):
        return None
    _require_working(state, command, "commented on")
    _require_note(note)
    return _note(state, command, note)


def _note(state: FraudCase, command: Command, note: str) -> FraudCaseNoted:
    return FraudCaseNoted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        note=note,
    )


def request_case_information(
    state: FraudCase, command: Command, *, note: str
) -> FraudCaseInformationRequested | None:
    """Wait for what somebody was asked; None if this command did so already.

    Raises:
        RoleNotAllowed, InvalidTransition: see `_require_working`; also while it waits already.
        EvidenceMissing: the note is empty.
    """
    if repeated(state.commands, command):
        return None
    _require_working(state, command, "asked about")
    if state.status is CaseStatus.WAITING:
        raise InvalidTransition(state.status, "asked about", "case")
    _require_note(note)
    return FraudCaseInformationRequested(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        note=note,
    )


def receive_case_information(
    state: FraudCase, command: Command, *, note: str
) -> FraudCaseInformationReceived | None:
    """What was asked for has come; None if this command did so already.

    Raises:
        RoleNotAllowed: see `_require_working`.
        InvalidTransition: nothing was asked.
        EvidenceMissing: the note is empty.
    """
    if repeated(state.commands, command):
        return None
    _require_working(state, command, "answered")
    if state.status is not CaseStatus.WAITING:
        raise InvalidTransition(state.status, "answered", "case")
    _require_note(note)
    return FraudCaseInformationReceived(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        note=note,
    )


# --- holds --------------------------------------------------------------------------------------


def place_case_hold(
    state: FraudCase, command: Command, *, player: Player, kind: HoldKind, note: str
) -> tuple[FraudCaseHoldPlaced, HoldPlaced] | None:
    """Put a player on hold because of the case; None if this command did so already.

    The case's event and the player's, which does not repeat the note: more people see players than
    cases. The system's jobs may do this too.

    Raises:
        RoleNotAllowed, InvalidTransition: see `_require_working`; also: not a hold of this kind.
        EvidenceMissing: the note is empty.
        NothingToChange: the player has such a hold, whoever placed it. One that is not the case's
            own and stops less is not made to stop more here: it would end with the case.
    """
    if repeated(state.commands, command):
        return None
    if command.role or not command.actor.startswith("system:"):
        _require_analyst(command)
    _require_open(state, "given a hold")
    _require_note(note)
    placed = place_hold(player, command, kind=kind, reason=_reason(state))
    of_others = kind in player.holds and (player.id, kind) not in state.holds
    if placed is None or of_others:
        raise NothingToChange
    told = FraudCaseHoldPlaced(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        player_id=player.id,
        hold=kind,
        note=note,
    )
    return told, placed


def lift_case_hold(
    state: FraudCase, command: Command, *, player: Player, kind: HoldKind, note: str
) -> tuple[FraudCaseHoldLifted | HoldLifted, ...] | None:
    """Lift a hold that was placed from the case; None if this command did so already.

    The case's event and the player's; only the case's where the player's hold is gone already.

    Raises:
        RoleNotAllowed, InvalidTransition: see `_require_working`.
        EvidenceMissing: the note is empty.
        NothingToChange: the case has no such hold.
        HoldNotYours: it is for another role to lift.
    """
    if repeated(state.commands, command):
        return None
    _require_working(state, command, "relieved of a hold")
    _require_note(note)
    if (player.id, kind) not in state.holds:
        raise NothingToChange
    told = _hold_lifted(state, command, (player.id, kind), note, ahead=1)
    lifted = _lifted(state, command, player, kind)
    return (told,) if lifted is None else (told, lifted)


def _lifted(
    state: FraudCase, command: Command, player: Player, kind: HoldKind
) -> HoldLifted | None:
    """The player's event; None where the hold is gone already."""
    try:
        return lift_hold(player, command, kind=kind, reason=_reason(state))
    except NothingToChange:
        return None


def _hold_lifted(
    state: FraudCase, command: Command, hold: tuple[UUID, HoldKind], note: str, *, ahead: int
) -> FraudCaseHoldLifted:
    return FraudCaseHoldLifted(
        **command.header(state.id, state.version + ahead),
        request_digest=command.request_digest,
        person=command.person,
        player_id=hold[0],
        hold=hold[1],
        note=note,
    )


def _reason(state: FraudCase) -> str:
    return f"Fraud case {state.id}"


# --- closing ------------------------------------------------------------------------------------


_Closing = FraudCaseNoted | FraudCaseClosed | FraudCaseHoldLifted | HoldLifted


def close_case(
    state: FraudCase,
    command: Command,
    *,
    decision: CaseDecision,
    reason: str,
    players: Mapping[UUID, Player],
) -> tuple[FraudCaseClosureProposed | _Closing, ...] | None:
    """Say what the hits turned out to be; None if this command did so already.

    The case is closed, or, where that takes two people, this is proposed, in place of whatever else
    was. Whatever changes what the case says (a hit, a hold, an answer) voids a proposal. Unless the
    decision is confirmed, the holds placed from the case end with it; `players` are those who have
    them.

    Raises:
        RoleNotAllowed, InvalidTransition: see `_require_working`.
        EvidenceMissing: there is no reason.
        SelfApproval: the person proposed this themselves.
        NothingToChange: another person proposed this decision; that is to be agreed to.
        HoldNotYours: a hold ends with the case that is for another role to lift.
    """
    if repeated(state.commands, command):
        return None
    _require_working(state, command, "closed")
    if not reason.strip():
        raise EvidenceMissing("A case is closed with a reason that says what it stands on.")
    if state.takes_two(decision):
        return (_proposed(state, command, decision, reason),)
    return _closed(state, command, decision, reason, players)


def agree_to_closing(
    state: FraudCase,
    command: Command,
    *,
    proposal: UUID,
    note: str,
    players: Mapping[UUID, Player],
) -> tuple[_Closing, ...] | None:
    """Close the case as another person proposed; None if this command did so already.

    `proposal` is what was looked at, and `note` what there is to add to it, if anything.

    Raises:
        RoleNotAllowed, InvalidTransition: see `_require_working`.
        ProposalChanged: it is not what is proposed now.
        SelfApproval: the person proposed it themselves.
        HoldNotYours: a hold ends with the case that is for another role to lift.
    """
    if repeated(state.commands, command):
        return None
    _require_working(state, command, "closed")
    standing = state.proposal
    if standing is None or standing.id != proposal:
        now = f"{standing.id} is, by {standing.person}" if standing else "nothing is"
        raise ProposalChanged(
            f"The proposal {proposal} does not stand any more: it was replaced, or a hit, a hold or"
            f" an answer came after it. Now {now} proposed. Look at the case again."
        )
    if standing.person == command.person:
        raise SelfApproval("Another person than the one who proposed this has to agree to it.")
    said: tuple[FraudCaseNoted, ...] = ()
    if note.strip():
        said = (_note(state, command, note),)
    return _closed(
        state, command, standing.decision, standing.reason, players, standing.person, said
    )


def _proposed(
    state: FraudCase, command: Command, decision: CaseDecision, reason: str
) -> FraudCaseClosureProposed:
    standing = state.proposal
    if standing is not None and standing.decision is decision:
        if standing.person != command.person:
            raise NothingToChange(
                f"{standing.person} has proposed this decision: agree to the proposal"
                f" {standing.id}, or propose another decision."
            )
        if standing.reason == reason:
            raise SelfApproval("Another person than the one who proposed this has to agree to it.")
    return FraudCaseClosureProposed(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        decision=decision,
        reason=reason,
    )


def _closed(
    state: FraudCase,
    command: Command,
    decision: CaseDecision,
    reason: str,
    players: Mapping[UUID, Player],
    proposed_by: str | None = None,
    said: tuple[FraudCaseNoted, ...] = (),
) -> tuple[_Closing, ...]:
    holds = () if decision is CaseDecision.CONFIRMED else state.holds
    told = [
        _hold_lifted(state, command, hold, reason, ahead=ahead)
        for ahead, hold in enumerate(holds, start=len(said) + 1)
    ]
    closed = FraudCaseClosed(
        **command.header(state.id, state.version + len(said) + len(told) + 1),
        request_digest=command.request_digest,
        person=command.person,
        decision=decision,
        reason=reason,
        proposed_by=proposed_by,
        subject=state.subject,
        indicators=state.indicators,
        opened_at=state.opened_at,
        covered=state.covered,
    )
    return (*said, *told, closed, *_all_lifted(state, command, holds, players))


def _all_lifted(
    state: FraudCase,
    command: Command,
    holds: tuple[tuple[UUID, HoldKind], ...],
    players: Mapping[UUID, Player],
) -> tuple[HoldLifted, ...]:
    """The players' events for the holds of the case that still stand."""
    lifted: list[HoldLifted] = []
    standing = dict(players)
    for player_id, kind in holds:
        player = standing[player_id]
        event = _lifted(state, command, player, kind)
        if event is not None:
            lifted.append(event)
            # The same command may lift another hold of this player's: it is no repetition.
            after = replace(evolve_player(player, event), commands=player.commands)
            standing[player_id] = after
    return tuple(lifted)


# --- who, and when ------------------------------------------------------------------------------


def _require_working(state: FraudCase, command: Command, done: str) -> None:
    """Raises:
    RoleNotAllowed: the person works neither for fraud nor for compliance.
    InvalidTransition: the case is closed.
    """
    _require_analyst(command)
    _require_open(state, done)


def _require_analyst(command: Command) -> None:
    if command.role not in ANALYSTS:
        raise RoleNotAllowed(f"Cases are worked on by {' and '.join(ANALYSTS)}.")


def _require_open(state: FraudCase, done: str) -> None:
    if state.status is CaseStatus.CLOSED:
        raise InvalidTransition(state.status, done, "case")


def _require_note(note: str) -> None:
    if not note.strip():
        raise EvidenceMissing("A note has to say something.")
