"""What writes answer: the resource, its place in the log, and the balances it led to."""

from collections.abc import Mapping
from typing import Annotated, Final, assert_never
from uuid import UUID

from fastapi import Header
from pydantic import AfterValidator, Field
from starlette.responses import Response

from api.http.errors import IfMatchMalformed
from api.http.free_text import check_line
from api.http.validation import IDEMPOTENCY_HEADER
from api.payments.rendering import Plain, encode, rendered
from api.withholding import shown_to
from domain.accounts import currency_of, of_player
from domain.adjustment.state import Adjustment
from domain.conversion.state import Conversion
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.refund.decisions import Refund
from domain.transactions import accounts_of
from domain.withdrawal.state import Withdrawal
from ledger.commands.handling import Caller, Written

REPLAYED_HEADER: Final = "idempotent-replayed"

IdempotencyKey = Annotated[
    str,
    Header(
        alias=IDEMPOTENCY_HEADER,
        description="Names this request: repeating it with the same key gives the same answer"
        " and is never carried out twice. Kept for ever, per API key holder.",
        examples=["0b7e6d5c-9a51-4f3e-8a44-3f1f4b1f5a10"],
    ),
    Field(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$"),
    AfterValidator(check_line),
]

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=40,
        description="The ETag the decision rests on; refused with 412 if it has changed since.",
        examples=['"3"'],
    ),
]


def expected_version(if_match: str | None) -> int | None:
    """The version that If-Match names; None where there is no such header, or it is `*`.

    Raises:
        IfMatchMalformed: it is not one ETag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    digits = if_match.strip()
    if len(digits) < 3 or digits[0] != '"' or digits[-1] != '"':
        raise IfMatchMalformed
    digits = digits[1:-1]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise IfMatchMalformed
    return int(digits)


def etag(version: int) -> str:
    """The ETag of a resource at a version of its stream."""
    return f'"{version}"'


def written(outcome: Written, caller: Caller, *, status_code: int = 200) -> Response:
    """The answer to a write; a repeat gets the body of the first answer, byte for byte."""
    transaction = outcome.transaction
    headers = {
        "etag": etag(transaction.version),
        "location": f"/v1/transactions/{transaction.id}",
    }
    if outcome.replayed:
        headers[REPLAYED_HEADER] = "true"
    return answered(body_of(outcome, caller.role), status_code=status_code, headers=headers)


def answered(
    body: object, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer of plain values; the route's `response_model` describes them."""
    return Response(
        encode(body), status_code=status_code, headers=headers, media_type="application/json"
    )


def body_of(outcome: Written, role: str) -> Plain:
    """What a write answers somebody of this role, as `AnyTransactionAnswer` describes it; `encode`
    makes bytes of it."""
    transaction, receipt = outcome.transaction, outcome.receipt
    body = shown_to(role, rendered(transaction))
    body["position"] = receipt.position
    body["receipt"] = {
        "position": receipt.position,
        "leaf": receipt.leaf.hex(),
        "root": receipt.root.hex(),
        "size": receipt.size,
    }
    balances = receipt.balances
    match transaction:
        case Deposit() | Withdrawal() | Refund():
            currency = transaction.amount.currency
            body["balances"] = _balances(balances, transaction.player_id, currency)
        case Conversion():
            player_id, target = transaction.player_id, transaction.target.currency
            body["balances"] = _balances(balances, player_id, transaction.amount.currency)
            body["target_balances"] = _balances(balances, player_id, target)
        case Dispute():
            pass
        case Adjustment():
            body["balances"] = [
                {"account": account, "balance": _money(balances[account], currency_of(account))}
                for account in sorted(accounts_of(transaction))
            ]
        case _:
            assert_never(transaction)
    return body


def _balances(balances: Mapping[str, int], player_id: UUID, currency: str) -> Plain:
    available, reserved = of_player(player_id, currency)
    return {
        "available": _money(balances[available], currency),
        "reserved": _money(balances[reserved], currency),
    }


def _money(amount_minor: int, currency: str) -> Plain:
    return {"amount": amount_minor, "currency": currency}
