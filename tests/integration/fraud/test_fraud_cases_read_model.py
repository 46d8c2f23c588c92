"""The read model of fraud cases, asked: as the commands left the cases, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import AsyncConnection

from domain.events import IndicatorHit
from domain.fraud.case import CaseDecision, FraudCase
from ledger.commands.fraud_case import FraudCaseCommands
from ledger.commands.fraud_report import FraudReportCommands
from ledger.commands.handling import Caller, Handling
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.engine.tables import install
from projections.fraud_cases import fraud_cases
from projections.fraud_cases.fraud_cases import FRAUD_CASES, CaseCursor, FraudCaseRow
from tests.oracles.ledger_checks import ledger_on

T = TypeVar("T")
BEGUN = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = BEGUN

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@dataclass
class Site:
    """Commands about cases, and the read model that follows them."""

    settings: Settings
    cases: FraudCaseCommands
    reports: FraudReportCommands
    hits: int = field(default=0)

    def ask(self, question: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        writer, reader = (conninfo(self.settings, role) for role in (Role.WRITER, Role.READER))
        Projector(conninfo=writer, models=[FRAUD_CASES], decode=decode).catch_up()

        async def answer() -> T:
            async with await AsyncConnection.connect(reader, autocommit=True) as connection:
                return await question(connection)

        return asyncio.run(answer())

    def list(self, **what: Any) -> list[FraudCaseRow]:
        return self.ask(lambda connection: fraud_cases.list_cases(connection, **what))

    def take_up(self, subject: str, indicator: str = "pass_through", **changes: Any) -> FraudCase:
        self.hits += 1
        hit = IndicatorHit(
            **{
                "hit": f"{self.hits:015d}/{indicator}/{subject}",
                "position": self.hits,
                "hit_at": BEGUN,
                "indicator": indicator,
                "severity": "high",
                "subject": subject,
                "player_id": None,
                "value": 3,
                "threshold": 2,
                "unit": "count",
                "sentence": "Three within a day (at least two).",
                "ruleset": "default-1",
                "holds": False,
            }
            | changes
        )
        return self.cases.take_up(hit, after_number=0)

    def closed(self, subject: str, decision: CaseDecision, *indicators: str) -> FraudCase:
        for indicator in indicators:
            case = self.take_up(subject, indicator)
        proposal = self.cases.close(case.id, decision, "looked into", by("ben")).proposal
        assert proposal is not None
        return self.cases.agree(case.id, proposal.id, "", by("bea"))


def by(person: str, role: str = "fraud") -> Caller:
    return Caller(actor=f"operator:{person}", idempotency_key=uuid4().hex, role=role)


@pytest.fixture
def site(database: Settings) -> Iterator[Site]:
    install(conninfo(database, Role.OWNER), [FRAUD_CASES])
    with ledger_on(database) as ledger:
        handling = Handling(ledger, Clock(), lambda accounts, _: dict.fromkeys(accounts, 0))
        yield Site(database, FraudCaseCommands(handling), FraudReportCommands(handling))


def row(site: Site, case: FraudCase) -> FraudCaseRow:
    (found,) = [row for row in site.list() if row.id == case.id]
    return found


# --- what becomes of a case ---------------------------------------------------------------------


def test_a_case_is_listed_as_its_first_hit_opened_it(site: Site) -> None:
    player = uuid4()
    case = site.take_up(f"player:{player}", player_id=player)
    found = row(site, case)
    assert (found.subject, found.number, found.status) == (f"player:{player}", 1, "open")
    assert (found.severity, found.indicators, found.hits_count) == ("high", ("pass_through",), 1)
    assert (found.player_id, found.player_ids) == (player, (player,))
    assert (found.assigned_to, found.decision, found.closed_at) == (None, None, None)
    assert found.opened_at == found.updated_at == case.opened_at


def test_hits_add_up_and_the_worst_of_them_counts(site: Site) -> None:
    ann, bob = uuid4(), uuid4()
    site.take_up("instrument:tok_1", "shared_instrument", player_id=ann)
    site.take_up("instrument:tok_1", "repeated_declines", severity="critical", player_id=bob)
    case = site.take_up("instrument:tok_1", "shared_instrument", player_id=ann)
    found = row(site, case)
    assert (found.severity, found.hits_count) == ("critical", 3)
    assert found.indicators == ("shared_instrument", "repeated_declines")
    assert (found.player_id, found.player_ids) == (ann, (ann, bob))


def test_it_waits_from_a_question_to_the_answer(site: Site) -> None:
    case = site.take_up("instrument:tok_1")
    site.cases.assign(case.id, "ben", by("ben"))
    site.cases.request_information(case.id, "Whose card is it?", by("ben"))
    assert (row(site, case).status, row(site, case).assigned_to) == ("waiting", "ben")
    site.cases.receive_information(case.id, "Their own.", by("ben"))
    site.cases.assign(case.id, None, by("ben"))
    answered = row(site, case)
    assert (answered.status, answered.assigned_to) == ("open", None)
    assert answered.updated_at > answered.opened_at


def test_a_closed_case_says_how_and_when_and_the_next_one_has_the_next_number(site: Site) -> None:
    first = site.closed("instrument:tok_1", CaseDecision.INCONCLUSIVE, "pass_through")
    second = site.take_up("instrument:tok_1")
    found = row(site, first)
    assert (found.status, found.decision, found.reason) == ("closed", "inconclusive", "looked into")
    assert found.closed_at == found.updated_at
    assert row(site, second).number == 2
    with psycopg.connect(conninfo(site.settings, Role.READER)) as connection:
        assert fraud_cases.latest_number(connection, "instrument:tok_1") == 2
        assert fraud_cases.latest_number(connection, "instrument:tok_2") == 0


# --- which cases --------------------------------------------------------------------------------


def test_every_filter_leaves_the_cases_it_means(site: Site) -> None:
    ann, bob = uuid4(), uuid4()
    one = site.take_up(f"player:{ann}", "pass_through", player_id=ann)
    two = site.take_up("instrument:tok_1", "shared_instrument", player_id=bob, severity="critical")
    site.take_up("instrument:tok_1", "repeated_declines", player_id=ann)
    three = site.closed("instrument:tok_2", CaseDecision.CONFIRMED, "shared_instrument")
    site.cases.assign(one.id, "ben", by("ben"))
    expected: list[tuple[dict[str, Any], list[UUID]]] = [
        ({}, [three.id, two.id, one.id]),
        ({"statuses": ["open", "waiting"]}, [two.id, one.id]),
        ({"statuses": ["closed"]}, [three.id]),
        ({"severity": "critical"}, [two.id]),
        ({"assigned_to": "ben"}, [one.id]),
        ({"subject": "instrument:tok_1"}, [two.id]),
        ({"player_id": ann}, [two.id, one.id]),
        ({"player_id": bob}, [two.id]),
        ({"indicator": "shared_instrument"}, [three.id, two.id]),
        ({"indicator": "shared_instrument", "statuses": ["open"]}, [two.id]),
        ({"player_id": uuid4()}, []),
    ]
    for what, ids in expected:
        assert [found.id for found in site.list(**what)] == ids, what


def test_pages_one_after_the_other_are_all_of_them_once(site: Site) -> None:
    cases = [site.take_up(f"instrument:tok_{number}") for number in range(7)]
    seen: list[UUID] = []
    cursor = None
    while page := site.list(limit=3, cursor=cursor):
        seen += [found.id for found in page]
        cursor = CaseCursor(opened_at=page[-1].opened_at, id=page[-1].id)
    assert seen == [case.id for case in reversed(cases)]


# --- how often indicators are right -------------------------------------------------------------


def test_precision_counts_each_indicator_once_per_closed_case(site: Site) -> None:
    site.closed("instrument:tok_1", CaseDecision.CONFIRMED, "pass_through", "closed_loop")
    site.closed("instrument:tok_2", CaseDecision.FALSE_POSITIVE, "pass_through", "pass_through")
    case = site.closed("instrument:tok_3", CaseDecision.INCONCLUSIVE, "closed_loop")
    site.take_up("instrument:tok_4", "pass_through")
    told = {one.indicator: one for one in site.ask(fraud_cases.precision)}
    assert told.keys() == {"pass_through", "closed_loop"}
    counted = told["pass_through"]
    assert (counted.confirmed, counted.false_positive, counted.inconclusive) == (1, 1, 0)
    counted = told["closed_loop"]
    assert (counted.confirmed, counted.false_positive, counted.inconclusive) == (1, 0, 1)
    before = row(site, case).position - 1
    then = site.ask(lambda connection: fraud_cases.precision(connection, before))
    assert [(one.indicator, one.inconclusive) for one in then] == [
        ("closed_loop", 0),
        ("pass_through", 0),
    ]


def test_reports_are_found_by_their_case_as_of_any_position(site: Site) -> None:
    cleo = by("cleo", "compliance")
    one, other = (site.take_up(f"instrument:tok_{n}") for n in range(2))
    drafted = []
    for case in (one, other, one):
        caller = Caller(actor=cleo.actor, idempotency_key=uuid4().hex, role="compliance")
        drafted.append(site.reports.draft(case.id, "What was seen.", (), caller).id)
    everything = site.ask(fraud_cases.list_reports)
    assert [report.id for report in everything] == drafted[::-1]
    of_one = site.ask(lambda c: fraud_cases.list_reports(c, case_id=one.id))
    assert [report.id for report in of_one] == [drafted[2], drafted[0]]
    then = everything[1].position
    as_of = site.ask(lambda c: fraud_cases.list_reports(c, upto=then))
    assert [report.id for report in as_of] == [drafted[1], drafted[0]]
    behind = site.ask(lambda c: fraud_cases.list_reports(c, cursor=then))
    assert [report.id for report in behind] == [drafted[0]]
