"""Rule sets, cases and reports by their commands, on a real ledger, also by two at once."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from threading import Barrier
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from domain.errors import (
    CommandReused,
    EvidenceMissing,
    HoldNotYours,
    InvalidRuleSet,
    InvalidTransition,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    FraudCaseClosed,
    FraudCaseClosureProposed,
    FraudCaseHitAdded,
    FraudCaseOpened,
    HoldPlaced,
    IndicatorHit,
    LedgerEvent,
    Rate,
    ReportedTransaction,
)
from domain.fraud.case import CaseDecision, CaseStatus, FraudCase, case_stream
from domain.fraud.report import ReportStatus
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS, NO_RULESETS, RuleSetStatus
from domain.money import Money
from domain.player.player import HoldKind, Verification
from ledger.commands.errors import (
    CaseNotFound,
    PlayerNotFound,
    ReportNotFound,
    RuleSetNotFound,
    VersionChanged,
)
from ledger.commands.fraud_case import FraudCaseCommands
from ledger.commands.fraud_report import FraudReportCommands
from ledger.commands.handling import Caller, Handling
from ledger.commands.player import PlayerCommands
from ledger.commands.rates import RateCommands
from ledger.commands.ruleset import RuleSetCommands
from ledger.eventstore.ledger import Ledger
from ledger.settings import Settings
from tests.oracles.ledger_checks import ledger_on

T = TypeVar("T")

ROLES = {
    "ann": "fraud",
    "ben": "fraud",
    "cal": "fraud",
    "cleo": "compliance",
    "dora": "compliance",
    "sam": "support",
}
STRICTER = replace(DEFAULT_TERMS, hold_from=60)
STRICTEST = replace(DEFAULT_TERMS, hold_from=50)
FALSE_POSITIVE, CONFIRMED = CaseDecision.FALSE_POSITIVE, CaseDecision.CONFIRMED
DIGEST = "0123456789abcdef" * 4


def caller(person: str, key: str | None = None, *, version: int | None = None) -> Caller:
    return Caller(
        actor=f"operator:{person}",
        idempotency_key=key or uuid4().hex,
        role=ROLES[person],
        expected_version=version,
    )


class Clock:
    """A clock that moves by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


class Desk:
    """The commands on one ledger, as one process has them."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        handling = Handling(ledger, clock, _no_balances)
        self.ledger = ledger
        self.rulesets = RuleSetCommands(handling)
        self.cases = FraudCaseCommands(handling)
        self.reports = FraudReportCommands(handling)
        self.players = PlayerCommands(handling)
        self.rates = RateCommands(handling)

    def player(self) -> UUID:
        """A new one."""
        player_id = uuid4()
        self.players.register(
            player_id,
            verification=Verification.FULL,
            jurisdiction=None,
            time_zone="UTC",
            caller=Caller(actor="system:test", idempotency_key=uuid4().hex),
        )
        return player_id

    def story(self, stream: UUID) -> list[type[LedgerEvent]]:
        return [type(event) for event in self.ledger.history(stream)]


def _no_balances(accounts: object, position: int) -> Mapping[str, int]:
    return {}


@pytest.fixture(scope="module")
def desks(module_database: Settings) -> Iterator[tuple[Desk, Desk]]:
    """Of two processes."""
    clock = Clock()
    with ledger_on(module_database) as one, ledger_on(module_database) as other:
        yield Desk(one, clock), Desk(other, clock)


@pytest.fixture
def desk(desks: tuple[Desk, Desk]) -> Desk:
    return desks[0]


@pytest.fixture
def ruled(database: Settings) -> Iterator[Desk]:
    """A desk of its own: there is one stream of rule sets only, and one of rates."""
    with ledger_on(database) as ledger:
        yield Desk(ledger, Clock())


def hit(
    subject: str, *, position: int = 1, indicator: str = "structuring", holds: bool = False
) -> IndicatorHit:
    named = UUID(subject.partition(":")[2]) if subject.startswith("player:") else None
    return IndicatorHit(
        hit=f"{position:015d}/{indicator}/{subject}",
        position=position,
        hit_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        indicator=indicator,
        severity="high",
        subject=subject,
        player_id=named,
        value=3,
        threshold=3,
        unit="count",
        sentence="3 deposits just below 2,000.00 EUR.",
        ruleset=DEFAULT_NAME,
        holds=holds,
    )


def a_case(desk: Desk, *, holds: bool = False) -> tuple[FraudCase, UUID]:
    """A new case about a new player."""
    player_id = desk.player()
    return desk.cases.take_up(hit(f"player:{player_id}", holds=holds), after_number=0), player_id


def taking_up(desk: Desk, taken: IndicatorHit) -> Callable[[], FraudCase]:
    return lambda: desk.cases.take_up(taken, after_number=0)


def at_once(*deeds: Callable[[], T]) -> list[T | Exception]:
    """What comes of each, when all of them begin at the same time."""
    barrier = Barrier(len(deeds))

    def do(deed: Callable[[], T]) -> T | Exception:
        barrier.wait()
        try:
            return deed()
        except Exception as error:  # noqa: BLE001 - the tests look at it
            return error

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


# --- rule sets ----------------------------------------------------------------------------------


def test_rule_sets_are_drafted_published_and_discarded(ruled: Desk) -> None:
    rulesets = ruled.rulesets
    assert rulesets.get() == NO_RULESETS
    draft = rulesets.draft(STRICTER, "too many got through", caller("ann"))
    other = rulesets.draft(STRICTEST, "far too many", caller("ben"))
    assert [one.name for one in (draft, other)] == ["rules-1", "rules-2"]
    published = rulesets.publish(draft.id, "agreed", caller("cleo"))
    assert (published.id, published.status) == (draft.id, RuleSetStatus.PUBLISHED)
    with pytest.raises(InvalidTransition):
        rulesets.publish(other.id, "agreed", caller("cleo"))
    assert rulesets.discard(other.id, "outdated", caller("ben")).status is RuleSetStatus.DISCARDED
    state = rulesets.get()
    assert (state.live_name, state.live_terms, state.live_id) == ("rules-1", STRICTER, draft.id)


def test_rule_sets_are_refused_for_what_is_wrong_with_them(ruled: Desk) -> None:
    rulesets = ruled.rulesets
    with pytest.raises(RuleSetNotFound):
        rulesets.publish(uuid4(), "n", caller("cleo"))
    with pytest.raises(InvalidRuleSet):
        rulesets.draft(replace(STRICTER, rates=()), "n", caller("ann"))
    with pytest.raises(NothingToChange):
        rulesets.draft(DEFAULT_TERMS, "n", caller("ann"))
    with pytest.raises(RoleNotAllowed):
        rulesets.draft(STRICTER, "n", caller("sam"))
    assert rulesets.get() == NO_RULESETS
    draft = rulesets.draft(STRICTER, "n", caller("cleo"))
    with pytest.raises(SelfApproval):
        rulesets.publish(draft.id, "n", caller("cleo"))
    with pytest.raises(EvidenceMissing):
        rulesets.publish(draft.id, " ", caller("dora"))
    with pytest.raises(RuleSetNotFound):
        rulesets.discard(uuid4(), "n", caller("cleo"))
    with pytest.raises(VersionChanged):
        rulesets.publish(draft.id, "n", caller("dora", version=7))


def test_a_rule_set_that_is_drafted_or_published_again_is_as_it_was_left(ruled: Desk) -> None:
    rulesets = ruled.rulesets
    drafting, publishing = caller("ann", "k1"), caller("cleo", "k2")
    draft = rulesets.draft(STRICTER, "n", drafting)
    published = rulesets.publish(draft.id, "n", publishing)
    assert rulesets.draft(STRICTER, "n", drafting) == draft
    assert rulesets.publish(draft.id, "n", publishing) == published
    assert rulesets.get().version == 2
    with pytest.raises(CommandReused):
        rulesets.draft(STRICTEST, "n", drafting)


def test_of_two_drafts_published_at_once_one_is_superseded(ruled: Desk) -> None:
    rulesets = ruled.rulesets
    drafts = [rulesets.draft(terms, "n", caller("ann")) for terms in (STRICTER, STRICTEST)]
    outcomes = at_once(
        *(lambda one=one: rulesets.publish(one.id, "n", caller("cleo")) for one in drafts)
    )
    assert [type(one) for one in outcomes].count(InvalidTransition) == 1
    assert rulesets.get().version == 3


# --- taking up ----------------------------------------------------------------------------------


def test_a_hit_taken_up_by_two_workers_at_once_is_in_one_case_once(
    desks: tuple[Desk, Desk],
) -> None:
    for _ in range(10):
        subject = f"player:{uuid4()}"
        cases = at_once(*(taking_up(one, hit(subject)) for one in desks))
        assert [case.hits_count for case in cases if isinstance(case, FraudCase)] == [1, 1]
        assert desks[0].story(case_stream(subject, 1)) == [FraudCaseOpened]
        assert desks[0].story(case_stream(subject, 2)) == []


def test_two_hits_taken_up_at_once_are_in_one_case(desks: tuple[Desk, Desk]) -> None:
    for _ in range(10):
        subject = f"player:{uuid4()}"
        at_once(
            *(
                taking_up(one, hit(subject, indicator=f"i{n % 2}"))
                for n, one in enumerate((*desks, *desks))
            )
        )
        case = desks[0].cases.get(case_stream(subject, 1))
        assert desks[0].story(case.id) == [FraudCaseOpened, FraudCaseHitAdded]
        assert {one.indicator for one in case.hits} == {"i0", "i1"}


def test_a_hit_after_the_case_was_closed_opens_the_next(desk: Desk) -> None:
    case, player_id = a_case(desk)
    closed(desk, case.id)
    later = hit(f"player:{player_id}", position=10**9)
    for after_number in (0, 1, 2):
        second = desk.cases.take_up(later, after_number=after_number)
        assert (second.number, second.hits) == (2, (later,))
    assert desk.story(second.id) == [FraudCaseOpened]


@pytest.mark.parametrize("after_number", [0, 1, 2, 3])
def test_a_hit_of_a_closed_case_is_not_taken_up_again(desk: Desk, after_number: int) -> None:
    """Whoever does so late may know of later cases by now."""
    case, player_id = a_case(desk)
    subject = f"player:{player_id}"
    closed(desk, case.id)
    for number in (2, 3):
        later = desk.cases.take_up(hit(subject, position=10**9 + number), after_number=number - 1)
        if number == 2:
            closed(desk, later.id)
    again = desk.cases.take_up(hit(subject), after_number=after_number)
    assert again.id == case.id
    assert desk.cases.get(case_stream(subject, 3)).hits_count == 1


def test_a_case_that_nobody_told_of_yet_is_found(desk: Desk) -> None:
    case, player_id = a_case(desk)
    other = hit(f"player:{player_id}", indicator="velocity", position=2)
    assert desk.cases.take_up(other, after_number=0).id == case.id


# --- working ------------------------------------------------------------------------------------


def test_a_case_is_worked_on(desk: Desk) -> None:
    case, _ = a_case(desk)
    cases = desk.cases
    assert cases.assign(case.id, "ben", caller("ann")).assigned_to == "ben"
    assert cases.note(case.id, "called", caller("ben")).notes[-1].note == "called"
    assert cases.request_information(case.id, "bank?", caller("ben")).status is CaseStatus.WAITING
    assert cases.receive_information(case.id, "ours", caller("cleo")).status is CaseStatus.OPEN
    assert closed(desk, case.id, FALSE_POSITIVE).closed_by == "ben"
    with pytest.raises(InvalidTransition):
        cases.note(case.id, "too late", caller("ben"))


def test_what_is_no_case_is_not_found(desk: Desk) -> None:
    for stranger in (uuid4(), desk.player()):
        with pytest.raises(CaseNotFound):
            desk.cases.get(stranger)
        with pytest.raises(CaseNotFound):
            desk.cases.note(stranger, "n", caller("ann"))
        with pytest.raises(ReportNotFound):
            desk.reports.get(stranger)
        with pytest.raises(ReportNotFound):
            desk.reports.dismiss(stranger, "n", caller("cleo"))
    case, _ = a_case(desk)
    with pytest.raises(PlayerNotFound):
        desk.players.get(case.id)
    with pytest.raises(PlayerNotFound):
        desk.cases.place_hold(case.id, case.id, HoldKind.FRAUD, "n", caller("ann"))


def test_a_command_on_a_case_sent_again_gets_its_first_answer(desk: Desk) -> None:
    case, _ = a_case(desk)
    once = caller("ann")
    noted = desk.cases.note(case.id, "called", once)
    desk.cases.assign(case.id, "ben", caller("ann"))
    assert desk.cases.note(case.id, "called", once) == noted
    with pytest.raises(CommandReused):
        desk.cases.note(case.id, "called twice", once)


def test_a_case_that_has_moved_on_is_not_changed_blindly(desk: Desk) -> None:
    case, _ = a_case(desk)
    desk.cases.note(case.id, "a", caller("ann", version=1))
    with pytest.raises(VersionChanged):
        desk.cases.note(case.id, "b", caller("ben", version=1))


# --- holds --------------------------------------------------------------------------------------


def test_a_hold_of_a_case_is_one_of_the_player(desk: Desk) -> None:
    case, player_id = a_case(desk)
    once = caller("ann")
    held = desk.cases.place_hold(case.id, player_id, HoldKind.FRAUD, "looks bad", once)
    assert held.holds == ((player_id, HoldKind.FRAUD),)
    assert desk.players.get(player_id).holds.keys() == {HoldKind.FRAUD}
    assert desk.cases.place_hold(case.id, player_id, HoldKind.FRAUD, "looks bad", once) == held
    with pytest.raises(HoldNotYours):
        desk.cases.lift_hold(case.id, player_id, HoldKind.FRAUD, "n", caller("cleo"))
    lifted = desk.cases.lift_hold(case.id, player_id, HoldKind.FRAUD, "fine", caller("ben"))
    assert (lifted.holds, desk.players.get(player_id).holds) == ((), {})


def test_a_hold_placed_from_two_sides_at_once_is_placed_once(desk: Desk) -> None:
    for _ in range(5):
        case, player_id = a_case(desk)
        at_once(
            lambda case=case, player_id=player_id: desk.cases.place_hold(
                case.id, player_id, HoldKind.FRAUD, "n", caller("ann")
            ),
            lambda player_id=player_id: desk.players.hold(
                player_id, reason="n", caller=caller("ben")
            ),
        )
        assert desk.story(player_id).count(HoldPlaced) == 1
        told = desk.cases.get(case.id)
        by_case = desk.ledger.history(player_id)[-1].actor == "operator:ann"
        assert (told.holds != ()) is by_case


# --- closing ------------------------------------------------------------------------------------


def test_two_people_agreeing_at_once_close_once(desks: tuple[Desk, Desk]) -> None:
    for _ in range(10):
        case, player_id = a_case(desks[0], holds=True)
        desks[0].cases.place_hold(case.id, player_id, HoldKind.FRAUD, "n", caller("ann"))
        proposed = desks[0].cases.close(case.id, FALSE_POSITIVE, "a prize", caller("ann"))
        outcomes = at_once(
            *(
                lambda one=one, who=who, on=proposed: agreed(one, on, caller(who))
                for one, who in zip(desks, ("ben", "cal"), strict=True)
            )
        )
        assert [type(one) for one in outcomes].count(InvalidTransition) == 1
        found = desks[1].cases.get(case.id)
        story = desks[1].story(case.id)
        assert (story.count(FraudCaseClosureProposed), story.count(FraudCaseClosed)) == (1, 1)
        assert found.closure_proposed_by == "ann"
        assert (found.holds, desks[1].players.get(player_id).holds) == ((), {})


def test_two_people_proposing_the_same_at_once_close_nothing(desks: tuple[Desk, Desk]) -> None:
    case, _ = a_case(desks[0])
    outcomes = at_once(
        *(
            lambda one=one, who=who: one.cases.close(case.id, CONFIRMED, "a mule", caller(who))
            for one, who in zip(desks, ("ann", "ben"), strict=True)
        )
    )
    assert [type(one) for one in outcomes].count(NothingToChange) == 1
    assert desks[0].story(case.id) == [FraudCaseOpened, FraudCaseClosureProposed]


def test_one_person_closing_twice_at_once_closes_nothing(desks: tuple[Desk, Desk]) -> None:
    case, _ = a_case(desks[0], holds=True)
    outcomes = at_once(
        *(
            lambda one=one: one.cases.close(case.id, FALSE_POSITIVE, "a prize", caller("ann"))
            for one in desks
        )
    )
    assert [type(one) for one in outcomes].count(SelfApproval) == 1
    assert desks[0].cases.get(case.id).status is CaseStatus.OPEN


def test_a_hit_and_an_agreement_at_once_never_close_what_nobody_looked_at(
    desks: tuple[Desk, Desk],
) -> None:
    for n in range(10):
        case, player_id = a_case(desks[0])
        proposed = desks[0].cases.close(case.id, FALSE_POSITIVE, "a prize", caller("ann"))
        later = hit(f"player:{player_id}", indicator="velocity", position=10**9 + n)
        at_once(
            lambda on=proposed: agreed(desks[0], on, caller("ben")),
            lambda later=later: desks[1].cases.take_up(later, after_number=1),
        )
        found = desks[0].cases.get(case.id)
        looked_at = found.status is CaseStatus.CLOSED
        assert (found.hits_count, found.proposal) == (1 if looked_at else 2, None)


def test_a_closing_sent_again_gets_its_first_answer(desk: Desk) -> None:
    case, player_id = a_case(desk)
    desk.cases.place_hold(case.id, player_id, HoldKind.FRAUD, "n", caller("ann"))
    first, second = caller("ann"), caller("ben")
    proposed = desk.cases.close(case.id, FALSE_POSITIVE, "a prize", first)
    found = agreed(desk, proposed, second)
    assert (proposed.status, found.status) == (CaseStatus.OPEN, CaseStatus.CLOSED)
    assert desk.cases.close(case.id, FALSE_POSITIVE, "a prize", first) == proposed
    assert agreed(desk, proposed, second) == found


def agreed(desk: Desk, proposed: FraudCase, by: Caller) -> FraudCase:
    assert proposed.proposal is not None
    return desk.cases.agree(proposed.id, proposed.proposal.id, "", by)


def closed(desk: Desk, case_id: UUID, decision: CaseDecision = CONFIRMED) -> FraudCase:
    """By Ann, and Ben."""
    return agreed(desk, desk.cases.close(case_id, decision, "n", caller("ann")), caller("ben"))


# --- reports ------------------------------------------------------------------------------------

TRANSACTION = ReportedTransaction(
    transaction_id=UUID(int=1),
    kind="deposit",
    amount=Money(195_000, "EUR"),
    at="2026-03-01T10:00:00Z",
    instrument="card_1",
)


def test_reports_are_drafted_revised_filed_and_dismissed(desk: Desk) -> None:
    case, player_id = a_case(desk)
    reports = desk.reports
    once = caller("cleo")
    draft = reports.draft(case.id, "A mule.", [TRANSACTION], once)
    assert (draft.case_id, draft.player_id, len(draft.indicators)) == (case.id, player_id, 1)
    assert reports.draft(case.id, "A mule.", [TRANSACTION], once) == draft
    with pytest.raises(CommandReused):
        reports.draft(case.id, "No mule.", [TRANSACTION], once)
    assert reports.revise(draft.id, "A mule, I say.", [], caller("dora")).transactions == ()
    filed = reports.file(draft.id, "FIU", "2026/17", DIGEST, caller("dora"))
    assert (filed.status, filed.document_digest) == (ReportStatus.FILED, DIGEST)
    with pytest.raises(InvalidTransition):
        reports.dismiss(draft.id, "n", caller("cleo"))
    second = reports.draft(case.id, "Once more.", [], caller("cleo"))
    assert second.id != draft.id
    dismissed = reports.dismiss(second.id, "nothing new", caller("cleo", version=1))
    assert reports.get(second.id) == dismissed
    assert dismissed.status is ReportStatus.DISMISSED


def test_reports_are_refused_without_case_or_role(desk: Desk) -> None:
    case, _ = a_case(desk)
    with pytest.raises(CaseNotFound):
        desk.reports.draft(uuid4(), "A mule.", [], caller("cleo"))
    with pytest.raises(RoleNotAllowed):
        desk.reports.draft(case.id, "A mule.", [], caller("ann"))
    with pytest.raises(EvidenceMissing):
        desk.reports.draft(case.id, " ", [], caller("cleo"))
    draft = desk.reports.draft(case.id, "A mule.", [], caller("cleo"))
    with pytest.raises(VersionChanged):
        desk.reports.file(draft.id, "FIU", "1", DIGEST, caller("cleo", version=2))


def test_of_two_people_filing_at_once_one_is_late(desks: tuple[Desk, Desk]) -> None:
    case, _ = a_case(desks[0])
    draft = desks[0].reports.draft(case.id, "A mule.", [], caller("cleo"))
    outcomes = at_once(
        *(
            lambda one=one, who=who: one.reports.file(draft.id, "FIU", who, DIGEST, caller(who))
            for one, who in zip(desks, ("cleo", "dora"), strict=True)
        )
    )
    assert [type(one) for one in outcomes].count(InvalidTransition) == 1
    assert desks[0].reports.get(draft.id).version == 2


def test_a_report_keeps_the_rates_of_when_it_was_written(ruled: Desk) -> None:
    case, _ = a_case(ruled)
    before = ruled.reports.draft(case.id, "Before.", [], caller("cleo"))
    assert ruled.reports.rates_of(before) is None
    waiting = _propose_rates(ruled, 109)
    merely_proposed = ruled.reports.draft(case.id, "Meanwhile.", [], caller("cleo"))
    ruled.rates.approve(waiting, "", caller("dora"))
    assert ruled.reports.rates_of(merely_proposed) is None
    between = ruled.reports.draft(case.id, "Between.", [], caller("cleo"))
    ruled.rates.approve(_propose_rates(ruled, 110), "", caller("dora"))
    after = ruled.reports.revise(before.id, "After.", [], caller("cleo"))
    for report, dollars in ((between, Fraction(109, 100)), (after, Fraction(110, 100))):
        table = ruled.reports.rates_of(report)
        assert table is not None
        assert table.rates == {"USD": dollars}


def _propose_rates(desk: Desk, cents: int) -> UUID:
    _, waiting = desk.rates.propose(
        source="test",
        base="EUR",
        as_of="2026-03-02",
        rates=[Rate(currency="USD", numerator=cents, denominator=100)],
        caller=Caller(actor="operator:fina", idempotency_key=uuid4().hex, role="finance"),
    )
    assert waiting is not None
    return waiting.id
