"""Exchange rates: the table in force, and what one person proposes and another approves."""

from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, Final, cast, get_args
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.responses import JSONResponse

from api.admin.requests import RatesBody, RatesNoteBody
from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere, VersionedCaller
from api.http.errors import IfMatchMalformed
from api.http.reading import View, viewing
from api.http.responses import Instant, Shown
from api.http.services import Services
from domain.conversion.rate_decisions import beyond
from domain.conversion.rates import (
    ExchangeRates,
    RateProposal,
    RateTable,
    decimal_text,
    fold_rates,
    rates_stream,
)
from domain.errors import (
    EvidenceMissing,
    InvalidRate,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import RatesEvent
from domain.money import InvalidMoney
from ledger.commands.errors import NoRates, RateProposalNotFound, VersionChanged

router = APIRouter(
    prefix="/v1/rates", tags=["Policies and rates"], route_class=KeyedRoute, dependencies=KEYED
)
WRITES: Final = (
    *(*declared.WRITES, IfMatchMalformed, VersionChanged),
    *(RoleNotAllowed, NothingToChange, EvidenceMissing),
)
_OFFERS: Final = declared.errors(*WRITES, InvalidRate, InvalidMoney)
_APPROVES: Final = declared.errors(*WRITES, RateProposalNotFound, SelfApproval)
_DISCARDS: Final = declared.errors(
    *(*declared.WRITES, IfMatchMalformed, VersionChanged),
    *(RoleNotAllowed, EvidenceMissing, RateProposalNotFound),
)


class TableRateShown(Shown):
    """Whole units of a currency for one whole unit of the base."""

    currency: str = Field(examples=["USD"])
    numerator: int = Field(description="An integer of up to 64 bits.", examples=[10_843])
    denominator: int = Field(description="An integer of up to 64 bits.", examples=[10_000])
    decimal: str | None = Field(
        description="The same, exactly; null where it never ends.", examples=["1.0843"]
    )

    @classmethod
    def of(cls, currency: str, rate: Fraction) -> "TableRateShown":
        return cls(
            currency=currency,
            numerator=rate.numerator,
            denominator=rate.denominator,
            decimal=decimal_text(rate),
        )


class RateTableShown(Shown):
    """Exchange rates as of a day."""

    table: str = Field(
        description="Its name, as quotes record it.", examples=["treasury-2026-05-03"]
    )
    source: str = Field(examples=["treasury"])
    base: str = Field(examples=["EUR"])
    as_of: str = Field(description="The day that the source names.", examples=["2026-05-03"])
    rates: list[TableRateShown] = Field(description="By currency.")
    since: Instant = Field(description="When it came in force.")
    approved_by: list[str] = Field(
        description="The two people who agreed; none: a trusted source put it in force, or one"
        " person did when that was enough.",
        examples=[["anna", "cleo"]],
    )
    version: int = Field(description="Of all that is about rates.", examples=[2])

    @classmethod
    def of(cls, rates: ExchangeRates) -> "RateTableShown":
        """What is in force, where there is something."""
        table = cast("RateTable", rates.in_force)
        return cls(
            **_said(table),
            table=table.table,
            since=cast("datetime", rates.since),
            approved_by=list(rates.approved_by),
            version=rates.version,
        )


class RateProposalShown(Shown):
    """Exchange rates that wait for people, and do not count before."""

    id: UUID
    person: str | None = Field(
        description="Who wants them in force, and another has to agree; null: only the source"
        " sent them, and two people have to.",
        examples=["anna"],
    )
    source: str = Field(examples=["treasury"])
    base: str = Field(examples=["EUR"])
    as_of: str = Field(description="The day that the source names.", examples=["2026-05-03"])
    rates: list[TableRateShown] = Field(description="By currency.")
    beyond: str | None = Field(
        description="How they are further from those in force, or of the day before, than a source"
        " may go alone: who approves has to say why. Null: they are not.",
        examples=["What EUR is worth in USD moves by more than 10 % from ecb-2026-05-02."],
    )
    note: str = Field(examples=["As the central bank corrected them."])
    proposed_at: Instant

    @classmethod
    def of(cls, proposal: RateProposal, rates: ExchangeRates, now: datetime) -> "RateProposalShown":
        """Beside what is in force by now."""
        return cls(
            **_said(proposal.table),
            id=proposal.id,
            person=proposal.person,
            beyond=beyond(rates, proposal.table, now) or None,
            note=proposal.note,
            proposed_at=proposal.at,
        )


class RateProposalsShown(Shown):
    """All that waits, oldest first."""

    items: list[RateProposalShown]

    @classmethod
    def of(cls, rates: ExchangeRates, now: datetime) -> "RateProposalsShown":
        waiting = rates.proposals.values()
        return cls(items=[RateProposalShown.of(one, rates, now) for one in waiting])


_WAITS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": RateProposalShown, "description": "It waits for another person"}
}


@router.get("", responses=queries(NoRates))
async def get_rates(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> RateTableShown:
    """Show the rates in force. This reads the log, and is never behind."""
    async with viewing(request, when) as view:
        rates = await rates_at(view, response)
        if rates.in_force is None:
            topics = tuple(topic.__name__ for topic in get_args(RatesEvent))
            raise await view.missing(NoRates(), rates_stream(), topics)
    return RateTableShown.of(rates)


@router.post("", status_code=201, response_model=RateTableShown, responses={**_WAITS, **_OFFERS})
def propose_rates(
    body: RatesBody, caller: VersionedCaller, services: ServicesHere, response: Response
) -> RateTableShown | Response:
    """Propose a table of rates, which another person approves; until then nothing changes.

    Finance proposes. The key of a trusted source, which bears its name, puts the source's own table
    in force at once, answered with 201, where no rate moves by more than 10 % and the currencies
    are the same. All else waits, answered with 202.
    """
    rates, waiting = services.rates.propose(
        source=body.source,
        base=body.base,
        as_of=body.as_of,
        rates=[rate.as_ratio() for rate in body.rates],
        note=body.note,
        caller=caller,
    )
    response.headers["location"] = "/v1/rates"
    return _answer(rates, waiting, services, response)


@router.get("/proposals", responses=queries())
async def list_rate_proposals(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> RateProposalsShown:
    """List the tables that wait for people. This reads the log, and is never behind."""
    async with viewing(request, when) as view:
        rates = await rates_at(view, response)
    return RateProposalsShown.of(rates, view.now)


@router.post(
    "/proposals/{proposal_id}/approve",
    response_model=RateTableShown,
    responses={**_WAITS, **_APPROVES},
)
def approve_rates(
    proposal_id: UUID,
    body: RatesNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> RateTableShown | Response:
    """Approve a table that another person proposed: it is in force from now on.

    Finance or compliance approves. Of what only a source has sent, the first approval stands in for
    the proposal, and is answered with 202.
    """
    rates, waiting = services.rates.approve(proposal_id, body.note, caller)
    return _answer(rates, waiting, services, response)


@router.post("/proposals/{proposal_id}/discard", responses=_DISCARDS)
def discard_rates(
    proposal_id: UUID,
    body: RatesNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> RateProposalsShown:
    """Let go of a table that waits, and say why; what still waits is shown."""
    rates = services.rates.discard(proposal_id, body.note, caller)
    response.headers["etag"] = etag(rates.version)
    return RateProposalsShown.of(rates, services.handling.now())


async def rates_at(view: View, response: Response) -> ExchangeRates:
    """All that is about rates, as the log has it; the answer says which version."""
    told = await log_reading.events(view.connection, [rates_stream()], view.upto)
    rates = fold_rates(None, cast("list[RatesEvent]", told.get(rates_stream(), [])))
    view.mark(response)
    response.headers["etag"] = etag(rates.version)
    return rates


def _answer(
    rates: ExchangeRates, waiting: RateProposal | None, services: Services, response: Response
) -> RateTableShown | Response:
    if waiting is None:
        response.headers["etag"] = etag(rates.version)
        return RateTableShown.of(rates)
    headers = {"etag": etag(rates.version), "location": "/v1/rates/proposals"}
    shown = RateProposalShown.of(waiting, rates, services.handling.now())
    return JSONResponse(shown.model_dump(mode="json"), status_code=202, headers=headers)


def _said(table: RateTable) -> dict[str, Any]:
    """What a table says, whether or not it is in force."""
    return {
        "source": table.source,
        "base": table.base,
        "as_of": table.as_of,
        "rates": [TableRateShown.of(code, rate) for code, rate in sorted(table.rates.items())],
    }
