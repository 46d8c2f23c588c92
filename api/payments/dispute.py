"""Disputes: find them, and answer them. What providers say about them arrives as notices."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.http import declared
from api.http.answers import written
from api.http.as_of import PageQueryParameters, QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere, VersionedCaller
from api.http.free_text import Name
from api.http.paging import PageShown
from api.payments.requests import DisputeEvidenceBody, EvidenceNoteBody
from api.payments.responses import DisputeAnswer, DisputeShown
from api.payments.transactions import found, shown
from domain.dispute.decisions import DisputeStatus
from domain.errors import EvidenceMissing
from domain.events import DisputeOpened
from domain.events.evidence import DisputeStage
from ledger.commands.errors import TransactionNotFound
from projections.history.history import Filters

router = APIRouter(
    prefix="/v1/disputes", tags=["Disputes"], route_class=KeyedRoute, dependencies=KEYED
)
_ANSWERS = declared.errors(*declared.CHANGES, EvidenceMissing)


class Contested(PageQueryParameters):
    """Which disputes; everything given has to match."""

    status: list[DisputeStatus] = Field(
        default_factory=list, max_length=len(DisputeStatus), description="Any of these."
    )
    stage: DisputeStage | None = None
    provider: Name | None = None
    player_id: UUID | None = None
    deposit_id: UUID | None = None

    def filters(self) -> Filters:
        """As the read model has them."""
        return Filters(
            kinds=("dispute",),
            statuses=[status.value for status in self.status],
            stage=self.stage.value if self.stage else None,
            provider=self.provider,
            player_id=self.player_id,
            related_id=self.deposit_id,
        )


@router.get("", response_model=PageShown[DisputeShown], responses=queries())
async def list_disputes(contested: Annotated[Contested, Query()], request: Request) -> Response:
    """List disputes, newest first.

    With `as_of`, a page may hold fewer than asked for and still not be the last one.
    """
    return await found(request, contested, contested.filters())


@router.get("/{dispute_id}", response_model=DisputeShown, responses=queries(TransactionNotFound))
async def get_dispute(
    dispute_id: UUID, when: Annotated[QueryParameters, Query()], request: Request
) -> Response:
    """Show a dispute as it is right now: this reads the log, and is never behind."""
    return await shown(request, when, dispute_id, DisputeOpened)


@router.post("/{dispute_id}/evidence", response_model=DisputeAnswer, responses=_ANSWERS)
def submit_evidence(
    dispute_id: UUID, body: DisputeEvidenceBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Contest a dispute, with a note, documents or both. They are sent to the provider."""
    submitted = services.disputes.submit_evidence(
        dispute_id, note=body.note, documents=body.documents, caller=caller
    )
    return written(submitted, caller)


@router.post("/{dispute_id}/accept", response_model=DisputeAnswer, responses=_ANSWERS)
def accept_dispute(
    dispute_id: UUID, body: EvidenceNoteBody, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Do not contest a dispute, and say why. The provider is told."""
    return written(services.disputes.accept(dispute_id, body.note, caller), caller)
