"""What writes answer: the resource, its place in the log, and the balances it led to."""

from typing import Annotated, Final

from fastapi import Header
from pydantic import AfterValidator, Field
from starlette.responses import Response

from api.errors import IfMatchMalformed
from api.free_text import check_line
from api.resources import (
    Balances,
    MoneyShown,
    ReceiptShown,
    TransactionAnswer,
    transaction_fields,
)
from api.validation import IDEMPOTENCY_HEADER
from tallystick.commands.handling import Written, accounts_of

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


def written(outcome: Written, *, status_code: int = 200) -> Response:
    """The answer to a write; a repeat gets the body of the first answer, byte for byte."""
    transaction, receipt = outcome.transaction, outcome.receipt
    available, reserved = accounts_of(transaction)
    currency = transaction.amount.currency
    answer = TransactionAnswer(
        **transaction_fields(transaction),
        position=receipt.position,
        receipt=ReceiptShown(
            position=receipt.position,
            leaf=receipt.leaf.hex(),
            root=receipt.root.hex(),
            size=receipt.size,
        ),
        balances=Balances(
            available=MoneyShown(amount=receipt.balances[available], currency=currency),
            reserved=MoneyShown(amount=receipt.balances[reserved], currency=currency),
        ),
    )
    headers = {
        "etag": etag(transaction.version),
        "location": f"/v1/transactions/{transaction.id}",
    }
    if outcome.replayed:
        headers[REPLAYED_HEADER] = "true"
    return Response(
        answer.model_dump_json(),
        status_code=status_code,
        headers=headers,
        media_type="application/json",
    )
