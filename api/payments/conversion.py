"""Conversions: ask for a quote, take it, resolve. Reading them is in `transactions.py`."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.http import declared
from api.http.answers import written
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere, VersionedCaller
from api.payments.requests import NewQuote, ResolveConversionBody
from api.payments.responses import ConversionAnswer
from domain.errors import (
    AmountTooSmall,
    EvidenceMissing,
    InvalidQuote,
    InvalidRate,
    InvalidResolution,
    QuoteExpired,
    RateMissing,
    SameCurrency,
    SelfApproval,
)
from domain.money import InvalidMoney
from ledger.commands.conversion import QuoteConversion
from ledger.commands.errors import NoRates, PlayerNotFound, ProviderNotFound
from ledger.providers.protocol import QuoteUnavailable

router = APIRouter(
    prefix="/v1/conversions", tags=["Conversions"], route_class=KeyedRoute, dependencies=KEYED
)


@router.post(
    "/quotes",
    status_code=201,
    response_model=ConversionAnswer,
    responses=declared.errors(
        *declared.WRITES,
        PlayerNotFound,
        ProviderNotFound,
        NoRates,
        RateMissing,
        SameCurrency,
        AmountTooSmall,
        InvalidMoney,
        InvalidRate,
        InvalidQuote,
        QuoteUnavailable,
    ),
)
def quote_conversion(body: NewQuote, caller: CallerHere, services: ServicesHere) -> Response:
    """Ask what a player would get for an amount, and until when.

    The quote fixes rate, spread and rounding: taking it gives exactly `target`, whatever happens
    to rates meanwhile. Nothing is reserved before that.
    """
    request = QuoteConversion(
        player_id=body.player_id,
        source=body.source.money(),
        target_currency=body.target_currency,
        provider=body.provider,
        metadata=body.metadata,
    )
    return written(services.conversions.quote(request, caller), caller, status_code=201)


@router.post(
    "/{conversion_id}/accept",
    response_model=ConversionAnswer,
    responses=declared.errors(*declared.CHANGES, QuoteExpired),
)
def accept_conversion(
    conversion_id: UUID, caller: VersionedCaller, services: ServicesHere
) -> Response:
    """Take a quote.

    The house exchanges both sides at once; a provider is asked to, with the amount reserved
    meanwhile. Without enough funds it is recorded as `rejected`, reason `insufficient_funds`.
    """
    return written(services.conversions.accept(conversion_id, caller), caller)


@router.post(
    "/{conversion_id}/resolve",
    response_model=ConversionAnswer,
    responses=declared.errors(*declared.CHANGES, InvalidResolution, EvidenceMissing, SelfApproval),
)
def resolve_conversion(
    conversion_id: UUID,
    body: ResolveConversionBody,
    caller: VersionedCaller,
    services: ServicesHere,
) -> Response:
    """Say how a review ends.

    The first person's word is a proposal; a second person's, for the same target, decides.
    """
    return written(
        services.conversions.resolve(conversion_id, body.target, body.note, caller), caller
    )
