"""Signed checkpoints: what outsiders keep, so that the past cannot be changed behind them."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.http import declared
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere
from api.http.paging import (
    LIMIT_MAX,
    POSITION_MAX,
    PageShown,
    decode_cursor,
    encode_cursor,
    link_next,
)
from api.http.responses import Instant, Shown
from ledger.checkpoints.proving import CheckpointNotFound, SigningKeyNotFound
from ledger.checkpoints.signers import KnownSigner
from ledger.checkpoints.store import StoredCheckpoint

router = APIRouter(
    prefix="/v1/checkpoints", tags=["Proofs"], route_class=KeyedRoute, dependencies=KEYED
)

_TEXT: Final = "text/plain"
_JSON: Final = "application/json"
_AS_TEXT: Final = {
    "description": "The checkpoint; with `Accept: text/plain` the signed note itself.",
    "content": {_TEXT: {"schema": {"type": "string"}}},
}

Size = Annotated[
    int,
    Path(ge=0, le=POSITION_MAX, description="Of the log when it was signed.", examples=[4711]),
]


class CheckpointShown(Shown):
    """The log had this root when it had `size` events: signed, and so a promise."""

    size: int = Field(description="Events; also the position of the last.", examples=[4711])
    root: str = Field(description="SHA-256, hexadecimal, of the tree of `size` events.")
    key: str = Field(description="Who signed.", examples=["tallystick/1f0c113f+530d903a"])
    signed_at: Instant
    note: str = Field(
        description="The signed note (C2SP signed-note, tlog-checkpoint): keep this.",
        examples=["tallystick/1f0c113f\n4711\nmb8QLQIs…\n\n— tallystick/1f0c113f Uw2QOkn8…\n"],
    )

    @classmethod
    def of(cls, checkpoint: StoredCheckpoint) -> "CheckpointShown":
        return cls(
            size=checkpoint.size,
            root=checkpoint.root.hex(),
            key=checkpoint.key,
            signed_at=checkpoint.signed_at,
            note=checkpoint.note,
        )


class SigningKeyShown(Shown):
    """A key that signs checkpoints, or did."""

    id: str = Field(
        description="Its name and hash: `key` of a checkpoint.",
        examples=["tallystick/1f0c113f+530d903a"],
    )
    key: str = Field(
        description="The public key. Compare it with one that you were given another way.",
        examples=["tallystick/1f0c113f+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"],
    )
    began_at: Instant
    retired_at: Instant | None = Field(description="It signs no more.", examples=[None])
    reason: str | None = Field(description="Why it was retired.", examples=[None])

    @classmethod
    def of(cls, signer: KnownSigner) -> "SigningKeyShown":
        return cls(
            id=signer.key,
            key=signer.verifier,
            began_at=signer.began_at,
            retired_at=signer.retired_at,
            reason=signer.reason,
        )


class SigningKeysShown(Shown):
    """Every key there has been; the one that signs now comes first."""

    items: list[SigningKeyShown]


class CheckpointPage(BaseModel):
    """Which checkpoints."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(default=50, ge=1, le=LIMIT_MAX, description="Entries on a page.")
    cursor: str | None = Field(
        default=None,
        max_length=600,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="From `next_cursor` of the page before, or its Link header.",
    )

    def before(self) -> tuple[int, str] | None:
        """Where the page before ended: size and key."""
        if self.cursor is None:
            return None
        size, key = decode_cursor(self.cursor, int, str)
        return size, key


@router.get("", responses=declared.errors(*declared.KEYED))
def get_checkpoints(
    page: Annotated[CheckpointPage, Query()],
    request: Request,
    response: Response,
    services: ServicesHere,
) -> PageShown[CheckpointShown]:
    """List what was signed, newest first."""
    found = services.proving.checkpoints(page.before(), page.limit + 1)
    shown, more = found[: page.limit], len(found) > page.limit
    cursor = encode_cursor([shown[-1].size, shown[-1].key]) if more else None
    link_next(request, response, cursor=cursor)
    return PageShown(items=[CheckpointShown.of(each) for each in shown], next_cursor=cursor)


@router.get("/key", responses=declared.errors(*declared.KEYED, SigningKeyNotFound))
def get_signing_key(services: ServicesHere) -> SigningKeysShown:
    """Show the public keys that checkpoints are checked with."""
    return SigningKeysShown(items=[SigningKeyShown.of(each) for each in services.proving.signers()])


@router.get(
    "/latest",
    response_model=CheckpointShown,
    responses={200: _AS_TEXT, **declared.errors(*declared.KEYED, CheckpointNotFound)},
)
def get_latest_checkpoint(request: Request, services: ServicesHere) -> Response | CheckpointShown:
    """Show the newest checkpoint."""
    return _answer(request, services.proving.checkpoint(None))


@router.get(
    "/{size}",
    response_model=CheckpointShown,
    responses={200: _AS_TEXT, **declared.errors(*declared.KEYED, CheckpointNotFound)},
)
def get_checkpoint(
    size: Size, request: Request, services: ServicesHere
) -> Response | CheckpointShown:
    """Show the checkpoint of a size."""
    return _answer(request, services.proving.checkpoint(size))


def _answer(request: Request, checkpoint: StoredCheckpoint) -> Response | CheckpointShown:
    if _prefers_text(request.headers.get("accept", "")):
        return Response(checkpoint.note, media_type=_TEXT)
    return CheckpointShown.of(checkpoint)


def _prefers_text(accept: str) -> bool:
    """Whether text is asked for, and JSON is not: clients that take either name both."""
    return _TEXT in accept and _JSON not in accept
