"""The operations of the API and the problems they answer with, out of its OpenAPI document."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from types import SimpleNamespace
from typing import Any, Final, cast

from api.http.app import create_app
from api.http.services import Services
from tallystick.reference.markdown import table


@cache
def api_document() -> dict[str, Any]:
    """The OpenAPI document. It depends on the routes alone: no service is needed to make it."""
    return create_app(cast("Services", SimpleNamespace(database_errors=()))).openapi()


@dataclass(frozen=True, slots=True)
class _Operation:
    tag: str
    method: str
    path: str
    summary: str
    takes: frozenset[str]
    """`API key`, `Idempotency-Key`, `If-Match`, as far as it does."""
    problems: Mapping[str, str]
    """Status by code, in the order of the statuses."""


_TAKEN: Final = ("API key", "Idempotency-Key", "If-Match")


def _operations() -> Iterator[_Operation]:
    for path, methods in api_document()["paths"].items():
        for method, operation in methods.items():
            named = {parameter["name"] for parameter in operation.get("parameters", [])}
            keyed = {"API key"} if "security" in operation else set()
            yield _Operation(
                tag=operation["tags"][0],
                method=method.upper(),
                path=path,
                summary=operation["summary"],
                takes=frozenset(_TAKEN) & (named | keyed),
                problems={
                    code: status
                    for status, answer in operation["responses"].items()
                    for code in _examples(answer)
                },
            )


def _examples(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The problems an answer may hold, by code."""
    content = answer.get("content", {}).get("application/problem+json", {})
    found: Mapping[str, Any] = content.get("examples", {})
    return found


@cache
def _shared_problems() -> dict[str, dict[str, str]]:
    """By what an operation takes: the problems that every operation has which takes it.

    Each is listed once, at the first it belongs to.
    """
    shared: dict[str, dict[str, str]] = {}
    for taken in _TAKEN:
        takers = [operation.problems for operation in _operations() if taken in operation.takes]
        listed = {code for problems in shared.values() for code in problems}
        shared[taken] = {
            code: status
            for code, status in takers[0].items()
            if code not in listed and all(code in problems for problems in takers)
        }
    return shared


def shared_problems_table() -> str:
    """The problems that come with what an operation takes."""
    rows = [[taken, _problems(found)] for taken, found in _shared_problems().items()]
    return table(["an operation that takes", "may answer"], rows)


def operations_table() -> str:
    """Every operation by its tag, with the problems that do not come with what it takes."""
    by_tag: dict[str, list[list[str]]] = defaultdict(list)
    for found in _operations():
        shared = {code for taken in found.takes for code in _shared_problems()[taken]}
        own = {code: status for code, status in found.problems.items() if code not in shared}
        takes = ", ".join(taken for taken in _TAKEN if taken in found.takes)
        call = f"`{found.method} {found.path}`"
        by_tag[found.tag].append([call, found.summary, takes, _problems(own)])
    titles = ["operation", "what it does", "takes", "may also answer"]
    return "\n\n".join(f"### {tag}\n\n{table(titles, rows)}" for tag, rows in by_tag.items())


def _problems(status_by_code: Mapping[str, str]) -> str:
    return "; ".join(
        f"{status} {', '.join(f'`{code}`' for code, _ in found)}"
        for status, found in groupby(status_by_code.items(), key=lambda item: item[1])
    )


def problems_table() -> str:
    """Every problem there is: its code, its status, what it says."""
    found: dict[str, Mapping[str, Any]] = {}
    for methods in api_document()["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                found |= {code: example["value"] for code, example in _examples(answer).items()}
    rows = sorted((shown["status"], code, shown["detail"]) for code, shown in found.items())
    return table(
        ["status", "code", "detail"], [[str(status), f"`{c}`", d] for status, c, d in rows]
    )
