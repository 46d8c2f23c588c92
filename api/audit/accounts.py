"""Accounts: where money stands, now or at a position of the log."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api.http import log_reading
from api.http.as_of import QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED
from api.http.errors import AccountUnknown
from api.http.reading import View, viewing
from api.http.responses import MoneyShown, Shown
from api.payments.requests import ACCOUNT_PATTERN
from projections.balances import balances
from projections.balances.balances import Balance
from projections.journal.journal import JOURNAL
from projections.past import balances as past_balances

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
    position: int = Field(description="The event that last moved it.", examples=[4711])


@router.get("/{name}", responses=queries(AccountUnknown))
async def get_account(
    name: AccountName,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> AccountShown:
    """Show an account's balance, now or after the event at a position."""
    async with viewing(request, when, JOURNAL) as view:
        found = await _account(view, name)
    view.mark(response)
    money = MoneyShown(amount=found.balance_minor, currency=found.currency)
    return AccountShown(account=name, balance=money, position=found.position)


async def _account(view: View, name: str) -> Balance:
    """Raises AccountUnknown where nothing was ever posted to it, or nothing was by then."""
    if view.then is None:
        found = await balances.of_account(view.connection, name)
    else:
        found = next(
            iter(await past_balances.of_accounts(view.connection, [name], view.upto)), None
        )
    if found is not None:
        return found
    first = await past_balances.first_posting(view.connection, [name])
    raise view.not_yet(AccountUnknown(), await log_reading.at(view.connection, first))
