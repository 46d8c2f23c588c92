"""The read model: what is kept of each subject, what hit, and what each payout was judged by."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.events import (
    EVENT_TYPES,
    FraudCaseHitAdded,
    FraudCaseOpened,
    LedgerEvent,
    RuleSetPublished,
    RuleSetTerms,
    WeighedHit,
    WithdrawalAmended,
    WithdrawalRequested,
)
from domain.fraud.assessment import Assessment, Severity, assess
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS
from projections.engine.read_model import Kept, Keys, Recorded, Row, Rows, Table
from projections.fraud.checks.registry import JUDGE
from projections.fraud.event_signals import SAYS_SOMETHING, signals
from projections.fraud.judging import Hit, weighed
from projections.fraud.rules import LIVE, Rules
from projections.fraud.signals import (
    AnySignal,
    LegAsked,
    PayoutAsked,
    Seen,
)
from projections.fraud.states import AnyState

DDL = """
CREATE TABLE subjects (
    subject         text        NOT NULL PRIMARY KEY,   -- player:<id>, instrument:<fingerprint>, …
    state           text        NOT NULL                -- what the next signal is judged by
) WITH (fillfactor = 70);

CREATE TABLE hits (
    id              text        NOT NULL PRIMARY KEY,   -- <position>/<indicator>/<subject>
    position        bigint      NOT NULL,
    at              timestamptz NOT NULL,               -- event time
    indicator       text        NOT NULL,
    severity        text        NOT NULL,
    mode            text        NOT NULL,               -- live, shadow
    subject         text        NOT NULL,
    player_id       uuid,                               -- whose doing completed it
    value           bigint      NOT NULL,
    threshold       bigint      NOT NULL,
    unit            text        NOT NULL,               -- of both
    amount_minor    bigint      NOT NULL,               -- in EUR: the money that it is about
    cause           text        NOT NULL,               -- what it is true of, or empty
    since           timestamptz NOT NULL,               -- where the window began
    inputs          jsonb       NOT NULL,
    sentence        text        NOT NULL,
    ruleset         text        NOT NULL
);

CREATE TABLE assessments (
    withdrawal_id   uuid        NOT NULL PRIMARY KEY,
    version         bigint      NOT NULL,               -- of the request, or its last amendment
    position        bigint      NOT NULL,
    at              timestamptz NOT NULL,
    player_id       uuid        NOT NULL,
    amount_minor    bigint      NOT NULL,
    currency        text        NOT NULL,
    score           bigint      NOT NULL,
    hold_from       bigint      NOT NULL,
    hits            jsonb       NOT NULL,               -- that counted
    ruleset         text        NOT NULL
);

CREATE TABLE due (
    id              text        NOT NULL PRIMARY KEY,   -- of a hit that no case has taken up
    position        bigint      NOT NULL
);

CREATE TABLE rules (
    used            text        NOT NULL PRIMARY KEY,   -- 'now'
    ruleset         text        NOT NULL
);
"""

INDEXES = """
CREATE INDEX ON hits (position, id);
CREATE INDEX ON hits (subject, position);
CREATE INDEX ON hits (player_id, position);
CREATE INDEX ON hits (indicator, position);
CREATE INDEX ON assessments (player_id, position);
CREATE INDEX ON due (position, id);
"""


class SubjectRow(Row, frozen=True):
    subject: str
    state: AnyState


class AssessmentRow(Row, frozen=True):
    """What a payout was judged by."""

    withdrawal_id: UUID
    version: int
    position: int
    at: datetime
    player_id: UUID
    amount_minor: int
    currency: str
    score: int
    hold_from: int
    hits: tuple[WeighedHit, ...]
    ruleset: str

    @property
    def assessment(self) -> Assessment:
        """As it was weighed."""
        return Assessment(
            score=self.score, hits=self.hits, ruleset=self.ruleset, hold_from=self.hold_from
        )


class Due(Row, frozen=True):
    """A hit that people have to look into, and that is in no case yet."""

    id: str
    position: int


class RuleSetKept(Kept, frozen=True):
    name: str
    terms: RuleSetTerms


class RulesRow(Row, frozen=True):
    used: str
    ruleset: RuleSetKept


SUBJECTS: Table[str, SubjectRow] = Table("subjects", SubjectRow, ("subject",))
HITS: Table[str, Hit] = Table("hits", Hit, ("id",), append_only=True)
ASSESSMENTS: Table[UUID, AssessmentRow] = Table("assessments", AssessmentRow, ("withdrawal_id",))
DUE: Table[str, Due] = Table("due", Due, ("id",))
RULES: Table[str, RulesRow] = Table("rules", RulesRow, ("used",))

DEFAULT_RULES: Final = Rules(DEFAULT_NAME, DEFAULT_TERMS)
"""In force before the first rule set is published."""

_JUDGED_BY: Final = (PayoutAsked, LegAsked, Seen)
_REQUESTS: Final = (WithdrawalRequested, WithdrawalAmended)
_NOW: Final = "now"
_TAKES_UP: Final = (FraudCaseOpened, FraudCaseHitAdded)
_LOOKED_AT: Final = SAYS_SOMETHING | {RuleSetPublished, *_TAKES_UP}


class Fraud:
    """The read model."""

    name = "fraud"
    version = 2
    tables: tuple[Table[Any, Any], ...] = (SUBJECTS, HITS, ASSESSMENTS, DUE, RULES)
    ddl = DDL
    indexes = INDEXES
    ignores: frozenset[type[LedgerEvent]] = frozenset(EVENT_TYPES) - _LOOKED_AT

    def __init__(self) -> None:
        # Neither changes what comes out: both only save doing it a second time.
        self._said: dict[int, tuple[LedgerEvent, list[AnySignal]]] = {}
        self._rules: tuple[RuleSetKept | None, Rules] = (None, DEFAULT_RULES)

    def touched(self, batch: Sequence[Recorded]) -> Keys:
        subjects: set[str] = set()
        amended: set[UUID] = set()
        due: set[str] = set()
        said: dict[int, tuple[LedgerEvent, list[AnySignal]]] = {}
        for recorded in batch:
            event = recorded.event
            kind = type(event)
            if kind in SAYS_SOMETHING:
                found = signals(event, recorded.position)
                said[recorded.position] = (event, found)
                subjects.update([signal.subject for signal in found])
            if kind is WithdrawalAmended:
                amended.add(event.originator_id)
            elif isinstance(event, _TAKES_UP):
                due.add(event.hit.hit)
        self._said = said
        return {SUBJECTS: subjects, ASSESSMENTS: amended, DUE: due, RULES: {_NOW}}

    def apply(self, rows: Rows, recorded: Recorded) -> None:
        event = recorded.event
        if type(event) in SAYS_SOMETHING:
            self._judge(rows, recorded)
        elif isinstance(event, RuleSetPublished):
            kept = RuleSetKept(event.ruleset, event.terms)
            rows[RULES][_NOW] = RulesRow(_NOW, kept)
        elif isinstance(event, _TAKES_UP):
            rows[DUE].pop(event.hit.hit, None)

    def _judge(self, rows: Rows, recorded: Recorded) -> None:
        event, position = recorded.event, recorded.position
        rules = self._in_force(rows)
        subjects = rows[SUBJECTS]
        found = self._signals(recorded)
        for signal in found:
            row = subjects.get(signal.subject)
            state, hits = JUDGE.judge(row.state if row else None, signal, rules)
            if row is None or state is not row.state:
                subjects[signal.subject] = SubjectRow(signal.subject, state)
            for hit in hits:
                rows[HITS][hit.id] = hit
                if hit.mode == LIVE and Severity(hit.severity).opens_case:
                    rows[DUE][hit.id] = Due(hit.id, position)
        if found and isinstance(event, _REQUESTS):
            rows[ASSESSMENTS][event.originator_id] = _assessed(event, found, subjects, rules)

    def _signals(self, recorded: Recorded) -> list[AnySignal]:
        said = self._said.pop(recorded.position, None)
        if said is not None and said[0] is recorded.event:
            return said[1]
        return signals(recorded.event, recorded.position)

    def _in_force(self, rows: Rows) -> Rules:
        row = rows[RULES].get(_NOW)
        if row is None:
            return DEFAULT_RULES
        kept, rules = self._rules
        if kept is not row.ruleset:
            rules = Rules(row.ruleset.name, row.ruleset.terms)
            self._rules = (row.ruleset, rules)
        return rules


def _assessed(
    event: WithdrawalRequested | WithdrawalAmended,
    found: Sequence[AnySignal],
    subjects: dict[str, SubjectRow],
    rules: Rules,
) -> AssessmentRow:
    """What counts on everybody and everything that the request is about."""
    named = dict.fromkeys(signal.subject for signal in asked_about(found))
    counted = [hit for subject in named for hit in weighed(subjects[subject].state, subject)]
    assessment = assess(counted, rules.terms, rules.name)
    return AssessmentRow(
        withdrawal_id=event.originator_id,
        version=event.originator_version,
        position=found[0].position,
        at=event.occurred_at,
        player_id=event.player_id,
        amount_minor=event.amount.amount,
        currency=event.amount.currency,
        score=assessment.score,
        hold_from=assessment.hold_from,
        hits=assessment.hits,
        ruleset=assessment.ruleset,
    )


def asked_about(found: Sequence[AnySignal]) -> list[AnySignal]:
    """Of what a payout request says: what is about those it is judged by, in their order."""
    return [signal for signal in found if isinstance(signal, _JUDGED_BY)]


FRAUD = Fraud()
