"""Rule sets: drafted by one person, published by another, and only terms that can be used."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from domain.command import Command
from domain.conversion.rates import RATE_TERM_MAX
from domain.errors import (
    CommandReused,
    DomainError,
    EvidenceMissing,
    InvalidRuleSet,
    InvalidTransition,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    IndicatorTerms,
    Rate,
    RuleSetDiscarded,
    RuleSetDrafted,
    RuleSetEvent,
    RuleSetPublished,
    RuleSetTerms,
    Threshold,
)
from domain.fraud.indicators.catalogue import BY_CODE, INDICATORS
from domain.fraud.ruleset import (
    DEFAULT_NAME,
    DEFAULT_TERMS,
    NO_RULESETS,
    RuleSets,
    RuleSetStatus,
    discard_ruleset,
    draft_ruleset,
    evolve_rulesets,
    fold_rulesets,
    publish_ruleset,
    ruleset_stream,
)
from domain.fraud.ruleset_checks import RISING, checked_terms
from tests.scenarios.scenario import by

STRICTER = replace(DEFAULT_TERMS, hold_from=60)
STRICTEST = replace(DEFAULT_TERMS, hold_from=50)


def drafted(
    state: RuleSets, who: str | Command, terms: RuleSetTerms = STRICTER
) -> tuple[RuleSets, UUID]:
    """The rule sets with a draft, and its id."""
    command = by(who, role="fraud") if isinstance(who, str) else who
    event = draft_ruleset(state, command, terms=terms, note="too many got through")
    assert event is not None
    return evolve_rulesets(state, event), event.ruleset_id


def published(state: RuleSets, ruleset_id: UUID, who: str = "cleo") -> RuleSets:
    command = by(who, role="compliance")
    event = publish_ruleset(state, command, ruleset_id=ruleset_id, note="looked at a backtest")
    assert event is not None
    return evolve_rulesets(state, event)


def discarded(state: RuleSets, ruleset_id: UUID) -> RuleSets:
    command = by("cleo", role="compliance")
    event = discard_ruleset(state, command, ruleset_id=ruleset_id, note="too strict")
    assert event is not None
    return evolve_rulesets(state, event)


def refusal(decide: Callable[[], object]) -> DomainError:
    with pytest.raises(DomainError) as caught:
        decide()
    return caught.value


# --- who and when -------------------------------------------------------------------------------


def test_the_default_is_in_force_until_another_is_published() -> None:
    assert fold_rulesets(None, ()) == NO_RULESETS
    state, _ = drafted(NO_RULESETS, "ann")
    assert (state.live_name, state.live_terms, state.live_id) == (DEFAULT_NAME, DEFAULT_TERMS, None)


def test_one_person_drafts_and_another_publishes() -> None:
    draft = draft_ruleset(NO_RULESETS, by("ann", role="fraud"), terms=STRICTER, note="stricter")
    assert isinstance(draft, RuleSetDrafted)
    state = evolve_rulesets(None, draft)
    publication = publish_ruleset(
        state, by("cleo", role="compliance"), ruleset_id=draft.ruleset_id, note="agreed"
    )
    assert isinstance(publication, RuleSetPublished)
    state = fold_rulesets(None, (draft, publication))
    assert (state.id, state.version) == (ruleset_stream(), 2)
    assert (state.live_name, state.live_terms) == ("rules-1", STRICTER)
    version = state.versions[draft.ruleset_id]
    assert state.live_id == version.id == draft.command_id
    assert (version.status, version.drafted_by) == (RuleSetStatus.PUBLISHED, "ann")
    assert (version.note, version.decided_by) == ("stricter", "cleo")
    assert (version.decided_at, version.decision_note) == (publication.occurred_at, "agreed")


def test_nobody_publishes_their_own_draft() -> None:
    state, ruleset_id = drafted(NO_RULESETS, by("cleo", role="compliance"))
    refused = refusal(
        lambda: publish_ruleset(
            state, by("cleo", role="compliance"), ruleset_id=ruleset_id, note="n"
        )
    )
    assert type(refused) is SelfApproval


@pytest.mark.parametrize("role", ["administrator", "finance", "support", "platform", "auditor", ""])
def test_only_fraud_and_compliance_have_to_do_with_rule_sets(role: str) -> None:
    state, ruleset_id = drafted(NO_RULESETS, "ann")
    command = by("ann", role=role)
    for decide in (
        lambda: draft_ruleset(state, command, terms=STRICTEST, note="n"),
        lambda: publish_ruleset(state, command, ruleset_id=ruleset_id, note="n"),
        lambda: discard_ruleset(state, command, ruleset_id=ruleset_id, note="n"),
    ):
        assert type(refusal(decide)) is RoleNotAllowed


def test_fraud_publishes_nothing() -> None:
    state, ruleset_id = drafted(NO_RULESETS, "ann")
    command = by("ben", role="fraud")
    refused = refusal(lambda: publish_ruleset(state, command, ruleset_id=ruleset_id, note="n"))
    assert type(refused) is RoleNotAllowed


def test_a_draft_is_discarded_by_its_author_or_by_compliance() -> None:
    state, ruleset_id = drafted(NO_RULESETS, "ann")
    for command in (by("ann", role="fraud"), by("cleo", role="compliance")):
        event = discard_ruleset(state, command, ruleset_id=ruleset_id, note="n")
        assert isinstance(event, RuleSetDiscarded)
        left = evolve_rulesets(state, event).versions[ruleset_id]
        assert (left.status, left.decided_by) == (RuleSetStatus.DISCARDED, command.person)
    other = by("ben", role="fraud")
    refused = refusal(lambda: discard_ruleset(state, other, ruleset_id=ruleset_id, note="n"))
    assert type(refused) is RoleNotAllowed


def test_names_follow_the_order_of_drafting_whatever_becomes_of_them() -> None:
    state, first = drafted(NO_RULESETS, "ann", STRICTER)
    state, second = drafted(state, "ben", STRICTEST)
    state = published(discarded(state, first), second)
    state, third = drafted(state, "ann", STRICTER)
    assert [state.versions[one].name for one in (first, second, third)] == [
        "rules-1",
        "rules-2",
        "rules-3",
    ]
    assert list(state.versions) == [first, second, third]


@pytest.mark.parametrize("terms", [DEFAULT_TERMS, STRICTER])
def test_what_is_in_force_cannot_be_drafted(terms: RuleSetTerms) -> None:
    state = NO_RULESETS
    if terms is STRICTER:
        state = published(*drafted(state, "ann", STRICTER))
    command = by("ann", role="fraud")
    reordered = replace(terms, rates=terms.rates[::-1])
    for same in (terms, reordered):
        refused = refusal(lambda same=same: draft_ruleset(state, command, terms=same, note="n"))
        assert type(refused) is NothingToChange


def test_a_draft_that_another_was_published_over_is_superseded() -> None:
    """It would silently take back what the other one changed."""
    state, first = drafted(NO_RULESETS, "ann", STRICTER)
    state, second = drafted(state, "ann", STRICTEST)
    state = published(state, second)
    assert state.is_superseded(state.versions[first])
    assert not state.is_superseded(state.versions[second])
    refused = refusal(lambda: published(state, first))
    assert type(refused) is InvalidTransition
    assert refused.detail == "A rule set that is superseded cannot be: published."
    again, draft = drafted(discarded(state, first), "ann", STRICTER)
    assert published(again, draft).live_terms == STRICTER


@pytest.mark.parametrize("note", ["", " \n"])
def test_every_step_stands_on_a_note(note: str) -> None:
    state, ruleset_id = drafted(NO_RULESETS, "ann")
    command = by("cleo", role="compliance")
    for decide in (
        lambda: draft_ruleset(state, command, terms=STRICTEST, note=note),
        lambda: publish_ruleset(state, command, ruleset_id=ruleset_id, note=note),
        lambda: discard_ruleset(state, command, ruleset_id=ruleset_id, note=note),
    ):
        assert type(refusal(decide)) is EvidenceMissing


# --- every state and every command --------------------------------------------------------------

STATES: Mapping[str, Callable[[], tuple[RuleSets, UUID]]] = {
    "draft": lambda: drafted(NO_RULESETS, "ann"),
    "published": lambda: _then(published),
    "discarded": lambda: _then(discarded),
}


def _then(change: Callable[[RuleSets, UUID], RuleSets]) -> tuple[RuleSets, UUID]:
    state, ruleset_id = drafted(NO_RULESETS, "ann")
    return change(state, ruleset_id), ruleset_id


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("decision", [publish_ruleset, discard_ruleset])
def test_only_a_draft_is_decided(status: str, decision: Callable[..., RuleSetEvent | None]) -> None:
    state, ruleset_id = STATES[status]()
    command = by("cleo", role="compliance")
    if status == "draft":
        event = decision(state, command, ruleset_id=ruleset_id, note="n")
        assert event is not None
        assert event.originator_version == state.version + 1
        return
    refused = refusal(lambda: decision(state, command, ruleset_id=ruleset_id, note="n"))
    assert type(refused) is InvalidTransition


@pytest.mark.parametrize("status", STATES)
def test_anybody_may_draft_whatever_became_of_earlier_ones(status: str) -> None:
    state, _ = STATES[status]()
    after, ruleset_id = drafted(state, "ben", STRICTEST)
    assert after.versions[ruleset_id].name == "rules-2"


def test_all_states_are_listed() -> None:
    assert set(STATES) == set(RuleSetStatus)


@pytest.mark.parametrize("decision", [publish_ruleset, discard_ruleset])
def test_a_decision_sent_twice_is_taken_once(
    decision: Callable[..., RuleSetEvent | None],
) -> None:
    state, ruleset_id = drafted(NO_RULESETS, "ann")
    once = by("cleo", role="compliance")
    event = decision(state, once, ruleset_id=ruleset_id, note="n")
    assert event is not None
    after = evolve_rulesets(state, event)
    assert decision(after, once, ruleset_id=ruleset_id, note="n") is None
    other = replace(once, request_digest="other")
    refused = refusal(lambda: decision(after, other, ruleset_id=ruleset_id, note="n"))
    assert type(refused) is CommandReused


def test_a_draft_sent_twice_is_one() -> None:
    once = by("ann", role="fraud")
    state, _ = drafted(NO_RULESETS, once)
    assert draft_ruleset(state, once, terms=STRICTER, note="n") is None


def test_what_is_not_there_is_not_decided() -> None:
    with pytest.raises(KeyError):
        publish_ruleset(NO_RULESETS, by("cleo"), ruleset_id=uuid4(), note="n")


# --- terms --------------------------------------------------------------------------------------


def having(code: str, **changes: object) -> RuleSetTerms:
    """The default with that indicator's terms changed."""
    return replace(
        DEFAULT_TERMS,
        indicators=tuple(
            replace(one, **changes) if one.indicator == code else one
            for one in DEFAULT_TERMS.indicators
        ),
    )


def at(code: str, **values: int) -> RuleSetTerms:
    """The default with these thresholds of that indicator."""
    found = next(one for one in DEFAULT_TERMS.indicators if one.indicator == code)
    return having(
        code,
        thresholds=tuple(
            replace(one, value=values.get(one.name, one.value)) for one in found.thresholds
        ),
    )


def test_the_default_can_be_used_and_is_as_it_would_be_recorded() -> None:
    assert checked_terms(DEFAULT_TERMS) == DEFAULT_TERMS


def test_rates_are_recorded_in_the_order_of_currencies() -> None:
    reordered = replace(STRICTER, rates=STRICTER.rates[::-1])
    state, ruleset_id = drafted(NO_RULESETS, "ann", reordered)
    assert state.versions[ruleset_id].terms == STRICTER


FIRST, SECOND = DEFAULT_TERMS.indicators[:2]
REST = DEFAULT_TERMS.indicators[2:]
UNHEARD = IndicatorTerms(indicator="bad_luck", mode="live", thresholds=())
EURO = Rate(currency="EUR", numerator=1, denominator=1)
DOLLAR = Rate(currency="USD", numerator=109, denominator=100)


def rated(*rates: Rate, base: str = "EUR") -> RuleSetTerms:
    pound = Rate(currency="GBP", numerator=86, denominator=100)
    return replace(DEFAULT_TERMS, base=base, rates=(pound, *rates))


UNUSABLE = [
    (replace(DEFAULT_TERMS, indicators=()), "due_diligence_threshold is missing; name it"),
    (
        replace(DEFAULT_TERMS, indicators=(FIRST, *REST)),
        "vulnerability_check is missing; name it, with mode off",
    ),
    (
        replace(DEFAULT_TERMS, indicators=(FIRST, FIRST, SECOND, *REST)),
        "due_diligence_threshold is named more than once; name it once",
    ),
    (
        replace(DEFAULT_TERMS, indicators=(SECOND, FIRST, *REST)),
        "vulnerability_check is named where due_diligence_threshold belongs; name the indicators",
    ),
    (
        replace(DEFAULT_TERMS, indicators=(*DEFAULT_TERMS.indicators, UNHEARD)),
        "no indicator 'bad_luck'; take it out",
    ),
    (having("velocity", mode="on"), "velocity has the mode 'on'; use live, shadow or off"),
    (
        having("velocity", thresholds=()),
        "hour_deposits of velocity is missing; name hour_deposits, day_deposits, in this order",
    ),
    (
        having(
            "velocity",
            thresholds=(
                Threshold(name="day_deposits", value=20),
                Threshold(name="hour_deposits", value=10),
            ),
        ),
        "thresholds of velocity are not in order; name hour_deposits, day_deposits",
    ),
    (
        having(
            "velocity",
            thresholds=(
                Threshold(name="hour_deposits", value=10),
                Threshold(name="hour_deposits", value=10),
            ),
        ),
        "hour_deposits of velocity is named more than once; name hour_deposits, day_deposits",
    ),
    (
        having("excluded_deposit", thresholds=(Threshold(name="deposits", value=1),)),
        "excluded_deposit has no threshold 'deposits'; leave them out",
    ),
    (replace(DEFAULT_TERMS, score_low=-1), "score_low is -1; use a whole number from 0 to 100"),
    (replace(DEFAULT_TERMS, score_high=101), "score_high is 101; use a whole number from 0 to"),
    (replace(DEFAULT_TERMS, score_low=26), "make score_medium at least score_low"),
    (replace(DEFAULT_TERMS, score_medium=51), "score_high at least score_medium"),
    (replace(DEFAULT_TERMS, hold_from=0), "hold_from is 0; use a score from 1 to 100, or 101"),
    (replace(DEFAULT_TERMS, hold_from=102), "hold_from is 102; use a score from 1 to 100, or 101"),
    (rated(base="EURO"), "base: 'EURO' is not an ISO 4217 currency"),
    (rated(replace(DOLLAR, currency="ABC")), "rates: 'ABC' is not an ISO 4217 currency"),
    (rated(EURO), "EUR is the base and has no rate of its own; take it out"),
    (rated(DOLLAR, DOLLAR), "The rate of USD is listed twice; list it once"),
    (rated(replace(DOLLAR, numerator=0)), "rate of USD is 0/100; use whole numbers from 1"),
    (rated(replace(DOLLAR, denominator=-1)), "rate of USD is 109/-1; use whole numbers from 1"),
    (rated(replace(DOLLAR, numerator=RATE_TERM_MAX + 1)), "rate of USD is"),
    (
        replace(DEFAULT_TERMS, rates=(DOLLAR,)),
        "net_minor of vulnerability_check is in GBP, which has no rate; list one",
    ),
    (
        replace(DEFAULT_TERMS, base="USD", rates=(replace(DOLLAR, currency="GBP"),)),
        "sum_minor of due_diligence_threshold is in EUR, which has no rate; list one",
    ),
]


@pytest.mark.parametrize(("terms", "remedy"), UNUSABLE, ids=[remedy for _, remedy in UNUSABLE])
def test_terms_that_cannot_be_used_are_refused_with_what_to_change(
    terms: RuleSetTerms, remedy: str
) -> None:
    command = by("ann", role="fraud")
    refused = refusal(lambda: draft_ruleset(NO_RULESETS, command, terms=terms, note="n"))
    assert type(refused) is InvalidRuleSet
    assert remedy in refused.detail


PARAMETERS = [(one.code, parameter) for one in INDICATORS for parameter in one.parameters]


@pytest.mark.parametrize(
    ("code", "name"), [(code, parameter.name) for code, parameter in PARAMETERS]
)
def test_each_threshold_is_within_what_its_declaration_allows(code: str, name: str) -> None:
    declared = next(one for one in BY_CODE[code].parameters if one.name == name)
    for outside in (declared.least - 1, declared.most + 1, float(declared.default), True):
        refused = refusal(lambda outside=outside: checked_terms(at(code, **{name: outside})))
        assert type(refused) is InvalidRuleSet
        assert f"The threshold {name} of {code} is" in refused.detail
        assert f"from {declared.least} to {declared.most}" in refused.detail


@pytest.mark.parametrize(
    ("code", "lower", "upper", "strict"),
    [
        (code, lower, upper, strict)
        for code, names, strict in RISING
        for lower, upper in pairwise(names)
    ],
)
def test_thresholds_that_belong_together_rise(
    code: str, lower: str, upper: str, strict: bool
) -> None:
    default = {one.name: one.default for one in BY_CODE[code].parameters}[upper]
    equal, falling = at(code, **{lower: default}), at(code, **{lower: default + 1})
    if not strict:
        assert checked_terms(equal) == equal
    for terms in (falling, equal) if strict else (falling,):
        refused = refusal(lambda terms=terms: checked_terms(terms))
        assert type(refused) is InvalidRuleSet
        assert f"The threshold {upper} of {code}" in refused.detail
        assert f"make {upper}" in refused.detail


@pytest.mark.parametrize(
    "terms",
    [
        replace(DEFAULT_TERMS, score_low=0, score_medium=0, score_high=0),
        replace(DEFAULT_TERMS, score_low=100, score_medium=100, score_high=100),
        replace(DEFAULT_TERMS, hold_from=1),
        replace(DEFAULT_TERMS, hold_from=101),
        rated(),
        rated(replace(EURO, numerator=RATE_TERM_MAX), base="USD"),
        having("velocity", mode="off"),
        having("structuring", mode="shadow"),
        at("closed_loop", excess_minor=0),
    ],
)
def test_the_edges_of_what_can_be_used(terms: RuleSetTerms) -> None:
    assert {*checked_terms(terms).rates} == {*terms.rates}


def test_a_draft_is_checked_again_when_it_is_published() -> None:
    """Another release may know other indicators than when it was drafted."""
    state, ruleset_id = drafted(NO_RULESETS, "ann")
    outdated = replace(STRICTER, indicators=STRICTER.indicators[:-1])
    version = replace(state.versions[ruleset_id], terms=outdated)
    older = replace(state, versions={ruleset_id: version})
    assert type(refusal(lambda: published(older, ruleset_id))) is InvalidRuleSet
