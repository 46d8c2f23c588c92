"""Notices of providers: authentic ones are recorded as evidence, whatever they are about."""

from dataclasses import replace
from hashlib import sha256
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from api.admin.providers import ProviderName
from api.http import declared
from api.http.authentication import OpenRoute
from api.http.context import ServicesHere
from api.http.errors import BodyTooLarge, BodyUnsupported, NoticeRefused, RequestInvalid
from api.http.free_text import holds_card_number
from ledger.commands.errors import ProviderNotFound
from ledger.providers.protocol import DisputeNotice, InvalidNotice, ProviderNotice

router = APIRouter(prefix="/v1/providers", tags=["Providers"], route_class=OpenRoute)

DROPPED = "(dropped)"

_log = structlog.get_logger(__name__)


async def _raw_body(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw_body)]


@router.post(
    "/{name}/notices",
    status_code=204,
    responses={
        200: {
            "description": "Known already; without effect.",
            "content": {
                "application/json": {
                    "schema": {"type": "object", "properties": {"repeated": {"const": True}}},
                    "example": {"repeated": True},
                }
            },
        },
        **declared.errors(
            *declared.EVERYWHERE,
            *declared.APPENDS,
            NoticeRefused,
            ProviderNotFound,
            RequestInvalid,
            BodyTooLarge,
            BodyUnsupported,
        ),
    },
    openapi_extra={
        "requestBody": {
            "description": "As the provider sends it, with its signature in the headers.",
            "content": {"application/json": {"schema": {}}},
        }
    },
)
def receive_notice(
    name: ProviderName, raw_body: RawBody, request: Request, services: ServicesHere
) -> Response:
    """Take a provider's webhook.

    The provider's signature authenticates it; nothing of the body is read before that. What
    follows from the notice happens after this answer.
    """
    adapter = services.adapters.get(name)
    if adapter is None:
        raise ProviderNotFound(name)
    try:
        notice = adapter.parse_notice(request.headers, raw_body)
    except InvalidNotice as refusal:
        # What follows the colon may quote the body.
        _log.warning("notice.refused", provider=name, reason=refusal.reason.partition(":")[0])
        raise NoticeRefused from refusal
    kept = _without_card_data(notice)
    _, receipt = services.inbox.receive(name, kept, sha256(raw_body).hexdigest())
    if receipt is None:
        return JSONResponse({"repeated": True})
    return Response(status_code=204)


def _without_card_data(notice: ProviderNotice | DisputeNotice) -> ProviderNotice | DisputeNotice:
    """The notice without texts that hold a card number: the rest is evidence all the same."""
    reference = DROPPED if holds_card_number(notice.reference) else notice.reference
    if isinstance(notice, DisputeNotice):
        named = notice.dispute_reference
        return replace(
            notice,
            reference=reference,
            dispute_reference=DROPPED if holds_card_number(named) else named,
            reason_code=_kept(notice.reason_code),
        )
    answer = notice.answer
    return replace(
        notice,
        reference=reference,
        answer=replace(
            answer,
            provider_reference=_kept(answer.provider_reference),
            raw_code=_kept(answer.raw_code),
            redirect_url=_kept(answer.redirect_url),
        ),
    )


def _kept(text: str | None) -> str | None:
    return DROPPED if text is not None and holds_card_number(text) else text
