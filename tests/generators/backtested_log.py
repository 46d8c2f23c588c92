"""A log to backtest: a population, with rule sets, a policy and ends of cases among its events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid5

from domain.approval.policy import DEFAULT_TERMS as POLICY
from domain.approval.policy import policy_stream
from domain.events import (
    ApprovalPolicyPublished,
    ApprovalTerms,
    FraudCaseClosed,
    Header,
    LedgerEvent,
    RuleSetDrafted,
    RuleSetPublished,
    RuleSetTerms,
    WithdrawalAmended,
    WithdrawalRequested,
)
from domain.fraud.assessment import Assessment, assess
from domain.fraud.case import case_stream, strength_of
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS, ruleset_stream
from domain.money import Money
from ledger.eventstore.codec import decode
from ledger.eventstore.ledger import Drafting
from ledger.settings import Settings
from ledger.workers.fraud_desk import indicator_hit
from projections.engine.read_model import Recorded, Rows
from projections.fraud.checks.registry import JUDGE
from projections.fraud.event_signals import signals
from projections.fraud.judging import Hit, weighed
from projections.fraud.model import HITS, Fraud, asked_about
from projections.fraud.rules import Rules
from projections.fraud.states import AnyState
from replay.backtest.candidates import changed_terms
from tallystick.play import synthetic_players
from tests.generators.synthetic_players_log import append_drafts
from tests.oracles.ledger_checks import log, rejected

NAMESPACE = UUID("6b1d2f6a-0b0a-4d6c-9c3e-7f1f5c2a9d10")
CLOSED = ("confirmed", "false_positive", "inconclusive", "confirmed", "false_positive")

PUBLISHED = changed_terms(
    DEFAULT_TERMS,
    {"velocity": {"thresholds": {"hour_deposits": 4}}, "geo_conflict": {"mode": "shadow"}},
)
"""In force from the middle of the log on."""

DRAFTED = changed_terms(
    PUBLISHED,
    {
        "low_turnover": {"thresholds": {"wagered_percent": 400}},
        "pass_through": {"mode": "off"},
        "geo_conflict": {"mode": "live"},
        "amount_spike": {"thresholds": {"times": 3}},
    },
)
"""What some would have next."""

PUBLISHED_ID, DRAFTED_ID = uuid5(NAMESPACE, "published"), uuid5(NAMESPACE, "drafted")

REFUSED = rejected(uuid5(NAMESPACE, "poor"), Money(10_000, "EUR"), uuid5(NAMESPACE, "refused"))
"""A payout that was refused at once: there was not enough to pay it from."""


def fill(database: Settings, players: int, days: int, seed: int = 7) -> None:
    """Append the population, recorded at about the time at which it happens."""
    appends = _with_decisions(list(synthetic_players.appends(players, days, seed)))
    append_drafts(database, (Drafting(events=events) for events in appends))


def _with_decisions(
    appends: Sequence[Sequence[LedgerEvent]],
) -> Iterator[Sequence[LedgerEvent]]:
    """At a third of the log, a policy; half-way a rule set; cases end all along."""
    model, rows, position = Fraud(), Rows(), 0
    closings = iter(CLOSED * 3)
    due: list[str] = []
    known: set[str] = set()
    for number, together in enumerate(appends):
        at = together[0].occurred_at
        more: list[LedgerEvent] = []
        if number == len(appends) // 4:
            more += [replace(event, occurred_at=at) for event in REFUSED]
        if number == len(appends) // 3:
            more.append(_policy(at, replace(POLICY, score_below=20)))
        if number == len(appends) // 2:
            more += _rules(at, 1, PUBLISHED_ID, "rules-1", PUBLISHED, published=True)
        if number == len(appends) * 4 // 5:
            more += _rules(at, 3, DRAFTED_ID, "rules-2", DRAFTED, published=False)
        if number % (len(appends) // 12) == 0 and due:
            hit = rows[HITS][due.pop()]
            more += [_closed(at, hit, decision) for decision in [next(closings, None)] if decision]
        for event in (*together, *more):
            position += 1
            before = len(rows[HITS])
            model.apply(rows, Recorded(position=position, recorded_at=at, event=event))
            for id_, hit in list(rows[HITS].items())[before:]:
                if hit.severity in ("high", "critical") and hit.subject not in known:
                    known.add(hit.subject)
                    due.append(id_)
        yield (*together, *more)


def _header(stream: UUID, version: int, at: datetime) -> Header:
    return Header(
        originator_id=stream,
        originator_version=version,
        occurred_at=at,
        actor="operator:cleo",
        command_id=uuid5(NAMESPACE, f"{stream} {version}"),
    )


def _policy(at: datetime, terms: ApprovalTerms) -> LedgerEvent:
    return ApprovalPolicyPublished(
        **_header(policy_stream(), 1, at),
        request_digest="d",
        person="cleo",
        policy="policy-1",
        terms=terms,
        note="n",
    )


def _rules(
    at: datetime, version: int, id_: UUID, name: str, terms: RuleSetTerms, *, published: bool
) -> list[LedgerEvent]:
    kinds = (RuleSetDrafted, RuleSetPublished) if published else (RuleSetDrafted,)
    return [
        kind(
            **_header(ruleset_stream(), version + number, at),
            request_digest="d",
            ruleset_id=id_,
            ruleset=name,
            person="cleo",
            terms=terms,
            note="n",
        )
        for number, kind in enumerate(kinds)
    ]


def _closed(at: datetime, hit: Hit, decision: str) -> LedgerEvent:
    return FraudCaseClosed(
        **_header(case_stream(hit.subject, 1), 1, at),
        request_digest="d",
        person="cleo",
        decision=decision,
        reason="r",
        proposed_by=None,
        subject=hit.subject,
        indicators=(hit.indicator,),
        opened_at=hit.at,
        covered=(strength_of(indicator_hit(hit), hit.amount_minor, hit.cause),),
    )


# --- the same, the obvious way ------------------------------------------------------------------


@dataclass
class Side:
    """What one way of judging comes to."""

    states: dict[str, AnyState] = field(default_factory=dict)
    hits: dict[str, Hit] = field(default_factory=dict)
    assessments: dict[UUID, tuple[int, Assessment]] = field(default_factory=dict)
    """By withdrawal: the position of the last, and it."""


@dataclass
class Obvious:
    """Everything judged by both in one loop in one process."""

    in_force: Side = field(default_factory=Side)
    candidate: Side = field(default_factory=Side)
    score_below: dict[UUID, int] = field(default_factory=dict)
    closed: list[tuple[int, str, str]] = field(default_factory=list)

    def changed(self, first: int) -> dict[UUID, tuple[str, str]]:
        """Withdrawals that would have gone another way, with both ways."""
        found = {}
        for withdrawal, (position, after) in self.candidate.assessments.items():
            score_below = self.score_below[withdrawal]
            before = self.in_force.assessments[withdrawal][1]
            ways = (before.path(score_below).value, after.path(score_below).value)
            if position >= first and ways[0] != ways[1]:
                found[withdrawal] = ways
        return found


def judged_in_a_loop(database: Settings, terms: RuleSetTerms, name: str, before: int) -> Obvious:
    """The log up to before a position."""
    found = Obvious()
    live, candidate, score_below = Rules(DEFAULT_NAME, DEFAULT_TERMS), Rules(name, terms), 40
    for row in log(database):
        event = decode(row.topic, row.state, row.originator_id, row.originator_version)
        position = row.notification_id
        if isinstance(event, FraudCaseClosed):
            found.closed.append((position, event.subject, event.decision))
        if position >= before:
            continue
        said = signals(event, position)
        for side, rules in ((found.in_force, live), (found.candidate, candidate)):
            for signal in said:
                state, hits = JUDGE.judge(side.states.get(signal.subject), signal, rules)
                side.states[signal.subject] = state
                side.hits.update((hit.id, hit) for hit in hits)
            if said and isinstance(event, WithdrawalRequested | WithdrawalAmended):
                subjects = dict.fromkeys(signal.subject for signal in asked_about(said))
                counted = [hit for s in subjects for hit in weighed(side.states[s], s)]
                assessment = assess(counted, rules.terms, rules.name)
                side.assessments[event.originator_id] = (position, assessment)
                found.score_below[event.originator_id] = score_below
        if isinstance(event, RuleSetPublished):
            live = Rules(event.ruleset, event.terms)
        elif isinstance(event, ApprovalPolicyPublished):
            score_below = event.terms.score_below
    return found
