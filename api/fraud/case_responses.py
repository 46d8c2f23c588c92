"""What the API shows of fraud cases."""

from typing import Any
from uuid import UUID

from pydantic import Field

from api.fraud.responses import CaseHitShown
from api.http.responses import Instant, Shown
from domain.fraud.case import FraudCase
from projections.fraud_cases.fraud_cases import FraudCaseRow


class CaseListed(Shown):
    """A case in short."""

    id: UUID
    subject: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"])
    number: int = Field(description="Of the subject's cases, from 1.", examples=[1])
    status: str = Field(description="`open`, `waiting` or `closed`.", examples=["open"])
    severity: str = Field(description="The worst of its hits'.", examples=["high"])
    indicators: list[str] = Field(description="That hit, as they came.", examples=[["structuring"]])
    hits_count: int = Field(examples=[1])
    opened_at: Instant
    updated_at: Instant
    assigned_to: str | None = Field(examples=["ben"])
    decision: str | None = Field(
        description="`confirmed`, `false_positive` or `inconclusive`.", examples=[None]
    )
    reason: str | None = Field(description="Of the decision.", examples=[None])
    closed_at: Instant | None

    @classmethod
    def of(cls, case: FraudCase | FraudCaseRow) -> "CaseListed":
        return cls(
            id=case.id,
            subject=case.subject,
            number=case.number,
            status=case.status,
            severity=case.severity,
            indicators=list(case.indicators),
            hits_count=case.hits_count,
            opened_at=case.opened_at,
            updated_at=case.updated_at,
            assigned_to=case.assigned_to,
            decision=case.decision,
            reason=case.reason,
            closed_at=case.closed_at,
        )


class CaseNoteShown(Shown):
    """What somebody wrote down, and on which occasion."""

    at: Instant
    person: str = Field(examples=["ben"])
    kind: str = Field(
        description="`note`, `information_requested`, `information_received`, `hold_placed`,"
        " `hold_lifted`, `closure_proposed` or `closed`.",
        examples=["note"],
    )
    note: str = Field(examples=["The card belongs to the player's spouse; statement seen."])


class CaseHoldShown(Shown):
    """A hold that was placed from the case, and not lifted from it."""

    player_id: UUID
    hold: str = Field(examples=["fraud"])


class ClosureProposalShown(Shown):
    """How one person would close the case; another one has to agree to it, by its id."""

    id: UUID = Field(examples=["0b0c3f4e-3f1c-5d7e-9a70-0f4c5a1b2c3d"])
    at: Instant
    person: str = Field(examples=["ben"])
    decision: str = Field(examples=["false_positive"])
    reason: str = Field(examples=["Both accounts belong to the same, verified household."])


class FraudCaseShown(CaseListed):
    """A case: the evidence, what was done about it, and how it ended."""

    player_ids: list[UUID] = Field(description="Whom it is about, as far as hits name them.")
    hits: list[CaseHitShown] = Field(description="The first 200, as they came.")
    notes: list[CaseNoteShown] = Field(description="In order.")
    information_asked: bool = Field(
        description="Somebody was asked for something that has not come.", examples=[False]
    )
    holds: list[CaseHoldShown]
    proposal: ClosureProposalShown | None
    closed_by: str | None = Field(examples=[None])
    closure_proposed_by: str | None = Field(
        description="The other person, where it took two.", examples=[None]
    )
    version: int = Field(description="Also its ETag.", examples=[3])


class FraudCaseWithReports(FraudCaseShown):
    """A case, for those who may know which reports were written of it."""

    reports: list[UUID] = Field(description="The latest first: see /v1/reports.")


def shown(case: FraudCase) -> FraudCaseShown:
    """A case as it is shown to all who may see cases."""
    proposal = case.proposal
    values: dict[str, Any] = {
        **CaseListed.of(case).model_dump(),
        "player_ids": case.player_ids,
        "hits": [CaseHitShown.of(hit) for hit in case.hits],
        "notes": [
            CaseNoteShown(at=one.at, person=one.person, kind=one.kind, note=one.note)
            for one in case.notes
        ],
        "information_asked": case.asked,
        "holds": [CaseHoldShown(player_id=player_id, hold=hold) for player_id, hold in case.holds],
        "proposal": proposal
        and ClosureProposalShown(
            id=proposal.id,
            at=proposal.at,
            person=proposal.person,
            decision=proposal.decision,
            reason=proposal.reason,
        ),
        "closed_by": case.closed_by,
        "closure_proposed_by": case.closure_proposed_by,
        "version": case.version,
    }
    return FraudCaseShown.model_validate(values)
