"""Fraud case: state · evolve. What indicators found about one subject, and what people make of it.

Decisions are in `case_decisions.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.command import remember
from domain.events import (
    FraudCaseAssigned,
    FraudCaseClosed,
    FraudCaseClosureProposed,
    FraudCaseEvent,
    FraudCaseHitAdded,
    FraudCaseHoldLifted,
    FraudCaseHoldPlaced,
    FraudCaseInformationReceived,
    FraudCaseInformationRequested,
    FraudCaseNoted,
    FraudCaseOpened,
    IndicatorHit,
    Strength,
)
from domain.fraud.assessment import RANK, Severity
from domain.fraud.indicators.declaring import Subject
from domain.fraud.strength import Covered, covering
from domain.player.player import HoldKind
from domain.replacing import replace

HITS_KEPT_MAX: Final = 200
"""Hits of a case that are kept whole; later ones only count."""

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:tallystick:fraud-case")
_OF_ONE_PLAYER: Final = (Subject.PLAYER, Subject.HOLDING)


class CaseStatus(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    WAITING = "waiting"
    """Somebody has been asked for something that has not come yet."""
    CLOSED = "closed"


class CaseDecision(StrEnum):
    """What the hits of a case turned out to be."""

    CONFIRMED = "confirmed"
    FALSE_POSITIVE = "false_positive"
    INCONCLUSIVE = "inconclusive"


class NoteKind(StrEnum):
    """On which occasion something was written down."""

    NOTE = "note"
    INFORMATION_REQUESTED = "information_requested"
    INFORMATION_RECEIVED = "information_received"
    HOLD_PLACED = "hold_placed"
    HOLD_LIFTED = "hold_lifted"
    CLOSURE_PROPOSED = "closure_proposed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNote:
    """What somebody wrote down, when, and on which occasion."""

    at: datetime
    person: str
    kind: NoteKind
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosureProposal:
    """How one person would close the case; another has to agree to this very proposal."""

    id: UUID
    at: datetime
    person: str
    decision: CaseDecision
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudCase:
    """Hits of one subject that people look into together."""

    id: UUID
    version: int
    subject: str
    """`player:<id>`, `instrument:<fingerprint>`, `device:<token>`, …"""
    number: int
    """How many cases of this subject there have been, this one included."""
    status: CaseStatus
    severity: Severity
    """The worst of its hits'."""
    hits: tuple[IndicatorHit, ...]
    """The first ones, `HITS_KEPT_MAX` at most, as they came."""
    hits_count: int
    """Of all of them."""
    indicators: tuple[str, ...]
    """Those that hit, each once, as they came."""
    covered: Covered
    """How strong its hits are, all of them."""
    stops_payouts: bool
    """Whether payouts stop for one of its hits."""
    player_ids: tuple[UUID, ...]
    """Whom it is about, as far as the hits name them, each once; first whom the subject names."""
    opened_at: datetime
    updated_at: datetime
    assigned_to: str | None = None
    notes: tuple[CaseNote, ...] = ()
    asked: bool = False
    """Whether somebody was asked for something that has not come."""
    holds: tuple[tuple[UUID, HoldKind], ...] = ()
    """Of players, placed from this case and not lifted from it."""
    placed_hold: bool = False
    """Whether a hold was ever placed from it."""
    proposal: ClosureProposal | None = None
    decision: CaseDecision | None = None
    reason: str | None = None
    """Of the decision."""
    closed_by: str | None = None
    closure_proposed_by: str | None = None
    """The other person, where it took two."""
    closed_at: datetime | None = None
    commands: Mapping[UUID, str]

    def takes_two(self, decision: CaseDecision) -> bool:
        """Whether two people have to agree to close it with `decision`.

        What is high takes two however it ends; what is not, if money goes then. A hold that has
        been lifted counts: else whoever lifts it first could close alone.
        """
        lets_go = decision is not CaseDecision.CONFIRMED
        return self.severity.opens_case or (lets_go and (self.placed_hold or self.stops_payouts))


def case_stream(subject: str, number: int) -> UUID:
    """The stream of a subject's first, second, … case."""
    return uuid5(_NAMESPACE, f"{subject}\n{number}")


# --- evolve -------------------------------------------------------------------------------------


def evolve_case(state: FraudCase | None, event: FraudCaseEvent) -> FraudCase:
    """The case after `event`."""
    if isinstance(event, FraudCaseOpened):
        return _opened(event)
    if state is None:
        raise ValueError(f"a case's history cannot begin with {type(event).__name__}")
    return replace(
        _changed(state, event),
        version=event.originator_version,
        updated_at=event.occurred_at,
        commands=remember(state.commands, event),
    )


def fold_case(state: FraudCase | None, events: Iterable[FraudCaseEvent]) -> FraudCase | None:
    """The case after `events`, in order."""
    for event in events:
        state = evolve_case(state, event)
    return state


def _opened(event: FraudCaseOpened) -> FraudCase:
    hit = event.hit
    return FraudCase(
        id=event.originator_id,
        version=event.originator_version,
        subject=event.subject,
        number=event.number,
        status=CaseStatus.OPEN,
        severity=Severity(hit.severity),
        hits=(hit,),
        hits_count=1,
        indicators=(hit.indicator,),
        covered=(strength_of(hit, event.amount_minor, event.cause),),
        stops_payouts=hit.holds,
        player_ids=_once(players_of(hit)),
        opened_at=event.occurred_at,
        updated_at=event.occurred_at,
        commands={event.command_id: event.request_digest},
    )


def _changed(state: FraudCase, event: FraudCaseEvent) -> FraudCase:
    match event:
        case FraudCaseOpened():
            raise ValueError("a case is opened once")
        case FraudCaseHitAdded():
            return _with_hit(state, event)
        case FraudCaseAssigned(person=person):
            return replace(state, assigned_to=person or None)
        case FraudCaseNoted():
            return _noted(state, event, NoteKind.NOTE)
        case FraudCaseInformationRequested():
            asked = replace(state, status=CaseStatus.WAITING, asked=True, proposal=None)
            return _noted(asked, event, NoteKind.INFORMATION_REQUESTED)
        case FraudCaseInformationReceived():
            answered = replace(state, status=CaseStatus.OPEN, asked=False, proposal=None)
            return _noted(answered, event, NoteKind.INFORMATION_RECEIVED)
        case FraudCaseHoldPlaced():
            hold = (event.player_id, HoldKind(event.hold))
            holds = tuple(dict.fromkeys((*state.holds, hold)))
            placed = replace(state, holds=holds, placed_hold=True, proposal=None)
            return _noted(placed, event, NoteKind.HOLD_PLACED)
        case FraudCaseHoldLifted():
            hold = (event.player_id, HoldKind(event.hold))
            left = tuple(one for one in state.holds if one != hold)
            lifted = replace(state, holds=left, proposal=None)
            return _noted(lifted, event, NoteKind.HOLD_LIFTED)
        case FraudCaseClosureProposed():
            return _closure_proposed(state, event)
        case FraudCaseClosed():
            return _closed(state, event)
        case _:
            assert_never(event)


def _with_hit(state: FraudCase, event: FraudCaseHitAdded) -> FraudCase:
    """What was proposed before the hit was proposed without knowing of it, so it does not stand."""
    hit = event.hit
    hits = (*state.hits, hit) if len(state.hits) < HITS_KEPT_MAX else state.hits
    return replace(
        state,
        severity=max(state.severity, Severity(hit.severity), key=RANK.__getitem__),
        hits=hits,
        hits_count=state.hits_count + 1,
        indicators=tuple(dict.fromkeys((*state.indicators, hit.indicator))),
        covered=covering(state.covered, (strength_of(hit, event.amount_minor, event.cause),)),
        stops_payouts=state.stops_payouts or hit.holds,
        player_ids=_once((*state.player_ids, *players_of(hit))),
        proposal=None,
    )


def _closure_proposed(state: FraudCase, event: FraudCaseClosureProposed) -> FraudCase:
    proposal = ClosureProposal(
        id=event.command_id,
        at=event.occurred_at,
        person=event.person,
        decision=CaseDecision(event.decision),
        reason=event.reason,
    )
    proposed = replace(state, proposal=proposal)
    return _written(
        proposed, event.occurred_at, event.person, NoteKind.CLOSURE_PROPOSED, event.reason
    )


def _closed(state: FraudCase, event: FraudCaseClosed) -> FraudCase:
    closed = replace(
        state,
        status=CaseStatus.CLOSED,
        asked=False,
        proposal=None,
        decision=CaseDecision(event.decision),
        reason=event.reason,
        closed_by=event.person,
        closure_proposed_by=event.proposed_by,
        closed_at=event.occurred_at,
    )
    return _written(closed, event.occurred_at, event.person, NoteKind.CLOSED, event.reason)


def _noted(
    state: FraudCase,
    event: FraudCaseNoted
    | FraudCaseInformationRequested
    | FraudCaseInformationReceived
    | FraudCaseHoldPlaced
    | FraudCaseHoldLifted,
    kind: NoteKind,
) -> FraudCase:
    return _written(state, event.occurred_at, event.person, kind, event.note)


def _written(state: FraudCase, at: datetime, person: str, kind: NoteKind, note: str) -> FraudCase:
    written = CaseNote(at=at, person=person, kind=kind, note=note)
    return replace(state, notes=(*state.notes, written))


def strength_of(hit: IndicatorHit, amount_minor: int, cause: str) -> Strength:
    """How much a hit of a case says."""
    return Strength(
        indicator=hit.indicator,
        severity=hit.severity,
        unit=hit.unit,
        value=hit.value,
        amount_minor=amount_minor,
        cause=cause,
    )


def players_of(hit: IndicatorHit) -> tuple[UUID, ...]:
    """Whom the subject names, and whose doing completed the hit."""
    kind, _, rest = hit.subject.partition(":")
    named = (UUID(rest.partition(":")[0]),) if kind in _OF_ONE_PLAYER else ()
    return named if hit.player_id is None else (*named, hit.player_id)


def _once(players: Iterable[UUID]) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(players))
