"""Accounts: where money stands, now or at a position of the log."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from api import declared
from api.context import KEYED
from api.door import KeyedRoute
from api.errors import AccountUnknown
from api.paging import POSITION_MAX, Parameters
from api.reading import reading
from api.requests_transactions import ACCOUNT_PATTERN
from api.resources import MoneyShown, Shown
from domain.accounts import currency_of
from projections import balances, journal
from projections.journal import JOURNAL

router = APIRouter(
    prefix="/v1/accounts", tags=["Accounts"], route_class=KeyedRoute, dependencies=KEYED
)

AccountName = Annotated[
    str,
    Path(
        pattern=ACCOUNT_PATTERN,
        description="As a posting names it.",
        examples=["provider:simulator:clearing:EUR"],
    ),
]


class AccountShown(Shown):
    """An account and its balance."""

    account: str = Field(examples=["provider:simulator:clearing:EUR"])
    balance: MoneyShown
    position: int = Field(
        description="The event that last moved it; with `as_of`, the position asked about.",
        examples=[4711],
    )


class AsOf(Parameters):
    """Now, or then."""

    as_of: int | None = Field(
        default=None,
        ge=0,
        le=POSITION_MAX,
        description="The balance after the event at this position, instead of now.",
        examples=[4711],
    )


@router.get("/{name}", responses=declared.errors(*declared.READS, AccountUnknown))
async def get_account(
    name: AccountName, when: Annotated[AsOf, Query()], request: Request
) -> AccountShown:
    """Show an account's balance, now or after the event at a position."""
    awaited = max((p for p in (when.as_of, when.min_position) if p is not None), default=None)
    async with reading(request, JOURNAL, awaited) as connection:
        found = await balances.of_account(connection, name)
        if found is None:
            raise AccountUnknown
        amount, position = found.balance_minor, found.position
        if when.as_of is not None:
            amount = await journal.balance_as_of(connection, name, when.as_of)
            position = when.as_of
    money = MoneyShown(amount=amount, currency=currency_of(name))
    return AccountShown(account=name, balance=money, position=position)
