"""Exchange rates: the table in force, and publishing another."""

from fractions import Fraction
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api import declared, log_reading
from api.answers import etag
from api.as_of import QueryParameters, queries
from api.context import KEYED, CallerHere, ServicesHere
from api.door import KeyedRoute
from api.reading import viewing
from api.requests_policies import RatesBody
from api.resources import Shown
from domain.errors import InvalidRate, NothingToChange
from domain.events import RatesEvent, RateTablePublished
from domain.money import InvalidMoney
from domain.rates import RateTable, decimal_text, fold_rates, rates_stream
from tallystick.commands.errors import NoRates

router = APIRouter(
    prefix="/v1/rates", tags=["Policies and rates"], route_class=KeyedRoute, dependencies=KEYED
)
_PUBLISHES = declared.errors(*declared.WRITES, InvalidRate, InvalidMoney, NothingToChange)


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
    version: int = Field(examples=[1])

    @classmethod
    def of(cls, table: RateTable) -> "RateTableShown":
        return cls(
            table=table.table,
            source=table.source,
            base=table.base,
            as_of=table.as_of,
            rates=[TableRateShown.of(code, rate) for code, rate in sorted(table.rates.items())],
            version=table.version,
        )


@router.get("", responses=queries(NoRates))
async def get_rates(
    when: Annotated[QueryParameters, Query()], request: Request, response: Response
) -> RateTableShown:
    """Show the rates in force: those published last. This reads the log, and is never behind."""
    async with viewing(request, when) as view:
        told = await log_reading.events(view.connection, [rates_stream()], view.upto)
        table = fold_rates(None, cast("list[RatesEvent]", told.get(rates_stream(), [])))
        if table is None:
            topics = (RateTablePublished.__name__,)
            raise await view.missing(NoRates(), rates_stream(), topics)
    view.mark(response)
    response.headers["etag"] = etag(table.version)
    return RateTableShown.of(table)


@router.post("", status_code=201, responses=_PUBLISHES)
def publish_rates(
    body: RatesBody, caller: CallerHere, services: ServicesHere, response: Response
) -> RateTableShown:
    """Put a table of rates in force, in place of the one before.

    Other rates of the same source and day are another version; the same again are refused.
    """
    table = services.rates.publish(
        source=body.source,
        base=body.base,
        as_of=body.as_of,
        rates=[rate.as_ratio() for rate in body.rates],
        caller=caller,
    )
    response.headers["etag"] = etag(table.version)
    response.headers["location"] = "/v1/rates"
    return RateTableShown.of(table)
