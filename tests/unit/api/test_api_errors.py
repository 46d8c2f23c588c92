"""Errors: each is in the table, each route declares those its command can raise."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest
from fastapi.routing import APIRoute

from api.http import app, errors, problems
from api.http.declared import WRITES
from api.http.problems import STATUS, code_of
from api.http.services import Services
from domain.errors import DomainError, InvalidTransition, SelfApproval
from ledger.checkpoints.proving import ProofError
from ledger.eventstore.errors import AppendError
from ledger.providers.protocol import QuoteUnavailable

ROUTES = [route for router in app.ROUTERS for route in router.routes if isinstance(route, APIRoute)]
BY_NAME = {cls.__name__: cls for cls in STATUS}


def subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for cls in base.__subclasses__():
        yield cls
        yield from subclasses(cls)


@pytest.mark.parametrize("base", [DomainError, AppendError, ProofError, errors.RequestError])
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
        "adjustment_invalid": 422,
        "already_approved": 409,
        "proposal_changed": 409,
        "already_carried_out": 409,
        "amount_may_only_fall": 422,
        "amount_too_small": 422,
        "as_of_in_future": 422,
        "as_of_invalid": 422,
        "assessment_not_found": 404,
        "backtest_not_found": 404,
        "balance_changed": 409,
        "balance_out_of_range": 422,
        "batch_refused": 409,
        "body_malformed": 400,
        "body_too_large": 413,
        "body_unsupported": 415,
        "cancellation_not_allowed": 409,
        "case_not_found": 404,
        "checkpoint_not_found": 404,
        "database_unavailable": 503,
        "dispute_open": 409,
        "evidence_missing": 422,
        "exclusion_invalid": 422,
        "exclusion_running": 409,
        "export_ended": 409,
        "export_file_not_found": 404,
        "export_not_found": 404,
        "export_under_way": 409,
        "head_too_large": 431,
        "hit_not_found": 404,
        "hold_not_yours": 403,
        "idempotency_key_missing": 400,
        "idempotency_key_reused": 422,
        "if_match_malformed": 400,
        "indicator_not_found": 404,
        "insufficient_funds": 422,
        "internal_error": 500,
        "invalid_money": 422,
        "invalid_policy": 422,
        "invalid_quote": 422,
        "invalid_rate": 422,
        "invalid_resolution": 422,
        "invalid_ruleset": 422,
        "invalid_transition": 409,
        "leg_ambiguous": 422,
        "leg_not_found": 422,
        "limit_exceeded": 409,
        "limit_invalid": 422,
        "log_not_as_signed": 500,
        "method_not_allowed": 405,
        "no_rates": 409,
        "not_authenticated": 401,
        "not_carried_out": 409,
        "not_found": 404,
        "not_refundable": 409,
        "nothing_to_change": 409,
        "notice_refused": 401,
        "outcome_unknown": 504,
        "player_not_found": 404,
        "position_beyond_log": 404,
        "proof_sizes_invalid": 422,
        "provider_not_found": 404,
        "quote_expired": 409,
        "quote_unavailable": 503,
        "range_not_satisfiable": 416,
        "rate_missing": 422,
        "rate_proposal_not_found": 404,
        "read_model_behind": 503,
        "refund_exceeds_capture": 409,
        "report_not_found": 404,
        "request_invalid": 422,
        "request_malformed": 400,
        "request_too_slow": 408,
        "role_not_allowed": 403,
        "ruleset_not_found": 404,
        "same_currency": 422,
        "schedule_empty": 422,
        "self_approval": 403,
        "signing_key_not_found": 404,
        "store_unavailable": 503,
        "too_busy": 503,
        "too_contended": 409,
        "too_many_connections": 503,
        "too_many_exports": 429,
        "transaction_not_found": 404,
        "url_too_long": 414,
        "version_changed": 412,
        "version_conflict": 409,
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_declares_what_its_command_raises(route: APIRoute) -> None:
    """The docstrings of the commands name their errors; a route that hides one surprises."""
    raised = {code_of(cls) for method in commands_of(route) for cls in raises(method)}
    assert raised <= declared_by(route) | caught_by(route)


def test_the_check_of_declared_errors_sees_what_there_is() -> None:
    approve = next(route for route in ROUTES if route.name == "approve_withdrawal")
    hold = next(route for route in ROUTES if route.name == "hold_withdrawal")
    assert SelfApproval in raises(commands_of(approve)[0])
    assert InvalidTransition in raises(commands_of(hold)[0])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_post_takes_an_idempotency_key(route: APIRoute) -> None:
    """A POST that forgets it would be carried out twice when it is repeated."""
    if "POST" in route.methods and route.name not in ("receive_notice", "carry_out_batch"):
        assert {code_of(cls) for cls in WRITES} <= declared_by(route)
        assert "caller" in inspect.signature(route.endpoint).parameters


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_is_thin(route: APIRoute) -> None:
    """Parse, call one handler or one query, answer: anything longer belongs elsewhere."""
    body = ast.parse(textwrap.dedent(inspect.getsource(route.endpoint))).body[0]
    assert isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef)
    assert len(body.body) <= 9
    assert len(commands_of(route)) <= 2


def declared_by(route: APIRoute) -> set[str]:
    """The codes of the errors that a route declares."""
    return {
        code
        for answer in route.responses.values()
        for content in answer.get("content", {}).values()
        for code in content.get("examples", {})
    }


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
    once = {"CommandReused"} if "KeylessCaller" in ast.dump(tree) else set()
    return {code_of(BY_NAME[name]) for name in names | once if name in BY_NAME}


@pytest.mark.parametrize("error", [RuntimeError, QuoteUnavailable])
def test_a_problem_shows_no_internals(error: type[Exception]) -> None:
    problem = problems.problem(error("password=hunter2"))
    assert "hunter2" not in str(problem)


def test_a_quote_that_is_not_to_be_had_now_may_be_asked_for_again() -> None:
    answer = problems.response(QuoteUnavailable("unknown"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
