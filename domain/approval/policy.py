"""The approval policy: state · decisions · evolve. Who has to agree to a withdrawal, in versions.

One person proposes terms, another publishes them; every screening names the version it used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.command import Command, remember, repeated
from domain.errors import (
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
from domain.money import InvalidMoney, exponent
from domain.replacing import replace

APPROVERS: Final = frozenset({"fraud", "finance", "compliance"})
"""Roles a policy may ask for, and whose people may propose one."""

PUBLISHERS: Final = frozenset({"compliance"})
"""Whose people may publish what another one proposed."""

DEFAULT_TERMS: Final = ApprovalTerms(
    currency="EUR",
    tiers=(
        ApprovalTier(limit_major=500, required=()),
        ApprovalTier(limit_major=2_000, required=(("fraud", "finance"),)),
        ApprovalTier(limit_major=10_000, required=(("fraud",), ("finance",))),
        ApprovalTier(limit_major=None, required=(("fraud",), ("finance",), ("compliance",))),
    ),
    score_below=40,
    high_required=(("compliance",),),
    turnover_percent_min=0,
    approval_seconds=86_400,
)
"""Up to 500.00 nobody, up to 2,000.00 fraud or finance, up to 10,000.00 both, above that
compliance too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProposal:
    """The terms that one person would publish."""

    person: str
    terms: ApprovalTerms
    note: str
    command_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The terms in force."""

    id: UUID
    version: int
    name: str
    """Of these terms, as screenings record it."""
    terms: ApprovalTerms
    published: int
    """How many times terms have been published."""
    proposal: PolicyProposal | None = None
    commands: Mapping[UUID, str]


_STREAM: Final = uuid5(NAMESPACE_URL, "urn:tallystick:approval-policy")

DEFAULT_POLICY: Final = Policy(
    id=_STREAM, version=0, name="default-1", terms=DEFAULT_TERMS, published=0, commands={}
)
"""In force until another one is published."""


def policy_stream() -> UUID:
    """The one stream that all policies are in."""
    return _STREAM


def propose_or_publish_policy(
    state: Policy, command: Command, *, terms: ApprovalTerms, note: str
) -> ApprovalPolicyProposed | ApprovalPolicyPublished | None:
    """The first person's terms are a proposal; a second person's, if the same, are published.

    Other terms replace the proposal. None if this command did so already.

    Raises:
        InvalidPolicy: the terms make no sense.
        NothingToChange: they are in force.
        EvidenceMissing: there is no note.
        SelfApproval: the person who proposed them also publishes them.
        RoleNotAllowed: the person's role may not propose, or not publish.
    """
    if repeated(state.commands, command):
        return None
    if command.role not in APPROVERS:
        raise RoleNotAllowed(f"A policy is proposed by {', '.join(sorted(APPROVERS))}.")
    _check(terms)
    if not note.strip():
        raise EvidenceMissing
    if terms == state.terms:
        raise NothingToChange
    header = command.header(state.id, state.version + 1)
    if state.proposal is None or state.proposal.terms != terms:
        return ApprovalPolicyProposed(
            **header,
            request_digest=command.request_digest,
            person=command.person,
            terms=terms,
            note=note,
        )
    if state.proposal.person == command.person:
        raise SelfApproval("Another person than the one who proposed these terms has to agree.")
    if command.role not in PUBLISHERS:
        raise RoleNotAllowed(f"A policy is published by {' or '.join(PUBLISHERS)}.")
    return ApprovalPolicyPublished(
        **header,
        request_digest=command.request_digest,
        person=command.person,
        policy=f"policy-{state.published + 1}",
        terms=terms,
        note=note,
    )


def _check(terms: ApprovalTerms) -> None:
    try:
        exponent(terms.currency)
    except InvalidMoney as error:
        raise InvalidPolicy(str(error)) from error
    *limits, last = [tier.limit_major for tier in terms.tiers] or [0]
    if last is not None or None in limits:
        raise InvalidPolicy("The last tier of a policy has no limit, and only the last one.")
    known = [limit for limit in limits if limit is not None]
    if any(limit < 1 for limit in known) or any(low >= high for low, high in pairwise(known)):
        raise InvalidPolicy("The tiers of a policy begin above zero and rise.")
    groups = [group for tier in terms.tiers for group in tier.required] + [*terms.high_required]
    if any(not group or not APPROVERS.issuperset(group) for group in groups):
        raise InvalidPolicy(f"A policy can ask for: {', '.join(sorted(APPROVERS))}.")
    if not 0 <= terms.score_below <= 101:
        raise InvalidPolicy("Scores are from 0 to 100; 101 lets every score pass.")
    if terms.turnover_percent_min < 0:
        raise InvalidPolicy("The turnover asked for cannot be negative.")
    if terms.approval_seconds < 1:
        raise InvalidPolicy("An approval has to count for at least a second.")


def evolve_policy(state: Policy | None, event: PolicyEvent) -> Policy:
    """The policy after `event`; before the first, the default is in force."""
    state = state or DEFAULT_POLICY
    return replace(
        _changed(state, event),
        version=event.originator_version,
        commands=remember(state.commands, event),
    )


def _changed(state: Policy, event: PolicyEvent) -> Policy:
    match event:
        case ApprovalPolicyProposed():
            proposal = PolicyProposal(
                person=event.person,
                terms=event.terms,
                note=event.note,
                command_id=event.command_id,
            )
            return replace(state, proposal=proposal)
        case ApprovalPolicyPublished():
            return replace(
                state,
                name=event.policy,
                terms=event.terms,
                published=state.published + 1,
                proposal=None,
            )
        case _:
            assert_never(event)


def fold_policy(state: Policy | None, events: Iterable[PolicyEvent]) -> Policy:
    """The policy after `events`, in order; the default where there are none."""
    for event in events:
        state = evolve_policy(state, event)
    return state or DEFAULT_POLICY
