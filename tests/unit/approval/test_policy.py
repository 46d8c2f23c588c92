"""The approval policy: one person proposes, another publishes, and each version has a name."""

from dataclasses import replace

import pytest

from domain.approval.policy import (
    DEFAULT_POLICY,
    DEFAULT_TERMS,
    Policy,
    evolve_policy,
    fold_policy,
    policy_stream,
    propose_or_publish_policy,
)
from domain.command import Command
from domain.errors import (
    CommandReused,
    DomainError,
    EvidenceMissing,
    InvalidPolicy,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    ApprovalPolicyProposed,
    ApprovalPolicyPublished,
    ApprovalTerms,
    ApprovalTier,
    PolicyEvent,
)
from tests.scenarios.scenario import by

STRICTER = replace(DEFAULT_TERMS, score_below=20)
STRICTEST = replace(DEFAULT_TERMS, score_below=0)


def said(state: Policy, who: str | Command, terms: ApprovalTerms) -> PolicyEvent:
    command = by(who, role="compliance") if isinstance(who, str) else who
    made = propose_or_publish_policy(state, command, terms=terms, note="agreed on Monday")
    assert made is not None
    return made


def after(state: Policy, *words: tuple[str, ApprovalTerms]) -> Policy:
    for who, terms in words:
        state = evolve_policy(state, said(state, who, terms))
    return state


def refused(state: Policy, who: str, terms: ApprovalTerms, note: str = "n") -> type[DomainError]:
    with pytest.raises(DomainError) as caught:
        propose_or_publish_policy(state, by(who, role="compliance"), terms=terms, note=note)
    return type(caught.value)


def test_the_default_is_in_force_until_another_is_published() -> None:
    assert fold_policy(None, ()) == DEFAULT_POLICY
    assert (DEFAULT_POLICY.name, DEFAULT_POLICY.terms) == ("default-1", DEFAULT_TERMS)
    proposed = after(DEFAULT_POLICY, ("ann", STRICTER))
    assert (proposed.name, proposed.terms) == ("default-1", DEFAULT_TERMS)


def test_it_takes_two_people() -> None:
    proposal = said(DEFAULT_POLICY, "ann", STRICTER)
    assert isinstance(proposal, ApprovalPolicyProposed)
    publication = said(evolve_policy(None, proposal), "ben", STRICTER)
    assert isinstance(publication, ApprovalPolicyPublished)
    published = fold_policy(None, (proposal, publication))
    assert (published.name, published.terms, published.proposal) == ("policy-1", STRICTER, None)
    assert (published.id, published.version) == (policy_stream(), 2)


def test_nobody_publishes_their_own_proposal() -> None:
    assert refused(after(DEFAULT_POLICY, ("ann", STRICTER)), "ann", STRICTER) is SelfApproval


def test_other_terms_replace_the_proposal() -> None:
    replaced = after(DEFAULT_POLICY, ("ann", STRICTER), ("ben", STRICTEST))
    assert replaced.proposal is not None
    assert (replaced.proposal.person, replaced.proposal.terms) == ("ben", STRICTEST)
    assert refused(replaced, "ben", STRICTEST) is SelfApproval
    assert after(replaced, ("ann", STRICTEST)).terms == STRICTEST


def test_versions_are_named_in_order() -> None:
    once = after(DEFAULT_POLICY, ("ann", STRICTER), ("ben", STRICTER))
    twice = after(once, ("ann", STRICTEST), ("ben", STRICTEST))
    assert (once.name, twice.name) == ("policy-1", "policy-2")


def test_what_is_in_force_cannot_be_proposed() -> None:
    assert refused(DEFAULT_POLICY, "ann", DEFAULT_TERMS) is NothingToChange


@pytest.mark.parametrize("note", ["", " \n"])
def test_a_policy_stands_on_something(note: str) -> None:
    assert refused(DEFAULT_POLICY, "ann", STRICTER, note) is EvidenceMissing


@pytest.mark.parametrize("role", ["administrator", "support", "platform", "auditor", ""])
def test_who_may_not_decide_on_payouts_proposes_no_policy(role: str) -> None:
    with pytest.raises(RoleNotAllowed):
        said(DEFAULT_POLICY, by("ann", role=role), STRICTER)


@pytest.mark.parametrize("role", ["fraud", "finance"])
def test_fraud_and_finance_propose_and_compliance_publishes(role: str) -> None:
    proposed = evolve_policy(None, said(DEFAULT_POLICY, by("ann", role=role), STRICTER))
    with pytest.raises(RoleNotAllowed):
        said(proposed, by("ben", role=role), STRICTER)
    published = after(proposed, ("cleo", STRICTER))
    assert published.terms == STRICTER


def test_a_proposal_sent_twice_counts_once() -> None:
    once = by("ann", role="compliance")
    proposed = evolve_policy(None, said(DEFAULT_POLICY, once, STRICTER))
    assert propose_or_publish_policy(proposed, once, terms=STRICTER, note="n") is None
    with pytest.raises(CommandReused):
        propose_or_publish_policy(
            proposed, replace(once, request_digest="other"), terms=STRICTER, note="n"
        )


def tiers(*limits: int | None, required: tuple[tuple[str, ...], ...] = ()) -> ApprovalTerms:
    made = tuple(ApprovalTier(limit_major=limit, required=required) for limit in limits)
    return replace(DEFAULT_TERMS, tiers=made)


@pytest.mark.parametrize(
    "terms",
    [
        replace(DEFAULT_TERMS, currency="EURO"),
        tiers(),
        tiers(500),
        tiers(None, None),
        tiers(None, 500, None),
        tiers(500, 500, None),
        tiers(500, 400, None),
        tiers(0, None),
        tiers(None, required=((),)),
        tiers(None, required=(("administrator",),)),
        tiers(None, required=(("fraud", "platform"),)),
        replace(DEFAULT_TERMS, high_required=(("support",),)),
        replace(DEFAULT_TERMS, score_below=-1),
        replace(DEFAULT_TERMS, score_below=102),
        replace(DEFAULT_TERMS, turnover_percent_min=-1),
        replace(DEFAULT_TERMS, approval_seconds=0),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: ApprovalTerms) -> None:
    assert refused(DEFAULT_POLICY, "ann", terms) is InvalidPolicy


@pytest.mark.parametrize(
    "terms",
    [
        tiers(None),
        tiers(1, None, required=(("compliance",), ("fraud", "finance"))),
        replace(DEFAULT_TERMS, score_below=101),
        replace(DEFAULT_TERMS, score_below=0),
        replace(DEFAULT_TERMS, high_required=()),
        replace(DEFAULT_TERMS, currency="JPY"),
    ],
)
def test_the_edges_of_what_makes_sense(terms: ApprovalTerms) -> None:
    assert isinstance(said(DEFAULT_POLICY, "ann", terms), ApprovalPolicyProposed)
