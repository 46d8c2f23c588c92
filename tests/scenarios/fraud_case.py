"""A fraud case with the players it is about, and what people do with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from domain.command import Command
from domain.errors import (
    DomainError,
)
from domain.events import (
    Event,
    FraudCaseOpened,
    IndicatorHit,
)
from domain.fraud.case import CaseDecision, FraudCase, evolve_case
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
from domain.player.player import HoldKind, Player, evolve_player
from tests.scenarios.scenario import NOW, PLAYER_ID, as_events, by, command, player

OTHER_PLAYER = UUID("00000000-0000-4000-8000-000000000003")
SUBJECT = f"player:{PLAYER_ID}"
CONFIRMED = CaseDecision.CONFIRMED
FALSE_POSITIVE = CaseDecision.FALSE_POSITIVE
INCONCLUSIVE = CaseDecision.INCONCLUSIVE
LETTING_GO = (FALSE_POSITIVE, INCONCLUSIVE)


def hit(
    indicator: str = "structuring",
    *,
    severity: str = "high",
    holds: bool = False,
    position: int = 7,
    value: int = 3,
    subject: str = SUBJECT,
    player_id: UUID | None = PLAYER_ID,
) -> IndicatorHit:
    return IndicatorHit(
        hit=f"{position:015d}/{indicator}/{subject}",
        position=position,
        hit_at=NOW,
        indicator=indicator,
        severity=severity,
        subject=subject,
        player_id=player_id,
        value=value,
        threshold=3,
        unit="count",
        sentence="3 deposits just below 2,000.00 EUR.",
        ruleset="default-1",
        holds=holds,
    )


def fraud(person: str = "ann") -> Command:
    return by(person, role="fraud")


def compliance(person: str = "cleo") -> Command:
    return by(person, role="compliance")


@dataclass(frozen=True)
class Scene:
    """A case, the players, and what has been recorded about them."""

    case: FraudCase
    players: Mapping[UUID, Player]
    last: tuple[Event, ...] = ()

    def when(self, decide: "Deed", who: Command) -> "Scene":
        """Let `who` do it, and record what comes of it."""
        events = as_events(decide(self, who))
        case, players = self.case, dict(self.players)
        for event in events:
            if event.originator_id == case.id:
                assert event.originator_version == case.version + 1
                case = evolve_case(case, event)
            else:
                held = players[event.originator_id]
                assert event.originator_version == held.version + 1
                players[held.id] = evolve_player(held, event)
        return Scene(case, players, events)

    def then(self, *kinds: type[Event]) -> "Scene":
        """Exactly these events were recorded last."""
        assert tuple(type(event) for event in self.last) == kinds
        return self


Deed = Callable[[Scene, Command], Event | Sequence[Event] | None]


def opened(*hits: IndicatorHit) -> Scene:
    """A case that took up these hits."""
    first, *others = hits or (hit(),)
    event = take_up_hit(None, command("system:fraud"), number=1, hit=first)
    assert isinstance(event, FraudCaseOpened)
    people = {one: player(player_id=one) for one in (PLAYER_ID, OTHER_PLAYER)}
    scene = Scene(evolve_case(None, event), people, (event,))
    for other in others:
        scene = scene.when(joining(other), command("system:fraud"))
    return scene


def joining(another: IndicatorHit, amount_minor: int = 0) -> Deed:
    return lambda scene, who: take_up_hit(
        scene.case, who, number=1, hit=another, amount_minor=amount_minor
    )


def assigning(person: str | None) -> Deed:
    return lambda scene, who: assign_case(scene.case, who, person=person)


def noting(note: str = "called the player") -> Deed:
    return lambda scene, who: note_on_case(scene.case, who, note=note)


def asking(note: str = "asked for a statement") -> Deed:
    return lambda scene, who: request_case_information(scene.case, who, note=note)


def answering(note: str = "the statement came") -> Deed:
    return lambda scene, who: receive_case_information(scene.case, who, note=note)


def holding(
    kind: HoldKind = HoldKind.FRAUD, *, player_id: UUID = PLAYER_ID, note: str = "looks bad"
) -> Deed:
    return lambda scene, who: place_case_hold(
        scene.case, who, player=scene.players[player_id], kind=kind, note=note
    )


def lifting(
    kind: HoldKind = HoldKind.FRAUD, *, player_id: UUID = PLAYER_ID, note: str = "it is fine"
) -> Deed:
    return lambda scene, who: lift_case_hold(
        scene.case, who, player=scene.players[player_id], kind=kind, note=note
    )


def closing(decision: CaseDecision = CONFIRMED, reason: str = "saw the statement") -> Deed:
    return lambda scene, who: close_case(
        scene.case, who, decision=decision, reason=reason, players=scene.players
    )


def agreeing(proposal: UUID | None = None, note: str = "") -> Deed:
    """To what is proposed now, unless another proposal is named."""

    def agree(scene: Scene, who: Command) -> Sequence[Event] | None:
        standing = scene.case.proposal
        named = proposal or (standing.id if standing else UUID(int=0))
        return agree_to_closing(scene.case, who, proposal=named, note=note, players=scene.players)

    return agree


def closed_by_two(scene: Scene, decision: CaseDecision = CONFIRMED) -> Scene:
    return scene.when(closing(decision), fraud("ann")).when(agreeing(), fraud("ben"))


def refused(scene: Scene, deed: Deed, who: Command) -> DomainError:
    with pytest.raises(DomainError) as caught:
        deed(scene, who)
    return caught.value
