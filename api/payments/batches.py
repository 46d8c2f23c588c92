"""Batches: many commands in one call."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import Field, ValidationError
from starlette.responses import Response

from api.http import declared, problems
from api.http.answers import REPLAYED_HEADER, answered, body_of
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, KeylessCaller, ServicesHere
from api.http.errors import RequestInvalid
from api.http.responses import Shown
from api.http.services import Services
from api.http.validation import command_errors, operation_unknown
from api.payments.batch_requests import OPERATIONS, BatchBody, CommandBody
from api.payments.rendering import Plain
from api.players.responses import wager_body
from ledger.commands.batches import Ask, Outcome
from ledger.commands.errors import BatchRefused
from ledger.commands.handling import Caller
from ledger.commands.player import Wagered

router = APIRouter(
    prefix="/v1/batches", tags=["Batches"], route_class=KeyedRoute, dependencies=KEYED
)


class ResultShown(Shown):
    """What came of one command."""

    status: int = Field(description="As that of the single request.", examples=[201])
    body: dict[str, Any] = Field(
        description="As that of the single request: the resource, or a problem.",
        examples=[{"id": "3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11", "kind": "deposit"}],
    )


class ResultsShown(Shown):
    """What came of each command, in their order."""

    results: list[ResultShown]


@router.post(
    "",
    response_model=ResultsShown,
    responses=declared.errors(*declared.KEYED, *declared.APPENDS, BatchRefused),
)
def carry_out_batch(body: BatchBody, caller: KeylessCaller, services: ServicesHere) -> Response:
    """Carry out up to 1,000 commands in one call.

    Each has an Idempotency-Key of its own, and the batch needs none: a repeated batch, or a single
    request with the key of one of its commands, gets the first answers. Each has a result of its
    own, and one that is refused does not disturb the others.

    With `atomic`, all of them are recorded together or none is; what one command changes, the
    next one sees. The first that is refused refuses the batch, as does one that a rule or a limit
    forbids, which alone would be recorded as blocked or rejected.
    """
    if body.atomic:
        return _all_or_none(body.commands, caller, services)
    return _independent(body.commands, caller, services)


def _independent(commands: Sequence[CommandBody], caller: Caller, services: Services) -> Response:
    found = [_asked(index, command, caller, services) for index, command in enumerate(commands)]
    same = _repeated(commands)
    asked = {
        index: ask
        for index, ask in enumerate(found)
        if same[index] == index and not isinstance(ask, RequestInvalid)
    }
    outcomes = services.batches.carry_out(list(asked.values())) if asked else []
    ended = dict(zip(asked, outcomes, strict=True))
    return _answer(
        caller,
        commands,
        [
            ask if isinstance(ask, RequestInvalid) else ended[first]
            for ask, first in zip(found, same, strict=True)
        ],
    )


def _repeated(commands: Sequence[CommandBody]) -> list[int]:
    """For each command the index of the first that is the same: its answer is theirs as well."""
    first: dict[tuple[str, str], int] = {}
    same: list[int] = []
    for index, command in enumerate(commands):
        earlier = first.setdefault((command.operation, command.idempotency_key), index)
        same.append(earlier if commands[earlier] == command else index)
    return same


def _all_or_none(commands: Sequence[CommandBody], caller: Caller, services: Services) -> Response:
    found = [_asked(index, command, caller, services) for index, command in enumerate(commands)]
    invalid = [error for ask in found if isinstance(ask, RequestInvalid) for error in ask.errors]
    if invalid:
        raise RequestInvalid(invalid)
    asked = [ask for ask in found if not isinstance(ask, RequestInvalid)]
    return _answer(caller, commands, services.atomic_batches.carry_out(asked))


def _asked(
    index: int, command: CommandBody, caller: Caller, services: Services
) -> Ask | RequestInvalid:
    """The command, ready to be run; what is wrong with its fields, if anything."""
    operation = OPERATIONS.get(command.operation)
    if operation is None:
        return RequestInvalid([operation_unknown(index)])
    try:
        body = operation.model.model_validate(command.body)
        own = Caller(actor=caller.actor, idempotency_key=command.idempotency_key, role=caller.role)
        return operation.ask(body, own, services.default_provider)
    except ValidationError as error:
        return RequestInvalid(command_errors(index, error.errors(include_url=False)))


def _answer(
    caller: Caller, commands: Sequence[CommandBody], ended: Sequence[Outcome | Exception]
) -> Response:
    results = [
        _result(command.operation, outcome, caller.role)
        for command, outcome in zip(commands, ended, strict=True)
    ]
    replayed = all(not isinstance(outcome, Exception) and outcome.replayed for outcome in ended)
    return answered({"results": results}, headers={REPLAYED_HEADER: "true"} if replayed else None)


def _result(operation: str, outcome: Outcome | Exception, role: str) -> Plain:
    if isinstance(outcome, Exception):
        problem = problems.problem(outcome)
        return {"status": problem["status"], "body": problem}
    body = wager_body(outcome) if isinstance(outcome, Wagered) else body_of(outcome, role)
    return {"status": OPERATIONS[operation].status, "body": body}
