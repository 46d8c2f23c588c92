"""What a batch may ask for: each operation's body, and the command it stands for.

The bodies are those of the single requests, with what these name in their path.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool

from api.http.free_text import check_line
from api.http.requests import Body
from api.payments.requests import (
    CancelWithdrawalBody,
    NewAdjustment,
    NewRefund,
    NewTransaction,
    NoteBody,
    ScoreBody,
)
from api.players.requests import WagerBody
from ledger.commands.adjustment import RequestAdjustment
from ledger.commands.batches import Ask
from ledger.commands.deposit import CreateDeposit
from ledger.commands.handling import Caller
from ledger.commands.refund import RequestRefund
from ledger.commands.withdrawal import RequestWithdrawal

COMMANDS_MAX: Final = 1_000

_ID: Final = "3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"


class WagerOfBody(WagerBody):
    """What a player has staked, and which player."""

    player_id: UUID


class IdBody(Body):
    """Which transaction it is about."""

    id: UUID


class IdNoteBody(NoteBody):
    """Which transaction it is about, and why somebody decided so."""

    id: UUID


class IdCancelBody(CancelWithdrawalBody):
    """Which withdrawal is given up, and on whose behalf."""

    id: UUID


class IdScoreBody(ScoreBody):
    """Which withdrawal looks how risky, and who says so."""

    id: UUID


B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Operation(Generic[B]):
    """What an operation takes, and the command that it is."""

    model: type[B]
    ask: Callable[[B, Caller, str], Ask]
    """`ask(body, caller, default_provider)`."""
    status: int = 200
    """Of its answer when it went well: that of the single request."""


def _create_deposit(body: NewTransaction, caller: Caller, default_provider: str) -> Ask:
    request = CreateDeposit(
        player_id=body.player_id,
        provider=body.provider or default_provider,
        method=body.method,
        amount=body.amount.money(),
        instrument=body.instrument,
        metadata=body.metadata,
        origin=body.known_origin(),
    )
    return lambda commands: commands.deposits.create(request, caller)


def _request_withdrawal(body: NewTransaction, caller: Caller, default_provider: str) -> Ask:
    request = RequestWithdrawal(
        player_id=body.player_id,
        provider=body.provider or default_provider,
        method=body.method,
        amount=body.amount.money(),
        instrument=body.instrument,
        metadata=body.metadata,
        origin=body.known_origin(),
    )
    return lambda commands: commands.withdrawals.request(request, caller)


def _request_refund(body: NewRefund, caller: Caller, _default_provider: str) -> Ask:
    request = RequestRefund(
        deposit_id=body.deposit_id,
        amount=body.amount.money() if body.amount else None,
        reason=body.reason,
        metadata=body.metadata,
    )
    return lambda commands: commands.refunds.request(request, caller)


def _request_adjustment(body: NewAdjustment, caller: Caller, _default_provider: str) -> Ask:
    request = RequestAdjustment(
        player_id=body.player_id,
        moves=tuple(move.move() for move in body.moves),
        reason=body.reason,
        grounds=body.grounds,
        transaction_id=body.transaction_id,
        metadata=body.metadata,
    )
    return lambda commands: commands.adjustments.request(request, caller)


def _record_wager(body: WagerOfBody, caller: Caller, _default_provider: str) -> Ask:
    amount = body.amount.money()
    return lambda commands: commands.players.record_wager(
        body.player_id, amount=amount, metadata=body.metadata, caller=caller
    )


OPERATIONS: Final[Mapping[str, Operation[Any]]] = {
    "create-deposit": Operation(NewTransaction, _create_deposit, 201),
    "request-withdrawal": Operation(NewTransaction, _request_withdrawal, 201),
    "request-refund": Operation(NewRefund, _request_refund, 201),
    "request-adjustment": Operation(NewAdjustment, _request_adjustment, 201),
    "record-wager": Operation(WagerOfBody, _record_wager, 201),
    "cancel-deposit": Operation(
        IdBody, lambda body, caller, _: lambda c: c.deposits.cancel(body.id, caller)
    ),
    "accept-conversion": Operation(
        IdBody, lambda body, caller, _: lambda c: c.conversions.accept(body.id, caller)
    ),
    "approve-withdrawal": Operation(
        IdNoteBody,
        lambda body, caller, _: lambda c: c.withdrawals.approve(body.id, body.note, caller),
    ),
    "reject-withdrawal": Operation(
        IdNoteBody,
        lambda body, caller, _: lambda c: c.withdrawals.reject(body.id, body.note, caller),
    ),
    "hold-withdrawal": Operation(
        IdNoteBody, lambda body, caller, _: lambda c: c.withdrawals.hold(body.id, body.note, caller)
    ),
    "release-withdrawal": Operation(
        IdNoteBody,
        lambda body, caller, _: lambda c: c.withdrawals.release(body.id, body.note, caller),
    ),
    "cancel-withdrawal": Operation(
        IdCancelBody,
        lambda body, caller, _: (
            lambda c: c.withdrawals.cancel(body.id, by_player=body.by_player, caller=caller)
        ),
    ),
    "score-withdrawal": Operation(
        IdScoreBody,
        lambda body, caller, _: (
            lambda c: c.withdrawals.score(
                body.id, score=body.score, high=body.high, ruleset=body.ruleset, caller=caller
            )
        ),
    ),
    "approve-refund": Operation(
        IdNoteBody, lambda body, caller, _: lambda c: c.refunds.approve(body.id, body.note, caller)
    ),
    "reject-refund": Operation(
        IdNoteBody, lambda body, caller, _: lambda c: c.refunds.reject(body.id, body.note, caller)
    ),
    "cancel-refund": Operation(
        IdBody, lambda body, caller, _: lambda c: c.refunds.cancel(body.id, caller)
    ),
    "approve-adjustment": Operation(
        IdNoteBody,
        lambda body, caller, _: lambda c: c.adjustments.approve(body.id, body.note, caller),
    ),
    "reject-adjustment": Operation(
        IdNoteBody,
        lambda body, caller, _: lambda c: c.adjustments.reject(body.id, body.note, caller),
    ),
}
"""Every operation a batch may hold, by name."""


class CommandBody(Body):
    """One command of a batch."""

    operation: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="One of: " + ", ".join(f"`{name}`" for name in OPERATIONS) + ".",
        examples=["create-deposit"],
    )
    idempotency_key: Annotated[
        str,
        Field(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$"),
        AfterValidator(check_line),
    ] = Field(
        description="As the header of the single request: the same holder, operation and key are"
        " the same command, alone or in any batch.",
        examples=["0b7e6d5c-9a51-4f3e-8a44-3f1f4b1f5a10"],
    )
    body: dict[str, Any] = Field(
        description="As the body of the single request, with the `id` or `player_id` that stands"
        " in its path.",
        examples=[
            {
                "player_id": _ID,
                "amount": {"amount": 1050, "currency": "EUR"},
                "method": "card",
            }
        ],
    )


class BatchBody(Body):
    """Many commands."""

    atomic: StrictBool = Field(default=False, description="All of them, or none.")
    commands: list[CommandBody] = Field(min_length=1, max_length=COMMANDS_MAX)
