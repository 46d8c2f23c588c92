"""Questions about the past of rule sets, cases and reports; a day on which there are some."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any
from uuid import UUID, uuid4

import psycopg

from domain.events import IndicatorHit, ReportedTransaction
from domain.fraud.case import CaseDecision
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.money import Money
from domain.withdrawal.state import Withdrawal
from ledger.commands.fraud_case import FraudCaseCommands
from ledger.commands.fraud_report import FraudReportCommands
from ledger.commands.handling import Caller
from ledger.commands.ruleset import RuleSetCommands
from tests.generators.mixed_day import MixedDay
from tests.property.backroom import ROLES

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A path as the document has it, what stands in it, and parameters."""

    path: str
    values: Mapping[str, object] = field(default_factory=dict)
    params: Params = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.path.format(**self.values)


class FraudDay(MixedDay):
    """A mixed day on which people also work on rule sets, cases and reports."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.reader: psycopg.Connection[Any] = args[1]
        handling = self.handlers.handling
        self.rulesets_of = RuleSetCommands(handling)
        self.cases_of = FraudCaseCommands(handling)
        self.reports_of = FraudReportCommands(handling)
        self.acts = 0
        self.rulesets: list[UUID] = []
        self.cases: list[UUID] = []
        self.reports: list[UUID] = []

    def open(self, commands: int) -> None:
        super().open(commands)
        for seconds, act in (
            *((2, self.rules_drafted), (4, self.rules_published), (7, self.rules_drafted)),
            *(
                (1, self.case_taken_up),
                (2, self.case_taken_up),
                (3, self.case_assigned),
                (5, self.case_asked_about),
            ),
            *(
                (3, self.report_drafted),
                (6, self.report_filed),
                (8, self.report_drafted),
                (9, self.case_closing),
                (10, self.case_closed),
            ),
        ):
            self.soon(act, seconds)

    def hits(self) -> list[str]:
        """By id."""
        return [row[0] for row in self.reader.execute("SELECT id FROM fraud_v2.hits ORDER BY id")]

    def as_(self, person: str) -> Caller:
        """With keys of its own, so that the rest of the day is as it would be without."""
        self.acts += 1
        role = ROLES[person]
        return Caller(actor=f"operator:{person}", idempotency_key=f"fraud-{self.acts}", role=role)

    # --- what people do -------------------------------------------------------------------------

    def rules_drafted(self) -> object:
        terms = replace(DEFAULT_TERMS, score_low=11 + len(self.rulesets))
        drafted = self.rulesets_of.draft(terms, "n", self.as_("ben"))
        self.rulesets.append(drafted.id)
        return drafted

    def rules_published(self) -> object:
        return self.rulesets_of.publish(self.rulesets[0], "n", self.as_("cleo"))

    def case_taken_up(self) -> object:
        player = self.players[0]
        position = len(self.cases) + 1
        hit = IndicatorHit(
            hit=f"{position:015d}/structuring/player:{player}",
            position=position,
            hit_at=self.clock(),
            indicator="structuring",
            severity="high",
            subject=f"player:{player}" if not self.cases else f"device:{player}",
            player_id=player,
            value=4,
            threshold=3,
            unit="count",
            sentence="4 deposits just below 2000.00 EUR.",
            ruleset="default-1",
            holds=False,
        )
        case = self.cases_of.take_up(hit, after_number=0)
        self.cases.append(case.id)
        return case

    def case_assigned(self) -> object:
        return self.cases_of.assign(self.cases[0], "ben", self.as_("ben"))

    def case_asked_about(self) -> object:
        return self.cases_of.request_information(self.cases[0], "n", self.as_("ben"))

    def case_closing(self) -> object:
        decision = CaseDecision.FALSE_POSITIVE
        return self.cases_of.close(self.cases[1], decision, "known", self.as_("ben"))

    def case_closed(self) -> object:
        proposal = self.cases_of.get(self.cases[1]).proposal
        assert proposal is not None
        return self.cases_of.agree(self.cases[1], proposal.id, "so it is", self.as_("cleo"))

    def report_drafted(self) -> object:
        about = ReportedTransaction(
            transaction_id=self.players[0],
            kind="deposit",
            amount=Money(700, "EUR"),
            at=self.clock().astimezone(UTC).isoformat(),
            instrument=None,
        )
        report = self.reports_of.draft(self.cases[0], "n", [about], self.as_("cleo"))
        self.reports.append(report.id)
        return report

    def report_filed(self) -> object:
        return self.reports_of.file(self.reports[0], "FIAU", "1", "0" * 64, self.as_("cleo"))


# --- what is asked ------------------------------------------------------------------------------


def of_hits(day: FraudDay, chance: random.Random) -> Iterator[Question]:
    path = "/v1/hits"
    yield Question(path)
    yield Question(path, params={"limit": 1})
    yield Question(path, params={"severity": "high", "mode": "live"})
    for player in day.players[:2]:
        yield Question(path, params={"player_id": str(player)})


def of_a_hit(day: FraudDay, chance: random.Random) -> Iterator[Question]:
    hits = day.hits()
    for known in chance.sample(hits, min(3, len(hits))):
        yield Question("/v1/hits/{hit_id}", {"hit_id": known})


def of_cases(day: FraudDay, chance: random.Random) -> Iterator[Question]:
    path = "/v1/cases"
    yield Question(path)
    yield Question(path, params={"limit": 1})
    yield Question(path, params={"status": ["waiting", "closed"]})
    yield Question(path, params={"assigned_to": "ben", "indicator": "structuring"})
    yield Question(path, params={"severity": "critical"})
    for player in day.players[:1]:
        yield Question(path, params={"player_id": str(player)})
        yield Question(path, params={"subject": f"player:{player}"})


def of_assessments(day: FraudDay, chance: random.Random) -> Iterator[Question]:
    states = [one.id for one in day.log.states.values() if isinstance(one, Withdrawal)]
    for known in [*chance.sample(states, min(3, len(states))), uuid4()]:
        yield Question("/v1/withdrawals/{withdrawal_id}/assessment", {"withdrawal_id": known})


def of_each(path: str, name: str, known: str) -> Callable[..., Iterator[Question]]:
    def asked(day: FraudDay, chance: random.Random) -> Iterator[Question]:
        for one in [*getattr(day, known), uuid4()]:
            yield Question(path, {name: one})

    return asked


def plainly(path: str, *more: Params) -> Callable[..., Iterator[Question]]:
    return lambda day, chance: iter([Question(path, params=params) for params in ({}, *more)])


ABOUT_FRAUD: Mapping[str, Callable[..., Iterator[Question]]] = {
    "/v1/indicators": plainly("/v1/indicators"),
    "/v1/indicators/{code}": lambda day, chance: iter(
        [Question("/v1/indicators/{code}", {"code": "structuring"})]
    ),
    "/v1/hits": of_hits,
    "/v1/hits/{hit_id}": of_a_hit,
    "/v1/withdrawals/{withdrawal_id}/assessment": of_assessments,
    "/v1/rulesets": plainly("/v1/rulesets"),
    "/v1/rulesets/live": plainly("/v1/rulesets/live"),
    "/v1/rulesets/{ruleset_id}": of_each("/v1/rulesets/{ruleset_id}", "ruleset_id", "rulesets"),
    "/v1/cases": of_cases,
    "/v1/cases/{case_id}": of_each("/v1/cases/{case_id}", "case_id", "cases"),
    "/v1/reports": plainly("/v1/reports", {"limit": 1}),
    "/v1/reports/{report_id}": of_each("/v1/reports/{report_id}", "report_id", "reports"),
    "/v1/reports/{report_id}/goaml.xml": of_each(
        "/v1/reports/{report_id}/goaml.xml", "report_id", "reports"
    ),
    "/v1/reports/{report_id}/report.pdf": of_each(
        "/v1/reports/{report_id}/report.pdf", "report_id", "reports"
    ),
}
"""By path, as in `test_api_as_of`."""
