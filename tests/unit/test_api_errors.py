"""Errors: each is in the table, each route declares those its command can raise."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest
from fastapi.routing import APIRoute

from api import (
    accounts,
    deposits,
    errors,
    events,
    health,
    notices,
    player_money,
    players,
    problems,
    providers,
    transactions,
    withdrawal_queue,
    withdrawals,
)
from api.declared import WRITES
from api.problems import STATUS, code_of
from api.services import Services
from domain.errors import DomainError, InvalidTransition, SelfApproval
from tallystick.eventstore.errors import AppendError

MODULES = (
    accounts,
    deposits,
    events,
    health,
    notices,
    player_money,
    players,
    providers,
    transactions,
    withdrawal_queue,
    withdrawals,
)
ROUTES = [
    route for module in MODULES for route in module.router.routes if isinstance(route, APIRoute)
]
BY_NAME = {cls.__name__: cls for cls in STATUS}


def subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for cls in base.__subclasses__():
        yield cls
        yield from subclasses(cls)


@pytest.mark.parametrize("base", [DomainError, AppendError, errors.RequestError])
def test_every_error_has_a_status(base: type[Exception]) -> None:
    """An error without one would be answered as if it were our fault."""
    missing = {cls.__name__ for cls in subclasses(base) if cls not in STATUS}
    assert not missing


def test_a_code_means_one_status() -> None:
    codes = {code_of(cls): status for cls, status in STATUS.items()}
    assert all(codes[code_of(cls)] == status for cls, status in STATUS.items())


def test_codes_are_a_promise() -> None:
    """Clients are programmed against these: removing or renaming one breaks them."""
    assert {code_of(cls): status for cls, status in STATUS.items()} == {
        "account_not_found": 404,
        "already_approved": 409,
        "balance_out_of_range": 422,
        "body_malformed": 400,
        "body_too_large": 413,
        "body_unsupported": 415,
        "database_unavailable": 503,
        "evidence_missing": 422,
        "idempotency_key_missing": 400,
        "idempotency_key_reused": 422,
        "if_match_malformed": 400,
        "insufficient_funds": 422,
        "internal_error": 500,
        "invalid_money": 422,
        "invalid_resolution": 422,
        "invalid_transition": 409,
        "method_not_allowed": 405,
        "not_authenticated": 401,
        "not_found": 404,
        "nothing_to_change": 409,
        "notice_refused": 401,
        "outcome_unknown": 504,
        "player_not_found": 404,
        "provider_not_found": 404,
        "read_model_behind": 503,
        "request_invalid": 422,
        "schedule_empty": 422,
        "self_approval": 403,
        "store_unavailable": 503,
        "too_busy": 503,
        "too_contended": 409,
        "transaction_not_found": 404,
        "version_changed": 412,
        "version_conflict": 409,
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_declares_what_its_command_raises(route: APIRoute) -> None:
    """The docstrings of the commands name their errors; a route that hides one surprises."""
    declared = {
        code
        for answer in route.responses.values()
        for content in answer.get("content", {}).values()
        for code in content.get("examples", {})
    }
    raised = {code_of(cls) for method in commands_of(route) for cls in raises(method)}
    assert raised <= declared | caught_by(route)


def test_the_check_of_declared_errors_sees_what_there_is() -> None:
    approve = next(route for route in ROUTES if route.name == "approve_withdrawal")
    hold = next(route for route in ROUTES if route.name == "hold_withdrawal")
    assert SelfApproval in raises(commands_of(approve)[0])
    assert InvalidTransition in raises(commands_of(hold)[0])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_post_takes_an_idempotency_key(route: APIRoute) -> None:
    """A POST that forgets it would be carried out twice when it is repeated."""
    if "POST" in route.methods and route.name != "receive_notice":
        codes = {
            c
            for r in route.responses.values()
            for c in next(iter(r["content"].values()))["examples"]
        }
        assert {code_of(cls) for cls in WRITES} <= codes
        assert "caller" in inspect.signature(route.endpoint).parameters


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_is_thin(route: APIRoute) -> None:
    """Parse, call one handler or one query, answer: anything longer belongs elsewhere."""
    body = ast.parse(textwrap.dedent(inspect.getsource(route.endpoint))).body[0]
    assert isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef)
    assert len(body.body) <= 9
    assert len(commands_of(route)) <= 2


def commands_of(route: APIRoute) -> list[Callable[..., Any]]:
    """The methods of `services` that a route calls."""
    found = []
    hints = get_type_hints(Services)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(route.endpoint)))):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Attribute(value=ast.Name(id="services"), attr=part), attr=name
                )
            ) if inspect.isclass(hints[part]):
                found.append(getattr(hints[part], name))
    return found


def raises(method: Callable[..., Any]) -> set[type[Exception]]:
    """The errors a command's docstring names; `Raises as \\`other\\`` means those of another."""
    text = inspect.getdoc(method) or ""
    other = re.search(r"Raises as `(\w+)`", text)
    if other:
        owner = inspect.getmodule(method)
        cls = getattr(owner, method.__qualname__.split(".")[0])
        return raises(getattr(cls, other.group(1)))
    _, _, section = text.partition("Raises:")
    return {BY_NAME[word] for word in re.findall(r"[A-Z]\w+", section) if word in BY_NAME}


def caught_by(route: APIRoute) -> set[str]:
    """The codes of errors that a route itself handles."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(route.endpoint)))
    names = {
        node.type.id
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name)
    }
    # A key made on the spot cannot have been used before.
    once = {"CommandReused"} if "_once" in ast.dump(tree) else set()
    return {code_of(BY_NAME[name]) for name in names | once if name in BY_NAME}


def test_a_problem_shows_no_internals() -> None:
    problem = problems.problem(RuntimeError("password=hunter2"))
    assert "hunter2" not in str(problem)
