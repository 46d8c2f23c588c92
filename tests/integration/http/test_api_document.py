"""The OpenAPI document is part of the product: it is complete, and the API keeps to it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from ledger.settings import Settings
from tests.servers.api_server import Api, running_api

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
"""503 is how a read model that is behind is answered, and is documented."""


def test_the_api_keeps_to_its_document(api: Api, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        str(SCHEMATHESIS),
        *("--config-file", str(config)),
        "run",
        f"{api.url}/openapi.json",
        *("--header", f"Authorization: Bearer {api.keys['cleo']}"),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", "8"),
        *("--seed", "1"),
        *("--workers", "1"),  # two threads in `ast.parse` can fail one another in Python 3.11
        *("--request-timeout", "10"),
        *("--exclude-checks", "positive_data_acceptance"),
        "--no-shrink",
        "--continue-on-failure",
        *("--warnings", "off"),
    ]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    counts = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", run.stdout)
    assert counts is not None
    assert len(set(counts.groups())) == 1, "every operation has to be tested"


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    answer = api.client.get("/openapi.json")
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def test_every_operation_says_what_it_does_and_shows_it(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"].endswith("."), where
        assert operation["tags"], where
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [operation["responses"][s] for s in operation["responses"] if s[0] == "2"]
        for body in bodies:
            for content in body.get("content", {}).values():
                assert "example" in content or not content["schema"], where


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (c for body in bodies for c in body.get("content", {}).values()):
            schema = content["schema"] | {"components": document["components"]}
            examples = [e["value"] for e in content.get("examples", {}).values()]
            for example in examples + ([content["example"]] if "example" in content else []):
                assert jsonschema_rs.is_valid(schema, example), f"{method} {path}: {example}"


def test_every_error_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        for status, answer in operation["responses"].items():
            if status[0] in "45" and path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"]
                assert answer["content"]["application/problem+json"]["examples"], (method, path)
        assert "500" in operation["responses"]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation
