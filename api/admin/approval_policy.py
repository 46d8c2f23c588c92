"""The approval policy: who has to agree to a withdrawal."""

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.admin.requests import PolicyBody
from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere
from api.http.reading import viewing
from api.http.responses import Shown
from domain.approval.policy import Policy, PolicyProposal, fold_policy, policy_stream
from domain.errors import (
    EvidenceMissing,
    InvalidPolicy,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import ApprovalTerms, PolicyEvent

router = APIRouter(
    prefix="/v1/approval-policy",
    tags=["Policies and rates"],
    route_class=KeyedRoute,
    dependencies=KEYED,
)
_PROPOSES = declared.errors(
    *declared.WRITES, InvalidPolicy, NothingToChange, EvidenceMissing, RoleNotAllowed, SelfApproval
)


class TierShown(Shown):
    """Up to a limit, who has to agree."""

    limit_major: int | None = Field(
        description="Whole units of the policy's currency; null: no limit.", examples=[2_000]
    )
    required: list[list[str]] = Field(
        description="One person for each group, who has any role of it.",
        examples=[[["fraud", "finance"]]],
    )


class TermsShown(Shown):
    """What a policy says."""

    currency: str = Field(
        description="Of the tiers' limits; other amounts are compared at the rates in force.",
        examples=["EUR"],
    )
    tiers: list[TierShown] = Field(description="Lowest first.")
    score_below: int = Field(
        description="Without people only below this risk score.", examples=[40]
    )
    high_required: list[list[str]] = Field(
        description="Who else has to agree when an indicator is high.",
        examples=[[["compliance"]]],
    )
    turnover_percent_min: int = Field(
        description="Wagered, of what was deposited; 0 asks for nothing.", examples=[0]
    )
    approval_seconds: int = Field(description="How long an approval counts.", examples=[86_400])

    @classmethod
    def of(cls, terms: ApprovalTerms) -> "TermsShown":
        return cls(
            currency=terms.currency,
            tiers=[
                TierShown(limit_major=tier.limit_major, required=_groups(tier.required))
                for tier in terms.tiers
            ],
            score_below=terms.score_below,
            high_required=_groups(terms.high_required),
            turnover_percent_min=terms.turnover_percent_min,
            approval_seconds=terms.approval_seconds,
        )


class PolicyProposalShown(Shown):
    """Terms that one person would publish; another has to send the same."""

    person: str = Field(examples=["anna"])
    terms: TermsShown
    note: str = Field(examples=["As decided by the board on 3 May."])

    @classmethod
    def of(cls, proposal: PolicyProposal) -> "PolicyProposalShown":
        terms = TermsShown.of(proposal.terms)
        return cls(person=proposal.person, terms=terms, note=proposal.note)


class PolicyShown(Shown):
    """The terms in force, and what is proposed."""

    name: str = Field(description="As screenings record it.", examples=["policy-1"])
    terms: TermsShown
    proposal: PolicyProposalShown | None
    version: int = Field(examples=[2])

    @classmethod
    def of(cls, policy: Policy) -> "PolicyShown":
        return cls(
            name=policy.name,
            terms=TermsShown.of(policy.terms),
            proposal=PolicyProposalShown.of(policy.proposal) if policy.proposal else None,
            version=policy.version,
        )


@router.get("", responses=queries())
async def get_approval_policy(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> PolicyShown:
    """Show by which terms withdrawals are screened right now, and what is proposed.

    This reads the log, and is never behind. Before the first were published, they are our own.
    """
    async with viewing(request, when) as view:
        told = await log_reading.events(view.connection, [policy_stream()], view.upto)
    policy = fold_policy(None, cast("list[PolicyEvent]", told.get(policy_stream(), [])))
    view.mark(response)
    response.headers["etag"] = etag(policy.version)
    return PolicyShown.of(policy)


@router.post(
    "",
    status_code=201,
    responses={202: {"model": PolicyShown, "description": "Proposed"}, **_PROPOSES},
)
def propose_approval_policy(
    body: PolicyBody, caller: CallerHere, services: ServicesHere, response: Response
) -> PolicyShown:
    """Propose terms, or publish those that another person has proposed.

    The first person is answered with 202; a second person who sends the same terms publishes
    them, and is answered with 201. Other terms replace the proposal.
    """
    policy = services.policies.propose(body.terms.terms(), body.note, caller)
    response.status_code = 202 if policy.proposal else 201
    response.headers["etag"] = etag(policy.version)
    response.headers["location"] = "/v1/approval-policy"
    return PolicyShown.of(policy)


def _groups(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(group) for group in groups]
