"""Proofs: that an event is in the log, and that the log was only ever added to.

From a receipt to a checkpoint that an outsider holds: ask for the inclusion of the receipt's
`position` in the checkpoint's `size`, and for the consistency of the receipt's `size` with it. The
first leads from the receipt's leaf to the checkpoint's root, the second from root to root.
Source: RFC 6962 and RFC 9162, section 2.1.
"""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.http import declared
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere
from api.http.paging import POSITION_MAX
from api.http.responses import Shown
from api.permissions import denied
from api.withholding import not_whole_for
from domain.errors import RoleNotAllowed
from ledger.checkpoints.proof_files import consistency_json, inclusion_json
from ledger.checkpoints.proving import LogNotAsSigned, PositionBeyondLog, SizesInvalid

router = APIRouter(prefix="/v1/proofs", tags=["Proofs"], route_class=KeyedRoute, dependencies=KEYED)

_PROOFS = (*declared.KEYED, PositionBeyondLog, SizesInvalid, LogNotAsSigned)
_LEAF = "0b2c41c1a6ef04e5e06eb1d4d0ba5f6f3e35a0b0a6d53e5d3e1a3dd5a4f4b5c6"

Digest = Annotated[str, Field(description="SHA-256, hexadecimal.", examples=[_LEAF])]
Hashes = Annotated[
    list[str], Field(description="SHA-256, hexadecimal, from the leaves up.", examples=[[_LEAF]])
]
Note = Annotated[
    str | None, Field(description="Signed at exactly this size; null if none.", examples=[None])
]


class InclusionWanted(BaseModel):
    """Which event, in which tree."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    position: int = Field(ge=1, le=POSITION_MAX, description="Of the event.", examples=[1])
    size: int | None = Field(
        default=None,
        ge=1,
        le=POSITION_MAX,
        description="Of the tree. By default that of the first checkpoint that covers the event,"
        " or of the whole log where none does yet.",
    )


class ConsistencyWanted(BaseModel):
    """Which two trees."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    old_size: int = Field(
        alias="from", ge=0, le=POSITION_MAX, description="Size of the older tree.", examples=[1]
    )
    new_size: int | None = Field(
        default=None,
        alias="to",
        ge=0,
        le=POSITION_MAX,
        description="Size of the newer tree; by default the whole log.",
    )


class ProvedEventShown(Shown):
    """What a leaf is the hash of, beside the position: enough to compute it."""

    stream: UUID
    version: int = Field(examples=[1])
    topic: str = Field(examples=["DepositCreated"])
    recorded_at_us: int = Field(
        description="Microseconds since 1970.", examples=[1_777_802_400_000_000]
    )
    state: str = Field(description="The stored JSON, byte for byte.", examples=["{…}"])


class InclusionShown(Shown):
    """The event at `position` is in the tree of `size` events and this root."""

    kind: Literal["inclusion"]
    position: int = Field(examples=[4711])
    index: int = Field(description="Of the leaf, counted from 0.", examples=[4710])
    leaf: Digest
    size: int = Field(examples=[4711])
    root: Digest
    hashes: Hashes
    checkpoint: Note
    event: ProvedEventShown


class ConsistencyShown(Shown):
    """The tree of `new_size` events begins with that of `old_size`."""

    kind: Literal["consistency"]
    old_size: int = Field(examples=[4711])
    old_root: Digest
    new_size: int = Field(examples=[4800])
    new_root: Digest
    hashes: Hashes
    old_checkpoint: Note
    new_checkpoint: Note


@router.get("/inclusion", responses=declared.errors(*_PROOFS, RoleNotAllowed))
def get_inclusion_proof(
    wanted: Annotated[InclusionWanted, Query()], services: ServicesHere, request: Request
) -> InclusionShown:
    """Prove that an event is in the log as it was signed.

    It holds the event itself, and so is only for who may see all of that.
    """
    found = services.proving.inclusion(wanted.position, wanted.size)
    if found.event.topic in not_whole_for(str(request.state.role)):
        raise denied(request, "see this event")
    return InclusionShown.model_validate(inclusion_json(found))


@router.get("/consistency", responses=declared.errors(*_PROOFS))
def get_consistency_proof(
    wanted: Annotated[ConsistencyWanted, Query()], services: ServicesHere
) -> ConsistencyShown:
    """Prove that between two sizes the log was only added to."""
    found = services.proving.consistency(wanted.old_size, wanted.new_size)
    return ConsistencyShown.model_validate(consistency_json(found))
